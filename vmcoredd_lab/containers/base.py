"""What every container offers, and how the right one is found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from vmcoredd_lab.containers.signatures import describe
from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.model import Note
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import ByteSource
from vmcoredd_lab.structs import ByteOrder
from vmcoredd_lab.tables import Column, Schema, Table

__all__ = ["SEGMENTS", "Container", "container_class", "open_container"]

SEGMENTS = Schema(
    "segments",
    "Program headers of an ELF vmcore (Elf64_Phdr, include/uapi/linux/elf.h), in file order; or the physical ranges of a "
    "kdump-compressed file: present, excluded (makedumpfile -d left the pages out) or absent (no memory there).",
    (
        Column("type", "category", "PT_ name, or present, excluded, absent"),
        Column(
            "offset",
            "u64",
            "where the bytes are in the file; in a kdump file the first page's descriptor",
            "hex",
        ),
        Column("vaddr", "u64", "kernel virtual address of the first byte; missing in kdump files", "hex"),
        Column("paddr", "u64", "physical address of the first byte", "hex"),
        Column("filesz", "u64", "bytes of memory that the file holds", "size"),
        Column("memsz", "u64", "bytes of memory that the range covers", "size"),
        Column("flags", "u64", "PF_X 1, PF_W 2, PF_R 4; missing in kdump files", rank=1),
        Column("align", "u64", "alignment; missing in kdump files", "hex", rank=2),
    ),
)


class Container(ABC):
    """A vmcore in some format: its headers are read when it is opened, nothing else."""

    format: str
    machine: str
    byteorder: ByteOrder
    bits: int
    source: ByteSource
    problems: Problems
    notes: list[Note]

    @abstractmethod
    def segments(self) -> Table:
        """Return the table of segments (:data:`SEGMENTS`)."""

    @abstractmethod
    def segment_count(self) -> int:
        """Return how many segments there are, without building the table."""

    @abstractmethod
    def read_memory(self, address: int, size: int, space: str) -> bytes:
        """Return bytes of memory at a ``physical`` or ``virtual`` address."""

    def check(self) -> None:
        """Look for damage that opening does not see, and add it to ``problems``."""
        return

    def vmcoreinfo_window(self) -> tuple[int, int] | None:
        """Return offset and size of the VMCOREINFO text where the container says so itself, beside the notes."""
        return None

    def cpu_count(self) -> int:
        """Return the number of CPUs that left their registers."""
        return sum(note.is_prstatus for note in self.notes)

    def identity(self) -> dict[str, str]:
        """Return what the container itself says of the crashed machine (utsname in kdump files)."""
        return {}


def container_class(source: ByteSource) -> Callable[[ByteSource], Container] | None:
    """Return the container that the first bytes of ``source`` announce, or None where they announce no vmcore."""
    from vmcoredd_lab.containers.elf import ElfContainer
    from vmcoredd_lab.containers.kdump import KdumpContainer

    head = source.read(0, 8)
    if head[:4] == ElfContainer.SIGNATURE:
        return ElfContainer
    if head in KdumpContainer.SIGNATURES:
        return KdumpContainer
    return None


def open_container(source: ByteSource) -> Container:
    """Return the container that the first bytes of ``source`` announce.

    Raises
    ------
    OpenError: the content is something else; the message says what it looks like and what would be needed.
    """
    kind = container_class(source)
    if kind is not None:
        return kind(source)
    looks, hint = describe(source)
    raise OpenError(
        "not a vmcore",
        path=source.name,
        expected="an ELF core (7f 45 4c 46) or makedumpfile's KDUMP header",
        got=looks,
        hint=hint,
    )
