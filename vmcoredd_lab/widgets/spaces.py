"""Spaces of bytes that a hex view can show: a file, a crashed machine's memory, a note, a device dump, an entity.

A space answers one question: what is at this address. Either bytes, or the reason why there are none (excluded, absent,
damaged, ...), and how far that holds. Addresses are Python integers, up to 2**64 exact.
"""

from __future__ import annotations

import mmap
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from vmcoredd_lab.containers.memory import ABSENT, CUT, EXCLUDED, UNMAPPED, MissingMemoryError
from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.source import Buffer, ByteSource

if TYPE_CHECKING:
    from vmcoredd_lab.tables import Table
    from vmcoredd_lab.vmcore import Vmcore

Addresses = np.ndarray[Any, Any]  # u64

__all__ = ["BufferSpace", "FileSpace", "MemorySpace", "Piece", "Ranges", "Space"]

PAGE = 4096
LAST = (1 << 64) - 1
LOOK_AHEAD = 64  # stretches of virtual memory that are tried one by one to say how far nothing is mapped
FILE_SLICE, MEMORY_SLICE = 16 << 20, 2 << 20  # bytes searched at once; the kernel answers in between


@dataclass(frozen=True, slots=True)
class Piece:
    """What is from ``start`` up to ``end``: bytes, or None and the ``reason``."""

    start: int
    end: int
    data: bytes | memoryview | None
    reason: str = ""


class Space(ABC):
    """Addresses from ``start`` up to ``end`` and what is there.

    key: names the space in messages between page and kernel
    title: what people read
    kind: ``file``, ``physical``, ``virtual``, ``note``, ``dump``, ``entity`` or ``buffer``
    slice: how many bytes are searched at once
    """

    key: str
    title: str
    kind: str
    start: int = 0
    end: int = 0
    slice: int = FILE_SLICE

    @abstractmethod
    def piece(self, address: int, size: int) -> Piece:
        """Return what is at an address of the space: at most ``size`` bytes, or a stretch without bytes however long."""

    def begins(self, address: int) -> int:
        """Return where the stretch without bytes begins that ``address`` is in; the address itself where that is not known."""
        return address

    def same_until(self, address: int) -> int:
        """Return up to where zeros are known to be, as holes of a sparse file are; the address itself where nothing is known."""
        return address

    def find(self, needle: bytes, address: int, size: int) -> int | None:
        """Return the first place of ``needle`` that begins in ``size`` bytes from ``address``, None where it is not there."""
        return self._search(needle, address, size, last=False)

    def rfind(self, needle: bytes, address: int, size: int) -> int | None:
        """Return the last place of ``needle`` that begins in ``size`` bytes from ``address``."""
        return self._search(needle, address, size, last=True)

    def _search(self, needle: bytes, address: int, size: int, *, last: bool) -> int | None:
        found: int | None = None
        tail = b""
        at, end = address, min(self.end, address + size + len(needle) - 1)
        while at < end:
            piece = self.piece(at, end - at)
            if piece.data is None:
                tail, at = b"", piece.end
                continue
            data = tail + bytes(piece.data)
            where = data.rfind(needle) if last else data.find(needle)
            if where >= 0:
                found = at - len(tail) + where
                if not last:
                    return found
            tail = data[-(len(needle) - 1) :] if len(needle) > 1 else b""
            at = piece.start + len(piece.data)
        return found

    def read(self, address: int, size: int) -> tuple[bytes, list[tuple[int, int, str]]]:
        """Return ``size`` bytes with zeros where there are none, and those stretches as (start, end, reason)."""
        parts: list[bytes] = []
        gaps: list[tuple[int, int, str]] = []
        at, end = address, min(self.end, address + size)
        while at < end:
            piece = self.piece(at, end - at)
            stop = min(piece.end, end)
            if piece.data is None:
                parts.append(bytes(stop - at))
                gaps.append((at, stop, piece.reason))
            else:
                parts.append(bytes(piece.data[: stop - at]))
            at = stop
        return b"".join(parts), gaps


