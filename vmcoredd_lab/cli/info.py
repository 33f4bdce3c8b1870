"""``info``: one screen that answers what happened and what is in the file."""

from __future__ import annotations

from typing import Any

from vmcoredd_lab.cli.output import emit_text
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
    if facts["machine"] is None:
        rows.append(("format", f"bare device dump, {facts['byteorder']} endian"))
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
    rows.append(("CPUs", f"{facts['cpus'] or 'not recorded'}"))
    memory = facts["memory"]
    held = f"{human_size(memory['held'])} in the file" if memory["held"] < memory["covered"] else "all in the file"
    extent = f"{human_size(memory['covered'])} in {plural(facts['segments'], 'segment')}, {held}"
    rows.append(("memory", extent if memory["covered"] else "none in the file"))
    rows.append(("notes", f"{facts['notes']}" + ("" if facts["vmcoreinfo"] else ", VMCOREINFO not among them")))
    return rows


def render(facts: dict[str, Any], output: str | None) -> None:
    """Print the facts for a person, or write them to a file without colours."""
    import io
    import sys

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    buffer = io.StringIO()
    to_terminal = output is None and sys.stdout.isatty()
    console = Console() if to_terminal else Console(file=buffer, width=110, color_system=None)
    head = Table.grid(padding=(0, 2))
    head.add_column(style="bold")
    head.add_column(overflow="fold")
    for label, text in lines(facts):
        head.add_row(label, Text(text))
    console.print(head)
    console.print()
    dumps = facts["device_dumps"]
    if not dumps:
        console.print(Text("no device dumps", style="bold"))
        console.print(
            "they need CONFIG_PROC_VMCORE_DEVICE_DUMP and a driver that collects them in the capture kernel",
            style="dim",
        )
    else:
        console.print(Text(plural(len(dumps), "device dump"), style="bold"))
        grid = Table.grid(padding=(0, 2))
        grid.add_column(justify="right", style="dim")
        grid.add_column(no_wrap=True)
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(overflow="fold")
        for dump in dumps[:12]:
            style = "bold red" if dump["firmware_bad"] else ""
            grid.add_row(str(dump["index"]), Text(dump["name"]), human_size(dump["payload_size"] or dump["size"]),
                         Text(dump["summary"] or "no decoder for this driver", style=style))  # fmt: skip
        console.print(grid)
        if len(dumps) > 12:
            console.print(f"and {len(dumps) - 12} more: vmcoredd-lab dumps lists them", style="dim")
    found = facts["problems"]
    console.print()
    if not found:
        console.print(Text("no problems found in the headers", style="green"))
    else:
        console.print(Text(plural(len(found), "problem"), style="bold red"))
        for problem in found[:4]:
            console.print(Text(f"  {problem['severity']}: {problem['where']}: {problem['message']}"))
        if len(found) > 4:
            console.print("  ... vmcoredd-lab problems lists them all", style="dim")
    if not to_terminal:
        emit_text("\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n", output)
