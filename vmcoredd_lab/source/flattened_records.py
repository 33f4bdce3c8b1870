"""Records of a flattened file: where they are, their headers one by one or many at once, the next ones behind damage."""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vmcoredd_lab.source.base import ByteSource
from vmcoredd_lab.source.pieces import Array

__all__ = ["LIMIT", "RECORD", "RECORD_HEADER", "Headers", "Records", "find_chain"]

LIMIT = 1 << 52  # no machine has more memory, so no vmcore is larger
RECORD = 16  # bytes of a record's header
RECORD_HEADER = struct.Struct(">qq")  # offset, size
_WINDOW = 4096  # read at once where reading costs; records of makedumpfile are mostly 64 KiB apart
_AT_ONCE = 32 << 20  # bytes of the file that a row may span
_LONGEST = 1 << 40  # of one record, when looking for records behind a damaged place
_MOST_TRIED = 1 << 18
_CHAIN = 4  # headers in a row that make a place believable


@dataclass
class Records:
    """Where each record's bytes belong, how many they are, and where they lie; in the order of writing."""

    offsets: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("q"))
    places: array[int] = field(default_factory=lambda: array("q"))
    end: int = field(default=0, kw_only=True)  # where the record that ends the file is

    def arrays(self) -> tuple[Array, Array, Array]:
        """Return the three columns as NumPy arrays."""
        offsets, sizes, places = (np.frombuffer(c, np.int64) for c in (self.offsets, self.sizes, self.places))
        return offsets, sizes, places

    def __len__(self) -> int:
        return len(self.offsets)


class Headers:
    """(offset, size) of the record at a position of the flattened file."""

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self._start = 0
        self._window = source.view(0, source.size if source.mapped else _WINDOW)

    def at(self, position: int) -> tuple[int, int] | None:
        """Return the header at ``position``; None where the file ends before it does."""
        within = position - self._start
        if not 0 <= within <= len(self._window) - RECORD:
            if position + RECORD > self.source.size:
                return None
            self._start, within = position, 0
            self._window = self.source.view(position, _WINDOW)
            if len(self._window) < RECORD:
                return None
        offset, size = RECORD_HEADER.unpack_from(self._window, within)
        return offset, size

    def row(self, position: int, size: int, most: int) -> np.ndarray[Any, Any]:
        """Return the offsets of the records that follow each other from ``position``, all of this size.

        Each header is where the one before says, so looking at them all at once is as exact as one by one.
        """
        step = RECORD + size
        room = (len(self._window) - (position - self._start)) // step
        room = max(1, min(room, most, max(64, _AT_ONCE // step)))
        count, offsets = min(room, 64), np.zeros(0, ">i8")
        while True:
            shape, strides = (count, 2), (step, 8)
            pairs = np.ndarray(shape, ">i8", self._window, position - self._start, strides)
            good = (pairs[:, 1] == size) & (pairs[:, 0] >= 0) & (pairs[:, 0] <= LIMIT - size)
            good[0] = True  # the caller has looked at it
            found = int(np.argmin(good)) if not good.all() else count
            offsets = pairs[:found, 0]
            if found < count or count == room:
                return offsets
            count = min(room, count * 16)

    def plausible(self, position: int, depth: int = _CHAIN) -> bool:
        """Return whether a chain of records goes on at ``position``, up to ``depth`` of them or the end of the file."""
        for _ in range(depth):
            if position == self.source.size:
                return True
            header = self.at(position)
            if header is None:
                return False
            offset, size = header
            if offset == -1:
                return size == -1
            if not (0 <= offset <= LIMIT and 0 < size <= _LONGEST):
                return False
            position += RECORD + size
            if position > self.source.size:
                return False
        return True


def find_chain(headers: Headers, position: int) -> int | None:
    """Return where the next records begin at or behind ``position``, or None."""
    source, tried, step = headers.source, 0, 1 << 20
    while position < source.size:
        raw = np.frombuffer(source.view(position, step + 15), np.uint8)
        count = len(raw) - 15
        if count <= 0:
            return None
        zero = raw == 0  # of offsets below 2**48 and sizes below 2**32 these bytes are zero
        maybe = zero[:count] & zero[1 : count + 1]
        for byte in range(8, 12):
            maybe &= zero[byte : count + byte]
        maybe &= ~(zero[12 : count + 12] & zero[13 : count + 13] & zero[14 : count + 14] & zero[15 : count + 15])
        end = (raw[:count] == 0xFF) & (raw[15 : count + 15] == 0xFF) & (raw[8 : count + 8] == 0xFF)
        for at in np.flatnonzero(maybe | end).tolist():
            tried += 1
            if tried > _MOST_TRIED:
                return None
            if headers.plausible(position + at):
                return position + at
        position += count
    return None
