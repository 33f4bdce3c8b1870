"""How one page of a kdump-compressed file is inflated and deflated: zlib from the standard library, the others from the
codecs extra.

A function for each compression takes the stored bytes and returns a page, or raises :class:`PageDamage`. What a page
inflates to is bounded before it is inflated: sizes in a damaged file are not believed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vmcoredd_lab.errors import OpenError, OutputError

__all__ = [
    "COMPRESSIONS",
    "LZO",
    "SNAPPY",
    "STORED",
    "ZLIB",
    "ZSTD",
    "Codecs",
    "Deflate",
    "Inflate",
    "PageDamage",
    "deflater",
]

STORED, ZLIB, LZO, SNAPPY, ZSTD = 0, 0x1, 0x2, 0x4, 0x20  # DUMP_DH_COMPRESSED_*, diskdump_mod.h of makedumpfile

COMPRESSIONS: dict[str | None, int] = {None: STORED, "zlib": ZLIB, "lzo": LZO, "snappy": SNAPPY, "zstd": ZSTD}

Inflate = Callable[[Any], "bytes | bytearray"]
Deflate = Callable[[Any], "bytes | bytearray | memoryview"]

_PACKAGES = {LZO: ("lzo", "lzallright"), SNAPPY: ("snappy", "cramjam"), ZSTD: ("zstd", "zstandard")}


class PageDamage(Exception):
    """A page that cannot be what its descriptor says: what was expected, and what was found."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(got)
        self.expected = expected
        self.got = got


class Codecs:
    """Inflating functions by the flags of a descriptor, made when first needed. Not shared between threads."""

    def __init__(self, block_size: int, path: str) -> None:
        self._block_size = block_size
        self._path = path
        self._known: dict[int, Inflate] = {}

    def __getitem__(self, flags: int) -> Inflate:
        """Return the function for these flags.

        Raises
        ------
        PageDamage: no compression has such flags.
        OpenError: the package that inflates it is not installed.
        """
        inflate = self._known.get(flags)
        if inflate is None:
            make = _MAKERS.get(flags)
            if make is None:
                raise PageDamage("flags 0, 1 (zlib), 2 (lzo), 4 (snappy) or 0x20 (zstd)", f"flags {flags:#x}")
            try:
                inflate = make(self._block_size)
            except ImportError:
                name, package = _PACKAGES[flags]
                raise OpenError(
                    f"pages are compressed with {name}, and the package that inflates them is not installed",
                    path=self._path, expected=f"the package {package}", got="no such package",
                    hint=f"install it: pip install {package} (or 'vmcoredd-lab[codecs]'); notes and device dumps need no page",
                ) from None  # fmt: skip
            self._known[flags] = inflate
        return inflate


def _whole(page: bytes | bytearray, block_size: int) -> bytes | bytearray:
    if len(page) != block_size:
        raise PageDamage(f"a page of {block_size:,} bytes", f"{len(page):,} bytes")
    return page


def _stored(block_size: int) -> Inflate:
    return lambda data: _whole(bytes(data), block_size)


def _zlib(block_size: int) -> Inflate:
    from zlib import decompressobj, error

    room = block_size + 1  # one byte more shows a page that is too long, and lets the stream reach its checksum

    def inflate(data: Any) -> bytes:
        stream = decompressobj()
        try:
            page = stream.decompress(data, room)
        except error as problem:
            raise PageDamage("a zlib stream", str(problem)) from None
        if len(page) != block_size or not stream.eof:
            got = f"more than {block_size:,} bytes" if len(page) > block_size else f"{len(page):,} bytes"
            raise PageDamage(
                f"a page of {block_size:,} bytes", got if stream.eof else f"{got}, the stream not at its end"
            )
        return page

    return inflate


def _lzo(block_size: int) -> Inflate:
    from lzallright import LZOCompressor, LZOError

    decompress = LZOCompressor.decompress

    def inflate(data: Any) -> bytes:
        try:
            page: bytes = decompress(data, block_size)
        except LZOError as problem:  # its further arguments are whatever was inflated
            raise PageDamage("an LZO1X stream", str(problem.args[0]).rpartition(".")[2]) from None
        return page if len(page) == block_size else bytes(_whole(page, block_size))

    return inflate


def _snappy(block_size: int) -> Inflate:
    from cramjam import DecompressionError, snappy

    def inflate(data: Any) -> bytearray:
        try:
            announced = snappy.decompress_raw_len(data)
            if announced == block_size:
                page = bytearray(block_size)
                if snappy.decompress_raw_into(data, page) == block_size:
                    return page
        except DecompressionError as problem:
            raise PageDamage("a snappy block", str(problem)) from None
        raise PageDamage(f"a page of {block_size:,} bytes", f"{announced:,} bytes")

    return inflate


def _zstd(block_size: int) -> Inflate:
    from zstandard import ZstdDecompressor, ZstdError, frame_content_size

    decompress = ZstdDecompressor().decompress

    def inflate(data: Any) -> bytes:
        try:
            announced = frame_content_size(data)  # -1 where the frame does not say
            if announced in (block_size, -1):
                page: bytes = decompress(data, block_size)
                return page if len(page) == block_size else bytes(_whole(page, block_size))
        except ZstdError as problem:
            raise PageDamage("a zstd frame", str(problem)) from None
        raise PageDamage(f"a page of {block_size:,} bytes", f"{announced:,} bytes")

    return inflate


_MAKERS: dict[int, Callable[[int], Inflate]] = {
    STORED: _stored, ZLIB: _zlib, LZO: _lzo, SNAPPY: _snappy, ZSTD: _zstd,
}  # fmt: skip


# -- the other way ----------------------------------------------------------------------------------------------------


def deflater(flags: int) -> Deflate:
    """Return a function that packs a page, at the level that makedumpfile uses; not to be shared between threads.

    Raises
    ------
    OutputError: the package that does it is not installed.
    """
    try:
        return _DEFLATERS[flags]()
    except ImportError:
        name, package = _PACKAGES[flags]
        raise OutputError(
            f"pages cannot be packed with {name}: the package that does it is not installed", expected=f"the package {package}",
            got="no such package", hint=f"install it: pip install {package} (or 'vmcoredd-lab[codecs]'); zlib needs nothing",
        ) from None  # fmt: skip


def _zlib_deflater() -> Deflate:
    from zlib import Z_BEST_SPEED, compress

    return lambda page: compress(page, Z_BEST_SPEED)


def _lzo_deflater() -> Deflate:
    from lzallright import LZOCompressor

    compress = LZOCompressor().compress
    return lambda page: compress(bytes(page))


def _snappy_deflater() -> Deflate:
    from cramjam import snappy

    return lambda page: memoryview(snappy.compress_raw(page))


def _zstd_deflater() -> Deflate:
    from zstandard import ZstdCompressor

    return ZstdCompressor(level=1).compress


_DEFLATERS: dict[int, Callable[[], Deflate]] = {
    ZLIB: _zlib_deflater, LZO: _lzo_deflater, SNAPPY: _snappy_deflater, ZSTD: _zstd_deflater,
}  # fmt: skip
