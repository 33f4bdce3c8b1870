"""The panic out of the kernel log: blocks in the form of each machine, and logs of real kernels."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kernel_builder import Ring

import vmcoredd_lab as vl
from vmcoredd_lab.kernel.panic import PanicSummary

TASK = "CPU: 3 PID: 4711 Comm: kworker/3:1 Kdump: loaded Tainted: G        W  OE      6.1.0-9-amd64 #1  Debian 6.1.27-1"


def panic(*records: str | tuple[str, int], gap: int = 1_000_000) -> PanicSummary | None:
    """The panic of a log with the records, each from caller 4711 or the one given."""
    ring = Ring(count_bits=10, size_bits=16)
    for i, one in enumerate(records):
        text, caller = one if isinstance(one, tuple) else (one, 4711)
        ring.add(text.encode(), ts=10**9 + i * gap, caller=caller)
    return vl.open_vmcore(ring.core()).panic


def found(*records: str | tuple[str, int]) -> PanicSummary:
    summary = panic(*records)
    assert summary is not None
    return summary


X86 = (
    "BUG: kernel NULL pointer dereference, address: 0000000000000018",
    "#PF: supervisor write access in kernel mode",
    "Oops: 0002 [#1] PREEMPT SMP NOPTI",
    TASK,
    "Hardware name: Dell Inc. PowerEdge R740/0923K0, BIOS 2.12.2 07/09/2021",
    "Workqueue: cxgb4 process_tid_release_list [cxgb4]",
    "RIP: 0010:t4_hw_init+0x1c/0x90 [cxgb4]",
    "Code: 48 89 df e8 00 00 00 00",
    "RSP: 0018:ffffa5b0c0003d58 EFLAGS: 00010246",
    "Call Trace:\n <TASK>\n process_one_work+0x1c5/0x380\n ? __pfx_worker_thread+0x10/0x10\n ret_from_fork+0x29/0x50\n </TASK>",
    "Modules linked in: cxgb4(OE) tls nls_ascii [last unloaded: ib_core]",
    "CR2: 0000000000000018",
    "---[ end trace 0000000000000000 ]---",
    "RIP: 0010:something_else+0x1/0x2",
    "Kernel panic - not syncing: Fatal exception",
)

ELSEWHERE = {
    "x86_64, before 4.10": ("RIP: 0010:[<ffffffff8146a0d6>]  [<ffffffff8146a0d6>] sysrq_handle_crash+0x16/0x20",),
    "i386": ("EIP: sysrq_handle_crash+0x16/0x20",),
    "i386, before 4.15": ("EIP is at sysrq_handle_crash+0x16/0x20",),
    "arm64": ("pstate: 60400005 (nZCv daif +PAN -UAO)", "pc : sysrq_handle_crash+0x16/0x20", "lr : __handle_sysrq+0x80/0x1a0"),
    "arm": ("PC is at sysrq_handle_crash+0x16/0x20", "LR is at __handle_sysrq+0x80/0x1a0"),
    "powerpc": ("NIP:  c00000000074a1b4 LR: c00000000074b1b4", "NIP [c00000000074a1b4] sysrq_handle_crash+0x16/0x20"),
    "s390x": ("Krnl PSW : 0704c00180000000 000000000b3e1d5c (sysrq_handle_crash+0x16/0x20)",),
    "riscv": ("epc : sysrq_handle_crash+0x16/0x20",),
    "loongarch": (" ERA: 9000000000a1b2c4 sysrq_handle_crash+0x16/0x20",),
}  # fmt: skip


def test_an_oops_of_x86_64_is_read_whole() -> None:
    one = found("eth0: before it all", *X86)
    assert one.reason == "BUG: kernel NULL pointer dereference, address: 0000000000000018"
    assert one.panic == "Fatal exception"
    assert (one.cpu, one.pid, one.comm) == (3, 4711, "kworker/3:1")
    assert [(t.letter, bool(t.meaning)) for t in one.tainted or ()] == [("W", True), ("O", True), ("E", True)]
    assert one.instruction_pointer == "t4_hw_init+0x1c/0x90 [cxgb4]"
    assert one.call_trace == (
        "process_one_work+0x1c5/0x380",
        "? __pfx_worker_thread+0x10/0x10",
        "ret_from_fork+0x29/0x50",
    )
    assert one.modules == ("cxgb4(OE)", "tls", "nls_ascii")
    assert one.hardware == "Dell Inc. PowerEdge R740/0923K0, BIOS 2.12.2 07/09/2021"
    assert (one.time_ns, one.seqs[0], one.seqs[-1]) == (1_001_000_000, 1, len(X86))


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_instruction_pointer_is_read_in_each_machines_form(name: str) -> None:
    fault = ("Unable to handle kernel paging request at virtual address 0", "Internal error: Oops: 96000044 [#1] SMP")
    one = found(*fault, *ELSEWHERE[name], "Kernel panic - not syncing: Fatal exception")
    assert one.instruction_pointer == "sysrq_handle_crash+0x16/0x20"


@pytest.mark.parametrize(
    "trace",
    [
        ("Call trace:", " sysrq_handle_crash+0x24/0x30", " __handle_sysrq+0x90/0x19c"),
        ("Call Trace:", " [<0000000000a2206a>] sysrq_handle_crash+0x24/0x30 ",
         "([<00000000006bf738>] __handle_sysrq+0x90/0x19c)"),
        ("Call Trace:", "[c0000000031fb950] [c000000000137dd8] sysrq_handle_crash+0x24/0x30 (unreliable)",
         "[c0000000031fb9e0] [c0000000008e5c68] __handle_sysrq+0x90/0x19c"),
        ("Call Trace:", "[<ffffffff8000c6a4>] sysrq_handle_crash+0x24/0x30", "[<ffffffff8000c6a4>] __handle_sysrq+0x90/0x19c"),
        (" dump_stack from sysrq_handle_crash+0x24/0x30", " sysrq_handle_crash from __handle_sysrq+0x90/0x19c"),
    ],
    ids=["arm64", "s390x", "powerpc", "riscv", "arm"],
)  # fmt: skip
def test_the_call_trace_is_read_in_each_machines_form(trace: tuple[str, ...]) -> None:
    one = found(
        "Kernel panic - not syncing: sysrq triggered crash", TASK, *trace, "---[ end Kernel panic - not syncing ]---"
    )
    assert one.call_trace == ("sysrq_handle_crash+0x24/0x30", "__handle_sysrq+0x90/0x19c")


@pytest.mark.parametrize(
    ("line", "cpu", "pid", "comm", "letters"),
    [
        ("CPU: 0 PID: 1 Comm: init Not tainted 6.1.0 #1", 0, 1, "init", ""),
        (
            "CPU: 7 UID: 0 PID: 99 Comm: a name with spaces Tainted: G S      E       6.12.0 #1",
            7,
            99,
            "a name with spaces",
            "SE",
        ),
        (
            "CPU: 1 UID: 1000 PID: 5 Comm: bash Kdump: loaded Not tainted 6.12.0+ #1 PREEMPT(voluntary)",
            1,
            5,
            "bash",
            "",
        ),
        ("Pid: 2231, comm: bash Tainted: P           O 3.2.0-4-amd64 #1 Debian", None, 2231, "bash", "PO"),
    ],
)
def test_the_line_of_the_task_is_read_in_each_form(line: str, cpu: int, pid: int, comm: str, letters: str) -> None:
    one = found("Kernel panic - not syncing: sysrq triggered crash", line)
    assert (one.cpu, one.pid, one.comm) == (cpu, pid, comm)
    assert "".join(t.letter for t in one.tainted or ()) == letters


def test_the_reason_is_the_panic_line_where_it_says_something() -> None:
    assert found(*X86[:-1], "Kernel panic - not syncing: cxgb4: adapter lost").reason == "cxgb4: adapter lost"
    warn = found(
        "WARNING: CPU: 3 PID: 4711 at net/core/dev.c:1 foo+0x1/0x2", "Kernel panic - not syncing: panic_on_warn set ..."
    )
    assert warn.reason.startswith("WARNING: CPU: 3")


def test_an_oops_at_the_end_of_the_log_needs_no_panic_line() -> None:
    one = found("before", *X86[:-1])
    assert (one.panic, one.fault) == (None, one.reason)


def test_an_oops_long_ago_is_not_the_panic() -> None:
    assert panic(*X86[:-1], *(f"life goes on {i}" for i in range(60)), gap=10**9) is None
    assert panic("nothing", "happened") is None


def test_other_cpus_do_not_get_mixed_in() -> None:
    one = found(
        "Kernel panic - not syncing: sysrq triggered crash", ("CPU: 9 PID: 8 Comm: other Not tainted 6 #1", 8), TASK
    )
    assert (one.cpu, one.comm, one.seqs) == (3, "kworker/3:1", (0, 2))


def test_without_the_line_the_records_caller_tells_the_task() -> None:
    assert found("Kernel panic - not syncing: x").pid == 4711
    assert found(("Kernel panic - not syncing: x", 0x80000002)).cpu == 2


@pytest.mark.parametrize("crash", ["arm64", "i386", "x86_64-story", "x86_64-mini"])
def test_the_panic_of_real_kernels_is_that_of_their_console(
    shared_data: Path, unpacked: Callable[[str], Path], crash: str
) -> None:
    name = "vmcore.elf.xz"
    one: Any = vl.open_vmcore(unpacked(f"vmcore/{crash}/{name}")).panic
    console = (shared_data / "vmcore" / crash / "serial.log").read_text(errors="replace")
    match = re.search(r"\[ *(\d+)\.(\d{6})\] Kernel panic - not syncing: (.*)", console)
    assert match
    assert (one.panic, one.time_ns // 1000) == (match[3].rstrip(), int(match[1] + match[2]))
    assert one.pid == 1
