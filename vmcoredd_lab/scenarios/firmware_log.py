"""The firmware's log of one adapter: messages on the firmware's own clock, and the ring they are kept in.

Formats: struct fw_devlog_e and enum fw_devlog_level, fw_devlog_facility, t4fw_api.h.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from vmcoredd_lab.devices.cxgb4.structs import FW_DEVLOG_ENTRY
from vmcoredd_lab.scenarios.tables import rows

__all__ = ["ENTRIES", "LEVELS", "FirmwareLog"]

LEVELS = {"EMERG": 0, "CRIT": 1, "ERR": 2, "NOTICE": 3, "INFO": 4, "DEBUG": 5}
FACILITIES = {
    "CORE": 0x00, "CF": 0x01, "SCHED": 0x02, "TIMER": 0x04, "RES": 0x06, "HW": 0x08, "DMAQ": 0x12, "PHY": 0x14, "MAC": 0x16,
    "PORT": 0x18, "VI": 0x1A, "FILTER": 0x1C, "DCB": 0x24, "ETH": 0x26, "OFLD": 0x28,
}  # fmt: skip
ENTRIES = 256
TICKS_PER_SECOND = 1_000_000  # of these stories: what unit real firmware counts in is not documented


@dataclass
class FirmwareLog:
    """Messages in the order of their times; the last 256 are in the ring."""

    rng: random.Random
    entries: list[tuple[int, int, int, str, tuple[int, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.booted = self.rng.randrange(
            2_000_000_000, 9_000_000_000
        )  # ns of kernel time that the firmware lags behind
        self.first_seqno = 0

    def add(self, time: int, level: str, facility: str, text: str, *params: int) -> None:
        """Log a message: ``time`` in nanoseconds of the kernel's clock, ``text`` a printf format with its parameters."""
        tick = max(1, (time - 1_000_000_000) * TICKS_PER_SECOND // 1_000_000_000 + self.booted // 1000)
        self.entries.append((tick, LEVELS[level], FACILITIES[facility], text, params))

    def chatter(self, begin: int, end: int, count: int) -> None:
        """Log everyday messages at random times between two times."""
        known = rows("firmware_messages.csv")
        for time in sorted(self.rng.randrange(begin, end) for _ in range(count)):
            row = self.rng.choice(known)
            limits = [int(limit) for limit in row["limits"].split()]
            self.add(time, row["level"], row["facility"], row["format"].replace("\\n", "\n"),
                     *(self.rng.randrange(limit) for limit in limits))  # fmt: skip

    def ring(self) -> bytes:
        """Return the ring: 256 slots, of which the oldest entries are overwritten."""
        dtype = FW_DEVLOG_ENTRY.size(byteorder="big")
        slots = [bytes(dtype)] * ENTRIES
        ordered = sorted(enumerate(self.entries), key=lambda one: (one[1][0], one[0]))
        for seqno, (_, (tick, level, facility, text, params)) in enumerate(ordered, self.first_seqno):
            raw = text.encode("latin-1", "replace")[:191]
            words = [p & 0xFFFFFFFF for p in params[:8]] + [0] * (8 - len(params[:8]))
            slots[seqno % ENTRIES] = FW_DEVLOG_ENTRY.write(
                byteorder="big", timestamp=tick, seqno=seqno, level=level, facility=facility,
                fmt=list(raw.ljust(192, b"\0")), params=words,
            )  # fmt: skip
        return b"".join(slots)
