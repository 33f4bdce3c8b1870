"""What is wrong with a file that can be read all the same: rows, not exceptions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vmcoredd_lab.tables import Column, Schema, Table

__all__ = ["PROBLEMS", "Problem", "Problems"]

PROBLEMS = Schema(
    "problems",
    "What is wrong in the file, one row each; empty for a sound file.",
    (
        Column(
            "severity",
            "text",
            "error: the file is damaged; warning: unusual, nothing is lost; info: good to know",
        ),
        Column("where", "text", "the structure concerned: file, segments, notes, or dump:NAME and what is in it"),
        Column(
            "offset",
            "u64",
            "byte offset, in the file or (where it begins with dump:) in that device dump",
            "hex",
        ),
        Column("expected", "text", "what the format or the rest of the file asks for"),
        Column("got", "text", "what was found"),
        Column("message", "text", "what it means and what was done about it"),
    ),
)

SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where it is, what was expected there, what was found."""

    severity: str
    where: str
    offset: int | None
    expected: str | None
    got: str | None
    message: str


class Problems:
    """An ordered collection of :class:`Problem`, without repetitions."""

    def __init__(self, *parts: Problems) -> None:
        self._rows: dict[Problem, None] = {}
        for part in parts:
            self._rows.update(part._rows)

    def add(
        self,
        severity: str,
        where: str,
        message: str,
        *,
        offset: int | None = None,
        expected: str | None = None,
        got: str | None = None,
    ) -> None:
        """Record one problem; the same one again is recorded once."""
        assert severity in SEVERITIES, severity
        self._rows[Problem(severity, where, offset, expected, got, message)] = None

    def error(self, where: str, message: str, *, offset: int | None = None, expected: str | None = None,
              got: str | None = None) -> None:  # fmt: skip
        """Record damage: something in the file is lost or contradicts itself."""
        self.add("error", where, message, offset=offset, expected=expected, got=got)

    def warning(self, where: str, message: str, *, offset: int | None = None, expected: str | None = None,
                got: str | None = None) -> None:  # fmt: skip
        """Record something unusual that loses nothing."""
        self.add("warning", where, message, offset=offset, expected=expected, got=got)

    def extend(self, others: Problems) -> None:
        """Record others' too."""
        self._rows.update(others._rows)

    @property
    def damaged(self) -> bool:
        """True when one of the problems is an error."""
        return any(row.severity == "error" for row in self._rows)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def table(self) -> Table:
        """Return the problems, errors first, as a table."""
        rows = sorted(self, key=lambda p: SEVERITIES.index(p.severity))
        return Table.from_rows(PROBLEMS, ((p.severity, p.where, p.offset, p.expected, p.got, p.message) for p in rows))
