"""Where the members of the crashed kernel's own structures are: as VMCOREINFO records it, else as declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vmcoredd_lab.kernel.linear import number
from vmcoredd_lab.structs import ByteOrder, Struct

__all__ = ["Layouts"]

LARGEST = 1 << 16  # no structure read here is near it


class Layouts:
    """Layouts of one kernel. ``bits`` is the width of its long.

    ``doubtful`` collects what VMCOREINFO says that cannot be; the declared layout is then used.
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
        """Return a structure's layout with the declared members that it has; ``name``: as VMCOREINFO calls it."""
        name = name or struct.name
        declared = struct.dtype(self.byteorder, self.bits, self._max_align)
        fields: dict[str, tuple[Any, int]] = {k: (v[0], v[1]) for k, v in (declared.fields or {}).items()}
        size = self._checked(f"SIZE({name})", 1, LARGEST, declared.itemsize)
        offsets = {k: offset for k, (_, offset) in fields.items()}
        known: dict[str, int] = {}
        for member, (form, offset) in fields.items():
            key = f"OFFSET({name}.{member})"
            if key in self._info:
                known[member] = self._checked(key, 0, size - form.itemsize, offset)
        offsets |= known
        for member in fields:  # small members that VMCOREINFO leaves out keep their distance from the one before
            if member not in known and known:
                before = [k for k in known if fields[k][1] < fields[member][1]]
                if before:
                    near = max(before, key=lambda k: fields[k][1])
                    offsets[member] = known[near] + fields[member][1] - fields[near][1]
        kept = [m for m in fields if 0 <= offsets[m] <= size - fields[m][0].itemsize]
        return np.dtype(
            {
                "names": kept,
                "formats": [fields[m][0] for m in kept],
                "offsets": [offsets[m] for m in kept],
                "itemsize": size,
            }
        )

    def read(self, data: bytes, dtype: np.dtype[Any]) -> np.void:
        """Return one structure at the start of the bytes."""
        record: np.void = np.frombuffer(data, dtype, 1)[0]
        return record

    def _checked(self, key: str, low: int, high: int, otherwise: int) -> int:
        value = self.value(key)
        if value is not None and low <= value <= high:
            return value
        if key in self._info:
            self.doubtful[key] = self._info[key]
        return otherwise
