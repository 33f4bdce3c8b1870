"""Registers behind an index register: TP (36), SGE (37), PCIE (50), PM (51), MA (61), uP CIM (64), HMA (67)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from typing import Any

import pytest
from cudbg_builder import T4, T5, T6, Built, Entity, cudbg, numbered_reg_dump
from cudbg_truth import Known
from entity_checks import (
    ORDERS,
    Payload,
    check_any_bytes,
    check_both_ways,
    check_genuine,
    check_one_cell,
    genuine,
    rows,
    unified_wire,
)
from viewer_text import viewer_text

import vmcoredd_lab as vl
from vmcoredd_lab.devices.cxgb4.indirect_table import indirect_table, segments
from vmcoredd_lab.tables import Table

MARK = {"little": "<", "big": ">"}
NUMBER = {"tp_indirect": 36, "sge_indirect": 37, "pcie_indirect": 50, "pm_indirect": 51, "ma_indirect": 61,
          "up_cim_indirect": 64, "hma_indirect": 67}  # fmt: skip
ENTITIES = tuple(NUMBER)
PIO, MIB, MA, UP_CIM, SGE_HIGH, SGE_LOW = (
    (0x7E40, 0x7E44), (0x7E50, 0x7E54), (0x78F8, 0x78FC), (0x7B50, 0x7B54), (0x10CC, 0x10D0), (0x10CC, 0x10D4),
)  # fmt: skip
# Counters that run, and RSS registers that hold what was last selected: read again, they differ.
MOVING = {(0x8FD4, 0x10013), (0x8FD4, 0x10014), (0x8FF4, 0x1001A), (0x8FF4, 0x1001B), (0x7E44, 0x3A), (0x7E44, 0x3B)}


def record(pair: tuple[int, int], offset: int, count: int, values: Iterable[int] = (), *, order: str = "little",
           behind: int = 0) -> bytes:  # fmt: skip
    """A struct ireg_buf; `behind` is what the words hold that the driver did not write."""
    words = [*values, *[behind] * 32][:32]
    return struct.pack(MARK[order] + "4I32I", *pair, offset, count, *words)


def qbase(*, order: str = "little", index: int = 0x1250, vfs: int = 256) -> bytes:
    """A struct sge_qbase_reg_field: word j of the row of index n is 0x10000 * n + j."""
    words = [0x10000 * n + j for n in range(264) for j in range(4)]
    return struct.pack(f"{MARK[order]}5I1056II", index, 0x1240, 0x1244, 0x1248, 0x124C, *words, vfs)


def debug_data(order: str = "little") -> bytes:
    return record(SGE_HIGH, 0, 16, range(16), order=order) + record(SGE_LOW, 0, 16, range(100, 116), order=order)


def as_driver_writes(entity: str, chip: str, order: str = "little") -> bytes:
    """The records of the driver's list; each word holds its index."""
    lists = sorted(
        (s for s in segments() if s.entity == entity and chip in s.chips and s.record is not None),
        key=lambda s: s.record,
    )
    data = b""
    for s in lists:
        offset, count = (s.first, s.count) if s.stored_offset is None else (s.stored_offset, 0)
        values = [s.first + s.stride * k for k in range(s.count)]
        data += record((s.address_register, s.data_register), offset, count, values, order=order)
    return data


def found(payload: Payload) -> list[tuple[int, int, int]]:
    """Data register, index and value of every row."""
    return [(r["data_register"], r["address"], r["value"]) for r in payload.table.records()]


# -- how records are read ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("entity", "chip", "registers", "unnamed"), [
    ("tp_indirect", "T5", 245, 8), ("tp_indirect", "T6", 254, 2), ("sge_indirect", "T5", 32, 0), ("sge_indirect", "T6", 32, 0),
    ("pcie_indirect", "T5", 136, 1), ("pcie_indirect", "T6", 136, 1), ("pm_indirect", "T5", 106, 2),
    ("pm_indirect", "T6", 106, 2), ("ma_indirect", "T6", 103, 1), ("up_cim_indirect", "T5", 246, 6),
    ("up_cim_indirect", "T6", 334, 6), ("hma_indirect", "T6", 32, 0),
])  # fmt: skip
def test_every_word_of_the_drivers_list_is_a_row_at_its_index(entity, chip, registers, unnamed, order):
    table = Payload(entity, as_driver_writes(entity, chip, order), chip, order).table
    assert table.values("address") == table.values("value")
    assert (len(table), table.values("register").count(None)) == (registers, unnamed)
    assert "note" not in table.attrs


