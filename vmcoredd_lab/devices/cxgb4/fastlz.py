"""FastLZ streams of level 1 and 2, as the Unified Wire's cudbg library compresses entities (level 2 throughout).

A stream is a sequence of operations on what came out so far. The first byte's upper three bits say the level (0 or 1 for
level 1 or 2) and count as zero for the operation itself:

====================================  ================================================================================
``000LLLLL`` then L+1 bytes           these bytes
``LLLDDDDD`` [extra length] ``dddd``  L+2 bytes from a distance of D<<8 | d, plus 1; where L is 7 extra length follows
====================================  ================================================================================

Extra length is one byte on level 1; on level 2 bytes are added up to the first that is not 255. On level 2 a distance of
which all bits are set goes on with 16 more bits, big endian, to be added to 8192.
"""

from __future__ import annotations

__all__ = ["FastLzError", "compress", "decompress"]

LONGEST_LITERAL = 32
SHORTEST_MATCH, EXTENDED = 3, 9  # a length field of 1 and of 7
NEAR = 8192  # distances up to 8191 (level 1: 8192) need no extension
FARTHEST = NEAR + 0xFFFF
LAST_NEAR = 31 * 256 + 1  # the distance of a first byte whose distance bits are all set
EXPANSION = 256  # a stream never decodes to more than so many times its own size


class FastLzError(ValueError):
    """The stream is damaged or cut; ``partial`` is what came out before."""

    def __init__(self, message: str, partial: bytes) -> None:
        super().__init__(message)
        self.partial = partial


# Of each first byte of a match: its length without extra length, and its distance without the second byte.
_LENGTHS = [(first >> 5) + 2 for first in range(256)]
_DISTANCES = [((first & 31) << 8) + 1 for first in range(256)]


def decompress(  # noqa: PLR0912, PLR0915  one loop: a call for each operation would take longer than the operation
    stream: bytes | memoryview, *, size: int | None = None, limit: int = 1 << 32
) -> bytes:
    """Return what a stream holds: ``size`` bytes where that is given, else any number up to ``limit``.

    One turn of the loop handles one operation, with slices only: nothing is done byte by byte.

    Raises
    ------
    FastLzError: the stream holds less or more, ends inside an operation, or refers to what is before its beginning.
    """
    source = bytes(stream)
    end = len(source)
    most = limit if size is None else size
    if not end or source[0] >> 5 > 1:
        raise FastLzError("no FastLZ stream of level 1 or 2", b"")
    two = source[0] >> 5 == 1
    lengths, distances = _LENGTHS, _DISTANCES
    out = bytearray()
    append = out.append
    operation, at = source[0] & 31, 1
    try:
        while True:
            if not operation:
                append(source[at])
                at += 1
            elif operation < LONGEST_LITERAL:
                following = at + operation + 1
                out += source[at:following]
                at = following
            else:
                length, distance = lengths[operation], distances[operation]
                if length == EXTENDED:
                    extra = source[at]
                    at += 1
                    length += extra
                    while extra == 255 and two:
                        extra = source[at]
                        at += 1
                        length += extra
                    if length > most - len(out):
                        raise FastLzError(f"the stream holds more than {most:,} bytes", bytes(out))
                low = source[at]
                at += 1
                if low == 255 and distance == LAST_NEAR and two:
                    distance = NEAR + (source[at] << 8) + source[at + 1]
                    at += 2
                else:
                    distance += low
                start = len(out) - distance
                if start < 0:
                    raise FastLzError("the stream refers to bytes before its beginning", bytes(out))
                if distance >= length:
                    out += out[start : start + length]
                else:  # the match reaches into what it makes: a pattern that repeats
                    pattern = bytes(out[start:])
                    out += (pattern * (length // distance + 1))[:length]
            if at >= end:
                break
            operation = source[at]
            at += 1
    except IndexError:
        raise FastLzError("the stream ends inside an operation", bytes(out)) from None
    if at > end:
        raise FastLzError("the stream ends inside an operation", bytes(out))
    if len(out) > most:
        raise FastLzError(f"the stream holds more than {most:,} bytes", bytes(out[:most]))
    if size is not None and len(out) < size:
        raise FastLzError(f"the stream ends after {len(out):,} bytes instead of {size:,}", bytes(out))
    return bytes(out)


def compress(data: bytes, level: int = 2) -> bytes:
    """Return a stream of level 1 or 2 that holds ``data``: greedy, and not fast; for dumps that tests and writers make.

    Raises
    ------
    ValueError: there is no such level, or nothing to compress.
    """
    if level not in (1, 2) or not data:
        raise ValueError("FastLZ has level 1 and 2, and no stream for nothing")
    farthest, longest = (NEAR, EXTENDED + 255) if level == 1 else (FARTHEST, len(data))
    out = bytearray()
    seen: dict[bytes, int] = {}
    at = literals = 0
    while at < len(data):
        key = data[at : at + SHORTEST_MATCH]
        before = seen.get(key, -1)
        seen[key] = at
        distance = at - before
        # the first byte says the level: it begins a run of literals
        if before < 0 or at == 0 or distance > farthest or len(key) < SHORTEST_MATCH:
            at += 1
            continue
        length = _common(data, before, at, longest)
        out += _literals(data[literals:at])
        out += _match(length, distance, level)
        at += length
        literals = at
    out += _literals(data[literals:])
    out[0] |= (level - 1) << 5
    return bytes(out)


def _common(data: bytes, one: int, other: int, longest: int) -> int:
    """Return how many bytes from two places on are the same."""
    length, most = 0, min(longest, len(data) - other)
    step = 1
    while length < most:
        step = min(step, most - length)
        if data[one + length : one + length + step] == data[other + length : other + length + step]:
            length += step
            step *= 2
        elif step > 1:
            step //= 2
        else:
            break
    return length


def _literals(run: bytes) -> bytes:
    parts = (run[at : at + LONGEST_LITERAL] for at in range(0, len(run), LONGEST_LITERAL))
    return b"".join(bytes([len(part) - 1]) + part for part in parts)


def _match(length: int, distance: int, level: int) -> bytes:
    far = level == 2 and distance >= NEAR
    offset = NEAR - 1 if far else distance - 1
    if length < EXTENDED:
        head = bytes([(length - 2) << 5 | offset >> 8])
    else:
        more, last = divmod(length - EXTENDED, 255) if level == 2 else (0, length - EXTENDED)
        head = bytes([7 << 5 | offset >> 8, *[255] * more, last])
    return head + bytes([offset & 255]) + ((distance - NEAR).to_bytes(2, "big") if far else b"")
