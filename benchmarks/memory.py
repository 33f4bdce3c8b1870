"""Peak memory of `vmcoredd-lab notes` on a vmcore of 64 GiB with two device dumps of 32 MiB, against `import numpy, rich`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sparse import vmcore

TARGET = 20 * 10**6


def peak(command: list[str]) -> int:
    """Return the peak resident set size of a process in bytes."""
    measured = (
        "import os, subprocess, sys\n"
        "process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "_, status, usage = os.wait4(process.pid, 0)\n"
        "assert status == 0\n"
        "print(usage.ru_maxrss)\n"
    )
    run = subprocess.run([sys.executable, "-c", measured, *command], check=True, capture_output=True, text=True)
    return int(run.stdout) * 1024  # Linux counts KiB


def main() -> None:
    program = str(Path(sys.executable).with_name("vmcoredd-lab"))
    base = peak([sys.executable, "-c", "import numpy, rich"])
    with vmcore(segments=16, segment_size=4 << 30, dumps=2, dump_size=32 << 20) as path:
        print(f"a vmcore of {path.stat().st_size / 2**30:.1f} GiB; import numpy, rich: {base / 1e6:.1f} MB at its peak")
        for command in ("notes", "dumps", "info", "segments"):
            used = peak([program, command, str(path)])
            target = f" (target at most +{TARGET / 1e6:.0f} MB)" if command == "notes" else ""
            print(f"{command}: {used / 1e6:.1f} MB, {(used - base) / 1e6:+.1f} MB{target}")


if __name__ == "__main__":
    main()
