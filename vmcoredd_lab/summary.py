"""The facts that open every answer: what crashed, when, on what, and what is in the file. Used by info and the report."""

from __future__ import annotations

from typing import Any

from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.opening import OpenedFile
from vmcoredd_lab.text import escape

__all__ = ["summarise"]


def summarise(opened: OpenedFile) -> dict[str, Any]:
    """Return JSON-ready facts; what is not known is None. Reads headers, and one piece of each dump's registers."""
    core = opened.core
    facts: dict[str, Any] = {"file": opened.path, "file_size": opened.source.size, "layers": list(opened.source.layers)}
    if core is None:
        facts |= {
            "format": "device dump",
            "machine": None,
            "byteorder": getattr(getattr(opened.device_dumps[0].decode(), "container", None), "byteorder", None),
        }
    else:
        facts |= {"format": core.format, "machine": core.machine, "byteorder": core.byteorder}
        facts |= _kernel(core)
    facts["device_dumps"] = [_dump(dump, index) for index, dump in enumerate(opened.device_dumps)]
    facts["problems"] = opened.problems().table().records()
    return facts


def _kernel(core: Any) -> dict[str, Any]:
    info, identity = core.vmcoreinfo, core.container.identity()
    seconds = info.crash_seconds
    when = info.crash_time
    return {
        "kernel_release": info.release or identity.get("release"),
        "kernel_version": identity.get("version"),
        "host": identity.get("nodename"),
        "crash_time": when.isoformat().replace("+00:00", "Z") if when else None,
        "crash_time_note": None if when else _no_time(seconds),
        "panic": None,  # the kernel log is not read yet
        "cpus": core.container.cpu_count() or None,
        "page_size": info.page_size,
        "memory": _memory(core),
        "written_by": _written_by(core, identity),
        "segments": core.container.segment_count(),
        "notes": len(core.container.notes),
        "vmcoreinfo": bool(info),
    }


def _no_time(seconds: int | None) -> str:
    if seconds is None:
        return "not recorded (no CRASHTIME in VMCOREINFO)"
    return f"the machine had no clock (CRASHTIME={seconds})"


def _memory(core: Any) -> dict[str, int]:
    """Return bytes of memory that the segments cover, and that the file holds."""
    covered, held = core.container.memory_size()
    return {"covered": covered, "held": held}


def _written_by(core: Any, identity: dict[str, str]) -> str | None:
    if core.format == "kdump-compressed":
        if identity.get("writer") == "QEMU":
            return f"QEMU, compression {identity.get('compression')}"
        return f"makedumpfile, compression {identity.get('compression')}, dump level {identity.get('dump_level')}"
    owners = {note.owner for note in core.container.notes}
    if "QEMU" in owners:
        return "QEMU"
    return None


def _dump(dump: Any, index: int) -> dict[str, Any]:
    name, driver, device, offset, size, payload, summary = dump.row()
    facts: dict[str, Any] = {
        "index": index, "name": name, "driver": driver, "device": device, "offset": offset, "size": size,
        "payload_size": payload, "summary": summary,
    }  # fmt: skip
    try:
        state = dump.decode().firmware_state if dump.decoder else None
    except (VmcoreddLabError, AttributeError):
        state = None
    facts["firmware_state"] = escape(state.text) if state else None
    facts["firmware_bad"] = state.bad if state else None
    return facts
