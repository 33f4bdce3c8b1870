"""Compressed formats read from some place on: every sound byte up to the end or up to the first damage, in bounded memory."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import IO, Any, Protocol, cast

from vmcoredd_lab.source.base import ByteSource

__all__ = ["CODECS", "Inflate", "MemberStream", "Stream", "ZstdStream", "bzip2", "gzip", "xz"]

PACKED = 1 << 16  # packed bytes at a time
UNPACKED = 1 << 18  # unpacked bytes at a time at most: some packed bytes stand for a thousand or more
MEMORY = 1 << 28  # for xz and zstd; xz -9 needs 65 MiB, zstd --long 128 MiB
MOST_MEMBERS = 1 << 22  # of concatenated files in one; bgzip makes one for 64 KiB
_ERRORS = (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError)


class Stream(ABC):
    """Unpacked bytes in order.

    Attributes
    ----------
    place: where the next packed bytes come from
    damage: why the stream ended before its end, or None
    foreign: where bytes of no known kind stand behind the end, or None
    """

    place: int
    damage: str | None = None
    foreign: int | None = None

    @abstractmethod
    def read(self, size: int) -> bytes:
        """Return ``size`` bytes; fewer only at the end or where damage begins."""


class Codec(Protocol):
    """What zlib, bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Inflate:
    """A gzip member. Unlike the others it can be copied, so that reading can go on from there again."""

    def __init__(self, state: Any = None) -> None:
        self._state = zlib.decompressobj(wbits=31) if state is None else state
        self._tail = b""
        self._full = False

    @property
    def eof(self) -> bool:
        """True behind the member's checksum."""
        return bool(self._state.eof)

    @property
    def needs_input(self) -> bool:
        """True when nothing comes without more packed bytes."""
        return not self._tail and not self._full

    @property
    def unused_data(self) -> bytes:
        """Packed bytes behind the member."""
        return bytes(self._state.unused_data)

    @property
    def waiting(self) -> int:
        """Packed bytes that were given and not used yet."""
        return len(self._tail)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return up to ``max_length`` bytes; what comes before damage is given before the damage is raised."""
        data = self._tail + data
        before = self._state.copy()
        try:
            out: bytes = self._state.decompress(data, max_length)
        except zlib.error:
            out = self._up_to_damage(before, data, max_length)
            if not out:
                raise
            return out
        self._tail = b"" if self._state.eof else self._state.unconsumed_tail
        self._full = len(out) == max_length and not self._state.eof
        return out

    def _up_to_damage(self, state: Any, data: bytes, max_length: int) -> bytes:
        """Return what the bytes before the damaged one give, and keep the rest for the next call, which meets the damage."""
        out = b""
        for at in range(len(data)):
            before = state.copy()
            try:
                out += state.decompress(data[at : at + 1], max_length - len(out))
            except zlib.error:
                self._state, self._tail, self._full = before, data[at:], True
                return out
            if len(out) == max_length:
                break
        self._state, self._tail, self._full = state, state.unconsumed_tail + data[at + 1 :], True
        return out

    def copy(self) -> Inflate:
        """Return another that goes on from the same place, packed bytes that wait left out."""
        return Inflate(self._state.copy())


def gzip() -> Codec:
    """Return what reads one gzip member."""
    return Inflate()


def bzip2() -> Codec:
    """Return what reads one bzip2 stream."""
    return bz2.BZ2Decompressor()


def xz() -> Codec:
    """Return what reads one xz stream."""
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MEMORY)


CODECS: dict[str, tuple[bytes, Callable[[], Codec]]] = {
    "gzip": (b"\x1f\x8b\x08", gzip),
    "bzip2": (b"BZh", bzip2),
    "xz": (b"\xfd7zXZ\0", xz),
}


class MemberStream(Stream):
    """gzip, bzip2 or xz: members one behind the other, zeros between them and foreign bytes behind the last passed over."""

    def __init__(self, source: ByteSource, form: str, place: int = 0, *, end: int | None = None, codec: Codec | None = None,
                 prefix: bytes = b"") -> None:  # fmt: skip
        """Read from ``place`` to ``end``; ``codec`` goes on with a member, ``prefix`` is fed before what the file has."""
        self._source = source
        self._magic, self._make = CODECS[form]
        self.codec = codec or self._make()
        self._prefix = prefix
        self._end = source.size if end is None else end
        self._partial = end is not None  # one block of an xz stream: its end is not the stream's
        self._members = 1
        self.place = place
        self._fed = place  # where the packed bytes begin that the codec was given last
        self._began = (place, prefix)  # of the member
        self._given = 0  # bytes of the member

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes; fewer at the end or where damage begins."""
        parts: list[bytes] = []
        while size > 0 and self.damage is None:
            if self.codec.eof:
                if not self._next_member():
                    break
                continue
            data, self._prefix = self._prefix, b""
            if not data and self.codec.needs_input:
                data = self._source.read(self.place, min(PACKED, self._end - self.place))
                if not data:
                    self.damage = None if self._partial else "the file ends before the packed data do"
                    break
                self._fed = self.place
                self.place += len(data)
            try:
                part = self.codec.decompress(data, min(size, UNPACKED))
            except _ERRORS as error:
                self.damage = f"the packed data are damaged ({str(error).split(': ')[-1]})"
                parts.append(self._up_to_damage(min(size, UNPACKED)))
                break
            except MemoryError:
                self.damage = "unpacking takes more memory than is given to it"
                break
            parts.append(part)
            size -= len(part)
            self._given += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _up_to_damage(self, most: int) -> bytes:
        """Return the bytes before the damage, which the codec kept for itself: the member again, its last bytes one by one."""
        if isinstance(self.codec, Inflate):
            return b""  # gave them already
        codec, left, out = self._make(), self._given, bytearray()
        try:
            for data in self._again():
                while len(out) < most and not codec.eof:
                    part, data = codec.decompress(data, UNPACKED if left else most - len(out)), b""
                    out += part[left:]
                    left = max(0, left - len(part))
                    if codec.needs_input:
                        break
        except _ERRORS:
            pass  # known already
        return bytes(out[:most])

    def _again(self) -> Iterator[bytes]:
        """Yield the packed bytes of the member once more, those that were given last one by one."""
        place, prefix = self._began
        yield prefix
        while place < self._fed:
            data = self._source.read(place, min(PACKED, self._fed - place))
            if not data:
                return
            yield data
            place += len(data)
        for number in self._source.read(self._fed, self.place - self._fed):
            yield bytes([number])

    def _next_member(self) -> bool:
        self.place -= len(self.codec.unused_data)
        while True:  # xz and tape blocks fill up with zeros
            head = self._source.read(self.place, PACKED)
            rest = head.lstrip(b"\0")
            self.place += len(head) - len(rest)
            if rest or not head:
                break
        head = self._source.read(self.place, len(self._magic))
        if head != self._magic or self._members >= MOST_MEMBERS:
            self.foreign = self.place if head else None
            return False
        self._members += 1
        self.codec = self._make()
        self._began, self._given = (self.place, b""), 0
        return True


