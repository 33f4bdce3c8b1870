"""What every source of bytes offers, and the lazy window that the rest of the package passes around."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import overload

from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.problems import Problems

__all__ = ["Buffer", "ByteSource", "MemorySource"]


class ByteSource(ABC):
    """Random access to a sequence of bytes. Reads beyond the end come back short, never as an error.

    Offsets and sizes come from files that may be damaged: any number from 0 up to 2**64 and beyond is allowed.

    Attributes
    ----------
    name: the file's name, for messages
    size: bytes, as far as they are known to be there
    mapped: True where a view of any size costs nothing before it is looked at
    layers: what the file is wrapped in, outermost first (``gzip``, ``tar member var/crash/vmcore``, ``flattened``)
    beneath: the sources that this one reads through: of a flattened file the file, of a split dump its parts
    """

    name: str
    size: int
    mapped: bool = False
    layers: tuple[str, ...] = ()
    beneath: tuple[ByteSource, ...] = ()

    @property
    def failure(self) -> VmcoreddLabError | None:
        """The error that ended reading of a remote file, or None; what was decoded since may miss bytes that the file has."""
        return next(filter(None, (source.failure for source in self.beneath)), None)

    @abstractmethod
    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``; fewer where the source ends."""

    def view(self, offset: int, size: int) -> memoryview:
        """Return the same as :meth:`read`, without a copy where the source allows it."""
        return memoryview(self.read(offset, size))

    def glance(self, offset: int, size: int) -> bytes:
        """Return what :meth:`read` does, of a place that is looked at once, far from those before and after it."""
        return self.read(offset, size)

    def done_with(self, offset: int, size: int) -> None:  # noqa: B027  most keep nothing
        """Say that these bytes will not be looked at soon, so that a mapped file need not keep them in memory."""

    def extents(self, offset: int, size: int) -> Iterator[tuple[int, int]]:
        """Yield (first byte, end) of what is stored in a range, in order; between them are holes, which read as zeros."""
        end = min(offset + size, self.size)
        if offset < end:
            yield offset, end

    def problems(self) -> Problems:
        """Return what is known so far to be wrong with the file itself, whatever is in it."""
        return Problems(*(source.problems() for source in self.beneath))

    def close(self) -> None:  # noqa: B027  nothing to release by default
        """Release the file behind the source."""


class MemorySource(ByteSource):
    """Bytes that are in memory already."""

    mapped = True

    def __init__(self, data: bytes | bytearray | memoryview, name: str = "<bytes>") -> None:
        self.name = name
        self._data = memoryview(data).cast("B")
        self.size = len(self._data)

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``."""
        return bytes(self._data[offset : offset + size])

    def view(self, offset: int, size: int) -> memoryview:
        """Return the bytes without a copy."""
        return self._data[offset : offset + size]


class Buffer:
    """A lazy window on a source: ``offset`` and ``size`` are known, bytes are read when asked for.

    Supports ``len``, indexing, slicing (``bytes`` come back), ``bytes(buffer)`` and :meth:`view`. Where the file is cut,
    ``len(buffer)`` is what is left of the window and ``declared_size`` what it should be.
    """

    def __init__(self, source: ByteSource, offset: int, size: int, available: int | None = None) -> None:
        self.source = source
        self.offset = offset
        self.declared_size = size
        self.size = max(0, min(size, source.size - offset, size if available is None else available))

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"<Buffer of {self.size:,} bytes at {self.offset:#x} of {self.source.name}>"

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset`` of the window."""
        return bytes(self.view(offset, size))

    def view(self, offset: int = 0, size: int | None = None) -> memoryview:
        """Return part of the window without a copy where the source allows it."""
        left = max(0, self.size - offset)
        return self.source.view(self.offset + offset, left if size is None else max(0, min(size, left)))

    def window(self, offset: int, size: int) -> Buffer:
        """Return a narrower window."""
        return Buffer(self.source, self.offset + offset, max(0, min(size, self.size - offset)))

    def extents(self) -> Iterator[tuple[int, int]]:
        """Yield (first byte, end) of what is stored of the window; between them are holes, which read as zeros."""
        for start, end in self.source.extents(self.offset, self.size):
            yield start - self.offset, end - self.offset

    def chunks(self, size: int = 1 << 20) -> Iterator[memoryview]:
        """Iterate over the window in pieces, so that a large one never is in memory whole."""
        for at in range(0, self.size, size):
            yield self.view(at, size)

    def __bytes__(self) -> bytes:
        return self.read(0, self.size)

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> bytes: ...
    def __getitem__(self, key: int | slice) -> int | bytes:
        if isinstance(key, slice):
            start, stop, step = key.indices(self.size)
            return self.read(start, max(0, stop - start)) if step == 1 else bytes(self)[key]
        at = key + self.size if key < 0 else key
        if not 0 <= at < self.size:
            raise IndexError(f"byte {key} of a buffer of {self.size}")
        return self.view(at, 1)[0]
