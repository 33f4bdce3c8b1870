#!/usr/bin/env python3
"""Write the JSON Schema of a report, and its page, from the classes of the document.

usage: make_report_schema.py [--check]     (writes vmcoredd_lab/report/data/report-1.schema.json and docs/report-schema.md)
"""

from __future__ import annotations

import json
import re
import types
import typing
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path

from made import keep

from vmcoredd_lab.report import document as declared
from vmcoredd_lab.report.document import SCHEMA, Document

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "vmcoredd_lab" / "report" / "data" / "report-1.schema.json"
PAGE = HERE / "report-schema.md"
PLAIN = {str: "string", int: "integer", bool: "boolean", float: "number", type(None): "null"}
SEVERITIES = ["critical", "error", "warning", "info"]


def of_type(kind: object) -> dict[str, object]:
    """Return the schema of a Python type as the document's classes use it."""
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    if kind is typing.Any:
        return {}
    if is_dataclass(kind):
        return {"$ref": f"#/$defs/{kind.__name__}"}
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return {"type": "array", "items": of_type(inside[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": of_type(inside[1])}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [of_type(one) for one in inside]}
    raise TypeError(kind)


def text_of(one: type) -> str:
    return re.sub(r"\s+", " ", (one.__doc__ or "").replace("``", "").strip())


def of_class(one: type) -> dict[str, object]:
    hints = typing.get_type_hints(one)
    properties = {field.name: of_type(hints[field.name]) for field in fields(one)}
    if "severity" in properties:
        properties["severity"] = {"enum": SEVERITIES}
    if one is Document:
        properties["schema"] = {"const": SCHEMA}
    needed = [field.name for field in fields(one) if not optional(field) or one is Document]
    return {"description": text_of(one), "type": "object", "properties": properties, "required": needed}


def optional(field: Field[object]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def classes() -> list[type]:
    found = [getattr(declared, name) for name in declared.__all__ if is_dataclass(getattr(declared, name))]
    return [one for one in found if one is not Document]


def schema() -> str:
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA,
        **of_class(Document),
        "$defs": {one.__name__: of_class(one) for one in classes()},
    }
    return json.dumps(whole, indent=1) + "\n"


def shown(kind: object) -> str:
    text = str(kind).replace("typing.", "").replace("vmcoredd_lab.report.document.", "")
    text = re.sub(r"<class '([^']+)'>", r"\1", text).replace("NoneType", "null").replace("None", "null")
    for name, plain in (
        ("str", "string"),
        ("int", "integer"),
        ("bool", "boolean"),
        ("dict", "object"),
        ("list", "array"),
    ):
        text = re.sub(rf"\b{name}\b", plain, text)
    return re.sub(r"\|", r"\\|", text)


def page() -> str:
    lines = [
        "# The report as JSON", "",
        f"`vmcoredd-lab report FILE -o report.json` writes one object. Its `schema` is `{SCHEMA}`; the number changes",
        "where a member goes or means something else. New members may come without it: ignore what you do not know.",
        "Missing values are null, integers exact, bytes that are not text `\\xNN`. Rows of tables have the columns that the",
        "commands print (`findings`, `notes`, `segments`, `dmesg`, `timeline`, `entities`, `firmware-log`,",
        "`registers --causes`), `vmcore` what `info --format json` prints. JSON Schema:",
        "`vmcoredd_lab/report/data/report-1.schema.json`, in the installed package.",
    ]  # fmt: skip
    for one in [Document, *classes()]:
        hints = typing.get_type_hints(one)
        lines += ["", f"## {one.__name__}", "", text_of(one), "", "| member | type |", "| --- | --- |"]
        lines += [f"| `{field.name}` | {shown(hints[field.name])} |" for field in fields(one)]
    return "\n".join(lines) + "\n"


def main() -> None:
    keep({TARGET: schema(), PAGE: page()}, "the report as JSON")


if __name__ == "__main__":
    main()
