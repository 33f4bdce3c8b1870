"""Round trips over images that nobody thought of: any width, byte order, memory, notes and device dumps."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vmcoredd_lab as vl
from vmcoredd_lab.containers.memory import ContainerMemory, MissingMemoryError
from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.source.base import MemorySource
from vmcoredd_lab.writer.frames import Runs
from vmcoredd_lab.writer.segments import SEGMENT

MACHINES = ["x86_64", "aarch64", "s390x", "ppc64le", "i386", "arm", "ppc", "mips"]
REACH = 1 << 16  # physical addresses that are looked at; with pages of 512 bytes they are 128 frames
OWNERS = st.sampled_from(["CORE", "LINUX", "VMCOREINFO", "", "QEMU", b"LINUX\0", b"odd\0\0\0", "Xen"])

segment = st.fixed_dictionaries(
    {
        "paddr": st.integers(0, REACH - 1),
        "size": st.one_of(st.just(0), st.integers(1, 3000)),
        "more": st.one_of(st.just(0), st.integers(0, 3000)),
        "kind": st.sampled_from(["bytes", "zeros", "function"]),
        "vaddr": st.one_of(st.none(), st.integers(0, (1 << 32) - 1)),
        "flags": st.integers(0, 7),
        "align": st.sampled_from([0, 4096]),
    }
)
note = st.tuples(OWNERS, st.integers(0, 0xFFFFFFFF), st.binary(max_size=70))
dump = st.tuples(st.binary(min_size=1, max_size=60).map(lambda name: b"n" + name), st.binary(min_size=1, max_size=3000))


@st.composite
def images(draw: st.DrawFn) -> vl.VmcoreImage:
    image = vl.VmcoreImage(draw(st.sampled_from(MACHINES)), page_size=draw(st.sampled_from([512, 4096])))
    if image.bits == 32 and image.machine != "mips":  # of which the number is that of mips64 too
        image.bits = draw(st.sampled_from([32, 64]))
    seed = draw(st.integers(0, 1 << 32))
    physical = bytes(REACH // 4) + np.random.default_rng(seed).bytes(
        REACH
    )  # segments that overlap agree, as real ones do
    for one in draw(st.lists(segment, max_size=8)):
        size = one["size"]
        data = physical[one["paddr"] : one["paddr"] + size]
        if one["kind"] == "zeros" and any(data):
            one["kind"] = "bytes"
        content: Any = {"bytes": data, "zeros": None, "function": lambda at, n, data=data: data[at : at + n]}[
            one["kind"]
        ]
        image.add_segment(content, size=size, memsz=size + one["more"], paddr=one["paddr"], vaddr=one["vaddr"],
                          flags=one["flags"], align=one["align"])  # fmt: skip
    for owner, kind, desc in draw(st.lists(note, max_size=5)):
        if owner or kind or desc:  # a note of nothing looks like the fill behind the last one
            image.add_note(owner, kind, desc)
    for name, data in draw(st.lists(dump, max_size=3)):
        image.add_device_dump(name, len(data), lambda buffer, data=data: buffer.__setitem__(slice(len(data)), data))
    return image


def expected_memory(image: vl.VmcoreImage) -> tuple[np.ndarray[Any, Any], bytearray]:
    """Return of each byte whether it is held (2), was left out (1) or is not there (0); and the bytes."""
    state, data = np.zeros(REACH + 8192, np.uint8), bytearray(REACH + 8192)
    for one in reversed(list(image.segments)):
        held = bytes(one.content)
        state[one.paddr + len(held) : one.paddr + one.memsz][
            state[one.paddr + len(held) : one.paddr + one.memsz] == 0
        ] = 1
        state[one.paddr : one.paddr + len(held)] = 2
        data[one.paddr : one.paddr + len(held)] = held
    return state, data


def everything(core: vl.Vmcore) -> bytearray:
    found = bytearray(REACH + 8192)
    for address, data in core.memory.chunks():
        found[address : address + len(data)] = data
    return found


def notes_of(image: vl.VmcoreImage) -> list[tuple[str, int, bytes]]:
    return [(n.owner.rstrip(b"\0").decode(), n.type, bytes(n.desc)) for n in image.notes]


def notes_in(core: vl.Vmcore) -> list[tuple[str, int, bytes]]:
    source = core.container.source
    return [(n.owner, n.type, source.read(n.desc_offset, n.desc_size)) for n in core.container.notes]


@settings(max_examples=40)
@given(images())
def test_an_image_is_read_back_from_its_own_file(image: vl.VmcoreImage) -> None:
    core = vl.open_vmcore(image.open())
    assert (core.machine, core.container.bits) == (image.machine, image.bits)
    assert notes_in(core) == notes_of(image)
    table = image.segments.table
    rows = [row for row in core.segments_table().records() if row["type"] == "PT_LOAD"]
    for name in ("paddr", "filesz", "memsz", "flags", "align"):
        assert [row[name] for row in rows] == table[name].tolist()
    assert everything(core) == expected_memory(image)[1]


@settings(max_examples=30)
@given(images(), st.sampled_from([None, "zlib"]))
def test_a_kdump_file_of_an_image_holds_its_pages(image: vl.VmcoreImage, compression: str | None) -> None:
    out = io.BytesIO()
    vl.write_vmcore(image, out, "flattened-kdump", compression)
    core = vl.open_vmcore(out.getvalue())
    assert notes_in(core) == notes_of(image)
    places = ("header", "bitmaps", "page descriptors", "pages")  # random notes have problems of their own
    assert [row for row in core.problems_table().records() if row["where"] in places] == []
    state, data = expected_memory(image)
    page = image.page_size
    for frame in range(len(state) // page):
        kinds = state[frame * page : (frame + 1) * page]
        expected = "held" if (kinds == 2).any() else "excluded" if (kinds == 1).any() else "absent"
        assert (frame, kind_of(core.container.memory, frame * page)) == (frame, expected)
    assert everything(core) == data


def kind_of(memory: ContainerMemory, address: int) -> str:
    try:
        memory.read(address, 1)
    except MissingMemoryError as error:
        return error.reason
    return "held"


@settings(max_examples=20)
@given(
    images(), st.lists(st.sampled_from(["elf", "flattened-elf", "kdump", "flattened-kdump"]), min_size=2, max_size=4)
)
def test_a_chain_of_formats_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, image: vl.VmcoreImage, chain: list[str]
) -> None:
    core = vl.open_vmcore(image.open())
    notes, memory = notes_in(core), everything(core)
    directory = tmp_path_factory.mktemp("chain")
    for i, form in enumerate(chain):
        try:
            vl.write_vmcore(core.to_image(), directory / str(i), form)
        except UsageError:
            pytest.fail(f"{core.machine} cannot be written as {form}")
        core = vl.open_vmcore(directory / str(i))
        assert notes_in(core) == notes
        assert everything(core) == memory


@settings(max_examples=8)
@given(images(), st.integers(0xFFF8, 0x10010))
def test_an_image_with_more_program_headers_than_e_phnum_can_count_comes_back(
    image: vl.VmcoreImage, count: int
) -> None:
    table = np.zeros(count, SEGMENT)
    table["type"], table["memsz"], table["filesz"] = 1, 8192, np.arange(count) % 3 * 100
    table["paddr"] = (1 << 20) + np.arange(count) * 8192
    image.segments.extend(table, MemorySource(bytes(range(200))))
    core = vl.open_vmcore(image.open())
    assert notes_in(core) == notes_of(image)
    assert core.container.segment_count() == len(image.segments) + bool(image.notes)
    own = image.segments.table
    rows = [row for row in core.segments_table().records() if row["type"] == "PT_LOAD"]
    for name in ("paddr", "filesz", "memsz"):
        assert [row[name] for row in rows] == own[name].tolist()
    assert core.memory.read((1 << 20) + 2 * 8192, 200) == bytes(range(200))


@settings(max_examples=30)
@given(images(), st.lists(st.tuples(st.integers(0, 1 << 17), st.integers(0, 5000)), min_size=1, max_size=20))
def test_any_window_of_an_image_is_that_of_the_whole(image: vl.VmcoreImage, windows: list[tuple[int, int]]) -> None:
    file = image.open()
    whole = file.read()
    for offset, size in windows:
        file.seek(offset)
        assert file.read(size) == whole[offset : offset + size]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 300)), max_size=20), st.integers(1, 500))
def test_runs_of_frames_are_joined_and_their_bits_set(runs: list[tuple[int, int]], size: int) -> None:
    runs = [(start, length) for start, length in runs if length]
    starts, lengths = (np.array([run[i] for run in runs], np.int64) for i in (0, 1))
    joined = Runs(starts, starts + lengths)
    frames = sorted({frame for start, length in runs for frame in range(start, start + length)})
    assert joined.total == len(frames)
    assert [joined.nth(i) for i in range(1, len(frames), 7)] == [frames[i - 1] + 1 for i in range(1, len(frames), 7)]
    bitmap = bytearray(size)
    for at, data in joined.bitmap(size):
        bitmap[at : at + len(data)] = data
    assert np.flatnonzero(np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little")).tolist() == [
        frame for frame in frames if frame < size * 8
    ]


def test_thousands_of_segments_that_overlap_are_sorted_out() -> None:
    count = 3000
    rng = np.random.default_rng(3)
    table = np.zeros(count, SEGMENT)
    table["type"], table["filesz"], table["memsz"] = 1, 4096, 8192
    table["paddr"] = rng.integers(0, 1 << 34, count)
    image = vl.VmcoreImage()
    image.segments.extend(table, MemorySource(bytes(range(256)) * 16))
    core = vl.open_vmcore(image.open())
    assert core.container.segment_count() == count
    out = io.BytesIO()
    vl.write_vmcore(image, out, "flattened-kdump")
    kdump = vl.open_vmcore(out.getvalue())
    pages = dict(kdump.memory.chunks(4096))
    assert sum(map(len, pages.values())) == kdump.container.memory_size()[1]
    first = int(table["paddr"][0])  # on top of all others
    assert kdump.memory.read(first, 4096) == bytes(range(256)) * 16
