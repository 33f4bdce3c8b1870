"""The hex view: bytes of any space, sixteen a row, with the structure behind them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from importlib import resources
from typing import Any

import traitlets

from vmcoredd_lab.errors import UsageError, VmcoreddLabError
from vmcoredd_lab.widgets import anywidget
from vmcoredd_lab.widgets.display import Displayed
from vmcoredd_lab.widgets.goto import Goto
from vmcoredd_lab.widgets.lines import GAP, ROW, WIDTH, Line, lines, lines_before
from vmcoredd_lab.widgets.making import Making, Work
from vmcoredd_lab.widgets.overlay import Overlay
from vmcoredd_lab.widgets.requests import Answer, Requests, address_of
from vmcoredd_lab.widgets.search import needle_of, search
from vmcoredd_lab.widgets.space_set import SpaceSet, space_set
from vmcoredd_lab.widgets.structure import Node, path_at, reach

__all__ = ["HexView", "hexview"]

MOST_LINES = 400  # a request
MOST_BYTES = 1 << 20  # copied or inspected at once
FIRST_LINES = 24


def static(name: str) -> str:
    """Return a file of the page's side, as the package carries it."""
    return resources.files("vmcoredd_lab.widgets").joinpath("static", name).read_text(encoding="utf-8")


class HexView(Displayed, anywidget.AnyWidget):
    """A read-only hex view; made by :func:`hexview`.

    Attributes
    ----------
    space: key of the space shown, as in findings: ``file``, ``physical``, ``dump:NAME``, ``entity:NAME/ENTITY``, ...
    address: hexadecimal text of the byte under the cursor
    selection: hexadecimal text of first byte and end, empty where nothing is selected
    bookmarks: list of [space, address in hexadecimal, name]
    """

    _esm = static("hexview.js")

    space = traitlets.Unicode().tag(sync=True)
    address = traitlets.Unicode("0").tag(sync=True)
    selection = traitlets.List(traitlets.Unicode()).tag(sync=True)
    bookmarks = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)
    base = traitlets.Unicode("").tag(sync=True)
    rows = traitlets.Int(24).tag(sync=True)
    structure = traitlets.Bool(True).tag(sync=True)
    first = traitlets.Dict().tag(sync=True)
    mark = traitlets.Unicode().tag(sync=True)
    # rises where Python moves the view; the page's own words may come back late
    asked = traitlets.Int(0).tag(sync=True)

    def __init__(self, spaces: SpaceSet, **options: Any) -> None:
        self._spaces = spaces
        self._overlay = Overlay(spaces)
        self._goto = Goto(spaces)
        key = options.pop("space", None) or spaces.first
        space = spaces.get(key)
        options.setdefault("address", f"{space.start:x}")
        # all in one message: what is set later costs the page another
        told = self._first(key, int(options["address"], 16))
        super().__init__(space=key, mark=secrets.token_hex(8), first=told, **options)
        self._told_by_page = False
        self.observe(self._moved, ("space", "address", "selection"))
        self._requests = Requests(self.send)
        for name in ("spaces", "lines", "goto", "names", "bytes", "children", "at"):
            self._requests.offer(name, getattr(self, f"_op_{name}"))
        self._requests.offer_long("find", self._op_find)
        self._requests.offer_long("make", self._op_make)
        self._making = Making()
        self.on_msg(lambda _, message, __: self._requests.received(message))

    def goto(self, place: int | str, space: str | None = None, size: int = 1) -> None:
        """Show and select ``size`` bytes at an address, or at what a name stands for, as in the view's own field.

        Raises
        ------
        NotInFileError: nothing has that name, or the address is outside the space.
        """
        key = space or self.space
        found = self._goto.resolve(str(place), key, int(self.address, 16))
        with self.hold_sync():
            self.space = found.space
            self.address = f"{found.address:x}"
            self.selection = [f"{found.address:x}", f"{found.address + max(size, found.size):x}"]

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what the page says of itself."""
        self._told_by_page = True
        try:
            super().set_state(sync_data)
        finally:
            self._told_by_page = False

    def _moved(self, _: Any) -> None:
        if not self._told_by_page:
            self.asked += 1

    def close(self) -> None:
        """Stop what runs and close the widget."""
        self._requests.stop()
        super().close()

    # -- what the page asks -------------------------------------------------------------------------------------------

    def _op_spaces(self, m: dict[str, Any]) -> Answer:
        key = str(m.get("space") or self.space)  # the page's own word: its trait may come later than its question
        space = self._spaces.get(key)
        shown = self._spaces.keys()
        if key not in dict(shown):
            shown.append((key, space.title))
        return {"spaces": shown, **self._extent(key)}, []

    def _extent(self, key: str) -> dict[str, Any]:
        space = self._spaces.get(key)
        return {
            "key": key,
            "title": space.title,
            "kind": space.kind,
            "start": f"{space.start:x}",
            "end": f"{space.end:x}",
        }

    def _op_lines(self, m: dict[str, Any]) -> Answer:
        count = max(1, min(int(m["count"]), MOST_LINES))
        space, address = self._spaces.get(m["space"]), address_of(m["at"])
        make = lines_before if m.get("before") else lines
        return _packed(make(space, address, count, collapse=bool(m.get("collapse", True))), self._extent(m["space"]))

    def _op_goto(self, m: dict[str, Any]) -> Answer:
        place = self._goto.resolve(str(m["text"])[:400], m["space"], address_of(m["at"]))
        told: dict[str, Any] = {"at": f"{place.address:x}", "size": place.size, "name": place.name}
        if not m.get("count"):
            return {**self._extent(place.space), **told}, []
        count = max(1, min(int(m["count"]), MOST_LINES))  # the lines there go along, so that one answer paints them
        found = lines(self._spaces.get(place.space), place.address, count, collapse=bool(m.get("collapse", True)))
        said, data = _packed(found, self._extent(place.space))
        return {**said, **told}, data

    def _op_names(self, m: dict[str, Any]) -> Answer:
        return {"names": self._goto.names(str(m["prefix"])[:200])}, []

    def _op_bytes(self, m: dict[str, Any]) -> Answer:
        size = int(m["size"])
        if not 0 < size <= MOST_BYTES:
            raise UsageError("too much to copy at once", expected=f"at most {MOST_BYTES:,} bytes", got=f"{size:,}",
                             hint="core.memory.read, dump.data and extract give any number")  # fmt: skip
        data, gaps = self._spaces.get(m["space"]).read(address_of(m["at"]), size)
        return {"gaps": [[f"{a:x}", f"{b:x}", why] for a, b, why in gaps]}, [data]

    def _op_children(self, m: dict[str, Any]) -> Answer:
        roots, path = self._overlay.roots(m["space"]), str(m.get("path", ""))
        nodes = reach(roots, path).children() if path else roots
        return {"nodes": [_told(node, f"{path}/{i}" if path else str(i)) for i, node in enumerate(nodes[:1024])]}, []

    def _op_at(self, m: dict[str, Any]) -> Answer:
        found = path_at(self._overlay.roots(m["space"]), address_of(m["at"]))
        return {"path": [_told(node, path) for path, node in found]}, []

    async def _op_find(self, m: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        needle = needle_of(str(m["text"]), str(m.get("kind", "text")))
        async for said in search(
            self._spaces.get(m["space"]), needle, address_of(m["at"]), backward=bool(m.get("backward"))
        ):
            yield said

    async def _op_make(self, m: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Answer with how far a table is until it can be shown."""
        work = self._work_of(str(m["name"]))
        if work is None:
            yield {"done": True}
            return
        async for said in self._making.told(*work):
            yield said

    # -- what is seen without a kernel --------------------------------------------------------------------------------

    def _first(self, key: str, address: int) -> dict[str, Any]:
        """Return the first screen, which the page draws where no kernel answers (a notebook turned into HTML)."""
        said, (data,) = _packed(lines(self._spaces.get(key), address, FIRST_LINES), self._extent(key))
        return {**said, "data": data.hex()}

    def _work_of(self, name: str) -> Work | None:
        """Return how what has a name is made; None where it is there."""
        return None

    def plain(self) -> str:
        """Return the first screen as text."""
        space = self._spaces.get(self.space)
        found = lines(space, int(self.address, 16), FIRST_LINES)
        return "\n".join([f"{space.title}, {space.start:#x} up to {space.end:#x}", *map(_plain, found)])


