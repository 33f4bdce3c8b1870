"""PATH_MTU, entity 27: the sixteen MTU values that connections and the congestion control table refer to by index.

t4_read_mtu_tbl(), drivers/net/ethernet/chelsio/cxgb4/t4_hw.c: u16 mtus[NMTUS].
"""

from __future__ import annotations

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, spans
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Column, Schema, Table

__all__ = ["DECODERS", "PathMtu"]


class PathMtu(EntityDecoder):
    """u16 values in order of index."""

    names = ("path_mtu",)
    title = "path MTU table"
    schema = Schema(
        "path_mtu",
        "MTU values by index (t4_read_mtu_tbl(), t4_hw.c).",
        (
            Column("index", "u32", "MTU index, as CCTRL and connections use it"),
            Column("mtu", "u32", "MTU, bytes; 14 significant bits"),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return one part of u16."""
        return Layout((Part("mtus", words(1, "u2", "mtu"), None),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per MTU index."""
        mtus = parts["mtus"]["mtu"]
        columns = {"index": np.arange(len(mtus), dtype=np.uint32), "mtu": mtus.astype(np.uint32)}
        return Table(self.schema, columns, spans=spans(0, 2, len(mtus)))

    def summary(self, parts: Parts, context: Context) -> str:
        """Return the range of MTUs."""
        mtus = parts["mtus"]["mtu"]
        return f"{len(mtus)} MTUs, {int(mtus.min())} to {int(mtus.max())} bytes" if len(mtus) else "empty"


DECODERS = (PathMtu(),)
