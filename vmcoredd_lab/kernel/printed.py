"""Records of the kernel log as a person reads them: the time in brackets, then the text, as dmesg prints it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from vmcoredd_lab.tables import Codes, Table

__all__ = ["Line", "printed", "printed_text", "readable", "stamp"]

_MARKED = frozenset(("torn", "overwritten", "lost", "damaged"))
_UNREADABLE = re.compile(r"[^\n\t -~]")

Line = tuple[str, str, str | None]  # the time in brackets, the text, the level


def stamp(time_ns: int | None) -> str:
    """Return the time as the kernel prints it: seconds, and microseconds cut off.

    >>> stamp(12_345_678_999), stamp(None)
    ('[   12.345678]', '[            ]')
    """
    if time_ns is None:
        return "[            ]"
    seconds, microseconds = divmod(time_ns // 1000, 1_000_000)
    return f"[{seconds:5d}.{microseconds:06d}]"


def readable(text: str) -> str:
    r"""Return the text with every character that a terminal could act upon, or not show, as \\uNNNN; letters of any script stay.

    >>> readable("caf\u00e9 \u202e")
    'café \\u202e'
    """
    if text.isprintable():
        return text
    return _UNREADABLE.sub(lambda m: m[0] if m[0].isprintable() else f"\\u{ord(m[0]):04x}", text)


def printed(log: Table) -> Iterator[Line]:
    """Yield (time, text, level) of each line; further lines of a record are indented, records that are not whole are marked.

    Records that were overwritten and have no text any more are one line, which counts them.
    """
    gone = 0
    for time_ns, level, text, state in zip(
        *(log.values(n) for n in ("time_ns", "level", "text", "state")), strict=True
    ):
        if state in _MARKED:
            if state == "overwritten" and not text:
                gone += 1
                continue
            text = f"({state}) {text}"
        if gone:
            yield _gone(gone)
            gone = 0
        head = stamp(time_ns)
        if text.isprintable():
            yield head, text, level
            continue
        first, *more = readable(text).split("\n")
        yield head, first, level
        for line in more:
            yield " " * len(head), line, level
    if gone:
        yield _gone(gone)


def printed_text(log: Table) -> str:
    """Return all lines as one text."""
    texts, times = log.columns["text"], log.columns["time_ns"]
    states = log.columns["state"]
    whole = isinstance(states, Codes) and not any(
        states.categories[code] in _MARKED for code in np.unique(states.codes)
    )
    if not whole or isinstance(times, np.ma.MaskedArray) or not "".join(texts).isprintable():
        return "".join(f"{head} {text}\n" for head, text, _ in printed(log))
    seconds, rest = np.divmod(times // np.uint64(1000), np.uint64(1_000_000))
    rows = zip(seconds.tolist(), rest.tolist(), texts, strict=True)
    return "".join([f"[{s:5d}.{us:06d}] {text}\n" for s, us, text in rows])


def _gone(count: int) -> Line:
    records = "record" if count == 1 else "records"
    return "[            ]", f"({count:,} {records} overwritten by newer ones)", None
