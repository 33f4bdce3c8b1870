"""Stacks of every CPU with functions, files and lines: drgn unwinds from the registers in the notes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.notes.cpus import numbered
from vmcoredd_lab.notes.prstatus import prstatus_dtype
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import escape

__all__ = ["STACKS", "stacks_table"]

STACKS = Schema(
    "stacks",
    "The stack of each CPU when the machine crashed, the innermost frame first.",
    (
        Column("cpu", "i64", "the CPU, counted from 0 in file order"),
        Column("pid", "i64", "the task that ran on it, 0 the idle task", rank=1),
        Column("comm", "text", "the task's name", rank=2),
        Column("panicked", "bool", "whether this CPU caused the dump; missing where that cannot be known", rank=3),
        Column("frame", "i64", "0 is where the CPU was; a function inlined into the next frame has a frame of its own"),
        Column("pc", "u64", "program counter; of calls the address behind them", "hex"),
        Column("symbol", "text", "the function"),
        Column("offset", "u64", "bytes from the symbol's beginning; missing where the function is inlined", "hex", 4),
        Column("file", "text", "source file"),
        Column("line", "i64", "line in it"),
    ),
)

MOST_FRAMES = 512  # of one CPU: the deepest kernel stacks have some hundred
_FIRST = {"s390x": "psw", "s390": "psw"}  # where struct pt_regs has something before what PRSTATUS holds


def stacks_table(core: Any, program: Any) -> Table:
    """Return the stacks (:data:`STACKS`) of all CPUs, which needs the debuginfo of the kernel in ``program``.

    A CPU whose stack cannot be unwound has one row of its program counter; ``attrs["note"]`` says why.

    Raises
    ------
    NotInFileError: the file has no registers, or they are of a machine that is not known.
    """
    notes = [note for note in core.container.notes if note.is_prstatus]
    dtype = prstatus_dtype(core.machine, core.byteorder)
    if not notes or dtype is None:
        raise NotInFileError(
            "no registers of CPUs to begin a stack with" if dtype else f"the registers of {core.machine} are not known",
            path=core.path, hint="the notes command lists what is in the file",
        )  # fmt: skip
    cpus = core.cpus_table()
    pids, panicked = cpus.values("pid"), cpus.values("panicked")
    rows: list[tuple[Any, ...]] = []
    reasons: list[str] = []
    for cpu, note in enumerate(notes):
        data = core.container.source.read(note.desc_offset, min(note.available, dtype.itemsize))
        offset = dtype.fields["pr_reg"][1]  # type: ignore[index]
        size = dtype["pr_reg"].itemsize
        if len(data) < offset + size:
            reasons.append(f"CPU {cpu}: its registers are cut")
            continue
        pid, comm = _task(program, cpu, pids)
        try:
            regs = _pt_regs(program, core.machine, data[offset : offset + size])
            frames = list(_frames(program.stack_trace(regs)))
        except Exception as error:  # drgn's errors have no common base
            reasons.append(f"CPU {cpu}: {escape(str(error)) or type(error).__name__}")
            frames = []
        rows.extend((cpu, pid, comm, panicked[cpu], number, *frame) for number, frame in enumerate(frames))
    table = Table.from_rows(STACKS, rows)
    if reasons:
        table.attrs["note"] = "; ".join(reasons[:8]) + ("; ..." if len(reasons) > 8 else "")
    return table


def _pt_regs(program: Any, machine: str, registers: bytes) -> Any:
    """Return struct pt_regs; on every machine it has the registers of PRSTATUS in the same order."""
    import drgn

    kind = program.type("struct pt_regs")
    first = _FIRST.get(machine)
    offset = drgn.offsetof(kind, first) if first else 0
    data = (bytes(offset) + registers)[: kind.size].ljust(kind.size, b"\0")
    return drgn.Object.from_bytes_(program, kind, data)


def _task(program: Any, cpu: int, pids: list[int | None]) -> tuple[int | None, str | None]:
    """Return pid and name of the task; where notes name none, what the kernel has of the CPU."""
    from drgn.helpers.linux.pid import find_task
    from drgn.helpers.linux.sched import cpu_curr, idle_task

    pid = pids[cpu]
    in_place = numbered(pids) or not any(pids)
    try:
        if in_place:
            task = cpu_curr(program, cpu)
        else:
            task = find_task(program, pid) if pid else idle_task(program, cpu)
        return int(task.pid), escape(task.comm.string_())
    except Exception:  # no task of that number, or not in the file
        return (None if in_place else pid), None


def _frames(trace: Any) -> Iterator[tuple[int, str | None, int | None, str | None, int | None]]:
    for number, frame in enumerate(trace):
        if number == MOST_FRAMES:
            return
        pc = int(frame.pc)
        name, offset, file, line = None, None, None, None
        try:
            symbol = frame.symbol()
            name, offset = escape(symbol.name), pc - int(symbol.address)
        except LookupError:
            pass
        if frame.is_inline:
            name, offset = escape(frame.name), None
        try:
            where, line, _ = frame.source()
            file = escape(where)
        except LookupError:
            pass
        yield pc, name, offset, file, line
