"""Small vmcores of kernels with a log, in every format that kernels had, and page tables; all packed with `struct`.

The lockless ring is filled as a kernel fills it: blocks that would run over the end are put at the start, descriptors and
blocks of the oldest records are given up when there is no room.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from builders import LITTLE, MARK, Segment, elf, note, notes, up

BASE = {64: 0xFFFF_8880_0010_0000, 32: 0xC010_0000}
PHYSICAL = 0x10_0000
MACHINE = {(64, LITTLE): 62, (64, "big"): 22, (32, LITTLE): 3, (32, "big"): 20}
RESERVED, COMMITTED, FINALIZED, REUSABLE = range(4)


def core(memory: bytes, lines: str, *, order: str = LITTLE, bits: int = 64, machine: int | None = None) -> bytes:
    """A vmcore whose memory is at BASE and PHYSICAL, and a VMCOREINFO with the lines."""
    info = note(b"VMCOREINFO\0", 0, b"OSRELEASE=6.1.0-test\nPAGESIZE=4096\n" + lines.encode(), order=order)
    held = Segment(memory, vaddr=BASE[bits], paddr=PHYSICAL)
    return elf(notes(info), held, bits=bits, order=order, machine=machine or MACHINE[bits, order])


def flags_level(level: int, flags: int, order: str) -> int:
    return (level << 5 | flags) if order == LITTLE else (flags << 3 | level)


# -- the lockless ring, since 5.10 ------------------------------------------------------------------------------------


@dataclass
class Ring:
    """A ring of 2**count_bits records with 2**size_bits bytes of text."""

    count_bits: int = 4
    size_bits: int = 10
    order: str = LITTLE
    bits: int = 64
    dev_info: bool = True
    caller: bool = True
    head_id: int = 0
    tail_id: int = 0
    head: int = 0
    tail: int = 0
    seq: int = 0
    descs: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    infos: dict[int, bytes] = field(default_factory=dict)
    blocks: list[tuple[int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.word = "Q" if self.bits == 64 else "I"
        self.long = self.bits // 8
        self.count, self.size = 1 << self.count_bits, 1 << self.size_bits
        self.all, self.ids = (1 << self.bits) - 1, (1 << self.bits - 2) - 1
        self.data = bytearray(self.size)
        first = -(self.count + 1) & 0xFFFFFFFF & self.ids
        self.head_id = self.tail_id = first
        self.head = self.tail = -self.size & self.all
        self.descs = {first % self.count: (REUSABLE, first, 1, 1)}

    def add(self, text: bytes, *, ts: int | None = None, level: int = 6, facility: int = 0, flags: int = 2, caller: int = 1,
            device: tuple[bytes, bytes] = (b"", b""), state: int = FINALIZED, lost: bool = False) -> int:  # fmt: skip
        """Store a record; return its id."""
        id_ = self.head_id = (self.head_id + 1) & self.ids
        place = id_ % self.count
        if (id_ - self.tail_id) & self.ids >= self.count:
            self._give_up(self.tail_id)
            self.tail_id = (self.tail_id + 1) & self.ids
        begin, next_ = (1, 1) if lost else (3, 3) if not text else self._block(id_, text)
        self.descs[place] = (state, id_, begin, next_)
        when = self.seq * 1_000_000_007 if ts is None else ts
        info = struct.pack(MARK[self.order] + "QQHBB", self.seq, when, len(text), facility,
                           flags_level(level, flags, self.order))  # fmt: skip
        if self.caller:
            info += struct.pack(MARK[self.order] + "I", caller)
        if self.dev_info:
            info += struct.pack("16s48s", *device)
        self.infos[place] = info
        self.seq += 1
        return id_

    def _block(self, id_: int, text: bytes) -> tuple[int, int]:
        need = up(self.long + len(text), self.long)
        begin = self.head
        next_ = (begin + need) & self.all
        at = begin % self.size
        if begin >> self.size_bits != next_ >> self.size_bits:
            next_ = ((next_ >> self.size_bits << self.size_bits) + need) & self.all
            self._room(next_)
            self.data[at : at + self.long] = id_.to_bytes(self.long, self.order)  # type: ignore[arg-type]
            at = 0
        self._room(next_)
        self.data[at : at + self.long] = id_.to_bytes(self.long, self.order)  # type: ignore[arg-type]
        self.data[at + self.long : at + self.long + len(text)] = text
        self.head = next_
        self.blocks.append((id_, begin, next_))
        return begin, next_

    def _room(self, next_: int) -> None:
        while self.blocks and (next_ - self.blocks[0][1]) & self.all > self.size:
            id_, _, self.tail = self.blocks.pop(0)
            self._give_up(id_)

    def _give_up(self, id_: int) -> None:
        state, own, begin, next_ = self.descs[id_ % self.count]
        if own == id_ and state != REUSABLE:
            self.descs[id_ % self.count] = (REUSABLE, own, begin, next_)

    @property
    def info_size(self) -> int:
        size = 20 + 4 * self.caller + 64 * self.dev_info
        return up(size, 8 if self.bits == 64 else 4)

    def lines(self, base: int) -> str:
        """What VMCOREINFO says of it, with the variable prb at ``base``."""
        n = self.long
        desc_ring, data_ring = 6 * n, 4 * n
        known = {
            "SYMBOL(prb)": f"{base:x}", "SYMBOL(printk_rb_static)": f"{base + 64:x}",
            "SIZE(printk_ringbuffer)": desc_ring + data_ring + n, "OFFSET(printk_ringbuffer.desc_ring)": 0,
            "OFFSET(printk_ringbuffer.text_data_ring)": desc_ring, "OFFSET(printk_ringbuffer.fail)": desc_ring + data_ring,
            "SIZE(prb_desc_ring)": desc_ring, "OFFSET(prb_desc_ring.count_bits)": 0, "OFFSET(prb_desc_ring.descs)": n,
            "OFFSET(prb_desc_ring.infos)": 2 * n, "OFFSET(prb_desc_ring.head_id)": 3 * n,
            "OFFSET(prb_desc_ring.tail_id)": 4 * n, "SIZE(prb_desc)": 3 * n, "OFFSET(prb_desc.state_var)": 0,
            "OFFSET(prb_desc.text_blk_lpos)": n, "SIZE(prb_data_blk_lpos)": 2 * n, "OFFSET(prb_data_blk_lpos.begin)": 0,
            "OFFSET(prb_data_blk_lpos.next)": n, "SIZE(printk_info)": self.info_size, "OFFSET(printk_info.seq)": 0,
            "OFFSET(printk_info.ts_nsec)": 8, "OFFSET(printk_info.text_len)": 16,
            **({"OFFSET(printk_info.caller_id)": 20} if self.caller else {}),
            **({"OFFSET(printk_info.dev_info)": 20 + 4 * self.caller} if self.dev_info else {}),
            "SIZE(prb_data_ring)": data_ring, "OFFSET(prb_data_ring.size_bits)": 0, "OFFSET(prb_data_ring.data)": n,
            "OFFSET(prb_data_ring.head_lpos)": 2 * n, "OFFSET(prb_data_ring.tail_lpos)": 3 * n,
            "SIZE(atomic_long_t)": n, "OFFSET(atomic_long_t.counter)": 0,
        }  # fmt: skip
        return "".join(f"{key}={value}\n" for key, value in known.items())

    def memory(self, base: int) -> bytes:
        """The variable, the ring and its arrays, as they lie from ``base`` on."""
        mark, n = MARK[self.order], self.long
        descs_at = 512
        infos_at = descs_at + self.count * 3 * n
        data_at = up(infos_at + self.count * self.info_size, 64)
        pad = "4x" if n == 8 else ""
        ring = struct.pack(
            f"{mark}I{pad}5{self.word}I{pad}4{self.word}", self.count_bits, base + descs_at, base + infos_at, self.head_id,
            self.tail_id, 0, self.size_bits, base + data_at, self.head, self.tail, 0,
        )  # fmt: skip
        image = bytearray(data_at + self.size)
        struct.pack_into(mark + self.word, image, 0, base + 64)
        image[64 : 64 + len(ring)] = ring
        for place, (state, id_, begin, next_) in self.descs.items():
            struct.pack_into(
                f"{mark}3{self.word}", image, descs_at + place * 3 * n, state << self.bits - 2 | id_, begin, next_
            )
        for place, info in self.infos.items():
            at = infos_at + place * self.info_size
            image[at : at + len(info)] = info
        image[data_at:] = self.data
        return bytes(image)

    def core(self, *, replaced: dict[str, str] | None = None, machine: int | None = None) -> bytes:
        """The vmcore; ``replaced`` are lines of VMCOREINFO that say something else."""
        base = BASE[self.bits]
        lines = dict(line.split("=", 1) for line in self.lines(base).splitlines()) | (replaced or {})
        text = "".join(f"{key}={value}\n" for key, value in lines.items())
        return core(self.memory(base), text, order=self.order, bits=self.bits, machine=machine)


# -- the buffer of records, 3.5 to 5.9 --------------------------------------------------------------------------------


def record(text: bytes, *, ts: int = 0, level: int = 6, facility: int = 0, flags: int = 2, caller: int | None = None,
           dictionary: bytes = b"", order: str = LITTLE, first_form: bool = False, align: int = 4) -> bytes:  # fmt: skip
    """A record; ``first_form``: with the u16 of the first kernels in place of facility, flags and level."""
    mark, header = MARK[order], 16 if caller is None else 20
    length = up(header + len(text) + len(dictionary), align)
    if first_form:
        last = struct.pack(mark + "H", facility << 3 | level)
    else:
        last = struct.pack("BB", facility, flags_level(level, flags, order))
    head = struct.pack(mark + "QHHH", ts, length, len(text), len(dictionary)) + last
    head += b"" if caller is None else struct.pack(mark + "I", caller)
    return (head + text + dictionary).ljust(length, b"\0")


def record_log(buffer: bytes, first: int, next_: int, *, order: str = LITTLE, bits: int = 64, caller: bool = False,
               name: str = "printk_log", replaced: dict[str, str] | None = None, size: int | None = None) -> bytes:  # fmt: skip
    """A vmcore with the buffer and its variables."""
    base, word = BASE[bits], "Q" if bits == 64 else "I"
    image = struct.pack(
        MARK[order] + word + "3I", base + 256, len(buffer) if size is None else size, first, next_
    ).ljust(256, b"\0")
    n = bits // 8
    known = {
        "SYMBOL(log_buf)": f"{base:x}", "SYMBOL(log_buf_len)": f"{base + n:x}", "SYMBOL(log_first_idx)": f"{base + n + 4:x}",
        "SYMBOL(log_next_idx)": f"{base + n + 8:x}", f"SIZE({name})": 20 if caller else 16, f"OFFSET({name}.ts_nsec)": 0,
        f"OFFSET({name}.len)": 8, f"OFFSET({name}.text_len)": 10, f"OFFSET({name}.dict_len)": 12,
        **({f"OFFSET({name}.caller_id)": 16} if caller else {}), "SIZE(list_head)": 2 * n,
    } | (replaced or {})  # fmt: skip
    lines = "".join(f"{key}={value}\n" for key, value in known.items())
    return core(image + buffer, lines, order=order, bits=bits)


# -- the ring of text, before 3.5 -------------------------------------------------------------------------------------


def text_log(buffer: bytes, end: int, *, logged: int | None = None, order: str = LITTLE, bits: int = 64) -> bytes:
    """A vmcore with the characters and their variables."""
    base, word, n = BASE[bits], "Q" if bits == 64 else "I", bits // 8
    image = struct.pack(MARK[order] + word + "3I", base + 256, len(buffer), end, logged or 0).ljust(256, b"\0")
    known = {"log_buf": base, "log_buf_len": base + n, "log_end": base + n + 4}
    lines = "".join(f"SYMBOL({name})={at:x}\n" for name, at in known.items()) + f"SIZE(list_head)={2 * n}\n"
    if logged is not None:
        lines += f"SYMBOL(logged_chars)={base + n + 8:x}\n"
    return core(image + buffer, lines, order=order, bits=bits)
