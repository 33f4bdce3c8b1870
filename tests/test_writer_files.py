"""Files that are written whole or not at all, with holes where nothing is, and progress that is told."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vmcoredd_lab as vl
from vmcoredd_lab.errors import OutputError
from vmcoredd_lab.progress import show_with
from vmcoredd_lab.source import open_source

ALL = [("elf", None), ("kdump", None), ("kdump", "zlib"), ("flattened-elf", None), ("flattened-kdump", "zlib")]


def image_with(data: Any, size: int | None = None) -> vl.VmcoreImage:
    image = vl.VmcoreImage()
    image.add_note("CORE", 1, bytes(336))
    image.add_segment(data, paddr=0, size=size)
    return image


def failing(offset: int, size: int) -> bytes:
    if offset >= 3 << 20:
        raise RuntimeError("the disk is gone")
    return b"x" * size


@pytest.mark.parametrize(("form", "compression"), ALL)
def test_writing_that_fails_leaves_nothing(tmp_path: Path, form: str, compression: str | None) -> None:
    with pytest.raises(RuntimeError, match="the disk is gone"):
        vl.write_vmcore(image_with(failing, 8 << 20), tmp_path / "vmcore", form, compression)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("form", "compression"), ALL)
def test_writing_that_fails_leaves_what_was_there(tmp_path: Path, form: str, compression: str | None) -> None:
    (tmp_path / "vmcore").write_bytes(b"the vmcore of yesterday")
    with pytest.raises(RuntimeError, match="the disk is gone"):
        vl.write_vmcore(image_with(failing, 8 << 20), tmp_path / "vmcore", form, compression)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"the vmcore of yesterday"]


def test_of_parts_none_is_left_where_one_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the disk is gone"):
        vl.write_vmcore(image_with(failing, 8 << 20), tmp_path / "vmcore", "kdump", parts=4)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    script = (
        "import signal, sys, vmcoredd_lab as vl; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "image = vl.VmcoreImage(); image.add_segment(b'x' * (4 << 20), paddr=0)\n"
        "try: vl.write_vmcore(image, sys.argv[1], sys.argv[2])\n"
        "except vl.OutputError as error: print(error)"
    )
    for form in ("elf", "kdump", "flattened-kdump"):
        run = subprocess.run([sys.executable, "-c", script, str(tmp_path / "vmcore"), form], preexec_fn=limited,
                             capture_output=True, text=True, check=True)  # fmt: skip
        assert "cannot be written: File too large" in run.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["a directory", "no directory", "a device"])
def test_a_place_where_no_file_can_be_is_an_error(tmp_path: Path, where: str) -> None:
    path = {"a directory": tmp_path, "no directory": tmp_path / "no" / "vmcore", "a device": Path("/dev/null")}[where]
    with pytest.raises(OutputError, match="cannot be written"):
        vl.write_vmcore(image_with(b"x"), path)


def test_a_device_takes_a_flattened_file() -> None:
    assert vl.write_vmcore(image_with(b"x"), "/dev/null", "flattened-elf") == [Path("/dev/null")]
    assert not Path("/dev/null").is_file()


def test_a_file_may_be_written_over_itself(tmp_path: Path) -> None:
    path = tmp_path / "vmcore"
    vl.write_vmcore(image_with(b"memory " * 1000), path)
    core = vl.open_vmcore(path)
    vl.write_vmcore(core.to_image(), path, "kdump", "zlib")
    assert vl.open_vmcore(path).memory.read(0, 7000) == core.memory.read(0, 7000) == b"memory " * 1000


def test_the_file_has_the_rights_that_a_new_file_has(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        vl.write_vmcore(image_with(b"x"), tmp_path / "vmcore")
    finally:
        os.umask(before)
    assert (tmp_path / "vmcore").stat().st_mode & 0o777 == 0o640


# -- holes ------------------------------------------------------------------------------------------------------------


def used(path: Path) -> int:
    return path.stat().st_blocks * 512


def sparse(path: Path, size: int, *pieces: tuple[int, bytes]) -> Path:
    with path.open("wb") as file:
        for at, data in pieces:
            file.seek(at)
            file.write(data)
        file.truncate(size)
    if used(path) >= size:
        pytest.skip("this file system has no holes")
    return path


PIECES = [(0, b"a" * 4096), (5 << 30, b"b" * 100_000), ((40 << 30) + 123, b"c" * 10_000)]


def test_holes_of_a_source_are_told(tmp_path: Path) -> None:
    source = open_source(sparse(tmp_path / "memory", 64 << 30, *PIECES))
    found = list(source.extents(0, source.size))
    assert [any(start <= at and at + len(data) <= end for start, end in found) for at, data in PIECES] == [True] * 3
    assert sum(end - start for start, end in found) < 1 << 20
    assert list(source.extents(6 << 30, 1 << 30)) == []
    assert list(source.extents((5 << 30) + 10, 20)) == [((5 << 30) + 10, (5 << 30) + 30)]


def test_64_gib_of_holes_stay_holes(tmp_path: Path) -> None:
    memory = sparse(tmp_path / "memory", 64 << 30, *PIECES)
    vl.write_vmcore(image_with(memory), tmp_path / "vmcore")
    assert (tmp_path / "vmcore").stat().st_size == 8192 + (64 << 30)
    assert used(tmp_path / "vmcore") < 1 << 20
    core = vl.open_vmcore(tmp_path / "vmcore")
    assert [core.memory.read(at, len(data)) for at, data in PIECES] == [data for _, data in PIECES]
    again = core.to_image()
    again.as_opened = None
    vl.write_vmcore(again, tmp_path / "again")
    assert used(tmp_path / "again") < 1 << 20


def test_64_gib_of_holes_are_written_with_constant_memory(tmp_path: Path) -> None:
    memory = sparse(tmp_path / "memory", 64 << 30, *PIECES)
    script = (
        "import resource, sys, vmcoredd_lab as vl\n"
        "image = vl.VmcoreImage(); image.add_segment(sys.argv[1], paddr=0)\n"
        "vl.write_vmcore(image, sys.argv[2], 'flattened-elf')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "vl.write_vmcore(image, sys.argv[2]); vl.write_vmcore(image, sys.argv[2], 'kdump')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    run = subprocess.run([sys.executable, "-c", script, str(memory), str(tmp_path / "vmcore")],
                         capture_output=True, text=True, check=True)  # fmt: skip
    assert int(run.stdout) < 64 << 10  # KiB; page descriptors alone take 384 MiB of the file


def test_zeros_in_dense_memory_become_holes(tmp_path: Path) -> None:
    data = np.random.default_rng(1).bytes(1 << 20)
    vl.write_vmcore(image_with(data + bytes(32 << 20) + data), tmp_path / "vmcore")
    assert used(tmp_path / "vmcore") < 8 << 20
    assert vl.open_vmcore(tmp_path / "vmcore").memory.read(0, 34 << 20) == data + bytes(32 << 20) + data


def test_zeros_that_nobody_can_see_as_holes_are_written_right(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    data = bytearray(1 << 21)
    for at in rng.integers(0, len(data), 40).tolist():
        data[at] = 1
    for lead in (0, 1, 4095, 65535):
        image = vl.VmcoreImage()
        image.add_segment(bytes(data), paddr=lead)
        vl.write_vmcore(image, tmp_path / "vmcore")
        assert vl.open_vmcore(tmp_path / "vmcore").memory.read(lead, len(data)) == data


# -- progress ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "compression"), ALL)
def test_progress_is_told_up_to_the_end(tmp_path: Path, form: str, compression: str | None) -> None:
    told: list[tuple[str, int, list[int]]] = []

    @contextmanager
    def shower(text: str, total: int) -> Iterator[Any]:
        told.append((text, total, []))
        yield told[-1][2].append

    show_with(shower)
    try:
        vl.write_vmcore(image_with(np.random.default_rng(1).bytes(5 << 20)), tmp_path / "vmcore", form, compression)
    finally:
        show_with(None)
    ((text, total, steps),) = told
    assert text == f"writing {tmp_path / 'vmcore'}"
    assert sum(steps) == total >= 5 << 20
    assert len(steps) >= 5


def test_a_stream_stays_open(tmp_path: Path) -> None:
    out = io.BytesIO()
    vl.write_vmcore(image_with(b"x"), out, "flattened-kdump")
    assert not out.closed
