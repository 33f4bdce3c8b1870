"""FLASH, entity 71: the adapter's serial flash by sector.

cudbg_collect_flash(), drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c. Linux 6.1 collects nothing: it asks t4_read_flash() for
four times the bytes it makes room for, runs past the end of the flash and gives up. A driver that does collect stores each
32-bit word in host order, so that on a little-endian host the bytes of each word are swapped. Sectors: t4_hw.h, "Flash layout".
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, spans
from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Codes, Column, Schema, Table

__all__ = ["DECODERS", "SECTOR", "Flash"]

Array = np.ndarray[Any, Any]

SECTOR = 64 << 10  # SF_SEC_SIZE
ROW_WORDS = 16
NOTE = (
    "The driver reads the flash word by word in host order: on a little-endian host the bytes of each word of "
    "entity_bytes() are swapped."
)


@cache
def _sector_names() -> tuple[str, ...]:
    rows = [(int(row["first"]), int(row["last"]), row["name"]) for row in read_table("flash_sectors.csv")]
    found = ["not assigned"] * (max(last for _, last, _ in rows) + 1)
    for first, last, name in rows:
        found[first : last + 1] = [name] * (last + 1 - first)
    return tuple(found)


class Flash(EntityDecoder):
    """An image of the flash."""

    names = ("flash",)
    title = "serial flash"
    schema = Schema(
        "flash",
        "Sectors of the serial flash (t4_hw.h, Flash layout).",
        (
            Column("sector", "u32", "number"),
            Column("offset", "u64", "in the flash and in the decoded entity, bytes", "hex"),
            Column("size", "u64", "bytes", "size"),
            Column("name", "category", "what the sector is for"),
            Column("collected", "bool", "true where the dump holds the whole sector"),
            Column("erased", "bool", "true where every bit is set; missing where not collected"),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the image as rows of 16 words."""
        return Layout((Part("words", words(ROW_WORDS), None),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per sector of the layout, and for each that the image holds beyond."""
        names = _sector_names()
        held = parts["words"].nbytes // SECTOR
        number = np.arange(max(len(names), held), dtype=np.uint32)
        categories = list(dict.fromkeys((*names, "not assigned")))
        codes = [categories.index(name) for name in names] + [categories.index("not assigned")] * (
            len(number) - len(names)
        )
        erased = np.zeros(len(number), bool)
        erased[:held] = (_image(parts)[: held * SECTOR].reshape(held, SECTOR) == 0xFF).all(axis=1)
        collected = number < held
        columns = {
            "sector": number,
            "offset": number.astype(np.uint64) * np.uint64(SECTOR),
            "size": np.full(len(number), SECTOR, np.uint64),
            "name": Codes(np.array(codes, np.int32), categories),
            "collected": collected,
            "erased": np.ma.array(erased, mask=~collected),
        }
        where = np.minimum(spans(0, SECTOR, len(number)), parts["words"].nbytes)
        return Table(self.schema, columns, {"note": NOTE}, where)

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how much of the flash is there."""
        return f"{parts['words'].nbytes // SECTOR} sectors of 64 KiB"


def _image(parts: Parts) -> Array:
    return np.ascontiguousarray(parts["words"]).view(np.uint8)


DECODERS = (Flash(),)
