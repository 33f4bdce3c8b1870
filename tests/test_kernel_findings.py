"""Findings of the kernel log, those across the log and a device's dump, and the signature of a crash."""

from __future__ import annotations

import re

import pytest
from cudbg_builder import DEV_LOG, REG_DUMP, VPD_DATA, Entity, cudbg, log_entry, reg_dump, vpd_data
from log_builder import Logged

import vmcoredd_lab as vl
from vmcoredd_lab.analysis.findings import diagnose
from vmcoredd_lab.analysis.signature import shape, signature

SYSRQ = ("sysrq: Trigger a crash", "Kernel panic - not syncing: sysrq triggered crash")


def found(*lines, dumps=()):
    return diagnose(list(dumps), Logged(*lines, dumps=dumps)).findings


def first(*lines):
    return found(*lines)[0]


def adapter(*entries, pcie_fw=0x4000C010, slot="0000:02:00.4", firmware=(1, 27, 5, 0)):
    data = bytes(cudbg(Entity(DEV_LOG, b"".join(entries) or bytes(256)), Entity(REG_DUMP, reg_dump({0x30B8: pcie_fw})),
                       Entity(VPD_DATA, vpd_data(firmware=firmware))))  # fmt: skip
    dump = vl.open_device_dump(data)
    dump.name = dump.space = f"cxgb4_{slot}"
    dump.device, dump.bare = slot, False
    return dump


@pytest.mark.parametrize(
    ("line", "rule", "severity", "title"),
    [
        ("NETDEV WATCHDOG: eth2 (cxgb4): transmit queue 3 timed out", "KRN-03", "error", "eth2 (cxgb4), queue 3"),
        ("eth2 (cxgb4): NETDEV WATCHDOG: CPU: 1: transmit queue 3 timed out 5000 ms", "KRN-03", "error", "Transmit timeout"),
        ("watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [kworker/3:1:99]", "KRN-04", "error", "CPU 3 stuck for 22 s"),
        ("NMI watchdog: Watchdog detected hard LOCKUP on cpu 5", "KRN-05", "critical", "CPU 5 took no interrupts"),
        ("INFO: task ethtool:3170 blocked for more than 120 seconds.", "KRN-06", "warning", "ethtool blocked"),
        ("rcu: INFO: rcu_preempt self-detected stall on CPU", "KRN-07", "error", "RCU stall"),
        ("ksoftirqd/1: page allocation failure: order:2, mode:0x820(GFP_ATOMIC)", "KRN-08", "warning", "ksoftirqd/1, order 2"),
        ("Out of memory: Killed process 815 (java) total-vm:8kB", "KRN-09", "warning", "Killed process 815"),
        ("mce: [Hardware Error]: CPU 2: Machine Check Exception: 5 Bank 4: b200000000070f0f", "KRN-10", "critical", "CPU 2"),
        ("{1}[Hardware Error]: event severity: fatal", "KRN-18", "critical", "machine's firmware"),
        ("pcieport 0000:00:01.0: AER: Uncorrected (Fatal) error received: 0000:02:00.4", "KRN-11", "error", "PCIe error"),
        ("DMAR: [DMA Read] Request device [02:00.4] fault addr 0xfee00000", "KRN-12", "error", "IOMMU refused"),
        ("EDAC MC0: 1 UE memory read error on CPU_SrcID#0_MC#0", "KRN-13", "error", "memory error in the host"),
        ("WARNING: CPU: 0 PID: 0 at net/sched/sch_generic.c:525 dev_watchdog+0x207/0x210", "KRN-15", "warning", "generic.c:525"),
    ],
)  # fmt: skip
def test_what_the_kernel_complained_of_is_found(line, rule, severity, title):
    one = first("Linux version 6.1.0", line)
    assert (one.rule, one.severity) == (rule, severity)
    assert title in one.title
    assert (one.evidence[0].space, one.evidence[0].offset, one.evidence[0].length) == ("physical", 0x1100, len(line))


def test_a_crash_that_somebody_asked_for_is_no_alarm():
    assert [(f.rule, f.severity) for f in found(*SYSRQ)] == [("KRN-01", "info")]
    old = ("sysrq: SysRq : Trigger a crash", "BUG: kernel NULL pointer dereference, address: 0000000000000000",
           "Oops: 0002 [#1] SMP PTI", "CPU: 1 PID: 815 Comm: bash Kdump: loaded Not tainted 4.18.0 #1",
           "RIP: 0010:sysrq_handle_crash+0x12/0x20", "Kernel panic - not syncing: Fatal exception")  # fmt: skip
    assert {f.severity for f in found(*old)} == {"info"}


def test_a_panic_names_its_cpu_and_task():
    one = first(
        "Kernel panic - not syncing: hung_task: blocked tasks", "CPU: 1 PID: 35 Comm: khungtaskd Not tainted 6.1.0 #1"
    )
    assert (one.severity, one.title) == ("critical", "Kernel panic: hung_task: blocked tasks (CPU 1, khungtaskd)")


