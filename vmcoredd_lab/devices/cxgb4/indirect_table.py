"""Registers that are read through an index register: what the driver reads, names and fields.

Data files: ``indirect_segments.csv`` (the driver's lists, t5_tp_pio_array and its like in cudbg_entity.h: which indexes each
record of an entity holds) and ``indirect_registers.tsv`` (names and fields by index). A register is known by the data
register it is read from and the index that is written to the address register.

Names are those of Chelsio's tools. Where their table contradicts itself or the driver the data file has it right: the read
channels 0 to 2 of PCIE_PDEBUG are at 0x2 to 0x4, CHNENABLE is above PRTENABLE on every chip (t4_regs.h), bits 31:16 of
TP_TX_MOD_Q5_Q4_TIMER_SEPARATOR are Q5, the first register of PM_RX is PM_RX's, the fields of UP_MAILBOX_STATUS follow one
another, and no field reaches into the next one or beyond bit 31.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.register_table import Field, parse_fields
from vmcoredd_lab.package_data import package_text
from vmcoredd_lab.tables import Codes

__all__ = ["IndirectTable", "Register", "Segment", "indirect_table", "segments"]

Array = np.ndarray[Any, Any]
NAMES_OF = {"T4": "T5"}  # there is no table of T4's; the driver reads a T4 through the lists of T5


@dataclass(frozen=True, slots=True)
class Segment:
    """Indexes that one record holds: ``first``, ``first + stride``, ...

    ``stored_offset`` is what the record says of its beginning, where that is not ``first``; its range is then 0.
    ``record`` is its place in the entity; None in the queue base map, which has no records.
    """

    entity: str
    chips: str
    space: str
    record: int | None
    address_register: int
    data_register: int
    first: int
    count: int
    stride: int
    stored_offset: int | None


@dataclass(frozen=True, slots=True)
class Register:
    """A named register: the space it is in, its first index, how many indexes bear the name, its fields as text."""

    name: str
    space: str
    address: int
    count: int
    fields_text: str

    @property
    def fields(self) -> list[Field]:
        """The fields, highest bits first; the whole word where it has none."""
        return parse_fields(self.fields_text) or [Field(self.name, 0, 32)]


@cache
def segments() -> list[Segment]:
    """Return the driver's lists for all chips, in file order."""
    return [
        Segment(
            row["entity"], row["chips"], row["space"], int(row["record"]) if row["record"] else None,
            int(row["address_register"], 16), int(row["data_register"], 16), int(row["first"], 16), int(row["count"]),
            int(row["stride"], 16), int(row["stored_offset"], 16) if row["stored_offset"] else None,
        )
        for row in read_table("indirect_segments.csv")
    ]  # fmt: skip


@cache
def _spaces() -> dict[str, Segment]:
    """Return the first segment of each space: its entity, address and data register."""
    found: dict[str, Segment] = {}
    for one in segments():
        found.setdefault(one.space, one)
    return found


class IndirectTable:
    """The indirect registers of one chip; of a chip without a table there are no names."""

    def __init__(self, chip: str) -> None:
        self.chip = chip
        text = package_text("vmcoredd_lab.devices.cxgb4", "data", "indirect_registers.tsv")
        known = NAMES_OF.get(chip, chip)
        self.registers = [self._line(row) for row in text.splitlines()[1:] if known in row[: row.index("\t")].split()]
        counts = [r.count for r in self.registers]
        first = np.array([_key(_spaces()[r.space].data_register, r.address) for r in self.registers], np.uint64)
        total = int(np.sum(counts, dtype=np.int64))
        within = np.arange(total) - np.repeat(np.cumsum(counts, dtype=np.int64) - counts, counts)
        keys = np.repeat(first, counts) + within.astype(np.uint64)
        order = np.argsort(keys, kind="stable")
        self._keys: Array = keys[order]
        self._which: Array = np.repeat(np.arange(len(counts)), counts)[order]

    @staticmethod
    def _line(row: str) -> Register:
        _, space, addresses, name, fields = row.split("\t")
        address, _, count = addresses.partition("*")
        return Register(name, space, int(address, 16), int(count or 1), fields)

    def names(self, data_registers: Array, addresses: Array) -> Codes:
        """Return the name of each register, missing where the table has none."""
        keys = data_registers.astype(np.uint64) << np.uint64(32) | addresses.astype(np.uint64)
        return _codes(self._keys, self._which, keys, [register.name for register in self.registers])

    @cached_property
    def _by_name(self) -> dict[str, Register]:
        return {register.name.upper(): register for register in self.registers}

    def find(self, name: str) -> Register | None:
        """Return the register of that name, in any case; None where there is none."""
        return self._by_name.get(name.strip().upper())

    @property
    def known_names(self) -> list[str]:
        """Every name in the table."""
        return [register.name for register in self.registers]


def _key(data_register: int, address: int) -> int:
    return data_register << 32 | address


def space_of(space: str) -> Segment:
    """Return a segment of the space, which names its entity and registers."""
    return _spaces()[space]


def spaces(data_registers: Array) -> Codes:
    """Return which space each data register belongs to; missing where it is none that the driver reads."""
    known = sorted((s.data_register, s.space) for s in _spaces().values())
    registers = np.array([register for register, _ in known], np.uint64)
    return _codes(registers, np.arange(len(known)), data_registers, [space for _, space in known])


def _codes(keys: Array, which: Array, wanted: Array, texts: list[str]) -> Codes:
    """Return the text of each wanted key, through sorted keys and the index of each one's text; only what is used."""
    at = np.searchsorted(keys, wanted)
    here = np.flatnonzero(at < len(keys))
    here = here[keys[at[here]] == wanted[here]]
    used, codes = np.unique(which[at[here]], return_inverse=True)
    found = np.full(len(wanted), -1, np.int32)
    found[here] = codes
    return Codes(found, [texts[i] for i in used.tolist()])


@cache
def indirect_table(chip: str) -> IndirectTable:
    """Return the table of a chip; read once."""
    return IndirectTable(chip)
