"""Dumps that are damaged anywhere: everything that can be asked has an answer or an error of this package."""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from builders import device_dump, elf, notes
from cudbg_builder import (
    CIM_LA,
    DEV_LOG,
    EDC0,
    ENTITY_HDR_SIZE,
    HDR_SIZE,
    MBOX_LOG,
    NONE,
    ORDERS,
    PATH_MTU,
    VPD_DATA,
    ZLIB,
    Entity,
    cudbg,
    log_entry,
    usual,
    vpd_data,
)
from cudbg_truth import HERE, SAMPLE_DUMP, shared
from hypothesis import given, settings
from hypothesis import strategies as st

import vmcoredd_lab as vl

steadily = settings(deadline=None, derandomize=True, database=None)


@dataclass(frozen=True)
class Answers:
    """What a dump says to everything that can be asked; None where the answer is an error of this package."""

    entities: dict[int, tuple[int, int]]
    contents: dict[int, str | None]
    problems: list[str]


def ask(data: bytes, frames: bool = False) -> Answers | None:
    """Ask everything; anything but an error of this package is a failure. None where the dump cannot be opened."""
    try:
        nic = vl.open_device_dump(data).decode()
    except vl.VmcoreddLabError:
        return None
    for question in (
        nic.entities_table, nic.registers_table, nic.counters_table, nic.firmware_log_table, nic.interrupt_causes_table,
        nic.summary, nic.identity, nic.check, lambda: nic.register_table("SGE_INT_CAUSE1"), lambda: nic.firmware_state,
        lambda: repr(nic),
    ):  # fmt: skip
        answer(question)
    contents: dict[int, str | None] = {}
    for number in nic.container.entities:
        answer(lambda number=number: nic.entity_table(number).columns)
        found = answer(lambda number=number: nic.entity_bytes(number))
        contents[number] = hashlib.sha256(found).hexdigest() if found is not None else None
    if frames:
        for question in (
            lambda: nic.entities, lambda: nic.registers, lambda: nic.firmware_log, lambda: nic.interrupt_causes,
            lambda: nic.counters,
        ):  # fmt: skip
            answer(question)
    answer(lambda: nic.payload_size(nic.dump.data))
    nic.problems.table().records()
    headers = {n: (e.offset, e.stored_size) for n, e in nic.container.entities.items()}
    return Answers(headers, contents, [p.where for p in nic.problems])


