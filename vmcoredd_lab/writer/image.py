"""An image: a vmcore that is not a file yet. Built by hand, or read from an opened vmcore; any container is written from it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from vmcoredd_lab.containers.elf_structs import PT_LOAD, machine_number
from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.model import NT_VMCOREDD, ImageNote, KdumpFacts, Segment
from vmcoredd_lab.notes.vmcoredd import DUMP_NAME_SIZE, VMCOREDD_HEADER
from vmcoredd_lab.source.base import Buffer, ByteSource, MemorySource
from vmcoredd_lab.source.contents import content_of
from vmcoredd_lab.structs import BYTE_ORDERS, ByteOrder
from vmcoredd_lab.text import escape
from vmcoredd_lab.writer.elf_layout import lay_out
from vmcoredd_lab.writer.open_image import OpenImage
from vmcoredd_lab.writer.segments import NOWHERE, Segments

__all__ = ["VmcoreImage"]

# Where it is not 4 KiB: the page size that the machine's distributions use. arm64 kernels exist with 4, 16 and 64 KiB.
_PAGE_SIZES = {"ppc64": 1 << 16, "ppc64le": 1 << 16, "ia64": 1 << 14, "loongarch64": 1 << 14, "alpha": 1 << 13,
               "sparc64": 1 << 13}  # fmt: skip
LONGEST_DESC = (1 << 32) - 1  # n_descsz has 32 bits

Collect = Callable[[memoryview], "int | None"]


class VmcoreImage:
    """What a vmcore holds: machine, notes in order (device dumps first), memory.

    Attributes
    ----------
    machine: as ``uname -m`` names it
    bits: the ELF class, 64 or 32; a 32-bit machine may have ELF64 headers (kexec --elf64-core-headers)
    byteorder: ``little`` or ``big``
    page_size: of the crashed machine, in bytes
    notes: list of :class:`~vmcoredd_lab.model.ImageNote`, in file order; it may be changed
    segments: :class:`~vmcoredd_lab.writer.segments.Segments`, in the order of the program headers
    facts: what only makedumpfile's header holds (:class:`~vmcoredd_lab.model.KdumpFacts`)
    """

    def __init__(
        self,
        machine: str = "x86_64",
        *,
        bits: int | None = None,
        byteorder: ByteOrder | None = None,
        page_size: int | None = None,
        e_flags: int = 0,
        note_align: int = 0,
    ) -> None:
        """Make an empty image.

        Parameters
        ----------
        machine: as ``uname -m`` names it (``x86_64``, ``aarch64``, ``s390x``, ``i386``, ...), or ``em_N``
        bits, byteorder, page_size: where they are not the machine's usual ones
        e_flags: of the ELF header
        note_align: p_align of PT_NOTE: 0 as kernels before 6.8 write it, 4 as later ones do

        Raises
        ------
        UsageError: a machine that is not known, or a page size that no machine has.
        """
        known = machine_number(machine)
        if known is None:
            raise UsageError(
                "a machine that is not known", expected="a name as uname -m gives it, or em_NUMBER", got=machine
            )
        self.machine = machine
        self.machine_number: int | None = known[0]
        self.machine_bits, usual_order = known[1:]
        self.bits = bits or self.machine_bits
        self.byteorder: ByteOrder = byteorder or usual_order
        self.page_size = page_size or _PAGE_SIZES.get(machine, 4096)
        if self.bits not in (32, 64) or self.byteorder not in BYTE_ORDERS:
            raise UsageError("no such ELF file", expected="32 or 64 bits, little or big", got=f"{bits}, {byteorder}")
        if not 512 <= self.page_size <= 1 << 20 or self.page_size & (self.page_size - 1):
            raise UsageError("no such page size", expected="a power of two from 512 to 1048576", got=str(page_size))
        self.e_flags = e_flags
        self.note_align = note_align
        self.notes: list[ImageNote] = []
        self.segments = Segments()
        self.facts = KdumpFacts()
        self.as_opened: AsOpened | None = None

    def __repr__(self) -> str:
        dumps = sum(note.is_device_dump for note in self.notes)
        return f"<VmcoreImage {self.machine}: {dumps} device dumps, {len(self.notes)} notes, {len(self.segments)} segments>"

    # -- building -----------------------------------------------------------------------------------------------------

    def add_segment(
        self,
        data: Any = None,
        *,
        paddr: int,
        vaddr: int | None = None,
        size: int | None = None,
        memsz: int | None = None,
        flags: int = 7,
        align: int = 0,
        type: int = PT_LOAD,
    ) -> None:
        """Add a piece of memory (a PT_LOAD program header).

        Parameters
        ----------
        data: bytes; a :class:`~vmcoredd_lab.source.Buffer` or byte source; a path or binary file object, or a tuple of one
            and an offset; a function of (offset, size) that returns bytes, asked when they are read; None for zeros, which
            take no room
        paddr, vaddr: physical and virtual address of the first byte; without ``vaddr`` all ones, as kexec-tools writes it
            where it does not know
        size: bytes of ``data``; needed for functions and zeros
        memsz: bytes of memory covered; what goes beyond ``size`` was left out of the dump, as makedumpfile -d does
        flags, align: p_flags (PF_X 1, PF_W 2, PF_R 4) and p_align

        Raises
        ------
        UsageError: there is less data than ``size``, or numbers that no program header holds.
        OpenError: the file cannot be opened.
        """
        content = content_of(data, memsz if size is None and (data is None or callable(data)) else size)
        held = len(content)
        self.segments.append(
            Segment(
                paddr,
                NOWHERE if vaddr is None else vaddr,
                held if memsz is None else memsz,
                content,
                flags,
                align,
                type,
            )
        )

    def add_note(self, owner: str | bytes, type: int, desc: Any = b"", *, size: int | None = None) -> None:
        """Add a note behind those that are there.

        Parameters
        ----------
        owner: text, to which the NUL that n_namesz counts is added; or bytes, taken as they are
        type: n_type
        desc: the descriptor, whatever :meth:`add_segment` takes as data

        Raises
        ------
        UsageError: type or descriptor do not fit 32 bits, or there is less than ``size``.
        """
        name = owner.encode() + b"\0" if isinstance(owner, str) else bytes(owner)
        content = content_of(desc, size)
        if not 0 <= type < 1 << 32 or len(content) > LONGEST_DESC:
            raise UsageError("a note's type and size have 32 bits", got=f"type {type}, {len(content):,} bytes")
        self.notes.append(ImageNote(name, type, content))

    def add_device_dump(self, name: str | bytes, size: int, collect: Collect) -> None:
        """Add a device dump as ``vmcore_add_device_dump()`` does (fs/proc/vmcore.c; struct vmcoredd_data, crash_dump.h).

        Header and dump are filled up to whole pages of the machine, and n_descsz counts that padding. Dumps keep their order
        and stand before all other notes.

        Parameters
        ----------
        name: dump_name, by convention ``driver_device``; of more than 43 bytes the rest is cut off
        size: bytes that the driver asks for
        collect: called with a zeroed, writable buffer of at least ``size`` bytes; returns None or 0, or the driver's error.
            The buffer is gone afterwards

        Raises
        ------
        UsageError: an empty name, no function, a size of 0 or one that a note cannot have; or ``collect`` returned an error.
            Then, and when ``collect`` raises, nothing is added.
        """
        text = (name.encode() if isinstance(name, str) else bytes(name)).split(b"\0")[0]
        if not text or not callable(collect) or size < 1:
            raise UsageError(
                "a device dump needs a name, a function that collects it, and a size of at least 1",
                got=f"name {escape(text)!r}, {'a' if callable(collect) else 'no'} function, size {size}",
            )  # fmt: skip
        header = VMCOREDD_HEADER.size()
        whole = -(-(header + size) // self.page_size) * self.page_size
        room = whole - header
        if room + DUMP_NAME_SIZE > LONGEST_DESC:
            raise UsageError(
                "a device dump that is too large for a note", expected=f"at most {LONGEST_DESC:,} bytes with its padding",
                got=f"{size:,} bytes",
            )  # fmt: skip
        desc = bytearray(DUMP_NAME_SIZE + room)
        desc[: min(len(text), DUMP_NAME_SIZE - 1)] = text[: DUMP_NAME_SIZE - 1]
        with memoryview(desc) as view, view[DUMP_NAME_SIZE:] as buffer:
            status = collect(buffer)
        if status:
            raise UsageError(
                f"collecting the device dump {escape(text)} failed; it is not added", got=f"error {status}"
            )
        before = next((i for i, note in enumerate(self.notes) if not note.is_device_dump), len(self.notes))
        self.notes.insert(before, ImageNote(b"LINUX\0\0\0", NT_VMCOREDD, Buffer(MemorySource(desc), 0, len(desc))))

    # -- the file that it is ------------------------------------------------------------------------------------------

    def source(self) -> ByteSource:
        """Return the bytes of the ELF vmcore that the image is: laid out as /proc/vmcore, or unchanged as it was opened."""
        if self.as_opened is not None and self.as_opened.is_unchanged(self):
            return self.as_opened.source
        return lay_out(self)

    def open(self) -> io.RawIOBase:
        """Return a read-only, seekable binary file: the ELF vmcore, of which every byte is made when it is read.

        Nothing is written to disk and nothing kept in memory, so an image of 1 TiB costs as little as one of 1 MiB.
        Changes of the image after opening do not show.

        Raises
        ------
        UsageError: the image does not fit the ELF class, or its machine is not known.
        """
        return OpenImage(self.source())


class AsOpened:
    """The ELF file that an image was read from, which stands for the image as long as nothing was changed."""

    def __init__(self, source: ByteSource, image: VmcoreImage) -> None:
        self.source = source
        self._known = self._state(image)

    @staticmethod
    def _state(image: VmcoreImage) -> tuple[Any, ...]:
        table = image.segments.table
        header = (image.machine, image.bits, image.byteorder, image.page_size, image.e_flags, image.note_align)
        return header, tuple(image.notes), table, len(image.segments)

    def is_unchanged(self, image: VmcoreImage) -> bool:
        """Return whether the image is still what was read."""
        header, notes, table, count = self._state(image)
        known_header, known_notes, known_table, known_count = self._known
        same_table = table is known_table or (count == known_count and bool((table == known_table).all()))
        return (header, notes) == (known_header, known_notes) and same_table
