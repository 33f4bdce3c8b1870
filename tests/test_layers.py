"""A vmcore inside something else: the flattened format, gzip, xz, tar. What is inside is read as if it stood alone."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
from pathlib import Path

import pytest

import vmcoredd_lab as vl

SAMPLE = Path(__file__).parents[1] / "sample_data" / "vmcore.kdump"


@pytest.fixture(scope="module")
def whole() -> bytes:
    return SAMPLE.read_bytes()


def flattened(pieces: list[tuple[int, bytes]]) -> bytes:
    """Write records as makedumpfile -F does: big endian, in any order, ended by an offset of -1."""
    head = b"makedumpfile".ljust(16, b"\0") + struct.pack(">qq", 1, 1)
    records = b"".join(struct.pack(">qq", offset, len(data)) + data for offset, data in pieces)
    return head.ljust(4096, b"\0") + records + struct.pack(">qq", -1, -1)


def same(core: vl.Vmcore, whole: bytes) -> None:
    alone = vl.open_vmcore(whole)
    assert core.notes_table().records() == alone.notes_table().records()
    assert [bytes(d.data) for d in core.device_dumps] == [bytes(d.data) for d in alone.device_dumps]
    assert core.memory.read(0x1000, 4096) == alone.memory.read(0x1000, 4096)
    assert core.problems_table().records() == []


def test_a_flattened_file_is_read_in_any_order_of_its_records(whole):
    step = 100_003
    pieces = [(at, whole[at : at + step]) for at in range(0, len(whole), step)]
    same(vl.open_vmcore(flattened(pieces[::-1])), whole)


def test_of_a_range_that_is_written_twice_the_last_record_holds(whole):
    same(vl.open_vmcore(flattened([(0, bytes(8192)), (4096, b"\xff" * 4096), (0, whole)])), whole)


def test_a_flattened_file_that_is_cut_keeps_its_notes(whole):
    core = vl.open_vmcore(flattened([(0, whole)])[: 2 << 20])
    assert len(core.notes_table()) == 5
    assert core.known_problems().damaged


def test_a_gzip_file_is_read_through(whole, tmp_path):
    path = tmp_path / "vmcore.gz"
    path.write_bytes(gzip.compress(whole, 1))
    same(vl.open_vmcore(path), whole)


def test_an_xz_file_is_read_through(whole, tmp_path):
    path = tmp_path / "vmcore.xz"
    path.write_bytes(lzma.compress(whole, preset=0))
    same(vl.open_vmcore(path), whole)


def test_a_tar_archive_gives_the_vmcore_in_it(whole, tmp_path):
    path = tmp_path / "case.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, data in (("case/readme.txt", b"see vmcore\n"), ("case/vmcore", whole)):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    same(vl.open_vmcore(path), whole)
