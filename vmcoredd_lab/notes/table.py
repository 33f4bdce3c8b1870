"""The notes of a vmcore as a table, each with a line about its content."""

from __future__ import annotations

from vmcoredd_lab.containers.base import Container
from vmcoredd_lab.model import Note
from vmcoredd_lab.notes.content import shown
from vmcoredd_lab.notes.layouts import kind_of
from vmcoredd_lab.notes.names import type_name
from vmcoredd_lab.notes.registers import machine_of
from vmcoredd_lab.notes.vmcoredd import DUMP_NAME_SIZE
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

# Members that say most of a note; of other notes the first are shown
_TOLD: dict[tuple[str, int], tuple[str, ...]] = {
    ("QEMU", 0): ("rip", "cr0", "cr2", "cr3", "cr4"),
    ("CORE", 3): ("pr_fname", "pr_psargs", "pr_pid"),
}


def notes_table(container: Container) -> Table:
    """Return the table; of each note at most a few hundred bytes are read."""
    return Table.from_rows(
        NOTES,
        (
            (n.owner, n.type, type_name(n.owner, n.type), n.desc_offset, n.desc_size, n.cpu, _summary(container, n))
            for n in container.notes
        ),
    )


def _summary(container: Container, note: Note) -> str:
    text = _content(container, note)
    if note.available < note.desc_size:
        cut = f"cut: {note.available:,} of {note.desc_size:,} bytes are there"
        text = f"{text}; {cut}" if text else cut
    return text


def _content(container: Container, note: Note) -> str:
    source = container.source
    if note.is_device_dump:
        name = source.read(note.desc_offset, min(DUMP_NAME_SIZE, note.available)).split(b"\0")[0]
        return f"device dump {escape(name)}, {human_size(max(0, note.desc_size - DUMP_NAME_SIZE))}"
    if note.is_prstatus:
        machine = machine_of(container.machine)
        return shown(container, note, ("pr_pid", *((machine.pc, machine.sp) if machine else ())))
    if kind_of(note.owner, note.type) == "lines":
        return escape(source.read(note.desc_offset, min(200, note.available)).split(b"\n")[0])
    if kind_of(note.owner, note.type) == "hex":
        return source.read(note.desc_offset, min(64, note.available)).hex()
    return shown(container, note, _TOLD.get((note.owner, note.type), ()))
