"""The lockless ring of records, since 5.10 (kernel/printk/printk_ringbuffer.c).

Descriptors, and beside them the records' numbers (printk_info), are found by id: the lowest bits are the place. A descriptor
whose state_var has another id does not belong to the record. The text is a block of the data ring, which is named by its
logical position (lpos): the place is its lowest bits, the others count how often the ring was gone round. A block begins
with the id of its descriptor; one that would run over the ring's end is put at its start instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vmcoredd_lab.kernel import printk_structs as structs
from vmcoredd_lab.kernel.layout import Layouts
from vmcoredd_lab.kernel.printk_records import (
    COMMITTED,
    DAMAGED,
    FINALIZED,
    LOST,
    OVERWRITTEN,
    TORN,
    Array,
    LogRecords,
)
from vmcoredd_lab.kernel.regions import KernelMemory, Region
from vmcoredd_lab.text import plural

__all__ = ["read_ring"]

MOST_RECORDS = 1 << 20  # the newest; four times what the largest CONFIG_LOG_BUF_SHIFT makes
MOST_COUNT_BITS = 26  # log_buf_len=2G, 32 bytes a record
MOST_SIZE_BITS = 27  # bytes of text; CONFIG_LOG_BUF_SHIFT is 25 at most

Complain = Callable[[str, int, str], None]


@dataclass(frozen=True)
class Ring:
    """The two rings' own numbers."""

    address: int
    count_bits: int
    descs: int
    infos: int
    head_id: int
    tail_id: int
    size_bits: int
    data: int
    head_lpos: int

    @property
    def plausible(self) -> bool:
        """True where a kernel could have made it."""
        return 0 < self.count_bits <= MOST_COUNT_BITS and 6 <= self.size_bits <= MOST_SIZE_BITS and self.descs > 0


def read_ring(
    kernel: KernelMemory, layouts: Layouts, places: list[tuple[str, int]], complain: Complain
) -> LogRecords | None:
    """Return the records of the ring at the first of ``places`` (name and address) that holds one; None where none does."""
    for name, address in places:
        ring = _ring(kernel, layouts, name, address)
        if ring is None:
            continue
        if ring.plausible:
            return _Reader(kernel, layouts, ring, complain).records()
        complain(
            f"{name}: no ring buffer is there: {ring.count_bits} as the logarithm of the number of records, "
            f"{ring.size_bits} as that of the bytes of text, {ring.descs:#x} as the address of the descriptors",
            address, name,
        )  # fmt: skip
    return None


def _ring(kernel: KernelMemory, layouts: Layouts, name: str, address: int) -> Ring | None:
    whole = layouts.dtype(structs.PRINTK_RINGBUFFER)
    raw = kernel.read(address, whole.itemsize, f"{name} (printk_ringbuffer)")
    if raw is None or whole.fields is None or not {"desc_ring", "text_data_ring"} <= set(whole.fields):
        return None
    numbers: dict[str, int] = {}
    for member, struct in (("desc_ring", structs.PRB_DESC_RING), ("text_data_ring", structs.PRB_DATA_RING)):
        form, at = layouts.dtype(struct), whole.fields[member][1]
        part = layouts.read(raw[at : at + form.itemsize].ljust(form.itemsize, b"\0"), form)
        numbers |= {key: int(part[key]) for key in form.names or ()}
    names = ("count_bits", "descs", "infos", "head_id", "tail_id", "size_bits", "data", "head_lpos")
    return Ring(address, **{key: numbers.get(key, 0) for key in names})


