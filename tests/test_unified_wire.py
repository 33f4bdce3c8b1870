"""Dumps of Chelsio's Unified Wire (format 1.9): entities that only it collects, its statuses, records one after another.

What they must decode to is the vendor viewer's text for the same file, and a dump that Linux made of the same adapter.
"""

from __future__ import annotations

import re
import struct
from typing import Any

import pytest
from cudbg_builder import DEV_LOG, PATH_MTU, Entity, cudbg, log_entry
from cudbg_truth import shared
from entity_checks import ORDERS, UNIFIED_WIRE, Payload, check_any_bytes, check_both_ways, check_one_cell, unified_wire
from fastlz_builder import sixpack
from viewer_text import viewer_text

import vmcoredd_lab as vl
from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities import decoders

BLOB = "uw-t6-fastlz"
OLD: dict[str, Any] = {"version": (1, 9), "max_entities": 67}
MARK = {"little": "<", "big": ">"}
EXT_ENTITY, SW_STATE, MBOX_LOG, RSS_KEY = 63, 28, 66, 24
ONLY = ("rss_pf_conf", "rss_key", "rss_conf", "wtp", "tcp_stats", "tp_err_stats", "fcoe_stats", "rdma_stats", "cpl_stats",
        "ddp_stats", "wc_stats", "lb_stats", "mac_stats", "full", "tx_rate")  # fmt: skip


def records(entity: str) -> list[dict[str, Any]]:
    return unified_wire().entity_table(entity).records()


def numbers(line: str) -> list[int]:
    """The numbers behind a label."""
    return [int(n) for n in re.findall(r"\d+", line.rpartition(":")[2])]


def labelled(file: str) -> dict[str, list[int]]:
    """Lines of the form `label: number number` of a viewer's file."""
    return {line.split(":")[0].strip(): numbers(line) for line in viewer_text(BLOB, file) if re.search(r":\s+\d", line)}


def columns(entity: str, *names: str) -> list[list[Any]]:
    return [[row[name] for row in records(entity)] for name in names]


# -- against the viewer -----------------------------------------------------------------------------------------------


def test_tcp_stats_by_protocol(shared_data):
    shown = labelled("32_tcpstats.txt")
    assert columns("tcp_stats", "protocol") == [["IPv4", "IPv6"]]
    members = ("tcp_out_rsts", "tcp_in_segs", "tcp_out_segs", "tcp_retrans_segs")
    assert columns("tcp_stats", *members) == [shown[n] for n in ("OutRsts", "InSegs", "OutSegs", "RetransSegs")]


def test_tp_err_stats_by_channel_and_of_the_adapter(shared_data):
    shown = labelled("33_tperrstats.txt")
    rows = records("tp_err_stats")
    assert [row["channel"] for row in rows] == [0, 1, 2, 3, None]
    for label, member in {
        "macInErrs": "mac_in_errs", "hdrInErrs": "hdr_in_errs", "tcpInErrs": "tcp_in_errs", "tcp6InErrs": "tcp6_in_errs",
        "tnlCongDrops": "tnl_cong_drops", "tnlTxDrops": "tnl_tx_drops", "ofldVlanDrops": "ofld_vlan_drops",
        "ofldChanDrops": "ofld_chan_drops",
    }.items():  # fmt: skip
        assert [row[member] for row in rows] == [*shown[label], None]
    for label, member in {"ofldNoNeigh": "ofld_no_neigh", "ofldCongDefer": "ofld_cong_defer"}.items():
        assert [row[member] for row in rows] == [None] * 4 + shown[label]


