"""Time of `open_vmcore(...).segments`, the DataFrame included, for 100,001 program headers, against pyelftools' iter_segments."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd  # noqa: F401  imported before the clock starts
from elftools.elf.elffile import ELFFile
from sparse import vmcore

import vmcoredd_lab as vl

TARGET = 1 / 40
ROUNDS = 5


def ours(path: Path) -> int:
    with vl.open_vmcore(path) as core:
        return len(core.segments)


def theirs(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(1 for _ in ELFFile(stream).iter_segments())


def seconds(function: Callable[[Path], int], path: Path) -> float:
    start = time.perf_counter()
    function(path)
    return time.perf_counter() - start


def main() -> None:
    with vmcore(segments=100_000, segment_size=1 << 20) as path:
        assert ours(path) == theirs(path) == 100_001
        pairs = [(seconds(ours, path), seconds(theirs, path)) for _ in range(ROUNDS)]
    mine, peers = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(
        f"open and segments frame, 100,001 program headers: {mine * 1000:.1f} ms; pyelftools' iter_segments: {peers:.2f} s"
    )
    print(f"ratio 1/{peers / mine:.0f} (target at most 1/{1 / TARGET:.0f})")


if __name__ == "__main__":
    main()
