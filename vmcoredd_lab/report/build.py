"""Build the document from an opened file. Everything is read here; renderers only arrange it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vmcoredd_lab import __version__, rules
from vmcoredd_lab.analysis.findings import Diagnosis
from vmcoredd_lab.devices.dump import DeviceDump
from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.opening import OpenedFile
from vmcoredd_lab.report.cpus import build_cpus
from vmcoredd_lab.report.document import Adapter, Document, Finding, Highlight, Records, Registers
from vmcoredd_lab.report.events import differences, timeline
from vmcoredd_lab.report.places import Places
from vmcoredd_lab.summary import summarise
from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import escape, plural
from vmcoredd_lab.vmcore import Vmcore

__all__ = ["build"]

SEGMENT_ROWS = 400
LOG_ROWS = 250  # the end of the kernel log
PLACES = 8  # of a finding
REGISTER_COLUMNS = ("register", "scope", "instance", "address", "value")
REGISTERS = 40_000  # of an adapter; a T6 has 10,322
STANDING = 5  # findings of a device beside its name
ENTITY_COLUMNS = ("number", "name", "status", "sys_err", "sys_warn", "offset", "stored_size", "size", "summary")
GRAVE = ("EMERG", "CRIT", "ERR")
NOT_ON_THIS_CHIP = (-24, -28)  # CUDBG_STATUS_ENTITY_NOT_FOUND, CUDBG_STATUS_NOT_IMPLEMENTED


def build(
    opened: OpenedFile,
    *,
    title: str | None = None,
    date: str | None = None,
    vmlinux: str | os.PathLike[str] | None = None,
) -> Document:
    """Return the document. Every device dump is read whole, so that ``problems`` is complete."""
    entities = [_entities(dump) for dump in opened.device_dumps]  # then the check need not inflate them once more
    opened.check()
    diagnosis = opened.diagnosis
    decoded = [_adapter(dump, i, entities[i], diagnosis) for i, dump in enumerate(opened.device_dumps)]
    adapters = [adapter for adapter in decoded if adapter is not None]
    facts = summarise(opened)
    dumps, problems = facts.pop("device_dumps"), facts.pop("problems")
    notes: Records = []
    segments: Records = []
    left_out = log_left_out = 0
    log: Records = []
    if opened.core is not None:
        notes = opened.core.notes_table().records()
        table = opened.core.segments_table()
        segments = table.take(slice(0, SEGMENT_ROWS)).records()
        left_out = max(0, len(table) - SEGMENT_ROWS)
        log, log_left_out = _kernel_log(opened.core)
    events = timeline(opened)
    places = Places(opened, adapters, events.events if events else [], {row["seq"] for row in log})
    return Document(
        title=title or escape(Path(opened.path).name),
        date=date or _now(),
        generator=f"vmcoredd-lab {__version__}",
        vmcore=facts,
        findings=[_finding(one, places) for one in diagnosis.findings],
        rules_skipped=len(diagnosis.skipped),
        signature=opened.signature().hash if diagnosis.findings or diagnosis.skipped else None,
        device_dumps=dumps,
        adapters=adapters,
        notes=notes,
        segments=segments,
        segments_left_out=left_out,
        problems=problems,
        kernel_log=log,
        kernel_log_left_out=log_left_out,
        cpus=build_cpus(opened.core, vmlinux) if opened.core is not None else None,
        timeline=events,
        differences=differences(opened),
    )


def _kernel_log(core: Vmcore) -> tuple[Records, int]:
    """Return the end of the kernel log, each record with the line that dmesg prints, and how many are left out."""
    from vmcoredd_lab.kernel.printed import readable, stamp

    try:
        log = core.dmesg_table()
    except VmcoreddLabError:
        return [], 0  # vmcore.kernel_log_missing says why
    shown = log.limited(LOG_ROWS)
    panic = frozenset(core.panic.seqs if core.panic else ())
    rows = [
        {key: row[key] for key in ("seq", "time_ns", "level", "facility", "device", "state")}
        | {"text": readable(row["text"]), "time": stamp(row["time_ns"])[1:-1].strip(), "panic": row["seq"] in panic}
        for row in shown.records()
    ]
    return rows, len(log) - len(shown)


def _now() -> str:
    """Return the date to print; SOURCE_DATE_EPOCH fixes it (reproducible-builds.org)."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    when = datetime.fromtimestamp(int(fixed), UTC) if fixed.isdecimal() else datetime.now(UTC)
    return when.strftime("%Y-%m-%d %H:%M UTC")


def _finding(one: rules.Finding, places: Places) -> Finding:
    return Finding(
        one.rule,
        one.severity,
        one.confidence,
        one.title,
        one.device,
        one.explanation,
        one.next_step,
        [places.describe(evidence) for evidence in one.evidence[:PLACES]],
        len(one.evidence),
    )