@pytest.mark.parametrize(
    ("entity", "file", "labels"),
    [
        ("fcoe_stats", "34_fcoestats.txt", {"octetsDDP": "octets_ddp", "framesDDP": "frames_ddp", "framesDrop": "frames_drop"}),
        ("rdma_stats", "35_rdmastats.txt", {"NoRQEModDefferals": "rqe_dfr_mod", "NoRQEPktDefferals": "rqe_dfr_pkt"}),
        ("cpl_stats", "38_cplstats.txt", {"CPL requests": "req", "CPL responses": "rsp"}),
        ("ddp_stats", "39_ddpstats.txt", {"Frames": "frames", "Octets": "octets", "Drops": "drops"}),
        ("wc_stats", "40_wcstats.txt", {"WriteCoalSuccess": "wr_cl_success", "WriteCoalFail": "wr_cl_fail"}),
        ("tx_rate", "53_txrate.txt", {"NIC B/s": "nrate", "Offload B/s": "orate"}),
    ],
)  # fmt: skip
def test_counters(entity, file, labels, shared_data):
    shown = labelled(file)
    for label, member in labels.items():
        values = columns(entity, member)[0]
        assert values[: len(shown[label])] == shown[label]
        assert values


def test_fcoe_stats_of_all_channels_are_those_of_the_mib(shared_data):
    """The library does not write how many channels there are, and the viewer shows two."""
    mib = {r["register"]: r["value"] for r in records("tp_indirect") if r["space"] == "TP_MIB"}
    rows = records("fcoe_stats")
    assert [row["frames_ddp"] for row in rows] == [mib[f"TP_MIB_FCOE_DDP_{i}"] for i in range(4)]
    assert [row["frames_drop"] for row in rows] == [mib[f"TP_MIB_FCOE_DROP_{i}"] for i in range(4)]


def test_lb_stats_by_channel(shared_data):
    lines = viewer_text(BLOB, "42_lbstats.txt")
    shown: dict[str, list[int]] = {}
    for line in lines:
        if re.match(r"\w+: +\d", line):
            shown.setdefault(line.split(":")[0], []).extend(numbers(line))
    members = ["octets", "frames", "bcast_frames", "mcast_frames", "ucast_frames", "error_frames", "frames_64",
               "frames_65_127", "frames_128_255", "frames_256_511", "frames_512_1023", "frames_1024_1518", "frames_1519_max",
               "drop", *(f"ovflow{i}" for i in range(4)), *(f"trunc{i}" for i in range(4))]  # fmt: skip
    assert columns("lb_stats", *members) == list(shown.values())


def test_mac_stats_by_port(shared_data):
    lines = [line.split() for line in viewer_text(BLOB, "49_macstats.txt") if re.match(r"\w+ +\d+$", line)]
    rows = records("mac_stats")
    names = [name for name in rows[0] if name != "port"]
    shown = [int(value) for _, value in lines[: 4 * len(names)]]
    assert [row[name] for row in rows for name in names] == shown
    assert [name for name, _ in lines[: len(names)]] == names


def test_mac_stats_say_that_the_number_of_ports_is_not_possible(shared_data):
    assert "port_count is 14" in unified_wire().entity_table("mac_stats").attrs["note"]


def test_rss_pf_conf(shared_data):
    lines = [line.split() for line in viewer_text(BLOB, "23_rss_pf_config.txt") if re.match(r" +\d ", line)]
    names = ("pf", "mapenable", "chnenable", "prtenable", "lkpidx", "msksize", "ivfwidth", "ip6fourtupen", "ip6twotupen",
             "ip4fourtupen", "ip4twotupen", "udpfourtupen", "ch1defaultqueue", "ch0defaultqueue")  # fmt: skip
    words = {True: "yes", False: "no"}
    for row, cells in zip(records("rss_pf_conf"), lines, strict=True):
        assert [words.get(row[n], str(row[n])) if isinstance(row[n], bool) else str(row[n]) for n in names] == cells
    assert unified_wire().entity_table("rss_pf_conf").attrs["lkpidxsize"] == 0


def test_rss_key(shared_data):
    assert [row["key"] for row in records("rss_key")] == viewer_text(BLOB, "24_rss_key.txt")[1:2]


