"""The commands that say what is wrong: findings, and the signature by which crashes are grouped."""

from __future__ import annotations

from typing import Any

import click

from vmcoredd_lab.cli.commands import working
from vmcoredd_lab.cli.main import chosen_dumps, cli, dump_option, finish, frame_options, opened_file
from vmcoredd_lab.cli.output import emit, remark
from vmcoredd_lab.opening import OpenedFile
from vmcoredd_lab.text import plural


def _diagnosis(opened: OpenedFile, which: str | None) -> Any:
    """Return the findings of the whole file, or of the dumps that --dump names."""
    with working("looking for what is wrong"):
        if which in (None, "all"):
            return opened.diagnosis
        from vmcoredd_lab.analysis.findings import diagnose

        return diagnose([dump for _, dump in chosen_dumps(opened, which)])


@cli.command()
@frame_options
@dump_option
@click.option("--skipped", is_flag=True, help="The rules that could not be evaluated, and why.")
@click.option("--severity", type=click.Choice(["critical", "error", "warning", "info"]), default="info", show_default=True,
              help="Only findings at least as grave.")  # fmt: skip
def findings(file: str, form: str, output: str | None, limit: int | None, which: str | None, skipped: bool,
             severity: str) -> None:  # fmt: skip
    """What is wrong, worst first, with the bytes that prove it: of every device dump and of the kernel."""
    from vmcoredd_lab.rules import SEVERITIES

    opened = opened_file(file)
    found = _diagnosis(opened, which)
    if skipped:
        emit(found.skipped_table, form, output, limit)
    else:
        shown = found.table
        keep = [
            i for i, one in enumerate(shown.values("severity")) if SEVERITIES.index(one) <= SEVERITIES.index(severity)
        ]
        if form == "table":
            emit(_for_people(shown).take(slice(0, len(keep))), form, output, limit)
        else:
            emit(shown.take(slice(0, len(keep))), form, output, limit)
        if found.skipped:
            remark(f"{plural(len(found.skipped), 'rule')} could not be evaluated; --skipped says why")
    finish(opened)


def _for_people(table: Any) -> Any:
    """Return the columns that fit a screen; the explanations are in docs/findings.md, and in csv and json."""
    from vmcoredd_lab.tables import Schema, Table

    columns = tuple(c for c in table.schema.columns if c.name not in ("explanation", "next_step", "value"))
    return Table(Schema(table.schema.name, table.schema.doc, columns), {c.name: table.columns[c.name] for c in columns})


@cli.command()
@frame_options
def signature(file: str, form: str, output: str | None, limit: int | None) -> None:
    """What the crash is grouped by: the same for the same fault on another boot or machine."""
    opened = opened_file(file)
    with working("looking for what is wrong"):
        found = opened.signature()
    emit(found.table, form, output, limit)
    finish(opened)
