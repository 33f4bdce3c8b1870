"""Differences between two dumps as one HTML file: no network, the reader's theme, everything from the dumps escaped."""

from __future__ import annotations

from vmcoredd_lab.analysis.diff.groups import sections
from vmcoredd_lab.package_data import package_text
from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import escape

__all__ = ["render_diff"]

SHOWN = 20  # rows of one register or entity on the page; programs take the table


def render_diff(table: Table, title: str = "Differences") -> str:
    """Return the page of a table of differences (:func:`~vmcoredd_lab.analysis.diff.diff_table`)."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("vmcoredd_lab.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["plain"] = lambda v: "" if v is None else escape(str(v))
    found = sections(table, SHOWN)
    return environment.get_template("diff.html.j2").render(
        title=title,
        attrs={name: table.attrs.get(name) for name in ("a", "b", "note")},
        sections=found,
        sound=not table.attrs["chosen"] and not any(section.kind == "config" for section in found),
        style=package_text("vmcoredd_lab.report", "templates", "style.css"),
    )
