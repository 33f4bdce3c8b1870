"""Which CPU caused the dump, from what the file says of it; nothing is guessed."""

from __future__ import annotations

from typing import Any

from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.notes.cpus import numbered

__all__ = ["crashing_cpu"]

_SYMBOLS = ("crashing_cpu", "panic_cpu")  # int or atomic_t; not in every kernel's VMCOREINFO


def crashing_cpu(core: Any, pids: list[int | None]) -> int | None:
    """Return the CPU, counted as the notes are, that caused the dump; None where that cannot be known.

    ``pids`` are those of the notes. In this order: the kernel's own variable, where VMCOREINFO says where it is and memory
    holds it; the CPU and pid of the panic in the kernel log, where they agree with the notes; the CPU in makedumpfile's
    header, where it is not 0, which is also what is written when it was not known; the only CPU, unless QEMU took the
    dump, which it may do of a healthy guest.
    """
    for found in (_variable(core), _logged(core, pids), core.container.current_cpu()):
        if found is not None and 0 <= found < len(pids):
            return int(found)
    by_qemu = any(note.owner == "QEMU" for note in core.container.notes)
    return 0 if len(pids) == 1 and not by_qemu else None


def _variable(core: Any) -> int | None:
    for name in _SYMBOLS:
        address = core.vmcoreinfo.symbols.get(name)
        if address is None:
            continue
        try:
            raw = core.memory.read(address, 4, "virtual")
        except VmcoreddLabError:
            continue
        return int.from_bytes(raw, core.byteorder, signed=True)
    return None


def _logged(core: Any, pids: list[int | None]) -> int | None:
    """Return the CPU of the panic in the kernel log.

    CPUs that were offline left no note, so that the kernel's number may not be the note's: the task decides, where it is
    not the idle task, which every CPU has. QEMU and s390x kernels name no tasks in the notes.
    """
    try:
        panic = getattr(core, "panic", None)
    except VmcoreddLabError:
        return None
    cpu, pid = getattr(panic, "cpu", None), getattr(panic, "pid", None)
    named = any(pids) and not numbered(pids)
    if pid and named:
        running = [number for number, one in enumerate(pids) if one == pid]
        return running[0] if len(running) == 1 else None
    if cpu is None or not 0 <= cpu < len(pids):
        return None
    agrees = not named or pid is None or pids[cpu] == pid
    return int(cpu) if agrees else None