@pytest.mark.parametrize(("offset", "count", "addresses"), [
    (0x2080, 3, [0x2080, 0x2084, 0x2088]),
    (0x4904, 4, [0x4904, 0x4A24, 0x4B44, 0x4C64]),
    (0x4928, 16, [0x4928 + 0x10 * k for k in range(16)]),
])  # fmt: skip
def test_registers_of_the_processor_are_apart_as_their_kind_is(offset, count, addresses):
    assert [a for _, a, _ in found(Payload("up_cim_indirect", record(UP_CIM, offset, count)))] == addresses


@pytest.mark.parametrize(("stored", "left"), [(0xE620, 0), (0xE620, 0xAAA)])
def test_records_of_ma_begin_before_the_offset_that_they_store(stored, left):
    """The driver adds the stride to the stored offset as it reads; in the Unified Wire the range is not written at all."""
    data = record(MA, stored, left, range(17)) + record(MA, 0xE7E0, left, range(13), behind=0xBAD)
    expected = [(0x78FC, 0xE400 + 0x20 * k, k) for k in range(17)] + [(0x78FC, 0xE640 + 0x20 * k, k) for k in range(13)]
    assert found(Payload("ma_indirect", data)) == expected


def test_words_and_records_that_the_driver_did_not_write_are_no_rows():
    stale = record((0xE001E, 0x10001E), 0xF0014, 5, range(5))
    data = record(PIO, 0x20, 2, [7, 8], behind=0xBAD) + record(MIB, 0, 1, [9], behind=0xBAD) + bytes(144) + stale
    assert found(Payload("tp_indirect", data)) == [(0x7E44, 0x20, 7), (0x7E44, 0x21, 8), (0x7E54, 0, 9)]


def test_a_range_is_not_believed_beyond_the_record():
    table = Payload("hma_indirect", record((0x51320, 0x51324), 0xA000, 0xFFFFFFFF, range(32))).table
    assert table.values("value") == list(range(32))


def test_a_record_that_is_not_as_the_driver_writes_it_is_told():
    data = bytearray(as_driver_writes("pm_indirect", "T6"))
    data[144] ^= 1
    table = Payload("pm_indirect", bytes(data)).table
    assert (len(table), table.attrs["note"]) == (93, "Not as the driver writes it, and left out: 1 record (1).")


def test_a_row_knows_the_bytes_of_its_word():
    data = record(PIO, 0x20, 1, [1]) + record(MIB, 0, 2, [0x11111111, 0x22222222])
    table = Payload("tp_indirect", data).table
    assert [data[a:b] for a, b in table.spans.tolist()] == [b"\1\0\0\0", b"\x11" * 4, b"\x22" * 4]


def test_the_driver_reads_no_tp_registers_of_a_t4():
    table = Payload("tp_indirect", bytes(2736), "T4").table
    assert (len(table), table.attrs["note"]) == (0, "The driver has no list of a T4's TP registers and reads none.")


def test_registers_of_a_t4_bear_names_of_a_t5():
    table = Payload("pm_indirect", as_driver_writes("pm_indirect", "T5"), "T4").table
    assert table.values("register")[0] == "PM_RX_ISPI_DBG_4B_DATA0"
    assert table.attrs["note"] == "The names are those of a T5: there is no table of a T4's registers."


# -- the queue base map -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
def test_the_queue_base_map_of_a_t6_follows_the_debug_data(order):
    payload = Payload("sge_indirect", debug_data(order) + qbase(order=order), order=order)
    got = payload.table.records()
    assert [r["value"] for r in got[:32]] == [*range(16), *range(100, 116)]
    assert [(r["address_register"], r["register"], r["address"], r["value"]) for r in got[32:]] == [
        (0x1250, f"SGE_QBASE_MAP{j}", n, 0x10000 * n + j) for n in range(264) for j in range(4)
    ]
    data = payload.data
    spans = payload.table.spans[32:].tolist()
    assert [int.from_bytes(data[a:b], order) for a, b in spans] == [r["value"] for r in got[32:]]
    assert payload.summary.endswith("queue base map of 264 PCI functions")


