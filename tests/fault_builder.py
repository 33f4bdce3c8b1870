"""Device dumps with a fault put into them: a genuine dump taken apart, words changed, and put together again."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from cudbg_builder import MARK, Built, Entity, cudbg

import vmcoredd_lab as vl

REG_DUMP, DEV_LOG, PCIE_CONFIG, MBOX_LOG, CIM_LA, QDESC = 1, 2, 55, 66, 3, 70
LARGE = (QDESC, 18, 19, 20)


def address(nic: Any, register: str, instance: int = 0) -> int:
    """Where a register is in BAR0, and in REG_DUMP."""
    return int(nic.register_dump.table.instances_of(register)[instance][0])


def config_offset(nic: Any, register: str) -> int:
    """Where a register of the configuration space is in PCIE_CONFIG."""
    return 4 * nic.entity_table("pcie_config").values("register").index(register)


def with_fault(blob: bytes, words: Mapping[int, Mapping[int, int]] | None = None, *, data: Mapping[int, bytes] | None = None,
               failed: Mapping[int, int] | None = None, whole: bool = False) -> Built:  # fmt: skip
    """The dump with other words in some entities (by number and offset), other bytes in some, and some that failed.

    Images of memories and of queues are left out unless the dump is to be `whole`.
    """
    nic = vl.open_device_dump(blob).decode()
    order, words, failed = nic.container.byteorder, words or {}, failed or {}
    entities = []
    for entity in nic.container.entities.values():
        number = entity.number
        if number in LARGE and not whole:
            continue
        if number in failed:
            entities.append(Entity(number, status=-29, sys_err=failed[number]))
            continue
        payload = bytearray((data or {}).get(number) or (nic.entity_bytes(number) if entity.available else b""))
        for offset, value in words.get(number, {}).items():
            struct.pack_into(f"{MARK[order]}I", payload, offset, value)
        entities.append(Entity(number, bytes(payload), entity.status, entity.sys_err, entity.sys_warn))
    return cudbg(*entities, order=order, chip=int(nic.container.header["chip_ver"]))
