"""Files made of pieces of others: flattened files, sparse members of tar archives, vmcores that are being written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from vmcoredd_lab.source.base import ByteSource

__all__ = ["Array", "ComposedSource", "Pieces", "PiecesSource", "last_one_holds"]

Array = np.ndarray[Any, np.dtype[np.int64]]
Pieces = tuple[Array, Array, Array]  # first byte, end, place in the other file


class ComposedSource(ByteSource):
    """Pieces of other sources, in order and without overlaps; what lies between them is a hole and reads as zeros."""

    def __init__(
        self, sources: Sequence[ByteSource], pieces: Pieces, which: Array | None, size: int, name: str
    ) -> None:
        """Take each piece from the source whose number ``which`` has; None: all from the first."""
        self.name = name
        self.beneath = tuple(sources)
        self.size = size
        self._starts, self._ends, self._places = pieces
        self._which = which

    def _source(self, piece: int) -> ByteSource:
        return self.beneath[0 if self._which is None else int(self._which[piece])]

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``."""
        return bytes(self.view(offset, size))

    def _between(self, offset: int, end: int) -> tuple[int, int]:
        """Return the first piece that reaches behind ``offset``, and the first that begins at or behind ``end``."""
        first, last = np.searchsorted(self._ends, offset, "right"), np.searchsorted(self._starts, end, "left")
        return int(first), int(last)

    def view(self, offset: int, size: int) -> memoryview:
        """Return the bytes, without a copy where they lie in one piece."""
        size = max(0, min(size, self.size - offset))
        if not size:
            return memoryview(b"")
        end = offset + size
        first, last = self._between(offset, end)
        if last == first + 1 and self._starts[first] <= offset and end <= self._ends[first]:
            place = int(self._places[first]) + offset - int(self._starts[first])
            return self._source(first).view(place, size)
        joined = bytearray(size)
        pieces = (array[first:last].tolist() for array in (self._starts, self._ends, self._places))
        for number, (start, stop, place) in enumerate(zip(*pieces, strict=True), first):
            begin = max(start, offset)
            wanted = min(stop, end) - begin
            data = self._source(number).view(place + begin - start, wanted)
            joined[begin - offset : begin - offset + len(data)] = data
            if len(data) < wanted:  # lost below: not zeros
                del joined[begin - offset + len(data) :]
                break
        return memoryview(joined).toreadonly()

    def extents(self, offset: int, size: int) -> Iterator[tuple[int, int]]:
        """Yield what is stored in the pieces."""
        end = min(offset + size, self.size)
        first, last = self._between(offset, end) if offset < end else (0, 0)
        for number in range(first, last):
            start, place = int(self._starts[number]), int(self._places[number])
            begin, stop = max(start, offset), min(int(self._ends[number]), end)
            for low, high in self._source(number).extents(place + begin - start, stop - begin):
                yield low - place + start, high - place + start

    def done_with(self, offset: int, size: int) -> None:
        """Pass it on for the piece that ``offset`` is in."""
        which = int(np.searchsorted(self._ends, offset, "right"))
        if which < len(self._ends) and self._starts[which] <= offset:
            size = min(size, int(self._ends[which]) - offset)
            self._source(which).done_with(int(self._places[which]) + offset - int(self._starts[which]), size)

    def close(self) -> None:
        """Release what is behind."""
        for source in self.beneath:
            source.close()


class PiecesSource(ComposedSource):
    """Pieces that lie scattered in one file."""

    def __init__(self, inner: ByteSource, pieces: Pieces, size: int, layer: str) -> None:
        super().__init__((inner,), pieces, None, size, inner.name)
        self.layers = (*inner.layers, layer)


def last_one_holds(offsets: Array, sizes: Array, places: Array) -> Pieces:
    """Return the pieces that remain when records are written one after the other, each over what was there before."""
    order = np.argsort(offsets, kind="stable")
    starts, places = offsets[order], places[order]
    ends = starts + sizes[order]
    if (starts[1:] >= ends[:-1]).all():
        return starts, ends, places
    # Records that touch no other stay as they are; those that overlap, directly or through others, are sorted out.
    opens = np.concatenate([[True], starts[1:] >= np.maximum.accumulate(ends)[:-1]])
    cluster = np.cumsum(opens) - 1
    crowded = np.bincount(cluster)[cluster] > 1
    visible = _visible(starts[crowded], ends[crowded], order[crowded], places[crowded])
    joined = [np.concatenate([a[~crowded], b]) for a, b in zip((starts, ends, places), visible, strict=True)]
    order = np.argsort(joined[0], kind="stable")
    return joined[0][order], joined[1][order], joined[2][order]


def _visible(starts: Array, ends: Array, times: Array, places: Array) -> Pieces:
    """Return what can be seen of intervals that lie over each other, the one written last on top.

    The bounds of all intervals cut the line into cells. An interval covers its cells with two blocks whose length is a
    power of two; the latest time of every block is handed down from long blocks to short ones, in the end to cells.
    """
    bounds = np.unique(np.concatenate([starts, ends]))
    left, right = np.searchsorted(bounds, starts), np.searchsorted(bounds, ends)
    level = np.frexp((right - left).astype(np.float64))[1] - 1
    latest = np.full(len(bounds) - 1, -1, np.int64)
    for k in range(int(level.max()), -1, -1):
        here = level == k
        np.maximum.at(latest, left[here], times[here])
        np.maximum.at(latest, right[here] - (1 << k), times[here])
        if k:
            half = 1 << (k - 1)
            latest[half:] = np.maximum(latest[half:], latest[:-half].copy())
    number = np.empty(int(times.max()) + 1, np.int64)
    number[times] = np.arange(len(times))
    change = np.flatnonzero(np.concatenate([[True], latest[1:] != latest[:-1]]))
    begins, stops = bounds[change], np.append(bounds[change[1:]], bounds[-1])
    covered = latest[change] >= 0  # the others lie between two clusters
    begins, stops, on_top = begins[covered], stops[covered], number[latest[change][covered]]
    return begins, stops, places[on_top] + begins - starts[on_top]
