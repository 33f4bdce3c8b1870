"""cudbg's structures by name, declared in the data file structs.csv (members, kinds, explicit padding).

``linux`` is drivers/net/ethernet/chelsio/cxgb4/cudbg_entity.h of Linux 6.1, ``unified_wire`` Chelsio's cudbg library of
2016 (format 1.9). Members keep the names that they have there.
"""

from __future__ import annotations

from functools import cache

from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.structs import Member, Struct

__all__ = ["declared", "words"]

_SOURCES = {
    "linux": "drivers/net/ethernet/chelsio/cxgb4/cudbg_entity.h",
    "unified_wire": "Chelsio Unified Wire 2016, cudbg library",
}


@cache
def _rows() -> dict[tuple[str, str], list[dict[str, str]]]:
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in read_table("structs.csv"):
        found.setdefault((row["family"], row["struct"]), []).append(row)
    return found


@cache
def declared(name: str, family: str = "linux") -> Struct:
    """Return the structure of that name.

    Raises
    ------
    KeyError: there is none.
    """
    members = []
    for row in _rows()[family, name]:
        kind: str | Struct = row["kind"]
        if isinstance(kind, str) and kind.startswith("struct "):
            kind = declared(kind.removeprefix("struct "), family)
        count = int(row["count"])
        members.append(Member(row["member"], kind, shape=(count,) if count > 1 else ()))
    return Struct(name, _SOURCES[family], tuple(members))


@cache
def words(count: int, kind: str = "u4", name: str = "w") -> Struct:
    """Return a structure of ``count`` equal words ``w0``, ``w1``, ...; of one word its name stays bare."""
    names = [name] if count == 1 else [f"{name}{i}" for i in range(count)]
    return Struct(f"{kind}[{count}]", "an array of words", tuple(Member(n, kind) for n in names))
