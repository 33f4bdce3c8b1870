#!/usr/bin/env python3
"""Write docs/entities.md, the index of cxgb4 entities, from the decoders' own declarations.

usage: make_entities.py [--check]      (--check: say whether the file is up to date, write nothing)
"""

from __future__ import annotations

from pathlib import Path

from made import keep

from vmcoredd_lab.devices.cxgb4.entities import decoders
from vmcoredd_lab.devices.cxgb4.entity_names import entity_description, entity_numbers
from vmcoredd_lab.frames import DTYPES
from vmcoredd_lab.tables import Column

OUT = Path(__file__).resolve().parent / "entities.md"
INTRO = """# Entities of cxgb4 device dumps

What `nic.entity(NAME)` and `vmcoredd-lab entity FILE NAME` give for each entity. Made from the decoders' declarations by
`docs/make_entities.py`. Types are those of the DataFrame; integers are exact, missing values are `<NA>`.
`nic.records(NAME)` gives every member of every structure as the driver stored it, and `encode_entity` turns that back into
the same bytes.
"""


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def column_rows(columns: tuple[Column, ...]) -> list[str]:
    """Return a line for each column; runs like w0 to w7 take one."""
    lines: list[str] = []
    at = 0
    while at < len(columns):
        first = columns[at]
        stem = first.name.rstrip("0123456789")
        end = at
        while (
            stem != first.name
            and end + 1 < len(columns)
            and columns[end + 1].name == f"{stem}{int(first.name[len(stem) :]) + end + 1 - at}"
            and columns[end + 1].kind == first.kind
        ):
            end += 1
        name = f"`{first.name}`" + (f" to `{columns[end].name}`" if end > at else "")
        lines.append(f"| {name} | {DTYPES[first.kind]} | {cell(first.doc)} |")
        at = end + 1
    return lines


def page() -> str:
    numbers = entity_numbers()
    groups: dict[int, tuple[object, list[str]]] = {}
    for name, one in decoders().items():
        groups.setdefault(id(one), (one, []))[1].append(name)
    ordered = sorted(groups.values(), key=lambda g: min(numbers[n] for n in g[1]))
    lines = [INTRO, "| number | entity | what it is |", "| --- | --- | --- |"]
    anchors = {}
    for _, names in ordered:
        heading = ", ".join(sorted(names, key=lambda n: numbers[n]))
        for name in names:
            anchors[name] = "".join(c for c in heading.lower() if c.isalnum() or c in "_- ").replace(" ", "-")
    for name in sorted(anchors, key=lambda n: numbers[n]):
        lines.append(f"| {numbers[name]} | [`{name}`](#{anchors[name]}) | {cell(entity_description(numbers[name]))} |")
    for one, names in ordered:
        heading = ", ".join(sorted(names, key=lambda n: numbers[n]))
        lines += [
            "",
            f"## {heading}",
            "",
            f"{one.title[0].upper()}{one.title[1:]}. Chips: {one.chips}. {one.schema.doc}",
            "",
        ]
        lines += ["| column | type | meaning |", "| --- | --- | --- |", *column_rows(one.schema.columns)]
    return "\n".join(lines) + "\n"


def main() -> None:
    keep({OUT: page()}, f"{len(decoders())} entities")


if __name__ == "__main__":
    main()
