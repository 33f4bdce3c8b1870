"""FastLZ 6pack, the framing in which the Unified Wire's cudbg library stores every entity: chunks behind a magic.

The first chunk (id 1) says how many bytes the entity has, each of the others (id 17) holds a FastLZ stream, or bytes as
they are where there are fewer than 32. Each chunk's checksum is over its stored bytes, so the bytes are believed and the
header is checked against them: a wrong size costs nothing, a damaged chunk costs its own bytes only.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from vmcoredd_lab.devices.cxgb4 import fastlz
from vmcoredd_lab.devices.cxgb4.framing import LARGEST_PADDING, MOST_DAMAGED, Piece
from vmcoredd_lab.devices.cxgb4.structs import SIXPACK_CHUNK
from vmcoredd_lab.problems import Problems

__all__ = ["MAGIC", "decoded_size", "is_sixpack", "pack", "pieces"]

MAGIC = b"\x89\x36\x50\x4b\x0d\x0a\x1a\x0a"
HEADER = SIXPACK_CHUNK.size()
TOTAL_ID, DATA_ID = 1, 17
STORED, FASTLZ = 0, 1
TOTAL_SIZE = 14  # u32 size, u32 0, u16 length of the name, "abc\0"
FIRST = len(MAGIC) + HEADER + TOTAL_SIZE  # where the first chunk of data is
LARGEST_CHUNK = 4 << 20  # registers, memories, contexts and the LE TCAM are cut at 64512; a firmware log has half a MiB
SHORTEST_STREAM = 32
ROUNDS = 16  # times the stored bytes that may be gone through in search of sound chunks


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A chunk's header, and what of its bytes is there."""

    position: int
    id: int
    options: int
    size: int
    adler32: int
    extra: int
    body: memoryview

    @property
    def following(self) -> int:
        return self.position + HEADER + self.size

    @property
    def sound(self) -> bool:
        """True where all bytes are there and their checksum is right."""
        return len(self.body) == self.size and zlib.adler32(self.body) == self.adler32

    @property
    def plausible(self) -> bool:
        """True where the header is possible for a chunk of data."""
        if self.id != DATA_ID or not 0 < self.extra <= LARGEST_CHUNK:
            return False
        if self.options == STORED:
            return self.extra == self.size
        return self.options == FASTLZ and self.extra <= fastlz.EXPANSION * self.size


def is_sixpack(stored: memoryview) -> bool:
    """Return True where the stored bytes begin as FastLZ 6pack does."""
    return bytes(stored[: len(MAGIC)]) == MAGIC


def decoded_size(stored: memoryview, limit: int) -> int | None:
    """Return what the chunk headers add up to, without decoding; None where they do not hold.

    ``stored`` is the entity with its padding.
    """
    total = _sum(stored, FIRST)
    return total if total is not None and total <= limit else None


def pack(data: bytes, *, level: int = 2, cut: int | None = None) -> bytes:
    """Return an entity's bytes as the library stores them, without padding; ``cut``: bytes a chunk holds at most."""
    total = len(data).to_bytes(4, "little") + bytes(4) + (4).to_bytes(2, "little") + b"abc\0"
    parts = [MAGIC, _header(TOTAL_ID, STORED, total, 0), total]
    for at in range(0, len(data), cut or len(data) or 1):
        plain = data[at : at + cut] if cut else data
        body, options = (plain, STORED) if len(plain) < SHORTEST_STREAM else (fastlz.compress(plain, level), FASTLZ)
        parts += [_header(DATA_ID, options, body, len(plain)), body]
    return b"".join(parts)


def _header(number: int, options: int, body: bytes, extra: int) -> bytes:
    return SIXPACK_CHUNK.write(id=number, options=options, size=len(body), adler32=zlib.adler32(body), extra=extra)


def _chunk(stored: memoryview, position: int) -> _Chunk | None:
    """Return the chunk at ``position`` whatever it says; None where its header is not there whole."""
    start = position + HEADER
    if position < 0 or len(stored) < start:
        return None
    members: dict[str, int] = {  # one by one: NumPy takes four times as long for a single record
        name: int.from_bytes(stored[position + at : position + at + kind.itemsize], "little")
        for name, (kind, at) in _MEMBERS.items()
    }
    return _Chunk(position, body=stored[start : start + members["size"]], **members)


_MEMBERS = {name: found[:2] for name, found in (SIXPACK_CHUNK.dtype().fields or {}).items()}


