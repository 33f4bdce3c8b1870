"""PCIE_CONFIG (55)."""

from __future__ import annotations

import re
import struct

import pytest
from entity_checks import (
    ORDERS,
    UNIFIED_WIRE,
    Payload,
    check_any_bytes,
    check_both_ways,
    check_genuine,
    check_one_cell,
    genuine,
    rows,
    unified_wire,
    viewed,
)

from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.register_table import parse_fields

MARK = {"little": "<", "big": ">"}
# The first and last offset of each range that the driver reads.
LINUX = [(0, 0x34), (0x3C, 0x40), (0x50, 0x64), (0x70, 0x80), (0x94, 0xA0), (0xB0, 0xB8), (0xD0, 0xD4), (0x100, 0x128),
         (0x140, 0x148), (0x150, 0x164), (0x170, 0x178), (0x180, 0x194), (0x1A0, 0x1B8), (0x1C0, 0x208)]  # fmt: skip


def config(*words: int, order: str = "little") -> bytes:
    return struct.pack(MARK[order] + "97I", *[*words, *[0] * 97][:97])


@pytest.mark.parametrize("order", ORDERS)
def test_words_are_at_the_offsets_of_the_ranges(order):
    payload = Payload("pcie_config", config(*range(97), order=order), order=order)
    table = payload.table
    assert table.values("offset") == [at for first, last in LINUX for at in range(first, last + 4, 4)]
    assert table.values("value") == [*range(91)]  # six words of the buffer are not used
    assert None not in table.values("register")
    check_both_ways(payload)


def test_the_unified_wire_reads_two_words_more():
    table = Payload("pcie_config", config(*range(97)), version=UNIFIED_WIRE).table
    by_offset = dict(zip(table.values("offset"), table.values("value"), strict=True))
    assert len(by_offset) == 93
    assert (by_offset[0x40], by_offset[0x44], by_offset[0x50]) == (15, 16, 17)
    assert (by_offset[0x148], by_offset[0x14C], by_offset[0x150]) == (50, 51, 52)


def test_no_field_is_beyond_its_word_or_in_another():
    for row in read_table("pcie_config_regs.csv"):
        fields = parse_fields(row["fields"])
        taken = [bit for field in fields for bit in range(field.lsb, field.lsb + field.width)]
        assert all(bit < 32 for bit in taken), row["register"]
        assert len(taken) == len(set(taken)), row["register"]
        assert len(fields) == len({field.name for field in fields}), row["register"]


def test_fields_are_a_table():
    payload = Payload("pcie_config", config(0x64011425))
    found = payload.one.fields(payload.parts, payload.context).records()
    assert [tuple(row.values()) for row in found[:2]] == [
        (0, "PCIE_DEVID_VENID", "DeviceID", 16, 16, 0x6401),
        (0, "PCIE_DEVID_VENID", "VendorID", 0, 16, 0x1425),
    ]


def test_a_row_names_its_fields_that_are_set():
    table = Payload("pcie_config", config(0, 0b100 | 1 << 30 | 5 << 11)).table
    assert table.values("fields")[:2] == ["", "SigSERR, Rsvd4 0x5, BusMasterEnable"]


def test_an_adapter_off_the_bus_is_told():
    payload = Payload("pcie_config", b"\xff" * 388)
    assert "did not answer" in payload.table.attrs["note"]
    assert payload.summary == "the function did not answer: all ones"


def test_the_summary_has_the_device():
    payload = Payload("pcie_config", config(0x54011425))
    assert payload.summary == "device 1425:5401, 91 registers"
    assert "note" not in payload.table.attrs


def test_a_changed_word_changes_its_bits_only():
    check_one_cell(Payload("pcie_config", config()), "words", "value", 90, changed_bit=90 * 32)


def test_genuine_dumps_decode_to_what_the_adapter_held():
    for dump in genuine("pcie_config"):
        assert [[r["offset"], r["value"]] for r in rows(dump, "pcie_config")] == dump.model["pcie_config"], dump.name


LINE = re.compile(r" *(\d+):(\d+) (\S+) +(\w+) +\d+")
# Of these the viewer has bits that another field has too, or one name twice.
VIEWER_WRONG = {("PCIE_DEV_CAP", "Rsvd1"), ("PCIE_DEV_CAP2", "AtomicOpRouteSup"), ("PCIE_AER_COR_ERR_MASK", "RplNumRollOver"),
                ("PCIE_AER_COR_ERR_MASK", "Rsvd2")}  # fmt: skip


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-errors-zlib", "t6-kdump-zlib", "t6-uwpair-zlib"])
def test_the_viewer_shows_the_same_fields(blob, shared_data):
    # Of the words as Linux has them: it knows nothing of the two that the Unified Wire reads besides.
    found, lines = viewed(blob, "pcie_config")
    nic = next(dump.nic for dump in genuine("pcie_config") if dump.name == blob)
    payload = Payload("pcie_config", nic.entity_bytes("pcie_config"))
    fields = payload.one.fields(payload.parts, payload.context).records()
    values: dict[object, int] = {(r["register"], r["field"]): r["value"] for r in fields}
    values |= {r["register"]: r["value"] for r in found}
    register, compared = "", 0
    for line in lines:
        if line.startswith("["):
            name, value = line.split("]")[1].replace(" Register ", " ").split()[:2]
            register = name if name.startswith("P") else f"P{name}"
            key: object = register
        elif match := LINE.match(line):
            value, key = match[4], (register, match[3])
        else:
            continue
        if key not in VIEWER_WRONG:
            assert values[key] == int(value, 0), key
            compared += 1
    assert compared > 500


def test_the_unified_wire_reads_the_same_of_the_same_adapter(shared_data):
    linux = next(dump for dump in genuine("pcie_config") if dump.name == "t6-uwpair-zlib")
    read = {r["offset"]: r["value"] for r in unified_wire().entity_table("pcie_config").records()}
    other = [r["offset"] for r in rows(linux, "pcie_config") if read[r["offset"]] != r["value"]]
    assert set(other) <= {0xD0, 0xD4}  # through which the VPD itself is read


def test_genuine_payloads_go_both_ways(shared_data):
    check_genuine("pcie_config")


@pytest.mark.parametrize("version", [(1, 14), UNIFIED_WIRE])
def test_any_bytes_are_a_table(version):
    check_any_bytes("pcie_config", config(*range(97)), version=version)
