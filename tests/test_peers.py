"""What other readers of ELF say of the same files: eu-readelf of elfutils, and pyelftools."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import (
    ORDERS,
    WIDTHS,
    Segment,
    device_dump,
    elf,
    note,
    notes,
    prstatus,
    usual_elf,
    usual_notes,
    vmcoreinfo,
)
from elftools.elf.elffile import ELFFile

import vmcoredd_lab as vl

REAL = {
    name: f"vmcore/{path}"
    for name, path in {
        "x86_64": "x86_64-mini/vmcore.elf.xz",
        "makedumpfile -E": "x86_64-mini/vmcore.d31.elf.xz",
        "arm64": "arm64/vmcore.elf.xz",
        "i386": "i386/vmcore.elf.xz",
        "QEMU": "qemu-guest-dump/vmcore.qemu.elf.xz",
    }.items()
}


def uneven(align: int) -> bytes:
    """Notes whose owners and descriptors end at every place that alignment can tell apart."""
    return b"".join(
        note(owner, 7, b"x" * size, align=align) for owner in (b"GNU\0", b"LINUX\0", b"A\0") for size in (0, 3, 8, 9)
    )


BUILT = {
    **{f"ELF{bits} {order}": usual_elf(bits=bits, order=order) for bits in WIDTHS for order in ORDERS},
    "several segments": elf(notes(usual_notes()), Segment(b"memory"), notes(prstatus(1)), notes(vmcoreinfo())),
    "p_align 8": elf(notes(uneven(8), align=8)),
    "p_align 4": elf(notes(uneven(4), align=4)),
    "100 dumps": elf(notes(b"".join(device_dump(f"nic{i}", b"x" * i) for i in range(100)))),
}

HEADING = re.compile(r"^  (?P<owner>\S*) +(?P<size>\d+)  (?P<type>\S.*)$")
KNOWN = {"PRSTATUS": 1, "FPREGSET": 2, "PRPSINFO": 3, "GNU_ABI_TAG": 1, "GNU_BUILD_ID": 3}


@pytest.fixture(scope="session")
def readelf() -> str:
    program = shutil.which("eu-readelf")
    if not program:
        pytest.skip("eu-readelf (elfutils) is not installed")
    return program


def note_headings(program: str, path: Path) -> list[tuple[str, int, int]]:
    """Return (owner, size, type) of every note that eu-readelf lists; -1 for a type of which it gives the name only."""
    run = subprocess.run([program, "-n", str(path)], capture_output=True, check=True)
    headings = [HEADING.match(line) for line in run.stdout.decode("latin-1").splitlines()]
    found = []
    for heading in filter(None, headings):
        number = re.search(r"<unknown>: (\d+)$", heading["type"])
        kind = int(number[1]) if number else KNOWN.get(heading["type"], -1)
        found.append((heading["owner"], int(heading["size"]), kind))
    return found


def our_notes(path: Path) -> list[tuple[str, int, int]]:
    table = vl.open_vmcore(path).notes_table()
    return list(zip(*(table.values(name) for name in ("owner", "desc_size", "type")), strict=True))


def expect_equal(ours: list[tuple[str, int, int]], theirs: list[tuple[str, int, int]]) -> None:
    assert theirs
    assert [row[:2] for row in ours] == [row[:2] for row in theirs]
    assert [(a, b) for (*_, a), (*_, b) in zip(ours, theirs, strict=True) if b != -1 and a != b] == []


# where there is a section table, as QEMU writes it, eu-readelf looks at sections only
@pytest.mark.parametrize("name", sorted(REAL.keys() - {"QEMU"}))
def test_notes_of_real_kernels_are_those_of_eu_readelf(
    readelf: str, unpacked: Callable[[str], Path], name: str
) -> None:
    path = unpacked(REAL[name])
    expect_equal(our_notes(path), note_headings(readelf, path))


@pytest.mark.parametrize("name", BUILT)
def test_notes_of_built_files_are_those_of_eu_readelf(readelf: str, file: Callable[..., Path], name: str) -> None:
    path = file(BUILT[name])
    expect_equal(our_notes(path), note_headings(readelf, path))


def pyelftools_segments(path: Path) -> list[tuple[Any, ...]]:
    with path.open("rb") as stream:
        members = ("p_type", "p_offset", "p_vaddr", "p_paddr", "p_filesz", "p_memsz", "p_flags", "p_align")
        return [tuple(segment[member] for member in members) for segment in ELFFile(stream).iter_segments()]


def our_segments(path: Path) -> list[tuple[Any, ...]]:
    return list(vl.open_vmcore(path).segments.itertuples(index=False, name=None))


@pytest.mark.parametrize("name", REAL)
def test_segments_of_real_kernels_are_those_of_pyelftools(unpacked: Callable[[str], Path], name: str) -> None:
    path = unpacked(REAL[name])
    assert our_segments(path) == pyelftools_segments(path)


@pytest.mark.parametrize("xnum", ["", "behind", "end"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bits", WIDTHS)
def test_segments_of_built_files_are_those_of_pyelftools(
    file: Callable[..., Path], bits: int, order: str, xnum: str
) -> None:
    path = file(usual_elf(bits=bits, order=order, xnum=xnum))
    assert our_segments(path) == pyelftools_segments(path)


@pytest.mark.parametrize("name", REAL)
def test_places_of_notes_are_those_of_pyelftools(unpacked: Callable[[str], Path], name: str) -> None:
    path = unpacked(REAL[name])
    with path.open("rb") as stream:
        theirs = [found for segment in ELFFile(stream).iter_segments("PT_NOTE") for found in segment.iter_notes()]
    container = vl.open_vmcore(path).container
    assert [(n.header_offset, n.desc_size) for n in container.notes] == [(n["n_offset"], n["n_descsz"]) for n in theirs]
    for ours, other in zip(container.notes, theirs, strict=True):
        assert container.source.read(ours.desc_offset, ours.desc_size) == other["n_descdata"]
