"""Where the events of a timeline are drawn: on which axis, in which lane, and how far from the axis's origin."""

from __future__ import annotations

from typing import Any

import numpy as np

from vmcoredd_lab.analysis.timeline.events import KERNEL
from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import escape

__all__ = ["KERNEL", "NOWHERE", "Drawn"]

NOWHERE = 0xFFFF  # the lane of an event of which neither time nor order is known
TITLES = {
    "dmesg": "kernel log",
    "firmware": "firmware",
    "mailbox": "mailbox",
    "panic": "panic",
    "collection": "collection",
}
BEHIND = 0.03  # of an axis: how far behind the last event the collection is drawn, which came after all that it holds


class Drawn:
    """The columns that the page draws.

    axes: name, unit, note, origin (decimal text, exact) and max of each clock on which events lie
    lanes: axis, source, label and device of each
    x: distance from the axis's origin in nanoseconds or ticks, float64, exact below 2**53
    doubt: how far x may be off, float32; lane: uint16, 0xffff where there is none
    """

    def __init__(self, table: Table) -> None:
        self.axes: list[dict[str, Any]] = []
        self.lanes: list[dict[str, Any]] = []
        self._lane_of: dict[tuple[Any, ...], int] = {}
        self._axis_of: dict[str, int] = {}
        self.lane = np.full(len(table), NOWHERE, np.uint16)
        self.x = np.zeros(len(table), np.float64)
        self.doubt = np.array([v or 0 for v in table.values("uncertainty")], np.float32)
        exact: dict[int, list[tuple[int, int]]] = {}
        behind: list[tuple[int, Any]] = []
        columns = (table.values(name) for name in ("source", "device", "clock", "tick", "time"))
        for i, (source, device, clock, tick, time) in enumerate(zip(*columns, strict=True)):
            name, value = (KERNEL, time) if time is not None else (clock, tick)
            if value is None:
                behind += [(i, device)] if source == "collection" else []
                continue
            axis = self._axis(str(name), table)
            self.lane[i] = self._lane(source, None if source == "dmesg" else device, axis)
            exact.setdefault(axis, []).append((i, value))
        for axis, placed in exact.items():
            origin = min(value for _, value in placed)
            self.x[[i for i, _ in placed]] = [value - origin for _, value in placed]
            self.axes[axis] |= {"origin": str(origin), "max": float(max(value - origin for _, value in placed))}
        for i, device in behind:
            self._put_behind(i, device)

    def _axis(self, name: str, table: Table) -> int:
        if name not in self._axis_of:
            self._axis_of[name] = len(self.axes)
            unit = "s" if name == KERNEL else "jiffies" if name.startswith("jiffies") else "ticks"
            note = (
                "seconds since boot, the kernel's clock"
                if name == KERNEL
                else str(table.attrs.get("clocks", {}).get(name, ""))
            )
            self.axes.append({"name": escape(name), "unit": unit, "note": escape(note)})
        return self._axis_of[name]

    def _lane(self, source: str, device: str | None, axis: int) -> int:
        key = (source, device, axis)
        if key not in self._lane_of:
            self._lane_of[key] = len(self.lanes)
            self.lanes.append({"axis": axis, "source": source, "label": TITLES.get(source, escape(source)),
                               "device": escape(device or "")})  # fmt: skip
        return self._lane_of[key]

    def _put_behind(self, i: int, device: str | None) -> None:
        """Draw a collection behind all events of its device, or of the kernel, where these have an axis."""
        own = [lane for (source, of, _), lane in self._lane_of.items() if of == device and source != "collection"]
        axis = self.lanes[own[-1]]["axis"] if own else self._axis_of.get(KERNEL)
        if axis is None:
            return
        self.x[i] = self.axes[axis]["max"] * (1 + BEHIND)
        self.lane[i] = own[-1] if own else self._lane("collection", device, axis)
