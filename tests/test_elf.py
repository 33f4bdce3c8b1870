"""ELF vmcores: both widths, both byte orders, any number of program headers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders import (
    BIG,
    LITTLE,
    ORDERS,
    PT_LOAD,
    USUAL,
    WIDTHS,
    CountingSource,
    Segment,
    elf,
    note,
    notes,
    usual_elf,
    usual_notes,
)

import vmcoredd_lab as vl
from vmcoredd_lab.containers.elf_structs import P_TYPES, machine_name
from vmcoredd_lab.errors import NotInFileError, OpenError, UsageError

COLUMNS = ["type", "offset", "vaddr", "paddr", "filesz", "memsz", "flags", "align"]
MEMORY = [
    Segment(b"memory, one", vaddr=0xFFFF8880_00001000, paddr=0x1000, memsz=0x1000, flags=7, align=0x1000),
    Segment(b"memory, two", vaddr=0xFFFF8881_00000000, paddr=0x1_00000000, memsz=11, flags=5, align=0x200000),
]


def problems(core: vl.Vmcore) -> list[dict[str, Any]]:
    return core.problems_table().records()


# -- the header -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bits", WIDTHS)
def test_width_and_byte_order_are_told_by_the_identification(bits: int, order: str) -> None:
    core = vl.open_vmcore(usual_elf(bits=bits, order=order))
    assert (core.format, core.byteorder) == (f"elf{bits}", order)
    assert list(core.notes["owner"]) == USUAL
    assert core.vmcoreinfo["OSRELEASE"] == "6.1.0-test"
    assert problems(core) == []


@pytest.mark.parametrize(
    ("number", "bits", "order", "machine"),
    [
        (62, 64, LITTLE, "x86_64"), (3, 32, LITTLE, "i386"), (183, 64, LITTLE, "aarch64"), (22, 64, BIG, "s390x"),
        (22, 32, BIG, "s390"), (21, 64, BIG, "ppc64"), (21, 64, LITTLE, "ppc64le"), (243, 64, LITTLE, "riscv64"),
        (8, 32, BIG, "mips"), (8, 64, BIG, "mips64"), (258, 64, LITTLE, "loongarch64"), (40, 32, LITTLE, "arm"),
        (9999, 64, LITTLE, "em_9999"),
    ],
)  # fmt: skip
def test_the_machine_has_the_name_that_uname_gives_it(number: int, bits: int, order: Any, machine: str) -> None:
    assert vl.open_vmcore(elf(notes(b""), machine=number, bits=bits, order=order)).machine == machine
    assert machine_name(number, bits, order) == machine


@pytest.mark.parametrize(("kind", "what"), [(1, "object file"), (2, "vmlinux"), (3, "library"), (0xFE00, "65024")])
def test_an_elf_file_that_is_no_core_is_refused(kind: int, what: str) -> None:
    with pytest.raises(OpenError, match="not a core") as error:
        vl.open_vmcore(elf(notes(b""), e_type=kind))
    assert what in str(error.value)


@pytest.mark.parametrize("header", [{"ei_class": 3}, {"ei_class": 0}, {"ei_data": 0}, {"ei_data": 7}])
def test_an_identification_that_cannot_be_is_refused(header: dict[str, int]) -> None:
    with pytest.raises(OpenError, match="identification"):
        vl.open_vmcore(elf(notes(b""), **header))


@pytest.mark.parametrize(("bits", "size"), [(64, 64), (32, 52)])
def test_a_header_that_is_cut_is_refused(bits: int, size: int) -> None:
    whole = usual_elf(bits=bits)
    for length in (4, 15, 16, size - 1):
        with pytest.raises(OpenError):
            vl.open_vmcore(whole[:length])
    assert vl.open_vmcore(whole[:size]).format == f"elf{bits}"


def test_a_core_without_program_headers_says_that_nothing_is_in_it() -> None:
    core = vl.open_vmcore(elf())
    assert (len(core.segments), len(core.notes)) == (0, 0)
    assert [(p["severity"], p["where"]) for p in problems(core)] == [("error", "ELF header")]


@pytest.mark.parametrize(("bits", "size", "offset"), [(64, "56", 0x36), (32, "32", 0x2A)])
def test_program_headers_of_another_size_are_a_problem_and_read_all_the_same(bits: int, size: str, offset: int) -> None:
    core = vl.open_vmcore(usual_elf(bits=bits, e_phentsize=64))
    assert list(core.notes["owner"]) == USUAL
    assert [(p["expected"], p["got"], p["offset"]) for p in problems(core)] == [(size, "64", offset)]


# -- segments ---------------------------------------------------------------------------------------------------------


def test_where_program_headers_were_never_written_the_notes_behind_them_are_found() -> None:
    whole = elf(notes(usual_notes()), Segment(b"\xff" * 9000))
    data = whole[:64] + bytes(112) + whole[176:]
    core = vl.open_vmcore(data)
    assert core.notes_table().values("owner") == vl.open_vmcore(whole).notes_table().values("owner")
    assert [bytes(d.data) for d in core.device_dumps] == [bytes(d.data) for d in vl.open_vmcore(whole).device_dumps]
    (row,) = core.problems_table().records()
    assert (row["where"], "5 notes found behind them" in row["message"]) == ("program headers", True)


def test_where_nothing_follows_empty_program_headers_that_is_said() -> None:
    core = vl.open_vmcore(elf(notes(b""))[:64] + bytes(56 + 5000))
    assert [row["where"] for row in core.problems_table().records()] == ["program headers"]
    assert len(core.notes_table()) == 0


@pytest.mark.parametrize("order", ORDERS)
def test_segments_are_the_program_headers_in_file_order(order: str) -> None:
    data = elf(notes(usual_notes(order=order)), *MEMORY, order=order)
    segments = vl.open_vmcore(data).segments
    assert list(segments.columns) == COLUMNS
    assert list(segments["type"]) == ["PT_NOTE", "PT_LOAD", "PT_LOAD"]
    assert list(segments["offset"][1:]) == [data.index(b"memory, one"), data.index(b"memory, two")]
    assert list(segments["vaddr"]) == [0, 0xFFFF8880_00001000, 0xFFFF8881_00000000]
    assert list(segments["paddr"]) == [0, 0x1000, 0x1_00000000]
    assert list(segments["filesz"][1:]) == [11, 11]
    assert list(segments["memsz"][1:]) == [0x1000, 11]
    assert list(segments["flags"]) == [0, 7, 5]
    assert list(segments["align"]) == [0, 0x1000, 0x200000]


def test_segment_numbers_are_exact_unsigned_integers() -> None:
    segments = vl.open_vmcore(elf(Segment(b"x", vaddr=(1 << 64) - 1))).segments
    assert segments["vaddr"][0] == (1 << 64) - 1
    assert {str(kind) for kind in segments.dtypes[1:]} == {"UInt64"}
    assert isinstance(segments["type"].dtype, pd.CategoricalDtype)


def test_segment_types_without_a_name_are_shown_as_numbers() -> None:
    core = vl.open_vmcore(elf(Segment(type=0x6474E551), Segment(type=0x12345678), Segment(type=2)))
    assert list(core.segments["type"]) == ["PT_GNU_STACK", "0x12345678", "PT_DYNAMIC"]


def test_names_of_segment_types_are_those_of_pyelftools() -> None:
    from elftools.elf.enums import ENUM_P_TYPE_BASE

    assert {name: number for number, name in P_TYPES.items()}.items() <= ENUM_P_TYPE_BASE.items()


def test_any_number_of_segment_types_is_told_apart() -> None:
    kinds = [0x10000000 + i for i in range(300)]
    core = vl.open_vmcore(elf(*(Segment(type=kind) for kind in kinds)))
    assert list(core.segments["type"]) == [f"{kind:#x}" for kind in kinds]
    assert core.segments_table().values("type") == [f"{kind:#x}" for kind in kinds]


@pytest.mark.parametrize("xnum", ["behind", "end"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bits", WIDTHS)
def test_with_pn_xnum_program_headers_are_counted_by_section_header_0(bits: int, order: str, xnum: str) -> None:
    core = vl.open_vmcore(usual_elf(bits=bits, order=order, xnum=xnum))
    assert len(core.segments) == 3
    assert list(core.notes["owner"]) == USUAL
    assert problems(core) == []


def test_70001_program_headers_are_all_there() -> None:
    many = [Segment(paddr=i << 12) for i in range(70_000)]
    core = vl.open_vmcore(elf(notes(usual_notes()), *many, xnum="behind"))
    assert len(core.segments) == 70_001
    assert core.segments["paddr"].iloc[-1] == 69_999 << 12
    assert problems(core) == []


@pytest.mark.parametrize("xnum", ["missing", "zero"])
@pytest.mark.parametrize("gap", [0, 4096])
def test_without_that_count_program_headers_are_read_up_to_the_data(xnum: str, gap: int) -> None:
    core = vl.open_vmcore(usual_elf(xnum=xnum, gap=gap))
    assert len(core.segments) == 3
    assert list(core.notes["owner"]) == USUAL
    assert [(p["severity"], p["where"], p["expected"]) for p in problems(core)] == [
        ("error", "ELF header", "sh_info not 0")
    ]


def test_a_count_that_cannot_be_stops_at_the_data() -> None:
    source = CountingSource(elf(notes(usual_notes(), offset=1 << 20), xnum="behind").replace(
        (1).to_bytes(4, "little") + bytes(16), (0xFFFFFFFF).to_bytes(4, "little") + bytes(16)), 1 << 40)  # fmt: skip
    core = vl.open_vmcore(source)
    assert len(core.segments) == 0xFFFF
    assert source.count < 1 << 23
    assert "more than fit" in problems(core)[0]["message"]


def test_program_headers_behind_the_end_of_the_file_are_left_out() -> None:
    whole = elf(notes(b""), *MEMORY)
    core = vl.open_vmcore(whole[: 64 + 2 * 56 + 10])
    assert list(core.segments["type"]) == ["PT_NOTE", "PT_LOAD"]
    assert "3 program headers announced, 2 are in the file" in problems(core)[0]["message"]
    assert (problems(core)[0]["expected"], problems(core)[0]["got"]) == ("168 bytes", "122 bytes")


def test_a_program_header_table_that_is_nowhere_is_a_problem() -> None:
    core = vl.open_vmcore(usual_elf(e_phoff=1 << 63))
    assert len(core.segments) == len(core.notes) == 0
    assert problems(core)[0]["severity"] == "error"


@pytest.mark.parametrize(("offset", "filesz"), [(1 << 63, 5), (0x1000, 1 << 63), ((1 << 64) - 1, (1 << 64) - 1)])
def test_segments_that_cannot_be_are_problems_and_stay_in_the_table(offset: int, filesz: int) -> None:
    core = vl.open_vmcore(elf(notes(usual_notes()), Segment(offset=offset, filesz=filesz)))
    assert list(core.notes["owner"]) == USUAL
    assert core.segments["offset"][1] == offset
    assert core.segments["filesz"][1] == filesz
    (problem,) = problems(core)
    assert problem["severity"] == "error"
    assert problem["offset"] == 64 + 56
    assert f"{filesz:#x}" in problem["got"]


def test_a_file_that_is_cut_says_once_how_many_segments_it_lacks() -> None:
    whole = elf(notes(usual_notes()), *(Segment(b"x" * 100) for _ in range(5)))
    core = vl.open_vmcore(whole[:-250])
    (problem,) = problems(core)
    assert "2 segments of 6 are missing and 1 incomplete, the first is segment 3" in problem["message"]
    assert (problem["offset"], problem["expected"]) == (len(whole) - 250, f"{len(whole):,} bytes")


def test_segments_left_out_by_makedumpfile_are_no_damage() -> None:
    core = vl.open_vmcore(elf(notes(usual_notes()), Segment(offset=0, memsz=1 << 30), Segment(b"kept", memsz=4096)))
    assert problems(core) == []


# -- opening reads headers only ---------------------------------------------------------------------------------------


def test_opening_reads_headers_only() -> None:
    dump = 32 << 20
    head = elf(
        notes(note(b"LINUX\0\0\0", 0x700, b"cxgb4_0000:02:00.4".ljust(44, b"\0"), descsz=44 + dump), filesz=64 + dump)
    )
    source = CountingSource(head, len(head) + dump + (1 << 36))
    core = vl.open_vmcore(source)
    assert source.count < 1000
    core.notes_table()
    assert source.count < 1500
    core.device_dumps.table()
    core.problems_table()
    assert source.count < 2000
    assert len(core.device_dumps[0].data) == dump


def test_segments_are_made_from_the_program_headers_alone() -> None:
    head = elf(notes(usual_notes()), Segment(b"x", filesz=1 << 40))
    source = CountingSource(head, 1 << 41)
    assert vl.open_vmcore(source).segments["filesz"][1] == 1 << 40
    assert source.count < 4096


def test_a_closed_vmcore_leaves_its_frames(tmp_path: Any) -> None:
    path = tmp_path / "vmcore"
    path.write_bytes(usual_elf())
    with vl.open_vmcore(path) as core:
        segments, found = core.segments, core.notes
    assert segments["type"].iloc[0] == "PT_NOTE"
    assert list(found["owner"]) == USUAL


# -- memory -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def core() -> vl.Vmcore:
    return vl.open_vmcore(
        elf(
            Segment(b"0123456789", vaddr=0xC0001000, paddr=0x1000),
            Segment(b"abcdef", vaddr=0xC000100A, paddr=0x100A, memsz=16),
            Segment(b"text", vaddr=0xFFFFFFFF_81000000, paddr=0x1002),
            Segment(b"high", vaddr=(1 << 64) - 4, paddr=(1 << 64) - 4),
        )
    )


def test_memory_is_read_by_physical_and_virtual_address(core: vl.Vmcore) -> None:
    assert core.memory.read(0x1002, 3) == b"234"
    assert core.memory.read(0xC0001002, 3, "virtual") == b"234"
    assert core.memory.read(0xFFFFFFFF_81000001, 3, "virtual") == b"ext"
    assert core.memory.read((1 << 64) - 4, 4) == b"high"
    assert core.memory.read(0x1000, 0) == b""


def test_a_read_goes_on_in_the_next_segment(core: vl.Vmcore) -> None:
    assert core.memory.read(0x1008, 6) == b"89abcd"


def test_memory_that_was_left_out_is_an_error_and_never_zeros(core: vl.Vmcore) -> None:
    with pytest.raises(NotInFileError, match="left out"):
        core.memory.read(0x1010, 1)
    with pytest.raises(NotInFileError, match="left out"):
        core.memory.read(0x100E, 4)


def test_memory_that_no_segment_maps_is_an_error(core: vl.Vmcore) -> None:
    with pytest.raises(NotInFileError, match="no segment holds physical address 0x0"):
        core.memory.read(0, 1)
    with pytest.raises(NotInFileError, match="virtual address 0x1000"):
        core.memory.read(0x1000, 1, "virtual")


def test_memory_behind_a_cut_is_an_error() -> None:
    whole = elf(Segment(b"x" * 100, paddr=0x1000))
    with pytest.raises(NotInFileError, match="cut"):
        vl.open_vmcore(whole[:-50]).memory.read(0x1000, 100)


@pytest.mark.parametrize("question", [(-1, 1), (0, -1), (1 << 64, 1), ((1 << 64) - 1, 2)])
def test_addresses_that_cannot_be_are_refused(core: vl.Vmcore, question: tuple[int, int]) -> None:
    with pytest.raises(UsageError):
        core.memory.read(*question)


def test_there_are_two_address_spaces(core: vl.Vmcore) -> None:
    with pytest.raises(UsageError, match="address space"):
        core.memory.read(0, 1, "user")


def test_the_size_of_memory_is_exact_whatever_the_headers_say() -> None:
    huge = Segment(filesz=(1 << 64) - 1, memsz=(1 << 64) - 1)
    core = vl.open_vmcore(elf(notes(usual_notes()), huge, huge, Segment(b"xy", memsz=5)))
    assert core.container.memory_size() == ((1 << 64) - 1, (1 << 64) - 1)
    nowhere = [Segment(memsz=(1 << 64) - 1, paddr=(1 << 64) - 1)] * 3
    assert vl.open_vmcore(elf(*nowhere)).container.memory_size() == (3 * ((1 << 64) - 1), 0)
    assert vl.open_vmcore(usual_elf(bits=32)).container.memory_size() == (27 + 0x1000, 27 + 28)


def test_memory_that_is_mapped_more_than_once_counts_once() -> None:
    text = Segment(bytes(0x3000), paddr=0x1000, vaddr=0xFFFFFFFF81000000)
    core = vl.open_vmcore(
        elf(text, Segment(bytes(0x2000), paddr=0x2000, memsz=0x4000), Segment(paddr=0x9000, memsz=0x1000))
    )
    assert core.container.memory_size() == (0x6000, 0x3000)


def test_columns_of_a_frame_do_not_share_memory() -> None:
    segments = vl.open_vmcore(elf(Segment(), Segment())).segments
    segments.loc[0, "vaddr"] = 99
    assert not segments.drop(columns=["type", "vaddr"]).eq(99).any(axis=None)


def test_program_headers_are_a_view_of_the_file() -> None:
    container: Any = vl.open_vmcore(elf(*(Segment(paddr=i) for i in range(1000)))).container
    assert not container.program_headers.flags.owndata
    assert np.count_nonzero(container.program_headers["p_type"] == PT_LOAD) == 1000
