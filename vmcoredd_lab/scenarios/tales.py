"""The scenarios, one function each: what happens, and what of it is left in the kernel's log and in the adapters.

What a fatal error leaves behind is what the 6.1 driver leaves: it clears the cause bits that it handles, and of all others
none; then DMA is off, the ports are forced down and no function is told of interrupts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vmcoredd_lab.scenarios.adapter import Adapter
from vmcoredd_lab.scenarios.story import FW_PARAMS, FW_PORT, MILLISECOND, PF, SECOND, Story, VmcoreStory

__all__ = ["TALES", "Tale"]

ENXIO, ETIMEDOUT = -6, -110
WAITING = (
    "__schedule+0x34d/0x9e0",
    "schedule+0x5a/0xd0",
    "schedule_preempt_disabled+0x11/0x20",
    "__mutex_lock.constprop.0+0x399/0x700",
)
SEND_PAYLOAD = {"T4": 27, "T5": 28, "T6": 26}  # IDMA_FL_SEND_PAYLOAD: waits for PCIe to take data
STUCK_QUEUE = 8  # an egress queue of a new adapter


def healthy(story: Story) -> VmcoreStory:
    """Nothing is wrong with the adapters: somebody crashes the machine on purpose."""
    story.everyday(300)
    return story.sysrq()


def firmware_crash(story: Story) -> VmcoreStory:
    """The firmware of the first adapter runs into an assertion; a worker waits for a lock until the kernel gives up."""
    adapter = story.adapters[0]
    log = adapter.log
    start = story.later(20, 5)
    log.add(start, "ERR", "OFLD", "ofld: tid %u unexpected cpl opcode 0x%02x in state %d\n", 417, 0x2A, 6)
    log.add(start + 3 * MILLISECOND, "CRIT", "CORE", "exception: cause 0x%08x epc 0x%08x badvaddr 0x%08x\n",
            0x10, 0x2003A7F4, 0x00000018)  # fmt: skip
    log.add(
        start + 4 * MILLISECOND,
        "EMERG",
        "CORE",
        "assertion failed: %s:%u, 0x%08x 0x%08x\n",
        0x200512C0,
        1127,
        417,
        0x2A,
    )
    adapter.set("PCIE_FW", adapter.get("PCIE_FW") | 1 << 31)  # ERR; the reason, EVAL, is 0: crash
    adapter.trace_running = False
    report_firmware_error(story, adapter)
    # the timer interrupt that announces the crash counts as fatal; the driver clears it
    story.driver(adapter, "alert", "CIM TIMER0 interrupt (0x4)", caller="C1")
    story.stop_adapter(adapter)
    story.later(1.5)
    mailbox_failure(story, adapter, FW_PORT, ENXIO)
    return story.hung_task("kworker/1:3", 812, (
        *WAITING, "linkwatch_event+0xa/0x30", "process_one_work+0x1c7/0x380", "worker_thread+0x4d/0x380",
        "kthread+0xda/0x100", "ret_from_fork+0x22/0x30",
    ), work="events linkwatch_event")  # fmt: skip


def pcie_error(story: Story) -> VmcoreStory:
    """The first adapter receives a malformed packet: a fatal PCIe error, which the platform's firmware reports."""
    adapter = story.adapters[0]
    story.later(30, 10)
    status, severity = 1 << 18, 0x00462030
    header = (0x4A000010, 0x0200000C, 0x0000_2F00, 0x00000000)
    space = adapter.config_space
    space[0x104], space[0x10C], space[0x118] = status, severity, 18  # status, severity, index of the first error
    space.update({0x11C + 4 * n: word for n, word in enumerate(header)})
    space[0x78] |= 1 << 18  # FatErrDet, in the upper half of device control and status
    bus = adapter.device
    for line in (
        "Hardware error from APEI Generic Hardware Error Source: 5", "event severity: fatal", " Error 0, type: fatal",
        "  section_type: PCIe error", "  port_type: 0, PCIe end point", "  version: 3.0",
        f"  command: 0x{space[4] & 0xFFFF:04x}, status: 0x{space[4] >> 16:04x}", f"  device_id: {bus}", "  slot: 0",
        "  secondary_bus: 0x00", f"  vendor_id: 0x1425, device_id: 0x{adapter.product.device_id:04x}",
        "  class_code: 020000", f"  aer_uncor_status: 0x{status:08x}, aer_uncor_mask: 0x00000000",
        f"  aer_uncor_severity: 0x{severity:08x}", "  TLP Header: " + " ".join(f"{word:08x}" for word in header),
    ):  # fmt: skip
        story.kernel("emerg", f"{{1}}[Hardware Error]: {line}", caller="C0")
    return story.panic("Fatal hardware error!", comm="swapper/0", pid=0, cpu=0, trace=(
        "__ghes_panic.cold+0x4d/0x60", "ghes_in_nmi_queue_one_entry.constprop.0+0x261/0x2c0",
        "ghes_notify_nmi+0x5e/0xd0", "nmi_handle+0x61/0x120", "default_do_nmi+0x40/0x100", "exc_nmi+0xfd/0x130",
    ))  # fmt: skip


