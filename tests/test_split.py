"""Split dumps: several files with the same notes, each with the pages of some page frames."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from builders import USUAL, usual_elf
from conftest import Answer
from pages_builder import bitmap, descriptor_table, page_of, pages, parts

import vmcoredd_lab as vl
from vmcoredd_lab.containers.memory import MissingMemoryError
from vmcoredd_lab.errors import OpenError, UsageError

SIZE = 512
FRAMES = "ppx.zpppxx" + "p" * 9 + "..zzp"
WHOLE = pages(FRAMES)
THREE = parts(FRAMES, 6, 14)


def problems(core: vl.Vmcore) -> list[tuple[str, str]]:
    return [(row["severity"], row["where"]) for row in core.problems_table().records()]


def ranges(core: vl.Vmcore) -> list[tuple[Any, ...]]:
    return [(row["type"], row["paddr"], row["memsz"]) for row in core.segments_table().records()]


def missing(core: vl.Vmcore, address: int, size: int = 1) -> MissingMemoryError:
    with pytest.raises(MissingMemoryError) as error:
        core.memory.read(address, size)
    return error.value


# -- one dump of several files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_parts_in_any_order_are_the_whole_dump(order: tuple[int, ...]) -> None:
    core, whole = vl.open_vmcore([THREE[i] for i in order]), vl.open_vmcore(WHOLE.build())
    for frame, page in WHOLE.memory().items():
        assert core.memory.read(frame * SIZE, SIZE) == page
    assert list(core.memory.chunks()) != []
    assert b"".join(data for _, data in core.memory.chunks()) == b"".join(WHOLE.memory().values())
    assert ranges(core) == ranges(whole)
    assert core.container.memory_size() == whole.container.memory_size()
    assert core.container.segment_count() == whole.container.segment_count()
    assert core.check()
    assert problems(core) == []


def test_notes_and_device_dumps_are_listed_once() -> None:
    core, first = vl.open_vmcore(THREE), vl.open_vmcore(THREE[0])
    assert core.notes.equals(first.notes)
    assert list(core.notes["owner"]) == USUAL
    assert [bytes(dump.data) for dump in core.device_dumps] == [bytes(dump.data) for dump in first.device_dumps]
    assert dict(core.vmcoreinfo) == dict(first.vmcoreinfo)
    assert (core.format, core.machine, core.byteorder) == ("kdump-compressed", "x86_64", "little")
    assert core.container.identity() == first.container.identity()
    assert core.container.cpu_count() == 2


@pytest.mark.parametrize("cut", [1, 3, 7, 8, 9, 16, 19, 23])
def test_a_dump_may_be_split_at_any_page_frame(cut: int) -> None:
    core = vl.open_vmcore(parts(FRAMES, cut))
    assert dict(core.memory.chunks(SIZE)) == {f * SIZE: page for f, page in WHOLE.memory().items()}


@pytest.mark.parametrize("version", [2, 5, 6])
@pytest.mark.parametrize(("bits", "machine"), [(64, "x86_64"), (32, "i386"), (32, "armv7l")])
def test_where_a_part_begins_is_recorded_since_version_2(bits: int, machine: str, version: int) -> None:
    core = vl.open_vmcore(parts(FRAMES, 6, 14, bits=bits, machine=machine, version=version)[::-1])
    assert b"".join(data for _, data in core.memory.chunks()) == b"".join(WHOLE.memory().values())


def test_a_read_may_go_on_in_the_next_part() -> None:
    core = vl.open_vmcore(parts("p" * 12, 4, 8))
    whole = b"".join(page_of(frame, SIZE) for frame in range(12))
    for start, size in ((4 * SIZE - 1, 2), (3 * SIZE, 3 * SIZE), (0, 12 * SIZE), (7 * SIZE + 500, 600)):
        assert core.memory.read(start, size) == whole[start : start + size]


def test_a_part_without_pages_does_no_harm() -> None:
    core = vl.open_vmcore(parts("pp" + "x" * 8 + "pp", 4, 8))
    assert core.memory.read(11 * SIZE, SIZE) == page_of(11, SIZE)
    assert ranges(core) == [("present", 0, 1024), ("excluded", 1024, 8 * SIZE), ("present", 10 * SIZE, 1024)]
    assert problems(core) == []


def test_descriptors_of_the_parts_are_in_different_files_and_have_no_offset() -> None:
    assert vl.open_vmcore(THREE).segments["offset"].isna().all()


def test_each_page_is_inflated_as_its_own_part_packed_it() -> None:
    mixed = [parts("pppp", 2, codec=codec)[i] for i, codec in enumerate(["zlib", "none"])]
    core = vl.open_vmcore(mixed)
    assert core.memory.read(0, 4 * SIZE) == b"".join(page_of(frame, SIZE) for frame in range(4))


# -- a part that was not given ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "lost"), [((0, 2), (6, 14)), ((1, 2), (0, 6)), ((0, 1), (14, 24))])
def test_a_missing_part_is_named_by_its_page_frames(given: tuple[int, ...], lost: tuple[int, int]) -> None:
    core = vl.open_vmcore([THREE[i] for i in given])
    rows = core.problems_table().records()
    assert [(row["severity"], row["where"]) for row in rows] == [("warning", "parts")]
    assert f"page frames {lost[0]} up to {lost[1]} was not given" in rows[0]["message"]
    for frame, page in WHOLE.memory().items():
        if lost[0] <= frame < lost[1]:
            error = missing(core, frame * SIZE)
            assert (error.reason, error.frame) == ("elsewhere", frame)
            assert "--part" in str(error)
        else:
            assert core.memory.read(frame * SIZE, SIZE) == page


def test_one_part_alone_knows_what_the_others_have() -> None:
    core = vl.open_vmcore(THREE[0])
    assert missing(core, 7 * SIZE).reason == "elsewhere"
    assert missing(core, 8 * SIZE).reason == "excluded"
    assert missing(core, 19 * SIZE).reason == "absent"
    assert problems(core) == [("info", "sub-header")]


def test_the_error_names_the_parts_that_were_given(file: Callable[..., Path]) -> None:
    core = vl.open_vmcore([file(THREE[0], "vmcore.1"), file(THREE[2], "vmcore.3")])
    error = missing(core, 7 * SIZE)
    assert "vmcore.1 (0x0 up to 0x6)" in str(error)
    assert "vmcore.3 (0xe up to 0x18)" in str(error)


def test_a_read_into_a_missing_part_is_an_error() -> None:
    frames = "p" * 12
    first, _, last = parts(frames, 4, 8)
    core = vl.open_vmcore([first, last])
    assert missing(core, 3 * SIZE, 2 * SIZE).frame == 4
    assert [(a // SIZE, len(data) // SIZE) for a, data in core.memory.chunks()] == [(0, 4), (8, 4)]
    assert ranges(core) == [("present", 0, 4 * SIZE), ("present", 8 * SIZE, 4 * SIZE)]


# -- what does not belong together ------------------------------------------------------------------------------------


def test_a_part_given_twice_is_read_once() -> None:
    core = vl.open_vmcore([THREE[0], THREE[1], THREE[1], THREE[2]])
    assert b"".join(data for _, data in core.memory.chunks()) == b"".join(WHOLE.memory().values())
    assert core.container.memory_size() == vl.open_vmcore(WHOLE.build()).container.memory_size()
    assert problems(core) == [("warning", "parts")]


OTHERS = {
    "an ELF vmcore": usual_elf(),
    "a whole dump": WHOLE.build(),
    "a part of another kernel's": parts(FRAMES, 6, 14, release="5.4.0-other")[1],
    "a part of another machine's": parts(FRAMES, 6, 14, machine="s390x", order="big")[1],
    "a part of a larger machine's": parts(FRAMES + "p" * 9, 6, 14)[1],
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("first", [True, False], ids=["first", "second"])
def test_what_is_no_part_of_the_same_dump_is_refused(other: bytes, first: bool) -> None:
    given = [other, THREE[0]] if first else [THREE[0], other]
    with pytest.raises(OpenError) as error:
        vl.open_vmcore(given)
    assert error.value.expected
    assert error.value.got


def test_no_part_at_all_is_a_wrong_question() -> None:
    with pytest.raises(UsageError, match="no file"):
        vl.open_vmcore([])


def test_a_list_of_one_file_is_that_file() -> None:
    assert vl.open_vmcore([usual_elf()]).format == "elf64"
    assert vl.open_vmcore([WHOLE.build()]).memory.read(0, SIZE) == page_of(0, SIZE)


# -- damage -----------------------------------------------------------------------------------------------------------


def test_damage_in_a_part_is_named_with_its_file(file: Callable[..., Path]) -> None:
    cut = THREE[1][:-1]
    core = vl.open_vmcore([file(THREE[0], "vmcore.1"), file(cut, "vmcore.2"), file(THREE[2], "vmcore.3")])
    rows = core.problems_table().records()
    assert [row["severity"] for row in rows] == ["error"]
    assert rows[0]["where"].endswith("vmcore.2: pages")
    assert missing(core, 13 * SIZE).reason == "cut"
    assert core.memory.read(12 * SIZE, SIZE) == page_of(12, SIZE)


def test_where_the_first_parts_notes_are_damaged_another_parts_are_taken() -> None:
    at = THREE[0].index(b"CORE\0")
    damaged = THREE[0][: at - 12] + b"\xff" * 12 + THREE[0][at:]
    assert len(vl.open_vmcore(damaged).notes) < len(USUAL)
    core = vl.open_vmcore([damaged, THREE[1], THREE[2]])
    assert list(core.notes["owner"]) == USUAL
    assert core.memory.read(0, SIZE) == page_of(0, SIZE)
    assert core.known_problems().damaged


def test_a_part_cut_at_any_byte_leaves_the_others_whole() -> None:
    held = {frame: page for frame, page in WHOLE.memory().items() if not 6 <= frame < 14}
    for length in range(464, len(THREE[1]), 61):
        core = vl.open_vmcore([THREE[0], THREE[1][:length], THREE[2]])
        assert list(core.notes["owner"]) == USUAL
        assert core.known_problems().damaged, length
        for frame, page in held.items():
            assert core.memory.read(frame * SIZE, SIZE) == page
        assert {a // SIZE for a, _ in core.memory.chunks(SIZE)} >= held.keys()


def test_a_damaged_bitmap_of_one_part_costs_that_part() -> None:
    flipped = bytearray(THREE[1])
    flipped[bitmap(THREE[1])] ^= 0x80  # page frame 7
    core = vl.open_vmcore([THREE[0], bytes(flipped), THREE[2]])
    assert missing(core, 10 * SIZE).reason == "damaged"
    assert core.memory.read(0, SIZE) == page_of(0, SIZE)
    assert core.memory.read(18 * SIZE, SIZE) == page_of(18, SIZE)


@pytest.mark.parametrize("word", [0, 1, 7, 1 << 31, 1 << 62, (1 << 64) - 1])
def test_ranges_of_parts_may_hold_any_number(word: int) -> None:
    for at in (16, 24, 80, 88):  # start_pfn, end_pfn and their 64-bit successors
        changed = bytearray(THREE[1])
        struct.pack_into("<Q", changed, SIZE + at, word)
        core = vl.open_vmcore([THREE[0], bytes(changed), THREE[2]])
        core.problems_table()
        core.segments_table()
        assert core.memory.read(0, SIZE) == page_of(0, SIZE)
        for address, data in core.memory.chunks(SIZE):
            assert data == WHOLE.page(address // SIZE) or at in (16, 80)  # a part that lies about its first frame


# -- the command line -------------------------------------------------------------------------------------------------


@pytest.fixture
def files(file: Callable[..., Path]) -> list[Path]:
    return [file(data, f"vmcore.{i}") for i, data in enumerate(THREE)]


def test_part_may_be_repeated(lab: Callable[..., Answer], files: list[Path]) -> None:
    answer = lab("hexdump", files[1], "--part", files[0], "--part", files[2], "--physical", 18 * SIZE, "--length", 16)
    assert (answer.status, answer.err) == (0, "")
    assert page_of(18, SIZE)[:16].hex(" ")[:20] in answer.out.lower().replace("  ", " ")


@pytest.mark.parametrize("command", ["info", "segments", "notes", "dumps", "problems", "hexdump"])
def test_every_command_takes_parts(lab: Callable[..., Answer], files: list[Path], command: str) -> None:
    answer = lab(command, files[0], "--part", files[1], "--part", files[2])
    assert (answer.status, answer.err) == (0, "")


def test_every_command_says_that_it_takes_parts(lab: Callable[..., Answer]) -> None:
    from vmcoredd_lab.cli.main import cli

    for name in cli.commands.keys() - {"make", "completion"}:  # which open no file
        assert "--part FILE" in lab(name, "--help").out, name


def test_a_missing_part_exits_4_where_its_memory_is_asked_for(lab: Callable[..., Answer], files: list[Path]) -> None:
    answer = lab("hexdump", files[0], "--part", files[2], "--physical", 7 * SIZE)
    assert answer.status == 4
    assert "another part" in answer.err
    assert lab("notes", files[0], "--part", files[2]).status == 0


def test_a_part_that_cannot_be_opened_exits_3(lab: Callable[..., Answer], files: list[Path], tmp_path: Path) -> None:
    answer = lab("notes", files[0], "--part", tmp_path / "none")
    assert answer.status == 3
    assert "none" in answer.err


# -- files of real kernels --------------------------------------------------------------------------------------------

MINI = "vmcore/x86_64-mini/"
SPLIT = [f"{MINI}vmcore.split{i}.kdump" for i in (1, 2)]


@pytest.mark.parametrize("turn", [1, -1])
def test_a_split_dump_is_the_whole_one(unpacked: Callable[[str], Path], turn: int) -> None:
    core = vl.open_vmcore([unpacked(name) for name in SPLIT][::turn])
    whole = vl.open_vmcore(unpacked(MINI + "vmcore.d31.kdump.xz"))
    assert ranges(core) == ranges(whole)
    assert list(core.memory.chunks(1 << 16)) != []
    held = 0
    for address, data in core.memory.chunks():
        assert whole.memory.read(address, len(data)) == data
        held += len(data)
    assert held == whole.container.memory_size()[1]
    assert [(n.owner, n.type, n.desc_size) for n in core.container.notes] == [
        (n.owner, n.type, n.desc_size) for n in whole.container.notes
    ]
    assert [row for row in problems(core) if not row[1].startswith("dump:")] == []


@pytest.mark.peer
def test_parts_of_makedumpfile_are_the_vmcore_they_were_made_from(
    unpacked: Callable[[str], Path], tmp_path: Path
) -> None:
    program = shutil.which("makedumpfile")
    if not program:
        pytest.skip("makedumpfile is not installed")
    elf = unpacked(MINI + "vmcore.elf.xz")
    made = [tmp_path / f"vmcore.{i}" for i in range(3)]
    run = subprocess.run([program, "--split", "-c", "-d", "1", elf, *made], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    core, whole = vl.open_vmcore(made[::-1]), vl.open_vmcore(elf).memory
    for address, data in core.memory.chunks():
        assert whole.read(address, len(data)) == data
    together = tmp_path / "vmcore"
    run = subprocess.run([program, "--reassemble", *made, together], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    other = vl.open_vmcore(together)
    assert ranges(core) == ranges(other)
    assert sum(len(data) for _, data in core.memory.chunks()) == sum(len(data) for _, data in other.memory.chunks())


def test_room_for_the_descriptors_of_all_parts_is_no_sign_of_damage() -> None:
    table = descriptor_table(THREE[0])
    assert struct.unpack_from("<Q", THREE[0], table)[0] > table + 24 * 4  # its own are fewer
    core = vl.open_vmcore(THREE[0])
    assert core.check()
    assert not core.known_problems().damaged
