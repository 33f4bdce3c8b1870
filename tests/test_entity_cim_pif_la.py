"""CIM_PIF_LA: requests and responses, each oldest first."""

from __future__ import annotations

import struct

import pytest
from entity_checks import ORDERS, Payload, check_any_bytes, check_genuine, check_one_cell, genuine, rows
from viewer_text import rows_of_words, viewer_text, word_cells


def collected(
    request: list[int], response: list[int], order: str = "little", *, size: int = 64, rows: int = 64
) -> Payload:
    """The same request and the same response `rows` times; `size` is the count that the driver stores."""
    words = [size, *request * rows, *response * rows]
    return Payload("cim_pif_la", struct.pack((">" if order == "big" else "<") + f"{len(words)}I", *words), "T6", order)


REQUEST = [0x03030303, 0x02020202, 0x01010101, 0x00000000, 0xADD4ADD4, 0xC000BEEF | 0xA5 << 22 | 0x2A << 16]
RESPONSE = [0x13131313, 0x12121212, 0x11111111, 0x10101010, 0xFFFFC000 | 0x5A << 6 | 0x15, 0xDEADBEEF]


def test_rows_are_the_words_that_the_hardware_held():
    for dump in genuine("cim_pif_la"):
        table, held = rows(dump, "cim_pif_la"), dump.model["cim_pif_la_req_rsp"]
        for i, direction in enumerate(("request", "response")):
            one = [r for r in table if r["direction"] == direction]
            assert word_cells(one, 6) == rows_of_words([pair[i] for pair in held], 6)
            assert [r["row"] for r in one] == list(range(64))


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-kdump-zlib", "t6-errors-zlib"])
def test_rows_read_as_the_viewer_prints_them(blob):
    lines = [" ".join(line.split()) for line in viewer_text(blob, "45_cimpifla.txt")[1:]]
    dump = next(d for d in genuine("cim_pif_la") if d.name == blob)
    table = rows(dump, "cim_pif_la")
    requests = [f"{r['cntl']:02x} {r['id']:02x} {r['data_be']:04x} {r['addr']:08x} {r['data']}" for r in table[:64]]
    responses = [f"{r['cntl']:02x} {r['id']:02x} {r['data']}" for r in table[64:]]
    assert lines == ["Cntl ID DataBE Addr Data", *requests, "", "Cntl ID Data", *responses]


@pytest.mark.parametrize("order", ORDERS)
def test_a_request_has_an_address_and_byte_enables(order):
    row = collected(REQUEST, RESPONSE, order).table.records()[5]
    assert (row["cntl"], row["id"], row["data_be"], row["addr"]) == (0xA5, 0x2A, 0xBEEF, 0xADD4ADD4)
    assert row["data"] == "00000000010101010202020203030303"


@pytest.mark.parametrize("order", ORDERS)
def test_a_response_has_neither(order):
    row = collected(REQUEST, RESPONSE, order).table.records()[64 + 5]
    assert (row["cntl"], row["id"], row["data_be"], row["addr"]) == (0x5A, 0x15, None, None)
    assert row["data"] == "10101010111111111212121213131313"


@pytest.mark.parametrize("size", [0, 1, 63, 65, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_count_that_does_not_agree_with_the_length_is_not_believed(size):
    payload = collected(REQUEST, RESPONSE, size=size)
    assert payload.table.records() == collected(REQUEST, RESPONSE).table.records()
    assert payload.parts["rest"].size == 0


def test_a_count_that_agrees_with_the_length_is_believed():
    assert collected(REQUEST, RESPONSE, size=3, rows=3).table.values("direction") == ["request"] * 3 + ["response"] * 3


def test_an_adapter_off_the_bus_is_said_to_be():
    ones = [0xFFFFFFFF] * 6
    assert "did not answer" in collected(ones, ones).table.attrs["note"]
    assert "did not answer" in collected(ones, ones).summary
    assert collected(REQUEST, RESPONSE).table.attrs == {}
    assert collected(REQUEST, RESPONSE).summary == "64 requests and 64 responses"


def test_every_genuine_capture_goes_both_ways():
    check_genuine("cim_pif_la")


def test_one_changed_cell_is_one_changed_bit():
    check_one_cell(collected(REQUEST, RESPONSE), "responses", "w5", 1, changed_bit=8 * (4 + 1536 + 24 + 20))
    check_one_cell(collected(REQUEST, RESPONSE, "big"), "header", "size", 0, changed_bit=24)


def test_any_bytes_make_a_table():
    check_any_bytes("cim_pif_la", collected(REQUEST, RESPONSE).data)
