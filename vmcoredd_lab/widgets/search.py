"""Finding bytes or text in a space, slice by slice, so that the kernel answers other requests in between."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Any

from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.text import escape
from vmcoredd_lab.widgets.spaces import Space

__all__ = ["needle_of", "search"]

LONGEST_NEEDLE = 4096
TELL = 0.1  # seconds between two words on progress


def needle_of(text: str, kind: str) -> bytes:
    """Return the bytes that ``text`` stands for: ``hex`` digits with blanks as one likes, or ``text`` in UTF-8.

    Raises
    ------
    UsageError: no bytes, too many, or no hexadecimal digits.
    """
    if kind == "hex":
        digits = re.sub(r"\\x|0x|[\s,:_]", "", text, flags=re.I)
        if not re.fullmatch(r"(?:[0-9a-f]{2})+", digits, re.I):
            raise UsageError(
                "not bytes in hexadecimal", expected="pairs of digits, as 4c 49 4e 55", got=escape(text[:40])
            )
        needle = bytes.fromhex(digits)
    else:
        needle = text.encode()
    if not 0 < len(needle) <= LONGEST_NEEDLE:
        raise UsageError("nothing to look for" if not needle else "too long", expected=f"1 to {LONGEST_NEEDLE} bytes",
                         got=f"{len(needle)} bytes")  # fmt: skip
    return needle


async def search(space: Space, needle: bytes, address: int, *, backward: bool = False) -> AsyncIterator[dict[str, Any]]:
    """Yield progress, and last ``done`` with the place found (hexadecimal ``at``) or without; around the end once.

    Forward from ``address`` on, backward from before it.
    """
    start, end = space.start, space.end
    address = min(max(address, start), end)
    stretches = [(start, address), (address, end)] if backward else [(address, end), (start, address)]
    total, looked, told = max(1, end - start), 0, time.monotonic()
    for turn, (low, high) in enumerate(stretches):
        while low < high:
            size = min(space.slice, high - low)
            at = high - size if backward else low
            skipped = (_hole_before if backward else _hole_from)(space, needle, low, high)
            if skipped:
                low, high = (low, high - skipped) if backward else (low + skipped, high)
                looked += skipped
                continue
            found = (space.rfind if backward else space.find)(needle, at, size)
            if found is not None:
                yield {"done": True, "at": f"{found:x}", "size": len(needle), "wrapped": turn > 0}
                return
            looked += size
            if backward:
                high -= size
            else:
                low += size
            if time.monotonic() - told > TELL:
                told = time.monotonic()
                yield {"done": False, "part": looked / total}
            await asyncio.sleep(0)
    yield {"done": True}


def _hole_from(space: Space, needle: bytes, low: int, high: int) -> int:
    """Return how many bytes from here on need no search: they are not there at all, or zeros that the file does not store."""
    piece = space.piece(low, 1)
    if piece.data is None:
        return min(piece.end, high) - low
    if not any(needle):
        return 0
    return max(0, min(space.same_until(low) - len(needle) + 1, high) - low)


def _hole_before(space: Space, needle: bytes, low: int, high: int) -> int:
    """Return the same of the bytes before an address, in steps that double."""
    known, size = 0, space.slice
    while any(needle) and known < high - low:
        size = min(size, high - low)
        if space.same_until(high - size) < min(high + len(needle) - 1, space.end):
            break
        known, size = size, size * 2
    return known
