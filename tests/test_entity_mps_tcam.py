"""MPS_TCAM (57)."""

from __future__ import annotations

import struct
from typing import Any

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
from test_entity_dump_context import FW_OK, tid_info
from viewer_text import viewer_text

MARK = {"little": "<", "big": ">"}
ADDR = bytes.fromhex("000743aabbcc")
EMPTY = bytes(88)


def slot(idx: int = 0, *, order: str = "little", mask: int = 0xFFFFFFFFFFFF, rplc: tuple[int, ...] = (), cls_lo: int = 0,
         cls_hi: int = 0, size: int = 256, vniy: int = 0, vnix: int = 0, dip_hit: int = 0, vlan_vld: int = 0, repli: int = 0,
         ivlan: int = 0, lookup: int = 0, port: int = 0) -> bytes:  # fmt: skip
    """struct cudbg_mps_tcam as Linux has it."""
    words = (*rplc, *[0] * 8)[:8]
    members = (idx, cls_lo, cls_hi, size, vniy, vnix, dip_hit, vlan_vld, repli)
    return struct.pack(MARK[order] + "Q8I9IH6sBB2x", mask, *words, *members, ivlan, ADDR, lookup, port)


def entry(chip: str = "T6", **members: Any) -> dict[str, Any]:
    (row,) = Payload("mps_tcam", slot(**members), chip).table.records()
    return row


@pytest.mark.parametrize("order", ORDERS)
def test_an_entry_has_address_and_mask_as_people_write_them(order):
    payload = Payload("mps_tcam", EMPTY * 2 + slot(2, order=order, mask=0xFFFFFF000000) + EMPTY, order=order)
    (row,) = payload.table.records()
    assert (row["idx"], row["addr"], row["mask"]) == (2, "00:07:43:aa:bb:cc", "ffffff000000")
    assert payload.table.spans.tolist() == [[176, 264]]
    assert payload.summary == "1 entry in 4 slots"
    check_both_ways(payload)


def test_an_empty_slot_is_none_even_where_t6_left_a_vni_in_it():
    assert len(Payload("mps_tcam", slot(size=0, lookup=1, vniy=0x123456, port=2)).table) == 0


@pytest.mark.parametrize(
    ("chip", "bits"),
    [
        ("T4", {"valid": 12, "replicate": 11, "pf": 8, "vf_valid": 7, "priority": (13, 16, 19, 22), "listen": 25}),
        ("T5", {"valid": 12, "replicate": 11, "pf": 8, "vf_valid": 7, "priority": (13, 16, 19, 22), "listen": 25}),
        ("T6", {"valid": 13, "replicate": 12, "pf": 9, "vf_valid": 8, "priority": (14, 17, 20, 23), "listen": 26}),
    ],
)
def test_the_low_word_says_who_gets_the_packet_and_its_bits_are_one_higher_on_t6(chip, bits):
    assert entry(chip, cls_lo=1 << bits["valid"])["sram_valid"] is True
    assert entry(chip, cls_lo=~(1 << bits["valid"]) & 0xFFFFFFFF)["sram_valid"] is False
    assert entry(chip, cls_lo=1 << bits["replicate"])["replicate"] is True
    assert entry(chip, cls_lo=5 << bits["pf"])["pf"] == 5
    assert entry(chip, cls_lo=1 << bits["vf_valid"] | 0x55)["vf"] == 0x55
    assert entry(chip, cls_lo=0x55)["vf"] is None
    word = sum(n + 1 << at for n, at in enumerate(bits["priority"]))
    assert [entry(chip, cls_lo=word)[f"priority{i}"] for i in range(4)] == [1, 2, 3, 4]
    assert entry(chip, cls_lo=0xA << bits["listen"])["multi_listen"] == 0xA
    assert entry(chip, cls_hi=0xF5)["ports"] == 5


def test_a_vf_of_t6_has_eight_bits():
    assert entry("T6", cls_lo=0x1C8)["vf"] == 200


@pytest.mark.parametrize("lookup", [1, 2])
def test_an_inner_lookup_of_t6_matches_a_vni_and_no_vlan(lookup):
    row = entry(lookup=lookup, vniy=0x123400, vnix=0x0000FF, dip_hit=0x100, ivlan=7, vlan_vld=0x80, port=3)
    assert (row["lookup"], row["vni"], row["vni_mask"], row["vlan"]) == ("inner", 0x123400, 0x1234FF, None)
    assert (row["dip_hit"], row["port_num"]) == (0x100, 3)


@pytest.mark.parametrize("lookup", [0, 3])
def test_an_outer_lookup_matches_a_vlan_only_where_it_is_valid(lookup):
    row = entry(lookup=lookup, ivlan=100, vlan_vld=0x80, vniy=1)
    assert (row["lookup"], row["vni"], row["vlan"]) == ("outer", None, 100)
    assert entry(lookup=lookup, ivlan=100)["vlan"] is None


def test_before_t6_there_are_no_lookup_types():
    row = entry("T5", lookup=1, vniy=5)
    assert (row["lookup"], row["vni"]) == (None, None)


def test_the_replication_map_is_shown_highest_word_first():
    words = tuple(range(1, 9))
    assert entry(rplc=words, repli=0x1000)["replication"] == " ".join(f"{n:08x}" for n in range(8, 0, -1))
    assert entry("T5", rplc=words, repli=0x800, size=128)["replication"] == " ".join(
        f"{n:08x}" for n in range(4, 0, -1)
    )
    assert entry(rplc=words)["replication"] == ""
    assert entry(rplc=words)["rplc7"] == 8


