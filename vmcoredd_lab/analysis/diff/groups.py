"""Differences as people read them: by device and class, rows of one register or entity together, long runs shortened."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from vmcoredd_lab.analysis.diff.rows import CLASSES
from vmcoredd_lab.tables import Table

__all__ = ["Group", "Section", "sections"]


@dataclass(frozen=True)
class Group:
    """Rows of one register or entity: those shown, and how many more there are."""

    what: str
    block: str | None
    rows: list[dict[str, Any]]
    more: int


@dataclass(frozen=True)
class Section:
    """The differences of one class in one device; ``dump`` is None where only one was compared."""

    dump: str | None
    kind: str
    title: str
    count: int
    groups: list[Group]


def sections(table: Table, shown: int = 6) -> list[Section]:
    """Return the table's rows by device and class; of one register or entity at most ``shown`` rows, 0: all."""
    found = []
    records = table.records()
    for (dump, kind), rows in groupby(records, key=lambda r: (r.get("dump"), r["class"])):
        listed = list(rows)
        groups = []
        for what, of_one in groupby(listed, key=lambda r: r["what"]):
            all_of = list(of_one)
            kept = all_of[:shown] if shown and len(all_of) > shown + 1 else all_of
            groups.append(Group(what, all_of[0]["block"], kept, len(all_of) - len(kept)))
        found.append(Section(dump, kind, CLASSES[kind], len(listed), groups))
    return found
