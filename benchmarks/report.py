"""Time of `vmcoredd-lab report` as a whole process, against its own imports and the decoding of the same file.

usage: report.py [--rounds N] [FILE]

Without FILE an ELF vmcore is made: the firmware-crash scenario with two T6, whose device dumps are filled to the 32 MiB that
the driver asks for, by an image of on-chip memory that does not compress; 64 MiB of device dumps.

imports   a process that imports every module that the command imports, Python's start included
decoding  in a process that has imported them: the file is opened, every entity of every device dump becomes its table, the
          kernel log, the notes and the CPUs theirs; each once, for the first time
report    the whole process, from its start to the written HTML
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from decode import grown
from startup import ENVIRONMENT, seconds

import vmcoredd_lab as vl
from vmcoredd_lab.scenarios import scenario

TARGET = 2
DUMP = 32 << 20  # CUDBG_DUMP_BUFF_SIZE, cxgb4_cudbg.h
IMAGE = 31  # MiB of on-chip memory in each
LARGE = ("numpy", "pandas", "matplotlib", "click", "rich", "jinja2")

# What the command has imported when it ends, in that order; modules that packages make up for themselves are left out.
LISTED = """
import json, sys
from vmcoredd_lab.cli import main
try:
    main(["report", sys.argv[1], "-o", sys.argv[2]])
except SystemExit:
    pass
names = [n for n, m in sys.modules.items() if getattr(m, "__spec__", None) and m.__spec__.name == n and n != "__main__"]
print(json.dumps(names), file=sys.stderr)
"""
IMPORTED = """
import importlib, sys
for name in sys.argv[1].split(","):
    try:
        importlib.import_module(name)
    except ImportError:
        pass
"""
DECODED = (
    IMPORTED
    + """
import time
start, busy = time.perf_counter(), time.process_time()
from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.opening import opened_of
opened = opened_of(sys.argv[2])
for dump in opened.device_dumps:
    nic = dump.decode()
    for entity in nic.container.entities.values():
        try:
            nic.entity_table(entity.number)
        except VmcoreddLabError:
            pass
opened.core.dmesg_table(), opened.core.notes_table(), opened.core.cpus_table()
print(time.perf_counter() - start, time.process_time() - busy)
"""
)


def two_adapters(path: Path) -> None:
    """Write the vmcore with two device dumps of 32 MiB."""
    image = scenario("firmware-crash", adapters=2, size=24 << 20)
    dumps = [
        (dump.name, bytes(dump.data.read(0, dump.payload_size))) for dump in vl.open_vmcore(image.open()).device_dumps
    ]
    image.notes[:] = [note for note in image.notes if not note.is_device_dump]
    for name, blob in dumps:
        large = grown(blob, IMAGE)
        image.add_device_dump(name, DUMP, lambda buffer, large=large: buffer.__setitem__(slice(len(large)), large))
    vl.write_vmcore(image, path)


def process(command: list[str]) -> tuple[float, float]:
    """Return seconds by the clock and of CPU time of a whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    clock = seconds(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def decoding(command: list[str]) -> tuple[float, float]:
    """Return what a process measured of itself."""
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT)
    clock, busy = map(float, done.stdout.split())
    return clock, busy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vmcoredd-lab-benchmark-") as folder:
        path, out = args.file or Path(folder) / "vmcore", Path(folder) / "report.html"
        if args.file is None:
            two_adapters(path)
        python = sys.executable
        listed = subprocess.run(
            [python, "-c", LISTED, path, out], check=True, capture_output=True, text=True, env=ENVIRONMENT
        )
        names = json.loads(listed.stderr.splitlines()[-1])
        modules = ",".join(names)
        commands = {
            "imports": [python, "-c", IMPORTED, modules],
            "decoding": [python, "-c", DECODED, modules, str(path)],
            "report": [str(Path(python).with_name("vmcoredd-lab")), "report", str(path), "-o", str(out)],
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(args.rounds):  # in turn, so that a busy machine slows all
            for name, command in commands.items():
                times[name].append(decoding(command) if name == "decoding" else process(command))
        size = out.stat().st_size
        print(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB; medians of {args.rounds}")
    for at, clock in enumerate(("by the clock", "of CPU time")):
        middle = {name: statistics.median(pair[at] for pair in found) for name, found in times.items()}
        bound = TARGET * middle["imports"] + middle["decoding"]
        told = ", ".join(f"{name} {value:.2f} s" for name, value in middle.items())
        print(
            f"{clock}: {told}; {TARGET} times the imports and the decoding {bound:.2f} s: {middle['report'] / bound:.2f} of it"
        )
    print(f"page: {size / 1e6:.2f} MB; imported: {', '.join(n for n in LARGE if n in names)}")


if __name__ == "__main__":
    main()
