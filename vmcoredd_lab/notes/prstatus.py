"""NT_PRSTATUS: what the kernel saves of each CPU when it crashes (struct elf_prstatus, include/linux/elfcore.h)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from vmcoredd_lab.notes.registers import Machine, machine_of, register_set
from vmcoredd_lab.structs import ByteOrder, Member, Struct

__all__ = ["Prstatus", "common_struct", "decode", "encode", "prstatus_dtype", "prstatus_struct"]

_SOURCE = "include/linux/elfcore.h"

ELF_SIGINFO = Struct(
    "elf_siginfo", _SOURCE, (Member("si_signo", "i4"), Member("si_code", "i4"), Member("si_errno", "i4"))
)
OLD_TIMEVAL = Struct(
    "__kernel_old_timeval", "include/uapi/linux/time_types.h", (Member("tv_sec", "l"), Member("tv_usec", "l"))
)

_COMMON = (
    Member("pr_info", ELF_SIGINFO, "zero in vmcores: no signal is delivered"),
    Member("pr_cursig", "i2"),
    Member("pr_sigpend", "L"),
    Member("pr_sighold", "L"),
    Member(
        "pr_pid",
        "i4",
        "the task that ran on the CPU; 0: the idle task; QEMU and s390x kernels: the CPU, from 1",
    ),
    Member("pr_ppid", "i4"),
    Member("pr_pgrp", "i4"),
    Member("pr_sid", "i4"),
    Member("pr_utime", OLD_TIMEVAL),
    Member("pr_stime", OLD_TIMEVAL),
    Member("pr_cutime", OLD_TIMEVAL),
    Member("pr_cstime", OLD_TIMEVAL),
)


_ELF_PRSTATUS_COMMON = Struct("elf_prstatus_common", _SOURCE, _COMMON, "What is before the registers.")


@dataclass(frozen=True)
class Prstatus:
    """One CPU: members of struct elf_prstatus under its names without ``pr_``, registers by their architectural names.

    Times are (seconds, microseconds). A slot of the register set that holds no register is among ``registers`` only where
    it is not zero.
    """

    pid: int
    ppid: int = 0
    pgrp: int = 0
    sid: int = 0
    cursig: int = 0
    si_signo: int = 0
    si_code: int = 0
    si_errno: int = 0
    sigpend: int = 0
    sighold: int = 0
    utime: tuple[int, int] = (0, 0)
    stime: tuple[int, int] = (0, 0)
    cutime: tuple[int, int] = (0, 0)
    cstime: tuple[int, int] = (0, 0)
    registers: Mapping[str, int] = field(default_factory=dict)
    fpvalid: int = 0


def common_struct() -> Struct:
    """Return struct elf_prstatus_common: all that is known of the note on a machine whose registers are not."""
    return _ELF_PRSTATUS_COMMON


@cache
def prstatus_struct(machine: str) -> Struct | None:
    """Return struct elf_prstatus of a machine (``uname -m``); None where its registers are not known."""
    registers = register_set(machine, "gregset")
    if registers is None:
        return None
    members = (*_COMMON, Member("pr_reg", registers), Member("pr_fpvalid", "i4"))
    return Struct("elf_prstatus", _SOURCE, members)


def prstatus_dtype(machine: str, byteorder: ByteOrder) -> np.dtype[np.void] | None:
    """Return the layout as a structured dtype; registers are the members of ``pr_reg``."""
    struct = prstatus_struct(machine)
    return None if struct is None else struct.dtype(byteorder, _known(machine).bits)


def decode(data: Any, machine: str, byteorder: ByteOrder) -> Prstatus:
    """Return one PRSTATUS from the bytes of its descriptor, which must be whole.

    Raises
    ------
    LookupError: the machine's registers are not known.
    """
    record = _struct(machine).read(data, byteorder=byteorder, bits=_known(machine).bits)
    info, registers = record["pr_info"], record["pr_reg"]
    return Prstatus(
        pid=int(record["pr_pid"]),
        ppid=int(record["pr_ppid"]),
        pgrp=int(record["pr_pgrp"]),
        sid=int(record["pr_sid"]),
        cursig=int(record["pr_cursig"]),
        si_signo=int(info["si_signo"]),
        si_code=int(info["si_code"]),
        si_errno=int(info["si_errno"]),
        sigpend=int(record["pr_sigpend"]),
        sighold=int(record["pr_sighold"]),
        utime=_time(record["pr_utime"]),
        stime=_time(record["pr_stime"]),
        cutime=_time(record["pr_cutime"]),
        cstime=_time(record["pr_cstime"]),
        registers={n: int(registers[n]) for n in registers.dtype.names if n[0] != "_" or registers[n]},
        fpvalid=int(record["pr_fpvalid"]),
    )


def encode(status: Prstatus, machine: str, byteorder: ByteOrder) -> bytes:
    """Return the descriptor's bytes; registers that are not given are 0.

    Raises
    ------
    LookupError: the machine's registers are not known, or it has no register of that name.
    OverflowError: a value is wider than its member.
    """
    record = np.zeros((), _struct(machine).dtype(byteorder, _known(machine).bits))
    for name in ("pid", "ppid", "pgrp", "sid", "cursig", "sigpend", "sighold", "fpvalid"):
        record[f"pr_{name}"] = getattr(status, name)
    for name in ("si_signo", "si_code", "si_errno"):
        record["pr_info"][name] = getattr(status, name)
    for name in ("utime", "stime", "cutime", "cstime"):
        record[f"pr_{name}"] = getattr(status, name)
    for name, value in status.registers.items():
        if name not in (record["pr_reg"].dtype.names or ()):
            raise LookupError(f"{machine} has no register named {name!a} in PRSTATUS")
        record["pr_reg"][name] = value
    return record.tobytes()


def _known(machine: str) -> Machine:
    known = machine_of(machine)
    if known is None:
        raise LookupError(f"the registers of {machine} are not known")
    return known


def _time(value: np.void) -> tuple[int, int]:
    return int(value["tv_sec"]), int(value["tv_usec"])


def _struct(machine: str) -> Struct:
    _known(machine)
    struct = prstatus_struct(machine)
    assert struct is not None
    return struct
