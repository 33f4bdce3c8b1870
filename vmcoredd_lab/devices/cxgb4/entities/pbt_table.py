"""PBT_TABLE, entity 65: the CIM's PBT tables: dynamic and static addresses, LRF and data.

struct cudbg_pbt_tables, drivers/net/ethernet/chelsio/cxgb4/cudbg_entity.h, filled by cudbg_collect_pbt_tables(), cudbg_lib.c.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, bits, spans
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Codes, Column, Schema, Table

__all__ = ["DECODERS", "PbtTable"]

# Table, member, where it is in the CIM (CUDBG_CHAC_PBT_ADDR, _LRF and _DATA, cudbg_entity.h).
TABLES = (
    ("dynamic", "pbt_dynamic", 0x2800),
    ("static", "pbt_static", 0x2840),
    ("lrf", "lrf_table", 0x3000),
    ("data", "pbt_data", 0x3800),
)
WITH_ADDRESS = 2  # the first two tables


class PbtTable(EntityDecoder):
    """Four tables of words, one after another."""

    names = ("pbt_table",)
    title = "PBT tables of the CIM"
    schema = Schema(
        "pbt_table",
        "Dynamic and static addresses, the LRF table and the data words (struct cudbg_pbt_tables).",
        (
            Column("table", "category", "dynamic, static, lrf or data"),
            Column("index", "u32", "in the table"),
            Column("value", "u32", "the word", "hex"),
            Column("vld", "bool", "dynamic, static: the entry is valid (bit 28)"),
            Column("alloc", "bool", "dynamic, static: allocated (bit 27)"),
            Column("pending", "bool", "dynamic, static: pending (bit 26)"),
            Column("address", "u32", "dynamic, static: where it points to; bits 24..0, in units of 64 bytes", "hex"),
            Column("cim_address", "u32", "of the word, in the CIM's address space", "hex", 3),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the structure."""
        return Layout((Part("pbt", declared("cudbg_pbt_tables", "unified_wire" if context.unified_wire else "linux")),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per word."""
        record = parts["pbt"]
        members = [record[member].reshape(-1) for _, member, _ in TABLES]
        sizes = [len(member) for member in members]
        value = np.concatenate(members).astype(np.uint32)
        index = np.concatenate([np.arange(size, dtype=np.uint32) for size in sizes])
        which = np.repeat(np.arange(len(TABLES), dtype=np.int8), sizes)
        first = np.array([address for _, _, address in TABLES], np.uint32)
        raw = which >= WITH_ADDRESS
        columns: dict[str, Any] = {
            "table": Codes(which, [name for name, _, _ in TABLES]),
            "index": index,
            "value": value,
            **{
                name: np.ma.array(bits(value, bit, bit).astype(bool), mask=raw)
                for name, bit in (("vld", 28), ("alloc", 27), ("pending", 26))
            },
            "address": np.ma.array(bits(value, 24, 0) << np.uint32(6), mask=raw),
            "cim_address": first[which] + np.uint32(4) * index,
        }
        return Table(self.schema, columns, spans=spans(0, 4, len(value)))

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many addresses are valid."""
        tables = {name: parts["pbt"][member] for name, member, _ in TABLES[:WITH_ADDRESS]}
        valid = [f"{int(bits(words, 28, 28).sum())} {name}" for name, words in tables.items()]
        pending = sum(int(bits(words, 26, 26).sum()) for words in tables.values())
        return f"valid addresses: {' and '.join(valid)}; {pending} pending"


DECODERS = (PbtTable(),)
