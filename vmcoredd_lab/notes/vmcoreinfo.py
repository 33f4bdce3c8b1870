"""VMCOREINFO: the key=value lines that the crashed kernel left about itself (kernel/crash_core.c)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from vmcoredd_lab.text import escape

__all__ = ["Vmcoreinfo"]

# A machine without a clock counts from 1970 when it starts; no vmcore with device dumps is older than the interface.
EARLIEST = 1_000_000_000


class Vmcoreinfo(Mapping[str, str]):
    """The lines of VMCOREINFO in file order: ``info["OSRELEASE"]``, ``info["SYMBOL(init_uts_ns)"]``."""

    def __init__(self, data: bytes = b"") -> None:
        self._lines: dict[str, str] = {}
        for line in data.rstrip(b"\0").split(b"\n"):
            key, sep, value = line.partition(b"=")
            if sep:
                self._lines[escape(key)] = escape(value)

    def __getitem__(self, key: str) -> str:
        return self._lines[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def release(self) -> str | None:
        """The kernel release, as ``uname -r`` has it."""
        return self.get("OSRELEASE")

    @property
    def page_size(self) -> int | None:
        """Bytes in a page."""
        text = self.get("PAGESIZE", "")
        return int(text) if text.isdecimal() and len(text) < 12 else None

    @property
    def crash_seconds(self) -> int | None:
        """CRASHTIME: seconds since 1970, UTC, as the machine's own clock had it."""
        text = self.get("CRASHTIME", "")
        return int(text) if text.isdecimal() and len(text) < 12 else None

    @property
    def crash_time(self) -> datetime | None:
        """The crash time in UTC; None where it is not recorded or the machine had no clock."""
        seconds = self.crash_seconds
        return datetime.fromtimestamp(seconds, UTC) if seconds is not None and seconds >= EARLIEST else None
