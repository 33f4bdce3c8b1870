"""What a note's descriptor is made of, by owner and type: data/note_layouts.csv names the layout, this finds it.

A layout is a structure with a member for each value (:mod:`~vmcoredd_lab.notes.prstatus`, register sets, ...), or one of
``lines`` (text of key=value), ``vmcoredd`` (a device dump) and ``hex`` (an identifier).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from vmcoredd_lab.model import NT_VMCOREDD, Note
from vmcoredd_lab.notes.prpsinfo import PRPSINFO, PRPSINFO_16
from vmcoredd_lab.notes.prstatus import common_struct, prstatus_struct
from vmcoredd_lab.notes.registers import machine_of, register_set
from vmcoredd_lab.package_data import package_text
from vmcoredd_lab.structs import ByteOrder, Member, Struct

__all__ = ["Layout", "Leaf", "kind_of", "layout_of", "leaves", "prstatus_layout"]

# The class of the ELF headers need not be the kernel's: kexec --elf32-core-headers, or an arm kernel with LPAE
_WIDER = {"i386": "x86_64", "ppc": "ppc64", "mips": "mips64", "riscv32": "riscv64", "s390": "s390x", "arm": "aarch64"}
_OTHER = _WIDER | {wide: narrow for narrow, wide in _WIDER.items()}
_ABI_TAG = Struct(
    "abi_tag", "System V ABI: NT_GNU_ABI_TAG",
    (Member("os", "u4"), Member("major", "u4"), Member("minor", "u4"), Member("subminor", "u4")),
)  # fmt: skip
_STRUCTS = {"prpsinfo": PRPSINFO, "prpsinfo16": PRPSINFO_16, "abi_tag": _ABI_TAG}
_INLINE = ("pr_info", "pr_reg")  # members whose own members have names that say enough


@dataclass(frozen=True)
class Leaf:
    """One value of a layout: name, offset and size in the descriptor, and what it is: u, i, S or V as in NumPy."""

    name: str
    offset: int
    size: int
    kind: str


@dataclass(frozen=True)
class Layout:
    """The structure of a descriptor on one machine."""

    name: str
    dtype: np.dtype[np.void]

    @property
    def size(self) -> int:
        """Bytes of the whole structure."""
        return self.dtype.itemsize

    def leaves(self) -> tuple[Leaf, ...]:
        """Return the values in order."""
        return leaves(self.dtype)


@cache
def _rows() -> dict[tuple[str, int], list[tuple[str, str]]]:
    rows: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for row in csv.DictReader(package_text("vmcoredd_lab.notes", "data", "note_layouts.csv").splitlines()):
        rows.setdefault((row["owner"], int(row["type"], 16)), []).append((row["layout"], row["in_cpus"]))
    return rows


def _named(owner: str, number: int) -> list[tuple[str, str]]:
    """Return the rows of a note; register sets that old s390 kernels and QEMU for ppc64 give to CORE are LINUX's."""
    found = _rows().get((owner, number))
    if found is None and owner == "CORE" and number != NT_VMCOREDD:
        found = _rows().get(("LINUX", number))
    return found or []


def kind_of(owner: str, number: int) -> str | None:
    """Return the first layout's name of a note; None where its content is bytes."""
    named = _named(owner, number)
    return named[0][0] if named else None


def first_in_cpus(owner: str, number: int) -> str | None:
    """Return the first member that the table of CPUs takes over from such a note; None where it takes none."""
    named = _named(owner, number)
    return (named[0][1] or None) if named else None


def layout_of(note: Note, machine: str, bits: int, byteorder: ByteOrder) -> Layout | None:
    """Return the layout of a note's descriptor: of those declared the one of its size, else the first; None: bytes."""
    found: Layout | None = None
    for name, _ in _named(note.owner, note.type):
        for one in _layouts(name, machine, bits, byteorder):
            if one.size == note.desc_size:
                return one
            found = found or one
    return found


def prstatus_layout(sizes: set[int], machine: str, bits: int, byteorder: ByteOrder) -> Layout | None:
    """Return the layout of PRSTATUS notes of these sizes; without registers where the machine's are not known."""
    found = _layouts("prstatus", machine, bits, byteorder)
    return next((one for one in found if one.size in sizes), found[0] if found else None)


@cache
def _layouts(name: str, machine: str, bits: int, byteorder: ByteOrder) -> list[Layout]:
    found = []
    for one in sorted(filter(None, (machine, _OTHER.get(machine))), key=lambda name: _width(name, bits) != bits):
        width = _width(one, bits)
        if name == "prstatus":
            struct = prstatus_struct(one) or common_struct()
        else:
            struct = _STRUCTS.get(name) or register_set(one, name)  # type: ignore[assignment]
        if struct is not None:
            found.append(Layout(name, struct.dtype(byteorder, width)))
    return found


def _width(machine: str, bits: int) -> int:
    known = machine_of(machine)
    return known.bits if known else bits


@cache
def leaves(dtype: np.dtype[Any]) -> tuple[Leaf, ...]:
    """Return the values of a structured dtype in order; slots (names with an underscore in front) left out."""
    return tuple(_leaves(dtype, "", 0))


def _leaves(dtype: np.dtype[Any], prefix: str, base: int) -> Iterator[Leaf]:
    for name in dtype.names or ():
        if name.startswith("_"):
            continue
        kind, offset = dtype.fields[name][:2]  # type: ignore[index]
        if kind.names:
            yield from _leaves(kind, "" if name in _INLINE else f"{prefix}{name}.", base + offset)
        else:
            yield Leaf(prefix + name, base + offset, kind.itemsize, kind.kind)
