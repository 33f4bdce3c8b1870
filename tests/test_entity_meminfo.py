"""MEMINFO (44)."""

from __future__ import annotations

import re

import pytest
from cudbg_builder import Entity, cudbg
from entity_checks import (
    LINUX,
    ORDERS,
    UNIFIED_WIRE,
    Payload,
    _views,
    check_any_bytes,
    check_genuine,
    check_one_cell,
    genuine,
    rows,
    unified_wire,
)
from memory_builder import EDC0, EDC1, HIDDEN, HMA, ISCSI, MC, MC0, TCBS, TPT, TX_PAYLOAD, UNIFIED_WIRE_SIZE, meminfo

MEMORIES = [(0, 0x100000, EDC0), (0x100000, 0x200000, EDC1)]
ALL_ONES_BAR = (0xFFF00000, 0xFFE00000)


def found(payload, kind):
    return [r for r in payload.table.records() if r["kind"] == kind]


def ranges(payload, kind="region"):
    return [(r["name"], r["base"], r["limit"]) for r in found(payload, kind)]


def value(payload, name):
    return next(r["value"] for r in found(payload, "counter") if r["name"] == name)


@pytest.mark.parametrize("order", ORDERS)
def test_every_limit_is_the_last_address(order):
    stored = meminfo(MEMORIES, [(0x1000, 0x1FFF, TPT)], order=order, up_ram_lo=0x20000000, up_ram_hi=0x2000FFFF)
    payload = Payload("meminfo", stored, order=order)
    assert ranges(payload, "memory") == [("EDC0", 0, 0xFFFFF), ("EDC1", 0x100000, 0x1FFFFF)]
    assert ranges(payload) == [("TPT region", 0x1000, 0x1FFF)]
    assert ranges(payload, "processor")[0] == ("uP RAM", 0x20000000, 0x2000FFFF)
    assert [r["size"] for r in payload.table.records()[:3]] == [0x100000, 0x100000, 0x1000]


def test_a_region_without_limit_goes_on_to_the_next_entry_and_the_last_one_to_the_end():
    payload = Payload("meminfo", meminfo(MEMORIES, [(0x1000, 0, 0), (0x1000, 0, 1), (0x4000, 0, 2)]))
    assert ranges(payload) == [("DBQ contexts", 0x1000, 0x3FFF), ("IMSG contexts", 0x1000, 0x3FFF),
                               ("FLM cache", 0x4000, 0xFFFFFFFF)]  # fmt: skip


def test_a_hidden_entry_is_no_row_and_ends_the_region_before_it():
    assert ranges(Payload("meminfo", meminfo(MEMORIES, [(0x1000, 0, TCBS), (0x3000, 0, HIDDEN)]))) == [
        ("TCBs", 0x1000, 0x2FFF)
    ]


def test_dbvfifo_which_the_driver_hides_is_a_row_of_which_the_place_is_not_sure():
    payload = Payload("meminfo", meminfo(MEMORIES, [(0x1000, 0, TCBS), (0x3000, 0x33FF, HIDDEN)]))
    (_, row) = found(payload, "region")
    assert (row["name"], row["base"], row["limit"], row["memory"]) == ("DBVFIFO region", 0x3000, 0x33FF, None)
    assert "hides" in row["note"]


def test_a_region_names_the_memory_it_begins_in():
    payload = Payload("meminfo", meminfo(MEMORIES, [(0xFF000, 0x100FFF, 4), (0x100000, 0, 5), (0x200000, 0, 6)]))
    assert [r["memory"] for r in found(payload, "region")] == ["EDC0", "EDC1", None]


@pytest.mark.parametrize(
    ("entry", "note"),
    [
        ((0, 0, ISCSI), "not configured"),
        ((0x5000, 0x4FFF, TX_PAYLOAD), "empty"),
        ((0, 0xFFFFFFFF, TX_PAYLOAD), "empty"),
        ((0x5000, 0x10, TPT), "below its base"),
    ],
)
def test_a_region_that_holds_nothing_has_size_0_and_says_why(entry, note):
    (row, _) = found(Payload("meminfo", meminfo(MEMORIES, [entry, (0x8000, 0x8FFF, TCBS)])), "region")
    assert (row["size"], row["limit"], row["memory"]) == (0, None, None)
    assert note in row["note"]


def test_t5_has_mc0_and_mc1_where_the_others_have_mc():
    stored = meminfo([(0, 0x100000, MC), (0x100000, 0x200000, MC0), (0x200000, 0x300000, HMA), (0x300000, 0x400000, 9)])
    assert [r["name"] for r in found(Payload("meminfo", stored), "memory")] == ["MC", "MC0", "HMA", "memory 9"]


