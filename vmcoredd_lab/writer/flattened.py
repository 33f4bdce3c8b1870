"""makedumpfile's flattened format, written record by record as the bytes come: to a file, or into a pipe.

The declarations are those that the reader uses (:mod:`vmcoredd_lab.source.flattened`).
"""

from __future__ import annotations

from types import TracebackType
from typing import IO

from vmcoredd_lab.errors import OutputError
from vmcoredd_lab.source.flattened import END, HEADER, HEADER_SIZE, SIGNATURE
from vmcoredd_lab.source.flattened_records import RECORD_HEADER
from vmcoredd_lab.writer.sinks import Data, Sink

__all__ = ["FlattenedSink", "StreamSink"]


class StreamSink(Sink):
    """A binary file object that is written from front to back, such as a pipe."""

    def __init__(self, stream: IO[bytes], *, own: bool = False) -> None:
        """Take the file object; with ``own`` it is closed when the context is left."""
        self._stream = stream
        self._own = own

    def write(self, offset: int, data: Data) -> None:
        """Write what comes next; ``offset`` is where the last bytes ended."""
        try:
            self._stream.write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            name = str(getattr(self._stream, "name", "<file object>"))
            raise OutputError(f"cannot be written: {error.strerror}", path=name) from None

    def finish(self, size: int) -> None:
        """Write what the file object still keeps."""
        self._stream.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own:
            self._stream.close()


class FlattenedSink(Sink):
    """Writes each piece as a record. Holes of the file it unfolds to need no record."""

    def __init__(self, inner: Sink) -> None:
        self._inner = inner
        self._at = 0
        self._end = 0  # of the file that it unfolds to, as far as records reach
        self._put(HEADER.pack(SIGNATURE, 1, 1).ljust(HEADER_SIZE, b"\0"))

    def _put(self, data: Data) -> None:
        self._inner.write(self._at, data)
        self._at += len(data)

    def write(self, offset: int, data: Data) -> None:
        """Write a record."""
        if not len(data):
            return
        self._put(RECORD_HEADER.pack(offset, len(data)))
        self._put(data)
        self._end = max(self._end, offset + len(data))

    def finish(self, size: int) -> None:
        """End the file; where the file that it unfolds to ends in a hole, a last byte says how long it is."""
        if self._end < size:
            self.write(size - 1, b"\0")
        self._put(RECORD_HEADER.pack(END, END))
        self._inner.finish(self._at)
