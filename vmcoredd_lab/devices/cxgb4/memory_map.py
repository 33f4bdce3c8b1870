"""The adapter's memory as one address space: which memory and region an address is in, and its bytes where the dump holds them.

Addresses are those of MEMINFO (cudbg_fill_meminfo(), drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c). Where it is not in the
dump, memories are laid one behind another as t4_memory_rw_init() (t4_hw.c) addresses them; regions are then not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from vmcoredd_lab.devices.cxgb4.entities import meminfo
from vmcoredd_lab.devices.cxgb4.entities.meminfo import Range
from vmcoredd_lab.devices.cxgb4.entities.memory import LEFT_OUT, PERHAPS, MemoryImage, Unread
from vmcoredd_lab.errors import NotInFileError, UsageError
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import escape

if TYPE_CHECKING:
    from vmcoredd_lab.devices.cxgb4.adapter_tables import TableViews
    from vmcoredd_lab.devices.cxgb4.entity_frames import EntityFrames

__all__ = ["MEMORY_MAP", "Image", "MemoryMap", "Place"]

# Entity of a memory by its index in MEMINFO: EDC0, EDC1, MC, MC0, MC1, HMA
ENTITIES = ("edc0", "edc1", "mc0", "mc0", "mc1", "hma")
DAMAGED = "bytes of the dump that are damaged"
BY_SIZE = (
    "There is no usable MEMINFO: addresses follow from the sizes of the images, as the driver addresses them; regions "
    "are not known."
)

MEMORY_MAP = Schema(
    "memory_map",
    "The adapter's memories, then their regions, by address (cudbg_fill_meminfo(), cudbg_lib.c); a region that lies in two "
    "memories takes a row for each, one that lies in none has no memory.",
    (
        Column("kind", "category", "memory or region"),
        Column("name", "text", "as MEMINFO names it"),
        Column("memory", "category", "the memory it is, or lies in"),
        Column("entity", "category", "the entity that holds the memory's image, whether it was collected or not"),
        Column("offset", "u64", "where it begins in the entity", "hex"),
        Column("base", "u64", "first address", "hex"),
        Column("limit", "u64", "last address", "hex"),
        Column("size", "u64", "bytes", "size"),
        Column("collected", "u64", "how many of them the dump holds for certain", "size"),
    ),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address is.

    memory: the memory's name, e.g. ``EDC0``
    region: the region's name; of several that overlap the smallest; None where there is none
    entity, offset: the entity that holds the memory's image, and where the byte is in it
    collected: True where the dump holds the byte, False where it does not, None where nothing tells
    """

    address: int
    memory: str
    region: str | None
    entity: str
    offset: int
    collected: bool | None


