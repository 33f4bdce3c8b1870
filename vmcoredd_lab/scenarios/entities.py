"""What each collector finds in an adapter: one function for an entity or a family of them, from the declarations.

Sizes, statuses and orders are those of the 6.1 driver (cudbg_lib.c, drivers/net/ethernet/chelsio/cxgb4), its oddities
included; memories are of 1 MiB each.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.writer import CudbgImage
from vmcoredd_lab.devices.cxgb4.writer.order import collected
from vmcoredd_lab.scenarios.adapter import Adapter, mac_address, serial_number
from vmcoredd_lab.scenarios.adapter_memory import meminfo, memory
from vmcoredd_lab.scenarios.adapter_registers import indirect, pcie_config, reg_dump
from vmcoredd_lab.scenarios.codes import EINVAL, SYSTEM_ERROR, VERSION

__all__ = ["collect"]

MIB = 1 << 20
KDUMP_CLOCK, CLOCK = 50_000, 250_000  # kHz: the placeholder before the firmware was asked, and a real one
QDESC_SIZE = 32 * MIB
TCAM_SLOTS = {"T4": 336, "T5": 512, "T6": 512}
CONTEXTS = {"T4": 1088, "T5": 1088, "T6": 1056}  # records that the driver reserves
MTUS = (88, 256, 512, 576, 808, 1024, 1280, 1488, 1500, 2002, 2048, 4096, 4352, 8192, 9000, 9600)
IBQ_BASE, IBQ_SIZE, IBQ_THRES = (0, 2048, 4096, 6144, 8192, 10240), 1024, (256, 320, 384, 448, 512, 576)
OBQ = ((0, 1024), (1024, 1024), (2048, 1024), (3072, 1024), (4096, 2048), (6144, 512), (6656, 1024), (7680, 1024))
FW_OK, FULL_INIT_DONE, USING_MSIX, MASTER = 1 << 4, 1 << 0, 1 << 3, 1 << 7


def collect(adapter: Adapter) -> CudbgImage:
    """Return the dump that the driver would make of the adapter: every entity of a vmcore, or the status that it ends with."""
    image = CudbgImage(adapter.chip, adapter.product.revision)
    for name in collected():
        if name in adapter.failed:
            status, sys_err, sys_warn = adapter.failed[name]
            image.fail(name, status, sys_err=sys_err, sys_warn=sys_warn)
            continue
        made = _maker(name)(adapter)
        if isinstance(made, tuple):
            image.fail(name, made[0], sys_err=made[1])
        else:
            image.add(name, made)
    return image


def _maker(name: str) -> Callable[[Adapter], bytes | tuple[int, int]]:
    for prefix, maker in _FAMILIES.items():
        if name.startswith(prefix):
            return lambda adapter: maker(adapter, name)
    return _MAKERS[name]


def _words(values: Any, kind: str = "<u4") -> bytes:
    return np.asarray(list(values), np.uint64).astype(kind).tobytes()


def _noise(rng: random.Random, words: int, zeros: float = 0.5) -> bytes:
    """Return words of a queue or a trace that was in use: some zero, the others anything."""
    return _words(0 if rng.random() < zeros else rng.getrandbits(rng.choice((8, 16, 32))) for _ in range(words))


# -- CIM --------------------------------------------------------------------------------------------------------------


def _cim_la(adapter: Adapter) -> bytes:
    rng = adapter.random("cim la")
    width = 10 if adapter.chip == "T6" else 8
    rows, last = divmod(2048, width)
    pc, data = 0x2000A000, []
    for _ in range(rows):
        if adapter.looping:
            pc = 0x2003A7F4
        else:
            pc = pc + 4 if rng.random() < 0.8 else 0x20000000 + 4 * rng.randrange(0x8000)
        inst, value, status = rng.getrandbits(32), rng.getrandbits(32), 0x01
        row = [0] * width
        if width == 10:
            row[9] = status << 16 | inst >> 16
            row[8] = (inst & 0xFFFF) << 16 | value >> 16
            row[7] = (value & 0xFFFF) << 16 | pc >> 16
            row[6] = (pc & 0xFFFF) << 16
        else:
            row[0] = status << 4 | value >> 28
            row[1] = (value << 4 & 0xFFFFFFFF) | pc >> 28
            row[2] = pc << 4 & 0xFFFFFFFF
        data += row
    config = 0x00640000 | int(adapter.trace_running)
    return _words([config, *data] + [0] * (last and width))


def _cim_ma_la(adapter: Adapter) -> bytes:
    rng = adapter.random("cim ma la")
    requests = [rng.getrandbits(8) if n % 5 == 4 else rng.getrandbits(32) for n in range(320)]
    responses = [0b11 if n % 5 == 0 else 0 for n in range(80)]  # valid and ready, no error
    return _words(requests + responses + [0] * 240)


def _cim_qcfg(adapter: Adapter) -> bytes:
    stat = [0, 0, 64, 0] * 14  # 64 units available
    return declared("cudbg_cim_qcfg").write(
        chip=int(adapter.chip[1:]) << 4 | adapter.product.revision, base=[*IBQ_BASE, *(base for base, _ in OBQ)],
        size=[IBQ_SIZE] * 6 + [size for _, size in OBQ], thres=IBQ_THRES, stat=stat,
        obq_wr=[base if n % 2 == 0 else 0 for base, _ in OBQ for n in (0, 1)],
    )  # fmt: skip


def _cim_queue(adapter: Adapter, name: str) -> bytes | tuple[int, int]:
    outbound = ("ulp0", "ulp1", "ulp2", "ulp3", "sge", "ncsi", "rxq0", "rxq1")
    short = name.rsplit("_", 1)[1]
    if name.startswith("cim_ibq"):
        size = 2048
    elif short.startswith("rxq") and adapter.chip == "T4":
        return SYSTEM_ERROR, EINVAL
    else:
        size = OBQ[outbound.index(short)][1]
    return _noise(adapter.random(name), size // 4)


def _cim_pif_la(adapter: Adapter) -> bytes:
    return _words([64]) + _noise(adapter.random("cim pif la"), 2 * 64 * 6)


def _pbt_table(adapter: Adapter) -> bytes:
    return declared("cudbg_pbt_tables").write()


# -- TP, PM, ULP ------------------------------------------------------------------------------------------------------


def _rss(adapter: Adapter) -> bytes:
    entries = 4096 if adapter.chip == "T6" else 2048
    return _words((16 + n % 4 for n in range(entries)), "<u2")


def _rss_vf_conf(adapter: Adapter) -> bytes:
    return bytes(8 * (256 if adapter.chip == "T6" else 128))


def _path_mtu(adapter: Adapter) -> bytes:
    return _words(MTUS, "<u2")


def _cctrl(adapter: Adapter) -> bytes:
    """Additive increments: in proportion to the segment, smaller in larger windows."""
    return _words((max(2, (mtu - 40) * 4 // (win + 4)) & 0x1FFF for mtu in MTUS for win in range(32)), "<u2")


def _pm_stats(adapter: Adapter) -> bytes:
    rng = adapter.random("pm stats")
    counts = [[rng.randrange(1, 1 << 20) for _ in range(4)] + [0, 0, 0] for _ in range(2)]
    return declared("cudbg_pm_stats").write(
        tx_cnt=counts[0], rx_cnt=counts[1], tx_cyc=[n * 700 for n in counts[0]], rx_cyc=[n * 900 for n in counts[1]]
    )


def _hw_sched(adapter: Adapter) -> bytes:
    # no scheduler has a rate: the registers of the transmit modulator are zero
    return declared("cudbg_hw_sched").write(
        mode=adapter.get("TP_MOD_CONFIG") >> 8 & 0xFF, map=adapter.get("TP_TX_MOD_QUEUE_REQ_MAP")
    )


def _tp_la(adapter: Adapter) -> bytes:
    return _words([0, adapter.get("TP_DBG_LA_CONFIG") >> 14 & 3]) + _noise(adapter.random("tp la"), 256)


def _ulprx_la(adapter: Adapter) -> bytes:
    return _noise(adapter.random("ulprx la"), 4096) + _words([512])


def _ulptx_la(adapter: Adapter) -> bytes:
    rng = adapter.random("ulptx la")
    pointers = [rng.randrange(512) for _ in range(11)]
    body = declared("cudbg_ulptx_la").write(
        rdptr=pointers, wrptr=pointers, rdptr_asic=[rng.randrange(128)] * 128,
        rddata=[rng.getrandbits(32) for _ in range(11)],
    )  # fmt: skip
    return declared("cudbg_ver_hdr").write(**VERSION, size=len(body)) + body


def _clk(adapter: Adapter) -> bytes:
    """cudbg_collect_clk_info(): whole microseconds, computed with the placeholder clock before the firmware was asked."""
    period = 1_000_000_000 // (CLOCK if adapter.attached else KDUMP_CLOCK)
    resolution = adapter.get("TP_TIMER_RESOLUTION")
    tre, dack = resolution >> 16 & 0xFF, resolution & 0xFF
    tick = (period << tre) // 1_000_000
    timers = {
        "retransmit_min": "TP_RXT_MIN", "retransmit_max": "TP_RXT_MAX", "persist_timer_min": "TP_PERS_MIN",
        "persist_timer_max": "TP_PERS_MAX", "keepalive_idle_timer": "TP_KEEP_IDLE", "keepalive_interval": "TP_KEEP_INTVL",
        "finwait2_timer": "TP_FINWAIT2_TIMER",
    }  # fmt: skip
    computed: dict[str, Any] = {member: tick * adapter.get(register) for member, register in timers.items()}
    return declared("cudbg_clk_info").write(
        cclk_ps=period, res=resolution, tre=tre, dack_re=dack, initial_srtt=tick * (adapter.get("TP_INIT_SRTT") & 0xFFFF),
        dack_timer=(period << dack) // 1_000_000 * adapter.get("TP_DACK_TIMER"),
        **computed,
    )  # fmt: skip


# -- SGE, MPS, LE -----------------------------------------------------------------------------------------------------


def _dump_context(adapter: Adapter) -> bytes:
    """Egress, ingress, then each free list with its congestion context; by id within a type."""
    records = np.zeros(CONTEXTS[adapter.chip], declared("cudbg_ch_cntxt").dtype())
    found = sorted(adapter.contexts, key=lambda c: (2, c[1], c[0]) if c[0] > 1 else (c[0], c[1], 0))
    for record, (kind, number, words) in zip(records, found, strict=False):
        record["cntxt_type"], record["cntxt_id"], record["data"] = kind, number, words
    return records.tobytes()


def _mps_tcam(adapter: Adapter) -> bytes:
    """A filter for each port's own address and one for broadcasts."""
    slots = np.zeros(TCAM_SLOTS[adapter.chip], declared("cudbg_mps_tcam").dtype())
    t6 = adapter.chip == "T6"
    addresses = [mac_address(adapter, port) for port in range(adapter.product.ports)] + [b"\xff" * 6]
    for index, address in enumerate(addresses):
        slot, port = slots[index], min(index, adapter.product.ports - 1)
        slot["idx"], slot["addr"], slot["mask"] = index, list(address), (1 << 48) - 1
        slot["rplc_size"] = 256 if t6 else 128
        slot["cls_lo"] = (1 << 13 | 4 << 9) if t6 else (1 << 12 | 4 << 8)  # valid, function 4
        slot["cls_hi"] = 1 << port
        slot["port_num"] = port
    return slots.tobytes()


