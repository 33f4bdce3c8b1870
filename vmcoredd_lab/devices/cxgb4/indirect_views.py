"""What the indirect registers say: the fields of one, TP's counters, the queues that each PCI function was given.

All from the tables of the entities (:mod:`~vmcoredd_lab.devices.cxgb4.entities.indirect`).
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from vmcoredd_lab.devices.cxgb4.indirect_table import Register, indirect_table, space_of
from vmcoredd_lab.devices.cxgb4.reg_dump import FIELDS
from vmcoredd_lab.devices.cxgb4.register_table import Field
from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.tables import Column, Schema, Table

if TYPE_CHECKING:
    from vmcoredd_lab.devices.cxgb4.adapter_registers import RegisterViews

__all__ = [
    "INDIRECT_FIELDS",
    "QUEUE_BASE_MAP",
    "TP_MIB",
    "close_names",
    "indirect_fields",
    "queue_base_map",
    "tp_mib_counters",
]

INDIRECT_FIELDS = Schema(
    "fields",
    "The fields of one indirect register, highest bits first; of each index that bears its name in turn.",
    (
        Column("address", "u64", "the index written to the address register", "hex"),
        *FIELDS.columns[1:],
        Column("register", "text", "the register's name", rank=2),
        Column("address_register", "u64", "the register in BAR0 that the index is written to", "hex", rank=1),
    ),
)

TP_MIB = Schema(
    "tp_mib_counters",
    "TP's counters (TP_MIB in TP_INDIRECT); registers ending in _HI and _LO are joined.",
    (
        Column("register", "text", "the register's name; of two the common part"),
        Column("channel", "i64", "channel or port that the counter is of; missing where it counts for all"),
        Column("address", "u64", "index of the register; of two that of the _LO register", "hex", rank=1),
        Column("bits", "u32", "32 or 64: where the counter wraps", rank=2),
        Column("value", "u64", "missing where its bytes are damaged"),
    ),
)

QUEUE_BASE_MAP = Schema(
    "queue_base_map",
    "Where the queues of each PCI function begin in the SGE (SGE_QBASE_MAP0 to 3, T6; only collected where no port is up).",
    (
        Column("function", "text", "pf 0 to pf 7, vf 0 to vf 255"),
        Column("index", "u32", "SGE_QBASE_INDEX: the PF, or the VF plus 8", rank=1),
        Column("egress0_size", "u32", "Egress0_Size, as the hardware has it (5 bits)"),
        Column("egress1_size", "u32", "Egress1_Size (5 bits)"),
        Column("ingress0_size", "u32", "Ingress0_Size (5 bits)"),
        Column("ingress1_size", "u32", "Ingress1_Size (5 bits)"),
        Column("ingress0_base", "u32", "Ingress0_Base: first queue id"),
        Column("ingress1_base", "u32", "Ingress1_Base: first queue id"),
        Column("map1", "u64", "SGE_QBASE_MAP1 as it is; by its place the base of egress queues 0", "hex", rank=2),
        Column("map2", "u64", "SGE_QBASE_MAP2 as it is; by its place the base of egress queues 1", "hex", rank=2),
    ),
)

_Word = tuple[int, int | None]  # index and value; None where its bytes are damaged


def _words(table: Table, data_register: int) -> list[_Word]:
    """Return index and value of the registers that are read from a data register."""
    if "data_register" not in table.columns:  # of a newer layout: shown as bytes
        return []
    rows = table.take(table.columns["data_register"] == data_register)
    damaged = rows.values("damaged") if "damaged" in rows.columns else [False] * len(rows)
    columns = zip(rows.values("address"), rows.values("value"), damaged, strict=True)
    return [(address, None if bad else value) for address, value, bad in columns]


def _of(register: Register, words: list[_Word]) -> list[_Word]:
    return [(a, v) for a, v in words if register.address <= a < register.address + register.count]


def _value(field: Field, word: int | None) -> int | None:
    return None if word is None else field.of(word)


def close_names(chip: str, name: str) -> list[str]:
    """Return up to three names of indirect registers that are much like a name."""
    return difflib.get_close_matches(name.upper(), [n.upper() for n in indirect_table(chip).known_names], 3, 0.7)


def indirect_fields(nic: RegisterViews, name: str) -> Table | None:
    """Return :data:`INDIRECT_FIELDS` of a register; None where no indirect register of the chip bears the name.

    Raises
    ------
    NotInFileError: the entity that holds the register is not in the dump, or the driver does not read this register.
    """
    register = indirect_table(nic.chip).find(name)
    if register is None:
        return None
    place = space_of(register.space)
    words = _of(register, _words(nic.entity_table(place.entity), place.data_register))
    if not words:
        raise NotInFileError(
            f"the driver does not collect {register.name}", path=nic.dump.source.name,
            expected=f"index {register.address:#x} of {register.space} in {place.entity}",
        )  # fmt: skip
    rows: list[tuple[Any, ...]] = []
    for address, word in words:
        instance = address - register.address if register.count > 1 else None
        rows += [
            (address, instance, f.name, f.lsb, f.width, _value(f, word), register.name, place.address_register)
            for f in register.fields
        ]
    return Table.from_rows(INDIRECT_FIELDS, rows)


def tp_mib_counters(nic: RegisterViews) -> Table:
    """Return :data:`TP_MIB`.

    Raises
    ------
    NotInFileError: TP_INDIRECT is not in the dump.
    """
    known = indirect_table(nic.chip)
    words = dict(_words(nic.entity_table("tp_indirect"), space_of("TP_MIB").data_register))
    rows = []
    for register in known.registers:
        name, address = register.name, register.address
        if register.space != "TP_MIB" or address not in words or name.endswith("_LO"):
            continue
        value, bits = words[address], 32
        if name.endswith("_HI"):
            name, address, bits = name.removesuffix("_HI"), address + 1, 64
            low = words.get(address)
            value = None if low is None or value is None else value << 32 | low
        channel = re.search(r"_(\d)$", name)
        rows.append((name, int(channel[1]) if channel else None, address, bits, value))
    return Table.from_rows(TP_MIB, rows)


def queue_base_map(nic: RegisterViews) -> Table:
    """Return :data:`QUEUE_BASE_MAP`; no rows where the driver did not read it.

    Raises
    ------
    NotInFileError: SGE_INDIRECT is not in the dump.
    """
    known, table = indirect_table(nic.chip), nic.entity_table("sge_indirect")
    cells: dict[int, dict[str, int | None]] = {}
    for number in range(4):
        register = known.find(f"SGE_QBASE_MAP{number}")
        if register is None:
            break
        for index, word in _words(table, space_of(register.space).data_register):
            row = cells.setdefault(index, {f"map{number}": word})
            row[f"map{number}"] = word
            row.update({f.name.lower(): _value(f, word) for f in register.fields})
    names = QUEUE_BASE_MAP.names[2:]
    rows = [
        (f"pf {i}" if i < 8 else f"vf {i - 8}", i, *(row.get(name) for name in names))
        for i, row in sorted(cells.items())
    ]
    return Table.from_rows(QUEUE_BASE_MAP, rows)
