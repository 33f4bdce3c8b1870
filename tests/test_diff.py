"""Differences: the same configuration with other traffic shows none in configuration; what changed is found and named."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import pytest
from changed_dumps import address, changed, opened
from hypothesis import given
from hypothesis import strategies as st

import vmcoredd_lab as vl
from vmcoredd_lab.analysis.diff import CLASSES, diff_table
from vmcoredd_lab.analysis.diff.registers import counter_delta
from vmcoredd_lab.analysis.shapes import message_shape
from vmcoredd_lab.devices.comparison import Rule
from vmcoredd_lab.devices.cxgb4.comparison import comparison_rules
from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.register_table import register_table

SAMPLE = Path(__file__).parents[1] / "sample_data" / "ethtool-t6-sge-parity.dump"


@pytest.fixture(scope="module")
def nic():
    return opened(changed(vl.open_device_dump(SAMPLE).decode()))


@pytest.fixture(scope="module")
def plain(nic, tmp_path_factory):
    """The same dump as a file."""
    path = tmp_path_factory.mktemp("diff") / "plain.dump"
    path.write_bytes(changed(nic))
    return path


def rows(a, b, **options):
    return diff_table(a, b, **options).records()


def only_row(found):
    assert len(found) == 1, found
    return found[0]


# -- what is in the result --------------------------------------------------------------------------------------------


def test_a_dump_does_not_differ_from_itself(nic):
    assert rows(nic, opened(changed(nic))) == []


def test_other_traffic_is_no_other_configuration(nic):
    moved = {
        address(nic, "MPS_PORT_STAT_TX_PORT_BYTES_L"): 123456,
        address(nic, "MPS_STAT_RX_BG_0_MAC_DROP_FRAME_L"): 7,
        address(nic, "SGE_STAT_TOTAL"): 99,
        address(nic, "SGE_DBFIFO_STATUS"): 3,
        address(nic, "SGE_TIMESTAMP_LO"): 1,
        address(nic, "TP_MTU_TABLE"): 1,
        address(nic, "ULP_TX_LA_RDPTR_0"): 1,
        address(nic, "MPS_VF_RPLCT_MAP0"): 5,
        address(nic, "LE_DB_ACT_CNT_IPV4"): 17,
        address(nic, "MAC_PORT_AFRAMESTRANSMITTEDOK"): 4,
    }
    found = rows(nic, opened(changed(nic, moved, cim_la=lambda data: data.__setitem__(100, data[100] ^ 1))))
    assert found
    assert {row["class"] for row in found} <= {"status", "counter", "pointer", "data", "timestamp"}


def test_a_changed_field_is_named(nic):
    at = address(nic, "MPS_PORT_RX_CTL", 1)
    word = nic.register_dump.value(at)
    row = only_row(rows(nic, opened(changed(nic, {at: word ^ 1 << 3}))))
    assert (row["class"], row["block"], row["what"], row["key"]) == ("config", "MPS", "MPS_PORT_RX_CTL", "[1], port 1")
    assert row["field"] == next(f["field"] for f in nic.register_table("MPS_PORT_RX_CTL").records() if f["lsb"] == 3)
    assert (row["value_a"], row["value_b"]) == (word >> 3 & 1, word >> 3 & 1 ^ 1)
    assert (row["entity"], row["where_a"], row["where_b"]) == ("reg_dump", at, at)


def test_bits_outside_every_field_are_not_passed_over(nic):
    at = address(nic, "SGE_CONTROL")
    row = only_row(rows(nic, opened(changed(nic, {at: nic.register_dump.value(at) ^ 1 << 16}))))
    assert (row["what"], row["field"], row["class"]) == ("SGE_CONTROL", "bits 0x10000 (no name)", "config")


def test_an_error_latch_must_be_explained_and_says_what_it_means(nic):
    at = address(nic, "SGE_INT_CAUSE1")
    row = only_row(rows(nic, opened(changed(nic, {at: nic.register_dump.value(at) | 1 << 30}))))
    assert (row["class"], row["policy"], row["field"]) == ("status", "must_be_explained", "perr_flm_CreditFifo")
    assert row["note"] == "set in B: parity error in free-list manager credit FIFO; must be explained"


def test_a_counter_is_joined_over_both_words_and_has_ethtools_name(nic):
    low = address(nic, "MPS_PORT_STAT_TX_PORT_BYTES_L")
    row = only_row(rows(opened(changed(nic, {low: 0xFFFFFFF0})), opened(changed(nic, {low: 0x10, low + 4: 1}))))
    assert (row["what"], row["field"], row["delta"]) == ("MPS_PORT_STAT_TX_PORT_BYTES", "tx_octets_ok", 0x20)
    assert (row["value_a"], row["value_b"]) == (0xFFFFFFF0, 0x100000010)


def test_halves_named_hi_are_joined_too(nic):
    low = address(nic, "MAC_PORT_AFRAMESTRANSMITTEDOK")
    row = only_row(rows(nic, opened(changed(nic, {low + 4: 1}))))
    assert (row["what"], row["delta"]) == ("MAC_PORT_AFRAMESTRANSMITTEDOK", 1 << 32)


def test_tps_counters_have_their_high_word_first(nic):
    table = nic.entity_table("tp_indirect")
    at = int(table.spans[table.values("register").index("TP_MIB_TCP_OUT_SEG_HI"), 0])
    row = only_row(rows(nic, opened(changed(nic, tp_indirect=lambda d: struct.pack_into("<II", d, at, 1, 5)))))
    assert (row["class"], row["what"], row["delta"]) == ("counter", "TP_MIB_TCP_OUT_SEG", (1 << 32) + 5)


def test_a_counter_that_went_down_says_so(nic):
    low = address(nic, "MPS_PORT_STAT_TX_PORT_FRAMES_L")
    row = only_row(rows(opened(changed(nic, {low: 9})), opened(changed(nic, {low: 4}))))
    assert row["delta"] == -5
    assert "lower in B" in row["note"]


@given(st.sampled_from([32, 64]), st.data())
def test_a_counters_delta_survives_its_wrap(bits, data):
    start = data.draw(st.integers(0, (1 << bits) - 1))
    step = data.draw(st.integers(0, (1 << (bits - 1)) - 1))
    assert counter_delta(start, (start + step) % (1 << bits), bits) == step


def test_registers_that_only_move_are_counted_unless_detail_is_asked_for(nic):
    words = {address(nic, f"ULP_TX_LA_RDPTR_{i}"): 77 for i in range(3)}
    other = opened(changed(nic, words))
    row = only_row(rows(nic, other))
    assert (row["what"], row["field"].split(" of ")[0]) == ("ULP_TX registers", "3")
    assert {r["what"] for r in rows(nic, other, detail=True)} == {f"ULP_TX_LA_RDPTR_{i}" for i in range(3)}


# -- entities ---------------------------------------------------------------------------------------------------------


def test_a_row_of_an_entity_is_named_by_its_key(nic):
    row = only_row(rows(nic, opened(changed(nic, path_mtu=lambda d: struct.pack_into("<H", d, 2 * 5, 1234)))))
    assert (row["what"], row["key"], row["field"], row["b"]) == ("path_mtu", "index 5", "mtu", "1234")
    assert (row["entity"], row["where_a"]) == ("path_mtu", 10)


def test_a_filter_that_only_one_has_is_one_row(nic):
    table = nic.entity_table("mps_tcam")
    start = int(table.spans[3, 0])
    found = rows(nic, opened(changed(nic, mps_tcam=lambda d: d.__setitem__(slice(start, start + 88), bytes(88)))))
    row = only_row(found)
    assert (row["what"], row["key"], row["b"]) == ("mps_tcam", f"idx {table.values('idx')[3]}", None)
    assert row["note"].startswith("only in A")


def test_an_address_of_the_card_is_configuration_on_the_same_card_and_identity_on_another(nic):
    def other_address(data):
        at = int(nic.entity_table("mps_tcam").spans[2, 0])
        where = bytes(data[at : at + 88]).index(
            bytes.fromhex(nic.entity_table("mps_tcam").values("addr")[2].replace(":", ""))
        )
        data[at + where + 5] ^= 1

    def other_card(data):
        data[5] ^= 1

    same = rows(nic, opened(changed(nic, mps_tcam=other_address)))
    assert [(r["class"], r["field"]) for r in same] == [("config", "addr")]
    another = rows(nic, opened(changed(nic, mps_tcam=other_address, vpd_data=other_card)))
    assert {(r["class"], r["field"]) for r in another} == {("identity", "addr"), ("identity", "sn")}


def test_pointers_of_a_queue_are_no_configuration_but_its_size_is(nic):
    table = nic.contexts_table("egress")
    start = int(table.spans[0, 0])

    def flip(bit):
        return lambda d: d.__setitem__(start + 8 + bit // 8, d[start + 8 + bit // 8] ^ 1 << bit % 8)

    def kinds(bit):
        return {(r["class"], r["field"]) for r in rows(nic, opened(changed(nic, dump_context=flip(bit))), detail=True)}

    lowest = {
        row["field"]: int(row["lsb"])
        for row in read_table("sge_contexts.csv")
        if row["kind"] == "egress" and "T6" in row["chips"]
    }
    for kind, field in (("pointer", "PIDX"), ("config", "QueueSize"), ("environment", "BaseAddress")):
        assert kinds(lowest[field]) == {(kind, field)}


def test_what_was_not_collected_is_a_status(nic):
    data = bytearray(changed(nic))
    slot = 56 + 52 * 26  # the header of entity 27, path_mtu
    struct.pack_into("<IIiII", data, slot + 4, 0, 0, -19, 0, 0)
    row = only_row(rows(nic, opened(bytes(data))))
    assert (row["class"], row["what"], row["a"], row["b"]) == ("status", "path_mtu", "yes", "failed (-19)")


# -- logs -------------------------------------------------------------------------------------------------------------


def test_a_new_message_is_found_by_its_shape(nic):
    def crash(data):
        struct.pack_into(
            ">QIHBB192s8I", data, 0, 10**12, 400, 0, 0, 0, b"assertion failed at line %u\n", 1423, *[0] * 7
        )

    found = [r for r in rows(nic, opened(changed(nic, dev_log=crash))) if r["policy"] == "must_be_explained"]
    row = only_row(found)
    assert (row["class"], row["what"], row["key"]) == ("log", "firmware log", "EMERG CORE")
    assert row["field"] == "assertion failed at line #"
    assert row["note"] == "only in B; the newest: assertion failed at line 1423"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("port[0] link up (1) speed 25000Mbps (acaps 0x0000003e)", "port[1] link up (1) speed 10000Mbps (acaps 0x1)"),
        ("state e3d2 of node 7", "state 77 of node 123"),
        ("took -5 ms", "took 12 ms"),
    ],
)
def test_messages_that_differ_in_numbers_have_one_shape(one, other):
    assert message_shape(one) == message_shape(other)


def test_words_are_kept_in_a_shape():
    assert message_shape("dead end: cafe closed") == "dead end: cafe closed"


# -- choosing ---------------------------------------------------------------------------------------------------------


def test_only_and_ignore_take_globs_of_class_block_and_register(nic):
    words = {address(nic, "SGE_STAT_TOTAL"): 5, address(nic, "MPS_PORT_STAT_TX_PORT_FRAMES_L"): 5}
    other = opened(changed(nic, words))
    assert {r["block"] for r in rows(nic, other)} == {"SGE", "MPS"}
    assert {r["block"] for r in rows(nic, other, only=["sge"])} == {"SGE"}
    assert {r["block"] for r in rows(nic, other, ignore=["MPS_PORT_STAT_*"])} == {"SGE"}
    assert rows(nic, other, only=["counter"], ignore=["counter"]) == []


def test_a_glob_that_matches_nothing_is_an_error_with_a_hint(nic):
    with pytest.raises(vl.UsageError, match="sge_controll") as error:
        rows(nic, opened(changed(nic)), only=["SGE_CONTROLL"])
    assert error.value.hint


def test_every_register_of_every_chip_has_a_class():
    for chip in ("T4", "T5", "T6"):
        table, rules = register_table(chip), comparison_rules(chip)
        kinds = {
            rules.register(block, name).kind
            for block, name in zip(table.blocks.texts(), table.registers.texts(), strict=True)
            if name
        }
        assert kinds <= set(CLASSES)


def test_an_access_window_is_no_configuration():
    rules = comparison_rules("T6")
    for block, name in (("MPS", "MPS_VF_RPLCT_MAP3"), ("TP", "TP_PACE_TABLE"), ("CIM", "CIM_HOST_ACC_DATA")):
        assert rules.register(block, name).kind == "data"
    assert rules.register("TP", "TP_RSS_CONFIG") == Rule("config", "equal", "")


# -- baselines --------------------------------------------------------------------------------------------------------


def test_a_baseline_stands_for_the_dump(nic, plain, tmp_path):
    vl.save_baseline(nic, tmp_path / "base")
    assert len(vl.diff(tmp_path / "base", plain)) == 0
    other = opened(changed(nic, {address(nic, "SGE_CONTROL"): 0}, rss=lambda d: d.__setitem__(0, d[0] ^ 1)))
    assert rows(tmp_path / "base", other) == rows(nic, other)


def test_the_same_dump_gives_the_same_baseline(nic, tmp_path):
    vl.save_baseline(nic, tmp_path / "one")
    vl.save_baseline(nic, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "OpenError"),
        (gzip.compress(b'{"format": "vmcoredd-lab/baseline/9"}', mtime=0), "not a baseline that this release reads"),
        (gzip.compress(b'{"format": "vmcoredd-lab/baseline/1"}'), "the baseline is damaged"),
        (gzip.compress(json.dumps({"format": "vmcoredd-lab/baseline/1"}).encode())[:-9], "the baseline is damaged"),
    ],
    ids=["empty", "later version", "no members", "cut"],
)
def test_a_damaged_baseline_is_refused(plain, tmp_path, data, expected):
    path = tmp_path / "base"
    path.write_bytes(data)
    with pytest.raises(vl.OpenError) as error:
        vl.diff(path, plain)
    assert expected in f"{type(error.value).__name__} {error.value}"


@pytest.mark.parametrize("member", ["tables", "blocks", "identity", "chip", "driver"])
def test_a_baseline_with_foreign_members_is_refused(nic, plain, tmp_path, member):
    vl.save_baseline(nic, tmp_path / "base")
    plain = json.loads(gzip.decompress((tmp_path / "base").read_bytes()))
    plain[member] = {"x": [{"y": 1}]} if member != "driver" else 5
    (tmp_path / "base").write_bytes(gzip.compress(json.dumps(plain).encode()))
    with pytest.raises(vl.VmcoreddLabError):
        vl.diff(tmp_path / "base", plain)


def test_a_baseline_without_a_needed_column_is_refused(nic, plain, tmp_path):
    vl.save_baseline(nic, tmp_path / "base")
    saved = json.loads(gzip.decompress((tmp_path / "base").read_bytes()))
    table = saved["tables"]["registers"]
    table["columns"] = [column for column in table["columns"] if column[0] != "address"]
    (tmp_path / "base").write_bytes(gzip.compress(json.dumps(saved).encode()))
    with pytest.raises(vl.OpenError, match="a table without"):
        vl.diff(tmp_path / "base", plain)


# -- genuine dumps ----------------------------------------------------------------------------------------------------


def test_the_injected_fault_is_the_only_status_that_differs(shared_data):
    folder = shared_data / "cudbg"
    found = rows(folder / "q-t6-quiet.bin", folder / "q-t6-sgeparity.bin", only=["status"])
    assert [(r["what"], r["field"]) for r in found] == [
        ("SGE_INT_CAUSE1", "perr_align_ctl_fifo0"),
        ("PL_INT_CAUSE", "SGE"),
    ]


def test_quiet_adapters_differ_in_no_register_that_is_configuration(shared_data):
    folder = shared_data / "cudbg"
    found = rows(folder / "q-t6-quiet.bin", folder / "q-t6-fwcrash.bin", only=["config"])
    assert not [r for r in found if r["entity"] == "reg_dump"]


def test_the_crash_is_in_status_and_log(shared_data):
    folder = shared_data / "cudbg"
    found = rows(folder / "q-t6-quiet.bin", folder / "q-t6-fwcrash.bin", only=["status", "log"])
    assert ("PCIE_FW", "ERR") in {(r["what"], r["field"]) for r in found}
    assert "assertion failed at line # (val0 # val1 #)" in {r["field"] for r in found}


def test_different_chips_are_stated_first(shared_data):
    folder = shared_data / "cudbg"
    table = diff_table(folder / "q-t6-quiet.bin", folder / "q-t5-quiet-live.bin")
    first = table.records()[0]
    assert (first["class"], first["what"], first["a"], first["b"]) == ("config", "chip", "T6", "T5")
    assert "not compared" in first["note"]
    assert table.attrs["note"] == first["note"]
    assert "reg_dump" not in {r["entity"] for r in table.records()}


def test_devices_of_two_vmcores_are_paired_by_address(shared_data):
    story = shared_data / "vmcore" / "x86_64-story" / "vmcore.d31-zlib.kdump"
    frame = vl.diff(story, story)
    assert len(frame) == 0
    core = vl.open_vmcore(story)
    assert set(vl.diff(core.device_dumps[0], core.device_dumps[1], only=["status"])["what"]) == {"PCIE_FW"}


def test_an_adapter_that_is_gone_differs_without_an_error(shared_data):
    folder = shared_data / "cudbg"
    assert len(diff_table(folder / "t6-kdump-zlib.bin", folder / "t6-dead-zlib.bin")) > 0


def test_one_device_and_a_vmcore_with_two_is_an_error(sample):
    with pytest.raises(vl.UsageError, match="2 device dumps"):
        vl.diff(sample, SAMPLE)


# -- the command line -------------------------------------------------------------------------------------------------


def test_the_command_for_people_and_for_programs(lab, nic, plain, file):
    path = file(changed(nic, {address(nic, "SGE_STAT_TOTAL"): 1234}), "other.dump")
    told = lab("diff", plain, path)
    assert told.status == 0
    assert "no difference in configuration" in told.out
    assert "SGE_STAT_TOTAL  0 -> 1,234  (+1,234)" in told.out
    assert [r["what"] for r in lab("diff", plain, path, "--format", "json").json] == ["SGE_STAT_TOTAL"]


def test_two_dumps_of_one_vmcore_need_no_second_file(lab, sample):
    answer = lab("diff", sample, "--only", "status", "--format", "json")
    assert "PCIE_FW" in {row["what"] for row in answer.json}


def test_the_page_escapes_what_comes_from_the_dumps(lab, nic, plain, file, tmp_path):
    def hostile(data):
        struct.pack_into(
            ">QIHBB192s8I", data, 0, 10**12, 400, 0, 0, 0, b"<script>alert(%u)</script>\x1b[2J", 1, *[0] * 7
        )

    path = file(changed(nic, dev_log=hostile), "other.dump")
    out = tmp_path / "diff.html"
    assert lab("diff", plain, path, "-o", out).status == 0
    page = out.read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page


def test_a_baseline_is_saved_and_compared_on_the_command_line(lab, plain, tmp_path):
    assert lab("baseline", plain, "-o", tmp_path / "base").status == 0
    answer = lab("diff", tmp_path / "base", plain, "--format", "json")
    assert (answer.status, answer.json) == (0, [])
