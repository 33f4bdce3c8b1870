"""Vmcores of any size as contents with holes: headers, notes and dumps are there, memory is zeros that take no room."""

from __future__ import annotations

import struct
import zlib
from random import Random

from builders import Kdump, Segment, device_dump, elf, note, notes, prstatus, up, vmcoreinfo
from cudbg_builder import PIECE, Built, piece_header, usual
from object_server import Sparse

PAGE = 4096
MC0 = 20
NOTES_AT = 0x1000


MEMORY = bytes(range(251)) * 4000  # of vmcore(), at physical address 0x1000


def vmcore() -> bytes:
    """An ELF vmcore with one device dump, and memory enough that it does not come with its first bytes."""
    dump = device_dump("cxgb4_0000:02:00.4", bytes(usual()), page=PAGE)
    return elf(notes(dump + prstatus(7) + vmcoreinfo()), Segment(MEMORY, paddr=0x1000, vaddr=0x80001000))


def adapter_dump(memory: int = 0) -> Built:
    """A cudbg dump whose on-chip memory, collected last, is `memory` bytes of noise in zlib pieces."""
    built = usual()
    if memory:
        noise = Random(1)  # what does not compress, so that the dump is as large as its memory
        start = len(built.data)
        for at in range(0, memory, PIECE):
            part = noise.randbytes(min(PIECE, memory - at))
            packed = zlib.compress(part, 1)
            built.data += piece_header(len(part), len(packed)) + packed
        built.data += bytes(-len(built.data) % 4)
        _announce(built, start, len(built.data) - start)
    return built


def announced_dump(size: int) -> Built:
    """A cudbg dump that says it is `size` bytes long; what is behind the first entities is not there."""
    built = usual()
    start = len(built.data)
    _announce(built, start, size - start)
    return built


def _announce(built: Built, start: int, size: int) -> None:
    built.set_entity(MC0, entity_type=MC0, start_offset=start, size=size)
    built.set_header(data_len=start + size)


def large_elf(dumps: list[bytes], *, dump_size: int, memory: int) -> Sparse:
    """An ELF vmcore with device dumps of `dump_size` bytes each, that begin with the bytes given, and `memory` bytes."""
    whole = up(20 + 44 + dump_size, PAGE)
    small = prstatus(1) + prstatus(2) + vmcoreinfo()
    notes_size = len(dumps) * whole + len(small)
    memory_at = up(NOTES_AT + notes_size, PAGE)
    head = elf(
        Segment(type=4, flags=0, offset=NOTES_AT, filesz=notes_size),
        Segment(offset=memory_at, filesz=memory // 2, paddr=0, vaddr=0xFFFF_8880_0000_0000),
        Segment(offset=memory_at + memory // 2, filesz=memory // 2, paddr=1 << 40, vaddr=0xFFFF_8980_0000_0000),
    )
    pieces = {0: head, NOTES_AT + len(dumps) * whole: small}
    for index, dump in enumerate(dumps):
        name = f"cxgb4_0000:{2 + index:02x}:00.4".encode()
        first = note(b"LINUX\0\0\0", 0x700, struct.pack("44s", name), descsz=whole - 20)
        pieces[NOTES_AT + index * whole] = first + dump
    return Sparse(memory_at + memory, pieces)


def large_kdump(dumps: list[bytes], *, dump_size: int, memory: int, page_size: int = 700) -> Sparse:
    """A kdump-compressed vmcore of a machine with `memory` bytes, a quarter of whose pages are in the file, each compressed
    to `page_size` bytes."""
    frames = memory // PAGE
    bitmap_blocks = -(-frames // (8 * PAGE))
    whole = up(20 + 44 + dump_size, PAGE)
    small = prstatus(1) + prstatus(2) + vmcoreinfo()
    sub_header = 112
    head_blocks = 1 + -(-(sub_header + len(dumps) * whole + len(small)) // PAGE)
    notes_at = PAGE + sub_header
    head = Kdump(
        small, frames="", block_size=PAGE,
        header={
            "sub_hdr_size": head_blocks - 1, "bitmap_blocks": 2 * bitmap_blocks, "max_mapnr": frames, "max_mapnr_64": frames,
            "offset_note": notes_at, "size_note": len(dumps) * whole + len(small),
            "offset_vmcoreinfo": notes_at + len(dumps) * whole + small.index(b"OSRELEASE="),
        },
    ).build()[: notes_at]  # fmt: skip
    pieces = {0: head, notes_at + len(dumps) * whole: small}
    for index, dump in enumerate(dumps):
        name = f"cxgb4_0000:{2 + index:02x}:00.4".encode()
        first = note(b"LINUX\0\0\0", 0x700, struct.pack("44s", name), descsz=whole - 20)
        pieces[notes_at + index * whole] = first + dump
    bitmaps_at = head_blocks * PAGE
    pieces[bitmaps_at] = b"\xff" * (frames // 8)
    pieces[bitmaps_at + bitmap_blocks * PAGE] = (b"\xff" * PAGE + bytes(3 * PAGE)) * (frames // 8 // PAGE // 4)
    descriptors_at = bitmaps_at + 2 * bitmap_blocks * PAGE
    pages = frames // 4
    data_at = descriptors_at + 24 * pages
    for first, count in ((0, 1), (pages - 1024, 1024)):
        pieces[descriptors_at + 24 * first] = b"".join(
            struct.pack("<QIIQ", data_at + page_size * (first + i), page_size, 1, 0) for i in range(count)
        )
    return Sparse(data_at + page_size * pages, pieces)