@pytest.mark.parametrize(("vfs", "functions"), [(0, 8), (128, 136), (0xFFFFFFFF, 264)])
def test_the_number_of_vfs_counts_as_far_as_there_are_rows(vfs, functions):
    assert len(Payload("sge_indirect", debug_data() + qbase(vfs=vfs)).table) == 32 + 4 * functions


def test_a_queue_base_map_that_was_not_read_is_told():
    table = Payload("sge_indirect", debug_data() + bytes(4248), "T5").table
    assert (len(table), table.attrs["note"]) == (32, "The queue base map was not read: only a T6 has it.")


def test_the_queue_base_map_by_function():
    nic = dump(("sge_indirect", debug_data() + qbase())).open()
    frame = nic.queue_base_map.set_index("function")
    assert list(frame.index[7:10]) == ["pf 7", "vf 0", "vf 1"]
    vf = frame.loc["vf 1"]  # index 9: words 0x90000, 0x90001, 0x90002, 0x90003
    assert [int(vf[n]) for n in ("index", "egress1_size", "ingress1_base", "ingress0_base", "map2")] == [
        9,
        9,
        9,
        3,
        0x90002,
    ]


# -- both ways, any bytes ---------------------------------------------------------------------------------------------


def sound(entity: str) -> bytes:
    return debug_data() + qbase() if entity == "sge_indirect" else as_driver_writes(entity, "T6")


@pytest.mark.parametrize("entity", ENTITIES)
def test_any_bytes_give_a_table_and_go_both_ways(entity):
    check_any_bytes(entity, sound(entity))


@pytest.mark.parametrize("entity", [name for name in ENTITIES if name != "hma_indirect"])
def test_every_genuine_payload_goes_both_ways(entity):
    check_genuine(entity)


def test_every_genuine_payload_of_hma_goes_both_ways():
    for known in genuine("hma_indirect", answering=False):  # none is of the Unified Wire
        check_both_ways(Payload("hma_indirect", known.nic.entity_bytes("hma_indirect")))


@pytest.mark.parametrize("order", ORDERS)
def test_one_cell_is_one_bit(order):
    payload = Payload("tp_indirect", as_driver_writes("tp_indirect", "T6", order), order=order)
    low_byte = 0 if order == "little" else 3
    check_one_cell(payload, "records", "tp_pio.ireg_local_offset", 2, changed_bit=8 * (2 * 144 + 8 + low_byte))
    check_one_cell(payload, "records", "outbuf[5]", 3, changed_bit=8 * (3 * 144 + 16 + 20 + low_byte))
    payload = Payload("sge_indirect", debug_data(order) + qbase(order=order), order=order)
    check_one_cell(payload, "qbase", "vf_data_value[4]", 0, changed_bit=8 * (288 + 20 + 128 + 16 + low_byte))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("entity", ["tp_indirect", "pm_indirect", "ma_indirect", "up_cim_indirect", "hma_indirect"])
def test_the_layout_of_drivers_that_know_t7(entity, order):
    """A version header, the pair of registers, then each index with its word; counted as far as the bytes go."""
    body = struct.pack(MARK[order] + "IHH3I4I", 0xCCEDB001, 1, 12, 0x7E40, 0x7E44, 9, 0x30, 5, 0x8C0, 6)
    payload = Payload(entity, body, "T7", order)
    assert found(payload) == [(0x7E44, 0x30, 5), (0x7E44, 0x8C0, 6)]
    assert [body[a:b] for a, b in payload.table.spans.tolist()] == [struct.pack(MARK[order] + "I", n) for n in (5, 6)]
    assert payload.layout.join(payload.parts) == body


# -- genuine dumps ----------------------------------------------------------------------------------------------------


