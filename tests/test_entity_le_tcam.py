"""LE_TCAM (59)."""

from __future__ import annotations

import re
import struct

import pytest
from entity_checks import (
    ORDERS,
    UNIFIED_WIRE,
    Payload,
    check_any_bytes,
    check_both_ways,
    check_genuine,
    check_one_cell,
    genuine,
    rows,
    unified_wire,
)
from viewer_text import viewer_text

MARK = {"little": "<", "big": ">"}
STARTS = {"filter": 0, "server": 0, "clip": 0, "routing": 0, "hash_base": 0, "max_tid": 2048}
EMPTY = bytes(84)


def header(*, order: str = "little", **starts: int) -> bytes:
    """struct cudbg_tcam."""
    return struct.pack(MARK[order] + "6I", *(STARTS | starts).values())


def entry(tid: int, words: dict[int, int] | None = None, *, status: int = 1, order: str = "little") -> bytes:
    """struct cudbg_tid_data of a read that succeeded, unless the status says otherwise."""
    data = [(words or {}).get(i, 0) for i in range(17)]
    return struct.pack(MARK[order] + "21I", tid, 4 << 20 | tid, 5, status, *data)


def failed(tid: int) -> bytes:
    """What the driver leaves where a read failed: the command, no tid, no data."""
    return struct.pack("<21I", 0, 4 << 20 | tid, 5, 0, *[0] * 17)


def tid_info(le_db_conf: int) -> bytes:
    return struct.pack("<IHH20I17I", 0xCCEDB001, 1, 148, *(le_db_conf if i == 15 else 0 for i in range(20)), *[0] * 17)


def regions(chip: str, tids: list[int], *, hashing: bool | None = False, **starts: int) -> list[str]:
    """The region of each tid."""
    data = header(**starts) + b"".join(entry(tid) for tid in range(max(tids) + 1))
    others = () if hashing is None else (("tid_info", tid_info(hashing << 20)),)
    found = Payload("le_tcam", data, chip, others=others).table.values("region")
    return [found[tid] for tid in tids]


@pytest.mark.parametrize("order", ORDERS)
def test_the_first_word_is_the_lowest_and_the_zeros_behind_the_last_entry_are_none(order):
    data = header(order=order) + entry(0, order=order) + entry(1, {0: 0xA, 16: 0x7}, order=order) + EMPTY * 5
    payload = Payload("le_tcam", data, order=order)
    assert payload.table.values("tid") == [0, 1]
    assert (payload.table.values("w0"), payload.table.values("w16")) == ([0, 0xA], [0, 7])
    assert payload.table.values("used") == [False, True]
    assert payload.table.spans.tolist() == [[24, 108], [108, 192]]
    assert payload.summary == "1 entry in use, 2 read"
    check_both_ways(payload)


def test_an_ipv6_entry_takes_two_tids():
    six = {9: 0xC00000, 16: 0x8000}
    payload = Payload("le_tcam", header(server=512) + entry(0) + entry(1) + entry(2, six) + entry(4) + EMPTY)
    assert payload.table.values("tid") == [0, 1, 2, 4]
    assert payload.table.values("ipv6") == [False, False, True, False]


@pytest.mark.parametrize(
    ("tid", "words", "ipv6"),
    [
        (2, {9: 0xC00000, 16: 0x8000}, True),
        (3, {9: 0xC00000, 16: 0x8000}, False),  # odd
        (2, {9: 0, 16: 0x8000}, False),  # below server_start word 9 counts too
        (4, {9: 0xC00000, 16: 0x8000}, False),  # a server
        (6, {16: 0x8000}, True),  # hashed
        (6, {16: 0}, False),
    ],
)
def test_what_the_driver_takes_for_ipv6_depends_on_tid_and_region(tid, words, ipv6):
    before = b"".join(entry(n) for n in range(tid))
    starts = header(server=4, filter=6, clip=6, routing=6, hash_base=6, max_tid=8)
    assert Payload("le_tcam", starts + before + entry(tid, words)).table.values("ipv6")[-1] is ipv6


def test_collection_that_stopped_early_says_at_which_tid():
    payload = Payload("le_tcam", header(max_tid=2) + entry(0, {0: 1}) + entry(1) + failed(2) + EMPTY * 3)
    assert payload.table.values("tid") == [0, 1]
    assert "tid 2 failed" in payload.table.attrs["note"]
    assert payload.summary == "1 entry in use, 2 read; stopped early at tid 2"


def test_collection_that_never_began_has_no_row():
    payload = Payload("le_tcam", header(max_tid=0) + failed(0) + EMPTY)
    assert len(payload.table) == 0
    assert "tid 0 failed" in payload.table.attrs["note"]


def test_entries_behind_a_damaged_gap_are_found_and_leftovers_are_not():
    known = header() + entry(0) + EMPTY * 2 + entry(3)
    assert Payload("le_tcam", known + EMPTY + entry(1) + entry(0xFFFFFFFF)).table.values("tid") == [0, 3]


def test_t5_counts_its_regions_in_quarters():
    starts = {"server": 8, "filter": 16, "clip": 24, "routing": 32, "hash_base": 40}
    tids = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    names = [n for n in ("active", "server", "filter", "clip", "routing") for _ in range(2)]
    assert regions("T5", tids, **starts) == [*names, "routing", "routing"]
    assert regions("T4", tids, hashing=True, **starts) == [*names, "hash", "hash"]


