"""First screens as plain HTML: what a page shows where no kernel and no widget runs, as a notebook turned into HTML.

Nothing in them needs a script or the network; the widget hides its own once it runs.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from vmcoredd_lab.text import escape
from vmcoredd_lab.widgets.lanes import NOWHERE, Drawn

__all__ = ["NOTHING", "attended", "block", "picture", "renewed", "rows", "text"]

SHADES = ("#882255", "#882255", "#aa3377", "#cc3311", "#ee7733", "#009988", "#0077bb", "#9aa5ad", "#607d8b")  # by level
HEIGHTS = (0.84, 0.84, 0.76, 0.68, 0.54, 0.42, 0.34, 0.24, 0.3)
LANE, LEFT, WIDTH, AXIS = 34, 200, 760, 22  # pixels
LONGEST = 160  # characters of a cell
NOTHING = "<span></span>"  # what pages that cannot run a widget show in its place: the first screen follows it
_CELL = "padding:1px 12px 1px 0;text-align:left;white-space:nowrap;border:0"


def attended() -> bool:
    """Return whether somebody may sit at the page; nbconvert, which runs notebooks alone, lets kernels ask nothing."""
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)  # type: ignore[no-untyped-call,unused-ignore]
    return bool(getattr(kernel, "_allow_stdin", True))


def renewed() -> bool:
    """Return whether the page renews an output whose cell has run; its requests name their cell.

    VS Code does it by an execution of its own: the cell loses its time, and the one that runs next keeps its old outputs.
    """
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)  # type: ignore[no-untyped-call,unused-ignore]
    request: dict[str, Any] = getattr(kernel, "get_parent", dict)()
    return not str((request.get("metadata") or {}).get("cellId")).startswith("vscode-")


def block(mark: str, title: str, *parts: str) -> str:
    """Return a first screen; ``mark`` is how the widget finds it."""
    head = f'<div style="font-weight:600;margin:4px 0">{html.escape(title)}</div>'
    return f'<div class="vl-first vl-first-{html.escape(mark)}" style="overflow-x:auto">{head}{"".join(parts)}</div>'


def text(lines: str) -> str:
    """Return text in columns."""
    return f'<pre style="font-family:monospace;font-size:12px;line-height:1.35;margin:4px 0">{html.escape(lines)}</pre>'


def rows(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Return the rows of a table; cells are text that is escaped already for terminals."""
    head = "".join(f'<th style="{_CELL};opacity:.65;font-weight:normal">{html.escape(title)}</th>' for title in titles)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{html.escape(_cut(cell))}</td>' for cell in row) + "</tr>"
        for row in cells
    )
    return f'<table style="border-collapse:collapse;font-size:12px"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def picture(drawn: Drawn, levels: Sequence[int]) -> str:
    """Return the lanes of a timeline as SVG, one stroke for each pixel and level."""
    parts: list[str] = []
    top = 4
    for number, axis in enumerate(drawn.axes):
        for lane, told in enumerate(drawn.lanes):
            if told["axis"] != number:
                continue
            base = top + LANE - 4
            label = f"{told['label']} {told['device']}".strip()
            parts.append(f'<text x="{LEFT - 8}" y="{base - 6}" text-anchor="end">{html.escape(label[-34:])}</text>')
            parts.append(f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{base}" y2="{base}" stroke="#8886"/>')
            places = {
                (round(x / (axis["max"] or 1) * WIDTH * 0.96 + WIDTH * 0.02), level)
                for x, at, level in zip(drawn.x.tolist(), drawn.lane.tolist(), levels, strict=True)
                if at == lane and at != NOWHERE
            }
            for x, level in sorted(places, key=lambda place: -place[1]):
                height = HEIGHTS[level] * (LANE - 8)
                parts.append(
                    f'<path d="M{LEFT + x} {base}v-{height:.0f}" stroke="{SHADES[level]}" stroke-width="1.5"/>'
                )
            top += LANE
        name = "seconds since boot" if axis["unit"] == "s" else f"{axis['unit']} of a clock of its own"
        origin = int(axis["origin"])
        for part, value in ((0.02, origin), (0.98, origin + int(axis["max"]))):
            shown = f"{value / 1e9:.3f}" if axis["unit"] == "s" else f"{value:,}"
            parts.append(f'<text x="{LEFT + WIDTH * part:.0f}" y="{top + 10}" text-anchor="middle">{shown}</text>')
        parts.append(f'<text x="{LEFT + WIDTH // 2}" y="{top + 10}" text-anchor="middle">{name}</text>')
        top += AXIS
    size = f'viewBox="0 0 {LEFT + WIDTH + 30} {top}" style="max-width:100%;width:{LEFT + WIDTH + 30}px"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-size="11" fill="currentColor">{"".join(parts)}</svg>'


def _cut(cell: str) -> str:
    plain = escape(cell)
    return plain if len(plain) <= LONGEST else plain[:LONGEST] + "..."