def _total(stored: memoryview) -> int | None:
    """Return the entity's size as the first chunk says it; None where that chunk is damaged."""
    chunk = _chunk(stored, len(MAGIC))
    if chunk is None or chunk.size != TOTAL_SIZE or not chunk.sound:
        return None
    return int.from_bytes(chunk.body[:4], "little")


def _sum(stored: memoryview, position: int) -> int | None:
    """Return what the chunks from ``position`` to the end decode to by their headers; None where those do not hold."""
    total = 0
    while len(stored) - position > LARGEST_PADDING:
        chunk = _chunk(stored, position)
        if chunk is None or not chunk.plausible or chunk.following > len(stored):
            return None
        total += chunk.extra
        position = chunk.following
    return total


def pieces(
    stored: memoryview, *, pad: int, cut: bool, limit: int, problems: Problems, where: str, offset: int
) -> Iterator[Piece]:
    """Decode an entity chunk by chunk; of a damaged chunk ``data`` is shorter than ``size``.

    Parameters
    ----------
    stored: the stored bytes with their padding, as many as the file holds
    pad: num_pad
    cut: the file ends inside the entity, so that its last chunk may lack its end
    limit: bytes that the entity can decode to; what would be more is refused
    where, offset: name and place of the entity, for ``problems``
    """
    reader = _Reader(stored, pad, cut, problems, where, offset)
    reader.check_beginning()
    position, done, failed = FIRST, 0, 0
    while len(stored) - position > LARGEST_PADDING and failed < MOST_DAMAGED:
        found = reader.next(position, done)
        if found is None:
            return
        piece, following = found
        done += piece.size
        failed += len(piece.data) < piece.size
        if done > limit:
            reader.error(position, "the entity decodes to more than it can hold; the rest is left out",
                         f"at most {limit:,} bytes", f"{done:,} bytes or more")  # fmt: skip
            return
        yield piece
        position = following
    if failed == MOST_DAMAGED:
        reader.error(position, f"{failed} chunks are damaged; the rest is not tried")
    elif not cut:
        reader.check_end(position, done)


