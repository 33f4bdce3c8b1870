"""Time to load one chip's register table, against csv.DictReader over the same rows in the same run.

usage: register_table.py [CHIP]...      (default: T4 T5 T6)

The rows are what the table stands for: one line for each address of a register, and one for each of its fields.
"""

from __future__ import annotations

import csv
import io
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from vmcoredd_lab.devices.cxgb4.register_table import RegisterTable, parse_fields

ROUNDS = 7
COLUMNS = ["block", "register", "address", "width", "field", "lsb", "nbits"]


def as_csv(table: RegisterTable) -> str:
    """Return the table as one row per address and field."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    blocks = dict(zip(table.registers.texts(), table.blocks.texts(), strict=True))
    for name in table.by_name:
        for address, text in table.instances_of(name):
            start = [blocks.get(name), name, hex(address), 32]
            writer.writerow([*start, "", "", ""])
            writer.writerows([*start, field.name, field.lsb, field.width] for field in parse_fields(text))
    return out.getvalue()


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    for chip in sys.argv[1:] or ["T4", "T5", "T6"]:
        text = as_csv(RegisterTable(chip))
        ours, theirs = [], []
        for _ in range(ROUNDS):  # in turn, so that a busy machine slows both
            ours.append(seconds(lambda chip=chip: RegisterTable(chip)))
            theirs.append(seconds(lambda text=text: list(csv.DictReader(io.StringIO(text)))))
        mine, peers = statistics.median(ours), statistics.median(theirs)
        rows = text.count("\n") - 1
        print(f"{chip}: {mine:.3f} s; csv.DictReader, {rows:,} rows: {peers:.3f} s; ratio {mine / peers:.2f}")


if __name__ == "__main__":
    main()
