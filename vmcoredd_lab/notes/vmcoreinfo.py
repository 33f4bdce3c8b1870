"""VMCOREINFO: the key=value lines that the crashed kernel left about itself (kernel/crash_core.c, kernel/vmcore_info.c)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property

from vmcoredd_lab.problems import Problems
from vmcoredd_lab.text import escape, plural

__all__ = ["LONGEST", "Vmcoreinfo"]

# A machine without a clock counts from 1970 when it starts; no vmcore with device dumps is older than the interface.
EARLIEST = 1_000_000_000
LONGEST = 1 << 20  # bytes that are read; the kernel's is one page
MOST_TOLD = 8  # lines that problems name one by one

_WRAPPED = re.compile(r"(?P<kind>SYMBOL|SIZE|OFFSET|LENGTH|NUMBER|CONFIG)\((?P<name>.+)\)\Z")
_OPTION = re.compile(r"CONFIG_[A-Z0-9_a-z]+\Z")


def _hexadecimal(text: str) -> int | None:
    return _in_range(text, 16)


def _decimal(text: str) -> int | None:
    return _in_range(text, 10)


def _either(text: str) -> int | None:
    """Return a number as the kernel writes NUMBER(): %ld, 0x%lx, and in places %lx."""
    for base in (0, 10, 16):
        if (found := _in_range(text, base)) is not None:
            return found
    return None


def _in_range(text: str, base: int) -> int | None:
    if not text or len(text) > 24 or "_" in text or text != text.strip():
        return None
    try:
        number = int(text, base)
    except ValueError:
        return None
    return number if -(1 << 63) <= number < 1 << 64 else None


_PARSERS: dict[str, Callable[[str], int | None]] = {
    "SYMBOL": _hexadecimal, "SIZE": _decimal, "OFFSET": _decimal, "LENGTH": _decimal, "NUMBER": _either,
}  # fmt: skip


class Vmcoreinfo(Mapping[str, str]):
    """The lines of VMCOREINFO in file order: ``info["OSRELEASE"]``, ``info["SYMBOL(init_uts_ns)"]``.

    Numbers are in the views ``symbols``, ``sizes``, ``offsets``, ``lengths`` and ``numbers``; a line that holds no number
    of 64 bits is in none of them, and among ``problems``. ``offset`` is where the text is in the file, None where it was found
    in memory; ``raw`` is the text as the kernel left it.
    """

    def __init__(self, data: bytes = b"", offset: int | None = None) -> None:
        self._lines: dict[str, str] = {}
        self._places: dict[str, int] = {}
        self.raw = data
        self._known_place = offset is not None
        offset = offset or 0
        self._odd: list[tuple[int, str, str]] = []  # offset, message, what was found
        for line in data.rstrip(b"\0").split(b"\n"):
            key, sep, value = line.partition(b"=")
            name, text = escape(key), escape(value)
            if sep and self._lines.setdefault(name, text) != text:
                self._odd.append((offset, f"{name} is there twice and differs; the first holds", text))
            elif sep:
                self._places.setdefault(name, offset)
            elif line:
                self._odd.append((offset, "a line without an equals sign; it is left out", name))
            offset += len(line) + 1

    def __getitem__(self, key: str) -> str:
        return self._lines[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    # -- typed views --------------------------------------------------------------------------------------------------

    @property
    def symbols(self) -> dict[str, int]:
        """Kernel virtual addresses by symbol: SYMBOL(name)."""
        return self._views["SYMBOL"]

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of structures: SIZE(struct)."""
        return self._views["SIZE"]

    @property
    def offsets(self) -> dict[str, int]:
        """Bytes from the beginning of a structure to a member, by ``struct.member``: OFFSET(struct.member)."""
        return self._views["OFFSET"]

    @property
    def lengths(self) -> dict[str, int]:
        """Elements of arrays: LENGTH(array)."""
        return self._views["LENGTH"]

    @property
    def numbers(self) -> dict[str, int]:
        """Constants and variables, signed or not as the kernel wrote them: NUMBER(name)."""
        return self._views["NUMBER"]

    @cached_property
    def config(self) -> dict[str, str]:
        """Configuration options by name, without ``CONFIG_``: CONFIG_name=y and CONFIG(name)=y."""
        found: dict[str, str] = {}
        for key, value in self._lines.items():
            match = _WRAPPED.match(key)
            if match and match["kind"] == "CONFIG":
                found[match["name"].removeprefix("CONFIG_")] = value
            elif _OPTION.match(key):
                found[key.removeprefix("CONFIG_")] = value
        return found

    @cached_property
    def _views(self) -> dict[str, dict[str, int]]:
        views: dict[str, dict[str, int]] = {kind: {} for kind in _PARSERS}
        for key, value in self._lines.items():
            match = _WRAPPED.match(key)
            if match and match["kind"] in views and (number := _PARSERS[match["kind"]](value)) is not None:
                views[match["kind"]][match["name"]] = number
        return views

    @cached_property
    def problems(self) -> Problems:
        """What is wrong with the text: lines that say nothing, numbers that are none, what every kernel writes missing."""
        odd = list(self._odd)
        for key, value in self._lines.items():
            match = _WRAPPED.match(key)
            if match and match["kind"] in self._views and match["name"] not in self._views[match["kind"]]:
                odd.append((self._places[key], f"{key} is no number; it is not used", value))
        if self._lines and self.release is None:
            odd.append((next(iter(self._places.values())), "OSRELEASE, which every kernel writes, is missing", "none"))
        if "PAGESIZE" in self._lines and self.page_size is None:
            odd.append((self._places["PAGESIZE"], "PAGESIZE is no page size", self._lines["PAGESIZE"]))
        found = Problems()
        for place, message, got in sorted(odd)[:MOST_TOLD]:
            found.error("vmcoreinfo", message, offset=place if self._known_place else None, got=got[:80])
        if len(odd) > MOST_TOLD:
            found.error("vmcoreinfo", f"{plural(len(odd) - MOST_TOLD, 'more line')} of VMCOREINFO cannot be used")
        return found

    # -- what it says of the machine ----------------------------------------------------------------------------------

    @property
    def release(self) -> str | None:
        """The kernel release, as ``uname -r`` has it."""
        return self.get("OSRELEASE")

    @property
    def build_id(self) -> str | None:
        """The build-id of vmlinux, in hexadecimal; None in kernels before 5.9."""
        text = self.get("BUILD-ID", "").lower()
        return text if re.fullmatch(r"([0-9a-f]{2}){8,32}", text) else None

    @property
    def page_size(self) -> int | None:
        """Bytes in a page; None where that is not a power of two from 512 to 16 MiB."""
        size = _decimal(self.get("PAGESIZE", ""))
        return size if size and 512 <= size <= 1 << 24 and size & (size - 1) == 0 else None

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

    @property
    def crash_time_note(self) -> str | None:
        """Why there is no crash time; None where there is one."""
        if self.crash_time is not None:
            return None
        if self.crash_seconds is None:
            return "not recorded (no CRASHTIME in VMCOREINFO)"
        return f"the machine had no clock (CRASHTIME={self.crash_seconds})"
