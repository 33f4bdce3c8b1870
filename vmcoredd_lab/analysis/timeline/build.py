"""The timeline: events gathered, clocks tied where they can be, rows in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vmcoredd_lab.analysis.timeline.anchors import found_anchors, given_anchors
from vmcoredd_lab.analysis.timeline.clocks import ClockFit, fit
from vmcoredd_lab.analysis.timeline.events import KERNEL, TIMELINE, Event, clock_of, events
from vmcoredd_lab.opening import OpenedFile
from vmcoredd_lab.tables import Table

__all__ = ["timeline_table"]

SECOND = 10**9


def timeline_table(
    opened: OpenedFile, anchors: Iterable[Any] = (), *, find_anchors: bool = True, sources: Sequence[str] = ()
) -> Table:
    """Return :data:`~vmcoredd_lab.analysis.timeline.events.TIMELINE` of a file.

    ``attrs``: ``clocks`` (a sentence on each clock that is not the kernel's), ``fits`` (the members of
    each :class:`~vmcoredd_lab.analysis.timeline.clocks.ClockFit`), ``missing`` (source: reason), ``note``.

    Raises
    ------
    UsageError: an anchor is wrong.
    """
    missing: dict[str, str] = {}
    gathered = list(events(opened, missing))
    fits = _fits(opened, gathered, anchors, find_anchors)
    for event in gathered:
        _place(event, fits)
    _date(opened, gathered)
    rows = [e for e in _ordered(gathered) if not sources or e.source in sources]
    table = Table.from_rows(TIMELINE, (event.cells() for event in rows))
    table.attrs["clocks"] = {one.clock: one.statement for one in fits.values()}
    table.attrs["fits"] = [one.as_dict() for one in fits.values()]
    table.attrs["missing"] = missing
    said = [*table.attrs["clocks"].values(), *(f"no {what}: {why}" for what, why in missing.items())]
    if said:
        table.attrs["note"] = "; ".join(said)
    return table


def _fits(opened: OpenedFile, gathered: list[Event], anchors: Iterable[Any], find: bool) -> dict[str, ClockFit]:
    clocks = {e.clock for e in gathered if e.clock not in (None, KERNEL)}
    dumps = list(opened.device_dumps)
    given = given_anchors(anchors, dumps, {c for c in clocks if c is not None})
    fits = {}
    for dump in dumps:
        for kind in ("firmware", "jiffies"):
            clock = clock_of(kind, dump)
            if clock not in clocks:
                continue
            ones = given.get(clock, [])
            if not ones and find and kind == "firmware":
                ones = found_anchors(dump, gathered)
            fits[clock] = fit(clock, ones)
    return fits


def _place(event: Event, fits: dict[str, ClockFit]) -> None:
    if event.tick is None or event.clock is None:
        return
    if event.clock == KERNEL:
        event.time, event.uncertainty = event.tick, 0
        return
    placed = fits[event.clock].place(event.tick)
    if placed is not None and -(1 << 63) <= placed[0] < 1 << 63:
        event.time, event.uncertainty = placed[0], min(placed[1], (1 << 63) - 1)


def _date(opened: OpenedFile, gathered: list[Event]) -> None:
    """Give a date to what has a time: the panic was in the second of CRASHTIME (crash_save_vmcoreinfo(), kernel/crash_core.c)."""
    seconds = opened.core.vmcoreinfo.crash_seconds if opened.core is not None else None
    if opened.core is None or seconds is None or opened.core.vmcoreinfo.crash_time is None:
        return
    panic = next((e.time for e in gathered if e.source == "panic" and e.time is not None), None)
    if panic is None:
        return
    offset = seconds * SECOND - panic
    for event in gathered:
        if event.time is not None and 0 <= event.time + offset < 1 << 63:
            event.wall = event.time + offset


def _ordered(gathered: list[Event]) -> list[Event]:
    """Return what has a time by time, then each lane that has none in its own order, its collection at its end."""
    timed = [e for e in gathered if e.time is not None]
    timed.sort(key=lambda e: e.time or 0)  # stable: a source's own order among equals
    return [*timed, *(e for e in gathered if e.time is None)]
