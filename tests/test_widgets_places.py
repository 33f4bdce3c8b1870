"""Where the file holds memory, and how far nothing is mapped: what jumps in memory are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import Segment, elf, notes, usual_notes
from hypothesis import given
from hypothesis import strategies as st

import vmcoredd_lab as vl
from vmcoredd_lab.kernel.address_space import Untranslated
from vmcoredd_lab.widgets.spaces import Ranges

pytest.importorskip("anywidget")


def vmcore(folder: Path, *segments: Segment) -> vl.Vmcore:
    path = folder / "vmcore"
    path.write_bytes(elf(notes(usual_notes()), *segments))
    return vl.open_vmcore(path)


def test_the_place_of_memory_in_the_file_holds_its_bytes_where_segments_overlap(tmp_path: Path) -> None:
    data = bytes(range(256)) * 16
    core = vmcore(
        tmp_path,
        Segment(data, paddr=0x1000, vaddr=0xFFFF888000001000),
        Segment(data[0x800:] + b"behind" * 100, paddr=0x1800, vaddr=0xFFFFFFFF80000800),
        Segment(b"apart", paddr=0x9000, vaddr=0xFFFF888000009000),
    )
    raw = (tmp_path / "vmcore").read_bytes()
    for address in (0x1000, 0x17FF, 0x1800, 0x1FFF, 0x2000, 0x2257, 0x9004):
        offset, room = core.container.memory.place_of(address, "physical")
        assert raw[offset : offset + room][:16] == core.memory.read(address, min(16, room))
    for address in (0, 0xFFF, 0x2258, 0x9005, (1 << 64) - 1):
        assert core.container.memory.place_of(address, "physical") is None


class Segments:
    """A table of segments at hand."""

    def __init__(self, told: list[tuple[str, int, int, int]]) -> None:
        kinds, *numbers = zip(*told, strict=True)
        self.columns = {"type": list(kinds)}
        self.columns |= {n: np.array(v, np.uint64) for n, v in zip(("paddr", "filesz", "memsz"), numbers, strict=True)}

    def values(self, name: str) -> list[str]:
        return self.columns[name]


@given(
    st.lists(
        st.tuples(st.sampled_from(["PT_LOAD", "PT_NOTE"]), st.integers(0, 40), st.integers(0, 9), st.integers(0, 12)),
        min_size=1,
        max_size=8,
    )
)
def test_each_address_is_held_if_any_segment_holds_it_then_excluded_then_absent(told) -> None:
    known = {}
    for kind, start, held, whole in told:
        for address in range(start, start + max(held, whole)) if kind == "PT_LOAD" else ():
            state = "" if address < start + held else "excluded"
            known[address] = min(known.get(address, state), state)
    ranges = Ranges.of_segments(Segments(told), "paddr")
    assert {a: ranges.at(a, 64)[2] for a in range(64)} == {a: known.get(a, "absent") for a in range(64)}
    assert ranges.starts == sorted(set(ranges.starts))
    assert all(a < b for a, b in zip(ranges.starts, ranges.ends, strict=True))


def test_a_segment_up_to_the_end_of_64_bits_ends_there() -> None:
    ranges = Ranges.of_segments(Segments([("PT_LOAD", (1 << 64) - 4096, 4096, 1 << 63)]), "paddr")
    assert (ranges.starts, ranges.ends, ranges.states) == ([(1 << 64) - 4096], [1 << 64], [""])


def test_segments_that_follow_one_another_are_one_stretch(tmp_path: Path) -> None:
    core = vmcore(tmp_path, *(Segment(b"x" * 4096, paddr=i * 4096, vaddr=0) for i in range(8)))
    assert core.container.memory.place_of(4096, "physical")[1] == 7 * 4096


def test_a_segment_behind_the_end_of_a_cut_file_has_no_place(tmp_path: Path) -> None:
    core = vmcore(
        tmp_path, Segment(b"", paddr=0, offset=1 << 40, filesz=4096), Segment(b"", paddr=8192, offset=0, filesz=1 << 60)
    )
    assert core.container.memory.place_of(0, "physical") is None
    assert core.container.memory.place_of(8192, "physical") == (0, (tmp_path / "vmcore").stat().st_size)


def test_a_glance_reads_what_a_read_does(tmp_path: Path) -> None:
    core = vmcore(tmp_path, Segment(b"memory", paddr=0))
    source = core.container.source
    for offset, size in ((0, 64), (source.size - 3, 64), (source.size, 1), (1 << 70, 5)):
        assert source.glance(offset, size) == source.read(offset, size)


def test_how_far_nothing_is_mapped_is_told_by_the_page_tables(sample: Path) -> None:
    space = vl.open_vmcore(sample).memory.address_space
    assert space.has_tables
    address, mapped, gaps = 0xFFFF_8000_0000_0000, 0, 0
    while address < 1 << 64 and mapped + gaps < 3000:
        following = space.untranslated_until(address)
        if following > address:
            for inside in (address, (address + following) // 2, following - 1):
                with pytest.raises(Untranslated):
                    space.translate(inside)
            address, gaps = following, gaps + 1
            continue
        mapped += 1
        address += space.translate(address)[1]
    assert mapped
    assert gaps


def test_the_first_line_of_virtual_memory_reaches_to_where_something_is_mapped(sample: Path) -> None:
    from vmcoredd_lab.widgets.lines import GAP, lines
    from vmcoredd_lab.widgets.space_set import space_set

    core = vl.open_vmcore(sample)
    first = lines(space_set(core).get("virtual"), 0, 2)[0]
    assert first.kind == GAP
    assert first.end >= 1 << 40