class ZstdStream(Stream):
    """zstd frames one behind the other."""

    def __init__(self, source: ByteSource, place: int = 0, *, end: int | None = None) -> None:
        """Read from the frame at ``place``, up to ``end`` of the packed bytes.

        Raises
        ------
        ImportError: zstandard is not installed.
        """
        import zstandard

        self._error = zstandard.ZstdError
        self._open: Callable[[], _At] = lambda: _At(source, place, source.size if end is None else end)
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=MEMORY >> 1)
        self._given = 0
        self._file = self._open()
        self._reader = self._reading(self._file)

    def _reading(self, file: _At) -> Any:
        return self._decompressor.stream_reader(cast("IO[bytes]", file), read_size=PACKED, read_across_frames=True)

    @property
    def place(self) -> int:  # type: ignore[override]
        """Where the next packed bytes come from."""
        return self._file.tell()

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes; fewer at the end or where damage begins."""
        parts: list[bytes] = []
        while size > 0 and self.damage is None:
            try:
                part = self._reader.read(min(size, UNPACKED))
            except self._error as error:
                self.damage = f"the packed data are damaged ({str(error).split(': ')[-1]})"
                parts.append(self._up_to_damage(min(size, UNPACKED)))
                break
            if not part:
                break
            parts.append(part)
            size -= len(part)
            self._given += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _up_to_damage(self, most: int) -> bytes:
        """Return the bytes before the damage, which the reader kept for itself: once more from the start, the last one by one."""
        reader, left, out = self._reading(self._open()), self._given, bytearray()
        try:
            while left and (part := reader.read(min(left, UNPACKED))):
                left -= len(part)
            while len(out) < most and (part := reader.read(1)):
                out += part
        except self._error:
            pass  # known already
        return bytes(out)


class _At(io.RawIOBase):
    """A source as a file that is read once, in order."""

    def __init__(self, source: ByteSource, place: int, end: int) -> None:
        super().__init__()
        self._source = source
        self._place, self._end = place, end

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(self._place, min(PACKED if size < 0 else size, self._end - self._place))
        self._place += len(data)
        return data
