"""CLK (46)."""

from __future__ import annotations

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
    viewed,
)

MARK = {"little": "<", "big": ">"}
TIMERS = ["retransmit_min", "retransmit_max", "persist_timer_min", "persist_timer_max", "keepalive_idle_timer",
          "keepalive_interval", "initial_srtt", "finwait2_timer"]  # fmt: skip
RES = 0x0B0908  # timers in 2**11 clocks, timestamps in 2**9, delayed ACK in 2**8


def clk(cclk_ps: int = 4000, res: int = RES, order: str = "little") -> bytes:
    """Timers 1 to 8 us, delayed ACK timer 64 us."""
    return struct.pack(MARK[order] + "8Q5I4x", *range(1, 9), 64, res, cclk_ps, res >> 16, res & 0xFF)


def only(payload: Payload) -> dict:
    (row,) = payload.table.records()
    return row


@pytest.mark.parametrize("order", ORDERS)
def test_members_keep_their_names(order):
    payload = Payload("clk", clk(order=order), order=order)
    row = only(payload)
    assert [row[name] for name in TIMERS] == [*range(1, 9)]
    assert (row["dack_timer"], row["res"], row["cclk_ps"], row["tre"], row["dack_re"]) == (64, RES, 4000, 11, 8)
    check_both_ways(payload)


def test_ticks_are_the_clock_period_times_a_power_of_two():
    row = only(Payload("clk", clk()))
    assert row["cclk_khz"] == 250_000
    assert (row["tp_tick_ps"], row["timestamp_tick_ps"], row["dack_tick_ps"]) == (8_192_000, 2_048_000, 1_024_000)


def test_exact_times_come_from_the_timer_registers():
    registers = ((0x7D98, 781), (0x7DB0, 0xABCD0002), (0x7DB4, 3))
    row = only(Payload("clk", clk(), registers=registers))
    assert row["retransmit_min_ns"] == 781 * 8192
    assert row["initial_srtt_ns"] == 2 * 8192  # 16 bits of the register count
    assert row["dack_timer_ns"] == 3 * 1024
    assert row["retransmit_max_ns"] is None  # a register that is not in the dump
    assert only(Payload("clk", clk()))["retransmit_min_ns"] is None


def test_the_placeholder_clock_is_said():
    payload = Payload("clk", clk(20000))
    assert "not known" in payload.table.attrs["note"]
    assert only(payload)["cclk_khz"] is None
    assert payload.summary == "core clock not known (placeholder of 50 MHz)"


def test_a_real_clock_needs_no_note():
    payload = Payload("clk", clk(2000))
    assert "note" not in payload.table.attrs
    assert payload.summary == "core clock 500 MHz, TP timer tick 4.096 us"


def test_ticks_that_cannot_be_are_missing():
    row = only(Payload("clk", clk(0xFFFFFFFF, 0xFFFFFFFF), registers=((0x7D98, 0xFFFFFFFF),)))
    assert row["tp_tick_ps"] is None
    assert row["retransmit_min_ns"] is None


def test_a_changed_period_changes_its_bits_only():
    check_one_cell(Payload("clk", clk()), "clk", "cclk_ps", 0, changed_bit=8 * 72)


def test_the_unified_wire_has_room_for_texts_behind():
    payload = Payload("clk", clk()[:84] + b"x" * 128 + bytes(4), version=UNIFIED_WIRE)
    assert only(payload)["cclk_ps"] == 4000
    check_both_ways(payload)
    assert payload.parts["rest"].size == 0


def test_genuine_dumps_decode_to_what_the_adapter_held():
    for dump in genuine("clk"):
        (row,) = rows(dump, "clk")
        held = {name: value for name, value in dump.model["clk"].items() if name not in ("cclk_khz", "dack_timer")}
        assert {name: row[name] for name in held} == held, dump.name
        if row["cclk_khz"]:
            assert row["cclk_khz"] == dump.model["clk"]["cclk_khz"], dump.name


def test_the_drivers_times_are_exact_ones_counted_with_whole_microseconds():
    for dump in genuine("clk"):
        (row,) = rows(dump, "clk")
        tick = row["tp_tick_ps"]
        for name in TIMERS:
            if row[f"{name}_ns"] is not None:
                ticks = round(row[f"{name}_ns"] * 1000 / tick)
                assert row[name] == ticks * (tick // 1_000_000), (dump.name, name)


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-kdump-zlib", "t6-uwpair-zlib", "uw-t6-fastlz"])
def test_the_viewer_shows_the_same_times(blob, shared_data):
    (row,), lines = viewed(blob, "clk")
    shown = {label: text.split()[0] for label, _, text in (line.partition(": ") for line in lines)}
    assert [int(n) for n in list(shown.values())[5:]] == [row[name] for name in TIMERS]
    assert int(shown["DACK timer"]) == row["dack_timer"]
    # Of fractions the viewer drops zeros on both ends: 2.48 is 2.048.
    for label, name, unit in [("Core clock period", "cclk_ps", 1000), ("TP timer tick", "tp_tick_ps", 1_000_000),
                              ("TCP timestamp tick", "timestamp_tick_ps", 1_000_000),
                              ("DACK tick", "dack_tick_ps", 1_000_000)]:  # fmt: skip
        whole, part = divmod(row[name], unit)
        assert shown[label] == (f"{whole}.{str(part * 1000 // unit).strip('0')}" if part else str(whole))


def test_genuine_payloads_go_both_ways(shared_data):
    check_genuine("clk")
    assert len(unified_wire().entity_bytes("clk")) == 216


@pytest.mark.parametrize("version", [(1, 14), UNIFIED_WIRE])
def test_any_bytes_are_a_table(version):
    check_any_bytes("clk", clk() * 3, version=version)
