"""Counters that only the Unified Wire collects: TCP_STATS (32), TP_ERR_STATS (33), FCOE_STATS (34), RDMA_STATS (35),
CPL_STATS (38), DDP_STATS (39), WC_STATS (40), TX_RATE (53). Those of ports are in uw_port_stats.py.

struct struct_tcp_stats and its like, cudbg_entity.h of Chelsio's cudbg library (2016); what they count is in t4_hw.c of the
Linux driver: t4_tp_get_tcp_stats(), t4_get_port_stats(), ... Linux has the same counters in TP_INDIRECT (TP_MIB) and REG_DUMP.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared, words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, spans
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.structs import Member, Struct
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["CHANNELS", "DECODERS", "FAMILY", "Counters"]

FAMILY = "unified_wire"
CHANNELS = 4  # NCHAN, t4_hw.h


def _members(struct: str) -> list[Member]:
    return [m for m in declared(struct, FAMILY).members if not m.name.startswith("pad_") and m.name != "nchan"]


def _key_column(key: str, text: bool) -> Column:
    return Column(key, "text" if text else "u32", f"the {key}" + ("" if text else ", counted from 0"))


class Counters(EntityDecoder):
    """One structure, or an array of them: one row each, members as columns.

    ``key`` names the column that tells the rows apart; ``labels`` gives its values, else they are counted from 0.
    """

    struct: ClassVar[str]
    count: ClassVar[int | None] = 1
    key: ClassVar[str] = ""
    labels: ClassVar[tuple[str, ...]] = ()
    docs: ClassVar[dict[str, str]] = {}
    source: ClassVar[str]

    def __init_subclass__(cls) -> None:
        if not getattr(cls, "struct", None):
            return
        about = f"{cls.title} (struct {cls.struct}, cudbg_entity.h of the Unified Wire; {cls.source}, t4_hw.c)."
        cls.schema = Schema(cls.names[0], about[0].upper() + about[1:], cls._columns())

    @classmethod
    def _columns(cls) -> tuple[Column, ...]:
        first = (_key_column(cls.key, bool(cls.labels)),) if cls.key else ()
        return (*first, *(cls._column(m, i // 5) for i, m in enumerate(_members(cls.struct))))

    @classmethod
    def _column(cls, member: Member, rank: int) -> Column:
        return Column(member.name, "u64" if member.kind == "u8" else "u32", cls.describe(member.name), rank=rank)

    @classmethod
    def describe(cls, member: str) -> str:
        """Return what a member counts."""
        return cls.docs[member]

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the structures."""
        return Layout((Part("stats", declared(self.struct, FAMILY), self.count),))

    def rows(self, parts: Parts, context: Context) -> int:
        """Return how many of the structures are in use."""
        return len(parts["stats"])

    def note(self, parts: Parts, context: Context) -> str | None:
        """Return what a reader must know."""
        return None

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per structure."""
        stats = parts["stats"][: self.rows(parts, context)]
        columns: dict[str, Any] = {m.name: _plain(stats[m.name]) for m in _members(self.struct)}
        if self.key:
            columns[self.key] = (
                list(self.labels[: len(stats)]) if self.labels else np.arange(len(stats), dtype=np.uint32)
            )
        note = self.note(parts, context)
        start = sum(parts[name].nbytes for name in parts if name == "head")
        return Table(
            self.schema, columns, {"note": note} if note else {}, spans(start, stats.dtype.itemsize, len(stats))
        )

    def summary(self, parts: Parts, context: Context) -> str:
        """Return the counters of trouble that are not zero, or how many count at all."""
        table = self.table(parts, context)
        counters = [c.name for c in self.schema.columns if c.name != self.key]
        sums = {name: sum(v for v in table.values(name) if v) for name in counters}
        bad = [f"{name} {value:,}" for name, value in sums.items() if value and _BAD.search(name)]
        if bad:
            return ", ".join(bad[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
        return f"{plural(sum(map(bool, sums.values())), 'counter')} not zero" if len(table) else "empty"


_BAD = re.compile(r"err|drop|ovflow|trunc|jabber|runt|too_long|fail|retrans|no_neigh|defer|rqe_dfr")


class ByChannel(Counters):
    """One structure with an array of each member, and the number of channels: one row per channel.

    Members that count for the whole adapter are in a last row without a channel.
    """

    key = "channel"

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the structure and the number of channels."""
        struct = _without(declared(self.struct, FAMILY), "nchan")
        return Layout((Part("stats", struct), Part("nchan", words(1, "u4", "nchan"))))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per channel, and one for the adapter where it has counters of its own."""
        stats, members = parts["stats"], _members(self.struct)
        count = _channels(parts, context, self.names[0]) if len(stats) else 0
        whole = [m for m in members if not m.shape] if count else []
        total = count + bool(whole)
        columns: dict[str, Any] = {"channel": _masked(np.arange(count, dtype=np.uint32), total)}
        for member in members:
            if member.shape:
                columns[member.name] = _masked(_plain(stats[member.name].reshape(-1)[:count]), total)
            else:
                columns[member.name] = _masked(_plain(stats[member.name][: len(whole)]), total, front=False)
        ranges = np.tile(np.array([[0, stats.dtype.itemsize]]), (total, 1))
        note = _channel_note(parts)
        return Table(self.schema, columns, {"note": note} if count and note else {}, ranges)


class TcpStats(Counters):
    """struct struct_tcp_stats: IPv4, then IPv6."""

    names = ("tcp_stats",)
    title = "TCP segments and resets, by protocol"
    struct, count, key, labels = "tp_tcp_stats", 2, "protocol", ("IPv4", "IPv6")
    source = "t4_tp_get_tcp_stats()"
    docs: ClassVar = {
        "tcp_out_rsts": "resets sent",
        "tcp_in_segs": "segments received",
        "tcp_out_segs": "segments sent",
        "tcp_retrans_segs": "segments sent again",
    }


class TpErrStats(ByChannel):
    """struct struct_tp_err_stats."""

    names = ("tp_err_stats",)
    title = "TP errors and drops, by channel"
    struct = "tp_err_stats"
    source = "t4_tp_get_err_stats()"
    docs: ClassVar = {
        "mac_in_errs": "frames received with a MAC error",
        "hdr_in_errs": "packets received with a header error",
        "tcp_in_errs": "IPv4 segments received with an error",
        "tcp6_in_errs": "IPv6 segments received with an error",
        "tnl_cong_drops": "tunnelled packets dropped for congestion",
        "ofld_chan_drops": "offloaded packets dropped by channel",
        "tnl_tx_drops": "tunnelled packets dropped on the way out",
        "ofld_vlan_drops": "offloaded packets dropped for their VLAN",
        "ofld_no_neigh": "offloaded packets without a neighbour; of the adapter: in the row without a channel",
        "ofld_cong_defer": "offloaded packets deferred for congestion; of the adapter: in the row without a channel",
    }


class FcoeStats(Counters):
    """struct struct_tp_fcoe_stats; the library never writes its nchan."""

    names = ("fcoe_stats",)
    title = "FCoE counters, by channel"
    struct, count, key = "tp_fcoe_stats", CHANNELS, "channel"
    source = "t4_get_fcoe_stats()"
    docs: ClassVar = {
        "frames_ddp": "frames placed directly",
        "frames_drop": "frames dropped",
        "octets_ddp": "bytes placed directly",
    }

    def rows(self, parts: Parts, context: Context) -> int:
        """Return the number of channels that another entity tells."""
        cpl = context.other("cpl_stats")
        return min(len(parts["stats"]), _channels(cpl or {}, context, self.names[0]))


class RdmaStats(Counters):
    """struct tp_rdma_stats."""

    names = ("rdma_stats",)
    title = "RDMA requests deferred"
    struct = "tp_rdma_stats"
    source = "t4_tp_get_rdma_stats()"
    docs: ClassVar = {
        "rqe_dfr_pkt": "packets deferred for want of a receive queue entry",
        "rqe_dfr_mod": "modifications deferred for want of a receive queue entry",
    }


class CplStats(ByChannel):
    """struct struct_tp_cpl_stats."""

    names = ("cpl_stats",)
    title = "CPL messages, by channel"
    struct = "tp_cpl_stats"
    source = "t4_tp_get_cpl_stats()"
    docs: ClassVar = {"req": "CPL requests", "rsp": "CPL responses"}


class DdpStats(Counters):
    """struct tp_usm_stats."""

    names = ("ddp_stats",)
    title = "direct data placement of user-space sockets (USM)"
    struct = "tp_usm_stats"
    source = "t4_get_usm_stats()"
    docs: ClassVar = {"frames": "frames placed", "drops": "frames dropped", "octets": "bytes placed"}


class WcStats(Counters):
    """struct struct_wc_stats."""

    names = ("wc_stats",)
    title = "work requests written with write combining"
    struct = "struct_wc_stats"
    source = "SGE_STAT_TOTAL and SGE_STAT_MATCH"
    chips = "T5 T6"
    docs: ClassVar = {
        "wr_cl_success": "work requests that arrived combined",
        "wr_cl_fail": "work requests that did not",
    }


class TxRate(ByChannel):
    """struct tx_rate."""

    names = ("tx_rate",)
    title = "transmit rates, by channel"
    struct = "tx_rate"
    source = "t4_get_chan_txrate()"
    docs: ClassVar = {"nrate": "rate of NIC traffic, bytes/s", "orate": "rate of offloaded traffic, bytes/s"}

    def summary(self, parts: Parts, context: Context) -> str:
        """Return the sum of the rates."""
        table = self.table(parts, context)
        return f"NIC {sum(table.values('nrate')):,} bytes/s, offload {sum(table.values('orate')):,} bytes/s"


def _without(struct: Struct, member: str) -> Struct:
    """Return the structure up to a member."""
    names = [m.name for m in struct.members]
    return Struct(struct.name, struct.source, struct.members[: names.index(member)]) if member in names else struct


def _plain(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return values in the machine's own byte order."""
    return values.astype(values.dtype.newbyteorder("="))