def simulated(known: Known) -> dict[tuple[int, int], int]:
    """What the simulated adapter held, by data register and index."""
    values = {}
    for part in known.model["indirect"]:
        values |= {(part["data_reg"], part["start"] + i): v for i, v in enumerate(part["values"])}
    return values


@pytest.mark.parametrize(
    "entity", ["tp_indirect", "sge_indirect", "pcie_indirect", "pm_indirect", "ma_indirect", "hma_indirect"]
)
def test_values_are_what_the_adapter_held(entity):
    compared = 0
    for known in genuine(entity):
        truth = simulated(known)
        for row in rows(known, entity):
            key = row["data_register"], row["address"]
            if key[0] != 0x7E1C and row["address_register"] != 0x1250 and key not in MOVING:
                assert row["value"] == truth[key], (known.name, row)
                compared += 1
    assert compared > 100


@pytest.mark.parametrize("entity", ENTITIES)
def test_linux_and_the_unified_wire_read_the_same_adapter_alike(entity):
    """Both of one simulated adapter; what both collect and what does not run has the same value."""
    linux = {(r["data_register"], r["address"]): r["value"] for r in rows(pair(), entity)}
    if entity == "hma_indirect":  # which the Unified Wire did not collect in 2016
        assert len(linux) == 32
        return
    other = {(r["data_register"], r["address"]): r["value"] for r in unified_wire().entity_table(entity).records()}
    common = (linux.keys() & other.keys()) - MOVING
    assert len(common) > len(other) - 8
    assert {k: linux[k] for k in common} == {k: other[k] for k in common}


def pair() -> Known:
    return next(known for known in genuine("hma_indirect") if known.name == "t6-uwpair-zlib")


def test_an_adapter_off_the_bus_is_told_in_one_line():
    dead = next(known for known in genuine("tp_indirect", answering=False) if known.name == "t6-dead-zlib")
    payload = Payload("pm_indirect", dead.nic.entity_bytes("pm_indirect"))
    assert payload.summary == "106 registers, every one 0xffffffff: the adapter did not answer"
    assert payload.table.attrs["note"] == "All bits of all words are one: the adapter did not answer."


def test_the_queue_base_map_is_there_where_no_port_was_up():
    sizes = {known.name: len(rows(known, "sge_indirect")) for known in genuine("sge_indirect")}
    assert (sizes["t6-live-raw"], sizes["t6-uwpair-zlib"], sizes["t5-kdump-zlib"]) == (1088, 32, 32)


# -- the vendor's viewer, where it is right ---------------------------------------------------------------------------

_REGISTER = re.compile(r"^\[(0x[0-9a-f]+):(0x[0-9a-f]+)\]\s+(\S+)\s+(\S+)", re.IGNORECASE)
_FIELD = re.compile(r"^\s*(\d+):(\d+) (?:S_)?(\S+)\s+(\S+)")
Shown = tuple[str, int, list[tuple[str, int, int]]]


def viewer_registers(blob: str, file: str) -> dict[tuple[int, int], Shown]:
    """Name, value and fields (name, lsb, width) of each register in the viewer's text, by address register and index."""
    shown: dict[tuple[int, int], Shown] = {}
    for line in viewer_text(blob, file):
        if head := _REGISTER.match(line):
            fields: list[tuple[str, int, int]] = []
            shown[int(head[1], 16), int(head[2], 16)] = (head[3], int(head[4], 16), fields)
        elif shown and (field := _FIELD.match(line)):
            high, low = int(field[1]), int(field[2])
            fields.append((field[3], low, high - low + 1))
    assert shown
    return shown


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-kdump-zlib"])
def test_sge_debug_data_as_the_viewer_has_it(blob):
    """Of a payload moved by the record's header, which the viewer leaves out of account."""
    shown = viewer_registers(blob, "adapted/37_sgeindirect.txt").values()
    known = next(k for k in genuine("sge_indirect") if k.name == blob)
    got = {r["register"]: r["value"] for r in rows(known, "sge_indirect")}
    assert len(shown) == 32
    assert {name: got[name] for name, _, _ in shown} == {name: value for name, value, _ in shown}


