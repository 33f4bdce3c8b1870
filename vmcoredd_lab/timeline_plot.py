"""The timeline as a picture, by matplotlib: what has a kernel time on one axis, every clock that is not tied on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import escape, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["TIMELINE_COLOURS", "figure_height", "plot_timeline"]

# Level: colour (told apart also without red or green), and height of its stroke: what matters is dark, tall and ends in a dot.
TIMELINE_COLOURS = {
    "emerg": "#882255", "alert": "#882255", "crit": "#aa3377", "err": "#cc3311", "warn": "#ee7733", "notice": "#009988",
    "info": "#0077bb", "debug": "#9aa5ad", "unknown": "#607d8b", "ink": "#1d2126", "soft": "#5c6670", "line": "#d5dade",
}  # fmt: skip
_HEIGHTS = {
    "emerg": 0.84, "alert": 0.84, "crit": 0.76, "err": 0.68, "warn": 0.54, "notice": 0.42, "info": 0.34, "debug": 0.24,
    "unknown": 0.3,
}  # fmt: skip
_DOTS = {"emerg": 34, "alert": 34, "crit": 28, "err": 22, "warn": 12}
_NAMES = {"dmesg": "kernel log", "firmware": "firmware", "mailbox": "mailbox"}
_LANE = 0.42  # inches


def plot_timeline(timeline: Any, figure: Figure | None = None, colours: dict[str, str] | None = None) -> Axes:
    """Plot a timeline: a lane for each source and device, a stroke for each event, colour and height by level.

    Lanes of clocks that are not tied to the kernel's have axes of their own below, in ticks of that clock, which say so.

    >>> core = vl.open_vmcore("sample_data/vmcore.kdump")
    >>> vl.plot_timeline(core.timeline()).figure.savefig("timeline.svg")

    Parameters
    ----------
    timeline: what :meth:`~vmcoredd_lab.Vmcore.timeline` returns
    figure: draw here; else on a new figure, 8 inches wide, sized to the number of lanes
    colours: in place of :data:`TIMELINE_COLOURS`: levels, and ``ink``, ``soft`` and ``line``

    Returns
    -------
    The matplotlib Axes of the kernel's clock, seconds since boot; of a file without a kernel log the first axes.
    ``ax.figure.axes`` has all.
    """
    shades = {**TIMELINE_COLOURS, **(colours or {})}
    rows = _records(timeline)
    tied: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
    own: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["source"] in ("panic", "collection"):
            continue
        if row["time"] is not None:
            device = None if row["source"] == "dmesg" else row["device"]
            tied.setdefault((row["source"], device), []).append(row)
        elif row["tick"] is not None:
            own.setdefault(row["clock"], []).append(row)
    if figure is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=(8, figure_height(len(tied), len(own))), layout="constrained")
    heights = ([max(len(tied), 1) * _LANE + 0.25] if tied or not own else []) + [_LANE + 0.25] * len(own)
    axes: list[Axes] = list(figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    used: set[str] = set()
    remaining = axes
    if tied or not own:
        _kernel_axes(axes[0], tied, rows, shades, used)
        remaining = axes[1:]
    for ax in axes:
        ax.patch.set_alpha(0)
    for ax, (clock, events) in zip(remaining, own.items(), strict=True):
        _own_axes(ax, clock, events, shades, used)
    _legend(axes[0], shades, used)
    return axes[0]


def figure_height(tied: int, own: int) -> float:
    """Return inches for so many lanes on the kernel's clock and so many clocks of their own."""
    return 0.8 + max(tied, 0 if own else 1) * _LANE + 0.45 + own * (_LANE + 0.62)


