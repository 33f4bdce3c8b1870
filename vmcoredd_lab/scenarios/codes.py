"""Codes that collectors return, and the header of payloads with a version (cudbg_lib_common.h, cudbg_entity.h)."""

from __future__ import annotations

from typing import Any

__all__ = ["EINVAL", "NOT_FOUND", "NOT_IMPLEMENTED", "SYSTEM_ERROR", "VERSION"]

NOT_FOUND, NOT_IMPLEMENTED, SYSTEM_ERROR = -24, -28, -29
EINVAL = -22
VERSION: dict[str, Any] = {"signature": 0xCCEDB001, "revision": 1}  # of struct cudbg_ver_hdr
