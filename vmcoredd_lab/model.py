"""Segments and notes as small frozen records that hold offsets and lazy buffers, not payloads."""

from __future__ import annotations

from dataclasses import dataclass, field

from vmcoredd_lab.source.base import Buffer

__all__ = ["NT_PRSTATUS", "NT_VMCOREDD", "ImageNote", "KdumpFacts", "Note", "Segment"]

NT_PRSTATUS = 1  # owner CORE; include/uapi/linux/elf.h
NT_VMCOREDD = 0x700  # owner LINUX; include/uapi/linux/elf.h


@dataclass(frozen=True, slots=True)
class Note:
    """One ELF note (``Elf64_Nhdr`` and what follows).

    ``owner`` is escaped text without trailing NULs, ``type`` the number; ``desc_offset`` and ``desc_size`` say where
    the descriptor lies in the file as opened, ``available`` how much of it the file and its segment really hold.
    """

    owner: str
    type: int
    header_offset: int
    desc_offset: int
    desc_size: int
    available: int
    cpu: int | None = None

    @property
    def is_device_dump(self) -> bool:
        """True for NT_VMCOREDD; the owner alone does not make one (s390x register sets are owned by LINUX too)."""
        return self.owner == "LINUX" and self.type == NT_VMCOREDD

    @property
    def is_prstatus(self) -> bool:
        """True for the register set that the kernel saves for each CPU."""
        return self.owner == "CORE" and self.type == NT_PRSTATUS


@dataclass(frozen=True, slots=True)
class ImageNote:
    """A note to be written: ``owner`` with the NULs that n_namesz counts, the type, and the descriptor."""

    owner: bytes
    type: int
    desc: Buffer

    @property
    def is_device_dump(self) -> bool:
        """True for NT_VMCOREDD."""
        return self.owner.rstrip(b"\0") == b"LINUX" and self.type == NT_VMCOREDD

    @property
    def is_prstatus(self) -> bool:
        """True for the register set that the kernel saves for each CPU."""
        return self.owner.rstrip(b"\0") == b"CORE" and self.type == NT_PRSTATUS


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of memory to be written (``Elf64_Phdr``): ``content`` is what the file holds of it, the rest was left out."""

    paddr: int
    vaddr: int
    memsz: int
    content: Buffer
    flags: int = 7  # PF_R, PF_W and PF_X, which the kernel and kexec-tools set for all memory
    align: int = 0  # as kexec-tools and most kernels write it
    type: int = 1  # PT_LOAD


@dataclass(slots=True)
class KdumpFacts:
    """What makedumpfile's header says beside notes and memory (diskdump_mod.h of makedumpfile).

    utsname: ``sysname``, ``nodename``, ``release``, ``version``, ``machine``, ``domainname`` as bytes without NULs
    tv_sec, tv_usec: time of the crash
    status: bits that are not a compression: 0x8 incomplete, 0x10 excluded vmemmap
    max_mapnr: page frames; 0: as many as memory needs
    """

    utsname: dict[str, bytes] = field(default_factory=dict)
    tv_sec: int = 0
    tv_usec: int = 0
    status: int = 0
    dump_level: int = 0
    phys_base: int = 0
    nr_cpus: int = 0
    current_cpu: int = 0
    total_ram_blocks: int = 0
    device_blocks: int = 0
    written_blocks: int = 0
    max_mapnr: int = 0
    eraseinfo: Buffer | None = None
