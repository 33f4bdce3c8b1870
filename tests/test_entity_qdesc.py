"""QDESC (70)."""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
from cudbg_builder import Entity, cudbg
from entity_checks import ORDERS, Payload, check_any_bytes, check_both_ways, check_one_cell, genuine, rows

import vmcoredd_lab as vl
from vmcoredd_lab.devices.cxgb4.entities.qdesc import descriptors_table
from vmcoredd_lab.frames import to_frame

MARK = {"little": "<", "big": ">"}
NIC_TXQ, NIC_RXQ, NIC_FLQ, CTRLQ, FWEVTQ, INTRQ = range(1, 7)
ETH_TX_PKT, RX_PKT = 0x08, 0x3B


def queue(
    qtype: int, qid: int, ring: bytes, step: int, *, order: str = "little", header: int = 20, **told: int
) -> bytes:
    """A queue's header and descriptors; `told` replaces members."""
    members = {"data_size": len(ring), "qtype": qtype, "qid": qid, "desc_size": step, "num_desc": len(ring) // step}
    return struct.pack(MARK[order] + "5I", *(members | told).values()) + bytes(header - 20) + ring


def qdesc(*queues: bytes, order: str = "little", count: int | None = None, entry_size: int = 20, info_size: int = 8,
          tail: int = 100) -> bytes:  # fmt: skip
    """The payload: headers, queues, and the zeros behind them."""
    count = len(queues) if count is None else count
    head = struct.pack(MARK[order] + "IHHII", 0xCCEDB001, 1, info_size, entry_size, count)
    return head + bytes(info_size - 8) + b"".join(queues) + bytes(tail)


def work_request(opcode: int, immediate: int = 0, len16: int = 0) -> bytes:
    return struct.pack(">II56x", opcode << 24 | immediate, len16)


def response(kind: int, *, size: int = 64, opcode: int = 0, header: int = 0, payload: int = 0, new: bool = False,
             generation: int = 0) -> bytes:  # fmt: skip
    body = bytearray(size)
    body[0] = opcode
    struct.pack_into(">IIB", body, size - 16, header, payload | new << 31, generation << 7 | kind << 4)
    return bytes(body)


def buffers(*addresses: int) -> bytes:
    return struct.pack(f">{len(addresses)}Q", *addresses)


def found(payload: Payload, qid: int, qtype: int | str | None = None) -> list[dict[str, Any]]:
    table = descriptors_table(payload.parts, payload.context, qid, qtype)
    assert table is not None
    return table.records()


@pytest.mark.parametrize("order", ORDERS)
def test_queues_follow_one_another_without_a_gap(order):
    one, two = queue(NIC_TXQ, 8, bytes(128), 64, order=order), queue(NIC_FLQ, 33, bytes(24), 8, order=order)
    payload = Payload("qdesc", qdesc(one, two, order=order), order=order)
    got = payload.table.records()
    assert [(r["qtype_name"], r["qid"], r["desc_size"], r["num_desc"], r["data_size"]) for r in got] == [
        ("nic_txq", 8, 64, 2, 128), ("nic_flq", 33, 8, 3, 24)]  # fmt: skip
    assert [r["offset"] for r in got] == [36, 36 + 128 + 20]
    assert payload.table.spans.tolist() == [[16, 164], [164, 208]]
    assert payload.summary == "2 queues: 1 transmit, 0 receive, 1 free list"
    check_both_ways(payload)


def test_longer_headers_of_a_later_driver_are_stepped_over():
    queues = [queue(NIC_FLQ, n, buffers(n << 12), 8, header=32) for n in (1, 2)]
    payload = Payload("qdesc", qdesc(*queues, entry_size=32, info_size=16))
    assert [r["qid"] for r in payload.table.records()] == [1, 2]
    assert found(payload, 2)[0]["address"] == 2 << 12
    check_both_ways(payload)


def test_the_zeros_behind_the_queues_are_not_queues_whatever_the_header_counts():
    payload = Payload("qdesc", qdesc(queue(CTRLQ, 1, bytes(64), 64), count=1 << 31, tail=1 << 20))
    assert len(payload.table) == 1
    assert "counts 2,147,483,648 queues; 1 are there" in payload.table.attrs["note"]


def test_a_ring_that_is_cut_off_keeps_what_is_there():
    whole = qdesc(queue(NIC_FLQ, 5, buffers(*range(0, 640, 64)), 8), tail=0)
    payload = Payload("qdesc", whole[:-13])
    (row,) = payload.table.records()
    assert (row["data_size"], row["complete"]) == (80, False)
    assert [r["address"] for r in found(payload, 5)] == list(range(0, 512, 64))
    check_both_ways(payload)


def test_sizes_that_do_not_fit_one_another_leave_the_words_as_they_are():
    payload = Payload("qdesc", qdesc(queue(NIC_TXQ, 5, b"\x08" * 20, 64, num_desc=7), queue(CTRLQ, 6, bytes(64), 64)))
    assert [(r["qid"], r["complete"]) for r in payload.table.records()] == [(5, True), (6, True)]
    assert [set(r) & {"flit0", "opcode"} for r in found(payload, 5)] == [{"flit0"}] * 2
    check_both_ways(payload)


@pytest.mark.parametrize(
    "told", [{"data_size": 0xFFFFFFFF}, {"desc_size": 0}, {"desc_size": 0xFFFFFFF8}, {"num_desc": 1 << 31}]
)
def test_lying_sizes_cost_nothing(told):
    payload = Payload("qdesc", qdesc(queue(NIC_TXQ, 5, bytes(64), 64, **told)))
    assert len(payload.table) == 1
    check_both_ways(payload)


def test_a_driver_without_queues_is_said_to_have_none():
    payload = Payload("qdesc", qdesc())
    assert (len(payload.table), payload.summary) == (0, "no queues: the driver had set up none")
    assert "kdump" in payload.table.attrs["note"]


def test_32_mib_of_zeros_are_neither_copied_nor_looked_at():
    data = qdesc(queue(NIC_TXQ, 5, bytes(64), 64), tail=32 << 20)
    payload = Payload("qdesc", data)
    tracemalloc.start()
    table = payload.table
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(table) == 1
    assert most < 1 << 20


# -- descriptors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("qtype", [NIC_TXQ, CTRLQ])
def test_a_transmit_descriptor_begins_with_a_work_request(qtype):
    payload = Payload("qdesc", qdesc(queue(qtype, 8, work_request(ETH_TX_PKT, 40, 3) + work_request(0xEE), 64)))
    first, second = found(payload, 8)
    assert (first["opcode"], first["opcode_name"], first["immediate_length"], first["length"]) == (
        8,
        "FW_ETH_TX_PKT_WR",
        40,
        48,
    )
    assert (first["flit0"], first["flit7"], first["index"], first["offset"]) == (0x0800002800000003, 0, 0, 36)
    assert (second["opcode"], second["opcode_name"], second["index"], second["offset"]) == (0xEE, None, 1, 100)


def test_a_response_ends_with_lengths_type_and_generation():
    ring = response(0, opcode=RX_PKT, header=24, payload=1500, new=True, generation=1) + response(1, opcode=RX_PKT)
    free, cpl = found(Payload("qdesc", qdesc(queue(NIC_RXQ, 2, ring, 64))), 2)
    assert [free[n] for n in ("response_type_name", "header_length", "payload_length", "new_buffer", "generation")] == [
        "free list buffer", 24, 1500, True, 1]  # fmt: skip
    assert (free["opcode_name"], free["interrupt_qid"]) == ("CPL_RX_PKT", None)
    assert (cpl["response_type_name"], cpl["new_buffer"], cpl["generation"]) == ("CPL", False, 0)


def test_an_interrupt_names_a_queue_and_has_no_message():
    (row,) = found(Payload("qdesc", qdesc(queue(FWEVTQ, 2, response(2, opcode=RX_PKT, payload=77), 64))), 2)
    assert (row["response_type_name"], row["interrupt_qid"], row["payload_length"]) == ("interrupt", 77, None)
    assert (row["opcode"], row["opcode_name"]) == (None, None)


def test_an_entry_of_16_bytes_has_no_room_for_a_message():
    (row,) = found(Payload("qdesc", qdesc(queue(INTRQ, 2, response(1, size=16, header=9), 16))), 2)
    assert (row["response_type_name"], row["header_length"], row["opcode"]) == ("CPL", 9, None)


def test_the_low_bits_of_a_free_list_address_are_the_size_of_the_buffer():
    (row,) = found(Payload("qdesc", qdesc(queue(NIC_FLQ, 2, buffers(0x123456789ABCDE0 | 0x11), 8))), 2)
    assert (row["address"], row["buffer_size_index"], row["flit0"]) == (0x123456789ABCDE0, 1, 0x123456789ABCDF1)


def test_two_queues_of_one_id_are_told_apart_by_type():
    payload = Payload("qdesc", qdesc(queue(NIC_TXQ, 8, work_request(1), 64), queue(NIC_FLQ, 8, buffers(64), 8)))
    both = found(payload, 8)
    assert [(r["qtype_name"], r["opcode"], r["address"], r["flit7"]) for r in both] == [
        ("nic_txq", 1, None, 0), ("nic_flq", None, 64, None)]  # fmt: skip
    for qtype in (NIC_FLQ, "nic_flq", "CUDBG_QTYPE_NIC_FLQ"):
        assert [r["qtype"] for r in found(payload, 8, qtype)] == [NIC_FLQ]
    assert descriptors_table(payload.parts, payload.context, 8, "no such type") is None


def test_the_adapter_gives_descriptors_as_a_frame():
    nic = cudbg(
        Entity(70, qdesc(queue(NIC_TXQ, 8, work_request(1), 64), queue(NIC_FLQ, 8, buffers(1 << 63), 8)))
    ).open()
    frame = nic.descriptors(8)
    assert str(frame["flit0"].dtype) == "UInt64"
    assert frame["address"].iloc[1] == 1 << 63
    assert frame["opcode"].isna().tolist() == [False, True]
    assert len(nic.descriptors(8, "nic_txq")) == 1
    with pytest.raises(vl.NotInFileError, match="no queue 9"):
        nic.descriptors(9)


def test_a_changed_flit_changes_its_bits_only():
    payload = Payload("qdesc", qdesc(queue(NIC_TXQ, 8, bytes(128), 64)))
    check_one_cell(payload, "descriptors0", "flit2", 1, changed_bit=8 * (16 + 20 + 64 + 23))
    check_one_cell(payload, "queue0", "qid", 0, changed_bit=8 * (16 + 8))


def test_genuine_dumps_decode_to_the_queues_of_the_driver():
    names = ("qtype", "qid", "desc_size", "num_desc", "data_size")
    for dump in genuine("qdesc"):
        held = dump.model["qdesc_queues"]
        assert [[r[n] for n in names] for r in rows(dump, "qdesc")] == [[one[n] for n in names] for one in held], (
            dump.name
        )
        for one in held:
            first = dump.nic.descriptors(one["qid"], one["qtype"]).iloc[0]
            flits = [int(first[f"flit{i}"]) for i in range(one["desc_size"] // 8)]
            assert flits[: len(one["first_desc_be64"])] == one["first_desc_be64"][: len(flits)], (dump.name, one["qid"])


def test_genuine_payloads_go_both_ways(shared_data):
    for dump in genuine("qdesc"):
        if dump.name in ("t5-live-zlib", "t6-kdump-zlib"):  # each makes a text of 64 MiB
            check_both_ways(Payload("qdesc", dump.nic.entity_bytes("qdesc"), dump.nic.chip))


def test_any_bytes_are_a_table():
    check_any_bytes("qdesc", qdesc(queue(NIC_TXQ, 8, bytes(64), 64), queue(NIC_RXQ, 1, response(1), 64), tail=5000))


def test_any_queue_has_descriptors():
    random = np.random.default_rng(1)
    for step in (1, 7, 8, 16, 24, 64, 128, 136, 4096):
        for qtype in (*range(25), 0xFFFFFFFF):
            payload = Payload("qdesc", qdesc(queue(qtype, 1, random.bytes(step * 3), step)))
            table = descriptors_table(payload.parts, payload.context, 1)
            assert table is not None
            assert len(to_frame(table)) == (3 if step % 8 == 0 and step <= 128 else step * 3 // 8)


def test_a_header_that_counts_many_queues_of_noise_is_read_quickly():
    noise = struct.pack("<5I", 0, 1, 2, 3, 4) * (1 << 18)
    payload = Payload("qdesc", qdesc(noise, count=0xFFFFFFFF))
    assert len(payload.table) == 1 << 14
