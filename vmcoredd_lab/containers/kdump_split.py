"""Split dumps (makedumpfile --split): several kdump-compressed files, each with all notes and the pages of some frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np

from vmcoredd_lab.containers.base import Container
from vmcoredd_lab.containers.kdump import KdumpContainer, ranges_table
from vmcoredd_lab.containers.kdump_bitmaps import EXCLUDED, PRESENT, Ranges
from vmcoredd_lab.containers.memory import ELSEWHERE, ContainerMemory, MissingMemoryError
from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import ByteSource
from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import escape

__all__ = ["SplitContainer", "SplitSource"]

Share = tuple[KdumpContainer, int, int]  # a part and the page frames that it answers for: first, end

# What is the same in all parts of one dump; header.status may differ where one part alone ran out of room.
_SAME = ("header_version", "nodename", "release", "version", "machine", "tv_sec", "tv_usec", "block_size", "bitmap_blocks",
         "max_mapnr", "nr_cpus")  # fmt: skip


class SplitContainer(Container):
    """The parts of one split dump, in any order. Notes and their offsets are those of the first that was given.

    Where the notes of that one are damaged they come from the first part that has them whole.
    """

    format = "kdump-compressed"

    def __init__(self, given: Sequence[Container]) -> None:
        parts = [_checked(one, given[0]) for one in given]
        self.first = next((part for part in parts if not _notes_damaged(part)), parts[0])
        self.parts = sorted(parts, key=lambda part: part.part)
        self.source = SplitSource(self.first.source, [part.source for part in parts])
        self.notes = self.first.notes
        self.machine, self.byteorder, self.bits = self.first.machine, self.first.byteorder, self.first.bits
        self.block_size = self.first.block_size
        self.problems = Problems()
        self._shares = self._cover(max(part.frames for part in parts))

    def _cover(self, frames: int) -> list[Share]:
        """Return the page frames that each part answers for; record which no part is for, or more than one."""
        done, shares = 0, []
        for part in self.parts:
            start, end = part.part
            if start > done:
                self._missing(done, start)
            elif start < done:
                self.problems.warning(
                    "parts", f"{part.source.name} repeats page frames of another part; one of the two is not needed",
                    offset=part.block_size, expected=f"page frames from {done:,}",
                    got=f"page frames from {start:,} up to {end:,}",
                )  # fmt: skip
            if end > max(start, done):
                shares.append((part, max(start, done), end))
            done = max(done, end)
        if done < frames:
            self._missing(done, frames)
        return shares

    def _missing(self, start: int, end: int) -> None:
        given = ", ".join(part.source.name for part in self.parts)
        self.problems.warning(
            "parts", f"the part with page frames {start:,} up to {end:,} was not given: their memory cannot be read",
            expected=f"a part from page frame {start:,}", got=given,
        )  # fmt: skip

    def check(self) -> None:
        """Look for damage in every part, and take over what each part knows of itself."""
        for part in self.parts:
            part.check()
            own = part is self.first
            for row in part.problems:
                if row.severity == "info":
                    continue  # that it is one part of several
                where = row.where if own else f"{part.source.name}: {row.where}"
                self.problems.add(
                    row.severity, where, row.message, offset=row.offset, expected=row.expected, got=row.got
                )

    @cached_property
    def ranges(self) -> Ranges:
        """The runs of page frames that the parts are for, joined where one goes on in the next part."""
        if not self._shares:
            return self.first.ranges(0, 0)
        found = [part.ranges(start, end) for part, start, end in self._shares]
        kind, start, count = (np.concatenate(columns) for columns in zip(*found, strict=True))
        new = np.ones(len(kind), bool)
        new[1:] = (kind[1:] != kind[:-1]) | (start[1:] != (start + count)[:-1])
        firsts = np.flatnonzero(new)
        return kind[firsts], start[firsts], np.add.reduceat(count, firsts)

    def segment_count(self) -> int:
        """Return the number of runs of page frames."""
        return len(self.ranges[0])

    def memory_size(self) -> tuple[int, int]:
        """Return the bytes of page frames that exist, and of those in the parts."""
        counts = [part.count(start, end)[1] for part, start, end in self._shares]
        held = sum(frames[PRESENT] for frames in counts)
        return (held + sum(frames[EXCLUDED] for frames in counts)) * self.block_size, held * self.block_size

    def segments(self) -> Table:
        """Return the runs of page frames; their descriptors are in different files and have no offset."""
        nowhere = np.ma.array(np.zeros(len(self.ranges[0]), np.uint64), mask=True)
        return ranges_table(self.ranges, self.block_size, nowhere)

    @cached_property
    def memory(self) -> SplitMemory:
        """The pages of all parts."""
        return SplitMemory(self.parts, self._shares)

    def phys_base(self) -> int | None:
        """Return the sub-header's phys_base."""
        return self.first.phys_base()

    def vmcoreinfo_window(self) -> tuple[int, int] | None:
        """Return where the sub-header says VMCOREINFO is."""
        return self.first.vmcoreinfo_window()

    def eraseinfo_window(self) -> tuple[int, int] | None:
        """Return where the first part has makedumpfile's list of what it erased."""
        return self.first.eraseinfo_window()

    def cpu_count(self) -> int:
        """Return the CPUs that left their registers, else what the header says."""
        return self.first.cpu_count()

    def identity(self) -> dict[str, str]:
        """Return utsname of the crashed kernel, and how makedumpfile wrote the parts."""
        return self.first.identity()