def test_rss_conf_by_field(shared_data):
    """The viewer abbreviates names; it shows a bit's name twice, so that the last one counts."""
    lines = viewer_text(BLOB, "26_rss_config.txt")[1:]
    rows = records("rss_conf")
    other = {"synvrt6sel": "synvrtsel", "chnen": "channelenable", "prten": "portenable", "tnlalllkp": "tnlalllookup",
             "vrten": "virtenable", "cngen": "congestionenable", "udp4en": "udpenable", "disvfvlan": "vfvlanen",
             "enupswt": "vffwen"}  # fmt: skip
    register, checked = "", 0
    for line in lines:
        name, _, text = (part.strip() for part in line.partition(":"))
        if not line.startswith(" "):
            register = name
            assert {row["word"] for row in rows if row["register"] == register} == {
                int(text, 16 if "x" in text else 10)
            }
            continue
        wanted = other.get(name.lower(), name.lower())
        (row,) = [r for r in rows if r["register"] == register and r["field"].lower() == wanted]
        shown = row["meaning"] or ("yes" if row["value"] else "no") if not text.isdigit() else str(row["value"])
        assert shown == text, line
        checked += 1
    assert checked > 60


EGRESS = ("pcie_t5_dma_stat3", "ulp_se_cnt_chx", "utx_tpcside", "tpcside_rxarb", "tpeside_mps", "tp_mps", "mps_xgm",
          "mac_portx_pkt_count", "mac_portx_aframestra_ok", "mac_portx_etherstatspkts")  # fmt: skip
INGRESS = ("pcie_dma1_stat2", "sge_debug_data_high_indx7", "sge_debug_data_high_indx1", "sge_debug_data_high_indx9",
           "utx_tpcside_tx", "ulprx_tpcside", "pmrx_ulprx", "le_db_rsp_cnt", "tp_dbg_eside_pktx", "mps_tp", "xgm_mps",
           "mac_porrx_pkt_count", "mac_porrx_aframestra_ok", "mac_porrx_etherstatspkts")  # fmt: skip


@pytest.mark.parametrize(
    ("path", "stages"), [("core-->PCIE-->SGE-->UTX", EGRESS), ("core<-PCIE<---SGE<--CSW", INGRESS)]
)
def test_wtp_by_stage_and_channel(path, stages, shared_data):
    lines = viewer_text(BLOB, "29_wtp.txt")
    first = next(i for i, line in enumerate(lines) if path in line) + 1
    cells = {(r["stage"], r["channel"]): r for r in records("wtp")}
    for line in lines[first : first + 4]:
        count, channel = line[:3].lower(), int(line[6])
        shown = [int(number, 16) for number in line.split()[1:]]
        there = [cells[stage, channel][count] for stage in stages if (stage, channel) in cells]
        assert shown == there, line


def test_wtp_has_what_was_lost(shared_data):
    cells = {r["stage"]: r for r in records("wtp") if r["channel"] is None}
    mps = cells["xgm_mps"]
    shown = f"{cells['mps_tp']['drops'] & 0xFF:X}(mib)  {mps['err'] & 0xFF:X}(err) {mps['drop'] & 0xFF:X}(oflow) "
    assert shown + f"{mps['cls_drop'] & 0xFF:X}(cls)" in viewer_text(BLOB, "29_wtp.txt")[-2]


def test_full_fifos_are_the_bits_of_their_registers(shared_data):
    rows = records("full")
    assert {row["channel"] for row in rows} == {0, 1}
    assert all(row["full"] == bool(row["word"] >> row["bit"] & 1) for row in rows)
    indirect = {r["register"]: r["value"] for r in records("tp_indirect")}
    assert {r["word"] for r in rows if r["register"] == "TP_DBG_SCHED_TX"} == {indirect["TP_DBG_SCHED_TX"]}
    assert {r["word"] for r in rows if r["register"] == "TP_DBG_ESIDE_INT"} == {indirect["TP_DBG_ESIDE_INT"]}


