"""The image of an opened vmcore: its notes, memory and headers as they are, ready to be changed or written in any format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from vmcoredd_lab.containers.elf import ElfContainer
from vmcoredd_lab.containers.elf_structs import PT_LOAD, PT_NOTE, machine_number
from vmcoredd_lab.containers.kdump import KdumpContainer
from vmcoredd_lab.containers.kdump_bitmaps import ABSENT, EXCLUDED, PRESENT
from vmcoredd_lab.containers.kdump_split import SplitContainer
from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.kernel.linear import LinearMap
from vmcoredd_lab.kernel.utsname import NEW_UTSNAME, read_utsname
from vmcoredd_lab.model import ImageNote, KdumpFacts
from vmcoredd_lab.notes.header import NHDR
from vmcoredd_lab.source.base import Buffer, ByteSource
from vmcoredd_lab.writer.elf_layout import places
from vmcoredd_lab.writer.image import AsOpened, VmcoreImage
from vmcoredd_lab.writer.segments import NOWHERE, SEGMENT

if TYPE_CHECKING:
    from vmcoredd_lab.containers import Container
    from vmcoredd_lab.vmcore import Vmcore

__all__ = ["image_of"]

Array = np.ndarray[Any, Any]
_NUMBERS = (
    "tv_sec",
    "tv_usec",
    "nr_cpus",
    "current_cpu",
    "total_ram_blocks",
    "device_blocks",
    "written_blocks",
)
_KDUMP_STATUS = 0x8 | 0x10  # incomplete, excluded vmemmap; the other bits are compressions


def image_of(core: Vmcore, machine: str | None = None) -> VmcoreImage:
    """Return the image of an opened vmcore. It reads from the file as long as it is used.

    ``machine`` is that of the image where the file names none that is known, as kdump files of QEMU.

    Raises
    ------
    UsageError: a container that has no memory to write.
    """
    container = core.container
    if isinstance(container, ElfContainer):
        return _of_elf(core, container, machine)
    if isinstance(container, (KdumpContainer, SplitContainer)):
        return _of_kdump(core, container, machine)
    raise UsageError(f"a vmcore in the format {container.format} has no image")


def _empty(container: Container, machine: str | None, page_size: int | None, **header: int) -> VmcoreImage:
    name = machine or container.machine
    known = machine_number(name) is not None or machine is not None  # what the caller names must be known
    image = VmcoreImage(
        name if known else "em_0", bits=container.bits, byteorder=container.byteorder, page_size=page_size, **header
    )
    if not known:
        image.machine, image.machine_number = name, None
    image.notes = list(_notes(container))
    return image


def _notes(container: Container) -> Iterator[ImageNote]:
    """Yield the notes with their owners as they are in the file."""
    source = container.source
    for note in container.notes:
        raw = source.read(note.header_offset, NHDR.size())
        size = int(NHDR.read(raw, byteorder=container.byteorder)["n_namesz"])
        owner = source.read(note.header_offset + NHDR.size(), size)
        yield ImageNote(owner, note.type, Buffer(source, note.desc_offset, note.desc_size, note.available))


# -- ELF --------------------------------------------------------------------------------------------------------------


def _of_elf(core: Vmcore, container: ElfContainer, machine: str | None) -> VmcoreImage:
    headers = container.program_headers
    of_notes = headers[headers["p_type"] == PT_NOTE]
    image = _empty(
        container,
        machine,
        core.vmcoreinfo.page_size,
        e_flags=int(container.header["e_flags"]),
        note_align=int(of_notes["p_align"][0]) if len(of_notes) else 0,
    )
    others = headers[headers["p_type"] != PT_NOTE]
    table = np.zeros(len(others), SEGMENT)
    for name in ("type", "flags", "vaddr", "paddr", "filesz", "memsz", "align"):
        table[name] = others[f"p_{name}"]
    offset, end = others["p_offset"].astype(np.uint64), np.uint64(container.source.size)
    if container.bits == 32:
        table["vaddr"][table["vaddr"] == np.uint64((1 << 32) - 1)] = NOWHERE
    table["place"] = offset
    table["filesz"] = np.minimum(table["filesz"], np.where(offset < end, end - offset, np.uint64(0)))  # of a cut file
    table["memsz"] = np.maximum(table["memsz"], table["filesz"])
    table["pages"] = _has_whole_pages(table, container.source, image.page_size)
    image.segments.extend(table, container.source)
    image.facts.utsname = read_utsname(core.memory, core.vmcoreinfo)
    image.as_opened = AsOpened(container.source, image)
    return image


def _has_whole_pages(table: Array, source: ByteSource, page: int) -> bool:
    """Return whether the file also holds the rest of each segment's first and last page, as /proc/vmcore does."""
    held = table[table["filesz"] > 0]
    if not len(held):
        return False
    first = int(held["place"][0]) - int(held["paddr"][0]) % page
    if first < 0:
        return False
    offsets, _, ends = places(table, first, page)
    return bool((offsets == table["place"])[table["filesz"] > 0].all()) and int(ends[-1]) <= source.size


