"""Write an image in makedumpfile's kdump-compressed format, laid out and in the order that makedumpfile writes it.

Headers, notes, two bitmaps, page descriptors, one page of zeros that all pages of zeros share, the other pages in frame
order. Of a split dump every part has all but the pages of other parts' frames, and room for the descriptors of all parts.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from vmcoredd_lab.containers.kdump_codecs import STORED, ZLIB, deflater
from vmcoredd_lab.containers.kdump_structs import PAGE_DESC
from vmcoredd_lab.errors import OutputError
from vmcoredd_lab.progress import Advance
from vmcoredd_lab.writer.frames import Frames
from vmcoredd_lab.writer.kdump_header import KdumpHeader
from vmcoredd_lab.writer.sinks import Data, Sink

if TYPE_CHECKING:
    from vmcoredd_lab.writer.image import VmcoreImage

__all__ = ["KdumpWriter"]

Array = np.ndarray[Any, Any]
CACHE = 1 << 16  # bytes that makedumpfile gathers before it writes them
BATCH = 1 << 20  # bytes of memory that are read at a time
_MOST_ZEROS = 1 << 18  # pages of zeros whose descriptors are made at a time
_FEW_ZEROS = 16  # pages of zeros that are looked at like any others, which costs less than to treat them apart
_NEAR = 4  # frames that are not held, and are read as zeros all the same to read what lies on both sides at once
_WORTH_A_THREAD = 16 << 10  # bytes in a page that is worth a thread with codecs faster than zlib

Packed = tuple[Array, list[Data]]  # of each page whether it is zeros; of the others what is stored


class KdumpWriter:
    """Writes one image, whole or in parts."""

    def __init__(self, image: VmcoreImage, flags: int) -> None:
        """Lay the file out.

        Raises
        ------
        UsageError: a physical address that no machine has.
        OutputError: the package for this compression is not installed.
        """
        self.frames = Frames(image)
        self._header = KdumpHeader(image, self.frames.count, flags)
        self._flags = flags
        self._block = image.page_size
        self._dtype = PAGE_DESC.dtype(image.byteorder)
        if flags != STORED:
            deflater(flags)  # said now, not when half is written
        self._threads = 1
        if flags == ZLIB or (flags != STORED and self._block >= _WORTH_A_THREAD):
            self._threads = min(4, os.cpu_count() or 1)

    @property
    def size(self) -> int:
        """Bytes of memory that are written."""
        return self.frames.held.total * self._block

    def parts(self, count: int) -> list[tuple[int, int]]:
        """Return the page frames of each part of a split dump: all have as many pages, the last may have fewer."""
        held = self.frames.held
        share = -(-held.total // count) or 1
        edges = [0, *(held.nth(min(i * share, held.total)) if held.total else 0 for i in range(1, count))]
        return list(zip(edges, [*edges[1:], self._header.frames], strict=True))

    def write(self, sink: Sink, part: tuple[int, int] | None, advance: Advance) -> None:
        """Write the file, or one part.

        Raises
        ------
        OutputError: memory cannot be read that should be there.
        """
        header = self._header
        sink.write(0, header.block_0())
        for at, data in header.notes.chunks(BATCH):
            sink.write(header.notes_at + at, data)
        sink.write(header.sub_header_at, header.sub_header(part))
        used = -(-header.frames // 8)
        for runs, at in (
            (self.frames.exist, header.bitmaps_at),
            (self.frames.held, header.bitmaps_at + header.bitmap_size),
        ):
            for place, data in runs.bitmap(used):
                sink.write(at + place, data)
        data_at = header.descriptors_at + self.frames.held.total * self._dtype.itemsize
        pages = _Pages(sink, header.descriptors_at, data_at, self._block, self._dtype, self._flags)
        self._write_pages(pages, part or (0, header.frames), advance)
        pages.finish()
        erased = header.eraseinfo
        if erased:
            sink.write(pages.data_at, erased)
            sink.write(header.sub_header_at, header.sub_header(part, pages.data_at))
        sink.finish(pages.data_at + len(erased))

    def _write_pages(self, pages: _Pages, part: tuple[int, int], advance: Advance) -> None:
        if self._threads < 2:
            for work in self._work(part):
                count = pages.add_zeros(work) if isinstance(work, int) else pages.add(*self._packed(work))
                advance(count * self._block)
            return
        waiting: deque[int | Future[Packed]] = deque()
        pool = ThreadPoolExecutor(self._threads, "pages")
        try:
            for work in self._work(part):  # read here; only packing goes to the threads
                waiting.append(work if isinstance(work, int) else pool.submit(self._packed, work))
                while len(waiting) > 2 * self._threads:
                    self._take(pages, waiting.popleft(), advance)
            while waiting:
                self._take(pages, waiting.popleft(), advance)
        finally:
            pool.shutdown(cancel_futures=True)

    def _take(self, pages: _Pages, done: int | Future[Packed], advance: Advance) -> None:
        count = pages.add_zeros(done) if isinstance(done, int) else pages.add(*done.result())
        advance(count * self._block)

    def _work(self, part: tuple[int, int]) -> Iterator[int | memoryview]:
        """Yield the held pages in order: how many follow that are holes, or the bytes of some.

        Runs that follow each other closely are read and packed together, so that memory in many small pieces takes
        little more time than memory in one.
        """
        most = max(1, BATCH // self._block)
        runs: list[tuple[int, int]] = []
        count = 0
        for start, end, stored in self._stretches(part):
            if not stored and end - start > _FEW_ZEROS:
                if count:
                    yield self._bytes(runs)
                runs, count = [], 0
                yield from self._holes(end - start)
                continue
            while start < end:
                stop = min(end, start + most - count)
                if runs and runs[-1][1] == start:
                    runs[-1] = (runs[-1][0], stop)
                else:
                    runs.append((start, stop))
                count += stop - start
                start = stop
                if count == most:
                    yield self._bytes(runs)
                    runs, count = [], 0
        if count:
            yield self._bytes(runs)

    @staticmethod
    def _holes(count: int) -> Iterator[int]:
        for at in range(0, count, _MOST_ZEROS):
            yield min(_MOST_ZEROS, count - at)

    def _stretches(self, part: tuple[int, int]) -> Iterator[tuple[int, int, bool]]:
        """Yield (first frame, end, whether it is more than hole) of all held frames in order."""
        stored = self._stored(*part)
        low, high = next(stored, (part[1], part[1]))
        for start, end in self.frames.held.between(*part):
            while start < end:
                while high <= start and high < part[1]:
                    low, high = next(stored, (part[1], part[1]))
                there = low <= start < high
                stop = min(end, high if there else low if low > start else end)
                yield start, stop, there
                start = stop

    def _stored(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the frames within [start, end) that are not all hole, those that follow each other together."""
        block, first, last = self._block, start, start
        for low, high in self.frames.memory.extents(start * block, (end - start) * block):
            if low // block > last:
                if last > first:
                    yield first, last
                first = low // block
            last = max(last, -(-high // block))
        if last > first:
            yield first, last

    def _bytes(self, runs: list[tuple[int, int]]) -> memoryview:
        """Return the pages of these runs of frames in one piece."""
        near: list[list[tuple[int, int]]] = []  # what lies close together is read at once, with the nothing between
        for run in runs:
            if near and run[0] - near[-1][-1][1] <= _NEAR:
                near[-1].append(run)
            else:
                near.append([run])
        if len(runs) == 1:
            return self._read(*runs[0])
        parts: list[Array] = []
        for group in near:
            first = group[0][0]
            pages: Array = np.frombuffer(self._read(first, group[-1][1]), np.uint8).reshape(-1, self._block)
            parts += [pages[start - first : end - first] for start, end in group]
        return memoryview(np.concatenate(parts).reshape(-1))

    def _read(self, start: int, end: int) -> memoryview:
        at, size = start * self._block, (end - start) * self._block
        memory = self.frames.memory
        data = memory.view(at, size)
        if len(data) != size:
            raise OutputError(
                "memory that is to be written cannot be read", path=memory.name, offset=at + len(data),
                expected=f"{size:,} bytes", got=f"{len(data):,} bytes", hint="the file behind it is cut or changed",
            )  # fmt: skip
        return data

    def _packed(self, data: memoryview) -> Packed:
        """Return which pages are zeros, and how the others are stored: packed, or as they are where that is no shorter."""
        block = self._block
        words: Array = np.frombuffer(data, np.uint64).reshape(-1, block // 8)
        zeros: Array = np.logical_not(np.any(words, axis=1))
        kept: list[Data] = []
        deflate = None if self._flags == STORED else deflater(self._flags)
        for i in np.flatnonzero(~zeros).tolist():
            page = data[i * block : (i + 1) * block]
            packed = page if deflate is None else deflate(page)
            kept.append(packed if len(packed) < block else page)
        return zeros, kept


class _Pages:
    """Descriptors and pages on their way to the file: gathered, and written in the order that makedumpfile does."""

    def __init__(self, sink: Sink, at: int, data_at: int, block: int, dtype: np.dtype[np.void], flags: int) -> None:
        self._sink = sink
        self._at = at
        self._block = block
        self._dtype = dtype
        self._flags = flags
        self._zero = data_at
        self.data_at = data_at  # where what is gathered of the data goes
        self._data = bytearray(block)  # the page that all pages of zeros share
        self._descriptors = bytearray()

    def add_zeros(self, count: int) -> int:
        """Add pages of zeros; return how many."""
        rows = np.zeros(count, self._dtype)
        rows["offset"], rows["size"] = self._zero, self._block
        self._describe(rows.tobytes())
        return count

    def add(self, zeros: Array, kept: list[Data]) -> int:
        """Add pages; return how many."""
        rows = np.zeros(len(zeros), self._dtype)
        sizes = np.fromiter(map(len, kept), np.uint64, len(kept))
        rows["offset"], rows["size"] = self._zero, self._block
        own = ~zeros
        start = np.uint64(self.data_at + len(self._data))
        rows["offset"][own] = start + np.cumsum(sizes) - sizes
        rows["size"][own] = sizes
        rows["flags"][own] = np.where(sizes < self._block, self._flags, STORED)
        raw, size, described = rows.tobytes(), self._dtype.itemsize, 0
        for index, page in zip(np.flatnonzero(own).tolist(), kept, strict=True):
            if len(self._data) + len(page) > CACHE:
                self._describe(raw[described : index * size])
                described = index * size
                self.flush()
            self._data += page
        self._describe(raw[described:])
        return len(zeros)

    def _describe(self, raw: bytes) -> None:
        self._descriptors += raw
        while len(self._descriptors) >= CACHE:
            self._write_descriptors(CACHE)

    def flush(self) -> None:
        """Write what is gathered, the descriptors first."""
        self._write_descriptors(len(self._descriptors))
        self._write_data()

    def finish(self) -> None:
        """Write what is left, the data first, as makedumpfile ends."""
        self._write_data()
        self._write_descriptors(len(self._descriptors))

    def _write_descriptors(self, size: int) -> None:
        if size:
            self._sink.write(self._at, bytes(self._descriptors[:size]))
            del self._descriptors[:size]
            self._at += size

    def _write_data(self) -> None:
        if self._data:
            self._sink.write(self.data_at, bytes(self._data))
            self.data_at += len(self._data)
            self._data.clear()
