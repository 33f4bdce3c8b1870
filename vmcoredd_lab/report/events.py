"""What a report says of time and of differences: one timeline of all sources, and devices of one vmcore compared."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from vmcoredd_lab.analysis.diff import diff_table
from vmcoredd_lab.analysis.diff.groups import sections
from vmcoredd_lab.analysis.timeline import timeline_table
from vmcoredd_lab.devices.dump import DeviceDump
from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.opening import OpenedFile
from vmcoredd_lab.report.document import Differences, Timeline

__all__ = ["differences", "timeline"]

EVENTS = 20_000  # in a report; the timeline command has all
COMPARED = 4  # devices that are compared with the first of their chip
CLASSES = ("config", "status", "counter", "log")  # what a reader of a report looks for
SHOWN = 5  # rows of one register or entity


def timeline(opened: OpenedFile) -> Timeline | None:
    """Return the events of all sources; None where there are none but the collection."""
    table = timeline_table(opened)
    if all(source == "collection" for source in table.values("source")):
        return None
    kept = table.limited(EVENTS)
    return Timeline(kept.records(), len(table) - len(kept), table.attrs["clocks"], table.attrs["missing"])


def differences(opened: OpenedFile) -> list[Differences]:
    """Return what differs between the first device of each driver and chip and the others of it."""
    first: dict[tuple[str, str], tuple[DeviceDump, Any]] = {}
    found: list[Differences] = []
    for dump in opened.device_dumps:
        if dump.decoder is None or len(found) == COMPARED:
            continue
        try:
            nic = dump.decode()
            other, of_other = first.setdefault((nic.driver, getattr(nic, "chip", "")), (dump, nic))
            if other is dump:
                continue
            table = diff_table(of_other, nic, only=CLASSES)
        except VmcoreddLabError:
            continue  # recorded among the problems
        found.append(
            Differences(other.name, dump.name, table.attrs.get("note"), [asdict(s) for s in sections(table, SHOWN)])
        )
    return found