def test_mps_tcam_entries_have_the_vni_that_linux_reads(shared_data):
    """The library stores bit 23 of a VNI as bit 30, and the viewer shows it so."""
    ours, linux = records("mps_tcam"), shared("t6-uwpair-zlib").nic.entity_table("mps_tcam").records()
    stored = {"vniy", "vnix"}
    assert [{k: v for k, v in row.items() if k not in stored} for row in ours] == [
        {k: v for k, v in row.items() if k not in stored} for row in linux
    ]
    assert any(row["vniy"] >> 24 for row in ours)


def test_mps_tcam_entries_are_those_of_the_viewer(shared_data):
    lines = [line.split() for line in viewer_text(BLOB, "57_mpstcam.txt")[2:]]
    rows = records("mps_tcam")
    assert [[str(r["idx"]), r["addr"], r["mask"]] for r in rows] == [line[:3] for line in lines]


def test_what_the_unified_wire_never_writes_is_no_range(shared_data):
    (row,) = records("tid_info")
    assert (row["nsftids"], row["sftid_range"], row["flag_names"]) == (1_625_000_000, None, None)
    assert "never writes" in unified_wire().entity_table("tid_info").attrs["note"]


@pytest.mark.parametrize(
    "entity", ["hw_sched", "cim_qcfg", "pbt_table", "rss_vf_conf", "sge_indirect", "ma_indirect", "pcie_indirect"]
)
def test_entities_are_those_that_linux_collected_from_the_same_adapter(entity, shared_data):
    linux = shared("t6-uwpair-zlib").nic.entity_table(entity).records()
    ours = records(entity)
    assert ours == linux[: len(ours)]
    assert ours


# -- both ways --------------------------------------------------------------------------------------------------------


def test_every_entity_of_the_genuine_dump_goes_both_ways(shared_data):
    nic = unified_wire()
    known = decoders()
    seen = set()
    for entity in nic.container.entities.values():
        if entity.available and entity.name in known:
            payload = Payload(entity.name, nic.entity_bytes(entity.number), nic.chip, "little", UNIFIED_WIRE)
            if len(payload.data) < 1 << 18:
                check_both_ways(payload)
            assert payload.layout.join(payload.parts) == payload.data
            seen.add(entity.name)
    assert seen >= {
        *ONLY,
        "meminfo",
        "clk",
        "tid_info",
        "pcie_config",
        "mps_tcam",
        "vpd_data",
        "ulptx_la",
        "up_cim_indirect",
    }


@pytest.mark.parametrize("entity", ONLY)
def test_summaries_are_one_line(entity, shared_data):
    summary = unified_wire()._frames.summary(entity)
    assert summary
    assert "\n" not in summary


