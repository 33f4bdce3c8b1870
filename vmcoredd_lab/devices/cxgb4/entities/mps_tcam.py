"""MPS_TCAM, entity 57: which MAC addresses the adapter accepts, and for whom.

cudbg_collect_mps_tcam(), cudbg_collect_tcam_index(), drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c: struct cudbg_mps_tcam, a
slot for each TCAM index (512, T4 336), empty ones included. The Unified Wire stored the same members in another order, in
as many bytes, and entries only. Bits of cls_lo: mps_tcam_show() in cxgb4_debugfs.c.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, bits, spans
from vmcoredd_lab.devices.cxgb4.entities.driver_state import firmware_attached
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Codes, Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "MpsTcam"]

Array = np.ndarray[Any, Any]

# Fields of MPS_CLS_SRAM_L by name: (high, low) of T4 and T5, of T6 (t4_regs.h).
_CLS_LO = {
    "sram_valid": ((12, 12), (13, 13)),
    "replicate": ((11, 11), (12, 12)),
    "pf": ((10, 8), (11, 9)),
    "vf_valid": ((7, 7), (8, 8)),
    "vf": ((6, 0), (7, 0)),
    "priority0": ((15, 13), (16, 14)),
    "priority1": ((18, 16), (19, 17)),
    "priority2": ((21, 19), (22, 20)),
    "priority3": ((24, 22), (25, 23)),
    "multi_listen": ((28, 25), (29, 26)),
}
_ANY_LOOKUP = 3  # DATALKPTYPE_M: the driver takes it for an outer header
_MEMBERS = (
    "cls_lo",
    "cls_hi",
    "lookup_type",
    "port_num",
    "vniy",
    "vnix",
    "dip_hit",
    "vlan_vld",
    "repli",
    "ivlan",
    "rplc_size",
)


class MpsTcam(EntityDecoder):
    """struct cudbg_mps_tcam, one for each slot."""

    names = ("mps_tcam",)
    title = "MAC address filter (MPS TCAM)"
    schema = Schema(
        "mps_tcam",
        "Entries of the MPS TCAM; empty slots are no rows (struct cudbg_mps_tcam, cudbg_entity.h).",
        (
            Column("idx", "u32", "TCAM index"),
            Column("addr", "text", "MAC address to match"),
            Column("mask", "text", "the bits that are compared, as 12 hex digits"),
            Column("cls_lo", "u32", "MPS_CLS_SRAM_L of the entry", "hex", rank=2),
            Column("cls_hi", "u32", "MPS_CLS_SRAM_H of the entry", "hex", rank=2),
            Column("lookup_type", "u32", "0: outer header; 1, 2: inner header (T6)", rank=3),
            Column("port_num", "u32", "port to match (T6)", rank=1),
            Column("vniy", "u32", "value bits of the VNI (T6, inner header)", "hex", rank=4),
            Column("vnix", "u32", "inverse bits of the VNI (T6, inner header)", "hex", rank=4),
            Column(
                "dip_hit", "u32", "register bit, not zero: the inner destination IP must be known (T6)", "hex", rank=4
            ),
            Column("vlan_vld", "u32", "register bit, not zero: ivlan is matched (T6)", "hex", rank=4),
            Column("repli", "u32", "register bit, not zero: replicated (never set on T4)", "hex", rank=4),
            Column("ivlan", "u32", "inner VLAN id", rank=4),
            Column("rplc_size", "u32", "size of the replication map, bits", rank=4),
            *(
                Column(f"rplc{i}", "u32", f"VFs {32 * i + 31}..{32 * i} of the replication map", "hex", rank=5)
                for i in range(8)
            ),
            Column(
                "lookup",
                "category",
                "the header to match, outer or inner (type 3: as outer); missing before T6",
                rank=1,
            ),
            Column("vni", "u32", "VNI to match; missing where the outer header is", "hex", rank=1),
            Column("vni_mask", "u32", "the bits of the VNI that are compared; missing as vni", "hex", rank=2),
            Column("vlan", "u32", "VLAN id to match; missing where none is", rank=1),
            Column("sram_valid", "bool", "true: what the entry leads to is valid", rank=1),
            Column("ports", "u32", "bit mask of ports", "hex", rank=1),
            Column("pf", "u32", "PCI function"),
            Column("vf", "u32", "virtual function; missing where there is none (debugfs: -1)"),
            Column("replicate", "bool", "true: received by every VF of the replication map", rank=1),
            Column("replication", "text", "the replication map, highest VFs first; empty where not replicated", rank=3),
            *(Column(f"priority{i}", "u32", f"priority {i}", rank=3) for i in range(4)),
            Column("multi_listen", "u32", "bit mask of ports that listen as well", "hex", rank=3),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return one part of slots."""
        family = "unified_wire" if context.unified_wire else "linux"
        return Layout((Part("slots", declared("cudbg_mps_tcam", family), None),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per entry."""
        rows = np.flatnonzero(_used(parts["slots"]))
        slots, t6 = parts["slots"][rows], context.chip_version >= 6
        fields = {name: bits(slots["cls_lo"].astype(np.uint32), *places[t6]) for name, places in _CLS_LO.items()}
        lookup = slots["lookup_type"]
        inner = (lookup != 0) & (lookup != _ANY_LOOKUP) & t6
        maps = slots["rplc"].astype(np.uint32)
        columns: dict[str, Any] = {
            "idx": slots["idx"].astype(np.uint32),
            "addr": _addresses(slots["addr"]),
            "mask": [f"{value:012x}" for value in slots["mask"].tolist()],
            **{name: slots[name].astype(np.uint32) for name in _MEMBERS},
            **{f"rplc{i}": maps[:, i] for i in range(8)},
            "lookup": Codes(np.where(t6, inner, -1).astype(np.int32), ["outer", "inner"]),
            "vni": np.ma.array(_vni(slots["vniy"], context), mask=~inner),
            "vni_mask": np.ma.array(_vni(slots["vniy"] | slots["vnix"], context), mask=~inner),
            "vlan": np.ma.array(slots["ivlan"].astype(np.uint32), mask=inner | (slots["vlan_vld"] == 0)),
            "ports": bits(slots["cls_hi"].astype(np.uint32), 3, 0),
            "replication": _maps(maps, slots["rplc_size"], slots["repli"] != 0),
            **fields,
            "sram_valid": fields["sram_valid"] != 0,
            "replicate": fields["replicate"] != 0,
            "vf": np.ma.array(fields["vf"], mask=fields["vf_valid"] == 0),
        }
        size = parts["slots"].dtype.itemsize
        where = spans(0, size, len(parts["slots"]))[rows]
        note = _note(columns["replicate"], context)
        return Table(self.schema, {n: columns[n] for n in self.schema.names}, {"note": note} if note else {}, where)

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many entries there are, in how many slots."""
        slots = parts["slots"]
        used = slots[_used(slots)]
        high, low = _CLS_LO["replicate"][context.chip_version >= 6]
        replicated = int(np.count_nonzero(bits(used["cls_lo"].astype(np.uint32), high, low)))
        text = f"{plural(len(used), 'entry', 'entries')} in {plural(len(slots), 'slot')}"
        return f"{text}, {replicated} replicated" if replicated else text


def _used(slots: Array) -> Array:
    """Return which slots hold an entry: only then the driver stores the size of the replication map."""
    used: Array = slots["rplc_size"] != 0
    return used


def _vni(values: Array, context: Context) -> Array:
    """Return the 24 bits of a VNI; the Unified Wire stores bit 23 as bit 30."""
    stored = values.astype(np.uint32)
    if not context.unified_wire:
        return stored
    return stored & np.uint32(0x7FFFFF) | stored >> np.uint32(7) & np.uint32(0x800000)


def _addresses(addresses: Array) -> list[str]:
    text = np.ascontiguousarray(addresses).tobytes().hex()
    return [":".join(text[at + i : at + i + 2] for i in range(0, 12, 2)) for at in range(0, len(text), 12)]


def _maps(maps: Array, sizes: Array, there: Array) -> list[str]:
    """Return replication maps as people read them, the highest word first: eight words on T6, four before."""
    rows = zip(maps.tolist(), sizes.tolist(), there.tolist(), strict=True)
    return [
        " ".join(f"{word:08x}" for word in words[(7 if size > 128 else 3) :: -1]) if yes else ""
        for words, size, yes in rows
    ]


def _note(replicate: Array, context: Context) -> str:
    if context.unified_wire or not replicate.any():
        return ""
    if context.chip_version == 4:
        return "The driver collects no replication maps of T4."
    if firmware_attached(context) is False:  # cudbg_mps_rpl_backdoor()
        return (
            "Read without the firmware: the replication map in every row is what the MPS_VF_RPLCT_MAP registers held."
        )
    return ""


DECODERS = (MpsTcam(),)
