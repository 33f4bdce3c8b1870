"""CIM_PIF_LA, entity 45: what the logic analyser of the CIM's peripheral interface captured: requests and responses.

struct cudbg_cim_pif_la, drivers/net/ethernet/chelsio/cxgb4/cudbg_entity.h, and t4_cim_read_pif_la(), t4_hw.c.
"""

from __future__ import annotations

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared, words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, spans
from vmcoredd_lab.devices.cxgb4.entities.word_rows import (
    ALL_ONES,
    all_ones,
    decoded,
    word_columns,
    word_values,
    words_of,
)
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Codes, Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "CimPifLa"]

ROWS, WIDTH = 64, 6  # CIM_PIFLA_SIZE, cxgb4.h


class CimPifLa(EntityDecoder):
    """Six words a row, requests and responses each oldest first."""

    names = ("cim_pif_la",)
    title = "logic analyser of the CIM's peripheral interface"
    schema = Schema(
        "cim_pif_la",
        "Requests, then responses, each oldest first (t4_cim_read_pif_la(), t4_hw.c; columns as cim_pif_la of debugfs names "
        "them).",
        (
            Column("direction", "category", "request or response"),
            Column("row", "u32", "oldest is 0"),
            *word_columns(WIDTH, rank=9),
            Column("cntl", "u32", "control", "hex"),
            Column("id", "u32", "identifier", "hex"),
            Column("data_be", "u32", "request: byte enables, 16 bits", "hex", 1),
            Column("addr", "u32", "request: address", "hex"),
            Column("data", "text", "data, 128 bits, hexadecimal"),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the number of rows, the requests and the responses.

        The driver stores 64 of each; another number is believed only where it agrees with the length.
        """
        head = declared("cudbg_cim_pif_la")
        count, first = ROWS, head.size()
        if len(data) >= first:
            said = int(head.read(data, byteorder=context.byteorder)["size"])
            if said > 0 and first + 2 * 4 * WIDTH * said == len(data):
                count = said
        row = words(WIDTH)
        return Layout((Part("header", head), Part("requests", row, count), Part("responses", row, count)))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per request and response."""
        requests, responses = words_of(parts["requests"]), words_of(parts["responses"])
        groups = [("cim_pif_la_request", requests), ("cim_pif_la_response", responses)]
        counts = [len(requests), len(responses)]
        columns = {
            "direction": Codes(np.repeat(np.array([0, 1], np.int8), counts), ("request", "response")),
            "row": np.concatenate([np.arange(n, dtype=np.uint32) for n in counts]),
            **word_values([requests, responses], WIDTH),
            **decoded(self.schema.columns[2 + WIDTH :], groups),
        }
        attrs = {"note": ALL_ONES} if all_ones(requests, responses) else {}
        return Table(self.schema, columns, attrs, spans(parts["header"].nbytes, 4 * WIDTH, sum(counts)))

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many of either are there."""
        requests, responses = parts["requests"], parts["responses"]
        if all_ones(words_of(requests), words_of(responses)):
            return "all ones: the adapter did not answer"
        return f"{plural(len(requests), 'request')} and {plural(len(responses), 'response')}"


DECODERS = (CimPifLa(),)
