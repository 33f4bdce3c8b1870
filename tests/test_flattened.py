"""Flattened files: read as the file they unfold to, whatever order their records come in, and whatever befell them."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import usual_elf, usual_kdump
from hypothesis import given
from hypothesis import strategies as st
from wrap_builder import END, flat_header, flatten, flattened, record, unfolded

import vmcoredd_lab as vl
from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.progress import show_with
from vmcoredd_lab.source import ByteSource, flattened_cache, open_source, open_unwrapped
from vmcoredd_lab.source import flattened as module
from vmcoredd_lab.source.flattened import FlattenedSource
from vmcoredd_lab.source.pieces import last_one_holds

ELF, KDUMP = usual_elf(), usual_kdump()
File = Callable[..., Path]


def source(data: bytes) -> FlattenedSource:
    return FlattenedSource(open_source(data))


def messages(what: ByteSource | vl.Vmcore) -> list[str]:
    found = what.known_problems() if isinstance(what, vl.Vmcore) else what.problems()
    return [f"{p.severity}: {p.message}" for p in found]


def whole(unfolded_: ByteSource) -> bytes:
    return unfolded_.read(0, unfolded_.size)


# -- unfolding --------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 60), st.binary(min_size=1, max_size=20)), min_size=1, max_size=14))
def test_it_reads_as_what_writing_the_records_one_after_the_other_makes(records: list[tuple[int, bytes]]) -> None:
    folded = source(flattened(*records))
    assert whole(folded) == unfolded(records)
    assert messages(folded) == []


@given(st.lists(st.tuples(st.integers(0, 40), st.binary(min_size=1, max_size=30)), min_size=1, max_size=8), st.data())
def test_a_read_may_begin_and_end_anywhere(records: list[tuple[int, bytes]], data: st.DataObject) -> None:
    folded, plain = source(flattened(*records)), unfolded(records)
    offset, size = data.draw(st.integers(0, 90)), data.draw(st.integers(0, 90))
    assert folded.read(offset, size) == plain[offset : offset + size] == bytes(folded.view(offset, size))


def test_what_was_written_last_holds() -> None:
    assert whole(source(flattened((0, b"aaaaaaaa"), (2, b"bbbb"), (3, b"c")))) == b"aabcbbaa"


def test_what_no_record_covers_is_zeros() -> None:
    folded = source(flattened((10, b"behind"), (0, b"before")))
    assert (folded.size, whole(folded)) == (16, b"before\0\0\0\0behind")


def test_the_size_is_that_of_the_file_it_unfolds_to() -> None:
    assert source(flattened((1 << 40, b"far"), (0, b"near"))).size == (1 << 40) + 3


def test_bytes_of_one_record_are_not_copied(file: File) -> None:
    folded = FlattenedSource(open_source(file(flattened((0, b"x" * 5000)))))
    first, second = folded.view(100, 50), folded.view(120, 50)
    assert first.obj is second.obj is not None


def test_empty_records_are_nothing() -> None:
    assert whole(source(flattened((5, b""), (0, b"data"), (9000, b"")))) == b"data"


def test_what_stands_behind_the_end_is_not_read() -> None:
    folded = source(flattened((0, b"data")) + record(0, b"more"))
    assert (whole(folded), messages(folded)) == (b"data", [])


@pytest.mark.parametrize("offset", [20, 1 << 31, (1 << 63) - 1, 1 << 63, 1 << 64])
def test_a_read_behind_the_end_is_empty(offset: int) -> None:
    assert source(flattened((0, b"data"))).read(offset, 16) == b""


@pytest.mark.parametrize("chunk", [16, 96, 1000])
@pytest.mark.parametrize("shuffled", [False, True])
def test_records_of_one_size_are_found_alike_at_once_and_one_by_one(chunk: int, shuffled: bool) -> None:
    data = flatten(ELF * 40, chunk, shuffled=shuffled)
    one_by_one = FlattenedSource(open_source(io.BytesIO(data)))
    assert whole(source(data)) == whole(one_by_one) == ELF * 40


def test_overlaps_among_many_records_are_sorted_out_as_by_writing() -> None:
    import numpy as np

    random = np.random.default_rng(1)
    offsets, sizes = random.integers(0, 50_000, 5000), random.integers(1, 400, 5000)
    owner = np.full(60_000, -1)
    for number, (offset, size) in enumerate(zip(offsets, sizes, strict=True)):
        owner[offset : offset + size] = number
    starts, ends, places = last_one_holds(offsets, sizes, np.arange(5000) << 20)
    assert (starts[1:] >= ends[:-1]).all()
    shown = np.full(60_000, -1)
    for start, end, place in zip(starts, ends, places, strict=True):
        shown[start:end] = place >> 20
        assert place & 0xFFFFF == start - offsets[place >> 20]
    assert (shown == owner).all()


# -- as a vmcore ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plain", [ELF, KDUMP], ids=["ELF", "kdump"])
def test_a_flattened_vmcore_is_the_vmcore(plain: bytes) -> None:
    folded, straight = vl.open_vmcore(flatten(plain)), vl.open_vmcore(plain)
    for table in ("notes_table", "segments_table", "problems_table"):
        assert getattr(folded, table)().records() == getattr(straight, table)().records()
    assert folded.device_dumps.table().records() == straight.device_dumps.table().records()
    assert [bytes(d.data) for d in folded.device_dumps] == [bytes(d.data) for d in straight.device_dumps]
    assert folded.format == straight.format


def test_memory_is_read_through_the_records() -> None:
    assert vl.open_vmcore(flatten(ELF, 7)).memory.read(0x1000, 26) == b"memory of the first segment"[:26]


def test_info_says_that_it_is_flattened(lab: Callable[..., Any], file: File) -> None:
    answer = lab("info", file(flatten(ELF)), "--format", "json")
    assert (answer.status, answer.json["layers"], answer.json["file_size"]) == (0, ["flattened"], len(ELF))


def test_hexdump_counts_in_the_file_it_unfolds_to(lab: Callable[..., Any], file: File) -> None:
    folded, plain = file(flatten(ELF), "folded"), file(ELF, "plain")
    assert lab("hexdump", folded, "--offset", "64").out == lab("hexdump", plain, "--offset", "64").out


def test_a_flattened_file_of_something_else_says_what_it_holds() -> None:
    with pytest.raises(OpenError, match=r"not a vmcore.*text in flattened"):
        vl.open_vmcore(flatten(b"not a vmcore\n" * 99))


# -- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plain", [ELF, KDUMP], ids=["ELF", "kdump"])
def test_cut_anywhere_the_records_before_the_cut_are_used_and_the_cut_is_told(plain: bytes) -> None:
    data = flatten(plain, 96, shuffled=False)
    for length in range(4096 + 17, len(data) - len(END) + 16, 5):
        folded = source(data[:length])
        complete, rest = divmod(length - 4096, 112)
        assert whole(folded) == plain[: complete * 96 + max(0, rest - 16)], length
        assert [m for m in messages(folded) if m.startswith("error")], length


def test_without_the_record_that_ends_it_all_records_are_used() -> None:
    folded = source(flattened((0, b"data"), end=b""))
    assert whole(folded) == b"data"
    assert "ends without the record that ends it" in messages(folded)[0]


def test_a_cut_in_the_header_is_refused() -> None:
    with pytest.raises(OpenError, match="cut inside the header") as error:
        source(flat_header()[:4000])
    assert (error.value.offset, error.value.expected) == (4000, "4096 bytes")


@pytest.mark.parametrize("behind", [b"", END, record(0, b""), record(-5, b"x"), bytes(500)])
def test_without_a_record_that_can_be_read_the_command_that_tries_is_told(behind: bytes) -> None:
    with pytest.raises(OpenError, match="makedumpfile -R vmcore <"):
        source(flat_header() + behind)


@pytest.mark.parametrize("offset", [-2, -(1 << 63), 1 << 62, (1 << 63) - 1, (1 << 52) - 2])
def test_a_record_that_belongs_nowhere_is_left_out(offset: int) -> None:
    folded = source(flattened((0, b"first"), (offset, b"nowhere"), (5, b"second")))
    assert whole(folded) == b"firstsecond"
    assert messages(folded) == ["error: a record that belongs where no vmcore reaches; it is left out"]


@pytest.mark.parametrize("size", [-1, -(1 << 63), 1 << 62, 1 << 40])
def test_behind_a_size_that_cannot_be_the_next_records_are_found_again(size: int) -> None:
    good = [(at, bytes([65 + at // 50]) * 50) for at in range(0, 500, 50)]
    data = flattened(*good[:3])[:-16] + record(150, good[3][1], size) + flattened(*good[4:])[4096:]
    folded = source(data)
    assert folded.read(0, 150) == unfolded(good)[:150]
    assert folded.read(200, 300) == unfolded(good)[200:]
    assert "the chain of records is lost here; it goes on at" in messages(folded)[0]


@pytest.mark.parametrize("length", [100, 2000, 70_000])
def test_behind_a_zeroed_middle_the_next_records_are_found_again(length: int) -> None:
    plain = bytes(range(1, 251)) * 800
    data = bytearray(flatten(plain, 500, shuffled=False))
    start = 4096 + 516 * 40 + 3
    data[start : start + length] = bytes(length)
    folded = source(bytes(data))
    assert folded.read(0, 500 * 40) == plain[: 500 * 40]
    lost = 500 * (length // 516 + 2)
    assert folded.read(500 * 40 + lost, len(plain)) == plain[500 * 40 + lost :]
    assert len(messages(folded)) == 1


def test_where_no_record_follows_damage_the_sound_ones_before_it_are_used() -> None:
    folded = source(flattened((0, b"sound"), end=struct.pack(">qq", 5, -7) + b"\xee" * 3000))
    assert whole(folded) == b"sound"
    assert "nothing behind it is used" in messages(folded)[0]


@pytest.mark.parametrize(("kind", "version"), [(2, 1), (1, 2), (0, 0), (-1, 1 << 40)])
def test_another_version_is_read_as_the_known_one_and_told(kind: int, version: int) -> None:
    folded = source(flat_header(kind, version) + record(0, b"data") + END)
    assert whole(folded) == b"data"
    assert "type and version" in messages(folded)[0]


def test_damage_of_the_records_is_among_the_problems_of_the_vmcore(lab: Callable[..., Any], file: File) -> None:
    path = file(flatten(ELF, shuffled=False)[:-16])
    answer = lab("notes", path, "--format", "json")
    assert (answer.status, len(answer.json)) == (1, 5)
    assert lab("problems", path, "--format", "json").column("where") == ["flattened records"]


def test_too_many_records_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_RECORDS", 3)
    folded = source(flattened(*((at, b"%d" % at) for at in range(9))))
    assert whole(folded) == b"012"
    assert "more records than are read" in messages(folded)[0]


@given(st.binary(max_size=300))
def test_anything_may_follow_the_header(data: bytes) -> None:
    for end in (b"", END):
        try:
            folded = source(flat_header() + record(0, b"sound") + data + end)
        except OpenError:
            continue
        assert len(folded.read(0, 1 << 16)) == min(folded.size, 1 << 16)


@given(at=st.integers(0, 2000), value=st.sampled_from([0, -1, -2, 1 << 62, 1 << 52, 1 << 40, (1 << 63) - 1, 5]))
def test_any_number_may_stand_anywhere(at: int, value: int) -> None:
    data = bytearray(flatten(ELF, 60))
    data[4096 + at : 4096 + at + 8] = struct.pack(">q", value)
    folded = source(bytes(data))
    assert len(folded.read(0, 4096)) == min(folded.size, 4096)


# -- many records -----------------------------------------------------------------------------------------------------


def test_a_million_records_take_some_dozen_bytes_each() -> None:
    import tracemalloc

    import numpy as np

    count = 1_000_000
    table = np.zeros((count, 3), ">i8")
    table[:, 0], table[:, 1] = np.arange(count) * 8, 8
    data = flat_header() + table.tobytes() + END
    tracemalloc.start()
    folded = source(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert folded.size == count * 8
    assert peak < 100 * count


def test_indexing_tells_how_far_it_is(file: File) -> None:
    told: list[int] = []
    total: list[int] = []

    class Shown:
        def __init__(self, text: str, size: int) -> None:
            assert text.startswith("indexing ")
            total.append(size)

        def __enter__(self) -> Callable[[int], object]:
            return told.append

        def __exit__(self, *exc: object) -> None:
            pass

    path = file(flattened(*((at << 20, b"x" * ((1 << 20) - at)) for at in range(24))))
    show_with(Shown)
    try:
        FlattenedSource(open_source(path))
    finally:
        show_with(None)
    assert total == [path.stat().st_size]
    assert len(told) > 2
    assert 0.5 * total[0] < sum(told) <= total[0]


# -- the index kept beside the file -----------------------------------------------------------------------------------


@pytest.fixture
def folded(file: File) -> Path:
    return file(flatten(ELF), "vmcore.flat")


def index_of(path: Path) -> Path:
    return path.with_name(path.name + flattened_cache.SUFFIX)


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose records were walked through."""
    seen: list[str] = []
    original = module._Walk.records

    def records(self: Any) -> Any:
        seen.append(self._source.name)
        return original(self)

    monkeypatch.setattr(module._Walk, "records", records)
    return seen


