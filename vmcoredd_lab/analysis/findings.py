"""Findings: the rules of the devices' decoders, of the kernel and across both, evaluated over one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vmcoredd_lab.analysis.across import across_rules
from vmcoredd_lab.errors import NotInFileError, UsageError, VmcoreddLabError
from vmcoredd_lab.kernel.log_rules import KernelCase, log_rules
from vmcoredd_lab.progress import progress
from vmcoredd_lab.rules import Finding, Rule, Skipped, apply
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import escape, plural

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FINDINGS", "SKIPPED", "Diagnosis", "diagnose", "read_bytes"]

FINDINGS = Schema(
    "findings",
    "What is wrong, worst first; inside one severity causes before what they explain.",
    (
        Column("rule", "text", "the rule's id (docs/findings.md)"),
        Column("severity", "category", "critical, error, warning, info"),
        Column("confidence", "category", "how sure the rule is of what its title says: high, medium, low", rank=3),
        Column("title", "text", "what is wrong, in one line"),
        Column("evidence", "text", "what the bytes say; of many places the first", rank=5),
        Column(
            "device", "category", "the PCI address; missing where it is about the kernel, or in a bare dump", rank=1
        ),
        Column("space", "text", "file, dump:NAME, entity:DUMP/ENTITY (decoded bytes) or physical (memory)", rank=2),
        Column("offset", "u64", "where in the space the bytes are that prove it", "hex", rank=2),
        Column("length", "u64", "how many", rank=6),
        Column("places", "u32", "how many places prove it; the others are in the finding's evidence", rank=4),
        Column("value", "text", "the value that decided", rank=6),
        Column("explanation", "text", "what it means, and when it is a false alarm", rank=7),
        Column("next_step", "text", "what to look at next", rank=8),
    ),
)

SKIPPED = Schema(
    "skipped_rules",
    "Rules that could not be evaluated.",
    (
        Column("rule", "text", "the rule's id"),
        Column("reason", "text", "what it lacks"),
        Column("device", "category", "the PCI address; missing where it is about the kernel, or in a bare dump"),
    ),
)

SHOWN = 4  # places in the column evidence


@dataclass(frozen=True)
class Diagnosis:
    """The findings of a file, and the rules that could not be evaluated.

    ``findings`` are records with all of their evidence; ``table`` is what the command line and the report show.
    """

    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]

    @cached_property
    def table(self) -> Table:
        """The findings as a table (:data:`FINDINGS`)."""
        return Table.from_rows(FINDINGS, (_row(finding) for finding in self.findings))

    @cached_property
    def skipped_table(self) -> Table:
        """The rules that could not be evaluated as a table (:data:`SKIPPED`)."""
        return Table.from_rows(SKIPPED, ((s.rule, s.reason, s.device) for s in self.skipped))

    @property
    def frame(self) -> pd.DataFrame:
        """The findings as a DataFrame."""
        from vmcoredd_lab.frames import to_frame

        return to_frame(self.table)

    @property
    def skipped_frame(self) -> pd.DataFrame:
        """The rules that could not be evaluated as a DataFrame."""
        from vmcoredd_lab.frames import to_frame

        return to_frame(self.skipped_table)


def _row(finding: Finding) -> tuple[Any, ...]:
    first = finding.evidence[0] if finding.evidence else None
    text = "; ".join(e.text for e in finding.evidence[:SHOWN])
    if len(finding.evidence) > SHOWN:
        text += f"; and {plural(len(finding.evidence) - SHOWN, 'more place')}"
    place = (first.space, first.offset, first.length) if first else (None, None, None)
    return (
        finding.rule, finding.severity, finding.confidence, finding.title, escape(text), finding.device, *place,
        len(finding.evidence), finding.value and escape(finding.value), finding.explanation, finding.next_step,
    )  # fmt: skip


def diagnose(dumps: Sequence[Any], core: Any = None) -> Diagnosis:
    """Return the findings of device dumps, and of the vmcore that they are in."""
    found: list[Finding] = []
    skipped: list[Skipped] = []

    def add(rules: Sequence[Rule], case: Any, device: str | None) -> None:
        findings, left_out = apply(rules, case, device)
        found.extend(findings)
        skipped.extend(left_out)

    with progress("evaluating rules", sum(len(dump.data) for dump in dumps)) as advance:
        for dump in dumps:
            rules = _rules_of(dump)
            if rules is not None:
                add(rules, dump.decode(), _device(dump, len(dumps)))
            advance(len(dump.data))
        if core is not None:
            kernel = KernelCase(core)
            add(log_rules(), kernel, None)
            for dump in dumps:
                if _rules_of(dump) is not None and dump.device:
                    add(across_rules(), (kernel, dump), dump.device)
    return Diagnosis(tuple(sorted(found, key=lambda f: f.order)), tuple(skipped))


def _rules_of(dump: Any) -> Sequence[Rule] | None:
    """Return the rules that a dump's decoder brings; None where no decoder knows it, or it brings none."""
    try:
        rules = getattr(dump.decode(), "rules", None)
    except VmcoreddLabError:
        return None  # recorded among the problems
    return None if rules is None else list(rules())


def _device(dump: Any, count: int) -> str | None:
    return dump.device or (dump.name if not dump.bare or count > 1 else None)


def read_bytes(opened: Any, space: str, offset: int, length: int) -> bytes:
    """Return the bytes that a finding names.

    Parameters
    ----------
    opened: a vmcore, or what has ``device_dumps`` and ``source``
    space: as in :data:`FINDINGS`

    Raises
    ------
    NotInFileError: there is no such dump or entity, or it ends before; the page of memory is not in the file.
    UsageError: no space is called that.
    """
    kind, _, name = space.partition(":")
    if space == "physical":
        return bytes(opened.memory.read(offset, length, space="physical"))
    if kind == "file" and not name:
        data = bytes(opened.source.read(offset, length))
    elif kind == "dump" and name:
        data = bytes(_dump(opened, name).data.read(offset, length))
    elif kind == "entity" and "/" in name:
        dump, _, entity = name.rpartition("/")
        data = bytes(_dump(opened, dump).decode().decoded(entity).data[offset : offset + length])
    else:
        raise UsageError(
            f"no space is called {escape(space)}",
            expected="file, dump:NAME, entity:DUMP/ENTITY or physical",
            got=escape(space),
        )
    if len(data) < length:
        raise NotInFileError(
            f"{escape(space)} ends before {offset + length:#x}", expected=f"{length} bytes", got=str(len(data))
        )
    return data


def _dump(opened: Any, space: str) -> Any:
    for dump in opened.device_dumps:
        if dump.space == space:
            return dump
    return opened.device_dumps[space]


def all_rules() -> dict[str, list[Rule]]:
    """Return every rule that comes with the package, by where it belongs."""
    from vmcoredd_lab.devices.cxgb4.rules import rules

    return {"cxgb4": list(rules()), "kernel": log_rules(), "across": across_rules()}
