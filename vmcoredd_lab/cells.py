"""One value of a table as a person reads it: on a terminal, in a widget."""

from __future__ import annotations

from typing import Any

from vmcoredd_lab.tables import Column
from vmcoredd_lab.text import escape

__all__ = ["cell"]

_FORMS = {"hex": "{:#x}".format, "size": "{:,}".format, "seconds": lambda value: f"{value / 1e9:.6f}"}


def cell(column: Column, value: Any) -> str:
    """Return a value as a person reads it; text from a dump escaped."""
    if value is None:
        return "-"
    if column.kind in ("text", "category"):
        return escape(value)
    if column.kind == "bool":
        return "yes" if value else "no"
    return _FORMS.get(column.form, str)(value)