class BufferSpace(Space):
    """A window on bytes: a device dump, a note, an entity, a buffer of the user's.

    ``origin`` is the address of the first byte.
    """

    def __init__(self, key: str, title: str, kind: str, data: Any, *, origin: int = 0, declared: int | None = None,
                 damaged: list[tuple[int, int]] | None = None) -> None:  # fmt: skip
        self.key, self.title, self.kind = key, title, kind
        self._data: Buffer | memoryview = data if isinstance(data, Buffer) else memoryview(data).cast("B")
        self.start = origin
        self._held = origin + len(self._data)
        self.end = max(self._held, origin + (declared or 0))
        self.damaged = damaged or []

    def piece(self, address: int, size: int) -> Piece:
        """Return the bytes themselves; what a cut file lacks is ``cut``."""
        if address >= self._held:
            return Piece(address, self.end, None, CUT)
        at = address - self.start
        if isinstance(self._data, Buffer):
            data = self._data.view(at, size)
        else:
            data = self._data[at : at + size]
        if not len(data):
            return Piece(address, self.end, None, "unreadable")
        return Piece(address, address + len(data), data)


class FileSpace(Space):
    """The file as it was opened: of a packed or flattened one what is inside."""

    kind = "file"

    def __init__(self, source: ByteSource, key: str = "file") -> None:
        self.key, self.title = key, "file"
        self.source = source
        self.end = source.size

    def piece(self, address: int, size: int) -> Piece:
        """Return the file's bytes."""
        data = self.source.glance(address, min(size, self.end - address))
        if not len(data):
            return Piece(address, self.end, None, "unreadable")
        return Piece(address, address + len(data), data)

    def same_until(self, address: int) -> int:
        """Return where the file's next data are, if ``address`` lies in a hole."""
        return next((start for start, _ in self.source.extents(address, self.end - address)), self.end)

    def _search(self, needle: bytes, address: int, size: int, *, last: bool) -> int | None:
        mapping = getattr(self.source, "mapping", None)
        if not isinstance(mapping, mmap.mmap):
            return super()._search(needle, address, size, last=last)
        end = min(self.end, address + size + len(needle) - 1)
        where = mapping.rfind(needle, address, end) if last else mapping.find(needle, address, end)
        return None if where < 0 else where


class Ranges:
    """Stretches of addresses with a state each, apart from one another and in order; what is between them is absent."""

    def __init__(self, starts: list[int], ends: list[int], states: list[str]) -> None:
        self.starts, self.ends, self.states = starts, ends, states

    @classmethod
    def of_segments(cls, table: Table, address: str) -> Ranges:
        """Return the ranges of an ELF or kdump file by ``paddr`` or ``vaddr``; held bytes win where segments overlap."""
        kinds = np.array([k or "" for k in table.values("type")])
        starts, held, whole = (np.ma.getdata(table.columns[n]).astype(np.uint64) for n in (address, "filesz", "memsz"))
        there = ~np.ma.getmaskarray(table.columns[address])
        loads, present, excluded, absent = (there & (kinds == k) for k in ("PT_LOAD", "present", EXCLUDED, ABSENT))
        loads &= starts < LAST  # addresses that are not known are all ones
        more = loads & (whole > held)
        behind, after = _sum(starts, held), _sum(starts, whole)
        told = [
            (np.r_[starts[loads], starts[present]], np.r_[behind[loads], after[present]]),
            (np.r_[behind[more], starts[excluded]], np.r_[after[more], after[excluded]]),
            (starts[absent], after[absent]),
        ]
        found = cls._apart(told, ["", EXCLUDED, ABSENT])
        if found.ends[-1:] == [LAST]:  # stands for 2**64, which has no place in 64 bits
            found.ends[-1] += 1
        return found

    @classmethod
    def _apart(cls, told: list[tuple[Addresses, Addresses]], states: list[str]) -> Ranges:
        """Return the ranges of starts and ends a state, without overlaps: of states that meet the first wins."""
        bounds = np.sort(np.concatenate([ends for pair in told for ends in pair]), kind="stable")  # mostly in order
        bounds = bounds[np.diff(bounds, prepend=bounds[:1] + np.uint64(1)) != 0]
        which = np.full(len(bounds), -1)  # the state from each bound to the next
        for number in reversed(range(len(told))):
            begun, ended = (np.bincount(np.searchsorted(bounds, of), minlength=len(bounds)) for of in told[number])
            which[np.cumsum(begun - ended) > 0] = number
        turns = np.flatnonzero(np.diff(which, prepend=-1))
        ours = np.flatnonzero(which[turns] >= 0)
        return cls(
            bounds[turns[ours]].tolist(),
            bounds[turns[ours + 1]].tolist(),
            [states[n] for n in which[turns[ours]].tolist()],
        )

    def at(self, address: int, end: int) -> tuple[int, int, str]:
        """Return (start, end, state) of the stretch that an address is in."""
        i = bisect_right(self.starts, address) - 1
        if i >= 0 and address < self.ends[i]:
            return self.starts[i], self.ends[i], self.states[i]
        start = self.ends[i] if i >= 0 else 0
        return start, self.starts[i + 1] if i + 1 < len(self.starts) else end, ABSENT


