"""An image as an ELF vmcore, laid out as /proc/vmcore is (fs/proc/vmcore.c).

ELF header and program headers, filled up to whole pages; the notes: device dumps, each a whole number of pages, then the
others, filled up to whole pages; memory, each segment with the whole pages that it touches. One PT_NOTE, the first program
header, covers all notes; its size counts no padding behind the last (merge_note_headers_elf64,
process_ptload_program_headers_elf64, vmcoredd_update_program_headers).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vmcoredd_lab.containers.elf_structs import EHDR, ET_CORE, PHDR, PN_XNUM, PT_NOTE, SHDR
from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.source.base import Buffer, ByteSource, MemorySource
from vmcoredd_lab.source.pieces import ComposedSource
from vmcoredd_lab.writer.notes import NotePieces

if TYPE_CHECKING:
    from vmcoredd_lab.writer.image import VmcoreImage

__all__ = ["lay_out", "places"]

Array = np.ndarray[Any, Any]


def lay_out(image: VmcoreImage) -> ByteSource:
    """Return the file; headers and small notes are made now, all else when it is read.

    Raises
    ------
    UsageError: an offset, address or size does not fit 32 bits, in an ELF32 file; or the machine has no number.
    """
    if image.machine_number is None:
        raise UsageError(
            "the ELF header needs a machine, and the file that the image comes from names none that is known",
            expected="a name as uname -m gives it", got=image.machine, hint="say which: core.to_image(machine=...), or --machine",
        )  # fmt: skip
    notes = NotePieces(image.notes, image.byteorder)
    count = len(image.segments) + bool(image.notes)
    head_size = EHDR[image.bits].size() + count * PHDR[image.bits].size()
    head_size += SHDR[image.bits].size() if count >= PN_XNUM else 0
    notes_at = _up(head_size, image.page_size)
    data_at = _up(notes_at + notes.size, image.page_size)
    table = image.segments.table
    offsets, starts, ends = places(table, data_at, image.page_size)
    head = _head(image, count, _program_headers(image, table, offsets, notes_at, notes.size))
    pieces = _Pieces()
    pieces.add(Buffer(MemorySource(head), 0, len(head)), 0)
    for content, at in notes.placed(notes_at):
        pieces.add(content, at)
    end = int(ends[-1]) if len(ends) else data_at
    pieces.add_segments(image, table, offsets, starts, ends)
    return pieces.source(end)


def places(table: Array, at: int, page: int) -> tuple[Array, Array, Array]:
    """Return p_offset of each segment, and where its whole pages begin and end; the first begins at ``at``."""
    size = np.uint64(page)
    lead = table["paddr"] % size
    held = table["filesz"] > 0
    span = np.where(held, (lead + table["filesz"] + size - np.uint64(1)) // size * size, np.uint64(0))
    ends = np.uint64(at) + np.cumsum(span, dtype=np.uint64)
    starts = ends - span
    return np.where(held, starts + lead, starts), starts, ends


def _program_headers(image: VmcoreImage, table: Array, offsets: Array, notes_at: int, notes_size: int) -> bytes:
    dtype = PHDR[image.bits].dtype(image.byteorder)
    headers = np.zeros(len(table) + bool(image.notes), dtype)
    if image.notes:
        headers[0]["p_type"] = PT_NOTE
        headers[0]["p_align"] = image.note_align
        for name, value in (("p_offset", notes_at), ("p_filesz", notes_size), ("p_memsz", notes_size)):
            headers[0][name] = _fitting(image, name, np.array([value], np.uint64))[0]
    own = headers[bool(image.notes) :]
    own["p_offset"] = _fitting(image, "p_offset", offsets)
    for name in ("type", "flags", "vaddr", "paddr", "filesz", "memsz", "align"):
        own[f"p_{name}"] = _fitting(image, f"p_{name}", table[name])
    return headers.tobytes()


def _fitting(image: VmcoreImage, name: str, values: Array) -> Array:
    """Return the values as they fit the program header; an unknown address is all ones in either class."""
    if image.bits == 64 or values.itemsize == 4:
        return values
    if name == "p_vaddr":
        values = np.where(values == np.uint64((1 << 64) - 1), np.uint64((1 << 32) - 1), values)
    if len(values) and int(values.max()) >> 32:
        raise UsageError(
            f"{name} does not fit an ELF32 program header", expected="a value below 0x100000000", got=f"{int(values.max()):#x}",
            hint="make the image with bits=64, as kexec --elf64-core-headers does",
        )  # fmt: skip
    return values


def _head(image: VmcoreImage, count: int, program_headers: bytes) -> bytes:
    """Return ELF header, program headers and, where there are too many of them for e_phnum, section header 0."""
    ehdr, phdr, shdr = EHDR[image.bits], PHDR[image.bits], SHDR[image.bits]
    many = count >= PN_XNUM
    at = ehdr.size()
    header = ehdr.write(
        byteorder=image.byteorder, ei_mag=b"\x7fELF", ei_class=image.bits // 32,
        ei_data=1 if image.byteorder == "little" else 2, ei_version=1, e_type=ET_CORE, e_machine=image.machine_number,
        e_version=1, e_phoff=at, e_shoff=at + len(program_headers) if many else 0, e_flags=image.e_flags, e_ehsize=at,
        e_phentsize=phdr.size(), e_phnum=PN_XNUM if many else count, e_shentsize=shdr.size() if many else 0,
        e_shnum=1 if many else 0,
    )  # fmt: skip
    section = shdr.write(byteorder=image.byteorder, sh_info=count) if many else b""
    return header + program_headers + section


class _Pieces:
    """Collects what lies where, and makes one source of it."""

    def __init__(self) -> None:
        self._sources: list[ByteSource] = []
        self._columns: list[tuple[Array, Array, Array, Array]] = []  # start, end, place in the source, its number

    def add(self, content: Buffer, at: int) -> None:
        row = (at, at + len(content), content.offset, len(self._sources))
        self._columns.append(tuple(np.array([n], np.int64) for n in row))  # type: ignore[arg-type]
        self._sources.append(content.source)

    def add_segments(self, image: VmcoreImage, table: Array, offsets: Array, starts: Array, ends: Array) -> None:
        held = table["filesz"] > 0
        table, offsets, starts, ends = table[held], offsets[held], starts[held], ends[held]
        first = np.where(table["pages"], starts, offsets)
        last = np.where(table["pages"], ends, offsets + table["filesz"])
        place = table["place"] - (offsets - first)
        number = table["source"].astype(np.int64) + len(self._sources)
        self._columns.append(tuple(a.astype(np.int64) for a in (first, last, place, number)))  # type: ignore[arg-type]
        self._sources += image.segments.sources

    def source(self, size: int) -> ByteSource:
        starts, ends, places, numbers = (np.concatenate(column) for column in zip(*self._columns, strict=True))
        return ComposedSource(self._sources, (starts, ends, places), numbers, size, "<image>")


def _up(value: int, align: int) -> int:
    return -(-value // align) * align
