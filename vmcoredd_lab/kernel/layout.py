"""Where the members of the crashed kernel's own structures are: as VMCOREINFO records it, else as declared."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from vmcoredd_lab.kernel.linear import number
from vmcoredd_lab.structs import ByteOrder, Struct

__all__ = ["Layouts"]

LARGEST = 1 << 16  # no structure read here is near it
PACKED = 4  # printk_log is packed to it, and i386 aligns nothing wider
OPTIONAL = frozenset(
    ("caller_id", "dev_info", "last_finalized", "fail", "tail_lpos")
)  # not in every kernel, or not needed


class Layouts:
    """Layouts of one kernel. ``bits`` is the width of its long.

    ``doubtful`` collects what VMCOREINFO says that cannot be; the declared layout is then used. ``unusual`` are the structures
    whose layout is not the declared one.
    """

    def __init__(self, info: Mapping[str, str], machine: str, bits: int, byteorder: ByteOrder) -> None:
        self._info = info
        self.byteorder = byteorder
        self.bits = bits
        for key in ("SIZE(atomic_long_t)", "SIZE(list_head)"):
            size = self.value(key)
            if size is not None:
                wide = size * 8 if key == "SIZE(atomic_long_t)" else size * 4
                if wide in (32, 64):
                    self.bits = wide
                    break
        self._max_align = 4 if machine == "i386" else 8
        self.doubtful: dict[str, str] = {}
        self.unusual: set[str] = set()

    @property
    def long(self) -> int:
        """Bytes in a long and in a pointer."""
        return self.bits // 8

    def records(self, key: str) -> bool:
        """Return whether VMCOREINFO has the line."""
        return key in self._info

    def value(self, key: str) -> int | None:
        """Return the number that VMCOREINFO has under the whole key; None where it has none, or no number."""
        return number({key: self._info[key]}, key) if key in self._info else None

    def dtype(self, struct: Struct, name: str | None = None) -> np.dtype[Any]:
        """Return a structure's layout with the declared members that it has; ``name``: as VMCOREINFO calls it.

        Every member is there but those that not all kernels have. What VMCOREINFO says of the structure and cannot be, a member
        that overlaps another included, is left for the declared place.
        """
        name = name or struct.name
        declared = struct.dtype(self.byteorder, self.bits, self._max_align)
        forms = {member: (form, offset) for member, (form, offset, *_) in (declared.fields or {}).items()}
        known = self._offsets(name, forms)
        size = self._size(name, declared, known, forms)
        for member, offset in known.items():
            if offset + forms[member][0].itemsize > size:
                known[member] = self._doubted(f"OFFSET({name}.{member})", forms[member][1])
        offsets = {member: offset for member, (_, offset) in forms.items()} | known
        for member in forms:  # small members that VMCOREINFO leaves out keep their distance from the one before
            if member not in known and known:
                before = [k for k in known if forms[k][1] < forms[member][1]]
                if before:
                    near = max(before, key=lambda k: forms[k][1])
                    offsets[member] = known[near] + forms[member][1] - forms[near][1]
        kept = [m for m in forms if 0 <= offsets[m] <= size - forms[m][0].itemsize]
        if not forms.keys() - OPTIONAL <= set(kept):
            self._doubted(f"SIZE({name})", 0)
            return declared
        found = np.dtype(
            {
                "names": kept,
                "formats": [forms[m][0] for m in kept],
                "offsets": [offsets[m] for m in kept],
                "itemsize": size,
            }
        )
        if found != declared:
            self.unusual.add(name)
        return found

    def usual(self) -> Layouts:
        """Return the declared layouts of the same machine."""
        found = Layouts({}, "", self.bits, self.byteorder)
        found._max_align = self._max_align
        return found

    def _offsets(self, name: str, forms: dict[str, tuple[Any, int]]) -> dict[str, int]:
        """Return the members' offsets that VMCOREINFO has, as far as they are aligned and do not overlap."""
        known: dict[str, int] = {}
        for member, (form, declared) in forms.items():
            key = f"OFFSET({name}.{member})"
            if key in self._info:
                known[member] = self._checked(key, 0, LARGEST - form.itemsize, declared, min(_alignment(form), PACKED))
        order = sorted(known, key=lambda m: known[m])
        for low, high in pairwise(order):
            if known[low] + forms[low][0].itemsize > known[high]:
                for member in (low, high):
                    if known[member] != forms[member][1]:
                        known[member] = self._doubted(f"OFFSET({name}.{member})", forms[member][1])
        return known

    def _size(
        self, name: str, declared: np.dtype[Any], known: dict[str, int], forms: dict[str, tuple[Any, int]]
    ) -> int:
        """Return the structure's size; what VMCOREINFO has must hold the members whose places are not in doubt."""
        size = self._checked(f"SIZE({name})", 1, LARGEST, declared.itemsize, min(_alignment(declared), PACKED))
        outside = [member for member, offset in known.items() if offset + forms[member][0].itemsize > size]
        if len(outside) > 1 or any(known[member] == forms[member][1] for member in outside):
            return max(self._doubted(f"SIZE({name})", declared.itemsize), size)
        return size

    def read(self, data: bytes, dtype: np.dtype[Any]) -> np.void:
        """Return one structure at the start of the bytes."""
        record: np.void = np.frombuffer(data, dtype, 1)[0]
        return record

    def _checked(self, key: str, low: int, high: int, otherwise: int, multiple: int) -> int:
        value = self.value(key)
        if value is not None and low <= value <= high and value % multiple == 0:
            return value
        return self._doubted(key, otherwise) if key in self._info else otherwise

    def _doubted(self, key: str, otherwise: int) -> int:
        if key in self._info:
            self.doubtful[key] = self._info[key]
        return otherwise


def _alignment(form: np.dtype[Any]) -> int:
    """Return the widest number in it."""
    if form.fields:
        return max(_alignment(member[0]) for member in form.fields.values())
    return form.itemsize if form.kind in "ui" else 1