def built(entity: str, order: str = "little", chip: str = "T6") -> Payload:
    """A payload of ascending words, as long as the entity is."""
    size = {"rss_pf_conf": 96, "rss_key": 40, "rss_conf": 28, "wtp": 1828, "tcp_stats": 64, "tp_err_stats": 140, "fcoe_stats": 72,
            "rdma_stats": 8, "cpl_stats": 36, "ddp_stats": 16, "wc_stats": 8, "lb_stats": 8 + 176 * 2, "mac_stats": 1864,
            "full": 28, "tx_rate": 72}[entity]  # fmt: skip
    data = struct.pack(f"{MARK[order]}{size // 4}I", *(3 + 7 * i for i in range(size // 4)))
    return Payload(entity, data, chip, order, UNIFIED_WIRE)


@pytest.mark.parametrize("entity", ONLY)
@pytest.mark.parametrize("order", ORDERS)
def test_built_payloads_go_both_ways_in_both_byte_orders(entity, order):
    check_both_ways(built(entity, order))


@pytest.mark.parametrize("entity", ["rss_pf_conf", "rss_key", "rss_conf", "wtp", "tp_err_stats", "rdma_stats", "full"])
def test_words_of_a_big_endian_host_mean_the_same(entity):
    assert built(entity, "big").table.records() == built(entity, "little").table.records()


@pytest.mark.parametrize("entity", ONLY)
def test_any_bytes_are_a_table(entity):
    check_any_bytes(entity, built(entity).data, version=UNIFIED_WIRE)


@pytest.mark.parametrize(
    ("entity", "part", "column", "row", "bit"),
    [
        ("rss_key", "key", "w3", 0, 96),
        ("tcp_stats", "stats", "tcp_in_segs", 1, 8 * 40),
        ("lb_stats", "stats", "frames", 1, 8 * (8 + 176 + 8)),
        ("mac_stats", "head", "port_count", 0, 0),
        ("tp_err_stats", "stats", "ofld_no_neigh", 0, 8 * 128),
        ("full", "words", "value", 6, 8 * 24),
        ("wtp", "wtp", "xgm_mps.sop[7]", 0, None),
    ],
)
def test_one_changed_cell_changes_its_own_bits(entity, part, column, row, bit):
    if bit is None:
        bit = 8 * (declared("wtp_data", "unified_wire").dtype().fields["xgm_mps"][1] + 4 * 7)
    check_one_cell(built(entity), part, column, row, changed_bit=bit)


# -- meaning ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("chip", "words", "rows"), [("T5", 6, 54), ("T6", 7, 24), ("T4", 6, 0)])
def test_full_fifos_by_chip(chip, words, rows):
    ones = Payload("full", b"\xff" * 4 * words, chip, version=UNIFIED_WIRE)
    assert len(ones.table) == rows
    assert "did not answer" in ones.summary
    none = Payload("full", bytes(4 * words), chip, version=UNIFIED_WIRE)
    assert none.summary == ("nothing is full" if rows else "6 words")


def test_full_fifos_of_a_t6_have_a_pcie_word_for_each_channel():
    for word, channel in ((4, 0), (5, 1)):
        values = [0] * 7
        values[word] = 1 << 4 | 1 << 2
        table = Payload("full", struct.pack("<7I", *values), version=UNIFIED_WIRE).table
        full = {(r["path"], r["signal"], r["channel"]) for r in table.records() if r["full"]}
        assert full == {
            ("tx", "PCIe responses almost full", channel),
            ("rx", "PCIe read requests almost full", channel),
        }


@pytest.mark.parametrize(("nchan", "rows"), [(2, 2), (4, 4), (0, 4), (99, 4)])
def test_channels_beyond_their_number_are_left_out(nchan, rows):
    data = struct.pack("<9I", *range(8), nchan)
    table = Payload("cpl_stats", data, version=UNIFIED_WIRE).table
    assert list(table.values("req")) == [0, 1, 2, 3][:rows]
    assert list(table.values("rsp")) == [4, 5, 6, 7][:rows]
    assert ("note" in table.attrs) == (nchan not in (2, 4))


def test_channels_of_fcoe_stats_are_as_many_as_cpl_stats_says():
    cpl = struct.pack("<9I", *range(8), 2)
    alone = Payload("fcoe_stats", bytes(72), version=UNIFIED_WIRE)
    assert len(alone.table) == 4
    assert len(Payload("fcoe_stats", bytes(72), version=UNIFIED_WIRE, others=(("cpl_stats", cpl),)).table) == 2


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (2, 2), (4, 4), (0, 4), (14, 4)])
def test_ports_beyond_their_number_are_left_out(count, rows):
    data = struct.pack("<I", count) + bytes(1860)
    table = Payload("mac_stats", data, version=UNIFIED_WIRE).table
    assert list(table.values("port")) == [0, 1, 2, 3][:rows]
    assert ("note" in table.attrs) == (count not in (1, 2, 4))


@pytest.mark.parametrize(("mode", "text"), [(0, "global"), (1, "global and per-VF scramble"), (2, "per-PF and per-VF scramble"),
                                            (3, "per-VF and per-VF scramble")])  # fmt: skip
@pytest.mark.parametrize("chip", ["T4", "T5", "T6"])
def test_the_key_mode_of_rss_is_told(mode, text, chip):
    data = struct.pack("<7I", 0, 0, 0, 0, mode << 6, 0, 0)
    payload = Payload("rss_conf", data, chip, version=UNIFIED_WIRE)
    assert [r["meaning"] for r in payload.table.records() if r["field"] == "KeyMode"] == [text]
    assert payload.summary == f"key mode {text}"


def test_wtp_has_what_a_stage_lost_in_a_row_of_its_own():
    rows = built("wtp").table.records()
    lost = {r["stage"] for r in rows if r["channel"] is None}
    assert lost == {"tp_mps", "mps_xgm", "xgm_mps", "mps_tp"}
    assert all(r["sop"] is None for r in rows if r["channel"] is None)
    assert [r["channel"] for r in rows if r["stage"] == "xgm_mps"] == [*range(8), None]


# -- the container ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "sys_err", "text"),
    [
        (-35, 0, "not asked for (-35)"),
        (-22, 0, "the file could not be opened (-22)"),
        (-16, 0, "the firmware log could not be read (-16)"),
        (-29, -110, "the hardware did not answer in time (-110)"),
    ],
)
def test_statuses_are_the_unified_wires_own(status, sys_err, text):
    nic = cudbg(
        Entity(MBOX_LOG, status=status, sys_err=sys_err), Entity(PATH_MTU, stored=sixpack(bytes(32))), **OLD
    ).open()
    (summary,) = [row["summary"] for row in nic.entities_table().records() if row["number"] == MBOX_LOG]
    assert summary.endswith(f"not collected: {text}")
    with pytest.raises(vl.NotInFileError, match=re.escape(text)):
        nic.entity_bytes(MBOX_LOG)


