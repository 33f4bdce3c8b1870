"""Peak memory of the commands that a capture kernel may run, against `import numpy, click, rich`.

usage: memory.py [FILE...]      (else a sparse vmcore of 64 GiB with two device dumps of 32 MiB)

Resident memory counts pages of the mapped file, which the kernel takes back when it wants them; the second number is without.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sparse import vmcore

TARGET = 20 * 10**6


def peak(command: list[str]) -> tuple[int, int]:
    """Return the peak resident set size of a process in bytes, and of it what is no page of a file (the most seen)."""
    anonymous = 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        with contextlib.suppress(OSError, StopIteration):
            status = Path(f"/proc/{process.pid}/status").read_text()
            line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
            anonymous = max(anonymous, int(line.split()[1]))
        done, status_, usage = os.wait4(process.pid, os.WNOHANG)
        if done:
            assert status_ == 0, command
            return usage.ru_maxrss * 1024, anonymous * 1024  # Linux counts KiB
        time.sleep(0.0005)


@contextlib.contextmanager
def files() -> Iterator[list[Path]]:
    if sys.argv[1:]:
        yield [Path(name) for name in sys.argv[1:]]
        return
    with vmcore(segments=16, segment_size=4 << 30, dumps=2, dump_size=32 << 20) as path:
        yield [path]


def main() -> None:
    program = str(Path(sys.executable).with_name("vmcoredd-lab"))
    base, own = peak([sys.executable, "-c", "import numpy, click, rich"])
    print(f"import numpy, click, rich: {base / 1e6:.1f} MB at its peak, {own / 1e6:.1f} MB of it no pages of files")
    with files() as paths, tempfile.TemporaryDirectory() as out:
        for path in paths:
            print(f"{path}, {path.stat().st_size / 2**20:,.0f} MiB")
            for command in ("notes", "dumps", "info", "segments", "extract", "report"):
                more = {"extract": [out, "--force"], "report": ["-o", f"{out}/report.json"]}.get(command, [])
                used, own = peak([program, command, str(path), *more])
                target = f" (target at most +{TARGET / 1e6:.0f} MB)" if command == "notes" else ""
                print(f"{command}: {used / 1e6:.1f} MB, {(used - base) / 1e6:+.1f} MB{target}; {own / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
