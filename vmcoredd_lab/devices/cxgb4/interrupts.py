"""Interrupt-cause registers that are not zero, bit by bit, with what each bit means (data file interrupts.csv)."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.reg_dump import RegDump
from vmcoredd_lab.devices.cxgb4.register_table import Field, parse_fields
from vmcoredd_lab.tables import Column, Schema, Table

__all__ = ["INTERRUPTS", "NAMELESS", "interrupt_causes", "sources"]

NAMELESS = "(no name)"

INTERRUPTS = Schema(
    "interrupt_causes",
    "Interrupt-cause registers that are not zero; one row per field that is set.",
    (
        Column("block", "category", "hardware block", rank=6),
        Column("register", "category", "cause register"),
        Column("instance", "i64", "which of the registers of this name; missing where single", rank=7),
        Column("scope", "category", "port, PCI function or memory; else missing", rank=1),
        Column("address", "u64", "byte address in BAR0", "hex", rank=4),
        Column("register_value", "u64", "the whole register", "hex", rank=3),
        Column("field", "text", "the field that is set"),
        Column("lsb", "u32", "its lowest bit", rank=2),
        Column("value", "u64", "its value", "hex", rank=5),
        Column("driver_fatal", "bool", "true where cxgb4 stops the adapter when this bit's interrupt comes"),
        Column(
            "enabled",
            "bool",
            "whether the interrupt was enabled for this bit; missing where that is not known",
        ),
        Column("meaning", "text", "what the bit says"),
        Column(
            "kind",
            "category",
            "parity, ecc_ue, ecc_ce, protocol, timeout, access, event, summary (of others), ...",
            rank=1,
        ),
        Column("severity", "category", "what it means where its interrupt is enabled; missing where not known", rank=1),
    ),
)


@cache
def _bits(chip: str) -> dict[str, dict[int, dict[str, str]]]:
    found: dict[str, dict[int, dict[str, str]]] = defaultdict(dict)
    for row in read_table("interrupts.csv"):
        if row["lsb"] and chip in row["chips"].split():
            found[row["cause_register"]][int(row["lsb"])] = row
    return found


def interrupt_causes(dump: RegDump) -> Table:
    """Return :data:`INTERRUPTS`, in order of address and then from the highest bit down."""
    table, known = dump.table, _bits(dump.table.chip)
    wanted = np.array([name in known or name.endswith("_INT_CAUSE") for name in table.registers.categories] + [False])
    rows: list[tuple[Any, ...]] = []
    for at in np.flatnonzero(wanted[table.registers.codes] & (dump.values != 0) & ~dump.missing).tolist():
        name = table.registers.categories[table.registers.codes[at]]
        block = table.blocks.categories[table.blocks.codes[at]]
        address, word = int(table.addresses[at]), int(dump.values[at])
        instance = table.instances[at]
        scope = int(table.scopes.codes[at])
        text = dict(table.instances_of(name))[address]
        for field in _fields(name, text, word):
            value = field.of(word)
            if not value:
                continue
            fact = known.get(name, {}).get(field.lsb) or _nameless(known.get(name, {}), field)
            rows.append((
                block, name, None if instance is np.ma.masked else int(instance),
                table.scopes.categories[scope] if scope >= 0 else None, address, word, field.name, field.lsb, value,
                bool(fact and fact["driver_fatal"] == "1"), _enabled(dump, fact, address, name),
                fact["meaning"] if fact else None, fact["class"] if fact else None, fact["severity"] if fact else None,
            ))  # fmt: skip
    return Table.from_rows(INTERRUPTS, rows)


def _nameless(facts: dict[int, dict[str, str]], field: Field) -> dict[str, str] | None:
    """Return what is known of a bit without a name: the enable register, which all bits of a cause register share."""
    if field.name != NAMELESS or not facts:
        return None
    like = dict.fromkeys(next(iter(facts.values())), "")
    enables = {fact["enable_register"] for fact in facts.values()}
    return like | {"enable_register": enables.pop() if len(enables) == 1 else "", "lsb": str(field.lsb), "severity": "warning",
                   "class": "other", "meaning": "a bit without a name"}  # fmt: skip


def _fields(name: str, text: str, word: int) -> list[Field]:
    """Return the register's fields, and a nameless one for each run of set bits outside them: no bit is passed over."""
    fields = parse_fields(text)
    if not fields:
        return [Field(name, 0, 32)]
    rest = word
    for field in fields:
        rest &= ~(((1 << field.width) - 1) << field.lsb)
    while rest:
        lowest = (rest & -rest).bit_length() - 1
        width = (~(rest >> lowest) & -~(rest >> lowest)).bit_length() - 1
        fields.append(Field(NAMELESS, lowest, width))
        rest &= ~(((1 << width) - 1) << lowest)
    return sorted(fields, key=lambda f: -f.lsb)


def _enabled(dump: RegDump, fact: dict[str, str] | None, address: int, name: str) -> bool | None:
    """Return whether the bit is set in the enable register of the same instance; None where there is none."""
    enable = fact["enable_register"] if fact else ""
    if not fact or enable not in dump.table.by_name:
        return None
    causes = [a for a, _ in dump.table.instances_of(name)]
    enables = [a for a, _ in dump.table.instances_of(enable)]
    if len(causes) != len(enables):
        return None
    word = dump.value(enables[causes.index(address)])
    return None if word is None else bool(word >> int(fact["lsb"]) & 1)


@cache
def sources(chip: str) -> dict[str, list[str]]:
    """Return, for each bit that stands for others (``PL_INT_CAUSE.SGE``), the cause registers below it."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, facts in _bits(chip).items():
        for parent in {fact["parent"] for fact in facts.values()}:
            found[parent].append(name)
    return found
