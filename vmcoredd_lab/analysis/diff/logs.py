"""Logs of two dumps by the shape of their messages: what one says that the other does not."""

from __future__ import annotations

from collections import Counter
from typing import Any

from vmcoredd_lab.analysis.diff.rows import Difference, Differences
from vmcoredd_lab.analysis.shapes import message_shape
from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import plural

__all__ = ["compare_commands", "compare_log"]

GRAVE = ("EMERG", "CRIT", "ERR")
_Shape = tuple[str, ...]


class _Log:
    """How often each shape comes, its newest message and where that is."""

    def __init__(self, shapes: list[_Shape], texts: list[str], places: list[int | None]) -> None:
        self.counts = Counter(shapes)
        self.newest = dict(zip(shapes, zip(texts, places, strict=True), strict=True))

    @classmethod
    def of_firmware(cls, table: Table) -> _Log:
        texts = [text or "" for text in table.values("message")]
        levels, facilities = table.values("level"), table.values("facility")
        shapes: list[_Shape] = [
            (level, facility, message_shape(text))
            for level, facility, text in zip(levels, facilities, texts, strict=True)
        ]
        places = table.values("offset") if "offset" in table.columns else [None] * len(texts)
        return cls(shapes, texts, places)

    @classmethod
    def of_commands(cls, table: Table) -> _Log:
        cells = zip(
            *map(table.values, ("opcode_name", "opcode", "action", "direction", "retval_name", "failed", "execute")),
            strict=True,
        )
        shapes: list[_Shape] = []
        for name, opcode, action, direction, result, failed, execute in cells:
            how = "failed" if failed else "done"
            why = f"errno {-execute}" if execute < 0 else str(result or "")
            shapes.append(
                (how, name or f"opcode {opcode:#x}", " ".join(filter(None, [direction, action, why if failed else ""])))
            )
        places = table.spans[:, 0].tolist() if table.spans is not None else [None] * len(shapes)
        return cls(shapes, [" ".join(shape) for shape in shapes], places)


def compare_log(a: Table, b: Table, found: Differences) -> None:
    """Add what differs between two firmware logs: messages whose shape only one has, and levels."""
    _compare(_Log.of_firmware(a), _Log.of_firmware(b), "firmware log", "dev_log", found, grave=GRAVE)


def compare_commands(a: Table, b: Table, found: Differences) -> None:
    """Add what differs between two mailbox logs: commands, and results, that only one has."""
    _compare(_Log.of_commands(a), _Log.of_commands(b), "mailbox log", "mbox_log", found, grave=("failed",))


def _compare(a: _Log, b: _Log, what: str, entity: str, found: Differences, grave: tuple[str, ...]) -> None:
    if bool(a.counts) != bool(b.counts):
        total = sum(a.counts.values()), sum(b.counts.values())
        note = f"the log is empty in {'B' if a.counts else 'A'}"
        found.add(Difference(
            "log", what, total[0], total[1], field="messages", policy="varies", entity=entity, note=note, form="count",
        ))  # fmt: skip
    both: list[_Shape] = []
    rows = []
    for shape in dict.fromkeys([*b.counts, *a.counts]):
        if shape in a.counts and shape in b.counts:
            if a.counts[shape] != b.counts[shape]:
                both.append(shape)
            continue
        log, side = (a, "A") if shape in a.counts else (b, "B")
        if not (a.counts and b.counts) and shape[0] not in grave:
            continue
        text, place = log.newest[shape]
        counts = a.counts.get(shape, 0), b.counts.get(shape, 0)
        where: dict[str, Any] = {f"where_{side.lower()}": place}
        rows.append(Difference(
            "log", what, counts[0], counts[1], key=" ".join(shape[:2]), field=shape[2],
            policy="must_be_explained" if shape[0] in grave else "varies", entity=entity,
            delta=counts[1] - counts[0], note=f"only in {side}; the newest: {text}", form="count", **where,
        ))  # fmt: skip
    for row in rows:
        found.add(row)
    if both and found.detail:
        for shape in both:
            found.add(Difference(
                "log", what, a.counts[shape], b.counts[shape], key=" ".join(shape[:2]), field=shape[2], policy="varies",
                entity=entity, delta=b.counts[shape] - a.counts[shape], form="count", where_b=b.newest[shape][1],
                where_a=a.newest[shape][1],
            ))  # fmt: skip
    elif both:
        found.add(Difference(
            "log", what, sum(a.counts.values()), sum(b.counts.values()), field="how often", policy="varies", entity=entity,
            note=f"{plural(len(both), 'shape')} of messages in both, more or less often", form="count",
        ))  # fmt: skip
