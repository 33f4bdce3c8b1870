"""LE_TCAM, entity 59: the lookup engine's entries by tid: connections, servers, filters, routes.

cudbg_collect_le_tcam(), cudbg_read_tid(), drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c: struct cudbg_tcam, then a struct
cudbg_tid_data for each read that succeeded. An IPv6 entry takes two tids, so that tids jump. How many records there are is
not stored: behind them are zeros, after a failed read one record with its command and status and without tid.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, bits, spans
from vmcoredd_lab.devices.cxgb4.entities.driver_state import hash_enabled
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Codes, Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "LeTcam"]

Array = np.ndarray[Any, Any]

WORDS = 17  # NUM_LE_DB_DBGI_RSP_DATA_INSTANCES
MOST_TIDS = 4  # that one entry takes
CLIP_TIDS = 1536  # CUDBG_T6_CLIP
HASHLESS = {4: (2048,), 5: (2048,), 6: (3072 + CLIP_TIDS, 6144 + CLIP_TIDS)}  # max_tid where hashing is off
REGIONS = ("active", "server", "filter", "clip", "routing", "hash", "high-priority filter")
ACTIVE, SERVER, FILTER, CLIP, ROUTING, HASH, HIGH_FILTER = range(7)


class LeTcam(EntityDecoder):
    """struct cudbg_tcam and the entries."""

    names = ("le_tcam",)
    title = "lookup engine entries by tid"
    schema = Schema(
        "le_tcam",
        "Entries of the lookup engine, by tid (struct cudbg_tid_data, cudbg_entity.h).",
        (
            Column("tid", "u32", "id of the entry; of an IPv6 entry the first of its two"),
            Column("region", "category", "part of the table that the tid is in"),
            *(
                Column(f"w{i}", "u32", f"bits {32 * i + 31}..{32 * i} of the entry", "hex", rank=1 + i // 4)
                for i in range(WORDS)
            ),
            Column("ipv6", "bool", "true where the driver took it for an IPv6 entry"),
            Column("used", "bool", "true where a bit of the entry is set"),
            Column("dbig_cmd", "u32", "LE_DB_DBGI_REQ_TCAM_CMD: command and tid", "hex", rank=6),
            Column("dbig_conf", "u32", "LE_DB_DBGI_CONFIG: start and mode", "hex", rank=6),
            Column("dbig_rsp_stat", "u32", "LE_DB_DBGI_RSP_STATUS", "hex", rank=6),
            Column("hit", "bool", "status bit 1: the read hit", rank=5),
            Column("multi_hit", "bool", "status bit 2, T4 and T5: it hit more than once; missing on T6", rank=7),
            Column("learn", "bool", "status bit 2, T6; missing before", rank=7),
            Column("message", "u32", "status bits 11..8", rank=7),
            Column("rsp_index", "u32", "status bits 31..12: index that answered, on T6 its tid", rank=7),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the header and records, used or not."""
        family = "unified_wire" if context.unified_wire else "linux"
        return Layout(
            (Part("header", declared("cudbg_tcam", family)), Part("records", declared("cudbg_tid_data", family), None))
        )

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per tid that was read; attrs hold the header."""
        rows = np.flatnonzero(_read(parts["records"]))
        records = parts["records"][rows]
        tid, status = (records[name].astype(np.uint32) for name in ("tid", "dbig_rsp_stat"))
        words = np.ascontiguousarray(records["data"].astype(np.uint32).T)
        region, note = _regions(tid, parts, context)
        bit2, t6 = bits(status, 2, 2) != 0, np.full(len(tid), context.chip_version >= 6)
        columns: dict[str, Any] = {
            "tid": tid,
            "region": Codes(region, REGIONS),
            **{f"w{i}": words[i] for i in range(WORDS)},
            "ipv6": _ipv6(tid, words, parts["header"]),
            "used": words.any(axis=0),
            **{name: records[name].astype(np.uint32) for name in ("dbig_cmd", "dbig_conf", "dbig_rsp_stat")},
            "hit": bits(status, 1, 1) != 0,
            "multi_hit": np.ma.array(bit2, mask=t6),
            "learn": np.ma.array(bit2, mask=~t6),
            "message": bits(status, 11, 8),
            "rsp_index": bits(status, 31, 12),
        }
        notes = [text for text in (_stopped(parts), note) if text]
        attrs: dict[str, Any] = {name: int(value) for name, value in _header(parts).items()}
        if notes:
            attrs["note"] = " ".join(notes)
        place = parts["header"].nbytes
        where = spans(place, parts["records"].dtype.itemsize, len(parts["records"]))[rows]
        return Table(self.schema, columns, attrs, where)

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many entries are in use, and whether collection stopped early."""
        records = parts["records"][_read(parts["records"])]
        used = int(np.count_nonzero(records["data"].any(axis=1)))
        text = f"{plural(used, 'entry', 'entries')} in use, {len(records):,} read"
        return f"{text}; stopped early at tid {_header(parts)['max_tid']}" if _stopped(parts) else text


