"""The command timeline, and what it shares with dmesg and firmware-log: events for other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from vmcoredd_lab.cli.main import cli, file_argument, finish, opened_file
from vmcoredd_lab.cli.output import FORMATS, emit, emit_pieces, remark
from vmcoredd_lab.export import EVENT_FORMATS, format_of, pieces
from vmcoredd_lab.opening import OpenedFile
from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import human_size

__all__ = ["emit_events", "event_options", "events_of"]

SOURCES = ("dmesg", "firmware", "mailbox", "panic", "collection")

F = TypeVar("F", bound=Callable[..., Any])


def event_options(command: F) -> F:
    """Add FILE, --format with the formats of events, -o and --limit."""
    command = click.option("--limit", type=click.IntRange(0), metavar="ROWS",
                           help="Rows shown at most, the last; 0: all. On a terminal 200.")(command)  # fmt: skip
    command = click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE",
                           help="Write to this file, replaced in one step; without --format its suffix chooses: .csv, .json, "
                           ".parquet, .pftrace (Perfetto), .jsonl (Timesketch).")(command)  # fmt: skip
    command = click.option("--format", "form", type=click.Choice([*FORMATS, *EVENT_FORMATS]),
                           help="table is for people; perfetto opens in ui.perfetto.dev.")(command)  # fmt: skip
    return file_argument(command)


def emit_events(table: Callable[[], Table], events: Callable[[], Table], form: str | None, output: str | None,
                limit: int | None) -> None:  # fmt: skip
    """Print a command's own table, or write its events for another program, as --format or the file's suffix asks."""
    chosen = form or format_of(output) or "table"
    if chosen not in EVENT_FORMATS:
        emit(table(), chosen, output, limit)
        return
    if output is None and chosen == "perfetto":
        raise click.UsageError("a Perfetto trace is not for a terminal: say where with -o FILE")
    emit_pieces(pieces(events(), chosen), output)
    if output is not None and Path(output).is_file():
        remark(f"{output}  {human_size(Path(output).stat().st_size)}")


@cli.command()
@event_options
@click.option("--anchor", "anchors", multiple=True, metavar="DEVICE@TICK=NS",
              help="A tick of the firmware log was at this kernel time (ns since boot); repeat it.")  # fmt: skip
@click.option("--no-find-anchors", is_flag=True, help="Do not look for messages that both kernel and firmware log.")
@click.option("--source", "sources", multiple=True,
              type=click.Choice(SOURCES), help="Only this source; repeat it.")  # fmt: skip
def timeline(file: str, form: str | None, output: str | None, limit: int | None, anchors: tuple[str, ...],
             no_find_anchors: bool, sources: tuple[str, ...]) -> None:  # fmt: skip
    """Events of all sources in one list: kernel log, firmware logs, mailbox logs, panic, collection.

    A firmware's clock is not the kernel's: its events have a time only through anchors, given or found; else they come last,
    in their own order.
    """
    from vmcoredd_lab.analysis.timeline import timeline_table

    opened = opened_file(file)
    known = [_anchor(text) for text in anchors]
    table = timeline_table(opened, known, find_anchors=not no_find_anchors, sources=sources)
    emit_events(lambda: table, lambda: table, form, output, limit)
    finish(opened)


def events_of(opened: OpenedFile, source: str, names: set[str] | None = None) -> Table:
    """Return the events of one source, of the named devices where names are given."""
    import numpy as np

    from vmcoredd_lab.analysis.timeline import timeline_table

    table = timeline_table(opened, sources=(source,))
    if names is None:
        return table
    return table.take(np.flatnonzero([device in names for device in table.values("device")]))


def _anchor(text: str) -> tuple[str | int, int, int]:
    device, at, rest = text.rpartition("@")
    tick, equals, time = rest.partition("=")
    try:
        if at and equals:
            return int(device) if device.isdecimal() else device, int(tick, 0), int(time, 0)
    except ValueError:
        pass
    raise click.UsageError(f"--anchor {text!a} is not DEVICE@TICK=NS, e.g. 0000:02:00.4@150491587=2391356350")
