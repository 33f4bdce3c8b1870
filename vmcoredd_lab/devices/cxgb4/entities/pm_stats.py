"""PM_STATS, entity 30: what went through the payload manager's transmit and receive halves.

t4_pmtx_get_stats() and t4_pmrx_get_stats(), drivers/net/ethernet/chelsio/cxgb4/t4_hw.c; pm_stats_show(),
cxgb4_debugfs.c, names the counters. The member called cycles counts bytes for the first four.
"""

from __future__ import annotations

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Codes, Column, Schema, Table

__all__ = ["DECODERS", "PmStats"]

STATS = 7  # T6_PM_NSTATS, cxgb4.h
_COUNTERS = ("read", "write bypass", "write mem", "bypass + mem", "flush", "fifo wait", "latency")
_UNITS = ("pcmds", "bytes", "waits", "occupancy", "reads")
# By index: code of the counter's name in transmit and in receive direction, of what `count` and what `cycles` count.
_MEANING = ((0, 0, 0, 1), (1, 1, 0, 1), (2, 2, 0, 1), (3, 4, 0, 1), (5, 5, 2, 3), (-1, -1, -1, -1), (6, 6, 4, 2))
_T6_ONLY = (4, 6)  # T4 and T5: index 4 saturates at once, the others are not written


class PmStats(EntityDecoder):
    """struct cudbg_pm_stats."""

    names = ("pm_stats",)
    title = "payload manager statistics"
    schema = Schema(
        "pm_stats",
        "Payload manager counters (struct cudbg_pm_stats, cudbg_entity.h; pm_stats_show(), cxgb4_debugfs.c).",
        (
            Column("direction", "category", "tx or rx"),
            Column("index", "u32", "index of the counter"),
            Column("count", "u32", "tx_cnt or rx_cnt, in units of count_unit"),
            Column("cycles", "u64", "tx_cyc or rx_cyc, in units of cycles_unit; missing on T4"),
            Column("counter", "category", "name in debugfs; missing where the chip's counter means nothing"),
            Column("count_unit", "category", "what count counts", rank=1),
            Column("cycles_unit", "category", "what cycles counts", rank=1),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the structure."""
        return Layout((Part("stats", declared("cudbg_pm_stats")),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return seven rows of the transmit half, then seven of the receive half."""
        stats = parts["stats"]
        rows = 2 * STATS * len(stats)
        meaning = np.array(_MEANING, np.int8)
        if context.chip != "T6":
            meaning[list(_T6_ONLY)] = -1
        both = np.concatenate([meaning[:, [0, 2, 3]], meaning[:, 1:]])[:rows]
        count = np.concatenate([stats["tx_cnt"].ravel(), stats["rx_cnt"].ravel()])
        cycles = np.concatenate([stats["tx_cyc"].ravel(), stats["rx_cyc"].ravel()])
        columns = {
            "direction": Codes(np.repeat(np.arange(2, dtype=np.int8), STATS)[:rows], ("tx", "rx")),
            "index": np.tile(np.arange(STATS, dtype=np.uint32), 2)[:rows],
            "count": count.astype(np.uint32),
            "cycles": np.ma.array(cycles.astype(np.uint64), mask=context.chip == "T4"),
            "counter": Codes(both[:, 0], _COUNTERS),
            "count_unit": Codes(both[:, 1], _UNITS),
            "cycles_unit": Codes(both[:, 2], _UNITS),
        }
        ends = np.tile(np.array([[0, stats.dtype.itemsize]], np.int64), (rows, 1))
        return Table(self.schema, columns, spans=ends)

    def summary(self, parts: Parts, context: Context) -> str:
        """Return the commands of each direction."""
        stats = parts["stats"]
        if not len(stats):
            return "empty"
        tx, rx = (int(stats[0][name][:4].sum(dtype=np.uint64)) for name in ("tx_cnt", "rx_cnt"))
        return f"{tx:,} transmit and {rx:,} receive commands"


DECODERS = (PmStats(),)
