"""TID_INFO (54)."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from cudbg_builder import Entity, cudbg
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
    viewed,
)

MARK = {"little": "<", "big": ">"}
MEMBERS = ["ntids", "nstids", "stid_base", "hash_base", "natids", "nftids", "ftid_base", "aftid_base", "aftid_end",
           "sftid_base", "nsftids", "uotid_base", "nuotids", "sb", "flags", "le_db_conf", "ip_users", "ipv6_users",
           "hpftid_base", "nhpftids"]  # fmt: skip
HASHED = 1 << 20


def tids(*, order: str = "little", tid_start: int = 0, revision: int = 1, header: bool = True, **members: int) -> bytes:
    body = struct.pack(MARK[order] + "20I", *(members.pop(name, 0) for name in MEMBERS))
    assert not members
    if not header:
        return body
    return (
        struct.pack(MARK[order] + "IHH", 0xCCEDB001, revision, 84)
        + body
        + struct.pack(MARK[order] + "17I", tid_start, *[0] * 16)
    )


def only(data: bytes, chip: str = "T6", **surroundings: Any) -> dict[str, Any]:
    (row,) = Payload("tid_info", data, chip, **surroundings).table.records()
    return row


@pytest.mark.parametrize("order", ORDERS)
def test_members_keep_their_names(order):
    data = tids(order=order, tid_start=99, **{name: 100 + i for i, name in enumerate(MEMBERS)})
    row = only(data, order=order)
    assert [row[name] for name in MEMBERS] == [*range(100, 120)]
    assert row["tid_start"] == 99
    check_both_ways(Payload("tid_info", data, order=order))


@pytest.mark.parametrize("order", ORDERS)
def test_without_a_version_header_it_is_the_unified_wires(order):
    data = tids(order=order, header=False, ntids=7, ip_users=5, flags=3)
    row = only(data, order=order, version=UNIFIED_WIRE)
    assert (row["ntids"], row["ip_users"], row["tid_start"], row["flag_names"]) == (7, 5, None, None)
    check_both_ways(Payload("tid_info", data, order=order, version=UNIFIED_WIRE))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"ntids": 1024, "tid_start": 32}, "32..1023"),
        ({"ntids": 0}, None),
        ({"ntids": 4096, "le_db_conf": HASHED, "sb": 256, "hash_base": 2048}, "0..255 and 2048..4095"),
        ({"ntids": 4096, "le_db_conf": HASHED, "sb": 256, "hash_base": 2048, "tid_start": 16}, "16..255 and 2048..4095"),
        ({"ntids": 4096, "le_db_conf": HASHED, "hash_base": 2048, "flags": 1 << 9, "aftid_base": 5, "aftid_end": 9},
         "5..9 and 2048..4095"),
        ({"ntids": 4096, "le_db_conf": HASHED, "hash_base": 2048}, "2048..4095"),
        ({"ntids": 1024, "tid_start": 3072}, None),
    ],
)  # fmt: skip
def test_the_tid_range_depends_on_hashing(members, expected):
    row = only(tids(**members))
    assert row["tid_range"] == expected
    assert row["hash_enabled"] == ("le_db_conf" in members)


def test_the_other_ranges_follow_base_and_count():
    row = only(tids(stid_base=8, nstids=4, natids=10, ftid_base=20, nftids=5, sftid_base=30, nsftids=4, uotid_base=40, nuotids=2,
                    hpftid_base=50, nhpftids=1))  # fmt: skip
    assert (row["stid_range"], row["atid_range"], row["ftid_range"]) == ("8..11", "0..9", "20..24")
    assert (row["sftid_range"], row["uotid_range"], row["hpftid_range"]) == ("30..32", "40..41", "50..50")


@pytest.mark.parametrize(("chip", "expected"), [("T4", "1..9"), ("T5", "1..9"), ("T6", "0..9")])
def test_server_id_0_is_not_used_before_t6(chip, expected):
    assert only(tids(nstids=10), chip)["stid_range"] == expected


def test_a_range_beyond_32_bits_is_none():
    row = only(tids(uotid_base=0xFFFFFFFF, nuotids=2, nsftids=1, aftid_end=1))
    assert row["uotid_range"] is None
    assert row["sftid_range"] is None


def test_flags_are_named():
    assert only(tids(flags=0b1_1001_1011))["flag_names"] == "full init done, enabled, MSI-X, firmware ok, master"


def test_ranges_are_a_table_too():
    payload = Payload("tid_info", tids(ntids=4096, le_db_conf=HASHED, sb=256, hash_base=2048, natids=2))
    found = payload.one.ranges(payload.parts, payload.context)
    assert [tuple(r.values()) for r in found.records()] == [("TID", 0, 255), ("TID", 2048, 4095), ("ATID", 0, 1)]


def test_before_firmware_contact_the_ranges_are_not_known():
    payload = Payload("tid_info", tids(le_db_conf=1, ip_users=37, ipv6_users=5))
    assert "had not contacted the firmware" in payload.table.attrs["note"]
    assert payload.summary == "37 IPv4 and 5 IPv6 connections; ranges not known before firmware contact"
    assert "note" not in Payload("tid_info", tids(ntids=1)).table.attrs


def test_a_changed_member_changes_its_bits_only():
    check_one_cell(Payload("tid_info", tids()), "tids", "tid.natids", 0, changed_bit=8 * 24)


def test_another_revision_is_a_newer_layout():
    nic = cudbg(Entity(54, tids(revision=2))).open()
    assert nic.entity_table("tid_info").schema.name == "entity_bytes"
    assert [p.expected for p in nic.problems] == ["revision 1"]


def test_genuine_dumps_decode_to_what_the_adapter_held():
    for dump in genuine("tid_info"):
        (row,) = rows(dump, "tid_info")
        held = dump.model["tid_info"]
        assert {name: row[name] for name in held} == held, dump.name


def test_a_kdump_collection_is_before_firmware_contact_and_a_live_one_is_not():
    noted = {dump.name: "note" in dump.nic.entity_table("tid_info").attrs for dump in genuine("tid_info")}
    assert noted["t6-kdump-zlib"]
    assert noted["t5-kdump-zlib"]
    assert not noted["t5-live-zlib"]
    assert not noted["t6-uwpair-zlib"]


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-errors-zlib", "t6-kdump-zlib", "t6-uwpair-zlib", "uw-t6-fastlz"])
def test_the_viewer_shows_the_same_ranges(blob, shared_data):
    (row,), lines = viewed(blob, "tid_info", adapted=not blob.startswith("uw-"))
    shown = dict(line.split(": ") for line in lines if ": " in line)
    if usage := shown.pop("HW TID usage", None):  # not shown without a TID range
        assert usage == f"{row['ip_users']} IP users, {row['ipv6_users']} IPv6 users"
    tid_range = shown.pop("TID range", "")
    if row["hash_enabled"]:  # else the viewer shows 0 for tid_start
        parts = [part.split("..") for part in tid_range.split("/")]
        assert row["tid_range"] == " and ".join(f"{a}..{b}" for a, b in parts if int(a) <= int(b))
    for label, text in shown.items():
        assert row[f"{label.split()[0].lower()}_range"] == text
    assert shown or row["ntids"] == 0


def test_genuine_payloads_go_both_ways(shared_data):
    check_genuine("tid_info")


@pytest.mark.parametrize("header", [True, False])
def test_any_bytes_are_a_table(header):
    check_any_bytes("tid_info", tids(header=header, ntids=9, nstids=9))
