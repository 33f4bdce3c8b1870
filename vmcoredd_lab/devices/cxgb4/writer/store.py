"""How an entity's bytes are stored, and what the driver makes of an output buffer that is too small.

Sources: cudbg_get_buff() and cudbg_update_buff() in cudbg_common.c, cudbg_compress_buff() in cudbg_zlib.c,
drivers/net/ethernet/chelsio/cxgb4. The driver asks for room for the bytes as they are before it compresses them, so that a
dump may lack entities that would have fitted.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cache

from vmcoredd_lab.devices.cxgb4 import sixpack
from vmcoredd_lab.devices.cxgb4.framing import COMPRESS_ID
from vmcoredd_lab.devices.cxgb4.structs import COMPRESS_HDR
from vmcoredd_lab.structs import ByteOrder

__all__ = ["NO_ROOM", "NoRoomError", "Output", "deflate", "stored_fastlz"]

PIECE = 63 * 1024  # CUDBG_CHUNK_SIZE
STAGING = 4 << 20  # the buffer in which one entity is collected before it is compressed
LEVEL, WINDOW_BITS, MEMORY_LEVEL = 6, 12, 4
NO_ROOM, SYSTEM_ERROR = -19, -29  # CUDBG_STATUS_NO_MEM, CUDBG_SYSTEM_ERROR
# The Unified Wire's library cuts these at PIECE, all others make one chunk
CUT = frozenset({1, 18, 19, 20, 21, 56, 59})  # REG_DUMP, EDC0, EDC1, MC0, MC1, DUMP_CONTEXT, LE_TCAM


class NoRoomError(Exception):
    """The output buffer cannot take the entity; ``status`` is what the collector returns."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def deflate(data: bytes) -> bytes:
    """Return one zlib stream as the driver makes it: level 6, a window of 4 KiB, memory level 4."""
    return _deflate_zeros(len(data)) if data.count(0) == len(data) else _deflate(data)


def _deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW_BITS, MEMORY_LEVEL)
    return engine.compress(data) + engine.flush()


@cache
def _deflate_zeros(size: int) -> bytes:
    """Return the stream of so many zero bytes: QDESC has 32 MiB of them."""
    return _deflate(bytes(size))


def stored_fastlz(number: int, data: bytes) -> bytes:
    """Return an entity's bytes as the Unified Wire's library stores them."""
    return sixpack.pack(data, cut=PIECE if number in CUT else None)


class Output:
    """The driver's output buffer: bytes up to ``size``, or without a limit where that is None."""

    def __init__(self, size: int | None, byteorder: ByteOrder) -> None:
        self.data = bytearray()
        self._size = size
        self._byteorder = byteorder

    @property
    def offset(self) -> int:
        """Where the next byte goes."""
        return len(self.data)

    def _need(self, size: int, status: int = NO_ROOM) -> None:
        if self._size is not None and self.offset + size > self._size:
            raise NoRoomError(status)

    def raw(self, data: bytes) -> None:
        """Append an entity as it is.

        Raises
        ------
        NoRoomError: the buffer ends before it.
        """
        self._need(len(data))
        self.data += data

    def zlib(self, data: bytes, *, in_pieces: bool) -> None:
        """Append an entity as zlib pieces with their headers; ``in_pieces``: the collector hands them over one by one.

        Raises
        ------
        NoRoomError: there is no room for the bytes uncompressed, the staging buffer is too small, or a stream does not fit.
        """
        if not in_pieces:
            self._need(len(data))
            if self._size is not None and len(data) > STAGING:
                raise NoRoomError(NO_ROOM)
        for plain in _cut(data):
            if in_pieces:
                self._need(len(plain))
            stream = deflate(plain)
            self._need(COMPRESS_HDR.size())
            self.data += COMPRESS_HDR.write(
                byteorder=self._byteorder,
                compress_id=COMPRESS_ID,
                decompress_size=len(plain),
                compress_size=len(stream),
            )
            self._need(len(stream), SYSTEM_ERROR)
            self.data += stream

    def align(self, start: int) -> int:
        """Fill an entity that began at ``start`` up to a multiple of 4 bytes; return how many bytes that took."""
        padding = -(self.offset - start) % 4
        self.data += bytes(padding)
        return padding


def _cut(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), PIECE):
        yield bytes(data[at : at + PIECE])
