"""Register sets as the kernel stores them in notes: names and widths in order, from data/register_sets.csv.

A name that begins with an underscore is a slot that holds no register. ``r0-r31`` stands for r0, r1, ... r31, and
``r11-r8`` for r11, r10, r9, r8.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from vmcoredd_lab.package_data import package_text
from vmcoredd_lab.structs import Member, Struct

__all__ = ["Machine", "machine_of", "register_names", "register_set"]

_RANGE = re.compile(r"(?P<stem>[a-z_]+)(?P<first>[0-9]+)-(?P=stem)(?P<last>[0-9]+)\Z")


@dataclass(frozen=True)
class Machine:
    """What must be known of a machine to read its registers.

    ``registers`` names its rows of the table, ``bits`` is the width of its long, ``pc`` and ``sp`` are the names of its
    program counter and stack pointer.
    """

    name: str
    registers: str
    bits: int
    pc: str
    sp: str


@cache
def _machines() -> dict[str, Machine]:
    rows = csv.DictReader(package_text("vmcoredd_lab.notes", "data", "machines.csv").splitlines())
    return {r["machine"]: Machine(r["machine"], r["registers"], int(r["bits"]), r["pc"], r["sp"]) for r in rows}


def machine_of(name: str) -> Machine | None:
    """Return what is known of a machine by its name in ``uname -m``; None where its registers are not known."""
    return _machines().get(name)


def _expanded(names: str) -> Iterator[str]:
    for name in names.split():
        match = _RANGE.match(name)
        if match is None:
            yield name
            continue
        first, last = int(match["first"]), int(match["last"])
        step = 1 if first <= last else -1
        yield from (f"{match['stem']}{i}" for i in range(first, last + step, step))


@cache
def _sets() -> dict[tuple[str, str], Struct]:
    members: dict[tuple[str, str], list[Member]] = {}
    sources: dict[tuple[str, str], str] = {}
    for row in csv.DictReader(package_text("vmcoredd_lab.notes", "data", "register_sets.csv").splitlines()):
        key = row["machine"], row["set"]
        members.setdefault(key, []).extend(Member(name, row["kind"]) for name in _expanded(row["names"]))
        sources.setdefault(key, row["source"])
    return {key: Struct(key[1], sources[key], tuple(found)) for key, found in members.items()}


def register_set(machine: str, name: str) -> Struct | None:
    """Return the layout of one of a machine's register sets, e.g. ``gregset``; None where it is not known."""
    known = machine_of(machine)
    return None if known is None else _sets().get((known.registers, name))


def register_names(layout: Struct) -> list[str]:
    """Return the registers of a set in order, without the slots that hold none."""
    return [member.name for member in layout.members if not member.name.startswith("_")]
