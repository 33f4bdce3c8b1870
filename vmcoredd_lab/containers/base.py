"""What every container offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

from vmcoredd_lab.containers.memory import ContainerMemory
from vmcoredd_lab.model import Note
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import ByteSource
from vmcoredd_lab.structs import ByteOrder
from vmcoredd_lab.tables import Column, Schema, Table

__all__ = ["SEGMENTS", "Container"]

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
    def memory_size(self) -> tuple[int, int]:
        """Return the bytes of memory that the segments cover, and those that the file holds."""

    @cached_property
    def memory(self) -> ContainerMemory:
        """The memory that the file holds; through the segments where the container says nothing else."""
        from vmcoredd_lab.containers.segment_memory import SegmentMemory

        return SegmentMemory(self.source, self.segments(), bits=self.bits, machine=self.machine)

    def phys_base(self) -> int | None:
        """Return x86_64's phys_base where the container records it beside VMCOREINFO."""
        return None

    def check(self) -> None:
        """Look for damage that opening does not see, and add it to ``problems``."""
        return

    def vmcoreinfo_window(self) -> tuple[int, int] | None:
        """Return offset and size of the VMCOREINFO text where the container says so itself, beside the notes."""
        return None

    def eraseinfo_window(self) -> tuple[int, int] | None:
        """Return offset and size of makedumpfile's list of what it erased, where the container has it beside the notes."""
        return None

    def cpu_count(self) -> int:
        """Return the number of CPUs that left their registers."""
        return sum(note.is_prstatus for note in self.notes)

    def current_cpu(self) -> int | None:
        """Return the CPU that the container itself says caused the dump, counted from 0; None where it does not."""
        return None

    def identity(self) -> dict[str, str]:
        """Return what the container itself says of the crashed machine (utsname in kdump files)."""
        return {}