def test_an_adapter_that_did_not_answer_has_no_memory_to_place_anything_in():
    stored = meminfo([(*ALL_ONES_BAR, i) for i in (EDC1, MC, HMA, EDC0)], [(0xFFFFFFFF, 0, TCBS)])
    payload = Payload("meminfo", stored)
    assert all("did not answer" in r["note"] for r in found(payload, "memory") + found(payload, "region"))
    assert payload.summary == "all ones: the adapter did not answer"


def test_counts_beyond_the_arrays_are_not_believed():
    payload = Payload("meminfo", meminfo(MEMORIES, [(0x1000, 0, TCBS)], avail_c=0x1FFFFFFF, mem_c=0x20007FFA))
    assert (len(found(payload, "memory")), len(found(payload, "region"))) == (4, 27)
    assert "not possible" in payload.table.attrs["note"]
    assert "note" not in Payload("meminfo", meminfo(MEMORIES)).table.attrs


def test_page_counts_are_rows_of_their_own():
    payload = Payload(
        "meminfo",
        meminfo(
            rx_pages_data=(100, 64, 2), tx_pages_data=(200, 1, ord("M"), 4), p_structs=300, p_structs_free_cnt=7,
            free_rx_cnt=8, free_tx_cnt=9, port_used=(1, 2, 3, 4), port_alloc=(5, 6, 7, 8), loopback_used=(11, 12),
            loopback_alloc=(13, 14),
        ),
    )  # fmt: skip
    assert {r["name"]: r["value"] for r in found(payload, "counter")} == {
        "Rx pages": 100, "Rx pages free": 8, "Rx page size, bytes": 65536, "Rx channels": 2,
        "Tx pages": 200, "Tx pages free": 9, "Tx page size, bytes": 1 << 20, "Tx channels": 4,
        "Pstructs, count": 300, "Pstructs free, count": 7,
        "Port 0 pages used": 1, "Port 0 pages allocated": 5, "Port 1 pages used": 2, "Port 1 pages allocated": 6,
        "Port 2 pages used": 3, "Port 2 pages allocated": 7, "Port 3 pages used": 4, "Port 3 pages allocated": 8,
        "Loopback 0 pages used": 11, "Loopback 0 pages allocated": 13, "Loopback 1 pages used": 12,
        "Loopback 1 pages allocated": 14,
    }  # fmt: skip


@pytest.mark.parametrize(("letter", "size"), [("K", 32 << 10), ("M", 32 << 20), ("?", None)])
def test_the_size_of_tx_pages_has_its_unit_beside_it(letter, size):
    payload = Payload("meminfo", meminfo(tx_pages_data=(1, 32, ord(letter), 1)))
    assert value(payload, "Tx page size, bytes") == size


@pytest.mark.parametrize(("chip", "count"), [("T4", 4), ("T5", 4), ("T6", 2)])
def test_only_the_loopbacks_of_the_chip_are_rows(chip, count):
    names = {r["name"] for r in found(Payload("meminfo", meminfo(), chip=chip), "counter")}
    assert sum(name.startswith("Loopback") for name in names) == 2 * count


def test_without_a_version_header_the_length_tells_the_layout():
    older = Payload("meminfo", meminfo(MEMORIES, header=False, p_structs=5, free_rx_cnt=6))
    assert (ranges(older, "memory")[0], value(older, "Rx pages free")) == (("EDC0", 0, 0xFFFFF), 6)
    for version in (LINUX, UNIFIED_WIRE):
        oldest = Payload("meminfo", meminfo(MEMORIES, header=False)[:UNIFIED_WIRE_SIZE], version=version)
        assert ranges(oldest, "memory") == ranges(older, "memory")
        assert not any("free" in r["name"] for r in found(oldest, "counter"))


def test_a_newer_version_header_leaves_the_bytes():
    stored = bytearray(meminfo(MEMORIES))
    stored[4] = 2
    table = cudbg(Entity(44, bytes(stored))).open().entity_table("meminfo")
    assert table.schema.name == "entity_bytes"


@pytest.mark.parametrize(
    ("registers", "base", "note"),
    [(((0x77C8, 0x00020001),), 0x200000, "from register"), (None, 0x300000, "another memory's register")],
)
def test_of_t6_the_unified_wire_reads_mc_from_the_wrong_register(registers, base, note):
    stored = meminfo([*MEMORIES, (0x300000, 0x300000, MC)], header=False)[:UNIFIED_WIRE_SIZE]
    row = found(Payload("meminfo", stored, "T6", "little", UNIFIED_WIRE, registers=registers), "memory")[2]
    assert row["base"] == base
    assert note in row["note"]


