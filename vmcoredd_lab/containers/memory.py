"""What every container's memory offers, and the error that says why a piece of it is not there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from vmcoredd_lab.errors import NotInFileError

__all__ = ["ABSENT", "CUT", "DAMAGED", "ELSEWHERE", "EXCLUDED", "UNMAPPED", "ContainerMemory", "MissingMemoryError"]

EXCLUDED = "excluded"  # the machine had it; it was left out on purpose when the dump was written
ABSENT = "absent"  # the machine had no memory there
DAMAGED = "damaged"  # it is in the file, and what is there cannot be it
CUT = "cut"  # the file ends before it
ELSEWHERE = "elsewhere"  # another part of a split dump holds it
UNMAPPED = "unmapped"  # nothing in the file says which physical address a virtual one stands for


class MissingMemoryError(NotInFileError):
    """Memory that cannot be read, with the reason.

    Attributes
    ----------
    reason: ``excluded``, ``absent``, ``damaged``, ``cut``, ``elsewhere`` (in another part of a split dump) or ``unmapped``
        (a virtual address that nothing in the file translates)
    address: the first address that cannot be read
    space: ``physical`` or ``virtual``
    frame: the page frame number in kdump-compressed files, else None
    offset: where the file says so: the page's descriptor, or its bit in the bitmap
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        address: int,
        space: str = "physical",
        frame: int | None = None,
        path: str | None = None,
        offset: int | None = None,
        expected: str | None = None,
        got: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, path=path, offset=offset, expected=expected, got=got, hint=hint)
        self.reason = reason
        self.address = address
        self.space = space
        self.frame = frame


class ContainerMemory(ABC):
    """The memory that a container holds, by physical address."""

    @abstractmethod
    def read(self, address: int, size: int) -> bytes:
        """Return ``size`` bytes at a physical address.

        Raises
        ------
        MissingMemoryError: one of the bytes is not in the file; nothing is filled in.
        """

    def read_virtual(self, address: int, size: int) -> bytes | None:
        """Return ``size`` bytes at a virtual address, or None where the container itself maps no virtual addresses there."""
        return None

    def physical_of(self, address: int) -> tuple[int, int] | None:
        """Return the physical address of a virtual one, and how many bytes from there on lie alike, where headers say so."""
        return None

    def place_of(self, address: int, space: str) -> tuple[int, int] | None:
        """Return where in the file the bytes at an address lie as they are, and how many follow; None where they do not."""
        return None

    @abstractmethod
    def chunks(self, size: int, threads: int | None) -> Iterator[tuple[int, bytes]]:
        """Yield (physical address, bytes) of all memory that is in the file, by address, each byte once.

        Pieces are at most about ``size`` long; ``threads`` None: as many as help. What is damaged is passed over and
        recorded among the problems.
        """

    def check(self, progress: Callable[[int], object], *, pages: bool = True) -> None:
        """Look for damage, so that it is among the problems; with ``pages`` in all of memory.

        ``progress`` is told of bytes done.
        """
        return

    def work(self) -> int:
        """Return how many bytes :meth:`check` goes through with ``pages``; 0 where there is nothing to check."""
        return 0
