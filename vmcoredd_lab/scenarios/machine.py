"""The crashed machine: an x86_64 kernel's memory with its log, its VMCOREINFO, and what each CPU was doing.

The kernel is as small as the readers allow: page tables, name, and the ring of the log are in memory, at addresses that its
VMCOREINFO tells; everything else is zero. Sources: kernel/crash_core.c, arch/x86/kernel/crash.c, arch/x86/mm/init_64.c.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.writer import DUMP_SIZE, CudbgImage
from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.kernel import printk_structs as prb
from vmcoredd_lab.notes.prstatus import Prstatus, encode
from vmcoredd_lab.scenarios.printk_ring import KernelMessage, PrintkRing
from vmcoredd_lab.scenarios.tables import rows
from vmcoredd_lab.structs import Struct
from vmcoredd_lab.writer import VmcoreImage

__all__ = ["RELEASE", "VERSION", "Machine", "Task"]

RELEASE, VERSION = "6.1.0-28-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22)"
PAGE, MIB, GIB = 4096, 1 << 20, 1 << 30
TEXT_BASE = 0xFFFFFFFF80000000  # __START_KERNEL_map
KERNEL_AT = 16 * MIB  # physical, CONFIG_PHYSICAL_START
KERNEL_SIZE = 2 * MIB
DATA_AT = MIB  # of the kernel's data in its image
LOW_END, HIGH_START = 0x9F000, MIB
SMALLEST, LARGEST = 24 * MIB, 4 << 40
PRESENT, WRITE, LARGE = 0x1, 0x2, 0x80
TOP_AT, ARRAY_AT, ROOTS_AT = 0x1000, 0x20000, 0x30000  # of page tables, mem_section[] and what it points to
SECTION, ROOTS, SECTIONS_PER_ROOT = 128 * MIB, 2048, 256  # include/linux/mmzone.h with SECTION_SIZE_BITS 27
STRUCT_PAGE = 64
SECTION_ONLINE = 0b111  # SECTION_MARKED_PRESENT, SECTION_HAS_MEM_MAP, SECTION_IS_ONLINE
UTS_FIELD = 65
KDUMP_EXTRA = (  # structures whose offsets VMCOREINFO gives, with the members it gives
    (prb.PRINTK_RINGBUFFER, "printk_ringbuffer", ("desc_ring", "text_data_ring", "fail")),
    (prb.PRB_DESC_RING, "prb_desc_ring", ("count_bits", "descs", "infos", "head_id", "tail_id")),
    (prb.PRB_DESC, "prb_desc", ("state_var", "text_blk_lpos")),
    (prb.PRB_DATA_BLK_LPOS, "prb_data_blk_lpos", ("begin", "next")),
    (prb.PRINTK_INFO, "printk_info", ("seq", "ts_nsec", "text_len", "caller_id", "dev_info")),
    (prb.DEV_PRINTK_INFO, "dev_printk_info", ("subsystem", "device")),
    (prb.PRB_DATA_RING, "prb_data_ring", ("size_bits", "data", "head_lpos", "tail_lpos")),
)


@dataclass(frozen=True)
class Task:
    """What a CPU was running: thread id and the function it was in, as an offset from the kernel's text."""

    pid: int
    ip: int