def test_an_oops_names_where_it_was():
    lines = ("BUG: kernel NULL pointer dereference, address: 0000000000000010", "CPU: 3 PID: 9 Comm: kworker/3:0 Tainted: G",
             "RIP: 0010:cxgb4_get_stats+0x21/0x90 [cxgb4]", "Kernel panic - not syncing: Fatal exception")  # fmt: skip
    one = first(*lines)
    assert one.rule == "KRN-02"
    assert one.title.endswith("in cxgb4_get_stats (CPU 3, kworker/3:0)")


def test_a_link_that_comes_and_goes_is_an_alarm_from_the_third_time_on():
    line = "cxgb4 0000:02:00.4 eth2: link down"
    assert first(line).severity == "info"
    assert (first(line, line, line).severity, "3 times" in first(line, line, line).title) == ("warning", True)


@pytest.mark.parametrize(
    "line",
    ["e1000e 0000:00:1f.6 eth0: NIC Link is Down", "igb 0000:01:00.0 eth0: igb: eth0 NIC Link is Down",
     "tg3 0000:03:00.0 eth0: Link is down", "mlx5_core 0000:03:00.0 eth0: Link down"],
)  # fmt: skip
def test_the_link_of_each_driver_has_the_name_of_its_interface(line):
    assert first(line).title == "Link of eth0 went down once"


def test_a_port_that_the_driver_counts_is_no_second_link():
    lines = ("cxgb4 0000:02:00.4: Port 0 link down, reason: Link Down", "cxgb4 0000:02:00.4 eth2: link down")
    assert [f.title for f in found(*lines) if f.rule == "KRN-16"] == ["Link of eth2 went down once"]


def test_an_error_record_of_the_machines_firmware_names_its_section_and_device():
    record = ("Hardware error from APEI Generic Hardware Error Source: 5", "event severity: fatal", " Error 0, type: fatal",
              "  section_type: PCIe error", "  device_id: 0000:02:00.4")  # fmt: skip
    (one,) = found(*(("emerg", f"{{1}}[Hardware Error]: {line}") for line in record))
    assert (one.rule, one.severity, one.device) == ("KRN-18", "critical", "0000:02:00.4")
    assert one.title == "Hardware error (fatal) reported by the machine's firmware: PCIe error"


def test_an_ordinary_boot_is_no_alarm(shared_data):
    for log in shared_data.glob("vmcore/*/peers/dmesg-*.txt"):
        lines = [m[1] for m in re.finditer(r"^\[ *\d+\.\d+\] (.*)$", log.read_text(errors="replace"), re.M)]
        assert [(f.rule, f.title) for f in found(*lines) if f.severity != "info"] == [], log


def test_the_drivers_own_errors_are_a_finding_of_its_device():
    lines = (("alert", "cxgb4 0000:02:00.4: fatal error, adapter stopped"), ("err", "cxgb4 0000:02:00.4: command 0x8 timed out"),
             ("err", "cxgb4 0000:81:00.4: of another one"))  # fmt: skip
    (one,) = [f for f in found(*lines, dumps=[adapter()]) if f.rule == "KRN-20"]
    assert (one.device, one.severity) == ("0000:02:00.4", "error")
    assert one.title == "The driver complained: fatal error, adapter stopped (and 1 more)"


def test_kernel_and_firmware_that_tell_of_one_event_are_brought_together():
    dump = adapter(log_entry(1, "assertion failed at line 9", level=0), pcie_fw=0xC000C010)
    (one,) = [
        f
        for f in found("cxgb4 0000:02:00.4: firmware reports adapter error: crash", *SYSRQ, dumps=[dump])
        if f.rule == "CRS-01"
    ]
    assert [e.space for e in one.evidence] == ["physical", "entity:cxgb4_0000:02:00.4/dev_log"]
    assert "assertion failed at line 9" in one.title


def test_another_firmware_than_the_driver_found_is_a_warning():
    line = "cxgb4 0000:02:00.4: Chelsio T6-25G rev 0, firmware {}, 8 MSI-X vectors"
    same = found(line.format("1.27.5.0"), dumps=[adapter()])
    other = found(line.format("1.26.0.0"), dumps=[adapter()])
    assert not [f for f in same if f.rule == "CRS-02"]
    assert [f.title for f in other if f.rule == "CRS-02"] == [
        "Kernel log says firmware 1.26.0.0, the card holds 1.27.5.0"
    ]


def test_without_a_kernel_log_its_rules_are_skipped_with_the_reason():
    skipped = diagnose([], object()).skipped
    assert {s.reason for s in skipped} == {"there is no kernel log: this is not a vmcore"}


def test_the_vmcore_of_a_crashed_firmware_begins_with_its_assertion(sample):
    one = vl.open_vmcore(sample).diagnosis.findings[0]
    assert (one.rule, one.device) == ("FW-01", "0000:02:00.4")
    assert one.title == "Firmware crashed: assertion failed at line 1423 (val0 0xdead val1 0x17)"


# -- signature --------------------------------------------------------------------------------------------------------

