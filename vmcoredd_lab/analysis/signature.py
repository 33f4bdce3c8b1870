"""A crash's signature: what stays the same when the same fault crashes another boot of another machine."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vmcoredd_lab.analysis.findings import Diagnosis
from vmcoredd_lab.kernel.log_rules import KernelCase
from vmcoredd_lab.rules import NotEvaluableError
from vmcoredd_lab.tables import Column, Schema, Table

__all__ = ["SIGNATURE", "Signature", "shape", "signature"]

SIGNATURE = Schema(
    "signature",
    "What a crash is grouped by; the hash is over kinds and texts.",
    (
        Column("hash", "text", "12 hexadecimal digits, the same for crashes that are alike"),
        Column("kind", "text", "panic, symbols, or a rule's id"),
        Column("text", "text", "without what differs from boot to boot: addresses, numbers, ports, slots"),
    ),
)

SYMBOLS = 5  # functions of the call trace
TRACE = 120  # lines behind the panic or oops that may hold it
VERSION = 1  # of the rules below: another one gives other hashes
# What stands at the top of every trace because of the crash itself, and not of what led to it
_PLUMBING = re.compile(
    r"^(?:dump_stack\w*|show_(?:stack|trace|regs)\w*|panic|vpanic|__warn|report_bug|handle_bug|exc_\w+|asm_\w+|do_trap\w*|die\w*|"
    r"__die\w*|oops_end|no_context|__bad_area\w*|bad_area\w*|page_fault\w*|do_(?:kern_addr_fault|user_addr_fault|page_fault|mem_abort)"
    r"|error_(?:entry|code)|el1\w*|nmi\w*|end_repeat_nmi|perf_event_nmi_handler|default_do_nmi|machine_kexec|__?crash_kexec|"
    r"__schedule|schedule|schedule_timeout|io_schedule\w*|watchdog|watchdog_timer_fn|__hrtimer_run_queues|hrtimer_interrupt|sysvec_\w+|ret_from_fork\w*|entry_SYSCALL\w*|do_syscall_64|"
    r"__x64_sys_\w+|x64_sys_call|kthread)$"
)
_FRAME = re.compile(
    r"(?:^|[\s:])(?P<unsure>\? )?(?P<symbol>[A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[(?P<module>[\w-]+)[^\]]*\])?"
)
_START = re.compile(
    r"^(?:Kernel panic - not syncing|BUG: |Unable to handle kernel|Oops|general protection fault|Internal error|kernel BUG)"
)
_WATCHDOG = re.compile(r"hung_task|softlockup|soft lockup", re.I)
_WAITED = re.compile(r"^(?:INFO: task \S+ blocked for more than|watchdog: BUG: soft lockup)")
_SHAPES = (
    (re.compile(r"\b(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]\b", re.I), "<pci>"),
    (re.compile(r"\b0x[0-9a-f]+\b", re.I), "<hex>"),
    (re.compile(r"\b[0-9a-f]{8,16}\b"), "<hex>"),
    (re.compile(r"\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b", re.I), "<mac>"),
    (re.compile(r"\b(?:eth|en[ops]\w*?|ib|bond|port|cpu#?|queue|core)\s?\d+\w*\b", re.I), "<unit>"),
    (re.compile(r"\b[\w.-]+:\d+(?=\])"), "<task>"),
    (re.compile(r"(?<=PID: )\d+|(?<=pid )\d+|(?<=Comm: )\S+"), "<task>"),
    (re.compile(r"\b\d+\b"), "<n>"),
)
_SUFFIX = re.compile(r"\.(?:isra|constprop|part|cold|llvm)(?:\.\d+)*.*$")
# A firmware's assertion is known by its line; its values differ
_ASSERTION = re.compile(r"(?P<before>.*\bassert\w*\b.*?(?:\bline |\w:))(?P<line>\d+)\b", re.I)
FIRMWARE = ("FW-01", "FW-02", "FW-03", "FW-04", "FW-05", "FW-11")
LOGGED = "FW-11"
FATAL = ("INT-01", "INT-04", "INT-13", "INT-14", "INT-15", "INT-16", "INT-19", "INT-20", "ECC-01", "ECC-03", "ECC-05", "ECC-07",
         "ECC-11", "TP-15", "PCI-04", "PCI-06", "ACC-01", "ACC-02", "FW-16", "FW-21", "SGE-01",
         "SGE-02", "SGE-03", "SGE-07", "DMP-05")  # fmt: skip
_BIT = re.compile(r"\b([A-Z][A-Z0-9]+_[A-Z0-9_]+)(?: (?:port|pf|edc|mc) \d+| \[\d+\])? \(([^)]*)\)")


@dataclass(frozen=True)
class Signature:
    """The parts of a signature and the hash over them: ``kind`` and text of each, in their order."""

    parts: tuple[tuple[str, str], ...]

    @property
    def hash(self) -> str:
        """12 hexadecimal digits of SHA-256 over the parts."""
        text = json.dumps([VERSION, *self.parts])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def table(self) -> Table:
        """One row per part (:data:`SIGNATURE`); one without kind where there are none."""
        return Table.from_rows(SIGNATURE, [(self.hash, *part) for part in self.parts] or [(self.hash, None, None)])

    def __str__(self) -> str:
        return f"{self.hash} {'; '.join(text for _, text in self.parts) or 'nothing that stands out'}"


def shape(text: str) -> str:
    """Return text without what differs from boot to boot and from machine to machine.

    >>> shape("cxgb4 0000:02:00.4: port 1 timed out after 10000 ms at 0xffff8881")
    'cxgb4 <pci>: <unit> timed out after <n> ms at <hex>'
    """
    for pattern, stand_in in _SHAPES:
        text = pattern.sub(stand_in, text)
    return " ".join(text.split())


def signature(core: Any, diagnosis: Diagnosis) -> Signature:
    """Return the signature of a vmcore, or of device dumps (``core`` None), from its kernel log and findings.

    Two machines with the same fault have the same one: it holds the shape of the panic's reason, the functions at the top
    of its call trace, the firmware's assertion and the fatal cause bits, and no address, slot, port, time or count.
    """
    parts = [*(_kernel(core) if core is not None else ()), *sorted(set(_hardware(diagnosis)))]
    return Signature(tuple(parts))


def _kernel(core: Any) -> Iterable[tuple[str, str]]:
    try:
        lines = KernelCase(core).lines
    except NotEvaluableError:
        return
    starts = [i for i, line in enumerate(lines) if _START.match(line.text)]
    if not starts:
        return
    reason = next((lines[i].text for i in starts if lines[i].text.startswith("Kernel panic")), lines[starts[0]].text)
    yield "panic", shape(reason)
    # of a task that hung, or a CPU that was stuck, the trace is behind the line that says so; the panic's is the watchdog's
    waited = [i for i, line in enumerate(lines) if _WAITED.match(line.text)] if _WATCHDOG.search(reason) else []
    for start in waited[-1:] or starts:  # of an oops that became a panic the oops has the trace that says where
        symbols = list(dict.fromkeys(_symbols(line.text for line in lines[start + 1 : start + 1 + TRACE])))
        if symbols:
            yield "symbols", " ".join(symbols[:SYMBOLS])
            return


def _symbols(texts: Iterable[str]) -> Iterable[str]:
    """Return the functions of a call trace, the innermost first: frames that are sure, without the crash's own plumbing."""
    for text in texts:
        if text.startswith(("---[ end", "Kernel Offset", "Rebooting")):
            return
        found = _FRAME.search(text)
        if found and not found["unsure"]:
            symbol = _SUFFIX.sub("", found["symbol"])
            if not _PLUMBING.match(symbol):
                yield f"{symbol}[{found['module']}]" if found["module"] else symbol


def _hardware(diagnosis: Diagnosis) -> Iterable[tuple[str, str]]:
    """Return the firmware's end and the fatal causes; not which of several adapters or ports they are of."""
    said = {finding.rule for finding in diagnosis.findings} & set(FIRMWARE) - {LOGGED}
    for finding in diagnosis.findings:
        if finding.rule == LOGGED and said:  # the same words: its log's entry is a part of its end
            continue
        if finding.severity not in ("critical", "error"):
            continue
        if finding.rule in FIRMWARE:
            yield finding.rule, _assertion(finding.title)
        elif finding.rule in FATAL:
            bits = sorted({f"{m[1]} {m[2]}" for e in finding.evidence if (m := _BIT.search(e.text))})
            yield finding.rule, ", ".join(bits) or shape(finding.title)


def _assertion(text: str) -> str:
    found = _ASSERTION.match(text)
    return f"{shape(found['before'])} {found['line']}" if found else shape(text)
