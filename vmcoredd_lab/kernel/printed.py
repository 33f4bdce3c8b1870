"""Records of the kernel log as a person reads them: the time in brackets, then the text, as dmesg prints it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import compress
from typing import Any

import numpy as np

from vmcoredd_lab.kernel.printk_records import STATES
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
    """Return all lines as one text: what :func:`printed` yields, put together by columns."""
    texts: list[str] = list(log.columns["text"])
    length = np.fromiter(map(len, texts), np.int64, len(texts))
    states = _states(log.columns["state"])
    gone = np.append((states.codes == STATES.index("overwritten")) & (length == 0), False)
    last = gone[:-1] & ~gone[1:]  # of a run of them, which is one line
    shown = ~gone[:-1] | last
    heads, codes = _stamps(log.columns["time_ns"][shown]), states.codes[shown]
    texts = list(compress(texts, shown.tolist()))
    runs = np.diff(np.flatnonzero(~gone), prepend=-1) - 1
    for at, count in zip(np.flatnonzero(last[shown]).tolist(), runs[runs > 0].tolist(), strict=True):
        head, texts[at], _ = _gone(count)
        heads[at] = f"{head} "
    marked = np.isin(states.codes, [STATES.index(state) for state in _MARKED]) & ~last
    for at in np.flatnonzero(marked[shown]).tolist():
        texts[at] = f"({STATES[codes[at]]}) {texts[at]}"
    for at in _unprintable(texts):
        texts[at] = readable(texts[at]).replace("\n", "\n" + " " * len(heads[at]))
    pieces = ["\n"] * (3 * len(texts))
    pieces[0::3], pieces[1::3] = heads, texts
    return "".join(pieces)


def _unprintable(texts: list[str]) -> list[int]:
    """Return which texts have a character that is not printable, a newline included."""
    joined = "".join(texts)
    if not joined.isascii():
        return [i for i, text in enumerate(texts) if not text.isprintable()]
    octets = np.frombuffer(joined.encode(), np.uint8)
    where = np.flatnonzero(octets - np.uint8(0x20) > 0x5E)
    if not len(where):
        return []
    ends = np.cumsum([len(text) for text in texts])
    rows: list[int] = np.unique(np.searchsorted(ends, where, "right")).tolist()
    return rows


def _states(column: Codes | list[str]) -> Codes:
    if isinstance(column, Codes) and tuple(column.categories) == STATES:
        return column
    named = column.texts() if isinstance(column, Codes) else column
    return Codes(np.array([STATES.index(state) if state in STATES else -1 for state in named], np.int8), STATES)


def _stamps(times: np.ndarray[Any, Any]) -> list[str]:
    """Return what :func:`stamp` does and a space, of each time; digits are made by columns, not by row."""
    if not len(times):
        return []
    microseconds = np.ma.getdata(times).astype(np.uint64) // np.uint64(1000)
    seconds = microseconds // np.uint64(1_000_000)
    wide = max(5, len(str(int(seconds.max()))))
    cells = np.empty((len(times), wide + 10), np.uint8)
    cells[:, 0], cells[:, -2], cells[:, -1] = ord("["), ord("]"), ord(" ")
    cells[:, wide + 1] = ord(".")
    _digits(cells[:, wide + 2 : -2], microseconds % np.uint64(1_000_000), blank=False)
    _digits(cells[:, 1 : wide + 1], seconds, blank=True)
    whole = cells.tobytes().decode("ascii")
    width = wide + 10
    found = [whole[at : at + width] for at in range(0, len(whole), width)]
    if wide > 5:
        for i in np.flatnonzero(seconds < 10 ** (wide - 1)).tolist():
            found[i] = "[" + found[i][1:].lstrip().rjust(width - 1 - wide + 5)
    for i in np.flatnonzero(np.ma.getmaskarray(times)).tolist():
        found[i] = stamp(None) + " "
    return found


def _digits(cells: np.ndarray[Any, Any], numbers: np.ndarray[Any, Any], *, blank: bool) -> None:
    """Write decimal digits, right-aligned; ``blank``: leading zeros as spaces, but for the last digit."""
    rest = numbers
    for column in range(cells.shape[1] - 1, -1, -1):
        tens = rest // np.uint64(10)
        cells[:, column] = ord("0") + (rest - tens * np.uint64(10))
        if blank and column < cells.shape[1] - 1:
            cells[rest == 0, column] = ord(" ")
        rest = tens


def _gone(count: int) -> Line:
    records = "record" if count == 1 else "records"
    return "[            ]", f"({count:,} {records} overwritten by newer ones)", None
