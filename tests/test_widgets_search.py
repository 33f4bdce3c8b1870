"""Finding bytes slice by slice, and going to places by name."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from builders import Segment, elf, notes, usual_notes

import vmcoredd_lab as vl
from vmcoredd_lab.widgets.goto import Goto
from vmcoredd_lab.widgets.search import needle_of, search
from vmcoredd_lab.widgets.space_set import space_set

SLICE = 64


def in_a_loop(coroutine: Any) -> Any:
    """What a coroutine returns, run in a thread of its own: another test of this process may keep a loop running."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def found(data: bytes, needle: bytes, at: int = 0, *, backward: bool = False):
    space = space_set(data).get("buffer")
    space.slice = SLICE

    async def last():
        said = [one async for one in search(space, needle, at, backward=backward)]
        return said[-1]

    answer = in_a_loop(last())
    return (int(answer["at"], 16), answer["wrapped"]) if "at" in answer else None


@pytest.mark.parametrize("place", [0, 1, SLICE - 3, SLICE - 1, SLICE, SLICE + 1, 2 * SLICE - 2, 196])
def test_a_needle_is_found_wherever_it_lies_on_the_borders_of_slices(place):
    data = bytearray(200)
    data[place : place + 4] = b"word"
    assert found(bytes(data), b"word") == (place, False)
    assert found(bytes(data), b"word", len(data), backward=True) == (place, False)


def test_forward_is_the_next_and_backward_the_last_before():
    data = b"word" + bytes(100) + b"word" + bytes(100) + b"word"
    assert found(data, b"word", 1) == (104, False)
    assert found(data, b"word", 104, backward=True) == (0, False)


def test_a_search_goes_once_around_the_end():
    data = bytes(10) + b"word" + bytes(300)
    assert found(data, b"word", 100) == (10, True)
    assert found(bytes(300) + b"word", b"word", 10, backward=True) == (300, True)


def test_what_is_not_there_is_not_found():
    assert found(bytes(500), b"word", 100) is None


def test_overlapping_places_of_a_needle_are_each_found():
    assert found(b"aaaa", b"aa", 1) == (1, False)


@pytest.mark.parametrize("backward", [False, True])
def test_a_search_that_is_stopped_looks_no_further_and_says_so(backward):
    view = vl.hexview(bytes(1 << 20))
    space = view._spaces.get("buffer")
    space.slice = SLICE
    looked, sent = [], []
    name = "rfind" if backward else "find"
    look = getattr(space, name)
    setattr(space, name, lambda *where: looked.append(where) or look(*where))
    view._requests._send = lambda message, _: sent.append(message)

    async def stopped():
        at = f"{1 << 19:x}"
        view._requests.received(
            {"id": "1", "op": "find", "space": "buffer", "at": at, "text": "none", "backward": backward}
        )
        while len(looked) < 5:
            await asyncio.sleep(0)
        view._requests.received({"op": "cancel", "which": "1"})
        before = len(looked)
        await asyncio.sleep(0.05)
        return before

    before = in_a_loop(stopped())
    assert len(looked) == before < 100
    assert [(m["ok"], m.get("cancelled")) for m in sent] == [(False, True)]
    assert all(at < 1 << 19 for _, at, _ in looked) == backward  # from the cursor, in the direction asked for


def answered(*requests):
    view = vl.hexview(bytes(1 << 20))
    sent = []
    view._requests._send = lambda message, _: sent.append(message)

    async def asked():
        for request in requests:  # all at once, as they come from a kernel that was busy
            view._requests.received(request)
        await asyncio.sleep(0.05)

    in_a_loop(asked())
    return sent


def test_a_search_that_is_stopped_before_it_begins_says_so():
    find = {"id": "1", "op": "find", "space": "buffer", "at": "0", "text": "none", "backward": False}
    sent = answered(find, {"op": "cancel", "which": "1"})
    assert [(m["id"], m["ok"], m.get("cancelled")) for m in sent] == [("1", False, True)]


