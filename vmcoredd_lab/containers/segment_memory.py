"""Memory of containers that hold it in segments, as ELF does: what a segment's file part does not reach was excluded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from vmcoredd_lab.containers.memory import ABSENT, CUT, DAMAGED, EXCLUDED, ContainerMemory, MissingMemoryError
from vmcoredd_lab.source import ByteSource
from vmcoredd_lab.tables import Codes, Table

__all__ = ["SegmentMemory"]

_NOWHERE = np.uint64((1 << 64) - 1)  # what kexec-tools and /proc/kcore write where an address is not known
_NOWHERE_32 = np.uint64((1 << 32) - 1)
# Machines whose kernels live in the upper half: p_vaddr equal to p_paddr (QEMU without paging) is no virtual address.
_UPPER_HALF = {"x86_64", "aarch64", "riscv64", "loongarch64", "ppc64", "ppc64le", "i386", "arm"}

Arrays = dict[str, "np.ndarray[Any, Any]"]
Stretches = tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]


class SegmentMemory(ContainerMemory):
    """Reads through PT_LOAD segments, which may overlap: kernel text is mapped twice, and either copy is as good."""

    def __init__(self, source: ByteSource, segments: Table, *, bits: int, machine: str) -> None:
        self._source = source
        kind = segments.columns["type"]
        names = kind.texts() if isinstance(kind, Codes) else list(kind)
        load = np.fromiter((name == "PT_LOAD" for name in names), bool, len(names))
        self._all = {n: segments.columns[n][load] for n in ("offset", "vaddr", "paddr", "filesz", "memsz")}
        nowhere = self._nowhere = _NOWHERE if bits == 64 else _NOWHERE_32
        paddr, vaddr = self._all["paddr"], self._all["vaddr"]
        self._physical = self._by("paddr", paddr != nowhere)
        mapped = vaddr != nowhere
        if machine in _UPPER_HALF:
            mapped &= vaddr != paddr
        self._virtual = self._by("vaddr", mapped)
        self._places: dict[str, Stretches] = {}
        self._last = (1, 0, 0)  # first address, end and file offset of the segment that served last

    def _by(self, name: str, which: np.ndarray[Any, Any]) -> Arrays:
        """Return the segments chosen, with the address to look at as ``start``."""
        chosen = {key: column[which] for key, column in self._all.items()}
        return {"start": chosen[name], **{key: chosen[key] for key in ("offset", "paddr", "filesz", "memsz")}}

    def read(self, address: int, size: int) -> bytes:
        """Return ``size`` bytes at a physical address."""
        start, end, offset = self._last
        if start <= address and address + size <= end:
            data = self._source.read(offset + address - start, size)
            if len(data) == size:
                return data
        return self._read(address, size, "physical", self._physical)

    def read_virtual(self, address: int, size: int) -> bytes | None:
        """Return ``size`` bytes at a virtual address; None where no program header maps the first of them."""
        if not (np.uint64(address) - self._virtual["start"] < self._virtual["memsz"]).any():
            return None
        return self._read(address, size, "virtual", self._virtual)

    def physical_of(self, address: int) -> tuple[int, int] | None:
        """Return the physical address of a virtual one and the bytes that follow it in its segment's file part."""
        table = self._virtual
        delta = np.uint64(address) - table["start"]
        held = np.flatnonzero((delta < table["filesz"]) & (table["paddr"] != self._nowhere))
        if not len(held):
            return None
        within = int(delta[held[0]])
        return int(table["paddr"][held[0]]) + within, int(table["filesz"][held[0]]) - within

    def place_of(self, address: int, space: str) -> tuple[int, int] | None:
        """Return the offset of an address in the file, and how many bytes of its segment follow; None where none holds it."""
        if space not in self._places:
            self._places[space] = self._stretches(self._physical if space == "physical" else self._virtual)
        starts, ends, offsets = self._places[space]
        which = int(np.searchsorted(starts, np.uint64(address), "right")) - 1
        if which < 0 or address >= int(ends[which]):
            return None
        return int(offsets[which]) + address - int(starts[which]), int(ends[which]) - address

    def _stretches(self, table: Arrays) -> Stretches:
        """Return starts, ends and file offsets of what the file holds, in order and apart from one another.

        Segments that follow one another in memory and file alike are one stretch.
        """
        order = np.argsort(table["start"], kind="stable")
        start, offset, size = (table[n][order].astype(np.uint64) for n in ("start", "offset", "filesz"))
        held = np.uint64(self._source.size) - np.minimum(offset, np.uint64(self._source.size))
        end = start + np.minimum(np.minimum(size, held), _NOWHERE - start)
        if not len(start):
            return start, end, offset
        before = np.maximum.accumulate(np.concatenate([np.zeros(1, np.uint64), end[:-1]]))
        first = np.maximum(start, before)
        offset += first - start
        some = first < end
        first, end, offset = first[some], end[some], offset[some]
        begins = np.ones(len(first), bool)
        begins[1:] = (first[1:] != end[:-1]) | (first[1:] - first[:-1] != offset[1:] - offset[:-1])
        at = np.flatnonzero(begins)
        return first[at], np.append(end[at[1:] - 1], end[-1:]), offset[at]

    def _read(self, address: int, size: int, space: str, table: Arrays) -> bytes:
        parts: list[bytes] = []
        wanted = size
        while size > 0:
            which = self._holder(address, space, table, wanted - size)
            start, filesz = int(table["start"][which]), int(table["filesz"][which])
            offset = int(table["offset"][which])
            within = address - start
            part = self._source.read(offset + within, min(size, filesz - within))
            if not part:  # a damaged piece of a compressed file, or one that the system cannot read
                raise MissingMemoryError(
                    f"{space} address {address:#x} is in a part of the file that cannot be read", reason=DAMAGED,
                    address=address, space=space, path=self._source.name, offset=offset + within,
                    hint="the problems command says why",
                )  # fmt: skip
            if space == "physical":
                self._last = (start, start + filesz, offset)
            parts.append(part)
            address += len(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _holder(self, address: int, space: str, table: Arrays, before: int) -> int:
        """Return the segment whose bytes at this address are in the file.

        ``before`` counts the bytes that could be read until here, for the message.
        """
        path = self._source.name
        hint = f"the {before:,} bytes before it are in the file" if before else None
        delta = np.uint64(address) - table["start"]  # wraps below the start, and is then too large
        covered = np.flatnonzero(delta < table["memsz"])
        if not len(covered):
            raise MissingMemoryError(
                f"no segment holds {space} address {address:#x}", reason=ABSENT, address=address, space=space, path=path,
                hint=hint or "the segments command lists what is there",
            )  # fmt: skip
        held = covered[delta[covered] < table["filesz"][covered]]
        if not len(held):
            raise MissingMemoryError(
                f"{space} address {address:#x} was left out when the dump was written", reason=EXCLUDED, address=address,
                space=space, path=path,
                hint=hint or "makedumpfile -d excludes such pages; a lower dump level would keep them",
            )  # fmt: skip
        for which in held.tolist():
            if int(table["offset"][which]) + int(delta[which]) < self._source.size:
                found: int = which
                return found
        raise MissingMemoryError(
            f"{space} address {address:#x} lies behind the end of the file, which is cut", reason=CUT, address=address,
            space=space, path=path, expected=f"more than {int(table['offset'][held[0]]) + int(delta[held[0]]):,} bytes",
            got=f"{self._source.size:,} bytes", hint=hint,
        )  # fmt: skip

    def chunks(self, size: int, threads: int | None) -> Iterator[tuple[int, bytes]]:
        """Yield (physical address, bytes) by address; of segments that overlap each byte once."""
        table = self._physical
        order = np.lexsort((table["filesz"], table["start"])).tolist()
        done = 0
        for which in order:
            start, offset = int(table["start"][which]), int(table["offset"][which])
            end = start + min(int(table["filesz"][which]), max(0, self._source.size - offset))
            at = max(start, done)
            while at < end:
                part = self._source.read(offset + at - start, min(size, end - at))
                if not part:
                    break
                yield at, part
                at += len(part)
            done = max(done, at)
