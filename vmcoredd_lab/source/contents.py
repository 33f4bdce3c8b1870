"""What the memory of a test vmcore, or a note in it, is made of: bytes, part of a file, zeros, or what a function gives."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.source.base import Buffer, ByteSource, MemorySource
from vmcoredd_lab.source.opening import open_source

__all__ = ["CalledSource", "HoleSource", "content_of"]


class HoleSource(ByteSource):
    """Zeros that are stored nowhere."""

    def __init__(self, size: int) -> None:
        self.name = "<zeros>"
        self.size = size

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` zeros."""
        return bytes(max(0, min(size, self.size - offset)))

    def extents(self, offset: int, size: int) -> Iterator[tuple[int, int]]:
        """Yield nothing: all is a hole."""
        return iter(())


class CalledSource(ByteSource):
    """What a function of offset and size returns, asked for when it is needed and not remembered."""

    def __init__(self, function: Callable[[int, int], bytes], size: int) -> None:
        self.name = f"<{getattr(function, '__name__', 'function')}>"
        self.size = size
        self._function = function

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``.

        Raises
        ------
        UsageError: the function returned fewer or more bytes than it was asked for.
        """
        size = max(0, min(size, self.size - offset))
        if not size:
            return b""
        data = bytes(self._function(offset, size))
        if len(data) != size:
            raise UsageError(
                f"{self.name} returned another number of bytes than it was asked for", offset=offset,
                expected=f"{size:,} bytes", got=f"{len(data):,} bytes",
            )  # fmt: skip
        return data


def content_of(data: Any, size: int | None = None) -> Buffer:
    """Return a lazy buffer on what a user passes.

    Parameters
    ----------
    data: bytes; a buffer or source; a path or binary file object, of which the first ``size`` bytes are taken; a tuple
        (path or file object, offset); a function of (offset, size) that returns bytes; None for zeros
    size: bytes; needed for a function and for zeros, else all that there is

    Raises
    ------
    UsageError: there is less than ``size``, or ``size`` is missing.
    OpenError: a file cannot be opened.
    """
    if size is not None and size < 0:
        raise UsageError("a size cannot be negative", got=str(size))
    if data is None or callable(data):
        if size is None:
            raise UsageError("how many bytes? zeros and functions need a size")
        return Buffer(HoleSource(size) if data is None else CalledSource(data, size), 0, size)
    offset = 0
    if isinstance(data, tuple):
        data, offset = data
    if isinstance(data, Buffer):
        whole = data
    elif isinstance(data, (bytes, bytearray, memoryview)):
        held = bytes(data)  # of a buffer that may change later
        whole = Buffer(MemorySource(held), 0, len(held))
    elif isinstance(data, (ByteSource, str, os.PathLike)) or hasattr(data, "read"):
        source = open_source(data)
        whole = Buffer(source, 0, source.size)
    else:
        raise UsageError(
            "this is no content", expected="bytes, a buffer, a path, a file object, a function or None", got=type(data).__name__
        )  # fmt: skip
    left = max(0, len(whole) - offset)
    if size is not None and size > left:
        raise UsageError("there are fewer bytes than asked for", expected=f"{size:,} bytes", got=f"{left:,} bytes")
    return whole.window(offset, left if size is None else size)
