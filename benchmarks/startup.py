"""Time of `vmcoredd-lab info` as a whole process, against `python -c "import pandas"` in the same run."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from sparse import vmcore

TARGET = 0.5
ROUNDS = 15
SAMPLE = Path(__file__).parent.parent / "sample_data" / "vmcore.kdump"


# byte code is kept, as it is where packages are installed
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    return time.perf_counter() - start


def compare(what: str, command: list[str]) -> None:
    peer = [sys.executable, "-c", "import pandas"]
    for one in (command, peer):  # both warm: byte code written, files in the page cache
        seconds(one)
    ours, theirs = [], []
    for _ in range(ROUNDS):  # in turn, so that a busy machine slows both
        ours.append(seconds(command))
        theirs.append(seconds(peer))
    mine, peers = statistics.median(ours), statistics.median(theirs)
    print(f"{what}: {mine:.3f} s; import pandas: {peers:.3f} s; ratio {mine / peers:.2f} (target at most {TARGET})")


def main() -> None:
    program = str(Path(sys.executable).with_name("vmcoredd-lab"))
    if SAMPLE.exists():
        compare("info of the sample, a kdump file", [program, "info", str(SAMPLE)])
    with vmcore(segments=8, segment_size=1 << 30, dumps=2, dump_size=32 << 20) as path:
        compare("info of an ELF vmcore of 8 GiB", [program, "info", str(path)])


if __name__ == "__main__":
    main()
