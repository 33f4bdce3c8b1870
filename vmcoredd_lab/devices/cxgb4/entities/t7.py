"""Layouts of revision 1, which drivers newer than mainline's 6.1 write where that writes no version header: CIM queues, CIM_QCFG,
CIM_LA and DUMP_CONTEXT. They came with the T7, but the same drivers write them for T5 and T6 too.

cudbg_entity.h of Chelsio's cxgb4 on top of Linux 6.18: struct cudbg_ver_hdr leads (its size is that of the rest of the header).
Indirect registers of revision 1 are read by indirect.py. The meaning of bits is that of T5 and T6; of a T7 it is not known.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared, words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, bits, spans
from vmcoredd_lab.devices.cxgb4.entities.cim_la import CimLa
from vmcoredd_lab.devices.cxgb4.entities.cim_qcfg import FLIT, NAMES, CimQcfg
from vmcoredd_lab.devices.cxgb4.entities.cim_queues import CimQueue
from vmcoredd_lab.devices.cxgb4.entities.dump_context import DumpContext
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.structs import Member, Struct
from vmcoredd_lab.tables import Column, Schema, Table

__all__ = ["DECODERS"]

SOURCE = "drivers/net/ethernet/chelsio/cxgb4/cudbg_entity.h of Chelsio's tree for T7"
KNOWN_BITS = ("T4", "T5", "T6")
INBOUND, OUTBOUND = 0, 1  # enum cudbg_entity_cim_qcfg_qtype
# Queues by id where there are sixteen of each direction (t4_cim_num_ibq() of a T7); the rest lead to the other cores.
T7_NAMES = (
    ("TP0", "TP1", "TP2", "TP3", "ULP", "SGE0", "SGE1", "NC-SI"),
    ("ULP0", "ULP1", "ULP2", "ULP3", "SGE", "NC-SI", "SGE0-RX", "SGE1-RX"),
)
LINUX_NAMES = (NAMES[:6], NAMES[6:])
CONTEXT_WORDS = 16  # CUDBG_SGE_CTXT_DATA_MAX


def _header(name: str, *members: Member) -> Struct:
    ver_hdr = tuple(declared("cudbg_ver_hdr").members)
    return Struct(name, SOURCE, (*ver_hdr, *members))


QUEUE = _header(
    "struct_cim_ibq_rev1",
    Member("qid", "u1", "queue"),
    Member("coreid", "u1", "which core of the uP"),
    Member("pad_10", "u1", shape=(2,)),
)
QCFG = _header(
    "struct_cim_qcfg_rev1",
    Member("num_cim_ibq", "u1", "inbound queues"),
    Member("num_cim_obq", "u1", "outbound queues, behind them"),
    Member("coreid", "u1", "which core of the uP"),
    Member("pad_11", "u1", shape=(1,)),
)
QCFG_DATA = Struct(
    "struct_cim_qcfg_rev1_data",
    SOURCE,
    (
        Member("qtype", "u1", "0 inbound, 1 outbound"),
        Member("qid", "u1"),
        Member("base", "u2", "bytes"),
        Member("size", "u2", "bytes"),
        Member("thres", "u2", "bytes; inbound only"),
        Member("obq_wr", "u4", shape=(2,)),
        Member("stat", "u4", shape=(4,)),
    ),
)
LA = _header(
    "struct_cim_la_rev1",
    Member("coreid", "u1", "which core of the uP"),
    Member("ncol", "u1", "words of a row"),
    Member("nrow", "u2", "rows"),
    Member("config", "u4", "UP_UP_DBG_LA_CFG"),
)
CONTEXTS = _header("struct_sge_ctxt_rev1", Member("nentries", "u4", "contexts that follow"))
CONTEXT = Struct(
    "struct_sge_ctxt_rev1_data",
    SOURCE,
    (
        Member("cntxt_type", "u1", "enum ctxt_type"),
        Member("size", "u1", "bytes of data in use"),
        Member("pad_2", "u1", shape=(2,)),
        Member("cntxt_id", "u4"),
        Member("data", "u4", shape=(CONTEXT_WORDS,)),
    ),
)


class NewerQueue(CimQueue):
    """struct struct_cim_ibq_rev1 or struct_cim_obq_rev1, then rows as before."""

    versions = (1,)

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the header and the rows."""
        return Layout((Part("header", QUEUE), Part("rows", words(4), None)))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per 16 bytes; attrs have queue and core."""
        table = super().table(parts, context)
        table.attrs |= _attrs(parts, "qid", "coreid")
        table.spans = spans(parts["header"].nbytes, 16, len(table))
        return table


class NewerQcfg(CimQcfg):
    """struct struct_cim_qcfg_rev1: a structure for each queue, read from the shadow registers on every chip."""

    versions = (1,)
    schema = Schema(
        "cim_qcfg",
        f"The CIM's queues, inbound first (struct struct_cim_qcfg_rev1, {SOURCE}).",
        (
            *(c for c in CimQcfg.schema.columns if c.name not in ("entity", "reliable")),
            Column("reliable", "bool", "false: a T7's, whose pointer registers are not known; only words are there", rank=1),
            Column("qid", "u32", "number of the queue in its direction", rank=2),
            Column("obq_wr0", "u32", "outbound: write pointer register", "hex", rank=3),
            Column("obq_wr1", "u32", "outbound: the register behind it", "hex", rank=3),
            *(Column(f"stat{i}", "u32", f"status register {i}", "hex", rank=3) for i in range(4)),
        ),
    )  # fmt: skip

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the header and a structure for each queue it counts."""
        return Layout((Part("header", QCFG), Part("queues", QCFG_DATA, _queues)))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per queue."""
        queues = parts["queues"]
        inbound = queues["qtype"] == INBOUND
        known = np.full(len(queues), context.chip in KNOWN_BITS)
        stat, written = queues["stat"].astype(np.uint32), queues["obq_wr"].astype(np.uint32)
        base = queues["base"].astype(np.uint32)
        read, write, status, packets = stat.T
        columns: dict[str, Any] = {
            "direction": ["in" if one else "out" for one in inbound],
            "queue": _names(parts),
            "base": base,
            "size": queues["size"].astype(np.uint32),
            "thres": _where(queues["thres"].astype(np.uint32), inbound),
            "rdptr": _where(np.where(inbound, bits(read, 12, 0), bits(read, 13, 0)), known),
            "wrptr": _where(np.where(inbound, bits(write, 12, 0), written[:, 0] - base), known),
            "sop": _where(bits(packets, 11, 0), known),
            "eop": _where(bits(packets, 27, 16), known),
            "avail": _where(bits(status, 10, 0) * np.uint32(FLIT), known),
            "frame_error": _where(bits(status, 31, 31).astype(bool), known & inbound),
            "reliable": known,
            "qid": queues["qid"].astype(np.uint32),
            "obq_wr0": _where(written[:, 0], ~inbound),
            "obq_wr1": _where(written[:, 1], ~inbound),
            **{f"stat{i}": stat[:, i] for i in range(4)},
        }
        start = spans(parts["header"].nbytes, QCFG_DATA.size(), len(queues))
        return Table(self.schema, columns, _attrs(parts, "coreid"), start)

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many queues there are, and which met a framing error."""
        rows = self.table(parts, context).records()
        inbound = sum(row["direction"] == "in" for row in rows)
        failed = [row["queue"] for row in rows if row["frame_error"]]
        line = f"{inbound} inbound and {len(rows) - inbound} outbound queues"
        return line + (f"; frame error in {', '.join(failed)}" if failed else "")


