"""Page tables of each machine, packed here entry by entry, and those of real kernels beside what drgn reads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from builders import BIG, LITTLE, Segment, elf, note, notes
from hypothesis import given
from hypothesis import strategies as st

import vmcoredd_lab as vl
from vmcoredd_lab.containers.memory import MissingMemoryError
from vmcoredd_lab.kernel import page_tables

NOWHERE = (1 << 64) - 1
ROOT, SPARE, PAGE_AT, MEMORY = 0x40_0000, 0x41_0000, 0x5000_0000, 0x40_0000
FAR = b"the page that was asked for"


@dataclass(frozen=True)
class Machine:
    """How one machine's tables are written.

    ``levels``: (shift, bits) from the first table on; ``table`` and ``leaf`` make an entry of an address (and shift).
    ``root_at``: the virtual address of swapper_pg_dir; ``lines``: what VMCOREINFO says beside it.
    """

    number: int
    levels: tuple[tuple[int, int], ...]
    table: Callable[[int, int], int]
    leaf: Callable[[int, int], int]
    root_at: int
    lines: str
    order: str = LITTLE
    bits: int = 64
    size: int = 8
    entry_order: str = ""
    empty: int = 0


def x86(levels: int, lines: str = "", extra: int = 0) -> Machine:
    shifts = (48, 39, 30, 21, 12)[5 - levels :]

    def leaf(address: int, shift: int) -> int:
        return address | 1 << 63 | extra | 0x163 | (0x80 if shift > 12 else 0)

    lines = f"NUMBER(phys_base)=0\nNUMBER(pgtable_l5_enabled)={levels - 4}\n{lines}"
    return Machine(
        62, tuple((s, 9) for s in shifts), lambda a, s: a | 0x67 | extra, leaf, 0xFFFF_FFFF_8000_0000 + ROOT, lines
    )


def arm64(page: int, bits: int, t1sz: int | None = None, form: Callable[[int], int] = lambda a: a) -> Machine:
    step = page - 3
    shifts = list(range(page, bits, step))[::-1]
    levels = tuple((s, bits - s if i == 0 else step) for i, s in enumerate(shifts))
    size = f"NUMBER(TCR_EL1_T1SZ)={t1sz:#x}\n" if t1sz is not None else ""
    recorded = 52 if t1sz is not None else bits
    image = (1 << 64) - (1 << 35)
    lines = (f"PAGESIZE={1 << page}\nNUMBER(VA_BITS)={recorded}\n{size}NUMBER(PHYS_OFFSET)=0x40000000\n"
             f"NUMBER(kimage_voffset)={image:#x}\nSYMBOL(_stext)={image + ROOT:x}\n")  # fmt: skip
    return Machine(183, levels, lambda a, s: form(a) | 3, lambda a, s: form(a) | 0x0060_0000_0000_0400 | (3 if s == page else 1),
                   image + ROOT, lines)  # fmt: skip


def riscv(bits: int) -> Machine:
    shift = 0xFFFF_FFFF_0000_0000
    lines = f"NUMBER(VA_BITS)={bits}\nNUMBER(va_kernel_pa_offset)={shift:#x}\nSYMBOL(_stext)={shift + ROOT:x}\n"
    return Machine(243, tuple((s, 9) for s in range(12, bits, 9))[::-1], lambda a, s: a >> 2 | 1, lambda a, s: a >> 2 | 0xEF,
                   shift + ROOT, lines)  # fmt: skip


def s390x(first: int) -> Machine:
    levels = ((53, 11), (42, 11), (31, 11), (20, 11), (12, 8))[first:]
    kinds = {53: 0xC, 42: 8, 31: 4, 20: 0}

    def table(address: int, shift: int) -> int:
        return address | kinds[shift] | (3 if shift > 20 else 0)

    def leaf(address: int, shift: int) -> int:
        return address | (0x400 | kinds[shift] if shift > 12 else 0x200)

    return Machine(22, levels, table, leaf, ROOT, "", order=BIG, empty=0x20 | kinds[levels[0][0]])


MACHINES = {
    "x86_64, four levels": x86(4),
    "x86_64, five levels": x86(5),
    "x86_64 with encrypted memory": x86(4, f"NUMBER(sme_mask)={1 << 47}\n", 1 << 47),
    "i386": Machine(3, ((22, 10), (12, 10)), lambda a, s: a | 0x67, lambda a, s: a | 0x163 | (0x80 if s > 12 else 0),
                    0xC000_0000 + ROOT, "SYMBOL(_stext)=c1000000\n", bits=32, size=4),
    "i386 with PAE": Machine(3, ((30, 2), (21, 9), (12, 9)), lambda a, s: a | 1, lambda a, s: a | 0x163 | (0x80 if s > 12 else 0),
                             0xC000_0000 + ROOT, "CONFIG_X86_PAE=y\nSYMBOL(_stext)=c1000000\n", bits=32),
    "arm64, 4K, 39 bits": arm64(12, 39),
    "arm64, 4K, 48 bits": arm64(12, 48),
    "arm64, 4K, 52 bits": arm64(12, 52, 12, lambda a: a & (1 << 50) - 1 | (a >> 50) << 8),
    "arm64, 4K, 52-bit kernel on a 48-bit machine": arm64(12, 48, 16),
    "arm64, 16K, 47 bits": arm64(14, 47),
    "arm64, 16K, 48 bits": arm64(14, 48),
    "arm64, 16K, 52-bit kernel on a 47-bit machine": arm64(14, 47, 17),
    "arm64, 64K, 42 bits": arm64(16, 42),
    "arm64, 64K, 48 bits": arm64(16, 48),
    "arm64, 64K, 52 bits": arm64(16, 52, 12, lambda a: a & (1 << 48) - 1 | (a >> 48) << 12),
    "arm64, 64K, 52-bit kernel on a 48-bit machine": arm64(16, 52, 16),
    "riscv64, Sv39": riscv(39), "riscv64, Sv48": riscv(48), "riscv64, Sv57": riscv(57),
    "s390x, three levels": s390x(2), "s390x, four levels": s390x(1), "s390x, five levels": s390x(0),
    "ppc64le, radix, 64K": Machine(21, ((39, 13), (30, 9), (21, 9), (16, 5)), lambda a, s: a | 1 << 63 | 9,
                                   lambda a, s: a | 3 << 62 | 0x18E, 0xC << 60 | ROOT, "PAGESIZE=65536\n", entry_order=BIG),
    "ppc64, radix, 4K": Machine(21, ((39, 13), (30, 9), (21, 9), (12, 9)), lambda a, s: a | 1 << 63 | 9,
                                lambda a, s: a | 3 << 62 | 0x18E, 0xC << 60 | ROOT, "PAGESIZE=4096\n", order=BIG),
}  # fmt: skip


class Tables:
    """A machine's tables in memory from MEMORY on."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.memory = bytearray(16 << 20)
        self.next = SPARE + 0x20_0000
        self._clear(ROOT, machine.levels[0][1])

    def _clear(self, at: int, bits: int, empty: int | None = None) -> None:
        size = self.machine.size
        entry = (self.machine.empty if empty is None else empty).to_bytes(size, BIG)
        self.memory[at - MEMORY : at - MEMORY + (size << bits)] = entry * (1 << bits)

    def _entry(self, at: int, value: int | None = None) -> int:
        order: Any = self.machine.entry_order or self.machine.order
        place = slice(at - MEMORY, at - MEMORY + self.machine.size)
        if value is not None:
            self.memory[place] = value.to_bytes(self.machine.size, order)
        return int.from_bytes(self.memory[place], order)

    def map(self, virtual: int, physical: int, shift: int | None = None) -> None:
        """Map memory at the level of ``shift``, by default a page."""
        machine, table = self.machine, ROOT
        last = machine.levels[-1][0] if shift is None else shift
        for i, (level, bits) in enumerate(machine.levels):
            at = table + (virtual >> level & (1 << bits) - 1) * machine.size
            if level == last:
                self._entry(at, machine.leaf(physical, level))
                return
            if self._entry(at) in (0, machine.empty):
                new, self.next = self.next, self.next + 0x10000
                assert self.next < MEMORY + len(self.memory)
                if machine.empty:
                    self._clear(new, machine.levels[i + 1][1], None if machine.levels[i + 1][0] > 12 else 0x400)
                self._entry(at, machine.table(new, level))
            table = self._next(at)

    def _next(self, at: int) -> int:
        """The table that an entry made here names: found again by trying those that were given out."""
        level = next(
            s for s, _ in self.machine.levels if any(self._entry(at) == self.machine.table(t, s) for t in self._given())
        )
        return next(t for t in self._given() if self._entry(at) == self.machine.table(t, level))

    def _given(self) -> range:
        return range(SPARE + 0x20_0000, self.next, 0x10000)

    def core(self, *pages: tuple[int, bytes]) -> bytes:
        """A vmcore with the tables and the pages, by physical address; without virtual addresses in its program headers."""
        machine = self.machine
        page = 1 << machine.levels[-1][0]
        lines = f"OSRELEASE=6\nPAGESIZE={page}\nSYMBOL(swapper_pg_dir)={machine.root_at:x}\n{machine.lines}"
        info = note(b"VMCOREINFO\0", 0, lines.encode(), order=machine.order)
        held = [
            Segment(bytes(self.memory), vaddr=NOWHERE, paddr=MEMORY),
            *(Segment(d, vaddr=NOWHERE, paddr=a) for a, d in pages),
        ]
        return elf(notes(info), *held, order=machine.order, machine=machine.number)


