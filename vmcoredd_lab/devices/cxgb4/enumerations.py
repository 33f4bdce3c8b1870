"""Numbers that have names: enumerations of the driver's headers, and columns of names beside columns of numbers.

fw_opcodes.csv is enum fw_cmd_opcodes, enum fw_wr_opcodes (t4fw_api.h) and the CPL opcodes (t4_msg.h), fw_retvals.csv enum
fw_retval, qdesc_types.csv enum cudbg_qdesc_qtype (cudbg_entity.h).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.tables import Codes

__all__ = ["firmware_opcodes", "firmware_retvals", "named", "parse_names"]

Array = np.ndarray[Any, Any]


@cache
def firmware_opcodes(kind: str) -> dict[int, str]:
    """Return names by opcode; ``kind`` is ``command``, ``work_request`` or ``cpl``."""
    return {int(row["opcode"]): row["name"] for row in read_table("fw_opcodes.csv") if row["kind"] == kind}


@cache
def firmware_retvals() -> dict[int, str]:
    """Return the firmware's return values by number."""
    return {int(row["value"]): row["name"] for row in read_table("fw_retvals.csv")}


def parse_names(text: str) -> dict[int, str]:
    """Return what ``0 none;1 interrupt`` says.

    >>> parse_names("0 PCIe;1 ingress queue")
    {0: 'PCIe', 1: 'ingress queue'}
    """
    pairs = (one.split(" ", 1) for one in text.split(";") if one)
    return {int(number): name for number, name in pairs}


def named(values: Array, names: Mapping[int, str], where: Array | None = None) -> Codes:
    """Return a name for each value; missing where it has none, and where ``where`` is given and false."""
    known = np.array(sorted(names), np.uint64)
    at = np.searchsorted(known, values.astype(np.uint64))
    at[at == len(known)] = 0
    found = known[at] == values
    if where is not None:
        found &= where
    return Codes(np.where(found, at, -1).astype(np.int32), [names[int(number)] for number in known])
