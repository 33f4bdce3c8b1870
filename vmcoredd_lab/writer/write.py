"""Write an image: which container, how its pages are packed, into one file or several, into a file or a pipe."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from vmcoredd_lab.containers.kdump_codecs import COMPRESSIONS
from vmcoredd_lab.errors import OutputError, UsageError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.progress import progress
from vmcoredd_lab.text import escape
from vmcoredd_lab.writer.elf import PIECE, write_elf
from vmcoredd_lab.writer.flattened import FlattenedSink, StreamSink
from vmcoredd_lab.writer.image import VmcoreImage
from vmcoredd_lab.writer.kdump import CACHE, KdumpWriter
from vmcoredd_lab.writer.salvage import readable_part
from vmcoredd_lab.writer.sinks import FileSink, Sink

__all__ = ["FORMATS", "write_vmcore"]

FORMATS = ("elf", "kdump", "flattened-elf", "flattened-kdump")
MISSING = ("error", "excluded")
MOST_PARTS = 1024


def write_vmcore(
    image: VmcoreImage,
    path: Any,
    format: str = "elf",
    compression: str | None = None,
    *,
    parts: int | None = None,
    missing: str = "error",
    problems: Problems | None = None,
) -> list[Path]:
    """Write an image; return the paths of the files, none for a stream.

    A file takes its name when it is whole: where writing fails nothing is left, and what had the name before is still
    there. Memory that takes no room in the image takes none in an ELF file either.

    >>> image = vl.VmcoreImage(machine="x86_64")
    >>> image.add_segment(b"hello".ljust(4096, b"."), paddr=0x1000)
    >>> vl.write_vmcore(image, "small.vmcore")
    [PosixPath('small.vmcore')]
    >>> vl.open_vmcore("small.vmcore").memory.read(0x1000, 5)
    b'hello'

    Parameters
    ----------
    image: a :class:`VmcoreImage`, or what ``core.to_image()`` returns
    path: the file; a list of paths for the parts of a split dump (kdump only), which have about as many pages each; a binary
        file object that is written from front to back (flattened formats only)
    format: ``elf`` as /proc/vmcore is laid out, ``kdump`` for makedumpfile's kdump-compressed format, ``flattened-elf`` or
        ``flattened-kdump`` for either as ``makedumpfile -F`` writes it
    compression: of the pages of kdump: None, ``zlib``, or with the extra ``codecs`` ``lzo``, ``snappy`` or ``zstd``
    parts: how many parts of a split dump to write; they are named PATH.1, PATH.2, ...
    missing: what becomes of memory that cannot be read from the file it comes from (damaged pages, or behind the end of a
        cut file): ``error``, or ``excluded``: all memory is read once before, and what cannot be read is written as left out
    problems: with ``missing="excluded"`` a row for each stretch of memory that was left out is added here

    Raises
    ------
    UsageError: no such format or compression, or the image does not fit the format.
    OutputError: the file system refused, or the package for the compression is not installed.
    NotInFileError: memory that the image should hold cannot be read from the file it comes from, unless ``missing`` is
        ``excluded``.
    """
    if missing not in MISSING:
        raise UsageError("no such way with memory that is missing", expected=", ".join(MISSING), got=missing)
    if format not in FORMATS:
        raise UsageError("no such format", expected=", ".join(FORMATS), got=format)
    if compression not in COMPRESSIONS:
        known = ", ".join(name for name in COMPRESSIONS if name)
        raise UsageError("no such compression", expected=f"None, {known}", got=str(compression))
    if compression and not format.endswith("kdump"):
        raise UsageError("pages of an ELF vmcore are not compressed", expected="format kdump", got=format)
    targets = _targets(path, parts)
    if (parts is not None or isinstance(path, (list, tuple))) and format != "kdump":
        raise UsageError("only the format kdump has split dumps", expected="kdump", got=format)
    split = parts is not None or isinstance(path, (list, tuple))
    if missing == "excluded":
        image, lost = readable_part(image)
        if problems is not None:
            problems.extend(lost)
    with ExitStack() as stack:
        sinks = [stack.enter_context(_sink(target, format)) for target in targets]
        outs: list[Sink] = [FlattenedSink(sink) if format.startswith("flattened") else sink for sink in sinks]
        name = targets[0] if isinstance(targets[0], Path) else getattr(targets[0], "name", "a stream")
        title = f"writing {escape(str(name))}"
        if format.endswith("elf"):
            source = image.source()
            with progress(title, source.size) as advance:
                write_elf(source, outs[0], advance, CACHE if format.startswith("flattened") else PIECE)
        else:
            writer = KdumpWriter(image, COMPRESSIONS[compression])
            with progress(title, writer.size) as advance:
                shares: Sequence[Any] = writer.parts(len(outs)) if split else [None]
                for out, share in zip(outs, shares, strict=True):
                    writer.write(out, share, advance)
    return [target for target in targets if isinstance(target, Path)]


def _targets(path: Any, parts: int | None) -> list[Any]:
    if isinstance(path, (list, tuple)):
        if parts not in (None, len(path)):
            raise UsageError("as many paths as parts", expected=str(parts), got=f"{len(path)} paths")
        targets = [Path(one) for one in path]
    elif parts is not None:
        if not 1 <= parts <= MOST_PARTS:
            raise UsageError("that many parts", expected=f"from 1 to {MOST_PARTS}", got=str(parts))
        targets = [Path(f"{os.fspath(path)}.{i}") for i in range(1, parts + 1)]
    elif hasattr(path, "write"):
        return [path]
    else:
        targets = [Path(path)]
    if not targets or len({os.path.abspath(target) for target in targets}) < len(targets):
        raise UsageError("each part is a file of its own", got=", ".join(map(str, targets)) or "no path")
    return targets


def _sink(target: Any, format: str) -> Sink:
    """Return where to write: a file that appears when it is whole, or for flattened formats a stream."""
    if not isinstance(target, Path):
        if not format.startswith("flattened"):
            raise UsageError(
                "only flattened formats can be written to a stream", expected="flattened-elf or flattened-kdump", got=format
            )  # fmt: skip
        return StreamSink(target)
    if target.exists() and not target.is_file() and not target.is_dir():  # a pipe or device is never replaced
        if not format.startswith("flattened"):
            raise OutputError(
                "cannot be written: not a regular file", path=escape(str(target)), hint="flattened formats go through pipes"
            )  # fmt: skip
        return StreamSink(target.open("wb"), own=True)
    return FileSink(target)
