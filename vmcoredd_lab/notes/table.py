"""The notes of a vmcore as a table, each with a line about its content."""

from __future__ import annotations

from vmcoredd_lab.model import Note
from vmcoredd_lab.notes.names import type_name
from vmcoredd_lab.notes.vmcoredd import DUMP_NAME_SIZE
from vmcoredd_lab.source import ByteSource
from vmcoredd_lab.structs import ByteOrder
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import escape, human_size

__all__ = ["NOTES", "notes_table"]

NOTES = Schema(
    "notes",
    "ELF notes in file order (Elf64_Nhdr, include/uapi/linux/elf.h).",
    (
        Column("owner", "text", "the owner's name without trailing NULs"),
        Column("type", "u32", "n_type", "hex"),
        Column("type_name", "text", "the kernel's name of the type; missing where it is not known"),
        Column("desc_offset", "u64", "where the descriptor is in the file", "hex"),
        Column("desc_size", "u32", "n_descsz: bytes of the descriptor, padding not counted", "size"),
        Column("cpu", "i64", "the CPU that left the note, counted from 0 in file order; missing where none did"),
        Column("summary", "text", "what the note says, in a line"),
    ),
)


def notes_table(source: ByteSource, notes: list[Note], bits: int, byteorder: ByteOrder) -> Table:
    """Return the table; of each note at most a few dozen bytes are read."""
    return Table.from_rows(
        NOTES,
        (
            (n.owner, n.type, type_name(n.owner, n.type), n.desc_offset, n.desc_size, n.cpu,
             _summary(source, n, bits, byteorder))
            for n in notes
        ),
    )  # fmt: skip


def _summary(source: ByteSource, note: Note, bits: int, byteorder: ByteOrder) -> str:
    text = _content(source, note, bits, byteorder)
    if note.available < note.desc_size:
        cut = f"cut: {note.available:,} of {note.desc_size:,} bytes are there"
        text = f"{text}; {cut}" if text else cut
    return text


def _content(source: ByteSource, note: Note, bits: int, byteorder: ByteOrder) -> str:
    if note.is_device_dump:
        name = source.read(note.desc_offset, min(DUMP_NAME_SIZE, note.available)).split(b"\0")[0]
        return f"device dump {escape(name)}, {human_size(max(0, note.desc_size - DUMP_NAME_SIZE))}"
    if note.is_prstatus:
        at = 32 if bits == 64 else 24  # pr_pid of struct elf_prstatus_common, include/linux/elfcore.h
        raw = source.read(note.desc_offset + at, 4) if note.available >= at + 4 else b""
        return f"registers of the task with pid {int.from_bytes(raw, byteorder, signed=True)}" if raw else ""
    if note.owner == "VMCOREINFO":
        head = source.read(note.desc_offset, min(200, note.available))
        line = head.split(b"\n")[0]
        return escape(line)
    return ""
