"""Lines of the hex view: rows, runs of equal rows, stretches without bytes; forward and backward; and the spaces behind them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from builders import Segment, elf, notes, usual_elf, usual_kdump, usual_notes
from hypothesis import given
from hypothesis import strategies as st

import vmcoredd_lab as vl
from vmcoredd_lab.widgets.lines import GAP, ROW, SAME, Line, lines, lines_before
from vmcoredd_lab.widgets.space_set import space_set

TIB = 1 << 40


@pytest.fixture
def terabyte(tmp_path):
    """A vmcore whose one segment is a hole of 1 TiB with a word in its middle."""
    path = tmp_path / "vmcore"
    path.write_bytes(elf(notes(usual_notes()), Segment(b"", paddr=0, vaddr=0, offset=1 << 20, filesz=TIB)))
    with path.open("r+b") as file:
        file.seek((1 << 39) + 0x10)
        file.write(b"in the middle of")
        file.truncate((1 << 20) + TIB)
    return path


def buffer(data):
    return space_set(data).get("buffer")


def bytes_of(found: list[Line]) -> bytes:
    """The bytes that the lines stand for."""
    parts = []
    for line in found:
        assert line.kind != GAP
        parts.append(line.data if line.kind == ROW else line.data * ((line.end - line.start) // 16))
    return b"".join(parts)


@given(st.lists(st.tuples(st.sampled_from([0, 1, 255]), st.integers(1, 70)), max_size=12))
def test_lines_stand_for_the_bytes_as_they_are(runs):
    data = b"".join(bytes([value]) * count for value, count in runs)
    found = lines(buffer(data), 0, 1000)
    assert bytes_of(found) == data
    assert all(a.end == b.start for a, b in pairwise(found))


@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.integers(1, 90)), min_size=1, max_size=9), st.integers(1, 8))
def test_lines_before_an_address_are_the_last_of_those_that_lead_to_it(runs, count):
    data = b"".join(bytes([value]) * (16 * n) for value, n in runs)
    space = buffer(data)
    for end in (len(data), len(data) // 32 * 16):
        before = lines_before(space, end, count)
        assert len(before) <= count
        if before:
            assert before[-1].end == end
            assert bytes_of(before) == data[before[0].start : end]


def test_rows_that_differ_are_not_collapsed_and_two_equal_ones_are_not_worth_it():
    found = lines(buffer(b"a" * 16 + b"b" * 32 + b"c" * 16), 0, 10)
    assert [line.kind for line in found] == [ROW] * 4


def test_a_run_of_equal_rows_is_one_line():
    found = lines(buffer(b"a" * 160 + b"b" * 16), 0, 10)
    assert [(line.kind, line.start, line.end) for line in found] == [(ROW, 0, 16), (SAME, 16, 160), (ROW, 160, 176)]


def test_without_collapsing_every_row_is_there():
    assert [line.kind for line in lines(buffer(b"a" * 160), 0, 20, collapse=False)] == [ROW] * 10


def test_a_hole_of_half_a_tebibyte_is_one_line(terabyte):
    space = space_set(terabyte).get("file")
    found = lines(space, 1 << 21, 4)
    assert [line.kind for line in found[:3]] == [ROW, SAME, ROW]
    assert found[2].data == b"in the middle of"
    assert found[2].start == (1 << 39) + 0x10


def test_the_line_before_the_middle_of_a_tebibyte_begins_at_its_own_row(terabyte):
    space = space_set(terabyte).get("file")
    before = lines_before(space, (1 << 39) + 0x10, 3)
    assert before[-1].end == (1 << 39) + 0x10
    assert not any(b"".join(line.data for line in before))


def test_memory_that_the_file_does_not_hold_is_a_gap_with_its_reason(tmp_path):
    path = tmp_path / "vmcore"
    path.write_bytes(usual_elf())
    space = space_set(path).get("physical")
    found = lines(space, 0, 50)
    assert (found[0].kind, found[0].start, found[0].end, found[0].reason) == (GAP, 0, 0x1000, "absent")
    assert b"".join(line.data for line in found[1:3])[:27] == b"memory of the first segment"
    assert any(line.kind == GAP and line.reason == "excluded" for line in found)


def test_the_last_row_marks_what_is_missing_of_it(tmp_path):
    path = tmp_path / "vmcore"
    path.write_bytes(usual_elf())
    second = lines(space_set(path).get("physical"), 0x1000, 2)[1]
    assert second.data[:11] == b"rst segment"
    assert second.missing == 0xF800


def test_excluded_pages_of_a_kdump_file_are_gaps(tmp_path):
    path = tmp_path / "vmcore"
    path.write_bytes(usual_kdump(frames="p.xp"))
    found = lines(space_set(path).get("physical"), 0, 4000)
    assert [line.reason for line in found if line.kind == GAP][:2] == ["absent", "excluded"]


def test_addresses_up_to_the_last_byte_of_64_bits_are_exact(tmp_path):
    path = tmp_path / "vmcore"
    top = (1 << 64) - 4096
    path.write_bytes(elf(notes(usual_notes()), Segment(bytes(4080) + b"the last 16 byte", vaddr=top, paddr=0x1000)))
    found = lines(space_set(path).get("virtual"), (1 << 64) - 16, 3)
    assert [(line.start, line.end, line.data) for line in found] == [(2**64 - 16, 2**64, b"the last 16 byte")]


def test_a_view_of_nothing_that_has_bytes_is_refused():
    with pytest.raises(vl.UsageError, match="cannot show"):
        space_set(object())
