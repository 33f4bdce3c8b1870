"""What drivers said last before the kernel died."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vmcoredd_lab.kernel.printk import LEVELS
from vmcoredd_lab.tables import Table

__all__ = ["last_words"]

LOOKED_AT = 20_000  # records from the end
GRAVE = frozenset(LEVELS[: LEVELS.index("warn") + 1])


def last_words(
    log: Table, devices: Iterable[str], panic_seqs: Sequence[int] = (), most: int = 6
) -> list[dict[str, Any]]:
    """Return the last records about ``devices`` (``0000:02:00.4``), oldest first, as dictionaries.

    Where none of them said anything, those of any device at warn or worse. Records of the panic itself are left out.
    """
    tail = log.limited(LOOKED_AT)
    rows, panic = tail.records(), frozenset(panic_seqs)
    rows = [row for row in rows if row["device"] and row["seq"] not in panic]
    wanted = tuple(devices)
    about = [row for row in rows if row["device"].endswith(wanted)] if wanted else []
    found = about or [row for row in rows if row["level"] in GRAVE]
    return [{k: row[k] for k in ("seq", "time_ns", "level", "device", "text", "state")} for row in found[-most:]]
