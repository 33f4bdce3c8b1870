"""Write a report: the suffix chooses the renderer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.extract import write_atomically
from vmcoredd_lab.opening import opened_of
from vmcoredd_lab.report.build import build
from vmcoredd_lab.report.document import Document

__all__ = ["SUFFIXES", "write_report"]


def _html(document: Document) -> str:
    from vmcoredd_lab.report.html import render

    return render(document)


def _json(document: Document) -> str:
    return json.dumps(document.as_dict(), indent=1) + "\n"


_RENDERERS: dict[str, Callable[[Document], str]] = {".html": _html, ".json": _json}
SUFFIXES = tuple(_RENDERERS)


def write_report(
    what: Any, path: Any, *, title: str | None = None, date: str | None = None,
    vmlinux: str | os.PathLike[str] | None = None,
) -> int:  # fmt: skip
    """Write a report on a vmcore or a device dump; return its size in bytes.

    Parameters
    ----------
    what: a :class:`~vmcoredd_lab.Vmcore`, a :class:`~vmcoredd_lab.DeviceDump`, or a path
    path: where to write; ``.html`` or ``.json``. Replaced in one step.
    title: else the file's name
    date: what to print as the date of the report; else now, or SOURCE_DATE_EPOCH where that is set
    vmlinux: the crashed kernel's, with debuginfo: the stack of every CPU is then in the report

    Raises
    ------
    UsageError: a suffix that no renderer writes.
    OpenError: ``what`` is a path that cannot be opened; ``vmlinux`` is not the crashed kernel's.
    OutputError: the report could not be written.
    """
    target = Path(path)
    renderer = _RENDERERS.get(target.suffix.lower())
    if renderer is None:
        raise UsageError(f"no report of kind {target.suffix or 'without suffix'}", expected=" or ".join(SUFFIXES))
    document = build(opened_of(what), title=title, date=date, vmlinux=vmlinux)
    return write_atomically(target, [renderer(document).encode()], force=True)
