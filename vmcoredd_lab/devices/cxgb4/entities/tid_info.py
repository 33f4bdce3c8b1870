"""TID_INFO, entity 54: how connection, server, filter and other ids are divided up.

cudbg_collect_tid(), drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c; tid_info_show(), cxgb4_debugfs.c, for the ranges.
Most numbers are the driver's, which it learns from the firmware: in a dump taken before they are 0.
"""

from __future__ import annotations

from typing import Any

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, spans
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Column, Schema, Table

__all__ = ["DECODERS", "TidInfo"]

SIGNATURE = 0xCCEDB001  # CUDBG_ENTITY_SIGNATURE: a version header leads; the Unified Wire has none
HASH_ENABLED = 1 << 20  # HASHEN_F of LE_DB_CONFIG, t4_regs.h
FW_OFLD_CONN, UW_FW_OFLD_CONN = 1 << 9, 1 << 8  # of Linux, of the Unified Wire
# collect_tid() of the Unified Wire's cudbg_lib.c
_NOT_WRITTEN = (
    "The Unified Wire never writes sftid_base and nsftids, and of flags bit 8 only (offloaded connections by firmware): the "
    "rest is what its buffer held before."
)
# enum adapter_flags, cxgb4.h
_FLAGS = {
    0: "full init done", 1: "enabled", 2: "MSI", 3: "MSI-X", 4: "firmware ok", 5: "RSS tunnel all lookup",
    6: "soft parameters", 7: "master", 9: "offloaded connections by firmware", 10: "no relaxed ordering",
    11: "shutting down", 12: "SGE doorbell timer",
}  # fmt: skip
_MEMBERS = {
    "ntids": "active connection ids",
    "nstids": "server ids",
    "stid_base": "first server id",
    "hash_base": "first id in the hash region",
    "natids": "active open ids",
    "nftids": "filter ids",
    "ftid_base": "first filter id",
    "aftid_base": "first id of connections offloaded by firmware",
    "aftid_end": "last id of connections offloaded by firmware",
    "sftid_base": "first server filter id",
    "nsftids": "server filter ids, one more than usable",
    "uotid_base": "first unoffloaded id",
    "nuotids": "unoffloaded ids",
    "sb": "first server index in the lookup engine",
    "flags": "the driver's state (enum adapter_flags)",
    "le_db_conf": "register LE_DB_CONFIG",
    "ip_users": "IPv4 connections (LE_DB_ACT_CNT_IPV4)",
    "ipv6_users": "IPv6 connections (LE_DB_ACT_CNT_IPV6)",
    "hpftid_base": "first high-priority filter id (T6)",
    "nhpftids": "high-priority filter ids (T6)",
    "tid_start": "first connection id (T6); missing in Unified Wire dumps",
}
_HEX = ("flags", "le_db_conf")
_RANGES = ("tid", "stid", "atid", "ftid", "sftid", "uotid", "hpftid")
_DRIVERS = [n for n in _MEMBERS if n not in (*_HEX, "ip_users", "ipv6_users", "sb", "tid_start")]


