"""In which order the driver collects entities, and which it feeds to its output piece by piece.

Source: the tables of collectors in drivers/net/ethernet/chelsio/cxgb4/cxgb4_cudbg.c, kept in data/collection.csv. A dump in
a vmcore holds the groups hardware and memory; ``ethtool -w`` has a flag for each group.
"""

from __future__ import annotations

from functools import cache

from vmcoredd_lab.devices.cxgb4.entity_names import read_table

__all__ = ["GROUPS", "collected", "fed_in_pieces", "rank"]

GROUPS = ("hardware", "memory", "flash")
IN_VMCORE = GROUPS[:2]


@cache
def _rows() -> dict[int, dict[str, str]]:
    return {int(row["number"]): row for row in read_table("collection.csv")}


def collected(groups: tuple[str, ...] = IN_VMCORE) -> list[str]:
    """Return the names of the entities that the driver collects for these groups, in its order."""
    return [row["name"] for row in _rows().values() if row["group"] in groups]


def rank(number: int) -> tuple[int, int]:
    """Return the place of an entity in the driver's order; one that it never collects comes last, by its number."""
    numbers = list(_rows())
    return (numbers.index(number), 0) if number in _rows() else (len(numbers), number)


def fed_in_pieces(number: int) -> bool:
    """Return True for an entity that the driver hands over piece by piece: it may be larger than the staging buffer."""
    return number in _rows() and _rows()[number]["fed"] == "pieces"
