"""EXT_ENTITY, entity 63: what a second collection of the Unified Wire appended to a dump that was there.

cudbg_collect() of Chelsio's cudbg library (2016): struct cudbg_entity_hdr, then the entity's bytes as they are stored, one
after another. Offsets count from the beginning of the chain. The container follows the chain itself, so that an entity that
only was appended is among the dump's own; this is the list.
"""

from __future__ import annotations

import numpy as np

from vmcoredd_lab.devices.cxgb4.container import EXT_DATA_VALID
from vmcoredd_lab.devices.cxgb4.declared import words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder
from vmcoredd_lab.devices.cxgb4.entity_names import describe_status, entity_name
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.devices.cxgb4.structs import ENTITY_HDR
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "ExtEntity"]

LONGEST_CHAIN = 256


class ExtEntity(EntityDecoder):
    """Pairs of parts: ``headerN`` and the stored bytes ``storedN``."""

    names = ("ext_entity",)
    title = "entities that were appended"
    schema = Schema(
        "ext_entity",
        "The entities of a second collection, in its order (struct cudbg_entity_hdr, cudbg_if.h).",
        (
            Column("number", "u32", "enum cudbg_dbg_entity_type"),
            Column("name", "text", "the CUDBG_ constant in lower case without its prefix"),
            Column("status", "i64", "hdr_flags: 0, or a negative code"),
            Column("sys_err", "i64", "the cause where status is -29", rank=2),
            Column("sys_warn", "i64", "a negative code where data are partial", rank=3),
            Column("offset", "u64", "start_offset, from the beginning of the chain", "hex", rank=1),
            Column("stored_size", "u64", "bytes stored, padding included", "size"),
            Column(
                "next_ext_offset", "u64", "where the next header is, from the beginning of the chain", "hex", rank=4
            ),
            Column("summary", "text", "why it is not there; missing where it is"),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return a part for each header and for each entity's bytes, as far as the chain holds."""
        parts: list[Part] = []
        at, size = 0, ENTITY_HDR.size()
        while at + size <= len(data) and len(parts) < 2 * LONGEST_CHAIN:
            header = ENTITY_HDR.read(data, at, byteorder=context.byteorder)
            if not int(header["flag"]) & EXT_DATA_VALID:
                break
            count, stored = len(parts) // 2, int(header["size"])
            parts += [Part(f"header{count}", ENTITY_HDR), Part(f"stored{count}", words(1, "u1", "byte"), stored)]
            at += size + stored
        return Layout(tuple(parts))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per appended entity."""
        rows, places, at = [], [], 0
        for name, part in parts.items():
            if name.startswith("header") and len(part):
                h = {member: int(part[0][member]) for member in part.dtype.names if not part.dtype[member].shape}
                why = describe_status(h["hdr_flags"], h["sys_err"], h["sys_warn"], unified_wire=context.unified_wire)
                number = h["entity_type"]
                rows.append((number, entity_name(number), h["hdr_flags"], h["sys_err"], h["sys_warn"], h["start_offset"],
                             h["size"], h["next_ext_offset"], why or None))  # fmt: skip
                places.append((at, at + part.nbytes))
            at += part.nbytes
        table = Table.from_rows(self.schema, rows)
        table.spans = np.array(places, np.int64).reshape(-1, 2)
        return table

    def summary(self, parts: Parts, context: Context) -> str:
        """Return what was appended."""
        names = self.table(parts, context).columns["name"]
        return (
            f"{plural(len(names), 'entity', 'entities')} appended: {', '.join(names[:6])}"
            if names
            else "nothing appended"
        )


DECODERS = (ExtEntity(),)
