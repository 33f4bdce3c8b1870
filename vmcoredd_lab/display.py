"""What a notebook shows of a vmcore, its device dumps and their adapters: small HTML, all text from the file escaped.

Colours and fonts are the page's own, so that light and dark themes both do. The plain form is ``repr()``.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

from vmcoredd_lab.cells import cell
from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import escape, human_size, plural

__all__ = ["adapter_html", "device_dump_html", "device_dumps_html", "vmcore_html"]

ROWS = 12  # of a table
LONGEST = 240  # characters of a value
_LINE = (
    "border:0;border-bottom:1px solid rgba(128,128,128,.25);padding:2px 14px 2px 0;text-align:left;vertical-align:top"
)
_SOFT = "opacity:.65"


def vmcore_html(core: Any) -> str:
    """Return what matters of a vmcore: kernel, crash, memory, device dumps; reads what ``info`` reads."""
    from vmcoredd_lab.summary import kernel_facts

    facts: list[tuple[str, Any]] = [
        ("file", core.path),
        ("format", f"{core.format}, {core.machine}, {core.byteorder} endian"),
    ]
    try:
        known = kernel_facts(core)
        panic, memory = known["panic"], known["memory"]
        facts += [
            ("kernel", known["kernel_release"]), ("host", known["host"]), ("crashed", known["crash_time"]),
            ("panic", panic["reason"] if panic else known["kernel_log_missing"]),
            ("CPUs", known["cpus"]), ("memory", f"{human_size(memory['held'])} held of {human_size(memory['covered'])}"),
            ("segments, notes", f"{known['segments']:,}, {known['notes']:,}"), ("written by", known["written_by"]),
        ]  # fmt: skip
    except VmcoreddLabError as error:
        facts.append(("not readable", error.message))
    problems = len(core.problems_table())
    facts.append(("problems", f"{plural(problems, 'problem')} so far: core.problems" if problems else None))
    return _block("Vmcore", facts, _dumps(core.device_dumps))


def device_dumps_html(dumps: Any) -> str:
    """Return the device dumps as a table."""
    return _block(plural(len(dumps), "device dump"), [], _dumps(dumps))


def device_dump_html(dump: Any) -> str:
    """Return what matters of one device dump; of its bytes the decoder's headers are read."""
    facts: list[tuple[str, Any]] = [
        ("driver", dump.driver), ("device", dump.device), ("file", dump.source.name),
        ("bytes", f"{dump.size:,} ({human_size(dump.size)}) from {dump.offset:#x}"),
    ]  # fmt: skip
    try:
        facts.append(
            ("content", dump.decode().summary() if dump.decoder else "no decoder knows it: dump.data has its bytes")
        )
    except VmcoreddLabError as error:
        facts.append(("not decodable", error.message))
    return _block(f"Device dump {dump.name}", facts)


def adapter_html(nic: Any) -> str:
    """Return what matters of an adapter: identity, firmware, and the entities that could not be collected."""
    facts: list[tuple[str, Any]] = [("summary", nic.summary())]
    try:
        facts += list(nic.identity().items() if callable(nic.identity) else nic.identity.items())
    except VmcoreddLabError as error:
        facts.append(("identity", error.message))
    table = nic.entities_table()
    failed = [i for i, status in enumerate(table.values("status")) if status]
    facts.append(("entities", f"{len(table):,}, {len(failed):,} of them failed"))
    lost = [[table.values("name")[i], table.values("status")[i], table.values("summary")[i]] for i in failed]
    return _block(f"Adapter {nic.dump.name}", facts, _rows(["failed entity", "status", "why"], lost) if lost else "")


def _dumps(dumps: Any) -> str:
    if not len(dumps):
        return f'<div style="{_SOFT}">no device dumps</div>'
    table: Table = dumps.table()
    columns = [c for c in table.schema.columns if c.name in ("name", "size", "summary")]
    texts = [[cell(c, v) for v in table.values(c.name)[:ROWS]] for c in columns]
    more = f'<div style="{_SOFT}">and {len(table) - ROWS:,} more</div>' if len(table) > ROWS else ""
    return _rows(["device dump", *(c.name for c in columns[1:])], list(zip(*texts, strict=True))) + more


def _block(title: str, facts: Iterable[tuple[str, Any]], below: str = "") -> str:
    rows = "".join(
        f'<tr style="background:none"><th style="{_LINE};font-weight:normal;{_SOFT}">{_text(name)}</th>'
        f'<td style="{_LINE}">{_text(value)}</td></tr>'
        for name, value in facts
        if value not in (None, "")
    )
    return (
        f'<div class="vmcoredd-lab"><div style="font-weight:600;margin:2px 0 4px">{_text(title)}</div>'
        f'<table style="border-collapse:collapse;margin:0 0 6px">{rows}</table>{below}</div>'
    )


def _rows(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f'<th style="{_LINE};font-weight:normal;{_SOFT}">{_text(title)}</th>' for title in titles)
    body = "".join(
        '<tr style="background:none">' + "".join(f'<td style="{_LINE}">{_text(value)}</td>' for value in row) + "</tr>"
        for row in rows
    )
    return f'<table style="border-collapse:collapse"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _text(value: Any) -> str:
    plain = escape(str(value))
    return html.escape(plain if len(plain) <= LONGEST else plain[:LONGEST] + "...")
