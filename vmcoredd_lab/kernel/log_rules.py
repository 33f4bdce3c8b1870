"""Rules over the kernel log: what the kernel and its drivers complained of, by pattern (data/log_rules.csv).

Patterns are those of the messages of Linux 4.18 to 6.18: kernel/panic.c, kernel/watchdog.c, kernel/hung_task.c,
kernel/rcu/tree_stall.h, mm/page_alloc.c, mm/oom_kill.c, net/sched/sch_generic.c, drivers/pci/pcie/aer.c, drivers/iommu,
drivers/edac, arch/*/mm/fault.c.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any, Protocol

from vmcoredd_lab.package_data import package_text
from vmcoredd_lab.rules import Evidence, Match, NotEvaluableError, Rule
from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import escape

__all__ = ["KernelCase", "LogLine", "log_rules"]

SHOWN = 64  # lines shown of one finding
BEHIND = 40  # lines that belong to an oops or a panic, behind its first
LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
USER_MADE = re.compile(r"sysrq|sysctl: panic|LKDTM|crash_kexec by user", re.I)
_BY_SYSRQ = re.compile(r"sysrq_handle_crash|^sysrq: (?:SysRq : )?Trigger a crash")
_CPU = re.compile(
    r"^CPU: (?P<cpu>\d+)(?: UID: \d+)? PID: (?P<pid>\d+)(?: Comm: (?P<comm>.+?))?(?: Not tainted| Tainted|\s+Kdump|$)"
)
_WHERE = re.compile(
    r"^(?:RIP: \w+:|pc : |PC is at |Call Trace:.*)?(?P<symbol>[A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x[0-9a-f]+"
)
_SECTION = re.compile(r"\[Hardware Error\]:\s+section_type: (?P<what>.+)")  # cper_estatus_print_section()
_SECTION_DEVICE = re.compile(r"\[Hardware Error\]:\s+device_id: (?P<device>[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])")
_PCI = re.compile(r"\b(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]\b")


class LoggedKernel(Protocol):
    """A vmcore with a kernel log."""

    def dmesg_table(self) -> Table: ...


@dataclass(frozen=True)
class LogLine:
    """A line of the kernel log: its record's number, text, level (0 to 7, or None), device, and where the text is in memory."""

    seq: int
    time_ns: int | None
    text: str
    level: int | None
    device: str | None
    start: int | None
    size: int

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The text's bytes in memory; none where it is not known where they are."""
        if self.start is None or not self.size:
            return ()
        return (Evidence("physical", self.start, self.size, self.text),)


class KernelCase:
    """The kernel of a vmcore, as its rules see it."""

    kind, late = "kernel", False

    def __init__(self, core: Any) -> None:
        self.core = core

    @cached_property
    def lines(self) -> list[LogLine]:
        """The kernel log's records, a line each; raises NotEvaluableError where there is none."""
        from vmcoredd_lab.errors import VmcoreddLabError

        read = getattr(self.core, "dmesg_table", None)
        if read is None:
            raise NotEvaluableError("there is no kernel log: this is not a vmcore")
        try:
            table: Table = read()
        except VmcoreddLabError as error:
            raise NotEvaluableError(f"kernel log: {error.message}") from None
        if not len(table):
            raise NotEvaluableError("the kernel log is empty")
        return list(_lines(table))

    def behind(self, index: int) -> list[LogLine]:
        """Return the lines that follow one."""
        return self.lines[index + 1 : index + 1 + BEHIND]


def _lines(table: Table) -> Iterator[LogLine]:
    names = ("seq", "time_ns", "text", "level", "device")
    columns = [table.values(n) if n in table.columns else [None] * len(table) for n in names]
    spans = table.spans.tolist() if table.spans is not None else [(0, 0)] * len(table)
    for (seq, time_ns, text, level, device), (start, end) in zip(zip(*columns, strict=True), spans, strict=True):
        place = int(start) if end > start else None
        yield LogLine(
            seq, time_ns, (text or "").split("\n")[0].rstrip(), _level(level), device, place, int(end - start)
        )


def _level(value: Any) -> int | None:
    if isinstance(value, int):
        return value & 7
    return LEVELS.index(value) if value in LEVELS else None


# -- patterns ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Declared:
    """A row of the table: ``severity`` may be followed by ``; warning if N``, for N or more lines of one kind.

    Groups of the pattern fill the title; ``what2`` is ``what`` where the line is of its other form.
    """

    id: str
    pattern: re.Pattern[str]
    severity: str
    confidence: str
    rank: int
    title: str
    explanation: str
    next_step: str

    def severity_of(self, count: int) -> str:
        base, _, exception = self.severity.partition(";")
        graver, _, least = exception.strip().partition(" if ")
        return graver if exception and count >= int(least) else base


@cache
def _declared() -> tuple[_Declared, ...]:
    rows = csv.DictReader(package_text("vmcoredd_lab.kernel", "data", "log_rules.csv").splitlines())
    return tuple(
        _Declared(r["id"], re.compile(r["pattern"]), r["severity"], r["confidence"], int(r["rank"]), r["title"],
                  r["explanation"], r["next_step"])
        for r in rows
    )  # fmt: skip


def _matching(rule: _Declared, case: KernelCase) -> Iterable[Match]:
    """Return a match for each thing that lines of this kind are about, the newest line first."""
    groups: dict[str, list[tuple[int, re.Match[str]]]] = {}
    for i, line in enumerate(case.lines):
        found = rule.pattern.search(line.text)
        if found:
            key = found.groupdict().get("what" if rule.id == "KRN-16" else "cpu") or ""
            groups.setdefault(key if rule.id in ("KRN-04", "KRN-05", "KRN-16") else "", []).append((i, found))
    for hits in groups.values():
        yield _match(rule, case, hits)


