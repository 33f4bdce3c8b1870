"""VPD_DATA, entity 58: who the adapter is: serial and part number, MAC address, versions.

cudbg_collect_vpd_data(), drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c. The Unified Wire stores the four texts only.
"""

from __future__ import annotations

from typing import Any

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, spans
from vmcoredd_lab.devices.cxgb4.framing import Decoded
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import escape

__all__ = ["DECODERS", "VpdData", "firmware_version", "record"]


class VpdData(EntityDecoder):
    """struct cudbg_vpd_data; where the payload is too short for it, the Unified Wire's struct_vpd_data."""

    names = ("vpd_data",)
    title = "vital product data and firmware version"
    schema = Schema(
        "vpd_data",
        "The adapter's vital product data and firmware version; one row (struct cudbg_vpd_data, cudbg_entity.h).",
        (
            Column("sn", "text", "serial number"),
            Column("bn", "text", "part number"),
            Column("na", "text", "MAC address, 12 hex digits"),
            Column("mn", "text", "product id"),
            Column("fw_major", "u32", "firmware version, first of four numbers; missing in Unified Wire dumps"),
            Column("fw_minor", "u32", "firmware version, second"),
            Column("fw_micro", "u32", "firmware version, third"),
            Column("fw_build", "u32", "firmware version, fourth"),
            Column("scfg_vers", "u32", "serial configuration version", "hex"),
            Column("vpd_vers", "u32", "VPD version", "hex"),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the structure."""
        linux = declared("cudbg_vpd_data")
        short = context.unified_wire or len(data) < linux.size(context.byteorder)
        return Layout((Part("vpd", declared("struct_vpd_data", "unified_wire") if short else linux),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row; none where the structure is not there whole."""
        vpd = parts["vpd"]
        if not len(vpd):
            return Table.from_rows(self.schema, [])
        row: list[Any] = []
        for column in self.schema.columns:
            if column.name not in vpd.dtype.names:
                row.append(None)
            elif column.kind == "text":
                row.append(escape(vpd[0][column.name].tobytes().split(b"\0")[0].strip()))
            else:
                row.append(int(vpd[0][column.name]))
        table = Table.from_rows(self.schema, [row])
        table.spans = spans(0, vpd.dtype.itemsize, 1)
        return table

    def summary(self, parts: Parts, context: Context) -> str:
        """Return product, serial number and firmware version."""
        records = self.table(parts, context).records()
        if not records:
            return "empty"
        vpd = records[0]
        text = f"{vpd['mn'] or 'no product id'}, serial number {vpd['sn'] or 'missing'}"
        version = firmware_version(vpd)
        return f"{text}, firmware {version}" if version else text


def record(decoded: Decoded, context: Context) -> dict[str, Any]:
    """Return the row as a dictionary; empty where the structure is not there whole and sound."""
    one = DECODERS[0]
    layout = one.layout(context, decoded.data)
    size = layout.parts[0].dtype(context.byteorder).itemsize
    if len(decoded.data) < size or any(start < size for start, _ in decoded.damaged):
        return {}
    return one.table(layout.split(decoded.data, context.byteorder), context).records()[0]


def firmware_version(vpd: dict[str, Any]) -> str:
    """Return the firmware version of a record as four numbers with dots; empty where it is not there or 0."""
    numbers = [vpd[f"fw_{part}"] for part in ("major", "minor", "micro", "build")]
    return ".".join(map(str, numbers)) if any(numbers) else ""


DECODERS = (VpdData(),)
