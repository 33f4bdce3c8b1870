"""Lanes: events of one source and device, and where a lane without a time is drawn.

Programs that draw events know one axis only. A lane whose clock is not tied to the kernel's is drawn ending at the moment of
collection, its own ticks scaled so that it fits: within it order and proportions hold, beside others nothing does, and its name
says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vmcoredd_lab.tables import Table

__all__ = ["Lane", "lanes"]

SECOND = 10**9
NOT_TIED = "own clock, not comparable"


@dataclass
class Lane:
    """Events of one source and device: records, where each is drawn (nanoseconds), and whether that is a time."""

    source: str
    device: str | None
    tied: bool
    rows: list[dict[str, Any]]
    at: list[int]

    @property
    def name(self) -> str:
        """The lane's name, which says where its place is no time."""
        name = " ".join(filter(None, [self.source, self.device]))
        return name if self.tied else f"{name} ({NOT_TIED})"


def lanes(events: Table) -> list[Lane]:
    """Return the lanes of a timeline: the kernel's first, then each device's; kernel messages are one lane."""
    grouped: dict[tuple[str, str | None, bool], list[dict[str, Any]]] = {}
    for row in events.records():
        device = None if row["source"] == "dmesg" else row["device"]
        tied = row["time"] is not None or row["source"] == "collection"
        grouped.setdefault((row["source"], device, tied), []).append(row)
    times = [row["time"] for rows in grouped.values() for row in rows if row["time"] is not None]
    first, last = (min(times), max(times)) if times else (0, SECOND)
    span = max(last - first, SECOND)
    end = max(last, first + span)
    found = []
    for (source, device, tied), rows in grouped.items():
        if source == "collection":
            at = [end] * len(rows)
        elif tied:
            at = [row["time"] for row in rows]
        else:
            at = _fitted([row["tick"] for row in rows], end - span, end)
        found.append(Lane(source, device, tied, rows, at))
    return found


def _fitted(ticks: list[int | None], start: int, end: int) -> list[int]:
    """Return ticks scaled into a stretch, the last at its end; what has no tick is drawn at the end."""
    known = [t for t in ticks if t is not None]
    if not known:
        return [end] * len(ticks)
    low, width = min(known), max(max(known) - min(known), 1)
    return [end if t is None else start + (t - low) * (end - start) // width for t in ticks]