# The viewer takes the words of a record in the order of its names: behind an index without a name its values are those of
# other registers.
MISLABELLED = {
    ("tp_indirect", "T5"): [*range(0x2E, 0x3C), 0x50, 0x51, 0x52], ("tp_indirect", "T6"): range(0x2E, 0x3C),
    ("ma_indirect", "T6"): range(0xA412, 0xA41E), ("up_cim_indirect", "T5"): [0x20E0, 0x140],
    ("up_cim_indirect", "T6"): [0x20E0, 0x20E4, 0x20E8, 0x20EC, 0x20F0, 0x140],
}  # fmt: skip
# Fields of the viewer that lie over others or end beyond bit 31, and what belongs there.
CORRECTED = {
    ("TXTIMERSEPQ4", 16, 16): ("TXTIMERSEPQ5", 16, 16),
    ("req_ctl_rd_ch2_wait_for_seqnum", 27, 27): ("req_ctl_rd_ch2_wait_for_seqnum", 27, 1),
    ("TRGT1_ReqDataVld", 16, 26): ("TRGT1_ReqDataVld", 16, 16),
    ("gcsum_more_than_2_left", 1, 5): ("gcsum_more_than_2_left", 1, 4),
    ("IbqTSCHChnlRdy", 18, 5): ("IbqTSCHChnlRdy", 18, 4),
    ("ObqGen", 8, 25): ("ObqGen", 8, 24),
    ("MBGen0", 31, 20): ("MBGen0", 20, 12),
    ("GenTimerTrig", 19, 16): ("GenTimerTrig", 16, 4),
    ("PRTENABLE", 30, 1): ("PRTENABLE", 29, 1),  # T5 only
    ("CHNENABLE", 29, 1): ("CHNENABLE", 30, 1),
}


@pytest.mark.parametrize(("blob", "entity", "file"), [
    (blob, entity, file)
    for blob in ("t5-live-zlib", "t6-kdump-zlib")
    for entity, file in (
        ("tp_indirect", "36_tpindirect.txt"), ("pcie_indirect", "50_pcieindirect.txt"), ("pm_indirect", "51_pmindirect.txt"),
        ("ma_indirect", "61_maindirect.txt"), ("up_cim_indirect", "64_upcimindirect.txt"),
    )
    if (blob, entity) != ("t5-live-zlib", "ma_indirect")
])  # fmt: skip
def test_registers_as_the_viewer_has_them(blob, entity, file):
    known = next(k for k in genuine(entity) if k.name == blob)
    held = {(r["address_register"], r["address"]): r for r in rows(known, entity)}
    table = indirect_table(known.nic.chip)
    mislabelled = MISLABELLED.get((entity, known.nic.chip), ())
    shown = {key: one for key, one in viewer_registers(blob, file).items() if key in held}
    assert len(shown) > 0.9 * len([key for key in held if key[1] < 0x4900 or entity != "up_cim_indirect"])
    for key, (name, value, fields) in shown.items():
        if key == (0x8FD0, 0x10000):  # which the viewer names as PM_TX's
            name = "PM_RX_ISPI_DBG_4B_DATA0"
        assert held[key]["register"] == name
        assert held[key]["value"] == value or key[1] in mislabelled, (name, hex(value))
        register = table.find(name)
        assert register is not None
        ours = [(f.name, f.lsb, f.width) for f in register.fields] if register.fields_text else []
        assert sorted(ours) == sorted(CORRECTED.get(f, f) for f in fields), name


# -- names and fields -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chip", ["T5", "T6"])
def test_no_field_reaches_into_the_next_or_beyond_the_register(chip):
    registers = indirect_table(chip).registers
    assert len(registers) == {"T5": 758, "T6": 1000}[chip]
    for register in registers:
        above = 32
        for field in register.fields:
            assert 0 < field.width <= above - field.lsb, (register.name, field)
            above = field.lsb