def _adapter(dump: DeviceDump, index: int, entities: Records | None, diagnosis: Diagnosis) -> Adapter | None:
    nic = _decoder(dump)
    if nic is None:
        return None
    log, log_missing = _records(nic, "firmware_log_table")
    causes, causes_missing = _records(nic, "interrupt_causes_table")
    identity = getattr(nic, "identity", dict)
    return Adapter(
        index=index,
        name=dump.name,
        driver=dump.driver,
        device=dump.device,
        identity=identity(),
        highlights=_found(dump, index, diagnosis) or _highlights(index, nic, entities, log, causes),
        entities=entities,
        firmware_log=log,
        firmware_log_missing=log_missing,
        interrupt_causes=causes,
        interrupt_causes_missing=causes_missing,
        unreachable=bool(getattr(getattr(nic, "firmware_state", None), "unreachable", False)),
        registers=_registers(nic),
    )


def _registers(nic: Any) -> Registers | None:
    """Return every register collected; None where the decoder has none, or they could not be had."""
    try:
        table: Table | None = nic.registers_table() if hasattr(nic, "registers_table") else None
    except VmcoreddLabError:
        return None  # recorded among the problems
    if table is None:
        return None
    table = table.take(slice(0, REGISTERS))
    names: list[str] = [name for name in REGISTER_COLUMNS if name in table.schema.names]
    return Registers(names, [list(row) for row in zip(*map(table.values, names), strict=True)])


def _records(nic: Any, method: str) -> tuple[Records | None, str | None]:
    """Return the rows of a decoder's table, or None and why; neither where the decoder has no such table."""
    table = getattr(nic, method, None)
    if table is None:
        return None, None
    try:
        rows: Table = table()
    except VmcoreddLabError as error:
        return None, error.message
    return rows.records(), None


def _decoder(dump: DeviceDump) -> Any:
    """Return a dump decoded; None where it cannot be, which is among the problems."""
    try:
        return dump.decode() if dump.decoder is not None else None
    except VmcoreddLabError:
        return None


def _entities(dump: DeviceDump) -> Records | None:
    """Return the entities with every column that the report uses; None where the decoder knows of none."""
    rows, _ = _records(_decoder(dump), "entities_table")
    return None if rows is None else [dict.fromkeys(ENTITY_COLUMNS) | row for row in rows]


def _found(dump: DeviceDump, index: int, diagnosis: Diagnosis) -> list[Highlight]:
    """Return the findings of a device that are alarms, or that there are none; nothing where its decoder has no rules."""
    if not hasattr(dump.decode(), "rules"):
        return []
    own = [
        (i, one) for i, one in enumerate(diagnosis.findings)
        if one.device == dump.device or (dump.bare and one.device in (None, dump.name))
    ]  # fmt: skip
    alarms = [Highlight(one.severity, one.title, f"finding-{i}") for i, one in own if one.severity != "info"]
    if len(alarms) > STANDING:
        alarms[STANDING:] = [Highlight("info", plural(len(alarms) - STANDING, "more finding"), "findings")]
    return alarms or [Highlight("info", "No finding above info", f"adapter-{index}")]


def _highlights(index: int, nic: Any, entities: Any, log: Any, causes: Any) -> list[Highlight]:
    found = []
    state = getattr(nic, "firmware_state", None)
    if state is not None and state.bad:
        text = f"{state.sentence[0].upper()}{state.sentence[1:]} (PCIE_FW {state.register:#010x})"
        found.append(Highlight("critical", text, f"adapter-{index}"))
    grave = [e for e in log or [] if e["level"] in GRAVE]
    if grave:
        last = grave[-1]
        found.append(Highlight(
            "error", f"{plural(len(grave), 'firmware log entry', 'firmware log entries')} at ERR or worse, "
            f"the newest {last['level']} {last['facility']}: {last['message']}", f"log-{index}",
        ))  # fmt: skip
    if causes and not (state is not None and state.unreachable):
        registers = {(c["register"], c["instance"]) for c in causes}
        fatal = [c for c in causes if c["driver_fatal"] and c["enabled"] is not False]
        text = f"{plural(len(registers), 'interrupt-cause register is', 'interrupt-cause registers are')} not zero"
        if fatal:
            text += f", among them {plural(len(fatal), 'bit')} on which the driver stops the adapter"
        found.append(Highlight("error" if fatal else "warning", text, f"causes-{index}"))
    failed = [e for e in entities or [] if e["status"] and (e["sys_err"] or e["status"]) not in NOT_ON_THIS_CHIP]
    if failed:
        names = ", ".join(e["name"] for e in failed[:4]) + (", ..." if len(failed) > 4 else "")
        found.append(Highlight("warning", f"{plural(len(failed), 'entity', 'entities')} could not be collected: {names}",
                               f"entities-{index}"))  # fmt: skip
    looked_at = _looked_at(nic)
    if not found and looked_at:
        found.append(Highlight("info", f"Nothing stands out in {looked_at}", f"adapter-{index}"))
    return found


def _looked_at(nic: Any) -> str:
    """Say what of a decoder was looked at; empty where it offers none of it."""
    sources = {
        "firmware_state": "the firmware state", "firmware_log_table": "its log", "interrupt_causes_table": "the interrupt causes",
    }  # fmt: skip
    parts = [text for name, text in sources.items() if hasattr(nic, name)]
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
