"""The table of page descriptors, one for each page in the file, and what its layout says of the file's soundness.

makedumpfile and QEMU write the table, then one page of zeros that all zero-filled pages share, then the other pages in
frame order. A split part leaves room for the descriptors of all parts.
"""

from __future__ import annotations

import struct
from functools import cached_property
from typing import Any

import numpy as np

from vmcoredd_lab.containers.kdump_structs import PAGE_DESC
from vmcoredd_lab.source import ByteSource
from vmcoredd_lab.structs import ByteOrder

__all__ = ["Descriptors"]

Array = np.ndarray[Any, Any]

SIZE = PAGE_DESC.size()
FLAGS = (0, 0x1, 0x2, 0x4, 0x20)
_FIRST = 64  # descriptors looked at to see where the data begin
_LAST = (64, 1024, 16384)  # descriptors looked at to see where the data end; shared zero pages say nothing of it


class Descriptors:
    """Reads page descriptors by rank. Any number may stand in them."""

    def __init__(self, source: ByteSource, offset: int, byteorder: ByteOrder, block_size: int) -> None:
        self._source = source
        self._dtype = PAGE_DESC.dtype(byteorder)
        self._one = struct.Struct(("<" if byteorder == "little" else ">") + "QII")
        self._block_size = block_size
        self.offset = offset

    def at(self, rank: int) -> int:
        """Return the file offset of a descriptor."""
        return self.offset + rank * SIZE

    def one(self, rank: int) -> tuple[int, int, int] | None:
        """Return offset, size and flags of one page, or None where the file ends before its descriptor does."""
        raw = self._source.view(self.offset + rank * SIZE, SIZE)
        return self._one.unpack_from(raw) if len(raw) == SIZE else None

    def read(self, rank: int, count: int) -> tuple[Array, Array, Array]:
        """Return offsets, sizes and flags of ``count`` pages, fewer where the file ends."""
        raw = self._source.view(self.at(rank), count * SIZE)
        table = np.frombuffer(raw, self._dtype, len(raw) // SIZE)
        return table["offset"].astype(np.uint64), table["size"].astype(np.uint64), table["flags"].astype(np.uint32)

    def whole(self, offsets: Array, sizes: Array, flags: Array) -> Array:
        """Return which descriptors can be true: behind the table's beginning, in the file, no longer than a page."""
        end = np.uint64(self._source.size)
        found: Array = (offsets < end) & (end - offsets >= sizes) & self._possible(offsets, sizes, flags)
        return found

    def behind_the_end(self, offsets: Array, sizes: Array, flags: Array, farthest: int) -> Array:
        """Return which descriptors can be true but for the file's end; no page's data lie behind ``farthest``."""
        end = np.uint64(self._source.size)
        cut = (offsets <= np.uint64(min(farthest, (1 << 64) - 1))) & (offsets + sizes > end)
        found: Array = cut & self._possible(offsets, sizes, flags)
        return found

    def _possible(self, offsets: Array, sizes: Array, flags: Array) -> Array:
        sized = (sizes > 0) & (sizes <= np.uint64(self._block_size))
        return sized & (offsets > np.uint64(self.offset)) & np.isin(flags, FLAGS)

    @cached_property
    def _first_offsets(self) -> Array:
        """The data offsets among the first descriptors that can be true, whether or not the file reaches so far."""
        offsets, sizes, flags = self.read(0, _FIRST)
        return offsets[self._possible(offsets, sizes, flags)]

    @property
    def first_data(self) -> int | None:
        """Where the data begin (the page of zeros, as a rule), None where no descriptor can be true."""
        return int(self._first_offsets.min()) if len(self._first_offsets) else None

    def estimate(self) -> int | None:
        """Return the number of descriptors as the layout alone tells it, without the bitmap; None where it does not."""
        data = self.first_data
        for room in () if data is None else (data - self.offset, data - self._block_size - self.offset):
            count, rest = divmod(room, SIZE)
            if count > 0 and not rest and self._is_one(count - 1):
                return count
        return None

    def _is_one(self, rank: int) -> bool:
        """Return True where there is what can only be a descriptor, whether or not the file reaches its data."""
        desc = self.one(rank)
        return (
            desc is not None
            and desc[0] >= (self.first_data or 0)
            and 0 < desc[1] <= self._block_size
            and desc[2] in FLAGS
        )

    def agrees(self, pages: int, all_pages: int, *, complete: bool) -> bool:
        """Return False where the bitmap's number of pages cannot be that of the descriptors.

        Then every page behind the place where the bitmap is wrong would be taken for another. ``all_pages`` counts those of
        all split parts; ``complete``: the file is neither cut nor marked as incomplete.
        """
        first = {int(offset) for offset in self._first_offsets.tolist()}
        for count in {pages, all_pages}:
            if {self.at(count), self.at(count) + self._block_size} & first:
                return True
        if not first:
            return True  # nothing to compare with
        if self._is_one(pages) and self.at(pages + 1) <= min(first):
            return False
        return not (complete and pages and not self._is_one(pages - 1))

    def unwritten(self, count: int) -> int:
        """Return how many of ``count`` descriptors at the end of the table were never written, as far as the file reaches.

        makedumpfile writes descriptors in order, over zeros; where it was killed or had no room left the rest stays zero.
        """
        count = min(count, max(0, self._source.size - self.offset) // SIZE)
        if not count or not self._is_empty(count - 1):
            return 0
        low, high = 0, count
        while low < high:  # the first one behind which all looked at are empty
            middle = (low + high) // 2
            if self._is_empty(middle):
                high = middle
            else:
                low = middle + 1
        return count - low

    def _is_empty(self, rank: int) -> bool:
        desc = self.one(rank)
        return desc is not None and desc[:2] == (0, 0)

    def data_end(self, count: int) -> int:
        """Return where the data of the last of ``count`` pages end, as far as the descriptors in the file tell."""
        last = (0, 0)
        for window in _LAST:
            rank = max(0, count - window)
            offsets, sizes, flags = self.read(rank, count - rank)
            known = self._possible(offsets, sizes, flags) & (offsets < np.uint64(1 << 62))
            if known.any():
                ends = (offsets + sizes)[known]
                last = max(last, (int(ends.max()), int(offsets[known].max())))
            if last[1] > (self.first_data or 0) or not rank:
                break
        return last[0]
