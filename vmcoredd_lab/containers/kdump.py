"""makedumpfile's kdump-compressed format: notes, VMCOREINFO and device dumps come straight from the sub-header.

Bitmaps, page descriptors and pages are read when memory or segments are asked for.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from vmcoredd_lab.containers.base import SEGMENTS, Container
from vmcoredd_lab.containers.kdump_bitmaps import EXCLUDED, PRESENT, Bitmap, DumpedFrames, Ranges, count_runs, kind_runs
from vmcoredd_lab.containers.kdump_descriptors import Descriptors
from vmcoredd_lab.containers.kdump_machines import is_64_bit, machine_of, usual_name
from vmcoredd_lab.containers.kdump_pages import INCOMPLETE, KdumpMemory
from vmcoredd_lab.containers.kdump_reasons import Reasons
from vmcoredd_lab.containers.kdump_structs import DISK_DUMP_HEADER, KDUMP_SUB_HEADER, STATUS
from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.notes.walker import number_cpus, walk_notes
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import ByteSource
from vmcoredd_lab.structs import BYTE_ORDERS, ByteOrder
from vmcoredd_lab.tables import Codes, Table
from vmcoredd_lab.text import escape

__all__ = ["KdumpContainer", "ranges_table"]

Array = np.ndarray[Any, Any]

_KINDS = ("present", "excluded", "absent")


class KdumpContainer(Container):
    """Block 0, the sub-header with the notes, two bitmaps, page descriptors, pages. Opening reads the first two."""

    SIGNATURES = (b"KDUMP   ", b"DISKDUMP")
    format = "kdump-compressed"

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self.problems = Problems()
        head = source.read(0, DISK_DUMP_HEADER.size())
        self.byteorder = self._byteorder(head)
        self.header = self._header(head)
        self.block_size = int(self.header["block_size"])
        self.machine = usual_name(self._utsname("machine"))
        self.sub_header = self._sub_header()
        self._check()
        self.notes = self._notes()
        self.machine = self.machine or machine_of(self.notes, self.bits, self.byteorder)

    # -- headers ------------------------------------------------------------------------------------------------------

    def _byteorder(self, head: bytes) -> ByteOrder:
        version = head[8:12]
        for order in BYTE_ORDERS:
            if len(version) == 4 and 1 <= int.from_bytes(version, order) <= 6:
                return order
        raise OpenError(
            "makedumpfile's signature, but no header version that is known", path=self.source.name, offset=8,
            expected="header_version 1 to 6 in either byte order", got=version.hex(" ") or "the end of the file",
            hint="the copy of the vmcore may have failed; copy it again",
        )  # fmt: skip

    def _header(self, head: bytes) -> np.void:
        """Return block 0; its width is that of the machine's long, which nothing states: the page size tells."""
        candidates = []
        for bits in (64, 32):
            size = DISK_DUMP_HEADER.size(self.byteorder, bits)
            if len(head) < size:
                continue
            header = DISK_DUMP_HEADER.read(head, byteorder=self.byteorder, bits=bits)
            block = int(header["block_size"])
            if 512 <= block <= 1 << 20 and block & (block - 1) == 0 and header["sub_hdr_size"]:
                names_it = is_64_bit(bytes(header["machine"])) == (bits == 64)
                candidates.append((names_it, bits, header))
        if not candidates:
            cut = len(head) < DISK_DUMP_HEADER.size(self.byteorder, 64)
            raise OpenError(
                "makedumpfile's header is cut" if cut else "makedumpfile's header holds no possible page size",
                path=self.source.name, offset=len(head) if cut else 428,
                expected=f"{DISK_DUMP_HEADER.size()} bytes" if cut else "a power of two from 512 to 1048576",
                got=f"{len(head)} bytes" if cut else str(int.from_bytes(head[428:432], self.byteorder)),
                hint="the copy of the vmcore did not finish; copy it again",
            )  # fmt: skip
        _, self.bits, header = max(candidates, key=lambda c: c[0])
        return header

    def _utsname(self, member: str) -> str:
        return escape(bytes(self.header[member]).split(b"\0")[0])

    def _sub_header(self) -> dict[str, int]:
        """Return the members that this header version has; the others are 0."""
        layouts = [KDUMP_SUB_HEADER.dtype(self.byteorder, self.bits, align) for align in self._alignments()]
        raw = self.source.read(self.block_size, layouts[0].itemsize)
        if len(raw) < layouts[0].itemsize:
            self.problems.error(
                "sub-header", "the file is cut inside the sub-header, which says where the notes are",
                offset=self.source.size, expected=f"{layouts[0].itemsize} bytes at {self.block_size:#x}",
                got=f"{len(raw)} bytes",
            )  # fmt: skip
            raw = raw.ljust(layouts[0].itemsize, b"\0")
        records = [np.frombuffer(raw, dtype, 1)[0] for dtype in layouts]
        agree = [one for one in records if int(one["offset_note"]) == self.block_size + one.dtype.itemsize]
        record = (agree or records)[0]
        version = int(self.header["header_version"])
        if self._is_diskdump and not (agree and version >= 4):
            version = 0  # registers of one CPU in the layout of the machine
        since = {"phys_base": 1, "dump_level": 1, "split": 2, "start_pfn": 2, "end_pfn": 2, "offset_vmcoreinfo": 3,
                 "size_vmcoreinfo": 3, "offset_note": 4, "size_note": 4, "offset_eraseinfo": 5, "size_eraseinfo": 5,
                 "start_pfn_64": 6, "end_pfn_64": 6, "max_mapnr_64": 6}  # fmt: skip
        return {n: int(record[n]) if version >= since[n] else 0 for n in layouts[0].names or ()}

    def _alignments(self) -> tuple[int, ...]:
        """Return how members may be aligned: as the machine's compiler does it, or at 4 as QEMU packs them for any."""
        if self.bits == 64:
            return (8,)
        return (4,) if self.machine == "i386" else (8, 4)

    @property
    def _is_diskdump(self) -> bool:
        return bytes(self.header["signature"]) == self.SIGNATURES[1]

    def _check(self) -> None:
        status = int(self.header["status"])
        if status & INCOMPLETE:
            self.problems.error(
                "header", "makedumpfile marked the dump as incomplete (often the disk was full); pages are missing",
                offset=DISK_DUMP_HEADER.dtype(self.byteorder, self.bits).fields["status"][1],  # type: ignore[index]
                expected="status without 0x8", got=f"{status:#x}",
            )  # fmt: skip
        if self.sub_header["split"]:
            start, stop = self.part
            self.problems.add(
                "info", "sub-header", f"one part of a split dump: page frames from {start:,} up to {stop:,} are here, "
                "the others in the other parts; each part has all notes and device dumps",
                offset=self.block_size, expected="split 0", got="1",
            )  # fmt: skip
        offset, size = self.eraseinfo_window() or (0, 0)
        if offset + size > self.source.size:
            self.problems.error(
                "sub-header", "the list of what makedumpfile erased reaches beyond the end of the file", offset=self.block_size,
                expected=f"offset_eraseinfo and size_eraseinfo within {self.source.size:,} bytes",
                got=f"{offset:,} and {size:,}",
            )  # fmt: skip
        end = self.descriptors.offset
        if self.source.size < end:
            self.problems.error(
                "bitmaps", "the file ends before its page descriptors: notes may be whole, memory is not there",
                offset=self.source.size, expected=f"at least {end:,} bytes", got=f"{self.source.size:,} bytes",
            )  # fmt: skip

    def check(self) -> None:
        """Look at the first and the last page descriptors: data are written in frame order, so a cut shows there."""
        if self.source.size < self.descriptors.offset:
            return  # recorded on opening
        estimate = None if self.sub_header["split"] else self.descriptors.estimate()
        count = self.page_count if estimate is None else estimate
        needed, end = self.descriptors.at(count), self.descriptors.data_end(count)
        unwritten = self.descriptors.unwritten(count)
        if unwritten:
            self.problems.error(
                "page descriptors",
                f"makedumpfile ended before it wrote {unwritten:,} of {count:,} pages: their descriptors are empty",
                offset=self.descriptors.at(count - unwritten), expected="offset and size of a page", got="zeros",
            )  # fmt: skip
        if needed > self.source.size:
            self.problems.error(
                "page descriptors", "the file ends inside its page descriptors: pages are missing",
                offset=self.source.size, expected=f"{count:,} descriptors, {needed:,} bytes",
                got=f"{self.source.size:,} bytes",
            )  # fmt: skip
        elif end > self.source.size:
            self.problems.error(
                "pages", "the file ends before its last pages", offset=self.source.size,
                expected=f"{end:,} bytes", got=f"{self.source.size:,} bytes",
            )  # fmt: skip

    def _notes(self) -> list[Any]:
        offset, size = self.sub_header["offset_note"], self.sub_header["size_note"]
        if not size:
            if int(self.header["header_version"]) < 4 or self._is_diskdump:
                what = "the older diskdump format" if self._is_diskdump else "this header version"
                self.problems.warning(
                    "sub-header", f"{what} records no notes: registers and device dumps are not in the file",
                    offset=8, expected="header_version 4 or newer", got=str(int(self.header["header_version"])),
                )  # fmt: skip
            return []
        if offset >= self.source.size:
            self.problems.error(
                "sub-header", "the notes lie behind the end of the file", offset=self.block_size,
                expected=f"offset_note below {self.source.size:,}", got=f"{offset:,}",
            )  # fmt: skip
            return []
        if offset < self._bitmaps_offset < offset + size:  # notes belong to the sub-header's blocks
            self.problems.error(
                "sub-header", "the notes reach into the bitmaps; they are read up to there", offset=self.block_size,
                expected=f"size_note of at most {self._bitmaps_offset - offset:,}", got=f"{size:,}",
            )  # fmt: skip
            size = self._bitmaps_offset - offset
        return number_cpus(walk_notes(self.source, offset, size, byteorder=self.byteorder, problems=self.problems))

    # -- bitmaps ------------------------------------------------------------------------------------------------------

    @property
    def _declared_frames(self) -> int:
        """Page frames as the header has them, no more than the bitmaps have bits."""
        frames = self.sub_header["max_mapnr_64"] or int(self.header["max_mapnr"])
        return min(frames, self._bitmap_bytes * 8)

    @property
    def frames(self) -> int:
        """Page frames of which the file says whether they are in it: where it is cut, not all that the header declares."""
        return min(self._declared_frames, self._dumped.held * 8)

    @property
    def _bitmap_bytes(self) -> int:
        blocks = int(self.header["bitmap_blocks"])
        return (blocks if self._one_bitmap else blocks // 2) * self.block_size

    @property
    def _one_bitmap(self) -> bool:
        """True in diskdump's files of all memory, which have no second bitmap."""
        needed = -(-int(self.header["max_mapnr"]) // (8 * self.block_size))
        return self._is_diskdump and int(self.header["bitmap_blocks"]) < 2 * needed

    @property
    def _bitmaps_offset(self) -> int:
        return self.block_size * (1 + int(self.header["sub_hdr_size"]))

    @cached_property
    def _exists(self) -> Bitmap:
        return Bitmap(self.source, self._bitmaps_offset, self._bitmap_bytes)

    @cached_property
    def _dumped(self) -> Bitmap:
        first = 0 if self._one_bitmap else self._bitmap_bytes
        return Bitmap(self.source, self._bitmaps_offset + first, self._bitmap_bytes)

    @cached_property
    def descriptors(self) -> Descriptors:
        """The table of page descriptors."""
        offset = self._bitmaps_offset + int(self.header["bitmap_blocks"]) * self.block_size
        return Descriptors(self.source, offset, self.byteorder, self.block_size)

    @property
    def part(self) -> tuple[int, int]:
        """The page frames that this file is for: all, or those of one part of a split dump."""
        if not self.sub_header["split"]:
            return 0, self.frames
        start = self.sub_header["start_pfn_64"] or self.sub_header["start_pfn"]
        end = self.sub_header["end_pfn_64"] or self.sub_header["end_pfn"]
        end = min(end, self.frames)
        return min(start, end), end

    @cached_property
    def _pages(self) -> DumpedFrames:
        return DumpedFrames(self._dumped, *self.part)

    @property
    def page_count(self) -> int:
        """Pages in this file: one descriptor each."""
        return self._pages.total

    def ranges(self, start: int, end: int) -> Ranges:
        """Return the runs of page frames [start, end)."""
        return kind_runs(self._exists, self._dumped, start, end)

    def count(self, start: int, end: int) -> tuple[int, list[int]]:
        """Return how many runs the page frames [start, end) make, and how many frames of each kind there are."""
        return count_runs(self._exists, self._dumped, start, end)

    @cached_property
    def _counted(self) -> tuple[int, list[int]]:
        return self.count(*self.part)

    # -- what a container offers --------------------------------------------------------------------------------------

    def segment_count(self) -> int:
        """Return the number of runs of page frames."""
        return self._counted[0]

    def memory_size(self) -> tuple[int, int]:
        """Return the bytes of page frames that exist, and of those in the file."""
        _, frames = self._counted
        return (frames[PRESENT] + frames[EXCLUDED]) * self.block_size, frames[PRESENT] * self.block_size

    def segments(self) -> Table:
        """Return the runs of page frames: present, excluded or absent."""
        kind, start, count = self.ranges(*self.part)
        present = kind == PRESENT
        before = np.cumsum(np.where(present, count, 0)) - np.where(present, count, 0)
        offset = self.descriptors.at(0) + before * (self.descriptors.at(1) - self.descriptors.at(0))
        return ranges_table((kind, start, count), self.block_size, np.ma.array(offset.astype(np.uint64), mask=~present))

    @cached_property
    def memory(self) -> KdumpMemory:
        """The pages."""
        status = int(self.header["status"])
        reasons = Reasons(
            self.source,
            block_size=self.block_size,
            exists=self._exists,
            dumped=self._pages,
            descriptors=self.descriptors,
            frames=self._declared_frames,
            incomplete=bool(status & INCOMPLETE),
            dump_level=self.sub_header["dump_level"],
            problems=self.problems,
        )
        return KdumpMemory(
            self.source,
            block_size=self.block_size,
            dumped=self._pages,
            descriptors=self.descriptors,
            frames=self._declared_frames,
            status=status,
            reasons=reasons,
            problems=self.problems,
        )

    def phys_base(self) -> int | None:
        """Return the sub-header's phys_base, which x86_64's kernel text is mapped from."""
        return self.sub_header["phys_base"]

    def vmcoreinfo_window(self) -> tuple[int, int] | None:
        """Return where the sub-header says VMCOREINFO is."""
        size = self.sub_header["size_vmcoreinfo"]
        return (self.sub_header["offset_vmcoreinfo"], size) if size else None

    def eraseinfo_window(self) -> tuple[int, int] | None:
        """Return where the sub-header says makedumpfile's list of what it erased is."""
        size = self.sub_header["size_eraseinfo"]
        return (self.sub_header["offset_eraseinfo"], size) if size else None

    def cpu_count(self) -> int:
        """Return the CPUs that left their registers, else what the header says."""
        return super().cpu_count() or int(self.header["nr_cpus"])

    def current_cpu(self) -> int | None:
        """Return the header's current_cpu; 0 is what makedumpfile writes when it does not know, too."""
        return int(self.header["current_cpu"]) or None

    def identity(self) -> dict[str, str]:
        """Return utsname of the crashed kernel, and how the file was written; QEMU fills in no utsname but the machine."""
        names = ("nodename", "release", "version", "machine", "domainname")
        known = {n: self._utsname(n) for n in names}
        status = int(self.header["status"])
        known["compression"] = ", ".join(n for bit, n in STATUS.items() if status & bit) or "none"
        known["dump_level"] = str(self.sub_header["dump_level"])
        known["writer"] = "makedumpfile" if self._utsname("sysname") or not self._utsname("machine") else "QEMU"
        return {k: v for k, v in known.items() if v not in ("", "(none)", "Unknown")}


def ranges_table(ranges: Ranges, block_size: int, offset: Array) -> Table:
    """Return runs of page frames as a table of segments; ``offset`` is masked where there is none."""
    kind, start, count = ranges
    page = np.uint64(block_size)
    memsz = count.astype(np.uint64) * page
    return Table(
        SEGMENTS,
        {
            "type": Codes(kind, _KINDS),
            "offset": offset,
            "vaddr": _missing(len(kind)),
            "paddr": start.astype(np.uint64) * page,
            "filesz": np.where(kind == PRESENT, memsz, np.uint64(0)),
            "memsz": memsz,
            "flags": _missing(len(kind)),
            "align": _missing(len(kind)),
        },
    )


def _missing(count: int) -> Array:
    return np.ma.array(np.zeros(count, np.uint64), mask=True)
