"""CIM_IBQ_* and CIM_OBQ_*, entities 6 to 17, 47 and 48: the memory of the queues into and out of the embedded processor.

t4_read_cim_ibq() and t4_read_cim_obq(), drivers/net/ethernet/chelsio/cxgb4/t4_hw.c: the queue's memory from its beginning, four
words a row. Where the processor and its peers stood in it is in CIM_QCFG.
"""

from __future__ import annotations

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, spans
from vmcoredd_lab.devices.cxgb4.entities.word_rows import word_columns, word_values, words_of
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "CimQueue"]

WIDTH = 4
INBOUND = ("tp0", "tp1", "ulp", "sge0", "sge1", "ncsi")
OUTBOUND = ("ulp0", "ulp1", "ulp2", "ulp3", "sge", "ncsi", "rxq0", "rxq1")  # the last two on T5 and T6 only


class CimQueue(EntityDecoder):
    """Rows of four words from the beginning of the queue's memory."""

    names = (*(f"cim_ibq_{queue}" for queue in INBOUND), *(f"cim_obq_{queue}" for queue in OUTBOUND))
    title = "memory of a CIM queue"
    schema = Schema(
        "cim_queue",
        "A queue's memory, 16 bytes a row (t4_read_cim_ibq(), t4_read_cim_obq(), t4_hw.c). Its pointers are in cim_qcfg.",
        (Column("offset", "u32", "from the beginning of the queue, bytes", "hex"), *word_columns(WIDTH)),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return one part of rows."""
        return Layout((Part("rows", words(WIDTH), None),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per 16 bytes."""
        rows = words_of(parts["rows"])
        offset = np.arange(len(rows), dtype=np.uint32) * np.uint32(4 * WIDTH)
        columns = {"offset": offset, **word_values([rows], WIDTH)}
        return Table(self.schema, columns, spans=spans(0, 4 * WIDTH, len(rows)))

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how much memory the queue has, and how much of it is not zero."""
        rows = words_of(parts["rows"])
        used = int(rows.any(axis=1).sum())
        return f"{rows.nbytes:,} bytes; {used:,} of {plural(len(rows), 'row')} not zero"


DECODERS = (CimQueue(),)
