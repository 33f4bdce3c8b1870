"""The note walker: reads note headers only, believes no size before it is checked, keeps what is sound.

``pyelftools`` is not used here on purpose: it copies payloads and stops at the first thing it does not expect.
"""

from __future__ import annotations

from dataclasses import replace

from vmcoredd_lab.model import NT_VMCOREDD, Note
from vmcoredd_lab.notes.header import NHDR
from vmcoredd_lab.notes.vmcoredd import DUMP_NAME_SIZE
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import ByteSource
from vmcoredd_lab.structs import ByteOrder
from vmcoredd_lab.text import escape

__all__ = ["MOST_NOTES", "number_cpus", "walk_notes"]

MOST_NOTES = 1_000_000  # the largest machines have some 10,000 CPUs with a dozen register sets each
LONGEST_OWNER = 1024  # the kernel's longest is 11 (VMCOREINFO); Xen's and others' stay below 32


def walk_notes(
    source: ByteSource,
    offset: int,
    size: int,
    *,
    byteorder: ByteOrder,
    align: int = 4,
    problems: Problems,
    known: int = 0,
) -> list[Note]:
    """Return the notes between ``offset`` and ``offset + size``; what is malformed goes to ``problems``.

    ``align`` is 4 as the kernel writes (fs/proc/vmcore.c, kernel/crash_core.c), or 8 in a segment whose p_align is 8.
    An all-zero header ends the notes: the rest of the segment is fill. ``known`` notes were read from other segments.
    """
    notes: list[Note] = []
    position, end = offset, offset + size
    file_end = min(end, source.size)
    header_size = NHDR.size()
    while position + header_size <= end:
        raw = source.read(position, header_size)
        if len(raw) < header_size:
            problems.error(
                "notes", f"the file ends inside the header of note {len(notes)} of this segment; the notes before it are whole",
                offset=position, expected=f"{end - position:,} more bytes of notes", got=f"{max(0, file_end - position)} bytes",
            )  # fmt: skip
            break
        header = NHDR.read(raw, byteorder=byteorder)
        namesz, descsz, kind = int(header["n_namesz"]), int(header["n_descsz"]), int(header["n_type"])
        if not (namesz or descsz or kind):
            break
        if known + len(notes) == MOST_NOTES:
            problems.error(
                "notes", "more notes than any machine leaves; the rest of the segment is not read",
                offset=position, expected=f"at most {MOST_NOTES:,}", got="more",
            )  # fmt: skip
            break
        desc = position + _up(header_size + namesz, align)
        if namesz > LONGEST_OWNER or position + header_size + namesz > end:
            problems.error(
                "notes", f"note {len(notes)} of this segment has an owner name that cannot be; the notes behind it are not read",
                offset=position, expected=f"n_namesz of at most {min(LONGEST_OWNER, max(0, end - position - header_size))}",
                got=str(namesz),
            )  # fmt: skip
            break
        if position + header_size + namesz > file_end:
            problems.error(
                "notes", f"the file ends inside the header of note {len(notes)} of this segment; the notes before it are whole",
                offset=position, expected=f"{end - position:,} more bytes of notes", got=f"{file_end - position} bytes",
            )  # fmt: skip
            break
        owner = escape(source.read(position + header_size, namesz).rstrip(b"\0"))
        available = max(0, min(descsz, file_end - desc))
        note = Note(owner, kind, position, desc, descsz, available)
        notes.append(note)
        if desc + descsz > end:
            problems.error(
                "notes", f"the descriptor of note {len(notes) - 1} of this segment ({_named(note)}) is longer than the segment; "
                "what lies inside the segment is used", offset=position + 4,
                expected=f"n_descsz of at most {max(0, end - desc):,}", got=f"{descsz:,}",
            )  # fmt: skip
            break
        if available < descsz:
            problems.error(
                "notes", f"the file ends inside note {len(notes) - 1} of this segment ({_named(note)}); its beginning is used",
                offset=source.size, expected=f"a descriptor of {descsz:,} bytes", got=f"{available:,} bytes",
            )  # fmt: skip
            break
        if note.is_device_dump and descsz < DUMP_NAME_SIZE:
            problems.error(
                "notes", "a device dump's note is too short for dump_name, which every device dump begins with; "
                "there are no bytes of the device", offset=position + 4,
                expected=f"n_descsz of at least {DUMP_NAME_SIZE}", got=str(descsz),
            )  # fmt: skip
        if kind == NT_VMCOREDD and not note.is_device_dump:
            _name_draft(source, note, problems)
        position = desc + _up(descsz, align)
    else:
        rest = source.read(position, max(0, end - position))
        if rest.strip(b"\0"):
            problems.error(
                "notes", f"the segment ends inside the header of note {len(notes)}; the notes before it are whole",
                offset=position, expected=f"a note header of {header_size} bytes", got=f"{end - position} bytes",
            )  # fmt: skip
    return notes


def number_cpus(notes: list[Note]) -> list[Note]:
    """Return the notes with their CPU: each PRSTATUS begins one, register sets behind it belong to it."""
    numbered: list[Note] = []
    cpu, qemu = -1, -1
    for note in notes:
        number: int | None = None
        if note.is_prstatus:
            cpu += 1
            number = cpu
        elif note.owner == "QEMU":
            qemu += 1
            number = qemu
        elif cpu >= 0 and note.owner in ("CORE", "LINUX") and not note.is_device_dump:
            number = cpu
        numbered.append(replace(note, cpu=number))
    return numbered


def _name_draft(source: ByteSource, note: Note, problems: Problems) -> None:
    looks = "the notes of drafts of the kernel's device dump series" if note.available >= 44 else "nothing known"
    problems.warning(
        "notes", f"a note of type 0x700 whose owner is {note.owner or 'empty'}, not LINUX: it looks like {looks} "
        f"and is listed as a plain note (first bytes {escape(source.read(note.desc_offset, min(20, note.available)))})",
        offset=note.header_offset, expected="owner LINUX for NT_VMCOREDD", got=f"owner {note.owner}",
    )  # fmt: skip


def _named(note: Note) -> str:
    return f"owner {note.owner}, type {note.type:#x}"


def _up(value: int, align: int) -> int:
    return -(-value // align) * align
