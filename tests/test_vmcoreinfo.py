"""VMCOREINFO: typed views, crash time, and text that no kernel writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders import elf, note, notes

import vmcoredd_lab as vl
from vmcoredd_lab.notes.vmcoreinfo import Vmcoreinfo

USUAL = b"""OSRELEASE=6.1.0-18-amd64
BUILD-ID=ed14a85d5c7106f5ef3aa5d60aa1940a694eaa2e
PAGESIZE=4096
SYMBOL(init_uts_ns)=ffffffff82e14a40
OFFSET(page.flags)=0
SIZE(page)=64
LENGTH(mem_section)=2048
NUMBER(phys_base)=-1073741824
NUMBER(kimage_voffset)=0xffffffffc0000000
NUMBER(sme_mask)=ffff
KERNELOFFSET=1e000000
CONFIG_X86_PAE=y
CONFIG(PGTABLE_LEVELS)=5
CRASHTIME=1700000000
"""


def test_views_are_numbers_by_name() -> None:
    info = Vmcoreinfo(USUAL)
    assert info.symbols == {"init_uts_ns": 0xFFFFFFFF82E14A40}
    assert (info.offsets, info.sizes, info.lengths) == ({"page.flags": 0}, {"page": 64}, {"mem_section": 2048})
    assert info.numbers == {"phys_base": -1073741824, "kimage_voffset": 0xFFFFFFFFC0000000, "sme_mask": 0xFFFF}
    assert info.config == {"X86_PAE": "y", "PGTABLE_LEVELS": "5"}
    assert len(info.problems) == 0


def test_the_crash_time_has_its_zone() -> None:
    info = Vmcoreinfo(USUAL)
    assert info.crash_time == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert info.crash_time_note is None


@pytest.mark.parametrize(
    ("line", "said"),
    [(b"CRASHTIME=1\n", "no clock (CRASHTIME=1)"), (b"", "not recorded"), (b"CRASHTIME=-5\n", "not recorded")],
)
def test_without_a_clock_the_crash_has_no_time_and_that_is_said(line: bytes, said: str) -> None:
    info = Vmcoreinfo(b"OSRELEASE=6.1\n" + line)
    assert info.crash_time is None
    assert said in (info.crash_time_note or "")


@pytest.mark.parametrize(
    "line",
    [
        b"SYMBOL(a)=xyz", b"SYMBOL(a)=" + b"f" * 17, b"SYMBOL(a)=" + b"9" * 100_000, b"SIZE(a)=0x10", b"OFFSET(a)=",
        b"NUMBER(a)=1_0", b"LENGTH(a)= 1", b"no equals sign", b"OSRELEASE=another", b"PAGESIZE=5000",
        b"PAGESIZE=" + b"9" * 9000, b"\xff\xfe\x00\x01",
    ],
)  # fmt: skip
def test_a_line_that_says_nothing_is_a_problem_with_its_place(line: bytes) -> None:
    head = b"OSRELEASE=6.1\n"
    data = elf(notes(note(b"VMCOREINFO\0", 0, head + line + b"\nSIZE(page)=64\n")))
    core = vl.open_vmcore(data)
    found = [p for p in core.problems_table().records() if p["where"] == "vmcoreinfo"]
    assert [p["offset"] for p in found] == [data.index(head) + len(head)]
    assert core.vmcoreinfo.sizes == {"page": 64}
    assert core.vmcoreinfo.release == "6.1"


def test_noise_is_nine_problems_and_no_exception() -> None:
    noise = bytes(range(1, 256)) * 200
    core = vl.open_vmcore(elf(notes(note(b"VMCOREINFO\0", 0, noise))))
    assert 0 < sum(p["where"] == "vmcoreinfo" for p in core.problems_table().records()) <= 9
    assert core.vmcoreinfo.symbols == {}


@pytest.mark.parametrize("text", ["ed14", "zz" * 20, "ed14a85d5c7106f5ef3aa5d60aa1940a694eaa2", "; rm -rf /" * 4])
def test_a_build_id_that_is_none_is_not_believed(text: str) -> None:
    assert Vmcoreinfo(f"BUILD-ID={text}\n".encode()).build_id is None


@pytest.mark.parametrize(
    "name", ["x86_64-mini/vmcore.d31-zstd.kdump", "arm64/vmcore.d31-zlib.kdump", "i386/vmcore.elf.xz"]
)
def test_every_line_of_a_real_kernel_is_in_a_view_or_plain(unpacked: Callable[[str], Path], name: str) -> None:
    info = vl.open_vmcore(unpacked(f"vmcore/{name}")).vmcoreinfo
    assert len(info.problems) == 0
    viewed = sum(map(len, (info.symbols, info.sizes, info.offsets, info.lengths, info.numbers, info.config)))
    assert viewed == sum("(" in key or key.startswith("CONFIG_") for key in info) > 60
    assert info.build_id
