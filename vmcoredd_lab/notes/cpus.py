"""The CPUs of the crashed machine, a row each: the registers of PRSTATUS, and control registers from notes beside it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

import numpy as np

from vmcoredd_lab.containers.base import Container
from vmcoredd_lab.model import Note
from vmcoredd_lab.notes.layouts import Layout, Leaf, first_in_cpus, layout_of, prstatus_layout
from vmcoredd_lab.notes.registers import machine_of
from vmcoredd_lab.notes.vmcoreinfo import Vmcoreinfo
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["check_cpus", "cpus_table", "names_tasks", "naming_no_tasks", "narrow", "numbered", "registers_of"]

Array = np.ndarray[Any, Any]

_FIRST = (
    Column("cpu", "i64", "the CPU, counted from 0 in file order"),
    Column(
        "pid",
        "i64",
        "the task that ran on it, 0 the idle task; missing where QEMU or an s390x kernel wrote the CPU's number there",
    ),
    Column("signal", "i64", "pr_cursig; 0 in vmcores"),
)
_BEHIND = (
    Column("panicked", "bool", "whether this CPU caused the dump; missing where that cannot be known"),
    Column("si_signo", "i64", "pr_info.si_signo"),
    Column("si_code", "i64", "pr_info.si_code"),
    Column("si_errno", "i64", "pr_info.si_errno"),
)
_TELLING = ("cr2", "cr3", "prefix")  # where control registers are known
MOST_TOLD = 8  # notes that problems name one by one


def _prstatus(container: Container) -> list[Note]:
    return [note for note in container.notes if note.is_prstatus]


def _layout(container: Container, notes: Iterable[Note]) -> Layout | None:
    sizes = {note.desc_size for note in notes}
    return prstatus_layout(sizes, container.machine, container.bits, container.byteorder)


def cpus_table(container: Container, panicked: int | None = None) -> Table:
    """Return one row for each CPU: cpu, pid, signal, the machine's registers, panicked, siginfo, control registers.

    ``panicked`` is the CPU that caused the dump, None where that is not known. Registers are unsigned integers under their
    architectural names (:mod:`~vmcoredd_lab.notes.registers`); a register that a cut note does not hold is missing. Columns
    behind siginfo come from QEMU's notes (segments, control registers) and from those that s390x kernels write.
    """
    notes = _prstatus(container)
    layout = _layout(container, notes)
    beside = _beside(container)
    count = max([len(notes), *(1 + max(cpus) for cpus in beside.values())], default=0)
    columns: dict[str, Any] = {}
    numbers = np.arange(count)
    taken = _gathered(container, dict(enumerate(notes)), layout, count) if layout else {}
    names = {"pid": "pr_pid", "signal": "pr_cursig"}
    registers = [n for n in taken if not n.startswith("pr_") and not n.startswith("si_")]
    columns["cpu"] = numbers
    for column in _FIRST[1:]:
        columns[column.name] = taken.get(names[column.name], _nothing(count))
    for name in registers:
        columns[name] = taken[name]
    known = panicked is not None and panicked < count
    columns["panicked"] = [bool(n == panicked) if known else None for n in numbers.tolist()]
    for column in _BEHIND[1:]:
        columns[column.name] = taken.get(column.name, _nothing(count))
    more: dict[str, Column] = {}
    for (kind, first), cpus in beside.items():
        extra, source = _extra(container, cpus, first, count)
        for name, values in extra.items():
            free = name if name not in columns else f"{kind}_{name}"
            columns[free] = values
            more[free] = Column(free, "u64", source, "hex")
    schema = Schema(
        "cpus",
        "The registers of each CPU when the machine crashed (struct elf_prstatus, include/linux/elfcore.h).",
        (*_FIRST, *(Column(n, "u64", "a register", "hex") for n in registers), *_BEHIND, *more.values()),
    )
    table = Table(schema, columns)
    if notes and not registers and machine_of(container.machine) is None:
        table.attrs["note"] = f"the registers of {container.machine} are not known; the notes command has their place"
    return table


def _gathered(container: Container, notes: dict[int, Note], layout: Layout, count: int) -> dict[str, Array]:
    """Return each value of a layout as a column with a place for each CPU, masked where a note does not hold it."""
    size, held = layout.size, np.zeros(count, np.int64)
    data = bytearray(size * count)
    for cpu, note in notes.items():
        part = container.source.read(note.desc_offset, min(note.available, size))
        data[cpu * size : cpu * size + len(part)] = part
        held[cpu] = len(part)
    records = np.frombuffer(bytes(data), layout.dtype)
    return {leaf.name: _column(records, layout.dtype, leaf, held) for leaf in layout.leaves()}


def _column(records: Array, dtype: np.dtype[Any], leaf: Leaf, held: Array) -> Array:
    values = reduce(lambda part, name: part[name], _path(dtype, leaf.offset), records)
    values = values.astype(np.int64 if leaf.kind == "i" else np.uint64)
    missing = held < leaf.offset + leaf.size
    return np.ma.array(values, mask=missing) if missing.any() else values


def _path(dtype: np.dtype[Any], offset: int) -> list[str]:
    """Return the member at an offset as the names from the outermost structure inwards."""
    for name in dtype.names or ():
        kind, start = dtype.fields[name][:2]  # type: ignore[index]
        if start <= offset < start + kind.itemsize:
            return [name, *_path(kind, offset - start)]
    return []


def _nothing(count: int) -> Array:
    return np.ma.array(np.zeros(count, np.int64), mask=True)


def _beside(container: Container) -> dict[tuple[str, str], dict[int, Note]]:
    """Return the notes whose registers stand beside PRSTATUS: by kind and first member, then by CPU."""
    found: dict[tuple[str, str], dict[int, Note]] = {}
    for note in container.notes:
        if note.cpu is not None and (first := first_in_cpus(note.owner, note.type)):
            found.setdefault((note.owner.lower(), first), {}).setdefault(note.cpu, note)
    return found


def _extra(container: Container, notes: dict[int, Note], first: str, count: int) -> tuple[dict[str, Array], str]:
    layout = layout_of(next(iter(notes.values())), container.machine, container.bits, container.byteorder)
    if layout is None:
        return {}, ""
    columns = _gathered(container, notes, layout, count)
    names = list(columns)
    return {name: columns[name] for name in names[names.index(first) :]}, f"a register, from {layout.name}"


def numbered(pids: list[int | None]) -> bool:
    """Return True where the notes have the number of the CPU, from 1, in place of the task's: QEMU and s390x kernels.

    QEMU writes it in the byte order of the machine that it runs on.
    """
    count = len(pids)
    swapped = [int.from_bytes(n.to_bytes(4, "little"), "big") for n in range(1, count + 1)]
    return pids in (list(range(1, count + 1)), swapped)


def names_tasks(pids: list[int | None], container: Container, info: Vmcoreinfo) -> bool:
    """Return False where pr_pid is no task: s390x kernels and QEMU write the CPU's number, QEMU for ppc64 writes 0.

    A kernel that took kdump's way noted CRASHTIME (kernel/crash_core.c), so that its numbers are believed.
    """
    if container.machine == "s390x":
        return not numbered(pids)
    if info.crash_seconds is not None:
        return True
    if container.machine.startswith("ppc64") and not any(pids):
        return False
    by_hypervisor = len(pids) > 1 or bool(info) or any(note.owner == "QEMU" for note in container.notes)
    return not (by_hypervisor and numbered(pids))


def naming_no_tasks(table: Table) -> Table:
    """Return the table with a word on its pids, which stay as the notes have them."""
    said = "pid is the number of the CPU, or 0: what took the dump knew the CPUs and not the tasks on them"
    return Table(table.schema, table.columns, {"note": said} | dict(table.attrs), table.spans)


def narrow(table: Table, machine: str) -> Table:
    """Return the columns that say most of a CPU: cpu, pid, panicked, program counter and stack pointer."""
    known = machine_of(machine)
    names = ["cpu", "pid", "panicked", *((known.pc, known.sp) if known else ()), *_TELLING]
    chosen = [column for name in names for column in table.schema.columns if column.name == name]
    schema = Schema(table.schema.name, table.schema.doc, tuple(chosen))
    return Table(schema, {c.name: table.columns[c.name] for c in chosen}, dict(table.attrs))


def registers_of(table: Table, row: dict[str, Any]) -> list[tuple[str, int | None]]:
    """Return names and values of all registers of a row of the table, those from other notes too."""
    return [(column.name, row[column.name]) for column in table.schema.columns if column.form == "hex"]


def check_cpus(container: Container) -> Problems:
    """Return what is wrong with the notes of registers, from their headers alone."""
    problems, notes = Problems(), _prstatus(container)
    layout = _layout(container, notes)
    if layout is not None and machine_of(container.machine) is not None:
        wrong = [note for note in notes if note.desc_size != layout.size]
        for note in wrong[:MOST_TOLD]:
            short = note.desc_size < layout.size
            problems.add(
                "error" if short else "warning", "notes", f"the registers of CPU {note.cpu} are not of the size that "
                f"{container.machine} has; " + ("those that are there are used" if short else "the beginning is used"),
                offset=note.header_offset + 4, expected=f"n_descsz of {layout.size}", got=f"{note.desc_size:,}",
            )  # fmt: skip
        if len(wrong) > MOST_TOLD:
            problems.error(
                "notes", f"{plural(len(wrong) - MOST_TOLD, 'more CPU')} with registers of a wrong size",
                expected=f"n_descsz of {layout.size}", got="other sizes",
            )  # fmt: skip
    return problems
