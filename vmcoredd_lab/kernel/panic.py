"""The panic, out of the kernel log: why, where and in whose name the kernel died, as it printed it itself.

Read are the panic line (kernel/panic.c), the line of CPU, task and taint (dump_stack_print_info, lib/dump_stack.c), and of the
machines' oops blocks the instruction pointer: RIP or EIP (x86), pc (arm64), PC is at (arm), NIP (powerpc), Krnl PSW (s390),
epc (riscv), ERA (loongarch). Where the log says on whose behalf a record was written, only records of the same one count.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from vmcoredd_lab.package_data import package_text
from vmcoredd_lab.tables import Table

__all__ = ["PanicSummary", "Taint", "panic_summary"]

LOOKED_BACK, BACK_NS = 400, 10 * 10**9  # records and time before the panic line in which its oops is looked for
LONGEST_BLOCK = 600  # records
END_NS = (
    10 * 10**9
)  # an oops without a panic line counts where the log ends soon after it: kdump starts inside the oops
MOST_FRAMES = 256

PANIC = re.compile(r"Kernel panic - not syncing: ?(.*)", re.DOTALL)
_DIES = re.compile(r"\[#\d+\]")
_FAULT = re.compile(
    r"BUG: |Unable to handle kernel |Internal error: |Oops\b|kernel BUG at |(?:general|stack) protection fault|stack segment"
    r"|divide error|invalid opcode|double fault|int3: |watchdog: BUG: soft lockup|.*Watchdog detected hard LOCKUP"
    r"|Kernel (?:access|attempted)|Unrecoverable |addressing exception|specification exception|illegal operation|List add corrupt"
)
_WARNING = re.compile(r"WARNING: ")
# The fault comes first in the reason where the panic line only says that there was one.
_NOTHING_NEW = re.compile(
    r"Fatal exception|Fatal machine check|Aiee|Oops|(?:kernel: )?panic_on_warn|softlockup|hung_task|Hard LOCKUP"
)

_TASK = re.compile(
    r"CPU: (?P<cpu>\d+) (?:UID: \d+ )?PID: (?P<pid>\d+) Comm: (?P<comm>.*?) (?:Kdump: loaded )?"
    r"(?P<taint>Not tainted|Tainted:.*)"
)
_OLD_TASK = re.compile(r"Pid: (?P<pid>\d+), comm: +(?P<comm>.*?) (?P<taint>Not tainted|Tainted:.*)")
_OLD_CPU = re.compile(r"CPU:? (?P<cpu>\d+)\b")
_PROCESS = re.compile(r"Process (?P<comm>.*?) \(pid: (?P<pid>\d+)")
_TAINTED = re.compile(r"Tainted: ((?:[A-Z]+ *)+)(?: |$)")

_SYMBOL = r"(?P<symbol>[A-Za-z_.$][\w.$]*\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[[\w-]+(?: [0-9a-f]+)?\])?)"
_POINTERS = (
    re.compile(rf"[RE]IP: (?!0033:|002b:|0023:|0073:).*?{_SYMBOL}"),
    re.compile(rf"[RE]IP is at {_SYMBOL}"),
    re.compile(rf"(?:pc|epc) : {_SYMBOL}"),
    re.compile(rf"PC is at {_SYMBOL}"),
    re.compile(rf"NIP \[[0-9a-f]+\] {_SYMBOL}"),
    re.compile(rf"Krnl PSW : .*?\({_SYMBOL}\)"),
    re.compile(rf" *(?:ERA|era|pc)\s*:? [0-9a-f]{{16}} {_SYMBOL}"),
)
_BARE_POINTER = re.compile(r"(?:[RE]IP: (?:0010|0060):|pc : |epc : )(?P<symbol>0x[0-9a-f]+|[0-9a-f]{8,16})")
_TRACE = re.compile(r" *(?:Call [Tt]race|Backtrace):")
_ARM_FRAME = re.compile(rf" *[\w.$]+ from {_SYMBOL}")  # arm prints no heading
_FRAME = re.compile(rf"(?P<doubt>\? )?{_SYMBOL}")
_TRACE_END = re.compile(
    r"---\[ end|Modules linked in:|Code: |Kernel panic|Kernel Offset:|Last Breaking-Event|Rebooting in|CPU: \d|Mem-Info"
)
_MODULES = re.compile(r"Modules linked in:(.*)", re.DOTALL)
_MODULE = re.compile(r"[\w-]+(?:\([A-Z+-]+\))?")
_HARDWARE = re.compile(r"Hardware name: (.*)")


@dataclass(frozen=True)
class Taint:
    """One taint flag: its letter, and what it means."""

    letter: str
    meaning: str


@dataclass(frozen=True)
class PanicSummary:
    """What the kernel printed when it died.

    Attributes
    ----------
    reason: one line: the panic line's text, or the fault's own first line where the panic line only says that there was one
    panic: the text behind ``Kernel panic - not syncing:``; None where kdump started inside the oops
    fault: the first line of the oops; None where there was none
    cpu, pid, comm: where and in whose name it ran; None where not printed (pid: also from the record's caller)
    tainted: the taint flags; empty where not tainted, None where not printed
    instruction_pointer: the symbol as printed: ``sysrq_handle_crash+0x16/0x20``; None where there was no oops
    call_trace: the frames as printed, innermost first; doubtful ones begin with ``? ``
    modules: the modules as printed, with their own taint in brackets
    hardware: the machine as its firmware names it
    time_ns: when, in nanoseconds since boot; None where the log has no times
    seqs: sequence numbers of the records it was read from
    """

    reason: str
    panic: str | None
    fault: str | None
    cpu: int | None
    pid: int | None
    comm: str | None
    tainted: tuple[Taint, ...] | None
    instruction_pointer: str | None
    call_trace: tuple[str, ...]
    modules: tuple[str, ...]
    hardware: str | None
    time_ns: int | None
    seqs: tuple[int, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as dictionaries and lists."""
        plain = asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}


