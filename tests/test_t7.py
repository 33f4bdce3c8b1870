"""Payloads with a version header where Linux 6.1 writes none: drivers newer than mainline, for T7 and the chips before it."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from cudbg_builder import CIM_LA, NONE, T5, T6, Entity, cudbg
from entity_checks import ORDERS
from hypothesis import given
from hypothesis import strategies as st

import vmcoredd_lab as vl
from vmcoredd_lab.devices.cxgb4.entities import decoder
from vmcoredd_lab.devices.cxgb4.entity_names import entity_number
from vmcoredd_lab.devices.cxgb4.layout import from_table

MARK = {"little": "<", "big": ">"}
T7 = 0x70
SIGNATURE = 0xCCEDB001
NEWER = (
    "cim_ibq_tp0",
    "cim_obq_sge",
    "cim_qcfg",
    "cim_la",
    "dump_context",
    "tp_indirect",
    "pm_indirect",
    "up_cim_indirect",
)


def ver_hdr(size: int, order: str = "little", revision: int = 1) -> bytes:
    return struct.pack(MARK[order] + "IHH", SIGNATURE, revision, size)


def open_with(entity: str, data: bytes, *, chip: int = T7, order: str = "little") -> Any:
    """The adapter of a dump that holds one entity."""
    number = entity_number(entity)
    assert number is not None
    return cudbg(Entity(number, data), chip=chip, order=order, compression=NONE).open()


def rows(entity: str, data: bytes, **kinds: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = open_with(entity, data, **kinds).entity_table(entity).records()
    return found


def check_both_ways(nic: Any, entity: str) -> None:
    """The columns of the members make the entity's bytes again."""
    _, layout, parts = nic._frames.parts(entity)
    assert layout.join(parts) == nic.entity_bytes(entity)
    arrays = layout.arrays(layout.tables(parts), nic.container.byteorder)
    assert layout.join(arrays) == nic.entity_bytes(entity)
    assert from_table


# -- payloads ---------------------------------------------------------------------------------------------------------


def queue(words: int = 16, order: str = "little", *, qid: int = 3, coreid: int = 2) -> bytes:
    return ver_hdr(4, order) + struct.pack("BBxx", qid, coreid) + struct.pack(f"{MARK[order]}{words}I", *range(words))


def qcfg(inbound: int, outbound: int, order: str = "little", coreid: int = 1) -> bytes:
    """Queues whose numbers say where they stand; status words as the shadow registers have them."""
    body = b""
    for at in range(inbound + outbound):
        kind, number = int(at >= inbound), at - inbound if at >= inbound else at
        written = (0, 0) if at < inbound else (0x1000 * at + 0x40, 7)
        stat = (0x2000 | at, 0x4000 | at + 1, 1 << 31 | 5, 9 << 16 | 8)
        body += struct.pack(MARK[order] + "BB3H2I4I", kind, number, 0x1000 * at & 0xFFFF, 512, 64, *written, *stat)
    return ver_hdr(4, order) + struct.pack("BBBx", inbound, outbound, coreid) + body


def la(ncol: int, nrow: int, order: str = "little", *, extra: int = 0, config: int = 1, coreid: int = 1) -> bytes:
    head = ver_hdr(8, order) + struct.pack(MARK[order] + "BBHI", coreid, ncol, nrow, config)
    return head + struct.pack(f"{MARK[order]}{ncol * nrow + extra}I", *range(ncol * nrow + extra))


def contexts(order: str = "little", *, count: int | None = None) -> bytes:
    entries = [(0, 24, 7), (1, 24, 8), (2, 16, 9), (3, 64, 9)]
    body = b"".join(
        struct.pack(MARK[order] + "BBxxI16I", kind, size, number, *range(100 * i, 100 * i + 16))
        for i, (kind, size, number) in enumerate(entries)
    )
    return ver_hdr(4, order) + struct.pack(MARK[order] + "I", len(entries) if count is None else count) + body


def indirect(order: str = "little", *spaces: tuple[int, int, list[tuple[int, int]]]) -> bytes:
    return b"".join(
        ver_hdr(12, order)
        + struct.pack(MARK[order] + "3I", register, data, len(entries))
        + b"".join(struct.pack(MARK[order] + "2I", *entry) for entry in entries)
        for register, data, entries in spaces
    )


TP = ((0x7E18, 0x7E1C, [(0, 1), (1, 2)]), (0x7E40, 0x7E44, [(0x30, 3)]), (0x7E50, 0x7E54, [(0, 4), (5, 5), (9, 6)]))
SOUND = {
    "cim_ibq_tp0": queue(), "cim_obq_sge": queue(), "cim_qcfg": qcfg(16, 16), "cim_la": la(10, 20),
    "dump_context": contexts(), "tp_indirect": indirect("little", *TP), "pm_indirect": indirect("little", *TP[:2]),
    "up_cim_indirect": indirect("little", TP[0]),
}  # fmt: skip


