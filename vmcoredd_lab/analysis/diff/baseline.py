"""A saved baseline: what a comparison needs of one device, as a gzip-compressed JSON file that says its version.

``{"format": "vmcoredd-lab/baseline/1", "driver", "chip", "device", "label", "identity", "missing", "tables": {name: {"name",
"columns": [[name, kind, form], ...], "values": {column: [...]}, "starts": [...]}}, "blocks": {entity: [size, [digest, ...]]}}``.
Numbers are exact; a missing value is null.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vmcoredd_lab.analysis.diff.snapshot import Blocks, DecodedSnapshot, rules_for
from vmcoredd_lab.devices.comparison import View
from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.extract import write_atomically
from vmcoredd_lab.progress import progress
from vmcoredd_lab.tables import Codes, Column, Schema, Table
from vmcoredd_lab.text import escape, human_size

__all__ = ["FORMAT", "Baseline", "is_baseline", "load_baseline", "save_baseline"]

FORMAT = "vmcoredd-lab/baseline/1"
LARGEST = 512 << 20  # bytes of JSON that are read: a device with every table full has a twentieth of it
GZIP = b"\x1f\x8b"
_HEAD = b'{"format": "vmcoredd-lab/baseline/'
# Columns without which a table cannot be compared.
_NEEDED = {
    "entities": ("name",), "registers": ("register", "address", "value"), "firmware log": ("level", "facility", "message"),
    "words": ("data_register", "address", "register", "space", "value"),
}  # fmt: skip
_KINDS = ("u64", "u32", "i64", "i32", "bool", "text", "category")


@dataclass
class Baseline:
    """A saved device as one side of a comparison."""

    label: str
    driver: str
    chip: str
    device: str | None
    identity: dict[str, str]
    missing: dict[str, str]
    tables: dict[str, Table] = field(repr=False)
    images: dict[str, Blocks] = field(repr=False)

    def statuses(self) -> Table | None:
        """Return the entities that were attempted."""
        return self.tables.get("entities")

    def registers(self) -> Table | None:
        """Return the registers."""
        return self.tables.get("registers")

    def log(self) -> Table | None:
        """Return the firmware log."""
        return self.tables.get("firmware log")

    def view(self, view: View) -> Table | None:
        """Return the table of a view; None also where it has not the columns that name its rows."""
        table = self.tables.get(f"view {view.name}")
        needed = _NEEDED["words"] if view.of_words else view.key
        return table if table is not None and set(needed) <= set(table.columns) else None

    def blocks(self, entity: str) -> Blocks | None:
        """Return digests of an entity's decoded bytes."""
        return self.images.get(entity)


def save_baseline(nic: Any, path: Any) -> int:
    """Save what :func:`~vmcoredd_lab.diff` needs of one device, to compare later dumps with; return the file's size.

    >>> nic = vl.open_device_dump("sample_data/ethtool-t6-sge-parity.dump")
    >>> vl.save_baseline(nic, "well.baseline") > 0
    True

    Parameters
    ----------
    nic: a decoded device dump (``dump.decode()``), or a :class:`~vmcoredd_lab.DeviceDump`
    path: where to write; replaced in one step. The same dump gives the same bytes.

    Raises
    ------
    NotInFileError: no decoder knows the content of the dump.
    OutputError: the file could not be written.
    """
    side = DecodedSnapshot(nic.decode() if hasattr(nic, "decode") else nic)
    packed = gzip.compress(json.dumps(_plain(side)).encode(), 6, mtime=0)
    return write_atomically(Path(path), [packed], force=True)