@pytest.mark.parametrize("chip", ["T5", "T6"])
def test_a_name_is_given_once(chip):
    names = [name.upper() for name in indirect_table(chip).known_names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("chip", ["T4", "T5", "T6"])
def test_channel_enable_is_above_port_enable_on_every_chip(chip):
    fields = {f.name: f.lsb for f in indirect_table(chip).find("TP_RSS_PF3_CONFIG").fields}
    assert (fields["CHNENABLE"], fields["PRTENABLE"]) == (30, 29)


def test_a_chip_without_a_table_has_no_names():
    table = Payload("pm_indirect", as_driver_writes("pm_indirect", "T6"), "T7").table
    assert set(table.values("register")) == {None}


# -- nic.register, nic.tp_mib_counters --------------------------------------------------------------------------------


def dump(*payloads: tuple[str, bytes], chip: int = T6, registers: bool = True, compression: int = 1) -> Built:
    entities = [Entity(NUMBER[name], data) for name, data in payloads]
    if registers:
        entities.append(Entity(1, numbered_reg_dump(chip=chip)))
    return cudbg(*entities, chip=chip, compression=compression)


def fields_of(nic: Any, name: str) -> list[tuple[Any, ...]]:
    return [tuple(r.values()) for r in nic.register_table(name).records()]


def test_a_register_behind_an_index_is_found_by_name_as_others_are():
    nic = dump(("up_cim_indirect", record(UP_CIM, 0x130, 1, [0x12345678]))).open()
    assert fields_of(nic, "up_mailbox_status") == [
        (0x130, None, "MBGen0", 20, 12, 0x123, "UP_MAILBOX_STATUS", 0x7B50),
        (0x130, None, "GenTimerTrig", 16, 4, 0x4, "UP_MAILBOX_STATUS", 0x7B50),
        (0x130, None, "MBGen1", 8, 8, 0x56, "UP_MAILBOX_STATUS", 0x7B50),
        (0x130, None, "MBPFInt", 0, 8, 0x78, "UP_MAILBOX_STATUS", 0x7B50),
    ]


def test_a_register_without_fields_is_one_field():
    nic = dump(("tp_indirect", record(MIB, 0x5D, 1, [77]))).open()
    assert fields_of(nic, "TP_MIB_USM_DROP") == [(0x5D, None, "TP_MIB_USM_DROP", 0, 32, 77, "TP_MIB_USM_DROP", 0x7E50)]


def test_a_name_behind_many_indexes_has_as_many_instances():
    frame = dump(("sge_indirect", debug_data() + qbase())).open().register("SGE_QBASE_MAP3")
    assert frame[frame.field == "Ingress1_Base"].instance.tolist() == list(range(264))
    assert frame[frame.field == "Ingress1_Base"].value.tolist() == list(range(264))


def test_the_same_register_of_two_dumps_is_one_table():
    """T5 has it in BAR0; of a T4 the driver reads it behind an index."""
    name = "SGE_DEBUG_DATA_HIGH_INDEX_13"
    of_t5 = dump(("sge_indirect", debug_data()), chip=T5).open().register_table(name)
    of_t4 = dump(("sge_indirect", debug_data()), chip=T4).open().register_table(name)
    joined = Table.concat([of_t5, of_t4]).records()
    assert [(r["address"], r["value"], r["address_register"]) for r in joined] == [
        (0x12B4, 0x12B5, None),
        (13, 13, 0x10CC),
    ]
    assert Table.concat([of_t4, of_t5]).values("address_register") == [0x10CC, None]


def test_registers_in_bar0_come_first():
    nic = dump(("sge_indirect", debug_data())).open()
    assert fields_of(nic, "SGE_DEBUG_DATA_HIGH_INDEX_13") == [
        (0x12B4, None, "SGE_DEBUG_DATA_HIGH_INDEX_13", 0, 32, 0x12B5)
    ]


def test_without_the_register_dump_what_is_behind_an_index_is_still_found():
    nic = dump(("tp_indirect", record(MIB, 0x5D, 1, [77])), registers=False).open()
    assert fields_of(nic, "TP_MIB_USM_DROP")[0][5] == 77
    with pytest.raises(vl.NotInFileError, match="no entity reg_dump"):
        nic.register_table("SGE_CONTROL")


@pytest.mark.parametrize(("name", "message"), [
    ("TP_MIB_USM_DROPS", r"no register 'TP_MIB_USM_DROPS'.*Did you mean TP_MIB_USM_DROP"),
    ("CIM_CTL_7_MAILBOX_VF_STATUS", "driver does not collect CIM_CTL_7_MAILBOX_VF_STATUS; expected index 0x20fc"),
    ("UP_MAILBOX_STATUS", "driver does not collect UP_MAILBOX_STATUS"),
    ("TP_MIB_USM_DROP", "the dump has no entity tp_indirect"),
    ("SGE_CONTROLL", "no register 'SGE_CONTROLL'.*Did you mean SGE_CONTROL"),
])  # fmt: skip
def test_what_is_not_there_is_told(name, message):
    nic = dump(("up_cim_indirect", record(UP_CIM, 0, 1))).open()
    with pytest.raises(vl.NotInFileError, match=message):
        nic.register_table(name)


def test_fields_differ_between_chips():
    widths = {}
    for chip in (T5, T6):
        nic = dump(("tp_indirect", record(PIO, 0x136, 1, [0xF000])), chip=chip).open()
        widths[chip] = {row[2]: row[5] for row in fields_of(nic, "TP_DBG_ESIDE_DISP0") if row[5]}
    assert widths[T5] == {"ESTATIC4": 15}
    assert widths[T6] == {"ESTATIC4": 1, "FIFOGRERXSOCP": 1, "FIFOGRERXREADY": 1, "FIFOGRERXVALID": 1}


def test_halves_of_a_tp_counter_are_joined():
    nic = dump(("tp_indirect", record(MIB, 0x0C, 1, [5]) + record(MIB, 0x10, 2, [0x89ABCDEF, 0x01234567])
                + record(MIB, 0x56, 2, [1, 2]))).open()  # fmt: skip
    assert [tuple(r.values()) for r in nic.tp_mib_counters_table().records()] == [
        ("TP_MIB_TCP_OUT_RST", None, 0xC, 32, 5),
        ("TP_MIB_TCP_IN_SEG", None, 0x11, 64, 0x89ABCDEF01234567),
        ("TP_MIB_FCOE_BYTE_3", 3, 0x57, 64, 0x100000002),
    ]


def test_tp_counters_of_genuine_dumps():
    for known in genuine("tp_indirect"):
        got = {r["register"]: r["value"] for r in known.nic.tp_mib_counters_table().records()}
        truth = simulated(known)
        if known.truth["chip_version"] == 4:
            assert got == {}
            continue
        assert got["TP_MIB_TCP_V6RXT_SEG"] == truth[0x7E54, 0x34] << 32 | truth[0x7E54, 0x35]
        assert got["TP_MIB_TNL_DROP_2"] == truth[0x7E54, 0x46]
        assert len(got) == {5: 87, 6: 95}[known.truth["chip_version"]]


def test_errors_and_drops_are_in_the_summary_largest_first():
    tp = record(MIB, 0x44, 4, [3, 0, 9, 1]) + record(MIB, 0x60, 2, [50, 4])
    assert Payload("tp_indirect", tp).summary == (
        "6 registers, 5 not zero; TNL_DROP_2 9, TID_INV 4, TNL_DROP_0 3 and 1 more counter of errors and drops"
    )
    assert Payload("tp_indirect", record(MIB, 0x44, 4)).summary == "4 registers, 0 not zero; no errors or drops counted"


def test_damaged_words_are_missing_and_their_rows_marked(monkeypatch):
    nic = dump(("tp_indirect", record(MIB, 0x10, 2, [1, 2]))).open()
    monkeypatch.setattr(nic.decoded("tp_indirect"), "damaged", [(20, 24)])
    assert nic.entity("tp_indirect").damaged.tolist() == [False, True]
    assert [fields_of(nic, name)[0][5] for name in ("TP_MIB_TCP_IN_SEG_HI", "TP_MIB_TCP_IN_SEG_LO")] == [1, None]
    assert nic.tp_mib_counters.value.isna().tolist() == [True]


def test_a_t4_dump_has_no_tp_counters():
    nic = dump(("tp_indirect", bytes(2736)), chip=T4).open()
    assert len(nic.tp_mib_counters) == 0