class _Reader:
    """One entity's chunks, read in order."""

    def __init__(self, stored: memoryview, pad: int, cut: bool, problems: Problems, where: str, offset: int) -> None:
        self.stored = stored
        self.pad = pad
        self.cut = cut
        self.problems = problems
        self.where = where
        self.offset = offset
        self.total = _total(stored)
        self.budget = ROUNDS * len(stored)

    @cached_property
    def _bytes(self) -> bytes:
        return bytes(self.stored)

    def error(self, position: int, message: str, expected: str | None = None, got: str | None = None) -> None:
        """Record damage at a position of the stored bytes."""
        self.problems.error(self.where, message, offset=self.offset + position, expected=expected, got=got)

    def check_beginning(self) -> None:
        """Compare the magic and the first chunk with what the library writes."""
        stored, size = self.stored, len(MAGIC)
        if not is_sixpack(stored) and not (self.cut and len(stored) < size):
            self.error(0, "the entity does not begin as FastLZ does", MAGIC.hex(" "), bytes(stored[:size]).hex(" "))
        chunk = _chunk(stored, size)
        sound = self.total is not None and chunk and (chunk.id, chunk.options, chunk.extra) == (TOTAL_ID, STORED, 0)
        if not sound and not (self.cut and len(stored) < FIRST):
            self.error(size, "the chunk that says the entity's size is damaged; the others are used",
                       f"id {TOTAL_ID}, {TOTAL_SIZE} bytes and their checksum", self._shown(size))  # fmt: skip

    def check_end(self, position: int, done: int) -> None:
        """Compare where the last chunk ends with num_pad, and what came out with the first chunk."""
        left = len(self.stored) - position
        if left != self.pad:
            self.error(position, "num_pad does not agree with the end of the last chunk; the chunk is used",
                       str(max(0, left)), str(self.pad))  # fmt: skip
        if self.total is not None and self.total != done:
            self.error(len(MAGIC) + HEADER, "the chunks hold more or less than the entity's first chunk says",
                       f"{self.total:,} bytes", f"{done:,} bytes")  # fmt: skip

    def next(self, position: int, done: int) -> tuple[Piece, int] | None:
        """Return the piece at ``position`` and where the next one begins; None where nothing more can be had."""
        chunk = _chunk(self.stored, position)
        if chunk is None:
            if not self.cut:
                self.error(position, "bytes behind the last chunk are no chunk", None, self._shown(position))
            return None
        if chunk.sound:
            return self._decoded(chunk), chunk.following
        if chunk.plausible and self._ends_well(chunk.following):
            return self._lost(chunk), chunk.following
        sound = self._next_sound(position + HEADER)
        if self.cut and sound is None:  # what comes out before the cut is sound
            return (Piece(chunk.extra, self._beginning(chunk)), chunk.following) if chunk.plausible else None
        return self._mended(chunk, sound) or self._gap(chunk, sound, done)

    def _shown(self, position: int) -> str:
        return bytes(self.stored[position : position + HEADER]).hex(" ")

    def _beginning(self, chunk: _Chunk) -> bytes:
        """Return what comes out of a chunk before the file ends."""
        if chunk.options == STORED:
            return bytes(chunk.body)
        try:
            return fastlz.decompress(chunk.body, size=chunk.extra)
        except fastlz.FastLzError as error:
            return error.partial

    def _decoded(self, chunk: _Chunk) -> Piece:
        """Return the piece of a chunk whose bytes are sound; its header may still be wrong."""
        data = _data(chunk)
        if data is None:
            return self._lost(chunk, "a stream that does not decode, though its checksum is right")
        if not chunk.plausible or chunk.extra != len(data) or (chunk.options == STORED) != (data == chunk.body):
            self.error(chunk.position, "a chunk's header does not agree with the bytes behind it; the bytes are used",
                       f"id {DATA_ID}, {len(data):,} bytes decoded",
                       f"id {chunk.id}, options {chunk.options}, {chunk.extra:,} bytes decoded")  # fmt: skip
        return Piece(len(data), data)

    def _lost(self, chunk: _Chunk, got: str = "bytes of another checksum") -> Piece:
        self.error(chunk.position, "a chunk is damaged; its bytes are missing, the other chunks are used",
                   f"{chunk.size:,} bytes with the checksum {chunk.adler32:#010x}", got)  # fmt: skip
        return Piece(chunk.extra if chunk.plausible else 0, b"")

    def _ends_well(self, position: int) -> bool:
        """Return True where a chunk could begin at ``position``, or the entity ends there."""
        if 0 <= len(self.stored) - position <= LARGEST_PADDING:
            return True
        chunk = _chunk(self.stored, position)
        return chunk is not None and chunk.plausible

    def _mended(self, chunk: _Chunk, sound: int | None) -> tuple[Piece, int] | None:
        """Return the piece of a chunk of which only the size is wrong: the checksum says so."""
        start = chunk.position + HEADER
        for end in [len(self.stored) - n for n in range(LARGEST_PADDING + 1)] if sound is None else [sound]:
            body = self.stored[start:end]
            if end > start and zlib.adler32(body) == chunk.adler32:
                self.error(chunk.position, "the size in a chunk's header is wrong; its checksum tells where it ends",
                           f"{len(body):,} bytes", f"{chunk.size:,}")  # fmt: skip
                return self._decoded(replace(chunk, size=len(body), body=body)), end
        return None

    def _gap(self, chunk: _Chunk, sound: int | None, done: int) -> tuple[Piece, int] | None:
        """Return the missing piece before the next sound chunk, where the chunks behind it tell how large it is."""
        end = len(self.stored) if sound is None else sound
        self.budget -= len(self.stored) - end
        following = _sum(self.stored, end) if self.budget >= 0 else None
        size = self.total - done - following if self.total is not None and following is not None else 0
        known = 0 < size <= fastlz.EXPANSION * (end - chunk.position)
        self.error(chunk.position, "a chunk's header is damaged; " + ("its bytes are missing, the other chunks are used" if known
                   else "what follows in this entity is lost"), f"id {DATA_ID} and possible sizes",
                   self._shown(chunk.position))  # fmt: skip
        return (Piece(size, b""), len(self.stored) - self.pad if sound is None else sound) if known else None

    def _next_sound(self, position: int) -> int | None:
        """Return where the next chunk begins whose checksum is right."""
        mark = DATA_ID.to_bytes(2, "little")
        while (position := self._bytes.find(mark, position)) >= 0:
            chunk = _chunk(self.stored, position)
            if chunk is not None and chunk.plausible and len(chunk.body) == chunk.size:
                self.budget -= chunk.size
                if self.budget < 0:
                    return None
                if chunk.sound:
                    return position
            position += 1
        return None


def _data(chunk: _Chunk) -> bytes | None:
    """Return what sound bytes hold, taken as the header says or else as makes the size right; None: they do not decode."""
    plain = bytes(chunk.body)
    try:
        decoded = fastlz.decompress(plain, limit=LARGEST_CHUNK)
    except fastlz.FastLzError:
        decoded = None
    readings = (plain, decoded) if chunk.options == STORED else (decoded, plain)
    return next((one for one in readings if one is not None and len(one) == chunk.extra), readings[0])
