"""Small files made from declarations. Everything is packed with `struct`, so that the reader is never its own judge.

A test states what matters to it; the rest has the values that a kernel or makedumpfile would write.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import ByteSource
from vmcoredd_lab.tables import Column, Schema, Table

LITTLE, BIG = "little", "big"
MARK = {LITTLE: "<", BIG: ">"}
PT_LOAD, PT_NOTE = 1, 4
NT_VMCOREDD = 0x700
ORDERS = (LITTLE, BIG)
WIDTHS = (64, 32)


def up(value: int, align: int) -> int:
    return -(-value // align) * align


# -- notes ------------------------------------------------------------------------------------------------------------


def note(owner: bytes, kind: int, desc: bytes = b"", *, order: str = LITTLE, align: int = 4, namesz: int | None = None,
         descsz: int | None = None) -> bytes:  # fmt: skip
    """A note; `owner` with the NULs that n_namesz counts. `namesz` and `descsz` replace what is true."""
    head = struct.pack(
        MARK[order] + "III",
        len(owner) if namesz is None else namesz,
        len(desc) if descsz is None else descsz,
        kind,
    )
    head += owner
    head += bytes(up(len(head), align) - len(head))
    return head + desc + bytes(up(len(desc), align) - len(desc))


def device_dump(name: bytes | str, data: bytes, *, order: str = LITTLE, page: int = 0, owner: bytes = b"LINUX\0\0\0",
                align: int = 4) -> bytes:  # fmt: skip
    """An NT_VMCOREDD note; with `page` header and data are filled up to whole pages, as the kernel does."""
    name = name.encode() if isinstance(name, str) else name
    if page:
        data += bytes(up(64 + len(data), page) - 64 - len(data))
    return note(owner, NT_VMCOREDD, struct.pack("44s", name) + data, order=order, align=align)


# sizeof(struct elf_prstatus) of x86_64 and s390x, i386, ppc, arm
PRSTATUS_SIZES = {(64, LITTLE): 336, (64, BIG): 336, (32, LITTLE): 144, (32, BIG): 268, "armv7l": 148}


def prstatus(pid: int, *, order: str = LITTLE, bits: int = 64, machine: str = "") -> bytes:
    """The registers of one CPU; only the pid is not zero."""
    desc = bytearray(PRSTATUS_SIZES.get(machine) or PRSTATUS_SIZES[bits, order])
    struct.pack_into(MARK[order] + "i", desc, 32 if bits == 64 else 24, pid)
    return note(b"CORE\0", 1, bytes(desc), order=order)


def vmcoreinfo(
    text: str = "OSRELEASE=6.1.0-test\nPAGESIZE=4096\nCRASHTIME=1700000000\n", *, order: str = LITTLE
) -> bytes:
    return note(b"VMCOREINFO\0", 0, text.encode(), order=order)


def usual_notes(*, order: str = LITTLE, bits: int = 64, machine: str = "") -> bytes:
    """What a kernel with two device dumps and two CPUs leaves, in its order."""
    return (
        device_dump("one_0000:02:00.4", b"first dump " * 9, order=order)
        + device_dump("two_0000:81:00.4", b"second dump " * 7, order=order)
        + prstatus(1234, order=order, bits=bits, machine=machine)
        + prstatus(0, order=order, bits=bits, machine=machine)
        + vmcoreinfo(order=order)
    )


USUAL = ["LINUX", "LINUX", "CORE", "CORE", "VMCOREINFO"]


# -- ELF --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Segment:
    """A program header and its bytes; what is None follows from the bytes and their place."""

    data: bytes = b""
    type: int = PT_LOAD
    vaddr: int = 0
    paddr: int = 0
    offset: int | None = None
    filesz: int | None = None
    memsz: int | None = None
    flags: int = 7
    align: int = 0


def notes(data: bytes, **header: Any) -> Segment:
    """A PT_NOTE segment, with p_align 0 as the kernel writes it."""
    return Segment(data, PT_NOTE, flags=0, **header)


def elf(*segments: Segment, bits: int = 64, order: str = LITTLE, machine: int = 62, xnum: str = "", gap: int = 0,
        **header: int) -> bytes:  # fmt: skip
    """An ELF core. `header` replaces members of the ELF header by name.

    `xnum`: e_phnum is PN_XNUM and section header 0 is `behind` the program headers, at the `end` of the file,
    `missing` (e_shoff 0) or its sh_info is `zero`. `gap` is a distance between program headers and data.
    """
    mark, word = MARK[order], "Q" if bits == 64 else "I"
    ehsize, phsize, shsize = (64, 56, 64) if bits == 64 else (52, 32, 40)
    table_end = ehsize + phsize * len(segments)
    where = table_end + (shsize if xnum in ("behind", "zero") else 0) + gap
    body, table, at = [], [], where
    for one in segments:
        offset = at if one.offset is None else one.offset
        filesz = len(one.data) if one.filesz is None else one.filesz
        memsz = filesz if one.memsz is None else one.memsz
        if bits == 64:
            form, words = "2I6Q", (one.type, one.flags, offset, one.vaddr, one.paddr, filesz, memsz, one.align)
        else:
            form, words = "8I", (one.type, offset, one.vaddr, one.paddr, filesz, memsz, one.flags, one.align)
        table.append(struct.pack(mark + form, *words))
        body.append(one.data)
        at += len(one.data)
    section = struct.pack(mark + "II" + word * 4 + "II" + word * 2, 0, 0, 0, 0, 0, 0, 0,
                          0 if xnum == "zero" else len(segments), 0, 0)  # fmt: skip
    shoff = {"behind": table_end, "zero": table_end, "end": at}.get(xnum, 0)
    members = {
        "ei_class": bits // 32, "ei_data": ORDERS.index(order) + 1, "e_type": 4, "e_machine": machine, "e_phoff": ehsize,
        "e_shoff": shoff, "e_phentsize": phsize, "e_phnum": 0xFFFF if xnum else len(segments),
        "e_shentsize": shsize if xnum else 0, "e_shnum": 1 if xnum else 0,
    } | header  # fmt: skip
    ident = struct.pack("4s5B7x", b"\x7fELF", members["ei_class"], members["ei_data"], 1, 0, 0)
    head = ident + struct.pack(
        mark + "HHI" + word * 3 + "I6H", members["e_type"], members["e_machine"], 1, 0, members["e_phoff"], members["e_shoff"],
        0, ehsize, members["e_phentsize"], members["e_phnum"], members["e_shentsize"], members["e_shnum"], 0,
    )  # fmt: skip
    behind, end = (section if xnum in ("behind", "zero") else b""), (section if xnum == "end" else b"")
    return b"".join([head, *table, behind, bytes(gap), *body, end])


def usual_elf(*, bits: int = 64, order: str = LITTLE, **header: Any) -> bytes:
    """A vmcore with the usual notes and two pieces of memory."""
    return elf(
        notes(usual_notes(order=order, bits=bits)),
        Segment(b"memory of the first segment", vaddr=0x80001000, paddr=0x1000),
        Segment(b"memory of the second segment", vaddr=0x80008000, paddr=0x8000, memsz=0x1000),
        bits=bits,
        order=order,
        machine={(64, LITTLE): 62, (64, BIG): 22, (32, LITTLE): 3, (32, BIG): 20}[bits, order],
        **header,
    )


# -- makedumpfile's kdump-compressed format ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Kdump:
    """A kdump-compressed file. `frames` draws the memory, one character a page frame.

    p: in the file (present), x: excluded, .: no memory there (absent).
    """

    notes: bytes = b""
    frames: str = "p.xp"
    version: int = 6
    bits: int = 64
    order: str = LITTLE
    machine: str = "x86_64"
    block_size: int = 512
    status: int = 1
    split: tuple[int, int] | None = None
    signature: bytes = b"KDUMP   "
    release: str = "6.1.0-test"
    header: dict[str, int] = field(default_factory=dict)
    packed: bool = False
    erased: bytes = b""

    def build(self) -> bytes:
        """Return the file. `header` replaces members of block 0 and of the sub-header by name.

        `packed`: members of the sub-header follow each other without fill, as QEMU does it.
        """
        mark, size = MARK[self.order], self.block_size
        sub_size = struct.calcsize(mark + self._sub_format())
        sub_blocks = max(1, -(-(sub_size + len(self.notes)) // size))
        bitmap_blocks = max(1, -(-len(self.frames) // (8 * size)))
        at_vmcoreinfo, len_vmcoreinfo = self._vmcoreinfo(size + sub_size)
        start, end = self.split or (0, 0)
        known = {
            "status": self.status, "block_size": size, "sub_hdr_size": sub_blocks, "bitmap_blocks": 2 * bitmap_blocks,
            "max_mapnr": len(self.frames), "nr_cpus": 2,
            "dump_level": 31, "split": int(self.split is not None), "start_pfn": start, "end_pfn": end,
            "offset_vmcoreinfo": at_vmcoreinfo, "size_vmcoreinfo": len_vmcoreinfo,
            "offset_note": size + sub_size, "size_note": len(self.notes),
            "start_pfn_64": start, "end_pfn_64": end, "max_mapnr_64": len(self.frames),
            "offset_eraseinfo": self._end(sub_blocks, bitmap_blocks) if self.erased else 0, "size_eraseinfo": len(self.erased),
        } | self.header  # fmt: skip
        blocks = [
            self._block_0(known).ljust(size, b"\0"),
            (self._sub_header(known) + self.notes).ljust(sub_blocks * size, b"\0"),
            self._bitmap("px").ljust(bitmap_blocks * size, b"\0"),
            self._bitmap("p").ljust(bitmap_blocks * size, b"\0"),
        ]
        return b"".join(blocks) + self._pages(sum(map(len, blocks))) + self.erased

    def _end(self, sub_blocks: int, bitmap_blocks: int) -> int:
        return (1 + sub_blocks + 2 * bitmap_blocks) * self.block_size + len(self._pages(0))

    def _block_0(self, known: dict[str, int]) -> bytes:
        strings = [b"Linux", b"host", self.release.encode(), b"#1 SMP", self.machine.encode(), b"(none)"]
        words = "6x2Q" if self.bits == 64 else "2x2I"
        return struct.pack(
            MARK[self.order] + "8sI" + "65s" * 6 + words + "10I", self.signature, self.version, *strings, 1700000000, 0,
            known["status"], known["block_size"], known["sub_hdr_size"], known["bitmap_blocks"], known["max_mapnr"],
            len(self.frames), 0, self.frames.count("p"), 0, known["nr_cpus"],
        )  # fmt: skip

    def _sub_format(self, members: int = 14) -> str:
        """The layout of the first members of the sub-header, in letters of `struct`; x is the machine's alignment."""
        if self.bits == 64:
            kinds = ["q", "i", "i", *"Q" * 11]
        else:
            eight = "Q" if self.machine == "i386" or self.packed else "4xQ"
            kinds = ["i", "i", "i", "I", "I", *(eight, "I") * 3, eight, "Q", "Q"]
        return "".join(kinds[:members])

    def _sub_header(self, known: dict[str, int]) -> bytes:
        """The members of this version; where later versions have more, this one has what a reader must not believe."""
        whole = struct.pack(
            MARK[self.order] + self._sub_format(), 0, known["dump_level"], known["split"], known["start_pfn"],
            known["end_pfn"], known["offset_vmcoreinfo"], known["size_vmcoreinfo"], known["offset_note"], known["size_note"],
            known["offset_eraseinfo"], known["size_eraseinfo"], known["start_pfn_64"], known["end_pfn_64"], known["max_mapnr_64"],
        )  # fmt: skip
        members = {1: 2, 2: 5, 3: 7, 4: 9, 5: 11, 6: 14}[self.version]
        known_size = struct.calcsize(MARK[self.order] + self._sub_format(members))
        return whole[:known_size] + b"\xee" * (len(whole) - known_size)

    def _vmcoreinfo(self, notes_at: int) -> tuple[int, int]:
        start = self.notes.find(b"OSRELEASE=")
        return (0, 0) if start < 0 else (notes_at + start, self.notes.index(b"\n", self.notes.rindex(b"=")) + 1 - start)

    def _bitmap(self, set_for: str) -> bytes:
        bits = [c in set_for for c in self.frames]
        return bytes(sum(bit << i for i, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8))

    def _pages(self, offset: int) -> bytes:
        first, last = self.split or (0, len(self.frames))
        here = [i for i, c in enumerate(self.frames) if c == "p" and first <= i < last]
        data_at = offset + 24 * len(here)
        size = self.block_size
        table = b"".join(
            struct.pack(MARK[self.order] + "QIIQ", data_at + i * size, size, 0, 0) for i in range(len(here))
        )
        return table + b"".join(bytes([i & 0xFF]) * size for i in here)

    def drawn(self) -> list[tuple[str, int, int]]:
        """Return (type, physical address, bytes) of every run of page frames in the drawing."""
        names = {"p": "present", "x": "excluded", ".": "absent"}
        runs, at = [], 0
        for kind, run in groupby(self.frames):
            count = len(list(run))
            runs.append((names[kind], at * self.block_size, count * self.block_size))
            at += count
        return runs


