"""EDC0, EDC1, MC0, MC1 and HMA, entities 18 to 21 and 68: images of the adapter's memories, from their offset 0.

cudbg_read_fw_mem(), drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c. Pieces of 64,512 bytes that lie inside Tx or Rx payload are
not read: zeros stand for them in a compressed dump, in others whatever the buffer held. Bytes are in the adapter's order:
structures of hardware and firmware are big endian on every host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import words
from vmcoredd_lab.devices.cxgb4.entities import meminfo
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder
from vmcoredd_lab.devices.cxgb4.entities.meminfo import Range
from vmcoredd_lab.devices.cxgb4.layout import REST, Layout, Part, Parts
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import human_size, plural

__all__ = ["DECODERS", "MemoryImage", "Unread"]

PIECE = 64512  # CUDBG_CHUNK_SIZE, cudbg_lib_common.h
PAYLOAD = ("Tx payload", "Rx payload")
NO_REGION = "(no region)"
NOT_KNOWN = "(not known)"

LEFT_OUT = "payload, which the driver does not read"
PERHAPS = "all zero: read so, or payload that the driver did not read; there is no MEMINFO to tell"


@dataclass(frozen=True)
class Unread:
    """Bytes ``start`` to ``end`` of an image that are not the memory's; ``sure`` is false where they may be."""

    start: int
    end: int
    sure: bool = True


class MemoryImage(EntityDecoder):
    """A memory's bytes; ``indexes`` are its indexes in MEMINFO's list of memories."""

    indexes: ClassVar[tuple[int, ...]]
    schema = Schema(
        "memory",
        "The regions of a memory's image by offset, the space between them included; regions may overlap (cudbg_read_fw_mem(), "
        "cudbg_lib.c).",
        (
            Column("name", "category", f"the region's name in MEMINFO; {NO_REGION} between regions, {NOT_KNOWN} without MEMINFO"),
            Column("offset", "u64", "in the image", "hex"),
            Column("size", "u64", "bytes", "size"),
            Column("collected", "bool", "false: the driver did not read these bytes; missing: nothing tells"),
            Column("address", "u64", "in the adapter's memory, where offset is; missing without MEMINFO", "hex"),
            Column("note", "text", "why the bytes are not, or may not be, the memory's"),
        ),
    )  # fmt: skip

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return rows of four words in the adapter's order."""
        return Layout((Part("image", words(4), None, "big"),))

    def memory(self, context: Context) -> Range | None:
        """Return what MEMINFO says of this memory; None where it says nothing that can be used."""
        parts = context.other("meminfo")
        found = meminfo.memories(parts, context) if parts else []
        return next((one for one in found if one.idx in self.indexes and one.placed), None)

    def unread(self, parts: Parts, context: Context) -> list[Unread]:
        """Return what of the image is not the memory's content, or may not be, by offset."""
        size, memory = _size(parts), self.memory(context)
        if memory is None:
            return [Unread(start, end, sure=False) for start, end in _joined(_zeros(parts, range(0, size, PIECE)))]
        payload = [one for one in _regions(context) if one.name in PAYLOAD]
        pieces = sorted({start for one in payload for start in _pieces(memory, one, size)})
        if context.unified_wire:  # its releases differ; always compressed, so what was not read is zero
            return [Unread(start, end) for start, end in _joined(_zeros(parts, pieces))]
        return [Unread(start, end) for start, end in _joined((at, min(at + PIECE, size)) for at in pieces)]

    def table(self, parts: Parts, context: Context) -> Table:
        """Return a row for each region, or for each part of it where one was read and another was not."""
        size, memory = _size(parts), self.memory(context)
        unread = self.unread(parts, context)
        named = [(NOT_KNOWN, 0, size)] if memory is None else _named(memory, context, size)
        rows = sorted(
            ((start, end, name, one) for name, first, last in named for start, end, one in _cut(first, last, unread)),
            key=lambda row: row[:2],
        )
        table = Table.from_rows(
            self.schema,
            (
                (name, start, end - start, _collected(one), None if memory is None else memory.base + start, _why(one))
                for start, end, name, one in rows
            ),
        )
        table.spans = np.array([row[:2] for row in rows], np.int64).reshape(-1, 2)
        if left_out := sum(one.end - one.start for one in unread if one.sure):
            table.attrs["note"] = (
                f"{human_size(left_out)} of payload were not read; what stands there is not the memory's."
            )
        return table

    def summary(self, parts: Parts, context: Context) -> str:
        """Return size, address, regions, and how much was not read."""
        size, memory = _size(parts), self.memory(context)
        line = human_size(size)
        if memory is None:
            return f"{line}; no MEMINFO to tell what lies where"
        names = {name for name, _, _ in _named(memory, context, size)} - {NO_REGION}
        line += f" at {memory.base:#x}, {plural(len(names), 'region')}"
        left_out = sum(one.end - one.start for one in self.unread(parts, context))
        return f"{line}; {human_size(left_out)} of payload not collected" if left_out else line


