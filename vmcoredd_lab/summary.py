"""The facts that open every answer: what crashed, when, on what, and what is in the file. Used by info and the report."""

from __future__ import annotations

from typing import Any

from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.opening import OpenedFile
from vmcoredd_lab.text import escape

__all__ = ["kernel_facts", "summarise"]


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
        facts |= kernel_facts(core)
    facts["device_dumps"] = [_dump(dump, index) for index, dump in enumerate(opened.device_dumps)]
    facts["problems"] = opened.problems().table().records()
    return facts


def kernel_facts(core: Any) -> dict[str, Any]:
    """Return what the vmcore says of the kernel and the machine, JSON-ready; what is not known is None."""
    info, identity = core.vmcoreinfo, core.container.identity() | core.utsname
    log, panicked = _kernel_log(core), _panicked(core)
    if log["panic"] and log["panic"]["cpu"] is None:
        log["panic"]["cpu"] = panicked  # not every kernel prints it
    when = info.crash_time
    return {
        "kernel_release": info.release or identity.get("release"),
        "kernel_version": identity.get("version"),
        "host": identity.get("nodename"),
        "domain": identity.get("domainname"),
        "crash_time": when.isoformat().replace("+00:00", "Z") if when else None,
        "crash_time_note": info.crash_time_note,
        **log,
        "cpus": core.container.cpu_count() or None,
        "panicked_cpu": panicked,
        "page_size": info.page_size,
        "memory": _memory(core),
        "written_by": _written_by(core, identity),
        "segments": core.container.segment_count(),
        "notes": len(core.container.notes),
        "vmcoreinfo": bool(info),
        "erased": list(core.eraseinfo),
    }


def _kernel_log(core: Any) -> dict[str, Any]:
    """Return the panic, what the drivers of the device dumps (or any) said last, and why there is no log."""
    from vmcoredd_lab.kernel.last_words import last_words

    try:
        log, panic = core.dmesg_table(), core.panic
    except VmcoreddLabError as error:
        return {"panic": None, "last_words": [], "kernel_log_missing": error.message}
    devices = [dump.device for dump in core.device_dumps if dump.device]
    words = last_words(log, devices, panic.seqs if panic else ())
    return {"panic": panic.as_dict() if panic else None, "last_words": words, "kernel_log_missing": None}


def _panicked(core: Any) -> int | None:
    """Return the CPU that caused the dump, counted as the notes are; None where that cannot be known."""
    cpus = core.cpus_table().values("panicked")
    return cpus.index(True) if True in cpus else None


def _memory(core: Any) -> dict[str, int]:
    """Return bytes of memory that the segments cover, and that the file holds."""
    covered, held = core.container.memory_size()
    return {"covered": covered, "held": held}


def _written_by(core: Any, identity: dict[str, str]) -> str | None:
    """Return what wrote the file, as far as it shows.

    makedumpfile copies the kernel's utsname to a kdump file; QEMU (dump/dump.c) has nothing but the machine there.
    """
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