def _le_tcam(adapter: Adapter) -> bytes:
    t6 = adapter.chip == "T6"
    starts = (
        {"filter_start": "LE_DB_NORM_FILT_TABLE_START_INDEX", "server_start": "LE_DB_SRVR_START_INDEX",
         "clip_start": "LE_DB_CLCAM_TID_BASE", "routing_start": "LE_DB_ACTIVE_TABLE_START_INDEX",
         "tid_hash_base": "LE_DB_HASH_TID_BASE"}
        if t6 else
        {"filter_start": "LE_DB_FILTER_TABLE_INDEX", "server_start": "LE_DB_SERVER_INDEX",
         "clip_start": "LE_DB_CLIP_TABLE_INDEX", "routing_start": "LE_DB_ROUTING_TABLE_INDEX"}
    )  # fmt: skip
    values: dict[str, Any] = {member: adapter.get(register) for member, register in starts.items()}
    values.setdefault("tid_hash_base", 2048)
    max_tid = 3072 + 1536 if t6 else 2048
    records = np.zeros(max_tid, declared("cudbg_tid_data").dtype())
    tids = np.arange(max_tid)
    records["tid"] = tids
    records["dbig_cmd"] = 4 << 20 | tids  # read
    records["dbig_conf"] = 0b101
    records["dbig_rsp_stat"] = tids << 12 | 1
    return declared("cudbg_tcam").write(**values, max_tid=max_tid) + records.tobytes()