@dataclass(frozen=True)
class Image:
    """A memory's bytes, as many as the dump holds; ``missing`` lists (start, end, why, sure) of those that are not its own."""

    data: bytes | memoryview
    missing: tuple[tuple[int, int, str, bool], ...]

    def first_missing(self, start: int, end: int) -> tuple[int, str, bool] | None:
        """Return the first offset of a range whose byte is not there, with why, and whether that is sure."""
        found = [
            (max(first, start), why, sure) for first, last, why, sure in self.missing if first < end and start < last
        ]
        if end > len(self.data):
            found.append((max(start, len(self.data)), "bytes behind the end of the memory's image", True))
        return min(found, default=None)

    def held(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield what is there of a range for certain, by offset."""
        end = min(end, len(self.data))
        for first, last, _, _ in self.missing:
            if start < min(first, end):
                yield start, min(first, end)
            start = max(start, last)
        if start < end:
            yield start, end


class MemoryMap:
    """The memories of one adapter; images are inflated when their bytes are asked for."""

    def __init__(self, adapter: TableViews, frames: EntityFrames) -> None:
        self._adapter = adapter
        self._frames = frames
        self._path = adapter.dump.source.name
        self._images: dict[str, Image] = {}

    def __repr__(self) -> str:
        return f"<MemoryMap {', '.join(f'{m.name} at {m.base:#x}' for m in self.memories) or 'without memories'}>"

    # -- what there is ------------------------------------------------------------------------------------------------

    @cached_property
    def memories(self) -> list[Range]:
        """The memories whose address is known, by address."""
        return sorted(self._stated or self._by_size, key=lambda one: one.base)

    @cached_property
    def _stated(self) -> list[Range]:
        parts = self._frames.parts_or_none("meminfo")
        found = meminfo.memories(parts, self._frames.context()) if parts else []
        return [one for one in found if one.placed and one.idx < len(ENTITIES)]

    @cached_property
    def regions(self) -> list[Range]:
        """The regions whose place is sure, by address."""
        parts = self._frames.parts_or_none("meminfo")
        return sorted((one for one in meminfo.regions(parts) if one.placed), key=lambda one: one.base) if parts else []

    @cached_property
    def _by_size(self) -> list[Range]:
        """The memories one behind another: EDC0, EDC1 of the same size, then external memory."""
        known = ((e.name, self._adapter.decoded_size(e)) for e in self._adapter.container.entities.values())
        sizes = {name: size for name, size in known if size}
        edc = sizes.get("edc0")
        if not edc:
            return []
        external = 3 if self._adapter.chip == "T5" else 2
        bases = {0: 0, 1: edc, external: 2 * edc, 5: 2 * edc}
        if external == 3 and "mc0" in sizes:
            bases[4] = 2 * edc + sizes["mc0"]
        found = ((idx, base, sizes.get(ENTITIES[idx])) for idx, base in bases.items())
        return [
            Range(meminfo.MEMORIES[idx], base, base + size - 1, size, idx, 0)
            for idx, base, size in found
            if size is not None
        ]

    def region(self, name: str) -> Range:
        """Return a region by name, e.g. ``TCBs``.

        Raises
        ------
        NotInFileError: MEMINFO is not in the dump, or the region is not in it.
        """
        for one in self.regions:
            if one.name == name:
                return one
        if not self.regions:
            raise NotInFileError(
                "nothing tells the memory regions: MEMINFO is not in the dump, or of no use", path=self._path
            )
        raise NotInFileError(
            f"the adapter has no memory region {escape(name)}", path=self._path,
            got=", ".join(one.name for one in self.regions), hint="entity meminfo lists them",
        )  # fmt: skip

    def stretches(self) -> Iterator[tuple[str, str, str, int, int]]:
        """Yield (kind, name, entity, offset, size) of memories and of regions, one for each memory that a region lies in.

        The entity is that which would hold the bytes, whether it was collected or not; nothing is inflated.
        """
        for memory in self.memories:
            yield "memory", memory.name, ENTITIES[memory.idx], 0, memory.size
        for one in self.regions:
            for memory, (start, end) in self._parts(one):
                yield "region", one.name, ENTITIES[memory.idx], start - memory.base, end - start

    def _parts(self, region: Range) -> list[tuple[Range, tuple[int, int]]]:
        """Return the memories that a region lies in, with first address and end of what lies there."""
        return [(memory, part) for memory in self.memories if (part := region.within(memory))]

    # -- addresses ----------------------------------------------------------------------------------------------------

    def resolve(self, address: int) -> Place:
        """Return memory, region, entity, offset, and whether the dump holds the byte at an address of the adapter's memory.

        Raises
        ------
        NotInFileError: none of the adapter's memories is at that address.
        """
        memory = self._memory(address)
        entity, offset = ENTITIES[memory.idx], address - memory.base
        covering = [one for one in self.regions if one.base <= address < one.end]
        region = min(covering, key=lambda one: one.size).name if covering else None
        return Place(address, memory.name, region, entity, offset, self._collected(entity, offset))

    def read(self, address: int, size: int) -> bytes:
        """Return bytes of the adapter's memory, also across two memories; in the adapter's order.

        Raises
        ------
        NotInFileError: some of them are not in the dump; the message names the first, and why it is not.
        UsageError: ``size`` is negative.
        """
        if size < 0:
            raise UsageError(f"{size} bytes cannot be read", expected="a size of 0 or more")
        found, end = [], address + size
        while address < end:
            memory = self._memory(address)
            start, stop = address - memory.base, min(end, memory.end) - memory.base
            image = self.image(ENTITIES[memory.idx])
            if missing := image.first_missing(start, stop):
                raise self._missing(memory, *missing)
            found.append(image.data[start:stop])
            address = memory.end
        return b"".join(found)

    def runs(self, start: int, end: int) -> Iterator[tuple[int, str, memoryview]]:
        """Yield (address, entity, bytes) of what the dump holds of a range of addresses, by address."""
        for memory in self.memories:
            first, last = max(start, memory.base) - memory.base, min(end, memory.end) - memory.base
            try:
                image = self.image(ENTITIES[memory.idx]) if first < last else None
            except NotInFileError:
                continue
            if image:
                for at, stop in image.held(first, last):
                    yield memory.base + at, ENTITIES[memory.idx], memoryview(image.data)[at:stop]

    def image(self, entity: str) -> Image:
        """Return a memory's image, by entity name.

        Raises
        ------
        NotInFileError: it was not collected.
        """
        if entity not in self._images:
            self._images[entity] = self._read_image(entity)
        return self._images[entity]

    def _read_image(self, entity: str) -> Image:
        decoder, _, parts = self._frames.parts(entity)
        assert isinstance(decoder, MemoryImage)
        decoded = self._adapter.decoded(entity)
        unread: list[Unread] = decoder.unread(parts, self._frames.context())
        missing = [(one.start, one.end, LEFT_OUT if one.sure else PERHAPS, one.sure) for one in unread]
        missing += [(start, end, DAMAGED, True) for start, end in decoded.damaged]
        return Image(decoded.data, tuple(sorted(missing)))

    def _memory(self, address: int) -> Range:
        for one in self.memories:
            if one.base <= address < one.end:
                return one
        have = ", ".join(f"{m.name} {m.base:#x} to {m.end - 1:#x}" for m in self.memories)
        raise NotInFileError(
            f"no memory of the adapter is at address {address:#x}", path=self._path, expected=have or None,
            hint=None if have else "neither MEMINFO nor an image of EDC0 tells where the memories are",
        )  # fmt: skip

    def _collected(self, entity: str, offset: int) -> bool | None:
        try:
            missing = self.image(entity).first_missing(offset, offset + 1)
        except NotInFileError:
            return False
        return True if missing is None else False if missing[2] else None

    def _missing(self, memory: Range, offset: int, why: str, sure: bool) -> NotInFileError:
        entity = ENTITIES[memory.idx]
        return NotInFileError(
            f"the dump does not hold address {memory.base + offset:#x}, {memory.name} offset {offset:#x}: {why}", path=self._path,
            hint=None if sure else f"the bytes as they stand are in entity_bytes({entity!r})",
        )  # fmt: skip

    # -- as a table ---------------------------------------------------------------------------------------------------

    def table(self) -> Table:
        """Return :data:`MEMORY_MAP`."""
        rows = [("memory", one.name, *self._row(one, one.base, one.end)) for one in self.memories]
        for one in self.regions:
            inside = self._parts(one)
            rows += [("region", one.name, *self._row(memory, *part)) for memory, part in inside]
            if not inside:
                rows.append(("region", one.name, None, None, None, one.base, one.end - 1, one.size, 0))
        table = Table.from_rows(MEMORY_MAP, rows)
        if self.memories and not self._stated:
            table.attrs["note"] = BY_SIZE
        return table

    def _row(self, memory: Range, start: int, end: int) -> tuple[object, ...]:
        entity, offset = ENTITIES[memory.idx], start - memory.base
        size = end - start
        return memory.name, entity, offset, start, end - 1, size, self._held(entity, offset, offset + size)

    def _held(self, entity: str, start: int, end: int) -> int:
        """Return how many bytes of a range the dump holds for certain."""
        try:
            return sum(last - first for first, last in self.image(entity).held(start, end))
        except NotInFileError:
            return 0