def test_t6_has_other_registers_at_the_same_addresses():
    starts = {"routing": 2, "server": 4, "filter": 6, "clip": 8, "hash_base": 10, "max_tid": 12 + 1536}
    tids = [0, 1, 2, 3, 4, 5, 6, 7, 8, 11]
    names = [n for n in ("high-priority filter", "active", "server", "filter") for _ in range(2)]
    assert regions("T6", tids, **starts) == [*names, "clip", "clip"]
    starts["clip"] = 12
    assert regions("T6", [9, 10, 11, 12], hashing=True, **starts) == ["filter", "hash", "hash", "clip"]


def test_of_t6_with_starts_out_of_order_the_drivers_own_rule_is_taken_and_said():
    starts = {"server": 2, "filter": 4, "clip": 6, "routing": 8, "hash_base": 10}
    assert regions("T6", [0, 2, 4, 6, 8], **starts) == ["active", "server", "filter", "clip", "routing"]
    assert "not in order" in Payload("le_tcam", header(**starts) + entry(0)).table.attrs["note"]
    assert "note" not in Payload("le_tcam", header() + entry(0)).table.attrs


@pytest.mark.parametrize(
    ("chip", "max_tid", "region"),
    [
        ("T5", 2048, "routing"),
        ("T5", 4096, "hash"),
        ("T6", 4608, "filter"),
        ("T6", 7680, "filter"),
        ("T6", 9000, "hash"),
    ],
)
def test_without_tid_info_the_number_of_tids_tells_whether_there_is_a_hash_region(chip, max_tid, region):
    clip = {"T5": 0, "T6": 9999}[chip]
    assert regions(chip, [3], hashing=None, clip=clip, max_tid=max_tid, hash_base=2) == [region]


def test_bit_2_of_the_status_is_a_second_hit_on_t5_and_learning_on_t6():
    data = header() + entry(0, status=0xABCDE7FF & ~8)
    (t5,), (t6,) = (Payload("le_tcam", data, chip).table.records() for chip in ("T5", "T6"))
    assert (t5["multi_hit"], t5["learn"], t6["multi_hit"], t6["learn"]) == (True, None, None, True)
    assert (t5["hit"], t5["message"], t5["rsp_index"]) == (True, 7, 0xABCDE)


def test_the_header_is_among_the_attributes():
    attrs = Payload("le_tcam", header(filter=5, max_tid=77) + entry(0)).table.attrs
    assert (attrs["filter_start"], attrs["max_tid"]) == (5, 77)


def test_a_changed_word_changes_its_bits_only():
    check_one_cell(
        Payload("le_tcam", header() + EMPTY * 2), "records", "data[3]", 1, changed_bit=8 * (24 + 84 + 16 + 12)
    )


def test_genuine_dumps_decode_to_what_the_adapter_held():
    for dump in genuine("le_tcam"):
        found = {row["tid"]: [row[f"w{i}"] for i in range(17)] for row in rows(dump, "le_tcam")}
        held = {one[0]: one[1:] for one in dump.model["le_tcam"]["nonzero_tids"]}
        last = dump.model["le_tcam"]["max_tid"]
        assert all(words == held.get(tid, [0] * 17) for tid, words in found.items()), dump.name
        # of an IPv6 entry the second tid was not read
        six = {row["tid"] for row in rows(dump, "le_tcam") if row["ipv6"]}
        assert sorted(found) == [tid for tid in range(last) if tid - 1 not in six], dump.name


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-kdump-zlib", "uw-t6-fastlz"])
def test_the_viewer_shows_the_same_entries(blob, shared_data):
    """It numbers records and not tids, and goes on into the zeros; its regions are those of T5 without hashing."""
    nic = unified_wire() if blob.startswith("uw") else next(d for d in genuine("le_tcam") if d.name == blob).nic
    ours = nic.entity_table("le_tcam").records()
    shown = "\n".join(viewer_text(blob, "59_letcam.txt")).split("LE_DB_DATA_READ command")[1 : len(ours) + 1]
    region = {row["tid"]: "routing" if row["region"] == "hash" else row["region"] for row in ours}
    for number, (row, text) in enumerate(zip(ours, shown, strict=True)):
        assert int(re.search(r"READING TID: (0x\w+)", text)[1], 16) == row["tid"]  # type: ignore[index]
        words = [int(value, 16) for value in re.findall(r"0x19D\w\w: (0x\w{8})", text)]
        assert words == [row[f"w{i}"] for i in range(17)]
        if nic.chip == "T5" and number in region:
            assert re.search(r"Region: (\w+)", text)[1] == region[number]  # type: ignore[index]


def test_genuine_payloads_go_both_ways(shared_data):
    check_genuine("le_tcam")


@pytest.mark.parametrize("version", [(1, 14), UNIFIED_WIRE])
def test_any_bytes_are_a_table(version):
    check_any_bytes(
        "le_tcam", header(server=1, filter=2) + entry(0) + entry(1, {16: 0x8000}) + entry(3), version=version
    )
