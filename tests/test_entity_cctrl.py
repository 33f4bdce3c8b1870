"""CCTRL (60)."""

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
INCREMENTS = list(range(512))


@pytest.mark.parametrize("order", ORDERS)
def test_the_windows_of_an_mtu_lie_behind_one_another(order):
    payload = Payload("cctrl", struct.pack(MARK[order] + "512H", *INCREMENTS), order=order)
    by_place = {(r["mtu_index"], r["window"]): r["increment"] for r in payload.table.records()}
    assert by_place == {(mtu, window): 32 * mtu + window for mtu in range(16) for window in range(32)}
    assert payload.table.spans[33].tolist() == [66, 68]
    check_both_ways(payload)


def test_an_index_has_the_mtu_of_path_mtu_and_none_where_that_is_short():
    mtus = struct.pack("<2H", 88, 1500)
    found = Payload("cctrl", struct.pack("<96H", *range(96)), others=(("path_mtu", mtus),)).table
    assert found.values("mtu") == [88] * 32 + [1500] * 32 + [None] * 32
    assert Payload("cctrl", bytes(4)).table.values("mtu") == [None, None]


def test_a_changed_increment_changes_its_bits_only():
    check_one_cell(Payload("cctrl", bytes(1024)), "increments", "increment", 40, changed_bit=640)


def test_the_summary_has_the_size_and_the_largest_increment():
    data = struct.pack("<512H", *INCREMENTS)
    assert Payload("cctrl", data).summary == "16 MTUs by 32 windows, increments up to 511"
    assert Payload("cctrl", b"").summary == "empty"


def test_genuine_dumps_decode_to_what_the_adapter_held():
    for dump in genuine("cctrl"):
        found = rows(dump, "cctrl")
        assert [row["increment"] for row in found] == dump.model["cctrl_incr_16x32"], dump.name
        assert [row["mtu"] for row in found[::32]] == dump.model["path_mtu"], dump.name


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-errors-zlib", "t6-kdump-zlib", "uw-t6-fastlz"])
def test_the_viewer_shows_the_same_increments(blob, shared_data):
    found, lines = viewed(blob, "cctrl")
    by_place = {(row["mtu_index"], row["window"]): row["increment"] for row in found}
    shown = [int(n) for line in lines for n in line.partition(":")[2].split() or line.split()]
    assert [by_place[mtu, window] for window in range(32) for mtu in range(16)] == shown[: 16 * 32]


def test_genuine_payloads_go_both_ways(shared_data):
    check_genuine("cctrl")


def test_any_bytes_are_a_table():
    check_any_bytes("cctrl", bytes(range(256)) * 4)
