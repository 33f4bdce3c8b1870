"""What TID_INFO says of the driver and the lookup engine when the dump was made; other entities depend on it."""

from __future__ import annotations

from typing import Any

from vmcoredd_lab.devices.cxgb4.entities.base import Context

__all__ = ["firmware_attached", "hash_enabled"]

FW_OK = 1 << 4  # CXGB4_FW_OK, enum adapter_flags, cxgb4.h
HASHEN = 1 << 20  # of LE_DB_CONFIG, t4_regs.h


def firmware_attached(context: Context) -> bool | None:
    """Return whether the driver had contacted the firmware when it collected; None where the dump does not say."""
    flags = _member("flags", context)
    return None if flags is None else bool(flags & FW_OK)


def hash_enabled(context: Context) -> bool | None:
    """Return whether connections are in the hash region too; None where the dump does not say."""
    config = _member("le_db_conf", context)
    return None if config is None else bool(config & HASHEN)


def _member(name: str, context: Context) -> int | None:
    parts = context.other("tid_info") or {}
    tids: Any = parts.get("tids")
    if tids is None or not len(tids):
        return None
    if "tid" in (tids.dtype.names or ()):  # struct cudbg_tid_info_region_rev1 holds the older structure
        tids = tids["tid"]
    return int(tids[name][0])