def usual_kdump(**declared: Any) -> bytes:
    """A kdump-compressed file with the usual notes."""
    order, bits = declared.get("order", LITTLE), declared.get("bits", 64)
    return Kdump(usual_notes(order=order, bits=bits, machine=declared.get("machine", "")), **declared).build()


# -- a decoder --------------------------------------------------------------------------------------------------------


class Toy:
    """A decoder of dumps that begin with TOY and the payload's length in one byte; 0 where it cannot be believed."""

    driver = "toy"

    def __init__(self, dump: Any) -> None:
        self.dump, self.problems = dump, Problems()
        if self.payload_size(dump.data) is None:
            self.problems.error(f"dump:{dump.name}", "the length cannot be believed", offset=3)

    @classmethod
    def recognises(cls, head: bytes) -> bool:
        return head.startswith(b"TOY")

    @classmethod
    def payload_size(cls, data: Any) -> int | None:
        return data.read(3, 1)[0] or None

    def summary(self) -> str:
        return "a toy"

    def check(self) -> None:
        self.problems.warning(f"dump:{self.dump.name}", "read whole")

    def entities_table(self) -> Table:
        columns = tuple(
            Column(name, kind, "") for name, kind in (("number", "u32"), ("name", "text"), ("stored_size", "u64"))
        )
        return Table.from_rows(Schema("entities", "", columns), [(1, "first", 4), (2, "empty", 0), (3, "third", 4)])

    def entity_bytes(self, number: int) -> bytes:
        return b"entity %d" % number


# -- sources ----------------------------------------------------------------------------------------------------------


class CountingSource(ByteSource):
    """Bytes at the beginning, zeros to the end; counts what is read, and remembers the largest single read."""

    def __init__(self, head: bytes, size: int, name: str = "counted") -> None:
        self.name, self.size = name, size
        self._head = head
        self.count = self.largest = 0

    def read(self, offset: int, size: int) -> bytes:
        size = max(0, min(size, self.size - offset))
        self.count += size
        self.largest = max(self.largest, size)
        return self._head[offset : offset + size].ljust(size, b"\0")
