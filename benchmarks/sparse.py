"""Large vmcores that cost no disk: headers and notes are written, everything else is a hole."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAGE = 4096


def whole_pages(size: int) -> int:
    return -(-size // PAGE) * PAGE


def note(owner: bytes, kind: int, desc: bytes) -> bytes:
    fill = bytes(-len(owner) % 4), bytes(-len(desc) % 4)
    return struct.pack("<3I", len(owner), len(desc), kind) + owner + fill[0] + desc + fill[1]


def write_vmcore(path: Path, *, segments: int, segment_size: int, dumps: int = 0, dump_size: int = 0) -> None:
    """Write an ELF64 vmcore as the kernel lays it out: ELF header, program headers, section header 0 where it needs one,
    device dumps, PRSTATUS of two CPUs, VMCOREINFO, memory."""
    count = segments + 1
    xnum = count >= 0xFFFF
    table_end = 64 + 56 * count
    notes_at = whole_pages(table_end + 64)
    dump_note = whole_pages(64 + dump_size)
    small = b"".join(note(b"CORE\0", 1, bytes(336)) for _ in range(2))
    small += note(b"VMCOREINFO\0", 0, b"OSRELEASE=6.1.0-benchmark\nPAGESIZE=4096\nCRASHTIME=1700000000\n")
    notes_size = dumps * dump_note + len(small)
    memory_at = whole_pages(notes_at + notes_size)
    with path.open("wb") as out:
        out.write(struct.pack("<4s5B7x2HI3QI6H", b"\x7fELF", 2, 1, 1, 0, 0, 4, 62, 1, 0, 64, table_end if xnum else 0, 0, 64,
                              56, 0xFFFF if xnum else count, 64 if xnum else 0, int(xnum), 0))  # fmt: skip
        out.write(struct.pack("<2I6Q", 4, 0, notes_at, 0, 0, notes_size, notes_size, 0))
        for index in range(segments):
            at = index * segment_size
            out.write(
                struct.pack(
                    "<2I6Q", 1, 7, memory_at + at, 0xFFFF_8880_0000_0000 + at, at, segment_size, segment_size, 0
                )
            )
        if xnum:
            out.write(struct.pack("<2I4Q2I2Q", 0, 0, 0, 0, 0, 0, 0, count, 0, 0))
        for index in range(dumps):
            out.seek(notes_at + index * dump_note)
            name = f"bench_0000:{index:02x}:00.4".encode()
            out.write(struct.pack("<3I8s44s", 8, dump_note - 20, 0x700, b"LINUX", name))
        out.seek(notes_at + dumps * dump_note)
        out.write(small)
        out.truncate(memory_at + segments * segment_size)


@contextmanager
def vmcore(**shape: int) -> Iterator[Path]:
    """Make a vmcore in a temporary directory, which is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="vmcoredd-lab-benchmark-") as directory:
        path = Path(directory) / "vmcore"
        write_vmcore(path, **shape)
        yield path
