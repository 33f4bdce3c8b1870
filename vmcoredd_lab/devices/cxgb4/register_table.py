"""The register database: which words the driver collects, and the names, instances and fields of each.

Data files: ``registers_t4.tsv`` to ``registers_t6.tsv`` (block, register, addresses as ``first+step*count``, fields as
``name:lsb:bits``) and ``collected.csv`` (the ranges that t4_get_regs() reads, drivers/net/ethernet/chelsio/cxgb4/t4_hw.c).
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from vmcoredd_lab.devices.comparison import Field
from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.package_data import package_text
from vmcoredd_lab.tables import Codes

__all__ = ["Field", "RegisterTable", "register_table"]

Array = np.ndarray[Any, Any]

_RUN = re.compile(r"(0x[0-9a-f]+)(?:\+(0x[0-9a-f]+)\*(\d+))?")
CHIPS = ("T4", "T5", "T6")
_PF_FIRST, _PF_END, _PF_STEP = 0x1E000, 0x20000, 0x400
_PORTS = {"T4": (0x20000, 0x2000, 4), "T5": (0x30000, 0x4000, 4), "T6": (0x30000, 0x4000, 2)}


@dataclass(frozen=True, slots=True)
class _Line:
    block: str
    register: str
    addresses: Array
    fields: str


class RegisterTable:
    """The registers of one chip. Arrays below are parallel: one entry for each word the driver collects, by address."""

    def __init__(self, chip: str) -> None:
        self.chip = chip
        text = package_text("vmcoredd_lab.devices.cxgb4", "data", f"registers_{chip.lower()}.tsv")
        self._lines = [self._line(row) for row in text.splitlines()[1:]]
        self.by_name: dict[str, list[_Line]] = defaultdict(list)
        for line in self._lines:
            self.by_name[line.register].append(line)
        ranges = [r for r in read_table("collected.csv") if r["chip"] == chip]
        self.addresses: Array = np.concatenate(
            [np.arange(int(r["first"], 16), int(r["last"], 16) + 4, 4, dtype=np.uint32) for r in ranges]
        )
        self.addresses = np.unique(self.addresses)
        self._join()

    @staticmethod
    def _line(row: str) -> _Line:
        block, register, addresses, fields = row.split("\t")
        parts = []
        for first, step, count in _RUN.findall(addresses):
            start = int(first, 16)
            parts.append(
                np.arange(int(count), dtype=np.uint32) * int(step, 16) + start
                if count
                else np.array([start], np.uint32)
            )
        return _Line(block, register, parts[0] if len(parts) == 1 else np.concatenate(parts), fields)

    def _join(self) -> None:
        """Give each collected word its first name in the table, its instance, and its other names."""
        counts = np.array([len(line.addresses) for line in self._lines])
        address = np.concatenate([line.addresses for line in self._lines])
        which = np.repeat(np.arange(len(self._lines)), counts)
        instance = self._instances(address, which)
        order = np.argsort(address, kind="stable")  # of one address the first in table order stays first
        address, which, instance = address[order], which[order], instance[order]
        at = np.searchsorted(address, self.addresses)
        named = (at < len(address)) & (address[np.minimum(at, len(address) - 1)] == self.addresses)
        at = np.minimum(at, len(address) - 1)
        self._line_of: Array = np.where(named, which[at], -1)
        self.instances: Any = np.ma.array(instance[at], mask=~named | (instance[at] < 0))
        self.registers = self._codes([line.register for line in self._lines])
        self.blocks = self._codes([line.block for line in self._lines])
        self.aliases = self._aliases(address, which)
        self.scopes = self._scopes()

    def _instances(self, address: Array, which: Array) -> Array:
        """Return the index of each address among all of its register's, by address; -1 for single registers."""
        _, name = np.unique([line.register for line in self._lines], return_inverse=True)
        name_of = name[which]
        order = np.lexsort((address, name_of))
        sorted_names = name_of[order]
        first = np.searchsorted(sorted_names, sorted_names, side="left")
        total = np.searchsorted(sorted_names, sorted_names, side="right") - first
        index = np.where(total > 1, np.arange(len(order)) - first, -1)
        out = np.empty(len(order), np.int64)
        out[order] = index
        return out

    def _codes(self, texts: list[str]) -> Codes:
        categories, code = np.unique(texts, return_inverse=True)
        codes = np.append(code, -1)[self._line_of]  # line -1, no name, takes the appended -1
        return Codes(codes.astype(np.int32), [str(c) for c in categories])

    def _aliases(self, address: Array, which: Array) -> list[str | None]:
        texts: list[str | None] = [None] * len(self.addresses)
        values, first, count = np.unique(address, return_index=True, return_counts=True)
        for value, start, number in zip(values[count > 1], first[count > 1], count[count > 1], strict=True):
            at = int(np.searchsorted(self.addresses, value))
            if at < len(self.addresses) and self.addresses[at] == value:
                lines = which[start + 1 : start + number].tolist()
                texts[at] = " ".join(self._lines[line].register for line in lines)
        return texts

    def _scopes(self) -> Codes:
        """Say which port, PCI function or memory an address belongs to."""
        labels = np.full(len(self.addresses), "", dtype="U8")
        address = self.addresses.astype(np.int64)
        pf = (address >= _PF_FIRST) & (address < _PF_END)
        labels[pf] = [f"pf {n}" for n in ((address[pf] - _PF_FIRST) // _PF_STEP).tolist()]
        start, step, count = _PORTS[self.chip]
        port = (address >= start) & (address < start + step * count)
        labels[port] = [f"port {n}" for n in ((address[port] - start) // step).tolist()]
        for code, block in enumerate(self.blocks.categories):
            memory = re.fullmatch(r"(EDC|MC)_(\d)", block)
            if memory:
                labels[self.blocks.codes == code] = f"{memory[1].lower()} {memory[2]}"
        categories, codes = np.unique(labels, return_inverse=True)
        return Codes(codes.astype(np.int32) - 1 if categories[0] == "" else codes.astype(np.int32),
                     [str(c) for c in categories if c])  # fmt: skip

    # -- questions ----------------------------------------------------------------------------------------------------

    def position(self, address: int) -> int | None:
        """Return where a collected word is in the arrays, or None."""
        at = int(np.searchsorted(self.addresses, address))
        return at if at < len(self.addresses) and self.addresses[at] == address else None

    @cached_property
    def _upper(self) -> dict[str, str]:
        return {name.upper(): name for name in self.by_name}

    def find(self, name: str) -> str | None:
        """Return the register's name as the table has it, for any case; None where there is none."""
        return self._upper.get(name.strip().upper())

    def instances_of(self, name: str) -> list[tuple[int, str]]:
        """Return (address, fields text) of every instance of a register, by address, collected or not."""
        found = [(int(a), line.fields) for line in self.by_name[name] for a in line.addresses.tolist()]
        return sorted(found)

    @cached_property
    def counters(self) -> list[tuple[str, Array, Array, Array]]:
        """(name, instances, positions of the _L words, positions of the _H words) of every collected 64-bit pair."""
        found = []
        for low in self.by_name:
            high = low[:-2] + "_H"
            if not low.endswith("_L") or high not in self.by_name:
                continue
            lows = np.array([a for a, _ in self.instances_of(low)], np.uint32)
            highs = np.array([a for a, _ in self.instances_of(high)], np.uint32)
            if len(lows) != len(highs):
                continue
            low_at, high_at = np.searchsorted(self.addresses, lows), np.searchsorted(self.addresses, highs)
            top = len(self.addresses) - 1
            held = (self.addresses[np.minimum(low_at, top)] == lows) & (
                self.addresses[np.minimum(high_at, top)] == highs
            )
            if held.any():
                found.append((low[:-2], np.flatnonzero(held), low_at[held], high_at[held]))
        return found


def parse_fields(text: str) -> list[Field]:
    """Return the fields of a table line, highest bits first."""
    fields = []
    for part in text.split():
        name, lsb, width = part.rsplit(":", 2)
        fields.append(Field(name, int(lsb), int(width)))
    return sorted(fields, key=lambda f: -f.lsb)


@cache
def register_table(chip: str) -> RegisterTable:
    """Return the register table of T4, T5 or T6; read once.

    Raises
    ------
    NotInFileError: there is no table for that chip.
    """
    if chip not in CHIPS:
        raise NotInFileError(f"no register table for chip {chip}", expected=" or ".join(CHIPS), got=chip)
    return RegisterTable(chip)
