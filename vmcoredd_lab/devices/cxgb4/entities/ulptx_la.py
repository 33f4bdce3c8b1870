"""ULPTX_LA, entity 62: eleven logic analysers of the upper-layer protocol transmit block, and samples of its ASIC debug port.

cudbg_collect_ulptx_la(), drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c. Of analyser i the read pointer is register
0x8ec0 + 0x10 * i, the data 4 bytes behind, the write pointer 8; data rows are 512 successive reads of the data register.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared, words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, spans
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Codes, Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "UlptxLa"]

SIGNATURE = 0xCCEDB001  # CUDBG_ENTITY_SIGNATURE: a version header leads; the Unified Wire has none, and no ASIC part
ANALYSERS, READS = 11, 512  # CUDBG_NUM_ULPTX, CUDBG_NUM_ULPTX_READ, cudbg_entity.h
SAMPLES, WORDS = 128, 6  # CUDBG_NUM_ULPTX_ASIC_READ, CUDBG_NUM_ULPTX_ASIC
_POINTERS = ("rdptr", "wrptr", "rddata")
Array = np.ndarray[Any, Any]

_NOTE = "w5 of the asic rows is not of this block: the driver reads PM_RX_CFG (0x8fc0) in its place."


class UlptxLa(EntityDecoder):
    """struct cudbg_ulptx_la behind a version header; the Unified Wire's struct_ulptx_la without either."""

    names = ("ulptx_la",)
    title = "ULP-TX logic analysers"
    versions = (1,)
    schema = Schema(
        "ulptx_la",
        "ULP-TX logic analysers, then samples of the ASIC debug port (struct cudbg_ulptx_la, cudbg_entity.h).",
        (
            Column("la", "category", "analyser 0 to 10, or asic"),
            Column("index", "u32", "which read of the analyser or of the debug port"),
            Column("rdptr", "u32", "ULP_TX_LA_RDPTR of the analyser; of asic the debug port's pointer (0x8f70)", "hex"),
            Column("wrptr", "u32", "ULP_TX_LA_WRPTR of the analyser; missing for asic", "hex"),
            Column("data", "u32", "the word read; missing for asic", "hex"),
            Column("rddata", "u32", "ULP_TX_LA_RDDATA, read once before the others; missing for asic", "hex", rank=2),
            *(
                Column(f"w{i}", "u32", f"asic: register {0x8F74 + 4 * i:#x}; missing for analysers", "hex", rank=1)
                for i in range(WORDS - 1)
            ),
            Column("w5", "u32", "asic: register 0x8fc0, read by mistake; missing for analysers", "hex", rank=1),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the arrays of the structure, one part each, with the version header where one leads."""
        parts = [Part(name, words(1, name=name), ANALYSERS) for name in _POINTERS]
        parts.append(Part("rd_data", words(1, name="data"), ANALYSERS * READS))
        if int.from_bytes(data[:4], context.byteorder) == SIGNATURE:
            parts = [
                Part("ver_hdr", declared("cudbg_ver_hdr")),
                *parts,
                Part("rdptr_asic", words(1, name="rdptr"), SAMPLES),
                Part("rddata_asic", words(WORDS), lambda found: len(found["rdptr_asic"])),
            ]
        return Layout(tuple(parts))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return the reads of each analyser in turn, then the samples of the debug port."""
        data = parts["rd_data"]["data"].astype(np.uint32)
        asic = parts.get("rddata_asic", np.zeros(0, words(WORDS).dtype()))
        la, index = np.divmod(np.arange(len(data), dtype=np.uint32), np.uint32(READS))
        columns: dict[str, Any] = {
            "la": Codes(
                np.concatenate([la, np.full(len(asic), ANALYSERS)]).astype(np.int8),
                (*map(str, range(ANALYSERS)), "asic"),
            ),
            "index": np.concatenate([index, np.arange(len(asic), dtype=np.uint32)]),
        }
        for name in ("wrptr", "rddata"):
            columns[name] = _joined(parts[name][name].astype(np.uint32)[la], len(asic), front=True)
        sampled = parts["rdptr_asic"]["rdptr"][: len(asic)] if len(asic) else np.zeros(0, np.uint32)
        columns["rdptr"] = np.concatenate([parts["rdptr"]["rdptr"][la], sampled]).astype(np.uint32)
        columns["data"] = _joined(data, len(asic), front=True)
        for i in range(WORDS):
            columns[f"w{i}"] = _joined(asic[f"w{i}"].astype(np.uint32), len(data), front=False)
        found = spans(_offset(parts, "rd_data"), 4, len(data))
        if len(asic):
            found = np.concatenate([found, spans(_offset(parts, "rddata_asic"), 4 * WORDS, len(asic))])
        return Table(self.schema, columns, {"note": _NOTE} if len(asic) else {}, found)

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many analysers moved, and the samples of the debug port."""
        data = parts["rd_data"]["data"]
        whole = data[: len(data) // READS * READS].reshape(-1, READS)
        moving = int(np.count_nonzero((whole != whole[:, :1]).any(axis=1))) if len(whole) else 0
        text = f"{plural(-(-len(data) // READS), 'analyser')}, data of {moving} changing"
        asic = len(parts.get("rddata_asic", ()))
        return f"{text}; {plural(asic, 'ASIC sample')}" if asic else text


def _offset(parts: Parts, name: str) -> int:
    """Return where a part begins in the payload."""
    return sum(parts[before].nbytes for before in takewhile(lambda n: n != name, parts))


def _joined(values: Array, missing: int, *, front: bool) -> Array:
    """Return the values with so many missing ones behind (``front``) or before them."""
    gap = np.zeros(missing, values.dtype)
    mask = np.zeros(len(values) + missing, bool)
    if front:
        mask[len(values) :] = True
        return np.ma.array(np.concatenate([values, gap]), mask=mask)
    mask[:missing] = True
    return np.ma.array(np.concatenate([gap, values]), mask=mask)


DECODERS = (UlptxLa(),)