def _kernel_axes(
    ax: Axes, lanes: dict[Any, Any], rows: list[dict[str, Any]], shades: dict[str, str], used: set[str]
) -> None:
    names = []
    for lane, ((source, device), events) in enumerate(reversed(lanes.items())):
        times = np.array([e["time"] for e in events], np.float64) / 1e9
        doubt = np.array([e["uncertainty"] or 0 for e in events], np.float64) / 1e9
        _strokes(ax, times, lane, [e["level"] for e in events], shades, used)
        if doubt.any():
            ax.hlines(
                np.full(len(times), lane + 0.06),
                times - doubt,
                times + doubt,
                color=shades["soft"],
                linewidth=1.2,
                alpha=0.5,
            )
        names.append(_label(source, device))
    every = [e["time"] / 1e9 for events in lanes.values() for e in events]
    if every:
        low, high = min(every), max(every)
        room = max(high - low, 1e-3) * 0.04
        ax.set_xlim(low - room, high + room)
    _lanes(ax, names, shades)
    ax.set_xlabel("seconds since boot, the kernel's clock")
    panic = next((r for r in rows if r["source"] == "panic" and r["time"] is not None), None)
    if panic is not None:
        at = panic["time"] / 1e9
        ax.axvline(at, color=shades["emerg"], linewidth=1.2, linestyle=(0, (4, 2)), zorder=1)
        ax.annotate(
            f"panic: {_cut(panic['text'], 40)}", (at, ax.get_ylim()[1]), xytext=(0, 4), textcoords="offset points", ha="right",
            va="bottom", fontsize="small", color=shades["emerg"],
        )  # fmt: skip


def _own_axes(ax: Axes, clock: str, events: list[dict[str, Any]], shades: dict[str, str], used: set[str]) -> None:
    from matplotlib.patches import Rectangle

    ticks = np.array([e["tick"] for e in events], np.float64)
    _strokes(ax, ticks, 0, [e["level"] for e in events], shades, used)
    _lanes(ax, [_label(events[0]["source"], events[0]["device"])], shades)
    ground = Rectangle(
        (0, 0), 1, 1, transform=ax.transAxes, facecolor="none", edgecolor=shades["line"], linewidth=0, zorder=-1
    )
    ground.set_hatch("////")
    ax.add_patch(ground)
    ax.margins(x=0.02)
    unit = "jiffies" if clock.startswith("jiffies") else "ticks"
    ax.set_xlabel(f"{unit} of a clock of its own, not comparable; {plural(len(events), 'event')} up to the collection")
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")


def _strokes(ax: Axes, x: Any, lane: int, levels: list[str], shades: dict[str, str], used: set[str]) -> None:
    named = np.array([level if level in _HEIGHTS else "unknown" for level in levels], dtype=object)
    for level in reversed(_HEIGHTS):  # the gravest is drawn last, on top
        chosen = named == level
        if not chosen.any():
            continue
        used.add(level)
        top = lane + 0.06 + _HEIGHTS[level] * 0.9
        width = 1.8 if level in _DOTS else 0.9
        strokes = ax.vlines(x[chosen], lane + 0.06, top, color=shades[level], linewidth=width, zorder=3)
        strokes.set_gid(f"timeline-{level}")
        if level in _DOTS:
            ax.scatter(
                x[chosen], np.full(chosen.sum(), top), s=_DOTS[level], color=shades[level], linewidths=0, zorder=4
            )


def _lanes(ax: Axes, names: list[str], shades: dict[str, str]) -> None:
    ax.set_ylim(-0.05, max(len(names), 1) + 0.08)
    ax.set_yticks([lane + 0.45 for lane in range(len(names))], names)
    for lane in range(len(names)):
        ax.axhline(lane + 0.06, color=shades["line"], linewidth=0.8, zorder=0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _legend(ax: Axes, shades: dict[str, str], used: set[str]) -> None:
    from matplotlib.lines import Line2D

    levels = [level for level in _HEIGHTS if level in used]
    if not levels:
        return
    handles = [
        Line2D(
            [], [], color=shades[level], linewidth=1.8, marker="o" if level in _DOTS else "", markersize=4, label=level
        )
        for level in levels
    ]
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=9, frameon=False, handlelength=1.1,
              handletextpad=0.4, columnspacing=1.1, fontsize="small")  # fmt: skip


def _label(source: str, device: str | None) -> str:
    name = _NAMES.get(source, source)
    return name if not device else f"{name}\n{_cut(device, 24)}"


def _cut(text: str, width: int) -> str:
    plain = escape(text).replace("$", r"\$")  # matplotlib takes a pair of dollars for a formula
    return plain if len(plain) <= width else f"{plain[: width - 3]}..."


def _records(frame: Any) -> list[dict[str, Any]]:
    """Return the rows of a table or DataFrame; records stay what they are."""
    if isinstance(frame, list):
        return frame
    if isinstance(frame, Table):
        return frame.records()
    names = ("source", "device", "clock", "tick", "level", "text", "time", "uncertainty")
    columns = [frame[name].astype("object").where(frame[name].notna(), None).tolist() for name in names]
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]
