"""Pictures of the page as SVG, written by hand: they take the page's colours, and no drawing library is waited for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape as markup
from typing import Any

from vmcoredd_lab.text import escape, plural

__all__ = ["firmware_log_picture", "timeline_picture"]

WIDTH, RIGHT = 960.0, 14.0
LANE, AXIS, LEGEND = 20.0, 40.0, 26.0
LETTER = 6.4  # pixels of a letter, about
LONGEST = 26  # letters of a device's name

# Level: how large its mark is. What matters is large.
_DOTS = {"emerg": 11, "crit": 10, "err": 8.5, "notice": 6, "info": 5, "debug": 4, "unknown": 5}
_STROKES = {
    "emerg": 30, "alert": 30, "crit": 27, "err": 24, "warn": 19, "notice": 15, "info": 12, "debug": 9, "unknown": 11,
}  # fmt: skip
_HEADED = {"emerg": 7, "alert": 7, "crit": 6.5, "err": 6, "warn": 4.5}  # strokes that end in a dot
_STROKE_LANE = 40.0
_NAMES = {"dmesg": "kernel log", "firmware": "firmware", "mailbox": "mailbox"}


@dataclass
class _Scale:
    """Numbers from ``low`` to ``high`` on the pixels from ``left`` to the right edge."""

    low: float
    high: float
    left: float

    @classmethod
    def over(cls, numbers: Iterable[float], left: float) -> _Scale:
        """Return the scale of numbers, with some room at both ends."""
        held = [float(number) for number in numbers]
        low, high = min(held), max(held)
        room = (high - low) * 0.02 or max(abs(high) * 1e-6, 0.5)
        return cls(low - room, high + room, left)

    def __call__(self, number: float) -> float:
        return self.left + (number - self.low) / (self.high - self.low) * (WIDTH - RIGHT - self.left)

    def ticks(self) -> list[tuple[float, str]]:
        """Return places of round numbers, and the numbers as text."""
        wanted = (self.high - self.low) / 6
        unit = 10.0 ** math.floor(math.log10(wanted))
        step = unit * next(factor for factor in (1, 2, 5, 10) if factor * unit >= wanted * 0.999)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        first = math.ceil(self.low / step)
        found = [n * step for n in range(first, first + 12) if n * step <= self.high]
        return [(self(number), f"{number:,.{digits}f}") for number in found]


@dataclass
class _Canvas:
    """The elements of a picture, from the top down."""

    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> None:
        """Add a line of text; what is no plain character is escaped."""
        named = f' class="{kind}"' if kind else ""
        at = f' text-anchor="{anchor}"' if anchor != "start" else ""
        self.parts.append(f'<text x="{_n(x)}" y="{_n(y)}"{at}{named}>{markup(escape(text))}</text>')

    def path(self, moves: Iterable[str], kind: str, width: float) -> None:
        """Add lines, or dots: lines without a length."""
        self.parts.append(f'<path class="{kind}" stroke-width="{_n(width)}" d="{"".join(dict.fromkeys(moves))}"/>')

    def axis(self, scale: _Scale, y: float, label: str) -> None:
        """Add an axis with its numbers and what they are."""
        ticks = scale.ticks()
        ends = [f"M{_n(scale.left)} {_n(y)}H{_n(WIDTH - RIGHT)}"]
        self.path([*ends, *(f"M{_n(x)} {_n(y)}v4" for x, _ in ticks)], "rule", 1)
        for x, text in ticks:
            self.text(x, y + 16, text, "middle")
        self.text((scale.left + WIDTH - RIGHT) / 2, y + 32, label, "middle")

    def legend(self, levels: Iterable[str], left: float, sizes: dict[str, float], names: dict[str, str]) -> None:
        """Add a dot and the name of each level, in one line at the top."""
        x = left + 6
        for level in levels:
            self.path([f"M{_n(x)} 11h0"], f"dot v-{level}", sizes.get(level, 5))
            self.text(x + 9, 15, names.get(level, level))
            x += 24 + LETTER * len(level) * (1.25 if level in names else 1)  # capitals are wider

    def svg(self, height: float, label: str) -> Any:
        """Return the picture."""
        from markupsafe import Markup

        head = f'<svg viewBox="0 0 {_n(WIDTH)} {_n(height)}" role="img" aria-label="{markup(escape(label))}">'
        return Markup(head + "".join(self.parts) + "</svg>")  # noqa: S704  made here, texts escaped


def _n(number: float) -> str:
    """Return a number of pixels, to a tenth."""
    return f"{number:.1f}".removesuffix(".0")


def _left(names: Iterable[str]) -> float:
    """Return how much room the names of lanes take, of which each may have two lines."""
    return 16 + LETTER * max((len(line) for name in names for line in name.split("\n")), default=0)


def firmware_log_picture(entries: Sequence[dict[str, Any]], name: str) -> Any:
    """Return a firmware log over the firmware's clock: a lane for each facility, a dot for each entry."""
    facilities = sorted({str(e["facility"]) for e in entries})
    lane = {facility: n for n, facility in enumerate(facilities)}
    left = _left(facilities)
    scale = _Scale.over((e["timestamp"] for e in entries), left)
    canvas = _Canvas()
    middle = [LEGEND + LANE * (n + 0.5) for n in range(len(facilities))]
    for facility, y in zip(facilities, middle, strict=True):
        canvas.text(left - 8, y + 4, facility, "end")
    canvas.path((f"M{_n(left)} {_n(y)}H{_n(WIDTH - RIGHT)}" for y in middle), "rule", 1)
    used = [level for level in _DOTS if any(e["level"].lower() == level for e in entries)]
    for level in reversed(used):  # the gravest is drawn last, on top
        own = (e for e in entries if e["level"].lower() == level)
        moves = (f"M{_n(scale(e['timestamp']))} {_n(middle[lane[str(e['facility'])]])}h0" for e in own)
        canvas.path(moves, f"dot v-{level}", _DOTS[level])
    canvas.legend(used, left, _DOTS, {level: level.upper() for level in used})
    bottom = LEGEND + LANE * len(facilities) + 4
    canvas.axis(scale, bottom, "firmware clock, ticks")
    label = f"Firmware log of {name}: {plural(len(entries), 'entry', 'entries')} over the firmware's clock, by facility"
    return canvas.svg(bottom + AXIS, label)