def far_address(machine: Machine) -> int:
    """An address that only the tables know: behind every linear map."""
    if machine.bits == 32:
        return 0xFF80_0000
    if machine.number == 62:
        return 0xFFFF_C900_0000_0000
    if machine.number == 21:
        return 0xC008_0000_0000_0000
    if machine.number == 22:
        return 0x3FF_8000_0000
    return (1 << 64) - (1 << 34)


def ready(machine: Machine) -> Tables:
    tables = Tables(machine)
    tables.map(machine.root_at, ROOT)
    return tables


@pytest.mark.parametrize("name", MACHINES)
def test_a_page_is_found_through_the_tables(name: str) -> None:
    machine = MACHINES[name]
    tables, address, page = ready(machine), far_address(machine), 1 << machine.levels[-1][0]
    tables.map(address, PAGE_AT + page)
    tables.map(address + page, PAGE_AT)
    memory = vl.open_vmcore(tables.core((PAGE_AT, bytes(page) + FAR.ljust(page, b".")))).memory
    assert memory.read(address, len(FAR), "virtual") == FAR
    assert memory.read(address + page - 2, 4, "virtual") == b"..\0\0"
    assert [size for _, _, size in memory.runs(address + 1, page)] == [page - 1, 1]
    with pytest.raises(MissingMemoryError, match="page tables map nothing there"):
        memory.read(address + 2 * page, 1, "virtual")


