"""Segments and notes as small frozen records that hold offsets, not payloads."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NT_PRSTATUS", "NT_VMCOREDD", "Note"]

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
