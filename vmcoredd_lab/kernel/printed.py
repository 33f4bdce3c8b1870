"""Records of the kernel log as a person reads them: the time in brackets, then the text, as dmesg prints it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vmcoredd_lab.tables import Table

__all__ = ["Line", "printed", "readable", "stamp"]

_MARKED = ("torn", "lost", "damaged")
_UNREADABLE = re.compile(r"[^\n\t -~]")

Line = tuple[str, str, str | None]  # the time in brackets, the text, the level


def stamp(time_ns: int | None) -> str:
    """Return the time as the kernel prints it: seconds, and microseconds cut off.

    >>> stamp(12_345_678_999), stamp(None)
    ('[   12.345678]', '[            ]')
    """
    return "[            ]" if time_ns is None else f"[{time_ns // 10**9:5d}.{time_ns % 10**9 // 1000:06d}]"


def readable(text: str) -> str:
    r"""Return the text with every character that a terminal could act upon, or not show, as \\uNNNN; letters of any script stay.

    >>> readable("caf\u00e9 \u202e")
    'café \\u202e'
    """
    return _UNREADABLE.sub(lambda m: m[0] if m[0].isprintable() else f"\\u{ord(m[0]):04x}", text)


def printed(log: Table) -> Iterator[Line]:
    """Yield (time, text, level) of each line; further lines of a record are indented, records that are not whole are marked.

    Records that were overwritten and have no text any more are one line, which counts them.
    """
    gone = 0
    for time_ns, level, text, state in zip(
        *(log.values(n) for n in ("time_ns", "level", "text", "state")), strict=True
    ):
        if state == "overwritten" and not text:
            gone += 1
            continue
        if gone:
            yield _gone(gone)
            gone = 0
        head = stamp(time_ns)
        mark = f"({state}) " if state in _MARKED or state == "overwritten" else ""
        first, *more = readable(text).split("\n")
        yield head, mark + first, level
        for line in more:
            yield " " * len(head), line, level
    if gone:
        yield _gone(gone)


def _gone(count: int) -> Line:
    records = "record" if count == 1 else "records"
    return "[            ]", f"({count:,} {records} overwritten by newer ones)", None
