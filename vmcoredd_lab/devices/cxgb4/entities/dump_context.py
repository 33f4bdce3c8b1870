"""DUMP_CONTEXT, entity 56: the SGE's contexts of egress queues, ingress queues, free lists and congestion managers.

cudbg_collect_dump_context(), drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c: struct cudbg_ch_cntxt, only valid contexts,
egress by id first, then ingress, then each free list with its congestion manager. The buffer is longer; the driver has left
what it read last (an unused free list) behind the last record, with type and id 0. Fields: sge_contexts.csv.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, spans
from vmcoredd_lab.devices.cxgb4.entities.driver_state import firmware_attached
from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.enumerations import named, parse_names
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Column, Schema, Table

__all__ = ["DECODERS", "KINDS", "DumpContext", "contexts_table", "used"]

Array = np.ndarray[Any, Any]

KINDS = {"egress": 0, "ingress": 1, "freelist": 2, "congestion": 3}  # enum ctxt_type, t4_hw.h
_CHIPS = {"T4": "T5", "T5": "T5", "T6": "T6", "T7": "T7"}  # whose fields are taken; of a T7 none are known
_NAMES = {number: name for name, number in KINDS.items()}
_VALID = ((0, 5, 16), (1, 4, 13), (2, 2, 25))  # type, word, bit: cudbg_sge_ctxt_check_valid()
_REGIONS = {"egress": 0, "ingress": 1}  # "DBQ contexts:" and "IMSG contexts:" in cudbg_region[]
WORDS = 6
_WORD_COLUMNS = tuple(
    Column(f"w{i}", "u32", f"bits {32 * i + 31}..{32 * i} of the context", "hex") for i in range(WORDS)
)


@dataclass(frozen=True)
class Field:
    """A field of a context: where it is, and how its value is made (``1 << raw`` where ``log2``, then shifted)."""

    name: str
    lsb: int
    nbits: int
    shift: int
    log2: bool
    names: dict[int, str]
    doc: str

    def column(self) -> Column:
        """Return the field as a column."""
        wide = self.nbits + self.shift > 32
        place = f"bits {self.lsb + self.nbits - 1}..{self.lsb}" if self.nbits > 1 else f"bit {self.lsb}"
        return Column(
            self.name, "u64" if wide else "u32", "; ".join(filter(None, (self.doc, place))), "hex" if wide else ""
        )

    def value(self, words: Array) -> Array:
        """Return the value in each row of a matrix of u64 words."""
        raw = np.zeros(len(words), np.uint64)
        for word in range(self.lsb // 32, (self.lsb + self.nbits - 1) // 32 + 1):
            move = 32 * word - self.lsb
            raw |= words[:, word] << np.uint64(move) if move >= 0 else words[:, word] >> np.uint64(-move)
        raw &= np.uint64((1 << self.nbits) - 1)
        value = (np.uint64(1) << raw if self.log2 else raw) << np.uint64(self.shift)
        return value if self.nbits + self.shift > 32 else value.astype(np.uint32)


@cache
def _fields(kind: str, chip: str) -> tuple[Field, ...]:
    return tuple(
        Field(
            r["field"],
            int(r["lsb"]),
            int(r["nbits"]),
            int(r["shift"]),
            r["log2"] == "1",
            parse_names(r["names"]),
            r["doc"],
        )
        for r in read_table("sge_contexts.csv")
        if r["kind"] == kind and chip in r["chips"].split()
    )


@cache
def _schema(kind: str, chip: str) -> Schema:
    columns = [Column("id", "u32", "number of the context")]
    for field in _fields(kind, chip):
        columns.append(field.column())
        if field.names:
            columns.append(Column(f"{field.name}_name", "category", f"what {field.name} says"))
    words = (Column(c.name, c.kind, c.doc, c.form, rank=9) for c in _WORD_COLUMNS)
    return Schema(f"contexts_{kind}", f"SGE {kind} contexts of {chip} by field.", (*columns, *words))


class DumpContext(EntityDecoder):
    """struct cudbg_ch_cntxt, as many as there is room for."""

    names = ("dump_context",)
    title = "SGE queue contexts"
    schema = Schema(
        "dump_context",
        "SGE contexts as words (struct cudbg_ch_cntxt, cudbg_entity.h); nic.contexts(type) has the fields.",
        (
            Column("type", "category", "egress, ingress, freelist (FLM) or congestion (CNM)"),
            Column("id", "u32", "number of the context; a congestion context has that of its free list"),
            *_WORD_COLUMNS,
            Column("cntxt_type", "u32", "the type as a number (enum ctxt_type)", rank=1),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return one part of records, used or not."""
        return Layout((Part("contexts", declared("cudbg_ch_cntxt", _family(context)), None),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per context, in the order of collection."""
        rows = used(parts)
        records = parts["contexts"][rows]
        columns: dict[str, Any] = {
            "type": named(records["cntxt_type"], _NAMES),
            "id": records["cntxt_id"].astype(np.uint32),
            **{f"w{i}": records["data"][:, i].astype(np.uint32) for i in range(WORDS)},
            "cntxt_type": records["cntxt_type"].astype(np.uint32),
        }
        return Table(self.schema, columns, _attrs(context), _where(parts, rows))

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many contexts there are of each type."""
        types = parts["contexts"]["cntxt_type"][used(parts)]
        counts = [f"{np.count_nonzero(types == number)} {name}" for name, number in KINDS.items()]
        return f"contexts: {', '.join(counts)}" if len(types) else "no context in use"


def contexts_table(parts: Parts, context: Context, kind: str) -> Table:
    """Return the contexts of one type with every field as a column, under names of the SGE's documentation.

    Addresses and sizes are in bytes, indexes in entries. Of T4 the fields of T5 are taken.

    Raises
    ------
    ValueError: ``kind`` is none of :data:`KINDS`.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!a} is no type of context: {', '.join(KINDS)}")
    chip = _CHIPS.get(context.chip, "T6")
    rows = used(parts)
    rows = rows[parts["contexts"]["cntxt_type"][rows] == KINDS[kind]]
    records = parts["contexts"][rows]
    words = records["data"].astype(np.uint64)
    columns: dict[str, Any] = {"id": records["cntxt_id"].astype(np.uint32)}
    for field in _fields(kind, chip):
        columns[field.name] = field.value(words)
        if field.names:
            columns[f"{field.name}_name"] = named(columns[field.name], field.names)
    columns |= {f"w{i}": words[:, i].astype(np.uint32) for i in range(WORDS)}
    attrs = _attrs(context)
    if chip != context.chip:
        borrowed = f"The fields are those of {chip}: {context.chip}'s own are not known."
        attrs["note"] = " ".join(filter(None, (attrs.get("note"), borrowed)))
    return Table(_schema(kind, chip), columns, attrs, _where(parts, rows))


def used(parts: Parts) -> Array:
    """Return which records hold a context, in order: those with the valid bit of their type.

    What the driver left behind the last one has type and id 0. Ids rise and egress contexts come first, so that only the
    first record can be egress context 0.
    """
    records = parts["contexts"]
    if "header" in parts:  # of revision 1 (t7.py), which counts them and stores no others
        return np.arange(len(records))
    kind, data = records["cntxt_type"], records["data"]
    valid: Array = kind == KINDS["congestion"]
    for number, word, bit in _VALID:
        valid |= (kind == number) & (data[:, word] >> np.uint32(bit) & np.uint32(1) != 0)
    valid[1:] &= (kind[1:] != 0) | (records["cntxt_id"][1:] != 0)
    return np.flatnonzero(valid)


def _where(parts: Parts, rows: Array) -> Array:
    """Return the byte ranges of records; a header may lead."""
    names = list(parts)
    first = sum(parts[name].nbytes for name in names[: names.index("contexts")])
    where: Array = spans(first, parts["contexts"].dtype.itemsize, len(parts["contexts"]))[rows]
    return where


def _family(context: Context) -> str:
    return "unified_wire" if context.unified_wire else "linux"


def _attrs(context: Context) -> dict[str, Any]:
    """Return what a reader must know: how contexts were read depends on the firmware being there."""
    attached = firmware_attached(context)
    if attached is None or context.unified_wire:
        return {}
    if not attached:
        return {"note": "Read without the firmware: only ids 0 to 255 of egress and ingress contexts were looked at."}
    missing = [name for name, region in _REGIONS.items() if _missing(context, region)]
    if not missing:
        return {}
    # t4_sge_ctxt_rd() in t4_hw.c knows two address spaces only
    return {"note": f"Memory holds no region of {' and '.join(missing)} contexts: the driver then asked the firmware, but for "
            "congestion contexts, so that the words are not to be believed."}  # fmt: skip


def _missing(context: Context, region: int) -> bool:
    """Return True where MEMINFO has no memory that holds the region (cudbg_get_mem_region())."""
    parts = context.other("meminfo") or {}
    info = next((p for p in parts.values() if {"avail", "mem"} <= set(p.dtype.names or ()) and len(p)), None)
    if info is None:
        return False
    avail, regions = info["avail"][0], info["mem"][0]
    avail, regions = avail[: int(info["avail_c"][0])], regions[: int(info["mem_c"][0])]
    bases = regions["base"][regions["idx"] == region]
    return not any(((avail["base"] <= base) & (base < avail["limit"])).any() for base in bases[:1])


DECODERS = (DumpContext(),)
