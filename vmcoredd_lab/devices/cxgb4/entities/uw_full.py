"""FULL, entity 52: which FIFOs between the adapter's blocks were full when the dump was taken; only the Unified Wire has it.

Six words on T5, seven on T6, where PCIe has one a channel (Chelsio's cudbg library of 2016). Which bit says what is in
data/full_signals.csv; on Linux the registers are in TP_INDIRECT, PCIE_INDIRECT and SGE_INDIRECT.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder
from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "Full"]

ALL_ONES = 0xFFFFFFFF
Signal = tuple[str, str, int, str, int, int]  # path, signal, channel, register, word, bit


@cache
def _signals(chip: str) -> list[Signal]:
    """Return what each bit says, along the paths; none where the chip's registers are not known."""
    return [
        (r["path"], r["signal"], int(r["first"]) + i, r["register"], int(r["word"]), int(r["lsb"]) + i)
        for r in sorted(read_table("full_signals.csv"), key=lambda r: r["path"], reverse=True)
        if chip in r["chips"].split()
        for i in range(int(r["channels"]))
    ]


class Full(EntityDecoder):
    """u32 words of registers."""

    names = ("full",)
    title = "full FIFOs along the transmit and receive paths"
    chips = "T5 T6"
    schema = Schema(
        "full",
        "Back pressure between the adapter's blocks, transmit path first (full of Chelsio's cudbg).",
        (
            Column("path", "category", "tx or rx"),
            Column("signal", "text", "what is full"),
            Column("channel", "u32", "channel"),
            Column("full", "bool", "true: full or almost full, the path is held up here"),
            Column("register", "text", "the register that says so", rank=1),
            Column("bit", "u32", "of the register", rank=2),
            Column("word", "u32", "the register's value", "hex", rank=3),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return one part of words."""
        return Layout((Part("words", words(1, name="value"), None),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per signal and channel."""
        values = parts["words"]["value"].tolist()
        rows = [
            (path, signal, channel, bool(values[word] >> bit & 1), register, bit, values[word])
            for path, signal, channel, register, word, bit in _signals(context.chip)
            if word < len(values)
        ]
        table = Table.from_rows(self.schema, rows)
        word = np.array([one[4] for one in _signals(context.chip) if one[4] < len(values)], np.int64)
        table.spans = np.column_stack([4 * word, 4 * word + 4])
        if values and all(value == ALL_ONES for value in values):
            table.attrs["note"] = "All bits of all words are one: the adapter did not answer."
        return table

    def summary(self, parts: Parts, context: Context) -> str:
        """Return what is full."""
        table = self.table(parts, context)
        if "note" in table.attrs:
            return "the adapter did not answer: all ones"
        full = [f"{r['signal']} ({r['path']} {r['channel']})" for r in table.records() if r["full"]]
        if not full:
            return "nothing is full" if len(table) else plural(len(parts["words"]), "word")
        return "; ".join(full[:3]) + (f" and {len(full) - 3} more" if len(full) > 3 else "")


DECODERS = (Full(),)