def opened(path: Path) -> vl.Vmcore:
    core = vl.open_vmcore(path, cache_index=True)
    assert bytes(core.device_dumps[0].data) == b"first dump " * 9
    assert core.notes_table().records() == vl.open_vmcore(ELF).notes_table().records()
    return core


def test_no_index_is_kept_unless_asked_for(folded: Path) -> None:
    vl.open_vmcore(folded)
    assert [p.name for p in folded.parent.iterdir()] == ["vmcore.flat"]


def test_the_index_is_used_the_next_time(folded: Path, walks: list[str]) -> None:
    opened(folded)
    opened(folded)
    assert len(walks) == 1
    assert sorted(p.name for p in folded.parent.iterdir()) == ["vmcore.flat", "vmcore.flat.vmcoredd-index"]


def test_the_command_line_keeps_it_with_an_option(lab: Callable[..., Any], folded: Path, walks: list[str]) -> None:
    first, second = (lab("notes", folded, "--cache-index", "--format", "json") for _ in range(2))
    assert (first.status, first.out, len(walks)) == (0, second.out, 1)


@pytest.mark.parametrize("other", [ELF + b"longer", ELF[:-9] + b"different"], ids=["size", "time"])
def test_the_index_of_a_file_that_changed_is_made_anew(folded: Path, walks: list[str], other: bytes) -> None:
    opened(folded)
    status = folded.stat()
    folded.write_bytes(flatten(other, 80))
    os.utime(folded, ns=(status.st_atime_ns, status.st_mtime_ns + (len(other) == len(ELF))))
    opened(folded)
    opened(folded)
    assert len(walks) == 2