class TidInfo(EntityDecoder):
    """struct cudbg_tid_info_region_rev1; without the version header the Unified Wire's tid_info_region."""

    names = ("tid_info",)
    title = "id ranges and their use"
    versions = (1,)
    schema = Schema(
        "tid_info",
        "Ranges of connection ids; one row (struct cudbg_tid_info_region_rev1, cudbg_entity.h).",
        (
            *(
                Column(
                    n, "u32", doc, "hex" if n in _HEX else "", rank=0 if n in ("ntids", "ip_users", "ipv6_users") else 3
                )
                for n, doc in _MEMBERS.items()
            ),
            Column("hash_enabled", "bool", "LE_DB_CONFIG bit 20: connections are also in the hash region", rank=1),
            *(
                Column(
                    f"{n}_range", "text", f"first..last {n.upper()}; missing where there are none", rank=1 if i else 0
                )
                for i, n in enumerate(_RANGES)
            ),
            Column("flag_names", "text", "what the bits of flags say; missing in Unified Wire dumps", rank=2),
        ),
    )
    ranges_schema = Schema(
        "tid_ranges",
        "The ranges of ids, as tid_info_show() of cxgb4_debugfs.c derives them.",
        (
            Column("kind", "text", "TID, STID, ATID, FTID, SFTID, UOTID, HPFTID"),
            Column("first", "u32", "first id"),
            Column("last", "u32", "last id"),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the structure, with its version header where one leads."""
        if int.from_bytes(data[:4], context.byteorder) == SIGNATURE:
            return Layout((Part("tids", declared("cudbg_tid_info_region_rev1")),))
        return Layout((Part("tids", declared("tid_info_region", "unified_wire")),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row."""
        tids = _members(parts)
        if not tids:
            return Table.from_rows(self.schema, [])
        ranges: dict[str, list[str]] = {}
        for kind, first, last in _ranges(tids, context.chip):
            ranges.setdefault(f"{kind.lower()}_range", []).append(f"{first}..{last}")
        row: dict[str, Any] = {**tids, **{name: " and ".join(texts) for name, texts in ranges.items()}}
        row["hash_enabled"] = bool(tids["le_db_conf"] & HASH_ENABLED)
        if "ver_hdr" in parts["tids"].dtype.names:
            row["flag_names"] = ", ".join(text for bit, text in _FLAGS.items() if tids["flags"] >> bit & 1)
        table = Table.from_rows(self.schema, [[row.get(name) for name in self.schema.names]])
        table.spans = spans(0, parts["tids"].dtype.itemsize, 1)
        if not any(tids[name] for name in _DRIVERS):
            table.attrs["note"] = (
                "The driver had not contacted the firmware when the dump was taken: the ranges are not known, only flags, "
                "le_db_conf, ip_users and ipv6_users are of the moment."
            )
        elif "tid_start" not in tids:
            table.attrs["note"] = _NOT_WRITTEN
        return table

    def ranges(self, parts: Parts, context: Context) -> Table:
        """Return the ranges of ids as a table, :attr:`ranges_schema`; of a hashed TID space two."""
        tids = _members(parts)
        return Table.from_rows(self.ranges_schema, _ranges(tids, context.chip) if tids else [])

    def summary(self, parts: Parts, context: Context) -> str:
        """Return the connections in use, and whether ranges are known."""
        tids = _members(parts)
        if not tids:
            return "empty"
        text = f"{tids['ip_users']:,} IPv4 and {tids['ipv6_users']:,} IPv6 connections"
        if not any(tids[name] for name in _DRIVERS):
            return f"{text}; ranges not known before firmware contact"
        return f"{text}; {tids['ntids']:,} TIDs, {tids['nstids']:,} STIDs, {tids['natids']:,} ATIDs, {tids['nftids']:,} FTIDs"


def _members(parts: Parts) -> dict[str, int]:
    """Return the members by the names Linux gives them; none where the payload does not hold the structure."""
    tids = parts["tids"]
    if not len(tids):
        return {}
    found: dict[str, int] = {}
    for record in (tids[0]["tid"], tids[0]) if "tid" in tids.dtype.names else (tids[0],):
        found |= {n.lower(): int(record[n]) for n in record.dtype.names if n.lower() in _MEMBERS}
    return found


def _ranges(tids: dict[str, int], chip: str) -> list[tuple[str, int, int]]:
    """Return (kind, first, last) of each range; a range that wraps or is empty is none."""
    last = tids["ntids"] - 1
    found = []
    if tids["le_db_conf"] & HASH_ENABLED:
        if tids["sb"]:
            found.append(("TID", tids.get("tid_start", 0), tids["sb"] - 1))
        elif tids["flags"] & (FW_OFLD_CONN if "tid_start" in tids else UW_FW_OFLD_CONN):
            found.append(("TID", tids["aftid_base"], tids["aftid_end"]))
        found.append(("TID", tids["hash_base"], last))
    else:
        found.append(("TID", tids.get("tid_start", 0), last))
    for kind, base, count in (("STID", "stid_base", "nstids"), ("ATID", "", "natids"), ("FTID", "ftid_base", "nftids"),
                              ("SFTID", "sftid_base", "nsftids"), ("UOTID", "uotid_base", "nuotids"),
                              ("HPFTID", "hpftid_base", "nhpftids")):  # fmt: skip
        if kind == "SFTID" and "tid_start" not in tids:
            continue  # the Unified Wire does not write them
        first = tids[base] if base else 0
        if kind == "STID" and not first and chip != "T6":
            first = 1  # server id 0 is not used on T4 and T5
        unused = 2 if kind == "SFTID" else 1  # the last server filter id is not usable either
        found.append((kind, first, (tids[base] if base else 0) + tids[count] - unused))
    return [(kind, first, end) for kind, first, end in found if first <= end < 1 << 32]


DECODERS = (TidInfo(),)