def test_each_row_knows_its_bytes():
    table = Payload("meminfo", meminfo(MEMORIES, [(0x1000, 0x1FFF, TPT)], free_tx_cnt=9)).table
    by_name = dict(zip(table.values("name"), table.spans.tolist(), strict=True))
    assert by_name["EDC1"] == [8 + 12, 8 + 24]
    assert by_name["TPT region"] == [8 + 48, 8 + 60]
    assert by_name["uP RAM"] == [8 + 380, 8 + 388]
    assert by_name["Port 2 pages used"] == [8 + 484, 8 + 488]
    assert by_name["Tx pages free"] == [8 + 548, 8 + 552]


def test_a_changed_base_changes_its_bits_only():
    check_one_cell(Payload("meminfo", meminfo(MEMORIES)), "meminfo", "mem[2].base", 0, changed_bit=8 * (8 + 48 + 24))


def test_the_summary_names_the_memories():
    assert Payload("meminfo", meminfo(MEMORIES, [(0x1000, 0, TCBS)])).summary == "EDC0 1.0 MiB, EDC1 1.0 MiB; 1 region"
    assert Payload("meminfo", b"").summary == "no memories"


def test_any_bytes_are_a_table():
    check_any_bytes("meminfo", meminfo(MEMORIES, [(0x1000, 0, TCBS)]))
    check_any_bytes("meminfo", meminfo(MEMORIES, header=False)[:UNIFIED_WIRE_SIZE], version=UNIFIED_WIRE)


# -- genuine dumps ----------------------------------------------------------------------------------------------------


def test_genuine_dumps_decode_to_what_the_adapter_held():
    for dump in genuine("meminfo"):
        records = rows(dump, "meminfo")
        sizes = {r["name"].lower(): r["size"] >> 20 for r in records if r["kind"] == "memory"}
        sizes["mc0"] = sizes.pop("mc", sizes.get("mc0", 0))
        held = {k: v for k, v in dump.model["memory_map_mb"].items() if k in ("edc0", "edc1", "mc0", "mc1", "hma")}
        assert {k: sizes.get(k, 0) for k in held} == held, dump.name
        bases = {r["name"]: r["base"] for r in records if r["kind"] == "region"}
        assert dump.model["meminfo_region_bases"].items() <= bases.items(), dump.name


SHOWN = re.compile(r"(.+):\s+(\w+)-(\w+) \[")


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-errors-zlib", "t6-kdump-zlib", "t6-uwpair-zlib", "uw-t6-fastlz"])
def test_the_viewer_shows_the_same_ranges_and_counts(blob, shared_data):
    ours = blob.startswith("uw-")
    lines = _views(blob)["44_meminfo.txt" if ours else "adapted/44_meminfo.txt"].splitlines()[1:]
    dump = None if ours else next(d for d in genuine("meminfo") if d.name == blob)
    records = unified_wire().entity_table("meminfo").records() if dump is None else rows(dump, "meminfo")
    shown = [(m[1], int(m[2], 16), int(m[3], 16)) for m in map(SHOWN.match, lines) if m]
    mine = [
        (r["name"], r["base"], r["limit"]) for r in records if r["kind"] != "counter" and r["name"] != "DBVFIFO region"
    ]
    if ours:  # the viewer shows what the collector read from the wrong register
        shown[2] = ("MC", 0x200000, 0x2FFFFF)
    assert mine == shown
    counts = {r["name"]: r["value"] for r in records if r["kind"] == "counter"}
    used = [tuple(map(int, re.findall(r"\d+", line))) for line in lines if "using" in line]
    assert used[:4] == [(i, counts[f"Port {i} pages used"], counts[f"Port {i} pages allocated"]) for i in range(4)]
    assert used[4:6] == [
        (i, counts[f"Loopback {i} pages used"], counts[f"Loopback {i} pages allocated"]) for i in range(2)
    ]
    pages = [tuple(map(int, re.findall(r"\d+", line))) for line in lines if " pages of size " in line]
    assert pages == [
        (counts[f"{d} pages"], counts[f"{d} page size, bytes"] >> 10, counts[f"{d} channels"]) for d in ("Rx", "Tx")
    ]


def test_genuine_payloads_go_both_ways(shared_data):
    check_genuine("meminfo")


def test_an_adapter_off_the_bus_makes_the_driver_write_past_its_table(shared_data):
    dump = next(d for d in genuine("meminfo", answering=False) if d.name == "t6-dead-zlib")
    table = dump.nic.entity_table("meminfo")
    assert "not possible" in table.attrs["note"]
    assert set(table.values("memory")) == {None}
