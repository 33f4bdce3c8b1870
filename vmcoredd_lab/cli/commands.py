"""The commands. Each opens FILE, prints what it is asked for, and ends with the status that the file deserves."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from vmcoredd_lab.cli import names
from vmcoredd_lab.cli.main import (
    chosen_dumps,
    cli,
    dump_option,
    file_argument,
    finish,
    frame_options,
    offered,
    opened_file,
)
from vmcoredd_lab.cli.output import emit, emit_bytes, emit_text, note, remark
from vmcoredd_lab.cli.progress import giving_way
from vmcoredd_lab.cli.remote import remotes
from vmcoredd_lab.cli.timeline import emit_events, event_options, events_of
from vmcoredd_lab.errors import NotInFileError, OutputError
from vmcoredd_lab.extract import write_atomically
from vmcoredd_lab.opening import OpenedFile
from vmcoredd_lab.progress import undisturbed
from vmcoredd_lab.tables import Column, Table
from vmcoredd_lab.text import human_size, plural

DUMP = Column("dump", "text", "the device dump that the row is of")
NUMBER = r"hexadecimal with 0x, else decimal"


@cli.command()
@file_argument
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE")
def info(file: str, form: str, output: str | None) -> None:
    """What happened and what is in here, on one screen."""
    from vmcoredd_lab.cli.info import collect, render

    opened = opened_file(file)
    facts = collect(opened)
    if form == "json":
        emit_text(json.dumps(facts, indent=1) + "\n", output)
    else:
        render(facts, output)
    finish(opened)


def _frame_command(name: str, table: Callable[[OpenedFile], Table], text: str) -> None:
    @cli.command(name, help=text)
    @frame_options
    def command(file: str, form: str, output: str | None, limit: int | None) -> None:
        opened = opened_file(file)
        emit(table(opened), form, output, limit)
        finish(opened)


_frame_command("segments", lambda o: o.vmcore().segments_table(),
               "Program headers; of a kdump file the physical ranges present, excluded or absent.")  # fmt: skip
_frame_command("dumps", lambda o: o.device_dumps.table(), "Device dumps: name, driver, PCI address, place and size.")


def _adapter_command(name: str, method: str, text: str) -> None:
    @cli.command(name, help=text)
    @frame_options
    @dump_option
    def command(file: str, form: str, output: str | None, limit: int | None, which: str | None) -> None:
        opened = opened_file(file)
        emit(_of_dumps(opened, which, method), form, output, limit)
        finish(opened)


def _of_dumps(opened: OpenedFile, which: str | None, method: str, *args: Any,
              then: Callable[[Table], Table] = lambda table: table) -> Table:  # fmt: skip
    """Return the table that a method of the decoder gives, of the dumps chosen.

    With all a ``dump`` column comes first, and a dump that has no such table is passed over.
    """
    chosen = chosen_dumps(opened, which)
    if which != "all":
        return then(offered(chosen[0][1], method, opened.path)(*args))
    tables, reasons = [], []
    for _, dump in chosen:
        try:
            tables.append(then(offered(dump, method, opened.path)(*args)).with_first(DUMP, dump.name))
        except NotInFileError as error:
            reasons.append(error)
            note(f"{dump.name}: {error.message}")
    if tables:
        return Table.concat(tables)
    if reasons:
        raise reasons[0]
    raise NotInFileError("no device dumps", path=opened.path, hint="the notes command lists what is in the file")


_adapter_command("entities", "entities_table", "What a device dump holds: every entity, its status and sizes.")


@cli.command()
@file_argument
@click.argument("name", metavar="NAME", shell_complete=names.entities)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    default="table",
    show_default=True,
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE")
@click.option("--limit", type=click.IntRange(0), metavar="ROWS")
@dump_option
def entity(file: str, name: str, form: str, output: str | None, limit: int | None, which: str | None) -> None:
    """One entity, by name or number; where it has no decoder, its bytes."""
    opened = opened_file(file)
    emit(_of_dumps(opened, which, "entity_table", name), form, output, limit)
    finish(opened)


@cli.command()
@frame_options
@dump_option
@click.option("--register", "name", metavar="NAME", shell_complete=names.registers,
              help="The fields of this register, of each of its instances.")  # fmt: skip
@click.option("--block", metavar="NAME", shell_complete=names.blocks, help="Only this hardware block, e.g. SGE.")
@click.option("--nonzero", is_flag=True, help="Only registers that are not zero.")
@click.option("--counters", is_flag=True, help="64-bit counters, joined from their _L and _H registers.")
@click.option("--causes", is_flag=True, help="Interrupt-cause registers that are not zero, bit by bit.")
def registers(file: str, form: str, output: str | None, limit: int | None, which: str | None, name: str | None,
              block: str | None, nonzero: bool, counters: bool, causes: bool) -> None:  # fmt: skip
    """Registers of the adapter, by address."""
    if sum(map(bool, (name, counters, causes))) > 1:
        raise click.UsageError("--register, --counters and --causes exclude one another")
    opened = opened_file(file)
    method = "registers_table"
    if name:
        method = "register_table"
    elif counters:
        method = "counters_table"
    elif causes:
        method = "interrupt_causes_table"
    rows = _of_dumps(opened, which, method, *filter(None, [name]),
                     then=lambda table: _filtered(table, block, nonzero, opened.path))  # fmt: skip
    emit(rows, form, output, limit)
    finish(opened)


def _filtered(rows: Table, block: str | None, nonzero: bool, path: str) -> Table:
    import numpy as np

    keep = np.ones(len(rows), bool)
    if block:
        if "block" not in rows.schema.names:
            raise click.UsageError("--block goes with the list of registers")
        blocks = [b or "" for b in rows.values("block")]
        if block.upper() not in {b.upper() for b in blocks}:
            raise NotInFileError(
                f"no block named {block!a}",
                path=path,
                hint=f"there are {', '.join(sorted(set(blocks) - {''}))}",
            )
        keep &= np.array([b.upper() == block.upper() for b in blocks])
    if nonzero:
        keep &= np.array([bool(v) for v in rows.values("value")], bool)
    return rows if keep.all() else rows.take(np.flatnonzero(keep))


@cli.command("firmware-log")
@event_options
@dump_option
def firmware_log(file: str, form: str | None, output: str | None, limit: int | None, which: str | None) -> None:
    """The firmware's own log, oldest entry first."""
    opened = opened_file(file)
    emit_events(
        lambda: _of_dumps(opened, which, "firmware_log_table"),
        lambda: events_of(opened, "firmware", {dump.name for _, dump in chosen_dumps(opened, which)}),
        form, output, limit,
    )  # fmt: skip
    finish(opened)


