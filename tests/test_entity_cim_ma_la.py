"""CIM_MA_LA: requests, and the responses that the driver does not overwrite."""

from __future__ import annotations

import struct

import pytest
from entity_checks import ORDERS, Payload, check_any_bytes, check_genuine, check_one_cell, genuine, rows
from viewer_text import rows_of_words, viewer_text, word_cells


def collected(requests: list[int], responses: list[int], order: str = "little") -> Payload:
    """What the driver leaves of 320 words of each: it writes them in turn, the responses from byte 320 on."""
    words = [0] * 640
    for at, (request, response) in enumerate(zip(requests, responses, strict=True)):
        words[at] = request
        words[80 + at] = response
    return Payload("cim_ma_la", struct.pack((">" if order == "big" else "<") + "640I", *words), "T6", order)


def requests_and_responses(order: str = "little") -> Payload:
    return collected([0x10000 + i for i in range(320)], [0x20000 + i for i in range(320)], order)


def response(order: str = "little", **members: int) -> dict[str, int]:
    """The last response, its 66 low bits and what is above them put together from the members."""
    low = {"vld": 0, "rdy": 1, "data": 2, "ue": 66, "tag": 67, "id": 71, "cnt": 74}
    value = sum(members[name] << lsb for name, lsb in low.items())
    last = [value >> 32 * i & 0xFFFFFFFF for i in range(5)]
    return collected([0] * 320, [0] * 315 + last, order).table.records()[-1]


def test_requests_and_the_last_sixteen_responses_are_what_the_hardware_held():
    for dump in genuine("cim_ma_la"):
        table = rows(dump, "cim_ma_la")
        held = dump.model["cim_ma_la_req_rsp"]
        requests = [r for r in table if r["direction"] == "request"]
        known = [r for r in table if r["direction"] == "response" and r["reliable"]]
        assert word_cells(requests, 5) == rows_of_words([pair[0] for pair in held], 5)
        assert word_cells(known, 5) == rows_of_words([pair[1] for pair in held], 5)[48:]
        assert [r["row"] for r in known] == list(range(48, 64))


@pytest.mark.parametrize("order", ORDERS)
def test_responses_that_the_driver_overwrites_are_rows_without_values(order):
    table = requests_and_responses(order).table
    lost = [r for r in table.records() if not r["reliable"]]
    assert [(r["direction"], r["row"]) for r in lost] == [("response", row) for row in range(48)]
    assert all(r[name] is None for r in lost for name in ("w0", "w4", "request", "cnt", "data", "vld"))
    assert "Responses 0 to 47 are lost" in table.attrs["note"]
    assert table.values("w0")[112:] == [0x20000 + 5 * row for row in range(48, 64)]


def test_the_first_request_reads_as_the_viewer_prints_it():
    dump = next(d for d in genuine("cim_ma_la") if d.name == "t5-live-zlib")
    first = rows(dump, "cim_ma_la")[0]["request"]
    printed = viewer_text("t5-live-zlib", "04_cimmala.txt")[1]
    assert int(first, 16) == int(printed, 16) & (1 << 136) - 1


def test_a_request_is_one_number_of_136_bits():
    table = collected([0x44, 0x33, 0x22, 0x11, 0xABCDEF99] + [0] * 315, [0] * 320).table
    assert table.values("request")[0] == "99" + "00000011" + "00000022" + "00000033" + "00000044"


@pytest.mark.parametrize("order", ORDERS)
def test_a_response_has_its_fields_above_and_below_64_bits_of_data(order):
    members = {"vld": 1, "rdy": 0, "data": 0x8123456789ABCDEF, "ue": 0, "tag": 0xA, "id": 5, "cnt": 0xC3}
    found = response(order, **members)
    assert {name: found[name] for name in members} == members
    inverse = {"vld": 0, "rdy": 1, "data": ~members["data"] & (1 << 64) - 1, "ue": 1, "tag": 5, "id": 2, "cnt": 0x3C}
    found = response(order, **inverse)
    assert {name: found[name] for name in inverse} == inverse


def test_an_adapter_off_the_bus_is_said_to_be():
    dead = next(d for d in genuine("cim_ma_la", answering=False) if d.name == "t6-dead-zlib").nic
    assert "did not answer" in dead.entity_table("cim_ma_la").attrs["note"]
    assert "did not answer" in collected([0xFFFFFFFF] * 320, [0xFFFFFFFF] * 320).summary


def test_the_summary_says_that_responses_are_missing():
    assert requests_and_responses().summary == "64 requests, 16 of 64 responses: the driver loses the others"


def test_each_row_has_the_bytes_that_it_came_from():
    table = requests_and_responses().table
    assert table.spans[63].tolist() == [63 * 20, 64 * 20]
    assert table.spans[112].tolist() == [64 * 20, 65 * 20]
    assert table.spans[64:112].tolist() == [[80 * 20 + 20 * i, 80 * 20 + 20 * i + 20] for i in range(48)]


def test_every_genuine_capture_goes_both_ways():
    check_genuine("cim_ma_la")


def test_one_changed_cell_is_one_changed_bit():
    check_one_cell(requests_and_responses(), "requests", "w1", 2, changed_bit=8 * (2 * 20 + 4))
    check_one_cell(requests_and_responses("big"), "responses", "w0", 0, changed_bit=8 * (64 * 20 + 3))
    check_one_cell(requests_and_responses(), "unwritten", "w4", 47, changed_bit=8 * 2556)


def test_any_bytes_make_a_table():
    check_any_bytes("cim_ma_la", requests_and_responses().data)
