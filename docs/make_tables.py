#!/usr/bin/env python3
"""Write docs/tables.md, the tables that commands print and properties give, from their schemas.

usage: make_tables.py [--check]      (--check: say whether the file is up to date, write nothing)
"""

from __future__ import annotations

from pathlib import Path

from made import keep

from vmcoredd_lab.analysis.diff import DIFFERENCES
from vmcoredd_lab.analysis.findings import FINDINGS, SKIPPED
from vmcoredd_lab.analysis.signature import SIGNATURE
from vmcoredd_lab.analysis.timeline import TIMELINE
from vmcoredd_lab.containers.base import SEGMENTS
from vmcoredd_lab.devices.cxgb4.adapter import ENTITIES
from vmcoredd_lab.devices.cxgb4.dev_log import FIRMWARE_LOG
from vmcoredd_lab.devices.cxgb4.indirect_views import FIELDS, INDIRECT_FIELDS, QUEUE_BASE_MAP, TP_MIB
from vmcoredd_lab.devices.cxgb4.interrupts import INTERRUPTS
from vmcoredd_lab.devices.cxgb4.memory_map import MEMORY_MAP
from vmcoredd_lab.devices.cxgb4.reg_dump import COUNTERS, REGISTERS
from vmcoredd_lab.devices.dump import DEVICE_DUMPS
from vmcoredd_lab.frames import DTYPES
from vmcoredd_lab.kernel.printk import DMESG
from vmcoredd_lab.kernel.stacks import STACKS
from vmcoredd_lab.notes.content import NOTE_FIELDS
from vmcoredd_lab.notes.table import NOTES
from vmcoredd_lab.problems import PROBLEMS
from vmcoredd_lab.tables import Schema

OUT = Path(__file__).resolve().parent / "tables.md"
INTRO = """# Tables and their columns

What properties and methods give as DataFrames, and what the commands print. Made from the schemas by `docs/make_tables.py`.
Types are those of the DataFrame: integers are exact, missing values are `<NA>`; in JSON missing is null. Tables of a single
entity are in [entities.md](entities.md). `cpus` has one column per register of the machine.
"""
TABLES: dict[str, tuple[tuple[str, Schema], ...]] = {
    "The file": (
        ("`core.segments`, `segments`", SEGMENTS),
        ("`core.notes`, `notes`", NOTES),
        ("`core.note_fields()`, `notes --decode`", NOTE_FIELDS),
        ("`core.problems`, `problems`", PROBLEMS),
        ("`core.device_dumps.frame`, `dumps`", DEVICE_DUMPS),
    ),
    "The kernel": (("`core.dmesg`, `dmesg`", DMESG), ("`core.stacks()`, `cpus --stacks`", STACKS)),
    "An adapter": (
        ("`nic.entities`, `entities`", ENTITIES),
        ("`nic.registers`, `registers`", REGISTERS),
        ("`nic.register(NAME)`, `registers --register NAME`", FIELDS),
        ("`nic.register(NAME)` of an indirect register", INDIRECT_FIELDS),
        ("`nic.counters`, `registers --counters`", COUNTERS),
        ("`nic.interrupt_causes`, `registers --causes`", INTERRUPTS),
        ("`nic.firmware_log`, `firmware-log`", FIRMWARE_LOG),
        ("`nic.memory_map`", MEMORY_MAP),
        ("`nic.tp_mib_counters`", TP_MIB),
        ("`nic.queue_base_map`", QUEUE_BASE_MAP),
    ),
    "What it means": (
        ("`core.findings()`, `findings`", FINDINGS),
        ("`core.skipped_rules()`, `findings --skipped`", SKIPPED),
        ("`core.signature()`, `signature`", SIGNATURE),
        ("`core.timeline()`, `timeline`", TIMELINE),
        ("`vl.diff(a, b)`, `diff`", DIFFERENCES),
    ),
}


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "\\<").replace("*", "\\*")


def entry(where: str, schema: Schema) -> list[str]:
    lines = [f"### {schema.name}" if schema is not INDIRECT_FIELDS else "### fields, indirect", ""]
    lines += [f"{where}. {cell(schema.doc)}", "", "| column | type | meaning |", "| --- | --- | --- |"]
    return [*lines, *(f"| `{c.name}` | {DTYPES[c.kind]} | {cell(c.doc)} |" for c in schema.columns), ""]


def page() -> str:
    lines = [INTRO]
    for heading, tables in TABLES.items():
        lines += [f"## {heading}", ""]
        for where, schema in tables:
            lines += entry(where, schema)
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    text = page()
    keep({OUT: text}, f"{text.count('### ')} tables")


if __name__ == "__main__":
    main()