# -- firmware, driver, identity ---------------------------------------------------------------------------------------


def _dev_log(adapter: Adapter) -> bytes:
    return adapter.log.ring()


def _mbox_log(adapter: Adapter) -> bytes:
    records = np.zeros(256, declared("cudbg_mbox_log").dtype())
    shown = adapter.mailbox[-256:] if adapter.attached else []
    for seqno, (record, one) in enumerate(zip(records, shown, strict=False), max(0, len(adapter.mailbox) - 256)):
        entry = record["entry"]
        entry["cmd"] = [*one.flits, *[0] * (8 - len(one.flits))]
        entry["timestamp"], entry["seqno"], entry["execute"] = one.jiffies, seqno, one.execute
        record["hi"], record["lo"] = entry["cmd"] >> np.uint64(32), entry["cmd"] & np.uint64(0xFFFFFFFF)
    return records.tobytes()


def _qdesc(adapter: Adapter) -> bytes:
    """The kdump kernel's driver has no queues; of a live one the transmit rings of its egress contexts."""
    info, entry = declared("cudbg_qdesc_info"), declared("cudbg_qdesc_entry")
    rng, parts, count = adapter.random("descriptors"), [], 0
    for kind, number, _ in adapter.contexts if adapter.attached else ():
        if kind == 0 and number < 24:
            ring = b"".join(
                bytes([0x78 if rng.random() < 0.5 else 0, 0, 0, 0x10]) + rng.randbytes(60) for _ in range(64)
            )
            parts.append(entry.write(data_size=len(ring), qtype=1, qid=number, desc_size=64, num_desc=64) + ring)
            count += 1
    head = declared("cudbg_ver_hdr").write(**VERSION, size=info.size())
    head += info.write(qdesc_entry_size=entry.size(), num_queues=count)
    return (head + b"".join(parts)).ljust(QDESC_SIZE, b"\0")