def test_the_map_is_missing_on_t4_and_of_the_registers_without_firmware():
    assert "T4" in Payload("mps_tcam", slot(cls_lo=1 << 11), "T4").table.attrs["note"]
    replicated = slot(cls_lo=1 << 12, repli=0x1000)
    assert "MPS_VF_RPLCT_MAP" in Payload("mps_tcam", replicated, others=(("tid_info", tid_info()),)).table.attrs["note"]
    assert not Payload("mps_tcam", replicated, others=(("tid_info", tid_info(FW_OK)),)).table.attrs
    assert not Payload("mps_tcam", slot(), others=(("tid_info", tid_info()),)).table.attrs


def test_the_unified_wire_has_the_members_in_another_order():
    data = struct.pack(
        "<6s2xIII8I4xQIHxxIIHHBBH", ADDR, 4, 1 << 12, 3, *range(1, 9), 0xFFFFFFFFFFFF, 256, 1, 0x10, 0x20, 1, 0, 1, 2, 9
    )
    payload = Payload("mps_tcam", data, version=UNIFIED_WIRE)
    (row,) = payload.table.records()
    assert (row["idx"], row["addr"], row["vni"], row["vni_mask"], row["ports"]) == (
        4,
        "00:07:43:aa:bb:cc",
        0x10,
        0x30,
        3,
    )
    assert row["replication"].startswith("00000008 00000007")
    check_both_ways(payload)


def test_a_changed_member_changes_its_bits_only():
    check_one_cell(Payload("mps_tcam", slot(0) + slot(1)), "slots", "ivlan", 1, changed_bit=8 * (88 + 76))


def test_genuine_dumps_decode_to_what_the_adapter_held():
    for dump in genuine("mps_tcam"):
        limit = 336 if dump.nic.chip == "T4" else 512
        held = [one for one in dump.model["mps_tcam"] if one["idx"] < limit]
        found = rows(dump, "mps_tcam")
        assert [r["idx"] for r in found] == [one["idx"] for one in held], dump.name
        for row, one in zip(found, held, strict=True):
            assert [row[n] for n in ("addr", "mask", "cls_lo", "cls_hi")] == [
                one[n] for n in ("addr", "mask", "cls_lo", "cls_hi")
            ]
            assert row["replicate"] == bool(one["replicate"]), (dump.name, row["idx"])
            if dump.nic.chip == "T6":
                assert (row["lookup_type"], row["port_num"]) == (one["lookup_type"], one["port"])
                assert row["vni"] == (one["vniy"] if one["lookup_type"] in (1, 2) else None)
                assert bool(row["dip_hit"]) == bool(one["dip_hit"])


def as_the_viewer_shows(row: dict[str, Any], chip: str) -> list[str]:
    """A row as the words of one of the viewer's lines."""
    number = lambda value: f"{value:#x}" if value else "0"  # noqa: E731
    words = [str(row["idx"]), row["addr"], row["mask"]]
    if chip == "T6":
        inner = row["lookup"] == "inner"
        words += (
            [f"{row['vni']:06x}", f"{row['vni_mask']:06x}", "-", "-"] if inner else ["-", "-", str(row["vlan"] or "-")]
        )
        words += [] if inner else ["Y" if row["vlan_vld"] else "N"]
        words += ["Y" if row["dip_hit"] else "N"] if inner else ["-"]
        words += ["I" if row["lookup_type"] else "O", str(row["port_num"])]
    words += [
        "Y" if row["sram_valid"] else "N",
        number(row["ports"]),
        str(row["pf"]),
        str(-1 if row["vf"] is None else row["vf"]),
    ]
    return [
        *words,
        *row["replication"].split(),
        *(str(row[f"priority{i}"]) for i in range(4)),
        number(row["multi_listen"]),
    ]


@pytest.mark.parametrize(
    ("blob", "file"),
    [
        ("t5-live-zlib", "adapted/57_mpstcam.txt"),
        ("t6-kdump-zlib", "adapted/57_mpstcam.txt"),
        ("t6-uwpair-zlib", "adapted/57_mpstcam.txt"),
        ("uw-t6-fastlz", "57_mpstcam.txt"),
    ],
)
def test_the_viewer_shows_the_same_entries(blob, file, shared_data):
    """Of the VNI it shows the inverse bits as mask, and computes it wrongly where bit 23 is set; type 3 it marks I."""
    lines = [line.split() for line in viewer_text(blob, file)[2:]]
    nic = unified_wire() if blob.startswith("uw") else genuine_nic(blob)
    ours = [as_the_viewer_shows(row, nic.chip) for row in nic.entity_table("mps_tcam").records()]
    theirs = [line for i, line in enumerate(lines) if i == 0 or line[0] != "0"]
    for mine, other in zip(ours, theirs, strict=True):
        if nic.chip == "T6" and other[3] != "-":
            mine[3:5] = other[3:5]
        assert mine == other


def genuine_nic(blob: str) -> Any:
    return next(dump for dump in genuine("mps_tcam") if dump.name == blob).nic


def test_genuine_payloads_go_both_ways(shared_data):
    check_genuine("mps_tcam")


@pytest.mark.parametrize("version", [(1, 14), UNIFIED_WIRE])
def test_any_bytes_are_a_table(version):
    check_any_bytes(
        "mps_tcam", slot(0, cls_lo=0xFFFFFFFF, repli=1, rplc=(1, 2)) + EMPTY + slot(2, lookup=1), version=version
    )