# -- what they say ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
def test_a_queue_has_its_number_and_core_before_the_rows(order):
    nic = open_with("cim_ibq_tp0", queue(order=order), order=order)
    table = nic.entity_table("cim_ibq_tp0")
    assert [row["w3"] for row in table.records()] == [3, 7, 11, 15]
    assert [row["offset"] for row in table.records()] == [0, 16, 32, 48]
    assert (table.attrs["qid"], table.attrs["coreid"]) == (3, 2)
    assert table.spans[0].tolist() == [12, 28]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("chip", [T5, T6])
def test_queues_of_t5_and_t6_have_pointers_of_all_eight_outbound_queues(chip, order):
    found = rows("cim_qcfg", qcfg(6, 8, order), chip=chip, order=order)
    assert [row["queue"] for row in found] == ["TP0", "TP1", "ULP", "SGE0", "SGE1", "NC-SI", "ULP0", "ULP1", "ULP2", "ULP3",
                                               "SGE", "NC-SI", "SGE0-RX", "SGE1-RX"]  # fmt: skip
    assert [row["direction"] for row in found] == ["in"] * 6 + ["out"] * 8
    first, last = found[0], found[-1]
    assert (first["rdptr"], first["wrptr"], first["thres"], first["frame_error"]) == (0, 1, 64, True)
    assert (last["rdptr"], last["wrptr"], last["thres"], last["frame_error"]) == (0x200D, 0x40, None, None)
    assert (last["sop"], last["eop"], last["avail"], last["obq_wr1"], last["reliable"]) == (8, 9, 80, 7, True)


def test_queues_of_a_t7_have_no_pointers_that_could_be_wrong():
    found = rows("cim_qcfg", qcfg(16, 16))
    assert [row["queue"] for row in found][:10] == [
        "TP0",
        "TP1",
        "TP2",
        "TP3",
        "ULP",
        "SGE0",
        "SGE1",
        "NC-SI",
        "queue 8",
        "queue 9",
    ]
    assert {row["rdptr"] for row in found} == {row["frame_error"] for row in found} == {None}
    assert [row["base"] for row in found] == [0x1000 * i & 0xFFFF for i in range(32)]
    assert found[5]["stat0"] == 0x2005


@pytest.mark.parametrize("order", ORDERS)
def test_the_logic_analysers_rows_are_as_many_as_the_header_says(order):
    nic = open_with("cim_la", la(10, 300, order, extra=8), order=order)
    table = nic.entity_table("cim_la")
    assert len(table) == 300
    assert table.records()[299]["w9"] == 2999
    assert (table.attrs["coreid"], table.attrs["ncol"], table.attrs["nrow"]) == (1, 10, 300)
    assert table.spans[0].tolist() == [16, 56]
    check_both_ways(nic, "cim_la")


def test_the_logic_analyser_of_a_t5_has_eight_columns():
    assert len(rows("cim_la", la(8, 256), chip=T5)) == 256


def test_rows_of_another_width_than_the_chips_are_left_as_bytes():
    nic = open_with("cim_la", la(8, 256), chip=T6)
    assert len(nic.entity_table("cim_la")) == 0
    check_both_ways(nic, "cim_la")


@pytest.mark.parametrize("order", ORDERS)
def test_contexts_have_sixteen_words(order):
    found = rows("dump_context", contexts(order), order=order)
    assert [(r["type"], r["id"], r["size"]) for r in found] == [
        ("egress", 7, 24), ("ingress", 8, 24), ("freelist", 9, 16), ("congestion", 9, 64),
    ]  # fmt: skip
    assert [found[3][f"w{i}"] for i in range(16)] == [*range(300, 316)]


def test_contexts_of_a_t6_have_its_fields_and_those_of_a_t7_none():
    t6 = list(open_with("dump_context", contexts(), chip=T6).contexts("egress").columns)
    t7 = list(open_with("dump_context", contexts()).contexts("egress").columns)
    assert len(t6) > 20
    assert t7 == ["id", *(f"w{i}" for i in range(6))]


@pytest.mark.parametrize("order", ORDERS)
def test_indirect_registers_come_in_one_space_after_the_other(order):
    found = rows("tp_indirect", indirect(order, *TP), order=order)
    assert [(r["address_register"], r["data_register"], r["address"], r["value"]) for r in found] == [
        (0x7E18, 0x7E1C, 0, 1), (0x7E18, 0x7E1C, 1, 2), (0x7E40, 0x7E44, 0x30, 3),
        (0x7E50, 0x7E54, 0, 4), (0x7E50, 0x7E54, 5, 5), (0x7E50, 0x7E54, 9, 6),
    ]  # fmt: skip


def test_an_indirect_registers_bytes_are_those_of_its_value():
    data = indirect("little", *TP)
    table = open_with("tp_indirect", data).entity_table("tp_indirect")
    for row, (start, end) in zip(table.records(), table.spans, strict=True):
        assert int.from_bytes(data[start:end], "little") == row["value"]