def _tid_info(adapter: Adapter) -> bytes:
    live: dict[str, Any] = {} if not adapter.attached else {
        "ntids": 1024, "nstids": 256, "stid_base": 1024, "natids": 4096, "nftids": 496, "ftid_base": 1536, "aftid_end": 1023,
        "sftid_base": 2032, "nsftids": 16, "uotid_base": 2048, "nuotids": 512, "sb": 256,
        "flags": FW_OK | FULL_INIT_DONE | USING_MSIX | MASTER,
    }  # fmt: skip
    tid = declared("cudbg_tid_info_region").write(
        le_db_conf=adapter.get("LE_DB_CONFIG"), ip_users=adapter.get("LE_DB_ACT_CNT_IPV4"),
        ipv6_users=adapter.get("LE_DB_ACT_CNT_IPV6"), **live,
    )  # fmt: skip
    head = declared("cudbg_ver_hdr")
    size = declared("cudbg_tid_info_region_rev1").size() - head.size()
    return (head.write(**VERSION, size=size) + tid).ljust(head.size() + size, b"\0")


def _vpd_data(adapter: Adapter) -> bytes:
    def text(value: str, room: int) -> list[int]:
        return list(value.encode().ljust(room, b"\0"))

    major, minor, micro, build = adapter.product.firmware
    return declared("cudbg_vpd_data").write(
        sn=text(serial_number(adapter), 25), bn=text("11012345678 A6", 17),
        na=text(mac_address(adapter, 0).hex().upper(), 13), mn=text(f"Chelsio {adapter.product.name}"[:16], 17),
        fw_major=major, fw_minor=minor, fw_micro=micro, fw_build=build, vpd_vers=0x35,
        scfg_vers=0x1000A03,
    )  # fmt: skip


_MAKERS: dict[str, Callable[[Adapter], bytes | tuple[int, int]]] = {
    "mbox_log": _mbox_log, "qdesc": _qdesc, "dev_log": _dev_log, "reg_dump": reg_dump, "cim_la": _cim_la,
    "cim_ma_la": _cim_ma_la, "cim_qcfg": _cim_qcfg, "rss": _rss, "rss_vf_conf": _rss_vf_conf, "path_mtu": _path_mtu,
    "pm_stats": _pm_stats, "hw_sched": _hw_sched, "ulprx_la": _ulprx_la, "tp_la": _tp_la, "meminfo": meminfo,
    "cim_pif_la": _cim_pif_la, "clk": _clk, "tid_info": _tid_info, "pcie_config": pcie_config,
    "dump_context": _dump_context, "mps_tcam": _mps_tcam, "vpd_data": _vpd_data, "le_tcam": _le_tcam, "cctrl": _cctrl,
    "ulptx_la": _ulptx_la, "pbt_table": _pbt_table,
}  # fmt: skip
_FAMILIES: dict[str, Callable[[Adapter, str], bytes | tuple[int, int]]] = {
    "cim_ibq": _cim_queue, "cim_obq": _cim_queue, "edc": memory, "mc0": memory, "mc1": memory, "hma_": indirect,
    "hma": memory, "tp_indirect": indirect, "sge_indirect": indirect, "pcie_indirect": indirect, "pm_indirect": indirect,
    "ma_indirect": indirect, "up_cim_indirect": indirect,
}  # fmt: skip
