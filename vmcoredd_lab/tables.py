"""Tables of plain columns with one declared schema each: what every frame is made from, and what runs without pandas.

A :class:`Table` holds columns as NumPy arrays (integers, with a mask where values are missing), lists of text, or codes
into a short list of texts. :func:`Table.records` gives JSON-ready rows; :func:`vmcoredd_lab.frames.to_frame` makes the
DataFrame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Codes", "Column", "Schema", "Table"]

_INTEGERS = {"u64": np.uint64, "u32": np.uint32, "i64": np.int64, "i32": np.int32, "datetime": np.int64}


@dataclass(frozen=True)
class Column:
    """A column: name, kind (u64, u32, i64, i32, bool, text, category, datetime), what it holds, and how a person reads it.

    A ``datetime`` is held as nanoseconds since 1970, UTC, and given as ISO 8601 text. ``form`` and ``rank`` are for tables on
    a screen only: ``hex``, ``size`` (bytes with separators), ``seconds`` (of nanoseconds) or empty; and which columns go
    first where the screen is narrow: the highest rank, never 0.
    """

    name: str
    kind: str
    doc: str
    form: str = ""
    rank: int = 0


@dataclass(frozen=True)
class Schema:
    """The name, meaning and columns of one kind of table; of a log, whose end matters most, ``tail`` is set."""

    name: str
    doc: str
    columns: tuple[Column, ...]
    tail: bool = False

    def column(self, name: str) -> Column:
        """Return the column of that name."""
        return next(c for c in self.columns if c.name == name)

    @property
    def names(self) -> list[str]:
        """The column names in order."""
        return [c.name for c in self.columns]

    def with_first(self, column: Column) -> Schema:
        """Return the schema with one more column in front."""
        return Schema(self.name, self.doc, (column, *self.columns), self.tail)


@dataclass(frozen=True)
class Codes:
    """A text column with few distinct values: integer codes into ``categories``; -1 is missing."""

    codes: np.ndarray[Any, Any]
    categories: Sequence[str]

    def __len__(self) -> int:
        return len(self.codes)

    def texts(self) -> list[str | None]:
        """Return one text (or None) per row."""
        names = [*self.categories, None]
        return [names[code] for code in self.codes.tolist()]


def _iso(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else f"{np.datetime64(nanoseconds, 'ns')}Z"


@dataclass
class Table:
    """Columns under a schema, all of one length.

    ``attrs`` goes into the frame's attrs; ``attrs["note"]`` is what a reader must know of the data. ``spans`` says where
    each row comes from: an array of (first byte, end) in the decoded entity.
    """

    schema: Schema
    columns: dict[str, Any]
    attrs: dict[str, Any] = field(default_factory=dict)
    spans: np.ndarray[Any, Any] | None = None

    @classmethod
    def from_rows(cls, schema: Schema, rows: Iterable[Sequence[Any]]) -> Table:
        """Build a table from rows of Python values; None is missing."""
        cells = list(rows)
        columns: dict[str, Any] = {}
        for i, column in enumerate(schema.columns):
            values = [row[i] for row in cells]
            dtype = _INTEGERS.get(column.kind)
            if dtype is None:
                columns[column.name] = values
                continue
            missing = [v is None for v in values]
            array = np.array([0 if v is None else v for v in values], dtype)
            columns[column.name] = np.ma.array(array, mask=missing) if any(missing) else array
        return cls(schema, columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def values(self, name: str) -> list[Any]:
        """Return one column as Python values, None where missing."""
        column = self.columns[name]
        if isinstance(column, Codes):
            return column.texts()
        if isinstance(column, np.ndarray):  # masked arrays give None
            listed: list[Any] = column.tolist()
            return [_iso(v) for v in listed] if self.schema.column(name).kind == "datetime" else listed
        return list(column)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Iterate over the rows as tuples in schema order."""
        return zip(*(self.values(name) for name in self.schema.names), strict=True)

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries of JSON-ready values: integers exact, missing None."""
        names = self.schema.names
        return [dict(zip(names, row, strict=True)) for row in self.rows()]

    def take(self, rows: np.ndarray[Any, Any] | slice) -> Table:
        """Return the rows chosen by a slice, an index array or a boolean mask."""

        def pick(column: Any) -> Any:
            if isinstance(column, Codes):
                return Codes(column.codes[rows], column.categories)
            if isinstance(column, np.ndarray):
                return column[rows]
            if isinstance(rows, slice):
                return column[rows]
            chosen = np.flatnonzero(rows) if rows.dtype == bool else rows
            return [column[i] for i in chosen.tolist()]

        spans = None if self.spans is None else self.spans[rows]
        return Table(self.schema, {n: pick(self.columns[n]) for n in self.schema.names}, dict(self.attrs), spans)

    def limited(self, rows: int) -> Table:
        """Return at most that many rows: the first, or of a log the last; all where ``rows`` is 0."""
        if not rows or len(self) <= rows:
            return self
        return self.take(slice(len(self) - rows, None) if self.schema.tail else slice(0, rows))

    def with_first(self, column: Column, value: Any) -> Table:
        """Return the table with one more column in front, the same value in each row."""
        return Table(
            self.schema.with_first(column),
            {column.name: [value] * len(self), **self.columns},
            dict(self.attrs),
        )

    @staticmethod
    def concat(tables: Sequence[Table]) -> Table:
        """Return the rows of several tables as one; columns that a table lacks are missing in its rows."""
        first = tables[0]
        if len(tables) == 1:
            return first
        columns: dict[str, Column] = {}
        for table in tables:
            for column in table.schema.columns:
                columns.setdefault(column.name, column)
        schema = Schema(first.schema.name, first.schema.doc, tuple(columns.values()), first.schema.tail)
        records = (record for table in tables for record in table.records())
        joined = Table.from_rows(schema, ([record.get(name) for name in columns] for record in records))
        notes = dict.fromkeys(str(table.attrs["note"]) for table in tables if table.attrs.get("note"))
        if notes:
            joined.attrs["note"] = " ".join(notes)
        return joined
