"""The document as one HTML file: no network, themes by the reader's own, everything from the dump escaped by Jinja2."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from vmcoredd_lab.kernel.printk import LEVELS
from vmcoredd_lab.package_data import package_text
from vmcoredd_lab.report.document import Adapter, Document, Finding
from vmcoredd_lab.report.picture import firmware_log_picture, timeline_picture
from vmcoredd_lab.report.template import render_template

__all__ = ["render"]

_LEVELS = ("EMERG", "CRIT", "ERR", "NOTICE", "INFO", "DEBUG", "UNKNOWN")  # of the firmware's log


def render(document: Document, template: str | os.PathLike[str] | None = None) -> str:
    """Return the page; ``template`` is a team's own, which may extend ``report.html.j2``.

    Raises
    ------
    UsageError: the template cannot be read, is no Jinja2 template, or asks for what there is not.
    """
    views = [_view(adapter, document.findings) for adapter in document.adapters]
    return render_template(
        template,
        doc=document,
        facts=_facts(document.vmcore),
        panic_facts=_panic_facts(document.vmcore),
        log_levels=[n for n in LEVELS if any(row["level"] == n for row in document.kernel_log)],
        adapters=views,
        stacks=_stacks(document),
        view_of={view["adapter"].index: view for view in views},
        timeline_plot=timeline_picture(document.timeline.events) if document.timeline else None,
        style=_resource("style.css"),
        script=_resource("script.js"),
    )


def _resource(name: str) -> str:
    return package_text("vmcoredd_lab.report", "templates", name)


def _facts(vmcore: dict[str, Any]) -> list[tuple[str, str]]:
    from vmcoredd_lab.cli.info import lines

    return [(label, text) for label, text in lines(vmcore) if label != "file"]


def _panic_facts(vmcore: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is below the reason: where, in whose name, on what."""
    from vmcoredd_lab.cli.info import panic_lines

    return [(label, text) for label, text in panic_lines(vmcore | {"last_words": []}) if label != "panic"]


def _stacks(document: Document) -> list[list[dict[str, Any]]]:
    """Return the frames of each CPU, the one that panicked first."""
    found = document.cpus.stacks if document.cpus else None
    groups = [list(group) for _, group in groupby(found or [], key=lambda row: row["cpu"])]
    return sorted(groups, key=lambda rows: not rows[0]["panicked"])


def _view(adapter: Adapter, findings: Sequence[Finding]) -> dict[str, Any]:
    causes = [
        {"register": rows[0], "fields": rows}
        for _, group in groupby(adapter.interrupt_causes or [], key=lambda c: (c["register"], c["address"]))
        if (rows := list(group))
    ]
    registers = _registers(adapter)
    mark = f"register-{adapter.index}-"
    anchors = {place["anchor"] for finding in findings for place in finding.evidence if place["anchor"]}
    cited = {anchor.removeprefix(mark) for anchor in anchors if anchor.startswith(mark)}
    failed = sum(1 for e in adapter.entities or [] if e["status"])
    return {
        "adapter": adapter,
        "causes": causes,
        "failed": failed,
        "plot": firmware_log_picture(adapter.firmware_log, adapter.name) if adapter.firmware_log else None,
        "registers": "\n".join(f"{name}\t{address:#x}\t{_word(value)}" for name, address, value in registers),
        "cited": [row for row in registers if row[0].split(" ")[0] in cited],
        "levels": [n for n in _LEVELS if any(e["level"] == n for e in adapter.firmware_log or [])],
    }


def _word(value: int | None) -> str:
    return "removed" if value is None else f"{value:#010x}"


def _registers(adapter: Adapter) -> list[tuple[str, int, int | None]]:
    """Return name with scope or instance, address and value of each register."""
    if adapter.registers is None or not adapter.registers.rows:
        return []
    columns = dict(zip(adapter.registers.columns, zip(*adapter.registers.rows, strict=True), strict=True))
    nothing = [None] * len(adapter.registers.rows)
    names, scopes, instances = (columns.get(name, nothing) for name in ("register", "scope", "instance"))
    labels = [
        " ".join(filter(None, [name, scope or (f"[{instance}]" if instance is not None else None)]))
        for name, scope, instance in zip(names, scopes, instances, strict=True)
    ]
    return list(zip(labels, columns["address"], columns["value"], strict=True))
