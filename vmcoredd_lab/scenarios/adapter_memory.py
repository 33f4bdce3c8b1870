"""What the collectors of memory find in an adapter: the map of its memories, and their images, of 1 MiB each.

Source: cudbg_fill_meminfo() and cudbg_collect_mem_region(), drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c.
"""

from __future__ import annotations

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities.meminfo import REGIONS
from vmcoredd_lab.scenarios.adapter import LOG_AT, Adapter
from vmcoredd_lab.scenarios.codes import NOT_FOUND, SYSTEM_ERROR, VERSION

__all__ = ["meminfo", "memory"]

MIB = 1 << 20


def meminfo(adapter: Adapter) -> bytes:
    """cudbg_fill_meminfo(): all but the on-chip queues follows from registers."""
    info = np.zeros((), declared("cudbg_meminfo").dtype())
    external = 3 if adapter.chip == "T5" else 2
    for slot, (idx, base) in enumerate(((0, 0), (1, MIB), (external, 2 * MIB))):
        info["avail"][slot] = (base, base + MIB, idx)
    info["avail_c"] = 3
    entries = _regions(adapter)
    for slot, one in enumerate(sorted(entries)):
        info["mem"][slot] = one
    info["mem_c"] = len(entries)
    get = adapter.get
    info["up_ram_lo"] = get("CIM_SDRAM_BASE_ADDR")
    info["up_ram_hi"] = get("CIM_SDRAM_BASE_ADDR") + get("CIM_SDRAM_ADDR_SIZE") - 1
    info["up_extmem2_lo"] = get("CIM_EXTMEM2_BASE_ADDR")
    info["up_extmem2_hi"] = get("CIM_EXTMEM2_BASE_ADDR") + get("CIM_EXTMEM2_ADDR_SIZE") - 1
    info["rx_pages_data"] = (4, get("TP_PMM_RX_PAGE_SIZE") >> 10, 2)
    info["tx_pages_data"] = (4, get("TP_PMM_TX_PAGE_SIZE") >> 10, ord("K"), 1)
    info["p_structs"] = get("TP_CMM_MM_MAX_PSTRUCT")
    info["p_structs_free_cnt"] = get("TP_FLM_FREE_PS_CNT")
    info["free_rx_cnt"], info["free_tx_cnt"] = get("TP_FLM_FREE_RX_CNT"), get("TP_FLM_FREE_TX_CNT")
    body = info.tobytes()
    return declared("cudbg_ver_hdr").write(**VERSION, size=len(body)) + body


def _regions(adapter: Adapter) -> list[tuple[int, int, int]]:
    """Return (base, limit, idx): limit 0 where the region ends with the next one."""
    get = adapter.get
    open_ended = {
        "DBQ contexts": "SGE_DBQ_CTXT_BADDR", "IMSG contexts": "SGE_IMSG_CTXT_BADDR", "FLM cache": "SGE_FLM_CACHE_BADDR",
        "TCBs": "TP_CMM_TCB_BASE", "Pstructs": "TP_CMM_MM_BASE", "Timers": "TP_CMM_TIMER_BASE",
        "Rx FL": "TP_CMM_MM_RX_FLST_BASE", "Tx FL": "TP_CMM_MM_TX_FLST_BASE", "Pstruct FL": "TP_CMM_MM_PS_FLST_BASE",
        "ULPRX state": "ULP_RX_CTX_BASE", "ULPTX state": "ULP_TX_ERR_TABLE_BASE",
    }  # fmt: skip
    limited = {
        "iSCSI region": "ULP_RX_ISCSI", "TDDP region": "ULP_RX_TDDP", "TPT region": "ULP_TX_TPT", "STAG region": "ULP_RX_STAG",
        "RQ region": "ULP_RX_RQ", "RQUDP region": "ULP_RX_RQUDP", "PBL region": "ULP_RX_PBL", "TXPBL region": "ULP_TX_PBL",
    }  # fmt: skip
    found = [(get(register), 0, REGIONS.index(name)) for name, register in open_ended.items()]
    found += [(get(f"{r}_LLIMIT"), get(f"{r}_ULIMIT"), REGIONS.index(name)) for name, r in limited.items()]
    for name, side in (("Tx payload", "TX"), ("Rx payload", "RX")):
        base = get(f"TP_PMM_{side}_BASE")
        pages = get(f"TP_PMM_{side}_MAX_PAGE") & 0x1FFFFF
        found.append((base, base - 1 + get(f"TP_PMM_{side}_PAGE_SIZE") * pages, REGIONS.index(name)))
    found.append((0, 0, len(REGIONS)))  # hash of the lookup engine: off, so hidden
    if adapter.chip != "T4":
        base = get("SGE_DBVFIFO_BADDR") >> 3
        found.append((base, base + 4 * get("SGE_DBVFIFO_SIZE") - 1, len(REGIONS)))
    return found


def memory(adapter: Adapter, name: str) -> bytes | tuple[int, int]:
    """Return a memory's image, the firmware's log in it; or status and sys_err of one that is not fitted."""
    if name in ("mc1", "hma"):
        return SYSTEM_ERROR, NOT_FOUND
    image = bytearray(MIB)
    rng = adapter.random(name)
    for at in range(0x40000, 0xC0000, 0x4000):  # tables with some entries in use
        image[at : at + 256] = rng.randbytes(256)
    if name == "mc0":
        image[0:0x80000] = bytes(0x80000)  # payload is not read
        ring = adapter.log.ring()
        image[LOG_AT : LOG_AT + len(ring)] = ring
    return bytes(image)