@pytest.mark.parametrize("entity", NEWER)
@pytest.mark.parametrize("order", ORDERS)
def test_they_go_both_ways(entity, order):
    made = {"cim_qcfg": qcfg(6, 8, order), "cim_la": la(10, 20, order, extra=3), "dump_context": contexts(order)}
    data = made.get(entity) or (queue(order=order) if "q_" in entity else indirect(order, *TP))
    for tail in (b"", b"tail"):
        check_both_ways(open_with(entity, data + tail, order=order), entity)


@pytest.mark.parametrize("entity", NEWER)
def test_a_dump_of_a_t7_is_sound_and_has_a_summary(entity):
    nic = open_with(entity, SOUND[entity])
    nic.check()
    nic.entity_table(entity)
    assert [p.severity for p in nic.problems] == ["warning"]
    assert nic.chip == "T7"
    assert nic._frames.summary(entity)


# -- what is not known ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entity", [*NEWER, "meminfo", "tid_info", "ulptx_la", "path_mtu", "le_tcam", "rss"])
def test_an_unknown_revision_is_a_newer_layout_and_the_bytes_are_there(entity):
    data = ver_hdr(4, revision=2) + bytes(64)
    nic = open_with(entity, data, chip=T6)
    table = nic.entity_table(entity)
    assert next(row["hex"] for row in table.records()).startswith("01 b0 ed cc 02 00")
    nic.check()
    (problem,) = nic.problems
    assert (problem.severity, problem.got) == ("warning", "revision 2 of 4 bytes")
    assert "newer layout" in problem.message
    assert nic.entity_bytes(entity) == data
    with pytest.raises(vl.NotInFileError, match="newer layout"):
        nic.records(entity)


@pytest.mark.parametrize("entity", ["path_mtu", "le_tcam", "pm_stats"])
def test_a_version_where_none_is_known_is_a_newer_layout(entity):
    nic = open_with(entity, ver_hdr(80) + bytes(200))
    assert nic.entity_table(entity).schema.name == "entity_bytes"
    assert any("newer layout" in p.message for p in nic.problems)


@pytest.mark.parametrize("entity", [*NEWER, "meminfo", "path_mtu"])
def test_a_check_of_the_dump_finds_newer_layouts(entity):
    nic = open_with(entity, ver_hdr(4, revision=2) + bytes(64), chip=T6)
    nic.check()
    assert ["newer layout" in p.message for p in nic.problems] == [True]


def test_the_larger_meminfo_of_drivers_for_t7_is_a_newer_layout():
    nic = open_with("meminfo", ver_hdr(1096) + bytes(1096))
    assert nic.entity_table("meminfo").schema.name == "entity_bytes"


def test_the_command_shows_the_bytes_and_exits_with_0(file, lab):
    path = file(bytes(cudbg(Entity(CIM_LA, ver_hdr(4, revision=9) + bytes(24)), chip=T6, compression=NONE)), "t6.bin")
    answer = lab("entity", path, "cim_la", "--format", "json")
    assert answer.status == 0
    assert len(answer.json) == 2


# -- hostile ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entity", NEWER)
def test_cut_anywhere_they_are_a_table(entity):
    whole = SOUND[entity]
    for end in [*range(8, 40), *range(40, len(whole), 37)]:
        nic = open_with(entity, whole[:end], chip=(T5, T6, T7)[end % 3])
        assert len(list(nic.entity_table(entity).rows())) <= 10_000
        check_both_ways(nic, entity)


@given(st.sampled_from(NEWER), st.binary(max_size=120), st.sampled_from([T5, T6, T7]))
def test_any_bytes_behind_the_header_are_a_table(entity, noise, chip):
    nic = open_with(entity, ver_hdr(4) + noise, chip=chip)
    nic.entity_table(entity).records()
    check_both_ways(nic, entity)


@pytest.mark.parametrize("count", [0, 3, 5, 1 << 31, 0xFFFFFFFF])
def test_counts_are_believed_as_far_as_the_bytes_go(count):
    assert len(rows("dump_context", contexts(count=count))) == min(count, 4)


def test_a_chain_of_empty_spaces_ends():
    nic = open_with("tp_indirect", indirect("little", *[(1, 2, [])] * 5000))
    assert len(nic.entity_table("tp_indirect")) == 0
    check_both_ways(nic, "tp_indirect")


def test_the_usual_decoder_stays_for_payloads_without_a_header():
    usual, newer = decoder("cim_la"), decoder("cim_la", (1, 8))
    assert usual is not newer
    assert decoder("meminfo", (1, 552)) is decoder("meminfo")
    assert decoder("path_mtu", (1, 8)) is decoder("path_mtu")
    assert decoder("no such entity", (1, 8)) is None
