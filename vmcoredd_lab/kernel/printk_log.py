"""The buffer of records from 3.5 to 5.9 (kernel/printk/printk.c): header, text and dictionary, one record behind the other.

A length of 0 means that the next record is at the start of the buffer. Where a header cannot be one, the next place from
which a few believable records follow one another is looked for, and what lies between is one damaged record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vmcoredd_lab.kernel import printk_structs as structs
from vmcoredd_lab.kernel.layout import Layouts
from vmcoredd_lab.kernel.printk_records import DAMAGED, FINALIZED, Array, LogRecords
from vmcoredd_lab.kernel.regions import KernelMemory, Region

__all__ = ["read_log"]

MOST_BYTES = 1 << 27
ALIGN = 4  # of records; 8 where the machine aligns 64-bit members to it
Complain = Callable[[str, int, str], None]

NOT_THE_KERNELS = "the kernel's own sequence numbers are not recorded: seq counts from the oldest record that is there"


def read_log(kernel: KernelMemory, layouts: Layouts, name: str, address: int, size: int, ends: tuple[int, int],
             complain: Complain) -> LogRecords:  # fmt: skip
    """Return the records of a buffer. ``name``: printk_log, or log; ``ends``: log_first_idx and log_next_idx."""
    if not 64 <= size <= MOST_BYTES:
        kept = min(max(size, 0), MOST_BYTES)
        complain(f"log_buf_len is {size:,}; {kept:,} bytes are read", address, "log_buf_len")
        size = kept
    region = kernel.region(address, size, "log_buf").shortened()
    with_caller = layouts.records(f"OFFSET({name}.caller_id)")
    struct = structs.PRINTK_LOG_CALLER if with_caller else structs.PRINTK_LOG
    form = layouts.dtype(struct, name)
    first, next_ = ends
    if not (0 <= first < size and 0 <= next_ <= size) or first % ALIGN or next_ % ALIGN:
        complain(f"the log goes from {first:#x} to {next_:#x}, and has {size:#x} bytes; it is searched for records", address,
                 "log_first_idx")  # fmt: skip
        first, next_ = 0, size
    starts, broken = _walk(region.data, form, first, next_, complain, address)
    if starts and len(broken) == len(starts):
        complain(
            f"no record of the log is where it begins, at {first:#x}; all of it is searched", address, "log_first_idx"
        )
        starts, broken = _walk(region.data, form, 0, size, complain, address)
    return _records(region, form, layouts, starts, broken, first_form=name == "log")


def _walk(
    data: bytes, form: np.dtype[Any], first: int, end: int, complain: Complain, address: int
) -> tuple[list[int], set[int]]:
    """Return where records begin, and which of these are places where none could be read."""
    header, size = form.itemsize, len(data)
    lengths = _lengths(data, form)
    believable = _believable(data, form)
    starts: list[int] = []
    broken: set[int] = set()
    at, wrapped = first, end > first
    length_of, good = lengths.tolist(), believable.tolist()  # by every 4th byte
    while at != end:
        if at + header > size or (not length_of[at // ALIGN] and at % ALIGN == 0):
            if wrapped:
                break
            at, wrapped = 0, True
            continue
        if wrapped and at > end:
            break
        starts.append(at)
        if at % ALIGN == 0 and good[at // ALIGN]:
            at += length_of[at // ALIGN]
            continue
        broken.add(at)
        found = _resume(length_of, good, at, end if wrapped else size)
        complain(f"no record of the log can be at {at:#x}; it goes on at {found:#x}", address + at, "log_buf")
        at = found
    return starts, broken


def _resume(length_of: list[int], good: list[bool], at: int, limit: int) -> int:
    """Return where a few believable records follow one another again; ``limit`` where nowhere before it."""
    for i in range(at // ALIGN + 1, min(limit // ALIGN, len(good))):
        if not good[i]:
            continue
        where, chain = i, 0
        while chain < 3 and where < min(limit // ALIGN, len(good)) and good[where]:
            where += length_of[where] // ALIGN
            chain += 1
        if chain == 3 or where * ALIGN == limit:
            return i * ALIGN
    return limit


def _headers(data: bytes, form: np.dtype[Any]) -> dict[str, Array]:
    """Return the members of the headers that would begin at every 4th byte."""
    padded = data + bytes(form.itemsize + ALIGN)
    found: dict[str, Array] = {}
    for name, (kind, offset, *_) in (form.fields or {}).items():
        count = len(data) // ALIGN
        found[name] = np.ndarray((count,), kind, padded, offset, (ALIGN,))
    return found


def _lengths(data: bytes, form: np.dtype[Any]) -> Array:
    return _headers(data, form)["len"].astype(np.int64)


def _believable(data: bytes, form: np.dtype[Any]) -> Array:
    members = _headers(data, form)
    length, text, dictionary = (members[k].astype(np.int64) for k in ("len", "text_len", "dict_len"))
    at = np.arange(len(length), dtype=np.int64) * ALIGN
    content = form.itemsize + text + dictionary
    found: Array = (length % ALIGN == 0) & (content <= length) & (length < content + 16) & (at + length <= len(data))
    return found


def _records(region: Region, form: np.dtype[Any], layouts: Layouts, starts: list[int], broken: set[int], *,
             first_form: bool) -> LogRecords:  # fmt: skip
    at = np.array(starts, np.int64)
    raw = np.frombuffer(region.data + bytes(form.itemsize), np.uint8)
    rows = raw[at[:, None] + np.arange(form.itemsize)] if len(at) else np.zeros((0, form.itemsize), np.uint8)
    headers = np.ascontiguousarray(rows).view(form).reshape(-1)
    bad = np.array([s in broken for s in starts], bool)
    bad |= region.missing(at, np.where(bad, form.itemsize, headers["len"].astype(np.int64)))
    little = layouts.byteorder == "little"
    byte, facility = headers["flags_level"].astype(np.int16), headers["facility"].astype(np.int16)
    flags, level = (byte & 31, byte >> 5) if little else (byte >> 3, byte & 7)
    # The first kernels called it struct log, as some later ones did, and had one u16, facility << 3 | level. Later nearly
    # every record has the flag of its newline.
    newlines = np.count_nonzero(flags[~bad] & structs.LOG_NEWLINE)
    if first_form and 2 * newlines <= np.count_nonzero(~bad):
        both = facility | byte << 8 if little else facility << 8 | byte
        level, facility = both & 7, both >> 3
    text, dict_len = headers["text_len"].astype(np.int64), headers["dict_len"].astype(np.int64)
    level, facility = np.where(bad, -1, level), np.where(bad, -1, facility)
    caller = headers["caller_id"] if "caller_id" in (form.names or ()) else np.zeros(len(at), np.uint32)
    no_caller = bad if "caller_id" in (form.names or ()) else np.ones(len(at), bool)
    start, length = at + form.itemsize, np.where(bad, 0, text)
    return LogRecords(
        region=region,
        seq=np.arange(len(at), dtype=np.uint64),
        time=np.ma.array(headers["ts_nsec"].astype(np.uint64), mask=bad),
        level=level,
        facility=facility,
        caller=np.ma.array(caller.astype(np.uint32), mask=no_caller),
        state=np.where(bad, DAMAGED, FINALIZED).astype(np.int8),
        start=start,
        length=length,
        dictionary=_dictionaries(region.data, start + text, np.where(bad, 0, dict_len)),
        note=NOT_THE_KERNELS,
    )


def _dictionaries(data: bytes, start: Array, length: Array) -> dict[int, str]:
    """Return the dictionaries by row, a line for each entry; in the buffer they end with NULs."""
    found: dict[int, str] = {}
    for i in np.flatnonzero(length > 0).tolist():
        piece = data[start[i] : start[i] + length[i]].rstrip(b"\0").replace(b"\0", b"\n")
        found[i] = piece.decode("utf-8", "backslashreplace")
    return found