class SplitSource(ByteSource):
    """The bytes of one part, where notes and device dumps are read; the others lie beneath it."""

    def __init__(self, first: ByteSource, parts: Sequence[ByteSource]) -> None:
        self._first = first
        self.name, self.size, self.layers = first.name, first.size, first.layers
        self.mapped = all(part.mapped for part in parts)
        self.beneath = tuple(parts)

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset`` of the first part."""
        return self._first.read(offset, size)

    def view(self, offset: int, size: int) -> memoryview:
        """Return the same as :meth:`read`, without a copy where the part allows it."""
        return self._first.view(offset, size)

    def problems(self) -> Problems:
        """Return what is known to be wrong with the files themselves."""
        return Problems(*(part.problems() for part in self.beneath))

    def close(self) -> None:
        """Release all files."""
        for part in self.beneath:
            part.close()


class SplitMemory(ContainerMemory):
    """Pages of several files, each asked for the frames it is for."""

    def __init__(self, parts: Sequence[KdumpContainer], shares: Sequence[Share]) -> None:
        self._parts, self._shares = parts, shares
        self._block_size = parts[0].block_size
        self._last: Share = (parts[0], 0, 0)

    def _part_of(self, frame: int) -> Share:
        """Return the part that answers for this frame, and its frames; where none was given, one that can say so."""
        _, start, end = self._last
        if not start <= frame < end:
            nobody = (self._parts[0], frame, frame + 1)
            self._last = next((share for share in self._shares if share[1] <= frame < share[2]), nobody)
        return self._last

    def read(self, address: int, size: int) -> bytes:
        """Return ``size`` bytes at a physical address, from as many parts as they are in."""
        found: list[bytes] = []
        end = address + size
        while address < end:
            part, _, stop = self._part_of(address // self._block_size)
            here = min(end, stop * self._block_size)
            try:
                found.append(part.memory.read(address, here - address))
            except MissingMemoryError as error:
                if error.reason == ELSEWHERE:
                    error.got = ", ".join(f"{p.source.name} ({p.part[0]:#x} up to {p.part[1]:#x})" for p in self._parts)
                raise
            address = here
        return found[0] if len(found) == 1 else b"".join(found)

    def chunks(self, size: int, threads: int | None) -> Iterator[tuple[int, bytes]]:
        """Yield (physical address, bytes) part by part."""
        for part, start, _ in self._shares:
            first = start * self._block_size
            for address, data in part.memory.chunks(size, threads):
                if address + len(data) > first:
                    at = max(address, first)
                    yield at, data[at - address :]

    def work(self) -> int:
        """Return the bytes of memory that are in the parts."""
        return sum(part.memory.work() for part in self._parts)

    def check(self, progress: Callable[[int], object], *, pages: bool = True) -> None:
        """Check every part."""
        for part in self._parts:
            part.memory.check(progress, pages=pages)


def _checked(one: Container, first: Container) -> KdumpContainer:
    """Return the container as a part of the same dump as the first.

    Raises
    ------
    OpenError: it is no part of a split dump, or of another one.
    """
    path = one.source.name
    if not isinstance(one, KdumpContainer):
        raise OpenError(
            "not a part of a split dump", path=path, expected="a part that makedumpfile --split wrote",
            got=f"a vmcore in the format {one.format}", hint="only such parts are given together; open this file alone",
        )  # fmt: skip
    if (
        not one.sub_header["split"] and one.frames
    ):  # a part that is cut before its bitmaps may not even say that it is one
        raise OpenError(
            "a whole dump, not a part of a split one", path=path, offset=one.block_size, expected="split 1", got="split 0",
            hint="open this file alone",
        )  # fmt: skip
    if one is not first and isinstance(first, KdumpContainer):
        for name in _SAME:
            if (one.byteorder, one.bits, one.header[name]) != (first.byteorder, first.bits, first.header[name]):
                raise OpenError(
                    "a part of another dump", path=path, expected=f"{name} {_text(first.header[name])} as in {first.source.name}",
                    got=_text(one.header[name]), hint="give the parts of one dump together",
                )  # fmt: skip
    return one


def _text(value: object) -> str:
    return escape(value) if isinstance(value, bytes) else str(value)


def _notes_damaged(part: KdumpContainer) -> bool:
    return not part.notes or any(
        row.severity == "error" and row.where in ("notes", "sub-header") for row in part.problems
    )
