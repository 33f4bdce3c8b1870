"""The document as one HTML file: no network, themes by the reader's own, everything from the dump escaped by Jinja2."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from vmcoredd_lab.kernel.printk import LEVELS
from vmcoredd_lab.package_data import package_text
from vmcoredd_lab.report.document import Adapter, Document, Finding, Timeline
from vmcoredd_lab.report.template import render_template
from vmcoredd_lab.text import plural

__all__ = ["render"]

# Stand-ins that matplotlib takes as colours; in the page they become CSS variables and follow the reader's theme.
_INK, _LINE, _WARN = "#010203", "#040506", "#010209"
_LEVELS = {
    "EMERG": "#010201", "CRIT": "#010202", "ERR": "#010204", "NOTICE": "#010205", "INFO": "#010206", "DEBUG": "#010207",
    "UNKNOWN": "#010208",
}  # fmt: skip


def render(document: Document, template: str | os.PathLike[str] | None = None) -> str:
    """Return the page; ``template`` is a team's own, which may extend ``report.html.j2``.

    Raises
    ------
    UsageError: the template cannot be read, is no Jinja2 template, or asks for what there is not.
    """
    views = [_view(adapter, document.findings) for adapter in document.adapters]
    return render_template(
        template,
        doc=document,
        facts=_facts(document.vmcore),
        panic_facts=_panic_facts(document.vmcore),
        log_levels=[n for n in LEVELS if any(row["level"] == n for row in document.kernel_log)],
        adapters=views,
        stacks=_stacks(document),
        view_of={view["adapter"].index: view for view in views},
        timeline_plot=_timeline_plot(document.timeline) if document.timeline else None,
        style=_resource("style.css"),
        script=_resource("script.js"),
    )


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


def _view(adapter: Adapter, findings: Sequence[Finding]) -> dict[str, Any]:
    causes = [
        {"register": rows[0], "fields": rows}
        for _, group in groupby(adapter.interrupt_causes or [], key=lambda c: (c["register"], c["address"]))
        if (rows := list(group))
    ]
    registers = _registers(adapter)
    mark = f"register-{adapter.index}-"
    anchors = {place["anchor"] for finding in findings for place in finding.evidence if place["anchor"]}
    cited = {anchor.removeprefix(mark) for anchor in anchors if anchor.startswith(mark)}
    failed = sum(1 for e in adapter.entities or [] if e["status"])
    return {
        "adapter": adapter,
        "causes": causes,
        "failed": failed,
        "plot": _plot(adapter) if adapter.firmware_log else None,
        "registers": "\n".join(f"{name}\t{address:#x}\t{_word(value)}" for name, address, value in registers),
        "cited": [row for row in registers if row[0].split(" ")[0] in cited],
        "levels": [n for n in _LEVELS if any(e["level"] == n for e in adapter.firmware_log or [])],
    }


def _word(value: int | None) -> str:
    return "removed" if value is None else f"{value:#010x}"


def _registers(adapter: Adapter) -> list[tuple[str, int, int | None]]:
    """Return name with scope or instance, address and value of each register."""
    if adapter.registers is None:
        return []
    found = []
    for values in adapter.registers.rows:
        row = dict(zip(adapter.registers.columns, values, strict=True))
        instance = f"[{row['instance']}]" if row.get("instance") is not None else None
        label = " ".join(filter(None, [row["register"] or "", row.get("scope") or instance]))
        found.append((label, row["address"], row["value"]))
    return found


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


def _numbered(svg: str, salt: str) -> str:
    """Return a picture whose ids are counted: matplotlib makes some from addresses in memory, which differ from run to run."""
    names = {name: f"{salt}-{n}" for n, name in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg)))}
    return re.sub(r'(\bid="|url\(#|href="#)([^")]+)', lambda found: found[1] + names.get(found[2], found[2]), svg)


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
    svg = _numbered(svg[svg.index("<svg") :], salt)
    for level, stand_in in _LEVELS.items():
        svg = svg.replace(stand_in, f"var(--{level.lower()})")
    svg = svg.replace(_WARN, "var(--warning)").replace(_INK, "var(--ink-soft)").replace(_LINE, "var(--line)")
    head, rest = svg.split(">", 1)
    return Markup(f'{head} role="img" aria-label="{{}}">').format(label) + Markup(rest)  # noqa: S704  made here
