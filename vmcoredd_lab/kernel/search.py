"""VMCOREINFO in memory: the kernel keeps its own ELF note of it at the start of a page (vmcoreinfo_note, kernel/crash_core.c)."""

from __future__ import annotations

from collections.abc import Iterable

from vmcoredd_lab.notes.header import NHDR
from vmcoredd_lab.structs import BYTE_ORDERS, ByteOrder

__all__ = ["vmcoreinfo_in_memory"]

OWNER = b"VMCOREINFO\0"
LARGEST = 1 << 16  # the kernel reserves a page
ALIGN = 4096


def vmcoreinfo_in_memory(chunks: Iterable[tuple[int, bytes]]) -> tuple[bytes, ByteOrder] | None:
    """Return the text of the first note that says where a log is, and the kernel's byte order; None where there is none.

    ``chunks`` are (physical address, bytes) of memory, whole pages each. The byte order may be another one than the file's:
    QEMU writes what the interrupted processor was in.
    """
    for address, data in chunks:
        at = data.find(OWNER)
        while at >= 0:
            start = at - NHDR.size()
            if start >= 0 and (address + start) % ALIGN == 0:
                for order in BYTE_ORDERS:
                    header = NHDR.read(data, start, byteorder=order)
                    length = int(header["n_descsz"])
                    text = (
                        data[at + 12 : at + 12 + length]
                        if header["n_namesz"] == len(OWNER) and length <= LARGEST
                        else b""
                    )
                    if b"SYMBOL(prb)=" in text or b"SYMBOL(log_buf)=" in text:
                        return text, order
            at = data.find(OWNER, at + 1)
    return None
