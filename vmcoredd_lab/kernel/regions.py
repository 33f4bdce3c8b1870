"""Stretches of kernel memory read whole, as far as they are in the file, with where each byte came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.memory import Memory

__all__ = ["KernelMemory", "Region"]

PAGE = 4096
MOST_HOLES = 64  # pages in a row that cannot be read, after which the rest is not tried


@dataclass(frozen=True)
class Region:
    """Bytes from a virtual address on; zeros where a hole is.

    ``runs`` is an array of (offset, physical address, size), ``holes`` an array of (offset, end), ``why`` what the first
    hole's error said.
    """

    address: int
    data: bytes
    runs: np.ndarray[Any, Any]
    holes: np.ndarray[Any, Any]
    why: str = ""

    def shortened(self) -> Region:
        """Return it without the hole at its end, if there is one."""
        size = int((self.runs[:, 0] + self.runs[:, 2]).max()) if len(self.runs) else 0
        if size == len(self.data):
            return self
        return Region(self.address, self.data[:size], self.runs, self.holes[self.holes[:, 0] < size], self.why)

    def missing(self, start: np.ndarray[Any, Any], length: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return which of the ranges (offset and length) touch a hole."""
        found = np.zeros(len(start), bool)
        for low, high in self.holes.tolist():
            found |= (start < high) & (start + length > low)
        return found

    def spans(self, start: np.ndarray[Any, Any], length: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return (first physical address, end) of ranges, as far as they lie together; (0, 0) where there is none."""
        spans = np.zeros((len(start), 2), np.uint64)
        if not len(self.runs):
            return spans
        offsets, physical, sizes = (self.runs[:, i] for i in range(3))
        which = np.clip(np.searchsorted(offsets, start.astype(np.uint64), "right") - 1, 0, None)
        within = start.astype(np.uint64) - offsets[which]
        good = (length > 0) & (within < sizes[which])
        first = physical[which] + within
        end = first + np.minimum(length.astype(np.uint64), sizes[which] - within)
        spans[good, 0], spans[good, 1] = first[good], end[good]
        return spans


class KernelMemory:
    """Reads of kernel memory that say what could not be read instead of failing."""

    def __init__(self, memory: Memory, complain: Callable[[str, int, str], None]) -> None:
        self._memory = memory
        self._complain = complain

    def region(self, address: int, size: int, what: str) -> Region:
        """Return ``size`` bytes from a virtual address; what is missing is complained of once, as ``what``."""
        parts: list[bytes] = []
        runs: list[tuple[int, int, int]] = []
        holes: list[tuple[int, int]] = []
        why, failed, at = "", 0, 0
        while at < size:
            try:
                for start, physical, length in self._memory.runs(address + at, size - at):
                    at = start - address
                    parts.append(self._memory.read(physical, length))
                    runs.append((at, physical, length))
                    at += length
                    failed = 0
                continue
            except NotInFileError as error:
                why = why or error.message
            end = min(size, ((address + at) // PAGE + 1) * PAGE - address)
            page = self._one_page(address + at, end - at)
            if page is not None:
                parts.append(page[1])
                runs.append((at, page[0], end - at))
            else:
                failed += 1
                end = size if failed > MOST_HOLES else end
                parts.append(bytes(end - at))
                holes.append((at, end))
            at = end
        if holes:
            lost = sum(high - low for low, high in holes)
            self._complain(f"{what}: {lost:,} of {size:,} bytes cannot be read: {why}", address, what)
        return Region(
            address,
            b"".join(parts),
            np.array(runs, np.uint64).reshape(-1, 3),
            np.array(holes, np.int64).reshape(-1, 2),
            why,
        )

    def _one_page(self, address: int, size: int) -> tuple[int, bytes] | None:
        try:
            physical = self._memory.translate(address, size)
            return physical, self._memory.read(physical, size)
        except NotInFileError:
            return None

    def read(self, address: int, size: int, what: str) -> bytes | None:
        """Return the bytes, or None and a complaint."""
        try:
            return b"".join(
                self._memory.read(physical, length) for _, physical, length in self._memory.runs(address, size)
            )
        except NotInFileError as error:
            self._complain(f"{what} cannot be read: {error.message}", address, what)
            return None
