"""Where a vmcore is written to: a file that takes its final name when it is whole, with holes where there are zeros."""

from __future__ import annotations

import contextlib
import os
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from vmcoredd_lab.errors import OutputError
from vmcoredd_lab.text import escape

__all__ = ["FileSink", "Sink"]

HOLE = 1 << 16  # zeros of this length and alignment are left out
Data = bytes | bytearray | memoryview


class Sink(ABC):
    """Takes bytes at offsets, in any order; what is never written reads as zeros. A context, which releases what is behind."""

    @abstractmethod
    def write(self, offset: int, data: Data) -> None:
        """Write bytes at an offset."""

    @abstractmethod
    def finish(self, size: int) -> None:
        """Say that all is written and how long the file is."""

    def __enter__(self) -> Self:
        return self

    def __exit__(  # noqa: B027  most keep nothing
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release what is behind; with an error, what was written is dropped where that is possible."""


class FileSink(Sink):
    """A file that is written beside its final name, which it takes at the end; left whole or not at all.

    Use as a context: leaving it with an error removes what was written.
    """

    def __init__(self, path: Path) -> None:
        """Make the temporary file.

        Raises
        ------
        OutputError: no such directory, a directory of that name, no permission.
        """
        self._path = path
        if path.is_dir():
            raise OutputError("cannot be written: it is a directory", path=escape(str(path)), hint="name a file")
        try:
            self._handle, self._temporary = tempfile.mkstemp(
                prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent
            )
        except OSError as error:
            raise self._failed(error) from None
        self._done = False

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(f"cannot be written: {error.strerror}", path=escape(str(self._path)))

    def write(self, offset: int, data: Data) -> None:
        """Write bytes at an offset; whole aligned blocks of zeros become holes."""
        for start, end in _not_zero(offset, data):
            view = memoryview(data)[start:end]
            at = offset + start
            try:
                while len(view):
                    written = os.pwrite(self._handle, view, at)
                    view, at = view[written:], at + written
            except OSError as error:
                raise self._failed(error) from None

    def finish(self, size: int) -> None:
        """Give the file its size; it takes its name when the context is left."""
        try:
            os.ftruncate(self._handle, size)
            umask = os.umask(0)
            os.umask(umask)
            os.fchmod(self._handle, 0o666 & ~umask)
        except OSError as error:
            raise self._failed(error) from None
        self._done = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)
        try:
            if self._done and kind is None:
                os.replace(self._temporary, self._path)
                return
        except OSError as refused:
            raise self._failed(refused) from None
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._temporary)


def _not_zero(offset: int, data: Data) -> list[tuple[int, int]]:
    """Return the parts of the bytes that are to be written: all but whole aligned blocks of zeros."""
    lead = min(-offset % HOLE, len(data))
    count = (len(data) - lead) // HOLE
    if not count:
        return [(0, len(data))]
    words: np.ndarray[Any, Any] = np.frombuffer(data, np.uint64, count * HOLE // 8, lead).reshape(count, -1)
    kept = words.any(axis=1)
    if kept.all():
        return [(0, len(data))]
    edges = np.flatnonzero(np.diff(np.concatenate([[True], kept, [True]]).astype(np.int8)))
    bounds = [0, *(lead + edges * HOLE).tolist(), len(data)]
    return [(start, end) for start, end in zip(bounds[::2], bounds[1::2], strict=True) if start < end]
