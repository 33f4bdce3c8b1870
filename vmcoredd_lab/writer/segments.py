"""The memory of an image as columns: a hundred thousand segments are one array, not a hundred thousand objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.model import Segment
from vmcoredd_lab.source.base import Buffer, ByteSource

__all__ = ["NOWHERE", "SEGMENT", "Segments"]

NOWHERE = (1 << 64) - 1  # p_vaddr of memory whose virtual address is not known, as kexec-tools writes it
MOST = 1 << 60  # bytes; no file reaches so far

# ``source`` and ``place`` say where the ``filesz`` bytes are; ``pages``: the source also holds the rest of the first and the
# last page around them, as /proc/vmcore does.
SEGMENT = np.dtype(
    [("type", "u4"), ("flags", "u4"), ("vaddr", "u8"), ("paddr", "u8"), ("filesz", "u8"), ("memsz", "u8"), ("align", "u8"),
     ("source", "i4"), ("place", "u8"), ("pages", "?")]
)  # fmt: skip


class Segments(Sequence[Segment]):
    """Segments in the order of their program headers; ``append`` and ``extend`` add to them."""

    def __init__(self) -> None:
        self.sources: list[ByteSource] = []
        self._table = np.zeros(0, SEGMENT)
        self._waiting: list[tuple[Any, ...]] = []
        self._held = 0

    def append(self, one: Segment) -> None:
        """Add a segment.

        Raises
        ------
        UsageError: addresses or sizes that no program header can hold, or less memory than content.
        """
        held = len(one.content)
        if not held <= one.memsz < 1 << 64:
            raise UsageError("a segment covers at least the bytes it holds", expected=f"memsz of {held:,} or more",
                             got=f"{one.memsz:,}")  # fmt: skip
        if not (0 <= one.paddr < 1 << 64 and 0 <= one.vaddr < 1 << 64):
            raise UsageError("an address has 64 bits", got=f"paddr {one.paddr:#x}, vaddr {one.vaddr:#x}")
        self._held += held
        if self._held > MOST:
            raise UsageError("more memory than any file can hold", expected=f"at most {MOST:,} bytes")
        number = self._number(one.content.source)
        self._waiting.append((one.type, one.flags, one.vaddr, one.paddr, held, one.memsz, one.align, number,
                              one.content.offset, False))  # fmt: skip

    def extend(self, table: np.ndarray[Any, Any], source: ByteSource) -> None:
        """Add many segments (:data:`SEGMENT`) whose bytes are in one source; their ``source`` column is filled in."""
        own = table.astype(SEGMENT)
        own["source"] = self._number(source)
        self._table = np.concatenate([self.table, own])

    def take(self, table: np.ndarray[Any, Any], sources: Sequence[ByteSource]) -> None:
        """Become these segments, whose ``source`` column numbers the sources."""
        self.clear()
        self._table, self.sources, self._held = table, list(sources), int(table["filesz"].sum())

    def clear(self) -> None:
        """Remove all segments."""
        self.__init__()  # type: ignore[misc]

    @property
    def table(self) -> np.ndarray[Any, Any]:
        """All segments as one array (:data:`SEGMENT`)."""
        if self._waiting:
            self._table = np.concatenate([self._table, np.array(self._waiting, SEGMENT)])
            self._waiting = []
        return self._table

    def __len__(self) -> int:
        return len(self._table) + len(self._waiting)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return [self[i] for i in range(*key.indices(len(self)))]
        return self._segment(self.table[key])

    def __iter__(self) -> Iterator[Segment]:
        return (self._segment(row) for row in self.table)

    def _segment(self, row: np.void) -> Segment:
        content = Buffer(self.sources[int(row["source"])], int(row["place"]), int(row["filesz"]))
        return Segment(int(row["paddr"]), int(row["vaddr"]), int(row["memsz"]), content, int(row["flags"]),
                       int(row["align"]), int(row["type"]))  # fmt: skip

    def _number(self, source: ByteSource) -> int:
        if not self.sources or self.sources[-1] is not source:
            self.sources.append(source)
        return len(self.sources) - 1