def edc_parity(story: Story) -> VmcoreStory:
    """A cell of the first adapter's on-chip memory loses its data.

    On T5 and T6 the 6.1 driver looks at T4's address for the cause: it says nothing, and only the registers and the firmware
    tell. On T4 it reports and stops.
    """
    adapter = story.adapters[0]
    start = story.later(40, 5)
    address = 0x00041A40
    adapter.log.add(start, "ERR", "HW", "hw: edc%u uncorrectable ecc error, address 0x%08x count %u\n", 0, address, 1)
    adapter.set("PL_PERR_CAUSE", EDC0=1)
    if adapter.has("EDC_H_INT_CAUSE"):
        adapter.set("EDC_H_INT_CAUSE", ECC_UE_INT_CAUSE=1, PERR_INT_CAUSE=1)
        adapter.set("EDC_H_ECC_STATUS", ECC_UECNT=1)
        adapter.set("EDC_H_ECC_ERR_ADDR", address)
    else:
        adapter.set("EDC_ECC_STATUS", ECC_UECNT=1)
        story.driver(adapter, "alert", "EDC0 FIFO parity error", caller="C1")
        story.driver(adapter, "alert", "EDC0 uncorrectable ECC data error", caller="C1")
        story.stop_adapter(adapter)
    story.later(4)
    return story.sysrq()


def stuck_queue(story: Story) -> VmcoreStory:
    """The first adapter's DMA waits for PCIe for minutes; a transmit queue fills up, and its watchdog barks."""
    adapter = story.adapters[0]
    state = SEND_PAYLOAD[adapter.chip]
    story.later(10, 5)
    stalled = story.now
    adapter.add_egress(STUCK_QUEUE, pidx=1011, cidx=12)
    # the driver reads them through an index; T5 and T6 have them among the plain registers, too
    for setter in (
        (adapter.set_indirect, adapter.set) if adapter.has("SGE_DEBUG_DATA_LOW_INDEX_0") else (adapter.set_indirect,)
    ):
        setter("SGE_DEBUG_DATA_HIGH_INDEX_13", 0xFFFFFFFF)  # core clocks without a change, saturated
        setter("SGE_DEBUG_DATA_LOW_INDEX_0", debug_st_idma0_idma_sm=state)
        setter("SGE_DEBUG_DATA_LOW_INDEX_11", debug_idma0_qid=STUCK_QUEUE)
    adapter.config_space[0x78] |= 1 << 21  # TxnPnd: reads that the host has not answered
    debug = f"(debug0={state:#x}, debug11={STUCK_QUEUE:#x})"
    story.later(1.1)
    story.driver(
        adapter, "warn", f"SGE idma0, queue {STUCK_QUEUE}, stuck in state {state} for 1 seconds {debug}", caller="C0"
    )
    story.driver(adapter, "warn", "idma state IDMA_FL_SEND_PAYLOAD", caller="C0")
    story.later(4)
    story.warning("net/sched/sch_generic.c:525", "dev_watchdog+0x207/0x210",
                  f"NETDEV WATCHDOG: {adapter.netdevs[0]} (cxgb4): transmit queue 3 timed out")  # fmt: skip
    story.now = stalled + 301 * SECOND
    story.driver(
        adapter, "warn", f"SGE idma0, queue {STUCK_QUEUE}, stuck in state {state} for 301 seconds {debug}", caller="C0"
    )
    return story.sysrq()


def mailbox_timeout(story: Story) -> VmcoreStory:
    """The firmware of the first adapter falls silent; a command gets no answer, and the driver stops the adapter."""
    adapter = story.adapters[0]
    story.later(15, 5)
    adapter.log.add(
        story.now - 2 * SECOND, "INFO", "TIMER", "timer: %u events in last period max latency %u\n", 812, 99
    )
    if adapter.has("CIM_PF_MAILBOX_CTRL_SHADOW_COPY"):
        adapter.set("CIM_PF_MAILBOX_CTRL_SHADOW_COPY", MBOwner=1, MBMsgValid=1, instance=PF)
    else:
        adapter.set("CIM_PF_MAILBOX_ACC_STATUS", MBWrBusy=1, instance=PF)
    adapter.looping = True
    story.later(10)
    mailbox_failure(story, adapter, FW_PARAMS, ETIMEDOUT)
    return story.hung_task("ethtool", 3170, (*WAITING, "dev_ethtool+0xb1/0x2e0", "dev_ioctl+0x15d/0x500",
                                             "sock_do_ioctl+0xb7/0x120"))  # fmt: skip