def _told(node: Node, path: str) -> dict[str, Any]:
    return {
        "path": path, "label": node.label, "start": f"{node.start:x}", "end": f"{node.end:x}", "value": node.value,
        "meaning": node.meaning, "link": node.link, "leaf": node.leaf,
    }  # fmt: skip


def _packed(found: list[Line], extent: dict[str, Any]) -> Answer:
    """Return lines as a message: what they are, and the bytes of the rows one behind the other, 16 each."""
    told: list[list[Any]] = []
    rows: list[bytes] = []
    for line in found:
        told.append([line.kind, f"{line.start:x}", f"{line.end:x}", line.missing, line.reason, line.more])
        if line.kind != GAP:
            rows.append(line.data.ljust(WIDTH, b"\0"))
    return {"lines": told, **extent}, [b"".join(rows)]


def _plain(line: Line) -> str:
    if line.kind == GAP:
        return f"{line.start:016x}  {line.reason}: {line.end - line.start:,} bytes"
    if line.kind != ROW:
        return f"*  {(line.end - line.start) // WIDTH:,} rows like it"
    cells = ["··" if line.missing >> i & 1 else f"{b:02x}" for i, b in enumerate(line.data)]
    text = "".join(chr(b) if 0x20 <= b < 0x7F else "." for b in line.data)
    return f"{line.start:016x}  {' '.join(cells[:8]):23}  {' '.join(cells[8:]):23}  |{text}|"


def hexview(what: Any, *, space: str | None = None, at: int | str | None = None, entity: str | None = None, stored: bool = False,
            rows: int = 24, structure: bool = True) -> HexView:  # fmt: skip
    """Return a hex view of a vmcore, a device dump, a decoded adapter, a path, or anything with bytes in it. Read-only.

    >>> vl.hexview("sample_data/vmcore.kdump", entity="reg_dump", at="PCIE_FW")
    <vmcoredd_lab.widgets.hexview.HexView object at ...>

    Parameters
    ----------
    what: what to look at
    space: which space is shown first: ``file``, ``physical``, ``virtual``, ``note:INDEX``, ``dump:NAME``,
        ``entity:NAME/ENTITY``, ``stored:NAME/ENTITY``; default: the file, or the dump
    at: address in that space, or a name (of a register, an entity, a note)
    entity: an entity of the (first) device dump, decompressed; ``stored``: as it lies in the dump
    rows: lines shown
    structure: whether the tree of structures is open beside the bytes

    Raises
    ------
    OpenError: a path that cannot be opened.
    NotInFileError: no such space, entity or name.
    UsageError: something without bytes.
    """
    view = HexView(
        space_set(what, entity=entity, stored=stored), space=space, rows=max(4, min(rows, 200)), structure=structure
    )
    if at is not None:
        try:
            view.goto(hex(at) if isinstance(at, int) else at)
        except VmcoreddLabError:
            view.close()
            raise
    return view