def _plain(side: DecodedSnapshot) -> dict[str, Any]:
    rules = rules_for(side.driver, side.chip)
    tables = {"entities": side.statuses(), "registers": side.registers(), "firmware log": side.log()}
    names = tables["entities"].values("name") if tables["entities"] is not None else []
    with progress("saving the baseline", len(names) + len(rules.views)) as advance:
        for view in rules.views:
            tables[f"view {view.name}"] = side.view(view) if view.entity in names else None
            advance(1)
        blocks = {}
        for name in names:
            blocks[name] = side.blocks(name)
            advance(1)
    return {
        "format": FORMAT,
        "driver": side.driver,
        "chip": side.chip,
        "device": side.device,
        "label": side.label,
        "identity": side.identity,
        "missing": side.missing,
        "tables": {name: _table(table) for name, table in tables.items() if table is not None},
        "blocks": {name: [one.size, list(one.digests)] for name, one in blocks.items() if one is not None},
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "name": table.schema.name,
        "columns": [[column.name, column.kind, column.form] for column in table.schema.columns],
        "values": {name: table.values(name) for name in table.schema.names},
        "starts": None if table.spans is None else table.spans[:, 0].tolist(),
    }


# -- reading ----------------------------------------------------------------------------------------------------------


def is_baseline(path: Any) -> bool:
    """Return whether a file begins as a baseline does; False also where it cannot be read."""
    if not isinstance(path, (str, os.PathLike)) or "://" in str(path):
        return False
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError:
        return False
    if not head.startswith(GZIP):
        return False
    try:
        return zlib.decompressobj(31).decompress(head, len(_HEAD)).startswith(_HEAD)
    except zlib.error:
        return False


def load_baseline(path: Any) -> Baseline:
    """Read a file that :func:`save_baseline` wrote.

    Raises
    ------
    OpenError: missing, not such a file, of another version, damaged, or larger than any device could make it.
    """
    name = str(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise OpenError(f"cannot be opened: {error.strerror}", path=name) from None
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            text = packed.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise OpenError("too large for a baseline", path=name, expected=f"at most {human_size(LARGEST)} of JSON")
        plain = json.loads(text)
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise OpenError(
            f"the baseline is damaged: {escape(str(error))}", path=name, expected=f"gzip with {FORMAT}"
        ) from None
    got = plain.get("format") if isinstance(plain, dict) else None
    if got != FORMAT:
        raise OpenError("not a baseline that this release reads", path=name, expected=FORMAT, got=escape(str(got))[:80])
    try:
        return Baseline(
            f"baseline {name} of {escape(str(plain['label']))}", str(plain["driver"]), str(plain["chip"]),
            plain["device"], dict(plain["identity"]), dict(plain["missing"]),
            {str(name): _read_table(table, _NEEDED.get(name, ())) for name, table in plain["tables"].items()},
            {str(name): Blocks(int(one[0]), tuple(map(str, one[1]))) for name, one in plain["blocks"].items()},
        )  # fmt: skip
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise OpenError(
            f"the baseline is damaged: {escape(repr(error))}", path=name, expected=f"a file of {FORMAT}"
        ) from None


def _read_table(plain: dict[str, Any], needed: tuple[str, ...]) -> Table:
    columns = tuple(Column(str(name), str(kind), "", str(form)) for name, kind, form in plain["columns"])
    if any(column.kind not in _KINDS for column in columns):
        raise ValueError("a column of a kind that is not known")
    if not set(needed) <= {column.name for column in columns}:
        raise ValueError(f"a table without {' or '.join(needed)}")
    values = [plain["values"][column.name] for column in columns]
    if len({len(v) for v in values}) > 1:
        raise ValueError("columns of different lengths")
    for column, cells in zip(columns, values, strict=True):
        wanted: Any = str if column.kind in ("text", "category") else int
        if not all(cell is None or isinstance(cell, wanted) for cell in cells):
            raise ValueError(f"column {column.name} holds other values than {column.kind}")
    table = Table.from_rows(Schema(str(plain["name"]), "", columns), list(zip(*values, strict=True)))
    if plain["starts"] is not None:
        starts = np.array(plain["starts"], np.int64)
        if starts.shape != (len(table),):
            raise ValueError("not one place for each row")
        table.spans = np.column_stack([starts, starts])
    for column in columns:
        if column.kind == "category":
            table.columns[column.name] = _codes(table.columns[column.name])
    return table


def _codes(texts: list[str | None]) -> Codes:
    categories = list(dict.fromkeys(t for t in texts if t is not None))
    index: dict[str | None, int] = {t: i for i, t in enumerate(categories)}
    return Codes(np.array([index.get(t, -1) for t in texts], np.int32), categories)