@pytest.mark.parametrize(
    ("status", "text"), [(-22, "the hardware gave an impossible value"), (-16, "the hardware was busy")]
)
def test_the_same_numbers_are_errno_on_linux(status, text):
    nic = cudbg(Entity(MBOX_LOG, status=status), Entity(PATH_MTU, bytes(32))).open()
    assert any(text in row["summary"] for row in nic.entities_table().records())


def test_what_the_genuine_dump_does_not_have_is_told(shared_data):
    summaries = {r["name"]: r["summary"] for r in unified_wire().entities_table().records()}
    assert "not implemented" in summaries["sw_state"]
    assert "not asked for" in summaries["mbox_log"]
    assert "not on this chip" in summaries["mc1"]


def mtus(first: int) -> bytes:
    return struct.pack("<16H", *range(first, first + 16))


def record(first: int = 100, **kinds: Any) -> bytes:
    return bytes(cudbg(Entity(PATH_MTU, stored=sixpack(mtus(first))), **(OLD | kinds)))


def first_mtu(dump: Any) -> int:
    return int(dump.decode().entity("path_mtu")["mtu"][0])


def test_records_follow_one_another(file, lab):
    data = b"".join(record(100 * n) for n in (1, 2, 3))
    assert [first_mtu(vl.open_device_dump(data, record=n)) for n in range(3)] == [100, 200, 300]
    path = file(data, "three.bin")
    assert lab("entity", path, "path_mtu", "--dump", "1", "--format", "json").column("mtu") == [*range(200, 216)]
    assert lab("entities", path, "--dump", "2", "--format", "json").column("name") == ["path_mtu"]
    assert lab("entities", path, "--dump", "3").status == 4
    with pytest.raises(vl.NotInFileError):
        vl.open_device_dump(data, record=3)


def test_a_damaged_record_does_not_hide_the_first():
    assert first_mtu(vl.open_device_dump(record() + b"\xee" * 500)) == 100


def test_the_old_signature_is_read():
    data = bytearray(record())
    data[:4] = struct.pack("<I", 123)
    assert first_mtu(vl.open_device_dump(bytes(data))) == 100


