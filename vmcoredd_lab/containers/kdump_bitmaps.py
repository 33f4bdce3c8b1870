"""The two bitmaps of a kdump-compressed file: which page frames exist, and which are in the file.

Page descriptors carry no frame number: a page's descriptor is found by its rank, the number of set bits before its own
in the second bitmap. Ranks are counted in steps as far as somebody asks, so that one page costs the bitmap up to it once
(32 KiB for each GiB of 4 KiB pages) and next to nothing afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from vmcoredd_lab.source import ByteSource

__all__ = ["ABSENT", "EXCLUDED", "PRESENT", "Bitmap", "DumpedFrames", "Ranges", "count_runs", "kind_runs"]

Array = np.ndarray[Any, Any]
Ranges = tuple[Array, Array, Array]  # of runs of page frames: kind, first frame, number of frames

PRESENT, EXCLUDED, ABSENT = 0, 1, 2

STEP = 4096  # bytes of bitmap: 32,768 page frames
STEP_FRAMES = STEP * 8
_READ = 256 * STEP  # what is counted at a time: 1 MiB
_STEPS_KEPT = 32
_RUNS_READ = 1 << 20  # bytes of each bitmap that are compared at a time

_BITS_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8).reshape(256, 1), axis=1).sum(axis=1, dtype=np.uint8)


def _set_bits(rows: Array) -> Array:
    """Return the number of set bits in each row of bytes."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        counts: Array = np.bitwise_count(rows.view(np.uint64)).sum(axis=1, dtype=np.int64)
        return counts
    return _set_bits_by_table(rows)


def _set_bits_by_table(rows: Array) -> Array:
    counts: Array = _BITS_OF_BYTE[rows].sum(axis=1, dtype=np.int64)
    return counts


