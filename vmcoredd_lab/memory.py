"""The crashed machine's memory, by physical or virtual address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

from vmcoredd_lab.containers import Container
from vmcoredd_lab.containers.memory import UNMAPPED, MissingMemoryError
from vmcoredd_lab.errors import NotInFileError, UsageError
from vmcoredd_lab.kernel.linear import LinearMap, linear_maps
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

        Virtual addresses are those of the kernel: through the program headers of ELF vmcores, else through the shifts that
        VMCOREINFO gives (:mod:`vmcoredd_lab.kernel.linear`). Page tables are not read.

        Raises
        ------
        MissingMemoryError: (a :class:`NotInFileError`) the bytes are not in the file; ``reason`` says why: excluded,
            absent, damaged, cut, in another part of a split dump, or a virtual address that nothing translates.
        OpenError: the package that inflates the pages is not installed.
        UsageError: ``space`` is neither, or an argument is negative.
        """
        if address < 0 or size < 0 or address + size > 1 << 64:
            raise UsageError("no such range of memory", got=f"address {address:#x}, size {size:#x}")
        if space == "physical":
            return self._held.read(address, size)
        if space != "virtual":
            raise UsageError(f"no address space named {space!a}", expected="physical or virtual")
        data = self._held.read_virtual(address, size)
        return self._held.read(self.translate(address, size), size) if data is None else data

    def translate(self, address: int, size: int = 1) -> int:
        """Return the physical address of a virtual one, through what VMCOREINFO gives.

        Raises
        ------
        MissingMemoryError: nothing in the file translates it, or not all ``size`` bytes from there; the message says what
            is missing.
        """
        maps, missing = self._maps
        for one in maps:
            if one.start <= address < one.end:
                if address + size <= one.end:
                    return one.translate(address)
                address = one.end
                break
        known = ", ".join(map(str, maps))
        why = f"missing is {' and '.join(missing)}" if missing else "it is outside the maps that are known"
        if maps and address < min(one.start for one in maps) and not address >> 63:
            why = "it is not the kernel's: user space takes the page tables"
        raise MissingMemoryError(
            f"virtual address {address:#x} cannot be translated: {why}", reason=UNMAPPED, address=address, space="virtual",
            path=self._container.source.name, expected=f"an address in {known}" if known else None,
            hint="page tables are not read; an ELF vmcore of the same crash has the kernel's addresses in its program headers",
        )  # fmt: skip

    def linear_maps(self) -> list[LinearMap]:
        """Return the parts of the kernel's virtual address space that VMCOREINFO gives as shifted physical memory."""
        return self._maps[0]

    @cached_property
    def _maps(self) -> tuple[list[LinearMap], list[str]]:
        def physical(address: int, size: int) -> bytes | None:
            try:
                return self._held.read(address, size)
            except NotInFileError:
                return None

        info = self._vmcoreinfo()
        if not info:
            return [], ["VMCOREINFO, which says where the kernel is"]
        return linear_maps(self._container.machine, info, self._container.phys_base(), physical)

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
