"""Write a report: the suffix chooses the renderer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.extract import write_atomically
from vmcoredd_lab.opening import OpenedFile, opened_of
from vmcoredd_lab.report.build import build
from vmcoredd_lab.report.document import Document

__all__ = ["SUFFIXES", "kind_of", "rendered_report", "write_report"]


@dataclass(frozen=True)
class _Wanted:
    """What a renderer may need beside the document."""

    path: str
    parts: tuple[str, ...] = ()
    template: str | os.PathLike[str] | None = None


def _html(document: Document, wanted: _Wanted) -> bytes:
    from vmcoredd_lab.report.html import render

    return render(document, wanted.template).encode()


def _json(document: Document, wanted: _Wanted) -> bytes:
    return (json.dumps(document.as_dict(), indent=1) + "\n").encode()


def _markdown(document: Document, wanted: _Wanted) -> bytes:
    from vmcoredd_lab.report.markdown import render_markdown

    return render_markdown(document).encode()


def _notebook(document: Document, wanted: _Wanted) -> bytes:
    from vmcoredd_lab.report.notebook import render_notebook

    return render_notebook(document, wanted.path, wanted.parts).encode()


def _pdf(document: Document, wanted: _Wanted) -> bytes:
    from vmcoredd_lab.report.html import render
    from vmcoredd_lab.report.pdf import print_page

    return print_page(render(document, wanted.template))


_RENDERERS: dict[str, Callable[[Document, _Wanted], bytes]] = {
    ".html": _html, ".md": _markdown, ".json": _json, ".ipynb": _notebook, ".pdf": _pdf,
}  # fmt: skip
SUFFIXES = tuple(_RENDERERS)
_FIXED_FORM = (".json", ".ipynb")  # a template has no say in these


def kind_of(path: str | os.PathLike[str], template: str | os.PathLike[str] | None = None) -> str:
    """Return the suffix of a report that can be written; with a template any text may have any suffix.

    Raises
    ------
    UsageError: a suffix that no renderer writes, or a template for what has a form of its own.
    """
    suffix = Path(path).suffix.lower()
    if template is not None and suffix in _FIXED_FORM:
        raise UsageError(f"a template does not go with {suffix}", hint="leave out --template, or choose another suffix")
    if template is None and suffix not in SUFFIXES:
        raise UsageError(
            f"no report of kind {suffix or 'without suffix'}",
            expected=f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}", hint="choose by the suffix of the output",
        )  # fmt: skip
    return suffix


def write_report(
    what: Any, path: Any, *, title: str | None = None, date: str | None = None,
    vmlinux: str | os.PathLike[str] | None = None, template: str | os.PathLike[str] | None = None, redact: bool = False,
) -> int:  # fmt: skip
    """Write a report on a vmcore or a device dump; return its size in bytes.

    >>> vl.write_report("sample_data/vmcore.kdump", "ticket.md", date="2026-11-23") > 0
    True

    Parameters
    ----------
    what: a :class:`~vmcoredd_lab.Vmcore`, a :class:`~vmcoredd_lab.DeviceDump`, or a path
    path: where to write; ``.html``, ``.md``, ``.json``, ``.ipynb`` or ``.pdf``. Replaced in one step.
    title: else the file's name
    date: what to print as the date of the report; else now, or SOURCE_DATE_EPOCH where that is set
    vmlinux: the crashed kernel's, with debuginfo: the stack of every CPU is then in the report
    template: a Jinja2 template of one's own, run in a sandbox with everything escaped (docs/reports.md); then any suffix
        is possible, ``.pdf`` prints what the template makes, ``.json`` and ``.ipynb`` take none
    redact: take out host names, network addresses, serials, addresses in memory and bytes of memory

    Raises
    ------
    UsageError: a suffix that no renderer writes; a template that cannot be rendered; Chromium or a package is missing.
    OpenError: ``what`` is a path that cannot be opened; ``vmlinux`` is not the crashed kernel's.
    OutputError: the report could not be written, or a cell of the notebook failed.
    """
    target = Path(path)
    data = rendered_report(
        what, kind_of(target, template), title=title, date=date, vmlinux=vmlinux, template=template, redact=redact
    )
    return write_atomically(target, [data], force=True)


def rendered_report(
    what: Any, kind: str, *, title: str | None = None, date: str | None = None,
    vmlinux: str | os.PathLike[str] | None = None, template: str | os.PathLike[str] | None = None, redact: bool = False,
) -> bytes:  # fmt: skip
    """Return the bytes of a report of a kind, as :func:`kind_of` gives it; the others as in :func:`write_report`."""
    opened = opened_of(what)
    document = build(opened, title=title, date=date, vmlinux=vmlinux)
    if redact:
        from vmcoredd_lab.report.redact import redact as taken_out

        document = taken_out(document)
    renderer = _html if template is not None and kind != ".pdf" else _RENDERERS[kind]
    return renderer(document, _Wanted(opened.path, _parts(opened), template))


def _parts(opened: OpenedFile) -> tuple[str, ...]:
    """Return the names of the other parts of a split dump."""
    parts = getattr(opened.core.container, "parts", ()) if opened.core is not None else ()
    return tuple(part.source.name for part in parts[1:])
