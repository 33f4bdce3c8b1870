"""How fast an ELF vmcore is written, against cp --sparse=always on the same dense data in the same run.

A memory file without holes (noise, so that neither finds zeros) is the only segment of an image. Both are asked in turn, and
the best of their runs counts. A sparse memory file of 64 GiB shows that holes cost nothing.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import vmcoredd_lab as vl

TARGET = 0.8


def dense(path: Path, size: int) -> None:
    rng = np.random.default_rng(1)
    block = rng.bytes(1 << 24)
    with path.open("wb") as file:
        for at in range(0, size, len(block)):
            file.write(at.to_bytes(8, "little") + block[8 : min(len(block), size - at)])


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for at in range(0, size, 1 << 30):
            file.seek(at)
            file.write(b"data" * 1024)
        file.truncate(size)


def timed(work: Callable[[], object], target: Path) -> float:
    target.unlink(missing_ok=True)
    os.sync()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1 << 30, help="bytes of dense memory")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--directory", help="where the files are made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        memory, target = Path(name) / "memory", Path(name) / "target"
        dense(memory, options.size)
        image = vl.VmcoreImage()
        image.add_segment(memory, paddr=0)
        ours, theirs = [], []
        for _ in range(options.runs):
            theirs.append(timed(lambda: subprocess.run(["cp", "--sparse=always", memory, target], check=True), target))
            ours.append(timed(lambda: vl.write_vmcore(image, target), target))
        rates = [options.size / min(times) / 1e6 for times in (ours, theirs)]
        ratio = rates[0] / rates[1]
        print(f"dense {options.size:,} bytes: {rates[0]:,.0f} MB/s, cp --sparse=always {rates[1]:,.0f} MB/s: {ratio:.2f}"
              f" (at least {TARGET}: {'yes' if ratio >= TARGET else 'NO'})")  # fmt: skip
        target.unlink()
        sparse(memory, 64 << 30)
        image = vl.VmcoreImage()
        image.add_segment(memory, paddr=0)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        took = timed(lambda: vl.write_vmcore(image, target), target)
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(
            f"64 GiB with 64 pieces: {took:.2f} s, {target.stat().st_blocks * 512:,} bytes on disk, {more:,} KiB more memory"
        )


if __name__ == "__main__":
    main()
