"""makedumpfile's flattened format (``makedumpfile -F``, and what QEMU's dump-guest-memory writes as kdump).

4096 bytes of header, then records: two big-endian 64-bit integers, offset and size, and the bytes that belong there in the
file that it unfolds to; offset -1 ends it. Records come in the order of writing, and what was written last holds.
Nothing is rewritten to disk: one pass over the records' headers makes an index (makedumpfile, makedumpfile.h, struct
makedumpfile_header and makedumpfile_data_header).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.progress import Advance, progress
from vmcoredd_lab.source import flattened_cache
from vmcoredd_lab.source.base import ByteSource
from vmcoredd_lab.source.commands import unpack_command
from vmcoredd_lab.source.flattened_records import LIMIT, RECORD, Headers, Records, find_chain
from vmcoredd_lab.source.pieces import PiecesSource, last_one_holds
from vmcoredd_lab.text import plural

__all__ = ["SIGNATURE", "FlattenedSource"]

SIGNATURE = b"makedumpfile\0\0\0\0"
HEADER_SIZE = 4096
HEADER = struct.Struct(">16sqq")  # signature, type, version: both 1
END = -1  # offset (and size) of the record that ends the file
MOST_RECORDS = 1 << 24
MOST_OVERLAPPING = 1 << 22
MOST_LOSSES = 32  # places where the chain of records is lost
LARGE = 64 << 20  # a record that should be larger than this and does not fit is more likely a damaged size
WHERE = "flattened records"


class FlattenedSource(PiecesSource):
    """The file that a flattened one unfolds to; offsets are those of that file."""

    def __init__(self, inner: ByteSource, *, beside: Path | None = None) -> None:
        """Read every record's header once. ``beside``: the path of the file, where the index may be kept beside it.

        Raises
        ------
        OpenError: the file is cut inside its header, or none of its records can be read.
        """
        self._found = Problems()
        self._check_header(inner)
        records = flattened_cache.load(beside, inner) if beside else None
        if records is None:
            records = _Walk(inner, self._found).records()
            if beside and not self._found.damaged:
                flattened_cache.store(beside, inner, records, self._found)
        offsets, sizes, places = records.arrays()
        pieces = last_one_holds(offsets, sizes, places)
        super().__init__(inner, pieces, int(pieces[1][-1]), "flattened")

    def _check_header(self, inner: ByteSource) -> None:
        head = inner.read(0, HEADER.size)
        if inner.size < HEADER_SIZE:
            raise OpenError(
                "the file is cut inside the header of makedumpfile's flattened format", path=inner.name, offset=inner.size,
                expected=f"{HEADER_SIZE} bytes", got=f"{inner.size} bytes", hint="copy the file again",
            )  # fmt: skip
        _, kind, version = HEADER.unpack(head)
        if (kind, version) != (1, 1):
            self._found.error(
                WHERE, "the header of the flattened file is not of a type and version that is known; the records are read "
                "as those of version 1", offset=16, expected="type 1, version 1", got=f"type {kind}, version {version}",
            )  # fmt: skip

    def problems(self) -> Problems:
        """Return what is wrong with the records; offsets are those of the flattened file itself."""
        return Problems(super().problems(), self._found)


class _Walk:
    """One pass over the records' headers."""

    def __init__(self, source: ByteSource, problems: Problems) -> None:
        self._source = source
        self._problems = problems
        self._headers = Headers(source)
        self._records = Records()
        self._losses = 0

    def records(self) -> Records:
        with progress(f"indexing {self._source.name}", self._source.size) as advance:
            self._walk(advance)
        if not len(self._records):
            raise OpenError(
                "makedumpfile's flattened format without a record that can be read", path=self._source.name, offset=HEADER_SIZE,
                expected="a record: offset and size as big-endian 64-bit integers",
                got=self._source.read(HEADER_SIZE, RECORD).hex(" ") or "the end of the file",
                hint=f"copy the file again, or try: {self._command()}",
            )  # fmt: skip
        offsets, sizes, _ = self._records.arrays()
        if len(offsets) > MOST_OVERLAPPING and _overlapping(offsets, sizes) > MOST_OVERLAPPING:
            raise OpenError(
                "too many records that overlap", path=self._source.name, expected=f"at most {MOST_OVERLAPPING:,}",
                got=plural(len(offsets), "record"), hint=f"rebuild it first: {self._command()}",
            )  # fmt: skip
        return self._records

    def _command(self) -> str:
        return unpack_command(self._source.name, (*self._source.layers, "flattened"))

    def _walk(self, advance: Advance) -> None:
        position, told, records, previous = HEADER_SIZE, 0, self._records, -1
        while True:
            if position - told > 1 << 22:
                advance(position - told)
                self._source.done_with(told, position - told)
                told = position
            header = self._headers.at(position)
            if header is None:
                self._no_end(position)
                return
            offset, size = header
            if offset == END and (size == END or self._headers.at(position + RECORD) is None):
                records.end = position
                return
            if len(records) >= MOST_RECORDS:
                self._problems.error(
                    WHERE, "more records than are read; those behind are not used", offset=position,
                    expected=f"at most {MOST_RECORDS:,}", got=plural(len(records), "record"),
                )  # fmt: skip
                return
            data, left = position + RECORD, self._source.size - position - RECORD
            if offset < 0 or offset + size > LIMIT or size < 0 or size > left or (offset, size) == (0, 0):
                following = self._wrong(position, offset, size, left)
                if following is None:
                    return
                position = following
                continue
            if size == previous and self._source.mapped:  # a row of one size, as makedumpfile's buffer makes them
                position = self._row(position, size)
                continue
            previous = size
            if size:
                self._add(offset, size, data)
            position = data + size

    def _add(self, offset: int, size: int, place: int) -> None:
        self._records.offsets.append(offset)
        self._records.sizes.append(size)
        self._records.places.append(place)

    def _row(self, position: int, size: int) -> int:
        """Take as many records of this size as follow each other, the one at ``position`` first; return what is behind."""
        offsets = self._headers.row(position, size, MOST_RECORDS - len(self._records))
        count, step = len(offsets), RECORD + size
        if size:
            self._records.offsets.frombytes(offsets.astype(np.int64).tobytes())
            self._records.sizes.frombytes(np.full(count, size, np.int64).tobytes())
            places = position + RECORD + step * np.arange(count, dtype=np.int64)
            self._records.places.frombytes(places.tobytes())
        return position + count * step

    # -- damage -------------------------------------------------------------------------------------------------------

    def _no_end(self, position: int) -> None:
        left = self._source.size - position
        self._problems.error(
            WHERE, "the flattened file ends without the record that ends it: the copy did not finish, and what was written "
            "last is missing", offset=position, expected="offset -1 and size -1",
            got=f"{left} bytes" if left else "the end of the file",
        )  # fmt: skip

    def _wrong(self, position: int, offset: int, size: int, left: int) -> int | None:
        """Record a header that cannot be; return where to go on, None where nothing more can be read."""
        got = f"offset {offset:#x}, size {size:#x}"
        possible = 0 <= offset <= LIMIT and offset + size <= LIMIT
        if possible and left < size <= LARGE:
            self._cut(position, offset, size, left)
            return None
        if not possible and 0 < size <= left and self._headers.plausible(position + RECORD + size):
            self._problems.error(
                WHERE, "a record that belongs where no vmcore reaches; it is left out", offset=position,
                expected=f"an offset from 0 to {LIMIT:#x}", got=got,
            )  # fmt: skip
            return position + RECORD + size
        self._losses += 1
        found = find_chain(self._headers, position + 1) if self._losses <= MOST_LOSSES else None
        if found is None and possible and size > left:
            self._cut(position, offset, size, left)
            return None
        self._problems.error(
            WHERE, "not a record's header: the chain of records is lost here; "
            + ("nothing behind it is used" if found is None else f"it goes on at {found:#x}, what lies between is lost"),
            offset=position, expected="an offset, and a size within the file", got=got,
        )  # fmt: skip
        return found

    def _cut(self, position: int, offset: int, size: int, left: int) -> None:
        if left:
            self._add(offset, left, position + RECORD)
        self._problems.error(
            WHERE, "the flattened file is cut inside a record, whose beginning is used; what was written later is missing",
            offset=position, expected=f"{size:,} bytes", got=f"{left:,} bytes",
        )  # fmt: skip


def _overlapping(offsets: Any, sizes: Any) -> int:
    order = np.argsort(offsets, kind="stable")
    ends = np.maximum.accumulate(offsets[order] + sizes[order])
    return int(np.count_nonzero(offsets[order][1:] < ends[:-1]))
