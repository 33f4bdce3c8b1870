"""``cpus`` and ``notes``: what the kernel saved of each CPU, and everything else that its notes say."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import click

from vmcoredd_lab.cli.commands import working
from vmcoredd_lab.cli.main import cli, finish, frame_options, opened_file
from vmcoredd_lab.cli.output import emit, emit_text, note, remark
from vmcoredd_lab.kernel.debuginfo import WHAT_IT_ADDS, debuginfo_hint
from vmcoredd_lab.notes.cpus import narrow, registers_of
from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import escape


def vmlinux_option(command: Any) -> Any:
    """Add --vmlinux."""
    text = "The crashed kernel's vmlinux with debuginfo, for stacks with functions and lines."
    return click.option("--vmlinux", type=click.Path(), metavar="PATH", help=text)(command)


@cli.command()
@frame_options
@click.option("--registers", is_flag=True, help="Every register, CPU by CPU; csv and json always have them.")
@click.option("--stacks", is_flag=True, help="The stack of each CPU; takes --vmlinux, or one installed on this system.")
@vmlinux_option
def cpus(file: str, form: str, output: str | None, limit: int | None, registers: bool, stacks: bool,
         vmlinux: str | None) -> None:  # fmt: skip
    """The CPUs when the kernel died: tasks, registers, which one panicked."""
    stacks = stacks or vmlinux is not None
    if registers and stacks:
        raise click.UsageError("--registers and --stacks exclude one another")
    opened = opened_file(file)
    core = opened.vmcore()
    if stacks:
        with working("unwinding the stacks"):
            table = core.stacks_table(vmlinux)
        if form == "table":
            if table.attrs.get("note"):
                note(f"stacks: {escape(str(table.attrs['note']))}")
            emit_text("".join(f"{line}\n" for line in stack_lines(table)), output)
        else:
            emit(table, form, output, limit)
    else:
        table = core.cpus_table()
        if form != "table":
            emit(table, form, output, limit)
        elif registers:
            emit_text(
                "".join(f"{line}\n" for line in register_lines(table, core.container.bits // 4, limit or 0)), output
            )
        else:
            emit(narrow(table, core.machine), form, output, limit)
            if len(table):
                remark(f"--registers shows every register; {WHAT_IT_ADDS}: --stacks --vmlinux PATH")
                remark(debuginfo_hint(core.vmcoreinfo))
    finish(opened)


@cli.command()
@frame_options
@click.option("--decode", is_flag=True, help="Every value in the notes, with its place in the file.")
@click.option("--note", "numbers", type=click.IntRange(0), multiple=True, metavar="NUMBER",
              help="Only this note, counted from 0; repeat it for more. Goes with --decode.")  # fmt: skip
def notes(file: str, form: str, output: str | None, limit: int | None, decode: bool, numbers: tuple[int, ...]) -> None:
    """ELF notes in file order; with --decode what is in them."""
    opened = opened_file(file)
    core = opened.vmcore()
    emit(core.note_fields_table(*numbers) if decode or numbers else core.notes_table(), form, output, limit)
    finish(opened)


def stack_lines(table: Table) -> Iterator[str]:
    """Yield the stacks as a person reads them: a heading for each CPU, a line for each frame."""
    first = True
    for _, group in groupby(table.records(), key=lambda row: row["cpu"]):
        rows = list(group)
        if not first:
            yield ""
        first = False
        yield heading(rows[0])
        width = max(len(_function(row)) for row in rows)
        for row in rows:
            place = f"{escape(row['file'])}:{row['line']}" if row["file"] else f"{row['pc']:#x}"
            yield f"  #{row['frame']:<3} {_function(row):<{width}}  {place}"


def heading(row: dict[str, Any]) -> str:
    """Return a CPU with its task in a line."""
    task = f"pid {row['pid']}" if row["pid"] is not None else "task not known"
    name = f" {escape(row['comm'])}" if row.get("comm") else ""
    return f"CPU {row['cpu']}  {task}{name}{'  panicked' if row['panicked'] else ''}"


def _function(row: dict[str, Any]) -> str:
    if row["symbol"] is None:
        return "?"
    return escape(row["symbol"]) + (f"+{row['offset']:#x}" if row["offset"] is not None else " (inlined)")


def register_lines(table: Table, digits: int, limit: int) -> Iterator[str]:
    """Yield all registers, as many in a line as fit 100 columns."""
    for number, row in enumerate(table.limited(limit).records()):
        if number:
            yield ""
        yield heading(row)
        registers = registers_of(table, row)
        names = max((len(name) for name, _ in registers), default=0)
        cells = [
            f"{name:>{names}} {'-' * digits if value is None else f'{value:0{digits}x}'}" for name, value in registers
        ]
        each = max(1, 100 // (names + digits + 3))
        for start in range(0, len(cells), each):
            yield "  " + "  ".join(cells[start : start + each])
