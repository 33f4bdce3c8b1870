"""From what a user passes (path, file object, bytes) to a source of bytes."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import re
import stat
import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.source.base import ByteSource, MemorySource
from vmcoredd_lab.source.files import FileSource, LiveSource, is_live
from vmcoredd_lab.source.urls import is_url, local_path
from vmcoredd_lab.text import escape

if TYPE_CHECKING:
    from vmcoredd_lab.source.remote import RemoteSource

__all__ = ["open_source", "opened_remotes"]

_remotes: ContextVar[list[RemoteSource] | None] = ContextVar("remotes", default=None)


class MappedSource(ByteSource):
    """A local file through mmap: pages come in when they are looked at."""

    mapped = True

    def __init__(self, path: str, file: IO[bytes], size: int) -> None:
        self.name = path
        self.size = size
        self._map = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        self._handle = os.dup(file.fileno())  # for what a mapping does not tell: where the holes are
        weakref.finalize(self, os.close, self._handle)
        self._view = memoryview(self._map)

    @property
    def mapping(self) -> mmap.mmap:
        """The mapping itself, which searches without a copy."""
        return self._map

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``."""
        return self._map[offset : offset + size]

    def view(self, offset: int, size: int) -> memoryview:
        """Return the mapped bytes themselves."""
        return self._view[offset : offset + size]

    def glance(self, offset: int, size: int) -> bytes:
        """Return the bytes by a read of the file, which maps no pages and reads none around them."""
        if offset >= self.size:
            return b""
        try:
            return os.pread(self._handle, min(size, self.size - offset), offset)
        except OSError:
            return self.read(offset, size)

    def done_with(self, offset: int, size: int) -> None:
        """Let whole pages go; they come back from the file when they are looked at again."""
        start = -(-offset // mmap.PAGESIZE) * mmap.PAGESIZE
        length = (min(offset + size, self.size) - start) // mmap.PAGESIZE * mmap.PAGESIZE
        if length > 0:
            self._map.madvise(mmap.MADV_DONTNEED, start, length)

    def extents(self, offset: int, size: int) -> Iterator[tuple[int, int]]:
        """Yield what the file system has stored; all where it does not say."""
        end = min(offset + size, self.size)
        while offset < end:
            try:
                start = os.lseek(self._handle, offset, os.SEEK_DATA)
                stop = os.lseek(self._handle, start, os.SEEK_HOLE)
            except OSError as error:
                if error.errno != errno.ENXIO:  # ENXIO: nothing but a hole is left
                    yield offset, end
                return
            if start < end:
                yield start, min(stop, end)
            offset = stop

    def close(self) -> None:
        """Drop the mapping once no view of it is left."""
        self._view.release()
        with contextlib.suppress(BufferError):  # a frame still looks at it; the mapping goes with the last view
            self._map.close()


def open_source(what: Any) -> ByteSource:
    """Return a source for a path, a URL, a binary file object or bytes.

    Raises
    ------
    OpenError: no such file, a directory, an empty file, no permission; of a URL also what
        :class:`~vmcoredd_lab.source.remote.RemoteSource` raises.
    """
    if isinstance(what, ByteSource):
        return what
    if isinstance(what, (bytes, bytearray, memoryview)):
        source: ByteSource = MemorySource(what)
    elif hasattr(what, "read") and hasattr(what, "seek"):
        source = _seekable(what, escape(str(getattr(what, "name", "<file object>"))))
    elif is_url(what):
        source = _open_url(what)
    else:
        source = _open_path(Path(what))
    if source.size == 0:
        raise OpenError("the file is empty", path=source.name, expected="a vmcore or a device dump", got="0 bytes")
    return source


@contextlib.contextmanager
def opened_remotes() -> Iterator[list[RemoteSource]]:
    """Give a list to which every URL that is opened meanwhile adds its source."""
    found: list[RemoteSource] = []
    token = _remotes.set(found)
    try:
        yield found
    finally:
        _remotes.reset(token)


def _open_url(url: str) -> ByteSource:
    path = local_path(url)
    if path is not None:
        return _open_path(Path(path))
    from vmcoredd_lab.source.remote import RemoteSource

    source = RemoteSource(url)
    found = _remotes.get()
    if found is not None:
        found.append(source)
    return source


def _open_path(path: Path) -> ByteSource:
    name = escape(os.fspath(path))
    try:
        if stat.S_ISFIFO(path.stat().st_mode):  # opening would wait for who writes
            raise _not_at_will("it is a pipe", name)
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        url = re.match(r"[a-z][a-z0-9+.-]+:/[^/]", name)  # pathlib makes one / of two
        raise OpenError(
            "no such file", path=name, hint="pass a URL as text, not as a Path" if url else "check the path"
        ) from None
    except IsADirectoryError:
        raise OpenError(
            "this is a directory", path=name, expected="a file", hint=f"try {name.rstrip('/')}/vmcore"
        ) from None
    except OSError as error:
        raise OpenError(f"cannot be opened: {error.strerror}", path=name) from None
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and not is_live(path, status):
        with file:
            try:
                return MappedSource(name, file, status.st_size)
            except (OSError, ValueError, OverflowError):  # a file system without mmap
                return FileSource(path.open("rb", buffering=0), name)
    try:
        return LiveSource(file, name)
    except OSError as error:
        file.close()
        raise _not_at_will(error.strerror or str(error), name) from None


def _seekable(file: IO[bytes], name: str) -> FileSource:
    try:
        return FileSource(file, name)
    except OSError as error:  # a pipe
        raise _not_at_will(error.strerror or str(error), name) from None


def _not_at_will(why: str, name: str) -> OpenError:
    return OpenError(f"cannot be read at will: {why}", path=name, hint="copy it to a regular file first")