class NewerLa(CimLa):
    """struct struct_cim_la_rev1, then rows as before."""

    versions = (1,)

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the header; rows where they are as wide as the chip's are known to be; the words of one not captured whole."""
        width = 8 if context.chip in ("T4", "T5") else 10
        known = len(data) > 9 and data[9] == width  # ncol
        return Layout(
            (
                Part("config", LA),
                Part("rows", words(width), _rows if known else 0),
                Part("incomplete", words(1, "u4", "word"), width if known else 0),
            )
        )

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per row captured whole; attrs have the core too."""
        table = super().table(parts, context)
        table.attrs |= _attrs(parts, "coreid", "ncol", "nrow", part="config")
        return _behind_header(table)

    def samples(self, parts: Parts, context: Context) -> Table:
        """Return the capture, one sample a row."""
        return _behind_header(super().samples(parts, context))


class NewerContext(DumpContext):
    """struct struct_sge_ctxt_rev1: contexts in use only, of up to 16 words."""

    versions = (1,)
    schema = Schema(
        "dump_context",
        f"SGE contexts as words (struct struct_sge_ctxt_rev1, {SOURCE}); nic.contexts(type) has the fields.",
        (
            *DumpContext.schema.columns,
            Column("size", "u32", "bytes of the context; words behind them are not used", rank=2),
            *(Column(f"w{i}", "u32", f"bits {32 * i + 31}..{32 * i} of the context", "hex", rank=3)
              for i in range(6, CONTEXT_WORDS)),
        ),
    )  # fmt: skip

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the header and the contexts it counts."""
        return Layout((Part("header", CONTEXTS), Part("contexts", CONTEXT, _contexts)))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per context."""
        table = super().table(parts, context)
        records = parts["contexts"]
        table.columns["size"] = records["size"].astype(np.uint32)
        table.columns |= {f"w{i}": records["data"][:, i].astype(np.uint32) for i in range(6, CONTEXT_WORDS)}
        return table


def _behind_header(table: Table) -> Table:
    """Return the table with rows where they are: behind the header instead of the configuration register."""
    if table.spans is not None:
        table.spans = table.spans + (LA.size() - 4)
    return table


def _rows(parts: Parts) -> int:
    return int(parts["config"]["nrow"][0]) if len(parts["config"]) else 0


def _queues(parts: Parts) -> int:
    header = parts["header"]
    return int(header["num_cim_ibq"][0]) + int(header["num_cim_obq"][0]) if len(header) else 0


def _contexts(parts: Parts) -> int:
    return int(parts["header"]["nentries"][0]) if len(parts["header"]) else 0


def _names(parts: Parts) -> list[str]:
    """Return the queues' names: those of T5 and T6 where there are six inbound queues, else a T7's, else numbers."""
    header = parts["header"]
    known = LINUX_NAMES if len(header) and int(header["num_cim_ibq"][0]) == len(LINUX_NAMES[0]) else T7_NAMES
    found = []
    for kind, number in zip(parts["queues"]["qtype"].tolist(), parts["queues"]["qid"].tolist(), strict=True):
        names = known[kind] if kind in (INBOUND, OUTBOUND) else ()
        found.append(names[number] if number < len(names) else f"queue {number}")
    return found


def _attrs(parts: Parts, *members: str, part: str = "header") -> dict[str, int]:
    header = parts[part]
    return {name: int(header[name][0]) for name in members} if len(header) else {}


def _where(values: np.ndarray[Any, Any], there: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    masked: np.ndarray[Any, Any] = np.ma.array(values, mask=~there)
    return masked


DECODERS = (NewerQueue(), NewerQcfg(), NewerLa(), NewerContext())
