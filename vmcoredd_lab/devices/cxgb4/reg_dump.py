"""REG_DUMP, entity 1: the BAR0 registers that t4_get_regs() reads (drivers/net/ethernet/chelsio/cxgb4/t4_hw.c).

The payload is an array of 32-bit words in host byte order; the register at address A is at byte A. Words outside the
collected ranges are zero in the payload and are no rows here.
"""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.framing import Decoded
from vmcoredd_lab.devices.cxgb4.register_table import RegisterTable, parse_fields
from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.structs import ByteOrder
from vmcoredd_lab.tables import Column, Schema, Table

__all__ = ["COUNTERS", "FIELDS", "REGISTERS", "RegDump"]

_INSTANCE = Column(
    "instance", "i64", "which of the registers of this name, counted from 0 by address; missing where single"
)
_SCOPE = Column(
    "scope",
    "category",
    "the port, PCI function or memory that the address belongs to, e.g. port 1; else missing",
)

REGISTERS = Schema(
    "registers",
    "One row per collected 32-bit word, by address (REG_DUMP, t4_get_regs() in t4_hw.c).",
    (
        Column("block", "category", "hardware block; missing where the word has no name"),
        Column("register", "category", "the first name that the register table has for the address"),
        _INSTANCE,
        _SCOPE,
        Column("address", "u64", "byte address in BAR0, and byte offset in the decoded entity", "hex"),
        Column("value", "u64", "32 bits; missing where the bytes are damaged or cut off", "hex"),
        Column("aliases", "text", "other names of the same address, blank-separated"),
    ),
)

COUNTERS = Schema(
    "counters",
    "64-bit values that the hardware splits over a register ending in _L and one ending in _H.",
    (
        Column("register", "category", "the common part of the two names"),
        _INSTANCE,
        _SCOPE,
        Column("address", "u64", "address of the _L register", "hex"),
        Column("value", "u64", "64 bits; missing where one of the words is"),
    ),
)

FIELDS = Schema(
    "fields",
    "The fields of one register, highest bits first; of each instance in turn.",
    (
        Column("address", "u64", "byte address in BAR0", "hex"),
        _INSTANCE,
        Column("field", "text", "the field's name; the register's own where it has no fields"),
        Column("lsb", "u32", "lowest bit"),
        Column("width", "u32", "bits"),
        Column("value", "u64", "missing where the word is damaged or cut off", "hex"),
    ),
)


class RegDump:
    """The collected words of one adapter, joined to the register table of its chip."""

    def __init__(self, decoded: Decoded, byteorder: ByteOrder, table: RegisterTable, path: str) -> None:
        self.table = table
        self._path = path
        data = decoded.data
        words = np.frombuffer(data, "<u4" if byteorder == "little" else ">u4", len(data) // 4).astype(np.uint32)
        last = int(table.addresses[-1]) // 4 + 1
        missing = np.zeros(max(last, len(words)), bool)
        missing[len(words) :] = True
        for start, end in decoded.damaged:
            missing[start // 4 : -(-end // 4)] = True
        if len(words) < last:
            words = np.concatenate([words, np.zeros(last - len(words), np.uint32)])
        at = table.addresses // 4
        self.values: Any = words[at]
        self.missing: Any = missing[at]

    def _masked(self, values: Any, missing: Any) -> Any:
        return np.ma.array(values, mask=missing) if missing.any() else values

    def registers(self) -> Table:
        """Return :data:`REGISTERS`."""
        t = self.table
        return Table(
            REGISTERS,
            {
                "block": t.blocks,
                "register": t.registers,
                "instance": t.instances,
                "scope": t.scopes,
                "address": t.addresses.astype(np.uint64),
                "value": self._masked(self.values.astype(np.uint64), self.missing),
                "aliases": t.aliases,
            },
        )

    def counters(self) -> Table:
        """Return :data:`COUNTERS`."""
        from vmcoredd_lab.tables import Codes

        t, pairs = self.table, self.table.counters
        low = np.concatenate([p[2] for p in pairs])
        high = np.concatenate([p[3] for p in pairs])
        counts = [len(p[2]) for p in pairs]
        total = np.array([len(t.instances_of(p[0] + "_L")) for p in pairs])
        single = np.repeat(total == 1, counts)
        values = self.values[high].astype(np.uint64) << np.uint64(32) | self.values[low]
        return Table(
            COUNTERS,
            {
                "register": Codes(np.repeat(np.arange(len(pairs)), counts).astype(np.int32), [p[0] for p in pairs]),
                "instance": np.ma.array(np.concatenate([p[1] for p in pairs]), mask=single),
                "scope": Codes(t.scopes.codes[low], t.scopes.categories),
                "address": t.addresses[low].astype(np.uint64),
                "value": self._masked(values, self.missing[low] | self.missing[high]),
            },
        )

    def value(self, address: int) -> int | None:
        """Return the word at an address; None where it was not collected or is damaged."""
        at = self.table.position(address)
        return None if at is None or self.missing[at] else int(self.values[at])

    def register(self, name: str) -> Table:
        """Return :data:`FIELDS` of every collected instance of a register.

        Raises
        ------
        NotInFileError: the chip has no register of that name, or the driver collects none of its instances.
        """
        found = self.table.find(name)
        if found is None:
            close = difflib.get_close_matches(name.upper(), list(self.table.by_name), 3, 0.7)
            raise NotInFileError(
                f"{self.table.chip} has no register {name!a}", path=self._path,
                hint=f"did you mean {' or '.join(close)}?" if close else "the registers command lists them",
            )  # fmt: skip
        rows: list[tuple[Any, ...]] = []
        instances = self.table.instances_of(found)
        for index, (address, text) in enumerate(instances):
            at = self.table.position(address)
            if at is None:
                continue
            word = None if self.missing[at] else int(self.values[at])
            number = index if len(instances) > 1 else None
            fields = parse_fields(text)
            if not fields:
                rows.append((address, number, found, 0, 32, word))
            rows += [(address, number, f.name, f.lsb, f.width, None if word is None else f.of(word)) for f in fields]
        if not rows:
            raise NotInFileError(
                f"the driver does not collect {found}", path=self._path,
                expected="an address in the ranges of t4_get_regs()", got=", ".join(f"{a:#x}" for a, _ in instances[:4]),
                hint="reading such registers has side effects or needs an index; they are in no dump",
            )  # fmt: skip
        return Table.from_rows(FIELDS, rows)
