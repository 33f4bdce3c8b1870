"""The crashed kernel's address space: a virtual address to a physical one, by linear maps and page tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vmcoredd_lab.kernel import page_tables
from vmcoredd_lab.kernel.linear import LinearMap, linear_maps, number, symbol
from vmcoredd_lab.kernel.page_tables import PageTables, Paging
from vmcoredd_lab.structs import ByteOrder

__all__ = ["AddressSpace", "Untranslated"]

Read = Callable[[int, int], bytes | None]


class Untranslated(Exception):
    """Nothing translates an address; ``why`` says so in words. :class:`Memory` makes a MissingMemoryError of it."""

    def __init__(self, address: int, why: str) -> None:
        super().__init__(why)
        self.address = address
        self.why = why


@dataclass(frozen=True)
class Machine:
    """What a container knows of the machine: name, byte order, x86_64's phys_base and the lowest memory where recorded."""

    name: str
    byteorder: ByteOrder
    phys_base: int | None = None
    lowest: int | None = None


class AddressSpace:
    """Translates the kernel's virtual addresses. ``read`` gives physical memory, or None where it is not in the file."""

    def __init__(self, machine: Machine, info: Mapping[str, str], read: Read) -> None:
        self._info = info
        if not info:
            self.maps: list[LinearMap] = []
            self.missing = ["VMCOREINFO, which says where the kernel is"]
            self._tables: PageTables | None = None
            return
        self.maps, self.missing = linear_maps(machine.name, info, machine.phys_base, read, machine.lowest)
        self._tables = self._page_tables(machine, read)
        if self._tables is None and machine.name != "loongarch64":
            self.missing.append("page tables: SYMBOL(swapper_pg_dir), or what it stands for is not in the file")

    @property
    def has_tables(self) -> bool:
        """True where the kernel's page tables are in the file, and map themselves where they are."""
        return self._tables is not None

    def translate(self, address: int) -> tuple[int, int]:
        """Return the physical address, and how many bytes from there on are translated alike.

        Raises
        ------
        Untranslated: nothing translates it.
        """
        for one in self.maps:
            if one.exact and one.start <= address < one.end:
                return one.translate(address), one.end - address
        why = ""
        if self._tables is not None:
            try:
                found = self._tables.walk(address)
            except LookupError as error:
                why = f"the page table at {error.args[0]:#x} is not in the file"
            else:
                if found is not None:
                    return found
                raise Untranslated(address, "the page tables map nothing there")
        for one in self.maps:
            if one.start <= address < one.end:
                return one.translate(address), one.end - address
        raise Untranslated(address, why or self._why(address))

    def untranslated_until(self, address: int) -> int:
        """Return the first address from there on that may be translated, as far as one look tells; itself where it is."""
        try:
            self.translate(address)
            return address
        except Untranslated:
            pass
        tables = (1 << 64) if self._tables is None else self._tables.unmapped_until(address)
        return min([tables, 1 << 64, *(one.start for one in self.maps if one.start > address)])

    def _why(self, address: int) -> str:
        if self.maps and address < min(one.start for one in self.maps) and not address >> 63:
            return "it is not the kernel's: user space takes the page tables of its task"
        return f"missing is {' and '.join(self.missing)}" if self.missing else "it is outside the maps that are known"

    # -- page tables --------------------------------------------------------------------------------------------------

    def _page_tables(self, machine: Machine, read: Read) -> PageTables | None:
        """Return the kernel's page tables, where they are found and map themselves where they are."""
        names = ("init_top_pgt", "init_level4_pgt", "swapper_pg_dir")
        at = next((a for name in names if (a := symbol(self._info, name)) is not None), None)
        one = next((m for m in self.maps if at is not None and m.start <= at < m.end), None)
        if at is None or one is None:
            return None
        root = one.translate(at)
        paging = self._paging(machine, root, read)
        if paging is None:
            return None
        tables = PageTables(paging, root, read)
        try:
            found = tables.walk(at)
        except LookupError:
            return None
        return tables if found is not None and found[0] == root else None

    def _paging(self, machine: Machine, root: int, read: Read) -> Paging | None:
        info = self._info
        makers: dict[str, Callable[[], Paging | None]] = {
            "x86_64": self._x86_64,
            "i386": lambda: page_tables.i386(info.get("CONFIG_X86_PAE") == "y"),
            "arm": lambda: page_tables.arm(info.get("CONFIG_ARM_LPAE") == "y", machine.byteorder),
            "aarch64": lambda: self._arm64(machine.byteorder),
            "riscv64": self._riscv64,
            "s390x": lambda: self._s390x(read(root, 8)),
            "ppc64": self._ppc64,
            "ppc64le": self._ppc64,
        }
        return makers[machine.name]() if machine.name in makers else None

    def _x86_64(self) -> Paging:
        levels = 5 if number(self._info, "pgtable_l5_enabled") else 4
        return page_tables.x86_64(levels, (number(self._info, "sme_mask") or 0) & (1 << 64) - 1)

    def _riscv64(self) -> Paging | None:
        bits = number(self._info, "VA_BITS") or 39
        return page_tables.riscv64(bits) if bits in (39, 48, 57) else None

    def _s390x(self, first: bytes | None) -> Paging | None:
        return page_tables.s390x(int.from_bytes(first, "big")) if first and len(first) == 8 else None

    def _ppc64(self) -> Paging | None:
        shift = self._page_shift(16)
        return page_tables.ppc64_radix(shift) if shift in (12, 16) else None

    def _arm64(self, byteorder: ByteOrder) -> Paging | None:
        shift, bits = self._page_shift(12), number(self._info, "VA_BITS")
        if bits is None or not 36 <= bits <= 52 or shift not in (12, 14, 16):
            return None
        size = number(self._info, "TCR_EL1_T1SZ")
        actual = 64 - size if size is not None and 12 <= size <= 28 else bits
        if shift == 16:  # a 52-bit kernel keeps its wide first table on a 48-bit machine
            return page_tables.arm64(shift, bits, byteorder=byteorder)
        return page_tables.arm64(shift, actual, wide=actual == 52, byteorder=byteorder)

    def _page_shift(self, usual: int) -> int:
        size = number(self._info, "PAGESIZE")
        return size.bit_length() - 1 if size is not None and size > 0 else usual