@pytest.mark.parametrize("at", [0, 9, 20, 27, 36, 44, 60, -1])
def test_a_damaged_index_is_made_anew(folded: Path, walks: list[str], at: int) -> None:
    opened(folded)
    index = bytearray(index_of(folded).read_bytes())
    index[at] ^= 0x11
    index_of(folded).write_bytes(index)
    opened(folded)
    assert len(walks) == 2


@pytest.mark.parametrize("content", [b"", b"text\n" * 99])
def test_a_foreign_file_of_that_name_is_replaced(folded: Path, walks: list[str], content: bytes) -> None:
    index_of(folded).write_bytes(content)
    opened(folded)
    opened(folded)
    assert len(walks) == 1


@pytest.mark.parametrize("column", [0, 1, 2], ids=["offset", "size", "place"])
def test_an_index_whose_checksum_holds_is_compared_with_the_records(
    folded: Path, walks: list[str], column: int
) -> None:
    opened(folded)
    index = index_of(folded).read_bytes()
    head, body = bytearray(index[:48]), bytearray(index[48:])
    count = len(body) // 24
    at = 8 * count * column
    body[at : at + 8] = struct.pack("<q", struct.unpack_from("<q", body, at)[0] + 8)
    head[40:48] = struct.pack("<Q", flattened_cache._checksum([bytes(body)]))
    index_of(folded).write_bytes(bytes(head + body))
    opened(folded)
    assert len(walks) == 2


