"""The index of a flattened file, kept beside it on request, so that the next command need not read every record's header.

Nothing in it is believed because it is there: size and time of the flattened file must be those it was made from, its own
checksum must hold, every record must lie inside the file, and a sample of records is compared with their headers.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from array import array
from pathlib import Path

import numpy as np

from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source.base import ByteSource
from vmcoredd_lab.source.flattened_records import LIMIT, RECORD, Headers, Records

__all__ = ["SUFFIX", "load", "store"]

SUFFIX = ".vmcoredd-index"
_SIGNATURE = b"VMCDDIX1"
_HEADER = struct.Struct("<8sqqqqQ")  # signature, size and mtime_ns of the file, records, end, CRC-32 of the columns
_SAMPLE = 64


def store(path: Path, source: ByteSource, records: Records, problems: Problems) -> None:
    """Write the index beside the file, in one step; where that cannot be, say so among the problems."""
    columns = [column.astype("<i8").tobytes() for column in records.arrays()]
    try:
        status = path.stat()
        if status.st_size != source.size:
            return
        head = [_SIGNATURE, status.st_size, status.st_mtime_ns, len(records), records.end]
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.write(_HEADER.pack(*head, _checksum(columns)))
                for column in columns:
                    file.write(column)
                file.flush()
                Path(file.name).replace(path.with_name(path.name + SUFFIX))
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        problems.add(
            "info", "flattened records", f"the index cannot be kept beside the file: {error.strerror or error}"
        )


def load(path: Path, source: ByteSource) -> Records | None:
    """Return the records of the index beside the file; None where there is none, or it is not of this very file."""
    try:
        status = path.stat()
        beside = path.with_name(path.name + SUFFIX)
        length = beside.stat().st_size
        with beside.open("rb") as file:
            head = file.read(_HEADER.size).ljust(_HEADER.size, b"\0")
            signature, size, mtime, count, end, checksum = _HEADER.unpack(head)
            same = (signature, size, mtime) == (_SIGNATURE, status.st_size, status.st_mtime_ns) and size == source.size
            if not same or count < 1 or length != _HEADER.size + 24 * count:
                return None
            columns = [file.read(8 * count) for _ in range(3)]
    except OSError:
        return None
    if _checksum(columns) != checksum or any(len(c) != 8 * count for c in columns):
        return None
    records = Records(*(array("q", np.frombuffer(c, "<i8").astype(np.int64).tobytes()) for c in columns), end=end)
    return records if _agrees(records, source) else None


def _agrees(records: Records, source: ByteSource) -> bool:
    """Return whether every record lies inside the file, and those of a sample where their headers say."""
    offsets, sizes, places = records.arrays()
    inside = (offsets >= 0) & (sizes > 0) & (sizes <= LIMIT) & (offsets <= LIMIT - sizes)
    inside &= (places >= 4096 + RECORD) & (places <= source.size - sizes)
    if not inside.all():
        return False
    headers = Headers(source)
    last = headers.at(records.end) if records.end > 0 else None
    if last is None or last[0] != -1:
        return False
    sample = np.unique(np.linspace(0, len(records) - 1, _SAMPLE).astype(np.int64)).tolist()
    return all(headers.at(int(places[i]) - RECORD) == (int(offsets[i]), int(sizes[i])) for i in sample)


def _checksum(columns: list[bytes]) -> int:
    checksum = 0
    for column in columns:
        checksum = zlib.crc32(column, checksum)
    return checksum
