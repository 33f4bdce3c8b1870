"""Notes as bytes: each header with its owner, descriptors where they are, filled up to four bytes as the kernel does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vmcoredd_lab.errors import OutputError
from vmcoredd_lab.model import ImageNote
from vmcoredd_lab.notes.header import NHDR
from vmcoredd_lab.source.base import Buffer, MemorySource
from vmcoredd_lab.structs import ByteOrder

__all__ = ["NotePieces"]

SMALL = 1 << 16  # descriptors up to this are copied together with their neighbours


class NotePieces:
    """The notes of an image as pieces that follow each other; ``size`` is that of all of them."""

    def __init__(self, notes: Sequence[ImageNote], byteorder: ByteOrder) -> None:
        self.size = 0
        self.desc_offsets: list[int] = []  # of each note, from the first note's beginning
        self._pieces: list[tuple[Buffer, int]] = []
        self._gathered = bytearray()
        for note in notes:
            self._add(note, byteorder)
        self._flush()

    def _add(self, note: ImageNote, byteorder: ByteOrder) -> None:
        size = len(note.desc)
        self._put(NHDR.write(byteorder=byteorder, n_namesz=len(note.owner), n_descsz=size, n_type=note.type))
        self._put(note.owner + bytes(-(NHDR.size() + len(note.owner)) % 4))
        self.desc_offsets.append(self.size)
        if size <= SMALL:
            data = bytes(note.desc)
            if len(data) < size:
                raise OutputError("a note's descriptor cannot be read whole", path=note.desc.source.name)
            self._put(data)
        else:
            self._flush()
            self._pieces.append((note.desc, self.size))
            self.size += size
        self._put(bytes(-size % 4))

    def _put(self, data: bytes) -> None:
        self._gathered += data
        self.size += len(data)

    def _flush(self) -> None:
        if self._gathered:
            size = len(self._gathered)
            self._pieces.append((Buffer(MemorySource(bytes(self._gathered)), 0, size), self.size - size))
            self._gathered.clear()

    def placed(self, at: int) -> Iterator[tuple[Buffer, int]]:
        """Yield each piece and where it lies in a file whose notes begin at ``at``."""
        for content, offset in self._pieces:
            yield content, at + offset

    def chunks(self, size: int) -> Iterator[tuple[int, bytes]]:
        """Yield (place, bytes) of all notes in pieces of this size, the last one shorter.

        Raises
        ------
        OutputError: a descriptor cannot be read whole.
        """
        at, gathered = 0, bytearray()
        for content, _ in self._pieces:
            for part in content.chunks(size):
                gathered += part
                while len(gathered) >= size:
                    yield at, bytes(gathered[:size])
                    at += size
                    del gathered[:size]
        if at + len(gathered) != self.size:
            raise OutputError(
                "the notes cannot be read whole", expected=f"{self.size:,} bytes", got=f"{at + len(gathered):,} bytes",
                hint="the file behind them is cut or changed",
            )  # fmt: skip
        if gathered:
            yield at, bytes(gathered)
