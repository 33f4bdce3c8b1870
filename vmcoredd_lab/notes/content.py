"""The content of notes, value by value, as a table: what readelf -n prints, with the offset of each value in the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from vmcoredd_lab.containers.base import Container
from vmcoredd_lab.model import Note
from vmcoredd_lab.notes.layouts import Leaf, kind_of, layout_of
from vmcoredd_lab.notes.names import type_name
from vmcoredd_lab.notes.vmcoredd import DUMP_NAME_SIZE
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import escape, human_size

__all__ = ["NOTE_FIELDS", "note_fields", "shown"]

NOTE_FIELDS = Schema(
    "note_fields",
    "The values in notes, in file order; of notes without a known structure the bytes.",
    (
        Column("note", "i64", "the note, counted from 0 in file order"),
        Column("cpu", "i64", "the CPU that left the note; missing where none did"),
        Column("owner", "text", "the owner's name", rank=2),
        Column("type_name", "text", "the kernel's name of the type; missing where it is not known"),
        Column("field", "text", "the member of the kernel's structure, the register, or the key"),
        Column("offset", "u64", "where the value is in the file", "hex", 1),
        Column("size", "u64", "bytes of the value", "size", 3),
        Column("value", "u64", "the value; missing where it is text, negative or wider than 64 bits", "hex", 4),
        Column("text", "text", "the value as a person reads it"),
    ),
)

LONGEST_TEXT = 1 << 20  # of VMCOREINFO: the kernel's is one page
MOST_ROWS = 1_000_000
SHOWN_BYTES = 32

Row = tuple[str, int, int, int | None, str | None]  # field, offset, size, value, text


def note_fields(container: Container, wanted: Iterable[int] | None = None) -> Table:
    """Return the values (:data:`NOTE_FIELDS`) of the notes with these numbers, default all; at most a million."""
    rows: list[tuple[Any, ...]] = []
    left_out = 0
    for index in range(len(container.notes)) if wanted is None else wanted:
        note = container.notes[index]
        if len(rows) >= MOST_ROWS:
            left_out += 1
            continue
        name = type_name(note.owner, note.type)
        for field, offset, size, value, text in _fields(container, note):
            rows.append((index, note.cpu, note.owner, name, field, offset, size, value, text))
    table = Table.from_rows(NOTE_FIELDS, rows)
    if left_out:
        table.attrs["note"] = f"{left_out:,} notes left out; choose them by their numbers"
    return table


def _fields(container: Container, note: Note) -> Iterator[Row]:
    source, kind = container.source, kind_of(note.owner, note.type)
    if kind == "lines":
        yield from _lines(source.read(note.desc_offset, min(note.available, LONGEST_TEXT)), note.desc_offset)
        return
    if note.is_device_dump:
        name = source.read(note.desc_offset, min(DUMP_NAME_SIZE, note.available))
        rest = max(0, note.available - DUMP_NAME_SIZE)
        yield "dump_name", note.desc_offset, len(name), None, escape(name.split(b"\0")[0])
        yield "data", note.desc_offset + len(name), rest, None, human_size(rest)
        return
    layout = layout_of(note, container.machine, container.bits, container.byteorder)
    done = 0
    if layout is not None:
        data = source.read(note.desc_offset, min(note.available, layout.size))
        for leaf in layout.leaves():
            if leaf.offset + leaf.size <= len(data):
                yield _value(leaf, data, note.desc_offset, container.byteorder)
        done = layout.size
    if note.available > done:
        size = note.available - done
        head = source.read(note.desc_offset + done, size if kind == "hex" else min(size, SHOWN_BYTES))
        text = head.hex() if kind == "hex" else head.hex(" ") + (" ..." if size > SHOWN_BYTES else "")
        yield "rest" if done else "bytes", note.desc_offset + done, size, None, text


def _lines(data: bytes, offset: int) -> Iterator[Row]:
    for line in data.rstrip(b"\0").split(b"\n"):
        key, separator, value = line.partition(b"=")
        if line:
            yield escape(key), offset, len(line), None, escape(value) if separator else None
        offset += len(line) + 1


def _value(leaf: Leaf, data: bytes, base: int, byteorder: Any) -> Row:
    raw = data[leaf.offset : leaf.offset + leaf.size]
    place = base + leaf.offset
    if leaf.kind == "S":
        return leaf.name, place, leaf.size, None, escape(raw.split(b"\0")[0])
    number = int.from_bytes(raw, byteorder, signed=leaf.kind == "i")
    text = str(number) if leaf.kind == "i" else f"{number:#0{2 + 2 * leaf.size}x}"
    return leaf.name, place, leaf.size, number if 0 <= number < 1 << 64 else None, text


def shown(container: Container, note: Note, names: tuple[str, ...] = (), most: int = 3) -> str:
    """Return a line of a note's first values, or of those with these names; empty where its structure is not known."""
    layout = layout_of(note, container.machine, container.bits, container.byteorder)
    if layout is None:
        return ""
    chosen = [leaf for leaf in layout.leaves() if leaf.name in names] if names else layout.leaves()[:most]
    end = max((leaf.offset + leaf.size for leaf in chosen), default=0)
    data = container.source.read(note.desc_offset, min(note.available, end))
    rows = [_value(leaf, data, 0, container.byteorder) for leaf in chosen if leaf.offset + leaf.size <= len(data)]
    parts = [f"{name.removeprefix('pr_')} {_short(value, text)}" for name, _, _, value, text in rows]
    return ", ".join(parts) + (", ..." if not names and len(layout.leaves()) > most else "")


def _short(value: int | None, text: str | None) -> str:
    return f"{value:#x}" if value is not None and text is not None and text.startswith("0x") else text or ""
