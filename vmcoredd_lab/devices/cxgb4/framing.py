"""How an entity's bytes are stored: as they are, in zlib pieces (cudbg_zlib.c), or as FastLZ 6pack (Unified Wire).

Chunk headers are checked against the streams behind them: a zlib stream knows its own end, so a wrong size in a header
costs nothing, and a damaged stream costs its own piece only.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from vmcoredd_lab.devices.cxgb4.structs import COMPRESS_HDR, SIXPACK_CHUNK
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.structs import ByteOrder

__all__ = ["Decoded", "decoded_size", "inflate", "is_sixpack"]

COMPRESS_ID = 17
LARGEST_PIECE = 1 << 20  # the driver cuts at 64512
SIXPACK_MAGIC = b"\x89\x36\x50\x4b\x0d\x0a\x1a\x0a"


@dataclass
class Decoded:
    """An entity's bytes. ``damaged`` lists (start, end) of bytes that could not be had; they are zero in ``data``."""

    data: bytes | memoryview
    damaged: list[tuple[int, int]] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """True where every byte is as the driver collected it."""
        return not self.damaged


def is_sixpack(stored: memoryview) -> bool:
    """Return True where the stored bytes begin as FastLZ 6pack does."""
    return bytes(stored[:8]) == SIXPACK_MAGIC


def decoded_size(stored: memoryview, byteorder: ByteOrder) -> int | None:
    """Return the size that the chunk headers of a zlib entity add up to, without inflating; None where they do not hold."""
    if is_sixpack(stored):
        return _sixpack_size(stored)
    total = position = 0
    size = COMPRESS_HDR.size()
    while position < len(stored):
        piece = _header(stored, position, byteorder)
        if piece is None:
            return None
        total += piece[0]
        position += size + piece[1]
    return total if position == len(stored) else None


def _sixpack_size(stored: memoryview) -> int | None:
    head = SIXPACK_CHUNK.size()
    if len(stored) < 8 + head + 4 or int(SIXPACK_CHUNK.read(stored, 8)["id"]) != 1:
        return None
    return int.from_bytes(stored[8 + head : 12 + head], "little")


def _header(stored: memoryview, position: int, byteorder: ByteOrder) -> tuple[int, int] | None:
    """Return (decompressed size, compressed size) of the piece at ``position``, None where its header is impossible."""
    size = COMPRESS_HDR.size()
    if len(stored) < position + size:
        return None
    # compress_id at 0, decompress_size at 8, compress_size at 16 of struct cudbg_compress_hdr
    order = byteorder
    word = int.from_bytes(stored[position : position + 4], order)
    plain = int.from_bytes(stored[position + 8 : position + 16], order)
    packed = int.from_bytes(stored[position + 16 : position + 24], order)
    if word != COMPRESS_ID or not 0 < plain <= LARGEST_PIECE or not 0 < packed <= LARGEST_PIECE + 4096:
        return None
    return plain, packed


def inflate(
    stored: memoryview, byteorder: ByteOrder, *, cut: bool, problems: Problems, where: str, offset: int
) -> Decoded:
    """Return the decoded bytes of a zlib entity.

    Parameters
    ----------
    stored: the stored bytes without num_pad, as many as the file holds
    cut: the file ends inside the entity, so that its last piece may lack its end
    where, offset: name and place of the entity, for ``problems``
    """
    parts: list[bytes] = []
    damaged: list[tuple[int, int]] = []
    position = total = 0
    head = COMPRESS_HDR.size()
    while position < len(stored):
        sizes = _header(stored, position, byteorder)
        start = position + head
        data: bytes | None = None
        if sizes and start + sizes[1] <= len(stored):
            data, used = _one(stored[start : start + sizes[1]], sizes[0])
            if data is not None and len(data) != sizes[0]:
                data = None
        if data is None and start < len(stored) and not (cut and sizes and start + sizes[1] > len(stored)):
            data, used = _one(stored[start:], LARGEST_PIECE)
            if data is not None:
                problems.error(
                    where, "a piece's header does not agree with the zlib stream behind it; the stream is used",
                    offset=offset + position, expected=f"sizes {len(data):,} and {used:,}, id {COMPRESS_ID}",
                    got=f"sizes {sizes[0]:,} and {sizes[1]:,}" if sizes else stored[position : position + 24].hex(" "),
                )  # fmt: skip
        if data is not None:
            parts.append(data)
            total += len(data)
            position = start + used
            continue
        if sizes is None:
            if not cut:
                problems.error(
                    where, "a piece's header and its zlib stream are both damaged; what follows in this entity is lost",
                    offset=offset + position, expected=f"compress_id {COMPRESS_ID} and possible sizes",
                    got=bytes(stored[position : position + 24]).hex(" ") or "nothing",
                )  # fmt: skip
            break
        piece = b""
        if start + sizes[1] > len(stored):  # cut: what comes out before the end is sound
            piece = _beginning(stored[start:], sizes[0])
        if not cut or piece == b"":
            problems.error(
                where, "a zlib piece is damaged; its bytes are missing, the other pieces are used",
                offset=offset + position, expected=f"a zlib stream of {sizes[0]:,} bytes",
                got="a stream that does not inflate or whose checksum is wrong",
            )  # fmt: skip
        parts.append(piece.ljust(sizes[0], b"\0"))
        damaged.append((total + len(piece), total + sizes[0]))
        total += sizes[0]
        position = start + sizes[1]
    return Decoded(parts[0] if len(parts) == 1 else b"".join(parts), damaged)


def _one(stream: memoryview, limit: int) -> tuple[bytes | None, int]:
    """Return what one complete zlib stream holds and how many bytes it takes, or (None, 0)."""
    engine = zlib.decompressobj()
    try:
        data = engine.decompress(stream, limit + 1)
    except zlib.error:
        return None, 0
    if not engine.eof:
        # the output may be complete with only the checksum left to read
        try:
            data += engine.decompress(engine.unconsumed_tail, 1)
        except zlib.error:
            return None, 0
        if not engine.eof:
            return None, 0
    return (data, len(stream) - len(engine.unused_data)) if len(data) <= limit else (None, 0)


def _beginning(stream: memoryview, limit: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(stream, limit)
    except zlib.error:
        return b""
