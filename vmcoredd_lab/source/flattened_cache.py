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
_HEADER = struct.Struct("<8sqqqqI4x")  # signature, size and mtime_ns of the flattened file, records, end, CRC-32 of the rest
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
        problems.add("info", "flattened records", f"the index cannot be kept beside the file: {error.strerror or error}")


def load(path: Path, source: ByteSource) -> Records | None:
    """Return the records of the index beside the file; None where there is none, or it is not of this very file."""
    try:
        status = path.stat()
        beside = path.with_name(path.name + SUFFIX)
        length = beside.stat().st_size
        with beside.open("rb") as file:
            head = file.read(_HEADER.size)
            if len(head) < _HEADER.size:
                return None
            signature, size, mtime, count, end, checksum = _HEADER.unpack(head)
            if (signature, size, mtime) != (_SIGNATURE, status.st_size, status.st_mtime_ns) or size != source.size:
                return None
            if count < 1 or length != _HEADER.size + 24 * count:
                return None
            columns = [file.read(8 * count) for _ in range(3)]
    except OSError:
        return None
    if _checksum(columns) != checksum or any(len(c) != 8 * count for c in columns):
        return None
    offsets, sizes, places = (np.frombuffer(c, "<i8").astype(np.int64) for c in columns)
    inside = (offsets >= 0) & (sizes > 0) & (sizes <= LIMIT) & (offsets <= LIMIT - sizes)
    inside &= (places >= 4096 + RECORD) & (places <= source.size - sizes)
    if not inside.all():
        return None
    headers = Headers(source)
    last = headers.at(end) if end > 0 else None
    if last is None or last[0] != -1:
        return None
    for i in np.unique(np.linspace(0, count - 1, _SAMPLE).astype(np.int64)).tolist():
        if headers.at(int(places[i]) - RECORD) != (int(offsets[i]), int(sizes[i])):
            return None
    return Records(*(array("q", c.tobytes()) for c in (offsets, sizes, places)), end)


def _checksum(columns: list[bytes]) -> int:
    checksum = 0
    for column in columns:
        checksum = zlib.crc32(column, checksum)
    return checksum

