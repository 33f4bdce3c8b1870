"""HW_SCHED, entity 31: the eight transmit schedulers and how fast each lets packets go.

cudbg_collect_hw_sched(), drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c; t4_get_tx_sched(), t4_read_pace_tbl(), t4_hw.c.
The driver turned register values into units of time with the core clock that it knew then.
"""

from __future__ import annotations

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder
from vmcoredd_lab.devices.cxgb4.entities.clk import PLACEHOLDER_KHZ, placeholder_clock
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "HwSched"]

SCHEDULERS = 8  # NTX_SCHED, cxgb4.h


class HwSched(EntityDecoder):
    """struct cudbg_hw_sched."""

    names = ("hw_sched",)
    title = "hardware transmit schedulers"
    schema = Schema(
        "hw_sched",
        "Transmit schedulers (struct cudbg_hw_sched, cudbg_entity.h).",
        (
            Column("scheduler", "u32", "0 to 7"),
            Column("flow", "bool", "true: each flow has the rate; false: the class as a whole (TP_MOD_CONFIG)"),
            Column("channel", "u32", "transmit channel (TP_TX_MOD_QUEUE_REQ_MAP)"),
            Column("kbps", "u32", "rate, kbit/s; 0: not limited"),
            Column("class_ipg", "u32", "gap between packets of the class, 0.1 ns; 0: none"),
            Column("flow_ipg", "u32", "gap between packets of a flow, us; 0: none"),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the structure."""
        return Layout((Part("sched", declared("cudbg_hw_sched")),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per scheduler."""
        sched = parts["sched"]
        number = np.arange(SCHEDULERS if len(sched) else 0, dtype=np.uint32)
        mode, channels = (sched[name].astype(np.uint32) for name in ("mode", "map"))
        columns = {
            "scheduler": number,
            "flow": (mode >> number & np.uint32(1)).astype(bool),
            "channel": channels >> np.uint32(2) * number & np.uint32(3),
            "kbps": sched["kbps"].ravel().astype(np.uint32),
            "class_ipg": sched["ipg"].ravel().astype(np.uint32),
            "flow_ipg": sched["pace_tab"].ravel().astype(np.uint32),
        }
        note = _note(context) if len(sched) else ""
        span = np.tile(np.array([[0, sched.dtype.itemsize]], np.int64), (len(number), 1))
        return Table(self.schema, columns, {"note": note} if note else {}, span)

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many schedulers limit the rate."""
        if not len(parts["sched"]):
            return "empty"
        limited = int(np.count_nonzero(parts["sched"]["kbps"]))
        text = f"{plural(limited, 'scheduler')} of {SCHEDULERS} with a rate"
        return f"{text}; computed with a placeholder clock" if placeholder_clock(context) else text


def _note(context: Context) -> str:
    """Say what the values were computed with before the firmware told the driver the clock."""
    if not placeholder_clock(context):
        return ""
    clk = context.other("clk")
    shift = (
        int(clk["clk"]["dack_re"][0]) if clk else 0
    )  # the register itself: right also where the driver did not know it
    note = (
        f"The driver assumed a core clock of {PLACEHOLDER_KHZ:,} kHz: multiply kbps by the real clock's kHz / "
        f"{PLACEHOLDER_KHZ:,}, class_ipg and flow_ipg by {PLACEHOLDER_KHZ:,} / kHz."
    )
    if 0 < shift < 32:
        note = f"{note[:-1]}; flow_ipg also by {1 << shift}, as it took the DACK resolution for 0 and not {shift}."
    return note


DECODERS = (HwSched(),)
