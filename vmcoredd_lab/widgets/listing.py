"""The tables of a post-mortem, as the explorer lists them: rows as text, filtered and ordered, each with its bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from vmcoredd_lab.cells import cell
from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.notes.table import NOTES
from vmcoredd_lab.tables import Column, Table
from vmcoredd_lab.widgets.goto import Place
from vmcoredd_lab.widgets.space_set import SpaceSet

__all__ = ["Listing", "listings"]

LONGEST_CELL = 400  # characters of a cell that travel
HIDDEN = {"notes": {"desc_size"}, "registers": {"aliases"}}

Where = Callable[[Table, int], Place | None]


@dataclass
class Listing:
    """One table: made when it is first looked at.

    name, title: for the page; ``make`` gives the table, ``where`` the bytes of a row, ``order`` the rows in the order in which
    people want to see them, ``detail`` more on a row as pairs of text.
    """

    name: str
    title: str
    make: Callable[[], Table]
    where: Where = lambda table, row: None
    order: Callable[[Table], Any] | None = None
    detail: Callable[[Table, int], list[tuple[str, str]]] = lambda table, row: []
    _texts: dict[str, list[str]] = field(default_factory=dict)

    @cached_property
    def table(self) -> Table:
        """The table, in the order shown."""
        table = self.make()
        return table if self.order is None or not len(table) else table.take(np.asarray(self.order(table)))

    @property
    def columns(self) -> Sequence[Column]:
        """The columns shown: those that say something."""
        hidden = HIDDEN.get(self.name, set())
        table = self.table
        return [
            c
            for c in table.schema.columns
            if c.name not in hidden and any(v is not None for v in table.values(c.name)[:5000])
        ]

    def texts(self, column: Column) -> list[str]:
        """Return a column as people read it."""
        if column.name not in self._texts:
            self._texts[column.name] = [cell(column, v) for v in self.table.values(column.name)]
        return self._texts[column.name]

    @cached_property
    def _lines(self) -> list[str]:
        return ["\n".join(row).lower() for row in zip(*(self.texts(c) for c in self.columns), strict=True)]

    def filtered(self, words: str, column: str | None = None, down: bool = False) -> list[int]:
        """Return the rows that hold every word of a filter, in the order of a column where one is named."""
        wanted = words.lower().split()
        rows = (
            [i for i, line in enumerate(self._lines) if all(w in line for w in wanted)]
            if wanted
            else list(range(len(self.table)))
        )
        if column in self.table.schema.names:
            values = self.table.values(str(column))
            rows.sort(key=lambda i: (values[i] is None, values[i] if values[i] is not None else 0), reverse=down)
        return rows

    def cells(self, rows: Sequence[int]) -> list[list[str]]:
        """Return the texts of rows, long ones cut."""
        columns = [self.texts(c) for c in self.columns]
        return [[t[i] if len(t[i]) <= LONGEST_CELL else t[i][:LONGEST_CELL] + "…" for t in columns] for i in rows]


def listings(spaces: SpaceSet, diagnosis: Callable[[], Table] | None = None) -> list[Listing]:
    """Return the tables that an opened file has: findings, notes, device dumps, and of each dump entities, registers, log."""
    found: list[Listing] = []
    core = spaces.core
    if diagnosis is not None:
        found.append(Listing("findings", "Findings", diagnosis, _of_finding))
    if core is not None:
        found.append(Listing("notes", "Notes", core.notes_table, _of_note))
    if spaces.dumps:
        found.append(Listing("dumps", "Device dumps", lambda: _dumps(spaces), _of_dump))
    for dump in spaces.dumps:
        if dump.decoder is None:
            continue
        try:
            nic = dump.decode()
        except VmcoreddLabError:
            continue
        label = dump.device or dump.name
        key = f"entity:{dump.name}"
        if hasattr(nic, "entities_table"):
            found.append(
                Listing(f"entities:{dump.name}", f"{label} entities", nic.entities_table, _of_entity(dump.name))
            )
        if hasattr(nic, "registers_table"):
            found.append(Listing(f"registers:{dump.name}", f"{label} registers", nic.registers_table, _of_register(f"{key}/reg_dump"),
                                 _causes_first(nic), _fields_of(nic)))  # fmt: skip
        if hasattr(nic, "firmware_log_table"):
            found.append(
                Listing(
                    f"firmware_log:{dump.name}",
                    f"{label} firmware log",
                    nic.firmware_log_table,
                    _of_span(f"{key}/dev_log"),
                )
            )
    if core is not None and hasattr(core, "dmesg_table"):
        found.append(Listing("dmesg", "Kernel log", core.dmesg_table, _of_span("physical")))
    if core is not None and hasattr(core, "cpus_table"):
        found.append(Listing("cpus", "CPUs", core.cpus_table))
    return found


def _dumps(spaces: SpaceSet) -> Table:
    from vmcoredd_lab.devices.dump import DEVICE_DUMPS

    return Table.from_rows(DEVICE_DUMPS, (dump.row() for dump in spaces.dumps))


def _of_finding(table: Table, row: int) -> Place | None:
    values = {name: table.values(name)[row] for name in ("space", "offset", "length", "title")}
    if values["space"] is None or values["offset"] is None:
        return None
    return Place(values["space"], int(values["offset"]), int(values["length"] or 1), values["title"])


def _of_note(table: Table, row: int) -> Place | None:
    offset, size = (int(table.values(n)[row]) for n in ("desc_offset", "desc_size"))
    assert table.schema is NOTES or table.schema.name == NOTES.name
    return Place("file", offset, max(1, size), str(table.values("owner")[row]))


def _of_dump(table: Table, row: int) -> Place | None:
    return Place(f"dump:{table.values('name')[row]}", 0, 1, str(table.values("name")[row]))


def _of_entity(dump: str) -> Where:
    def where(table: Table, row: int) -> Place | None:
        name = table.values("name")[row]
        if table.values("stored_size")[row]:
            return Place(f"entity:{dump}/{name}", 0, 1, name)
        return None

    return where


def _of_register(key: str) -> Where:
    def where(table: Table, row: int) -> Place | None:
        return Place(key, int(table.values("address")[row]), 4, str(table.values("register")[row] or ""))

    return where


def _of_span(key: str) -> Where:
    def where(table: Table, row: int) -> Place | None:
        if table.spans is None:
            return None
        start, end = (int(v) for v in np.asarray(table.spans)[row])
        return Place(key, start, end - start, "") if 0 <= start < end else None

    return where


def _causes_first(nic: Any) -> Callable[[Table], Any]:
    """Return the order of registers: interrupt causes that are not zero, then others that are not, then zeros."""

    def order(table: Table) -> Any:
        try:
            causes = set(nic.interrupt_causes_table().values("address"))
        except VmcoreddLabError:
            causes = set()
        addresses, values = table.values("address"), table.values("value")
        rank = [0 if a in causes else 1 if v else 2 for a, v in zip(addresses, values, strict=True)]
        return np.argsort(np.array(rank), kind="stable")

    return order


def _fields_of(nic: Any) -> Callable[[Table, int], list[tuple[str, str]]]:
    def detail(table: Table, row: int) -> list[tuple[str, str]]:
        name, address = table.values("register")[row], table.values("address")[row]
        if name is None:
            return []
        fields = nic.register_table(name)
        told = []
        for record in fields.records():
            if record["address"] == address and record["value"] is not None:
                top = record["lsb"] + record["width"] - 1
                place = f"[{top}:{record['lsb']}]" if record["width"] > 1 else f"[{top}]"
                told.append((f"{record['field']} {place}", f"{record['value']:#x} ({record['value']})"))
        return told

    return detail
