"""The kernel log as text, before 3.5 (kernel/printk.c): a ring of characters, each line with its level in front.

A line begins with ``<6>`` (level, or facility << 3 | level) and, with printk.time, ``[   12.345678] ``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import chain

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
        region, cut = _turned(whole.shortened(), 0, end), False
    else:  # it went round: the oldest character is the one that would be written next
        at = end % size if size else 0
        region, cut = _turned(whole, at, size), True
    return _lines(region, cut)


def _turned(whole: Region, first: int, length: int) -> Region:
    """Return the region as if it began at ``first``, cut to ``length``."""
    data = (whole.data[first:] + whole.data[:first])[:length]
    size = len(whole.data)

    def turned(low: int, high: int) -> list[tuple[int, int, int]]:
        """Return where the parts of a range come to lie, and which they are."""
        parts = ((max(low, first), high), (low, min(high, first)))
        placed = [((a - first) % size, a, b) for a, b in parts if a < b]
        return [(at, a, min(b, a + length - at)) for at, a, b in placed if at < length]

    runs = [(at, physical + a - offset, b - a) for offset, physical, many in whole.runs.tolist()
            for at, a, b in turned(offset, offset + many)]  # fmt: skip
    holes = [(at, at + b - a) for low, high in whole.holes.tolist() for at, a, b in turned(low, high)]
    return Region(
        whole.address,
        data,
        np.array(sorted(runs), np.uint64).reshape(-1, 3),
        np.array(sorted(holes), np.int64).reshape(-1, 2),
        whole.why,
    )


def _lines(region: Region, cut: bool) -> LogRecords:
    level, facility, time, timed, start, length, state = [], [], [], [], [], [], []
    ends = [*region.holes[:, 0].tolist(), len(region.data)]
    starts = set(begins := [0, *region.holes[:, 1].tolist()])
    parts = (_LINE.finditer(region.data, low, high) for low, high in zip(begins, ends, strict=True))
    for match in chain.from_iterable(parts):
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
        torn = ((cut or match.start()) and match.start() in starts and not mark) or not match.group().endswith(b"\n")
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
