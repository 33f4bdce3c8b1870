"""What every format of the kernel log is read into: columns of numbers, and where each record's text is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vmcoredd_lab.kernel.regions import Region

__all__ = ["COMMITTED", "DAMAGED", "FINALIZED", "LOST", "OVERWRITTEN", "STATES", "TORN", "LogRecords"]

STATES = ("finalized", "committed", "torn", "overwritten", "lost", "damaged")
FINALIZED, COMMITTED, TORN, OVERWRITTEN, LOST, DAMAGED = range(len(STATES))

Array = np.ndarray[Any, Any]


@dataclass
class LogRecords:
    """Records in order. ``start`` and ``length`` are those of the text in ``region``; -1 in ``level`` and ``facility``: unknown.

    ``time`` and ``caller`` may be masked; ``dictionary`` has the texts of those that have one, by row.
    """

    region: Region
    seq: Array
    time: Array
    level: Array
    facility: Array
    caller: Array
    state: Array
    start: Array
    length: Array
    dictionary: dict[int, str] = field(default_factory=dict)
    note: str = ""

    def __len__(self) -> int:
        return len(self.seq)

    @property
    def whole(self) -> int:
        """How many have a text and are not damaged, torn or given up."""
        return int(np.count_nonzero(((self.state == FINALIZED) | (self.state == COMMITTED)) & (self.length > 0)))
