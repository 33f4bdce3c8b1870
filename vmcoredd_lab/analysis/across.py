"""Rules across sources: what the kernel's log and a device's dump say of the same event, and where they contradict each other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.kernel.log_rules import KernelCase, LogLine
from vmcoredd_lab.rules import Evidence, Match, NotEvaluableError, Rule

__all__ = ["across_rules"]

LOG_ENTRY = 256  # struct fw_devlog_e
SEVERITY = {"EMERG": "error", "CRIT": "error", "ERR": "warning"}
GRAVE = ("EMERG", "CRIT", "ERR")


@dataclass(frozen=True)
class Event:
    """What one event is called on both sides: in the driver's messages, and in the firmware's."""

    name: str
    kernel: re.Pattern[str]
    firmware: re.Pattern[str]
    grave: bool = True


def _event(name: str, kernel: str, firmware: str, grave: bool = True) -> Event:
    return Event(name, re.compile(kernel, re.I), re.compile(firmware, re.I), grave)


EVENTS = (
    _event("the firmware crashed", r"firmware .*(?:crash|assert|error|reports)|\bassert|adapter stopped|encountered fatal",
           r"assert|exception|watchdog|panic|crash"),
    _event("the adapter is too hot", r"temperature|overheat|thermal", r"temperature|overheat|thermal|airflow"),
    _event("a queue does not move", r"transmit queue \d+ timed out|idma.*stuck|queue.*stuck",
           r"stopped taking|stuck|stall|timed? ?out"),
    _event("memory returned wrong data", r"\becc\b|parity|\bedc\d?\b|\bmc\d?\b.*error", r"\becc\b|parity|uncorrect"),
    _event("the PCIe link failed", r"\bAER\b|pcie.*(?:error|down)|not accessible", r"pcie?.*(?:error|down|reset|timeout)"),
    _event("a port's link went down", r"link (?:is )?down", r"link down", grave=False),
    _event("the mailbox was not answered", r"mailbox|mbox|command \S+ .*timed? ?out", r"mailbox|mbox"),
)  # fmt: skip


def _said_by(case: KernelCase, dump: Any) -> list[LogLine]:
    """Return the lines of the kernel log about a device: with its address, or with the name of its interface."""
    names = _interfaces(case, dump.device)
    known = re.compile("|".join([re.escape(dump.device), *(rf"\b{re.escape(n)}\b" for n in names)]))
    return [line for line in case.lines if line.device == dump.device or known.search(line.text)]


def _interfaces(case: KernelCase, device: str) -> set[str]:
    """Return what the interfaces of a device are called, from lines of the form ``cxgb4 0000:02:00.4 eth2: ...``."""
    pattern = re.compile(rf"{re.escape(device)} (\w+): (?:renamed from (\w+))?")
    return {name for line in case.lines for m in [pattern.search(line.text)] if m for name in m.groups() if name} - {
        "MSI",
        "PCI",
    }


def _log(dump: Any) -> list[dict[str, Any]]:
    table = getattr(dump.decode(), "firmware_log_table", None)
    if table is None:
        raise NotEvaluableError("the decoder knows of no firmware log")
    try:
        rows = table()
    except VmcoreddLabError as error:
        raise NotEvaluableError(f"firmware log: {error.message}") from None
    entity = rows.attrs.get("entity", "dev_log")
    return [record | {"entity": entity} for record in rows.records()]


def same_event(pair: tuple[KernelCase, Any]) -> Iterable[Match]:
    """The kernel's log and the firmware's tell of the same event."""
    case, dump = pair
    lines, log = _said_by(case, dump), _log(dump)
    for event in EVENTS:
        heard = [line for line in lines if event.kernel.search(line.text)]
        said = [
            e for e in log if event.firmware.search(e["message"] or "") and (not event.grave or e["level"] in GRAVE)
        ]
        if not heard or not said:
            continue
        line, entry = heard[-1], said[-1]
        evidence = (
            *line.evidence,
            Evidence(f"entity:{dump.space}/{entry['entity']}", entry["offset"], LOG_ENTRY,
                     f"firmware log entry {entry['seqno']}: {entry['message']}"),
        )  # fmt: skip
        yield Match(
            evidence, severity=SEVERITY.get(entry["level"], "info") if event.grave else "info", value=entry["message"],
            title=f"Kernel and firmware agree, {event.name}: {entry['message']}",
            explanation=f"The kernel logged \"{line.text}\"; the firmware logged \"{entry['message']}\" "
            f"({entry['level']}, entry {entry['seqno']}).",
        )  # fmt: skip


_VERSION = re.compile(r"\b(?:firmware|fw)\b[^,;]*?\b(\d+\.\d+\.\d+\.\d+)\b", re.I)
_FLASHED = re.compile(r"(?:flash|upgrad|updat|install)\w*|card", re.I)


def firmware_version(pair: tuple[KernelCase, Any]) -> Iterable[Match]:
    """The firmware that the driver found when it started is not the one that is on the card."""
    case, dump = pair
    nic = dump.decode()
    identity: dict[str, str] = getattr(nic, "identity", dict)()
    on_card = re.search(r"\d+\.\d+\.\d+\.\d+", identity.get("firmware", ""))
    if not on_card:
        raise NotEvaluableError("the version of the firmware is not in the dump")
    known = [(line, m[1]) for line in _said_by(case, dump) for m in [_VERSION.search(line.text)] if m]
    if not known:
        raise NotEvaluableError("the kernel log does not say which firmware the driver found")
    line, version = known[-1]
    if version != on_card[0]:
        evidence = (*line.evidence, *_version_bytes(nic, dump, on_card[0]))
        yield Match(evidence, value=version, title=f"Kernel log says firmware {version}, the card holds {on_card[0]}")


def _version_bytes(nic: Any, dump: Any, version: str) -> Iterable[Evidence]:
    """Return where the version is in the dump; nothing for a decoder whose entity is another."""
    try:
        spans = nic.entity_table("vpd_data").spans
    except (VmcoreddLabError, AttributeError):
        return
    if spans is not None and len(spans):
        start, end = spans[0].tolist()
        yield Evidence(f"entity:{dump.space}/vpd_data", start, end - start, f"firmware {version}")


def across_rules() -> list[Rule]:
    """Return the rules; each is evaluated over a :class:`KernelCase` and a device dump."""
    return [
        Rule("CRS-01", "Kernel and firmware agree on an event", "error",
             "Both logs tell of the same event, each with its own clock: it happened, and the two lines date it on both.",
             "Use the pair as an anchor of the two clocks.", ("dmesg", "dev_log"),
             "the text of the kernel's record, and the firmware's entry", same_event, "medium", 260),
        Rule("CRS-02", "Firmware of the kernel log and firmware on the card differ", "warning",
             "The driver logged one version when it started, and the flash holds another: it was written since, or the adapter "
             "still runs what it had before.",
             "Reset the adapter, or compare the module's version with the firmware's.", ("dmesg", "vpd_data"),
             "the text of the kernel's record, and the version in VPD_DATA", firmware_version, "medium", 405),
    ]  # fmt: skip