class _Reader:
    def __init__(self, kernel: KernelMemory, layouts: Layouts, ring: Ring, complain: Complain) -> None:
        self._kernel = kernel
        self._layouts = layouts
        self._ring = ring
        self._complain = complain
        self._ids = (1 << (layouts.bits - 2)) - 1
        self._all = (1 << layouts.bits) - 1

    def records(self) -> LogRecords:
        """Return the records from the oldest descriptor to the newest."""
        ring, count = self._ring, 1 << self._ring.count_bits
        wanted = ((ring.head_id - ring.tail_id) & self._ids) + 1
        if wanted > count:
            self._complain(
                f"the log's oldest descriptor is {ring.tail_id:#x} and the newest {ring.head_id:#x}, which is more than "
                f"the {count:,} there are; all are read", ring.address, "prb_desc_ring",
            )  # fmt: skip
            wanted = count
        if wanted > MOST_RECORDS:
            self._complain(
                f"of {plural(wanted, 'record')} in the log the newest {MOST_RECORDS:,} are read",
                ring.address,
                "prb_desc_ring",
            )
            wanted = MOST_RECORDS
        before, behind = self._further(wanted) if wanted < count else (0, 0)
        wanted += before + behind
        first = (ring.head_id + behind - wanted + 1) & self._ids
        ids = (np.arange(wanted, dtype=np.uint64) + np.uint64(first)) & np.uint64(self._ids)
        descs, no_desc = self._array(ring.descs, structs.PRB_DESC, first & count - 1, wanted, "descriptors of the log")
        infos, no_info = self._array(ring.infos, structs.PRINTK_INFO, first & count - 1, wanted, "records of the log")
        data = self._kernel.region(ring.data, 1 << ring.size_bits, "text of the log")
        state, start, length = self._texts(ids, descs, infos, no_desc, data)
        state[no_info & (state != OVERWRITTEN)] = DAMAGED
        seq = self._sequence(infos["seq"], state, no_info)
        kept = self._kept(ids, descs, state)
        if not kept.all():
            infos, no_info, seq, state, start, length = (a[kept] for a in (infos, no_info, seq, state, start, length))
        no_info = no_info | (state == DAMAGED) & (infos["ts_nsec"] == 0)
        level, facility = self._level(infos)
        level[no_info] = facility[no_info] = -1
        return LogRecords(
            region=data,
            seq=seq,
            time=np.ma.array(infos["ts_nsec"].astype(np.uint64), mask=no_info),
            level=level,
            facility=facility,
            caller=np.ma.array(self._caller(infos), mask=no_info),
            state=state,
            start=start,
            length=length,
            dictionary=self._dictionary(infos, no_info),
        )

    def _further(self, wanted: int) -> tuple[int, int]:
        """Return how many records follow the oldest and the newest that the ring names: none, where its numbers are sound.

        Behind the newest descriptor are only some of an earlier round, before the oldest only those that were given up.
        """
        room = min(1 << self._ring.count_bits, MOST_RECORDS) - wanted
        oldest, newest = self._ring.head_id - wanted + 1, self._ring.head_id
        before = self._beyond(oldest, -1, room, "before the oldest")
        return before, self._beyond(newest, 1, room - before, "behind the newest")

    def _beyond(self, named: int, step: int, most: int, which: str) -> int:
        """Return how many records follow a descriptor in a direction without a gap, and complain of them."""
        if most <= 0 or not self._whole_from(named, step, 1):  # as a rule there is none, and one descriptor tells
            return 0
        found = self._whole_from(named, step, most)
        self._complain(
            f"{plural(found, 'record')} {which} one that the ring names, {named & self._ids:#x}, are whole; they are read too",
            self._ring.address, "prb_desc_ring",
        )  # fmt: skip
        return found

    def _whole_from(self, named: int, step: int, many: int) -> int:
        """Return how many of the descriptors next to one are whole and their own, up to the first that is not."""
        low = named + 1 if step > 0 else named - many
        ids = (np.arange(many, dtype=np.uint64) + np.uint64(low & self._ids)) & np.uint64(self._ids)
        place = low & (1 << self._ring.count_bits) - 1
        descs, hole = self._array(self._ring.descs, structs.PRB_DESC, place, many, "descriptors of the log")
        value = descs["state_var"].astype(np.uint64)
        stage = value >> np.uint64(self._layouts.bits - 2)
        whole = ((stage == structs.COMMITTED) | (stage == structs.FINALIZED)) & ~hole
        there = (whole & ((value & np.uint64(self._ids)) == ids))[::step]
        return many if there.all() else int((~there).argmax())

    def _array(self, address: int, struct: Any, first: int, wanted: int, what: str) -> tuple[Array, Array]:
        """Return elements of an array that is gone round, and which of them touch a hole."""
        form, count = self._layouts.dtype(struct), 1 << self._ring.count_bits
        pieces, holes = [], []
        for low, many in ((first, min(wanted, count - first)), (0, wanted - min(wanted, count - first))):
            if many <= 0:
                continue
            region = self._kernel.region((address + low * form.itemsize) & self._all, many * form.itemsize, what)
            pieces.append(np.frombuffer(region.data, form, many))
            at = np.arange(many, dtype=np.int64) * form.itemsize
            holes.append(region.missing(at, np.full(many, form.itemsize)))
        return (pieces[0], holes[0]) if len(pieces) == 1 else (np.concatenate(pieces), np.concatenate(holes))

    def _kept(self, ids: Array, descs: Array, state: Array) -> Array:
        """Return which are records: the ring begins with one descriptor that never was one (DESC0_ID)."""
        count = 1 << self._ring.count_bits
        first = np.array(
            [-(count + 1) & ones & self._ids for ones in (0xFFFFFFFF, self._all)], np.uint64
        )  # unsigned int
        never: Array = np.isin(ids, first) & (state == OVERWRITTEN)
        never &= descs["text_blk_lpos"]["begin"] == structs.FAILED_LPOS
        return ~never

    def _texts(
        self, ids: Array, descs: Array, infos: Array, no_desc: Array, data: Region
    ) -> tuple[Array, Array, Array]:
        """Return each record's state, and offset and length of its text in the data ring."""
        long, size = self._layouts.long, 1 << self._ring.size_bits
        value = descs["state_var"].astype(np.uint64)
        stage = value >> np.uint64(self._layouts.bits - 2)
        own = (value & np.uint64(self._ids)) == ids
        state = np.array([TORN, COMMITTED, FINALIZED, OVERWRITTEN], np.int8)[stage.astype(np.intp)]
        previous = (ids - np.uint64(1 << self._ring.count_bits)) & np.uint64(self._ids)
        taken = ~own & ((value & np.uint64(self._ids)) == previous)  # the place is taken, nothing was written there yet
        state[~own] = DAMAGED
        state[taken] = TORN
        state[no_desc] = DAMAGED
        own &= ~no_desc

        offset, room, block_ok = self._blocks(descs["text_blk_lpos"], ids, data)
        text = infos["text_len"].astype(np.int64)
        begin, next_ = (descs["text_blk_lpos"][k].astype(np.uint64) for k in ("begin", "next"))
        dataless = ((begin & next_ & np.uint64(structs.DATALESS)) != 0) & own
        empty = dataless & (begin == structs.EMPTY_LPOS) & (next_ == structs.EMPTY_LPOS)
        whole = own & ((state == COMMITTED) | (state == FINALIZED))
        state[whole & dataless & ~empty] = LOST
        state[whole & ~dataless & (~block_ok | (room < text))] = DAMAGED
        # What was given up for newer records may still be there, as long as the ring's head did not go over it.
        age = (np.uint64(self._ring.head_lpos) - (next_ - room.astype(np.uint64) - np.uint64(long))) & np.uint64(
            self._all
        )
        gone = (state == OVERWRITTEN) & (age > size)
        readable = own & ~dataless & block_ok & ~gone
        length = np.where(readable, np.minimum(text, room), 0)
        for i in np.flatnonzero(readable & (state == TORN)).tolist():  # its length may not be noted yet
            piece = data.data[offset[i] : offset[i] + room[i]]
            length[i] = max(int(length[i]), piece.find(b"\0") if b"\0" in piece else 0)
        lost = data.missing(offset - long, length + long) & readable
        state[lost & whole] = DAMAGED
        length[lost & ~whole] = 0
        return state, np.where(length > 0, offset, 0), length

    def _blocks(self, lpos: Array, ids: Array, data: Region) -> tuple[Array, Array, Array]:
        """Return offset and room of the texts, and whether the block there is the record's own."""
        long, bits = self._layouts.long, np.uint64(self._ring.size_bits)
        size = 1 << self._ring.size_bits
        begin, next_ = (lpos[key].astype(np.uint64) for key in ("begin", "next"))
        rounds = np.uint64(self._all >> self._ring.size_bits)
        at, end = (begin & np.uint64(size - 1)).astype(np.int64), (next_ & np.uint64(size - 1)).astype(np.int64)
        round_, round_end = begin >> bits, next_ >> bits
        same = (round_ == round_end) & (end > at)
        later = ((round_ + np.uint64(1)) & rounds) == round_end
        offset = np.where(same | (end == 0), at, 0)
        room = np.where(same, end - at, np.where(end == 0, size - at, end)) - long
        good = (same | later) & (offset % long == 0) & (room >= 0)
        words = np.frombuffer(
            data.data, np.dtype(f"u{long}").newbyteorder("<" if self._layouts.byteorder == "little" else ">")
        )
        owner = words[np.where(good, offset // long, 0)].astype(np.uint64)
        return offset + long, np.maximum(room, 0), good & (owner == ids)

    def _sequence(self, recorded: Array, state: Array, no_info: Array) -> Array:
        """Return sequence numbers: one more for each descriptor; where a record says something else it is damaged."""
        position = np.arange(len(recorded), dtype=np.uint64)
        base = recorded.astype(np.uint64) - position
        good = ((state == FINALIZED) | (state == COMMITTED)) & ~no_info
        if not good.any():
            return position
        usual = base[good][-1]
        if np.count_nonzero(base[good] == usual) * 2 < np.count_nonzero(good):
            values, counts = np.unique(base[good], return_counts=True)
            usual = values[counts.argmax()]
        state[good & (base != usual)] = DAMAGED
        found: Array = position + usual
        return found

    def _level(self, infos: Array) -> tuple[Array, Array]:
        byte = infos["flags_level"].astype(np.int16)
        level = byte >> 5 if self._layouts.byteorder == "little" else byte & 7
        return level, infos["facility"].astype(np.int16)

    @staticmethod
    def _caller(infos: Array) -> Array:
        if "caller_id" not in (infos.dtype.names or ()):
            return np.zeros(len(infos), np.uint32)
        found: Array = infos["caller_id"].astype(np.uint32)
        return found

    @staticmethod
    def _dictionary(infos: Array, no_info: Array) -> dict[int, str]:
        if "dev_info" not in (infos.dtype.names or ()):
            return {}
        at = (infos.dtype.fields or {})["dev_info"][1]
        octets = infos.view(np.uint8).reshape(len(infos), infos.dtype.itemsize)
        noted = (octets[:, at] != 0) | (octets[:, at + 16] != 0)  # the first bytes of subsystem and device
        subsystem, device = infos["dev_info"]["subsystem"], infos["dev_info"]["device"]
        found: dict[int, str] = {}
        for i in np.flatnonzero(noted & ~no_info).tolist():
            parts = ((b"SUBSYSTEM=", subsystem[i]), (b"DEVICE=", device[i]))
            lines = [key + value.split(b"\0")[0] for key, value in parts if value]
            found[i] = b"\n".join(lines).decode("utf-8", "backslashreplace")
        return found