# -- kdump-compressed -------------------------------------------------------------------------------------------------


def _of_kdump(core: Vmcore, container: KdumpContainer | SplitContainer, machine: str | None) -> VmcoreImage:
    first = container.first if isinstance(container, SplitContainer) else container
    image = _empty(container, machine, first.block_size)
    image.machine_bits = container.bits
    kind, start, count = container.ranges if isinstance(container, SplitContainer) else first.ranges(*first.part)
    if len(kind):
        image.segments.extend(_segments(core, kind, start, count, first.block_size), _PhysicalSource(container))
    header, sub = first.header, first.sub_header
    erased = Buffer(first.source, sub["offset_eraseinfo"], sub["size_eraseinfo"]) if sub["size_eraseinfo"] else None
    numbers = {name: int(header[name]) for name in _NUMBERS}
    image.facts = KdumpFacts(
        utsname={one.name: bytes(header[one.name]).split(b"\0")[0] for one in NEW_UTSNAME.members},
        status=int(header["status"]) & _KDUMP_STATUS,
        dump_level=sub["dump_level"],
        phys_base=sub["phys_base"],
        max_mapnr=first.frames,
        eraseinfo=erased,
        **numbers,
    )
    return image


def _segments(core: Vmcore, kind: Array, start: Array, count: Array, block: int) -> Array:
    """Return a segment for each run of pages in the file, with the excluded pages behind it, as makedumpfile -E has it."""
    keep = kind != ABSENT
    behind = np.zeros(len(kind), bool)
    behind[1:] = (kind[1:] == EXCLUDED) & (kind[:-1] == PRESENT) & (start[1:] == (start + count)[:-1])
    rows = np.flatnonzero(keep & ~behind)
    tail = np.zeros(len(kind), np.int64)
    tail[np.flatnonzero(behind) - 1] = count[behind]
    table = np.zeros(len(rows), SEGMENT)
    page = np.uint64(block)
    table["type"], table["flags"] = PT_LOAD, 7
    table["paddr"] = start[rows].astype(np.uint64) * page
    table["filesz"] = np.where(kind[rows] == PRESENT, count[rows], 0).astype(np.uint64) * page
    table["memsz"] = (count[rows] + tail[rows]).astype(np.uint64) * page
    table["vaddr"] = _virtual(core.memory.linear_maps(), table["paddr"], table["memsz"])
    table["place"] = table["paddr"]
    return table


def _virtual(maps: list[LinearMap], paddr: Array, memsz: Array) -> Array:
    """Return the virtual address of each segment that lies whole in a map that VMCOREINFO gives; elsewhere all ones."""
    found = np.full(len(paddr), NOWHERE, np.uint64)
    for one in maps:
        size = np.uint64(one.end - one.start)
        within = paddr - np.uint64(one.physical % (1 << 64))  # wraps below the start, and is then too large
        inside = (within < size) & (memsz <= size - np.minimum(within, size))
        found = np.where(inside, within + np.uint64(one.start), found)
    return found


class _PhysicalSource(ByteSource):
    """The memory that a container holds as a source: offsets are physical addresses."""

    def __init__(self, container: Container) -> None:
        self.name = container.source.name
        self.size = 1 << 62  # who reads knows what is there
        self.beneath = (container.source,)
        self._memory = container.memory

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes at a physical address; raises MissingMemoryError where one is not in the file."""
        return self._memory.read(offset, size)

    def close(self) -> None:
        """Release the file."""
        self.beneath[0].close()
