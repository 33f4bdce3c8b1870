"""REG_DUMP: addresses to names, instances, fields, 64-bit counters, interrupt causes (t4_get_regs() in t4_hw.c)."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Answer
from cudbg_builder import (
    BIG,
    LITTLE,
    NONE,
    ORDERS,
    PATH_MTU,
    REG_DUMP,
    REG_DUMP_SIZE,
    T4,
    T5,
    T6,
    ZLIB,
    Entity,
    cudbg,
    numbered_reg_dump,
    reg_dump,
)
from cudbg_truth import SAMPLE_DUMP, Known, names, shared

import vmcoredd_lab as vl
from vmcoredd_lab.devices.cxgb4.framing import Decoded
from vmcoredd_lab.devices.cxgb4.interrupts import interrupt_causes
from vmcoredd_lab.devices.cxgb4.reg_dump import RegDump
from vmcoredd_lab.devices.cxgb4.register_table import Field, RegisterTable, register_table

CHIPS = {"T4": T4, "T5": T5, "T6": T6}
WORDS = {"T4": 10993, "T5": 14392, "T6": 10322}
PORTS = {"T4": (0x20000, 0x2000, 4), "T5": (0x30000, 0x4000, 4), "T6": (0x30000, 0x4000, 2)}


@pytest.fixture(scope="module", params=names())
def known(request: pytest.FixtureRequest) -> Known:
    return shared(request.param)


def adapter(words: dict[int, int] | None = None, *, chip: int = T6, order: str = LITTLE, **declared: Any) -> Any:
    return cudbg(Entity(REG_DUMP, reg_dump(words, chip=chip, order=order)), chip=chip, order=order, **declared).open()


def rows(nic: Any, **wanted: Any) -> list[dict[str, Any]]:
    return [r for r in nic.registers_table().records() if all(r[k] == v for k, v in wanted.items())]


# -- genuine dumps ----------------------------------------------------------------------------------------------------


def test_every_collected_word_is_a_row_with_its_value_and_nothing_else_is(known: Known) -> None:
    if not known.collected("REG_DUMP"):
        with pytest.raises(vl.NotInFileError, match=r"reg_dump holds no data|the dump has no entity reg_dump"):
            known.nic.registers_table()
        return
    table = known.nic.registers_table()
    got = list(zip(table.values("address"), table.values("value"), strict=True))
    assert got == [(row[0], row[1]) for row in sorted(known.model["reg_dump"])]
    assert not any(name is None for name in table.values("register")) or known.nic.chip == "T6"


def test_a_dead_adapter_reads_as_all_ones() -> None:
    nic = shared("t6-dead-zlib").nic
    assert set(nic.registers_table().values("value")) == {0xFFFFFFFF}
    assert nic.firmware_state.text == "the adapter does not answer (reads give all ones)"
    assert nic.firmware_state.bad


def test_a_crashed_firmware_says_so_in_pcie_fw() -> None:
    state = shared("q-t6-fwcrash").nic.firmware_state
    assert (state.register, state.text, state.bad) == (0xC000C010, "error: crash of the firmware", True)


def test_the_crashed_adapter_of_the_sample_is_the_first_of_its_two(sample: Any) -> None:
    states = [dump.decode().firmware_state for dump in vl.open_vmcore(sample).device_dumps]
    assert [(s.register, s.bad) for s in states] == [(0xC000C010, True), (0x4000C010, False)]


# -- byte order, size -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [NONE, ZLIB])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("chip", CHIPS)
def test_the_word_at_an_address_is_the_register_at_that_address(chip: str, order: str, compression: int) -> None:
    data = numbered_reg_dump(chip=CHIPS[chip], order=order)
    nic = cudbg(Entity(REG_DUMP, data), chip=CHIPS[chip], order=order, compression=compression).open()
    table = nic.registers_table()
    assert len(table) == WORDS[chip]
    assert table.values("value") == [address + 1 for address in table.values("address")]
    assert table.values("address") == sorted(set(table.values("address")))


def test_words_that_the_driver_does_not_collect_are_no_rows() -> None:
    addresses = set(adapter().registers_table().values("address"))
    assert {0x1008, 0x30B8, 0x1E2C0} <= addresses
    assert not {0x0, 0x1004, 0x1E000, 0x1E240, 0x1E280} & addresses  # doorbells, mailboxes


def test_a_register_map_cut_short_has_missing_values_at_its_end() -> None:
    nic = cudbg(Entity(REG_DUMP, numbered_reg_dump()[:0x20002]), compression=NONE).open()
    for row in nic.registers_table().records():
        assert row["value"] == (row["address"] + 1 if row["address"] + 4 <= 0x20002 else None)


def test_a_word_is_missing_where_any_of_its_bytes_is_damaged() -> None:
    decoded = Decoded(numbered_reg_dump(), [(0x1009, 0x1011), (0x1018, 0x101C)])
    found = RegDump(decoded, "little", register_table("T6"), "path")
    got = {address: found.value(address) for address in range(0x1008, 0x1020, 4)}
    assert [address for address, value in got.items() if value is None] == [0x1008, 0x100C, 0x1010, 0x1018]
    assert got[0x1014] == 0x1015


def test_a_longer_register_map_is_not_a_reason_to_fail() -> None:
    nic = cudbg(Entity(REG_DUMP, numbered_reg_dump() + b"\xff" * 64)).open()
    assert len(nic.registers_table()) == WORDS["T6"]


def test_missing_values_are_missing_in_the_frame_too() -> None:
    frame = cudbg(Entity(REG_DUMP, numbered_reg_dump()[:0x3000]), compression=NONE).open().registers
    assert str(frame["value"].dtype) == str(frame["address"].dtype) == "UInt64"
    assert frame["value"].isna().sum() == (frame["address"] >= 0x3000).sum() > 0


# -- names, instances, scopes -----------------------------------------------------------------------------------------


def test_only_four_words_have_no_name() -> None:
    nameless = {chip: [r["address"] for r in rows(adapter(chip=CHIPS[chip]), register=None)] for chip in CHIPS}
    assert nameless == {"T4": [], "T5": [], "T6": [0x12D8, 0x12DC, 0x12E0, 0x12E4]}


def test_a_word_without_a_name_keeps_its_value() -> None:
    (row,) = rows(adapter({0x12DC: 0x12345678}), address=0x12DC)
    assert [row[k] for k in ("block", "register", "instance", "scope", "value", "aliases")] == [
        None, None, None, None, 0x12345678, None,
    ]  # fmt: skip


@pytest.mark.parametrize("chip", CHIPS)
def test_ports_are_told_apart(chip: str) -> None:
    start, step, count = PORTS[chip]
    found = rows(adapter(chip=CHIPS[chip]), register="MPS_PORT_CTL")
    assert [(r["instance"], r["scope"], r["address"]) for r in found] == [
        (n, f"port {n}", start + step * n) for n in range(count)
    ]


@pytest.mark.parametrize("chip", CHIPS)
def test_every_address_of_a_port_belongs_to_it(chip: str) -> None:
    start, step, count = PORTS[chip]
    for row in adapter(chip=CHIPS[chip]).registers_table().records():
        inside = start <= row["address"] < start + step * count
        assert (row["scope"] or "").startswith("port") == inside
        assert not inside or row["scope"] == f"port {(row['address'] - start) // step}"


@pytest.mark.parametrize("chip", CHIPS)
def test_pci_functions_are_told_apart(chip: str) -> None:
    found = rows(adapter(chip=CHIPS[chip]), register="PL_PF_INT_CAUSE")
    assert [(r["instance"], r["scope"], r["address"]) for r in found] == [
        (n, f"pf {n}", 0x1E3C0 + 0x400 * n) for n in range(8)
    ]


@pytest.mark.parametrize(
    ("chip", "register", "addresses"),
    [("T4", "EDC_INT_CAUSE", [0x7978, 0x79F8]), ("T5", "EDC_H_INT_CAUSE", [0x50078, 0x50878]),
     ("T6", "EDC_H_INT_CAUSE", [0x50078, 0x50878])],
)  # fmt: skip
def test_the_two_edcs_are_told_apart(chip: str, register: str, addresses: list[int]) -> None:
    found = rows(adapter(chip=CHIPS[chip]), register=register)
    assert [(r["block"], r["instance"], r["scope"], r["address"]) for r in found] == [
        ("EDC_0", 0, "edc 0", addresses[0]), ("EDC_1", 1, "edc 1", addresses[1]),
    ]  # fmt: skip


def test_the_two_external_memories_of_a_t5_are_told_apart() -> None:
    found = rows(adapter(chip=T5), register="MC_P_INT_CAUSE")
    assert [(r["block"], r["scope"], r["address"]) for r in found] == [
        ("MC_0", "mc 0", 0x41318),
        ("MC_1", "mc 1", 0x49318),
    ]


@pytest.mark.parametrize("chip", CHIPS)
def test_name_and_instance_identify_a_register(chip: str) -> None:
    named = [
        (r["register"], r["instance"]) for r in adapter(chip=CHIPS[chip]).registers_table().records() if r["register"]
    ]
    assert len(named) == len(set(named))


@pytest.mark.parametrize("chip", CHIPS)
def test_a_register_of_one_address_has_no_instance(chip: str) -> None:
    (row,) = rows(adapter(chip=CHIPS[chip]), register="SGE_INT_CAUSE1")
    assert (row["address"], row["instance"], row["scope"]) == (0x1024, None, None)


def test_of_two_names_the_first_wins_and_the_other_is_an_alias() -> None:
    found = rows(adapter({0x36A00: 5}), register="MAC_PORT_AE_RX_COEF_REQ")
    assert [(r["address"], r["scope"], r["value"], r["aliases"]) for r in found] == [
        (0x32A00, "port 0", 0, "MAC_PORT_RX_LINKA_DFE_TAP_ENABLE"), (0x36A00, "port 1", 5, "MAC_PORT_RX_LINKA_DFE_TAP_ENABLE"),
    ]  # fmt: skip


def test_an_alias_finds_the_register_too() -> None:
    found = adapter({0x36A00: 0xFFFFFFFF}).register_table("MAC_PORT_RX_LINKA_DFE_TAP_ENABLE").records()
    assert {(r["address"], bool(r["value"])) for r in found} == {(0x32A00, False), (0x36A00, True)}


@pytest.mark.parametrize("chip", ["T5", "T6"])
def test_serdes_registers_reached_through_an_index_do_not_pose_as_words_of_the_bar(chip: str) -> None:
    table = register_table(chip)
    assert not [name for name in table.by_name if name.endswith("_EXTENDED")]
    assert not [a for a in table.aliases if a and "_EXTENDED" in a]


# -- the table itself -------------------------------------------------------------------------------------------------


@pytest.fixture(params=CHIPS)
def table(request: pytest.FixtureRequest) -> RegisterTable:
    return register_table(request.param)


def test_every_address_is_inside_the_chip_s_register_map(table: RegisterTable) -> None:
    assert len(table.addresses) == WORDS[table.chip]
    assert int(table.addresses[-1]) + 4 <= REG_DUMP_SIZE[CHIPS[table.chip]]
    assert not (table.addresses % 4).any()


def test_fields_lie_inside_their_register_and_do_not_overlap(table: RegisterTable) -> None:
    from vmcoredd_lab.devices.cxgb4.register_table import parse_fields

    for name in table.by_name:
        taken = 0
        for field in parse_fields(table.instances_of(name)[0][1]):
            mask = ((1 << field.width) - 1) << field.lsb
            assert 0 < mask < 1 << 32, (name, field)
            assert not taken & mask, (name, field)
            taken |= mask


def test_every_position_finds_itself(table: RegisterTable) -> None:
    assert [table.position(a) for a in table.addresses[::97].tolist()] == list(range(0, len(table.addresses), 97))
    assert table.position(0x2) is None
    assert table.position(1 << 31) is None


# -- fields -----------------------------------------------------------------------------------------------------------


def test_fields_of_a_register_highest_bits_first() -> None:
    found = adapter({0x1943C: 0x65}).register_table("PL_REV").records()
    assert [(r["field"], r["lsb"], r["width"], r["value"]) for r in found] == [("ChipID", 4, 4, 6), ("Rev", 0, 4, 5)]
    assert {(r["address"], r["instance"]) for r in found} == {(0x1943C, None)}


def test_the_value_of_a_field_is_cut_out_of_the_word() -> None:
    assert Field("f", 4, 8).of(0xABCDE) == 0xCD
    assert Field("f", 31, 1).of(0x80000000) == 1
    assert Field("f", 0, 32).of(0xFFFFFFFF) == 0xFFFFFFFF


def test_a_register_without_fields_is_one_row_of_its_own_name() -> None:
    (row,) = adapter({0x30B8: 0xC000C010}).register_table("PCIE_FW").records()
    assert (row["field"], row["lsb"], row["width"], row["value"]) == ("PCIE_FW", 0, 32, 0xC000C010)


def test_fields_of_every_instance_in_turn() -> None:
    found = adapter({0x34000: 1 << 31}).register_table("MPS_PORT_CTL").records()
    assert [(r["instance"], r["value"]) for r in found if r["field"] == "LpbkEn"] == [(0, 0), (1, 1)]


@pytest.mark.parametrize("name", ["sge_int_cause1", "Sge_Int_Cause1", " SGE_INT_CAUSE1 "])
def test_a_register_is_found_in_any_case(name: str) -> None:
    assert len(adapter().register_table(name)) == len(adapter().register_table("SGE_INT_CAUSE1"))


def test_fields_of_a_word_that_is_not_there_are_missing() -> None:
    nic = cudbg(Entity(REG_DUMP, numbered_reg_dump()[:0x1000]), compression=NONE).open()
    assert set(nic.register_table("SGE_INT_CAUSE1").values("value")) == {None}


def test_a_name_that_is_nearly_right_gets_a_hint() -> None:
    with pytest.raises(vl.NotInFileError, match=r"T6 has no register 'SGE_INT_CAUS3'") as error:
        adapter().register("SGE_INT_CAUS3")
    assert "SGE_INT_CAUSE3" in (error.value.hint or "")


@pytest.mark.parametrize("name", ["", "NOTHING_LIKE_IT", "x" * 10000, "SGE\n", "\x1b[2J", "٣"])
def test_a_name_that_means_nothing_is_an_error_of_its_own(name: str) -> None:
    with pytest.raises(vl.NotInFileError) as error:
        adapter().register(name)
    assert error.value.exit_status == 4
    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize("name", ["SGE_PF_KDOORBELL", "CIM_PF_MAILBOX_DATA", "CIM_PF_MAILBOX_CTRL"])
@pytest.mark.parametrize("chip", CHIPS)
def test_a_register_that_is_never_collected_is_an_error_and_not_zero(chip: str, name: str) -> None:
    with pytest.raises(vl.NotInFileError, match=f"the driver does not collect {name}"):
        adapter(chip=CHIPS[chip]).register(name)


def test_the_command_line_exits_with_4_for_such_registers(lab: Any, file: Any) -> None:
    path = file(bytes(cudbg(Entity(REG_DUMP, reg_dump()))), "t6.bin")
    answer: Answer = lab("registers", path, "--register", "SGE_PF_KDOORBELL")
    assert answer.status == 4
    assert "does not collect SGE_PF_KDOORBELL" in answer.err
    assert lab("registers", path, "--register", "SGE_INT_CAUSE1", "--format", "json").status == 0


# -- 64-bit counters --------------------------------------------------------------------------------------------------


def counters(nic: Any, register: str) -> list[tuple[Any, ...]]:
    return [(r["instance"], r["scope"], r["address"], r["value"]) for r in nic.counters_table().records()
            if r["register"] == register]  # fmt: skip


@pytest.mark.parametrize("order", [LITTLE, BIG])
def test_a_counter_is_its_low_and_its_high_word(order: str) -> None:
    nic = adapter({0x30400: 0x89ABCDEF, 0x30404: 0xFEDCBA98, 0x34400: 7}, order=order)
    assert counters(nic, "MPS_PORT_STAT_TX_PORT_BYTES") == [
        (0, "port 0", 0x30400, 0xFEDCBA9889ABCDEF), (1, "port 1", 0x34400, 7),
    ]  # fmt: skip


def test_where_the_high_word_comes_first_it_is_the_name_that_counts() -> None:
    nic = adapter({0x51030: 0x11111111, 0x51034: 0x22222222})
    assert counters(nic, "HMA_TLB_DESC_0") == [(None, None, 0x51034, 0x1111111122222222)]


@pytest.mark.parametrize("chip", CHIPS)
def test_every_counter_is_made_of_two_collected_words(chip: str) -> None:
    data = numbered_reg_dump(chip=CHIPS[chip])
    nic = cudbg(Entity(REG_DUMP, data), chip=CHIPS[chip]).open()
    words = {r["address"]: r["value"] for r in nic.registers_table().records()}
    found = nic.counters_table().records()
    assert len(found) > 100
    for row in found:
        low, high = row["value"] & 0xFFFFFFFF, row["value"] >> 32
        assert low == words[row["address"]]
        assert words[high - 1] == high
        assert abs(high - low) == 4


@pytest.mark.parametrize("end", [0x30404, 0x30406])
def test_a_counter_with_one_word_missing_is_missing(end: int) -> None:
    nic = cudbg(Entity(REG_DUMP, numbered_reg_dump()[:end]), compression=NONE).open()
    assert counters(nic, "MPS_PORT_STAT_TX_PORT_BYTES")[0] == (0, "port 0", 0x30400, None)


def test_counters_of_a_genuine_dump(known: Known) -> None:
    if known.collected("REG_DUMP"):
        words = {row[0]: row[1] for row in known.model["reg_dump"]}
        found = [r for r in known.nic.counters_table().records() if r["register"].startswith("MPS_PORT_STAT")]
        assert found
        for row in found:
            assert row["value"] == words[row["address"] + 4] << 32 | words[row["address"]]


# -- interrupt causes -------------------------------------------------------------------------------------------------


def causes(nic: Any) -> list[tuple[Any, ...]]:
    return [
        (r["register"], r["instance"], r["field"], r["lsb"], r["value"]) for r in nic.interrupt_causes_table().records()
    ]


def test_one_parity_error_shows_with_the_block_above_it() -> None:
    nic = vl.open_device_dump(SAMPLE_DUMP).decode()
    assert causes(nic) == [
        ("SGE_INT_CAUSE1", None, "perr_align_ctl_fifo0", 10, 1), ("PL_INT_CAUSE", None, "SGE", 26, 1),
    ]  # fmt: skip
    first, second = nic.interrupt_causes_table().records()
    assert (first["driver_fatal"], first["enabled"], second["driver_fatal"]) == (True, True, False)
    assert "parity error" in first["meaning"]


def test_the_sample_is_the_dump_of_the_shared_data() -> None:
    assert SAMPLE_DUMP.read_bytes() == shared("q-t6-sgeparity").blob


@pytest.mark.parametrize("name", ["q-t6-quiet", "q-t5-quiet-live", "q-t6-fwcrash"])
def test_a_quiet_adapter_shows_none(name: str) -> None:
    assert causes(shared(name).nic) == []


def test_whether_an_interrupt_is_enabled_is_that_of_the_same_instance() -> None:
    nic = adapter({0x50078: 4, 0x50878: 4, 0x50874: 4})
    found = nic.interrupt_causes_table().records()
    assert [(r["register"], r["scope"], r["enabled"]) for r in found] == [
        ("EDC_H_INT_CAUSE", "edc 0", False), ("EDC_H_INT_CAUSE", "edc 1", True),
    ]  # fmt: skip


def test_a_cause_register_without_named_fields_is_not_passed_over() -> None:
    (stat,) = register_table("T6").instances_of("MPS_STAT_INT_CAUSE")
    assert causes(adapter({stat[0]: 0x30})) == [("MPS_STAT_INT_CAUSE", None, "MPS_STAT_INT_CAUSE", 0, 0x30)]


def test_set_bits_outside_the_named_fields_are_not_passed_over() -> None:
    nic = adapter({0x1943C: 0, 0x50078: 0x80000004})
    assert causes(nic) == [
        ("EDC_H_INT_CAUSE", 0, "(no name)", 31, 1), ("EDC_H_INT_CAUSE", 0, "ECC_UE_INT_CAUSE", 2, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("chip", CHIPS)
def test_every_set_bit_of_every_cause_register_is_in_one_row(chip: str) -> None:
    data = reg_dump(chip=CHIPS[chip], fill=0xFFFFFFFF)
    nic = cudbg(Entity(REG_DUMP, data), chip=CHIPS[chip]).open()
    bits: dict[int, int] = {}
    for row in nic.interrupt_causes_table().records():
        mask = row["value"] << row["lsb"]
        assert not bits.get(row["address"], 0) & mask
        bits[row["address"]] = bits.get(row["address"], 0) | mask
    assert len(bits) > 40
    assert set(bits.values()) == {0xFFFFFFFF}


def test_causes_of_damaged_registers_are_not_invented() -> None:
    built = cudbg(Entity(REG_DUMP, reg_dump(fill=0xFFFFFFFF)))
    built.flip(built.pieces(REG_DUMP)[0].stream + 10)
    found = built.open().interrupt_causes_table()
    assert min(found.values("address")) >= built.pieces(REG_DUMP)[0].last


def test_a_cause_of_which_half_is_damaged_is_not_shown() -> None:
    decoded = Decoded(reg_dump({0x1024: 0xFFFFFFFF}), [(0x1026, 0x1028)])
    assert len(interrupt_causes(RegDump(decoded, "little", register_table("T6"), "path"))) == 0


# -- the state of the firmware ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "text", "bad"),
    [
        (0xC000C010, "error: crash of the firmware", True),
        (0x80000000, "error: crash of the firmware", True),
        (0x85000000, "error: overheating, cooling too weak", True),
        (0xA7000000, "error: reserved", True),
        (0x4000C010, "initialised", False),
        (0x20000000, "halted on request", False),
        (0x60000000, "halted on request", False),
        (0, "not initialised", False),
        (0xFFFFFFFF, "the adapter does not answer (reads give all ones)", True),
        (0xEEEEEEEE, "register access is blocked (reset in progress)", True),
    ],
)
@pytest.mark.parametrize("compression", [NONE, ZLIB])
@pytest.mark.parametrize("order", ORDERS)
def test_firmware_state(word: int, text: str, bad: bool, order: str, compression: int) -> None:
    nic = adapter({0x30B8: word}, order=order, compression=compression)
    assert (nic.firmware_state.register, nic.firmware_state.text, nic.firmware_state.bad) == (word, text, bad)
    assert nic.summary().endswith(text)


@pytest.mark.parametrize(("end", "known_"), [(0x30B8, False), (0x30BB, False), (0x30BC, True)])
def test_the_state_is_known_where_all_of_pcie_fw_is_there(end: int, known_: bool) -> None:
    nic = cudbg(Entity(REG_DUMP, numbered_reg_dump()[:end]), compression=NONE).open()
    assert (nic.firmware_state is not None) == known_


def test_without_registers_the_state_is_not_known() -> None:
    assert cudbg(Entity(PATH_MTU, bytes(32))).open().firmware_state is None
    assert cudbg(Entity(REG_DUMP, status=-19)).open().firmware_state is None


def test_under_fastlz_the_state_is_that_of_the_same_adapter_or_not_known() -> None:
    assert shared("uw-t6-fastlz").nic.firmware_state in (None, shared("t6-uwpair-zlib").nic.firmware_state)
