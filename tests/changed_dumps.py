"""Genuine device dumps with a few words changed: what a second collection of the same adapter would hold."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from cudbg_builder import Entity, cudbg

import vmcoredd_lab as vl

CHIPS = {"T4": 0x41, "T5": 0x51, "T6": 0x60}
REG_DUMP = 1
IMAGES = ("edc0", "edc1", "mc0", "mc1", "hma")  # megabytes, which no test here looks at


def address(nic: Any, register: str, instance: int = 0) -> int:
    """The address of a register's instance."""
    return int(nic.register_dump.table.instances_of(register)[instance][0])


def changed(nic: Any, words: Mapping[int, int] | None = None, **entities: Callable[[bytearray], Any]) -> bytes:
    """The dump of an adapter without its memories: other words in registers, entities changed in place by functions."""
    rebuilt = []
    for entity in nic.container.entities.values():
        if entity.name in IMAGES:
            continue
        try:
            data = bytearray(nic.entity_bytes(entity.number))
        except vl.NotInFileError:
            data = bytearray()
        if entity.number == REG_DUMP:
            for at, word in (words or {}).items():
                struct.pack_into("<I", data, at, word)
        if entity.name in entities:
            entities[entity.name](data)
        rebuilt.append(Entity(entity.number, bytes(data), entity.status, entity.sys_err, entity.sys_warn))
    return bytes(cudbg(*rebuilt, chip=CHIPS[nic.chip]))


def opened(data: bytes) -> Any:
    return vl.open_device_dump(data).decode()