def timeline_picture(rows: Sequence[dict[str, Any]]) -> Any:
    """Return a timeline: a lane for each source and device, a stroke for each event, height and colour by level.

    Lanes of clocks that are not tied to the kernel's have axes of their own below, in ticks of that clock, which say so.
    """
    tied: dict[str, list[dict[str, Any]]] = {}
    own: dict[str, list[dict[str, Any]]] = {}
    events = [row for row in rows if row["source"] not in ("panic", "collection")]
    for row in events:
        if row["time"] is not None:
            tied.setdefault(_lane(row), []).append(row)
        elif row["tick"] is not None:
            own.setdefault(row["clock"], []).append(row)
    left = _left([*tied, *(_lane(group[0]) for group in own.values())])
    canvas = _Canvas()
    used = {_level(row) for row in events}
    canvas.legend([level for level in _STROKES if level in used], left, _HEADED, {})
    y = LEGEND
    if tied:
        panic = next((row for row in rows if row["source"] == "panic" and row["time"] is not None), None)
        y = _kernel_lanes(canvas, tied, panic, left, y + (14 if panic else 0))
    for clock, group in own.items():
        scale = _Scale.over((row["tick"] for row in group), left)
        canvas.parts.append(
            f'<rect class="apart" x="{_n(left)}" y="{_n(y)}" width="{_n(WIDTH - RIGHT - left)}" height="{_n(_STROKE_LANE)}"/>'
        )
        _lane_of(canvas, _lane(group[0]), [(scale(row["tick"]), row) for row in group], left, y)
        unit = "jiffies" if clock.startswith("jiffies") else "ticks"
        until = f"{plural(len(group), 'event')} up to the collection"
        canvas.axis(scale, y + _STROKE_LANE, f"{unit} of a clock of its own, not comparable; {until}")
        y += _STROKE_LANE + AXIS + 8
    return canvas.svg(y, f"Timeline: {plural(len(events), 'event')} by source and level")


def _kernel_lanes(
    canvas: _Canvas, lanes: dict[str, list[dict[str, Any]]], panic: dict[str, Any] | None, left: float, top: float
) -> float:
    """Add what has a kernel time; return where it ends."""
    scale = _Scale.over((row["time"] / 1e9 for group in lanes.values() for row in group), left)
    y = top
    for name, group in lanes.items():
        base = _n(y + _STROKE_LANE)
        doubts = [(row["time"] / 1e9, (row["uncertainty"] or 0) / 1e9) for row in group]
        spans = (
            f"M{_n(max(left, scale(at - by)))} {base}H{_n(min(WIDTH - RIGHT, scale(at + by)))}"
            for at, by in doubts
            if by
        )
        canvas.path(spans, "doubt", 3)
        _lane_of(canvas, name, [(scale(row["time"] / 1e9), row) for row in group], left, y)
        y += _STROKE_LANE
    canvas.axis(scale, y + 6, "seconds since boot, the kernel's clock")
    if panic is not None:
        x = min(max(scale(panic["time"] / 1e9), left), WIDTH - RIGHT)
        canvas.path([f"M{_n(x)} {_n(top - 2)}V{_n(y + 6)}"], "panicked", 1.2)
        near = x > (left + WIDTH) / 2
        shown = escape(panic["text"])
        shown = f"panic: {shown[:60]}{'...' if len(shown) > 60 else ''}"
        canvas.text(x, top - 6, shown, "end" if near else "start", "v-emerg")
    return y + AXIS + 14


def _lane_of(canvas: _Canvas, name: str, marks: list[tuple[float, dict[str, Any]]], left: float, top: float) -> None:
    """Add one lane: its name, its line and a stroke for each event."""
    base = top + _STROKE_LANE
    lines = name.split("\n")
    for n, line in enumerate(lines):
        canvas.text(left - 8, base - 6 - 14 * (len(lines) - 1 - n), line, "end")
    canvas.path([f"M{_n(left)} {_n(base)}H{_n(WIDTH - RIGHT)}"], "rule", 1)
    for level in reversed(_STROKES):  # the gravest is drawn last, on top
        chosen = [x for x, row in marks if _level(row) == level]
        if not chosen:
            continue
        height = _STROKES[level]
        canvas.path(
            (f"M{_n(x)} {_n(base)}v-{height}" for x in chosen), f"stroke v-{level}", 1.8 if level in _HEADED else 1
        )
        if level in _HEADED:
            canvas.path((f"M{_n(x)} {_n(base - height)}h0" for x in chosen), f"dot v-{level}", _HEADED[level])


def _lane(row: dict[str, Any]) -> str:
    """Return the name of the lane of an event, source and device on two lines; of a long device the end."""
    source = _NAMES.get(row["source"], row["source"])
    device = escape(row["device"]) if row["device"] and row["source"] != "dmesg" else ""
    shown = device if len(device) <= LONGEST else f"...{device[3 - LONGEST :]}"
    return f"{source}\n{shown}" if device else source


def _level(row: dict[str, Any]) -> str:
    return row["level"] if row["level"] in _STROKES else "unknown"
