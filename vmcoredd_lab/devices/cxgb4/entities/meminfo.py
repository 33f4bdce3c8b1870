"""MEMINFO, entity 44: the adapter's memories, the regions in them, and how many pages are in use.

struct cudbg_meminfo, drivers/net/ethernet/chelsio/cxgb4/cudbg_entity.h; cudbg_fill_meminfo(), cudbg_lib.c. In the payload the
limit of a memory is one past its last byte and that of a region is its last byte; here every limit is the last byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, bits
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import human_size, plural

__all__ = ["DECODERS", "MemInfo", "Range", "memories", "regions"]

VERSION_SIGNATURE = 0xCCEDB001
MASK = 0xFFFFFFFF  # the driver counts addresses in 32 bits
MIB = 1 << 20
MEMORIES = ("EDC0", "EDC1", "MC", "MC0", "MC1", "HMA")
# cudbg_region[], cudbg_lib.h, without the colons
REGIONS = (
    "DBQ contexts", "IMSG contexts", "FLM cache", "TCBs", "Pstructs", "Timers", "Rx FL", "Tx FL", "Pstruct FL", "Tx payload",
    "Rx payload", "LE hash", "iSCSI region", "TDDP region", "TPT region", "STAG region", "RQ region", "RQUDP region",
    "PBL region", "TXPBL region", "DBVFIFO region", "ULPRX state", "ULPTX state", "On-chip queues",
)  # fmt: skip
DBVFIFO = REGIONS.index("DBVFIFO region")
ULP = range(REGIONS.index("iSCSI region"), REGIONS.index("TXPBL region") + 1)  # lower and upper limit are registers
MA_EXT_MEMORY_BAR = 0x77C8
ALL_ONES_BAR = (0xFFF << 20, 0xFFF << 20)  # base and size that a register of all ones means

NO_ANSWER = "the register reads as all ones: the adapter did not answer"
HIDDEN = "the driver hides it by mistake (idx 24); the unit of its base is not documented, so its place is not sure"
OVERRUN = (
    "The counts of descriptors are not possible. Where every memory reads as enabled the driver writes past the end of its "
    "table; some entries are then of no use."
)


@dataclass(frozen=True)
class Range:
    """A memory or a region: its first address, its size in bytes, and its place in the payload's array.

    ``limit`` is its last address as the driver counts, in 32 bits: below ``base`` where it is empty. ``placed`` is false where
    base and size do not say what lies at those addresses.
    """

    name: str
    base: int
    limit: int
    size: int
    idx: int
    slot: int
    note: str | None = None
    placed: bool = True

    @property
    def end(self) -> int:
        """One past the last address."""
        return self.base + self.size

    def within(self, other: Range) -> tuple[int, int] | None:
        """Return first address and end of what lies in ``other``; None where nothing does."""
        start, end = max(self.base, other.base), min(self.end, other.end)
        return (start, end) if start < end else None


def memories(parts: Parts, context: Context) -> list[Range]:
    """Return the populated memories, by base; none where the payload holds none."""
    return [_memory(slot, *entry, context) for slot, entry in enumerate(_entries(parts, "avail"))]


def _memory(slot: int, base: int, limit: int, idx: int, context: Context) -> Range:
    size, note = (limit - base) & MASK, None
    if (base, size) == ALL_ONES_BAR:
        note = NO_ANSWER
    elif context.unified_wire and context.chip == "T6" and MEMORIES[idx : idx + 1] == ("MC",):
        # its cudbg library reads MC's base and size from the register of the memory behind it
        registers = context.registers()
        bar = registers.value(MA_EXT_MEMORY_BAR) if registers is not None else None
        if bar is None:
            note = "of T6, the Unified Wire reads another memory's register here: base and size are not MC's"
        else:
            base, size = int(bits(bar, 27, 16)) * MIB, int(bits(bar, 11, 0)) * MIB
            note = "from register 0x77c8: of T6, the Unified Wire reads another memory's register here"
    name = MEMORIES[idx] if idx < len(MEMORIES) else f"memory {idx}"
    return Range(name, base, (base + size - 1) & MASK, size, idx, slot, note, size > 0 and note != NO_ANSWER)


def regions(parts: Parts) -> list[Range]:
    """Return the regions, by base; entries that the driver hides are left out, but for DBVFIFO.

    A stored limit of 0 means that the region ends where the next entry begins, hidden entries included.
    """
    entries = list(_entries(parts, "mem"))
    following = dict(pairwise(sorted({base for base, _, _ in entries})))
    return [
        _region(slot, base, limit, idx, following.get(base, MASK + 1))
        for slot, (base, limit, idx) in enumerate(entries)
        if idx < len(REGIONS) or limit
    ]


def _region(slot: int, base: int, limit: int, idx: int, following: int) -> Range:
    last = limit or following - 1
    size, note = last - base + 1, None
    if idx >= len(REGIONS):
        idx, note = DBVFIFO, HIDDEN
    elif base == MASK:
        note = NO_ANSWER
    elif idx in ULP and not base and not limit:
        size, note = 0, "not configured: both its registers are 0"
    elif limit and limit == (base - 1) & MASK:
        size, note = 0, "empty"
    elif size < 0:
        note = "its limit lies below its base"
    return Range(REGIONS[idx], base, last, max(0, size), idx, slot, note, note is None)


def _entries(parts: Parts, member: str) -> Iterator[tuple[int, int, int]]:
    """Yield (base, limit, idx) of the entries in use of ``avail`` or ``mem``, as stored."""
    for info in parts["meminfo"]:
        descriptors = info[member]
        for one in descriptors[: min(int(info[f"{member}_c"]), len(descriptors))]:
            yield int(one["base"]), int(one["limit"]), int(one["idx"])


class MemInfo(EntityDecoder):
    """One structure, behind a version header where the driver writes one."""

    names = ("meminfo",)
    title = "memories, their regions, and page counts"
    versions = (1,)
    schema = Schema(
        "meminfo",
        "Memories and regions of the adapter by address, ranges of its processor, and page counts (cudbg_fill_meminfo(), "
        "cudbg_lib.c).",
        (
            Column("kind", "category", "memory, region (of a memory), processor (a range of the firmware's processor), counter"),
            Column("name", "text", "as cudbg and debugfs name it"),
            Column("base", "u64", "first address, in the adapter's memory; of a processor's range, in the processor's", "hex"),
            Column("limit", "u64", "last address: inclusive for memories and regions alike; missing where empty", "hex"),
            Column("size", "u64", "bytes", "size", rank=1),
            Column("memory", "category", "the memory that base lies in; missing where there is none", rank=2),
            Column("value", "u64", "of a counter: its value; pages unless the name says otherwise"),
            Column("idx", "u32", "of memories and regions: their index in the driver's list of names", rank=4),
            Column("note", "text", "what limits the row's meaning; missing where nothing does", rank=3),
        ),
    )  # fmt: skip

    def knows(self, revision: int, size: int) -> bool:
        """Return True for the structure of Linux 6.1: drivers for T7 write a larger one under the same revision."""
        return revision in self.versions and size == declared("cudbg_meminfo").size()

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the structure, behind its version header where there is one."""
        if len(data) >= 4 and int.from_bytes(data[:4], context.byteorder) != VERSION_SIGNATURE:
            older = context.unified_wire or len(data) < declared("cudbg_meminfo").size()
            body = declared("struct_meminfo", "unified_wire") if older else declared("cudbg_meminfo")
            return Layout((Part("meminfo", body),))
        return Layout((Part("ver_hdr", declared("cudbg_ver_hdr")), Part("meminfo", declared("cudbg_meminfo"))))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return memories, regions, the processor's ranges and counters, in this order."""
        found = memories(parts, context)
        rows = [("memory", *_row(one, found)) for one in found]
        rows += [("region", *_row(one, found)) for one in regions(parts)]
        places = [_span(parts, "avail", one.slot) for one in found]
        places += [_span(parts, "mem", one.slot) for one in regions(parts)]
        for info in parts["meminfo"]:
            for name, low, high in (
                ("uP RAM", "up_ram_lo", "up_ram_hi"),
                ("uP Extmem2", "up_extmem2_lo", "up_extmem2_hi"),
            ):
                first, last = int(info[low]), int(info[high])
                rows.append(
                    ("processor", name, first, last if last >= first else None, max(0, last - first + 1), *[None] * 4)
                )
                places.append((_span(parts, low)[0], _span(parts, high)[1]))
            for name, member, index, value in _counters(info, context):
                rows.append(("counter", name, *[None] * 4, value, None, None))
                places.append(_span(parts, member, index))
        table = Table.from_rows(self.schema, rows)
        table.spans = np.array(places, np.int64).reshape(-1, 2)
        if _overrun(parts):
            table.attrs["note"] = OVERRUN
        return table

    def summary(self, parts: Parts, context: Context) -> str:
        """Return the memories with their sizes, and how many regions there are."""
        found = memories(parts, context)
        if not found:
            return "no memories"
        if any(one.note == NO_ANSWER for one in found):
            return "all ones: the adapter did not answer"
        sizes = ", ".join(f"{one.name} {human_size(one.size)}" for one in found)
        return f"{sizes}; {plural(sum(one.size > 0 for one in regions(parts)), 'region')}"


