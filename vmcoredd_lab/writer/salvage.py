"""An image without what cannot be read: damaged and cut pages become memory that was left out of the dump."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.progress import progress
from vmcoredd_lab.source.base import ByteSource
from vmcoredd_lab.writer.image import VmcoreImage
from vmcoredd_lab.writer.segments import Segments

__all__ = ["readable_part"]

Array = np.ndarray[Any, Any]
Stretch = tuple[int, int, str]  # first byte and end within the segment; why it cannot be read, "" where it can
PIECE = 1 << 20
MOST_SHOWN = 1000  # stretches that are problems of their own


def readable_part(image: VmcoreImage) -> tuple[VmcoreImage, Problems]:
    """Read all memory; return the image without what cannot be read, and a problem for each stretch of pages left out.

    Such pages are excluded: ``memsz`` still covers them, ``filesz`` does not. An image that can be read whole is returned
    as it is.
    """
    problems, rows, changed = Problems(), [], False
    table, sources = image.segments.table, image.segments.sources
    lost = _Lost(problems)
    with progress("looking for pages that cannot be read", int(table["filesz"].sum())) as advance:
        for row in table:
            found = list(_joined(_stretches(row, sources[int(row["source"])], image.page_size)))
            if any(why for *_, why in found):
                changed = True
                rows.append(_split(row, found))
                lost.add(row, found)
            else:
                rows.append(np.array([row], table.dtype))
            advance(int(row["filesz"]))
    if not changed:
        return image, problems
    lost.summarise()
    return _with_segments(image, np.concatenate(rows), sources), problems


def _stretches(row: np.void, source: ByteSource, page: int) -> Iterator[Stretch]:
    """Yield the segment's bytes in order, what is stored read piece by piece; where that fails page by page."""
    place, size, done = int(row["place"]), int(row["filesz"]), 0
    lead = int(row["paddr"]) % page
    for low, high in source.extents(place, size):
        start, end = low - place, high - place
        yield done, start, ""  # a hole
        for at in range(start, end, PIECE):
            stop = min(end, at + PIECE)
            if not _why(source, place + at, stop - at):
                yield at, stop, ""
                continue
            while at < stop:
                following = min(stop, at + page - (lead + at) % page)
                yield at, following, _why(source, place + at, following - at)
                at = following
        done = end
    yield done, size, ""


def _why(source: ByteSource, offset: int, size: int) -> str:
    """Return why the bytes cannot be read, or nothing."""
    try:
        got = len(source.view(offset, size))
    except NotInFileError as error:
        return str(getattr(error, "reason", "missing"))
    return "" if got == size else "cut"


def _joined(stretches: Iterator[Stretch]) -> Iterator[Stretch]:
    """Join what follows each other and is alike."""
    last: Stretch | None = None
    for start, end, why in stretches:
        if start == end:
            continue
        if last is not None and last[2] == why:
            last = (last[0], end, why)
            continue
        if last is not None:
            yield last
        last = (start, end, why)
    if last is not None:
        yield last


def _split(row: np.void, stretches: list[Stretch]) -> Array:
    """Return the segment in parts: each begins with what can be read and covers what is lost behind it."""
    starts = [start for i, (start, _, why) in enumerate(stretches) if not why or i == 0]
    held = [end if not why else start for i, (start, end, why) in enumerate(stretches) if not why or i == 0]
    parts = np.repeat(np.array([row], row.dtype), len(starts))
    begin = np.array(starts, np.uint64)
    ends = np.append(begin[1:], row["memsz"])
    for name in ("paddr", "place"):
        parts[name] += begin
    if row["vaddr"] != np.uint64((1 << 64) - 1):
        parts["vaddr"] += begin
    parts["filesz"] = np.array(held, np.uint64) - begin
    parts["memsz"] = ends - begin
    parts["pages"] = False  # the rest of a page around a part may be what cannot be read
    return parts


def _with_segments(image: VmcoreImage, table: Array, sources: list[ByteSource]) -> VmcoreImage:
    """Return the same image with other segments."""
    new = VmcoreImage.__new__(VmcoreImage)
    new.__dict__.update(image.__dict__)
    new.notes = list(image.notes)
    new.segments = Segments()
    new.segments.take(table, sources)
    new.as_opened = None
    return new


class _Lost:
    """Records what was left out: the first stretches one by one."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._count = 0
        self._more = 0

    def add(self, row: np.void, stretches: list[Stretch]) -> None:
        for start, end, why in stretches:
            if not why:
                continue
            self._count += 1
            if self._count > MOST_SHOWN:
                self._more += end - start
                continue
            address = int(row["paddr"]) + start
            self._problems.error(
                "segments", f"{end - start:,} bytes of memory at physical address {address:#x} cannot be read ({why}): "
                "they are left out as excluded pages are", expected=f"{end - start:,} bytes", got=why,
            )  # fmt: skip

    def summarise(self) -> None:
        if self._more:
            self._problems.error(
                "segments",
                f"{self._count - MOST_SHOWN:,} more stretches of memory, {self._more:,} bytes, cannot be read",
            )
