"""Page tables: what a kernel's virtual addresses outside its linear map stand for.

Each machine's tables are levels, each an array of entries chosen by some bits of the address, and a rule that says what an
entry is. There are at most five levels, so a walk ends whatever the entries say.

x86: arch/x86/include/asm/pgtable_types.h; arm64: arch/arm64/include/asm/pgtable-hwdef.h; arm: Arm ARM, short and long
descriptors; riscv: arch/riscv/include/asm/pgtable.h; s390x: arch/s390/include/asm/pgtable.h; ppc64 with the radix MMU:
arch/powerpc/include/asm/book3s/64/radix.h.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from vmcoredd_lab.structs import ByteOrder

__all__ = [
    "Entry",
    "Level",
    "PageTables",
    "Paging",
    "arm",
    "arm64",
    "i386",
    "ppc64_radix",
    "riscv64",
    "s390x",
    "x86_64",
]

TABLES_KEPT = 512


@dataclass(frozen=True, slots=True)
class Level:
    """A level of tables: an entry covers ``1 << shift`` bytes and is chosen by the ``bits`` bits of the address above them."""

    shift: int
    bits: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What an entry says: the next table (``shift`` None), or memory of ``1 << shift`` bytes from ``physical`` on."""

    physical: int
    shift: int | None = None


@dataclass(frozen=True)
class Paging:
    """The form of one machine's tables. ``decode`` takes an entry and its level's shift; None: nothing is mapped there."""

    levels: tuple[Level, ...]
    entry_size: int
    byteorder: ByteOrder
    decode: Callable[[int, int], Entry | None]


class PageTables:
    """The kernel's page tables, from the physical address of the first one.

    ``read`` gives physical memory, or None where it is not in the file.
    """

    def __init__(self, paging: Paging, root: int, read: Callable[[int, int], bytes | None]) -> None:
        self._paging = paging
        self._root = root
        self._read = read
        self._kept: dict[tuple[int, int], bytes | None] = {}

    def walk(self, address: int) -> tuple[int, int] | None:
        """Return the physical address and how many bytes from there on belong together; None where nothing is mapped.

        Raises
        ------
        LookupError: a table is not in the file; the argument is its physical address.
        """
        table, size = self._root, self._paging.entry_size
        for level in self._paging.levels:
            index = address >> level.shift & (1 << level.bits) - 1
            held = self._table(table, size << level.bits)
            raw = (
                held[index * size : (index + 1) * size] if held is not None else self._read(table + index * size, size)
            )
            if raw is None or len(raw) < size:
                raise LookupError(table)
            entry = self._paging.decode(int.from_bytes(raw, self._paging.byteorder), level.shift)
            if entry is None:
                return None
            if entry.shift is not None:
                within = address & (1 << entry.shift) - 1
                return entry.physical + within, (1 << entry.shift) - within
            table = entry.physical
        return None

    def unmapped_until(self, address: int) -> int:
        """Return the first address from there on that may be mapped, as far as one table tells: itself if it is.

        What a table that is not in the file would map counts as not mapped.
        """
        table, size, above = self._root, self._paging.entry_size, 64
        for level in self._paging.levels:
            held = self._table(table, size << level.bits)
            if held is None:
                return ((address >> above) + 1) << above
            index = address >> level.shift & (1 << level.bits) - 1
            entry = None
            for i in range(index, 1 << level.bits):
                raw = held[i * size : (i + 1) * size]
                entry = self._paging.decode(int.from_bytes(raw, self._paging.byteorder), level.shift)
                if entry is not None and i == index:
                    break
                if entry is not None:
                    return ((address >> level.shift) + i - index) << level.shift
            if entry is None:
                return ((address >> level.shift) + (1 << level.bits) - index) << level.shift
            if entry.shift is not None:
                return address
            table, above = entry.physical, level.shift
        return address

    def _table(self, at: int, size: int) -> bytes | None:
        """Return a whole table; None where it is not all in the file: then single entries may be."""
        key = at, size
        if key not in self._kept:
            if len(self._kept) >= TABLES_KEPT:
                self._kept.clear()
            held = self._read(at, size)
            self._kept[key] = held if held is not None and len(held) == size else None
        return self._kept[key]


def _bits(low: int, high: int) -> int:
    """Return the mask of the bits from ``low`` up to ``high`` (not included)."""
    return (1 << high) - (1 << low)


def x86_64(levels: int, sme_mask: int = 0) -> Paging:
    """Four or five levels; ``sme_mask`` is the bit that marks encrypted memory, which is no part of an address."""
    shifts = (48, 39, 30, 21, 12)[5 - levels :]
    return Paging(tuple(Level(s, 9) for s in shifts), 8, "little", _x86(_bits(12, 52) & ~sme_mask))


