"""ELF vmcores: /proc/vmcore as the kernel lays it out, makedumpfile -E, QEMU, virsh; 32 and 64 bits, both byte orders."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import numpy as np

from vmcoredd_lab.containers.base import SEGMENTS, Container
from vmcoredd_lab.containers.elf_structs import (
    EHDR,
    ET_CORE,
    P_TYPES,
    PHDR,
    PN_XNUM,
    PT_LOAD,
    PT_NOTE,
    SHDR,
    machine_name,
)
from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.model import Note
from vmcoredd_lab.notes.names import owners
from vmcoredd_lab.notes.walker import MOST_NOTES, number_cpus, walk_notes
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import ByteSource
from vmcoredd_lab.tables import Codes, Table
from vmcoredd_lab.text import plural

__all__ = ["ElfContainer"]

_NOTE_SEGMENTS = 64  # compared with each other; there is one
MOST_HEADERS = 1 << 20  # looked at where nothing believable says how many there are; the file may be 64 GiB, and remote
_TYPES = {
    1: "ET_REL, an object file or module",
    2: "ET_EXEC, a program or vmlinux",
    3: "ET_DYN, a program or library",
}


class ElfContainer(Container):
    """An ELF core: ELF header, program headers (one NumPy view), and the notes of every PT_NOTE segment."""

    SIGNATURE = b"\x7fELF"

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self.problems = Problems()
        ident = source.read(0, 16)
        if len(ident) < 16 or ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise OpenError(
                "the ELF identification is cut or not valid", path=source.name, offset=4,
                expected="class 1 or 2 and data encoding 1 or 2", got=ident[4:16].hex(" ") or "the end of the file",
                hint="the copy of the vmcore may have failed; copy it again",
            )  # fmt: skip
        self.bits = 64 if ident[4] == 2 else 32
        self.byteorder = "little" if ident[5] == 1 else "big"
        self.format = f"elf{self.bits}"
        size = EHDR[self.bits].size()
        if source.size < size:
            raise OpenError(
                "the file is cut inside its ELF header", path=source.name, offset=source.size,
                expected=f"{size} bytes", got=f"{source.size} bytes",
                hint="the copy of the vmcore did not finish; copy it again",
            )  # fmt: skip
        self.header = EHDR[self.bits].read(source.read(0, size), byteorder=self.byteorder)
        kind = int(self.header["e_type"])
        if kind != ET_CORE:
            raise OpenError(
                "an ELF file, but not a core", path=source.name, offset=16, expected="e_type 4 (ET_CORE)",
                got=f"e_type {kind}" + (f" ({_TYPES[kind]})" if kind in _TYPES else ""),
                hint="pass the vmcore; vmlinux is not needed",
            )  # fmt: skip
        self.machine = machine_name(int(self.header["e_machine"]), self.bits, self.byteorder)
        self.program_headers = self._program_headers()
        self._check_extent()
        self.notes = self._notes()

    # -- headers ------------------------------------------------------------------------------------------------------

    def _program_header_count(self) -> int:
        count = int(self.header["e_phnum"])
        if count != PN_XNUM:
            return count
        at, struct = int(self.header["e_shoff"]), SHDR[self.bits]
        raw = self.source.read(at, struct.size()) if at else b""
        real = int(struct.read(raw, byteorder=self.byteorder)["sh_info"]) if len(raw) == struct.size() else 0
        room = self._headers_before_data()
        if not real:
            self.problems.error(
                "ELF header", "e_phnum is PN_XNUM but section header 0, which holds the real count, is not in the file; "
                "the program headers are read up to the first segment's data", offset=at, expected="sh_info not 0",
                got="no section headers" if not at else "0" if len(raw) == struct.size() else "the end of the file",
            )  # fmt: skip
            return room
        if real > max(room, PN_XNUM):
            self.problems.error(
                "ELF header", "sh_info of section header 0, the number of program headers, is more than fit before the first "
                "segment's data; they are read up to there", offset=at, expected=f"at most {room:,}", got=f"{real:,}",
            )  # fmt: skip
            return max(room, PN_XNUM)
        return real

    def _headers_before_data(self) -> int:
        """Return how many program headers lie before the first segment's data, or before the end of the file.

        The kernel and makedumpfile write the program headers first and the segments behind them, PT_NOTE before all
        others. Fill between the two is not counted.
        """
        at, struct = int(self.header["e_phoff"]), PHDR[self.bits]
        dtype = struct.dtype(self.byteorder)
        end, first = self.source.size, self.source.read(at, dtype.itemsize)
        if len(first) == dtype.itemsize:
            data = int(struct.read(first, byteorder=self.byteorder)["p_offset"])
            end = min(end, data) if data > at else end
        view = self.source.view(at, min(MOST_HEADERS, max(0, end - at) // dtype.itemsize) * dtype.itemsize)
        used = np.flatnonzero(np.frombuffer(view, dtype)["p_type"])
        return int(used[-1]) + 1 if len(used) else 0

    def _program_headers(self) -> np.ndarray[Any, Any]:
        offset, count = int(self.header["e_phoff"]), self._program_header_count()
        dtype = PHDR[self.bits].dtype(self.byteorder)
        stride = int(self.header["e_phentsize"])
        if not count:
            self.problems.error(
                "ELF header", "there are no program headers: nothing says where notes and memory are", offset=offset,
                expected="e_phnum of at least 1", got="0",
            )  # fmt: skip
        elif stride != dtype.itemsize:
            self.problems.error(
                "ELF header", "the program headers are not of the size that this class of ELF has; the usual size is used",
                offset=0x36 if self.bits == 64 else 0x2A, expected=str(dtype.itemsize), got=str(stride),
            )  # fmt: skip
        room = max(0, self.source.size - offset) // dtype.itemsize
        if count > room:
            self.problems.error(
                "program headers", f"{plural(count, 'program header')} announced, {room:,} are in the file",
                offset=min(offset, self.source.size), expected=f"{count * dtype.itemsize:,} bytes",
                got=f"{max(0, self.source.size - offset):,} bytes",
            )  # fmt: skip
            count = room
        if not count:
            return np.zeros(0, dtype)
        table: np.ndarray[Any, Any] = np.frombuffer(self.source.view(offset, count * dtype.itemsize), dtype, count)
        return table

    def _check_extent(self) -> None:
        """Compare what the segments claim to hold with what the file holds; one problem for each way they differ."""
        offset, filesz = self._native("p_offset"), self._native("p_filesz")
        limit, end = np.uint64(self.source.size), offset + filesz  # wraps where a field is absurd
        absurd = (end < offset) | (end > np.uint64(1 << 62))
        beyond = (end > limit) & (filesz > 0) & ~absurd
        for index in np.flatnonzero(absurd)[:8].tolist():
            self.problems.error(
                "segments", f"segment {index} cannot be where its header says; it is taken as cut at the file's end",
                offset=self._header_offset(index), expected=f"an end below {self.source.size:,}",
                got=f"p_offset {int(offset[index]):#x} and p_filesz {int(filesz[index]):#x}",
            )  # fmt: skip
        cut = np.flatnonzero(beyond)
        if len(cut):
            missing = int(np.count_nonzero(offset[cut] >= limit))
            self.problems.error(
                "segments",
                f"the file is cut: {plural(missing, 'segment')} of {len(offset):,} {'is' if missing == 1 else 'are'} missing "
                f"and {len(cut) - missing} incomplete, the first is segment {int(cut[0])}",
                offset=self.source.size, expected=f"{int(end[cut].max()):,} bytes", got=f"{self.source.size:,} bytes",
            )  # fmt: skip

    def _native(self, name: str) -> np.ndarray[Any, Any]:
        return self.program_headers[name].astype(np.uint64)

    def _header_offset(self, index: int) -> int:
        size: int = self.program_headers.dtype.itemsize
        return int(self.header["e_phoff"]) + index * size

    def _notes(self) -> list[Note]:
        """Return the notes of every PT_NOTE segment; where segments overlap, each note once."""
        notes: dict[int, Note] = {}
        read: list[tuple[int, int]] = []
        walked = 0
        for index in np.flatnonzero(self.program_headers["p_type"] == PT_NOTE).tolist():
            header = self.program_headers[index]
            start, size = int(header["p_offset"]), self._note_size(header)
            found = walk_notes(
                self.source,
                start,
                size,
                byteorder=self.byteorder,
                align=8 if int(header["p_align"]) == 8 else 4,
                problems=self.problems,
                known=walked,
            )
            if len(read) < _NOTE_SEGMENTS and any(start < end and begin < start + size for begin, end in read):
                self.problems.error(
                    "notes", f"segment {index} holds notes that lie inside another note segment; each note is listed once",
                    offset=self._header_offset(index), expected="note segments apart",
                    got=f"p_offset {start:#x} and p_filesz {size:#x}",
                )  # fmt: skip
            for note in found:
                notes.setdefault(note.header_offset, note)
            read.append((start, start + size))
            walked += len(found)
            if walked == MOST_NOTES:
                break
        return number_cpus(list(notes.values()) if read else self._notes_behind_empty_headers())

    def _notes_behind_empty_headers(self) -> list[Note]:
        """Return the notes where program headers are all zeros: makedumpfile -E, which writes them last, did not finish."""
        headers = self.program_headers
        if not len(headers) or any(headers[name].any() for name in ("p_type", "p_offset", "p_filesz", "p_memsz")):
            return []
        offset = self._header_offset(len(headers))
        found = walk_notes(
            self.source, offset, self.source.size - offset, byteorder=self.byteorder, problems=Problems()
        )
        notes = list(takewhile(lambda note: note.owner in owners(), found))  # pages follow, not fill
        self.problems.error(
            "program headers", f"all {len(headers):,} are empty: the program that wrote the file did not finish; "
            + (f"{plural(len(notes), 'note')} found behind them, no memory can be told" if notes else "nothing can be told"),
            offset=int(self.header["e_phoff"]), expected="PT_NOTE and PT_LOAD", got="zeros",
        )  # fmt: skip
        return notes

    def _note_size(self, header: np.void) -> int:
        """Return the size of a note segment; one that runs past the file's end stops where the next segment's data begin."""
        offset, size = int(header["p_offset"]), int(header["p_filesz"])
        if offset + size <= self.source.size:
            return size
        starts = self._native("p_offset")[self.program_headers["p_filesz"] > 0]
        later = starts[starts > np.uint64(offset)] if offset < self.source.size else starts[:0]
        return min(size, int(later.min()) - offset) if len(later) else size

    # -- what a container offers --------------------------------------------------------------------------------------

    def segment_count(self) -> int:
        """Return the number of program headers."""
        return len(self.program_headers)

    def memory_size(self) -> tuple[int, int]:
        """Return the bytes of physical memory that the segments cover, and of those in the file, each counted once.

        Kernel text is mapped twice; QEMU with paging has a segment for every mapping. Where no physical address is known,
        sizes are added up.
        """
        load = self.program_headers["p_type"] == PT_LOAD
        start, memsz, filesz = (self._native(name)[load] for name in ("p_paddr", "p_memsz", "p_filesz"))
        known = start != np.uint64((1 << self.bits) - 1)
        covered, held = (
            _covered(start[known], size[known]) + _exact_sum(size[~known])
            for size in (memsz, np.minimum(memsz, filesz))
        )
        return covered, held

    def segments(self) -> Table:
        """Return the program headers as a table."""
        headers = self.program_headers
        columns: dict[str, Any] = {"type": self._types()}
        for name in ("offset", "vaddr", "paddr", "filesz", "memsz", "flags", "align"):
            columns[name] = headers[f"p_{name}"].astype(np.uint64)
        return Table(SEGMENTS, columns)

    def _types(self) -> Codes:
        types = self.program_headers["p_type"].astype(np.uint32)
        if ((types == PT_LOAD) | (types == PT_NOTE)).all():  # what nearly all are; a tenth of the time of sorting
            return Codes((types == PT_LOAD).view(np.int8), [P_TYPES[PT_NOTE], P_TYPES[PT_LOAD]])
        numbers, codes = np.unique(types, return_inverse=True)
        kind = np.int8 if len(numbers) < 128 else np.int32
        return Codes(codes.astype(kind), [P_TYPES.get(n, f"{n:#x}") for n in numbers.tolist()])


def _covered(start: np.ndarray[Any, Any], size: np.ndarray[Any, Any]) -> int:
    """Return how many addresses lie in at least one of the ranges."""
    order = np.argsort(start, kind="stable")
    start = start[order]
    end = start + size[order]
    end[end < start] = np.iinfo(np.uint64).max  # absurd
    before = np.concatenate([start[:1], np.maximum.accumulate(end)[:-1]])
    return _exact_sum(np.where(end > before, end - np.maximum(start, before), np.uint64(0)))


def _exact_sum(sizes: np.ndarray[Any, Any]) -> int:
    """Return the sum of unsigned integers, which may need more than 64 bits where sizes are absurd."""
    low, high = sizes & np.uint64(0xFFFFFFFF), sizes >> np.uint64(32)
    return int(low.sum(dtype=np.uint64)) + (int(high.sum(dtype=np.uint64)) << 32)
