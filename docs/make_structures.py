#!/usr/bin/env python3
"""Write docs/structures.md, the binary structures that are read and written, from their declarations.

usage: make_structures.py [--check]      (--check: say whether the file is up to date, write nothing)
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

from made import keep

import vmcoredd_lab
from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.structs import Member, Struct

OUT = Path(__file__).resolve().parent / "structures.md"
INTRO = """# Binary structures

Every structure that vmcoredd_lab reads or writes, made from the declarations in the package by `docs/make_structures.py`. One
declaration serves both directions: reading is a view of the bytes through it, writing is the same view the other way.

Offsets and sizes are bytes on a 64-bit machine. Kinds: `u4` is an unsigned integer of 4 bytes, `i8` a signed one of 8, `S44` text
in 44 bytes, `V` bytes; `L` and `l` are the machine's long, so that offsets behind them differ on 32-bit machines. Byte order is
the crashed machine's where nothing else is said.

```python
from vmcoredd_lab.notes.vmcoredd import VMCOREDD_HEADER

VMCOREDD_HEADER.dtype("little")  # a NumPy dtype; .read(bytes, offset) and .write(**members) use it
```
"""
GROUPS = {
    "vmcoredd_lab.containers.elf": "ELF",
    "vmcoredd_lab.containers.kdump": "kdump-compressed files",
    "vmcoredd_lab.notes": "Notes",
    "vmcoredd_lab.kernel": "The kernel log in memory",
    "vmcoredd_lab.devices.cxgb4": "cudbg: headers, framing, firmware log",
}
FAMILIES = {
    "linux": "cudbg: payloads of entities in Linux",
    "unified_wire": "cudbg: payloads of entities in Chelsio's Unified Wire",
}


def modules() -> Iterator[str]:
    """The modules below the packages that declare structures, and no other: widgets and plots need not be installed."""
    wanted = {name.rsplit(".", 1)[0] if name.count(".") > 1 and "containers" in name else name for name in GROUPS}
    for package in sorted(wanted):
        where = importlib.import_module(package).__path__
        yield from (m.name for m in pkgutil.walk_packages(where, f"{package}."))


def structs() -> dict[str, list[Struct]]:
    """The structures of each group, in the order of its modules, each once; those made for one purpose only are left out."""
    found: dict[str, list[Struct]] = {heading: [] for heading in GROUPS.values()}
    seen: set[tuple[str, str, tuple[Member, ...]]] = set()
    for name in modules():
        heading = next((h for prefix, h in GROUPS.items() if name.startswith(prefix)), None)
        for value in vars(importlib.import_module(name)).values():
            for one in value.values() if isinstance(value, dict) else [value]:
                if not isinstance(one, Struct) or heading is None or not one.name.isidentifier():
                    continue
                if one.name in ("bytes", "unused") or (key := (one.name, one.source, one.members)) in seen:
                    continue
                seen.add(key)
                found[heading].append(one)
    return found


def of_table(family: str) -> list[Struct]:
    """The structures of a family that are rows of structs.csv."""
    return [
        declared(n, family)
        for n in dict.fromkeys(r["struct"] for r in read_table("structs.csv") if r["family"] == family)
    ]


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "\\<").replace("*", "\\*")


def kind(member: Member) -> str:
    name = f"struct {member.kind.name}" if isinstance(member.kind, Struct) else member.kind
    return f"{name}{''.join(f'[{n}]' for n in member.shape)}"


def entry(one: Struct) -> list[str]:
    layout = one.dtype()
    assert layout.fields is not None
    told = any(member.doc for member in one.members)
    lines = [f"### {one.name}", "", f"{cell(one.source)}; {layout.itemsize:,} bytes. {cell(one.doc)}".rstrip(), ""]
    lines += ["| offset | member | kind |" + " meaning |" * told, "| ---: | --- | --- |" + " --- |" * told]
    for member in one.members:
        offset = layout.fields[member.name][1]
        row = f"| {offset:#x} | `{member.name}` | `{kind(member)}` |"
        lines.append(row + f" {cell(member.doc)} |" * told)
    return [*lines, ""]


def page() -> str:
    lines = [INTRO]
    for heading, some in [*structs().items(), *((h, of_table(f)) for f, h in FAMILIES.items())]:
        lines += [f"## {heading}", ""]
        for one in some:
            lines += entry(one)
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    text = page()
    keep({OUT: text}, f"{text.count('### ')} structures of vmcoredd_lab {vmcoredd_lab.__version__}")


if __name__ == "__main__":
    main()