TRACE = ("BUG: unable to handle page fault for address: {address}",
         "CPU: {cpu} PID: {pid} Comm: {task} Not tainted 6.1.0 #1",
         "RIP: 0010:t4_wr_mbox_meat_timeout+0x1{low}/0x7c0 [cxgb4]", "RAX: {address} RBX: 0000000000000000", "Call Trace:",
         " <TASK>", " ? __die+0x20/0x70", " ? page_fault_oops+0x16a/0x4e0", " t4_link_l1cfg_core+0x{low}a/0x1e0 [cxgb4]",
         " process_one_work.isra.0+0x1c7/0x380", " kthread+0xe8/0x120",
         "Kernel panic - not syncing: Fatal exception in interrupt",
         "Kernel Offset: {offset} from 0xffffffff81000000")  # fmt: skip
ONE = {"address": "ffff88810a3c0010", "cpu": 3, "pid": 815, "task": "kworker/3:1", "low": 4, "offset": "0x2c000000"}
OTHER = {"address": "ffff8f1e00c4d018", "cpu": 0, "pid": 71, "task": "kworker/0:2", "low": 9, "offset": "0x1000000"}


def signed(values, dump):
    core = Logged(*(line.format(**values) for line in TRACE), dumps=[dump])
    return signature(core, diagnose([dump], core))


def test_the_same_fault_on_another_boot_slot_and_cpu_has_the_same_signature():
    entry = "assertion failed at line 1423 (val0 0x%x val1 0x%x)"
    one = signed(ONE, adapter(log_entry(5, entry, [1, 2], level=0), pcie_fw=0xC000C010))
    other = signed(OTHER, adapter(log_entry(9, entry, [3, 4], level=0), pcie_fw=0xC000D040, slot="0000:81:00.4"))
    assert one.hash == other.hash
    assert dict(one.parts)["symbols"].split()[:2] == ["t4_wr_mbox_meat_timeout[cxgb4]", "t4_link_l1cfg_core[cxgb4]"]
    assert dict(one.parts)["panic"] == "Kernel panic - not syncing: Fatal exception in interrupt"


def test_another_assertion_another_function_and_another_cause_bit_have_other_signatures():
    def crashed(line):
        return adapter(log_entry(5, f"assertion failed at line {line}", level=0), pcie_fw=0xC000C010)

    hashes = {signed(ONE, crashed(1423)).hash, signed(ONE, crashed(1424)).hash, signed(ONE, adapter()).hash}
    core = Logged(*(line.format(**ONE).replace("t4_link_l1cfg_core", "cxgb_up") for line in TRACE))
    hashes.add(signature(core, diagnose([], core)).hash)
    assert len(hashes) == 4


def test_of_a_task_that_hung_the_signature_has_what_it_waited_in():
    lines = ("INFO: task ethtool:3170 blocked for more than 120 seconds.", "task:ethtool  state:D stack:0 pid:3170",
             "Call Trace:", " __schedule+0x34d/0x9e0", " schedule+0x5a/0xd0", " rtnl_lock+0x15/0x20", " dev_ethtool+0xb1/0x2e0",
             "Kernel panic - not syncing: hung_task: blocked tasks", "CPU: 0 PID: 35 Comm: khungtaskd", "Call Trace:",
             " panic+0x33/0x40", " watchdog+0x2a/0x30", " kthread+0xe8/0x120")  # fmt: skip
    core = Logged(*lines)
    assert dict(signature(core, diagnose([], core)).parts)["symbols"] == "rtnl_lock dev_ethtool"


def test_a_firmware_assertion_is_known_by_its_line_wherever_the_name_of_its_file_is():
    def signed_by(text, *params):
        dump = adapter(log_entry(5, text, params, level=0), pcie_fw=0xC000C010)
        return signature(None, diagnose([dump])).parts

    text = "assertion failed: %s:%u, 0x%08x 0x%08x"
    assert signed_by(text, 0x200512C0, 1127, 1, 2) == signed_by(text, 0x200512C4, 1127, 3, 4)
    assert signed_by(text, 0x200512C0, 1127, 1, 2) != signed_by(text, 0x200512C0, 1128, 1, 2)


def test_a_machine_check_that_names_the_device_is_not_its_drivers_complaint():
    line = ("emerg", "{1}[Hardware Error]: device_id: 0000:02:00.4")
    assert "KRN-20" not in {f.rule for f in found(line, dumps=[adapter()])}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("port 3 of 0000:02:00.4 at ffff8881deadbeef", "<unit> of <pci> at <hex>"),
        ("CPU#12 stuck for 22s", "<unit> stuck for 22s"),
        ("Fatal exception", "Fatal exception"),
        ("00:07:43:12:34:56 timed out after 10000", "<mac> timed out after <n>"),
    ],
)
def test_the_shape_of_a_message_is_what_stays_the_same(text, expected):
    assert shape(text) == expected


def test_the_command_prints_the_hash_and_its_parts(lab, sample):
    answer = lab("signature", sample, "--format", "json")
    assert re.fullmatch("[0-9a-f]{12}", answer.column("hash")[0])
    assert ("FW-01", "Firmware crashed: assertion failed at line 1423") in [(r["kind"], r["text"]) for r in answer.json]