@pytest.mark.parametrize("name", MACHINES)
def test_a_large_page_is_one_entry(name: str) -> None:
    machine = MACHINES[name]
    shift = machine.levels[-2][0]
    if name.startswith("arm64, 64K"):
        assert shift == 29
    tables, address = ready(machine), far_address(machine) & -(1 << shift)
    tables.map(address, PAGE_AT & -(1 << shift), shift)
    at = (PAGE_AT & -(1 << shift)) + 0x12345
    memory = vl.open_vmcore(tables.core((at & ~0xFFF, bytes(at & 0xFFF) + FAR))).memory
    assert memory.read(address + 0x12345, len(FAR), "virtual") == FAR


@pytest.mark.parametrize("high", [1 << 48, 3 << 50], ids=["64K", "4K"])
def test_arm64_has_52_bits_of_physical_address(high: int) -> None:
    machine = MACHINES["arm64, 64K, 52 bits" if high == 1 << 48 else "arm64, 4K, 52 bits"]
    tables, address = ready(machine), far_address(machine)
    tables.map(address, PAGE_AT | high)
    assert vl.open_vmcore(tables.core((PAGE_AT | high, FAR))).memory.read(address, len(FAR), "virtual") == FAR


@pytest.mark.parametrize("name", MACHINES)
def test_tables_that_do_not_map_themselves_are_not_used(name: str) -> None:
    machine = MACHINES[name]
    tables = Tables(machine)
    tables.map(machine.root_at, ROOT + (1 << machine.levels[-1][0]))
    tables.map(far_address(machine), PAGE_AT)
    memory = vl.open_vmcore(tables.core((PAGE_AT, FAR))).memory
    assert not memory.address_space.has_tables


