"""ELF structures (include/uapi/linux/elf.h), declared once for reading and writing, in both widths and byte orders."""

from __future__ import annotations

import re

from vmcoredd_lab.notes.header import NHDR
from vmcoredd_lab.structs import ByteOrder, Member, Struct

__all__ = [
    "EHDR",
    "ET_CORE",
    "NHDR",
    "PHDR",
    "PN_XNUM",
    "PT_LOAD",
    "PT_NOTE",
    "P_TYPES",
    "SHDR",
    "machine_name",
    "machine_number",
]

_SOURCE = "include/uapi/linux/elf.h"

_IDENT = (
    Member("ei_mag", "S4", "7f 45 4c 46"),
    Member("ei_class", "u1", "1 ELF32, 2 ELF64"),
    Member("ei_data", "u1", "1 little endian, 2 big endian"),
    Member("ei_version", "u1"),
    Member("ei_osabi", "u1"),
    Member("ei_abiversion", "u1"),
    Member("ei_pad", "u1", shape=(7,)),
)


def _ehdr(bits: int) -> Struct:
    address = f"u{bits // 8}"
    return Struct(
        f"Elf{bits}_Ehdr",
        _SOURCE,
        (
            *_IDENT,
            Member("e_type", "u2", "4: ET_CORE"),
            Member("e_machine", "u2"),
            Member("e_version", "u4"),
            Member("e_entry", address),
            Member("e_phoff", address, "where the program headers are"),
            Member("e_shoff", address),
            Member("e_flags", "u4"),
            Member("e_ehsize", "u2"),
            Member("e_phentsize", "u2"),
            Member("e_phnum", "u2", "0xffff (PN_XNUM): the count is sh_info of section header 0"),
            Member("e_shentsize", "u2"),
            Member("e_shnum", "u2"),
            Member("e_shstrndx", "u2"),
        ),
    )


EHDR = {bits: _ehdr(bits) for bits in (32, 64)}

PHDR = {
    64: Struct(
        "Elf64_Phdr",
        _SOURCE,
        (
            Member("p_type", "u4"),
            Member("p_flags", "u4"),
            Member("p_offset", "u8"),
            Member("p_vaddr", "u8"),
            Member("p_paddr", "u8"),
            Member("p_filesz", "u8"),
            Member("p_memsz", "u8"),
            Member("p_align", "u8"),
        ),
    ),
    32: Struct(
        "Elf32_Phdr",
        _SOURCE,
        (
            Member("p_type", "u4"),
            Member("p_offset", "u4"),
            Member("p_vaddr", "u4"),
            Member("p_paddr", "u4"),
            Member("p_filesz", "u4"),
            Member("p_memsz", "u4"),
            Member("p_flags", "u4"),
            Member("p_align", "u4"),
        ),
    ),
}


def _shdr(bits: int) -> Struct:
    word = f"u{bits // 8}"
    return Struct(
        f"Elf{bits}_Shdr",
        _SOURCE,
        (
            Member("sh_name", "u4"),
            Member("sh_type", "u4"),
            Member("sh_flags", word),
            Member("sh_addr", word),
            Member("sh_offset", word),
            Member("sh_size", word),
            Member("sh_link", "u4"),
            Member("sh_info", "u4", "the number of program headers where e_phnum is PN_XNUM"),
            Member("sh_addralign", word),
            Member("sh_entsize", word),
        ),
    )


SHDR = {bits: _shdr(bits) for bits in (32, 64)}

ET_CORE = 4
PT_LOAD, PT_NOTE = 1, 4
PN_XNUM = 0xFFFF

P_TYPES = {
    0: "PT_NULL", 1: "PT_LOAD", 2: "PT_DYNAMIC", 3: "PT_INTERP", 4: "PT_NOTE", 5: "PT_SHLIB", 6: "PT_PHDR", 7: "PT_TLS",
    0x6474E550: "PT_GNU_EH_FRAME", 0x6474E551: "PT_GNU_STACK", 0x6474E552: "PT_GNU_RELRO", 0x6474E553: "PT_GNU_PROPERTY",
}  # fmt: skip

# e_machine to what `uname -m` says on such a machine; two machines share a number and differ in width or byte order
_MACHINES = {
    3: "i386", 8: "mips", 20: "ppc", 22: "s390", 40: "arm", 50: "ia64", 62: "x86_64", 183: "aarch64", 258: "loongarch64",
    36902: "alpha", 2: "sparc", 43: "sparc64", 15: "parisc", 42: "sh", 4: "m68k",
}  # fmt: skip


def machine_name(e_machine: int, bits: int, byteorder: ByteOrder) -> str:
    """Return the machine's name as ``uname -m`` has it; unknown numbers as ``em_N``."""
    if e_machine == 21:
        return "ppc64le" if byteorder == "little" else "ppc64"
    if e_machine == 22 and bits == 64:
        return "s390x"
    if e_machine == 8 and bits == 64:
        return "mips64"
    if e_machine == 243:
        return f"riscv{bits}"
    return _MACHINES.get(e_machine, f"em_{e_machine}")


def machine_number(name: str) -> tuple[int, int, ByteOrder] | None:
    """Return e_machine, the width of its long in bits and its byte order of a machine as ``uname -m`` names it; else None.

    Of machines that exist in both byte orders (arm, mips, riscv, sh) the usual one is given.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    unknown = re.fullmatch(r"em_([0-9]{1,5})", name)
    return (int(unknown[1]), 64, "little") if unknown and int(unknown[1]) < 1 << 16 else None


_BIG = {"mips", "mips64", "ppc", "s390", "s390x", "sparc", "sparc64", "parisc", "m68k"}
_LONG_64 = {"ia64", "x86_64", "aarch64", "loongarch64", "alpha", "sparc64"}
_BY_NAME: dict[str, tuple[int, int, ByteOrder]] = {
    name: (number, 64 if name in _LONG_64 else 32, "big" if name in _BIG else "little")
    for number, name in _MACHINES.items()
} | {
    "ppc64": (21, 64, "big"), "ppc64le": (21, 64, "little"), "s390x": (22, 64, "big"), "mips64": (8, 64, "big"),
    "riscv32": (243, 32, "little"), "riscv64": (243, 64, "little"),
}  # fmt: skip
