"""The lines of a hex view: rows of 16 bytes, runs of equal rows as one line, stretches without bytes as one line.

Lines are made forward from any address, or so many before one. A line knows where the next begins, so that a view needs no
numbering of the 2**36 rows of a terabyte.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vmcoredd_lab.widgets.spaces import Space

__all__ = ["GAP", "ROW", "SAME", "WIDTH", "Line", "lines", "lines_before"]

WIDTH = 16
ROW, SAME, GAP = 0, 1, 2
LEAST_EQUAL = 2  # rows equal to the one before that become one line
SCAN = 4 << 20  # bytes looked at for the end of a run of equal rows, in one call
BLOCK = 1 << 18
LOOKS = 4  # gaps that are joined in one call
HOLES = 256  # holes of a sparse file that a run of zeros is followed through, in one call


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a row with its bytes, equal rows that follow a row (SAME), or a stretch without bytes (GAP).

    ``missing`` marks the bytes of a row that are not there, bit 0 the first. ``reason`` says why they, or those of a gap, are
    not. ``more``: the run may go on behind ``end``, looking was given up there.
    """

    kind: int
    start: int
    end: int
    data: bytes = b""
    missing: int = 0
    reason: str = ""
    more: bool = False


def _down(address: int) -> int:
    return address // WIDTH * WIDTH


def lines(space: Space, address: int, count: int, *, collapse: bool = True) -> list[Line]:
    """Return at most ``count`` lines from the row that ``address`` is in; fewer where the space ends."""
    found: list[Line] = []
    at = max(_down(address), _down(space.start))
    left = SCAN
    while len(found) < count and at < space.end:
        gap = _whole_gap(space, at)
        if gap is not None:
            found.append(gap)
            at = gap.end
            continue
        window = min(WIDTH * (count - len(found)), space.end - at)
        rows = _rows(space, at, window)
        i = 0
        while i < len(rows) and len(found) < count:
            row = rows[i]
            found.append(row)
            at, i = row.end, i + 1
            if not collapse or row.missing or len(row.data) < WIDTH:
                continue
            equal = i
            while equal < len(rows) and rows[equal].data == row.data and not rows[equal].missing:
                equal += 1
            if equal - i < LEAST_EQUAL and equal < len(rows):
                continue
            end, more = rows[equal - 1].end if equal > i else row.end, False
            if equal == len(rows):
                end, scanned, more = _run(space, row.data, end, left)
                left = max(BLOCK, left - scanned)
            if (end - row.end) // WIDTH >= LEAST_EQUAL:
                found.append(Line(SAME, row.end, end, row.data, more=more))
                at = end
                break  # the rows read ahead end with the run, or begin again behind it
    return found[:count]


def lines_before(space: Space, address: int, count: int, *, collapse: bool = True) -> list[Line]:
    """Return the last ``count`` lines that end at the row of ``address`` (which is not among them)."""
    end = min(-(-address // WIDTH) * WIDTH, -(-space.end // WIDTH) * WIDTH)
    first = _down(space.start)
    back = WIDTH * count
    while True:
        at = max(first, end - back)
        at = max(first, -(-space.begins(at) // WIDTH) * WIDTH)
        found: list[Line] = []
        place = at
        while place < end:
            more = lines(space, place, count, collapse=collapse)
            if not more:
                break
            found += more
            place = more[-1].end
            if len(found) > 4 * count:
                found = found[-2 * count :]
        found = [_cut(line, end) for line in found if line.start < end]
        if len(found) >= count or at == first or back >= SCAN:
            return found[-count:]
        back *= 8


def _cut(line: Line, end: int) -> Line:
    return (
        line if line.end <= end else Line(line.kind, line.start, end, line.data, line.missing, line.reason, line.more)
    )


def _gap(space: Space, at: int) -> Line | None:
    """Return the gap that begins at this row and is at least a row long; of adjacent ones with one reason all."""
    piece = space.piece(max(at, space.start), WIDTH)
    if piece.data is not None:
        return None
    end, reason = piece.end, piece.reason
    last = -(-space.end // WIDTH) * WIDTH
    end = last if end >= space.end else _down(end)
    return Line(GAP, at, end, reason=reason) if end - at >= WIDTH else None


def _whole_gap(space: Space, at: int) -> Line | None:
    """Return the gap at this row, joined with what follows for the same reason as far as a few looks tell."""
    gap = _gap(space, at)
    for _ in range(LOOKS if gap else 0):
        assert gap is not None, "there is a gap to join to"
        following = _gap(space, gap.end) if gap.end < space.end else None
        if following is None or following.reason != gap.reason:
            return gap
        gap = Line(GAP, at, following.end, reason=gap.reason, more=True)
    return gap


def _rows(space: Space, at: int, size: int) -> list[Line]:
    """Return rows up to the next gap of a whole row."""
    begin = max(at, space.start)
    data, gaps = space.read(begin, size - (begin - at))
    found: list[Line] = []
    for place in range(at, begin + len(data), WIDTH):
        lo, hi = max(place, begin), min(place + WIDTH, begin + len(data))
        missing, reason = (1 << (lo - place)) - 1 if lo > place else 0, ""
        for start, end, why in gaps:
            if start < hi and end > lo:
                for i in range(max(start, lo), min(end, hi)):
                    missing |= 1 << (i - place)
                reason = why
        if reason and missing == (1 << (hi - place)) - 1 and found:
            break
        raw = bytes(lo - place) + data[lo - begin : hi - begin]
        found.append(Line(ROW, place, place + WIDTH if hi < space.end else hi, raw, missing, reason))
    return found


def _run(space: Space, row: bytes, at: int, budget: int) -> tuple[int, int, bool]:
    """Return where rows equal to ``row`` end, how many bytes were looked at, and whether looking was given up."""
    scanned = 0
    tile = row * (BLOCK // WIDTH)
    holes = 0 if any(row) else HOLES
    while at + WIDTH <= space.end:
        if holes:
            known = _down(space.same_until(at))
            if known > at:
                at, holes = known, holes - 1
                if not holes:
                    return at, scanned, at + WIDTH <= space.end
                continue
        if scanned >= budget:
            return at, scanned, True
        piece = space.piece(at, min(BLOCK, space.end - at))
        if piece.data is None:
            break
        data = bytes(piece.data)
        whole = len(data) // WIDTH * WIDTH
        if not whole:
            break
        if data[:whole] != tile[:whole]:
            pairs = np.frombuffer(data, np.uint64, whole // 8).reshape(-1, 2)
            wanted = np.frombuffer(row, np.uint64)
            other = np.flatnonzero((pairs != wanted).any(axis=1))
            return at + int(other[0]) * WIDTH, scanned + len(data), False
        at += whole
        scanned += whole
        if whole < len(data):
            break
    return at, scanned, False
