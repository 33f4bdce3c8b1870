"""``dmesg``: the kernel log, printed as dmesg prints it, or as a frame for programs."""

from __future__ import annotations

import re
import sys
from typing import Any

import click
import numpy as np

from vmcoredd_lab.cli.main import cli, finish, opened_file
from vmcoredd_lab.cli.output import LIMIT, emit_text, note, remark
from vmcoredd_lab.cli.remote import remotes
from vmcoredd_lab.cli.timeline import emit_events, event_options, events_of
from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.export import format_of
from vmcoredd_lab.kernel.panic import PanicSummary
from vmcoredd_lab.kernel.printed import printed, printed_text
from vmcoredd_lab.kernel.printk import DMESG, LEVELS, states_in_words
from vmcoredd_lab.opening import OpenedFile
from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import escape

STYLES: dict[str | None, str] = {
    "emerg": "bold white on red", "alert": "bold red", "crit": "bold red", "err": "red", "warn": "yellow", "notice": "bold",
    "debug": "dim", None: "dim italic",
}  # fmt: skip


class _Levels(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    name = "levels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> frozenset[str]:
        chosen: set[str] = set()
        for part in str(value).lower().split(","):
            name = part.strip("+ ")
            if name not in LEVELS:
                self.fail(f"{part!a} is no level; there are {', '.join(LEVELS)}", param, ctx)
            at = LEVELS.index(name)
            chosen.update(LEVELS[: at + 1] if "+" in part else (name,))
        return frozenset(chosen)


@cli.command()
@event_options
@click.option("--level", "levels", type=_Levels(), metavar="LEVEL[+],...",
              help="Only these levels: emerg, alert, crit, err, warn, notice, info, debug; err+ is err and worse.")  # fmt: skip
@click.option("--grep", "pattern", metavar="REGEX", help="Only records whose text has a match.")
@click.option("--device", metavar="TEXT", help="Only records about this device: driver, address or part of either.")
@click.option("--since-panic", is_flag=True, help="Only from the first line of the panic (or its oops) on.")
@click.option("--search", is_flag=True,
              help="Where the file has no VMCOREINFO, look for the kernel's own copy in all of memory.")  # fmt: skip
def dmesg(file: str, form: str | None, output: str | None, limit: int | None, levels: frozenset[str] | None,
          pattern: str | None, device: str | None, since_panic: bool, search: bool) -> None:  # fmt: skip
    """The kernel log: what the kernel said until it died, without vmlinux."""
    expression = _compiled(pattern)
    opened = opened_file(file)
    core = opened.vmcore()
    if search:
        core.search_vmcoreinfo()
    log = core.dmesg_table()
    panic = core.panic
    shown = log
    if since_panic:
        shown = _since(log, panic, opened.path)
    if levels is not None:
        shown = _where(shown, [level in levels for level in shown.values("level")])
    if expression is not None:
        shown = _where(shown, [bool(expression.search(text)) for text in shown.values("text")])
    if device:
        shown = _where(shown, _about(shown, device))
    if (form or format_of(output) or "table") == "table":
        _print(shown, output, limit)
        _hints(opened, log, shown, panic, since_panic)
    else:
        emit_events(lambda: shown, lambda: _events(opened, shown), form, output, limit)
    finish(opened)


def _events(opened: OpenedFile, shown: Table) -> Table:
    """Return the records that are shown as events of the timeline."""
    chosen = set(shown.values("seq"))
    events = events_of(opened, "dmesg")
    return _where(events, [seq in chosen for seq in events.values("seq")])


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    try:
        return None if pattern is None else re.compile(pattern)
    except re.error as error:
        raise click.UsageError(f"--grep {pattern!a} is no regular expression: {error}") from None


def _where(log: Table, keep: list[bool]) -> Table:
    return log.take(np.array(keep, bool))


def _about(log: Table, device: str) -> list[bool]:
    """Return which records are about the device, also where it is written as a device dump's name (driver_address)."""
    wanted = {device.lower(), device.lower().replace("_", " ", 1)}
    return [bool(one) and any(w in one.lower() for w in wanted) for one in log.values("device")]


def _since(log: Table, panic: PanicSummary | None, path: str) -> Table:
    if panic is None:
        raise NotInFileError(
            "the kernel log has no panic and no oops at its end",
            path=path,
            hint="dmesg without --since-panic prints all of it",
        )
    return _where(log, [seq >= panic.seqs[0] for seq in log.values("seq")])


def _print(log: Table, output: str | None, limit: int | None) -> None:
    remotes().check()
    on_terminal = output is None and sys.stdout.isatty()
    shown = log.limited(LIMIT if limit is None and on_terminal else limit or 0)
    if on_terminal:
        _coloured(shown)
    else:
        emit_text(_encodable(printed_text(shown)), output)
    if len(shown) < len(log):
        note(f"the last {len(shown):,} of {len(log):,} records; --limit 0 shows all")


def _encodable(text: str) -> str:
    """Return the text as far as standard output can show it; the rest escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _coloured(log: Table) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for head, text, level in printed(log):
        console.print(Text.assemble((head, "green dim"), " ", (text, STYLES.get(level, ""))), soft_wrap=True)
    if not len(log):
        console.print(f"no records of {DMESG.name}", style="dim")


def _hints(opened: OpenedFile, log: Table, shown: Table, panic: PanicSummary | None, since_panic: bool) -> None:
    """Say on stderr what is not whole, and what to look at next."""
    if words := states_in_words(log):
        note(f"not whole: {words}")
    if log.attrs.get("note"):
        note(str(log.attrs["note"]))
    if panic is not None and not since_panic:
        remark(f"panic: {escape(panic.reason)}; --since-panic shows it alone, info sums it up")
    mentioned = {d.rsplit(" ", 1)[-1] for d in shown.values("device") if d}
    for index, dump in enumerate(opened.device_dumps):
        if dump.device is not None and dump.device in mentioned:
            remark(
                f"{escape(dump.device)} has a device dump: vmcoredd-lab entities {escape(opened.path)} --dump {index}"
            )
