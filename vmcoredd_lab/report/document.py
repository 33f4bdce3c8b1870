"""The document: what a report says, whatever it is rendered to. Plain values only, ready for JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = [
    "SCHEMA",
    "Adapter",
    "Cpus",
    "Differences",
    "Document",
    "Finding",
    "Highlight",
    "Records",
    "Registers",
    "Timeline",
]

SCHEMA = "vmcoredd-lab/report/1"

Records = list[dict[str, Any]]


@dataclass(frozen=True)
class Highlight:
    """A fact that stands out: severity (critical, error, warning, info), one line, and the part of the report it is from."""

    severity: str
    text: str
    anchor: str


@dataclass(frozen=True)
class Finding:
    """What is wrong, with the places that prove it.

    Each has space, offset, length, text, the first bytes as ``hex``, the lines around it as ``excerpt`` from
    ``excerpt_offset``, and ``anchor``: the part of the report that shows it.
    """

    rule: str
    severity: str
    confidence: str
    title: str
    device: str | None
    explanation: str
    next_step: str
    evidence: Records
    places: int


@dataclass(frozen=True)
class Registers:
    """Every register that was collected: ``rows`` of the values of ``columns``; addresses and values are integers."""

    columns: list[str]
    rows: list[list[Any]]


@dataclass(frozen=True)
class Adapter:
    """One device: identity, and the tables a decoder gives.

    A table is None where it could not be had; then the reason is given, unless devices of the kind have no such table.
    ``unreachable`` is true where reads did not reach the device, so that its registers say nothing.
    """

    index: int
    name: str
    driver: str | None
    device: str | None
    identity: dict[str, str]
    highlights: list[Highlight]
    entities: Records | None
    firmware_log: Records | None
    firmware_log_missing: str | None
    interrupt_causes: Records | None
    interrupt_causes_missing: str | None
    unreachable: bool = False
    registers: Registers | None = None


@dataclass(frozen=True)
class Cpus:
    """The CPUs when the machine crashed: ``rows`` with every register, ``telling`` and ``registers`` their columns.

    ``telling`` are the columns that say most. ``stacks`` is None where there is no vmlinux to unwind them with; then
    ``stacks_missing`` says what it would add and where it is to be had.
    """

    rows: Records
    telling: list[str]
    registers: list[str]
    left_out: int
    stacks: Records | None
    stacks_missing: str | None


@dataclass(frozen=True)
class Timeline:
    """Events of all sources as ``vmcoredd-lab timeline`` has them, the last of them; what is known of each clock."""

    events: Records
    left_out: int
    clocks: dict[str, str]
    missing: dict[str, str]


@dataclass(frozen=True)
class Differences:
    """What differs between two devices of one vmcore; ``sections`` by class, long runs shortened."""

    a: str
    b: str
    note: str | None
    sections: Records


@dataclass(frozen=True)
class Document:
    """A report on one file."""

    title: str
    date: str
    generator: str
    vmcore: dict[str, Any]
    findings: list[Finding]
    rules_skipped: int
    signature: str | None
    device_dumps: Records
    adapters: list[Adapter]
    notes: Records
    segments: Records
    segments_left_out: int
    problems: Records
    kernel_log: Records = field(default_factory=list)
    kernel_log_left_out: int = 0
    cpus: Cpus | None = None
    timeline: Timeline | None = None
    differences: list[Differences] = field(default_factory=list)
    redacted: bool = False
    schema: str = field(default=SCHEMA)

    def as_dict(self) -> dict[str, Any]:
        """Return the document as dictionaries and lists, the schema's name first."""
        plain = asdict(self)
        return {"schema": plain.pop("schema"), **plain}
