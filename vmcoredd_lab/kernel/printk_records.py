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

    ``time`` and ``caller`` may be masked; ``dictionary`` has a text or None for each record, or is empty.
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
    dictionary: list[str | None] = field(default_factory=list)
    note: str = ""
