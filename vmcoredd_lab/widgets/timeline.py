"""The timeline as a widget: a lane for each source on the clock it has, its rows below, and the bytes of the chosen row."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets

from vmcoredd_lab.analysis.timeline import LEVELS, timeline_table
from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.opening import OpenedFile, open_file, opened_of
from vmcoredd_lab.tables import Schema, Table
from vmcoredd_lab.text import escape, plural
from vmcoredd_lab.widgets import first
from vmcoredd_lab.widgets.explorer import FIRST_ROWS
from vmcoredd_lab.widgets.hexview import HexView, static
from vmcoredd_lab.widgets.lanes import KERNEL, Drawn
from vmcoredd_lab.widgets.listing import Listing, of_bytes, remembered
from vmcoredd_lab.widgets.making import Work
from vmcoredd_lab.widgets.requests import Answer
from vmcoredd_lab.widgets.space_set import SpaceSet, space_set

__all__ = ["TimelineView", "timeline_view"]

NAMES_MOST = 2000  # facilities and devices that a person can choose from
FILTERS = ("level", "source", "device", "facility", "text")
NOT_SHOWN = ("clock", "tick", "seq", "uncertainty", "where", "space", "offset", "length", "wall")


class TimelineView(HexView):
    """Events of all sources on one picture; made by :func:`timeline_view`.

    Attributes
    ----------
    anchors: list of [device, tick, nanoseconds since boot, ``firmware`` or ``jiffies``], the numbers as decimal text; setting it
        ties the clocks anew
    version: rises with every new tie; the page's requests name the version whose events they number
    """

    _esm = static("timeline.js")

    anchors = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)
    version = traitlets.Int(0).tag(sync=True)

    def __init__(self, spaces: SpaceSet, opened: OpenedFile, anchors: Any = (), **options: Any) -> None:
        self._opened = opened
        self._told_anchors = anchors
        self._made: _Events | None = None
        self._before: _Events | None = None  # the events of the version before, which the page may still show
        super().__init__(spaces, **options)
        self.anchors = [_worded(anchor) for anchor in anchors]
        for name in ("events", "choose", "rows", "row", "position", "event", "tie", "untie"):
            self._requests.offer(name, getattr(self, f"_op_{name}"))
        self.observe(self._tied_anew, "anchors")

    @property
    def table(self) -> Table:
        """The rows as they are drawn (:data:`~vmcoredd_lab.analysis.timeline.TIMELINE`)."""
        return self._events.table

    @property
    def _events(self) -> _Events:
        if self._made is None:
            self._made = _Events(timeline_table(self._opened, self._told_anchors))
        return self._made

    @property
    def _listing(self) -> Listing:
        return self._events.listing

    def _asked(self, m: dict[str, Any], name: str = "version") -> _Events:
        """Return the events that a request numbers: those of the version that it names, or the newest."""
        version = m.get(name, self.version)
        if version == self.version:
            return self._events
        if version == self.version - 1 and self._before is not None:
            return self._before
        raise UsageError("the clocks were tied anew meanwhile", hint="choose the event again")

    def _collect(self) -> None:
        self._events.listing.prepare()

    def _pending(self) -> Work | None:
        return None if self._made is not None and self._made.listing.made else ("timeline", self._collect)

    def _work_of(self, _: str) -> Work | None:
        return self._pending()

    def first_screen(self) -> str:
        """Return the picture, the gravest events and their number as HTML."""
        if self._made is None:
            title, _, shown = self.plain().partition("\n")
            return first.block(self.mark, "Timeline: not collected yet", first.text(f"{title}\n{shown}"))
        one, table = self._listing, self._events.table
        levels = _levels(table)
        gravest = sorted(range(len(table)), key=lambda i: levels[i])[:FIRST_ROWS]
        told = first.rows([c.name for c in one.columns], one.cells(sorted(gravest)))
        title = f"Timeline: {plural(len(table), 'event')}, the gravest {len(gravest)} below"
        return first.block(self.mark, title, first.picture(Drawn(table), levels), told)

    # -- anchors ------------------------------------------------------------------------------------------------------

    @traitlets.validate("anchors")
    def _tied(self, proposal: Any) -> Any:
        """Tie the clocks with anchors that were set; they stay as they were where one is wrong."""
        anchors = [_anchor(told) for told in proposal["value"]]
        if anchors != [_anchor(_worded(told)) for told in self._told_anchors]:
            self._before, self._made = self._made, _Events(timeline_table(self._opened, anchors))
        self._told_anchors = anchors
        return proposal["value"]

    def _tied_anew(self, _: Any) -> None:
        self.version += 1

    def _op_tie(self, m: dict[str, Any]) -> Answer:
        events = self._asked(m)
        row = events.event(m["row"])
        if row["clock"] in (None, KERNEL) or row["tick"] is None:
            raise UsageError(
                "this event is on the kernel's clock already", hint="choose one of a firmware or mailbox log"
            )
        if "to" in m:
            time = self._asked(m, "to_version").event(m["to"])["time"]
            if time is None:
                raise UsageError("that event has no kernel time", hint="choose a message of the kernel log")
        else:
            time = _nanoseconds(str(m["seconds"]))
        kind, _, device = str(row["clock"]).partition(" ")
        told = [device, str(row["tick"]), str(time), kind]
        kept = [list(a) for a in self.anchors if (a[0], a[1], a[3]) != (told[0], told[1], told[3])]
        self.anchors = [*kept, told]
        return {"version": self.version, "event": self._events.number(row)}, []

    def _op_untie(self, m: dict[str, Any]) -> Answer:
        self.anchors = [a for a in self.anchors if list(a) != m["anchor"]]
        return {"version": self.version}, []

    # -- what is drawn ------------------------------------------------------------------------------------------------

    def _op_events(self, _: dict[str, Any]) -> Answer:
        """Answer with axes, lanes and names; and as binary columns x (f64), doubt (f32), lane (u16), level (u8)."""
        table = self._events.table
        drawn = Drawn(table)
        said = {
            "axes": drawn.axes, "lanes": drawn.lanes, "levels": list(LEVELS), "count": len(table),
            "note": str(table.attrs.get("note", "")), "anchors": self.anchors, "version": self.version,
            "names": {name: _names(table.values(name)) for name in ("source", "device", "facility")},
        }  # fmt: skip
        return said, [
            drawn.x.tobytes(),
            drawn.doubt.tobytes(),
            drawn.lane.tobytes(),
            np.array(_levels(table), np.uint8).tobytes(),
        ]

    def _op_choose(self, m: dict[str, Any]) -> Answer:
        """Answer with the rows that pass the filters, as one bit a row, the first row the lowest bit."""
        events = self._asked(m)
        rows = events.passing(m)
        mask = np.zeros(len(events.table), bool)
        mask[rows] = True
        return {"total": len(rows), "all": len(mask)}, [np.packbits(mask, bitorder="little").tobytes()]

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _op_rows(self, m: dict[str, Any]) -> Answer:
        events = self._asked(m)
        return events.listing.screen(events.passing(m), m), []

    def _op_row(self, m: dict[str, Any]) -> Answer:
        """Answer with what a row of the list, by its number among those that pass the filters, says, and where its bytes are."""
        events = self._asked(m)
        return events.told(int(events.passing(m)[int(m["row"])]))

    def _op_event(self, m: dict[str, Any]) -> Answer:
        """Answer the same of an event of the picture, by its number among all."""
        return self._asked(m).told(int(m["row"]))

    def _op_position(self, m: dict[str, Any]) -> Answer:
        """Answer with the number in the list of an event of the picture, -1 where it is filtered out."""
        rows = self._asked(m).passing(m)
        at = int(np.searchsorted(rows, int(m["row"])))
        return {"at": at if at < len(rows) and rows[at] == int(m["row"]) else -1}, []


class _Events:
    """The events as a table and as the rows listed, and which of them pass filters."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.listing = _listing(table)
        self._passing: dict[tuple[str, ...], Any] = {}

    def passing(self, filters: dict[str, Any]) -> Any:
        """Return the numbers of the events that pass the filters of a request: level, source, device, facility, text."""
        key = tuple(str(filters.get(name) or "") for name in FILTERS)
        told = dict(zip(FILTERS, key, strict=True))
        return remembered(self._passing, key, lambda: np.flatnonzero(self._mask(told)))

    def event(self, number: Any) -> dict[str, Any]:
        """Return one event, each value by its column."""
        return {c.name: self.table.values(c.name)[int(number)] for c in self.table.schema.columns}

    def number(self, event: dict[str, Any]) -> int:
        """Return the number of an event of a version before, of which only time and place in the order may differ."""
        same = np.ones(len(self.table), bool)
        for name in ("source", "device", "tick", "seq", "space", "offset"):
            same &= np.array([v == event[name] for v in self.table.values(name)], bool)
        return int(np.argmax(same))

    def told(self, row: int) -> Answer:
        """Answer with what an event says, and where its bytes are."""
        one = self.listing
        told: dict[str, Any] = {
            "event": row,
            "cells": [[c.name, one.texts(c)[row][:4000]] for c in one.said],
            "detail": [],
        }
        clock, tick = (self.table.values(n)[row] for n in ("clock", "tick"))
        told["own"] = clock not in (None, KERNEL) and tick is not None
        place = one.where(one.table, row)
        if place is not None:
            told |= {"space": place.space, "at": f"{place.address:x}", "size": place.size}
        return told, []

    def _mask(self, told: dict[str, str]) -> Any:
        mask = np.ones(len(self.table), bool)
        if told["level"]:
            if told["level"] not in LEVELS:
                raise UsageError("no such level", expected=", ".join(LEVELS), got=escape(told["level"][:80]))
            grave = set(LEVELS[: LEVELS.index(told["level"]) + 1])
            mask &= np.array([v in grave for v in self.table.values("level")], bool)
        for name in ("source", "device", "facility"):
            if told[name]:
                mask &= np.array([v is not None and escape(v) == told[name] for v in self.table.values(name)], bool)
        if told["text"]:
            named = np.zeros(len(mask), bool)
            named[self.listing.filtered(told["text"][:200])] = True
            mask &= named
        return mask


