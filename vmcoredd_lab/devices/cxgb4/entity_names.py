"""Entities and status codes by number (enum cudbg_dbg_entity_type, cudbg_if.h; cudbg_lib_common.h)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

from vmcoredd_lab.package_data import package_text

__all__ = ["describe_status", "entity_description", "entity_name", "entity_number", "entity_numbers", "status_meaning"]


@dataclass(frozen=True, slots=True)
class _Entity:
    name: str
    description: str


def read_table(name: str) -> list[dict[str, str]]:
    """Return the rows of one of the decoder's CSV data files."""
    text = package_text("vmcoredd_lab.devices.cxgb4", "data", name)
    return list(csv.DictReader(text.splitlines()))


@cache
def _entities() -> dict[int, _Entity]:
    return {int(r["number"]): _Entity(r["name"], r["description"]) for r in read_table("entities.csv")}


@cache
def _status_codes() -> dict[tuple[str, int], str]:
    return {(r["format"], int(r["code"])): r["meaning"] for r in read_table("status_codes.csv")}


def entity_name(number: int) -> str:
    """Return the CUDBG_ constant in lower case without its prefix; of an unknown number ``entity_N``."""
    known = _entities().get(number)
    return known.name if known else f"entity_{number}"


def entity_numbers() -> dict[str, int]:
    """Return the number of every entity name."""
    return {entity.name: number for number, entity in _entities().items()}


def entity_number(name: str | int) -> int | None:
    """Return the number for a name in any case, with or without ``CUDBG_``, or for a number as text; else None."""
    if isinstance(name, int):
        return name
    plain = name.strip().lower().removeprefix("cudbg_")
    if plain.isdecimal():
        return int(plain)
    if plain.startswith("entity_") and plain[7:].isdecimal():
        return int(plain[7:])
    return entity_numbers().get(plain)


def entity_description(number: int) -> str:
    """Return what the entity is, in a few words."""
    known = _entities().get(number)
    return known.description if known else "an entity this version does not know"


def describe_status(status: int, sys_err: int, sys_warn: int, *, unified_wire: bool = False) -> str:
    """Return what the three codes of an entity header say; empty where all is well.

    On Linux a code is ambiguous between the driver's own and errno; the driver puts -29 in hdr_flags where sys_err has the
    cause. The Unified Wire's own codes are others, and in hdr_flags only.
    """
    parts = []
    code = sys_err or status
    if code:
        parts.append(f"not collected: {status_meaning(code, unified_wire and not sys_err)} ({code})")
    if sys_warn:
        parts.append(f"{status_meaning(sys_warn)} ({sys_warn})")
    return "; ".join(parts)


def status_meaning(code: int, unified_wire: bool = False) -> str:
    """Return what a code of the Linux driver, or of the Unified Wire's library, says in a few words."""
    return _status_codes().get(("unified_wire" if unified_wire else "linux", code), "error")