def _row(one: Range, found: list[Range]) -> tuple[Any, ...]:
    memory = next((m.name for m in found if m.placed and m.base <= one.base < m.end), None) if one.placed else None
    return one.name, one.base, one.end - 1 if one.size else None, one.size, memory, None, one.idx, one.note


def _counters(info: Any, context: Context) -> Iterator[tuple[str, str, int, int | None]]:
    """Yield name, member, index and value of every counter that the structure has."""
    for direction in ("rx", "tx"):
        member, shown = f"{direction}_pages_data", direction.capitalize()
        data = [int(v) for v in info[member]]
        # Rx: in KiB. Tx: a number and the letter of its unit, so the count of channels stands one further on
        shift = 10 if direction == "rx" else {ord("K"): 10, ord("M"): 20}.get(data[2])
        yield f"{shown} pages", member, 0, data[0]
        if f"free_{direction}_cnt" in info.dtype.names:
            yield f"{shown} pages free", f"free_{direction}_cnt", 0, int(info[f"free_{direction}_cnt"])
        yield f"{shown} page size, bytes", member, 1, None if shift is None else data[1] << shift
        yield f"{shown} channels", member, len(data) - 1, data[-1]
    yield "Pstructs, count", "p_structs", 0, int(info["p_structs"])
    if "p_structs_free_cnt" in info.dtype.names:
        yield "Pstructs free, count", "p_structs_free_cnt", 0, int(info["p_structs_free_cnt"])
    # T6 has two channels, and the Linux driver fills in as many
    loopbacks = 2 if context.chip == "T6" and not context.unified_wire else 4
    for what, label, count in (("port", "Port", 4), ("loopback", "Loopback", loopbacks)):
        for i in range(count):
            yield f"{label} {i} pages used", f"{what}_used", i, int(info[f"{what}_used"][i])
            yield f"{label} {i} pages allocated", f"{what}_alloc", i, int(info[f"{what}_alloc"][i])


def _span(parts: Parts, member: str, index: int = 0) -> tuple[int, int]:
    """Return the bytes of a member, or of one element of an array, in the entity."""
    first = parts["ver_hdr"].nbytes if "ver_hdr" in parts else 0
    fields = parts["meminfo"].dtype.fields
    assert fields is not None
    dtype, offset = fields[member][:2]
    size = dtype.base.itemsize
    return first + offset + index * size, first + offset + (index + 1) * size


def _overrun(parts: Parts) -> bool:
    return any(int(i["avail_c"]) > len(i["avail"]) or int(i["mem_c"]) > len(i["mem"]) for i in parts["meminfo"])


DECODERS = (MemInfo(),)