def link_flap(story: Story) -> VmcoreStory:
    """A bad cable: the link of the first port goes up and down, frames arrive damaged, and at the end the far side is gone."""
    adapter = story.adapters[0]
    for _ in range(6):
        story.later(6, 20)
        story.link_down(adapter, 0, "Remote Fault")
        story.later(1.5, 2)
        story.link_up(adapter, 0)
    story.later(5, 5)
    story.link_down(adapter, 0, "Remote Fault")
    adapter.port_down(0)
    link = "MAC_PORT_LINK_STATUS" if adapter.has("MAC_PORT_LINK_STATUS") else "XGMAC_PORT_LINK_STATUS"
    adapter.set(link, remflt=1)
    damaged = story.rng.randrange(200, 900)
    adapter.set_counter("MPS_PORT_STAT_RX_PORT_CRC_ERROR", damaged)
    adapter.set_counter("MPS_PORT_STAT_RX_PORT_SYM_ERROR", damaged + story.rng.randrange(50))
    if adapter.has("MAC_PORT_AFRAMECHECKSEQUENCEERRORS_L"):
        adapter.set_counter("MAC_PORT_AFRAMECHECKSEQUENCEERRORS", damaged)
    story.later(8)
    return story.sysrq()


def memory_window(story: Story) -> VmcoreStory:
    """The memory window of the first adapter does not answer when the dump is made: what is read through it is missing."""
    adapter = story.adapters[0]
    # t4_memory_rw_init() takes all ones in the window's base register for an adapter that is gone: -ENXIO
    adapter.set("PCIE_MEM_ACCESS_BASE_WIN", 0xFFFFFFFF)
    for name in ("dev_log", "edc0", "edc1", "mc0"):
        adapter.fail(name, sys_err=ENXIO)
    story.everyday(200)
    return story.sysrq()


def report_firmware_error(story: Story, adapter: Adapter) -> None:
    """Let the driver read PCIE_FW and say what it says (t4_report_fw_error())."""
    story.driver(adapter, "err", "Firmware reports adapter error: Crash", caller="C1")


def mailbox_failure(story: Story, adapter: Adapter, opcode: int, error: int) -> None:
    """Let a command get no answer (t4_wr_mbox_meat_timeout()): the mailbox stays with the firmware, the adapter is stopped."""
    if error == ENXIO and adapter.has("CIM_PF_MAILBOX_CTRL_SHADOW_COPY"):
        adapter.set("CIM_PF_MAILBOX_CTRL_SHADOW_COPY", MBOwner=1, MBMsgValid=1, instance=PF)
    story.command(adapter, opcode)
    adapter.mailbox.pop()
    story.command(adapter, opcode, execute=error, answered=False)
    story.driver(adapter, "err", f"command {opcode:#x} in mailbox {PF} timed out", caller="T812")
    if adapter.get("PCIE_FW") >> 31:
        story.driver(adapter, "err", "Firmware reports adapter error: Crash", caller="T812")
    story.stop_adapter(adapter, caller="T812")


@dataclass(frozen=True)
class Tale:
    """A scenario.

    tell: makes it happen
    title: one line
    shows: where it can be seen
    rules: ids of the findings of which one comes first, by chip where they differ
    """

    tell: Callable[[Story], VmcoreStory]
    title: str
    shows: str
    rules: tuple[str, ...]


TALES: dict[str, Tale] = {
    "healthy": Tale(healthy, "nothing is wrong with the adapters", "nowhere: nothing above info", ()),
    "firmware-crash": Tale(
        firmware_crash, "the firmware runs into an assertion",
        "PCIE_FW, firmware log (EMERG), stopped CIM trace, emergency stop, dmesg", ("FW-01",),
    ),
    "pcie-error": Tale(
        pcie_error, "a fatal PCIe error", "AER status and header log in PCIE_CONFIG, dmesg", ("PCI-04",)
    ),
    "edc-parity": Tale(
        edc_parity, "on-chip memory loses data", "EDC cause, status and address registers, PL_PERR_CAUSE, firmware log",
        ("ECC-01", "ECC-03"),
    ),
    "stuck-queue": Tale(
        stuck_queue, "DMA stands still, a transmit queue fills up",
        "SGE debug data, an egress context, TxnPnd in PCIE_CONFIG, dmesg", ("SGE-01", "SGE-03"),
    ),
    "mailbox-timeout": Tale(
        mailbox_timeout, "the firmware falls silent", "mailbox shadow registers, CIM trace, emergency stop, dmesg",
        ("FW-16", "FW-18"),
    ),
    "link-flap": Tale(
        link_flap, "a link goes up and down", "MAC link status, counters of damaged frames, firmware log, dmesg",
        ("NET-13",),
    ),
    "memory-window": Tale(
        memory_window, "the memory window does not answer", "DEV_LOG and memories missing with sys_err -6", ("DMP-05",)
    ),
}  # fmt: skip
