"""``info``: one screen that answers what happened and what is in the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vmcoredd_lab.cli.output import emit_text
from vmcoredd_lab.cli.remote import remotes
from vmcoredd_lab.kernel.printed import readable, stamp
from vmcoredd_lab.opening import OpenedFile
from vmcoredd_lab.summary import summarise
from vmcoredd_lab.text import human_size, plural

__all__ = ["collect", "render"]


def collect(opened: OpenedFile) -> dict[str, Any]:
    """Return the facts as ``info --format json`` prints them."""
    return summarise(opened)


def lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (label, text) pairs of the file and the crashed machine."""
    rows = [("file", f"{facts['file']}  ({human_size(facts['file_size'])})")]
    if facts["layers"]:
        rows.append(("wrapped in", f"{', '.join(facts['layers'])}; sizes and offsets are those of what is inside"))
    if facts["machine"] is None:
        order = f", {facts['byteorder']} endian" if facts["byteorder"] else ""
        rows.append(("format", f"bare device dump{order}"))
        return rows
    written = f", written by {facts['written_by']}" if facts["written_by"] else ""
    rows.append(("format", f"{facts['format']}{written}"))
    rows.append(
        (
            "kernel",
            f"{facts['kernel_release'] or 'release not recorded'}  ({facts['machine']}, {facts['byteorder']} endian)",
        )
    )
    if facts["host"]:
        rows.append(("host", facts["host"]))
    when = facts["crash_time"]
    rows.append(("crashed", when.replace("T", " ").replace("Z", " UTC") if when else facts["crash_time_note"]))
    panicked = "" if facts.get("panicked_cpu") is None else f", CPU {facts['panicked_cpu']} panicked"
    rows.append(("CPUs", f"{facts['cpus']}{panicked}" if facts["cpus"] else "not recorded"))
    memory = facts["memory"]
    held = f"{human_size(memory['held'])} in the file" if memory["held"] < memory["covered"] else "all in the file"
    extent = f"{human_size(memory['covered'])} in {plural(facts['segments'], 'segment')}, {held}"
    rows.append(("memory", extent if memory["covered"] else "none in the file"))
    rows.append(("notes", f"{facts['notes']}" + ("" if facts["vmcoreinfo"] else ", VMCOREINFO not among them")))
    if facts["erased"]:
        more = len(facts["erased"]) - SHOWN_ERASED
        shown = "; ".join(facts["erased"][:SHOWN_ERASED])
        rows.append(("erased", f"by makedumpfile: {shown}" + (f"; and {more:,} more" if more > 0 else "")))
    return rows


def panic_lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (label, text) pairs of the panic, and below it what the drivers said last; empty where there is no log."""
    rows: list[tuple[str, str]] = []
    panic = facts.get("panic")
    if panic:
        rows.append(("panic", readable(panic["reason"])))
        if panic["panic"] and panic["panic"] != panic["reason"]:
            rows.append(("then", readable(panic["panic"])))
        if panic["instruction_pointer"]:
            rows.append(("at", readable(panic["instruction_pointer"])))
        where = [f"CPU {panic['cpu']}"] if panic["cpu"] is not None else []
        where += [f"pid {panic['pid']}"] if panic["pid"] is not None else []
        where += [readable(panic["comm"])] if panic["comm"] else []
        if where:
            rows.append(("in", ", ".join(where)))
        if panic["tainted"]:
            rows.append(("tainted", "; ".join(f"{t['letter']}: {t['meaning']}" for t in panic["tainted"])))
        if panic["hardware"]:
            rows.append(("hardware", readable(panic["hardware"])))
    elif facts.get("machine"):
        missing = facts.get("kernel_log_missing")
        rows.append(("panic", f"not known: {missing}" if missing else "none in the kernel log"))
    for i, word in enumerate(facts.get("last_words", ())):
        first = readable(word["text"]).split("\n")[0]
        rows.append(("" if i else "last words", f"{stamp(word['time_ns'])} {first}"))
    return rows


def render(facts: dict[str, Any], output: str | None) -> None:
    """Print the facts for a person: in colours on a terminal, as plain lines to a pipe or file."""
    import sys

    remotes().check()
    if output is None and sys.stdout.isatty():
        _rich(facts)
    else:
        emit_text("\n".join(line.rstrip() for line in _plain(facts)) + "\n", output)


SHOWN_ERASED = 3
SHOWN_DUMPS, SHOWN_PROBLEMS = 12, 4  # of either; the rest would push the first lines off the screen
NEED = "they need CONFIG_PROC_VMCORE_DEVICE_DUMP and a driver that collects them in the capture kernel"
MORE_PROBLEMS = "  ... vmcoredd-lab problems lists them all"


def _dump_rows(facts: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return index, name, size and summary of the first dumps."""
    return [
        (
            str(d["index"]),
            d["name"],
            human_size(d["payload_size"] or d["size"]),
            d["summary"] or "no decoder for this driver",
        )
        for d in facts["device_dumps"][:SHOWN_DUMPS]
    ]


