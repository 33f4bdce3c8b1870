"""Note types by owner and number (include/uapi/linux/elf.h, include/xen/interface/elfnote.h, QEMU's dump.c)."""

from __future__ import annotations

import csv
from functools import cache

from vmcoredd_lab.model import NT_VMCOREDD
from vmcoredd_lab.package_data import package_text

__all__ = ["owners", "type_name"]


@cache
def _names() -> dict[tuple[str, int], str]:
    text = package_text("vmcoredd_lab.notes", "data", "note_types.csv")
    return {(r["owner"], int(r["type"], 16)): r["name"] for r in csv.DictReader(text.splitlines())}


def type_name(owner: str, number: int) -> str | None:
    """Return the kernel's name of a note type, or None where the pair of owner and number is not known.

    Register sets that old s390 kernels and QEMU for ppc64 give to CORE have the name that they have under LINUX.
    """
    found = _names().get((owner, number))
    if found is None and owner == "CORE" and number != NT_VMCOREDD:
        found = _names().get(("LINUX", number))
    return found


@cache
def owners() -> frozenset[str]:
    """Return the owners of all notes that are known."""
    return frozenset(owner for owner, _ in _names())
