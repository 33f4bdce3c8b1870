"""The adapter as a whole: who it is, what is in its dump, and what is read for an answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders import CountingSource
from cudbg_builder import (
    CIM_LA,
    DEV_LOG,
    EDC0,
    MBOX_LOG,
    NONE,
    ORDERS,
    PATH_MTU,
    REG_DUMP,
    T4,
    T5,
    T6,
    VPD_DATA,
    ZLIB,
    Entity,
    cudbg,
    messages,
    numbered_reg_dump,
    reg_dump,
    usual,
    vpd_data,
)
from cudbg_truth import HERE, Known, names, shared

import vmcoredd_lab as vl
from vmcoredd_lab.devices.dump import DeviceDump


@pytest.fixture(scope="module", params=names())
def known(request: pytest.FixtureRequest) -> Known:
    return shared(request.param)


def identity(*entities: Entity, **declared: Any) -> dict[str, str]:
    found: dict[str, str] = cudbg(*entities, **declared).open().identity()
    return found


# -- identity ---------------------------------------------------------------------------------------------------------


def test_who_the_adapter_is(known: Known) -> None:
    found, vpd = known.nic.identity(), known.model["vpd"]
    chip = known.truth["chip_version"]
    assert found["chip"] == f"T{chip} revision {known.truth['chip_code'] & 15}"
    if not known.collected("VPD_DATA"):
        assert not {"serial number", "part number", "product", "MAC address", "firmware"} & set(found)
        return
    mac = ":".join(vpd["na_mac"][at : at + 2] for at in range(0, 12, 2))
    assert (found["serial number"], found["part number"], found["product"]) == (
        vpd["sn"],
        vpd["bn_partno"],
        vpd["mn_id"],
    )
    assert found["MAC address"] == mac.lower()
    assert found["firmware"] == f"{vpd['fw_major']}.{vpd['fw_minor']}.{vpd['fw_micro']}.{vpd['fw_build']}"


def test_the_vpd_entity_has_the_members_of_the_structure(known: Known) -> None:
    if not known.collected("VPD_DATA"):
        with pytest.raises(vl.NotInFileError):
            known.nic.entity("vpd_data")
        return
    (row,) = known.nic.entity("vpd_data").to_dict("records")
    vpd = known.model["vpd"]
    assert [row[k] for k in ("sn", "bn", "na", "mn")] == [vpd[k] for k in ("sn", "bn_partno", "na_mac", "mn_id")]
    for member in ("fw_major", "fw_minor", "fw_micro", "fw_build", "scfg_vers", "vpd_vers"):
        assert row[member] == vpd[member], member


def test_the_small_genuine_dump_says_who_it_is_without_the_shared_data() -> None:
    vpd = json.loads((HERE / "t6-stale-zlib.json").read_text())["vpd"]
    found = vl.open_device_dump(HERE / "t6-stale-zlib.bin").decode().identity()
    assert (found["serial number"], found["product"]) == (vpd["sn"], vpd["mn_id"])
    assert found["device dump"] == "cudbg 1.14, compression zlib, 82.4 KiB"


@pytest.mark.parametrize("order", ORDERS)
def test_versions_are_in_the_host_s_byte_order(order: str) -> None:
    vpd = vpd_data(firmware=(1, 27, 5, 258), order=order)
    assert identity(Entity(VPD_DATA, vpd), order=order)["firmware"] == "1.27.5.258"


def test_a_firmware_that_was_not_asked_is_not_version_0() -> None:
    assert "firmware" not in identity(Entity(VPD_DATA, vpd_data(firmware=(0, 0, 0, 0))))


def test_strings_that_fill_their_array_have_no_nul() -> None:
    found = identity(Entity(VPD_DATA, vpd_data(sn=b"S" * 25, bn=b"B" * 17, mn=b"M" * 17, na=b"0007430000ff")))
    assert (found["serial number"], found["part number"], found["product"]) == ("S" * 25, "B" * 17, "M" * 17)
    assert found["MAC address"] == "00:07:43:00:00:ff"


def test_hostile_strings_are_escaped() -> None:
    found = identity(Entity(VPD_DATA, vpd_data(sn=b"\x1b[31mred", mn=b"caf\xe9\x07", na=b"<b>")))
    assert found["serial number"] == "\\x1b[31mred"
    assert found["product"] == "caf\\xe9\\x07"
    assert found["MAC address"] == "<b>"


@pytest.mark.parametrize("size", [0, 1, 20])
def test_a_short_vpd_is_no_identity_and_no_failure(size: int) -> None:
    found = identity(Entity(VPD_DATA, vpd_data()[:size] or b"\0"))
    assert "serial number" not in found


def test_a_damaged_vpd_is_no_identity_and_no_failure() -> None:
    built = cudbg(Entity(VPD_DATA, vpd_data()))
    built.flip(built.pieces(VPD_DATA)[0].stream + 20)
    assert "serial number" not in built.open().identity()
    assert messages(built.open())


def test_a_failed_vpd_is_no_identity_even_where_bytes_are_claimed() -> None:
    built = cudbg(Entity(VPD_DATA, vpd_data())).set_entity(VPD_DATA, hdr_flags=-22)
    assert "serial number" not in built.open().identity()


# -- summary, entities ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("chip", "name"), [(T4, "T4 rev 1"), (T5, "T5 rev 1"), (T6, "T6 rev 0")])
def test_the_summary_counts_what_was_collected(chip: int, name: str) -> None:
    nic = cudbg(Entity(PATH_MTU, bytes(32)), Entity(CIM_LA, status=-19), Entity(MBOX_LOG, b"x"), chip=chip).open()
    assert nic.summary() == f"{name}, 2 of 3 entities"
    assert repr(nic) == f"<Cxgb4 {name}, 2 of 3 entities>"


def test_the_summary_of_one_entity_is_in_the_singular() -> None:
    assert cudbg(Entity(PATH_MTU, bytes(32))).open().summary() == "T6 rev 0, 1 of 1 entity"


def test_the_entities_frame_has_exact_integers() -> None:
    frame = usual().open().entities
    assert frame.columns.tolist() == [
        "number", "name", "status", "sys_err", "sys_warn", "offset", "stored_size", "size", "summary",
    ]  # fmt: skip
    assert frame["number"].tolist() == [1, 2, 3, 18, 27, 58, 66]
    assert {str(frame[c].dtype) for c in ("status", "sys_err", "sys_warn")} == {"Int64"}
    assert {str(frame[c].dtype) for c in ("offset", "stored_size", "size")} == {"UInt64"}


def test_an_entity_without_a_decoder_gives_its_bytes() -> None:
    nic = cudbg(Entity(73, b"0123456789abcdef<\x00\xff>"), max_entities=80).open()
    rows = nic.entity_table(73).records()
    assert [(r["offset"], r["hex"], r["text"]) for r in rows] == [
        (0, "30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66", "0123456789abcdef"), (16, "3c 00 ff 3e", "<..>"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["reg_dump", 1])
def test_reg_dump_is_the_registers(name: str | int) -> None:
    nic = usual().open()
    assert nic.entity_table(name).records()[:50] == nic.registers_table().records()[:50]


def test_dev_log_is_the_firmware_log() -> None:
    nic = usual().open()
    assert nic.entity_table("dev_log").records() == nic.firmware_log_table().records()


@pytest.mark.parametrize(
    "name", ["", "nothing", "cudbg_", "entity_", "entity_x", "0", "-1", "99", "4294967297", "²", "\x1b[2J"]
)
def test_a_name_that_is_no_entity_is_not_in_the_file(name: str) -> None:
    with pytest.raises(vl.NotInFileError) as error:
        usual().open().entity(name)
    assert "\x1b" not in str(error.value)


def test_the_message_of_an_error_carries_path_and_offset(tmp_path: Any) -> None:
    built = usual()
    path = tmp_path / "t6.bin"
    path.write_bytes(bytes(built))
    with pytest.raises(vl.NotInFileError) as error:
        vl.open_device_dump(path).decode().entity("cim_la")
    assert error.value.path == str(path)
    assert error.value.offset == built.slot(CIM_LA)
    assert str(error.value).startswith(f"{path} at offset {built.slot(CIM_LA):#x}: entity cim_la holds no data")


# -- what is read -----------------------------------------------------------------------------------------------------


def counted(**declared: Any) -> tuple[Any, CountingSource]:
    built = cudbg(
        Entity(VPD_DATA, vpd_data()),
        Entity(REG_DUMP, numbered_reg_dump()),
        Entity(EDC0, bytes(range(256)) * 8000),
        **declared,
    )
    source = CountingSource(bytes(built.data), len(built.data))
    return DeviceDump(source, "cxgb4_0000:02:00.4", 0, len(built.data)).decode(), source


@pytest.mark.parametrize("compression", [NONE, ZLIB])
def test_opening_reads_headers_only(compression: int) -> None:
    nic, source = counted(compression=compression)
    assert nic.chip == "T6"
    assert nic.dump.payload_size == source.size
    assert source.largest < 20000
    assert source.count < 60000


def test_asking_for_one_entity_reads_no_other() -> None:
    nic, source = counted(compression=NONE)
    before = source.count
    assert nic.entity_bytes("vpd_data") == vpd_data()
    assert source.count - before < 1000


def test_nothing_is_decoded_twice() -> None:
    nic = usual().open()
    assert nic.decoded("reg_dump") is nic.decoded(REG_DUMP)
    nic.check()
    count = len(nic.problems)
    nic.check()
    assert len(nic.problems) == count


def test_problems_are_recorded_once_however_often_one_looks() -> None:
    built = usual()
    built.flip(built.pieces(DEV_LOG)[0].stream + 9)
    nic = built.open()
    for _ in range(3):
        nic.check()
        nic.entity_bytes("dev_log")
        nic.firmware_log_table()
    assert [p.where for p in nic.problems] == ["dump, entity dev_log"] * 2


def test_a_word_by_its_address() -> None:
    dump = cudbg(Entity(REG_DUMP, reg_dump({0x1008: 0xABCD}))).open().register_dump
    assert (dump.value(0x1008), dump.value(0x1009), dump.value(0), dump.value(1 << 40)) == (0xABCD, None, None, None)


def test_a_chip_that_is_not_known_keeps_its_entities_listed() -> None:
    blob = bytearray((Path(__file__).parents[1] / "sample_data" / "ethtool-t6-sge-parity.dump").read_bytes())
    blob[22] = 0x90  # chip_ver of struct cudbg_hdr
    nic = vl.open_device_dump(bytes(blob)).decode()
    rows = {row["name"]: row["summary"] for row in nic.entities_table().records()}
    assert len(rows) == 52
    assert rows["reg_dump"] == "BAR0 register snapshot"
    with pytest.raises(vl.NotInFileError, match="no register table for chip T9"):
        nic.registers_table()
