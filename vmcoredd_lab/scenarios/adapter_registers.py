"""What the collectors of registers find in an adapter: plain ones, those behind an index, and PCI configuration space.

Source: drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c, with the lists of cudbg_entity.h.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities.pcie_config import SLOTS
from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.indirect_table import Segment, segments
from vmcoredd_lab.scenarios.adapter import Adapter
from vmcoredd_lab.scenarios.codes import NOT_FOUND, NOT_IMPLEMENTED

__all__ = ["indirect", "pcie_config", "reg_dump"]

REG_DUMP_SIZE = {"T4": 160 << 10, "T5": 332 << 10, "T6": 332 << 10}


def reg_dump(adapter: Adapter) -> bytes:
    """Return REG_DUMP: the words that the driver collects; the others are zero."""
    data = np.zeros(REG_DUMP_SIZE[adapter.chip] // 4, "<u4")
    known = set(adapter.table.addresses.tolist())
    for address, value in adapter.registers.items():
        if address in known:
            data[address // 4] = value
    return data.tobytes()


def indirect(adapter: Adapter, name: str) -> bytes | tuple[int, int]:
    """Return an array of struct ireg_buf by the driver's list; or status and sys_err where the chip has none."""
    chip = "T5" if adapter.chip == "T4" else adapter.chip  # the driver has no lists of a T4's
    if name in ("ma_indirect", "hma_indirect") and adapter.chip != "T6":
        return NOT_FOUND, 0
    if adapter.chip == "T4" and name == "up_cim_indirect":
        return NOT_IMPLEMENTED, 0
    if adapter.chip == "T4" and name == "tp_indirect":
        return bytes(19 * declared("ireg_buf").size())
    known = [s for s in segments() if s.entity == name and s.record is not None and chip in s.chips.split()]
    records = np.zeros(max(s.record or 0 for s in known) + 1, declared("ireg_buf").dtype())
    for one in known:
        _fill(records[one.record], one, adapter)
    data = records.tobytes()
    if name in ("pcie_indirect", "ma_indirect"):
        data += bytes(declared("ireg_buf").size())  # the driver counts one record too many
    if name == "sge_indirect" and not adapter.attached:
        data += _queue_base_map(adapter)
    return data


def _fill(record: Any, one: Segment, adapter: Adapter) -> None:
    head = record["tp_pio"]
    head["ireg_addr"], head["ireg_data"] = one.address_register, one.data_register
    head["ireg_local_offset"] = one.first if one.stored_offset is None else one.stored_offset
    head["ireg_offset_range"] = one.count if one.stored_offset is None else 0
    for n in range(one.count):
        record["outbuf"][n] = adapter.indirect.get((one.space, one.first + n * one.stride), 0)


def _queue_base_map(adapter: Adapter) -> bytes:
    """struct sge_qbase_reg_field: collected where no port is up; T4 and T5 leave it zero."""
    record = np.zeros((), declared("sge_qbase_reg_field").dtype())
    if adapter.chip == "T6":
        record["reg_addr"], record["reg_data"] = 0x1250, (0x1240, 0x1244, 0x1248, 0x124C)
        record["vfcount"] = 256
    return record.tobytes()


def pcie_config(adapter: Adapter) -> bytes:
    """Return PCIE_CONFIG: the collected words of configuration space, then the slots that stay zero."""
    offsets = [int(r["offset"], 16) for r in read_table("pcie_config_regs.csv") if r["linux"] == "1"]
    values = [adapter.config_space.get(offset, 0) for offset in offsets]
    return np.asarray(values + [0] * (SLOTS - len(values)), "<u4").tobytes()