def test_of_a_damaged_file_no_index_is_kept(file: File) -> None:
    path = file(flatten(ELF)[:-16])
    vl.open_vmcore(path, cache_index=True)
    assert not index_of(path).exists()


def test_where_no_index_can_be_written_the_problems_say_so(folded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(flattened_cache.tempfile, "NamedTemporaryFile", refused)
    assert messages(opened(folded)) == ["info: the index cannot be kept beside the file: Read-only file system"]


def test_what_is_not_a_file_of_this_machine_has_no_index(tmp_path: Path) -> None:
    assert open_unwrapped(flatten(ELF), cache_index=True).size == len(ELF)
    assert open_unwrapped(io.BytesIO(flatten(ELF)), cache_index=True).size == len(ELF)
    assert list(tmp_path.iterdir()) == []


# -- files that makedumpfile wrote ------------------------------------------------------------------------------------

REAL = ["vmcore.d31-zlib.flat", "vmcore.d31-elf.flat.xz"]


@pytest.mark.parametrize("name", REAL)
def test_makedumpfile_unfolds_to_the_same_bytes(unpacked: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    if not shutil.which("makedumpfile"):
        pytest.skip("makedumpfile is not installed")
    path = unpacked(f"vmcore/x86_64-mini/{name}")
    with path.open("rb") as folded:
        subprocess.run(["makedumpfile", "-R", tmp_path / "vmcore"], stdin=folded, check=True, capture_output=True)
    folded_source = FlattenedSource(open_source(path))
    assert whole(folded_source) == (tmp_path / "vmcore").read_bytes()
    assert messages(folded_source) == []


@pytest.mark.parametrize("name", REAL)
def test_flattened_dumps_of_real_kernels_have_the_notes_of_the_others(
    unpacked: Callable[[str], Path], name: str
) -> None:
    columns = ("owner", "type", "desc_size", "cpu")
    folded = vl.open_vmcore(unpacked(f"vmcore/x86_64-mini/{name}"))
    straight = vl.open_vmcore(unpacked("vmcore/x86_64-mini/vmcore.d31-zstd.kdump"))
    for column in columns:
        assert folded.notes_table().values(column) == straight.notes_table().values(column)
    assert [bytes(d.data) for d in folded.device_dumps] == [bytes(d.data) for d in straight.device_dumps]
    assert not folded.known_problems().damaged


def test_a_kdump_file_unfolds_with_the_offsets_of_the_straight_one(unpacked: Callable[[str], Path]) -> None:
    folded = vl.open_vmcore(unpacked("vmcore/x86_64-mini/vmcore.d31-zlib.flat"))
    straight = vl.open_vmcore(unpacked("vmcore/x86_64-mini/vmcore.d31-zstd.kdump"))
    assert folded.notes_table().values("desc_offset") == straight.notes_table().values("desc_offset")