def flash_header(order: str = "little", *, size: int = 128, timestamp: int = 1_460_000_000, data_len: int = 0) -> bytes:
    """struct cudbg_flash_hdr, as `cudbg_app --readflash` leaves it before the dump."""
    mark = MARK[order]
    return struct.pack(mark + "I4BQQ4I", 0x4355464C, 1, 1, 0, 0, timestamp, 0, size, data_len, 0, 3).ljust(128, b"\0")


@pytest.mark.parametrize("order", ORDERS)
def test_a_dump_read_from_flash_has_a_header_before_it(order, file, lab):
    dump_bytes = record(100) if order == "little" else bytes(
        cudbg(Entity(PATH_MTU, stored=sixpack(struct.pack(">16H", *range(100, 116)))), order="big", **OLD)
    )  # fmt: skip
    data = flash_header(order) + dump_bytes
    dump = vl.open_device_dump(data)
    assert first_mtu(dump) == 100
    assert (dump.offset, dump.size) == (128, len(dump_bytes))
    nic = dump.decode()
    assert nic.flash_header["sec_seq_no"] == 3
    assert nic.identity()["written to flash"] == "2016-04-07 03:33:20 UTC"
    path = file(data, "flash.bin")
    assert lab("entities", path, "--format", "json").column("name") == ["path_mtu"]
    assert lab("info", path).status == 0


def test_records_of_flash_follow_one_another():
    data = flash_header() + record(100) + flash_header() + record(200)
    assert [first_mtu(vl.open_device_dump(data, record=n)) for n in range(2)] == [100, 200]
    assert vl.open_device_dump(data).decode().problems.damaged is False


@pytest.mark.parametrize("head", [flash_header(), flash_header() + b"no dump", flash_header(size=1 << 31)])
def test_a_flash_header_without_a_dump_is_refused(head):
    with pytest.raises(vl.OpenError):
        vl.open_device_dump(head)


def test_a_flash_header_of_an_impossible_length_is_taken_as_usual():
    assert first_mtu(vl.open_device_dump(flash_header(size=1 << 31) + record(100))) == 100


@pytest.mark.parametrize("end", [*range(0, 184, 13), 183])
def test_a_dump_of_flash_that_is_cut_inside_its_headers_is_refused(end):
    with pytest.raises(vl.OpenError):
        vl.open_device_dump((flash_header() + record())[:end])


def test_a_dump_of_flash_that_is_cut_behind_them_is_read():
    data = flash_header() + record()
    assert vl.open_device_dump(data[:-20]).decode().problems.damaged


# -- appended entities ------------------------------------------------------------------------------------------------


def appended(base: bytes, *entities: Entity, flag: int = 1, wrong: dict[str, int] | None = None) -> bytes:
    """A dump to which a second collection appended entities, as cudbg_collect() does where data_len is set already."""
    chain = bytearray()
    for entity in entities:
        stored = entity.stored or b""
        pad = -len(stored) % 4
        size = len(stored) + pad
        members = {"start": len(chain) + 52, "next": len(chain) + 52 + size} | (wrong or {})
        chain += struct.pack("<IIIiiiBB2xI20x", entity.number, members["start"], size, entity.status, entity.sys_warn,
                             entity.sys_err, pad, flag, members["next"])  # fmt: skip
        chain += stored + bytes(pad)
    data = bytearray(base)
    slot = 56 + 52 * (EXT_ENTITY - 1)
    struct.pack_into("<III", data, slot, EXT_ENTITY, len(base), len(chain))
    return bytes(data + chain)


LOG = b"".join(log_entry(n, f"entry {n}") for n in range(4))


def test_appended_entities_are_listed_and_read():
    data = appended(record(100), Entity(DEV_LOG, stored=sixpack(LOG)), Entity(RSS_KEY, stored=sixpack(bytes(40))))
    nic = vl.open_device_dump(data).decode()
    nic.check()
    assert list(nic.problems) == []
    assert list(nic.entity("ext_entity")["name"]) == ["dev_log", "rss_key"]
    assert list(nic.firmware_log["message"]) == [f"entry {n}" for n in range(4)]
    assert [r["name"] for r in nic.entities_table().records()] == ["dev_log", "rss_key", "path_mtu", "ext_entity"]
    assert nic._frames.summary("ext_entity") == "2 entities appended: dev_log, rss_key"


