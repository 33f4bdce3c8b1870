"""Whatever is done to a file: what is sound stays, what is lost is told, and nothing but our own errors is raised."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from builders import BIG, LITTLE, Kdump, Segment, device_dump, elf, note, notes, usual_elf, usual_kdump, vmcoreinfo
from hypothesis import given, settings
from hypothesis import strategies as st

import vmcoredd_lab as vl
from vmcoredd_lab.errors import NotInFileError, OpenError
from vmcoredd_lab.frames import to_frame
from vmcoredd_lab.opening import open_file
from vmcoredd_lab.summary import summarise

# small ones, so that every byte can be tried
FEW_NOTES = (
    device_dump("one_0000:02:00.4", b"first dump")
    + note(b"CORE\0", 0x77, bytes(40) + b"reg")
    + device_dump("two", b"second dump")
    + vmcoreinfo("OSRELEASE=6.1\nPAGESIZE=4096\n")
)
SMALL_ELF = elf(
    notes(FEW_NOTES), Segment(b"memory", vaddr=0x80001000, paddr=0x1000), Segment(b"more", paddr=0x2000, memsz=64)
)
SMALL_KDUMP = Kdump(FEW_NOTES, frames="p.xpp").build()
SMALL_SPLIT = Kdump(FEW_NOTES, frames="p.xpp", split=(2, 4)).build()
FILES = {
    "ELF64": usual_elf(),
    "ELF64 big endian": usual_elf(order=BIG),
    "ELF32": usual_elf(bits=32),
    "ELF32 big endian": usual_elf(bits=32, order=BIG),
    "ELF PN_XNUM": usual_elf(xnum="behind"),
    "ELF p_align 8": elf(notes(note(b"LINUX\0\0\0", 0x700, b"name".ljust(44, b"\0") + b"data", align=8) * 3, align=8)),
    "kdump": usual_kdump(),
    "kdump big endian": usual_kdump(order=BIG, machine="s390x"),
    "kdump i386": usual_kdump(bits=32, machine="i386"),
    "kdump version 3": usual_kdump(version=3),
    "kdump split": usual_kdump(split=(1, 3)),
}
SMALL = {"ELF": SMALL_ELF, "kdump": SMALL_KDUMP, "kdump split": SMALL_SPLIT}
MANY = 200
EXTREME = [0, 1, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def look_at_everything(data: bytes) -> vl.Vmcore | None:
    """Ask a file for all it has; None where it cannot be opened. Anything but our own errors fails the test."""
    try:
        opened = open_file(data)
    except OpenError:
        return None
    core = opened.core
    assert core is not None
    for table in (core.segments_table(), core.notes_table(), core.device_dumps.table(), core.problems_table()):
        assert len(table.records()) == len(table)
    summarise(opened)
    for dump in core.device_dumps:
        assert len(bytes(dump.data)) <= len(data)
    for space, address in (("physical", 0x1000), ("virtual", 0x80001000), ("physical", (1 << 64) - 8)):
        with contextlib.suppress(NotInFileError):
            assert len(core.memory.read(address, 8, space)) == 8
    return core


def rows(core: vl.Vmcore) -> list[tuple[Any, ...]]:
    return [(n.owner, n.type, n.desc_offset, n.desc_size) for n in core.container.notes]


# -- cuts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", SMALL.values(), ids=SMALL)
def test_a_file_cut_at_any_byte_keeps_its_sound_notes_and_says_that_it_is_cut(data: bytes) -> None:
    whole = look_at_everything(data)
    assert whole is not None
    assert not whole.known_problems().damaged
    first_openable = {"elf64": 64, "kdump-compressed": 464}[whole.format]
    for length in range(1, len(data)):
        core = look_at_everything(data[:length])
        assert (core is not None) == (length >= first_openable), length
        if core is None:
            continue
        sound = [row for row in rows(whole) if row[2] + row[3] <= length]
        assert rows(core)[: len(sound)] == sound, length
        assert len(rows(core)) <= len(sound) + 1, length
        assert core.known_problems().damaged, length


@pytest.mark.parametrize("data", SMALL.values(), ids=SMALL)
def test_sound_dumps_of_a_cut_file_are_whole(data: bytes) -> None:
    for length in range(data.index(b"first dump") + 10, len(data), 7):
        core = vl.open_vmcore(data[:length])
        assert bytes(core.device_dumps[0].data) == b"first dump"


def test_bytes_behind_the_end_are_no_damage() -> None:
    for data in FILES.values():
        core = look_at_everything(data + b"what somebody appended")
        assert core is not None
        assert not core.known_problems().damaged


# -- numbers that cannot be -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", SMALL.values(), ids=SMALL)
def test_any_word_may_hold_any_extreme(data: bytes) -> None:
    end = data.index(b"second dump")
    for at in range(0, end, 4):
        for value in EXTREME:
            look_at_everything(data[:at] + struct.pack("<I", value) + data[at + 4 :])


@pytest.mark.parametrize("data", SMALL.values(), ids=SMALL)
@pytest.mark.parametrize("value", [1 << 63, (1 << 64) - 1, (1 << 63) - 1, 1 << 48])
def test_any_double_word_may_hold_any_extreme(data: bytes, value: int) -> None:
    end = data.index(b"second dump")
    for at in range(0, end, 4):
        look_at_everything(data[:at] + struct.pack("<Q", value) + data[at + 8 :])


# -- chance -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
@settings(max_examples=MANY)
@given(flips=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 255)), min_size=1, max_size=12))
def test_flipped_bytes_raise_nothing_of_their_own(data: bytes, flips: list[tuple[int, int]]) -> None:
    flipped = bytearray(data)
    for at, change in flips:
        flipped[at % len(data)] ^= change
    look_at_everything(bytes(flipped))


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
@settings(max_examples=MANY)
@given(
    flips=st.lists(st.tuples(st.integers(0, 240), st.integers(1, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 8192),
)
def test_flipped_headers_of_cut_files_raise_nothing_of_their_own(
    data: bytes, flips: list[tuple[int, int]], cut: int
) -> None:
    flipped = bytearray(data)
    for at, change in flips:
        flipped[at] ^= change
    if cut < len(data):
        flipped = flipped[: max(1, cut)]
    look_at_everything(bytes(flipped))


@given(st.binary(min_size=1, max_size=400))
def test_anything_may_be_called_a_vmcore(data: bytes) -> None:
    look_at_everything(data)


@given(
    st.binary(max_size=400), st.sampled_from([b"\x7fELF\2\1", b"\x7fELF\1\2", b"KDUMP   \6\0\0\0", b"KDUMP   \0\0\0\6"])
)
def test_anything_may_follow_a_signature(data: bytes, signature: bytes) -> None:
    look_at_everything(signature + data)


@given(st.binary(max_size=300))
def test_anything_may_stand_among_the_notes(data: bytes) -> None:
    core = look_at_everything(elf(notes(FEW_NOTES + data)))
    assert core is not None
    assert [row[0] for row in rows(core)][:4] == ["LINUX", "CORE", "LINUX", "VMCOREINFO"]


@given(st.binary(max_size=300))
def test_anything_may_be_in_vmcoreinfo(data: bytes) -> None:
    for key in (b"OSRELEASE=", b"CRASHTIME=", b"PAGESIZE=", b""):
        core = look_at_everything(elf(notes(note(b"VMCOREINFO\0", 0, key + data))))
        assert core is not None


@pytest.mark.parametrize("data", [SMALL_ELF, SMALL_KDUMP], ids=["ELF", "kdump"])
@given(at=st.integers(0, 600), change=st.integers(1, 255))
def test_frames_can_be_made_of_whatever_is_left(data: bytes, at: int, change: int) -> None:
    flipped = bytearray(data)
    flipped[at % len(data)] ^= change
    core = look_at_everything(bytes(flipped))
    if core is not None:
        for table in tables(core):
            assert len(to_frame(table)) == len(table)


def tables(core: vl.Vmcore) -> Iterator[Any]:
    yield core.segments_table()
    yield core.notes_table()
    yield core.device_dumps.table()
    yield core.problems_table()


@pytest.mark.parametrize("order", [LITTLE, BIG])
def test_program_headers_of_chance_are_shown_as_they_are(order: str) -> None:
    table = bytes(range(256)) * 56
    data = elf(*[Segment()] * 256, order=order)
    core = look_at_everything(data[:64] + table + data[64 + len(table) :])
    assert core is not None
    assert len(core.segments) == 256
