"""ULPTX_LA (62)."""

from __future__ import annotations

import struct

import pytest
from cudbg_builder import Entity, cudbg
from entity_checks import (
    ORDERS,
    UNIFIED_WIRE,
    Payload,
    check_any_bytes,
    check_both_ways,
    check_genuine,
    check_one_cell,
    genuine,
    unified_wire,
    viewed,
)

MARK = {"little": "<", "big": ">"}
READS = 11 * 512


def analysers(*, order: str = "little", header: bool = True, revision: int = 1) -> bytes:
    """Pointers 100.., 200.., 300..; reads 0 to 5631; ASIC pointers 400.., words 1000.. ."""
    mark = MARK[order]
    body = struct.pack(f"{mark}33I", *range(100, 111), *range(200, 211), *range(300, 311)) + struct.pack(
        f"{mark}{READS}I", *range(READS)
    )
    if not header:
        return body
    asic = struct.pack(f"{mark}128I", *range(400, 528)) + struct.pack(f"{mark}768I", *range(1000, 1768))
    return struct.pack(mark + "IHH", 0xCCEDB001, revision, 26244) + body + asic


@pytest.mark.parametrize("order", ORDERS)
def test_each_read_has_the_pointers_of_its_analyser(order):
    payload = Payload("ulptx_la", analysers(order=order), order=order)
    table = payload.table
    assert len(table) == READS + 128
    row = table.records()[3 * 512 + 7]
    assert (row["la"], row["index"], row["data"]) == ("3", 7, 3 * 512 + 7)
    assert (row["rdptr"], row["wrptr"], row["rddata"]) == (103, 203, 303)
    assert [row[f"w{i}"] for i in range(6)] == [None] * 6
    at = 8 + 33 * 4 + 4 * (3 * 512 + 7)
    assert table.spans[3 * 512 + 7].tolist() == [at, at + 4]
    check_both_ways(payload)


@pytest.mark.parametrize("order", ORDERS)
def test_samples_of_the_debug_port_follow(order):
    data = analysers(order=order)
    table = Payload("ulptx_la", data, order=order).table
    row = table.records()[READS + 2]
    assert (row["la"], row["index"], row["rdptr"]) == ("asic", 2, 402)
    assert (row["wrptr"], row["rddata"], row["data"]) == (None, None, None)
    assert [row[f"w{i}"] for i in range(6)] == [*range(1012, 1018)]
    assert table.spans[-1].tolist() == [len(data) - 24, len(data)]


def test_the_sixth_word_is_said_to_be_of_another_block():
    assert "PM_RX_CFG" in Payload("ulptx_la", analysers()).table.attrs["note"]


def test_the_unified_wire_has_neither_version_nor_samples():
    payload = Payload("ulptx_la", analysers(header=False), version=UNIFIED_WIRE)
    table = payload.table
    assert len(table) == READS
    assert "note" not in table.attrs
    assert table.records()[-1]["wrptr"] == 210
    check_both_ways(payload)


def test_a_changed_read_changes_its_bits_only():
    check_one_cell(Payload("ulptx_la", analysers()), "rd_data", "data", 512, changed_bit=8 * (8 + 33 * 4 + 512 * 4))
    check_one_cell(Payload("ulptx_la", analysers()), "rddata_asic", "w5", 127, changed_bit=8 * (26252 - 4))


def test_the_summary_counts_analysers():
    assert Payload("ulptx_la", analysers()).summary == "11 analysers, data of 11 changing; 128 ASIC samples"


def test_another_revision_is_a_newer_layout():
    nic = cudbg(Entity(62, analysers(revision=2))).open()
    assert nic.entity_table("ulptx_la").schema.name == "entity_bytes"


def shown(lines: list[str]) -> list[tuple[int, int, int, list[int]]]:
    """(rdptr, wrptr, rddata, reads) of each analyser, as the viewer prints them."""
    found, words, names = [], [], ("RDPTR", "WRPTR", "RDDATA")
    for line in lines:
        value = [part for part in line.split() if part.startswith("0x") or part == "0"]
        if any(f"ULP_TX_LA_{name}" in line for name in names):
            words.append(int(line.split()[2], 0))
        elif line.startswith("["):
            found[-1][3].append(int(value[-1], 0))
        if len(words) == 3:
            found.append((*words, []))
            words = []
    return found


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-errors-zlib", "t6-kdump-zlib", "uw-t6-fastlz"])
def test_the_viewer_shows_the_same_reads(blob, shared_data):
    found, lines = viewed(blob, "ulptx_la", adapted=not blob.startswith("uw-"))
    expected = []
    for la in range(11):
        reads = [row for row in found if row["la"] == str(la)]
        expected.append((*(reads[0][n] for n in ("rdptr", "wrptr", "rddata")), [row["data"] for row in reads]))
    assert shown(lines) == expected


def test_genuine_dumps_have_samples_and_the_unified_wire_has_none(shared_data):
    for dump in genuine("ulptx_la"):
        assert dump.nic.entity_table("ulptx_la").values("la").count("asic") == 128
    assert "asic" not in unified_wire().entity_table("ulptx_la").values("la")


def test_genuine_payloads_go_both_ways(shared_data):
    check_genuine("ulptx_la")


@pytest.mark.parametrize("header", [True, False])
def test_any_bytes_are_a_table(header):
    check_any_bytes("ulptx_la", analysers(header=header))
