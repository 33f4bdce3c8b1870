"""How two dumps of a kind of device are compared: what each register and each column of a table is, and what it may do.

A decoder says it with a classmethod ``comparison_rules(chip)`` that returns :class:`ComparisonRules`; one that does not is
compared by the rules below: every register is configuration, and parts of the dump are compared as bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from vmcoredd_lab.tables import Table

__all__ = ["ColumnRule", "ComparisonRules", "Field", "Rule", "View"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value is, and what may be expected of it.

    kind: config, status, counter, pointer, timestamp, data
    policy: equal; must_be_explained; increase (64 bits), increase32; varies; compare; ignore (it differs by nature);
        per_card, per_boot, host, driver_state (it differs with that)
    """

    kind: str = "config"
    policy: str = "equal"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a register: its bits are ``(value >> lsb) & (2**width - 1)``."""

    name: str
    lsb: int
    width: int

    def of(self, word: int) -> int:
        """Return the field's value in a register's value."""
        return (word >> self.lsb) & ((1 << self.width) - 1)


@dataclass(frozen=True)
class ColumnRule:
    """The rule of the columns whose names match, in the rows whose cells match.

    ``kind`` may also be ``derived`` (follows from others: not compared) and ``words`` (the rows are registers); a policy
    ``raw`` is for words whose fields are columns of their own: compared where no field differs.
    """

    column: re.Pattern[str]
    rule: Rule
    rows: tuple[tuple[str, re.Pattern[str]], ...] = ()

    def holds(self, cells: Callable[[str], Any]) -> bool:
        """Return whether it is the rule in a row whose cells are given by name."""
        return all((text := cells(name)) is not None and pattern.fullmatch(str(text)) for name, pattern in self.rows)


@dataclass(frozen=True)
class View:
    """A table to compare row by row: entity, which view of it, the columns that name a row, the rules of the others."""

    entity: str
    view: str = ""
    key: tuple[str, ...] = ()
    rules: tuple[ColumnRule, ...] = field(default_factory=tuple)

    @property
    def name(self) -> str:
        """``entity``, or ``entity.view``."""
        return f"{self.entity}.{self.view}" if self.view else self.entity

    @property
    def of_words(self) -> bool:
        """True where the rows are registers."""
        return any(rule.rule.kind == "words" for rule in self.rules)


class ComparisonRules:
    """The rules for one kind of device; those for one of which nothing is known."""

    across_chips: frozenset[str] = frozenset()  # entities that mean the same on every chip
    also_bytes: frozenset[str] = frozenset()  # entities whose rows name only part of their content

    @property
    def views(self) -> Sequence[View]:
        """The tables that are compared row by row; what else the dump holds is compared as bytes."""
        return ()

    def register(self, block: str | None, register: str) -> Rule:
        """Return the rule of a register."""
        return Rule()

    def indirect(self, entity: str, register: str) -> Rule:
        """Return the rule of a register that a table of an entity holds."""
        return Rule("status", "ignore")

    def register_field(self, register: str, name: str) -> Rule | None:
        """Return the rule of a field that is not as its register is."""
        return None

    def fields(self, register: str) -> Sequence[Field]:
        """Return the fields of a register, highest bits first."""
        return []

    def meaning(self, register: str, lsb: int) -> str:
        """Return what a bit of a register says where it is set; empty where that is not known."""
        return ""

    def counter(self, name: str) -> tuple[str, str]:
        """Return what a counter is called by ethtool, and what it counts: bytes, count, error, ...; empty where unknown."""
        return "", ""

    def statuses(self, nic: Any) -> Table:
        """Return what was collected: number, name, and status, sys_err, sys_warn where the device has the like."""
        table: Table = nic.entities_table()
        return table

    def table(self, nic: Any, view: View) -> Table:
        """Return the table of a view."""
        table: Table = nic.entity_table(view.entity)
        return table
