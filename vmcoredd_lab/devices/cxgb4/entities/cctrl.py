"""CCTRL, entity 60: by how much the congestion window grows, for each MTU and window size.

t4_read_cong_tbl(), drivers/net/ethernet/chelsio/cxgb4/t4_hw.c: u16 incr[NMTUS][NCCTRL_WIN].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, spans
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Column, Schema, Table

__all__ = ["DECODERS", "Cctrl"]

Array = np.ndarray[Any, Any]

WINDOWS = 32  # NCCTRL_WIN, cxgb4.h


class Cctrl(EntityDecoder):
    """u16 increments, the windows of one MTU behind one another."""

    names = ("cctrl",)
    title = "congestion control table"
    schema = Schema(
        "cctrl",
        "Additive increments of the congestion window (t4_read_cong_tbl(), t4_hw.c).",
        (
            Column("mtu_index", "u32", "MTU index; path_mtu has the MTU"),
            Column("window", "u32", "congestion window range, 0 to 31"),
            Column("increment", "u32", "additive increment; 13 significant bits"),
            Column("mtu", "u32", "MTU, bytes; missing where path_mtu is not in the dump"),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return one part of u16."""
        return Layout((Part("increments", words(1, "u2", "increment"), None),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per MTU index and window."""
        increments = parts["increments"]["increment"]
        mtu, window = np.divmod(np.arange(len(increments), dtype=np.uint32), np.uint32(WINDOWS))
        columns = {"mtu_index": mtu, "window": window, "increment": increments.astype(np.uint32)}
        columns["mtu"] = _mtus(mtu, context)
        return Table(self.schema, columns, spans=spans(0, 2, len(increments)))

    def summary(self, parts: Parts, context: Context) -> str:
        """Return the size of the table and its largest increment."""
        increments = parts["increments"]["increment"]
        if not len(increments):
            return "empty"
        return f"{-(-len(increments) // WINDOWS)} MTUs by {WINDOWS} windows, increments up to {int(increments.max()):,}"


def _mtus(index: Array, context: Context) -> Array:
    """Return the MTU of each index, missing where PATH_MTU does not have it."""
    path_mtu = context.other("path_mtu")
    known = path_mtu["mtus"]["mtu"].astype(np.uint32) if path_mtu else np.zeros(0, np.uint32)
    found = np.append(known, np.uint32(0))[np.minimum(index, len(known))]
    return np.ma.array(found, mask=index >= len(known))


DECODERS = (Cctrl(),)