def _more_dumps(facts: dict[str, Any]) -> str | None:
    more = len(facts["device_dumps"]) - SHOWN_DUMPS
    return f"and {more} more: vmcoredd-lab dumps lists them" if more > 0 else None


def _problem_lines(facts: dict[str, Any]) -> list[str]:
    return [f"  {p['severity']}: {p['where']}: {p['message']}" for p in facts["problems"][:SHOWN_PROBLEMS]]


def _plain(facts: dict[str, Any]) -> Iterator[str]:
    head = [*panic_lines(facts), *lines(facts)]
    width = max(len(label) for label, _ in head)
    for label, text in head:
        yield f"{label:<{width}}  {text}"
    yield ""
    dumps, rows, found = facts["device_dumps"], _dump_rows(facts), facts["problems"]
    yield plural(len(dumps), "device dump") if dumps else f"no device dumps: {NEED}"
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for index, name, size, summary in rows:
        yield f"{index:>{widths[0]}}  {name:<{widths[1]}}  {size:>{widths[2]}}  {summary}"
    yield from filter(None, [_more_dumps(facts)])
    yield ""
    yield plural(len(found), "problem") if found else "no problems found in the headers"
    yield from _problem_lines(facts)
    if len(found) > SHOWN_PROBLEMS:
        yield MORE_PROBLEMS


def _rich(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    head = Table.grid(padding=(0, 2))
    head.add_column(style="bold")
    head.add_column(overflow="fold")
    for label, text in panic_lines(facts):
        head.add_row(label, Text(text, style="bold red" if label == "panic" and facts.get("panic") else ""))
    for label, text in lines(facts):
        head.add_row(label, Text(text))
    console.print(head)
    console.print()
    dumps, found = facts["device_dumps"], facts["problems"]
    if not dumps:
        console.print(Text("no device dumps", style="bold"))
        console.print(NEED, style="dim")
    else:
        console.print(Text(plural(len(dumps), "device dump"), style="bold"))
        grid = Table.grid(padding=(0, 2))
        grid.add_column(justify="right", style="dim")
        grid.add_column(no_wrap=True)
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(overflow="fold")
        for dump, (index, name, size, summary) in zip(dumps, _dump_rows(facts), strict=False):
            grid.add_row(index, Text(name), size, Text(summary, style="bold red" if dump["firmware_bad"] else ""))
        console.print(grid)
        if more := _more_dumps(facts):
            console.print(more, style="dim")
    console.print()
    if not found:
        console.print(Text("no problems found in the headers", style="green"))
    else:
        console.print(Text(plural(len(found), "problem"), style="bold red"))
        for line in _problem_lines(facts):
            console.print(Text(line))
        if len(found) > SHOWN_PROBLEMS:
            console.print(MORE_PROBLEMS, style="dim")
