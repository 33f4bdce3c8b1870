"""The memory of an image page frame by page frame: which frames exist, which are held, and their bytes.

Segments may overlap, as the kernel's text and the map of all memory do; where they do, the first one is taken. A page that
segments fill only in part is held whole, its other bytes zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from vmcoredd_lab.containers.elf_structs import PT_LOAD
from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.source.base import ByteSource
from vmcoredd_lab.source.pieces import ComposedSource, last_one_holds

if TYPE_CHECKING:
    from vmcoredd_lab.writer.image import VmcoreImage

__all__ = ["Frames", "Runs"]

Array = np.ndarray[Any, Any]
HIGHEST = 1 << 52  # physical addresses of no machine reach so far
_NOWHERE = (np.uint64((1 << 64) - 1), np.uint64((1 << 32) - 1))  # p_paddr of what is not physical memory
_WINDOW = 1 << 20  # frames of which the bits are made at a time


class Runs:
    """Runs of page frames in order, apart from each other: ``starts`` and ``ends``."""

    def __init__(self, starts: Array, ends: Array) -> None:
        """Join what overlaps or touches."""
        order = np.argsort(starts, kind="stable")
        starts, ends = starts[order].astype(np.int64), np.maximum.accumulate(ends[order].astype(np.int64))
        new = np.ones(len(starts), bool)
        new[1:] = starts[1:] > ends[:-1]
        firsts = np.flatnonzero(new)
        self.starts = starts[firsts]
        self.ends = ends[np.append(firsts[1:] - 1, len(ends) - 1)] if len(ends) else ends

    @cached_property
    def total(self) -> int:
        """How many page frames there are."""
        return int((self.ends - self.starts).sum())

    def nth(self, count: int) -> int:
        """Return the frame before which ``count`` frames lie."""
        upto = np.cumsum(self.ends - self.starts)
        which = int(np.searchsorted(upto, count, "left"))
        return int(self.ends[which] - (upto[which] - count))

    def between(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the runs within [first, end), cut there."""
        low, high = np.searchsorted(self.ends, first, "right"), np.searchsorted(self.starts, end, "left")
        for start, stop in zip(self.starts[low:high].tolist(), self.ends[low:high].tolist(), strict=True):
            yield max(start, first), min(stop, end)

    def bitmap(self, size: int) -> Iterator[tuple[int, bytes]]:
        """Yield (place, bytes) of the bitmap of ``size`` bytes, the least significant bit first; what is left out is zero."""
        at = 0
        while at < size * 8:
            which = int(np.searchsorted(self.ends, at, "right"))
            at = max(at, int(self.starts[which]) // _WINDOW * _WINDOW) if which < len(self.ends) else size * 8
            if at >= size * 8:
                return
            end = min(at + _WINDOW, size * 8)
            low, high = np.searchsorted(self.ends, at, "right"), np.searchsorted(self.starts, end, "left")
            change = np.zeros(end - at + 1, np.int8)
            change[np.maximum(self.starts[low:high] - at, 0)] += 1
            change[np.minimum(self.ends[low:high], end) - at] -= 1
            yield (
                at // 8,
                np.packbits(np.cumsum(change[:-1], dtype=np.int8).view(np.uint8), bitorder="little").tobytes(),
            )
            at = end


class Frames:
    """The page frames of an image.

    Attributes
    ----------
    exist, held: the runs of frames that the machine had, and of those that the image holds
    memory: physical memory as a source: offsets are addresses
    """

    def __init__(self, image: VmcoreImage) -> None:
        """Sort the segments out; nothing is read.

        Raises
        ------
        UsageError: a physical address that no machine has.
        """
        table = image.segments.table
        table = table[(table["type"] == PT_LOAD) & (table["memsz"] > 0) & ~np.isin(table["paddr"], _NOWHERE)]
        wrong = (table["paddr"] > np.uint64(HIGHEST)) | (table["memsz"] > np.uint64(HIGHEST) - table["paddr"])
        if wrong.any():
            raise UsageError(
                "a physical address that no machine has", expected=f"addresses below {HIGHEST:#x}",
                got=f"{int(table['paddr'][wrong][0]):#x} and {int(table['memsz'][wrong][0]):,} bytes",
            )  # fmt: skip
        self.page = image.page_size
        start, filesz, memsz = (table[name].astype(np.int64) for name in ("paddr", "filesz", "memsz"))
        self.exist = self._runs(start, start + memsz)
        held = filesz > 0
        self.held = self._runs(start[held], (start + filesz)[held])
        self.memory = self._memory(image.segments.sources, table[held], start[held], filesz[held])

    def _runs(self, starts: Array, ends: Array) -> Runs:
        return Runs(starts // self.page, -(-ends // self.page))

    @property
    def count(self) -> int:
        """Page frames up to and with the last that exists."""
        return int(self.exist.ends[-1]) if len(self.exist.ends) else 0

    def _memory(self, sources: list[ByteSource], table: Array, start: Array, filesz: Array) -> ByteSource:
        size = self.count * self.page
        if not len(table):
            none = np.zeros(0, np.int64)
            return ComposedSource((), (none, none, none), none, size, "<memory>")
        before = np.cumsum(filesz) - filesz  # of each segment: where its bytes would be if all stood in a row
        first_wins = slice(None, None, -1)
        starts, ends, rows = last_one_holds(start[first_wins], filesz[first_wins], before[first_wins])
        which = np.searchsorted(before, rows, "right") - 1
        places = table["place"].astype(np.int64)[which] + rows - before[which]
        return ComposedSource(
            sources, (starts, ends, places), table["source"].astype(np.int64)[which], size, "<memory>"
        )
