"""The cudbg container: struct cudbg_hdr, struct cudbg_entity_hdr, and which of their numbers are believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from builders import device_dump, elf, notes
from cudbg_builder import (
    BIG,
    CIM_LA,
    DEV_LOG,
    EDC0,
    ENTITY_HDR_SIZE,
    HDR_SIZE,
    LITTLE,
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
    Built,
    Entity,
    contents,
    cudbg,
    messages,
    usual,
)
from cudbg_truth import HERE, Known, names, shared

import vmcoredd_lab as vl


@pytest.fixture(scope="module", params=names())
def known(request: pytest.FixtureRequest) -> Known:
    return shared(request.param)


def signed(word: int) -> int:
    return word - (1 << 32) if word >= 1 << 31 else word


def by_number(nic: Any) -> dict[int, dict[str, Any]]:
    return {row["number"]: row for row in nic.entities_table().records()}


# -- genuine dumps ----------------------------------------------------------------------------------------------------


def test_every_attempted_entity_has_the_status_and_sizes_that_the_driver_wrote(known: Known) -> None:
    rows = by_number(known.nic)
    assert sorted(rows) == sorted(e["type"] for e in known.truth["entities"])
    for e in known.truth["entities"]:
        row = rows[e["type"]]
        got = [row[k] for k in ("name", "status", "sys_err", "sys_warn", "offset", "stored_size")]
        assert got == [
            e["name"].lower(), e["hdr_flags"], signed(e["sys_err"]), signed(e["sys_warn"]), e["start_offset"], e["size"],
        ]  # fmt: skip
        assert row["size"] == (e["uncompressed_size"] if e["hdr_flags"] == 0 else 0), e["name"]


def test_every_collected_entity_decodes_to_the_bytes_that_were_collected(known: Known) -> None:
    for e in known.truth["entities"]:
        if e["hdr_flags"] == 0 and e["size"]:
            data = known.nic.decoded(e["type"]).data
            assert len(data) == e["uncompressed_size"], e["name"]
            if "raw_sha256" in e:
                assert hashlib.sha256(data).hexdigest() == e["raw_sha256"], e["name"]


def test_a_genuine_dump_has_no_problems_and_a_known_length(known: Known) -> None:
    assert messages(known.nic) == []
    assert len(known.nic.problems) == 0
    assert known.nic.payload_size(known.nic.dump.data) == len(known.blob)


@pytest.mark.parametrize("name", ["t6-tiny-raw", "t6-stale-zlib"])
def test_small_genuine_dump(name: str) -> None:
    expected = json.loads((HERE / f"{name}.json").read_text())
    blob = (HERE / f"{name}.bin").read_bytes()
    nic = vl.open_device_dump(blob).decode()
    rows = nic.entities_table().records()
    keys = ["number", "name", "status", "sys_err", "sys_warn", "offset", "stored_size", "size"]
    assert [[row[k] for k in keys] for row in rows] == [[e[k] for k in keys] for e in expected["entities"]]
    digests = {n: hashlib.sha256(data).hexdigest() for n, data in contents(nic).items() if data is not None}
    assert digests == {e["number"]: e["sha256"] for e in expected["entities"] if e["sha256"]}
    assert (nic.chip, nic.compression, nic.payload_size(nic.dump.data)) == ("T6", expected["compression"], len(blob))
    assert messages(nic) == []


@pytest.mark.parametrize("record", [0, 1])
def test_records_of_the_unified_wire_follow_one_another(record: int) -> None:
    dump = vl.open_device_dump(HERE / "uw-t6-tworecords-fastlz.bin", record=record)
    nic = dump.decode()
    assert (dump.offset, dump.size, dump.payload_size) == (16768 * record, 16768, 16768)
    assert (nic.version, nic.compression, nic.container.slots) == ("1.9", "fastlz", 67)
    got = [
        [row[k] for k in ("name", "status", "offset", "stored_size", "size")] for row in nic.entities_table().records()
    ]
    assert got == [["dev_log", 0, 3540, 13140, 65536], ["path_mtu", 0, 16680, 88, 32]]
    assert messages(nic) == []


def test_there_is_no_third_record() -> None:
    with pytest.raises(vl.NotInFileError, match="no device dump with index 2"):
        vl.open_device_dump(HERE / "uw-t6-tworecords-fastlz.bin", record=2)


def test_a_unified_wire_dump_without_registers_claims_no_firmware_state() -> None:
    nic = vl.open_device_dump(HERE / "uw-t6-tworecords-fastlz.bin").decode()
    assert nic.firmware_state is None
    assert "firmware state" not in nic.identity()


# -- byte order, bit order, compression -------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [NONE, ZLIB])
@pytest.mark.parametrize(("order", "bit_order"), [(LITTLE, LITTLE), (BIG, BIG), (BIG, LITTLE)])
def test_hosts_of_both_byte_orders(order: str, bit_order: str, compression: int) -> None:
    built = usual(order=order, bit_order=bit_order, compression=compression)
    nic = built.open()
    assert nic.container.byteorder == order
    assert nic.compression == {NONE: "none", ZLIB: "zlib"}[compression]
    assert nic.entity_bytes("mbox_log") == b"mailbox" * 9
    words = dict(zip(nic.registers_table().values("address"), nic.registers_table().values("value"), strict=True))
    assert words[0x1008] == 0x1009
    assert [row["message"] for row in nic.firmware_log_table().records()] == [f"entry {n}" for n in range(6)]
    assert nic.identity()["firmware"] == "1.27.5.0"
    assert messages(nic) == []


@pytest.mark.parametrize("order", ORDERS)
def test_a_dump_without_entities_is_sound(order: str) -> None:
    nic = cudbg(order=order).open()
    assert (len(nic.entities_table()), messages(nic)) == (0, [])
    assert nic.payload_size(nic.dump.data) == HDR_SIZE + 72 * ENTITY_HDR_SIZE


@pytest.mark.parametrize("compression", [NONE, ZLIB])
@pytest.mark.parametrize("byte", [0x00, 0x01, 0x20, 0x23, 0x31, 0x51, 0xFF])
def test_an_impossible_compression_is_told_from_the_content(byte: int, compression: int) -> None:
    sound = usual(compression=compression)
    nic = usual(compression=compression).set_header(flags=byte).open()
    assert contents(nic) == contents(sound.open())
    assert [m for m in messages(nic) if "dump type and compression are not possible" in m]


@pytest.mark.parametrize(("chip", "name", "revision"), [(T4, "T4", 1), (T5, "T5", 1), (T6, "T6", 0), (0x62, "T6", 2)])
def test_chip_and_revision(chip: int, name: str, revision: int) -> None:
    nic = cudbg(Entity(PATH_MTU, bytes(32)), chip=chip).open()
    assert (nic.chip, nic.revision) == (name, revision)


def test_an_unknown_chip_keeps_its_entities_but_has_no_register_names() -> None:
    nic = usual().set_header(chip_ver=0x30).open()
    assert nic.entity_bytes("reg_dump") == usual().open().entity_bytes("reg_dump")
    with pytest.raises(vl.NotInFileError, match="no register table for chip T3"):
        nic.registers_table()
    assert messages(nic) == ["dump: the chip is not known; its registers cannot be named"]


@pytest.mark.parametrize(("written", "claimed"), [(T6, T4), (T4, T6), (T5, T4)])
def test_registers_of_another_size_betray_a_wrong_chip(written: int, claimed: int) -> None:
    nic = usual(chip=written).set_header(chip_ver=claimed).open()
    assert len(messages(nic)) == 1
    assert "chip_ver in the header is damaged" in messages(nic)[0]


# -- max_entities -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [80, 72, 71, 70, 67])
def test_the_number_of_slots_is_that_of_the_file(slots: int) -> None:
    nic = usual(max_entities=slots).open()
    assert nic.container.slots == slots
    assert by_number(nic)[MBOX_LOG]["offset"] == HDR_SIZE + slots * ENTITY_HDR_SIZE
    assert nic.entity_bytes("mbox_log") == b"mailbox" * 9
    assert messages(nic) == []


@pytest.mark.parametrize("number", [73, 80])
def test_an_entity_that_is_not_known_yet_still_gives_its_bytes(number: int) -> None:
    nic = cudbg(Entity(number, b"of the future"), max_entities=80).open()
    row = by_number(nic)[number]
    assert (row["name"], row["size"]) == (f"entity_{number}", 13)
    assert nic.entity_bytes(number) == nic.entity_bytes(f"entity_{number}") == b"of the future"


@pytest.mark.parametrize("written", [72, 71, 70, 67])
@pytest.mark.parametrize("lie", [0, 1, 3, 66, 68, 73, 200, 0x4048, 0xFFFF])
def test_a_wrong_max_entities_costs_nothing(written: int, lie: int) -> None:
    nic = usual(max_entities=written).set_header(max_entities=lie).open()
    assert contents(nic) == contents(usual(max_entities=written).open())
    assert messages(nic) == [
        f"dump: max_entities does not fit the entity headers, which end before the first payload: {written} is used"
    ]


def test_the_table_is_found_also_where_the_first_collection_failed() -> None:
    nic = cudbg(Entity(MBOX_LOG, status=-19), Entity(REG_DUMP, b"registers")).set_header(max_entities=500).open()
    assert nic.entity_bytes("reg_dump") == b"registers"


# -- the other numbers of the header ----------------------------------------------------------------------------------


@pytest.mark.parametrize("lie", [0, 4, 52, 57, 60, 108, 184, 4096, 0xFFFFFFFF])
def test_a_wrong_hdr_len_costs_nothing(lie: int) -> None:
    nic = usual().set_header(hdr_len=lie).open()
    assert contents(nic) == contents(usual().open())
    assert [m for m in messages(nic) if "hdr_len is not possible" in m]


@pytest.mark.parametrize("lie", [0, 56, 3800, 0xFFFFFFFF])
def test_a_wrong_data_len_costs_nothing_but_the_length(lie: int) -> None:
    nic = usual().set_header(data_len=lie).open()
    assert contents(nic) == contents(usual().open())
    assert nic.payload_size(nic.dump.data) is None
    assert [m for m in messages(nic) if m.startswith("dump: ") and "data_len" in m]


@pytest.mark.parametrize("difference", [-4, 4])
def test_data_len_is_believed_only_where_the_entities_bear_it_out(difference: int) -> None:
    built = usual()
    size = len(built.data)
    built.data += bytes(4096)
    assert built.open().dump.payload_size == size
    assert built.set_header(data_len=size + difference).open().dump.payload_size is None


def test_stale_bytes_behind_data_len_do_not_matter() -> None:
    built = usual()
    size = len(built.data)
    built.data += b"\xee" * 5000
    nic = built.open()
    assert (nic.dump.payload_size, messages(nic)) == (size, [])


# -- entity headers ---------------------------------------------------------------------------------------------------


def test_a_failed_collection_is_no_damage_and_says_why() -> None:
    nic = usual().open()
    row = by_number(nic)[CIM_LA]
    assert (row["status"], row["sys_err"], row["stored_size"], row["size"]) == (-29, -16, 0, 0)
    assert "not collected: the hardware was busy (-16)" in row["summary"]
    with pytest.raises(vl.NotInFileError, match="cim_la holds no data: not collected: the hardware was busy"):
        nic.entity_bytes("cim_la")
    assert messages(nic) == []


def test_a_warning_goes_with_data() -> None:
    nic = cudbg(Entity(59, b"some", sys_warn=-41)).open()
    row = by_number(nic)[59]
    assert (row["sys_warn"], nic.entity_bytes("le_tcam")) == (-41, b"some")
    assert "only part of the data was collected (-41)" in row["summary"]


def test_entities_that_were_not_asked_for_are_no_rows() -> None:
    nic = cudbg(Entity(EDC0, b"memory")).open()
    assert list(by_number(nic)) == [EDC0]
    with pytest.raises(vl.NotInFileError, match="its collection was not asked for"):
        nic.entity_bytes("dev_log")


def test_a_name_that_is_nearly_right_gets_a_hint() -> None:
    with pytest.raises(vl.NotInFileError, match=r"no entity is named reg_dum\. Did you mean reg_dump"):
        usual().open().entity_bytes("reg_dum")


@pytest.mark.parametrize("name", ["vpd_data", "VPD_DATA", "CUDBG_VPD_DATA", "58", 58])
def test_an_entity_is_found_by_name_or_number(name: str | int) -> None:
    assert usual().open().entity_table(name).values("sn") == ["PT01"]


SOUND = usual()
OTHERS = {CIM_LA, MBOX_LOG, DEV_LOG, REG_DUMP, VPD_DATA, EDC0}


def lies() -> Iterator[Any]:
    """Compression, and what one entity header has that is not true.

    Bytes of a raw entity that are zero cannot be told from padding: there num_pad is wrong only where it is impossible.
    """
    for compression, kind in ((NONE, "raw"), (ZLIB, "zlib")):
        tried: list[tuple[str, list[int]]] = [
            ("start_offset", [0, 100, 3000, 4000, len(SOUND.data) + 4096, 0x7FFFFFFF, 0xFFFFFFFF]),
            ("size", [1, 4, 20000, 0x7FFFFFFF, 0xFFFFFFFF]),
            ("num_pad", [4, 5, 200, 255] if compression == NONE else [0, 2, 3, 4, 255]),
            ("entity_type", [2, 28, 70, 73, 0xFFFFFFFF]),
            ("hdr_flags", [1, 255, 1 << 24, -5000]),
        ]
        for member, values in tried:
            for value in values:
                yield pytest.param(compression, {member: value}, id=f"{kind}-{member}-{value}")


@pytest.mark.parametrize(("compression", "members"), list(lies()))
def test_a_lie_in_one_entity_header_is_found_and_costs_no_other_entity(
    compression: int, members: dict[str, int]
) -> None:
    expected = contents(usual(compression=compression).open())
    nic = usual(compression=compression).set_entity(PATH_MTU, **members).open()
    got = contents(nic)
    assert {n: got[n] for n in OTHERS} == {n: expected[n] for n in OTHERS}
    assert messages(nic) or messages(nic, "warning")


@pytest.mark.parametrize("pad", [0, 2, 3])
def test_a_wrong_num_pad_costs_a_compressed_entity_nothing(pad: int) -> None:
    built = usual()
    assert bytes(built.data)[built.slot(PATH_MTU) + 24] == 1
    nic = built.set_entity(PATH_MTU, num_pad=pad).open()
    assert contents(nic) == contents(usual().open())
    assert [m for m in messages(nic) if "num_pad" in m]


@pytest.mark.parametrize("pad", [4, 32, 33, 255])
def test_an_impossible_num_pad_costs_a_raw_entity_nothing(pad: int) -> None:
    nic = usual(compression=NONE).set_entity(PATH_MTU, num_pad=pad).open()
    assert contents(nic) == contents(usual(compression=NONE).open())
    assert messages(nic) == ["dump, entity path_mtu: num_pad is not possible; it is taken as 0"]


def test_padding_that_is_not_zero_is_found() -> None:
    built = cudbg(Entity(PATH_MTU, b"12345678"), compression=NONE).set_entity(PATH_MTU, num_pad=3)
    assert [m for m in messages(built.open()) if "the padding behind the entity is not zero" in m]


def test_bytes_between_two_raw_entities_are_a_warning_that_one_may_be_longer() -> None:
    built = usual(compression=NONE).set_entity(PATH_MTU, size=28)
    assert messages(built.open(), "warning") == [
        "dump, entity path_mtu: 4 bytes behind it belong to no entity: it may be longer than its header says"
    ]


def test_an_entity_that_begins_inside_another_is_named() -> None:
    built = usual()
    built.set_entity(PATH_MTU, start_offset=built.offsets[EDC0] + 8)
    assert [m for m in messages(built.open()) if m == "dump, entity path_mtu: it begins inside entity edc0"]


def test_an_error_says_where_and_what() -> None:
    built = usual().set_entity(PATH_MTU, start_offset=0xFFFFFF00)
    found = next(p for p in built.open().problems if p.where == "dump, entity path_mtu")
    assert found.offset == built.slot(PATH_MTU) + 4
    assert found.got is not None
    assert "4,294,967,040" in found.got


# -- cut dumps --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(1, HDR_SIZE, 9))
def test_a_dump_cut_inside_its_header_cannot_be_opened(size: int) -> None:
    with pytest.raises(vl.OpenError):
        usual().cut(size).open()


@pytest.mark.parametrize("slots", [0, 1, 2, 30, 71])
def test_a_dump_cut_inside_the_entity_headers_keeps_those_before(slots: int) -> None:
    nic = usual().cut(HDR_SIZE + slots * ENTITY_HDR_SIZE + 20).open()
    assert list(by_number(nic)) == [n for n in sorted(OTHERS | {PATH_MTU}) if n <= slots]
    assert nic.payload_size(nic.dump.data) is None
    assert [m for m in messages(nic) if f"cut inside its entity headers: {slots} of 72 slots are there" in m]


@pytest.mark.parametrize("compression", [NONE, ZLIB])
def test_a_cut_dump_keeps_every_entity_before_the_cut(compression: int) -> None:
    built = usual(compression=compression)
    expected = contents(built.open())
    nic = built.cut(built.offsets[VPD_DATA] + 20).open()
    got = contents(nic)
    whole = [MBOX_LOG, DEV_LOG, REG_DUMP, PATH_MTU]
    assert {n: got[n] for n in whole} == {n: expected[n] for n in whole}
    assert got[EDC0] is None
    assert nic.entity_table(PATH_MTU)
    found = messages(nic)
    assert "dump, entity vpd_data: the dump is cut inside this entity; its beginning is used" in found
    assert "dump, entity edc0: the dump is cut before this entity" in found
    assert "dump: the dump is shorter than data_len says: it is cut, or data_len is wrong" in found
    assert by_number(nic)[VPD_DATA]["size"] is None


# -- in a vmcore ------------------------------------------------------------------------------------------------------


def in_vmcore(built: Built | bytes, name: str = "cxgb4_0000:02:00.4") -> vl.DeviceDump:
    data = bytes(built)
    return vl.open_vmcore(elf(notes(device_dump(name, data, page=4096)))).device_dumps[0]


def test_the_kernel_s_page_padding_is_not_payload() -> None:
    built = usual()
    dump = in_vmcore(built)
    assert dump.size % 4096 == 4096 - 64
    assert dump.payload_size == len(built.data)
    assert messages(dump.decode()) == []


@pytest.mark.parametrize("signature", [0, SOUND.data[0] ^ 1, 0x12345678, 0xFFFFFFFF])
@pytest.mark.parametrize("order", ORDERS)
def test_a_damaged_signature_costs_nothing_where_the_note_s_name_says_cxgb4(order: str, signature: int) -> None:
    dump = in_vmcore(usual(order=order).set_header(signature=signature))
    nic = dump.decode()
    assert contents(nic) == contents(usual(order=order).open())
    assert [m for m in messages(nic) if "the signature is damaged" in m]


def test_a_damaged_signature_under_another_driver_s_name_is_not_guessed_at() -> None:
    dump = in_vmcore(usual().set_header(signature=0), "other_0000:02:00.4")
    with pytest.raises(vl.NotInFileError, match="no decoder knows the content"):
        dump.decode()


def test_other_content_under_cxgb4_s_name_is_a_warning_and_keeps_its_bytes() -> None:
    dump = in_vmcore(b"something else entirely" * 10)
    assert dump.data[:23] == b"something else entirely"
    assert [(p.severity, p.where) for p in dump.problems()] == [("warning", "dump:cxgb4_0000:02:00.4")]
    assert dump.payload_size is None
    with pytest.raises(vl.NotInFileError):
        dump.decode()


def test_a_cudbg_dump_is_known_by_its_content_whatever_its_name() -> None:
    assert in_vmcore(usual(), "nonsense").decode().chip == "T6"


def test_a_note_that_ends_inside_the_header_is_an_error_and_no_exception() -> None:
    dump = vl.open_vmcore(elf(notes(device_dump("cxgb4_0000:02:00.4", bytes(usual())[:40])))).device_dumps[0]
    assert dump.row()[-1] == "the device dump is cut inside its cudbg header"
    assert [p.severity for p in dump.problems()] == ["error"]