def _levels(table: Table) -> list[int]:
    unknown = len(LEVELS) - 1
    return [LEVELS.index(v) if v in LEVELS else unknown for v in table.values("level")]


def _names(values: list[Any]) -> list[str]:
    return sorted({escape(v) for v in values if v is not None})[:NAMES_MOST]


def _listing(table: Table) -> Listing:
    """Return the rows with the time first."""
    columns = sorted(table.schema.columns, key=lambda column: column.name != "time")
    schema = Schema(table.schema.name, table.schema.doc, tuple(columns))
    shown = Table(schema, table.columns, table.attrs)
    return Listing("timeline", "Timeline", lambda: shown, of_bytes, aside=NOT_SHOWN)


def _worded(anchor: Any) -> list[str]:
    device, tick, time, *kind = anchor
    return [str(device), str(tick), str(time), *(kind or ["firmware"])]


def _anchor(told: list[str]) -> tuple[Any, ...]:
    if len(told) not in (3, 4) or not told[1].isdecimal() or not told[2].isdecimal():
        raise UsageError(
            "not an anchor", expected="[device, tick, nanoseconds, 'firmware' or 'jiffies']", got=escape(str(told))[:80]
        )
    device: Any = int(told[0]) if told[0].isdecimal() else told[0]
    return (device, int(told[1]), int(told[2]), *told[3:])