@cli.command()
@frame_options
@click.option("--pages/--no-pages", default=None,
              help="Inflate every page of a kdump-compressed file. Default: up to 1 GiB of memory in a local file.")  # fmt: skip
def problems(file: str, form: str, output: str | None, limit: int | None, pages: bool | None) -> None:
    """What is wrong with the file. Reads every device dump whole, and pages where that takes seconds."""
    opened = opened_file(file)
    with working(f"checking {plural(len(opened.device_dumps), 'device dump')}"):
        complete = opened.check(pages)
    if not complete and pages is None:
        note(f"{opened.path}: the pages of memory were not checked; --pages does it")
    found = opened.problems()
    emit(found.table(), form, output, limit)
    if found.damaged:
        raise SystemExit(1)


@cli.command()
@file_argument
@click.argument("directory", type=click.Path(file_okay=True), metavar="DIR")
@click.option("--payload", is_flag=True, help="Cut the kernel's page padding where the decoder knows the length.")
@click.option("--entities", is_flag=True, help="Also write each entity's decoded bytes, in a folder beside the dump.")
@click.option("--force", is_flag=True, help="Replace existing files.")
@click.option(
    "--dump", "which", metavar="NAME|INDEX|all", default="all", show_default=True, shell_complete=names.dumps,
    help="Which device dump: by name, PCI address or index.",
)  # fmt: skip
def extract(file: str, directory: str, payload: bool, entities: bool, force: bool, which: str) -> None:
    """Write each device dump's bytes to DIR/<index>-<name>.bin."""
    from vmcoredd_lab.extract import extract as write
    from vmcoredd_lab.problems import Problems

    opened = opened_file(file)
    if Path(directory).exists() and not Path(directory).is_dir():
        raise OutputError("not a directory", path=directory)
    found = Problems()
    chosen = chosen_dumps(opened, which)
    with progress_bar("writing", sum(len(dump.data) for _, dump in chosen)) as advance:
        written = write(chosen, Path(directory), payload=payload, entities=entities, force=force, problems=found,
                        progress=advance)  # fmt: skip
    for one in written:
        remark(f"{one.path}  {one.size:,} bytes")
    for problem in found:
        note(f"{problem.where}: {problem.message}")
    if not written:
        note(f"{opened.path}: no device dumps, nothing written")
    finish(opened)


