"""RSS (22) and RSS_VF_CONF (25)."""

from __future__ import annotations

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

MARK = {"little": "<", "big": ">"}
QUEUES = [3, 1023, 0, 5]
# Highest and lowest bit of each field of TP_RSS_VFH_CONFIG.
VFH = {
    "enableudphash": (31, 31), "vfupen": (30, 30), "vfvlnex": (28, 28), "vfprten": (27, 27), "vfchnen": (26, 26),
    "defaultqueue": (25, 16), "vflkpidx": (15, 8), "vfip6fourtupen": (7, 7), "vfip6twotupen": (6, 6),
    "vfip4fourtupen": (5, 5), "vfip4twotupen": (4, 4), "keyindex": (3, 0),
}  # fmt: skip


def vf_conf(*pairs: tuple[int, int], order: str = "little") -> bytes:
    return b"".join(struct.pack(MARK[order] + "II", *pair) for pair in pairs)


@pytest.mark.parametrize("order", ORDERS)
def test_entries_are_16_bits_in_the_hosts_order(order):
    payload = Payload("rss", struct.pack(MARK[order] + "4H", *QUEUES), order=order)
    assert payload.table.values("queue") == QUEUES
    assert payload.table.values("index") == [0, 1, 2, 3]
    assert payload.table.spans.tolist() == [[0, 2], [2, 4], [4, 6], [6, 8]]
    check_both_ways(payload)


def test_a_changed_queue_changes_its_bits_only():
    check_one_cell(Payload("rss", struct.pack("<4H", *QUEUES)), "entries", "queue", 2, changed_bit=32)


def test_the_summary_counts_queues():
    assert Payload("rss", struct.pack("<4H", 7, 2, 7, 2)).summary == "4 entries, 2 queues, 2 to 7"
    assert Payload("rss", b"").summary == "empty"


@pytest.mark.parametrize(("field", "high", "low"), [(f, *places) for f, places in VFH.items()])
def test_each_field_of_vfh_has_its_bits(field, high, low):
    mask = (1 << (high + 1)) - (1 << low)
    alone, without = Payload("rss_vf_conf", vf_conf((0, mask), (0, ~mask & 0xFFFFFFFF))).table.records()
    assert alone[field] == (True if high == low else mask >> low)
    assert not without[field]
    assert not any(alone[other] for other in VFH if other != field)


@pytest.mark.parametrize("order", ORDERS)
def test_vfl_comes_before_vfh(order):
    row = Payload("rss_vf_conf", vf_conf((0x1234ABCD, 1), order=order), order=order).table.records()[0]
    assert (row["vf"], row["vfl"], row["vfh"]) == (0, 0x1234ABCD, 1)


def test_a_changed_vfh_changes_its_bits_only():
    check_one_cell(Payload("rss_vf_conf", vf_conf((1, 2), (3, 4))), "vfs", "rss_vf_vfh", 1, changed_bit=96)


@pytest.mark.parametrize(("entity", "key"), [("rss", "rss"), ("rss_vf_conf", "rss_vf_conf")])
def test_genuine_dumps_decode_to_what_the_adapter_held(entity, key):
    for dump in genuine(entity):
        found = [r["queue"] if entity == "rss" else [r["vfl"], r["vfh"]] for r in rows(dump, entity)]
        assert found == dump.model[key], dump.name


def test_t6_has_twice_the_entries_of_t5_and_the_unified_wire_stores_half_of_them():
    sizes = {dump.nic.chip: (len(rows(dump, "rss")), len(rows(dump, "rss_vf_conf"))) for dump in genuine("rss")}
    assert sizes == {"T4": (2048, 128), "T5": (2048, 128), "T6": (4096, 256)}
    nic = unified_wire()
    assert (len(nic.entity_table("rss")), len(nic.entity_table("rss_vf_conf"))) == (2048, 128)


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-kdump-zlib", "t6-uwpair-zlib", "uw-t6-fastlz"])
def test_the_viewer_shows_the_same_table(blob, shared_data):
    found, lines = viewed(blob, "rss")
    shown = [int(queue) for line in lines for queue in line.partition(":")[2].split()]
    assert [row["queue"] for row in found] == shown


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-kdump-zlib", "t6-uwpair-zlib", "uw-t6-fastlz"])
def test_the_viewer_shows_the_same_functions(blob, shared_data):
    found, lines = viewed(blob, "rss_vf_conf")

    def yes(row, *names):
        return ["yes" if row[name] else "no" for name in names]

    shown = [line.split() for line in lines if line.split()[0].isdecimal()]
    # The viewer's column of the IPv6 4-tuple hash repeats the IPv4 one.
    assert shown == [
        [str(r["vf"]), *yes(r, "vfchnen", "vfprten"), str(r["vflkpidx"]), *yes(r, "vfvlnex", "vfupen"),
         *yes(r, "vfip4fourtupen", "vfip6twotupen", "vfip4fourtupen", "vfip4twotupen", "enableudphash"),
         str(r["defaultqueue"]), str(r["keyindex"]), f"{r['vfl']:#x}" if r["vfl"] else "0"]
        for r in found
    ]  # fmt: skip


@pytest.mark.parametrize("entity", ["rss", "rss_vf_conf"])
def test_genuine_payloads_go_both_ways(entity, shared_data):
    check_genuine(entity)


@pytest.mark.parametrize("entity", ["rss", "rss_vf_conf"])
@pytest.mark.parametrize("version", [(1, 14), UNIFIED_WIRE])
def test_any_bytes_are_a_table(entity, version):
    check_any_bytes(entity, bytes(range(200)), version=version)