def i386(pae: bool) -> Paging:
    """Two levels of 4-byte entries, or with PAE three of 8 bytes, the first of them 4 entries."""
    if pae:
        return Paging((Level(30, 2), Level(21, 9), Level(12, 9)), 8, "little", _x86(_bits(12, 52)))
    return Paging((Level(22, 10), Level(12, 10)), 4, "little", _x86(_bits(12, 32)))


def _x86(mask: int) -> Callable[[int, int], Entry | None]:
    def decode(entry: int, shift: int) -> Entry | None:
        if not entry & 1:
            return None
        if shift == 12:
            return Entry(entry & mask, 12)
        if entry & 0x80 and shift in (21, 30):
            return Entry(entry & mask & -(1 << shift), shift)
        if entry & 0x80 and shift == 22:  # PSE-36: bits 13 to 20 are the address bits from 32 on
            return Entry(entry & 0xFFC00000 | (entry >> 13 & 0xFF) << 32, shift)
        return Entry(entry & mask)

    return decode


def arm64(page_shift: int, bits: int, *, wide: bool = False, byteorder: ByteOrder = "little") -> Paging:
    """As many levels as ``bits`` of address take; ``wide``: the form of 52-bit physical addresses with 4K and 16K pages."""
    step = page_shift - 3
    shifts = list(range(page_shift, bits, step))[::-1]
    levels = [Level(s, step) for s in shifts]
    levels[0] = replace(levels[0], bits=bits - shifts[0])

    def decode(entry: int, shift: int) -> Entry | None:
        if not entry & 1:
            return None
        if wide:
            address = entry & _bits(page_shift, 50) | (entry >> 8 & 3) << 50
        elif page_shift == 16:
            address = entry & _bits(16, 48) | (entry >> 12 & 15) << 48
        else:
            address = entry & _bits(page_shift, 48)
        if shift == page_shift:
            return Entry(address, shift) if entry & 2 else None
        if entry & 2:
            return Entry(address)
        return Entry(address & -(1 << shift), shift) if shift <= page_shift + 2 * step else None

    return Paging(tuple(levels), 8, byteorder, decode)


def arm(lpae: bool, byteorder: ByteOrder = "little") -> Paging:
    """The short descriptors, in two levels; with LPAE the long ones, in three."""
    if lpae:
        long = arm64(12, 39, byteorder=byteorder)
        return replace(long, levels=(Level(30, 2), *long.levels[1:]))

    def decode(entry: int, shift: int) -> Entry | None:
        kind = entry & 3
        if shift == 20:
            if kind == 1:
                return Entry(entry & _bits(10, 32))
            if kind & 2 == 0:
                return None
            return Entry(entry & _bits(24, 32), 24) if entry & 1 << 18 else Entry(entry & _bits(20, 32), 20)
        if kind == 0:
            return None
        return Entry(entry & _bits(16, 32), 16) if kind == 1 else Entry(entry & _bits(12, 32), 12)

    return Paging((Level(20, 12), Level(12, 8)), 4, byteorder, decode)


def riscv64(bits: int) -> Paging:
    """Sv39, Sv48 or Sv57."""

    def decode(entry: int, shift: int) -> Entry | None:
        address = (entry >> 10 & (1 << 44) - 1) << 12
        if not entry & 1:
            return None
        return Entry(address & -(1 << shift), shift) if entry & 0xE or shift == 12 else Entry(address)

    return Paging(tuple(Level(s, 9) for s in range(12, bits, 9))[::-1], 8, "little", decode)


S390X_LEVELS = (Level(53, 11), Level(42, 11), Level(31, 11), Level(20, 11), Level(12, 8))


def s390x(first_entry: int) -> Paging:
    """Region tables, segment table, page table. Entries of all but the last say of which kind their table is."""
    kind = first_entry >> 2 & 3  # 3: region first table, 2: second, 1: third, 0: segment table

    def decode(entry: int, shift: int) -> Entry | None:
        if shift == 12:
            return None if entry & 0x400 else Entry(entry & _bits(12, 64), 12)
        if entry & 0x20:
            return None
        if entry & 0x400 and shift in (20, 31):  # format control: 1 MiB or 2 GiB of memory
            return Entry(entry & -(1 << shift) & _bits(0, 64), shift)
        return Entry(entry & _bits(11 if shift == 20 else 12, 64))

    return Paging(S390X_LEVELS[3 - kind :], 8, "big", decode)


def ppc64_radix(page_shift: int) -> Paging:
    """Four levels; entries are big endian on machines of either byte order."""

    def decode(entry: int, shift: int) -> Entry | None:
        if not entry >> 63:
            return None
        if entry >> 62 & 1 or shift == page_shift:
            return Entry(entry & _bits(12, 57) & -(1 << shift), shift)
        return Entry(entry & _bits(8, 60))

    last = Level(page_shift, 21 - page_shift)
    return Paging((Level(39, 13), Level(30, 9), Level(21, 9), last), 8, "big", decode)
