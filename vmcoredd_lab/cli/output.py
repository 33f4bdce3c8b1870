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

from vmcoredd_lab.cells import cell
from vmcoredd_lab.cli.remote import remotes
from vmcoredd_lab.errors import OutputError
from vmcoredd_lab.tables import Column, Table
from vmcoredd_lab.text import escape

__all__ = ["FORMATS", "emit", "emit_bytes", "emit_pieces", "emit_text", "note", "remark"]

FORMATS = ("table", "csv", "json", "parquet")
LIMIT = 200  # rows of a table shown on a terminal unless told otherwise


def note(text: str) -> None:
    """Say something beside the output, on stderr."""
    click.echo(text, err=True)


def remark(text: str) -> None:
    """Say on a terminal what helps a person; to hooks, cron and pipes nothing, for it takes no action."""
    if sys.stderr.isatty():
        note(text)


def emit(table: Table, form: str, output: str | None, limit: int | None = None) -> None:
    """Print a table, or write it to a file that is replaced in one step; what a reader must know of it goes to stderr."""
    remotes().check()
    if table.attrs.get("note"):
        note(f"{table.schema.name}: {escape(str(table.attrs['note']))}")
    if form == "parquet":
        _write(output, [_parquet(table, output)])
        return
    if form == "table" and output is None and sys.stdout.isatty():
        _rich(table, LIMIT if limit is None else limit)
        return
    table = table.limited(limit or 0)
    pieces = {"json": _json, "csv": _csv, "table": _plain}[form](table)
    if output is None:
        _to_stdout(pieces)
    else:
        _write(output, (p.encode() for p in pieces))


def emit_text(text: str, output: str | None = None) -> None:
    """Print text, or write it to a file that is replaced in one step."""
    remotes().check()
    if output is None:
        _to_stdout([text])
    else:
        _write(output, [text.encode()])


def emit_pieces(pieces: Iterable[bytes], output: str | None) -> None:
    """Write bytes to standard output, or to a file that is replaced in one step."""
    remotes().check()
    if output is None:
        _to_stdout(piece.decode() for piece in pieces)
    else:
        _write(output, pieces)


def emit_bytes(data: bytes) -> None:
    """Write bytes to standard output as they are."""
    remotes().check()
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror}", path="standard output") from None


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
    path = Path(output)
    if path.exists() and not path.is_file():  # /dev/stdout, /dev/null, a pipe: written to, never replaced
        _write_straight(path, pieces)
    else:
        write_atomically(path, pieces, force=True)


def _write_straight(path: Path, pieces: Iterable[bytes]) -> None:
    try:
        with path.open("wb") as out:
            for piece in pieces:
                out.write(piece)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror}", path=str(path)) from None


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
    shown = table.limited(limit)
    if table.schema.name == "problems":
        _problems(console, shown)
        return
    cells: dict[str, list[str]] = {}
    for c in table.schema.columns:
        values = shown.values(c.name)
        if any(v is not None for v in values):
            cells[c.name] = [cell(c, v) for v in values]
    natural = sum(2 + max(len(name), *map(len, texts)) for name, texts in cells.items())
    if len(shown) == 1 and natural > console.width:
        _one_row(console, shown, cells)
        return
    columns, wrapped = _fitting([c for c in table.schema.columns if c.name in cells], cells, console.width)
    view = RichTable(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    for c in columns:
        view.add_column(c.name, justify="right" if _is_number(c) else "left", overflow="fold", no_wrap=c is not wrapped)
    for row in zip(*(cells[c.name] for c in columns), strict=True):
        texts = (Text(t, style=STYLES.get(t, "dim" if t == "-" else "")) for t in row)
        view.add_row(*texts)
    console.print(view)
    if len(shown) < len(table):
        note(
            f"the {'last' if table.schema.tail else 'first'} {len(shown):,} of {len(table):,} rows; --limit 0 shows all"
        )
    left_out = [c.name for c in table.schema.columns if c.name in cells and c not in columns]
    if left_out:
        note(f"left out for want of room: {', '.join(left_out)}; --format csv has every column")


def _one_row(console: Any, table: Table, cells: dict[str, list[str]]) -> None:
    """Print a single wide row from top to bottom: name, value, what it is."""
    from rich.table import Table as RichTable
    from rich.text import Text

    grid = RichTable.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_column(style="dim", overflow="fold")
    for name, texts in cells.items():
        grid.add_row(Text(name), Text(texts[0]), Text(table.schema.column(name).doc))
    console.print(grid)


def _fitting(columns: list[Column], cells: dict[str, list[str]], width: int) -> tuple[list[Column], Column | None]:
    """Return the columns that fit a screen, and the one whose text may wrap: the last text column."""
    texts = [c for c in columns if c.kind == "text"]
    wrapped = texts[-1] if texts else None
    widths = {c.name: 2 + max(len(c.name), *map(len, cells[c.name])) for c in columns}
    if wrapped:
        widths[wrapped.name] = min(widths[wrapped.name], 34)
    kept = list(columns)
    for c in sorted((c for c in columns if c.rank), key=lambda c: -c.rank):
        if sum(widths[k.name] for k in kept) <= width:
            break
        kept.remove(c)
    return kept, wrapped


def _problems(console: Any, table: Table) -> None:
    """Print problems as short paragraphs: they are sentences, not columns."""
    from rich.padding import Padding
    from rich.text import Text

    from vmcoredd_lab.cli.style import STYLES

    for record in table.records():
        place = escape(record["where"]) + ("" if record["offset"] is None else f", offset {record['offset']:#x}")
        console.print(Text.assemble((record["severity"], STYLES[record["severity"]]), "  ", (place, "bold")))
        console.print(Padding(Text(escape(record["message"])), (0, 0, 0, 4)))
        found = [
            f"{label} {escape(record[key])}"
            for key, label in (("expected", "expected"), ("got", "found"))
            if record[key]
        ]
        if found:
            console.print(Padding(Text("; ".join(found), style="dim"), (0, 0, 0, 4)))
