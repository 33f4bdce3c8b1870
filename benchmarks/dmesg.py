#!/usr/bin/env python3
"""Extract a full kernel log of 1 MiB, against `makedumpfile --dump-dmesg` on the same file in the same run.

usage: dmesg.py [--mib N] [--rounds N]

The file is a small ELF vmcore with a lockless ring that went round, its records of 20 to 120 bytes. Python's start-up is not
counted: a round opens the file, reads the log to its table and writes that as text, as the command dmesg does. makedumpfile's
time is that of its whole process, less what it takes to print its version.
"""

from __future__ import annotations

import argparse
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from builders import Segment, elf, note, notes
from kernel_builder import Ring

import vmcoredd_lab as vl
from vmcoredd_lab.kernel.printed import printed_text
from vmcoredd_lab.kernel.printk_records import STATES

PLACE, BASE = 0x100_0000, 0xFFFF_FFFF_8100_0000  # in the kernel's text
LINES = """OSRELEASE=6.1.0-test
PAGESIZE=4096
SYMBOL(_stext)={base:x}
SYMBOL(swapper_pg_dir)={tables:x}
SYMBOL(init_top_pgt)={tables:x}
SYMBOL(init_uts_ns)={base:x}
OFFSET(uts_namespace.name)=0
NUMBER(phys_base)=0
NUMBER(pgtable_l5_enabled)=0
NUMBER(KERNEL_IMAGE_SIZE)=1073741824
NUMBER(MAX_PHYSMEM_BITS)=46
SYMBOL(mem_map)={base:x}
SYMBOL(contig_page_data)={base:x}
SIZE(page)=64
SIZE(pglist_data)=4544
OFFSET(page.flags)=0
OFFSET(page._refcount)=52
OFFSET(page.mapping)=24
OFFSET(page.lru)=8
OFFSET(page._mapcount)=48
OFFSET(page.private)=40
OFFSET(pglist_data.node_zones)=0
OFFSET(pglist_data.nr_zones)=3712
OFFSET(pglist_data.node_mem_map)=3720
OFFSET(pglist_data.node_start_pfn)=3720
OFFSET(pglist_data.node_spanned_pages)=3736
OFFSET(pglist_data.node_id)=3744
CRASHTIME=1700000000
"""


def vmcore(mib: int) -> bytes:
    """Return a vmcore whose ring of text is full."""
    ring = Ring(count_bits=15 + (mib - 1).bit_length(), size_bits=20 + (mib - 1).bit_length())
    chance = random.Random(1)
    for i in range(2 << ring.count_bits - 1):
        ring.add(f"cxgb4 0000:02:00.4: record number {i} ".encode().ljust(chance.randrange(20, 120), b"x"), ts=i * 1000)
    names = b"".join(name.ljust(65, b"\0") for name in (b"Linux", b"host", b"6.1.0-test", b"#1 SMP", b"x86_64"))
    lines = LINES.format(base=BASE, tables=BASE + 0x1000) + ring.lines(BASE + 0x4000)
    memory = names.ljust(0x1000, b"\0") + page_tables(PLACE + 0x1000) + ring.memory(BASE + 0x4000)
    return elf(notes(note(b"VMCOREINFO\0", 0, lines.encode())), Segment(memory, vaddr=BASE, paddr=PLACE))


def page_tables(at: int) -> bytes:
    """Return three tables that map the kernel's text with pages of 2 MiB."""
    top = {511: at + 0x1000 | 0x67}
    second = {510: at + 0x2000 | 0x67}
    third = {i: i << 21 | 0x1E3 for i in range(512)}
    return b"".join(struct.pack("<512Q", *(table.get(i, 0) for i in range(512))) for table in (top, second, third))


def table(path: Path) -> None:
    """Read the log to its table."""
    with vl.open_vmcore(path) as opened:
        opened.dmesg_table()


def ours(path: Path, out: Path) -> int:
    """Write the log as dmesg prints it; return the number of records."""
    with vl.open_vmcore(path) as opened:
        log = opened.dmesg_table()
        out.write_text(printed_text(log))
        return int((log.columns["state"].codes == STATES.index("finalized")).sum())


def timed(rounds: int, work: object) -> float:
    """Return the shortest time of some rounds, in seconds."""
    best = float("inf")
    for _ in range(rounds):
        begin = time.perf_counter()
        work()  # type: ignore[operator]
        best = min(best, time.perf_counter() - begin)
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as room:
        path, out = Path(room, "vmcore"), Path(room, "log")
        path.write_bytes(vmcore(options.mib))
        records = ours(path, out)
        mine = timed(options.rounds, lambda: ours(path, out))
        extracted = timed(options.rounds, lambda: table(path))
        print(
            f"vmcoredd_lab   {mine * 1e3:7.1f} ms   {records:,} whole records; {extracted * 1e3:.1f} ms of it to the table"
        )
        program = shutil.which("makedumpfile")
        if program is None:
            print("makedumpfile is not installed")
            return
        command = [program, "--dump-dmesg", "-f", str(path), str(Path(room, "theirs"))]
        result = subprocess.run(command, capture_output=True, check=False)
        if result.returncode:
            sys.exit(f"makedumpfile failed: {result.stdout.decode()}{result.stderr.decode()}")
        theirs = timed(options.rounds, lambda: subprocess.run(command, capture_output=True, check=True))
        empty = timed(options.rounds, lambda: subprocess.run([program, "-v"], capture_output=True, check=False))
        lines = Path(room, "theirs").read_text().count("\n")
        print(f"makedumpfile   {theirs * 1e3:7.1f} ms   {lines:,} lines; {empty * 1e3:.1f} ms of it to start")
        print(f"ratio          {(theirs - empty) / mine:7.2f}      their time, less its start, to ours; at least 1")


if __name__ == "__main__":
    main()
