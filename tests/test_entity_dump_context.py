"""DUMP_CONTEXT (56)."""

from __future__ import annotations

import lzma
import os
import re
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cudbg_builder import Entity, cudbg
from cudbg_truth import shared
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
from memory_builder import EDC0, EDC1, meminfo

from vmcoredd_lab.devices.cxgb4.entities.dump_context import contexts_table
from vmcoredd_lab.frames import to_frame

MARK = {"little": "<", "big": ">"}
EGRESS, INGRESS, FREELIST, CONGESTION = range(4)
VALID = {EGRESS: 1 << 176, INGRESS: 1 << 141, FREELIST: 1 << 89, CONGESTION: 0}
FW_OK = 0x10


def record(kind: int, id_: int, value: int = 0, *, order: str = "little", valid: bool = True) -> bytes:
    """A context with the given bits, and its valid bit."""
    value |= VALID[kind] if valid else 0
    return struct.pack(MARK[order] + "8I", kind, id_, *(value >> 32 * i & 0xFFFFFFFF for i in range(6)))


def tid_info(flags: int = 0) -> bytes:
    return struct.pack("<IHH20I17I", 0xCCEDB001, 1, 148, *(flags if i == 14 else 0 for i in range(20)), *[0] * 17)


def contexts(kind: str, value: int, chip: str = "T6", number: int | None = None) -> dict[str, object]:
    """The fields of one context with these bits."""
    types = {"egress": EGRESS, "ingress": INGRESS, "freelist": FREELIST, "congestion": CONGESTION}
    payload = Payload("dump_context", record(types[kind] if number is None else number, 7, value), chip)
    (row,) = contexts_table(payload.parts, payload.context, kind).records()
    return row


@pytest.mark.parametrize("order", ORDERS)
def test_contexts_are_in_the_order_of_collection_and_the_zeros_behind_them_are_none(order):
    data = record(EGRESS, 0, 0x11, order=order) + record(INGRESS, 3, order=order) + record(FREELIST, 5, order=order)
    data += record(CONGESTION, 5, 0xFFFF, order=order) + bytes(32 * 20)
    payload = Payload("dump_context", data, order=order)
    found = payload.table
    assert found.values("type") == ["egress", "ingress", "freelist", "congestion"]
    assert (found.values("id"), found.values("w0")) == ([0, 3, 5, 5], [0x11, 0, 0, 0xFFFF])
    assert found.values("w5") == [1 << 16, 0, 0, 0]
    assert found.spans.tolist() == [[0, 32], [32, 64], [64, 96], [96, 128]]
    assert payload.summary == "contexts: 1 egress, 1 ingress, 1 freelist, 1 congestion"
    check_both_ways(payload)


def test_what_the_driver_leaves_behind_the_last_record_is_no_context_even_with_the_valid_bit():
    stale = record(EGRESS, 0, 0xABC)
    payload = Payload("dump_context", record(EGRESS, 4) + record(FREELIST, 1) + record(CONGESTION, 1) + stale)
    assert payload.table.values("type") == ["egress", "freelist", "congestion"]


def test_a_record_whose_valid_bit_is_clear_is_no_context():
    data = record(EGRESS, 1, valid=False) + record(INGRESS, 2, valid=False) + record(FREELIST, 3, valid=False)
    payload = Payload("dump_context", data)
    assert len(payload.table) == 0
    assert payload.summary == "no context in use"


def test_contexts_behind_a_damaged_gap_are_found():
    payload = Payload("dump_context", record(EGRESS, 1) + bytes(32) + record(EGRESS, 9))
    assert payload.table.values("id") == [1, 9]


def test_the_base_address_has_all_55_bits_and_counts_512_bytes():
    assert contexts("egress", (1 << 55) - 1 << 18)["BaseAddress"] == (1 << 64) - 512
    assert contexts("ingress", 0x1234 << 48)["BaseAddress"] == 0x1234 << 9


@pytest.mark.parametrize(
    ("chip", "raw", "size"), [("T5", 0, 16), ("T5", 3, 128), ("T6", 0, 64), ("T6", 1, 128), ("T6", 2, 64)]
)
def test_t6_has_one_bit_for_the_least_fetch_burst_where_t5_has_two(chip, raw, size):
    assert contexts("egress", raw << 156, chip)["FetchBurstMin"] == size


