"""kdump-compressed files with pages in them, laid out and packed as makedumpfile does it.

`frames` draws the memory: p a page of its own, z a page of zeros (all share one), x excluded, . no memory there.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from builders import MARK, Kdump, usual_notes

FLAGS = {"none": 0, "zlib": 1, "lzo": 2, "snappy": 4, "zstd": 0x20}
CODECS = tuple(FLAGS)


def packed(page: bytes, codec: str) -> bytes:
    """The page as `codec` packs it; skips where its package is not installed."""
    if codec == "zlib":
        return zlib.compress(page, 1)
    if codec == "lzo":
        return bytes(pytest.importorskip("lzallright").LZOCompressor().compress(page))
    if codec == "snappy":
        return bytes(pytest.importorskip("cramjam").snappy.compress_raw(page))
    if codec == "zstd":
        return bytes(pytest.importorskip("zstandard").ZstdCompressor(level=1).compress(page))
    return page


def page_of(frame: int, size: int) -> bytes:
    """What the page of a frame holds: no two are alike, and they pack well but not to nothing."""
    line = b"page frame %d " % frame + np.random.default_rng(frame).bytes(24)
    return (line * (size // len(line) + 1))[:size]


@dataclass(frozen=True)
class Pages(Kdump):
    """A Kdump with pages.

    `codec` packs all pages, or `codecs` the page of a frame; `stored` replaces the stored bytes of a frame's page and
    `descriptors` members of its descriptor (offset, size, flags). `room` is how many descriptors there is room for.
    """

    codec: str = "zlib"
    codecs: dict[int, str] = field(default_factory=dict)
    stored: dict[int, bytes] = field(default_factory=dict)
    descriptors: dict[int, dict[str, int]] = field(default_factory=dict)
    room: int = 0

    def build(self) -> bytes:
        """Return the file; its status says how pages are packed."""
        object.__setattr__(self, "status", self.status & ~0x1 | FLAGS[self.codec])
        return super().build()

    def page(self, frame: int) -> bytes:
        """What the memory of a frame holds."""
        return bytes(self.block_size) if self.frames[frame] == "z" else page_of(frame, self.block_size)

    def memory(self) -> dict[int, bytes]:
        """Every page in the file by its frame."""
        first, end = self.split or (0, len(self.frames))
        return {i: self.page(i) for i in range(first, end) if self.frames[i] in "pz"}

    def _bitmap(self, set_for: str) -> bytes:
        return super()._bitmap(set_for.replace("p", "pz"))

    def _pages(self, offset: int) -> bytes:
        memory = self.memory()
        zeros = offset + 24 * max(self.room, len(memory))
        at, table, data = zeros + self.block_size, [], [bytes(self.block_size)]
        for frame, page in memory.items():
            codec = self.codecs.get(frame, self.codec)
            kept, flags = (page, 0) if self.frames[frame] == "z" else (packed(page, codec), FLAGS[codec])
            if len(kept) >= self.block_size:
                kept, flags = page, 0
            kept = self.stored.get(frame, kept)
            shared = self.frames[frame] == "z" and frame not in self.stored
            desc = {"offset": zeros if shared else at, "size": len(kept), "flags": flags} | self.descriptors.get(
                frame, {}
            )
            table.append(struct.pack(MARK[self.order] + "QIIQ", desc["offset"], desc["size"], desc["flags"], 0))
            if not shared:
                data.append(kept)
                at += len(kept)
        return b"".join(table).ljust(zeros - offset, b"\0") + b"".join(data)


def pages(frames: str = "p.xzp", **declared: Any) -> Pages:
    """Pages of 512 bytes behind the usual notes."""
    order, bits = declared.get("order", "little"), declared.get("bits", 64)
    machine = declared.get("machine", "")
    return Pages(usual_notes(order=order, bits=bits, machine=machine), frames, **declared)


def parts(frames: str, *cuts: int, **declared: Any) -> list[bytes]:
    """The parts of one dump split at these frames, each with room for the descriptors of all, as makedumpfile leaves it."""
    room = sum(frame in "pz" for frame in frames)
    edges = [0, *cuts, len(frames)]
    return [pages(frames, split=(first, end), room=room, **declared).build() for first, end in pairwise(edges)]


def descriptor_table(data: bytes) -> int:
    """Where the page descriptors of a built 64-bit little-endian file begin."""
    block, sub_blocks, bitmap_blocks = struct.unpack_from("<III", data, 428)
    return int(block * (1 + sub_blocks + bitmap_blocks))


def bitmap(data: bytes, which: int = 2) -> int:
    """Where the first or second bitmap of a built 64-bit little-endian file begins."""
    block, sub_blocks, bitmap_blocks = struct.unpack_from("<III", data, 428)
    return int(block * (1 + sub_blocks + (which - 1) * bitmap_blocks // 2))


__all__ = ["CODECS", "FLAGS", "Pages", "bitmap", "descriptor_table", "packed", "page_of", "pages", "parts"]
