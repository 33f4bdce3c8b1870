"""PBT_TABLE: dynamic and static addresses, LRF and data words."""

from __future__ import annotations

import re
import struct

import pytest
from entity_checks import ORDERS, UNIFIED_WIRE, Payload, check_any_bytes, check_genuine, check_one_cell, genuine, rows
from viewer_text import viewer_text

SIZES = {"dynamic": 8, "static": 16, "lrf": 8, "data": 512}
LABELS = {"Dynamic Addr Table": "dynamic", "Static Addr Table": "static", "LRF Table": "lrf", "DATA Table": "data"}


def pbt(words: dict[int, int] | None = None, order: str = "little") -> Payload:
    """The four tables with the given words by position."""
    values = [(words or {}).get(i, 0) for i in range(sum(SIZES.values()))]
    return Payload("pbt_table", struct.pack((">" if order == "big" else "<") + f"{len(values)}I", *values), "T6", order)


def test_words_are_what_the_hardware_held():
    for dump in genuine("pbt_table"):
        table, held = rows(dump, "pbt_table"), dump.model["pbt"]
        for name, size in SIZES.items():
            one = [(r["index"], r["value"]) for r in table if r["table"] == name]
            assert one == list(enumerate(held[f"{name}{size}"]))


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-kdump-zlib"])
def test_entries_read_as_the_viewer_prints_them(blob):
    dump = next(d for d in genuine("pbt_table") if d.name == blob)
    table = rows(dump, "pbt_table")
    lines = viewer_text(blob, "65_pbttables.txt")[1:]
    words = [m.groups() for m in (re.match(r"(.* Table) +\[0x(\w+)\]: 0x(\w+)", line) for line in lines) if m]
    first = {"dynamic": 0x2800, "static": 0x2800, "lrf": 0x3000, "data": 0x3800}
    ours = [(r["table"], r["cim_address"] - first[r["table"]], r["value"]) for r in table]
    assert ours == [(LABELS[label], int(offset, 16), int(value, 16)) for label, offset, value in words]
    for name, column in {"vld": "vld", "alloc": "alloc", "pending": "pending", "address<<6": "address"}.items():
        printed = [int(line.split()[-1], 16) for line in lines if f" {name} " in line]
        assert [int(r[column]) for r in table[:24]] == printed


@pytest.mark.parametrize("order", ORDERS)
def test_an_address_has_25_bits_in_units_of_64_bytes_under_three_flags(order):
    one = pbt({8: 0xE0000000 | 1 << 28 | 1 << 26 | 1 << 25 | 0x1FFFFFF}, order).table.records()[8]
    assert (one["table"], one["index"], one["address"]) == ("static", 0, 0x1FFFFFF << 6)
    assert (one["vld"], one["alloc"], one["pending"]) == (True, False, True)
    assert pbt({0: 1 << 27}, order).table.records()[0]["alloc"]


def test_lrf_and_data_words_are_no_addresses():
    raw = pbt(dict.fromkeys(range(544), 0xFFFFFFFF)).table.records()[24:]
    assert all(r[name] is None for r in raw for name in ("vld", "alloc", "pending", "address"))
    assert {r["value"] for r in raw} == {0xFFFFFFFF}


def test_the_summary_counts_valid_addresses():
    assert (
        pbt({0: 1 << 28, 1: 1 << 28, 9: 1 << 28 | 1 << 26}).summary
        == "valid addresses: 2 dynamic and 1 static; 1 pending"
    )


def test_every_genuine_table_goes_both_ways():
    check_genuine("pbt_table")


def test_one_changed_cell_is_one_changed_bit():
    check_one_cell(pbt(), "pbt", "lrf_table[2]", 0, changed_bit=8 * (96 + 8))
    check_one_cell(pbt(order="big"), "pbt", "pbt_data[511]", 0, changed_bit=8 * 2175)


@pytest.mark.parametrize("version", [(1, 14), UNIFIED_WIRE])
def test_any_bytes_make_a_table(version):
    check_any_bytes("pbt_table", pbt().data, version=version)
