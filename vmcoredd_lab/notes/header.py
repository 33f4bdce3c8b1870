"""The header of an ELF note, declared once for reading and writing."""

from __future__ import annotations

from vmcoredd_lab.structs import Member, Struct

__all__ = ["NHDR"]

NHDR = Struct(
    "Elf64_Nhdr",
    "include/uapi/linux/elf.h",
    (
        Member("n_namesz", "u4", "bytes of the owner's name; its NULs counted by some writers and not by others"),
        Member("n_descsz", "u4", "bytes of the descriptor"),
        Member("n_type", "u4"),
    ),
    "The same in ELF32 and ELF64.",
)
