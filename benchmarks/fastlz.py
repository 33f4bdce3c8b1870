#!/usr/bin/env python3
"""Decode a FastLZ dump of the Unified Wire wholly, against zlib on the same decoded bytes in the same process.

usage: fastlz.py BLOB [--rounds N]

BLOB is a dump that `cudbg_app --collect` wrote. Measured are FastLZ alone, and every entity as a table, which includes it; the
peer inflates the same bytes from zlib streams of 64,512 bytes each, as the Linux driver writes them.
"""

from __future__ import annotations

import argparse
import statistics
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import vmcoredd_lab as vl
from vmcoredd_lab.devices.cxgb4.entities import decoders
from vmcoredd_lab.devices.cxgb4.register_table import register_table

TARGET = 0.3
PIECE = 64512


def adapter(blob: bytes) -> Any:
    return vl.open_device_dump(blob).decode()


def inflate(nic: Any) -> int:
    """Decompress every entity; return how many bytes they have."""
    return sum(len(nic.decoded(e.number).data) for e in nic.container.entities.values() if e.available)


def tables(nic: Any) -> int:
    """Make the table of every entity; return how many rows they have."""
    return sum(len(nic.entity_table(e.number)) for e in nic.container.entities.values() if e.available)


def streams(nic: Any) -> list[bytes]:
    """The same bytes as the Linux driver would have compressed them."""
    found = []
    for entity in nic.container.entities.values():
        if entity.available:
            data = bytes(nic.decoded(entity.number).data)
            for at in range(0, len(data), PIECE):
                engine = zlib.compressobj(6, zlib.DEFLATED, 12, 4)
                found.append(engine.compress(data[at : at + PIECE]) + engine.flush())
    return found


def measured(rounds: int, prepare: Callable[[], Any], work: Callable[[Any], Any]) -> list[float]:
    times = []
    for _ in range(rounds):
        subject = prepare()
        start = time.perf_counter()
        work(subject)
        times.append(time.perf_counter() - start)
    return times


def shown(what: str, times: list[float], more: str = "") -> None:
    print(f"{what:<34}{min(times):>8.3f} s best{statistics.median(times):>8.3f} s median{more}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("blob", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    blob = options.blob.read_bytes()
    nic = adapter(blob)
    decoders()
    register_table(nic.chip)  # counts as loaded
    size, packed = inflate(nic), streams(nic)
    print(f"{options.blob.name}: {len(blob):,} bytes, {size:,} decoded")
    peers = measured(options.rounds, lambda: packed, lambda parts: b"".join(zlib.decompress(part) for part in parts))
    alone = measured(options.rounds, lambda: adapter(blob), inflate)
    whole = measured(options.rounds, lambda: adapter(blob), tables)
    shown("zlib, the same bytes", peers)
    shown("FastLZ", alone, f"   {min(alone) / min(peers):.1f} times zlib")
    shown("every entity as a table", whole, f"   (target at most {TARGET} s)")


if __name__ == "__main__":
    main()
