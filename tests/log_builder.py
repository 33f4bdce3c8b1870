"""A kernel log without a kernel: the table that a vmcore's log is read into, from lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vmcoredd_lab.tables import Column, Schema, Table

DMESG = Schema("dmesg", "The kernel log.", (
    Column("seq", "u64", ""), Column("time_ns", "i64", ""), Column("level", "category", ""), Column("facility", "category", ""),
    Column("caller", "text", ""), Column("text", "text", ""), Column("device", "text", ""),
))  # fmt: skip


class Logged:
    """What rules of the kernel see of a vmcore: its log, and its device dumps."""

    def __init__(self, *lines: str | tuple[str, str], dumps: Sequence[Any] = ()) -> None:
        texts = [line if isinstance(line, tuple) else ("info", line) for line in lines]
        rows = [(i, i * 1000, level, "kern", None, text, None) for i, (level, text) in enumerate(texts)]
        self.device_dumps = list(dumps)
        self._table = Table.from_rows(DMESG, rows)
        places = [(0x1000 + 256 * i, 0x1000 + 256 * i + len(text)) for i, (_, text) in enumerate(texts)]
        self._table.spans = np.array(places).reshape(-1, 2)

    def dmesg_table(self) -> Table:
        return self._table
