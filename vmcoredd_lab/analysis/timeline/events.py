"""Events of every source under one schema: kernel log, firmware logs, mailbox logs, panic, collection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from vmcoredd_lab.devices.dump import DeviceDump
from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.opening import OpenedFile
from vmcoredd_lab.tables import Column, Schema, Table

__all__ = ["KERNEL", "LEVELS", "TIMELINE", "Event", "clock_of", "events"]

KERNEL = "kernel"
LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "unknown")

TIMELINE = Schema(
    "timeline",
    "Events of every source: by kernel time where there is one, then the lanes of clocks that have none, each in its own order.",
    (
        Column("source", "category", "dmesg, firmware, mailbox, panic, collection"),
        Column("device", "category", "the device dump's name; of a kernel message about another device what it names", rank=3),
        Column("clock", "category", "the clock that tick is of: kernel, firmware NAME, jiffies NAME", rank=6),
        Column("tick", "u64", "the raw time: nanoseconds since boot of the kernel, ticks of a firmware, jiffies", rank=5),
        Column("seq", "u64", "the source's own number; wraps", rank=4),
        Column("level", "category", ", ".join(LEVELS)),
        Column("facility", "category", "syslog facility; part of the firmware; mailbox command", rank=2),
        Column("text", "text", "the message; bytes that are not text escaped"),
        Column("time", "i64", "nanoseconds since boot on the kernel's clock; missing where that is not known", "seconds"),
        Column("uncertainty", "i64", "how far time may be off, nanoseconds", "seconds", rank=7),
        Column("wall", "datetime", "UTC, through CRASHTIME and the time of the panic; good to a second", rank=8),
        Column("where", "category", "the bytes of the event: space, offset and length", rank=9),
        Column("space", "category", "file, physical, entity:DUMP/ENTITY", rank=10),
        Column("offset", "u64", "first byte in that space", "hex", rank=10),
        Column("length", "u64", "bytes", rank=10),
    ),
    tail=True,
)  # fmt: skip

ENTRY = 256  # bytes of a firmware log entry


@dataclass
class Event:
    """One event; ``time`` and what follows from it are set when clocks are tied."""

    source: str
    device: str | None
    clock: str | None
    tick: int | None
    seq: int | None
    level: str
    facility: str | None
    text: str
    space: str | None = None
    offset: int | None = None
    length: int | None = None
    time: int | None = None
    uncertainty: int | None = None
    wall: int | None = None  # nanoseconds of the epoch

    def cells(self) -> tuple[Any, ...]:
        """Return the row in the order of :data:`TIMELINE`."""
        where = None if self.space is None else f"{self.space} {self.offset or 0:#x}+{self.length or 0}"
        return (
            self.source, self.device, self.clock, self.tick, self.seq, self.level, self.facility, self.text, self.time,
            self.uncertainty, self.wall, where, self.space, self.offset, self.length,
        )  # fmt: skip


def clock_of(kind: str, dump: DeviceDump) -> str:
    """Return the name of a device's clock: ``firmware NAME`` or ``jiffies NAME``."""
    return f"{kind} {dump.name}"


def events(opened: OpenedFile, missing: dict[str, str]) -> Iterator[Event]:
    """Yield the events of a file, source by source; what could not be had goes into ``missing`` with its reason."""
    devices = {dump.device: dump.name for dump in opened.device_dumps if dump.device}
    if opened.core is not None:
        yield from _dmesg(opened.core, devices, missing)
        yield from _panic(opened.core)
    for dump in opened.device_dumps:
        yield from _device(dump, missing)


def _dmesg(core: Any, devices: dict[str, str], missing: dict[str, str]) -> Iterator[Event]:
    try:
        table: Table = core.dmesg_table()
    except VmcoreddLabError as error:
        missing["dmesg"] = error.message
        return
    columns = (table.values(name) for name in ("seq", "time_ns", "level", "facility", "text", "device"))
    spans = table.spans.tolist() if table.spans is not None else [None] * len(table)
    for (seq, time, level, facility, text, device), span in zip(zip(*columns, strict=True), spans, strict=True):
        address = device.rsplit(" ", 1)[-1] if device else ""
        yield Event(
            "dmesg", devices.get(address, device), KERNEL, time, seq, _level(level), facility, text or "",
            *(("physical", span[0], span[1] - span[0]) if span else ()),
        )  # fmt: skip


