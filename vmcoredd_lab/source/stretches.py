"""Where reading of an xz or zstd file can begin: its blocks or frames, found without unpacking them.

xz: the index at the end of each stream (The .xz File Format, 4); zstd: frame and block headers (RFC 8878, 3.1.1).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from vmcoredd_lab.source.base import ByteSource

__all__ = ["Stretch", "xz_stretches", "zstd_stretches"]

MOST = 1 << 20  # blocks or frames
MOST_ZSTD_BLOCKS = 1 << 22
_LARGEST_INDEX = 16 << 20
_MOST_PADDING = 1 << 20
_SEEN = 4 << 20  # bytes that are let go together
_XZ_MAGIC, _XZ_END = b"\xfd7zXZ\0", b"YZ"
_ZSTD_MAGIC, _SKIPPABLE = 0xFD2FB528, 0x184D2A50


@dataclass(frozen=True, slots=True)
class Stretch:
    """Packed bytes from ``place`` to ``end`` that can be unpacked by themselves, into ``size`` bytes (None: not recorded).

    ``prefix`` is fed to the codec first: the header of the xz stream that a block is of. ``window`` is the memory that
    unpacking takes. ``whole`` is False where the file ends inside.
    """

    place: int
    end: int
    size: int | None
    prefix: bytes = b""
    window: int = 0
    whole: bool = True


def xz_stretches(source: ByteSource) -> list[Stretch] | None:
    """Return the blocks of an xz file by its indexes; None where one of them is missing or damaged."""
    streams: list[list[Stretch]] = []
    end, left = source.size, MOST
    while end > 0 and left > 0 and len(streams) < MOST:
        end -= _padding(source, end)
        stream = _xz_stream(source, end)
        if stream is None:
            return None
        end, blocks = stream
        left -= len(blocks)
        streams.append(blocks)
    return [block for blocks in reversed(streams) for block in blocks] if not end else None


def _padding(source: ByteSource, end: int) -> int:
    """Return how many zeros stand before ``end``, in whole words; the footer of a stream ends with a letter."""
    if end < 4 or source.read(end - 4, 4) != bytes(4):
        return 0
    tail = source.read(max(0, end - _MOST_PADDING), min(end, _MOST_PADDING))
    return (len(tail) - len(tail.rstrip(b"\0"))) // 4 * 4


def _xz_stream(source: ByteSource, end: int) -> tuple[int, list[Stretch]] | None:
    """Return the start and the blocks of the stream that ends at ``end``."""
    footer = source.read(max(0, end - 12), 12)
    if len(footer) < 12 or footer[10:] != _XZ_END or zlib.crc32(footer[4:10]) != int.from_bytes(footer[:4], "little"):
        return None
    size = (int.from_bytes(footer[4:8], "little") + 1) * 4
    at = end - 12 - size
    if size > _LARGEST_INDEX or at < 12:
        return None
    index = source.read(at, size)
    if index[:1] != b"\0" or zlib.crc32(index[:-4]) != int.from_bytes(index[-4:], "little"):
        return None
    numbers = _numbers(index[1:-4])
    if not numbers or numbers[0] > MOST or len(numbers) < 1 + 2 * numbers[0]:
        return None
    pairs = list(zip(numbers[1::2], numbers[2::2], strict=False))[: numbers[0]]
    start = at - sum(-(-packed // 4) * 4 for packed, _ in pairs) - 12
    header = source.read(start, 12) if start >= 0 else b""
    if header[:6] != _XZ_MAGIC or header[6:8] != footer[8:10]:
        return None
    blocks, place = [], start + 12
    for packed, unpacked in pairs:
        stop = place + -(-packed // 4) * 4
        blocks.append(Stretch(place, stop, unpacked, header))
        place = stop
    return start, blocks


def _numbers(data: bytes) -> list[int]:
    """Return the integers of an index: seven bits a byte, lowest first, the highest bit says that more follow."""
    found, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            found.append(value)
            value = shift = 0
        elif shift > 63:
            return found
    return found


def zstd_stretches(source: ByteSource) -> list[Stretch]:
    """Return the frames of a zstd file; the last is not whole where the file ends inside it or is damaged there."""
    found: list[Stretch] = []
    place, left = 0, MOST_ZSTD_BLOCKS
    while left > 0:
        if len(found) >= MOST:
            left = 0
            break
        head = source.read(place, 18)
        magic = int.from_bytes(head[:4], "little")
        if magic & ~0xF == _SKIPPABLE and len(head) >= 8:
            place += 8 + int.from_bytes(head[4:8], "little")
            left -= 1
            continue
        if magic != _ZSTD_MAGIC or len(head) < 6:
            break
        length, size, window, checksum = _zstd_header(head)
        end, left = _zstd_blocks(source, place + length, left)
        if end is None or end + checksum > source.size:
            found.append(Stretch(place, source.size, size, window=window, whole=False))
            break
        found.append(Stretch(place, end + checksum, size, window=window))
        place = end + checksum
    if not left and place < source.size:  # too many to list them
        found.append(Stretch(place, source.size, None, whole=False))
    return found


def _zstd_header(head: bytes) -> tuple[int, int | None, int, int]:
    """Return the length of a frame's header, the size of its content where recorded, its window, its checksum's length."""
    flags = head[4]
    single, at, window = flags >> 5 & 1, 5, 0
    if not single:
        exponent, mantissa = head[5] >> 3, head[5] & 7
        window = (1 << (10 + exponent)) * (8 + mantissa) // 8
        at += 1
    at += (0, 1, 2, 4)[flags & 3]
    width = (single, 2, 4, 8)[flags >> 6]
    if len(head) < at + width:
        return at + width, None, window, 0
    size = int.from_bytes(head[at : at + width], "little") + (256 if width == 2 else 0) if width else None
    return at + width, size, window or size or 0, 4 if flags & 4 else 0


def _zstd_blocks(source: ByteSource, place: int, left: int) -> tuple[int | None, int]:
    """Return the end of the frame whose blocks begin at ``place``, and how many blocks may still be looked at."""
    seen = place
    while left > 0:
        if place - seen > _SEEN:
            source.done_with(seen, place - seen)
            seen = place
        raw = source.read(place, 3)
        if len(raw) < 3:
            return None, left
        (header,) = struct.unpack("<I", raw + b"\0")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        place += 3 + (1 if kind == 1 else size)
        left -= 1
        if kind == 3 or place > source.size:
            return None, left
        if last:
            return place, left
    return None, 0