def _nanoseconds(text: str) -> int:
    """Return nanoseconds of seconds in decimal, exactly."""
    whole, _, rest = text.strip().partition(".")
    if not whole.isdecimal() or not (rest or "0").isdecimal() or len(whole) > 12:
        raise UsageError("not a kernel time", expected="seconds since boot, as 1234.567890", got=escape(text[:40]))
    return int(whole) * 10**9 + int(rest[:9].ljust(9, "0"))


def timeline_view(what: Any, anchors: Any = (), *, rows: int = 10) -> TimelineView:
    """Return the timeline of a vmcore, a device dump or a path as a widget: kernel log, firmware and mailbox logs, collection.

    Clocks that are not tied to the kernel's have an axis of their own. Zoom with the wheel (after a click, or with Ctrl), drag to
    pan; a click chooses an event, shows its row, and its bytes in the hex view below.

    >>> vl.timeline_view("sample_data/vmcore.kdump")
    <vmcoredd_lab.widgets.timeline.TimelineView object at ...>

    Parameters
    ----------
    what: a vmcore, a device dump, or the path of one
    anchors: as :meth:`Vmcore.timeline <vmcoredd_lab.Vmcore.timeline>`; more can be set in the widget
    rows: lines of the hex view

    Raises
    ------
    OpenError: a path that cannot be opened.
    UsageError: an anchor is wrong, or ``what`` is neither a vmcore nor a device dump.
    """
    if isinstance(what, str) or hasattr(what, "__fspath__"):
        what = open_file(what)
    spaces = space_set(what)
    subject = spaces.core or (spaces.dumps[0] if spaces.dumps else None)
    if subject is None:
        raise UsageError("a timeline needs a vmcore or a device dump", got=type(what).__name__)
    opened = what if isinstance(what, OpenedFile) else opened_of(subject)
    return TimelineView(spaces, opened, tuple(anchors), rows=max(4, min(rows, 100)))