def _masked(values: np.ndarray[Any, Any], total: int, *, front: bool = True) -> np.ndarray[Any, Any]:
    """Return the values with missing ones behind (``front``) or before them, ``total`` in all."""
    missing = total - len(values)
    gap = np.zeros(missing, values.dtype)
    order = (values, gap) if front else (gap, values)
    mask: Sequence[Any] = [np.zeros(len(values), bool), np.ones(missing, bool)]
    joined: np.ndarray[Any, Any] = np.ma.array(
        np.concatenate(order), mask=np.concatenate(mask if front else mask[::-1])
    )
    return joined if missing else np.concatenate(order)


def _nchan(parts: Parts) -> int | None:
    return int(parts["nchan"]["nchan"][0]) if "nchan" in parts and len(parts["nchan"]) else None


def _channels(parts: Parts, context: Context, name: str) -> int:
    """Return the number of channels where it is possible, else four."""
    count = _nchan(parts)
    return count if count and count <= CHANNELS else CHANNELS


def _channel_note(parts: Parts) -> str | None:
    count = _nchan(parts)
    if count is not None and 0 < count <= CHANNELS:
        return None
    return f"The number of channels is {'missing' if count is None else f'{count:,}'}: all {CHANNELS} are shown."


DECODERS = (TcpStats(), TpErrStats(), FcoeStats(), RdmaStats(), CplStats(), DdpStats(), WcStats(), TxRate())
