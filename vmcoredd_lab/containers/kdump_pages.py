"""Pages of kdump-compressed files: found by rank, inflated one by one or in order, each way a page can be missing told apart."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np

from vmcoredd_lab.containers.kdump_bitmaps import DumpedFrames
from vmcoredd_lab.containers.kdump_codecs import LZO, SNAPPY, STORED, ZLIB, ZSTD, Codecs, PageDamage
from vmcoredd_lab.containers.kdump_descriptors import Descriptors
from vmcoredd_lab.containers.kdump_reasons import Reasons
from vmcoredd_lab.containers.memory import DAMAGED, ContainerMemory, MissingMemoryError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import ByteSource

__all__ = ["INCOMPLETE", "KdumpMemory"]

INCOMPLETE = 0x8  # DUMP_DH_COMPRESSED_INCOMPLETE, diskdump_mod.h of makedumpfile
_PAGES_KEPT = 256
_SINGLY = 8  # pages of a read that go through the cache; longer reads would only sweep it
_MOST_THREADS = 4
_WORTH_A_THREAD = 16 << 10  # bytes in a page that is worth a thread with codecs faster than zlib
_COUNT_BEFORE_READING = 4 << 20  # bytes of bitmap (128 GiB of 4 KiB pages) that are counted before a page is believed

Stored = tuple[list["memoryview | None"], list[int]]  # of each page the stored bytes and the flags
_GONE = memoryview(b"")


class KdumpMemory(ContainerMemory):
    """The pages of one file: all, or those of one part of a split dump."""

    def __init__(
        self,
        source: ByteSource,
        *,
        block_size: int,
        dumped: DumpedFrames,
        descriptors: Descriptors,
        frames: int,
        status: int,
        reasons: Reasons,
        problems: Problems,
    ) -> None:
        self._source = source
        self._block_size = block_size
        self._dumped = dumped
        self._descriptors = descriptors
        self._frames = frames  # as the header declares them, whether or not the file reaches so far
        self._incomplete = bool(status & INCOMPLETE)
        self._threads = 1
        if status & ZLIB or (status & (LZO | SNAPPY | ZSTD) and block_size >= _WORTH_A_THREAD):
            self._threads = min(_MOST_THREADS, os.cpu_count() or 1)
        self._problems = problems
        self._codecs = Codecs(block_size, source.name)
        self._cache: dict[int, bytes] = {}
        self._agrees: bool | None = None
        self._reasons = reasons

    # -- any page -----------------------------------------------------------------------------------------------------

    def read(self, address: int, size: int) -> bytes:
        """Return ``size`` bytes at a physical address."""
        frame, within = divmod(address, self._block_size)
        end = within + size
        if end <= self._block_size:
            return self._page(frame)[within:end] if size else b""
        count = -(-end // self._block_size)
        try:
            pages = [self._page(frame + i) for i in range(count)] if count <= _SINGLY else self._pages(frame, count)
        except MissingMemoryError as error:
            held = error.address - address
            if held > 0:
                error.hint = f"{error.hint + '; ' if error.hint else ''}the {held:,} bytes before it are in the file"
            raise
        pages[-1] = pages[-1][: end - (count - 1) * self._block_size]
        pages[0] = pages[0][within:]
        return b"".join(pages)

    def _page(self, frame: int) -> bytes:
        """Return one page, from the cache of those used last where it is there."""
        page = self._cache.pop(frame, None)
        if page is None:
            page = bytes(self._load(frame))
            if len(self._cache) >= _PAGES_KEPT:
                del self._cache[next(iter(self._cache))]
        self._cache[frame] = page
        return page

    def _pages(self, frame: int, count: int) -> list[Any]:
        """Return many consecutive pages; nothing is inflated before all are known to be in the file."""
        missing = self._dumped.first_missing(frame, count)
        if missing is not None:
            raise self._reasons.missing(missing)
        self._judge(frame)
        pages: list[Any] = []
        step = max(1, (1 << 20) // self._block_size)
        for at in range(0, count, step):
            rank = self._dumped.rank(frame + at)
            assert rank is not None
            pages += self._inflated(self._stored(rank, min(step, count - at)), self._codecs)
            for i in range(at, len(pages)):
                if not pages[i]:
                    pages[i] = self._load(frame + i)
        return pages

    def _load(self, frame: int) -> bytes | bytearray:
        """Return a page, or raise with the reason why it cannot be had."""
        rank = self._dumped.rank(frame)
        if rank is None:
            raise self._reasons.missing(frame)
        if not self._agrees:
            self._judge(frame)
        desc = self._descriptors.one(rank)
        if desc is None:
            raise self._reasons.cut(frame, rank, "the file ends before its descriptor", self._descriptors.at(rank + 1))
        offset, size, flags = desc
        data = self._source.view(offset, size) if size <= self._block_size else b""
        if len(data) != size or offset <= self._descriptors.at(rank) or not size:
            raise self._reasons.misplaced(frame, rank, offset, size)
        try:
            return self._codecs[flags](data)
        except PageDamage as damage:
            raise self._reasons.damage(frame, rank, damage.expected, damage.got) from None

    # -- can the bitmap be believed -----------------------------------------------------------------------------------

    def agrees(self) -> bool:
        """Return False where bitmap and descriptors disagree, and record it. Counts the whole bitmap."""
        if self._agrees is None:
            pages = self._dumped.total
            bitmap = self._dumped.bitmap
            whole = self._dumped.first == 0 and self._dumped.end >= self._frames
            every = pages if whole else DumpedFrames(bitmap, 0, min(self._frames, bitmap.held * 8)).total
            complete = (
                not self._incomplete
                and bitmap.held == bitmap.size
                and self._descriptors.data_end(pages) <= self._source.size
            )
            self._agrees = self._descriptors.agrees(pages, every, complete=complete)
            if not self._agrees:
                self._problems.error(
                    "bitmaps", "the bitmap of pages and the page descriptors disagree: no page can be told from another",
                    offset=bitmap.offset, expected=f"as many pages as there are descriptors{self._by_layout()}", got=f"{pages:,}",
                )  # fmt: skip
        return self._agrees

    def _by_layout(self) -> str:
        estimate = self._descriptors.estimate()
        return "" if estimate is None else f", {estimate:,}"

    def _judge(self, frame: int) -> None:
        """Raise where bitmap and descriptors disagree, as far as that can be known for little."""
        if self._dumped.bitmap.size > _COUNT_BEFORE_READING and not self._dumped.is_counted:
            return
        if not self.agrees():
            address = frame * self._block_size
            raise MissingMemoryError(
                f"the page at physical address {address:#x} (page frame {frame:#x}) cannot be told from another: "
                "the bitmap of pages and the page descriptors disagree", reason=DAMAGED, address=address, frame=frame,
                path=self._source.name, offset=self._dumped.bitmap.offset,
                expected=f"as many pages as there are descriptors{self._by_layout()}", got=f"{self._dumped.total:,}",
                hint="one of the two is damaged; copy the vmcore again",
            )  # fmt: skip

    # -- all pages in order -------------------------------------------------------------------------------------------

    def _stored(self, rank: int, count: int) -> Stored:
        """Return the stored bytes and the flags of ``count`` pages from ``rank`` on.

        None where a descriptor is wrong, ``_GONE`` where the file ends before the page or its descriptor.
        """
        offsets, sizes, flags = self._descriptors.read(rank, count)
        good = self._descriptors.whole(offsets, sizes, flags)
        window, low, end = memoryview(b""), 0, 0
        own = good & (offsets > np.uint64(self._descriptors.first_data or 0))  # the shared page of zeros lies elsewhere
        if own.any():
            low, end = int(offsets[own].min()), int((offsets + sizes)[own].max())
            if end - low <= 2 * int(sizes[own].sum()) + (1 << 20):
                window = self._source.view(low, end - low)
            else:
                end = 0  # damaged: the pages are all over the file
        found: list[memoryview | None] = []
        shared: dict[int, memoryview] = {}
        gone = self._descriptors.behind_the_end(offsets, sizes, flags, self._reasons.farthest)
        for offset, size, ok, lost in zip(offsets.tolist(), sizes.tolist(), good.tolist(), gone.tolist(), strict=True):
            if not ok:
                found.append(_GONE if lost else None)
            elif low <= offset and offset + size <= end:
                found.append(window[offset - low : offset - low + size])
            else:
                if offset not in shared:
                    shared[offset] = self._source.view(offset, size)
                found.append(shared[offset][:size])
        found += [_GONE] * (count - len(found))
        return found, [*flags.tolist(), *[STORED] * (count - len(flags))]

    def _inflated(self, stored: Stored, codecs: Codecs) -> list[Any]:
        """Return pages of their stored bytes; None for what is damaged, nothing for what the file ends before."""
        pages: list[Any] = []
        size, last, inflate = self._block_size, STORED, codecs[STORED]
        for data, flags in zip(*stored, strict=True):
            if data is _GONE:
                pages.append(b"")
                continue
            if flags == STORED or data is None:
                pages.append(data if data is not None and len(data) == size else None)
                continue
            try:
                if flags != last:
                    inflate, last = codecs[flags], flags
                pages.append(inflate(data))
            except PageDamage:
                pages.append(None)
        return pages

    def _batches(self, size: int) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
        """Yield the rank of the first page and the frames of all pages, batch by batch."""
        count = max(1, size // self._block_size)
        for step in range(self._dumped.steps):
            rank, frames = self._dumped.in_step(step)
            if self._dumped.is_counted:
                frames = frames[: max(0, self._reasons.written - rank)]
            for at in range(0, len(frames), count):
                yield rank + at, frames[at : at + count]

    def chunks(self, size: int, threads: int | None) -> Iterator[tuple[int, bytes]]:
        """Yield (physical address, bytes) of consecutive pages; with ``threads`` pages are inflated ahead."""
        if not self.agrees():
            return
        threads = self._threads if threads is None else threads
        if threads < 2:
            for rank, frames in self._batches(size):
                yield from self._runs(frames, self._inflated(self._stored(rank, len(frames)), self._codecs))
            return
        yield from self._chunks_ahead(size, threads)

    def _chunks_ahead(self, size: int, threads: int) -> Iterator[tuple[int, bytes]]:
        from concurrent.futures import ThreadPoolExecutor

        def inflated(stored: Stored) -> list[Any]:
            return self._inflated(stored, Codecs(self._block_size, self._source.name))

        waiting: deque[tuple[np.ndarray[Any, Any], Future[list[Any]]]] = deque()
        pool = ThreadPoolExecutor(threads, "pages")
        try:
            for rank, frames in self._batches(size):  # the file is read here; only inflating goes to the threads
                waiting.append((frames, pool.submit(inflated, self._stored(rank, len(frames)))))
                if len(waiting) > 2 * threads:
                    ready, pages = waiting.popleft()
                    yield from self._runs(ready, pages.result())
            while waiting:
                ready, pages = waiting.popleft()
                yield from self._runs(ready, pages.result())
        finally:
            pool.shutdown(cancel_futures=True)

    def _runs(self, frames: np.ndarray[Any, Any], pages: list[Any]) -> Iterator[tuple[int, bytes]]:
        """Yield pages joined as far as their frames follow one another; damaged ones are recorded and left out."""
        first, count = int(frames[0]), len(frames)
        if int(frames[-1]) - first == count - 1 and all(pages):
            yield first * self._block_size, b"".join(pages)
            return
        run: list[Any] = []
        following = -1
        for frame, page in zip(frames.tolist(), pages, strict=True):
            if not page or frame != following:
                if run:
                    yield (following - len(run)) * self._block_size, b"".join(run)
                run = []
            if not page:
                if page is None:
                    self._record(frame)
                following = -1
                continue
            run.append(page)
            following = frame + 1
        if run:
            yield (following - len(run)) * self._block_size, b"".join(run)

    def _record(self, frame: int) -> None:
        """Record why a page of the ordered reading could not be had."""
        try:
            self._load(frame)
        except MissingMemoryError:
            return  # damage is among the problems now; that the file is cut is known from its last descriptors

    # -- all pages, to see whether they are sound ---------------------------------------------------------------------

    def work(self) -> int:
        """Return the bytes of memory that are in the file."""
        return self._dumped.total * self._block_size

    def check(self, progress: Callable[[int], object], *, pages: bool = True) -> None:
        """Compare the bitmap with the descriptors; with ``pages`` inflate every page."""
        if not self.agrees() or not pages:
            return
        for _, data in self.chunks(1 << 20, None):
            progress(len(data))
        self._reasons.summarise()
