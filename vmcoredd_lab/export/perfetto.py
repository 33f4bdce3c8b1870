"""A Perfetto trace of instants, one track a lane (protos/perfetto/trace: trace_packet.proto, track_event.proto,
track_descriptor.proto, debug_annotation.proto, clock_snapshot.proto). Opens in ui.perfetto.dev.

Times are nanoseconds since boot. Lanes that are not tied to the kernel's clock are tracks whose name says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from vmcoredd_lab.export.lanes import Lane, lanes
from vmcoredd_lab.export.protobuf import Message, field, message
from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import escape

__all__ = ["perfetto_trace"]

TRACE_PACKET = 1  # Trace.packet
PACKET: Message = {
    "clock_snapshot": (6, "message"), "timestamp": (8, "int"), "trusted_packet_sequence_id": (10, "int"),
    "track_event": (11, "message"), "track_descriptor": (60, "message"),
}  # fmt: skip
TRACK_DESCRIPTOR: Message = {
    "uuid": (1, "int"), "name": (2, "text"), "parent_uuid": (5, "int"), "child_ordering": (11, "int"),
    "sibling_order_rank": (12, "int"),
}  # fmt: skip
TRACK_EVENT: Message = {
    "debug_annotations": (4, "message"), "type": (9, "int"), "track_uuid": (11, "int"), "categories": (22, "text"),
    "name": (23, "text"),
}  # fmt: skip
ANNOTATION: Message = {
    "uint_value": (3, "int"),
    "int_value": (4, "int"),
    "string_value": (6, "text"),
    "name": (10, "text"),
}
CLOCK_SNAPSHOT: Message = {"clocks": (1, "message")}
CLOCK: Message = {"clock_id": (1, "int"), "timestamp": (2, "int")}

INSTANT = 3  # TrackEvent.TYPE_INSTANT
EXPLICIT = 3  # TrackDescriptor.EXPLICIT: children by sibling_order_rank
BOOTTIME, REALTIME = 6, 1  # BuiltinClock
ROOT = 1
ARGUMENTS = ("device", "clock", "tick", "seq", "level", "facility", "uncertainty", "where")


def perfetto_trace(events: Table) -> Iterator[bytes]:
    """Yield the trace packet by packet."""
    drawn = lanes(events)
    yield _packet(
        track_descriptor=message(TRACK_DESCRIPTOR, [("uuid", ROOT), ("name", "crash"), ("child_ordering", EXPLICIT)])
    )
    base = -min((at for lane in drawn for at in lane.at if at < 0), default=0)  # the trace knows no time before boot
    clocks = _clocks(events, base)
    if clocks:
        yield _packet(clock_snapshot=clocks)
    for rank, lane in enumerate(drawn):
        track = ROOT + 1 + rank
        described = [("uuid", track), ("name", escape(lane.name)), ("parent_uuid", ROOT), ("sibling_order_rank", rank)]
        yield _packet(track_descriptor=message(TRACK_DESCRIPTOR, described))
    for rank, lane in enumerate(drawn):
        yield from _lane(lane, ROOT + 1 + rank, base)


def _packet(**values: Any) -> bytes:
    return field(TRACE_PACKET, "message", message(PACKET, [*values.items(), ("trusted_packet_sequence_id", 1)]))


def _lane(lane: Lane, track: int, base: int) -> Iterator[bytes]:
    for row, at in zip(lane.rows, lane.at, strict=True):
        annotations = [_annotation(name, row[name]) for name in ARGUMENTS if row[name] is not None]
        if not lane.tied:
            annotations.append(_annotation("placed", "by order within its own clock; not a time"))
        event = message(
            TRACK_EVENT,
            [
                ("type", INSTANT),
                ("track_uuid", track),
                ("categories", row["level"]),
                ("name", escape(row["text"], lines=True) or "(empty)"),
                *(("debug_annotations", annotation) for annotation in annotations),
            ],
        )
        yield _packet(timestamp=at + base, track_event=event)


def _annotation(name: str, value: Any) -> bytes:
    if isinstance(value, int):
        kind = "uint_value" if value >= 0 else "int_value"
        return message(ANNOTATION, [("name", name), (kind, value)])
    return message(ANNOTATION, [("name", name), ("string_value", escape(str(value)))])


def _clocks(events: Table, base: int) -> bytes | None:
    """Return a snapshot of both clocks at the last event that has a date, so that the program can show it."""
    times, walls = events.columns["time"], events.columns["wall"]
    known = np.flatnonzero(~np.ma.getmaskarray(walls))
    if not len(known):
        return None
    last = int(known[-1])
    pairs = ((BOOTTIME, int(times[last]) + base), (REALTIME, walls[last]))
    clocks = [message(CLOCK, [("clock_id", clock), ("timestamp", int(value))]) for clock, value in pairs]
    return message(CLOCK_SNAPSHOT, [("clocks", clock) for clock in clocks])