class Bitmap:
    """One bitmap: bit n % 8 of byte n // 8 is page frame n. Bits behind the end of the file are 0."""

    def __init__(self, source: ByteSource, offset: int, size: int) -> None:
        self._source = source
        self.offset = offset
        self.size = size
        self.held = max(0, min(size, source.size - offset))

    def bits(self, first: int, count: int) -> Array:
        """Return the bits [first, first + count) as bytes of 0 and 1; ``first`` is a multiple of 8."""
        return np.unpackbits(self.raw(first // 8, -(-count // 8)), count=count, bitorder="little")

    def bit(self, frame: int) -> bool:
        """Return one bit."""
        byte = self._source.read(self.offset + frame // 8, 1) if frame // 8 < self.size else b""
        return bool(byte and byte[0] >> frame % 8 & 1)

    def raw(self, at: int, size: int) -> Array:
        """Return bytes of the bitmap, those behind its end zero."""
        held = self._source.view(self.offset + at, max(0, min(size, self.size - at)))
        found = np.frombuffer(held, np.uint8)
        if len(found) == size:
            return found
        whole = np.zeros(size, np.uint8)
        whole[: len(found)] = found
        return whole


class DumpedFrames:
    """The second bitmap from ``first`` up to ``end``: the frames of one file's pages, and their ranks."""

    def __init__(self, bitmap: Bitmap, first: int, end: int) -> None:
        self.bitmap = bitmap
        self.first = first
        self.end = max(first, end)
        self._base = first // 8  # the byte where the first step begins
        self._before = [0]  # pages before each step, as far as counted
        self._steps: dict[int, tuple[Array, Array]] = {}

    def _frame_of(self, step: int) -> int:
        return self._base * 8 + step * STEP_FRAMES

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return -(-(self.end - self._base * 8) // STEP_FRAMES) if self.end > self.first else 0

    def _bytes(self, at: int, size: int) -> Array:
        """Return bytes of the bitmap, ``at`` counted from the first step; bits outside the file's frames are cleared."""
        raw = self.bitmap.raw(self._base + at, size)
        head = at == 0 and self.first % 8
        end_at = self.end // 8 - self._base - at  # the byte with the first bit that is too many
        if head or end_at < size:
            raw = raw.copy()
            if end_at < size:
                raw[end_at] &= (1 << self.end % 8) - 1
                raw[end_at + 1 :] = 0
            if head:
                raw[0] &= 0xFF << self.first % 8 & 0xFF
        return raw

    def before(self, step: int) -> int:
        """Return the number of pages before a step, counting what was not counted yet."""
        while len(self._before) <= step:
            at = (len(self._before) - 1) * STEP
            size = min(_READ, step * STEP - at)
            counts = _set_bits(self._bytes(at, size).reshape(-1, STEP))
            self._before += (np.cumsum(counts) + self._before[-1]).tolist()
        return self._before[step]

    @property
    def total(self) -> int:
        """How many pages there are; counts the whole bitmap."""
        return self.before(self.steps)

    @property
    def is_counted(self) -> bool:
        """True when the whole bitmap was counted already."""
        return len(self._before) > self.steps

    def _step(self, step: int) -> tuple[Array, Array]:
        """Return the bits of a step, and for each how many are set up to and with it."""
        known = self._steps.pop(step, None)
        if known is None:
            bits = np.unpackbits(self._bytes(step * STEP, STEP), bitorder="little")
            known = bits, np.cumsum(bits, dtype=np.int32)
            if len(self._steps) == _STEPS_KEPT:
                del self._steps[next(iter(self._steps))]
        self._steps[step] = known
        return known

    def rank(self, frame: int) -> int | None:
        """Return how many pages lie before this frame's, or None where the frame is not in the file."""
        if not self.first <= frame < self.end:
            return None
        step, at = divmod(frame - self._base * 8, STEP_FRAMES)
        bits, upto = self._step(step)
        return self.before(step) + int(upto[at]) - 1 if bits[at] else None

    def first_missing(self, frame: int, count: int) -> int | None:
        """Return the first of ``count`` frames that is not in the file, or None where all are."""
        end = frame + count
        while frame < end:
            if not self.first <= frame < self.end:
                return frame
            step, at = divmod(frame - self._base * 8, STEP_FRAMES)
            bits = self._step(step)[0][at : at + end - frame]
            if not bits.all():
                return frame + int(np.argmin(bits))
            frame += len(bits)
        return None

    def in_step(self, step: int) -> tuple[int, Array]:
        """Return the rank of a step's first page, and the frames of all its pages."""
        bits = self._step(step)[0]
        return self.before(step), np.flatnonzero(bits) + self._frame_of(step)


def kind_runs(exists: Bitmap, dumped: Bitmap, start: int, end: int) -> Ranges:
    """Return the runs of page frames [start, end) that are in the file, excluded, or no memory."""
    found = list(_starts(exists, dumped, start, end))
    if not found:
        return np.zeros(0, np.int8), np.zeros(0, np.int64), np.zeros(0, np.int64)
    kinds, firsts = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return kinds, firsts, np.diff(firsts, append=end)


def count_runs(exists: Bitmap, dumped: Bitmap, start: int, end: int) -> tuple[int, list[int]]:
    """Return how many runs there are, and how many frames of each kind, without holding the runs in memory."""
    runs, frames, last = 0, [0, 0, 0], (ABSENT, start)
    for kinds, firsts in _starts(exists, dumped, start, end):
        kinds, firsts = np.concatenate([[last[0]], kinds]), np.concatenate([[last[1]], firsts])
        runs += len(firsts) - 1
        counts = np.bincount(kinds[:-1], np.diff(firsts), 3)
        frames = [int(known + more) for known, more in zip(frames, counts.tolist(), strict=True)]
        last = int(kinds[-1]), int(firsts[-1])
    frames[last[0]] += end - last[1] if runs else 0
    return runs, frames


def _starts(exists: Bitmap, dumped: Bitmap, start: int, end: int) -> Iterator[tuple[Array, Array]]:
    """Yield kinds and first frames of the runs, some at a time."""
    if start >= end:
        return
    first, stop = start // 8, -(-end // 8)
    yield _kinds(exists.bits(first * 8, 8), dumped.bits(first * 8, 8))[start % 8 :][:1], np.array([start])
    before: Array = np.array([0xFFFF], np.uint16)  # only the frame before ``start`` has to do with it
    for at in range(first, stop, _RUNS_READ):
        size = min(_RUNS_READ, stop - at)
        pair = exists.raw(at, size).astype(np.uint16) << 8 | dumped.raw(at, size)
        previous = np.concatenate([before, pair[:-1]])
        even = (pair == 0) | (pair == 0xFF00) | (pair == 0xFFFF) | (pair == 0xFF)  # eight frames of one kind
        which = np.flatnonzero((pair != previous) | ~even)  # nothing changes in the other bytes
        kind = _kinds(_bits(pair[which] >> 8), _bits(pair[which]))
        last = _kinds(previous[which] >> 15, previous[which] >> 7 & 1)  # of the byte before
        change = kind != np.column_stack([last, kind[:, :-1]])
        row, bit = np.nonzero(change)
        frame = (which[row] + at) * 8 + bit
        inside = (frame > start) & (frame < end)
        yield kind[change][inside], frame[inside]
        before = pair[-1:]


def _bits(column: Array) -> Array:
    return np.unpackbits(column.astype(np.uint8)[:, np.newaxis], axis=1, bitorder="little")


def _kinds(exists: Array, dumped: Array) -> Array:
    """Return the kinds of frames by their bits in the two bitmaps."""
    kinds: Array = np.where(dumped, PRESENT, np.where(exists, EXCLUDED, ABSENT)).astype(np.int8)
    return kinds
