"""ULPRX_LA, entity 41: the last 512 messages that the upper-layer protocol receive block saw.

t4_ulprx_read_la(), drivers/net/ethernet/chelsio/cxgb4/t4_hw.c; ulprx_la_show(), cxgb4_debugfs.c, for the columns.
"""

from __future__ import annotations

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, spans
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "UlprxLa"]

ROWS, WORDS = 512, 8  # ULPRX_LA_SIZE, cxgb4.h; struct cudbg_ulprx_la


class UlprxLa(EntityDecoder):
    """Rows of eight u32, oldest first, then u32 size: the number of rows."""

    names = ("ulprx_la",)
    title = "ULP-RX logic analyser"
    schema = Schema(
        "ulprx_la",
        "ULP-RX logic analyser, oldest row first (struct cudbg_ulprx_la, cudbg_entity.h; ulprx_la_show(), cxgb4_debugfs.c).",
        (
            Column("row", "u32", "0 is the oldest"),
            Column("pcmd", "u64", "w1:w0", "hex"),
            Column("type", "u32", "w2", "hex"),
            Column("message", "u32", "w3", "hex"),
            Column("data", "text", "w7:w6:w5:w4, 128 bits as 32 hex digits"),
            *(Column(f"w{i}", "u32", f"word {i} of the row", "hex", rank=1) for i in range(WORDS)),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the rows, and behind a whole set of them their number."""
        return Layout(
            (
                Part("rows", words(WORDS), ROWS),
                Part("size", words(1, name="size"), lambda parts: int(len(parts["rows"]) == ROWS)),
            )
        )

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per row of the analyser."""
        rows = parts["rows"]
        columns = {f"w{i}": rows[f"w{i}"].astype(np.uint32) for i in range(WORDS)}
        columns["row"] = np.arange(len(rows), dtype=np.uint32)
        columns["pcmd"] = columns["w1"].astype(np.uint64) << np.uint64(32) | columns["w0"]
        columns["type"], columns["message"] = columns["w2"], columns["w3"]
        digits = np.column_stack([columns[f"w{i}"] for i in (7, 6, 5, 4)]).astype(">u4").tobytes().hex()
        texts = {"data": [digits[at : at + 32] for at in range(0, len(digits), 32)]}
        return Table(self.schema, columns | texts, spans=spans(0, 4 * WORDS, len(rows)))

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many rows hold something."""
        rows = parts["rows"]
        used = int(np.count_nonzero(rows.view(np.uint32).reshape(-1, WORDS).any(axis=1))) if len(rows) else 0
        return f"{plural(len(rows), 'row')}, {used:,} not zero"


DECODERS = (UlprxLa(),)
