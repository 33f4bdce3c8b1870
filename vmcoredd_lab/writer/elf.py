"""Write an image as an ELF vmcore."""

from __future__ import annotations

from vmcoredd_lab.errors import OutputError
from vmcoredd_lab.progress import Advance
from vmcoredd_lab.source.base import ByteSource
from vmcoredd_lab.writer.sinks import Sink

__all__ = ["write_elf"]

PIECE = 1 << 20


def write_elf(source: ByteSource, sink: Sink, advance: Advance, piece: int = PIECE) -> None:
    """Write the file that ``source`` is, piece by piece; holes stay holes.

    Raises
    ------
    OutputError: bytes cannot be read that should be there.
    """
    done = 0
    for start, end in source.extents(0, source.size):
        for at in range(start, end, piece):
            size = min(piece, end - at)
            data = source.view(at, size)
            if len(data) != size:
                raise OutputError(
                    "what is to be written cannot be read whole", path=source.name, offset=at + len(data),
                    expected=f"{size:,} bytes", got=f"{len(data):,} bytes", hint="the file behind it is cut or changed",
                )  # fmt: skip
            sink.write(at, data)
            source.done_with(at, size)
            advance(at + size - done)
            done = at + size
    advance(source.size - done)
    sink.finish(source.size)
