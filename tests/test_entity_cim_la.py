"""CIM_LA: T4/T5 and T6 rows, whole cycles or three samples of the program counter."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from entity_checks import (
    CHIPS,
    ORDERS,
    UNIFIED_WIRE,
    Payload,
    check_any_bytes,
    check_genuine,
    check_one_cell,
    genuine,
    rows,
    unified_wire,
)
from viewer_text import rows_of_words, viewer_text, word_cells

WIDTH = {"T4": 8, "T5": 8, "T6": 10}
SIZE = {"T4": 8196, "T5": 8196, "T6": 8204}
RUNNING, PC_ONLY = 1, 1 << 30


def capture(chip: str = "T6", config: int = RUNNING, order: str = "little", **declared: Any) -> Payload:
    """A payload of the driver's size: the register, 2,048 words, and zeros for what the last row of T6 lacks."""
    invented = random.Random(chip)
    words = [invented.getrandbits(32) for _ in range(2048)]
    words = [config, *words, *[0] * (SIZE[chip] // 4 - 2049)]
    return Payload(
        "cim_la", struct.pack((">" if order == "big" else "<") + f"{len(words)}I", *words), chip, order, **declared
    )


def one_number(words: tuple[int, ...], chip: str) -> int:
    """A row as the hardware has it: one number, word 0 lowest on T6 and highest before."""
    value = 0
    for word in reversed(words) if chip == "T6" else words:
        value = value << 32 | word
    return value


def cut(value: int, lsb: int, width: int) -> int:
    return value >> lsb & (1 << width) - 1


def test_rows_are_the_words_that_the_hardware_held():
    for dump in genuine("cim_la"):
        width = WIDTH[dump.nic.chip]
        assert word_cells(rows(dump, "cim_la"), width) == rows_of_words(dump.model["cim_la_words"], width)


def test_t5_rows_read_as_the_viewer_prints_them():
    head, *lines = viewer_text("t5-live-zlib", "03_cimla.txt")[1:]
    assert head.split() == ["Status", "Data", "PC", "LS0Stat", "LS0Addr", "LS0Data"]
    dump = next(d for d in genuine("cim_la") if d.name == "t5-live-zlib")
    ours = [
        f"{r['status']:02x} {r['data']:08x} {r['pc']:08x} {r['ls0_stat']:08x} {r['ls0_addr']:08x} {r['ls0_data']}"
        for r in rows(dump, "cim_la")
    ]
    assert ours == [" ".join(line.split()) for line in lines]


def test_t6_rows_read_as_the_viewer_prints_them_where_its_steps_of_8_words_meet_rows_of_10():
    head, *lines = viewer_text("t6-kdump-zlib", "03_cimla.txt")[1:]
    assert head.split() == [
        "Status",
        "Inst",
        "Data",
        "PC",
        *(f"LS{i}{what}" for i in "01" for what in ("Stat", "Addr", "Data")),
    ]
    dump = next(d for d in genuine("cim_la") if d.name == "t6-kdump-zlib")
    ours = [
        f"{r['status']:02x} {r['inst']:08x} {r['data']:08x} {r['pc']:08x} {r['ls0_stat']:08x} {r['ls0_addr']:08x} "
        f"{r['ls0_data']} {r['ls1_stat']:08x} {r['ls1_addr']:08x} {r['ls1_data']}"
        for r in rows(dump, "cim_la")
    ]
    meeting = [" ".join(line.split()) for line in lines[:-1:5]]
    assert ours[::4] == meeting[: len(ours[::4])]
    assert len(meeting) > 50


def test_the_incomplete_last_row_of_t6_is_left_out_and_said_so():
    table = capture("T6").table
    assert len(table) == 204
    assert "last row" in table.attrs["note"]
    assert table.spans.tolist()[-1] == [4 + 40 * 203, 4 + 40 * 204]


@pytest.mark.parametrize("chip", ["T4", "T5"])
def test_rows_of_t4_and_t5_are_all_whole(chip):
    table = capture(chip).table
    assert len(table) == 256
    assert "note" not in table.attrs


@pytest.mark.parametrize("order", ORDERS)
def test_a_t6_row_holds_a_cycle_of_the_processor_above_two_of_its_ports(order):
    for row in capture("T6", order=order).table.records():
        whole = one_number(tuple(row[f"w{i}"] for i in range(10)), "T6")
        assert (row["pc"], row["data"], row["inst"]) == tuple(cut(whole, lsb, 32) for lsb in (208, 240, 272))
        assert row["status"] == cut(whole, 304, 8)
        assert (int(row["ls0_data"], 16), row["ls0_addr"], row["ls0_stat"]) == tuple(
            cut(whole, lsb, 32) for lsb in (0, 32, 64)
        )
        assert (int(row["ls1_data"], 16), row["ls1_addr"], row["ls1_stat"]) == tuple(
            cut(whole, lsb, 32) for lsb in (96, 128, 160)
        )


@pytest.mark.parametrize("order", ORDERS)
def test_a_t5_row_holds_a_cycle_of_the_processor_above_its_port(order):
    for row in capture("T5", order=order).table.records():
        whole = one_number(tuple(row[f"w{i}"] for i in range(8)), "T5")
        assert (int(row["ls0_data"], 16), row["ls0_addr"], row["ls0_stat"]) == (
            cut(whole, 0, 128),
            cut(whole, 128, 32),
            cut(whole, 160, 4),
        )
        assert (row["pc"], row["data"], row["status"]) == (cut(whole, 164, 32), cut(whole, 196, 32), cut(whole, 228, 8))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("chip", CHIPS)
def test_with_program_counters_only_a_row_packs_three_samples(chip, order):
    payload = capture(chip, RUNNING | PC_ONLY, order)
    places = (0, 104, 208) if chip == "T6" else (0, 72, 164)
    members = ("pc", "data", "inst") if chip == "T6" else ("pc", "data")
    for row in payload.table.records():
        whole = one_number(tuple(row[f"w{i}"] for i in range(WIDTH[chip])), chip)
        for sample, lsb in enumerate(places):
            assert [row[f"{m}{sample}"] for m in members] == [cut(whole, lsb + 32 * i, 32) for i in range(len(members))]
            assert row[f"status{sample}"] == cut(whole, lsb + 32 * len(members), 8)
    assert payload.table.attrs["pc_only"]
    assert "three samples" in payload.table.attrs["note"]
    assert "pc" not in payload.table.columns


@pytest.mark.parametrize("chip", CHIPS)
def test_the_same_capture_has_a_view_of_one_sample_a_row(chip):
    packed = capture(chip, RUNNING | PC_ONLY)
    samples = packed.one.samples(packed.parts, packed.context)
    row = packed.table.records()[7]
    assert samples.records()[21:24] == [
        {
            "row": 7,
            "sample": i,
            "status": row[f"status{i}"],
            "inst": row.get(f"inst{i}"),
            "data": row[f"data{i}"],
            "pc": row[f"pc{i}"],
        }
        for i in range(3)
    ]
    assert samples.spans[21:24].tolist() == [packed.table.spans[7].tolist()] * 3
    whole = capture(chip)
    assert whole.one.samples(whole.parts, whole.context).values("pc") == whole.table.values("pc")


def test_the_configuration_register_says_how_it_was_captured():
    attrs = capture("T5", 0x01230456).table.attrs
    assert (attrs["config"], attrs["wrptr"], attrs["rdptr"]) == (0x01230456, 0x123, 0x115)
    assert (attrs["enabled"], attrs["pc_only"]) == (False, False)
    assert "stopped" in capture("T5", 0).summary
    assert "stopped" not in capture("T5").summary


def test_the_summary_names_the_last_program_counter():
    payload = capture("T6")
    assert f"204 rows, last program counter {payload.table.values('pc')[-1]:#010x}" == payload.summary
    assert capture("T6", RUNNING | PC_ONLY).summary == "204 rows, program counters only"


def test_the_unified_wire_leaves_no_room_for_the_newest_rows_of_t6():
    payload = capture("T6")
    short = Payload("cim_la", payload.data[:6532], "T6", version=UNIFIED_WIRE)
    assert word_cells(short.table.records(), 10) == word_cells(payload.table.records()[:163], 10)
    assert "newest rows are missing" in short.table.attrs["note"]


def test_the_unified_wire_captures_what_the_driver_does_as_far_as_it_goes():
    driver = next(d for d in genuine("cim_la") if d.name == "t6-uwpair-zlib")  # of the same adapter
    captured = unified_wire().entity_table("cim_la").records()
    assert len(captured) == 163
    assert captured == rows(driver, "cim_la")[:163]


def test_every_genuine_capture_goes_both_ways():
    check_genuine("cim_la")


def test_one_changed_cell_is_one_changed_bit():
    check_one_cell(capture("T6"), "rows", "w3", 9, changed_bit=8 * (4 + 40 * 9 + 12))
    check_one_cell(capture("T5", order="big"), "rows", "w0", 0, changed_bit=8 * 7)
    check_one_cell(capture("T6"), "incomplete", "word", 9, changed_bit=8 * (4 + 40 * 204 + 36))


@pytest.mark.parametrize("config", [RUNNING, RUNNING | PC_ONLY])
def test_any_bytes_make_a_table(config):
    check_any_bytes("cim_la", capture("T6", config).data)
    check_any_bytes("cim_la", capture("T6", config).data, version=UNIFIED_WIRE)
