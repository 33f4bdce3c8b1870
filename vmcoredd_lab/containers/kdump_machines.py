"""Which machine a kdump-compressed file is of: what block 0 calls it, or what its registers look like.

makedumpfile copies the kernel's utsname. QEMU writes a name of its own (``S390X``, ``i686``), or ``Unknown`` where it has
none (arm, aarch64, ppc64; include/sysemu/dump.h): then the size of struct elf_prstatus (include/linux/elfcore.h with each
machine's elf_gregset_t) tells it.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmcoredd_lab.model import Note
from vmcoredd_lab.structs import ByteOrder
from vmcoredd_lab.text import escape

__all__ = ["is_64_bit", "machine_of", "usual_name"]

_64_BIT = {
    "x86_64", "aarch64", "s390x", "ppc64", "ppc64le", "riscv64", "loongarch64", "ia64", "alpha", "sparc64", "mips64",
}  # fmt: skip
_SAME = {"i486": "i386", "i586": "i386", "i686": "i386", "aarch64_be": "aarch64"}

# (bits, byte order, bytes of elf_prstatus) of the machines that QEMU gives no name
_PRSTATUS: dict[tuple[int, ByteOrder, int], str] = {
    (64, "little", 336): "x86_64", (64, "big", 336): "s390x", (64, "little", 392): "aarch64", (64, "big", 392): "aarch64",
    (64, "little", 504): "ppc64le", (64, "big", 504): "ppc64", (64, "little", 376): "riscv64",
    (64, "little", 480): "loongarch64", (32, "little", 144): "i386", (32, "little", 148): "arm", (32, "big", 148): "arm",
    (32, "big", 268): "ppc", (32, "little", 204): "riscv32",
}  # fmt: skip


def usual_name(machine: str) -> str:
    """Return the name that ELF vmcores of this machine get too; empty where block 0 does not know it."""
    name = machine.lower()
    if name in ("unknown", ""):
        return ""
    if name.startswith("armv") and not name.startswith("armv8"):
        return "arm"
    return _SAME.get(name, name if name in _64_BIT else machine)


def is_64_bit(machine: bytes) -> bool:
    """Return True where the name is that of a machine with 64-bit addresses."""
    return usual_name(escape(machine.split(b"\0")[0])) in _64_BIT


def machine_of(notes: Sequence[Note], bits: int, byteorder: ByteOrder) -> str:
    """Return the machine whose registers have the size that the first PRSTATUS has; ``unknown`` where none has it."""
    for note in notes:
        if note.is_prstatus:
            return _PRSTATUS.get((bits, byteorder, note.desc_size), "unknown")
    return "unknown"
