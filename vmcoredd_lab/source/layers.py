"""What a vmcore is wrapped in: flattened, compressed, in a tar archive; told by content, and taken off layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.source.base import ByteSource
from vmcoredd_lab.source.opening import open_source
from vmcoredd_lab.source.urls import is_url, local_path

__all__ = ["is_vmcore", "open_unwrapped", "unwrap"]

MOST_LAYERS = 5  # vmcore.flat.gz in a tar.xz has four
FLATTENED = b"makedumpfile\0\0\0\0"
PACKED = {b"\x1f\x8b\x08": "gzip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2"}
_KDUMP = (b"KDUMP   ", b"DISKDUMP")
_ET_CORE = (b"\4\0", b"\0\4")


def is_vmcore(source: ByteSource) -> bool:
    """Return whether a file that is wrapped in nothing begins as a vmcore does."""
    head = source.read(0, 18)
    return head[:8] in _KDUMP or (head[:4] == b"\x7fELF" and head[16:18] == _ET_CORE[head[5:6] == b"\2"])


def open_unwrapped(what: Any, *, cache_index: bool = False,
                   wanted: Callable[[ByteSource], bool] = is_vmcore) -> ByteSource:  # fmt: skip
    """Return a source for what is inside of a path, URL, file object or bytes.

    With ``cache_index`` the index of a flattened file is kept beside it (``.vmcoredd-index``) and used the next time.

    Raises
    ------
    OpenError: as :func:`~vmcoredd_lab.source.opening.open_source` and :func:`unwrap` raise it.
    """
    return unwrap(open_source(what), beside=_path_of(what) if cache_index else None, wanted=wanted)


def _path_of(what: Any) -> Path | None:
    """Return the path on this machine of what a user passed, or None."""
    if is_url(what):
        what = local_path(what)
    return Path(what) if isinstance(what, (str, Path)) else None


def unwrap(source: ByteSource, *, beside: Path | None = None,
           wanted: Callable[[ByteSource], bool] = is_vmcore) -> ByteSource:  # fmt: skip
    """Return what is inside; the source itself where it is wrapped in nothing.

    ``beside`` is the file's path where the index of a flattened file may be kept beside it; ``wanted`` tells which member
    of an archive is meant.

    Raises
    ------
    OpenError: it cannot be read without unpacking it first (the message has the command), or nothing in it is ``wanted``.
    """
    if len(source.layers) > MOST_LAYERS:
        raise OpenError(
            "wrapped in too many layers", path=source.name, expected=f"at most {MOST_LAYERS}", got=", ".join(source.layers),
            hint="unpack it by hand",
        )  # fmt: skip
    head = source.read(0, 16)
    if head[:4] == b"\x7fELF" or head[:8] in _KDUMP:
        return source
    if head.startswith(FLATTENED):
        from vmcoredd_lab.source.flattened import FlattenedSource

        return unwrap(FlattenedSource(source, beside=beside), wanted=wanted)
    for magic, form in PACKED.items():
        if head.startswith(magic):
            from vmcoredd_lab.source.packed import PackedSource

            return unwrap(PackedSource(source, form), wanted=wanted)
    if source.read(257, 5) == b"ustar":
        from vmcoredd_lab.source.tar import vmcore_in_archive

        return vmcore_in_archive(source, wanted, lambda member: unwrap(member, wanted=wanted))
    return source
