"""FastLZ 6pack as Chelsio's cudbg library frames it, packed with `struct` and without the package's own compressor."""

from __future__ import annotations

import struct
import zlib

MAGIC = b"\x89\x36\x50\x4b\x0d\x0a\x1a\x0a"
TOTAL, DATA = 1, 17
STORED, FASTLZ = 0, 1
HEADER = {"id": (0, "H"), "options": (2, "H"), "size": (4, "I"), "adler32": (8, "I"), "extra": (12, "I")}
FIRST = 8 + 16 + 14  # where the first chunk of data is


def literals(data: bytes, level: int = 2) -> bytes:
    """A stream of literal runs only: as valid as any other."""
    runs = [data[at : at + 32] for at in range(0, len(data), 32)]
    stream = bytearray(b"".join(bytes([len(run) - 1]) + run for run in runs))
    stream[0] |= (level - 1) << 5
    return bytes(stream)


def chunk(body: bytes, extra: int, *, id_: int = DATA, options: int = FASTLZ) -> bytes:
    return struct.pack("<HHIII", id_, options, len(body), zlib.adler32(body), extra) + body


def beginning(total: int) -> bytes:
    """The magic, and the chunk that says how many bytes the entity has."""
    return MAGIC + chunk(struct.pack("<IIH4s", total, 0, 4, b"abc"), 0, id_=TOTAL, options=STORED)


def sixpack(data: bytes, *, cut: int | None = None) -> bytes:
    """An entity; `cut` is what a chunk holds at most. Fewer than 32 bytes are stored as they are."""
    parts = [data[at : at + cut] for at in range(0, len(data), cut)] if cut else [data]
    return beginning(len(data)) + b"".join(
        chunk(part, len(part), options=STORED) if len(part) < 32 else chunk(literals(part), len(part)) for part in parts
    )


def places(stored: bytes) -> list[int]:
    """Where the chunks of data begin."""
    found, at = [], FIRST
    while at + 16 <= len(stored):
        found.append(at)
        at += 16 + struct.unpack_from("<I", stored, at + 4)[0]
    return found


def with_header(stored: bytes, at: int, **members: int) -> bytes:
    """The same bytes with other members in the chunk header at a place."""
    changed = bytearray(stored)
    for name, value in members.items():
        offset, kind = HEADER[name]
        struct.pack_into("<" + kind, changed, at + offset, value)
    return bytes(changed)


def flipped(stored: bytes, at: int) -> bytes:
    changed = bytearray(stored)
    changed[at] ^= 0xFF
    return bytes(changed)
