"""The CPUs' part of a report: tasks and registers, and stacks where there is a vmlinux."""

from __future__ import annotations

import os
from typing import Any

from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.kernel.debuginfo import WHAT_IT_ADDS, debuginfo_hint
from vmcoredd_lab.notes.cpus import narrow
from vmcoredd_lab.report.document import Cpus

__all__ = ["build_cpus"]

CPU_ROWS = 256  # the panicked one among them


def build_cpus(core: Any, vmlinux: str | os.PathLike[str] | None) -> Cpus | None:
    """Return the CPUs of a vmcore, with stacks where ``vmlinux`` is given; None where no CPU left registers.

    Raises
    ------
    OpenError: ``vmlinux`` is not that of the crashed kernel, or drgn is not installed.
    """
    table = core.cpus_table()
    if not len(table):
        return None
    stacks, missing = None, f"{WHAT_IT_ADDS[0].upper()}{WHAT_IT_ADDS[1:]}; {debuginfo_hint(core.vmcoreinfo)}."
    if vmlinux is not None:
        try:
            found = core.stacks_table(vmlinux)
            stacks, missing = found.records(), found.attrs.get("note")
        except NotInFileError as error:
            missing = error.message
    rows = table.records()
    shown = rows[:CPU_ROWS]
    shown += [row for row in rows[CPU_ROWS:] if row["panicked"]]
    return Cpus(
        rows=shown,
        telling=narrow(table, core.machine).schema.names[3:],
        registers=[column.name for column in table.schema.columns if column.form == "hex"],
        left_out=len(rows) - len(shown),
        stacks=stacks,
        stacks_missing=missing,
    )
