"""PM_STATS (30)."""

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


def stats(order: str = "little") -> bytes:
    """Counts 1 to 14, cycles 2**40 + 1 to 2**40 + 14; transmit first."""
    return struct.pack(MARK[order] + "14I14Q", *range(1, 15), *((1 << 40) + n for n in range(1, 15)))


@pytest.mark.parametrize("order", ORDERS)
def test_transmit_counters_come_before_receive_ones(order):
    payload = Payload("pm_stats", stats(order), order=order)
    table = payload.table
    assert table.values("direction") == ["tx"] * 7 + ["rx"] * 7
    assert table.values("index") == [*range(7), *range(7)]
    assert table.values("count") == [*range(1, 15)]
    assert table.values("cycles") == [(1 << 40) + n for n in range(1, 15)]
    check_both_ways(payload)


@pytest.mark.parametrize("chip", ["T5", "T6"])
def test_waits_and_latency_are_counted_on_t6_only(chip):
    table = Payload("pm_stats", stats(), chip).table
    late = ["fifo wait", None, "latency"] if chip == "T6" else [None, None, None]
    assert table.values("counter")[:7] == ["read", "write bypass", "write mem", "bypass + mem", *late]
    assert table.values("counter")[7:] == ["read", "write bypass", "write mem", "flush", *late]
    assert table.values("count_unit")[3:7] == ["pcmds", *(["waits", None, "reads"] if chip == "T6" else late)]
    assert table.values("cycles_unit")[3:7] == ["bytes", *(["occupancy", None, "waits"] if chip == "T6" else late)]


def test_t4_has_no_cycles():
    assert Payload("pm_stats", stats(), "T4").table.values("cycles") == [None] * 14


def test_a_changed_counter_changes_its_bits_only():
    check_one_cell(Payload("pm_stats", stats()), "stats", "rx_cyc[0]", 0, changed_bit=8 * (14 * 4 + 7 * 8))


def test_the_summary_adds_the_commands():
    assert Payload("pm_stats", stats()).summary == "10 transmit and 38 receive commands"
    full = struct.pack("<14I14Q", *[0xFFFFFFFF] * 14, *[0] * 14)
    assert Payload("pm_stats", full).summary == "17,179,869,180 transmit and 17,179,869,180 receive commands"


def test_genuine_dumps_decode_to_what_the_adapter_held():
    for dump in genuine("pm_stats"):
        for direction in ("tx", "rx"):
            found = [r for r in rows(dump, "pm_stats") if r["direction"] == direction]
            held = dump.model["pm_stats"]
            count = held[f"{direction}_cnt"]
            assert [r["count"] for r in found][: len(count)] == count, dump.name
            if dump.nic.chip != "T4":
                cycles = held[f"{direction}_cyc"]
                assert [r["cycles"] for r in found][: len(cycles)] == cycles, dump.name


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-errors-zlib", "t6-kdump-zlib", "t6-uwpair-zlib", "uw-t6-fastlz"])
def test_the_viewer_shows_the_same_counters(blob, shared_data):
    found, lines = viewed(blob, "pm_stats")
    named = {(r["direction"], r["counter"]): [str(r["count"]), str(r["cycles"])] for r in found if r["counter"]}
    shown, direction = {}, ""
    for line in lines:
        label, colon, numbers = line.partition(":")
        if not colon:  # a heading; the T6 counters name their direction in each line
            label, numbers = line[:14], line[14:]
        if "pcmds" in line:
            direction = line.split()[0].lower()
        elif numbers.split()[0].isdecimal():
            name = label.strip().lower()
            own = name[:3] in ("tx ", "rx ")
            shown[name[:2] if own else direction, name[3:] if own else name] = numbers.split()
    assert shown == named


def test_genuine_payloads_go_both_ways(shared_data):
    check_genuine("pm_stats")


def test_any_bytes_are_a_table():
    check_any_bytes("pm_stats", stats())
