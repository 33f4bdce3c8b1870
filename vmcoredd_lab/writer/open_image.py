"""A source of bytes as a binary file that can be read and seeked, for whoever wants a file."""

from __future__ import annotations

import io
import os
from typing import Any

from vmcoredd_lab.source.base import ByteSource

__all__ = ["OpenImage"]

_PIECE = 1 << 24


class OpenImage(io.RawIOBase):
    """A read-only file on a source."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._at = 0
        self.name = source.name

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to an offset from the beginning, the position or the end; behind the end nothing is read."""
        self._check()
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._source.size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative position {base + offset}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as the file goes; return how many bytes were read."""
        self._check()
        target = memoryview(buffer).cast("B")
        done = 0
        while done < len(target):
            part = self._source.view(self._at, min(_PIECE, len(target) - done))
            if not len(part):
                break
            target[done : done + len(part)] = part
            done += len(part)
            self._at += len(part)
        return done

    def write(self, _: Any) -> int:
        """Refuse."""
        raise io.UnsupportedOperation("write: an image is read-only; vmcoredd_lab.write_vmcore writes a file")

    def _check(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")
