"""Why a page of a kdump-compressed file cannot be had: one error for each reason, with the place in the file that says so."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from vmcoredd_lab.containers.kdump_bitmaps import Bitmap, DumpedFrames
from vmcoredd_lab.containers.kdump_descriptors import Descriptors
from vmcoredd_lab.containers.memory import ABSENT, CUT, DAMAGED, ELSEWHERE, EXCLUDED, MissingMemoryError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import ByteSource

__all__ = ["Reasons"]

_PROBLEMS_SHOWN = 16


class Reasons:
    """Makes the errors of one file, and records damage among its problems."""

    def __init__(
        self,
        source: ByteSource,
        *,
        block_size: int,
        exists: Bitmap,
        dumped: DumpedFrames,
        descriptors: Descriptors,
        frames: int,
        incomplete: bool,
        dump_level: int,
        problems: Problems,
    ) -> None:
        self._source = source
        self._block_size = block_size
        self._exists = exists
        self._dumped = dumped
        self._descriptors = descriptors
        self._frames = frames  # as the header declares them, whether or not the file reaches so far
        self._incomplete = incomplete
        self._dump_level = dump_level
        self._problems = problems
        self._damaged: set[int] = set()

    def missing(self, frame: int) -> MissingMemoryError:
        """Return the error for a frame that has no page in this file."""
        address, path = frame * self._block_size, self._source.name
        bitmap = self._dumped.bitmap
        where = f"physical address {address:#x} (page frame {frame:#x})"
        place: dict[str, Any] = {"address": address, "frame": frame, "path": path}
        if frame >= self._frames:
            return MissingMemoryError(
                f"there is no memory at {where}", reason=ABSENT, **place,
                expected=f"an address below {self._frames * self._block_size:#x}",
                hint="the segments command lists what is there",
            )  # fmt: skip
        if frame // 8 >= bitmap.held:
            return MissingMemoryError(
                f"nothing is known of {where}: the file ends before the bitmap says whether it is there", reason=CUT, **place,
                offset=bitmap.offset + frame // 8, expected=f"at least {bitmap.offset + bitmap.size:,} bytes",
                got=f"{self._source.size:,} bytes", hint="copy the vmcore again",
            )  # fmt: skip
        if bitmap.bit(frame):
            first, end = self._dumped.first, self._dumped.end
            return MissingMemoryError(
                f"{where} is in another part of this split dump", reason=ELSEWHERE, **place,
                expected=f"the part with page frame {frame:#x}", got=f"page frames {first:#x} up to {end:#x}",
                hint="give the other parts too: --part FILE for each, or a list of files to open_vmcore",
            )  # fmt: skip
        if self._exists.bit(frame):
            return MissingMemoryError(
                f"{where} was left out when the dump was written (dump level {self._dump_level})", reason=EXCLUDED, **place,
                offset=bitmap.offset + frame // 8,
                hint="makedumpfile -d excludes such pages; a lower dump level would keep them",
            )  # fmt: skip
        return MissingMemoryError(
            f"there is no memory at {where}", reason=ABSENT, **place, offset=self._exists.offset + frame // 8,
            hint="the segments command lists what is there",
        )  # fmt: skip

    def misplaced(self, frame: int, rank: int, offset: int, size: int) -> MissingMemoryError:
        """Return the error for a page whose descriptor does not lead to its bytes."""
        if not offset and not size and (self._incomplete or rank >= self.written):
            return self.cut(frame, rank, "makedumpfile ended before it wrote it", None)
        if not 0 < size <= self._block_size:
            return self.damage(frame, rank, f"1 to {self._block_size:,} stored bytes", f"{size:,}")
        if not self._descriptors.at(rank) < offset <= self.farthest:
            return self.damage(
                frame, rank, f"data between {self._descriptors.at(rank + 1):#x} and {self.farthest:#x}", f"{offset:#x}"
            )
        return self.cut(frame, rank, "the file ends before its data do", offset + size)

    @property
    def farthest(self) -> int:
        """Where the last page's data could begin at the most."""
        return self._descriptors.at(self._frames) + (self._frames + 1) * self._block_size

    @cached_property
    def written(self) -> int:
        """The pages before those whose descriptors were left empty up to the last."""
        total = self._dumped.total
        return total - self._descriptors.unwritten(total)

    def cut(self, frame: int, rank: int, why: str, end: int | None) -> MissingMemoryError:
        """Return the error for a page that was never written, or lies behind the end of the file; ``end``: where it would end."""
        address = frame * self._block_size
        return MissingMemoryError(
            f"the page at physical address {address:#x} (page frame {frame:#x}) is missing: {why}", reason=CUT,
            address=address, frame=frame, path=self._source.name, offset=self._descriptors.at(rank),
            expected=None if end is None else f"at least {end:,} bytes",
            got=None if end is None else f"{self._source.size:,} bytes", hint="the dump or its copy did not finish",
        )  # fmt: skip

    def damage(self, frame: int, rank: int, expected: str, got: str) -> MissingMemoryError:
        """Return the error for a page that is in the file and damaged, and record the damage."""
        address, offset = frame * self._block_size, self._descriptors.at(rank)
        self._damaged.add(frame)
        if len(self._damaged) <= _PROBLEMS_SHOWN:
            self._problems.error(
                "pages", f"the page at physical address {address:#x} (page frame {frame:#x}) is damaged", offset=offset,
                expected=expected, got=got,
            )  # fmt: skip
        return MissingMemoryError(
            f"the page at physical address {address:#x} (page frame {frame:#x}) is damaged", reason=DAMAGED,
            address=address, frame=frame, path=self._source.name, offset=offset, expected=expected, got=got,
            hint="the other pages can be read",
        )  # fmt: skip

    def summarise(self) -> None:
        """Record how many damaged pages there are beyond those that are problems of their own."""
        more = len(self._damaged) - _PROBLEMS_SHOWN
        if more > 0:
            self._problems.error("pages", f"and {more:,} more damaged pages")
