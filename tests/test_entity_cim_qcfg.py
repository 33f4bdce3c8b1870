"""CIM_QCFG: where the CIM's queues lie, and the pointers of those that the driver collects."""

from __future__ import annotations

import struct

import pytest
from entity_checks import (
    CHIPS,
    ORDERS,
    UNIFIED_WIRE,
    Payload,
    check_any_bytes,
    check_genuine,
    check_one_cell,
    genuine,
    rows,
)
from viewer_text import viewer_text

QUEUES = [
    "TP0",
    "TP1",
    "ULP",
    "SGE0",
    "SGE1",
    "NC-SI",
    "ULP0",
    "ULP1",
    "ULP2",
    "ULP3",
    "SGE",
    "NC-SI",
    "SGE0-RX",
    "SGE1-RX",
]


def qcfg(*, stat: dict[int, int] | None = None, obq_wr: dict[int, int] | None = None, base: dict[int, int] | None = None,
         chip: str = "T6", order: str = "little", version: tuple[int, int] = (1, 14)) -> Payload:  # fmt: skip
    """struct cudbg_cim_qcfg with the given words of stat, obq_wr and base by index; queue i is 256 * (i + 1) bytes."""
    members = [
        0x60, *((base or {}).get(i, 0) for i in range(14)), *(256 * (i + 1) for i in range(14)), *(8 * i for i in range(6)),
        *((obq_wr or {}).get(i, 0) for i in range(16)), *((stat or {}).get(i, 0) for i in range(56)),
    ]  # fmt: skip
    return Payload(
        "cim_qcfg", struct.pack((">" if order == "big" else "<") + "Bx14H14H6H2x16I56I", *members), chip, order, version
    )


def test_base_size_and_threshold_are_what_the_hardware_held():
    for dump in genuine("cim_qcfg"):
        table, held = rows(dump, "cim_qcfg"), dump.model["cim_qcfg"]
        count = 12 if dump.nic.chip == "T4" else 14
        assert [r["direction"] for r in table] == ["in"] * 6 + ["out"] * (count - 6)
        assert [r["base"] for r in table] == held["base_ibq6_obq8"][:count]
        assert [r["size"] for r in table] == held["size_ibq6_obq8"][:count]
        assert [r["thres"] for r in table] == [*held["thres_ibq6"], *[None] * (count - 6)]


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-kdump-zlib", "t6-uwpair-zlib"])
def test_pointers_read_as_the_viewer_prints_them(blob):
    lines = [" ".join(line.split()) for line in viewer_text(blob, "05_cimqcfg.txt")[2:]]
    dump = next(d for d in genuine("cim_qcfg") if d.name == blob)
    ours = []
    for r in rows(dump, "cim_qcfg")[:12]:
        thres = f" {r['thres']}" if r["direction"] == "in" else ""
        pointers = f"{r['rdptr']:x} {r['wrptr']:x} {r['sop']} {r['eop']} {r['avail']}"
        ours.append(f"{r['queue']} {r['base']:x} {r['size']}{thres} {pointers}")
    assert ours == lines


@pytest.mark.parametrize("order", ORDERS)
def test_an_inbound_queues_registers_are_four_words_of_stat(order):
    words = {4 * 5: 0xFFFFF234, 4 * 5 + 1: 0xFFFFE567, 4 * 5 + 2: 0x800007FF, 4 * 5 + 3: 0xFABCF123}
    row = qcfg(stat=words, order=order).table.records()[5]
    assert (row["queue"], row["rdptr"], row["wrptr"]) == ("NC-SI", 0x1234, 0x0567)
    assert (row["avail"], row["frame_error"]) == (0x7FF * 16, True)
    assert (row["eop"], row["sop"]) == (0xABC, 0x123)


@pytest.mark.parametrize("order", ORDERS)
def test_an_outbound_queues_write_pointer_is_counted_from_its_base(order):
    row = qcfg(stat={4 * 8: 0xFFFFF234}, obq_wr={4: 0x1850, 5: 0xBAD}, base={8: 0x1800}, order=order).table.records()[8]
    assert (row["queue"], row["rdptr"], row["wrptr"], row["frame_error"]) == ("ULP2", 0x3234, 0x50, None)
    row = qcfg(obq_wr={4: 0x10}, base={8: 0x20}).table.records()[8]
    assert row["wrptr"] == 0xFFFFFFF0


@pytest.mark.parametrize("chip", ["T5", "T6"])
def test_the_two_receive_queues_have_no_pointers_since_the_driver_reads_other_registers(chip):
    table = qcfg(
        stat=dict.fromkeys(range(56), 0xFFFFFFFF), obq_wr=dict.fromkeys(range(16), 0xFFFFFFFF), chip=chip
    ).table
    assert [(r["queue"], r["size"]) for r in table.records() if not r["reliable"]] == [
        ("SGE0-RX", 3328),
        ("SGE1-RX", 3584),
    ]
    unknown = ("rdptr", "wrptr", "sop", "eop", "avail")
    assert all(r[name] is None for r in table.records()[12:] for name in unknown)
    assert all(r[name] is not None for r in table.records()[:12] for name in unknown)
    assert "up_cim_indirect" in table.attrs["note"]


def test_t4_has_no_receive_queues():
    table = qcfg(chip="T4").table
    assert table.values("queue") == QUEUES[:12]
    assert all(table.values("reliable"))
    assert table.attrs == {}


@pytest.mark.parametrize("chip", CHIPS)
def test_each_queue_names_the_entity_with_its_memory(chip):
    table = qcfg(chip=chip).table
    assert table.values("queue") == QUEUES[: len(table)]
    assert table.values("entity")[:7] == [
        *(f"cim_ibq_{q}" for q in ("tp0", "tp1", "ulp", "sge0", "sge1", "ncsi")),
        "cim_obq_ulp0",
    ]


def test_the_summary_names_queues_with_a_framing_error():
    assert qcfg().summary == "6 inbound and 8 outbound queues"
    assert qcfg(stat={2: 1 << 31, 22: 1 << 31, 26: 1 << 31}).summary.endswith("; frame error in TP0, NC-SI")


def test_every_genuine_structure_goes_both_ways():
    check_genuine("cim_qcfg")


def test_one_changed_cell_is_one_changed_bit():
    check_one_cell(qcfg(), "qcfg", "stat[3]", 0, changed_bit=8 * (136 + 12))
    check_one_cell(qcfg(order="big"), "qcfg", "base[13]", 0, changed_bit=8 * (2 + 26 + 1))


@pytest.mark.parametrize("version", [(1, 14), UNIFIED_WIRE])
def test_any_bytes_make_a_table(version):
    check_any_bytes("cim_qcfg", qcfg().data, version=version)
