"""The tables of a post-mortem, as the explorer lists them: rows as text, filtered and ordered, each with its bytes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from vmcoredd_lab.cells import cell
from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.notes.table import NOTES
from vmcoredd_lab.tables import Column, Table
from vmcoredd_lab.vmcore import Vmcore
from vmcoredd_lab.widgets.goto import Place
from vmcoredd_lab.widgets.space_set import SpaceSet

__all__ = ["Listing", "listings", "of_bytes", "remembered"]

LONGEST_CELL = 400  # characters of a cell that travel
MOST_ROWS = 400  # a request
KEPT = 16  # choices of rows that are remembered
WIDEST, LOOKED_AT = 44, 2000  # characters of a column before it gives way; rows looked at to know how wide one is
# Columns that only the details of a row show.
ASIDE = {
    "findings": {"space", "offset", "length", "places", "value", "explanation", "next_step"},
    "notes": {"desc_size"},
    "registers": {"aliases", "scope"},
    "dmesg": {"caller", "state", "dictionary"},
}

Key = TypeVar("Key")
Value = TypeVar("Value")
Where = Callable[[Table, int], Place | None]


@dataclass
class Listing:
    """One table: made when it is first looked at.

    name, title: for the page; ``make`` gives the table, ``where`` the bytes of a row, ``order`` the rows in the order in which
    people want to see them, ``detail`` more on a row as pairs of text; ``aside`` are columns that only the details of a row show.
    """

    name: str
    title: str
    make: Callable[[], Table]
    where: Where = lambda table, row: None
    order: Callable[[Table], Any] | None = None
    detail: Callable[[Table, int], list[tuple[str, str]]] = lambda table, row: []
    aside: Collection[str] = ()
    _texts: dict[str, list[str]] = field(default_factory=dict)

    @cached_property
    def table(self) -> Table:
        """The table, in the order shown."""
        table = self.make()
        return table if self.order is None or not len(table) else table.take(np.asarray(self.order(table)))

    @property
    def made(self) -> bool:
        """Whether the table, and the text of its rows, are there already."""
        return "_lines" in self.__dict__

    def prepare(self) -> None:
        """Make the table and the text of its rows, so that showing and filtering them takes no time."""
        self._lines  # noqa: B018

    @property
    def columns(self) -> Sequence[Column]:
        """The columns shown: those that say something and are not only for the details."""
        return [c for c in self.said if c.name not in self.aside]

    @cached_property
    def said(self) -> Sequence[Column]:
        """The columns that say something."""
        table = self.table
        return [c for c in table.schema.columns if any(v is not None for v in table.values(c.name)[:5000])]

    def width(self, column: Column) -> int:
        """Return how many characters a column needs, as far as its first rows tell."""
        longest = max((len(t) for t in self.texts(column)[:LOOKED_AT]), default=0)
        return max(len(column.name) + 2, min(longest, WIDEST), 4)

    def texts(self, column: Column) -> list[str]:
        """Return a column as people read it."""
        if column.name not in self._texts:
            self._texts[column.name] = [cell(column, v) for v in self.table.values(column.name)]
        return self._texts[column.name]

    @cached_property
    def _lines(self) -> list[str]:
        return ["\n".join(row).lower() for row in zip(*(self.texts(c) for c in self.said), strict=True)]

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

    def screen(self, rows: Sequence[int], m: dict[str, Any]) -> dict[str, Any]:
        """Return what a page asks for of rows that were chosen: columns, how many there are, and those ``from`` on, ``count``."""
        start, count = max(0, int(m["from"])), max(0, min(int(m["count"]), MOST_ROWS))
        columns = [[c.name, c.doc, c.kind not in ("text", "category"), self.width(c)] for c in self.columns]
        said = {"name": self.name, "columns": columns, "total": len(rows), "all": len(self.table), "from": start}
        return {**said, "rows": self.cells(rows[start : start + count])}

    def cells(self, rows: Sequence[int]) -> list[list[str]]:
        """Return the texts of rows, long ones cut."""
        columns = [self.texts(c) for c in self.columns]
        return [[t[i] if len(t[i]) <= LONGEST_CELL else t[i][:LONGEST_CELL] + "…" for t in columns] for i in rows]


def remembered(known: dict[Key, Value], key: Key, make: Callable[[], Value]) -> Value:
    """Return what was made for a key, or make it; the oldest is forgotten where more than :data:`KEPT` are known."""
    if key not in known:
        if len(known) >= KEPT:
            known.pop(next(iter(known)))
        known[key] = make()
    return known[key]


def listings(spaces: SpaceSet, diagnosis: Callable[[], Table] | None = None) -> list[Listing]:
    """Return the tables that an opened file has: findings, notes, device dumps, and of each dump entities, registers, log."""
    found: list[Listing] = []
    core = spaces.core
    if diagnosis is not None:
        found.append(Listing("findings", "Findings", diagnosis, of_bytes))
    if core is not None:
        found.append(Listing("notes", "Notes", core.notes_table, _of_note))
    if spaces.dumps:
        found.append(Listing("dumps", "Device dumps", lambda: _dumps(spaces), _of_dump(spaces)))
    for dump in spaces.dumps:
        if dump.decoder is None:
            continue
        try:
            nic = dump.decode()
        except VmcoreddLabError:
            continue
        label = dump.device or dump.name
        key = f"entity:{dump.space}"
        if hasattr(nic, "entities_table"):
            found.append(
                Listing(f"entities:{dump.space}", f"{label} entities", nic.entities_table, _of_entity(dump.space))
            )
        if hasattr(nic, "registers_table"):
            where = _of_register(f"{key}/reg_dump")
            found.append(Listing(f"registers:{dump.space}", f"{label} registers", nic.registers_table, where,
                                 _causes_first(nic), _fields_of(nic)))  # fmt: skip
        if hasattr(nic, "firmware_log_table"):
            found.append(
                Listing(
                    f"firmware_log:{dump.space}",
                    f"{label} firmware log",
                    nic.firmware_log_table,
                    _of_span(f"{key}/dev_log"),
                )
            )
    if core is not None and hasattr(core, "dmesg_table"):
        found.append(Listing("dmesg", "Kernel log", core.dmesg_table, _of_span("physical")))
    if core is not None and hasattr(core, "cpus_table"):
        found.append(Listing("cpus", "CPUs", core.cpus_table, _of_cpu(core)))
    for one in found:
        one.aside = ASIDE.get(one.name.partition(":")[0], ())
    return found


def _dumps(spaces: SpaceSet) -> Table:
    from vmcoredd_lab.devices.dump import DEVICE_DUMPS

    return Table.from_rows(DEVICE_DUMPS, (dump.row() for dump in spaces.dumps))


def of_bytes(table: Table, row: int) -> Place | None:
    """Return the place that the columns space, offset and length name."""
    space, offset, length = (table.values(name)[row] for name in ("space", "offset", "length"))
    return None if space is None or offset is None else Place(space, int(offset), int(length or 1), "")


def _of_note(table: Table, row: int) -> Place | None:
    offset, size = (int(table.values(n)[row]) for n in ("desc_offset", "desc_size"))
    assert table.schema is NOTES or table.schema.name == NOTES.name
    return Place("file", offset, max(1, size), str(table.values("owner")[row]))


def _of_dump(spaces: SpaceSet) -> Where:
    def where(table: Table, row: int) -> Place | None:
        dump = spaces.dumps[row]
        return Place(f"dump:{dump.space}", 0, 1, dump.name)

    return where


def _of_cpu(core: Vmcore) -> Where:
    """Return where the first note of a CPU lies, which holds its registers."""

    def where(table: Table, row: int) -> Place | None:
        notes, cpu = core.notes_table(), table.values("cpu")[row]
        found = next((i for i, of in enumerate(notes.values("cpu")) if of == cpu), None)
        return None if found is None else _of_note(notes, found)

    return where


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
