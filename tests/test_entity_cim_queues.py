"""CIM_IBQ_* and CIM_OBQ_*: the memory of fourteen queues."""

from __future__ import annotations

import struct

import pytest
from entity_checks import ORDERS, Payload, check_any_bytes, check_genuine, check_one_cell, genuine, rows
from viewer_text import rows_of_words, viewer_text, word_cells

from vmcoredd_lab.devices.cxgb4.entities import decoders
from vmcoredd_lab.devices.cxgb4.entities.cim_queues import CimQueue
from vmcoredd_lab.devices.cxgb4.entity_names import entity_name

NUMBERS = [*range(6, 18), 47, 48]
VIEWED = {6: "06_ibqtp0", 7: "07_ibqtp1", 8: "08_ibqulp", 9: "09_ibqsge0", 10: "10_ibqsge1", 11: "11_ibqncsi", 12: "12_obqulp0",
          13: "13_obqulp1", 14: "14_obqulp2", 15: "15_obqulp3", 16: "16_obqsge", 17: "17_obqncsi", 47: "47_obq_sge_rx_q0",
          48: "48_obq_sge_rx_q1"}  # fmt: skip
SWAPPED = {11: "obqncsi", 17: "ibqncsi"}


def queue(words: list[int], order: str = "little") -> Payload:
    return Payload("cim_ibq_tp0", struct.pack((">" if order == "big" else "<") + f"{len(words)}I", *words), "T6", order)


def test_all_fourteen_queues_are_read_alike():
    assert {name for name, one in decoders().items() if isinstance(one, CimQueue)} == {entity_name(n) for n in NUMBERS}


@pytest.mark.parametrize("number", NUMBERS)
def test_rows_are_the_words_that_the_hardware_held(number):
    entity = entity_name(number)
    _, direction, which = entity.split("_")
    for dump in genuine(entity):
        held = rows_of_words(dump.model[f"cim_{direction}"][which], 4)
        table = rows(dump, entity)
        assert word_cells(table, 4) == held
        assert [r["offset"] for r in table] == list(range(0, 16 * len(held), 16))


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-kdump-zlib"])
def test_rows_read_as_the_viewer_prints_them_though_it_swaps_two_labels(blob, number):
    label, *lines = viewer_text(blob, f"{VIEWED[number]}.txt")
    entity = entity_name(number)
    if number in SWAPPED:
        assert label.split()[-1] == SWAPPED[number]
    dump = next(d for d in genuine(entity) if d.name == blob)
    ours = [(r["offset"], *(f"{r[f'w{i}']:08x}" for i in range(4))) for r in rows(dump, entity)]
    assert ours == [
        (int(offset, 16), *words) for offset, words in ((o, w.split()) for o, w in (x.split(":") for x in lines))
    ]


@pytest.mark.parametrize("order", ORDERS)
def test_words_are_in_the_hosts_byte_order(order):
    assert queue([1, 2, 3, 4, 5, 6, 7, 8], order).table.records()[1] == {
        "offset": 16,
        "w0": 5,
        "w1": 6,
        "w2": 7,
        "w3": 8,
    }


def test_the_summary_says_how_much_of_the_queue_is_not_zero():
    assert queue([0] * 4 + [0, 0, 1, 0] + [0] * 4).summary == "48 bytes; 1 of 3 rows not zero"


def test_every_genuine_queue_goes_both_ways():
    for number in NUMBERS:
        check_genuine(entity_name(number))


def test_one_changed_cell_is_one_changed_bit():
    check_one_cell(queue([0] * 64), "rows", "w2", 3, changed_bit=8 * (3 * 16 + 8))


def test_any_bytes_make_a_table():
    check_any_bytes("cim_ibq_tp0", queue(list(range(512))).data)
