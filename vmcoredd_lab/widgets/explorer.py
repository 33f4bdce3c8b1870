"""The explorer: the tables of a post-mortem over a hex view; every row opens its bytes."""

from __future__ import annotations

from typing import Any

import traitlets

from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.text import plural
from vmcoredd_lab.widgets import first
from vmcoredd_lab.widgets.hexview import HexView, static
from vmcoredd_lab.widgets.listing import Listing, listings, remembered
from vmcoredd_lab.widgets.making import Work
from vmcoredd_lab.widgets.requests import Answer
from vmcoredd_lab.widgets.space_set import SpaceSet, space_set

__all__ = ["Explorer", "explore"]

FIRST_ROWS = 14
QUICK = ("notes", "dumps")  # tables that take no time


class Explorer(HexView):
    """Findings, notes, dumps, entities, registers and logs, and the bytes behind them; made by :func:`explore`.

    Attributes
    ----------
    listing: name of the table shown: ``findings``, ``notes``, ``registers:NAME``, ...
    """

    _esm = static("explore.js")

    listing = traitlets.Unicode().tag(sync=True)
    first_rows = traitlets.Dict().tag(sync=True)

    def __init__(self, spaces: SpaceSet, diagnosis: Any = None, **options: Any) -> None:
        self._listings: dict[str, Listing] = {one.name: one for one in listings(spaces, diagnosis)}
        self._chosen: dict[tuple[str, str, str | None, bool], list[int]] = {}
        super().__init__(spaces, **options)
        self._requests.offer("listings", self._op_listings)
        self._requests.offer("rows", self._op_rows)
        self._requests.offer("row", self._op_row)
        if self._listings and not self.listing:
            self.listing = next(iter(self._listings))
        self._tell_first()

    def _tell_first(self) -> None:
        if self._listings:
            one = self._one(self.listing)
            said, _ = self._op_rows({"name": one.name, "from": 0, "count": FIRST_ROWS if one.made else 0, "soon": True})
            self.first_rows = {**self._op_listings({})[0], **said}

    def fill_now(self) -> None:
        """Make the first table at once."""
        self._one(self.listing).prepare()
        self._tell_first()

    def first_screen(self) -> str:
        """Return the first rows and the first bytes as HTML."""
        title, _, shown = self.plain().partition("\n")
        if not self._listings:
            return first.block(self.mark, title, first.text(shown))
        one = self._one(self.listing)
        if not one.made:  # what is quick to make is shown instead, until it is
            parts = [self._first_rows(quick) for quick in self._listings.values() if quick.name in QUICK]
            return first.block(self.mark, f"{one.title}: not looked for yet", *parts, first.text(f"{title}\n{shown}"))
        return first.block(
            self.mark,
            f"{one.title}: {plural(len(one.table), 'row')}",
            self._first_rows(one),
            first.text(f"{title}\n{shown}"),
        )

    def _first_rows(self, one: Listing) -> str:
        return first.rows([c.name for c in one.columns], one.cells(range(min(len(one.table), FIRST_ROWS))))

    def _pending(self) -> Work | None:
        one = self._listings.get(self.listing)
        return None if one is None or one.made else (one.name, one.prepare)

    def _work_of(self, name: str) -> Work | None:
        one = self._one(name)
        return None if one.made else (one.name, one.prepare)

    def _one(self, name: Any) -> Listing:
        if name not in self._listings:
            raise UsageError("no such table", expected=", ".join(self._listings), got=str(name)[:80])
        return self._listings[name]

    def _op_listings(self, _: dict[str, Any]) -> Answer:
        return {"listings": [[one.name, one.title] for one in self._listings.values()]}, []

    def _rows(self, m: dict[str, Any]) -> tuple[Listing, list[int]]:
        one = self._one(m["name"])
        key = (one.name, str(m.get("filter", ""))[:200], m.get("sort"), bool(m.get("down")))
        return one, remembered(self._chosen, key, lambda: one.filtered(key[1], key[2], key[3]))

    def _op_rows(self, m: dict[str, Any]) -> Answer:
        if m.get("soon") and not self._one(m["name"]).made:
            one = self._one(m["name"])
            return {"name": one.name, "title": one.title, "making": True}, []
        one, rows = self._rows(m)
        return {**one.screen(rows, m), "title": one.title, "note": str(one.table.attrs.get("note", ""))}, []

    def _op_row(self, m: dict[str, Any]) -> Answer:
        one, rows = self._rows(m)
        row = rows[int(m["row"])]
        place = one.where(one.table, row)
        told: dict[str, Any] = {"detail": one.detail(one.table, row)}
        told["cells"] = [[c.name, one.texts(c)[row][:4000]] for c in one.said]
        if place is not None:
            space = self._spaces.get(place.space)
            told |= {"space": place.space, "at": f"{place.address:x}", "size": place.size, "title": space.title}
        return told, []


def explore(what: Any, *, rows: int = 14) -> Explorer:
    """Return the explorer of a vmcore, a device dump, a decoded adapter, or a path: one widget for a post-mortem.

    It is shown at once: each table, findings too, is made when it is first looked at, while the kernel answers other requests.
    Findings first; then notes, device dumps, and of each dump entities, registers (interrupt causes that are set first, then
    what is not zero) and firmware log; the kernel log. A row that is clicked opens its bytes in the hex view below.

    >>> vl.explore("sample_data/vmcore.kdump")
    <vmcoredd_lab.widgets.explorer.Explorer object at ...>

    Parameters
    ----------
    what: as in :func:`~vmcoredd_lab.widgets.hexview.hexview`
    rows: lines of the hex view

    Raises
    ------
    OpenError: a path that cannot be opened.
    """
    spaces = space_set(what)
    subject = spaces.core or (spaces.dumps[0] if spaces.dumps else None)
    diagnosis = None if subject is None else lambda: subject.diagnosis.table
    view = Explorer(spaces, diagnosis, rows=max(4, min(rows, 100)))
    if "diagnosis" in vars(subject or view):  # made before: nothing is left that takes long
        view.fill_now()
    return view
