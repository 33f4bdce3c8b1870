#!/usr/bin/env python3
"""Make a large vmcore out of the small sample: an ELF64 file as /proc/vmcore lays it out, its memory all holes.

usage: make_large.py OUT [--memory GIB] [--segments N] [--from VMCORE]

The device dumps and the other notes are those of VMCORE (default: the sample beside this script). Memory is a hole in the
file, so that 1 TiB takes a few megabytes of disk.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import vmcoredd_lab as vl
from vmcoredd_lab.containers.elf_structs import EHDR, NHDR, PHDR, SHDR

PAGE = 4096
PT_LOAD, PT_NOTE, PN_XNUM = 1, 4, 0xFFFF


def up(value: int, unit: int) -> int:
    """Round up to a multiple of unit."""
    return -(-value // unit) * unit


def notes_of(core: vl.Vmcore) -> list[bytes]:
    """Return the notes as they are in the file, padded to 4 bytes."""
    source = core.container.source
    found = []
    for note in core.container.notes:
        size = note.desc_offset - note.header_offset + note.desc_size
        found.append(source.read(note.header_offset, up(size, 4)).ljust(up(size, 4), b"\0"))
    return found


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--memory", type=int, default=64, metavar="GIB")
    parser.add_argument("--segments", type=int, default=4)
    parser.add_argument("--from", dest="sample", type=Path, default=Path(__file__).with_name("vmcore.kdump"))
    args = parser.parse_args()

    core = vl.open_vmcore(args.sample)
    notes = b"".join(notes_of(core))
    assert NHDR.size() == 12
    ehdr, phdr, shdr = EHDR[64], PHDR[64], SHDR[64]
    count = args.segments + 1
    extended = count >= PN_XNUM
    table_end = ehdr.size() + count * phdr.size()
    section_header = up(table_end, 8) if extended else 0
    note_offset = up(section_header + shdr.size() if extended else table_end, PAGE)
    data_offset = up(note_offset + len(notes), PAGE)
    size = up((args.memory << 30) // args.segments, PAGE)

    table = np.zeros(count, phdr.dtype())
    table[0] = (PT_NOTE, 0, note_offset, 0, 0, len(notes), len(notes), 0)
    start = np.arange(args.segments, dtype=np.uint64) * size
    load = table[1:]
    load["p_type"], load["p_flags"], load["p_align"] = PT_LOAD, 7, PAGE
    load["p_offset"], load["p_paddr"] = start + data_offset, start + (1 << 20)
    load["p_vaddr"] = load["p_paddr"] + np.uint64(0xFFFF888000000000)
    load["p_filesz"] = load["p_memsz"] = size

    header = ehdr.write(
        ei_mag=b"\x7fELF", ei_class=2, ei_data=1, ei_version=1, e_type=4, e_machine=62, e_version=1,
        e_phoff=ehdr.size(), e_shoff=section_header, e_ehsize=ehdr.size(), e_phentsize=phdr.size(),
        e_phnum=PN_XNUM if extended else count, e_shentsize=shdr.size() if extended else 0, e_shnum=int(extended),
    )  # fmt: skip
    with args.out.open("wb") as out:
        out.write(header + table.tobytes())
        if extended:
            out.seek(section_header)
            out.write(shdr.write(sh_info=count))
        out.seek(note_offset)
        out.write(notes)
        out.truncate(data_offset + args.segments * size)
    print(f"{args.out}: {args.out.stat().st_size:,} bytes, {args.out.stat().st_blocks * 512:,} on disk")


if __name__ == "__main__":
    main()