class _Number(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return value if isinstance(value, int) else int(str(value).replace("_", ""), 0)
        except ValueError:
            self.fail(f"{value!a} is not a number ({NUMBER})", param, ctx)


@cli.command()
@file_argument
@click.option(
    "--offset",
    type=_Number(),
    help="Offset in the file; with --dump in the dump; with --entity in its decoded bytes.",
)
@click.option("--physical", type=_Number(), help="Physical address of the crashed machine.")
@click.option("--virtual", type=_Number(), help="Kernel virtual address, through the program headers or VMCOREINFO.")
@click.option("--dump", "which", metavar="NAME|INDEX", shell_complete=names.dumps, help="Bytes of this device dump.")
@click.option("--entity", "name", metavar="NAME", shell_complete=names.entities,
              help="Decoded bytes of this entity (of the first dump, or --dump).")  # fmt: skip
@click.option("--length", type=_Number(), default=256, show_default=True, help="Bytes.")
def hexdump(file: str, offset: int | None, physical: int | None, virtual: int | None, which: str | None, name: str | None,
            length: int) -> None:  # fmt: skip
    """Bytes as hexadecimal and text: of the file, of memory, of a device dump or of an entity."""
    from vmcoredd_lab.hexdump import hex_lines

    if (physical is not None) + (virtual is not None) + (which is not None or name is not None) > 1:
        raise click.UsageError("--physical, --virtual and --dump or --entity exclude one another")
    if offset is not None and (physical is not None or virtual is not None):
        raise click.UsageError(
            "--offset counts in the file or in a dump; give the address itself to --physical or --virtual"
        )
    if (offset or 0) < 0 or length < 0:
        raise click.UsageError("an offset or length below 0")
    opened = opened_file(file)
    start = offset or 0
    if physical is not None or virtual is not None:
        space = "physical" if physical is not None else "virtual"
        start = physical if physical is not None else virtual or 0
        data = opened.vmcore().memory.read(start, length, space)
    else:
        data = _bytes_at(opened, which, name, start, length)
    remotes().check()
    for line in hex_lines(data, start):
        click.echo(line)
    finish(opened)


def _bytes_at(opened: OpenedFile, which: str | None, name: str | None, start: int, length: int) -> bytes:
    if name is not None:
        _, dump = chosen_dumps(opened, which)[0]
        data = offered(dump, "entity_bytes", opened.path)(name)
        size, what = len(data), f"entity {name}"
        part = bytes(data[start : start + length])
    elif which is not None:
        _, dump = chosen_dumps(opened, which)[0]
        size, what = len(dump.data), f"device dump {dump.name}"
        part = dump.data.read(start, length)
    else:
        size, what = opened.source.size, "the file"
        part = opened.source.read(start, length)
    if start >= size and length:
        raise NotInFileError(
            f"{what} ends before offset {start:#x}", path=opened.path, expected=f"an offset below {size:#x}"
        )
    return part


@cli.command()
@file_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    required=True,
    metavar="OUT",
    help="The suffix chooses the kind: .html, .md (for a ticket), .json, .ipynb or .pdf; - is standard output.",
)
@click.option("--format", "form", type=click.Choice(["html", "md", "json", "ipynb", "pdf"]),
              help="The kind, whatever the suffix; for - json unless told otherwise.")  # fmt: skip
@click.option("--title", help="A title for the report; else the file's name.")
@click.option(
    "--date",
    metavar="TEXT",
    help="The date to print instead of now, so that the same input gives the same bytes.",
)
@click.option("--vmlinux", type=click.Path(), metavar="PATH",
              help="The crashed kernel's vmlinux with debuginfo: the stack of every CPU is then in the report.")  # fmt: skip
@click.option("--template", type=click.Path(dir_okay=False), metavar="FILE",
              help="A Jinja2 template of your own, which may extend report.html.j2 (docs/reports.md).")  # fmt: skip
@click.option("--redact", is_flag=True,
              help="Take out host names, network addresses, serials, addresses in memory and bytes of memory.")  # fmt: skip
def report(file: str, output: str, form: str | None, title: str | None, date: str | None, vmlinux: str | None,
           template: str | None, redact: bool) -> None:  # fmt: skip
    """One document of all there is: HTML or PDF for people, Markdown for a ticket, JSON, or a notebook to go on in."""
    from vmcoredd_lab.report import kind_of, rendered_report

    kind = f".{form}" if form else ".json" if output == "-" and template is None else None
    kind = kind_of(output if kind is None else f"report{kind}", template)  # before anything is read
    opened = opened_file(file)
    with working("writing the report"):
        data = rendered_report(opened, kind, title=title, date=date, vmlinux=vmlinux, template=template, redact=redact)
    if output == "-":
        emit_bytes(data)
    else:
        remark(f"{output}  {human_size(write_atomically(Path(output), [data], force=True))}")
    finish(opened)


@contextlib.contextmanager
def working(text: str) -> Iterator[None]:
    """Show a spinner on a terminal while something takes its time; silent elsewhere."""
    remotes().ready()
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text) as spinner, giving_way(spinner):
        yield


@contextlib.contextmanager
def progress_bar(text: str, total: int) -> Iterator[Callable[[int], object]]:
    """Give a function that takes bytes done; a bar on a terminal where there is enough to do, silent elsewhere."""
    remotes().ready()
    if not sys.stderr.isatty() or total < 64 << 20:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn(text),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with undisturbed(), Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=total)
        yield lambda size: bar.advance(task, size)
