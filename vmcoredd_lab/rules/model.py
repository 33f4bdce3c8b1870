"""A rule, what it matches, and the finding that comes of it: small frozen records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.text import escape

__all__ = [
    "CONFIDENCES",
    "SEVERITIES",
    "Evidence",
    "Finding",
    "Match",
    "NotEvaluableError",
    "Rule",
    "Skipped",
    "apply",
    "worse",
]

SEVERITIES = ("critical", "error", "warning", "info")
CONFIDENCES = ("high", "medium", "low")
TITLE = 120  # characters of a title: one line


class NotEvaluableError(Exception):
    """A rule lacks what it needs; the text says what. It never leaves the evaluation: it becomes a skipped rule."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Bytes that prove a finding.

    space: ``file``, ``dump:NAME``, ``entity:DUMP/ENTITY`` (its decoded bytes), or ``physical`` (memory)
    offset, length: where they are in it
    text: what they say, e.g. ``SGE_INT_CAUSE1 = 0x400``
    """

    space: str
    offset: int
    length: int
    text: str


@dataclass(frozen=True, slots=True)
class Match:
    """That a rule holds: the evidence, and whatever of the rule's declaration is different this time.

    ``value`` is the number that decided; ``rank`` as in :class:`Rule`; ``device`` where a rule of the kernel is about one.
    """

    evidence: tuple[Evidence, ...]
    title: str | None = None
    severity: str | None = None
    confidence: str | None = None
    explanation: str | None = None
    next_step: str | None = None
    value: str | None = None
    rank: int | None = None
    device: str | None = None


@dataclass(frozen=True)
class Rule:
    """One thing that can be wrong.

    id: what it is known by; never reused for anything else
    title: one line; a match may say it more exactly
    severity: critical, error, warning or info, where a match does not say otherwise
    explanation: what it means
    next_step: what to look at or do next
    needs: what must be there: entities of a device dump, ``dmesg``
    evidence: which bytes prove it, in words
    confidence: high, medium or low: how sure it is that a match means what the title says
    rank: place in the chain of causes among findings of one severity; what comes first explains what follows
    find: gives the matches in a case (a device dump as its decoder has it, or a vmcore's kernel)
    about: which chips, where the rule is not for all
    """

    id: str
    title: str
    severity: str
    explanation: str
    next_step: str
    needs: tuple[str, ...]
    evidence: str
    find: Callable[[Any], Iterable[Match]] = field(repr=False)
    confidence: str = "high"
    rank: int = 500
    about: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that holds, of one device or of the kernel (``device`` None)."""

    rule: str
    severity: str
    confidence: str
    title: str
    evidence: tuple[Evidence, ...]
    device: str | None
    explanation: str
    next_step: str
    value: str | None
    rank: int

    @property
    def order(self) -> tuple[int, int, int]:
        """Worst first; inside a severity causes before consequences, then what is surer."""
        return SEVERITIES.index(self.severity), self.rank, CONFIDENCES.index(self.confidence)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A rule that could not be evaluated, of one device or of the kernel, and why."""

    rule: str
    device: str | None
    reason: str


def apply(rules: Iterable[Rule], case: Any, device: str | None) -> tuple[list[Finding], list[Skipped]]:
    """Evaluate rules over a case; what lacks what it needs is skipped, with the reason."""
    findings: list[Finding] = []
    skipped: list[Skipped] = []
    for rule in rules:
        try:
            matches = list(rule.find(case))
        except NotEvaluableError as error:
            skipped.append(Skipped(rule.id, device, escape(str(error))))
            continue
        except VmcoreddLabError as error:
            skipped.append(Skipped(rule.id, device, escape(error.message)))
            continue
        findings += [_finding(rule, match, device) for match in matches]
    return findings, skipped


def _finding(rule: Rule, match: Match, device: str | None) -> Finding:
    return Finding(
        rule.id, match.severity or rule.severity, match.confidence or rule.confidence, one_line(match.title or rule.title),
        match.evidence, match.device or device, match.explanation or rule.explanation, match.next_step or rule.next_step,
        match.value,
        rule.rank if match.rank is None else match.rank,
    )  # fmt: skip


def one_line(text: str, limit: int = TITLE) -> str:
    """Return text as a title: printable, one line, cut with dots where it is too long."""
    line = " ".join(escape(text, lines=True).split())
    return line if len(line) <= limit else line[: limit - 3].rstrip() + "..."


def worse(one: str, other: str) -> str:
    """Return the graver of two severities."""
    return min(one, other, key=SEVERITIES.index)
