"""Rules from a table: a row declares one, its condition as text or the name of a function for what a condition cannot say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

from vmcoredd_lab.rules.condition import Condition, Operand, Touched
from vmcoredd_lab.rules.model import CONFIDENCES, SEVERITIES, Evidence, Match, NotEvaluableError, Rule

__all__ = ["Case", "DeclaredRule", "declared_rules", "evidence_of", "severity_of", "with_labels"]

EVIDENCE = 64  # places shown of one finding; a rule can hold for every connection of an adapter
_PLACE = re.compile(r"\{([A-Za-z_][\w.]*)\}")


class Case(Protocol):
    """What declared rules are evaluated over.

    kind: what ``chips`` of a rule is compared with, e.g. ``T6``
    late: true where the state was collected in the capture kernel, after the crash
    """

    @property
    def kind(self) -> str:
        """What the rule's ``chips`` are compared with."""

    @property
    def late(self) -> bool:
        """Whether the capture kernel collected the state."""

    def resolve(self, name: str) -> Operand:
        """Return an operand by name; raises NotEvaluableError where what it needs is not there."""


@dataclass(frozen=True)
class DeclaredRule:
    """A row of a table of rules.

    chips: where it applies, blank-separated; empty: everywhere
    needs: what must be there, blank-separated
    condition: for which instances it holds; ``@name`` a function that finds matches; empty: it cannot be evaluated
    severity: ``warning``, or with exceptions that are tried in turn: ``warning; error if X > 5; info if X == 1``
    late: the severity in a dump made in the capture kernel, where that is another
    why_not: why it cannot be evaluated
    """

    id: str
    chips: str
    needs: str
    condition: str
    severity: str
    late: str
    confidence: str
    rank: int
    title: str
    explanation: str
    next_step: str
    evidence: str
    why_not: str

    @classmethod
    def from_row(cls, row: Mapping[str, str]) -> DeclaredRule:
        """Return the rule that a row of the table declares."""
        return cls(**{**row, "rank": int(row["rank"])})  # type: ignore[arg-type]

    @cached_property
    def base_severity(self) -> str:
        """The severity where no exception holds."""
        return self.severity.split(";")[0].strip()

    @cached_property
    def exceptions(self) -> list[tuple[str, Condition]]:
        """The exceptions of the severity: severity and condition, in the order in which they are tried."""
        found = []
        for part in self.severity.split(";")[1:]:
            severity, _, condition = part.strip().partition(" if ")
            found.append((severity, Condition(condition)))
        return found

    @cached_property
    def conditions(self) -> list[Condition]:
        """The condition and those of the exceptions; of a rule with a function only the latter."""
        own = [Condition(self.condition)] if self.condition and not self.condition.startswith("@") else []
        return own + [condition for _, condition in self.exceptions]

    def check(self) -> None:
        """Raise ValueError where the row does not make a rule."""
        severities = [self.base_severity, *(s for s, _ in self.exceptions), *filter(None, [self.late])]
        if not set(severities) <= set(SEVERITIES) or self.confidence not in CONFIDENCES:
            raise ValueError(f"{self.id}: severity {self.severity!r}, confidence {self.confidence!r}")
        if bool(self.condition) == bool(self.why_not):
            raise ValueError(f"{self.id}: either a condition or why there is none")


def declared_rules(
    rows: Iterable[Mapping[str, str]], functions: Mapping[str, Callable[[Any, DeclaredRule], Iterable[Match]]]
) -> list[Rule]:
    """Return the rules that a table declares; ``functions`` are what its conditions call by ``@name``."""
    rules = []
    for row in rows:
        one = DeclaredRule.from_row(row)
        one.check()
        function = functions[one.condition[1:]] if one.condition.startswith("@") else None
        rules.append(Rule(
            one.id, _PLACE.sub("...", one.title), one.base_severity, one.explanation, one.next_step, tuple(one.needs.split()),
            one.evidence, partial(_find, one, function), one.confidence, one.rank, one.chips,
        ))  # fmt: skip
    return rules


def _find(
    rule: DeclaredRule, function: Callable[[Any, DeclaredRule], Iterable[Match]] | None, case: Case
) -> Iterable[Match]:
    if rule.why_not:
        raise NotEvaluableError(rule.why_not)
    if rule.chips and case.kind not in rule.chips.split():
        raise NotEvaluableError(f"it is for {' and '.join(rule.chips.split())} only; this is a {case.kind}")
    if function is not None:
        return function(case, rule)
    return _matches(rule, case)


def _matches(rule: DeclaredRule, case: Case) -> Iterable[Match]:
    """Return one match for each severity that occurs among the instances for which the condition holds."""
    held = Condition(rule.condition).evaluate(case.resolve)
    if not held:
        return []
    groups: dict[str, list[Touched]] = {}
    graded = severity_of(rule, case)
    for instance, touched in held:
        groups.setdefault(graded(instance), []).append(touched)
    return [
        Match(
            evidence_of([t for touched in group for t in touched]),
            title=with_labels(_filled(rule.title, group[0], case, len(group)), [_label(touched) for touched in group]),
            severity=severity, value=_value(group[0]),
        )
        for severity, group in groups.items()
    ]  # fmt: skip


def severity_of(rule: DeclaredRule, case: Case) -> Callable[[int], str]:
    """Return which severity an instance has."""
    tried: list[tuple[str, bool, set[int]]] = []
    for severity, condition in rule.exceptions:
        try:
            held = {i for i, _ in condition.evaluate(case.resolve)}
        except NotEvaluableError:
            continue
        single = condition.size(case.resolve) == 1
        tried.append((severity, single and bool(held), held))

    def of(instance: int) -> str:
        for severity, everywhere, held in tried:
            if everywhere or instance in held:
                return severity
        return rule.late if rule.late and case.late else rule.base_severity

    return of


def _filled(title: str, touched: Touched, case: Case, count: int) -> str:
    """Return a title with the names in braces replaced by values: of the instance that matched, where it has them."""
    known = {operand.name: operand.text(i) for operand, i in reversed(touched)}

    def text(match: re.Match[str]) -> str:
        name = match[1]
        if name == "count":
            return f"{count:,}"
        if name not in known:
            try:
                operand = case.resolve(name)
            except NotEvaluableError:
                return "?"
            instance = touched[0][1] if touched and len(operand.values) > 1 else 0
            known[name] = operand.text(instance)
        return known[name]

    return _PLACE.sub(text, title)


def _value(touched: Touched) -> str | None:
    return touched[0][0].text(touched[0][1]) if touched else None


def _label(touched: Touched) -> str:
    return next((operand.labels[i] for operand, i in touched if operand.labels and operand.labels[i]), "")


def with_labels(title: str, labels: Sequence[str]) -> str:
    """Return a title with what it is about, e.g. ``... (port 0, port 1)``; of many the first and how many more."""
    shown = list(dict.fromkeys(label for label in labels if label))
    if not shown:
        return title
    more = f" and {len(shown) - 3} more" if len(shown) > 4 else ""
    return f"{title} ({', '.join(shown[:3] if more else shown)}{more})"


def evidence_of(touched: Touched) -> tuple[Evidence, ...]:
    """Return the bytes behind operands, each place once, in their order; at most :data:`EVIDENCE`."""
    found: dict[tuple[str, int, int], Evidence] = {}
    for operand, instance in touched:
        one = operand.evidence(instance)
        found.setdefault((one.space, one.offset, one.length), one)
        if len(found) == EVIDENCE:
            break
    return tuple(found.values())
