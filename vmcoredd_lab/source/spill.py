"""What was unpacked so far, in a temporary file without a name: in memory while small, and zeros take no room."""

from __future__ import annotations

import os
import tempfile
import weakref

from vmcoredd_lab.text import human_size

__all__ = ["Spill"]

IN_MEMORY = 32 << 20
RESERVE = 1 << 30  # left free on the disk
_LOOK = 64 << 20  # bytes written between two looks at the disk
_DISK = "/var/tmp"  # noqa: S108  the file gets no name there; /tmp may be memory


class Spill:
    """Bytes from the beginning of a file, written once in order and read at will. ``size`` is how many there are."""

    def __init__(self) -> None:
        self.size = 0
        self._looked = 0
        where = None if os.environ.get("TMPDIR") or not os.access(_DISK, os.W_OK) else _DISK
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, dir=where)  # noqa: SIM115  closed in close()
        weakref.finalize(self, self._file.close)

    def append(self, data: bytes) -> None:
        """Add the next bytes.

        Raises
        ------
        OSError: the disk is full, or would nearly be.
        """
        if data.count(0) < len(data):
            if self.size > IN_MEMORY:
                self._file.rollover()  # in memory the zeros before would take room
            if self.size > IN_MEMORY and self.size - self._looked >= _LOOK:
                self._look()
            self._file.seek(self.size)
            self._file.write(data)
        self.size += len(data)

    def skip(self, size: int) -> None:
        """Add zeros for bytes that are lost."""
        self.size += size

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``, as far as they were written."""
        size = max(0, min(size, self.size - offset))
        self._file.seek(offset)
        return self._file.read(size).ljust(size, b"\0")

    def _look(self) -> None:
        self._looked = self.size
        status = os.fstatvfs(self._file.fileno())
        if status.f_bavail * status.f_frsize < RESERVE:
            raise OSError(f"less than {human_size(RESERVE)} would be left on the disk")

    def close(self) -> None:
        """Give the room back."""
        self._file.close()
