"""The kernel log as text, before 3.5 (kernel/printk.c): a ring of characters, each line with its level in front.

A line begins with ``<6>`` (level, or facility << 3 | level) and, with printk.time, ``[   12.345678] ``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from vmcoredd_lab.kernel.printk_log import MOST_BYTES, NOT_THE_KERNELS
from vmcoredd_lab.kernel.printk_records import FINALIZED, TORN, LogRecords
from vmcoredd_lab.kernel.regions import KernelMemory, Region

__all__ = ["read_text"]

Complain = Callable[[str, int, str], None]
_LINE = re.compile(rb"(?:<(\d{1,3})>)?(?:\[ *(\d{1,10})\.(\d{6})\] ?)?([^\n]*)(?:\n|\Z)")


def read_text(
    kernel: KernelMemory, address: int, size: int, end: int, logged: int | None, complain: Complain
) -> LogRecords:
    """Return the lines. ``end``: log_end, which counts characters and is never reset; ``logged``: logged_chars."""
    if not 64 <= size <= MOST_BYTES:
        kept = min(max(size, 0), MOST_BYTES)
        complain(f"log_buf_len is {size:,}; {kept:,} bytes are read", address, "log_buf_len")
        size = kept
    whole = kernel.region(address, size, "log_buf")
    if end <= size and (logged is None or logged <= end):
        region, cut = _turned(whole, 0, end), False
    else:  # it went round: the oldest character is the one that would be written next
        at = end % size if size else 0
        region, cut = _turned(whole, at, size), True
    return _lines(region, cut)


def _turned(whole: Region, first: int, length: int) -> Region:
    """Return the region as if it began at ``first``, cut to ``length``."""
    data = (whole.data[first:] + whole.data[:first])[:length]
    runs = []
    size = len(whole.data)
    for offset, physical, many in whole.runs.tolist():
        for low, high in ((max(offset, first), offset + many), (offset, min(offset + many, first))):
            if low < high:
                runs.append(((low - first) % size, physical + low - offset, high - low))
    holes = [((low - first) % size, (low - first) % size + high - low) for low, high in whole.holes.tolist()]
    return Region(
        whole.address,
        data,
        np.array(sorted(runs), np.uint64).reshape(-1, 3),
        np.array(holes, np.int64).reshape(-1, 2),
        whole.why,
    )


def _lines(region: Region, cut: bool) -> LogRecords:
    level, facility, time, timed, start, length, state = [], [], [], [], [], [], []
    for match in _LINE.finditer(region.data):
        if match.start() == match.end():
            continue
        mark, seconds, micro, text = match.groups()
        number = int(mark) if mark else -1
        level.append(number & 7 if mark else -1)
        facility.append(number >> 3 if mark else -1)
        timed.append(seconds is not None)
        time.append(int(seconds) * 10**9 + int(micro) * 1000 if seconds is not None else 0)
        start.append(match.start(4))
        length.append(len(text))
        torn = (cut and match.start() == 0 and not mark) or not match.group().endswith(b"\n")
        state.append(TORN if torn else FINALIZED)
    count = len(level)
    return LogRecords(
        region=region,
        seq=np.arange(count, dtype=np.uint64),
        time=np.ma.array(np.array(time, np.uint64), mask=~np.array(timed, bool)),
        level=np.array(level, np.int16),
        facility=np.array(facility, np.int16),
        caller=np.ma.array(np.zeros(count, np.uint32), mask=np.ones(count, bool)),
        state=np.array(state, np.int8),
        start=np.array(start, np.int64),
        length=np.array(length, np.int64),
        note=NOT_THE_KERNELS,
    )