def test_sizes_and_thresholds_are_powers_of_two():
    row = contexts("egress", 3 << 153 | 5 << 105)
    assert (row["FetchBurstMax"], row["CIDXFlushThresh"]) == (512, 32)
    assert contexts("ingress", 2 << 2)["QueueEntrySize"] == 64
    assert contexts("ingress", 64 << 4)["QueueSize"] == 1024


def test_enumerations_have_their_names_beside_the_numbers():
    assert [contexts("egress", n << 109)["HostFCMode_name"] for n in range(4)] == [
        "none",
        "ingress queue",
        "status page",
        "both",
    ]
    assert [contexts("ingress", n << 126)["UpdateDelivery_name"] for n in range(4)] == [
        "none",
        "interrupt",
        "status page",
        "both",
    ]
    assert [contexts("ingress", n << 113)["InterruptDestination_name"] for n in range(2)] == ["PCIe", "ingress queue"]
    assert [contexts("congestion", n << 19)["CngTPMode_name"] for n in range(4)] == [None, "queue", "channel", None]


def test_the_channel_map_has_four_channels_of_four_bits_on_t5_and_two_of_eight_on_t6():
    t5, t6 = contexts("congestion", 0xABCD, "T5"), contexts("congestion", 0xABCD, "T6")
    assert [t5[f"CngChMap{i}"] for i in range(4)] == [0xD, 0xC, 0xB, 0xA]
    assert [t6[f"CngChMap{i}"] for i in range(2)] == [0xCD, 0xAB]
    assert "CngChMap2" not in t6


def test_t6_has_fields_where_t5_has_others():
    value = 1 << 159 | 1 << 174 | 1 << 175
    t5, t6 = contexts("egress", value, "T5"), contexts("egress", value, "T6")
    assert (t5["OnChipQueue"], t5["FetchSizeMode"], t5["PCIeDataChannel"]) == (1, 0, 3)
    assert (t6["TimerIx"], t6["PCIeDataChannel"], t6["ReschedulePending_1"]) == (4, 1, 1)
    value = 1 << 47 | 0x12345 << 20
    assert contexts("freelist", value, "T5")["PackOffset"] == value >> 16 & 0xFFFFFFFF
    t6 = contexts("freelist", value, "T6")
    assert (t6["Inflight"], t6["CongEn"], t6["PackOffset"]) == (1, 0, 0x12345)
    assert "SP_NS" in contexts("ingress", 0, "T6")
    assert "SP_NS" not in contexts("ingress", 0, "T5")


def test_t4_is_read_with_the_fields_of_t5_and_says_so():
    payload = Payload("dump_context", record(EGRESS, 1, 1 << 158), "T4")
    table = contexts_table(payload.parts, payload.context, "egress")
    assert table.values("FetchSizeMode") == [1]
    assert "T5" in table.attrs["note"]


def test_an_unknown_type_is_an_error_of_the_caller():
    payload = Payload("dump_context", record(EGRESS, 1))
    with pytest.raises(ValueError, match="egress, ingress, freelist, congestion"):
        contexts_table(payload.parts, payload.context, "flm")


def test_without_the_firmware_only_256_contexts_were_looked_at():
    payload = Payload("dump_context", record(EGRESS, 1), others=(("tid_info", tid_info(0)),))
    assert "0 to 255" in payload.table.attrs["note"]
    assert not Payload("dump_context", record(EGRESS, 1), others=(("tid_info", tid_info(FW_OK)),)).table.attrs


def test_with_firmware_contexts_that_no_memory_holds_were_read_as_congestion_contexts():
    memories = [(0, 0x100000, EDC0), (0x100000, 0x200000, EDC1)]
    here, nowhere = (
        meminfo(memories, [(0x1000, 0, 0), (0x9000, 0, 1)]),
        meminfo(memories, [(0x1000, 0, 0), (0x300000, 0, 1)]),
    )

    def note(regions: bytes) -> str:
        others = (("tid_info", tid_info(FW_OK)), ("meminfo", regions))
        return str(Payload("dump_context", record(INGRESS, 1), others=others).table.attrs.get("note", ""))

    assert note(here) == ""
    assert "ingress contexts" in note(nowhere)
    assert "egress" not in note(nowhere).replace("ingress", "")


def test_a_changed_word_changes_its_bits_only():
    check_one_cell(
        Payload("dump_context", record(EGRESS, 0) * 4), "contexts", "data[2]", 3, changed_bit=8 * (3 * 32 + 16)
    )


