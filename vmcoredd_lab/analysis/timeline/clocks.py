"""Clocks that have nothing to do with the kernel's are put on it through anchors: ticks whose kernel time is known.

With none a clock orders its own events and no more. With one the tick of the anchor has a time, and what was before it was
earlier; the rate is not known. With two or more a straight line is fitted, anchors that do not lie on it are left out, and
every time has an uncertainty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import combinations
from statistics import median
from typing import Any

__all__ = ["Anchor", "ClockFit", "fit"]

DRIFT = 1e-4  # of a crystal oscillator, beyond the stretch between two anchors
MOST = 256  # anchors that a line is fitted through: of more, evenly chosen ones
_OUTLIER = 4.5  # median deviations; 3 standard deviations of a normal distribution


@dataclass(frozen=True)
class Anchor:
    """A tick of a clock and the kernel time of the same moment, in nanoseconds since boot.

    ``within_ns`` is how far the two may be apart, ``why`` what they were found by; ``given`` the user's own.
    """

    tick: int
    time_ns: int
    within_ns: int = 0
    why: str = "given"


@dataclass(frozen=True)
class ClockFit:
    """How a clock relates to the kernel's: anchors used and left out, and the line through them where there is one."""

    clock: str
    anchors: tuple[Anchor, ...] = ()
    rejected: tuple[Anchor, ...] = ()
    ns_per_tick: float | None = None
    origin: tuple[int, int] = (0, 0)  # a tick and its time
    spread_ns: float = 0.0  # of the anchors about the line, or how well the anchors themselves are known

    def place(self, tick: int) -> tuple[int, int] | None:
        """Return time and uncertainty of a tick, in nanoseconds; None where only its order is known."""
        if self.ns_per_tick is None:
            return next(((a.time_ns, a.within_ns) for a in self.anchors if a.tick == tick), None)
        first, last = self.anchors[0].tick, self.anchors[-1].tick
        beyond = max(first - tick, tick - last, 0)
        growth = 1 + 2 * beyond / max(last - first, 1)
        uncertainty = self.spread_ns * growth + beyond * self.ns_per_tick * DRIFT
        return self.origin[1] + round((tick - self.origin[0]) * self.ns_per_tick), round(uncertainty)

    def as_dict(self) -> dict[str, Any]:
        """Return it as dictionaries and lists."""
        return asdict(self)

    @property
    def statement(self) -> str:
        """Return in a sentence what is known of the clock."""
        left_out = f"; {len(self.rejected)} left out that did not fit" if self.rejected else ""
        if not self.anchors:
            return (
                f"{self.clock}: not tied to the kernel's clock: its ticks have no documented unit and order its own events "
                f"only{left_out}"
            )
        found = ", ".join(dict.fromkeys(anchor.why for anchor in self.anchors))
        if self.ns_per_tick is None:
            one = self.anchors[0]
            return (
                f"{self.clock}: one anchor ({found}): tick {one.tick} was at {one.time_ns / 1e9:.6f} s within "
                f"{_duration(one.within_ns)}; the rate is not known, so other ticks are only earlier or later{left_out}"
            )
        return (
            f"{self.clock}: {self.ns_per_tick:.6g} ns a tick through {len(self.anchors)} anchors ({found}), "
            f"within {_duration(self.spread_ns)} between them{left_out}"
        )


def _duration(ns: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.3g} ns"


def fit(clock: str, anchors: list[Anchor]) -> ClockFit:
    """Return how a clock relates to the kernel's through these anchors; anchors off the line are left out."""
    ordered = sorted(set(anchors), key=lambda a: (a.tick, a.time_ns))
    if len({a.tick for a in ordered}) < 2:
        return ClockFit(clock, tuple(ordered[:1]), tuple(ordered[1:]))
    rate, origin = _least_squares(ordered)  # where all agree with it, none is odd
    if rate > 0 and all(abs(a.time_ns - origin[1] - rate * (a.tick - origin[0])) <= a.within_ns for a in ordered):
        return ClockFit(clock, tuple(ordered), (), rate, origin, _spread(ordered, rate, origin))
    slope, level = _robust_line(ordered[:: -(-len(ordered) // MOST)])
    off = [abs(a.time_ns - level(a.tick)) for a in ordered]
    allowed = _OUTLIER * median(off)
    kept = [a for a, d in zip(ordered, off, strict=True) if d <= max(allowed, a.within_ns)]
    rejected = tuple(a for a in ordered if a not in kept)
    if slope <= 0 or len({a.tick for a in kept}) < 2:
        return ClockFit(clock, (), tuple(ordered))
    rate, origin = _least_squares(kept)
    if rate <= 0:
        return ClockFit(clock, (), tuple(ordered))
    spread = _spread(kept, rate, origin)
    return ClockFit(clock, tuple(kept), rejected, rate, origin, spread)


def _robust_line(anchors: list[Anchor]) -> tuple[float, Callable[[int], float]]:
    """Return slope and line by the median of the slopes of all pairs (Theil and Sen): a third of outliers does not move it."""
    base = anchors[0]
    slopes = [(b.time_ns - a.time_ns) / (b.tick - a.tick) for a, b in combinations(anchors, 2) if a.tick != b.tick]
    slope = median(slopes)
    offset = median(a.time_ns - base.time_ns - slope * (a.tick - base.tick) for a in anchors)
    return slope, lambda tick: base.time_ns + offset + slope * (tick - base.tick)


def _least_squares(anchors: list[Anchor]) -> tuple[float, tuple[int, int]]:
    """Return rate and a point of the line; differences are taken from the first anchor, so that they are exact."""
    tick, time = anchors[0].tick, anchors[0].time_ns
    xs, ys = [a.tick - tick for a in anchors], [a.time_ns - time for a in anchors]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    rate = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / sum((x - mean_x) ** 2 for x in xs)
    middle = round(mean_x)
    return rate, (tick + middle, time + round(mean_y + rate * (middle - mean_x)))


def _spread(anchors: list[Anchor], rate: float, origin: tuple[int, int]) -> float:
    known = max(a.within_ns for a in anchors)
    if len(anchors) == 2:
        return max(known, rate)  # two points are always on a line: a tick, or what the anchors are good for
    off = [a.time_ns - origin[1] - rate * (a.tick - origin[0]) for a in anchors]
    sigma = (sum(o * o for o in off) / (len(off) - 2)) ** 0.5
    return float(max(2 * sigma, known, rate))
