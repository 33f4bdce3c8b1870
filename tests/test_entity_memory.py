"""EDC0 (18), EDC1 (19), MC0 (20), MC1 (21) and HMA (68)."""

from __future__ import annotations

import pytest
from cudbg_builder import Entity, cudbg
from cudbg_truth import shared
from entity_checks import (
    ORDERS,
    UNIFIED_WIRE,
    Payload,
    check_both_ways,
    check_genuine,
    check_one_cell,
    genuine,
    unified_wire,
)
from hypothesis import given
from hypothesis import strategies as st
from memory_builder import EDC0, EDC1, HMA, MC, MC0, MC1, PIECE, RX_PAYLOAD, STAG, TCBS, TPT, TX_PAYLOAD, image, meminfo

SIZE = 0x40000
NAMES = ("edc0", "edc1", "mc0", "mc1", "hma")


def memory(name, data, memories=(), regions=(), *, order="little", version=(1, 14), **members):
    stored = meminfo(memories, regions, order=order, header=version != UNIFIED_WIRE, **members)
    return Payload(name, data, "T6", order, version, (("meminfo", stored),))


def shape(payload):
    return [(r["name"], r["offset"], r["size"], r["collected"]) for r in payload.table.records()]


def left_out(payload):
    """Pieces of 64,512 bytes that are not collected."""
    found = set()
    for row in payload.table.records():
        if row["collected"] is False:
            assert row["offset"] % PIECE == 0
            found |= set(range(row["offset"] // PIECE, -(-(row["offset"] + row["size"]) // PIECE)))
    return found


@pytest.mark.parametrize("order", ORDERS)
def test_regions_are_rows_in_order_and_so_is_what_lies_between_them(order):
    regions = [(0x101000, 0x1017FF, TCBS), (0x102000, 0, TPT), (0x103000, 0x103FFF, STAG)]
    payload = memory("edc1", image(0x4000), [(0x100000, 0x104000, EDC1)], regions, order=order)
    assert shape(payload) == [
        ("(no region)", 0, 0x1000, True), ("TCBs", 0x1000, 0x800, True), ("(no region)", 0x1800, 0x800, True),
        ("TPT region", 0x2000, 0x1000, True), ("STAG region", 0x3000, 0x1000, True),
    ]  # fmt: skip
    assert payload.table.values("address")[1] == 0x101000
    assert payload.table.spans[1].tolist() == [0x1000, 0x1800]


def test_regions_that_overlap_both_have_their_rows():
    payload = memory("edc0", image(0x1000), [(0, 0x1000, EDC0)], [(0, 0x7FF, TPT), (0, 0xFFF, STAG)])
    assert shape(payload) == [("TPT region", 0, 0x800, True), ("STAG region", 0, 0x1000, True)]


def test_what_one_region_covers_is_not_outside_of_any_because_a_smaller_one_in_it_ends():
    regions = [(0, 0xBFF, TPT), (0x100, 0x1FF, STAG)]
    assert shape(memory("edc0", image(0x1000), [(0, 0x1000, EDC0)], regions)) == [
        ("TPT region", 0, 0xC00, True), ("STAG region", 0x100, 0x100, True), ("(no region)", 0xC00, 0x400, True),
    ]  # fmt: skip


def test_a_region_is_cut_to_the_memory():
    regions = [(0x0800, 0x17FF, TPT), (0x1800, 0, STAG), (0x9000, 0, 4)]
    payload = memory("edc1", image(0x1000), [(0, 0x1000, EDC0), (0x1000, 0x2000, EDC1)], regions)
    assert shape(payload) == [("TPT region", 0, 0x800, True), ("STAG region", 0x800, 0x800, True)]


@pytest.mark.parametrize(
    ("name", "index"), [("edc0", EDC0), ("edc1", EDC1), ("mc0", MC), ("mc0", MC0), ("mc1", MC1), ("hma", HMA)]
)
def test_each_entity_finds_its_memory_by_index(name, index):
    others = [(0x1000 * (i + 1), 0x1000 * (i + 2), i) for i in range(6) if i not in (index, MC, MC0)][:3]
    payload = memory(name, image(0x1000), [*others, (0x8000, 0x9000, index)], [])
    assert payload.table.values("address") == [0x8000]


def test_pieces_inside_payload_are_not_collected_and_what_is_at_its_ends_is():
    base = 0x200000
    regions = [(base + 0x1000, base + 0x1000 + 4 * PIECE, TX_PAYLOAD), (base + SIZE * 2, 0, TPT)]
    payload = memory("mc0", bytes(3 * SIZE), [(base, base + 3 * SIZE, MC)], regions)
    assert shape(payload)[:4] == [
        ("(no region)", 0, 0x1000, True),
        ("Tx payload", 0x1000, PIECE - 0x1000, True),
        ("Tx payload", PIECE, 3 * PIECE, False),
        ("Tx payload", 4 * PIECE, 0x1001, True),
    ]
    row = payload.table.records()[2]
    assert "payload" in row["note"]
    assert "not the memory's" in payload.table.attrs["note"]
    assert "189.0 KiB of payload not collected" in payload.summary


def test_a_payload_whose_last_byte_ends_a_piece_loses_one_piece_less():
    # the driver takes the last byte for the end, and rounds it down
    payload = memory("mc0", bytes(SIZE), [(0, SIZE, MC)], [(0, 2 * PIECE - 1, RX_PAYLOAD), (2 * PIECE, 0, TPT)])
    assert left_out(payload) == {0}
    payload = memory("mc0", bytes(SIZE), [(0, SIZE, MC)], [(0, 2 * PIECE, RX_PAYLOAD), (2 * PIECE + 1, 0, TPT)])
    assert left_out(payload) == {0, 1}


@pytest.mark.parametrize(("base", "last"), [(0, {0, 1, 2, 3}), (0x100000, {0, 1, 2, 3, 4})])
def test_payload_beyond_the_memory_takes_the_last_short_piece_unless_the_memory_begins_at_0(base, last):
    # the driver then takes the memory's end, counted from address 0, for an offset
    payload = memory("mc0", bytes(SIZE), [(base, base + SIZE, MC)], [(base, base + 4 * SIZE, TX_PAYLOAD)])
    assert SIZE % PIECE
    assert left_out(payload) == last


def test_payload_of_no_pages_at_the_start_of_a_memory_leaves_all_of_it_out():
    # its end is -1, which the driver counts without a sign
    payload = memory("mc0", bytes(SIZE), [(SIZE, 2 * SIZE, MC)], [(SIZE, SIZE - 1, TX_PAYLOAD), (SIZE, 0, TCBS)])
    assert shape(payload) == [("TCBs", 0, SIZE, False)]


def expected(base, size, payload_base, payload_limit):
    """Which pieces the driver does not read: cudbg_get_mem_region(), cudbg_get_mem_relative() and cudbg_read_fw_mem()."""
    end = base + size
    if payload_base > end or (payload_base < base and payload_limit < base):
        return set()
    first = max(payload_base - base, 0)
    last = end if payload_limit > end else (payload_limit - base) % 2**32
    first, last = (first + PIECE - 1) // PIECE * PIECE, last // PIECE * PIECE
    return {c // PIECE for c in range(0, size, PIECE) if c >= first and c + min(PIECE, size - c) <= last}


near = st.integers(0, 16).map(lambda n: n * 0x8000) | st.integers(0, 8).map(lambda n: n * PIECE)


@given(base=near, size=near, first=near, pages=st.integers(-1, 8), shift=st.integers(-1, 1))
def test_what_is_left_out_is_what_the_driver_leaves_out(base, size, first, pages, shift):
    limit = (first + pages * PIECE + shift) % 2**32
    payload = memory("mc0", bytes(size), [(base, base + size, MC)], [(first, limit, TX_PAYLOAD)])
    if size and limit:
        assert left_out(payload) == expected(base, size, first, limit)
        unread = payload.one.unread(payload.parts, payload.context)
        assert all(0 <= one.start < one.end <= size for one in unread)


def test_without_meminfo_a_piece_that_is_all_zero_may_or_may_not_have_been_read():
    data = image(2 * PIECE) + bytes(PIECE + 0x800)
    payload = Payload("mc0", data)
    assert shape(payload) == [("(not known)", 0, 2 * PIECE, True), ("(not known)", 2 * PIECE, PIECE + 0x800, None)]
    assert "MEMINFO" in payload.table.values("note")[1]
    assert "no MEMINFO" in payload.summary
    assert payload.table.values("address") == [None, None]


def test_what_the_unified_wire_did_read_of_payload_is_collected():
    regions = [(0, 3 * PIECE, TX_PAYLOAD), (4 * PIECE, 0, TPT)]
    data = bytes(PIECE) + image(PIECE) + bytes(2 * PIECE)
    assert left_out(memory("edc0", data, [(0, 4 * PIECE, EDC0)], regions, version=UNIFIED_WIRE)) == {0, 2}
    assert left_out(memory("edc0", data, [(0, 4 * PIECE, EDC0)], regions)) == {0, 1, 2}


def test_an_image_that_was_cut_has_rows_for_what_is_there():
    regions = [(0, 0x7FF, TPT), (0x800, 0xFFF, STAG)]
    for size, last in ((0x900, ("STAG region", 0x800, 0x100, True)), (0x100, ("TPT region", 0, 0x100, True))):
        assert shape(memory("edc0", image(size), [(0, 0x1000, EDC0)], regions))[-1] == last
    assert shape(memory("edc0", b"", [(0, 0x1000, EDC0)], regions)) == []


def test_an_image_longer_than_its_memory_ends_outside_of_any_region():
    payload = memory("edc0", image(0x2000), [(0, 0x1000, EDC0)], [(0, 0, TCBS)])
    assert shape(payload) == [("TCBs", 0, 0x1000, True), ("(no region)", 0x1000, 0x1000, True)]


def test_a_damaged_piece_marks_the_regions_it_touches():
    built = cudbg(
        Entity(44, meminfo([(0, 3 * PIECE, EDC0)], [(0, PIECE - 1, TPT), (PIECE, 2 * PIECE, STAG)])),
        Entity(18, image(3 * PIECE)),
    )
    table = built.flip(built.pieces(18)[1].stream + 20).open().entity_table("edc0")
    assert list(zip(table.values("name"), table.values("damaged"), strict=True)) == [
        ("TPT region", False), ("STAG region", True), ("(no region)", False),
    ]  # fmt: skip


def test_the_bytes_are_words_in_the_adapters_order_on_every_host():
    for order in ORDERS:
        payload = Payload("edc0", image(32), order=order)
        assert payload.layout.tables(payload.parts)["image"].values("w1") == [5, 21]


def test_a_changed_word_changes_its_bits_only():
    check_one_cell(Payload("hma", bytes(64)), "image", "w1", 1, changed_bit=8 * (16 + 4 + 3))


@pytest.mark.parametrize("name", NAMES)
@given(
    data=st.binary(max_size=200),
    stored=st.binary(max_size=600) | st.binary(min_size=552, max_size=552).map(lambda b: meminfo()[:8] + b),
    version=st.sampled_from([(1, 14), UNIFIED_WIRE]),
)
def test_any_bytes_are_a_table(name, data, stored, version):
    payload = Payload(name, data, "T6", "little", version, (("meminfo", stored),))
    table = payload.table
    assert len(list(table.rows())) == len(table) == len(table.spans)
    assert isinstance(payload.summary, str)
    check_both_ways(payload)


# -- genuine dumps ----------------------------------------------------------------------------------------------------


def pieces(table, collected):
    found = set()
    for offset, size, said in zip(*(table.values(n) for n in ("offset", "size", "collected")), strict=True):
        if said is collected:
            found |= {at // PIECE for at in range(offset, offset + size, PIECE)}
    return sorted(found)


def test_genuine_images_leave_out_what_was_not_read_from_the_adapter():
    for dump in genuine("edc0"):
        for name, want in dump.model["memory_chunks_64512_not_equal_to_device"].items():
            table = dump.nic.entity_table(name)
            if not dump.collected("MEMINFO"):
                assert set(want) <= set(pieces(table, None)), (dump.name, name)
                assert pieces(table, False) == [], (dump.name, name)
                continue
            assert pieces(table, False) == want, (dump.name, name)
            assert None not in table.values("collected")


def test_the_rows_of_a_genuine_image_cover_all_of_it():
    for dump in genuine("edc0"):
        for name in ("edc0", "edc1"):
            table, covered = dump.nic.entity_table(name), 0
            for start, end in sorted(table.spans.tolist()):
                assert start <= covered
                covered = max(covered, end)
            assert covered == len(dump.nic.entity_bytes(name))


def test_a_dump_of_memories_alone_does_not_say_what_lies_where():
    table = shared("t5-memonly-zlib").nic.entity_table("mc0")
    assert set(table.values("name")) == {"(not known)"}
    assert [(r["offset"] // PIECE, r["collected"]) for r in table.records()] == [
        (0, None),
        (4, True),
        (5, None),
        (8, True),
    ]


def test_what_the_unified_wire_read_of_t6_is_all_of_it(shared_data):
    assert set(unified_wire().entity_table("mc0").values("collected")) == {True}


@pytest.mark.parametrize("name", ["edc0", "edc1", "mc0"])
def test_genuine_images_go_both_ways(name, shared_data):
    check_genuine(name)
