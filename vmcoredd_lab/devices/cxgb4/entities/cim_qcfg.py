"""CIM_QCFG, entity 5: where the queues into and out of the embedded processor lie, and their pointers.

struct cudbg_cim_qcfg and cudbg_collect_cim_qcfg(), drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c; base, size and thres come
from t4_read_cimq_cfg(), t4_hw.c, in bytes. The pointers are read from UP_IBQ_0_RDADDR and UP_OBQ_0_REALADDR on, where there
are six outbound queues on every chip; debugfs reads the shadow registers, which know all eight of T5 and T6.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, bits
from vmcoredd_lab.devices.cxgb4.entities.cim_queues import INBOUND, OUTBOUND
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Column, Schema, Table

__all__ = ["DECODERS", "CimQcfg"]

# As debugfs names them.
NAMES = (
    "TP0",
    "TP1",
    "ULP",
    "SGE0",
    "SGE1",
    "NC-SI",
    "ULP0",
    "ULP1",
    "ULP2",
    "ULP3",
    "SGE",
    "NC-SI",
    "SGE0-RX",
    "SGE1-RX",
)
ENTITIES = (*(f"cim_ibq_{queue}" for queue in INBOUND), *(f"cim_obq_{queue}" for queue in OUTBOUND))
IN = len(INBOUND)  # CIM_NUM_IBQ, t4_hw.h
COLLECTED = 12  # queues with pointers of their own in stat and obq_wr
FLIT = 16  # bytes

_UNRELIABLE = (
    "The driver does not collect the pointers of SGE0-RX and SGE1-RX: what it stores for them are other registers. "
    "up_cim_indirect has them: UP_OBQ_6_SHADOW_..., UP_OBQ_7_SHADOW_..."
)


class CimQcfg(EntityDecoder):
    """One structure with an array of each member; queues 0 to 5 are inbound."""

    names = ("cim_qcfg",)
    title = "configuration and pointers of the CIM queues"
    schema = Schema(
        "cim_qcfg",
        "The CIM's queues, inbound first (struct cudbg_cim_qcfg; columns as cim_qcfg of debugfs names them).",
        (
            Column("direction", "category", "in or out, as the processor sees it"),
            Column("queue", "text", "as debugfs names it"),
            Column("base", "u32", "beginning of the queue in the CIM's queue memory, bytes", "hex"),
            Column("size", "u32", "bytes", "size"),
            Column("thres", "u32", "inbound: full threshold, bytes", "size"),
            Column("rdptr", "u32", "read pointer", "hex"),
            Column("wrptr", "u32", "write pointer; outbound: obq_wr less base, modulo 2**32", "hex"),
            Column("sop", "u32", "packet beginnings, a count of 12 bits"),
            Column("eop", "u32", "packet ends, a count of 12 bits"),
            Column("avail", "u32", "room left, bytes", "size"),
            Column("frame_error", "bool", "inbound: the queue has met a framing error"),
            Column("reliable", "bool", "false where the driver stores other registers as the queue's pointers"),
            Column("entity", "text", "the entity that holds the queue's memory", rank=5),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the structure."""
        name, family = ("struct_cim_qcfg", "unified_wire") if context.unified_wire else ("cudbg_cim_qcfg", "linux")
        return Layout((Part("qcfg", declared(name, family)),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per queue: twelve on T4, fourteen elsewhere."""
        count = (COLLECTED if context.chip == "T4" else len(NAMES)) if len(parts["qcfg"]) else 0
        record: Any = parts["qcfg"][0] if count else np.zeros((), parts["qcfg"].dtype)
        queue = np.arange(count, dtype=np.uint32)
        inbound, known = queue < IN, queue < COLLECTED
        base = record["base"][:count].astype(np.uint32)
        thres, written = np.zeros((2, count), np.uint32)
        thres[:IN] = record["thres"][:count]
        written[IN:] = record["obq_wr"][::2][: max(0, count - IN)]
        stat = record["stat"].reshape(-1, 4)[:count].astype(np.uint32)
        read, write, status, packets = stat.T
        columns: dict[str, Any] = {
            "direction": ["in" if i < IN else "out" for i in range(count)],
            "queue": list(NAMES[:count]),
            "base": base,
            "size": record["size"][:count].astype(np.uint32),
            "thres": _where(thres, inbound),
            "rdptr": _where(np.where(inbound, bits(read, 12, 0), bits(read, 13, 0)), known),
            "wrptr": _where(np.where(inbound, bits(write, 12, 0), written - base), known),
            "sop": _where(bits(packets, 11, 0), known),
            "eop": _where(bits(packets, 27, 16), known),
            "avail": _where(bits(status, 10, 0) * np.uint32(FLIT), known),
            "frame_error": _where(bits(status, 31, 31).astype(bool), inbound),
            "reliable": known,
            "entity": list(ENTITIES[:count]),
        }
        members: Any = parts["qcfg"].dtype.fields
        begin, end = members["base"][1] + 2 * queue, members["stat"][1] + 16 * (queue + 1)
        attrs = {"note": _UNRELIABLE} if count > COLLECTED else {}
        return Table(self.schema, columns, attrs, np.column_stack([begin, end]).astype(np.int64))

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many queues there are, and which met a framing error."""
        table = self.table(parts, context)
        count = len(table)
        failed = [name for name, bad in zip(NAMES, table.values("frame_error"), strict=False) if bad]
        line = f"{min(count, IN)} inbound and {max(0, count - IN)} outbound queues"
        return line + (f"; frame error in {', '.join(failed)}" if failed else "")


def _where(values: np.ndarray[Any, Any], there: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    masked: np.ndarray[Any, Any] = np.ma.array(values, mask=~there)
    return masked


DECODERS = (CimQcfg(),)
