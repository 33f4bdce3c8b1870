"""CIM_LA, entity 3: what the logic analyser of the adapter's embedded processor (the uP of the CIM) captured, oldest first.

t4_cim_read_la(), drivers/net/ethernet/chelsio/cxgb4/t4_hw.c: register UP_UP_DBG_LA_CFG, then 2,048 words. A row is 8 words on
T4 and T5 and 10 on T6; where the analyser captured program counters only, a row holds three samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, bits, spans
from vmcoredd_lab.devices.cxgb4.entities.word_rows import decoded, fields, word_columns, word_values, words_of
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "SAMPLES", "CimLa"]

WORDS_READ = 2048  # CIMLA_SIZE, t4_hw.h
CAPTURE_PC_ONLY, ENABLED = 1 << 30, 1 << 0  # UPDBGLACAPTPCONLY, UPDBGLAEN, t4_regs.h

_INCOMPLETE = "The last row is left out: the driver reads 2,048 words, which are 204 rows of ten and eight words more."
_ORDER = "Each row holds three samples; which of them came first is not known."
_UNIFIED_WIRE = "The newest rows are missing: the Unified Wire leaves room for 8 words where a row of T6 has 10."


def _sample(name: str, number: str) -> Column:
    about = {
        "status": "status of the processor",
        "inst": "instruction word; T6 only",
        "data": "data word",
        "pc": "program counter",
    }
    of = f", sample {number} of three (program counters only)" if number else ""
    return Column(f"{name}{number}", "u32", f"{about[name]}{of}", "hex")


_SAMPLE = ("status", "inst", "data", "pc")

SAMPLES = Schema(
    "cim_la_samples",
    "The same capture, one sample a row: one of each row, or three where the analyser captured program counters only.",
    (
        Column("row", "u32", "row of the capture, oldest first"),
        Column("sample", "u32", "0, 1 or 2 within the row, in the order in which cim_la of debugfs prints them"),
        *(_sample(name, "") for name in _SAMPLE),
    ),
)


class CimLa(EntityDecoder):
    """Rows of words with what they say; which columns there are depends on chip and capture mode."""

    names = ("cim_la",)
    title = "logic analyser of the embedded processor"
    schema = Schema(
        "cim_la",
        "Captured rows, oldest first (t4_cim_read_la(), t4_hw.c; columns as cim_la of debugfs names them). T4 and T5 have w0 to "
        "w7. status, inst, data, pc and ls... are there where whole cycles were captured, status0 to pc2 where only "
        "program counters were.",
        (
            *word_columns(10, rank=9),
            *(_sample(name, "") for name in _SAMPLE),
            Column("ls0_stat", "u32", "status of load/store port 0", "hex", 2),
            Column("ls0_addr", "u32", "address of load/store port 0", "hex", 2),
            Column(
                "ls0_data", "text", "data of load/store port 0, hexadecimal: 128 bits on T4 and T5, 32 on T6", rank=2
            ),
            Column("ls1_stat", "u32", "status of load/store port 1; T6 only", "hex", 3),
            Column("ls1_addr", "u32", "address of load/store port 1; T6 only", "hex", 3),
            Column("ls1_data", "text", "data of load/store port 1, hexadecimal, 32 bits; T6 only", rank=3),
            *(_sample(name, number) for number in "012" for name in _SAMPLE),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the configuration register, the rows captured whole, and the words of one that is not."""
        width = _width(context)
        return Layout(
            (
                Part("config", words(1, "u4", "config")),
                Part("rows", words(width), WORDS_READ // width),
                Part("incomplete", words(1, "u4", "word"), width),
            )
        )

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per row captured whole; attrs have what the configuration register says."""
        config, rows, mode = _config(parts), words_of(parts["rows"]), _mode(parts, context)
        width = rows.shape[1]
        schema = self._schema(mode, width)
        columns = word_values([rows], width) | decoded(schema.columns[width:], [(mode, rows)])
        attrs: dict[str, Any] = {
            "config": config,
            "pc_only": bool(config & CAPTURE_PC_ONLY),
            "enabled": bool(config & ENABLED),
            "wrptr": bits(config, 27, 16),
            "rdptr": bits(config, 13, 2),
        }
        notes = _notes(parts, context)
        if notes:
            attrs["note"] = " ".join(notes)
        return Table(schema, columns, attrs, spans(4, 4 * width, len(rows)))

    def _schema(self, mode: str, width: int) -> Schema:
        names = {*(f"w{i}" for i in range(width)), *fields(mode)}
        return Schema(self.schema.name, self.schema.doc, tuple(c for c in self.schema.columns if c.name in names))

    def samples(self, parts: Parts, context: Context) -> Table:
        """Return the capture under :data:`SAMPLES`: the same columns whatever chip and mode."""
        rows, mode = words_of(parts["rows"]), _mode(parts, context)
        numbers = ("0", "1", "2") if mode.endswith("_pc") else ("",)
        count = len(numbers)
        columns: dict[str, Any] = {
            "row": np.repeat(np.arange(len(rows), dtype=np.uint32), count),
            "sample": np.tile(np.arange(count, dtype=np.uint32), len(rows)),
        }
        for name in _SAMPLE:
            one = decoded([_sample(name, n) for n in numbers], [(mode, rows)])
            columns[name] = np.ma.column_stack(list(one.values())).reshape(-1)
        return Table(SAMPLES, columns, spans=np.repeat(spans(4, 4 * rows.shape[1], len(rows)), count, axis=0))

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many rows, how they were captured, and the last program counter."""
        rows, mode = words_of(parts["rows"]), _mode(parts, context)
        only = ", program counters only" if mode.endswith("_pc") else ""
        stopped = len(parts["config"]) and not _config(parts) & ENABLED
        line = f"{plural(len(rows), 'row')}{only}"
        if not only and len(rows):
            pc = decoded([_sample("pc", "")], [(mode, rows[-1:])])["pc"][0]
            line += f", last program counter {int(pc):#010x}"
        return line + ("; the analyser was stopped" if stopped else "")


def _width(context: Context) -> int:
    return 8 if context.chip in ("T4", "T5") else 10


def _config(parts: Parts) -> int:
    config = parts["config"]["config"]
    return int(config[0]) if len(config) else 0


def _mode(parts: Parts, context: Context) -> str:
    return f"cim_la_{_width(context)}" + ("_pc" if _config(parts) & CAPTURE_PC_ONLY else "")


def _notes(parts: Parts, context: Context) -> list[str]:
    found = []
    if _width(context) == 10 and len(parts["incomplete"]):
        if len(parts["rows"]) == WORDS_READ // 10:
            found.append(_INCOMPLETE)
        elif context.unified_wire:
            found.append(_UNIFIED_WIRE)
    if _config(parts) & CAPTURE_PC_ONLY:
        found.append(_ORDER)
    return found


DECODERS = (CimLa(),)
