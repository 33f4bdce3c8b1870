"""/proc/vmcore, /proc/kcore and devices: files that the kernel makes up as they are read, and that may lie about their size."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import Segment, elf, notes, usual_elf, usual_notes

import vmcoredd_lab as vl
from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.source import open_source
from vmcoredd_lab.source.files import ENDLESS, LiveSource, true_size

PLAIN = usual_elf()
Live = Callable[..., LiveSource]


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Live:
    """Return a function that makes a live file: reading gives `data`, stat says `said`, reading `broken` offsets fails."""

    def make(data: bytes, said: int | None = None, broken: range = range(0)) -> LiveSource:
        path = tmp_path / "vmcore"
        path.write_bytes(data)
        file = path.open("rb", buffering=0)
        number, pread, fstat = file.fileno(), os.pread, os.fstat

        def read(fd: int, size: int, offset: int) -> bytes:
            if fd == number and offset in broken:
                raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
            return pread(fd, min(size, max(1, broken.start - offset)) if offset < broken.start else size, offset)

        def stat(fd: int) -> os.stat_result:
            true = list(fstat(fd))
            if fd == number and said is not None:
                true[6] = said
            return os.stat_result(true)

        monkeypatch.setattr(os, "pread", read)
        monkeypatch.setattr(os, "fstat", stat)
        monkeypatch.setattr("vmcoredd_lab.source.files._seek_end", lambda file: said or 0)
        return LiveSource(file, str(path))

    return make


@pytest.mark.parametrize("said", [0, 1, len(PLAIN) - 300, len(PLAIN), len(PLAIN) + 1, 1 << 47])
def test_the_end_is_where_reading_ends_whatever_stat_says(live: Live, said: int) -> None:
    source = live(PLAIN, said)
    assert source.size == len(PLAIN)
    core, straight = vl.open_vmcore(source), vl.open_vmcore(PLAIN)
    assert core.notes_table().records() == straight.notes_table().records()
    assert core.problems_table().records() == []


def test_a_tail_that_cannot_be_read_is_a_problem_and_the_rest_is_shown(live: Live) -> None:
    data = elf(notes(usual_notes()), Segment(b"m" * 9000, paddr=0x1000), Segment(b"n" * 9000, paddr=0x9000))
    source = live(data, len(data), range(len(data) - 12_000, len(data)))
    core = vl.open_vmcore(source)
    assert len(core.notes_table()) == 5
    assert core.memory.read(0x1000, 5000) == b"m" * 5000
    with pytest.raises(vl.errors.NotInFileError, match="cannot be read"):
        core.memory.read(0x9000, 16)
    (row,) = core.problems_table().records()
    assert (row["where"], row["got"]) == ("file", os.strerror(errno.EFAULT))


def test_a_file_that_becomes_shorter_gives_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "vmcore"
    path.write_bytes(PLAIN)
    source = LiveSource(path.open("rb", buffering=0), "vmcore")
    os.truncate(path, 100)
    assert source.read(0, 1 << 20) == PLAIN[:100]
    assert source.read(50, 1 << 40) == PLAIN[50:100]
    assert source.read(100, 10) == b""


def test_kcore_maps_kernel_addresses_and_says_where_no_physical_address_is_known(live: Live) -> None:
    """As fs/proc/kcore.c lays it out: no physical addresses for vmalloc, offsets far behind what can be read."""
    nowhere = (1 << 64) - 1
    data = elf(
        notes(usual_notes()),
        Segment(b"text" * 100, vaddr=0xFFFFFFFF81000000, paddr=0x1000000),
        Segment(b"vmalloc!" * 50, vaddr=0xFFFFC90000000000, paddr=nowhere),
        Segment(vaddr=0xFFFF888000000000, paddr=0, offset=0x7FFF_0000_0000, filesz=1 << 46, memsz=1 << 46),
    )
    core = vl.open_vmcore(live(data, 1 << 47))
    assert core.memory.read(0xFFFFFFFF81000000, 8, "virtual") == b"texttext"
    assert core.memory.read(0xFFFFC90000000000, 8, "virtual") == b"vmalloc!"
    assert core.memory.read(0x1000000, 4) == b"text"
    with pytest.raises(vl.errors.NotInFileError):
        core.memory.read(0xFFFF888000001000, 8, "virtual")


def test_a_file_that_never_ends_is_not_read_without_end() -> None:
    reads: list[int] = []

    def endless(offset: int, size: int) -> bytes:
        reads.append(offset)
        return bytes(size)

    assert true_size(endless, 0) == 0
    assert true_size(endless, 1 << 47) == 1 << 47
    assert len(reads) < 300
    assert max(reads) <= ENDLESS * 2


@pytest.mark.parametrize("path", ["/dev/zero", "/proc/self/mem", "/dev/null", "/proc/self/fd"])
def test_special_files_that_hold_no_vmcore_are_refused(path: str) -> None:
    if not Path(path).exists():
        pytest.skip(f"no {path} here")
    with pytest.raises(OpenError):
        vl.open_vmcore(path)


def test_a_file_of_proc_whose_size_stat_does_not_tell_is_read_to_its_end() -> None:
    path = Path("/proc/version")
    if not path.exists():
        pytest.skip("no /proc here")
    assert path.stat().st_size == 0
    source = open_source(path)
    assert source.read(0, 1 << 20) == path.read_bytes()
    with pytest.raises(OpenError, match="text"):
        vl.open_vmcore(path)


def test_kcore_of_this_machine_opens_where_it_may_be_read() -> None:
    if not os.access("/proc/kcore", os.R_OK):
        pytest.skip("/proc/kcore cannot be read here")
    core = vl.open_vmcore("/proc/kcore")
    assert core.format in ("elf64", "elf32")
    assert core.container.segment_count() > 1
