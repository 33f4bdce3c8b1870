"""The document as Markdown for a ticket: what happened, why it is believed, and the ends of the logs. Not every table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from vmcoredd_lab.kernel.printed import readable, stamp
from vmcoredd_lab.report.document import Adapter, Document, Finding
from vmcoredd_lab.text import escape, human_size, plural

__all__ = ["render_markdown"]

FINDINGS, LINES = 20, 15  # alarms told in full, and lines of a log
_MARKS = re.compile(r"([\\`*_{}\[\]<>#!|~$&])")
_APART = "\u200b"  # of no width: keeps a sign from becoming a mention or a link
_BLOCK = re.compile(r"`{3,}")


def render_markdown(document: Document) -> str:
    """Return the text. What comes from the dump is escaped: it becomes no link, image, mention or HTML."""
    alarms = [one for one in document.findings if one.severity != "info"]
    parts = [_heading(document), _facts(document), _findings(document, alarms)]
    parts += [_adapter(adapter) for adapter in document.adapters]
    parts += [_kernel_log(document), _problems(document)]
    return "\n\n".join(filter(None, parts)) + "\n"


def plain(text: object) -> str:
    """Return text on one line with every character that Markdown gives a meaning escaped."""
    escaped = _MARKS.sub(r"\\\1", escape(str(text)))
    return escaped.replace("@", f"@{_APART}").replace("://", f":{_APART}//")


def _code(text: object) -> str:
    return "`" + escape(str(text)).replace("`", "'").replace("|", "\\|") + "`"


def _block(lines: Iterable[str]) -> str:
    """Return lines as a block of code that its own text cannot end."""
    text = "\n".join(lines)
    fence = "`" * (max([2, *(len(found) for found in _BLOCK.findall(text))]) + 1)
    return f"{fence}text\n{text}\n{fence}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _heading(document: Document) -> str:
    size = human_size(document.vmcore["file_size"])
    text = f"# {plain(document.title)}\n\n{_code(document.vmcore['file'])}, {size}; "
    text += f"report of {plain(document.date)} by {document.generator}"
    return text + (
        "\n\n*Redacted: host names, network addresses, serial numbers, addresses in memory, and bytes of memory are taken out.*"
        if document.redacted
        else ""
    )


def _facts(document: Document) -> str:
    from vmcoredd_lab.cli.info import lines, panic_lines

    panic = [(label, text) for label, text in panic_lines(document.vmcore | {"last_words": []}) if label]
    rows = [(plain(label), plain(text)) for label, text in [*panic, *lines(document.vmcore)] if label != "file"]
    text = _table(("", ""), rows)
    words = document.vmcore.get("last_words") or []
    if words:
        text += "\n\nThe drivers' last words:\n\n"
        text += _block(f"{stamp(word['time_ns'])} {readable(word['text'])}" for word in words)
    return text


def _findings(document: Document, alarms: list[Finding]) -> str:
    if not document.findings and not document.rules_skipped:
        return "## Findings\n\nNo rules were evaluated: no decoder of a device dump here brings any."
    text = "## Findings\n\n" + ("" if alarms else "No alarm: nothing above info.")
    text += "\n\n".join(_finding(one) for one in alarms[:FINDINGS])
    rest = len(document.findings) - min(len(alarms), FINDINGS)
    closing = []
    if rest:
        closing.append(f"{plural(rest, 'more finding')}, {len(document.findings) - len(alarms)} of them info.")
    closing.append(f"{plural(document.rules_skipped, 'rule')} could not be evaluated.")
    if document.signature:
        closing.append(f"Signature of the crash: {_code(document.signature)}.")
    return text + "\n\n" + " ".join(closing)


def _finding(one: Finding) -> str:
    device = f" ({_code(one.device)})" if one.device else ""
    lines = [f"**{one.severity}: {plain(one.title)}**{device}, rule {plain(one.rule)}, confidence {one.confidence}", ""]
    if one.explanation:
        lines += [plain(one.explanation), ""]
    for place in one.evidence:
        held = f": {_code(place['hex'])}" if place["hex"] else ""
        at = _code(f"{place['space']} {place['offset']:#x}+{place['length']}")
        lines.append(f"- {plain(place['text'])}, {at}{held}")
    if one.places > len(one.evidence):
        lines.append(f"- {one.places - len(one.evidence)} more places")
    if one.next_step:
        lines += ["", f"Next: {plain(one.next_step)}"]
    return "\n".join(lines)


def _adapter(adapter: Adapter) -> str:
    parts = [f"## {_code(adapter.name)}"]
    parts.append(_table(("", ""), [(plain(k), plain(v)) for k, v in adapter.identity.items()]))
    if adapter.firmware_log:
        parts.append(f"The end of its firmware log, {plural(len(adapter.firmware_log), 'entry', 'entries')}:")
        parts.append(_block(_firmware_line(e) for e in adapter.firmware_log[-LINES:]))
    elif adapter.firmware_log_missing:
        parts.append(f"No firmware log: {plain(adapter.firmware_log_missing)}")
    causes = [c for c in adapter.interrupt_causes or [] if c["driver_fatal"]]
    if causes and not adapter.unreachable:
        rows = [(_code(c["register"]), _code(c["field"]), plain(c["meaning"] or "")) for c in causes[:LINES]]
        parts.append("Interrupt causes on which the driver stops the adapter:")
        parts.append(_table(("Register", "Bit", "Meaning"), rows))
    failed = [e for e in adapter.entities or [] if e["status"]]
    if failed:
        parts.append(f"Not collected: {', '.join(_code(e['name']) for e in failed)}")
    return "\n\n".join(parts)


def _firmware_line(entry: dict[str, Any]) -> str:
    return f"{entry['timestamp']:>14,} {entry['level']:7} {entry['facility']:8} {escape(entry['message'])}"


def _kernel_log(document: Document) -> str:
    rows = document.kernel_log[-LINES:]
    if not rows:
        return ""
    return "## The end of the kernel log\n\n" + _block(
        f"[{row['time']:>12}] {line}" for row in rows for line in row["text"].splitlines() or [""]
    )


def _problems(document: Document) -> str:
    if not document.problems:
        return "## Problems\n\nNone: headers, notes and every device dump were read and are sound."
    rows = [
        (p["severity"], plain(p["where"]), f"{p['offset']:#x}" if p["offset"] is not None else "", plain(p["message"]))
        for p in document.problems[: 2 * LINES]
    ]
    text = "## Problems\n\n" + _table(("Severity", "Where", "Offset", "What is wrong"), rows)
    more = len(document.problems) - len(rows)
    return text + (f"\n\n{plural(more, 'more problem')}." if more else "")
