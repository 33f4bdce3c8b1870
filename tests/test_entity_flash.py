"""FLASH (71)."""

from __future__ import annotations

import pytest
from entity_checks import ORDERS, Payload, check_any_bytes, check_both_ways, check_one_cell

SECTOR = 64 << 10


@pytest.mark.parametrize("order", ORDERS)
def test_sectors_have_their_purpose_and_say_whether_they_were_collected(order):
    payload = Payload("flash", b"\xff" * SECTOR + bytes(SECTOR * 7) + b"\x12", order=order)
    found = payload.table.records()
    assert len(found) == 64
    assert [(r["sector"], r["offset"], r["size"]) for r in found[8:10]] == [
        (8, 8 * SECTOR, SECTOR),
        (9, 9 * SECTOR, SECTOR),
    ]
    assert [r["collected"] for r in found] == [True] * 8 + [False] * 56
    assert [r["erased"] for r in found[:2]] == [True, False]
    assert found[8]["erased"] is None
    assert payload.summary == "8 sectors of 64 KiB"
    check_both_ways(payload)


def test_the_layout_is_that_of_the_driver():
    names = [r["name"] for r in Payload("flash", b"").table.records()]
    first = {name: names.index(name) for name in names}
    assert first == {"expansion ROM": 0, "iBFT": 6, "boot configuration": 7, "firmware": 8, "not assigned": 24,
                     "bootstrap firmware": 27, "iSCSI crash dump": 29, "FCoE crash dump": 30, "configuration file": 31,
                     "failover": 32}  # fmt: skip
    assert names.count("firmware") == 16


def test_sectors_beyond_the_layout_are_rows_too():
    last = Payload("flash", bytes(SECTOR * 66)).table.records()[-1]
    assert (last["sector"], last["name"], last["collected"]) == (65, "not assigned", True)


def test_the_bytes_of_each_word_are_said_to_be_swapped():
    assert "swapped" in Payload("flash", bytes(SECTOR)).table.attrs["note"]


def test_a_changed_word_changes_its_bits_only():
    check_one_cell(Payload("flash", bytes(256)), "words", "w3", 2, changed_bit=8 * (128 + 12))


def test_any_bytes_are_a_table():
    check_any_bytes("flash", b"\xff" * (SECTOR + 100))