@dataclass(frozen=True)
class _Record:
    seq: int
    time_ns: int | None
    caller: str | None
    text: str


@cache
def _meanings() -> dict[str, str]:
    text = package_text("vmcoredd_lab.kernel", "data", "taint_flags.csv")
    return {r["letter"]: r["meaning"] for r in csv.DictReader(text.splitlines())}


def panic_summary(log: Table) -> PanicSummary | None:
    """Return what the kernel log (:data:`~vmcoredd_lab.kernel.printk.DMESG`) says of the panic; None where there is none."""
    columns = (log.values(name) for name in ("seq", "time_ns", "caller", "text"))
    records = [_Record(*row) for row in zip(*columns, strict=True)]
    at = next((i for i in range(len(records) - 1, -1, -1) if PANIC.match(records[i].text)), None)
    first = _fault_before(records, at) if at is not None else _fault_at_end(records)
    start = first if first is not None else at
    if start is None:
        return None
    return _summary(records, start, at, first)


def _fault_before(records: list[_Record], panic: int) -> int | None:
    """Return the first line of the oops that led to the panic line; None where it has none."""
    line, found = records[panic], None
    wanted = (_FAULT, _WARNING) if "panic_on_warn" in line.text else (_FAULT,)
    for i in range(panic - 1, max(-1, panic - LOOKED_BACK), -1):
        record = records[i]
        if line.time_ns is not None and record.time_ns is not None and line.time_ns - record.time_ns > BACK_NS:
            break
        if record.caller == line.caller and any(p.match(record.text) for p in wanted):
            found = i
    return found


def _fault_at_end(records: list[_Record]) -> int | None:
    """Return the first line of an oops with which the log ends."""
    last = max((r.time_ns for r in records[-LOOKED_BACK:] if r.time_ns is not None), default=None)
    for i in range(len(records) - 1, max(-1, len(records) - LOOKED_BACK), -1):
        if _DIES.search(records[i].text):
            when = records[i].time_ns
            if last is not None and when is not None and last - when > END_NS:
                return None
            return _first_line(records, i)
    return None


