"""s390x: VMCOREINFO where the dump has no note of it. The lowcore, at physical address 0, says where the kernel keeps it.

struct lowcore, arch/s390/include/asm/lowcore.h: vmcore_info, the physical address of the kernel's own ELF note.
"""

from __future__ import annotations

from collections.abc import Callable

from vmcoredd_lab.notes.header import NHDR

__all__ = ["vmcoreinfo_of_lowcore"]

VMCORE_INFO = 0xE0C  # in struct lowcore, which is packed
OWNER = b"VMCOREINFO\0"
LARGEST = 1 << 20


def vmcoreinfo_of_lowcore(read: Callable[[int, int], bytes | None]) -> bytes:
    """Return the text of VMCOREINFO, empty where the lowcore leads to none; ``read`` gives physical memory or None."""
    pointer = read(VMCORE_INFO, 8)
    at = int.from_bytes(pointer or b"", "big")
    size = NHDR.size("big")
    head = read(at, size + 12) if 0 < at < 1 << 60 else None
    if head is None or head[size : size + len(OWNER)] != OWNER:
        return b""
    length = int(NHDR.read(head, byteorder="big")["n_descsz"])
    return read(at + size + 12, length) or b"" if length <= LARGEST else b""
