"""One declaration of each binary structure, for reading and for writing.

A :class:`Struct` lists members as the C header does. Its layout follows the C rules for the machine at hand: natural
alignment, ``L`` as wide as the machine's ``long``, and an upper bound on alignment (i386 aligns 64-bit members to 4).
The result is a NumPy dtype with explicit byte order, so that reading is a view of the bytes and writing is the same
view the other way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np

__all__ = ["BYTE_ORDERS", "ByteOrder", "Member", "Struct"]

ByteOrder = Literal["little", "big"]

BYTE_ORDERS: tuple[ByteOrder, ...] = ("little", "big")
_ORDER: dict[str, str] = {"little": "<", "big": ">"}


@dataclass(frozen=True)
class Member:
    """One member: its C name, its kind, and what it holds.

    The kind is a NumPy one (``u4``, ``S44``), ``L`` or ``l`` for the machine's long, or another :class:`Struct`.
    """

    name: str
    kind: str | Struct
    doc: str = ""
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Struct:
    """A C structure: name, where it is defined, members in order."""

    name: str
    source: str
    members: tuple[Member, ...]
    doc: str = ""

    def dtype(self, byteorder: ByteOrder = "little", bits: int = 64, max_align: int = 8) -> np.dtype[np.void]:
        """Return the layout as a structured dtype.

        ``bits`` is the width of the machine's long; ``max_align`` caps the alignment of members (4 on i386).
        """
        return _dtype(self, byteorder, bits, max_align)

    def size(self, byteorder: ByteOrder = "little", bits: int = 64, max_align: int = 8) -> int:
        """Return the size in bytes, trailing padding included."""
        return self.dtype(byteorder, bits, max_align).itemsize

    def read(
        self,
        data: Any,
        offset: int = 0,
        *,
        byteorder: ByteOrder = "little",
        bits: int = 64,
        max_align: int = 8,
    ) -> np.void:
        """Return one structure at ``offset`` of a buffer; the buffer must hold it whole."""
        record: np.void = np.frombuffer(data, self.dtype(byteorder, bits, max_align), 1, offset)[0]
        return record

    def write(self, *, byteorder: ByteOrder = "little", bits: int = 64, max_align: int = 8, **values: Any) -> bytes:
        """Return the bytes of the structure with the given members; the others are zero."""
        record = np.zeros((), self.dtype(byteorder, bits, max_align))
        for name, value in values.items():
            record[name] = value
        return record.tobytes()


@cache
def _dtype(struct: Struct, byteorder: ByteOrder, bits: int, max_align: int) -> np.dtype[np.void]:
    order, long_ = _ORDER[byteorder], bits // 8
    names: list[str] = []
    formats: list[Any] = []
    offsets: list[int] = []
    position, widest = 0, 1
    for member in struct.members:
        if isinstance(member.kind, Struct):
            base = member.kind.dtype(byteorder, bits, max_align)
            align = _alignment(member.kind, bits, max_align)
        else:
            kind = {"L": f"u{long_}", "l": f"i{long_}"}.get(member.kind, member.kind)
            base = np.dtype(kind if kind[0] in "SV" else order + kind)
            align = 1 if kind[0] in "SV" else min(base.itemsize, max_align)
        widest = max(widest, align)
        position = -(-position // align) * align
        names.append(member.name)
        formats.append((base, member.shape) if member.shape else base)
        offsets.append(position)
        position += base.itemsize * int(np.prod(member.shape, dtype=np.int64))
    size = -(-position // widest) * widest
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})


@cache
def _alignment(struct: Struct, bits: int, max_align: int) -> int:
    """Return the alignment of a structure: that of its widest member."""
    found = 1
    for member in struct.members:
        if isinstance(member.kind, Struct):
            found = max(found, _alignment(member.kind, bits, max_align))
        elif member.kind[0] not in "SV":
            size = bits // 8 if member.kind in "Ll" else int(member.kind[1:])
            found = max(found, min(size, max_align))
    return found