def test_an_entity_of_the_dump_itself_comes_before_an_appended_one():
    data = appended(record(100), Entity(PATH_MTU, stored=sixpack(mtus(500))))
    nic = vl.open_device_dump(data).decode()
    assert first_mtu(nic.dump) == 100
    assert int(nic.appended.entity("path_mtu")["mtu"][0]) == 500
    assert vl.open_device_dump(record()).decode().appended is None


def test_a_failed_entity_gives_way_to_an_appended_one():
    base = bytes(cudbg(Entity(PATH_MTU, stored=sixpack(mtus(1))), Entity(DEV_LOG, status=-16), **OLD))
    nic = vl.open_device_dump(appended(base, Entity(DEV_LOG, stored=sixpack(LOG)))).decode()
    assert len(nic.firmware_log) == 4


def test_a_record_may_follow_appended_entities():
    data = appended(record(100), Entity(DEV_LOG, stored=sixpack(LOG))) + record(200)
    assert [first_mtu(vl.open_device_dump(data, record=n)) for n in range(2)] == [100, 200]
    assert [len(vl.open_device_dump(data, record=n).decode().entities) for n in range(2)] == [3, 1]


def test_an_appended_entity_that_failed_says_so():
    data = appended(record(), Entity(DEV_LOG, status=-16), Entity(RSS_KEY, stored=sixpack(bytes(40))))
    (row, _) = vl.open_device_dump(data).decode().entity_table("ext_entity").records()
    assert (row["status"], row["summary"]) == (-16, "not collected: the firmware log could not be read (-16)")


@pytest.mark.parametrize("wrong", [{"next": 0}, {"next": 3}, {"next": 0xFFFFFFFF}])
def test_a_wrong_next_offset_is_told_and_the_chain_followed(wrong):
    data = appended(
        record(), Entity(DEV_LOG, stored=sixpack(LOG)), Entity(RSS_KEY, stored=sixpack(bytes(40))), wrong=wrong
    )
    nic = vl.open_device_dump(data).decode()
    assert list(nic.entity("ext_entity")["name"]) == ["dev_log", "rss_key"]
    assert any("next_ext_offset" in p.message for p in nic.problems)


def test_a_chain_without_the_flag_is_no_chain():
    nic = vl.open_device_dump(appended(record(), Entity(DEV_LOG, stored=sixpack(LOG)), flag=0)).decode()
    assert list(nic.entity("ext_entity")["name"]) == []
    assert any("does not end where the entity does" in p.message for p in nic.problems)


def test_a_start_offset_beyond_the_file_is_damage():
    data = appended(record(), Entity(DEV_LOG, stored=sixpack(LOG)), wrong={"start": 0xFFFFFFFF})
    nic = vl.open_device_dump(data).decode()
    with pytest.raises(vl.NotInFileError):
        nic.entity_bytes("dev_log")
    assert nic.problems.damaged


@pytest.mark.parametrize("order", ORDERS)
def test_the_chain_goes_both_ways(order):
    header = struct.pack(MARK[order] + "IIIiiiBB2xI20x", 2, 52, 8, 0, 0, 0, 0, 1, 60)
    data = (
        header
        + bytes(range(8))
        + header.replace(struct.pack(MARK[order] + "I", 60), struct.pack(MARK[order] + "I", 120))
    )
    check_both_ways(Payload("ext_entity", data + b"twelve bytes", order=order, version=UNIFIED_WIRE))


def test_any_chain_is_a_table():
    data = appended(record(), Entity(DEV_LOG, stored=sixpack(LOG)), Entity(PATH_MTU, stored=sixpack(mtus(1))))[
        len(record()) :
    ]
    check_any_bytes("ext_entity", data, version=UNIFIED_WIRE)
