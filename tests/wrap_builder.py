"""What vmcores are wrapped in: flattened files, tar archives, compressed files; built with `struct` and the usual libraries."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import lzma
import random
import struct
import tarfile
from collections.abc import Callable, Iterable

import pytest

END = struct.pack(">qq", -1, -1)


def flat_header(kind: int = 1, version: int = 1) -> bytes:
    return struct.pack(">16sqq", b"makedumpfile", kind, version).ljust(4096, b"\0")


def record(offset: int, data: bytes, size: int | None = None) -> bytes:
    """A record; `size` replaces what is true."""
    return struct.pack(">qq", offset, len(data) if size is None else size) + data


def flattened(*records: tuple[int, bytes], end: bytes = END) -> bytes:
    return flat_header() + b"".join(record(offset, data) for offset, data in records) + end


def flatten(data: bytes, chunk: int = 96, *, shuffled: bool = True) -> bytes:
    """A file in pieces of one size, not in order, as makedumpfile writes descriptors after the data they describe."""
    pieces = [(at, data[at : at + chunk]) for at in range(0, len(data), chunk)]
    if shuffled:
        random.Random(len(data)).shuffle(pieces)
    return flattened(*pieces)


def unfolded(records: Iterable[tuple[int, bytes]]) -> bytes:
    """What writing the records one after the other makes."""
    out = bytearray()
    for offset, data in records:
        out.extend(bytes(max(0, offset + len(data) - len(out))))
        out[offset : offset + len(data)] = data
    return bytes(out)


def tar(*members: tuple[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def many(pack: Callable[[bytes], bytes], data: bytes, piece: int) -> bytes:
    """Packed pieces one behind the other, as parallel compressors write them."""
    return b"".join(pack(data[at : at + piece]) for at in range(0, len(data), piece))


def zstd(data: bytes, *, size: bool = True) -> bytes:
    zstandard = pytest.importorskip("zstandard", reason="zstandard is not installed")
    return bytes(zstandard.ZstdCompressor(write_content_size=size, write_checksum=True).compress(data))


def xz(data: bytes) -> bytes:
    return lzma.compress(data, preset=1)


PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": xz}
if importlib.util.find_spec("zstandard"):
    PACKERS["zstd"] = zstd
