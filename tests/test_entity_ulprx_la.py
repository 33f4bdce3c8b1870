"""ULPRX_LA (41)."""

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


def analyser(*first: int, order: str = "little") -> bytes:
    return struct.pack(MARK[order] + "4097I", *[*first, *[0] * 4096][:4096], 512)


@pytest.mark.parametrize("order", ORDERS)
def test_a_row_is_pcmd_type_message_and_data(order):
    payload = Payload("ulprx_la", analyser(*range(8), 0xA0, 0xA1, order=order), order=order)
    table = payload.table
    assert len(table) == 512
    first, second, *_ = table.records()
    assert [first[f"w{i}"] for i in range(8)] == [*range(8)]
    assert (first["pcmd"], first["type"], first["message"]) == (0x1_0000_0000, 2, 3)
    assert first["data"] == "00000007000000060000000500000004"
    assert (second["row"], second["pcmd"]) == (1, 0xA1_000000A0)
    assert table.spans[1].tolist() == [32, 64]
    check_both_ways(payload)


def test_the_number_behind_is_read_only_behind_a_whole_set_of_rows():
    assert Payload("ulprx_la", analyser()).parts["size"].tolist() == [(512,)]
    short = Payload("ulprx_la", analyser()[: 3 * 32 + 4])
    assert len(short.parts["size"]) == 0
    assert len(short.table) == 3


def test_a_changed_word_changes_its_bits_only():
    check_one_cell(Payload("ulprx_la", analyser()), "rows", "w7", 2, changed_bit=32 * (2 * 8 + 7))


def test_the_summary_counts_rows():
    assert Payload("ulprx_la", analyser(0, 5)).summary == "512 rows, 1 not zero"
    assert Payload("ulprx_la", b"").summary == "0 rows, 0 not zero"


def test_genuine_dumps_decode_to_what_the_adapter_held():
    for dump in genuine("ulprx_la"):
        found = [row[f"w{i}"] for row in rows(dump, "ulprx_la") for i in range(8)]
        assert found == dump.model["ulprx_la_512x8"], dump.name


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-errors-zlib", "t6-kdump-zlib", "uw-t6-fastlz"])
def test_the_viewer_shows_the_same_rows(blob, shared_data):
    found, lines = viewed(blob, "ulprx_la")
    assert [line.split() for line in lines[1:]] == [
        [f"{r['pcmd']:016x}", f"{r['type']:x}", f"{r['message']:08x}", r["data"]] for r in found
    ]


def test_genuine_payloads_go_both_ways(shared_data):
    check_genuine("ulprx_la")


def test_any_bytes_are_a_table():
    check_any_bytes("ulprx_la", analyser(1, 2, 3))
