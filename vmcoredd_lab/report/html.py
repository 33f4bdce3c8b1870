"""The document as one HTML file: no network, themes by the reader's own, everything from the dump escaped by Jinja2."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import groupby
from typing import Any

from vmcoredd_lab.kernel.printed import readable, stamp
from vmcoredd_lab.kernel.printk import LEVELS
from vmcoredd_lab.package_data import package_text
from vmcoredd_lab.report.document import Adapter, Document, Timeline
from vmcoredd_lab.text import escape, human_size, plural

__all__ = ["render"]

# Stand-ins that matplotlib takes as colours; in the page they become CSS variables and follow the reader's theme.
_INK, _LINE, _WARN = "#010203", "#040506", "#010209"
_LEVELS = {
    "EMERG": "#010201", "CRIT": "#010202", "ERR": "#010204", "NOTICE": "#010205", "INFO": "#010206", "DEBUG": "#010207",
    "UNKNOWN": "#010208",
}  # fmt: skip


def render(document: Document) -> str:
    """Return the page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("vmcoredd_lab.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "hex": _hexadecimal,
        "number": lambda v: "" if v is None else f"{v:,}",
        "size": lambda v: "" if v is None else human_size(v),
        "readable": readable,
        "stamp": stamp,
        "plain": lambda v: "" if v is None else escape(str(v)),
    }
    template = environment.get_template("report.html.j2")
    views = [_view(adapter) for adapter in document.adapters]
    return template.render(
        doc=document,
        facts=_facts(document.vmcore),
        panic_facts=_panic_facts(document.vmcore),
        log_levels=[n for n in LEVELS if any(row["level"] == n for row in document.kernel_log)],
        adapters=views,
        stacks=_stacks(document),
        view_of={view["adapter"].index: view for view in views},
        plural=plural,
        timeline_plot=_timeline_plot(document.timeline) if document.timeline else None,
        style=_resource("style.css"),
        script=_resource("script.js"),
    )


def _hexadecimal(value: int | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:#0{digits + 2}x}"


def _resource(name: str) -> str:
    return package_text("vmcoredd_lab.report", "templates", name)


def _facts(vmcore: dict[str, Any]) -> list[tuple[str, str]]:
    from vmcoredd_lab.cli.info import lines

    return [(label, text) for label, text in lines(vmcore) if label != "file"]


def _panic_facts(vmcore: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is below the reason: where, in whose name, on what."""
    from vmcoredd_lab.cli.info import panic_lines

    return [(label, text) for label, text in panic_lines(vmcore | {"last_words": []}) if label != "panic"]


def _stacks(document: Document) -> list[list[dict[str, Any]]]:
    """Return the frames of each CPU, the one that panicked first."""
    found = document.cpus.stacks if document.cpus else None
    groups = [list(group) for _, group in groupby(found or [], key=lambda row: row["cpu"])]
    return sorted(groups, key=lambda rows: not rows[0]["panicked"])


def _view(adapter: Adapter) -> dict[str, Any]:
    causes = [
        {"register": rows[0], "fields": rows}
        for _, group in groupby(adapter.interrupt_causes or [], key=lambda c: (c["register"], c["address"]))
        if (rows := list(group))
    ]
    failed = sum(1 for e in adapter.entities or [] if e["status"])
    return {
        "adapter": adapter,
        "causes": causes,
        "failed": failed,
        "plot": _plot(adapter) if adapter.firmware_log else None,
        "levels": [n for n in _LEVELS if any(e["level"] == n for e in adapter.firmware_log or [])],
    }


def _timeline_plot(timeline: Timeline) -> Any:
    """Return the timeline's picture as SVG."""
    from vmcoredd_lab.timeline_plot import figure_height, plot_timeline

    shades = {name.lower(): colour for name, colour in _LEVELS.items()}
    shades |= {"alert": shades["emerg"], "warn": _WARN, "ink": _INK, "soft": _INK, "line": _LINE}
    events = [row for row in timeline.events if row["source"] not in ("panic", "collection")]
    tied = {
        (row["source"], row["device"] if row["source"] != "dmesg" else None)
        for row in events
        if row["time"] is not None
    }
    own = {row["clock"] for row in events if row["time"] is None}
    label = f"Timeline: {plural(len(events), 'event')} by source and level"

    def draw(figure: Any) -> None:
        plot_timeline(timeline.events, figure, shades)

    return _svg(draw, (9.5, figure_height(len(tied), len(own))), "timeline", label)


def _plot(adapter: Adapter) -> Any:
    """Return the firmware log's plot as SVG."""
    from vmcoredd_lab.plots import plot_firmware_log
    from vmcoredd_lab.tables import Column, Schema, Table

    names = ("timestamp", "facility", "level")
    rows = adapter.firmware_log or []
    table = Table(
        Schema("firmware_log", "", tuple(Column(n, "text", "") for n in names)),
        {n: [row[n] for row in rows] for n in names},
    )
    lanes = len({row["facility"] for row in rows})
    label = f"Firmware log of {adapter.name}: {plural(len(rows), 'entry', 'entries')} over the firmware's clock, by facility"

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        plot_firmware_log(table, axes, _LEVELS)

    return _svg(draw, (10, 1.1 + 0.22 * max(lanes, 4)), f"adapter-{adapter.index}", label)


def _svg(draw: Callable[[Any], None], size: tuple[float, float], salt: str, label: str) -> Any:
    """Return a picture as SVG that takes its colours from the page; the same input gives the same bytes."""
    import matplotlib as mpl
    from markupsafe import Markup
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "sans-serif", "font.size": 9,
        "text.color": _INK, "axes.labelcolor": _INK, "xtick.color": _INK, "ytick.color": _INK, "axes.edgecolor": _LINE,
        "grid.color": _LINE,
    }  # fmt: skip
    with mpl.rc_context(style):
        figure = Figure(figsize=size, layout="constrained")
        figure.patch.set_alpha(0)
        draw(figure)
        buffer = io.StringIO()
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for level, stand_in in _LEVELS.items():
        svg = svg.replace(stand_in, f"var(--{level.lower()})")
    svg = svg.replace(_WARN, "var(--warning)").replace(_INK, "var(--ink-soft)").replace(_LINE, "var(--line)")
    head, rest = svg.split(">", 1)
    return Markup(f'{head} role="img" aria-label="{{}}">').format(label) + Markup(rest)  # noqa: S704  made here
