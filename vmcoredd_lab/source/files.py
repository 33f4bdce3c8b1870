"""Files that cannot be mapped: file objects, devices, and /proc/vmcore and /proc/kcore, whose stat does not tell their size.

/proc/vmcore keeps the size that it had when it was first looked up, though device dumps were added since (fs/proc/vmcore.c,
vmcore_add_device_dump); /proc/kcore spans the address space, 128 TiB on x86_64 (fs/proc/kcore.c), and reads as zeros where
nothing is mapped. So the end is where reading ends, not where stat or seek say it is.
"""

from __future__ import annotations

import os
import stat
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import IO

from vmcoredd_lab.errors import OpenError, VmcoreddLabError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source.base import ByteSource

__all__ = ["FileSource", "LiveSource", "is_live", "true_size"]

ENDLESS = 1 << 52  # no machine has more memory
GROWTH = 1 << 40  # reading that goes on further than this behind the size is not of that file: /proc/kcore never ends
PIECE = 1 << 24  # bytes a call


class FileSource(ByteSource):
    """A seekable binary file object."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        self._file = file
        self._lock = threading.Lock()
        self._failure: VmcoreddLabError | None = None
        self.size = true_size(self._at, file.seek(0, os.SEEK_END))

    @property
    def failure(self) -> VmcoreddLabError | None:
        """The error that ended reading, or None."""
        return self._failure

    def _at(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``, joining short reads."""
        size = min(size, self.size - offset)
        if size <= 0:
            return b""
        with self._lock:
            data, error = _joined(self._at, offset, size)
        if error is not None:
            self._failure = self._failure or OpenError(
                f"cannot be read: {error.strerror or error}", path=self.name, offset=offset + len(data)
            )
        return data

    def close(self) -> None:
        """Close the file object."""
        self._file.close()


class LiveSource(ByteSource):
    """A special file by its path: /proc/vmcore, /proc/kcore, a device. What cannot be read there is a row of problems."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        """Take over the file, which must be open for reading without a buffer.

        Raises
        ------
        OSError: it cannot be read at will, as a pipe.
        """
        self.name = name
        self._file = file
        self._found = Problems()
        weakref.finalize(self, file.close)
        os.pread(file.fileno(), 1, 0)
        self.size = true_size(self._at, max(os.fstat(file.fileno()).st_size, _seek_end(file)))

    def _at(self, offset: int, size: int) -> bytes:
        return os.pread(self._file.fileno(), min(size, PIECE), offset)

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``; fewer where the file has become shorter or cannot be read."""
        size = min(size, self.size - offset)
        if size <= 0:
            return b""
        data, error = _joined(self._at, offset, size)
        if error is not None:
            self._found.error(
                "file", "the system cannot read the file here; what follows in this piece is missing",
                offset=offset + len(data), expected=f"{size - len(data):,} bytes", got=error.strerror or str(error),
            )  # fmt: skip
        return data

    def problems(self) -> Problems:
        """Return where the file could not be read so far."""
        return self._found

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def is_live(path: Path, status: os.stat_result) -> bool:
    """Return whether a regular file is one that the kernel makes up as it is read: of /proc, or without a size."""
    if not stat.S_ISREG(status.st_mode):
        return False
    try:
        return status.st_size == 0 or status.st_dev == os.stat("/proc").st_dev
    except OSError:  # no /proc
        return status.st_size == 0


def true_size(read: Callable[[int, int], bytes], said: int) -> int:
    """Return where reading ends, which may be before or behind what a file says of itself; in about a hundred reads at most."""
    if said > 0 and not _has(read, said - 1, where_unreadable=True):
        return _last(read, 0, said - 1)
    if not _has(read, said):
        return said
    low, step = said, 1
    most = said + GROWTH if said else ENDLESS
    while low + step < most and _has(read, low + step):
        low, step = low + step, step * 2
    if low + step >= most:
        return said
    return _last(read, low, low + step)


def _last(read: Callable[[int, int], bytes], low: int, high: int) -> int:
    """Return the end, which is behind ``low`` (or is 0) and not behind ``high``."""
    while low < high:
        middle = (low + high) // 2
        if _has(read, middle):
            low = middle + 1
        else:
            high = middle
    return low


def _has(read: Callable[[int, int], bytes], offset: int, *, where_unreadable: bool = False) -> bool:
    try:
        return bool(read(offset, 1))
    except (OSError, OverflowError, ValueError):
        return where_unreadable


def _joined(read: Callable[[int, int], bytes], offset: int, size: int) -> tuple[bytes, OSError | None]:
    """Return what short reads give together, and the error that ended it."""
    parts: list[bytes] = []
    while size > 0:
        try:
            part = read(offset, size)
        except OSError as error:
            return b"".join(parts), error
        if not part:
            break
        parts.append(part)
        offset += len(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts), None


def _seek_end(file: IO[bytes]) -> int:
    """Return what seeking to the end says; 0 where that is not possible. Of a device only this tells the size."""
    try:
        return file.seek(0, os.SEEK_END)
    except OSError:
        return 0
