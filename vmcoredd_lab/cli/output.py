"""How a table leaves the command line: for people (table) or programs (csv, json, parquet), to a terminal or a file."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import click

from vmcoredd_lab.errors import OutputError
from vmcoredd_lab.tables import Column, Table
from vmcoredd_lab.text import escape

__all__ = ["FORMATS", "emit", "emit_text", "note"]

FORMATS = ("table", "csv", "json", "parquet")
LIMIT = 200  # rows of a table shown on a terminal unless told otherwise


def note(text: str) -> None:
    """Say something beside the output, on stderr."""
    click.echo(text, err=True)


def emit(table: Table, form: str, output: str | None, limit: int | None = None) -> None:
    """Print a table, or write it to a file that is replaced in one step."""
    if form == "parquet":
        _write(output, [_parquet(table, output)])
        return
    if form == "table" and output is None and sys.stdout.isatty():
        _rich(table, LIMIT if limit is None else limit)
        return
    if limit:
        table = table.take(slice(0, limit))
    pieces = {"json": _json, "csv": _csv, "table": _plain}[form](table)
    if output is None:
        _to_stdout(pieces)
    else:
        _write(output, (p.encode() for p in pieces))


def emit_text(text: str, output: str | None = None) -> None:
    """Print text, or write it to a file that is replaced in one step."""
    if output is None:
        _to_stdout([text])
    else:
        _write(output, [text.encode()])


def _to_stdout(pieces: Iterable[str]) -> None:
    out: IO[str] = sys.stdout
    try:
        for piece in pieces:
            out.write(piece)
        out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror}", path="standard output") from None


def _write(output: str | None, pieces: Iterable[bytes]) -> None:
    from vmcoredd_lab.extract import write_atomically

    assert output is not None
    write_atomically(Path(output), pieces, force=True)


# -- for programs -----------------------------------------------------------------------------------------------------


def _json(table: Table) -> Iterable[str]:
    yield "["
    for i, record in enumerate(table.records()):
        yield ("," if i else "") + "\n " + json.dumps(record, ensure_ascii=True)
    yield "\n]\n" if len(table) else "]\n"


def _csv(table: Table) -> Iterable[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.schema.names)
    for row in table.rows():
        writer.writerow(["" if v is None else v for v in row])
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _parquet(table: Table, output: str | None) -> bytes:
    if output is None:
        raise click.UsageError("parquet is not for a terminal: say where with -o FILE")
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise click.UsageError("parquet needs pyarrow: pip install 'vmcoredd-lab[fleet]'") from None
    from vmcoredd_lab.frames import to_frame

    buffer = io.BytesIO()
    to_frame(table).to_parquet(buffer, index=False)
    return buffer.getvalue()


# -- for people -------------------------------------------------------------------------------------------------------


def cell(column: Column, value: Any) -> str:
    """Return a value as a person reads it; text from a dump escaped."""
    if value is None:
        return "-"
    if column.kind in ("text", "category"):
        return escape(value)
    if column.kind == "bool":
        return "yes" if value else "no"
    if column.form == "hex":
        return f"{value:#x}"
    if column.form == "size":
        return f"{value:,}"
    return str(value)


def _is_number(column: Column) -> bool:
    return column.kind not in ("text", "category")


def _plain(table: Table) -> Iterable[str]:
    """Yield aligned columns, every row, no decoration: for pipes, grep and files."""
    columns = table.schema.columns
    texts = [[cell(c, v) for v in table.values(c.name)] for c in columns]
    widths = [max(len(c.name), max(map(len, t), default=0)) for c, t in zip(columns, texts, strict=True)]
    right = [_is_number(c) for c in columns]

    def line(cells: Iterable[str]) -> str:
        parts = [t.rjust(w) if r else t.ljust(w) for t, w, r in zip(cells, widths, right, strict=True)]
        return "  ".join(parts).rstrip() + "\n"

    yield line(table.schema.names)
    for row in zip(*texts, strict=True):
        yield line(row)


def _rich(table: Table, limit: int) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    from vmcoredd_lab.cli.style import STYLES

    console = Console()
    if not len(table):
        console.print(f"no {table.schema.name.replace('_', ' ')}", style="dim")
        return
    shown = table.take(slice(0, limit)) if limit else table
    columns = [c for c in table.schema.columns if any(v is not None for v in shown.values(c.name))]
    view = RichTable(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    widest = [c for c in columns if c.kind == "text"]
    for c in columns:
        long = c is widest[-1] if widest else False
        view.add_column(c.name, justify="right" if _is_number(c) else "left", overflow="fold", no_wrap=not long,
                        min_width=12 if long else None)  # fmt: skip
    values = [shown.values(c.name) for c in columns]
    for row in zip(*values, strict=True):
        view.add_row(*(Text(cell(c, v), style=STYLES.get(v, "") if c.name in ("severity", "level", "status") else
                            ("dim" if v is None else "")) for c, v in zip(columns, row, strict=True)))  # fmt: skip
    console.print(view)
    if len(shown) < len(table):
        note(f"{len(shown):,} of {len(table):,} rows; --limit 0 shows all, --format csv writes all")