def _panic(core: Any) -> Iterator[Event]:
    panic = core.panic
    if panic is None:
        return
    table: Table = core.dmesg_table()
    place: tuple[Any, ...] = ()
    if table.spans is not None and panic.seqs:
        last = table.values("seq").index(panic.seqs[-1])
        first, end = table.spans[last].tolist()
        place = ("physical", first, end - first)
    yield Event(
        "panic",
        None,
        KERNEL,
        panic.time_ns,
        panic.seqs[-1] if panic.seqs else None,
        "emerg",
        None,
        panic.reason,
        *place,
    )


def _device(dump: DeviceDump, missing: dict[str, str]) -> Iterator[Event]:
    nic = None
    if dump.decoder is not None:
        try:
            nic = dump.decode()
            yield from _firmware(dump, nic)
        except VmcoreddLabError as error:
            missing[f"firmware log of {dump.name}"] = error.message
        try:
            if nic is not None:
                yield from _mailbox(dump, nic)
        except VmcoreddLabError as error:
            missing[f"mailbox log of {dump.name}"] = error.message
    told = f": {nic.summary()}" if nic is not None else ""
    how = "collected into a file" if dump.bare else "collected in the capture kernel"
    yield Event(
        "collection",
        dump.name,
        None,
        None,
        None,
        "info",
        None,
        f"device dump {how}{told}",
        "file",
        dump.offset,
        dump.size,
    )


def _firmware(dump: DeviceDump, nic: Any) -> Iterator[Event]:
    if not hasattr(nic, "firmware_log_table"):
        return
    table: Table = nic.firmware_log_table()
    entity = table.attrs.get("entity", "dev_log")
    names = ("seqno", "timestamp", "level", "facility", "message")
    offsets = table.values("offset") if "offset" in table.columns else [None] * len(table)
    for (seq, tick, level, facility, text), at in zip(
        zip(*map(table.values, names), strict=True), offsets, strict=True
    ):
        place = () if at is None else (f"entity:{dump.name}/{entity}", at, ENTRY)
        yield Event(
            "firmware", dump.name, clock_of("firmware", dump), tick, seq, _level(level), facility, text or "", *place
        )


def _mailbox(dump: DeviceDump, nic: Any) -> Iterator[Event]:
    entities: Iterable[str] = nic.entities_table().values("name") if hasattr(nic, "entity_table") else ()
    if "mbox_log" not in entities:
        return
    table: Table = nic.entity_table("mbox_log")
    names = ("seqno", "timestamp", "direction", "opcode", "opcode_name", "action", "retval_name", "execute", "failed")
    spans = table.spans.tolist() if table.spans is not None else [None] * len(table)
    for cells, span in zip(zip(*map(table.values, names), strict=True), spans, strict=True):
        seq, tick, direction, opcode, name, action, result, execute, failed = cells
        called = name or f"opcode {opcode:#x}"
        how = (
            f"errno {-execute}" if execute < 0 else " ".join(filter(None, [result, f"{execute} ms" if execute else ""]))
        )
        text = " ".join(filter(None, [direction, called, action])) + (f": {how}" if how else "")
        place = (f"entity:{dump.name}/mbox_log", span[0], span[1] - span[0]) if span else ()
        yield Event(
            "mailbox",
            dump.name,
            clock_of("jiffies", dump),
            tick,
            seq,
            "err" if failed else "debug",
            called,
            text,
            *place,
        )


def _level(name: str | None) -> str:
    """Return a level by the one name that all sources share here."""
    lower = (name or "unknown").lower()
    lower = {"warning": "warn", "error": "err", "critical": "crit", "emergency": "emerg"}.get(lower, lower)
    return lower if lower in LEVELS else "unknown"