def _regions(context: Context) -> list[Range]:
    parts = context.other("meminfo")
    return meminfo.regions(parts) if parts else []


def _size(parts: Parts) -> int:
    return parts["image"].nbytes + parts[REST].nbytes


def _collected(one: Unread | None) -> bool | None:
    return True if one is None else False if one.sure else None


def _why(one: Unread | None) -> str | None:
    return None if one is None else LEFT_OUT if one.sure else PERHAPS


def _pieces(memory: Range, payload: Range, size: int) -> range:
    """Return where the pieces begin that the driver leaves out for a payload region, by offset in the image.

    Follows cudbg_get_mem_region(), cudbg_get_mem_relative() and cudbg_read_fw_mem() in 32 bits: the end is the region's last
    byte rounded down; of a region that goes on behind the memory it is the memory's own end, counted from address 0.
    """
    if payload.base > memory.end or max(payload.base, payload.limit) < memory.base:
        return range(0)
    start = max(0, payload.base - memory.base)
    end = memory.end if payload.limit > memory.end else (payload.limit - memory.base) & meminfo.MASK
    start, end = -(-start // PIECE) * PIECE, end // PIECE * PIECE
    return range(start, size if size <= end else end - PIECE + 1, PIECE)


def _zeros(parts: Parts, pieces: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield start and end of the pieces that are all zero."""
    content, rest = parts["image"].view(np.uint8), parts[REST]
    content = np.concatenate([content, rest]) if len(rest) else content
    for at in pieces:
        if not content[at : at + PIECE].any():
            yield at, min(at + PIECE, len(content))


def _joined(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield ranges in order, those that follow one another as one."""
    held: tuple[int, int] | None = None
    for start, end in ranges:
        if held and start <= held[1]:
            held = held[0], max(end, held[1])
            continue
        if held:
            yield held
        held = start, end
    if held:
        yield held


def _named(memory: Range, context: Context, size: int) -> list[tuple[str, int, int]]:
    """Return (name, start, end) of the regions in an image, by offset, and of what lies between them."""
    found = []
    for one in _regions(context):
        inside = one.within(memory) if one.placed else None
        if inside and inside[0] - memory.base < size:
            found.append((one.name, inside[0] - memory.base, min(inside[1] - memory.base, size)))
    gaps, position = [], 0
    for _, start, end in sorted(found, key=lambda one: one[1]):
        if start > position:
            gaps.append((NO_REGION, position, start))
        position = max(position, end)
    if position < size:
        gaps.append((NO_REGION, position, size))
    return found + gaps


def _cut(first: int, last: int, unread: list[Unread]) -> Iterator[tuple[int, int, Unread | None]]:
    """Cut a range where reading stops or goes on again."""
    position = first
    for one in unread:
        start, end = max(one.start, first), min(one.end, last)
        if start >= end:
            continue
        if position < start:
            yield position, start, None
        yield start, end, one
        position = end
    if position < last:
        yield position, last, None


class Edc0(MemoryImage):
    """Entity 18."""

    names, title, indexes = ("edc0",), "image of embedded memory 0", (0,)


class Edc1(MemoryImage):
    """Entity 19."""

    names, title, indexes = ("edc1",), "image of embedded memory 1", (1,)


class Mc0(MemoryImage):
    """Entity 20."""

    names, title, indexes = ("mc0",), "image of external memory 0", (2, 3)


class Mc1(MemoryImage):
    """Entity 21."""

    names, title, indexes, chips = ("mc1",), "image of external memory 1", (4,), "T5"


class Hma(MemoryImage):
    """Entity 68."""

    names, title, indexes, chips = ("hma",), "image of the host memory that the adapter uses as its own", (5,), "T6"


DECODERS = (Edc0(), Edc1(), Mc0(), Mc1(), Hma())