@pytest.mark.parametrize("lacking", ["space", "at", "text"])
def test_a_search_that_lacks_something_is_answered_with_what(lacking):
    find = {"id": "1", "op": "find", "space": "buffer", "at": "0", "text": "none", "backward": False}
    (said,) = answered({name: value for name, value in find.items() if name != lacking})
    assert not said["ok"]
    assert said["error"] == f"the request lacks '{lacking}'"


@pytest.mark.parametrize("backward", [False, True])
def test_holes_of_a_terabyte_are_passed_over(tmp_path, backward):
    path = tmp_path / "vmcore"
    path.write_bytes(elf(notes(usual_notes()), Segment(b"", offset=1 << 20, filesz=1 << 40)))
    with path.open("r+b") as file:
        file.seek((1 << 39) + 5)
        file.write(b"\0\0word")
        file.truncate((1 << 40) + (1 << 20))
    space = space_set(path).get("file")

    async def last():
        return [one async for one in search(space, b"\0word", space.end if backward else 1 << 21, backward=backward)][
            -1
        ]

    assert in_a_loop(last())["at"] == f"{(1 << 39) + 6:x}"


@pytest.mark.parametrize("text", ["4c 49", "4c49", "0x4c 0x49", r"\x4c\x49", "4C:49"])
def test_digits_are_bytes_however_they_are_written(text):
    assert needle_of(text, "hex") == b"LI"


@pytest.mark.parametrize("text", ["", "4", "4c4", "zz", "4c 4"])
def test_what_are_no_digits_is_refused(text):
    with pytest.raises(vl.UsageError):
        needle_of(text, "hex")


@pytest.fixture(scope="module")
def goto(sample):
    return Goto(space_set(vl.open_vmcore(sample)))


@pytest.mark.parametrize(
    ("text", "space", "address"),
    [
        ("0x1f0", "file", 0x1F0), ("496", "file", 496), ("1f0h", "file", 0x1F0), ("+16", "file", 0x110), ("-0x10", "file", 0xF0),
        ("physical 0x1000", "physical", 0x1000), ("physical@4096", "physical", 0x1000),
        ("PCIE_FW", "entity:cxgb4_0000:02:00.4/reg_dump", 0x30B8), ("pcie_fw", "entity:cxgb4_0000:02:00.4/reg_dump", 0x30B8),
        ("PCIE_FW_PF[7]", "entity:cxgb4_0000:02:00.4/reg_dump", 0x30D8), ("dev_log", "entity:cxgb4_0000:02:00.4/dev_log", 0),
    ],
)  # fmt: skip
def test_places_have_numbers_and_names(goto, text, space, address):
    place = goto.resolve(text, "file", 0x100)
    assert (place.space, place.address) == (space, address)


def test_regions_of_the_adapters_memory_have_names(goto, sample):
    table = vl.open_vmcore(sample).device_dumps[0].decode().memory_map
    known = table[(table.kind == "region") & (table.name == "TCBs")].iloc[0]
    for text in ("TCBs", "tcbs"):
        place = goto.resolve(text, "file", 0)
        assert place.space == f"entity:cxgb4_0000:02:00.4/{known.entity}"
        assert (place.address, place.size) == (known.offset, known["size"])


@pytest.mark.parametrize("text", ["PCIE_FW", "TCBs", "dev_log"])
@pytest.mark.parametrize(
    "seen", ["dump:cxgb4_0000:81:00.4", "entity:cxgb4_0000:81:00.4/cim_la", "stored:cxgb4_0000:81:00.4/cim_la"]
)
def test_of_two_adapters_that_is_meant_which_is_looked_at(goto, seen, text):
    assert goto.resolve(text, seen, 0).space.startswith("entity:cxgb4_0000:81:00.4/")
    assert goto.resolve(text, "file", 0).space.startswith("entity:cxgb4_0000:02:00.4/")


@pytest.mark.parametrize("text", ["0xffffffffff", "-0x1000", "no_such_register", "physical"])
def test_what_is_outside_or_unknown_is_refused(goto, text):
    with pytest.raises(vl.NotInFileError):
        goto.resolve(text, "file", 0x100)


def test_names_are_offered_those_that_begin_so_first(goto):
    names = goto.names("pcie_f")
    assert names[0] == "PCIE_FW"
    assert all("pcie_f" in name.lower() for name in names)
