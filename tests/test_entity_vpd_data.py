"""VPD_DATA (58)."""

from __future__ import annotations

import pytest
from cudbg_builder import VPD_DATA, Entity, cudbg, vpd_data
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


def only(data: bytes, **surroundings):
    (row,) = Payload("vpd_data", data, **surroundings).table.records()
    return row


@pytest.mark.parametrize("order", ORDERS)
def test_texts_and_versions(order):
    data = vpd_data(sn=b"PT01", bn=b"110", na=b"000743000001", mn=b"T6", firmware=(1, 27, 5, 3), order=order)
    row = only(data, order=order)
    assert (row["sn"], row["bn"], row["na"], row["mn"]) == ("PT01", "110", "000743000001", "T6")
    assert [row[f"fw_{part}"] for part in ("major", "minor", "micro", "build")] == [1, 27, 5, 3]
    assert (row["scfg_vers"], row["vpd_vers"]) == (0x1000043, 0x35)
    check_both_ways(Payload("vpd_data", data, order=order))


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (b"T6-25G  \0junk", "T6-25G"),
        (b" \tT6", "T6"),
        (b"seventeen letters", "seventeen letters"),
        (b"\x1b[2J\xff", "\\x1b[2J\\xff"),
        (b"", ""),
    ],
)
def test_texts_end_at_their_nul_are_trimmed_and_escaped(stored, shown):
    assert only(vpd_data(mn=stored))["mn"] == shown


def test_the_unified_wire_stores_the_texts_only():
    payload = Payload("vpd_data", vpd_data()[:72], version=UNIFIED_WIRE)
    row = only(payload.data, version=UNIFIED_WIRE)
    assert (row["sn"], row["mn"], row["fw_major"], row["vpd_vers"]) == ("PT01", "T6", None, None)
    check_both_ways(payload)


def test_what_holds_no_texts_is_no_row():
    assert len(Payload("vpd_data", vpd_data()[:71]).table) == 0
    assert only(vpd_data()[:87])["sn"] == "PT01"


def test_the_summary_names_the_adapter():
    assert Payload("vpd_data", vpd_data()).summary == "T6, serial number PT01, firmware 1.27.5.0"
    assert Payload("vpd_data", vpd_data(firmware=(0, 0, 0, 0))).summary == "T6, serial number PT01"
    assert Payload("vpd_data", bytes(88)).summary == "no product id, serial number missing"


def test_a_changed_version_changes_its_bits_only():
    check_one_cell(Payload("vpd_data", vpd_data()), "vpd", "fw_build", 0, changed_bit=8 * 78)


@pytest.mark.parametrize("order", ORDERS)
def test_the_adapters_identity_is_taken_from_it(order):
    data = vpd_data(firmware=(1, 2, 3, 4), order=order)
    known = cudbg(Entity(VPD_DATA, data), order=order).open().identity()
    expected = {"serial number": "PT01", "part number": "110", "product": "T6", "MAC address": "00:07:43:00:00:01",
                "firmware": "1.2.3.4"}  # fmt: skip
    assert {name: known[name] for name in expected} == expected


def test_an_identity_without_firmware_version_has_none():
    assert "firmware" not in cudbg(Entity(VPD_DATA, vpd_data(firmware=(0, 0, 0, 0)))).open().identity()
    assert "serial number" not in cudbg(Entity(VPD_DATA, vpd_data()[:40])).open().identity()


def test_a_damaged_identity_is_not_believed():
    built = cudbg(Entity(VPD_DATA, vpd_data()))
    built.flip(built.pieces(VPD_DATA)[0].stream + 3)
    nic = built.open()
    assert "serial number" not in nic.identity()
    assert nic.entity_table("vpd_data").values("damaged") == [True]


def test_genuine_dumps_decode_to_what_the_adapter_held():
    names = {"sn": "sn", "bn_partno": "bn", "na_mac": "na", "mn_id": "mn"}
    for dump in genuine("vpd_data"):
        (row,) = rows(dump, "vpd_data")
        held = dump.model["vpd"]
        assert {key: row[names.get(key, key)] for key in held} == held, dump.name


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-kdump-zlib", "t6-uwpair-zlib", "uw-t6-fastlz"])
def test_the_viewer_shows_the_same_texts(blob, shared_data):
    (row,), lines = viewed(blob, "vpd_data")
    assert {line[:2].lower(): line[3:].strip() for line in lines} == {n: row[n] for n in ("mn", "sn", "bn", "na")}


def test_genuine_payloads_go_both_ways(shared_data):
    check_genuine("vpd_data")
    assert unified_wire().identity()["serial number"].startswith("PT06")


@pytest.mark.parametrize("version", [(1, 14), UNIFIED_WIRE])
def test_any_bytes_are_a_table(version):
    check_any_bytes("vpd_data", vpd_data(), version=version)
