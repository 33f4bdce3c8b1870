"""PCIE_CONFIG, entity 55: words of the function's PCIe configuration space.

cudbg_collect_pcie_config(), drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c: the 14 ranges of offsets of
t5_pcie_config_array, one after another. Names and fields are in data/pcie_config_regs.csv; fields as in the PCI Express
specification (Linux: include/uapi/linux/pci_regs.h).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, spans
from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.devices.cxgb4.register_table import Field, parse_fields
from vmcoredd_lab.tables import Codes, Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "PcieConfig", "collected_fields"]

SLOTS = 97  # words of the buffer; the last ones are not used
ALL_ONES = 0xFFFFFFFF


@dataclass(frozen=True)
class _Registers:
    """What a collector reads, in the order of its words."""

    offsets: np.ndarray[Any, Any]
    names: list[str]
    fields: list[list[Field]]


@cache
def _collected(unified_wire: bool) -> _Registers:
    """Return the registers in the payload; the Unified Wire reads two more, which have no names."""
    rows = [r for r in read_table("pcie_config_regs.csv") if unified_wire or r["linux"] == "1"]
    return _Registers(
        np.array([int(r["offset"], 16) for r in rows], np.uint32),
        [r["register"] for r in rows],
        [parse_fields(r["fields"]) for r in rows],
    )


class PcieConfig(EntityDecoder):
    """u32 words; which offset each is follows from the collector's ranges."""

    names = ("pcie_config",)
    title = "PCIe configuration space"
    schema = Schema(
        "pcie_config",
        "Words of the PCIe configuration space by offset (cudbg_collect_pcie_config(), cudbg_lib.c).",
        (
            Column("offset", "u32", "byte offset in the configuration space", "hex"),
            Column("register", "category", "name; missing where it has none"),
            Column("value", "u32", "the word, as the host reads it", "hex"),
            Column("fields", "text", "its fields that are not zero, highest first; all of them: fields()", rank=1),
        ),
    )
    fields_schema = Schema(
        "pcie_config_fields",
        "The fields of the collected configuration space registers, highest bits first.",
        (
            Column("offset", "u32", "byte offset in the configuration space", "hex"),
            Column("register", "category", "name"),
            Column("field", "text", "the field's name"),
            Column("lsb", "u32", "lowest bit"),
            Column("width", "u32", "bits"),
            Column("value", "u32", "the field's value", "hex"),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return one part of u32."""
        return Layout((Part("words", words(1, name="value"), SLOTS),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per collected register."""
        known = _collected(context.unified_wire)
        values = parts["words"]["value"][: len(known.offsets)].astype(np.uint32)
        columns = {
            "offset": known.offsets[: len(values)],
            "register": _codes(known.names[: len(values)]),
            "value": values,
            "fields": [_text(f, v) for f, v in zip(known.fields, values.tolist(), strict=False)],
        }
        attrs = {}
        if len(values) and (values == ALL_ONES).all():
            attrs["note"] = "All bits of all words are one: the function did not answer."
        return Table(self.schema, columns, attrs, spans(0, 4, len(values)))

    def fields(self, parts: Parts, context: Context) -> Table:
        """Return the fields of every collected register as a table, :attr:`fields_schema`."""
        known = _collected(context.unified_wire)
        values = parts["words"]["value"].tolist()
        rows = [
            (offset, name, field.name, field.lsb, field.width, field.of(value))
            for offset, name, fields, value in zip(
                known.offsets.tolist(), known.names, known.fields, values, strict=False
            )
            for field in fields
        ]
        return Table.from_rows(self.fields_schema, rows)

    def summary(self, parts: Parts, context: Context) -> str:
        """Return vendor and device id, and how much was collected."""
        values = parts["words"]["value"][: len(_collected(context.unified_wire).offsets)]
        if not len(values):
            return "empty"
        first = int(values[0])
        if (values == ALL_ONES).all():
            return "the function did not answer: all ones"
        return f"device {first & 0xFFFF:04x}:{first >> 16:04x}, {plural(len(values), 'register')}"


def collected_fields(context: Context) -> list[list[Field]]:
    """Return the fields of each collected register, in the order of the payload's words."""
    return _collected(context.unified_wire).fields


def _codes(names: list[str]) -> Codes:
    """Return the names as a category column; empty ones are missing."""
    named = [name for name in names if name]
    codes = iter(range(len(named)))
    return Codes(np.array([next(codes) if name else -1 for name in names], np.int32), named)


def _text(fields: list[Field], value: int) -> str:
    shown = [(field.name, field.of(value)) for field in fields if value >> field.lsb & ((1 << field.width) - 1)]
    return ", ".join(name if number == 1 else f"{name} {number:#x}" for name, number in shown)


DECODERS = (PcieConfig(),)
