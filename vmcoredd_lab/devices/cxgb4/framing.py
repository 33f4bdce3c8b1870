"""How an entity's bytes are stored: as they are, in zlib pieces (cudbg_zlib.c), or as FastLZ 6pack (sixpack.py).

Chunk headers are checked against the streams behind them: a zlib stream knows its own end, so a wrong size in a header
costs nothing, and a damaged stream costs its own piece only.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vmcoredd_lab.devices.cxgb4.structs import COMPRESS_HDR
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.structs import ByteOrder

__all__ = ["Decoded", "Piece", "decoded_size", "join", "looks_like_piece", "pieces"]

HEADER = COMPRESS_HDR.size()
COMPRESS_ID = 17
LARGEST_PIECE = 1 << 20  # the driver cuts at 64512
LARGEST_PADDING = 3
MOST_DAMAGED = 256  # pieces; what is behind so many is noise, and trying it would take forever
STEP = 16384


@dataclass
class Decoded:
    """An entity's bytes. ``damaged`` lists (start, end) of bytes that could not be had; they are zero in ``data``."""

    data: bytes | memoryview
    damaged: list[tuple[int, int]] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """True where every byte is as the driver collected it."""
        return not self.damaged


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an entity: how many bytes it decodes to, and those that could be had, from its beginning."""

    size: int
    data: bytes


def looks_like_piece(stored: memoryview, byteorder: ByteOrder) -> bool:
    """Return True where the stored bytes begin with a piece's header and a zlib header behind it (RFC 1950)."""
    start = bytes(stored[HEADER : HEADER + 2])
    return (
        _header(stored, 0, byteorder) is not None
        and len(start) == 2
        and start[0] & 15 == 8
        and int.from_bytes(start, "big") % 31 == 0
    )


def decoded_size(stored: memoryview, byteorder: ByteOrder, limit: int) -> int | None:
    """Return what the chunk headers of a compressed entity add up to, without inflating; None where they do not hold.

    ``stored`` is the entity with its padding.
    """
    total = position = 0
    while len(stored) - position > LARGEST_PADDING:
        piece = _header(stored, position, byteorder)
        if piece is None:
            return None
        total += piece[0]
        position += HEADER + piece[1]
    return total if position <= len(stored) and total <= limit else None


def _header(stored: memoryview, position: int, byteorder: ByteOrder) -> tuple[int, int] | None:
    """Return (decompressed size, compressed size) of the piece at ``position``, None where its header is impossible."""
    if len(stored) < position + HEADER:
        return None
    # compress_id at 0, decompress_size at 8, compress_size at 16 of struct cudbg_compress_hdr
    word = int.from_bytes(stored[position : position + 4], byteorder)
    plain = int.from_bytes(stored[position + 8 : position + 16], byteorder)
    packed = int.from_bytes(stored[position + 16 : position + 24], byteorder)
    if word != COMPRESS_ID or not 0 < plain <= LARGEST_PIECE or not 0 < packed <= LARGEST_PIECE + 4096:
        return None
    return plain, packed


def join(parts: Iterable[Piece]) -> Decoded:
    """Return the bytes of an entity from its pieces."""
    data: list[bytes] = []
    damaged: list[tuple[int, int]] = []
    total = 0
    for piece in parts:
        if len(piece.data) < piece.size:
            damaged.append((total + len(piece.data), total + piece.size))
        data.append(piece.data.ljust(piece.size, b"\0"))
        total += piece.size
    return Decoded(data[0] if len(data) == 1 else b"".join(data), damaged)


def pieces(
    stored: memoryview,
    byteorder: ByteOrder,
    *,
    pad: int,
    cut: bool,
    limit: int,
    problems: Problems,
    where: str,
    offset: int,
) -> Iterator[Piece]:
    """Inflate a zlib entity piece by piece; of a damaged piece ``data`` is shorter than ``size``.

    Parameters
    ----------
    stored: the stored bytes with their padding, as many as the file holds
    pad: num_pad
    cut: the file ends inside the entity, so that its last piece may lack its end
    limit: bytes that the entity can decode to; what would be more is refused
    where, offset: name and place of the entity, for ``problems``
    """
    position = total = failed = 0
    while len(stored) - position > LARGEST_PADDING and failed < MOST_DAMAGED:
        sizes = _header(stored, position, byteorder)
        start = position + HEADER
        data, used = _stream(stored, start)
        whole = used is not None
        outside = sizes is not None and start + sizes[1] > len(stored)
        if cut and not whole and (outside or start >= len(stored)):
            if sizes:
                yield Piece(sizes[0], data[: sizes[0]])  # what comes out before the cut is sound
            return
        if used is not None:
            if sizes != (len(data), used):
                problems.error(
                    where, "a piece's header does not agree with the zlib stream behind it; the stream is used",
                    offset=offset + position, expected=f"id {COMPRESS_ID}, sizes {len(data):,} and {used:,}",
                    got=f"sizes {sizes[0]:,} and {sizes[1]:,}" if sizes else bytes(stored[position : position + 24]).hex(" "),
                )  # fmt: skip
            piece, following = Piece(len(data), data), start + used
        elif sizes is not None:
            problems.error(
                where, "a zlib piece is damaged; its bytes are missing, the other pieces are used",
                offset=offset + position, expected=f"a zlib stream of {sizes[0]:,} bytes",
                got="a stream that does not inflate or whose checksum is wrong",
            )  # fmt: skip
            piece, following = Piece(sizes[0], data[: sizes[0]] if outside else b""), start + sizes[1]
        else:
            problems.error(  # how many pieces are gone is not known: a later one would stand at the wrong place
                where, "a piece's header and its zlib stream are both damaged; what follows in this entity is lost",
                offset=offset + position, expected=f"compress_id {COMPRESS_ID} and possible sizes",
                got=bytes(stored[position : position + 24]).hex(" "),
            )  # fmt: skip
            return
        total += piece.size
        failed += not whole
        if total > limit:
            problems.error(
                where, "the entity inflates to more than it can hold; the rest is left out", offset=offset + position,
                expected=f"at most {limit:,} bytes", got=f"{total:,} bytes or more",
            )  # fmt: skip
            return
        yield piece
        position = following
    if failed == MOST_DAMAGED:
        problems.error(where, f"{failed} pieces are damaged; the rest is not tried", offset=offset + position)
    elif not cut and len(stored) - position != pad:
        problems.error(
            where, "num_pad does not agree with the end of the last zlib stream; the stream is used",
            offset=offset + position, expected=str(max(0, len(stored) - position)), got=str(pad),
        )  # fmt: skip


def _stream(stored: memoryview, start: int) -> tuple[bytes, int | None]:
    """Return what one zlib stream holds and how many bytes it takes.

    Where the bytes end before the stream does: what came out before, and None. Where it is damaged: nothing, and None.
    """
    engine = zlib.decompressobj()
    parts: list[bytes] = []
    size, position, end = 0, start, min(len(stored), start + LARGEST_PIECE + 4096)
    while position < end:
        step = stored[position : min(end, position + STEP)]
        try:
            part = engine.decompress(step, LARGEST_PIECE + 1 - size)
        except zlib.error:
            return b"", None
        parts.append(part)
        size += len(part)
        if size > LARGEST_PIECE:
            return b"", None
        if engine.eof:
            return b"".join(parts), position + len(step) - len(engine.unused_data) - start
        position += len(step) - len(engine.unconsumed_tail)
    return (b"".join(parts) if end == len(stored) else b""), None
