"""HW_SCHED (31)."""

from __future__ import annotations

import struct

import pytest
from entity_checks import (
    ORDERS,
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


def sched(mode: int = 0, map_: int = 0, order: str = "little") -> bytes:
    """Rates 100 to 107, class gaps 200 to 207, flow gaps 300 to 307."""
    return struct.pack(MARK[order] + "26I", *range(100, 108), *range(200, 208), *range(300, 308), mode, map_)


def clk(cclk_ps: int, dack_re: int = 0) -> tuple[str, bytes]:
    return "clk", struct.pack("<8Q5I4x", *[0] * 8, 0, 0, cclk_ps, 0, dack_re)


@pytest.mark.parametrize("order", ORDERS)
def test_each_scheduler_takes_one_of_each_array(order):
    payload = Payload("hw_sched", sched(order=order), order=order)
    found = [(r["scheduler"], r["kbps"], r["class_ipg"], r["flow_ipg"]) for r in payload.table.records()]
    assert found == [(i, 100 + i, 200 + i, 300 + i) for i in range(8)]
    check_both_ways(payload)


def test_mode_has_a_bit_and_map_two_bits_for_each():
    found = Payload("hw_sched", sched(0b00001110, 0b11_10_01_00_11_10_01_00)).table
    assert found.values("flow") == [False, True, True, True, False, False, False, False]
    assert found.values("channel") == [0, 1, 2, 3, 0, 1, 2, 3]


def test_bits_above_the_schedulers_do_not_matter():
    found = Payload("hw_sched", sched(0xFFFFFF00, 0xFFFF0000)).table
    assert not any(found.values("flow"))
    assert not any(found.values("channel"))


@pytest.mark.parametrize("others", [(), (clk(4000, 8),)])
def test_a_known_or_missing_clock_needs_no_note(others):
    assert "note" not in Payload("hw_sched", sched(), others=others).table.attrs


def test_the_note_says_how_to_undo_the_placeholder_clock():
    payload = Payload("hw_sched", sched(), others=(clk(20000, 8),))
    assert "50,000 kHz" in payload.table.attrs["note"]
    assert "flow_ipg also by 256" in payload.table.attrs["note"]
    assert payload.summary == "8 schedulers of 8 with a rate; computed with a placeholder clock"
    assert "flow_ipg also" not in Payload("hw_sched", sched(), others=(clk(20000, 0),)).table.attrs["note"]


def test_a_changed_map_changes_its_bits_only():
    check_one_cell(Payload("hw_sched", sched()), "sched", "map", 0, changed_bit=25 * 32)


def test_genuine_dumps_decode_to_what_the_adapter_held():
    for dump in genuine("hw_sched"):
        held = dump.model["hw_sched"]
        found = [(r["scheduler"], r["flow"], r["channel"]) for r in rows(dump, "hw_sched")]
        assert found == [(i, bool(held["mode"] >> i & 1), held["map"] >> 2 * i & 3) for i in range(8)], dump.name


def test_a_kdump_collection_used_the_placeholder_and_a_live_one_did_not():
    noted = {dump.name: "note" in dump.nic.entity_table("hw_sched").attrs for dump in genuine("hw_sched")}
    assert noted["t6-kdump-zlib"]
    assert noted["t5-kdump-zlib"]
    assert not noted["t5-live-zlib"]
    assert not noted["t6-uwpair-zlib"]


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-kdump-zlib", "t6-uwpair-zlib", "uw-t6-fastlz"])
def test_the_viewer_shows_the_same_schedulers(blob, shared_data):
    found, lines = viewed(blob, "hw_sched")
    assert [line.split() for line in lines[1:]] == [
        [str(r["scheduler"]), "flow" if r["flow"] else "class", str(r["channel"])]
        + [str(r[name]) if r[name] else "disabled" for name in ("kbps", "class_ipg", "flow_ipg")]
        for r in found
    ]


def test_genuine_payloads_go_both_ways(shared_data):
    check_genuine("hw_sched")


def test_any_bytes_are_a_table():
    check_any_bytes("hw_sched", sched())