def _match(rule: _Declared, case: KernelCase, hits: Sequence[tuple[int, re.Match[str]]]) -> Match:
    # of oopses and panics the first is the cause of those that follow; of the others the newest is nearest to the crash
    first = hits[0] if rule.id in ("KRN-01", "KRN-02", "KRN-10", "KRN-18") else hits[-1]
    index, found = first
    texts = {name.rstrip("2"): text for name, text in found.groupdict().items() if text} | {"times": "once" if len(hits) == 1 else f"{len(hits)} times"}
    title = re.sub(r"\{(\w+)\}", lambda m: texts.get(m[1], "?"), rule.title)
    severity = rule.severity_of(len(hits))
    if rule.id in ("KRN-01", "KRN-02"):
        who, symbol = _who(case, index), _symbol(case, index)
        if symbol and rule.id == "KRN-02":
            title = f"{title} in {symbol}"
        if who:
            title = f"{title} ({who})"
        if USER_MADE.search(found.string) or symbol == "sysrq_handle_crash" or _by_hand(case, index):
            severity = "info"
    device = _device(case.lines[index])
    if rule.id == "KRN-18":
        severity = rule.severity if texts["what"] == "fatal" else "error"
        section, of_device = (_of_record(case, index, pattern) for pattern in (_SECTION, _SECTION_DEVICE))
        title, device = f"{title}: {section['what']}" if section else title, of_device["device"] if of_device else device
    order = [first, *[hit for hit in hits[::-1] if hit is not first]]
    evidence = tuple(e for i, _ in order[:SHOWN] for e in case.lines[i].evidence)
    more = len(hits) - 1
    if more and rule.id not in ("KRN-16",):
        title = f"{title}, and {more} more"
    return Match(evidence, title=title, severity=severity, value=case.lines[index].text, device=device)


def _of_record(case: KernelCase, index: int, pattern: re.Pattern[str]) -> re.Match[str] | None:
    """Return the first match in an error record of the machine's firmware, of which one line is known."""
    return next((found for line in case.behind(index) for found in [pattern.search(line.text)] if found), None)


def _by_hand(case: KernelCase, index: int) -> bool:
    """Return whether somebody asked for the crash: sysrq's own line stands shortly before."""
    return any(_BY_SYSRQ.search(line.text) for line in case.lines[max(0, index - 8) : index])


def _who(case: KernelCase, index: int) -> str:
    """Return CPU and task of an oops or panic, from the line that dump_stack_print_info() writes behind it."""
    for line in case.behind(index):
        found = _CPU.match(line.text)
        if found:
            return f"CPU {found['cpu']}" + (f", {found['comm']}" if found["comm"] else "")
    return ""


def _symbol(case: KernelCase, index: int) -> str:
    """Return the function that the program counter was in."""
    for line in case.behind(index):
        found = _WHERE.match(line.text)
        if found and line.text.startswith(("RIP", "pc :", "PC is at")):
            return found["symbol"]
    return ""


def _device(line: LogLine) -> str | None:
    """Return the PCI address that a line is about: the record's own, or the first in its text."""
    if line.device and _PCI.search(line.device):
        return line.device.rsplit(" ", 1)[-1].removeprefix("+pci:")
    found = _PCI.search(line.text)
    return None if found is None else found[0] if found[0].count(":") == 2 else f"0000:{found[0]}"


# -- the drivers of the devices that have a dump ------------------------------------------------------------------------


def complaints(case: KernelCase) -> Iterable[Match]:
    """What the drivers of the dumped devices logged as an error, a finding for each device."""
    lines = case.lines
    for dump in case.core.device_dumps:
        if not dump.device:
            continue
        hits = [line for line in lines if line.level is not None and line.level <= 3 and _by_driver(line, dump)]
        if not hits:
            continue
        worst = min(hits, key=lambda line: (line.level, -line.seq))
        grave = worst.level is not None and worst.level <= 2
        more = f" (and {len(hits) - 1} more)" if len(hits) > 1 else ""
        order = [worst, *[line for line in hits[::-1] if line is not worst]]
        yield Match(
            tuple(e for line in order[:SHOWN] for e in line.evidence), severity="error" if grave else "warning",
            title=f"The driver complained: {_stripped(worst.text, dump.driver, dump.device)}{more}", value=str(len(hits)),
            device=dump.device,
        )  # fmt: skip


def _by_driver(line: LogLine, dump: Any) -> bool:
    """Return whether a device's driver logged a line: by the device of the record, or by how dev_printk() begins it."""
    of_record = bool(line.device) and str(line.device).endswith(dump.device)
    return of_record or line.text.startswith((f"{dump.driver} {dump.device}", f"{dump.device}:"))


def _stripped(text: str, driver: str | None, device: str) -> str:
    """Return a message without the driver's name and the device's address before it."""
    return re.sub(rf"^(?:{re.escape(driver or '')}\s*)?(?:{re.escape(device)}:?\s*)?", "", text)


def log_rules() -> list[Rule]:
    """Return the rules; each is evaluated over a :class:`KernelCase`."""
    rules = [
        Rule(one.id, _heading(one.title), one.severity.split(";")[0], one.explanation, one.next_step, ("dmesg",),
             "the text of the log records", partial(_matching, one), one.confidence, one.rank)
        for one in _declared()
    ]  # fmt: skip
    rules.append(Rule(
        "KRN-20", "The driver complained", "warning", "The driver of a device that has a dump logged an error about it.",
        "Compare with the findings of that device.", ("dmesg",), "the text of the log records", complaints, "medium", 410,
    ))  # fmt: skip
    return rules


def _heading(title: str) -> str:
    return escape(re.sub(r"\{\w+\}", "...", title))
