"""TP_LA (43)."""

from __future__ import annotations

import struct

import numpy as np
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

from vmcoredd_lab.devices.cxgb4.entity_names import read_table

MARK = {"little": "<", "big": ">"}
ALL = (1 << 64) - 1
TUNNEL = 1 << 17


def samples(mode: int, *first: int, order: str = "little", count: int = 128) -> bytes:
    return struct.pack(f"{MARK[order]}II{count}Q", 0, mode, *[*first, *[0] * count][:count])


def read_by_hand(table: str, raw: int) -> dict[str, int]:
    fields = [row for row in read_table("tp_la_fields.csv") if row["table"] == table]
    return {r["field"]: raw >> int(r["lsb"]) & ((1 << int(r["nbits"])) - 1) for r in fields}


def check_rows(payload: Payload, tables: list[str | None]) -> None:
    """Each sample's fields are those of its table and no others."""
    names = {row["field"] for row in read_table("tp_la_fields.csv")}
    for row, table in zip(payload.table.records(), tables, strict=True):
        assert row["fields"] == table
        expected = read_by_hand(table, row["raw"]) if table else {}
        assert {name: row[name] for name in names} == {name: expected.get(name) for name in names}


@pytest.fixture(scope="module")
def noise() -> list[int]:
    return np.random.default_rng(43).integers(0, ALL, 128, np.uint64, endpoint=True).tolist()


@pytest.mark.parametrize("table", ["tp_la0", "tp_la1", "tp_la2"])
def test_fields_do_not_overlap(table):
    assert sum(read_by_hand(table, ALL).values()) > 0
    bits = [
        bit
        for row in read_table("tp_la_fields.csv")
        if row["table"] == table
        for bit in range(int(row["lsb"]), int(row["lsb"]) + int(row["nbits"]))
    ]
    assert len(bits) == len(set(bits))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("mode", [0, 1, 2])
def test_in_modes_0_to_2_all_samples_are_of_one_kind(mode, order, noise):
    payload = Payload("tp_la", samples(mode, *noise, order=order), order=order)
    assert payload.table.values("raw") == noise
    assert payload.table.attrs == {"mode": mode}
    check_rows(payload, ["tp_la0"] * 128)
    check_both_ways(payload)


def test_in_mode_3_the_first_of_a_pair_tells_how_the_second_is_read(noise):
    noise = [*noise[:124], 0, 5, TUNNEL, 5]
    tables = [t for first in noise[::2] for t in ("tp_la0", "tp_la2" if first & TUNNEL else "tp_la1")]
    assert set(tables) == {"tp_la0", "tp_la1", "tp_la2"}
    check_rows(Payload("tp_la", samples(3, *noise)), tables)


@pytest.mark.parametrize(("mode", "decoded"), [(0, True), (1, True), (2, False), (3, False)])
def test_a_last_sample_of_all_ones_was_not_complete_in_modes_of_pairs(mode, decoded):
    table = Payload("tp_la", samples(mode, *[0] * 127, ALL)).table
    assert len(table) == 128
    assert (table.values("fields")[-1] is not None) == decoded
    assert ("note" in table.attrs) != decoded


def test_all_ones_elsewhere_are_a_sample():
    assert Payload("tp_la", samples(2, ALL)).table.values("fields")[0] == "tp_la0"
    assert Payload("tp_la", samples(2, ALL, count=1)).table.values("fields") == ["tp_la0"]


def test_a_mode_that_the_hardware_has_not_is_not_decoded(noise):
    payload = Payload("tp_la", samples(7, *noise))
    check_rows(payload, [None] * 128)
    assert "mode 7" in payload.table.attrs["note"]


def test_a_changed_sample_changes_its_bits_only():
    check_one_cell(Payload("tp_la", samples(3)), "samples", "raw", 5, changed_bit=8 * (8 + 5 * 8))


def test_the_summary_has_the_mode():
    assert Payload("tp_la", samples(3, 1, 2)).summary == "128 samples, 2 not zero, mode 3"
    assert Payload("tp_la", b"").summary == "0 samples, 0 not zero"


def test_genuine_dumps_decode_to_what_the_adapter_held():
    for dump in genuine("tp_la"):
        assert [row["raw"] for row in rows(dump, "tp_la")] == dump.model["tp_la_u64"], dump.name


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-errors-zlib", "t6-kdump-zlib", "t6-uwpair-zlib", "uw-t6-fastlz"])
def test_the_viewer_shows_the_same_fields_of_even_samples(blob, shared_data):
    found, lines = viewed(blob, "tp_la")
    shown = []
    for line in lines:
        words = line.split()
        pairs = {words[i].rstrip(":"): int(words[i + 1]) for i in range(0, len(words), 2)}
        if not line.startswith(" "):
            shown.append({})
        shown[-1] |= pairs
    even = [
        {k: v for k, v in row.items() if v is not None and k not in ("sample", "raw", "fields")} for row in found[::2]
    ]
    assert shown == even


def test_genuine_payloads_go_both_ways(shared_data):
    check_genuine("tp_la")


@pytest.mark.parametrize("mode", [0, 3])
def test_any_bytes_are_a_table(mode):
    check_any_bytes("tp_la", samples(mode, 1, TUNNEL))
