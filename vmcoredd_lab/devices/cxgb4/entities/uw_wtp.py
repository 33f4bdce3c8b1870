"""WTP, entity 29: starts and ends of packets counted at every stage from the wire to the host; only the Unified Wire has it.

struct wtp_data, cudbg_entity.h of Chelsio's cudbg library (2016): for each stage arrays sop and eop by channel, for some
what they dropped. A packet that entered a stage and did not leave it shows as a difference between neighbours.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.structs import Struct
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "Wtp"]

FAMILY = "unified_wire"
COUNTS = {"sop": "packet starts", "eop": "packet ends"}
# Members of some stages that count for all channels together.
LOSSES = {
    "drops": "packets dropped; low 8 bits count",
    "drop": "packets dropped for want of room; low 8 bits count",
    "cls_drop": "packets dropped by the classifier; low 8 bits count",
    "err": "packets with an error; low 8 bits count",
    "bp": "back pressure",
}
INTERRUPTS = ("pcie_core_dmai", "sge_pcie_ints")  # stages whose sop counts interrupts in its low 4 bits


@cache
def _places() -> tuple[list[str], list[int | None], dict[str, np.ndarray[Any, Any]]]:
    """Return stage and channel of each row, and for each column the word it is in; -1 where the row has none."""
    stages: list[str] = []
    channels: list[int | None] = []
    found: dict[str, list[int]] = {name: [] for name in (*COUNTS, *LOSSES)}
    word = 0
    for stage in declared("wtp_data", FAMILY).members:
        assert isinstance(stage.kind, Struct)
        at: dict[str, tuple[int, int]] = {}
        for member in stage.kind.members:
            count = member.shape[0] if member.shape else 1
            at[member.name] = (word, count)
            word += count
        many = at["sop"][1]
        rows: list[int | None] = [*range(many), *([None] if len(at) > len(COUNTS) else [])]
        for channel in rows:
            stages.append(stage.name)
            channels.append(channel)
            for name, words in found.items():
                there = name in at and (channel is None) == (name in LOSSES)
                words.append(at[name][0] + (channel or 0) if there else -1)
    return stages, channels, {name: np.array(words) for name, words in found.items()}


class Wtp(EntityDecoder):
    """struct wtp_data."""

    names = ("wtp",)
    title = "packets counted along the paths through the adapter"
    chips = "T5 T6"
    schema = Schema(
        "wtp",
        "Packet starts and ends by stage and channel, and what a stage dropped (struct wtp_data, cudbg_entity.h of the "
        "Unified Wire). Counters of a stage are as wide as its register, mostly 4 or 8 bits, and wrap.",
        (
            Column("stage", "category", "member of struct wtp_data: from and to, or the register"),
            Column("channel", "u32", "channel or port; missing in the row of what counts for the whole stage"),
            Column(
                "sop", "u32", f"{COUNTS['sop']}; of {' and '.join(INTERRUPTS)}: interrupts, low 4 bits count", "hex"
            ),
            Column("eop", "u32", COUNTS["eop"], "hex"),
            *(Column(name, "u32", doc, "hex", rank=1) for name, doc in LOSSES.items()),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the structure."""
        return Layout((Part("wtp", declared("wtp_data", FAMILY)),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per stage and channel, and one for what counts for the whole stage."""
        if not len(parts["wtp"]):
            return Table.from_rows(self.schema, [])
        stages, channels, places = _places()
        order = parts["wtp"].dtype["sge_pcie_cmd_req"]["sop"].base
        values = np.frombuffer(parts["wtp"].tobytes(), order).astype(np.uint32)
        missing = np.array([c is None for c in channels])
        columns: dict[str, Any] = {
            "stage": stages,
            "channel": np.ma.array([c or 0 for c in channels], np.uint32, mask=missing),
        }
        for name, words in places.items():
            columns[name] = np.ma.array(values[words], mask=words < 0)
        first = np.min([np.where(w < 0, len(values), w) for w in places.values()], axis=0)
        last = np.max(list(places.values()), axis=0)
        return Table(self.schema, columns, spans=np.column_stack([4 * first, 4 * last + 4]))

    def summary(self, parts: Parts, context: Context) -> str:
        """Return what was dropped and had errors."""
        table = self.table(parts, context)
        if not len(table):
            return "empty"
        lost = {name: sum((v or 0) & 0xFF for v in table.values(name)) for name in ("drops", "drop", "cls_drop", "err")}
        told = [f"{name} {count}" for name, count in lost.items() if count]
        return f"{plural(len(set(table.values('stage'))), 'stage')}; " + (", ".join(told) or "nothing dropped")


DECODERS = (Wtp(),)
