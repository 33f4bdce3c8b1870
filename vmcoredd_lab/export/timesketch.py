"""Events for Timesketch: JSON lines or CSV with message, datetime, timestamp (microseconds) and timestamp_desc, and our columns.

Timesketch wants a date for every event. What has none is dated so that its order holds, and its timestamp_desc says what the date
is not: events of a clock that is not tied end at the crash, a microsecond apart; without CRASHTIME the epoch stands for the boot.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from vmcoredd_lab.export.lanes import lanes
from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import escape

__all__ = ["timesketch_csv", "timesketch_jsonl"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = ("message", "datetime", "timestamp", "timestamp_desc")
OURS = ("source", "device", "clock", "tick", "seq", "level", "facility", "time", "uncertainty", "where")
DATED, BOOT = "Event Logged", "Time since boot (the date is not recorded)"
ORDER, COLLECTED = "Order only (own clock, not tied to the kernel's)", "Collected after the panic (time not recorded)"


def timesketch_jsonl(events: Table) -> Iterator[bytes]:
    """Yield one JSON object a line."""
    for record in _records(events):
        yield json.dumps(record, ensure_ascii=True).encode() + b"\n"


def timesketch_csv(events: Table) -> Iterator[bytes]:
    """Yield CSV with a header."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [*FIRST, *OURS], lineterminator="\n")
    writer.writeheader()
    for record in _records(events):
        writer.writerow(record)
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _records(events: Table) -> Iterator[dict[str, Any]]:
    walls = events.columns["wall"]
    dated = np.ma.compressed(walls) if isinstance(walls, np.ma.MaskedArray) else walls
    times = events.columns["time"]
    known = np.ma.compressed(times) if isinstance(times, np.ma.MaskedArray) else times
    offset = int(walls.max()) - int(times[int(np.ma.argmax(walls))]) if len(dated) else 0
    end = offset + (int(known.max()) if len(known) else 0)
    for lane in lanes(events):
        count = len(lane.rows)
        for i, row in enumerate(lane.rows):
            if row["time"] is not None:
                at, said = row["time"] + offset, DATED if len(dated) else BOOT
            elif row["source"] == "collection":
                at, said = end, COLLECTED
            else:
                at, said = end - (count - 1 - i) * 1000, ORDER
            microseconds = at // 1000
            moment = EPOCH + timedelta(microseconds=max(microseconds, 0))
            yield {
                "message": escape(row["text"], lines=True), "datetime": moment.isoformat(timespec="microseconds"),
                "timestamp": max(microseconds, 0), "timestamp_desc": said, **{name: _plain(row[name]) for name in OURS},
            }  # fmt: skip


def _plain(value: Any) -> Any:
    return escape(value) if isinstance(value, str) else value