def _first_line(records: list[_Record], die: int) -> int:
    """Return where the oops begins whose line with its count, [#1], is given."""
    found = die
    for i in range(die - 1, max(-1, die - 40), -1):
        if records[i].caller == records[die].caller and _FAULT.match(records[i].text):
            found = i
    return found


def _summary(records: list[_Record], start: int, panic: int | None, fault: int | None) -> PanicSummary:
    caller = records[start].caller
    block = [r for r in records[start : start + LONGEST_BLOCK] if r.caller == caller]
    lines = [(r, line) for r in block for line in r.text.split("\n")]
    texts = [line for _, line in lines]
    match = PANIC.match(records[panic].text) if panic is not None else None
    said = match[1].split("\n")[0].strip() if match else None
    found = records[fault].text.split("\n")[0].strip() if fault is not None else None
    task = _task(texts)
    pid = task.get("pid")
    if pid is None and caller is not None and caller.startswith("T"):
        pid = int(caller[1:])
    cpu = task.get("cpu")
    if cpu is None and caller is not None and caller.startswith("C"):
        cpu = int(caller[1:])
    return PanicSummary(
        reason=(found if said is None or (found and _NOTHING_NEW.match(said)) else said) or "",
        panic=said,
        fault=found,
        cpu=cpu,
        pid=pid,
        comm=task.get("comm"),
        tainted=_taint(task["taint"]) if "taint" in task else None,
        instruction_pointer=_pointer(texts) if fault is not None else None,
        call_trace=tuple(_frames(texts)),
        modules=tuple(_modules(texts)),
        hardware=next((m[1].strip() for t in texts if (m := _HARDWARE.search(t))), None),
        time_ns=records[start].time_ns,
        seqs=tuple(r.seq for r in block),
    )


def _task(lines: list[str]) -> dict[str, Any]:
    """Return cpu, pid, comm and taint as far as one of the forms says them."""
    found: dict[str, Any] = {}
    for form in (_TASK, _OLD_TASK, _PROCESS, _OLD_CPU):
        for line in lines:
            if match := form.search(line):
                for key, value in match.groupdict().items():
                    found.setdefault(key, int(value) if key in ("cpu", "pid") else value.strip())
                break
        if {"cpu", "pid", "comm", "taint"} <= found.keys():
            break
    return found


def _taint(text: str) -> tuple[Taint, ...]:
    """Return the flags; G stands for no proprietary module, and is none."""
    match = _TAINTED.match(text)
    letters = re.sub(r"[ G]", "", match[1]) if match else ""
    return tuple(Taint(letter, _meanings().get(letter, "a flag that is not known here")) for letter in letters)


def _pointer(lines: list[str]) -> str | None:
    for forms in (_POINTERS, (_BARE_POINTER,)):
        for line in lines:
            for form in forms:
                if match := form.match(line):
                    return match["symbol"]
    return None


def _frames(lines: list[str]) -> Iterator[str]:
    """Yield the frames of the first call trace."""
    inside, count = False, 0
    for line in lines:
        if not inside:
            inside = bool(_TRACE.match(line) or _ARM_FRAME.match(line))
            if not _ARM_FRAME.match(line):
                continue
        if _TRACE_END.match(line) or count == MOST_FRAMES:
            return
        if re.match(r" *(?:[RE]IP|RSP|R\d\d|RAX|RDX|RBP|EAX|ESI|[GF]S): ?", line):
            continue  # the registers of an entry from user space
        if match := _FRAME.search(line):
            count += 1
            yield (match["doubt"] or "") + match["symbol"]


def _modules(lines: list[str]) -> Iterator[str]:
    for i, line in enumerate(lines):
        if match := _MODULES.match(line):
            listed = match[1]
            for more in lines[i + 1 :]:  # a long list goes on in further records
                if not more.startswith(" ") or not all(_MODULE.fullmatch(w) for w in more.split("[")[0].split()):
                    break
                listed += more
            yield from (w for w in listed.split("[last unloaded")[0].split() if _MODULE.fullmatch(w))
            return
