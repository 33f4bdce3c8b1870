"""The firmware log's ring in the images of the adapter's memories, for when the entity DEV_LOG was not collected.

Register PCIE_FW_PF[7] says where the firmware keeps it (t4_init_devlog_params(), drivers/net/ethernet/chelsio/cxgb4/t4_hw.c;
PCIE_FW_PF_DEVLOG_*, t4fw_api.h). It is believed only if what stands there looks like log entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vmcoredd_lab.devices.cxgb4 import dev_log
from vmcoredd_lab.devices.cxgb4.entities.base import bits
from vmcoredd_lab.devices.cxgb4.framing import Decoded
from vmcoredd_lab.devices.cxgb4.structs import FW_DEVLOG_ENTRY
from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.tables import Table

if TYPE_CHECKING:
    from vmcoredd_lab.devices.cxgb4.memory_map import MemoryMap
    from vmcoredd_lab.devices.cxgb4.reg_dump import RegDump

__all__ = ["PCIE_FW_PF_DEVLOG", "Ring", "firmware_log_in_memory", "looks_like_log", "ring"]

PCIE_FW_PF_DEVLOG = 0x30D8
ALL_ONES = 0xFFFFFFFF
# enum fw_memtype_cf, t4fw_api.h; the driver uses it as the number of a memory, by which 3 is MC1
MEMORY_TYPES = {0: "edc0", 1: "edc1", 2: "mc0", 3: "mc1", 6: "mc1", 7: "hma"}
LEAST_LIKE_LOG = 0.9  # of the written slots; the firmware may have been writing while memory was read


@dataclass(frozen=True)
class Ring:
    """Where the ring is: the entity of the memory that holds it, the offset there, and its size in bytes."""

    entity: str
    offset: int
    size: int


def ring(register: int) -> Ring | None:
    """Return what the register says; None where it says nothing.

    Bits 31:28 count entries in steps of 128, bits 27:4 are the address in units of 16 bytes, bits 3:0 the type of memory.
    """
    entity = MEMORY_TYPES.get(bits(register, 3, 0))
    offset = bits(register, 27, 4) << 4
    if register == ALL_ONES or not offset or entity is None:
        return None
    return Ring(entity, offset, (bits(register, 31, 28) + 1) * 128 * FW_DEVLOG_ENTRY.size("big"))


def looks_like_log(data: bytes | memoryview) -> bool:
    """Return True where slots were written, and nearly all of these hold a known level and a printable format."""
    slots = np.frombuffer(data, FW_DEVLOG_ENTRY.dtype("big"), len(data) // FW_DEVLOG_ENTRY.size("big"))
    written = slots[~np.isin(slots["timestamp"].astype(np.uint64), np.array(dev_log.NEVER, np.uint64))]
    if not len(written):
        return False
    text = written["fmt"]
    length = np.where((text == 0).any(1), (text == 0).argmax(1), text.shape[1])
    printable = (text >= 0x20) & (text < 0x7F) | (text == 0x0A) | (text == 0x09) | (text == 0x0D)
    behind = np.arange(text.shape[1]) >= length[:, None]
    sound = (written["level"] < len(dev_log.LEVELS)) & (length > 0) & (printable | behind).all(1)
    return float(sound.mean()) >= LEAST_LIKE_LOG


def firmware_log_in_memory(registers: RegDump, memory: MemoryMap, problems: Problems, where: str) -> Table:
    """Return the firmware log from a memory's image; ``attrs["note"]`` says from where, ``offset`` is in ``attrs["entity"]``.

    Raises
    ------
    NotInFileError: the register does not say where the ring is, the image does not hold it, or no log stands there.
    """
    word = registers.value(PCIE_FW_PF_DEVLOG)
    found = None if word is None else ring(word)
    if found is None:
        said = "was not collected" if word is None else f"is {word:#x}"
        raise NotInFileError(f"register {PCIE_FW_PF_DEVLOG:#x}, which says where its ring is, {said}")
    image = memory.image(found.entity)
    start, end = found.offset, min(found.offset + found.size, len(image.data))
    data = memoryview(image.data)[start:end]
    if not looks_like_log(data):
        raise NotInFileError(
            f"no log stands in {found.entity} at {start:#x}, where register {PCIE_FW_PF_DEVLOG:#x} says"
        )
    held = sum(last - first for first, last in image.held(start, end))
    damaged = [
        (max(first, start) - start, min(last, end) - start)
        for first, last, *_ in image.missing
        if first < end and start < last
    ]
    table = dev_log.firmware_log(Decoded(data, damaged), problems, f"{where}, entity {found.entity}")
    table.columns["offset"] = table.columns["offset"] + np.uint64(start)
    table.attrs["entity"] = found.entity
    table.attrs["note"] = (
        f"Entity dev_log is not in the dump. This is the log's ring in the image of {found.entity} at {start:#x}, where register "
        f"{PCIE_FW_PF_DEVLOG:#x} says it is; the firmware may have gone on writing while the memory was read."
        + (f" {held:,} of its {found.size:,} bytes are there." if held < found.size else "")
    )
    return table