def _header(parts: Parts) -> dict[str, int]:
    header = parts["header"]
    return {name: int(header[name][0]) for name in header.dtype.names or ()} if len(header) else {}


def _read(records: Array) -> Array:
    """Return which records were read: the answer was valid, and the tid is one that can have come up there.

    Each record takes one tid or more, so that record n has tid n at least. That leaves out the zeros behind the last one,
    and lets what is behind a damaged piece be seen.
    """
    number, tid = np.arange(len(records), dtype=np.int64), records["tid"]
    read: Array = (records["dbig_rsp_stat"] & np.uint32(1) != 0) & (tid >= number) & (tid <= MOST_TIDS * number)
    return read


def _stopped(parts: Parts) -> str:
    """Return a sentence where collection stopped at a read that failed: its record has a command and no tid."""
    records = parts["records"]
    read = np.flatnonzero(_read(records))
    behind = int(read[-1]) + 1 if len(read) else 0
    if behind >= len(records) or records["tid"][behind] or not records["dbig_cmd"][behind]:
        return ""
    return f"The read of tid {_header(parts)['max_tid']} failed and collection stopped there; later tids are not known."


def _ipv6(tid: Array, words: Array, header: Array) -> Array:
    """Return what cudbg_is_ipv6_entry() says, by which the driver skips a tid; its regions are those of T5 on every chip."""
    starts = header[0] if len(header) else np.zeros(1, header.dtype)[0]
    flagged = (tid & np.uint32(1) == 0) & (words[16] & np.uint32(0x8000) != 0)
    active = tid < starts["server_start"]
    rest = ~active & (
        tid >= max(int(starts[n]) for n in ("filter_start", "clip_start", "routing_start", "tid_hash_base"))
    )
    found: Array = flagged & (active & (words[9] == 0x00C00000) | rest & (tid < starts["max_tid"]))
    return found


def _regions(tid: Array, parts: Parts, context: Context) -> tuple[Array, str]:
    """Return the region of each tid, and what to know about it."""
    start, region, note = _header(parts), np.full(len(tid), ROUTING, np.int32), ""
    if not start:
        return np.full(len(tid), -1, np.int32), ""
    ends = [start[name] for name in ("server_start", "filter_start", "clip_start", "routing_start")]
    names = [ACTIVE, SERVER, FILTER, CLIP]
    hashed = tid >= start["tid_hash_base"]
    clip = np.zeros(len(tid), bool)
    if context.chip_version < 6:
        ends, hashed = (
            [end // 4 for end in ends],
            tid >= start["tid_hash_base"] // 4,
        )  # indexes count quarters of an entry
    elif start["routing_start"] <= start["server_start"] <= start["filter_start"]:
        # Other registers are at these addresses: LE_DB_ACTIVE_TABLE_START_INDEX, LE_DB_SRVR_START_INDEX and
        # LE_DB_NORM_FILT_TABLE_START_INDEX. The CLIP has a TCAM of its own, whose tids are read last.
        ends = [start[name] for name in ("routing_start", "server_start", "filter_start")]
        names = [HIGH_FILTER, ACTIVE, SERVER]
        region[:] = FILTER
        clip = (tid >= start["clip_start"]) & (tid < start["clip_start"] + CLIP_TIDS)
        hashed &= (tid + np.uint32(CLIP_TIDS) < start["max_tid"]) | bool(_stopped(parts))
    else:
        note = "The starts of T6's regions are not in order: region is by the driver's own rule (cudbg_get_le_type())."
    for end, name in zip(reversed(ends), reversed(names), strict=True):
        region[tid < end] = name
    if _hashing(start["max_tid"], context):
        region[hashed] = HASH
    region[clip] = CLIP
    return region, note


def _hashing(max_tid: int, context: Context) -> bool:
    """Return whether connections are hashed: LE_DB_CONFIG says so, or else the number of tids."""
    enabled = hash_enabled(context)
    return max_tid not in HASHLESS.get(context.chip_version, ()) if enabled is None else enabled


DECODERS = (LeTcam(),)
