"""Events in the formats of other programs: Perfetto, Timesketch. One declaration of formats for every command that has events.

A writer takes a table of events (:data:`~vmcoredd_lab.analysis.timeline.TIMELINE`) and gives the file piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.extract import write_atomically
from vmcoredd_lab.tables import Table

__all__ = ["EVENT_FORMATS", "SUFFIXES", "export_timeline", "format_of", "pieces"]

Writer = Callable[[Table], Iterable[bytes]]

# Format: the module and function that write it.
EVENT_FORMATS = {
    "perfetto": ("vmcoredd_lab.export.perfetto", "perfetto_trace"),
    "timesketch-jsonl": ("vmcoredd_lab.export.timesketch", "timesketch_jsonl"),
    "timesketch-csv": ("vmcoredd_lab.export.timesketch", "timesketch_csv"),
}
# What a file's name says where no format was asked for.
SUFFIXES = {
    ".pftrace": "perfetto", ".perfetto-trace": "perfetto", ".jsonl": "timesketch-jsonl", ".csv": "csv", ".json": "json",
    ".parquet": "parquet",
}  # fmt: skip


def format_of(path: Any) -> str | None:
    """Return the format that a file's name asks for; None where it says nothing."""
    return None if path is None else SUFFIXES.get(Path(str(path)).suffix.lower())


def pieces(events: Table, form: str) -> Iterable[bytes]:
    """Return the events in a format of :data:`EVENT_FORMATS`, piece by piece."""
    module, name = EVENT_FORMATS[form]
    writer: Writer = getattr(import_module(module), name)
    return writer(events)


def export_timeline(what: Any, path: Any, *, form: str | None = None, anchors: Iterable[Any] = ()) -> int:
    """Write the timeline of a vmcore or device dump to a file for another program; return its size in bytes.

    >>> vl.export_timeline("sample_data/vmcore.kdump", "crash.pftrace") > 0
    True

    Parameters
    ----------
    what: a :class:`~vmcoredd_lab.Vmcore`, a :class:`~vmcoredd_lab.DeviceDump`, or a path
    path: where to write; replaced in one step
    form: ``perfetto`` (ui.perfetto.dev), ``timesketch-jsonl`` or ``timesketch-csv``; else by suffix: ``.pftrace``,
        ``.perfetto-trace``, ``.jsonl``
    anchors: as :meth:`~vmcoredd_lab.Vmcore.timeline` takes them

    Raises
    ------
    UsageError: no such format, or an anchor is wrong.
    OutputError: the file could not be written.
    """
    from vmcoredd_lab.analysis.timeline import timeline_table
    from vmcoredd_lab.opening import opened_of

    chosen = form or format_of(path)
    if chosen not in EVENT_FORMATS:
        raise UsageError(
            f"no format for events {chosen or Path(str(path)).suffix}", expected=" or ".join(EVENT_FORMATS)
        )
    return write_atomically(Path(path), pieces(timeline_table(opened_of(what), anchors), chosen), force=True)
