"""CIM_MA_LA, entity 4: what the logic analyser between the CIM and the memory arbiter captured: requests and responses.

cudbg_collect_cim_ma_la(), drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c, over t4_cim_read_ma_la(), t4_hw.c. The driver means
to store 64 requests of five words, then 64 responses, but takes a count of words for one of bytes and begins the responses
at byte 320. Requests read later overwrite them: of the responses the last sixteen survive, behind the requests, and the
room for the other 48 stays zero. The Unified Wire does the same.
"""

from __future__ import annotations

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import words
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

__all__ = ["DECODERS", "CimMaLa"]

ROWS, WIDTH = 64, 5  # CIM_MALA_SIZE, cxgb4.h
SURVIVORS = 16  # responses 48 to 63
LOST = ROWS - SURVIVORS

_PARTIAL = "Responses 0 to 47 are lost: the driver overwrites them with requests while it collects."


class CimMaLa(EntityDecoder):
    """Five words a row, in the order of the analyser's memory; where in time it begins is not recorded."""

    names = ("cim_ma_la",)
    title = "logic analyser between CIM and memory arbiter"
    schema = Schema(
        "cim_ma_la",
        "Requests, then responses, in the order of the analyser's memory, which is not that of time: no write pointer is "
        "collected (t4_cim_read_ma_la(), t4_hw.c; columns as cim_ma_la of debugfs names them).",
        (
            Column("direction", "category", "request or response"),
            Column("row", "u32", "place in the analyser's memory, 0 to 63"),
            *word_columns(WIDTH, rank=9),
            Column("reliable", "bool", "false for the responses that the driver overwrites: nothing is known of them"),
            Column("request", "text", "the request, 136 bits, hexadecimal; w4[7:0] is its highest byte"),
            Column("cnt", "u32", "response: count"),
            Column("id", "u32", "response: identifier"),
            Column("tag", "u32", "response: tag"),
            Column("ue", "u32", "response: uncorrectable error"),
            Column("data", "u64", "response: data", "hex"),
            Column("rdy", "u32", "response: ready"),
            Column("vld", "u32", "response: valid"),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return 64 requests, the responses that survive, and the room that is never written."""
        row = words(WIDTH)
        return Layout((Part("requests", row, ROWS), Part("responses", row, SURVIVORS), Part("unwritten", row, LOST)))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per request and response; a lost response has no values and the span of what stayed zero."""
        requests, lost, responses = (words_of(parts[name]) for name in ("requests", "unwritten", "responses"))
        groups = [("cim_ma_la_request", requests), ("", lost), ("cim_ma_la_response", responses)]
        counts = [len(matrix) for _, matrix in groups]
        columns = {
            "direction": Codes(np.repeat(np.array([0, 1, 1], np.int8), counts), ("request", "response")),
            "row": np.concatenate(
                [first + np.arange(n, dtype=np.uint32) for first, n in zip((0, 0, LOST), counts, strict=True)]
            ),
            **word_values([requests, len(lost), responses], WIDTH),
            "reliable": np.repeat([True, False, True], counts),
            **decoded(self.schema.columns[3 + WIDTH :], groups),
        }
        begin = (0, 4 * WIDTH * (ROWS + SURVIVORS), 4 * WIDTH * ROWS)
        where = np.concatenate([spans(at, 4 * WIDTH, n) for at, n in zip(begin, counts, strict=True)])
        note = f"{ALL_ONES} {_PARTIAL}" if all_ones(requests, responses) else _PARTIAL
        return Table(self.schema, columns, {"note": note}, where)

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many of either are there."""
        requests, responses = parts["requests"], parts["responses"]
        if all_ones(words_of(requests), words_of(responses)):
            return "all ones: the adapter did not answer"
        return f"{plural(len(requests), 'request')}, {len(responses)} of {ROWS} responses: the driver loses the others"


DECODERS = (CimMaLa(),)
