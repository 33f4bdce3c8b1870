"""Where anchors come from: the user, or messages that kernel and firmware both log about one event (anchor_pairs.csv)."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from vmcoredd_lab.analysis.timeline.clocks import Anchor
from vmcoredd_lab.analysis.timeline.events import Event, clock_of
from vmcoredd_lab.devices.dump import DeviceDump
from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.package_data import package_text
from vmcoredd_lab.text import escape

__all__ = ["found_anchors", "given_anchors"]

KINDS = ("firmware", "jiffies")


@dataclass(frozen=True)
class _Pair:
    driver: str
    event: str
    kernel: re.Pattern[str]
    firmware: re.Pattern[str]
    take: str  # each: as many on both sides, in order; first: the first of each side
    within_ns: int


@cache
def _pairs() -> list[_Pair]:
    text = package_text("vmcoredd_lab.analysis", "data", "anchor_pairs.csv")
    return [
        _Pair(
            r["driver"], r["event"], re.compile(r["kernel"]), re.compile(r["firmware"]), r["take"], int(r["within_ns"])
        )
        for r in csv.DictReader(text.splitlines())
    ]


def found_anchors(dump: DeviceDump, events: Sequence[Event]) -> list[Anchor]:
    """Return anchors of a device's firmware clock by messages that have a counterpart in the kernel log.

    Where one side has more of them than the other it is not known which belong together: then there is no anchor.
    """
    kernel = [e for e in events if e.source == "dmesg" and e.device == dump.name and e.tick is not None]
    firmware = [e for e in events if e.source == "firmware" and e.device == dump.name and e.tick is not None]
    found = []
    for pair in _pairs():
        if pair.driver != dump.driver:
            continue
        said = [e for e in kernel if pair.kernel.search(e.text)]
        logged = [e for e in firmware if pair.firmware.search(e.text)]
        if pair.take == "first":
            said, logged = said[:1], logged[:1]
        if len(said) == len(logged):
            found += [
                Anchor(b.tick or 0, a.tick or 0, pair.within_ns, f"{pair.event} in both logs")
                for a, b in zip(said, logged, strict=True)
            ]
    return found


def given_anchors(anchors: Iterable[Any], dumps: Sequence[DeviceDump], clocks: set[str]) -> dict[str, list[Anchor]]:
    """Return the user's anchors by clock.

    Each is ``(device, tick, time_ns)`` or ``(device, tick, time_ns, "jiffies")``: the device by name, PCI address or index.

    Raises
    ------
    UsageError: not of that form; no such device, or it has no such clock; a tick or time that is no unsigned 64-bit number;
        two times for one tick; or times that do not rise with the ticks.
    """
    found: dict[str, list[Anchor]] = {}
    for anchor in anchors:
        clock, one = _given(anchor, dumps)
        if clock not in clocks:
            raise UsageError(
                f"there are no events of the clock {clock}",
                expected=" or ".join(sorted(clocks)) or "a device with a log",
            )
        found.setdefault(clock, []).append(one)
    for clock, ones in found.items():
        _check(clock, sorted(ones, key=lambda a: (a.tick, a.time_ns)))
    return found


def _given(anchor: Any, dumps: Sequence[DeviceDump]) -> tuple[str, Anchor]:
    form = "(device, tick, time_ns), a fourth element names another clock of the device: 'jiffies'"
    if isinstance(anchor, str) or not isinstance(anchor, Sequence) or len(anchor) not in (3, 4):
        raise UsageError("not an anchor", expected=form, got=escape(repr(anchor))[:80])
    device, tick, time_ns, *kind = anchor
    names = ", ".join(dump.name for dump in dumps)
    if isinstance(device, int) and not isinstance(device, bool) and 0 <= device < len(dumps):
        dump = dumps[device]
    else:
        matching = [d for d in dumps if device in (d.name, d.device)]
        if not matching:
            raise UsageError(
                f"no device {escape(str(device))} for an anchor", expected=names or "a vmcore with device dumps"
            )
        dump = matching[0]
    kind = kind or ["firmware"]
    if kind[0] not in KINDS:
        raise UsageError("no such clock for an anchor", expected=" or ".join(KINDS), got=escape(repr(kind[0])))
    for what, value, limit in (("tick", tick, 1 << 64), ("time_ns", time_ns, 1 << 63)):
        number = _integer(value)
        if number is None or not 0 <= number < limit:
            raise UsageError(
                f"an anchor's {what} is an integer below 2**{limit.bit_length() - 1}", got=escape(repr(value))[:80],
                hint="time_ns counts nanoseconds since boot, as dmesg's time_ns" if what == "time_ns" else None,
            )  # fmt: skip
    return clock_of(kind[0], dump), Anchor(int(tick), int(time_ns))


def _integer(value: Any) -> int | None:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return None
    return int(value)


def _check(clock: str, ones: list[Anchor]) -> None:
    for a, b in pairwise(ones):
        if a.tick == b.tick and a.time_ns != b.time_ns:
            raise UsageError(
                f"two anchors of {clock} contradict each other", expected="one time for a tick",
                got=f"tick {a.tick} at {a.time_ns} ns and at {b.time_ns} ns",
            )  # fmt: skip
    if len(ones) == 2 and ones[1].tick > ones[0].tick and ones[1].time_ns <= ones[0].time_ns:
        raise UsageError(
            f"two anchors of {clock} make it run backwards", expected="times that rise with the ticks",
            got=f"tick {ones[0].tick} at {ones[0].time_ns} ns, tick {ones[1].tick} at {ones[1].time_ns} ns",
        )  # fmt: skip
