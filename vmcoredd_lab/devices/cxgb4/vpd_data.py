"""VPD_DATA, entity 58: who the adapter is (struct cudbg_vpd_data, cudbg_entity.h)."""

from __future__ import annotations

from typing import Any

from vmcoredd_lab.devices.cxgb4.framing import Decoded
from vmcoredd_lab.devices.cxgb4.structs import VPD_DATA
from vmcoredd_lab.structs import ByteOrder
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import escape

__all__ = ["VPD", "vpd_data"]

VPD = Schema(
    "vpd_data",
    "The adapter's vital product data and firmware version; one row.",
    (
        Column("sn", "text", "serial number"),
        Column("bn", "text", "part number"),
        Column("na", "text", "MAC address, 12 hex digits"),
        Column("mn", "text", "product id"),
        Column("fw_major", "u32", "firmware version, first of four numbers"),
        Column("fw_minor", "u32", "firmware version, second"),
        Column("fw_micro", "u32", "firmware version, third"),
        Column("fw_build", "u32", "firmware version, fourth"),
        Column("scfg_vers", "u32", "serial configuration version", "hex"),
        Column("vpd_vers", "u32", "VPD version", "hex"),
    ),
)


def vpd_data(decoded: Decoded, byteorder: ByteOrder) -> Table:
    """Return :data:`VPD`; no row where the structure is not there whole."""
    size = VPD_DATA.size(byteorder)
    if len(decoded.data) < size or any(start < size for start, _ in decoded.damaged):
        return Table.from_rows(VPD, [])
    record = VPD_DATA.read(decoded.data, byteorder=byteorder)
    row: list[Any] = []
    for column in VPD.columns:
        value = record[column.name]
        row.append(escape(bytes(value).split(b"\0")[0]).strip() if column.kind == "text" else int(value))
    return Table.from_rows(VPD, [row])
