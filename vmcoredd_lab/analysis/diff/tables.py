"""Entities of two dumps row by row, by the keys that name their rows; what has no rows as blocks of bytes."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

from vmcoredd_lab.analysis.diff.registers import compare_counter
from vmcoredd_lab.analysis.diff.rows import Difference, Differences
from vmcoredd_lab.devices.comparison import ColumnRule, ComparisonRules, Rule, View
from vmcoredd_lab.tables import Table

__all__ = ["compare_rows"]

_EQUAL = Rule()
_WIDTH = {"increase32": 32, "increase": 64}


def compare_rows(
    a: Table, b: Table, view: View, rules: ComparisonRules, found: Differences, expected: frozenset[str]
) -> None:
    """Add what differs between two tables of a view.

    ``expected`` are policies under which a difference is of the dumps' making (``clock``, ``driver``), not of configuration.
    """
    _Rows(a, b, view, rules, found, expected).compare()


class _Side:
    """A table with its rows by key; of rows with the same key the first stays the first."""

    def __init__(self, table: Table, key: tuple[str, ...]) -> None:
        self.columns = {name: table.values(name) for name in table.schema.names}
        self.starts = table.spans[:, 0].tolist() if table.spans is not None else [None] * len(table)
        seen: Counter[tuple[Any, ...]] = Counter()
        self.rows: dict[tuple[Any, ...], int] = {}
        for i, cells in enumerate(
            zip(*(self.columns[name] for name in key), strict=True) if key else [()] * len(table)
        ):
            self.rows[*cells, seen[cells]] = i
            seen[cells] += 1


class _Rows:
    def __init__(self, a: Table, b: Table, view: View, rules: ComparisonRules, found: Differences,
                 expected: frozenset[str]) -> None:  # fmt: skip
        self.view, self.rules, self.found, self.expected = view, rules, found, expected
        self.a, self.b = _Side(a, view.key), _Side(b, view.key)
        self.forms = {column.name: column.form for column in a.schema.columns}
        self.compared = [n for n in a.schema.names if n not in view.key and n in self.b.columns]
        self.summaries: dict[Rule, list[Difference]] = defaultdict(list)
        self.ruled = {name: self.rules_of(name) for name in self.compared}

    def compare(self) -> None:
        for key, i in self.a.rows.items():
            j = self.b.rows.get(key)
            if j is None:
                self.one_sided(key, self.a, i, "a")
            else:
                self.row(key, i, j)
        for key, j in self.b.rows.items():
            if key not in self.a.rows:
                self.one_sided(key, self.b, j, "b")
        for rule, rows in self.summaries.items():
            self.summary(rule, rows)

    def rules_of(self, column: str) -> list[tuple[ColumnRule | None, Rule]]:
        """Return the rules that may hold for a column, the last without a condition on the row."""
        found: list[tuple[ColumnRule | None, Rule]] = []
        for one in self.view.rules:
            if one.column.search(column):
                rule = one.rule
                if rule.policy in ("clock", "driver") and rule.policy not in self.expected:
                    rule = replace(rule, policy="equal", note="")
                found.append((one if one.rows else None, rule))
                if not one.rows:
                    return found
        return [*found, (None, _EQUAL)]

    def rule(self, side: _Side, row: int, column: str) -> Rule:
        def cell(name: str) -> Any:
            return side.columns[name][row] if name in side.columns else None

        return next(rule for condition, rule in self.ruled[column] if condition is None or condition.holds(cell))

    def label(self, key: tuple[Any, ...]) -> str | None:
        *cells, again = key
        text = ", ".join(f"{name} {cell}" for name, cell in zip(self.view.key, cells, strict=True) if cell is not None)
        return (f"{text} ({again + 1})" if again else text) or None

    def row(self, key: tuple[Any, ...], i: int, j: int) -> None:
        unlike = [n for n in self.compared if self.a.columns[n][i] != self.b.columns[n][j]]
        if not unlike:
            return
        ruled = [(name, self.rule(self.a, i, name)) for name in unlike]
        raw = [name for name, rule in ruled if rule.policy == "raw"]
        ruled = [(name, rule) for name, rule in ruled if rule.kind != "derived" and rule.policy != "raw"]
        if raw and not ruled:
            self.words(self.label(key), raw, i, j)
        for name, rule in ruled:
            place = {"where_a": self.a.starts[i], "where_b": self.b.starts[j]}
            self.cell(self.label(key), name, self.a.columns[name][i], self.b.columns[name][j], rule, place)

    def words(self, label: str | None, names: list[str], i: int, j: int) -> None:
        """Words of a row that no field explains: one difference for all of them."""

        def text(side: _Side, row: int) -> str:
            return " ".join(f"{side.columns[name][row]:#x}" for name in names)

        explained = [
            r.rule for r in self.view.rules if not r.rows and r.rule.policy != "raw" and r.rule.kind != "derived"
        ]
        usual = explained[-1] if explained else _EQUAL
        self.found.add(Difference(
            self.found.place(usual), self.view.name, text(self.a, i), text(self.b, j), key=label, field=" ".join(names),
            entity=self.view.entity, policy=usual.policy, note=usual.note, where_a=self.a.starts[i], where_b=self.b.starts[j],
        ))  # fmt: skip

    def cell(self, label: str | None, name: str, a: Any, b: Any, rule: Rule, place: dict[str, Any]) -> None:
        row = Difference(
            self.found.place(rule), self.view.name, a, b, key=label, field=name, policy=rule.policy, entity=self.view.entity,
            note=rule.note, form=self.forms[name], **place,
        )  # fmt: skip
        if self.found.summarised(rule):
            self.summaries[rule].append(row)
            return
        if rule.kind == "counter" and isinstance(a, int) and isinstance(b, int):
            bits = _WIDTH.get(rule.policy)
            delta, said = compare_counter(a, b, bits) if bits else (b - a, "")
            row = replace(row, delta=delta, note=said or rule.note, form="count")
        elif rule.policy == "must_be_explained":
            row = replace(row, note="; ".join(filter(None, [rule.note, "must be explained"])))
        self.found.add(row)

    def one_sided(self, key: tuple[Any, ...], side: _Side, i: int, which: str) -> None:
        """A row that one dump has and the other has not, shown by its first values."""
        ruled = [(name, self.rule(side, i, name)) for name in self.compared]
        ruled = [(name, rule) for name, rule in ruled if rule.kind != "derived" and rule.policy != "raw"]
        if not ruled:
            return
        rule = next((r for _, r in ruled if r.kind == "config"), ruled[0][1])
        if rule.policy == "per_card":
            rule = replace(rule, policy="equal")
        shown = [(name, side.columns[name][i]) for name, r in ruled if r.kind == rule.kind]
        text = ", ".join(f"{name} {value}" for name, value in shown if value is not None)
        row = Difference(
            self.found.place(rule), self.view.name, text if which == "a" else None, text if which == "b" else None,
            key=self.label(key), policy=rule.policy, entity=self.view.entity,
            note="; ".join(filter(None, [f"only in {which.upper()}", rule.note])),
            where_a=side.starts[i] if which == "a" else None, where_b=side.starts[i] if which == "b" else None,
        )  # fmt: skip
        if self.found.summarised(rule):
            self.summaries[rule].append(row)
        else:
            self.found.add(row)

    def summary(self, rule: Rule, rows: list[Difference]) -> None:
        names = [row.field or "rows only in one" for row in rows]
        first, keys = rows[0], {row.key for row in rows}
        total = len(self.a.rows.keys() | self.b.rows.keys())
        field = f"{len(keys):,} of {total:,} rows"
        self.found.add_summary(replace(first, a=None, b=None, key=None, field=field), names, total, "row")
