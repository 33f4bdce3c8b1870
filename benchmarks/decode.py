#!/usr/bin/env python3
"""Decode every entity of a dump of production size, against zlib alone on the same bytes in the same process.

usage: decode.py [BLOB] [--mib N] [--rounds N]

BLOB is a zlib-compressed cudbg dump of a T6 (default: the sample). Its MC0 image becomes N MiB (default 24) of memory that
does not compress, as production adapters have. The peer inflates each piece with zlib.decompress and joins the pieces once.
"""

from __future__ import annotations

import argparse
import random
import time
import zlib
from pathlib import Path

import vmcoredd_lab as vl
from vmcoredd_lab.devices.cxgb4.register_table import register_table
from vmcoredd_lab.devices.cxgb4.structs import COMPRESS_HDR, CUDBG_HDR, ENTITY_HDR

SAMPLE = Path(__file__).parents[1] / "sample_data" / "ethtool-t6-sge-parity.dump"
PIECE, MC0 = 64512, 20


def grown(blob: bytes, mib: int) -> bytes:
    """Return the dump with another MC0 image, framed as the driver frames it (cudbg_zlib.c)."""
    image = random.Random(1).randbytes(mib << 20)
    pieces = bytearray()
    for at in range(0, len(image), PIECE):
        engine = zlib.compressobj(6, zlib.DEFLATED, 12, 4)
        packed = engine.compress(image[at : at + PIECE]) + engine.flush()
        pieces += COMPRESS_HDR.write(
            compress_id=17, decompress_size=len(image[at : at + PIECE]), compress_size=len(packed)
        )
        pieces += packed
    pad = -len(pieces) % 4
    out = bytearray(blob)
    slot = CUDBG_HDR.size() + ENTITY_HDR.size() * (MC0 - 1)
    out[slot : slot + ENTITY_HDR.size()] = ENTITY_HDR.write(
        entity_type=MC0, start_offset=len(blob), size=len(pieces) + pad, num_pad=pad
    )
    out += pieces + bytes(pad)
    out[12:16] = len(out).to_bytes(4, "little")
    return bytes(out)


def peer(blob: bytes) -> int:
    """Inflate every piece of every entity and join the pieces of each."""
    size, total = COMPRESS_HDR.size(), 0
    for slot in range(72):
        header = ENTITY_HDR.read(blob, CUDBG_HDR.size() + slot * ENTITY_HDR.size())
        if not int(header["size"]):
            continue
        at = int(header["start_offset"])
        end = at + int(header["size"]) - int(header["num_pad"])
        parts = []
        while at < end:
            packed = int.from_bytes(blob[at + 16 : at + 24], "little")
            parts.append(zlib.decompress(memoryview(blob)[at + size : at + size + packed]))
            at += size + packed
        total += len(b"".join(parts))
    return total


def ours(blob: bytes) -> int:
    """Decode every entity into its table."""
    nic = vl.open_device_dump(blob).decode()
    rows = 0
    for row in nic.container.entities.values():
        if row.stored_size:
            rows += len(nic.entity_table(row.number))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("blob", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--mib", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    blob = grown(args.blob.read_bytes(), args.mib)
    register_table("T6")  # counts as loaded
    ours(blob)  # modules and data tables are read once
    best = {"zlib alone": float("inf"), "every entity": float("inf")}
    for _ in range(args.rounds):
        for name, function in (("zlib alone", peer), ("every entity", ours)):
            start = time.perf_counter()
            function(blob)
            best[name] = min(best[name], time.perf_counter() - start)
    print(f"{len(blob):,} bytes, {peer(blob):,} inflated")
    for name, seconds in best.items():
        print(f"{name:>14}: {seconds * 1000:7.1f} ms")
    print(f"{'ratio':>14}: {best['every entity'] / best['zlib alone']:7.2f}   (at most 1.5)")


if __name__ == "__main__":
    main()
