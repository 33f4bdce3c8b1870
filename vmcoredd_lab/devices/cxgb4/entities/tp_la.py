"""TP_LA, entity 43: the last 128 states of the transport processor's pipeline.

t4_tp_read_la(), drivers/net/ethernet/chelsio/cxgb4/t4_hw.c; tp_la_show(), tp_la_show2(), tp_la_show3(), cxgb4_debugfs.c.
The capture mode decides how a sample is read; field names and bits are in data/tp_la_fields.csv.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared, words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, bits, spans
from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Codes, Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "TpLa"]

SAMPLES = 128  # TPLA_SIZE, cxgb4.h
TABLES = ("tp_la0", "tp_la1", "tp_la2")
TUNNEL_PACKET = 17  # bit of the first sample of a pair
SINGLE, PAIRS, PAIRS_OF_TWO_KINDS = (0, 1), 2, 3  # DbgLaMode of TP_DBG_LA_CONFIG
ALL_ONES = np.uint64(0xFFFFFFFFFFFFFFFF)

Array = np.ndarray[Any, Any]


@cache
def _fields() -> dict[str, dict[int, tuple[int, int]]]:
    """Return, by field name, in which of the tables it is and there its highest and lowest bit."""
    found: dict[str, dict[int, tuple[int, int]]] = {}
    for row in read_table("tp_la_fields.csv"):
        low = int(row["lsb"])
        found.setdefault(row["field"], {})[TABLES.index(row["table"])] = (low + int(row["nbits"]) - 1, low)
    return found


def _doc(places: dict[int, tuple[int, int]]) -> str:
    texts = [f"{TABLES[t]} {high}:{low}" if high > low else f"{TABLES[t]} {low}" for t, (high, low) in places.items()]
    return f"bits: {', '.join(texts)}"


class TpLa(EntityDecoder):
    """struct cudbg_tp_la: u32 size (not set), u32 mode, then u64 samples, oldest first."""

    names = ("tp_la",)
    title = "TP logic analyser"
    schema = Schema(
        "tp_la",
        "TP logic analyser, oldest sample first (struct cudbg_tp_la, cudbg_entity.h); attrs: mode. Fields that the table "
        "of a sample does not have are missing.",
        (
            Column("sample", "u32", "0 is the oldest; in modes 2 and 3 an even one and the next belong together"),
            Column("raw", "u64", "the sample", "hex"),
            Column(
                "fields", "category", "the table its fields are in: tp_la0, tp_la1, tp_la2; missing where not complete"
            ),
            *(
                Column(name, "u32", _doc(places), rank=1 + i // 12)
                for i, (name, places) in enumerate(_fields().items())
            ),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the header and the samples."""
        return Layout((Part("header", declared("cudbg_tp_la")), Part("samples", words(1, "u8", "raw"), SAMPLES)))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per sample."""
        raw = parts["samples"]["raw"].astype(np.uint64)
        mode = _mode(parts)
        which, note = _tables(raw, mode)
        columns: dict[str, Any] = {
            "sample": np.arange(len(raw), dtype=np.uint32),
            "raw": raw,
            "fields": Codes(which, TABLES),
        }
        rows = [which == t for t in range(len(TABLES))]
        absent = np.ma.array(np.zeros(len(raw), np.uint32), mask=True)
        for name, places in _fields().items():
            columns[name] = absent
            if any(rows[t].any() for t in places):
                values, mask = np.zeros(len(raw), np.uint32), np.ones(len(raw), bool)
                for t, (high, low) in places.items():
                    values[rows[t]] = bits(raw[rows[t]], high, low)
                    mask &= ~rows[t]
                columns[name] = np.ma.array(values, mask=mask)
        attrs = {"mode": mode} | ({"note": note} if note else {})
        return Table(self.schema, columns, attrs, spans(parts["header"].nbytes, 8, len(raw)))

    def summary(self, parts: Parts, context: Context) -> str:
        """Return the samples and the mode."""
        raw, mode = parts["samples"]["raw"], _mode(parts)
        used = int(np.count_nonzero(raw))
        return f"{plural(len(raw), 'sample')}, {used} not zero" + (f", mode {mode}" if mode is not None else "")


def _mode(parts: Parts) -> int | None:
    return int(parts["header"]["mode"][0]) if len(parts["header"]) else None


def _tables(raw: Array, mode: int | None) -> tuple[Array, str]:
    """Return which table each sample's fields are in (-1: none), and what a reader must know."""
    which = np.zeros(len(raw), np.int8)
    if mode in SINGLE:
        return which, ""
    if mode not in (PAIRS, PAIRS_OF_TWO_KINDS):
        return which - 1, f"mode {mode} is none of the hardware's (0 to 3): the samples are not decoded."
    if mode == PAIRS_OF_TWO_KINDS:
        tunnel = bits(raw[0 : len(raw) // 2 * 2 : 2], TUNNEL_PACKET, TUNNEL_PACKET)
        which[1::2] = np.where(tunnel, 2, 1)
    if len(raw) == SAMPLES and raw[-1] == ALL_ONES:
        which[-1] = -1
        return which, "the capture of the last sample was not complete: it is not decoded."
    return which, ""


DECODERS = (TpLa(),)