class Machine:
    """Builds the image of one crash.

    size: bytes of RAM; whatever nothing was written to is a hole and takes no room in a file
    """

    def __init__(self, rng: random.Random, *, size: int = 64 * MIB, cpus: int = 2) -> None:
        if not SMALLEST <= size <= LARGEST:
            raise UsageError(
                "no machine of that size", expected=f"{SMALLEST >> 20} MiB to 4 TiB", got=f"{size:,} bytes"
            )
        self.size = size // PAGE * PAGE
        self.cpus = cpus
        self.page_offset = 0xFFFF888000000000 + rng.randrange(0x40) * GIB  # as CONFIG_RANDOMIZE_MEMORY moves it
        self.offset = 2 * MIB * rng.randrange(8, 200)  # of the kernel's virtual addresses (KASLR)
        self.phys_base = KERNEL_AT - self._text_offset
        self._image = bytearray(KERNEL_SIZE)

    @property
    def _text_offset(self) -> int:
        return KERNEL_AT + self.offset

    def text(self, offset: int) -> int:
        """Return the virtual address of an offset in the kernel's image."""
        return TEXT_BASE + self._text_offset + offset

    # -- memory -------------------------------------------------------------------------------------------------------

    def _put(self, offset: int, data: bytes) -> int:
        if offset + len(data) > KERNEL_SIZE:
            raise UsageError("the kernel log is too long for the machine", got=f"{len(data):,} bytes")
        self._image[offset : offset + len(data)] = data
        return self.text(offset)

    def _page_tables(self) -> int:
        """Map RAM and the kernel's image with large pages; return the offset of the top table."""
        top_at = TOP_AT
        top = np.zeros(512, "<u8")

        def physical(offset: int) -> int:
            return KERNEL_AT + offset

        first_slot, skipped = self.page_offset >> 39 & 511, self.page_offset >> 30 & 511  # skipped: in the first table
        for n in range(-(-(skipped * GIB + self.size) // (512 * GIB))):
            pud_at = top_at + PAGE * (3 + n)
            self._put(pud_at, _large_pages(n * 512 - skipped, self.size).tobytes())
            top[first_slot + n] = physical(pud_at) | PRESENT | WRITE
        text_pud, text_pmd = np.zeros(512, "<u8"), np.zeros(512, "<u8")
        text_pud[510] = physical(top_at + 2 * PAGE) | PRESENT | WRITE
        text_pmd[self._text_offset >> 21] = KERNEL_AT | PRESENT | WRITE | LARGE
        top[511] = physical(top_at + PAGE) | PRESENT | WRITE
        self._put(top_at + PAGE, text_pud.tobytes())
        self._put(top_at + 2 * PAGE, text_pmd.tobytes())
        self._put(top_at, top.tobytes())
        return top_at

    def _mem_sections(self) -> int:
        """Write struct mem_section of each 128 MiB of RAM; return the address of the array of pointers to them.

        The memory map, struct page of each page, follows the kernel in RAM. It is all zero: no page is free, cached or
        anybody's, so that makedumpfile leaves none out.
        """
        sections = -(-self.size // SECTION)
        map_at = self.page_offset + KERNEL_AT + KERNEL_SIZE
        encoded = np.zeros((-(-sections // SECTIONS_PER_ROOT) * SECTIONS_PER_ROOT, 2), "<u8")
        encoded[:sections, 0] = (
            map_at | SECTION_ONLINE
        )  # the map of section n less what it would take to begin at page 0
        self._put(ROOTS_AT, encoded.tobytes())
        roots = np.zeros(ROOTS, "<u8")
        used = len(encoded) // SECTIONS_PER_ROOT
        roots[:used] = self.page_offset + KERNEL_AT + ROOTS_AT + PAGE * np.arange(used, dtype=np.uint64)
        self._put(ARRAY_AT, roots.tobytes())
        return self.page_offset + KERNEL_AT + ARRAY_AT

    # -- the image ----------------------------------------------------------------------------------------------------

    def crash(
        self,
        messages: Sequence[KernelMessage],
        tasks: Sequence[Task],
        dumps: Sequence[tuple[bytes, CudbgImage]],
        crash_time: int,
    ) -> VmcoreImage:
        """Return the vmcore: device dumps in the order given, PRSTATUS of each CPU, VMCOREINFO, memory.

        ``crash_time``: seconds since 1970.
        """
        ring = PrintkRing(messages)
        ring_at = DATA_AT + PAGE
        self._put(ring_at, ring.place(self.text(ring_at)))
        pointer = self._put(DATA_AT, struct.pack("<Q", ring.prb))
        names = ("Linux", "storage07", RELEASE, VERSION, "x86_64", "(none)")
        uts = self._put(DATA_AT + 0x100, b"".join(name.encode().ljust(UTS_FIELD, b"\0") for name in names))
        self._put(DATA_AT + 0x500, struct.pack("<Q", 1))  # node_online_map: node 0
        top = self.text(self._page_tables())
        sections = self._mem_sections()
        image = VmcoreImage("x86_64", page_size=PAGE)
        for name, dump in dumps:
            image.add_device_dump(name, DUMP_SIZE, dump.collect)
        for task in tasks:
            image.add_note("CORE", 1, encode(self._prstatus(task), "x86_64", "little"))
        info = self._vmcoreinfo({"prb": pointer, "init_uts_ns": uts, "swapper_pg_dir": top, "init_top_pgt": top,
                                 "_stext": self.text(0), "clear_seq": self.text(DATA_AT + 0x400),
                                 "printk_rb_static": ring.prb,
                                 "node_online_map": self.text(DATA_AT + 0x500), "mem_section": sections}, crash_time)  # fmt: skip
        image.add_note("VMCOREINFO", 0, info.encode())
        self._add_memory(image)
        return image

    def _add_memory(self, image: VmcoreImage) -> None:
        """Add the kernel's image under its own addresses, then RAM under those of the direct map."""
        kernel = bytes(self._image)
        image.add_segment(kernel, paddr=KERNEL_AT, vaddr=self.text(0))
        pieces = (
            (PAGE, LOW_END, None),
            (HIGH_START, KERNEL_AT, None),
            (KERNEL_AT, KERNEL_AT + KERNEL_SIZE, kernel),
            (KERNEL_AT + KERNEL_SIZE, self.size, None),
        )
        for start, end, data in pieces:
            image.add_segment(data, paddr=start, vaddr=self.page_offset + start, size=end - start)

    def _prstatus(self, task: Task) -> Prstatus:
        stack = self.page_offset + KERNEL_AT + KERNEL_SIZE + 0x4000 * (task.pid % 64)
        registers = {"rip": self.text(task.ip), "rsp": stack + 0x3E00, "cs": 0x10, "ss": 0x18, "rflags": 0x46}
        return Prstatus(pid=task.pid, registers=registers)

    def _vmcoreinfo(self, symbols: dict[str, int], crash_time: int) -> str:
        lines = [f"OSRELEASE={RELEASE}", "BUILD-ID=6a1d3bd8f8a6d6ad8bbd2d5f1c5d6f60a9c41c2e", f"PAGESIZE={PAGE}"]
        lines += [f"SYMBOL({name})={value:x}" for name, value in symbols.items()]
        lines.append("OFFSET(uts_namespace.name)=0")
        lines += [f"{row['kind']}({row['name']})={row['value']}" for row in rows("vmcoreinfo.csv")]
        for declared, name, members in KDUMP_EXTRA:
            lines += _offsets(declared, name, members)
        lines += ["LENGTH(printk_info_subsystem)=16", "LENGTH(printk_info_device)=48", "SIZE(atomic_long_t)=8",
                  "OFFSET(atomic_long_t.counter)=0", "SIZE(latched_seq)=24", "OFFSET(latched_seq.val)=8",
                  f"NUMBER(phys_base)={self.phys_base}", f"KERNELOFFSET={self.offset:x}", f"CRASHTIME={crash_time}"]  # fmt: skip
        return "\n".join(lines) + "\n"


def _large_pages(first: int, size: int) -> np.ndarray[Any, Any]:
    """Return a table of 512 pages of 1 GiB from the given one on; those outside of RAM are not there."""
    number = first + np.arange(512, dtype=np.int64)
    inside = (number >= 0) & (number * GIB < size)
    return np.where(inside, number * GIB | PRESENT | WRITE | LARGE, 0).astype("<u8")


def _offsets(declared: Struct, name: str, members: tuple[str, ...]) -> list[str]:
    dtype = declared.dtype(bits=64)
    fields: Any = dtype.fields
    return [f"SIZE({name})={dtype.itemsize}", *(f"OFFSET({name}.{member})={fields[member][1]}" for member in members)]
