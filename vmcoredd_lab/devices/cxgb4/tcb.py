"""TCBs, the adapter's records of connections and filters, out of the image of the memory they are in.

TCB_SIZE, drivers/net/ethernet/chelsio/cxgb4/t4_hw.h; names, words and bits in the data file tcb_fields.csv as t4_tcb.h has
them, counted in 32-bit words from the lowest. In memory each 16 bytes are one big-endian number: the highest of their four words
comes first. get_filter_count() (cxgb4_filter.c) reads its counters from there so; Chelsio's cxgbetool for FreeBSD
(swizzle_tcb()) shows that it holds for the whole TCB.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.tables import Codes, Column, Schema, Table

if TYPE_CHECKING:
    from vmcoredd_lab.devices.cxgb4.memory_map import MemoryMap

__all__ = ["STATES", "TCB_SIZE", "tcbs", "tcbs_schema"]

Array = np.ndarray[Any, Any]
TCB_SIZE, WORDS = 128, 32
REGION = "TCBs"
STATES = (
    "CLOSED", "LISTEN", "SYN_SENT", "SYN_RCVD", "ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_1", "CLOSING", "LAST_ACK", "FIN_WAIT_2",
    "TIME_WAIT", "ESTABLISHED_RX", "ESTABLISHED_TX", "SYN_PEND", "ESC_1", "ESC_2",
)  # fmt: skip


@cache
def _fields() -> tuple[tuple[str, int, int, str], ...]:
    """Return (name, lowest bit in the TCB, width, meaning) of every field."""
    rows = read_table("tcb_fields.csv")
    return tuple((r["name"], 32 * int(r["word"]) + int(r["shift"]), int(r["width"]), r["meaning"]) for r in rows)


@cache
def tcbs_schema() -> Schema:
    """Return the columns of :func:`tcbs`."""
    columns = [
        Column("tid", "u32", "the connection's or filter's id: the TCB's place in its region"),
        Column("address", "u64", "in the adapter's memory", "hex", rank=1),
        Column("state", "category", "t_state as text; of a filter it says nothing"),
    ]
    for name, _, width, meaning in _fields():
        kind = "bool" if width == 1 else "u32" if width <= WORDS else "u64"
        rank = 3 if width == 1 else 2
        columns.append(Column(name, kind, f"{meaning} (t4_tcb.h)", "" if width == 1 else "hex", rank))
    return Schema(
        "tcbs",
        "TCBs by tid, as many as fit their region: those never used, and space behind the last, among them (t4_tcb.h).",
        tuple(columns),
    )


def tcbs(memory: MemoryMap) -> Table:
    """Return the TCBs whose bytes the dump holds, by tid; ``attrs["entities"]`` names the images they are in.

    Raises
    ------
    NotInFileError: MEMINFO does not say where they are, or the memory they are in was not collected.
    """
    region = memory.region(REGION)
    tids, content = [], []
    entities: dict[str, None] = {}
    for address, entity, data in memory.runs(region.base, region.end):
        first = -(-(address - region.base) // TCB_SIZE)
        skipped = region.base + first * TCB_SIZE - address
        count = max(0, len(data) - skipped) // TCB_SIZE
        tids.append(np.arange(first, first + count, dtype=np.uint32))
        content.append(np.frombuffer(data, ">u4", count * WORDS, skipped).reshape(count, WORDS) if count else _NONE)
        entities[entity] = None
    if not tids:
        memory.read(region.base, max(1, region.size))  # says why they are not there
    return _table(np.concatenate(tids), np.concatenate(content), region.base, list(entities))


_NONE = np.zeros((0, WORDS), ">u4")


def _table(tids: Array, memory_words: Array, base: int, entities: list[str]) -> Table:
    groups = memory_words.astype(np.uint64).reshape(-1, WORDS // 4, 4)
    words = np.ascontiguousarray(groups[:, :, ::-1].reshape(-1, WORDS).T)  # words[n]: word n of every TCB
    columns: dict[str, Any] = {
        "tid": tids,
        "address": tids.astype(np.uint64) * np.uint64(TCB_SIZE) + np.uint64(base),
        "state": None,
    }
    for name, lowest, width, _ in _fields():
        value = _bits(words, lowest, width)
        columns[name] = value.astype(bool if width == 1 else np.uint32) if width <= WORDS else value
    columns["state"] = Codes(columns["t_state"].astype(np.int32), STATES)
    return Table(tcbs_schema(), columns, {"entities": entities})


def _bits(words: Array, lowest: int, width: int) -> Array:
    """Return up to 64 bits of every TCB, from bit ``lowest`` of its 1024."""
    value = np.zeros(words.shape[1], np.uint64)
    for n in range(lowest // 32, (lowest + width - 1) // 32 + 1):
        shift = 32 * n - lowest
        value |= words[n] << np.uint64(shift) if shift >= 0 else words[n] >> np.uint64(-shift)
    return value & np.uint64((1 << width) - 1)
