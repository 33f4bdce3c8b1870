"""The crashed machine's memory, by physical or virtual address."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np

from vmcoredd_lab.containers import Container
from vmcoredd_lab.containers.memory import UNMAPPED, MissingMemoryError
from vmcoredd_lab.errors import NotInFileError, UsageError
from vmcoredd_lab.kernel.address_space import AddressSpace, Machine, Untranslated
from vmcoredd_lab.kernel.linear import LinearMap
from vmcoredd_lab.notes.vmcoreinfo import Vmcoreinfo

__all__ = ["Memory"]


class Memory:
    """The crashed machine's memory, as far as the file holds it. Nothing is ever filled in."""

    def __init__(self, container: Container, vmcoreinfo: Callable[[], Vmcoreinfo]) -> None:
        self._container = container
        self._held = container.memory
        self._vmcoreinfo = vmcoreinfo

    def read(self, address: int, size: int, space: str = "physical") -> bytes:
        """Return ``size`` bytes at a ``physical`` or ``virtual`` address.

        Virtual addresses are those of the kernel: through the program headers of ELF vmcores, else through the linear maps
        that VMCOREINFO gives (:mod:`vmcoredd_lab.kernel.linear`), else through the kernel's page tables
        (:mod:`vmcoredd_lab.kernel.page_tables`).

        Raises
        ------
        MissingMemoryError: (a :class:`NotInFileError`) the bytes are not in the file; ``reason`` says why: excluded,
            absent, damaged, cut, in another part of a split dump, or a virtual address that nothing translates.
        OpenError: the package that inflates the pages is not installed.
        UsageError: ``space`` is neither, or an argument is negative.
        """
        address, size = operator.index(address), operator.index(size)  # NumPy's integers, out of a frame, wrap around
        if address < 0 or size < 0 or address + size > 1 << 64:
            raise UsageError("no such range of memory", got=f"address {address:#x}, size {size:#x}")
        if space == "physical":
            return self._held.read(address, size)
        if space != "virtual":
            raise UsageError(f"no address space named {space!a}", expected="physical or virtual")
        try:
            data = self._held.read_virtual(address, size)
        except MissingMemoryError:
            try:  # what the program headers hold of a range may end inside it
                return self._translated(address, size)
            except MissingMemoryError:
                pass
            raise
        return self._translated(address, size) if data is None else data

    def _translated(self, address: int, size: int) -> bytes:
        return b"".join(self._held.read(physical, length) for _, physical, length in self.runs(address, size))

    def runs(self, address: int, size: int) -> Iterator[tuple[int, int, int]]:
        """Yield (virtual address, physical address, size) of the pieces of a range that lie together in physical memory.

        Raises
        ------
        MissingMemoryError: nothing in the file translates an address of the range.
        """
        start, physical, length = address, 0, 0
        while length < size:
            at, room = self._one(start + length)
            step = min(room, size - length)
            if length and at != physical + length:
                yield start, physical, length
                start, size, length = start + length, size - length, 0
            if not length:
                physical = at
            length += step
        if length:
            yield start, physical, length

    def _one(self, address: int) -> tuple[int, int]:
        """Return the physical address of a virtual one, and how many bytes from there on lie alike."""
        try:
            return self._held.physical_of(address) or self.address_space.translate(address)
        except Untranslated as error:
            raise self._untranslated(error) from None

    def translate(self, address: int, size: int = 1) -> int:
        """Return the physical address of a virtual one.

        Raises
        ------
        MissingMemoryError: nothing in the file translates it, or not all ``size`` bytes from there, or they do not lie
            together; the message says what is missing.
        """
        runs = list(self.runs(address, max(size, 1)))
        if len(runs) > 1:
            raise MissingMemoryError(
                f"virtual addresses {address:#x} and {runs[1][0]:#x} do not lie together in physical memory",
                reason=UNMAPPED, address=runs[1][0], space="virtual", path=self._container.source.name,
            )  # fmt: skip
        return runs[0][1]

    def _untranslated(self, error: Untranslated) -> MissingMemoryError:
        known = ", ".join(map(str, self.address_space.maps))
        return MissingMemoryError(
            f"virtual address {error.address:#x} cannot be translated: {error.why}", reason=UNMAPPED, address=error.address,
            space="virtual", path=self._container.source.name, expected=f"an address in {known}" if known else None,
            hint="an ELF vmcore of the same crash has the kernel's addresses in its program headers",
        )  # fmt: skip

    def linear_maps(self) -> list[LinearMap]:
        """Return the parts of the kernel's virtual address space that VMCOREINFO gives as shifted physical memory."""
        return list(self.address_space.maps)

    @cached_property
    def address_space(self) -> AddressSpace:
        """The kernel's address space, as far as VMCOREINFO and the page tables in the file give it."""

        def physical(address: int, size: int) -> bytes | None:
            try:
                return self._held.read(address, size)
            except NotInFileError:
                return None

        container = self._container
        lowest = self._lowest() if container.machine == "arm" else None
        machine = Machine(container.machine, container.byteorder, container.phys_base(), lowest)
        return AddressSpace(machine, self._vmcoreinfo(), physical)

    def _lowest(self) -> int | None:
        """Return the lowest physical address in the file."""
        segments = self._container.segments()
        held = segments.columns["filesz"] > 0
        held &= np.array([name in ("PT_LOAD", "present") for name in segments.values("type")], bool)
        found = segments.columns["paddr"][held]
        return int(found.min()) if len(found) else None

    def chunks(self, size: int = 1 << 20, threads: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield (physical address, bytes) of all memory in the file, by address, each byte once.

        Parameters
        ----------
        size: a piece is about as long at most; it ends where the next page is not in the file
        threads: how many inflate compressed pages ahead; 1: none; default: one for each CPU, at most four, where that helps

        Damaged pages are passed over; :attr:`Vmcore.problems` names them afterwards.
        """
        if size < 1:
            raise UsageError("a piece holds at least a byte", got=f"size {size}")
        return self._held.chunks(size, threads)