def test_the_adapter_gives_the_contexts_of_one_type_as_a_frame():
    nic = cudbg(Entity(56, record(EGRESS, 3, 7 << 2) + record(INGRESS, 1))).open()
    frame = nic.contexts("egress")
    assert frame[["id", "QueueSize"]].to_dict("records") == [{"id": 3, "QueueSize": 7}]
    assert str(frame["BaseAddress"].dtype) == "UInt64"
    assert len(nic.contexts("freelist")) == 0


def test_genuine_dumps_decode_to_the_contexts_that_were_valid():
    names = {"egress": "egress", "ingress": "ingress", "freelist": "flm", "congestion": "cnm"}
    for dump in genuine("dump_context"):
        found = rows(dump, "dump_context")
        for kind, key in names.items():
            words = [[row["id"], *(row[f"w{i}"] for i in range(6))] for row in found if row["type"] == kind]
            assert words == dump.model["contexts_valid"][key], (dump.name, kind)


# -- the vendor's viewer ----------------------------------------------------------------------------------------------


def shown(blob: str) -> Iterator[tuple[str, int, dict[str, int]]]:
    """Type, id and fields of each context in the viewer's text."""
    shared(blob)
    packed = Path(os.environ["VMCOREDD_LAB_TEST_DATA"]) / "cudbg" / f"{blob}.view.tar.xz"
    with lzma.open(packed) as plain, tarfile.open(fileobj=plain) as tar:
        name = next(m.name for m in tar if m.name.endswith("/56_dumpcontext.txt"))
        text = tar.extractfile(name).read().decode()  # type: ignore[union-attr]
    for part in text.split("Context type:")[1:]:
        kind, id_ = re.match(r"\s*(\w+)\s+Queue ID:\s*(\d+)", part).groups()  # type: ignore[union-attr]
        yield kind, int(id_), {name: int(value, 0) for name, value in re.findall(r"^(\w+) ?:\s+(\w+)", part, re.M)}


KINDS = {"egress": "egress", "ingress": "ingress", "fl": "freelist", "cong": "congestion"}
# The viewer cuts addresses to 32 bits before it shifts them, shows a flag as a number and a burst as its code, and takes two
# bits for FetchBurstMin of T6.
OTHER = {"WRLengthKnown": lambda v: None, "FetchBurstMin": lambda v: None}


@pytest.mark.parametrize("blob", ["t5-live-zlib", "t6-kdump-zlib", "uw-t6-fastlz"])
def test_the_viewer_shows_the_same_fields(blob, shared_data):
    nic = unified_wire() if blob.startswith("uw") else shared(blob).nic
    ours = {kind: nic.contexts_table(name).records() for kind, name in KINDS.items()}
    compared = 0
    for kind, id_, theirs in shown(blob):
        if not ours[kind]:  # the viewer goes on into the zeros
            continue
        row = ours[kind].pop(0)
        assert row["id"] == id_
        theirs = {
            {"Inflifght": "Inflight"}.get(name, name): value for name, value in theirs.items() if name not in OTHER
        }
        row["BaseAddress"] = (row.get("BaseAddress") or 0) >> 9 << 9 & (0xFFFFFFFF << 9)
        row["FetchBurstMax"] = (row.get("FetchBurstMax") or 64).bit_length() - 7
        assert {name: row[name] for name in theirs} == theirs
        compared += len(theirs)
    assert compared > 2000
    assert not any(ours.values())


def test_genuine_payloads_go_both_ways(shared_data):
    check_genuine("dump_context")


def test_any_bytes_are_a_table():
    check_any_bytes(
        "dump_context", record(EGRESS, 2) + record(INGRESS, 4) + record(FREELIST, 1) + record(CONGESTION, 1)
    )


@pytest.mark.parametrize("kind", ["egress", "ingress", "freelist", "congestion"])
def test_any_words_have_fields(kind):
    number = ["egress", "ingress", "freelist", "congestion"].index(kind)
    data = record(number, 1, (1 << 192) - 1) + record(number, 2, int.from_bytes(bytes(range(7, 31)), "big"))
    for chip in ("T4", "T5", "T6", "T0"):
        payload = Payload("dump_context", data + b"cut", chip)
        table = contexts_table(payload.parts, payload.context, kind)
        assert len(to_frame(table)) == 2
