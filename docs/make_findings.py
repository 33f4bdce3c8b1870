#!/usr/bin/env python3
"""Write docs/findings.md, the rules behind `findings`, from the rules' own declarations.

usage: make_findings.py [--check]      (--check: say whether the file is up to date, write nothing)
"""

from __future__ import annotations

import csv
from pathlib import Path

from made import keep

from vmcoredd_lab.analysis.findings import FINDINGS, all_rules
from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.package_data import package_text
from vmcoredd_lab.rules import Rule
from vmcoredd_lab.tables import Schema

OUT = Path(__file__).resolve().parent / "findings.md"
INTRO = """# Findings

What `core.findings()`, `dump.findings()` and `vmcoredd-lab findings FILE` can say. Made from the rules' declarations by
`docs/make_findings.py`.

A rule is evaluated only where what it needs is there; the others are in `core.skipped_rules()` (`findings --skipped`) with the
reason, never among the findings. Findings are sorted worst first. Inside one severity causes come before what they explain: a
device that is gone from the bus, memory that lost data, the firmware's own verdict, fatal interrupt causes, and then what
follows from these. Healthy adapters give findings of severity `info` only.

Each finding names the bytes that prove it: `core.bytes_of(space, offset, length)` gives them. `core.diagnosis.findings` are the
same findings as records, with every place that proves them (`.evidence`), not only the first.

A dump in a vmcore was made in the capture kernel: receive queues have filled up, free lists have run empty, and reads have
met an IOMMU that was set up anew. Rules about that weigh less there (column "in a vmcore"). A cause bit counts whatever the
registers above it say, for the driver clears those; one whose interrupt is not enabled is `info`: it is usually left over from
power-on.

`signature` (`core.signature()`) groups crashes by what is left of the gravest findings without addresses, slots, ports and
counts: the shape of the panic's reason, the functions at the top of its call trace, the firmware's assertion and the fatal
cause bits.

Decoders of other drivers bring rules of their own ([new-decoder.md](new-decoder.md)).
"""
FAMILIES = {
    "ACC": "Does the adapter answer", "INT": "Interrupt causes", "ECC": "Memories", "FW": "Firmware", "SGE": "DMA and queues",
    "TP": "Protocol engine", "PM": "Payload memory", "ULP": "Upper-layer protocols", "NET": "Ports and packets",
    "PCI": "PCI Express", "TBL": "Tables", "TH": "Temperature", "VPD": "Product data", "DMP": "The dump itself",
    "KRN": "The kernel's log", "CRS": "Across sources",
}  # fmt: skip


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "\\<")


def columns(schema: Schema) -> list[str]:
    return ["| column | meaning |", "| --- | --- |", *(f"| `{c.name}` | {cell(c.doc)} |" for c in schema.columns)]


def conditions() -> dict[str, dict[str, str]]:
    """The declarations of each rule that is a row of a table, by id."""
    rows = {row["id"]: row for row in read_table("health_rules.csv")}
    text = package_text("vmcoredd_lab.kernel", "data", "log_rules.csv")
    return rows | {row["id"]: row | {"condition": row["pattern"]} for row in csv.DictReader(text.splitlines())}


def entry(rule: Rule, declared: dict[str, str]) -> list[str]:
    severity = declared.get("severity", rule.severity)
    late = declared.get("late")
    facts = [f"severity {cell(severity)}" + (f", in a vmcore {late}" if late else ""), f"confidence {rule.confidence}"]
    if rule.about:
        facts.append(f"{', '.join(rule.about.split())} only")
    lines = [
        f"### {rule.id}: {cell(rule.title)}",
        "",
        f"{'; '.join(facts)}. Needs {', '.join(f'`{n}`' for n in rule.needs)}.",
    ]
    condition = declared.get("condition", "")
    if declared.get("why_not"):
        lines.append(f"Never evaluated: {declared['why_not']}.")
    elif condition and not condition.startswith("@"):
        lines += ["", f"`{condition}`"]
    if rule.explanation:
        lines += ["", cell(rule.explanation)]
    if rule.next_step:
        lines += ["", f"Next: {cell(rule.next_step)}"]
    return [*lines, ""]


def page() -> str:
    declared = conditions()
    rules = [rule for group in all_rules().values() for rule in group]
    lines = [INTRO, "## Columns", "", *columns(FINDINGS), ""]
    for family, heading in FAMILIES.items():
        some = [rule for rule in rules if rule.id.split("-")[0] == family]
        if some:
            lines += [f"## {heading}", ""]
        for rule in some:
            lines += entry(rule, declared.get(rule.id, {}))
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    text = page()
    keep({OUT: text}, f"{text.count('### ')} rules")


if __name__ == "__main__":
    main()
