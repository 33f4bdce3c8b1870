"""A cache of aligned blocks: bounded in bytes, the least recently used go first; and how far to read ahead."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

__all__ = ["BLOCK", "BlockCache", "ReadAhead"]

BLOCK = 32 << 10


class BlockCache:
    """Blocks of :data:`BLOCK` bytes by number; the last of a file may be shorter."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def __contains__(self, number: int) -> bool:
        return number in self._blocks

    def get(self, number: int) -> bytes | None:
        """Return a block, or None."""
        block = self._blocks.get(number)
        if block is not None:
            self._blocks.move_to_end(number)
        return block

    def put(self, first: int, data: bytes | bytearray | memoryview) -> None:
        """Keep data that begin with block ``first``."""
        for at in range(0, len(data), BLOCK):
            number, block = first + at // BLOCK, bytes(data[at : at + BLOCK])
            old = self._blocks.pop(number, b"")
            self._blocks[number] = block
            self.size += len(block) - len(old)
        while self.size > self.limit and len(self._blocks) > 1:
            self.size -= len(self._blocks.popitem(last=False)[1])

    def missing(self, first: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield [first, stop) of every run of blocks that are not here: each is one request."""
        start = None
        for number in range(first, stop):
            if number in self._blocks:
                if start is not None:
                    yield start, number
                start = None
            elif start is None:
                start = number
        if start is not None:
            yield start, stop


class ReadAhead:
    """How many blocks to read beyond what is asked: one at first, doubled each time that reading goes on where it ended.

    Several places may be read in turn (page descriptors and pages): each is a stream of its own.
    """

    MOST = (4 << 20) // BLOCK
    STREAMS = 8

    def __init__(self) -> None:
        self._streams: OrderedDict[int, int] = OrderedDict()  # where the next read would begin: blocks read ahead last

    def blocks(self, first: int, stop: int) -> int:
        """Return how many blocks to add to a request for blocks [first, stop)."""
        ahead = 1
        for expected, last in self._streams.items():
            if expected <= first <= expected + last:
                del self._streams[expected]
                ahead = min(last * 2, self.MOST)
                break
        self._streams[stop + ahead] = ahead
        if len(self._streams) > self.STREAMS:
            self._streams.popitem(last=False)
        return ahead
