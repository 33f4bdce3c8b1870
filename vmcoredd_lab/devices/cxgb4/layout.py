"""How an entity's bytes fall into arrays of structures, and back: the one declaration behind decoding and encoding.

A :class:`Layout` is a list of parts. Splitting makes views of the bytes, nothing is copied; whatever no part takes is
the part ``rest``. Joining the parts gives the same bytes, and so does joining what :func:`to_table` and
:func:`from_table` made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vmcoredd_lab.structs import ByteOrder, Struct
from vmcoredd_lab.tables import Column, Schema, Table

__all__ = ["REST", "Layout", "Part", "Parts", "columns_of", "from_table", "to_table"]

Array = np.ndarray[Any, Any]
Parts = dict[str, Array]
REST = "rest"


@dataclass(frozen=True)
class Part:
    """One array of structures.

    ``count`` is a number, a function of the parts before it, or None: as many as the bytes hold. ``byteorder`` is given
    where it is not the host's (``big`` for what the device wrote).
    """

    name: str
    struct: Struct
    count: int | Callable[[Parts], int] | None = 1
    byteorder: ByteOrder | None = None

    def dtype(self, host: ByteOrder) -> np.dtype[np.void]:
        """Return the dtype of one element on a host of that byte order."""
        return self.struct.dtype(self.byteorder or host)


@dataclass(frozen=True)
class Layout:
    """The parts of an entity in file order."""

    parts: tuple[Part, ...]

    def split(self, data: bytes | memoryview, host: ByteOrder) -> Parts:
        """Return an array (a view of ``data``) for each part, and what remains as bytes under ``rest``.

        A part of which the bytes hold less than its count comes back shorter; counts in the data are never believed
        beyond the data.
        """
        found: Parts = {}
        position = 0
        for part in self.parts:
            dtype = part.dtype(host)
            room = (len(data) - position) // dtype.itemsize
            wanted = part.count(found) if callable(part.count) else part.count
            count = room if wanted is None else max(0, min(wanted, room))
            found[part.name] = np.frombuffer(data, dtype, count, position) if count else np.zeros(0, dtype)
            position += count * dtype.itemsize
        found[REST] = np.frombuffer(data, np.uint8, offset=position) if position < len(data) else np.zeros(0, np.uint8)
        return found

    def join(self, parts: Mapping[str, Array]) -> bytes:
        """Return the bytes that the parts came from."""
        names = [*(part.name for part in self.parts), REST]
        return b"".join(np.ascontiguousarray(parts[name]).tobytes() for name in names if name in parts)

    def offset(self, name: str, parts: Parts) -> int:
        """Return where a part begins in the entity."""
        position = 0
        for part in self.parts:
            if part.name == name:
                return position
            position += parts[part.name].nbytes
        return position

    def tables(self, parts: Parts) -> dict[str, Table]:
        """Return each part as a table of its members; ``rest`` with them where it is not empty."""
        found = {part.name: to_table(parts[part.name], part.struct) for part in self.parts}
        if parts[REST].size:
            found[REST] = to_table(parts[REST].view([("byte", "u1")]), _BYTES)
        return found

    def arrays(self, tables: Mapping[str, Any], host: ByteOrder) -> Parts:
        """Return the parts that tables or DataFrames of members stand for; the way back from :meth:`tables`."""
        found = {part.name: from_table(tables[part.name], part.dtype(host)) for part in self.parts}
        found[REST] = (
            from_table(tables[REST], np.dtype([("byte", "u1")])).view(np.uint8)
            if REST in tables
            else np.zeros(0, np.uint8)
        )
        return found


def _leaves(dtype: np.dtype[Any], prefix: str = "") -> list[tuple[str, tuple[Any, ...], np.dtype[Any]]]:
    """Return (column, path of names and indexes, dtype) of every number in a structure; byte arrays stay whole."""
    found: list[tuple[str, tuple[Any, ...], np.dtype[Any]]] = []
    for name in dtype.names or ():
        base, shape = dtype[name].base, dtype[name].shape
        label = f"{prefix}{name}"
        places = [("".join(f"[{i}]" for i in index), index) for index in np.ndindex(shape)] if shape else [("", ())]
        if base.names:
            for mark, index in places:
                found += [(c, (name, *index, *path), d) for c, path, d in _leaves(base, f"{label}{mark}.")]
        elif shape and base == np.uint8:
            found.append((label, (name,), dtype[name]))
        elif shape:
            found += [(label + mark, (name, *index), base) for mark, index in places]
        else:
            found.append((label, (name,), base))
    return found


def columns_of(dtype: np.dtype[Any]) -> list[str]:
    """Return the columns that a structure has in :func:`to_table`."""
    return [label for label, _, _ in _leaves(dtype)]


def _reach(array: Array, path: tuple[Any, ...]) -> Array:
    for step in path:
        array = array[step] if isinstance(step, str) else array[:, step]
    return array


def to_table(array: Array, struct: Struct) -> Table:
    """Return an array of structures as a table: a column for each number: ``name``, ``name[0]`` in an array, ``name.inner``
    in a structure within; byte arrays are hexadecimal text."""
    columns: dict[str, Any] = {}
    described = []
    for label, path, dtype in _leaves(array.dtype):
        values = _reach(array, path)
        if dtype.shape:
            described.append(Column(label, "text", f"{dtype.shape[0]} bytes"))
            columns[label] = [row.tobytes().hex() for row in values]
        else:
            kind = "i64" if dtype.kind == "i" else "u64"
            described.append(Column(label, kind, f"{dtype.itemsize * 8} bits"))
            columns[label] = values.astype(np.int64 if kind == "i64" else np.uint64)
    return Table(Schema(struct.name, f"{struct.name}, {struct.source}", tuple(described)), columns)


def from_table(table: Any, dtype: np.dtype[Any]) -> Array:
    """Return the array of structures that a table (or DataFrame) of its members stands for.

    Raises
    ------
    KeyError: a member's column is missing.
    ValueError: a value does not fit its member.
    """
    columns = table.columns if isinstance(table, Table) else table
    array = np.zeros(len(table), dtype)
    for label, path, base in _leaves(dtype):
        values = columns[label]
        target = _reach(array, path)
        if base.shape:
            for row, text in enumerate(values):
                raw = bytes.fromhex(text)
                if len(raw) != base.shape[0]:
                    raise ValueError(f"{label}: {len(raw)} bytes where {base.shape[0]} belong")
                target[row] = np.frombuffer(raw, np.uint8)
            continue
        numbers = np.asarray(values, dtype=np.int64 if base.kind == "i" else np.uint64)
        limits = np.iinfo(base)
        if len(numbers) and (int(numbers.max()) > limits.max or int(numbers.min()) < limits.min):
            raise ValueError(f"{label}: a value does not fit {base.itemsize * 8} bits")
        target[...] = numbers
    return array


_BYTES = Struct("bytes", "what no structure takes", ())