def test_a_table_that_is_not_in_the_file_is_named() -> None:
    machine = MACHINES["x86_64, four levels"]
    tables = ready(machine)
    tables._entry(ROOT + (far_address(machine) >> 39 & 511) * 8, 0x7777_7000 | 0x67)
    with pytest.raises(MissingMemoryError, match="page table at 0x77777000 is not in the file"):
        vl.open_vmcore(tables.core()).memory.read(far_address(machine), 1, "virtual")


def test_tables_that_go_in_circles_end() -> None:
    machine = MACHINES["x86_64, five levels"]
    tables, address = ready(machine), far_address(machine)
    tables._entry(ROOT + (address >> 48 & 511) * 8, ROOT | 0x67)
    for index in range(256, 510):
        tables._entry(ROOT + index * 8, ROOT | 0x67)
    memory = vl.open_vmcore(tables.core()).memory
    for start in range(address, address + (1 << 44), 1 << 41):
        with contextlib.suppress(MissingMemoryError):
            memory.read(start, 8, "virtual")


@given(st.sampled_from(sorted(MACHINES)), st.binary(min_size=8, max_size=200), st.integers(0, (1 << 64) - 1))
def test_whatever_tables_hold_a_walk_ends(name: str, noise: bytes, address: int) -> None:
    def read(at: int, size: int) -> bytes | None:
        return (noise * (size // len(noise) + 2))[at % len(noise) :][:size] if at % 3 else None

    machine = MACHINES[name]
    order: Any = machine.entry_order or machine.order
    known = {62: page_tables.x86_64(4), 3: page_tables.i386(True), 183: page_tables.arm64(14, 48), 243: page_tables.riscv64(48),
             22: page_tables.s390x(noise[0]), 21: page_tables.ppc64_radix(16)}  # fmt: skip
    tables = page_tables.PageTables(known[machine.number], 4096, read)
    assert order
    try:
        found = tables.walk(address)
    except LookupError:
        return
    assert found is None or 0 < found[1] <= 1 << 39


@pytest.mark.parametrize("lpae", [False, True])
def test_arm_finds_where_its_memory_begins_and_reads_its_tables(lpae: bool) -> None:
    """swapper_pg_dir of 32-bit arm; memory begins at 0x60000000, the lowest page in the file is a little above."""
    begin, virtual, root = 0x6000_0000, 0xC000_0000, 0x4000
    memory = bytearray(0x40_0000)
    memory[0x30_0000:0x30_0006] = b"Linux\0"
    if lpae:
        memory[root + 24 : root + 32] = (begin + 0x8000 | 3).to_bytes(8, "little")
        for i in range(2):
            memory[0x8000 + 8 * i : 0x8008 + 8 * i] = (begin + (i << 21) | 0x701).to_bytes(8, "little")
        memory[0x8000 + 511 * 8 : 0x9000] = (begin + 0x9000 | 3).to_bytes(8, "little")
        memory[0x9000 + 8 : 0x9010] = (PAGE_AT | 0x703).to_bytes(8, "little")
    else:
        for i in range(4):
            memory[root + (0xC00 + i) * 4 : root + (0xC01 + i) * 4] = (begin + (i << 20) | 0x402).to_bytes(4, "little")
        memory[root + 0xFFE * 4 : root + 0xFFF * 4] = (begin + 0x9000 | 1).to_bytes(4, "little")
        memory[0x9004:0x9008] = (PAGE_AT | 0x2E).to_bytes(4, "little")
    lines = (f"OSRELEASE=6\nSYMBOL(_stext)={virtual + 0x10_0000:x}\nSYMBOL(init_uts_ns)={virtual + 0x30_0000:x}\n"
             f"SYMBOL(swapper_pg_dir)={virtual + root:x}\n{'CONFIG_ARM_LPAE=y' if lpae else ''}\n")  # fmt: skip
    info = note(b"VMCOREINFO\0", 0, lines.encode())
    none = (1 << 32) - 1
    held = (Segment(bytes(memory[root:]), vaddr=none, paddr=begin + root), Segment(FAR, vaddr=none, paddr=PAGE_AT))
    read = vl.open_vmcore(elf(notes(info), *held, bits=32, machine=40)).memory
    assert read.read(virtual + 0x30_0000, 5, "virtual") == b"Linux"
    if lpae:
        assert read.read(virtual + 0x3FE0_1000, len(FAR), "virtual") == FAR
    else:
        assert read.read(0xFFE0_1000, len(FAR), "virtual") == FAR


def test_loongarch64_has_windows_on_all_memory() -> None:
    info = note(b"VMCOREINFO\0", 0, b"OSRELEASE=6\n")
    memory = vl.open_vmcore(elf(notes(info), Segment(FAR, vaddr=NOWHERE, paddr=0x20_0000), machine=258)).memory
    for window in (0x8000 << 48, 0x9000 << 48):
        assert memory.read(window + 0x20_0000, len(FAR), "virtual") == FAR


def test_s390x_kernels_with_a_place_of_their_own() -> None:
    """Since 6.10 the image is at KERNELOFFSET, and the map of all memory at IDENTITYBASE."""
    lines = b"SYMBOL(_stext)=3ffe0100000\nIDENTITYBASE=10000000000\nKERNELOFFSET=3ffe0000000\nKERNELOFFPHYS=200000\n"
    info = note(b"VMCOREINFO\0", 0, lines, order=BIG)
    core = elf(notes(info), Segment(FAR, vaddr=NOWHERE, paddr=0x30_0000), machine=22, order=BIG)
    memory = vl.open_vmcore(core).memory
    assert memory.read(0x3FFE_0100_000, len(FAR), "virtual") == memory.read(0x100_0030_0000, len(FAR), "virtual") == FAR


# -- real kernels -----------------------------------------------------------------------------------------------------

REAL = ("arm64/vmcore.elf.xz", "arm64/vmcore.d31-zlib.kdump", "i386/vmcore.elf.xz", "x86_64-cudbg/vmcore.d31-zlib.kdump",
        "x86_64-mini/vmcore.elf.xz", "x86_64-mini/vmcore.d31.kdump.xz", "x86_64-story/vmcore.d31-zlib.kdump")  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_the_tables_of_real_kernels_are_found(unpacked: Callable[[str], Path], name: str) -> None:
    assert vl.open_vmcore(unpacked(f"vmcore/{name}")).memory.address_space.has_tables


@pytest.mark.peer
@pytest.mark.parametrize("name", REAL)
def test_kernel_memory_is_what_drgn_reads(unpacked: Callable[[str], Path], name: str) -> None:
    drgn = pytest.importorskip("drgn")
    path = unpacked(f"vmcore/{name}")
    core, program = vl.open_vmcore(path), drgn.Program()
    program.set_core_dump(path)
    symbols = [int(v, 16) for k, v in core.vmcoreinfo.items() if k.startswith("SYMBOL(") and "mem_section" not in k]
    section = core.vmcoreinfo.get("SYMBOL(mem_section)")
    compared = 0
    for address in [*symbols, *([int(section, 16)] if section else [])]:
        try:
            theirs = program.read(address, 64)
        except drgn.FaultError:
            continue
        assert core.memory.read(address, 64, "virtual") == theirs
        space = core.memory.address_space
        assert core.memory.read(space.translate(address)[0], 16) == theirs[:16]
        compared += 1
    assert compared > 10
