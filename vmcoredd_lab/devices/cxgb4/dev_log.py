"""DEV_LOG, entity 2: the ring of firmware log entries (struct fw_devlog_e, drivers/net/ethernet/chelsio/cxgb4/t4fw_api.h).

Entries are big endian on every host. The clock behind ``timestamp`` has no documented unit: it orders, it does not date.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.framing import Decoded
from vmcoredd_lab.devices.cxgb4.structs import FW_DEVLOG_ENTRY
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import escape, plural

__all__ = ["FACILITIES", "FIRMWARE_LOG", "LEVELS", "firmware_log", "format_message"]

LEVELS = ("EMERG", "CRIT", "ERR", "NOTICE", "INFO", "DEBUG")
FACILITIES = {
    0x00: "CORE", 0x01: "CF", 0x02: "SCHED", 0x04: "TIMER", 0x06: "RES", 0x08: "HW", 0x10: "FLR", 0x12: "DMAQ", 0x14: "PHY",
    0x16: "MAC", 0x18: "PORT", 0x1A: "VI", 0x1C: "FILTER", 0x1E: "ACL", 0x20: "TM", 0x22: "QFC", 0x24: "DCB", 0x26: "ETH",
    0x28: "OFLD", 0x2A: "RI", 0x2C: "ISCSI", 0x2E: "FCOE", 0x30: "FOISCSI", 0x32: "FOFCOE", 0x34: "CHNET", 0x36: "COISCSI",
}  # fmt: skip

FIRMWARE_LOG = Schema(
    "firmware_log",
    "Firmware log entries, oldest first; slots never written are left out.",
    (
        Column("seqno", "u32", "the entry's number; wraps through 2**32"),
        Column("timestamp", "u64", "ticks of the firmware's 64-bit counter, unit not documented"),
        Column("level", "category", "EMERG, CRIT, ERR, NOTICE, INFO, DEBUG; UNKNOWN beyond"),
        Column("facility", "category", "the part of the firmware; UNKNOWN where the number has no name"),
        Column(
            "message",
            "text",
            "the format with its parameters, without trailing newline; bytes that are not text escaped",
        ),
        Column("offset", "u64", "where the entry is in the decoded entity; 256 bytes each", "hex", rank=1),
    ),
    tail=True,
)

NEVER = (0, 2**64 - 1)


def firmware_log(decoded: Decoded, problems: Problems, where: str) -> Table:
    """Return :data:`FIRMWARE_LOG` of a ring; entries whose bytes are damaged are left out and named in ``problems``."""
    size = FW_DEVLOG_ENTRY.size("big")
    data = decoded.data
    if len(data) % size:
        problems.error(
            where, "the firmware log does not end with a whole entry; the whole ones are shown",
            offset=len(data) // size * size, expected=f"a multiple of {size} bytes", got=f"{len(data):,} bytes",
        )  # fmt: skip
    ring = np.frombuffer(data, FW_DEVLOG_ENTRY.dtype("big"), len(data) // size)
    written = ~np.isin(ring["timestamp"].astype(np.uint64), np.array(NEVER, np.uint64))
    for start, end in decoded.damaged:
        first, last = start // size, min(-(-end // size), len(ring))
        written[first:last] = False
        if first < last:
            problems.error(
                where, f"{plural(last - first, 'slot')} of the firmware log cannot be read", offset=first * size,
                expected="whole entries", got="damaged bytes",
            )  # fmt: skip
    slots = ring_order(np.flatnonzero(written), ring["seqno"].astype(np.uint32))
    rows = []
    for slot in slots.tolist():
        entry = ring[slot]
        level, facility = int(entry["level"]), int(entry["facility"])
        text = format_message(entry["fmt"].tobytes(), [int(p) for p in entry["params"]])
        rows.append((
            int(entry["seqno"]), int(entry["timestamp"]), LEVELS[level] if level < len(LEVELS) else "UNKNOWN",
            FACILITIES.get(facility, "UNKNOWN"), text, slot * size,
        ))  # fmt: skip
    return Table.from_rows(FIRMWARE_LOG, rows)


def ring_order(slots: Any, seqno: Any) -> Any:
    """Return the written slots from the oldest on: upward from the smallest number, through the end of the ring.

    A range of numbers wider than 2**31 has wrapped: the small ones are then the newer.
    """
    if not len(slots):
        return slots
    numbers = seqno[slots].astype(np.int64)
    if int(numbers.max()) - int(numbers.min()) > 1 << 31:
        numbers = np.where(numbers < 1 << 31, numbers + (1 << 32), numbers)
    return np.roll(slots, -int(np.argmin(numbers)))


_CONVERSION = re.compile(
    r"%(?P<flags>[-+ #0]*)(?P<width>\*|\d+)?(?:\.(?P<precision>\*|\d*))?(?:hh|h|ll|l|q|j|z|t|L)?(?P<kind>[a-zA-Z%])"
)
_WIDEST = 256  # what no message of 192 bytes asks for in earnest


def format_message(fmt: bytes, params: list[int]) -> str:
    r"""Return a printf format with its 32-bit parameters, safely: a parameter is never a pointer.

    ``%s`` and unknown conversions show the parameter in hexadecimal, ``%n`` nothing; each consumes one parameter, as
    ``*`` does. Where the eight parameters are used up, ``<missing>`` stands instead.

    >>> format_message(b"port[%u] link %s, %d%%\n", [1, 0xdeadbeef, 0xffffffff])
    'port[1] link 0xdeadbeef, -1%'
    """
    text = fmt.split(b"\0", 1)[0].decode("latin-1")
    left = list(params)

    def take() -> int | None:
        return left.pop(0) if left else None

    def convert(match: re.Match[str]) -> str:
        kind = match["kind"]
        if kind == "%":
            return "%"
        flags, width, precision = match["flags"], match["width"], match["precision"]
        if width == "*":
            star = take()
            if star is None:
                return "<missing>"
            star = _signed(star)
            flags, width = (flags + "-", str(-star)) if star < 0 else (flags, str(star))
        if precision == "*":
            star = take()
            if star is None:
                return "<missing>"
            precision = str(star) if _signed(star) >= 0 else None
        value = take()
        if value is None:
            return "<missing>"
        return _one(kind, flags, min(int(width or 0), _WIDEST), precision, value)

    return escape(_CONVERSION.sub(convert, text), lines=True).rstrip("\n")


def _one(kind: str, flags: str, width: int, precision: str | None, value: int) -> str:
    digits = None if precision is None else min(int(precision or 0), _WIDEST)
    sign = prefix = ""
    if kind in "di":
        number = _signed(value)
        body = str(abs(number))
        sign = "-" if number < 0 else "+" if "+" in flags else " " if " " in flags else ""
    elif kind == "u":
        body = str(value)
    elif kind in "xX":
        body = f"{value:{kind}}"
        prefix = f"0{kind}" if "#" in flags and value else ""
    elif kind == "o":
        body = f"{value:o}"
        if "#" in flags:  # the first digit is a zero, whatever the precision
            body, digits = (f"0{body}", digits) if value else ("0", None if digits is None else max(digits, 1))
    elif kind == "c":
        return _pad(chr(value & 0xFF), flags, width)
    elif kind == "n":
        return ""
    else:  # p, s, floating point, anything else
        return _pad(f"{value:#x}", flags, width)
    if digits is not None:
        body = body.rjust(digits, "0") if digits or value else ""
    elif "0" in flags and "-" not in flags:
        body = body.rjust(width - len(sign + prefix), "0")
    return _pad(sign + prefix + body, flags, width)


def _pad(text: str, flags: str, width: int) -> str:
    return text.ljust(width) if "-" in flags else text.rjust(width)


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value
