"""How two cxgb4 dumps are compared.

Data files: ``diff_registers.csv`` (registers by block and name, the first line that matches counts), ``diff_fields.csv``
(fields that are not as their register is), ``diff_entities.csv`` (the rows of entities: what names a row, what each column
is), ``port_stats.csv`` (what ethtool -S calls the counters; t4_get_port_stats() and its like, t4_hw.c), ``interrupts.csv``.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import cache, cached_property
from typing import Any

import numpy as np

from vmcoredd_lab.devices.comparison import ColumnRule, ComparisonRules, Rule, View
from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.firmware import PCIE_FW_FIELDS
from vmcoredd_lab.devices.cxgb4.indirect_table import indirect_table
from vmcoredd_lab.devices.cxgb4.register_table import CHIPS, Field, parse_fields, register_table
from vmcoredd_lab.tables import Column, Schema, Table

__all__ = ["Cxgb4Rules", "comparison_rules"]

STATUSES = Schema(
    "statuses",
    "The entities that the driver attempted, by number.",
    (
        Column("number", "u32", "enum cudbg_dbg_entity_type"),
        Column("name", "text", "the entity"),
        Column("status", "i64", "hdr_flags: 0, or a negative code"),
        Column("sys_err", "i64", "the cause where status is -29"),
        Column("sys_warn", "i64", "-41: the data are partial"),
    ),
)

_Line = tuple[str, str, str, Rule]


@cache
def _registers() -> list[_Line]:
    return [
        (row["scope"], row["block"], row["name"], Rule(row["class"], row["policy"], row["note"]))
        for row in read_table("diff_registers.csv")
    ]


@cache
def _fields() -> list[tuple[str, str, Rule]]:
    return [
        (row["register"], row["field"], Rule(row["class"], row["policy"], row["note"]))
        for row in read_table("diff_fields.csv")
    ]


@cache
def _views() -> tuple[View, ...]:
    found: dict[tuple[str, str], tuple[tuple[str, ...], list[ColumnRule]]] = {}
    for row in read_table("diff_entities.csv"):
        _, rules = found.setdefault((row["entity"], row["view"]), (tuple(row["key"].split()), []))
        rows = tuple(
            (name, re.compile(pattern))
            for name, _, pattern in (part.partition("=") for part in filter(None, row["rows"].split(";")))
        )
        rule = Rule(row["class"], row["policy"], row["note"])
        rules.append(ColumnRule(re.compile(row["column"]), rule, rows))
    return tuple(View(entity, view, key, tuple(rules)) for (entity, view), (key, rules) in found.items())


@cache
def _counters() -> dict[tuple[str, str], tuple[str, str]]:
    return {
        (chip, row["register"]): (row["ethtool_name"], row["kind"])
        for row in read_table("port_stats.csv")
        for chip in row["chips"].split()
    }


class Cxgb4Rules(ComparisonRules):
    """The rules for a T4, T5 or T6."""

    across_chips = frozenset({"vpd_data", "path_mtu", "cctrl", "clk", "tid_info", "hw_sched", "rss"})
    also_bytes = frozenset({"qdesc", "flash"})

    def __init__(self, chip: str) -> None:
        self.chip = chip
        self._rules: dict[tuple[str, str, str], Rule] = {}

    @property
    def views(self) -> tuple[View, ...]:
        """The tables that are compared row by row."""
        return _views()

    def register(self, block: str | None, register: str) -> Rule:
        """Return the rule of a register in BAR0."""
        return self._rule("register", block or "", register)

    def indirect(self, entity: str, register: str) -> Rule:
        """Return the rule of a register behind an index register."""
        return self._rule("indirect", entity, register)

    def _rule(self, scope: str, block: str, register: str) -> Rule:
        asked = (scope, block, register)
        if asked not in self._rules:
            self._rules[asked] = next(
                rule
                for of, blocks, name, rule in _registers()
                if of == scope and fnmatchcase(block, blocks) and re.search(name, register)
            )
        return self._rules[asked]

    def register_field(self, register: str, name: str) -> Rule | None:
        """Return the rule of a field that is not as its register is."""
        return next((rule for of, field, rule in _fields() if re.search(of, register) and re.search(field, name)), None)

    def fields(self, register: str) -> list[Field]:
        """Return the fields of a register, in BAR0 or behind an index register."""
        if register == "PCIE_FW":
            return list(PCIE_FW_FIELDS)
        if self.chip in CHIPS and register in register_table(self.chip).by_name:
            return parse_fields(register_table(self.chip).by_name[register][0].fields)
        indirect = indirect_table(self.chip).find(register)
        return parse_fields(indirect.fields_text) if indirect is not None else []

    @cached_property
    def _meanings(self) -> dict[tuple[str, int], str]:
        return {
            (row["cause_register"], int(row["lsb"])): row["meaning"]
            for row in read_table("interrupts.csv")
            if row["lsb"] and self.chip in row["chips"].split()
        }

    def meaning(self, register: str, lsb: int) -> str:
        """Return what a bit of an interrupt-cause register says."""
        return self._meanings.get((register, lsb), "")

    def counter(self, name: str) -> tuple[str, str]:
        """Return ethtool's name of a port's or buffer group's counter, and what it counts."""
        return _counters().get((self.chip, name), ("", ""))

    def statuses(self, nic: Any) -> Table:
        """Return the status of every entity from the headers, without decoding one."""
        entities = sorted(nic.container.entities.values(), key=lambda e: e.number)
        return Table.from_rows(STATUSES, ((e.number, e.name, e.status, e.sys_err, e.sys_warn) for e in entities))

    def table(self, nic: Any, view: View) -> Table:
        """Return the table of a view: SGE contexts and PCIe configuration with their fields, else the entity's own."""
        if view.entity == "dump_context":
            table: Table = nic.contexts_table(view.view)
            return table
        if view.entity == "pcie_config":
            return _pcie_config(nic)
        return super().table(nic, view)


def _pcie_config(nic: Any) -> Table:
    """Return the fields of the PCIe configuration registers, each with the place of its register."""
    words: Table = nic.entity_table("pcie_config")
    fields: Table = nic.pcie_config_fields_table()
    if words.spans is not None:
        place = dict(zip(words.values("offset"), words.spans.tolist(), strict=True))
        fields.spans = np.array([place[offset] for offset in fields.values("offset")], np.int64).reshape(-1, 2)
    return fields


@cache
def comparison_rules(chip: str) -> Cxgb4Rules:
    """Return the rules for a chip; made once."""
    return Cxgb4Rules(chip)
