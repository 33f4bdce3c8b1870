"""The note walker: owners as writers leave them, alignment, fill, and notes that cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from builders import (
    BIG,
    LITTLE,
    ORDERS,
    USUAL,
    WIDTHS,
    Segment,
    elf,
    note,
    notes,
    prstatus,
    usual_elf,
    usual_notes,
    vmcoreinfo,
)

import vmcoredd_lab as vl
from vmcoredd_lab.notes import walker
from vmcoredd_lab.notes.names import type_name
from vmcoredd_lab.notes.vmcoreinfo import Vmcoreinfo

COLUMNS = ["owner", "type", "type_name", "desc_offset", "desc_size", "cpu", "summary"]


def opened(data: bytes, **segment: Any) -> vl.Vmcore:
    return vl.open_vmcore(elf(notes(data, **segment), order=segment.pop("order", LITTLE)))


def owners(core: vl.Vmcore) -> list[str]:
    return core.notes_table().values("owner")


def errors(core: vl.Vmcore) -> list[dict[str, Any]]:
    return [row for row in core.problems_table().records() if row["severity"] == "error"]


# -- what a note says -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bits", WIDTHS)
def test_notes_come_in_file_order_with_their_place(bits: int, order: str) -> None:
    data = usual_elf(bits=bits, order=order)
    frame = vl.open_vmcore(data).notes
    assert list(frame.columns) == COLUMNS
    assert list(frame["owner"]) == USUAL
    assert list(frame["type"]) == [0x700, 0x700, 1, 1, 0]
    assert list(frame["type_name"]) == ["NT_VMCOREDD", "NT_VMCOREDD", "NT_PRSTATUS", "NT_PRSTATUS", "VMCOREINFO"]
    assert frame["desc_offset"][0] == data.index(b"one_0000:02:00.4")
    assert frame["desc_size"][0] == 44 + len(b"first dump " * 9)
    assert frame["desc_offset"][4] == data.index(b"OSRELEASE=")


def test_the_summary_of_a_note_says_what_is_in_it() -> None:
    summaries = opened(usual_notes()).notes_table().values("summary")
    assert "one_0000:02:00.4" in summaries[0]
    assert "99 B" in summaries[0]
    assert "pid 1234" in summaries[2]
    assert summaries[4] == "OSRELEASE=6.1.0-test"


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bits", WIDTHS)
def test_the_pid_of_a_cpu_is_signed_and_in_the_machines_byte_order(bits: int, order: str) -> None:
    core = vl.open_vmcore(elf(notes(prstatus(-2, order=order, bits=bits)), order=order, bits=bits))
    assert core.notes_table().values("summary")[0].startswith("pid -2")


@pytest.mark.parametrize(
    ("owner", "shown"),
    [
        (b"LINUX\0\0\0", "LINUX"),  # n_namesz 8: the NULs and the fill are counted, as the kernel does for device dumps
        (b"LINUX\0", "LINUX"),  # 6: the NUL is counted
        (b"LINUX", "LINUX"),  # 5: it is not
        (b"", ""),
        (b"\0", ""),
        (b"GNU\0", "GNU"),
        (b"a\x1b[2J\0", r"a\x1b[2J"),
        (b"in\0side\0", r"in\x00side"),
        (b"\xff\xfe", r"\xff\xfe"),
    ],
)
def test_owners_are_shown_without_trailing_nuls(owner: bytes, shown: str) -> None:
    core = opened(note(owner, 0x1234, b"descriptor") + prstatus(1))
    assert owners(core) == [shown, "CORE"]
    assert errors(core) == []


@pytest.mark.parametrize(("owner", "number", "name"), [("LINUX", 0x700, "NT_VMCOREDD"), ("CORE", 0x700, None),
                                                       ("LINUX", 0x301, "NT_S390_TIMER"), ("", 1, None)])  # fmt: skip
def test_the_name_of_a_type_follows_from_owner_and_number(owner: str, number: int, name: str | None) -> None:
    assert type_name(owner, number) == name


@pytest.mark.parametrize("size", range(9))
def test_descriptors_are_filled_up_to_4_bytes(size: int) -> None:
    core = opened(note(b"A\0", 1, b"d" * size) + note(b"B\0", 2, b"second"))
    assert owners(core) == ["A", "B"]
    assert core.notes_table().values("desc_size") == [size, 6]


@pytest.mark.parametrize("owner", [b"", b"ab", b"GNU\0", b"LINUX\0", b"LINUX\0\0\0", b"ELEVENLONG\0"])
@pytest.mark.parametrize("size", [0, 1, 4, 8, 9])
def test_notes_in_a_segment_of_p_align_8_are_filled_up_to_8_bytes(owner: bytes, size: int) -> None:
    data = note(owner, 5, b"D" * size, align=8) + note(b"LAST\0", 6, b"the last one", align=8)
    whole = elf(notes(data, align=8))
    core = vl.open_vmcore(whole)
    assert owners(core)[1] == "LAST"
    assert core.notes_table().values("desc_offset")[1] == whole.index(b"the last one")
    assert errors(core) == []


@pytest.mark.parametrize("align", [0, 1, 2, 4, 16, 4096])
def test_any_other_p_align_means_4(align: int) -> None:
    core = opened(usual_notes(), align=align)
    assert owners(core) == USUAL
    assert errors(core) == []


def test_a_segment_may_begin_at_any_offset() -> None:
    core = vl.open_vmcore(elf(notes(usual_notes()), gap=3))
    assert owners(core) == USUAL
    assert core.notes_table().values("desc_offset")[0] % 4 == 3


def test_the_last_descriptor_need_not_be_filled_up() -> None:
    core = opened(note(b"A\0", 1, b"12345")[:-3])
    assert owners(core) == ["A"]
    assert errors(core) == []
    assert owners(opened(note(b"LINUX", 1)[:-3])) == ["LINUX"]


# -- several segments, fill -------------------------------------------------------------------------------------------


def test_notes_of_all_note_segments_are_read() -> None:
    core = vl.open_vmcore(elf(notes(prstatus(1)), Segment(b"memory"), notes(prstatus(2) + vmcoreinfo()), notes(b"")))
    assert owners(core) == ["CORE", "CORE", "VMCOREINFO"]
    assert core.notes_table().values("cpu") == [0, 1, None]


def test_each_note_segment_has_its_own_alignment() -> None:
    core = vl.open_vmcore(
        elf(notes(note(b"A\0", 1, b"x", align=8) * 2, align=8), notes(note(b"B\0", 1, b"x") * 2, align=4))
    )
    assert owners(core) == ["A", "A", "B", "B"]


def test_zero_fill_ends_a_segment_and_not_the_next_one() -> None:
    core = vl.open_vmcore(elf(notes(prstatus(1) + bytes(4096) + prstatus(2)), notes(vmcoreinfo())))
    assert owners(core) == ["CORE", "VMCOREINFO"]
    assert errors(core) == []


@pytest.mark.parametrize("fill", range(1, 12))
def test_fill_may_be_shorter_than_a_note_header(fill: int) -> None:
    core = opened(prstatus(1) + bytes(fill))
    assert (owners(core), errors(core)) == (["CORE"], [])


def test_a_damaged_segment_does_not_hide_the_next_one() -> None:
    core = vl.open_vmcore(elf(notes(note(b"A\0", 1, descsz=1 << 31)), notes(vmcoreinfo())))
    assert owners(core) == ["A", "VMCOREINFO"]
    assert len(errors(core)) == 1


# -- notes that cannot be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("namesz", [1 << 31, (1 << 32) - 1, 1025, 2000])
def test_an_owner_that_cannot_be_ends_the_segment_and_keeps_what_is_before(namesz: int) -> None:
    core = opened(usual_notes() + note(b"X\0", 7, b"?", namesz=namesz) + prstatus(9))
    assert owners(core) == USUAL
    (problem,) = errors(core)
    assert problem["got"] == str(namesz)
    assert "note 5" in problem["message"]
    assert problem["offset"] == 64 + 56 + len(usual_notes())


@pytest.mark.parametrize("descsz", [1 << 31, (1 << 32) - 1, 400])
def test_a_descriptor_longer_than_its_segment_is_used_as_far_as_it_goes(descsz: int) -> None:
    core = vl.open_vmcore(
        elf(notes(prstatus(1) + note(b"X\0", 7, b"what is there", descsz=descsz)), Segment(b"memory" * 99))
    )
    assert owners(core) == ["CORE", "X"]
    assert core.notes_table().values("desc_size")[1] == descsz
    (problem,) = errors(core)
    assert problem["got"] == f"{descsz:,}"
    assert problem["expected"] == "n_descsz of at most 16"
    assert problem["offset"] == core.container.notes[1].header_offset + 4
    assert "note 1 " in problem["message"]
    assert "longer than the segment" in problem["message"]


@pytest.mark.parametrize("left", range(1, 12))
def test_a_header_cut_by_the_end_of_its_segment_is_a_problem(left: int) -> None:
    core = opened(prstatus(1) + note(b"CORE\0", 1, b"x")[:left])
    assert owners(core) == ["CORE"]
    (problem,) = errors(core)
    assert problem["got"] == f"{left} bytes"


@pytest.mark.parametrize(
    ("offset", "filesz"), [(1 << 63, 100), (None, 1 << 63), ((1 << 64) - 1, (1 << 64) - 1), (1 << 40, 1 << 40)]
)
def test_a_note_segment_that_cannot_be_is_a_problem_and_the_others_are_read(offset: int | None, filesz: int) -> None:
    core = vl.open_vmcore(elf(notes(usual_notes()), Segment(type=4, offset=offset, filesz=filesz)))
    assert owners(core) == USUAL
    assert errors(core)


def test_a_segment_that_claims_too_much_gives_the_notes_that_are_there() -> None:
    core = opened(usual_notes(), filesz=1 << 63)
    assert owners(core) == USUAL
    assert errors(core)


def test_the_file_may_end_inside_a_descriptor() -> None:
    whole = elf(notes(prstatus(1) + note(b"X\0", 7, b"y" * 100)))
    core = vl.open_vmcore(whole[:-60])
    assert owners(core) == ["CORE", "X"]
    assert core.notes_table().values("desc_size")[1] == 100
    assert "cut: 40 of 100 bytes" in core.notes_table().values("summary")[1]
    assert any("inside note 1" in problem["message"] for problem in errors(core))


def test_no_machine_leaves_more_notes_than_this(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walker, "MOST_NOTES", 10)
    core = opened(note(b"A\0", 1) * 20)
    assert len(owners(core)) == 10
    assert "more notes than any machine" in errors(core)[0]["message"]


def test_note_segments_on_the_same_notes_list_each_once_and_are_a_problem() -> None:
    data = note(b"A\0", 1) * 4
    core = vl.open_vmcore(elf(*(notes(data, offset=64 + 56 * 100) for _ in range(100))))
    assert owners(core) == ["A"] * 4
    assert "inside another note segment" in errors(core)[0]["message"]
    assert len(errors(core)) < 100


# -- CPUs, VMCOREINFO -------------------------------------------------------------------------------------------------


def test_a_prstatus_begins_a_cpu_and_register_sets_behind_it_belong_to_it() -> None:
    cpu = note(b"CORE\0", 1, bytes(336)) + note(b"CORE\0", 2, b"fp") + note(b"LINUX\0", 0x301, b"timer")
    core = opened(cpu + cpu + vmcoreinfo())
    assert core.notes_table().values("cpu") == [0, 0, 0, 1, 1, 1, None]


def test_qemu_leaves_a_note_of_its_own_for_each_cpu() -> None:
    core = opened(prstatus(1) + prstatus(2) + note(b"QEMU\0", 0, bytes(440)) * 2)
    assert core.notes_table().values("cpu") == [0, 1, 0, 1]


def test_vmcoreinfo_is_a_mapping_of_its_lines() -> None:
    core = opened(vmcoreinfo("OSRELEASE=6.1\nPAGESIZE=65536\nSYMBOL(a=b)=ffff\nno equals sign\nCRASHTIME=1700000000\n"))
    assert core.vmcoreinfo["OSRELEASE"] == "6.1"
    assert core.vmcoreinfo.page_size == 65536
    assert len(core.vmcoreinfo) == 4
    assert core.vmcoreinfo.crash_time is not None
    assert core.vmcoreinfo.crash_time.isoformat() == "2023-11-14T22:13:20+00:00"


def test_without_vmcoreinfo_the_mapping_is_empty() -> None:
    assert dict(opened(prstatus(1)).vmcoreinfo) == {}


@pytest.mark.parametrize("seconds", ["1", "0", "999999999"])
def test_a_machine_without_a_clock_has_no_crash_time(seconds: str) -> None:
    info = Vmcoreinfo(f"CRASHTIME={seconds}".encode())
    assert (info.crash_time, info.crash_seconds) == (None, int(seconds))


@pytest.mark.parametrize("value", ["", "-1", "0x10", "9" * 12, "9" * 5000, "١٢", "1e9"])
def test_numbers_in_vmcoreinfo_that_cannot_be_are_not_known(value: str) -> None:
    info = Vmcoreinfo(f"CRASHTIME={value}\nPAGESIZE={value}\n".encode())
    assert (info.crash_time, info.page_size) == (None, None)


def test_bytes_in_vmcoreinfo_that_are_not_text_are_shown_as_hexadecimal() -> None:
    assert Vmcoreinfo(b"OSRELEASE=6.1\x1b[2J\xff\n")["OSRELEASE"] == r"6.1\x1b[2J\xff"


@pytest.mark.parametrize("order", [LITTLE, BIG])
def test_notes_of_the_other_byte_order_are_no_notes(order: str) -> None:
    other = BIG if order == LITTLE else LITTLE
    core = vl.open_vmcore(elf(notes(usual_notes(order=other)), order=order))
    assert owners(core) == []
    assert len(errors(core)) == 1
