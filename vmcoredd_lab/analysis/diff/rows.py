"""The table of differences: its columns, its order, and what collects its rows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from vmcoredd_lab.devices.comparison import Rule
from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import escape, plural

__all__ = ["CLASSES", "DIFFERENCES", "Difference", "Differences", "Wanted"]

# In the order of the table, and what a reader may take each for.
CLASSES = {
    "config": "configuration: should be equal",
    "status": "status: states, error latches, what was collected",
    "counter": "counters",
    "log": "messages of the firmware and commands of the driver, by shape",
    "identity": "what belongs to the card",
    "environment": "what the host, the boot or the driver sets",
    "pointer": "pointers and fill levels: they move",
    "data": "samples, traces and memory images: they differ by nature",
    "timestamp": "clocks",
}

DIFFERENCES = Schema(
    "differences",
    "What differs between two dumps A and B, configuration first.",
    (
        Column("class", "category", ", ".join(CLASSES)),
        Column("block", "category", "hardware block of a register; else missing", rank=8),
        Column("what", "text", "the register, entity or log that differs"),
        Column("key", "text", "which of them: the instance and port, or the row by its natural key"),
        Column("field", "text", "the field or column that differs; of a summary how much of it"),
        Column("a", "text", "value in A, as a person reads it; missing where A has none"),
        Column("b", "text", "value in B"),
        Column("delta", "i64", "of a counter B - A, its wrap considered; of other numbers missing"),
        Column("policy", "category", "what is expected: equal, must_be_explained, increase, per_boot, ...", rank=7),
        Column("note", "text", "what it means"),
        Column("value_a", "u64", "value in A where it is a number", "hex", rank=9),
        Column("value_b", "u64", "value in B where it is a number", "hex", rank=9),
        Column("entity", "category", "the entity that the offsets are in; missing where there is no one place", rank=10),
        Column("where_a", "u64", "offset in A's decoded entity", "hex", rank=10),
        Column("where_b", "u64", "offset in B's decoded entity", "hex", rank=10),
    ),
)  # fmt: skip

_ENVIRONMENT = ("per_boot", "host", "driver_state", "driver", "clock")


@dataclass(frozen=True, slots=True)
class Difference:
    """One row; values are numbers, text, or None where the side has none."""

    kind: str
    what: str
    a: Any
    b: Any
    key: str | None = None
    field: str | None = None
    policy: str = "equal"
    block: str | None = None
    delta: int | None = None
    note: str = ""
    entity: str | None = None
    where_a: int | None = None
    where_b: int | None = None
    form: str = ""  # "hex" or "bits": how numbers are written

    def cells(self) -> tuple[Any, ...]:
        """Return the row in the order of :data:`DIFFERENCES`."""
        return (
            self.kind, self.block, self.what, self.key, self.field, _text(self.a, self.form), _text(self.b, self.form),
            self.delta, self.policy, self.note or None, _number(self.a), _number(self.b), self.entity, self.where_a,
            self.where_b,
        )  # fmt: skip


def _text(value: Any, form: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:#x}" if form == "hex" and value > 9 else f"{value:,}" if form == "count" else str(value)
    return escape(str(value))


def _number(value: Any) -> int | None:
    number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 64
    return value if number else None


class Wanted:
    """Which differences are asked for: globs of class, block, entity, register or log."""

    def __init__(self, only: Iterable[str], ignore: Iterable[str]) -> None:
        self.only = [glob.lower() for glob in only]
        self.ignore = [glob.lower() for glob in ignore]

    @property
    def some(self) -> bool:
        """True where not everything is asked for."""
        return bool(self.only or self.ignore)

    def __call__(self, *names: str | None) -> bool:
        """Return whether something of these names is asked for."""
        lower = [name.lower() for name in names if name]
        if self.only and not self._any(self.only, lower):
            return False
        return not self._any(self.ignore, lower)

    @property
    def whole_classes(self) -> bool:
        """True where nothing is chosen but whole classes, so that no name of what differs decides."""
        return not self.ignore and all(glob in CLASSES for glob in self.only)

    def may_have(self, kind: str) -> bool:
        """Return False where no difference of a class is asked for, whatever its names are."""
        return not (self.only and self.whole_classes) or kind in self.only

    @staticmethod
    def _any(globs: list[str], names: list[str]) -> bool:
        return any(fnmatchcase(name, glob) for glob in globs for name in names)

    def check(self, known: Iterable[str]) -> None:
        """Compare the globs with all names there are.

        Raises
        ------
        UsageError: one of them matches nothing.
        """
        names = sorted({name.lower() for name in known if name})
        for glob in [*self.only, *self.ignore]:
            if not self._any([glob], names):
                close = difflib.get_close_matches(glob, names, 3, 0.6)
                raise UsageError(
                    f"nothing is named {escape(glob)}", expected="a class, block, entity or register, or a glob of such names",
                    hint=f"did you mean {' or '.join(close)}?" if close else f"classes are {', '.join(CLASSES)}",
                )  # fmt: skip


class Differences:
    """Rows as they are found. With ``detail`` nothing is summarised."""

    def __init__(self, wanted: Wanted, *, same_card: bool, detail: bool = False) -> None:
        self.wanted, self.same_card, self.detail = wanted, same_card, detail
        self.rows: list[Difference] = []

    def place(self, rule: Rule) -> str:
        """Return the class of a difference under a rule."""
        if rule.kind != "config":
            return rule.kind
        if rule.policy == "per_card":
            return "config" if self.same_card else "identity"
        return "environment" if rule.policy in _ENVIRONMENT else "config"

    def summarised(self, rule: Rule) -> bool:
        """Return whether differences under a rule are counted and not listed."""
        if self.detail or rule.kind == "config":
            return False
        return rule.kind in ("pointer", "data", "timestamp") or rule.policy in ("ignore", "per_boot")

    def add(self, row: Difference) -> None:
        """Take a row where it is asked for."""
        if self.wanted(row.kind, row.block, row.entity, row.what):
            self.rows.append(row)

    def add_summary(self, row: Difference, names: Iterable[str], total: int, thing: str) -> None:
        """Take a row that stands for several differences: ``names`` of those that differ, among ``total``."""
        listed = list(names)
        kept = [name for name in listed if self.wanted(row.kind, row.block, row.entity, row.what, name)]
        if not kept:
            return
        unlike = list(dict.fromkeys(kept))
        told = ", ".join(unlike[:3]) + (f" and {len(unlike) - 3:,} more" if len(unlike) > 3 else "")
        count = f"{len(kept):,} of {plural(total, thing)}"
        self.rows.append(replace(row, field=row.field or count, note="; ".join(filter(None, [told, row.note]))))

    def table(self) -> Table:
        """Return the rows in the order of their classes; within a class as they were found, what is bad first."""
        order = {kind: i for i, kind in enumerate(CLASSES)}
        first = {"must_be_explained": 0}
        rows = sorted(self.rows, key=lambda r: (order[r.kind], first.get(r.policy, 1)))
        return Table.from_rows(DIFFERENCES, (row.cells() for row in rows))
