"""Protocol buffers on the wire, as much as a trace needs: varints and length-delimited fields (protobuf.dev, encoding)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["Message", "field", "message", "varint"]

# A message's fields by name: number, and how the value is written: int (varint), text, or message (already encoded).
Message = Mapping[str, tuple[int, str]]

_VARINT, _DELIMITED = 0, 2


def varint(value: int) -> bytes:
    """Return an unsigned 64-bit number, seven bits a byte; a negative one as its two's complement.

    >>> varint(300).hex()
    'ac02'
    """
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, kind: str, value: Any) -> bytes:
    """Return one field."""
    if kind == "int":
        return varint(number << 3 | _VARINT) + varint(int(value))
    data: bytes = value.encode() if kind == "text" else value
    return varint(number << 3 | _DELIMITED) + varint(len(data)) + data


def message(declared: Message, values: Iterable[tuple[str, Any]]) -> bytes:
    """Return a message from (name, value) pairs; a name may come again, None is left out."""
    return b"".join(field(*declared[name], value) for name, value in values if value is not None)