def _sum(starts: Addresses, sizes: Addresses) -> Addresses:
    """Return where stretches end, the end of 64 bits at most."""
    ends = starts + sizes
    return np.where(ends < starts, np.uint64(LAST), ends)


class MemorySpace(Space):
    """Physical or virtual memory of a vmcore."""

    slice = MEMORY_SLICE

    def __init__(self, core: Vmcore, kind: str, ranges: Callable[[], Ranges], end: int) -> None:
        self.core, self.key, self.kind = core, kind, kind
        self.title = f"{kind} memory"
        self._ranges_of = ranges
        self.end = end
        self._source = core.container.source
        self._lies = (0, 0, 0)  # first address, end and file offset of the last bytes that lie in the file as they are

    @cached_property
    def ranges(self) -> Ranges:
        """The stretches that the file tells of."""
        return self._ranges_of()

    def begins(self, address: int) -> int:
        """Return where the stretch begins that the file says nothing is in."""
        start, _, state = self.ranges.at(address, self.end)
        return start if state and not (self.kind == "virtual" and state == ABSENT) else address

    def _place(self, address: int) -> tuple[int, int] | None:
        """Return where in the file the bytes at an address lie as they are, and how many follow."""
        start, end, offset = self._lies
        if not start <= address < end:
            found = self.core.container.memory.place_of(address, self.kind)
            if found is None:
                return None
            start, end, offset = self._lies = (address, address + found[1], found[0])
        return offset + address - start, end - address

    def same_until(self, address: int) -> int:
        """Return up to where a hole of the file stands for zeros."""
        place = self._place(address)
        if place is None:
            return address
        offset, room = place
        data = next((start for start, _ in self._source.extents(offset, room)), offset + room)
        return min(self.end, address + data - offset)

    def piece(self, address: int, size: int) -> Piece:
        """Return bytes up to the end of the stretch, or page by page where a page of it is damaged."""
        _, end, state = self.ranges.at(address, self.end)
        if state == ABSENT and self.kind == "virtual":
            return self._page_by_page(address, size, end)
        if state:
            return Piece(address, end, None, state)
        return self._held(address, min(size, end - address))

    def _held(self, address: int, size: int) -> Piece:
        """Return bytes up to the first that is missing; where that is the first, its page as missing."""
        place = self._place(address)
        if place is not None and (data := self._source.glance(place[0], min(size, place[1]))):
            return Piece(address, address + len(data), data)
        page = min(address // PAGE * PAGE + PAGE - address, size)
        for wanted in (size, page):
            try:
                return Piece(address, address + wanted, self.core.memory.read(address, wanted, self.kind))
            except MissingMemoryError as error:
                reason = error.reason
                if error.space == self.kind and address < error.address < address + wanted:
                    return self._held(address, error.address - address)
            except VmcoreddLabError as error:
                reason = error.message
        return Piece(address, address + page, None, reason)

    def _page_by_page(self, address: int, size: int, end: int) -> Piece:
        stop = min(address // PAGE * PAGE + PAGE, end)
        first = self._held(address, min(size, stop - address))
        if first.data is not None:
            return first
        for _ in range(LOOK_AHEAD if first.reason == UNMAPPED else 0):
            known = min(end, self.core.memory.address_space.untranslated_until(stop))
            if known <= stop:
                break
            stop = known
        return Piece(address, stop, None, first.reason or UNMAPPED)