def answer(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except vl.VmcoreddLabError as error:
        message = str(error)
    assert message.isascii()
    return None


def touched(entities: dict[int, tuple[int, int]], offset: int) -> set[int]:
    """The entities whose header or bytes hold an offset; all, where the header of the dump does."""
    if offset < HDR_SIZE:
        return set(entities)
    found = {n for n, (start, size) in entities.items() if start <= offset < start + size}
    slot = (offset - HDR_SIZE) // ENTITY_HDR_SIZE + 1
    return found | {slot} if slot <= 72 else found


def check_flips(blob: bytes, flips: Iterator[tuple[int, int]]) -> None:
    """Flip bits, one place at a time; what the flip does not touch must be as before."""
    sound = ask(blob)
    assert sound is not None
    for offset, mask in flips:
        damaged = bytearray(blob)
        damaged[offset] ^= mask
        got = ask(bytes(damaged))
        if got is None:
            assert offset < HDR_SIZE, f"byte {offset} ^ {mask:#x} makes the dump unreadable"
            continue
        spoilt = touched(sound.entities, offset)
        for number, digest in sound.contents.items():
            if number not in spoilt:
                assert got.contents.get(number) == digest, f"byte {offset} ^ {mask:#x} spoils entity {number}"


def places(seed: int, start: int, end: int, count: int) -> Iterator[tuple[int, int]]:
    pick = random.Random(seed)
    for _ in range(count):
        yield pick.randrange(start, end), pick.choice([1 << pick.randrange(8), pick.randrange(1, 256)])


# -- genuine dumps ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "seed"), [("t6-tiny-raw", 1), ("t6-stale-zlib", 2), ("uw-t6-tworecords-fastlz", 3)])
def test_a_byte_flipped_anywhere_in_a_genuine_dump(name: str, seed: int) -> None:
    blob = (HERE / f"{name}.bin").read_bytes()
    check_flips(blob, places(seed, 0, len(blob), 150))


@pytest.mark.parametrize(("name", "seed"), [("t6-tiny-raw", 4), ("t6-stale-zlib", 5)])
def test_a_byte_flipped_in_the_headers_of_a_genuine_dump(name: str, seed: int) -> None:
    blob = (HERE / f"{name}.bin").read_bytes()
    check_flips(blob, places(seed, 0, HDR_SIZE + 72 * ENTITY_HDR_SIZE, 200))


def test_the_header_s_lies_cost_no_entity_of_a_genuine_dump() -> None:
    """Where the dump can still be opened, a flip in its header leaves every entity's bytes as they are.

    Byte 22 names the chip and byte 23 the compression; what they say is needed and is found again from the content.
    """
    blob = (HERE / "t6-stale-zlib.bin").read_bytes()
    sound = ask(blob)
    assert sound is not None
    for offset in range(24):  # the rest is reserved
        for bit in range(8):
            damaged = bytearray(blob)
            damaged[offset] ^= 1 << bit
            got = ask(bytes(damaged))
            if got is None:
                assert offset < 4
            elif offset not in (8, 9, 10, 11):  # the version selects layouts
                assert got.contents == sound.contents, (offset, bit)


def test_flips_in_a_large_genuine_dump() -> None:
    blob = SAMPLE_DUMP.read_bytes()
    check_flips(blob, places(6, 0, len(blob), 3))


def test_flips_in_the_registers_of_the_unified_wire() -> None:
    blob = shared("uw-t6-fastlz").blob
    check_flips(blob, places(7, 0, 60000, 4))


@pytest.mark.parametrize("name", ["t6-tiny-raw", "t6-stale-zlib", "uw-t6-tworecords-fastlz"])
def test_a_genuine_dump_cut_anywhere(name: str) -> None:
    blob = (HERE / f"{name}.bin").read_bytes()
    pick = random.Random(8)
    for size in sorted({*range(1, 60, 7), *(pick.randrange(len(blob)) for _ in range(40)), len(blob) - 1}):
        got = ask(blob[:size])
        assert got is not None or size < HDR_SIZE
        assert got is None or got.problems or "uw" in name


@pytest.mark.parametrize("seed", range(4))
def test_long_runs_of_garbage_in_a_genuine_dump(seed: int) -> None:
    blob = bytearray((HERE / "t6-stale-zlib.bin").read_bytes())
    pick = random.Random(seed)
    for _ in range(3):
        at = pick.randrange(HDR_SIZE, len(blob) - 5000)
        length = pick.randrange(1, 5000)
        blob[at : at + length] = pick.choice([bytes(length), b"\xff" * length, pick.randbytes(length)])
    got = ask(bytes(blob), frames=True)
    assert got is not None
    assert got.problems


def test_the_same_damage_inside_a_vmcore_s_note() -> None:
    blob = (HERE / "t6-stale-zlib.bin").read_bytes()
    for offset, mask in places(9, 0, HDR_SIZE + 72 * ENTITY_HDR_SIZE, 40):
        damaged = bytearray(blob)
        damaged[offset] ^= mask
        core = vl.open_vmcore(elf(notes(device_dump("cxgb4_0000:02:00.4", bytes(damaged), page=4096))))
        (dump,) = core.device_dumps
        dump.row()
        nic = answer(dump.decode)
        if nic is not None:
            answer(nic.check)
            answer(nic.entities_table)
            answer(nic.firmware_log_table)
        for problem in dump.problems():
            assert problem.where.startswith("dump:cxgb4_0000:02:00.4")


# -- built dumps ------------------------------------------------------------------------------------------------------


@cache
def small(order: str, compression: int) -> bytes:
    """Like `usual`, without its large entities."""
    return bytes(cudbg(
        Entity(MBOX_LOG, b"mailbox" * 9), Entity(DEV_LOG, b"".join(log_entry(n, "%s %n", [n]) for n in range(3))),
        Entity(CIM_LA, status=-29, sys_err=-16), Entity(PATH_MTU, bytes(range(32))),
        Entity(VPD_DATA, vpd_data(order=order)), Entity(EDC0, b"memory" * 50), order=order, compression=compression,
    ).data)  # fmt: skip


KINDS = st.sampled_from([(order, compression) for order in ORDERS for compression in (NONE, ZLIB)])


@steadily
@given(KINDS, st.lists(st.tuples(st.integers(0, 9999), st.integers(1, 255)), min_size=1, max_size=8))
def test_any_few_bytes_wrong(kind: tuple[str, int], flips: list[tuple[int, int]]) -> None:
    data = bytearray(small(*kind))
    for offset, mask in flips:
        data[offset % len(data)] ^= mask
    ask(bytes(data))


@steadily
@given(KINDS, st.integers(0, 1 << 20), st.integers(1, 255))
def test_one_byte_wrong_spoils_what_it_is_part_of_and_nothing_else(
    kind: tuple[str, int], offset: int, mask: int
) -> None:
    blob = small(*kind)
    check_flips(blob, iter([(offset % len(blob), mask)]))


@steadily
@given(KINDS, st.integers(0, 72 * 13), st.sampled_from([0, 1, 55, 3800, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]))
def test_any_word_of_the_headers_replaced(kind: tuple[str, int], word: int, value: int) -> None:
    data = bytearray(small(*kind))
    struct.pack_into("<I", data, 4 + 4 * word, value)
    ask(bytes(data))


@steadily
@given(KINDS, st.integers(0, 1 << 20))
def test_cut_anywhere(kind: tuple[str, int], size: int) -> None:
    blob = small(*kind)
    size %= len(blob)
    got = ask(blob[:size]) if size else None
    assert (got is None) == (size < HDR_SIZE)
    assert got is None or got.problems


@steadily
@given(st.binary(max_size=600), KINDS)
def test_any_bytes_as_an_entity(stored: bytes, kind: tuple[str, int]) -> None:
    for number in (1, DEV_LOG, PATH_MTU, VPD_DATA):
        ask(bytes(cudbg(Entity(number, stored=stored), order=kind[0], compression=kind[1])), frames=False)


@steadily
@given(st.binary(max_size=2000))
def test_any_bytes_behind_a_signature(data: bytes) -> None:
    for order in ORDERS:
        ask((67856866).to_bytes(4, order) + data)


@pytest.mark.parametrize("fill", [0x00, 0xFF])
@pytest.mark.parametrize("order", ORDERS)
def test_entity_headers_all_of_one_byte(order: str, fill: int) -> None:
    built = usual(order=order)
    built.data[HDR_SIZE : HDR_SIZE + 72 * ENTITY_HDR_SIZE] = bytes([fill]) * (72 * ENTITY_HDR_SIZE)
    got = ask(bytes(built.data))
    assert got is not None
    assert got.problems


def test_a_dump_of_nothing_but_headers_in_a_row_is_no_endless_list_of_records() -> None:
    head = struct.pack("<IIHHIIHBB32x", 67856866, 56, 1, 14, 56, 0, 0, 0x60, 0x21)
    assert vl.open_device_dump(head * 5000).offset == 0
    with pytest.raises(vl.NotInFileError):
        vl.open_device_dump(head * 5000, record=1)


def test_of_thousands_of_records_the_first_are_listed_and_the_rest_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmcoredd_lab.devices.dump.MOST_RECORDS", 3)
    record = bytes(cudbg(Entity(PATH_MTU, bytes(32))))
    dumps = opened(record * 4).device_dumps
    assert [(d.offset, d.size) for d in dumps] == [(i * len(record), len(record)) for i in range(3)]
    assert [(p.severity, p.offset) for p in dumps[2].problems()] == [("warning", 3 * len(record))]
    assert list(opened(record * 3).device_dumps[2].problems()) == []


def test_checking_a_dump_ends_where_its_images_inflate_to_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmcoredd_lab.devices.cxgb4.adapter.MOST_CHECKED", 100_000)
    nic = vl.open_device_dump(bytes(cudbg(Entity(EDC0, bytes(300_000)), Entity(EDC1, bytes(10))))).decode()
    nic.check()
    assert [(p.severity, "checked up to" in p.message) for p in nic.problems] == [("info", True), ("info", True)]
    assert len(nic.entity_bytes("edc0")) == 300_000
