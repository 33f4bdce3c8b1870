"""Images in makedumpfile's formats: the bytes that makedumpfile writes, and the same content in every pair of formats."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages_builder import CODECS, pages
from pages_builder import parts as built_parts

import vmcoredd_lab as vl
from vmcoredd_lab.errors import NotInFileError, OutputError, UsageError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import Buffer, open_source
from vmcoredd_lab.source.base import MemorySource
from vmcoredd_lab.source.contents import HoleSource

MACHINES = {
    "x86_64": {"bits": 64, "order": "little", "machine": "x86_64"},
    "s390x": {"bits": 64, "order": "big", "machine": "s390x"},
    "i386": {"bits": 32, "order": "little", "machine": "i686"},
    "arm": {"bits": 32, "order": "little", "machine": "armv7l"},
    "ppc": {"bits": 32, "order": "big", "machine": "ppc"},
}
# Files that makedumpfile made of crashes of real kernels. Its lzo packs otherwise than ours.
MADE = {
    "vmcore/x86_64-mini/vmcore.d31.kdump.xz": ("kdump", None),
    "vmcore/x86_64-mini/vmcore.d31-zstd.kdump": ("kdump", "zstd"),
    "vmcore/x86_64-mini/vmcore.d31-zlib.flat": ("flattened-kdump", "zlib"),
    "vmcore/arm64/vmcore.d31-zlib.kdump": ("kdump", "zlib"),
    "vmcore/x86_64-cudbg/vmcore.d31-zlib.kdump": ("kdump", "zlib"),
    "vmcore/x86_64-story/vmcore.d31-zlib.kdump": ("kdump", "zlib"),
}
FORMATS: list[tuple[str, str | None]] = [
    ("elf", None), ("flattened-elf", None), ("flattened-kdump", "zlib"), *(("kdump", None if c == "none" else c) for c in CODECS)
]  # fmt: skip


def codecs_of(compression: str | None) -> None:
    """Skip where the package that packs is not installed."""
    package = {"lzo": "lzallright", "snappy": "cramjam", "zstd": "zstandard"}.get(compression or "")
    if package:
        pytest.importorskip(package)


def written(image: vl.VmcoreImage, path: Path, form: str, compression: str | None = None) -> vl.Vmcore:
    codecs_of(compression)
    vl.write_vmcore(image, path, form, compression)
    return vl.open_vmcore(path)


def memory(core: vl.Vmcore) -> dict[int, bytes]:
    """All memory in the file by runs of consecutive bytes."""
    runs: dict[int, bytearray] = {}
    start, end = 0, -1
    for address, data in core.memory.chunks():
        if address != end:
            start = address
            runs[start] = bytearray()
        runs[start] += data
        end = address + len(data)
    return {at: bytes(data) for at, data in runs.items()}


def content(core: vl.Vmcore) -> dict[str, Any]:
    """What a file says whatever its format: notes, dumps, VMCOREINFO, memory."""
    notes = core.notes_table()
    names = [name for name in notes.schema.names if name != "desc_offset"]
    return {
        "machine": (core.machine, core.byteorder),
        "notes": list(zip(*(notes.values(name) for name in names), strict=True)),
        "descriptors": [core.container.source.read(n.desc_offset, n.desc_size) for n in core.container.notes],
        "dumps": [(dump.name, bytes(dump.data)) for dump in core.device_dumps],
        "vmcoreinfo": dict(core.vmcoreinfo),
        "memory": memory(core),
        "sizes": core.container.memory_size(),
        "problems": [
            row for row in core.problems_table().records() if row["severity"] != "info" and row["where"] != "notes"
        ],  # notes are copied, and the built ones are not those of every machine
    }


# -- makedumpfile's own bytes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MADE)
def test_a_file_of_makedumpfile_is_written_as_makedumpfile_wrote_it(
    unpacked: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    form, compression = MADE[name]
    codecs_of(compression)
    path = unpacked(name)
    vl.write_vmcore(vl.open_vmcore(path).to_image(), tmp_path / "out", form, compression)
    assert (tmp_path / "out").read_bytes() == path.read_bytes()


def test_parts_are_those_that_makedumpfile_split(unpacked: Callable[[str], Path], tmp_path: Path) -> None:
    theirs = [unpacked(f"vmcore/x86_64-mini/vmcore.split{i}.kdump") for i in (1, 2)]
    ours = vl.write_vmcore(vl.open_vmcore(theirs).to_image(), tmp_path / "part", "kdump", "zlib", parts=2)
    assert [path.name for path in ours] == ["part.1", "part.2"]
    assert [path.read_bytes() for path in ours] == [path.read_bytes() for path in theirs]


def test_lzo_pages_are_those_of_makedumpfile_once_inflated(unpacked: Callable[[str], Path], tmp_path: Path) -> None:
    core = vl.open_vmcore(unpacked("vmcore/x86_64-mini/vmcore.d31-lzo.kdump.xz"))
    assert content(written(core.to_image(), tmp_path / "out", "kdump", "lzo")) == content(core)


def test_a_kernels_elf_gets_the_headers_that_makedumpfile_gives_it(
    unpacked: Callable[[str], Path], tmp_path: Path
) -> None:
    """utsname, crash time, CPUs, phys_base come from the memory and the notes, as makedumpfile takes them."""
    theirs = vl.open_vmcore(unpacked("vmcore/x86_64-mini/vmcore.d31.kdump.xz")).container
    ours = written(
        vl.open_vmcore(unpacked("vmcore/x86_64-mini/vmcore.elf.xz")).to_image(), tmp_path / "out", "kdump"
    ).container
    assert ours.header == theirs.header  # type: ignore[attr-defined]
    assert ours.sub_header == theirs.sub_header | {"dump_level": 0}  # type: ignore[attr-defined]


# -- every pair of formats --------------------------------------------------------------------------------------------


def usual_image(machine: dict[str, Any]) -> vl.VmcoreImage:
    core = vl.open_vmcore(pages("p.xzppx..zz" * 3 + "p", codec="none", block_size=4096, **machine).build())
    return core.to_image()


@pytest.mark.parametrize("second", FORMATS, ids=str)
@pytest.mark.parametrize("first", FORMATS, ids=str)
def test_content_is_the_same_in_every_pair_of_formats(tmp_path: Path, first: Any, second: Any) -> None:
    one = written(usual_image(MACHINES["x86_64"]), tmp_path / "one", *first)
    two = written(one.to_image(), tmp_path / "two", *second)
    assert content(two) == content(one)
    assert content(two)["problems"] == []


@pytest.mark.parametrize("machine", MACHINES)
def test_content_is_the_same_on_every_machine(tmp_path: Path, machine: str) -> None:
    image = usual_image(MACHINES[machine])
    elf = written(image, tmp_path / "elf", "elf")
    kdump = written(elf.to_image(), tmp_path / "kdump", "kdump", "zlib")
    assert content(kdump) == content(elf)
    assert content(elf)["problems"] == content(kdump)["problems"] == []
    assert kdump.container.bits == MACHINES[machine]["bits"]


@pytest.mark.parametrize("form", ["kdump", "flattened-kdump"])
def test_segments_of_a_kdump_file_survive(tmp_path: Path, form: str) -> None:
    core = vl.open_vmcore(pages("p.xzppx..zzx.px").build())
    again = written(core.to_image(), tmp_path / "out", form)
    assert again.segments.drop(columns="offset").equals(core.segments.drop(columns="offset"))


@pytest.mark.parametrize("form", ["elf", "kdump"])
def test_what_was_excluded_is_told_from_what_was_never_there(tmp_path: Path, form: str) -> None:
    core = written(vl.open_vmcore(pages("p.xz").build()).to_image(), tmp_path / "out", form)
    assert core.memory.read(3 * 512, 512) == bytes(512)
    for frame, reason in ((1, "absent"), (2, "excluded")):
        with pytest.raises(NotInFileError) as error:
            core.memory.read(frame * 512, 1)
        assert error.value.reason == reason  # type: ignore[attr-defined]


@pytest.mark.parametrize("machine", MACHINES)
def test_what_the_header_knows_survives(tmp_path: Path, machine: str) -> None:
    facts = {"tv_sec": 1234, "tv_usec": 77, "status": 0x10, "phys_base": 0x7654, "nr_cpus": 9, "total_ram_blocks": 4711,
             "device_blocks": 3, "written_blocks": 5, "current_cpu": 1, "dump_level": 29, "max_mapnr": 40}  # fmt: skip
    image = vl.open_vmcore(pages("p.xz", **MACHINES[machine]).build()).to_image()
    for name, value in facts.items():
        setattr(image.facts, name, value)
    first = written(image, tmp_path / "first", "kdump")
    second = written(first.to_image(), tmp_path / "second", "kdump")
    header, sub = second.container.header, second.container.sub_header  # type: ignore[attr-defined]
    assert {name: int(header[name]) if name in header.dtype.names else sub[name] for name in facts} == facts
    assert sub["max_mapnr_64"] == 40
    assert bytes(header["release"]) == b"6.1.0-test"
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_eraseinfo_lies_behind_the_pages(tmp_path: Path) -> None:
    image = vl.open_vmcore(pages("pzp").build()).to_image()
    text = b"erase jiffies\n"
    image.facts.eraseinfo = Buffer(open_source(text), 0, len(text))
    core = written(image, tmp_path / "out", "kdump", "zlib")
    again = written(core.to_image(), tmp_path / "again", "kdump", "zlib")
    sub = again.container.sub_header  # type: ignore[attr-defined]
    assert again.container.source.read(sub["offset_eraseinfo"], sub["size_eraseinfo"]) == text
    assert sub["offset_eraseinfo"] + sub["size_eraseinfo"] == again.container.source.size


# -- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("block", [512, 4096, 65536])
def test_pages_survive(tmp_path: Path, codec: str, block: int) -> None:
    drawn = pages("pz.px" * 9, codec="none", block_size=block)
    core = written(
        vl.open_vmcore(drawn.build()).to_image(), tmp_path / "out", "kdump", None if codec == "none" else codec
    )
    assert {frame: core.memory.read(frame * block, block) for frame in drawn.memory()} == drawn.memory()
    assert len(core.problems_table()) == 0


@pytest.mark.parametrize("codec", CODECS[1:])
def test_a_page_that_does_not_get_shorter_is_stored_as_it_is(tmp_path: Path, codec: str) -> None:
    noise = np.random.default_rng(1).bytes(4096)
    image = vl.VmcoreImage()
    image.add_segment(noise + b"text" * 1024, paddr=0)
    container = written(image, tmp_path / "out", "kdump", codec).container
    _, sizes, flags = container.descriptors.read(0, 2)  # type: ignore[attr-defined]
    assert (sizes[0], flags[0]) == (4096, 0)
    assert sizes[1] < 4096
    assert flags[1] == {"zlib": 1, "lzo": 2, "snappy": 4, "zstd": 0x20}[codec]


def test_all_pages_of_zeros_share_one(tmp_path: Path) -> None:
    image = vl.VmcoreImage()
    image.add_segment(bytes(8192), paddr=0)
    image.add_segment(size=1 << 20, paddr=1 << 20)
    core = written(image, tmp_path / "out", "kdump", "zlib")
    count = core.container.page_count  # type: ignore[attr-defined]
    offsets, sizes, flags = core.container.descriptors.read(0, count)  # type: ignore[attr-defined]
    assert (count, set(offsets.tolist()), set(sizes.tolist()), set(flags.tolist())) == (
        258, {core.container.source.size - 4096}, {4096}, {0},
    )  # fmt: skip


def test_of_segments_that_overlap_the_first_is_taken(tmp_path: Path) -> None:
    image = vl.VmcoreImage()
    image.add_segment(b"t" * 8192, paddr=0x2000)
    image.add_segment(b"m" * 0x6000, paddr=0)
    core = written(image, tmp_path / "out", "kdump")
    assert memory(core) == {0: b"m" * 0x2000 + b"t" * 0x2000 + b"m" * 0x2000}


def test_a_page_that_is_there_in_part_is_filled_with_zeros(tmp_path: Path) -> None:
    image = vl.VmcoreImage()
    image.add_segment(b"a" * 100, paddr=0x1010)
    image.add_segment(b"b" * 100, paddr=0x1F00)
    core = written(image, tmp_path / "out", "kdump")
    page = bytearray(4096)
    page[0x10:0x74], page[0xF00:0xF64] = b"a" * 100, b"b" * 100
    assert memory(core) == {0x1000: bytes(page)}


def test_an_address_that_is_not_physical_is_no_page(tmp_path: Path) -> None:
    image = vl.VmcoreImage()
    image.add_segment(b"vmalloc", paddr=(1 << 64) - 1, vaddr=0xFFFFC90000000000)
    image.add_segment(b"m" * 4096, paddr=0)
    assert memory(written(image, tmp_path / "out", "kdump")) == {0: b"m" * 4096}


def test_an_address_that_no_machine_has_is_refused(tmp_path: Path) -> None:
    image = vl.VmcoreImage()
    image.add_segment(b"x", paddr=1 << 60)
    with pytest.raises(UsageError, match="no machine has"):
        vl.write_vmcore(image, tmp_path / "out", "kdump")
    assert list(tmp_path.iterdir()) == []


def test_memory_far_away_makes_sparse_bitmaps(tmp_path: Path) -> None:
    """A TiB of nothing and a page: bits of 268 million frames, of which almost none are written."""
    image = vl.VmcoreImage()
    image.add_segment(b"far" * 1365 + b"!", paddr=1 << 40)
    core = written(image, tmp_path / "out", "kdump")
    assert memory(core) == {1 << 40: b"far" * 1365 + b"!"}
    status = (tmp_path / "out").stat()
    assert status.st_size > 64 << 20
    assert status.st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("threads", [1, 4])
def test_threads_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: threads)
    rng = np.random.default_rng(5)
    image = vl.VmcoreImage()
    data = b"".join(rng.bytes(2000) + bytes(2096) for _ in range(1500))
    image.add_segment(data, paddr=0)
    before = threading.active_count()
    assert memory(written(image, tmp_path / "out", "kdump", "zlib")) == {0: data}
    assert threading.active_count() == before


def test_a_page_that_cannot_be_read_ends_the_writing(tmp_path: Path) -> None:
    core = vl.open_vmcore(pages("ppp", codec="zlib", stored={1: b"no stream"}).build())
    for form in ("elf", "kdump"):
        with pytest.raises(NotInFileError, match="page frame 0x1"):
            vl.write_vmcore(core.to_image(), tmp_path / "out", form)
    assert list(tmp_path.iterdir()) == []


# -- parts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_parts_together_are_the_whole(tmp_path: Path, count: int) -> None:
    core = vl.open_vmcore(pages("pz.px" * 9 + "p").build())
    paths = vl.write_vmcore(core.to_image(), [tmp_path / f"part {i}" for i in range(count)], "kdump", "zlib")
    together = vl.open_vmcore(paths)
    assert content(together) == content(core)


def test_parts_of_parts_are_the_whole(tmp_path: Path) -> None:
    core = vl.open_vmcore(built_parts("pz.px" * 9 + "p", 7, 22))
    whole = written(core.to_image(), tmp_path / "whole", "kdump", "zlib")
    assert content(whole) == content(core)


def test_more_parts_than_pages_leave_some_empty(tmp_path: Path) -> None:
    core = vl.open_vmcore(pages("p.p").build())
    paths = vl.write_vmcore(core.to_image(), tmp_path / "part", "kdump", parts=5)
    assert memory(vl.open_vmcore(paths)) == memory(core)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "elf", "parts": 2}, "only the format kdump"),
        ({"format": "kdump", "parts": 0}, "that many parts"),
        ({"format": "qcow2"}, "no such format"),
        ({"format": "kdump", "compression": "rar"}, "no such compression"),
        ({"format": "elf", "compression": "zlib"}, "not compressed"),
    ],
)
def test_a_question_that_is_wrong_is_refused(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        vl.write_vmcore(vl.VmcoreImage(), tmp_path / "out", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_two_parts_in_one_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a file of its own"):
        vl.write_vmcore(vl.VmcoreImage(), [tmp_path / "a", tmp_path / "." / "a"], "kdump")


# -- flattened --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["flattened-elf", "flattened-kdump"])
def test_a_flattened_file_goes_through_a_pipe(form: str) -> None:
    image = usual_image(MACHINES["x86_64"])
    read, write = os.pipe()
    with os.fdopen(read, "rb") as source, os.fdopen(write, "wb") as target:
        taken: list[bytes] = []
        thread = threading.Thread(target=lambda: taken.append(source.read()))
        thread.start()
        assert vl.write_vmcore(image, target, form) == []
        target.close()
        thread.join()
    assert memory(vl.open_vmcore(taken[0])) == memory(vl.open_vmcore(image.open()))


@pytest.mark.parametrize("form", ["elf", "kdump"])
def test_other_formats_cannot_go_through_a_pipe(form: str) -> None:
    with pytest.raises(UsageError, match="only flattened formats"):
        vl.write_vmcore(vl.VmcoreImage(), io.BytesIO(), form)


def test_a_hole_at_the_end_is_not_forgotten() -> None:
    image = vl.VmcoreImage()
    image.add_segment(b"m" * 4096, paddr=0)
    image.add_segment(Buffer(HoleSource(1 << 20), 0, 1 << 20), paddr=1 << 20)
    out = io.BytesIO()
    vl.write_vmcore(image, out, "flattened-elf")
    assert memory(vl.open_vmcore(out.getvalue())) == {0: b"m" * 4096, 1 << 20: bytes(1 << 20)}
    assert len(out.getvalue()) < 1 << 16


def test_a_package_that_is_missing_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    with pytest.raises(OutputError, match="pip install zstandard"):
        vl.write_vmcore(vl.VmcoreImage(), tmp_path / "out", "kdump", "zstd")
    assert list(tmp_path.iterdir()) == []


# -- what cannot be read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["elf", "kdump", "flattened-elf", "flattened-kdump"])
def test_a_damaged_page_is_written_as_excluded_where_that_is_asked_for(tmp_path: Path, form: str) -> None:
    drawn = pages("ppxpzp", codec="zlib", stored={1: b"no stream"})
    problems = Problems()
    vl.write_vmcore(
        vl.open_vmcore(drawn.build()).to_image(), tmp_path / "out", form, missing="excluded", problems=problems
    )
    core = vl.open_vmcore(tmp_path / "out")
    for frame, page in drawn.memory().items():
        if frame != 1:
            assert core.memory.read(frame * 512, 512) == page
    with pytest.raises(NotInFileError) as error:
        core.memory.read(512, 512)
    assert error.value.reason == "excluded"  # type: ignore[attr-defined]
    (problem,) = problems
    assert (problem.severity, problem.where, problem.got) == ("error", "segments", "damaged")
    assert "physical address 0x200 " in problem.message


def test_of_a_cut_kdump_file_the_pages_before_the_end_are_saved(tmp_path: Path) -> None:
    drawn = pages("pppppp", codec="none")
    problems = Problems()
    image = vl.open_vmcore(drawn.build()[:-1000]).to_image()
    vl.write_vmcore(image, tmp_path / "out", "kdump", missing="excluded", problems=problems)
    core = vl.open_vmcore(tmp_path / "out")
    assert memory(core) == {0: b"".join(drawn.memory()[frame] for frame in range(4))}
    assert core.container.memory_size() == (6 * 512, 4 * 512)
    assert [problem.got for problem in problems] == ["cut"]


def test_a_page_of_a_segment_with_a_virtual_address_keeps_the_address_of_what_follows(tmp_path: Path) -> None:
    class Damaged(MemorySource):
        def view(self, offset: int, size: int) -> memoryview:
            if offset < 8192 and offset + size > 4096:
                raise NotInFileError("damaged")
            return super().view(offset, size)

    image = vl.VmcoreImage()
    image.add_segment(Damaged(b"a" * 4096 + b"b" * 4096 + b"c" * 5000), paddr=0x10000, vaddr=0xFFFF800000010000)
    vl.write_vmcore(image, tmp_path / "out", missing="excluded")
    rows = vl.open_vmcore(tmp_path / "out").segments_table().records()
    assert [(row["paddr"], row["vaddr"], row["filesz"], row["memsz"]) for row in rows if row["type"] == "PT_LOAD"] == [
        (0x10000, 0xFFFF800000010000, 4096, 8192), (0x12000, 0xFFFF800000012000, 5000, 5000)
    ]  # fmt: skip


def test_a_sound_file_is_the_same_with_salvage(unpacked: Callable[[str], Path], tmp_path: Path) -> None:
    path = unpacked("vmcore/x86_64-mini/vmcore.elf.xz")
    problems = Problems()
    vl.write_vmcore(vl.open_vmcore(path).to_image(), tmp_path / "out", missing="excluded", problems=problems)
    assert (tmp_path / "out").read_bytes() == path.read_bytes()
    assert len(problems) == 0


def test_only_error_and_excluded_can_become_of_missing_memory(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="memory that is missing"):
        vl.write_vmcore(vl.VmcoreImage(), tmp_path / "out", missing="zeros")


# -- memory in small pieces -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("step", [1, 2, 7, 300])
def test_memory_in_many_small_pieces_is_written_page_for_page(
    tmp_path: Path, step: int, compression: str | None
) -> None:
    rng = np.random.default_rng(4)
    image, expected = vl.VmcoreImage(), {}
    for i in range(700):
        kind = i % 5
        page = None if kind == 3 else bytes(4096) if kind == 4 else rng.bytes(64) + bytes(4032)
        image.add_segment(page, paddr=i * step * 4096, size=4096)
        expected[i * step] = page or bytes(4096)
    core = written(image, tmp_path / "out", "kdump", compression)
    assert core.container.page_count == 700  # type: ignore[attr-defined]
    assert {frame: core.memory.read(frame * 4096, 4096) for frame in expected} == expected
