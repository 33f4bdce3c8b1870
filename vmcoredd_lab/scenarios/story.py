"""What happens to a machine: a clock, the kernel's log, its adapters, and the crash at the end.

Texts of the driver are those of cxgb4 in Linux 6.1 (t4_hw.c, cxgb4_main.c, sge.c), texts of the kernel those that its panic,
watchdog and error paths print; a story fills in its own numbers.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from vmcoredd_lab.scenarios.adapter import PF, Adapter, MailboxRecord, serial_number
from vmcoredd_lab.scenarios.entities import collect
from vmcoredd_lab.scenarios.machine import RELEASE, VERSION, Machine, Task
from vmcoredd_lab.scenarios.printk_ring import KernelMessage
from vmcoredd_lab.writer import VmcoreImage

__all__ = ["FW_PARAMS", "FW_PORT", "MILLISECOND", "PF", "SECOND", "Story", "VmcoreStory"]

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
HZ = 250
INITIAL_JIFFIES = (1 << 32) - 300 * HZ
HARDWARE = "Dell Inc. PowerEdge R640/0H28RR, BIOS 2.19.1 06/04/2023"
MODULES = "cxgb4 tls sunrpc nfsv4 xfs libcrc32c ext4 mbcache jbd2 ahci libahci libata scsi_mod"
FW_HELLO, FW_PARAMS, FW_INITIALIZE, FW_PORT, FW_VI_STATS = 0x04, 0x08, 0x06, 0x1B, 0x1A
DISTRIBUTION = "Debian 6.1.119-1"
BUSES = ("02", "81", "3b", "af", "5e", "d8", "17", "65")


@dataclass
class Story:
    """One machine from boot to crash. ``now`` is the kernel's clock in nanoseconds; what is told next happens later."""

    seed: int = 0
    chip: str = "T6"
    adapter_count: int = 1
    attached: bool = False
    now: int = 0
    messages: list[KernelMessage] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    taint: str = ""

    def __post_init__(self) -> None:
        self.rng = random.Random(f"{self.seed}/{self.chip}/story")  # noqa: S311  the same seed, the same story
        self.adapters = [
            Adapter(self.chip, f"0000:{BUSES[n % 8]}:0{n // 8}.{PF}", number=n, seed=self.seed, attached=self.attached)
            for n in range(self.adapter_count)
        ]
        self.crash_time = 1_700_000_000 + self.rng.randrange(10_000_000)
        self._boot()
        self.booted = len(self.messages)  # what was logged until then; a quiet time followed
        self.everyday(self.rng.randrange(600, 3000))

    # -- telling ------------------------------------------------------------------------------------------------------

    def later(self, seconds: float, spread: float = 0.0) -> int:
        """Let time pass; return the new time."""
        self.now += int((seconds + self.rng.random() * spread) * SECOND)
        return self.now

    def kernel(self, level: str, text: str, *, caller: str = "T1", device: tuple[str, str] = ("", "")) -> None:
        """Log a message of the kernel; each comes some microseconds after the one before."""
        self.now += self.rng.randrange(2_000, 90_000)
        self.messages.append(KernelMessage(self.now, level, text, caller, device))

    def driver(self, adapter: Adapter, level: str, text: str, *, caller: str = "T87") -> None:
        """Log a message of cxgb4 about an adapter, as dev_printk() does."""
        self._device(adapter, level, f"cxgb4 {adapter.device}: {text}", caller)

    def netdev(self, adapter: Adapter, port: int, level: str, text: str, *, caller: str = "C0") -> None:
        """Log a message of cxgb4 about an interface, as netdev_printk() does."""
        self._device(adapter, level, f"cxgb4 {adapter.device} {adapter.netdevs[port]}: {text}", caller)

    def _device(self, adapter: Adapter, level: str, text: str, caller: str) -> None:
        self.kernel(level, text, caller=caller, device=("pci", f"+pci:{adapter.device}"))

    def command(
        self, adapter: Adapter, opcode: int, *, execute: int = 1, retval: int = 0, answered: bool = True
    ) -> None:
        """Let the driver send a firmware command: its records in the mailbox log of a driver that is attached."""
        jiffies = (INITIAL_JIFFIES + self.now * HZ // SECOND) & 0xFFFFFFFFFFFFFFFF
        request = opcode << 56 | 1 << 55 | 1 << 54 | PF << 40 | 4
        adapter.mailbox.append(MailboxRecord((request,), jiffies, 0 if answered else execute))
        if answered:
            reply = opcode << 56 | 1 << 54 | PF << 40 | retval << 8 | 4
            adapter.mailbox.append(MailboxRecord((reply,), jiffies + 1, execute))

    def everyday(self, seconds: float) -> None:
        """Let time pass in which nothing happens that anybody would look at."""
        start = self.now
        self.later(seconds)
        for adapter in self.adapters:
            adapter.log.chatter(start, self.now, 40)
            for _ in range(4):
                self.command(adapter, FW_VI_STATS)

    # -- how it begins ------------------------------------------------------------------------------------------------

    def _boot(self) -> None:
        self.kernel("notice", f"Linux version {RELEASE} (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14) 12.2.0, "
                    f"GNU ld (GNU Binutils for Debian) 2.40) {VERSION}", caller="T0")  # fmt: skip
        self.kernel(
            "info", f"Command line: BOOT_IMAGE=/boot/vmlinuz-{RELEASE} root=/dev/sda2 ro crashkernel=512M", caller="T0"
        )
        self.kernel("info", f"DMI: {HARDWARE}", caller="T0")
        self.later(0.4)
        self.kernel("info", "smp: Brought up 1 node, 2 CPUs")
        self.later(1.2)
        self.kernel("info", "PCI: Using configuration type 1 for base access")
        self.later(1.5)
        for adapter in self.adapters:
            self._probe(adapter)
        self.later(2.0)
        for adapter in self.adapters:
            for port in range(adapter.product.ports):
                self.link_up(adapter, port)
        self.later(3.0)
        total = self.now / SECOND
        self.kernel(
            "info",
            f"systemd[1]: Startup finished in 2.811s (kernel) + {total - 2.811:.3f}s (userspace) = {total:.3f}s.",
        )

    def _probe(self, adapter: Adapter) -> None:
        product, start = adapter.product, self.now
        firmware = ".".join(map(str, product.firmware))
        adapter.log.add(start, "NOTICE", "CORE", "firmware %u.%u.%u.%u starting\n", *product.firmware)
        adapter.log.add(
            start + 90 * MILLISECOND, "INFO", "CF", "cf: configuration file loaded, checksum 0x%08x\n", 0x8D2F31C7
        )
        adapter.log.add(
            start + 400 * MILLISECOND, "INFO", "HW", "hw: memory edc0 %u MB edc1 %u MB mc0 %u MB\n", 1, 1, 1
        )
        for opcode in (FW_HELLO, FW_PARAMS, FW_INITIALIZE, FW_PORT):
            self.command(adapter, opcode, execute=2)
        self.driver(adapter, "info", "Coming up as MASTER: Initializing adapter", caller="T341")
        self.later(0.6)
        adapter.log.add(self.now, "NOTICE", "CORE", "device initialised, master pf %u\n", PF)
        self.driver(adapter, "info", "Successfully configured using Firmware Configuration File \"Firmware Default\", "
                    "version 0x1425001d, computed checksum 0x8d2f31c7", caller="T341")  # fmt: skip
        self.driver(adapter, "info", "Current filter mode/mask 0x632b:0x21", caller="T341")
        self.driver(adapter, "info", "34 MSI-X vectors allocated, nic 16 per uld 8", caller="T341")
        self.driver(adapter, "info", "63.008 Gb/s available PCIe bandwidth (8.0 GT/s PCIe x8 link)", caller="T341")
        for port in range(product.ports):
            title = f"eth{port}: Chelsio {product.name} ({adapter.device}) {product.port_type}"
            self.driver(adapter, "info", title, caller="T341")
        self.driver(adapter, "info", f"Chelsio {product.name} rev {product.revision}", caller="T341")
        self.driver(adapter, "info", f"S/N: {serial_number(adapter)}, P/N: 11012345678 A6", caller="T341")
        self.driver(adapter, "info", f"Firmware version: {firmware}", caller="T341")
        self.driver(adapter, "info", f"Bootstrap version: {firmware}", caller="T341")
        self.driver(adapter, "info", "TP Microcode version: 0.1.23.2", caller="T341")
        self.driver(adapter, "info", "No Expansion ROM loaded", caller="T341")
        self.driver(adapter, "info", "Serial Configuration version: 0x1000a03", caller="T341")
        self.driver(adapter, "info", "VPD version: 0x35", caller="T341")
        self.driver(adapter, "info", "Configuration: NIC MSI-X, Offload capable", caller="T341")
        for port in range(product.ports):
            self.netdev(adapter, port, "info", f"renamed from eth{port}", caller="T402")

    # -- what can happen ----------------------------------------------------------------------------------------------

    def link_up(self, adapter: Adapter, port: int) -> None:
        """Bring a link up: the driver's line, the firmware's, the reply that carries it."""
        speed = adapter.product.speed
        adapter.log.add(self.now, "NOTICE", "PORT", "port[%u] link up (%u) speed %uMbps (acaps 0x%08x lpcaps 0x%08x)\n",
                        port, 1, int(speed.removesuffix("Gbps")) * 1000, 0xE, 0xA)  # fmt: skip
        self.command(adapter, FW_PORT)
        self.netdev(adapter, port, "info", f"link up, {speed}, full-duplex, Tx/Rx PAUSE")

    def link_down(self, adapter: Adapter, port: int, reason: str) -> None:
        """Take a link down, with the reason that the firmware gives (t4_link_down_rc_str())."""
        code = ("Link Down", "Remote Fault", "Auto-negotiation Failure", "Reserved", "Insufficient Airflow",
                "Unable To Determine Reason", "No RX Signal Detected").index(reason)  # fmt: skip
        adapter.log.add(self.now, "NOTICE", "PORT", "port[%u] link down (%u) reason %u\n", port, 0, code)
        self.command(adapter, FW_PORT)
        self.driver(adapter, "warn", f"Port {port} link down, reason: {reason}", caller="C0")
        self.netdev(adapter, port, "info", "link down")

    def stop_adapter(self, adapter: Adapter, *, caller: str = "C1") -> None:
        """Let the driver give up on an adapter (t4_fatal_err())."""
        adapter.emergency_stop()
        self.driver(adapter, "alert", "encountered fatal error, adapter stopped", caller=caller)

    # -- how it ends --------------------------------------------------------------------------------------------------

    def sysrq(self) -> VmcoreStory:
        """Let somebody crash the machine on purpose."""
        self.kernel("info", "sysrq: Trigger a crash", caller="T2214")
        return self.panic("sysrq triggered crash", comm="bash", pid=2214, cpu=1, trace=(
            "sysrq_handle_crash+0x16/0x20", "__handle_sysrq.cold+0x3b/0x107", "write_sysrq_trigger+0x24/0x40",
            "proc_reg_write+0x52/0xa0", "vfs_write+0xbb/0x3e0", "ksys_write+0x6b/0xf0", "do_syscall_64+0x55/0xb0",
            "entry_SYSCALL_64_after_hwframe+0x6e/0xd8",
        ))  # fmt: skip

    def hung_task(self, blocked: str, pid: int, trace: tuple[str, ...], *, work: str = "") -> VmcoreStory:
        """Let a task wait for what never comes until the kernel gives up (kernel/hung_task.c, hung_task_panic=1)."""
        self.everyday_of_others(121)
        self.kernel("err", f"INFO: task {blocked}:{pid} blocked for more than 120 seconds.", caller="T47")
        self.kernel("err", f"      {self._tainted} {RELEASE} #1 {DISTRIBUTION}", caller="T47")
        self.kernel("err", '"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.', caller="T47")
        parent, flags = (2, 0x4000) if work else (pid - 6, 0x4002)  # kthreadd, or the shell
        self.kernel("info", f"task:{blocked:<15} state:D stack:0     pid:{pid:<5} ppid:{parent:<6} flags:0x{flags:08x}",
                    caller="T47")  # fmt: skip
        if work:
            self.kernel("info", f"Workqueue: {work}", caller="T47")
        self._trace(trace, "T47")
        return self.panic("hung_task: blocked tasks", comm="khungtaskd", pid=47, cpu=0, trace=(
            "watchdog.cold+0x2ac/0x2ac", "kthread+0xda/0x100", "ret_from_fork+0x22/0x30",
        ))  # fmt: skip

    @property
    def _tainted(self) -> str:
        return f"Tainted: {self.taint}" if self.taint else "Not tainted"

    def everyday_of_others(self, seconds: float) -> None:
        """Let time pass; of the adapters only those that still run log anything."""
        start = self.now
        self.later(seconds)
        for adapter in self.adapters:
            if adapter.get("SGE_CONTROL") & 1 and not adapter.get("PCIE_FW") >> 31:
                adapter.log.chatter(start, self.now, 15)

    def _trace(self, frames: tuple[str, ...], caller: str, stack: str = "TASK") -> None:
        self.kernel("info", "Call Trace:", caller=caller)
        self.kernel("info", f" <{stack}>", caller=caller)
        for frame in frames:
            self.kernel("info", f" {frame}", caller=caller)
        self.kernel("info", f" </{stack}>", caller=caller)

    def _where(self, cpu: int, pid: int, comm: str, caller: str) -> None:
        where = f"CPU: {cpu} PID: {pid} Comm: {comm}"
        self.kernel("warn", f"{where} Kdump: loaded {self._tainted} {RELEASE} #1  {DISTRIBUTION}", caller=caller)
        self.kernel("warn", f"Hardware name: {HARDWARE}", caller=caller)

    def warning(self, place: str, function: str, text: str, *, cpu: int = 1) -> None:
        """Print the WARN() block of a timer (kernel/panic.c); the kernel is tainted from then on."""
        caller = f"C{cpu}"
        self.kernel("warn", "------------[ cut here ]------------", caller=caller)
        self.kernel("info", text, caller=caller)
        self.kernel("warn", f"WARNING: CPU: {cpu} PID: 0 at {place} {function}", caller=caller)
        self.kernel("info", f"Modules linked in: {MODULES}", caller=caller)
        self._where(cpu, 0, f"swapper/{cpu}", caller)
        self.kernel("warn", f"RIP: 0010:{function}", caller=caller)
        self._trace(("call_timer_fn+0x27/0x130", "__run_timers+0x221/0x2b0", "run_timer_softirq+0x1d/0x40",
                     "__do_softirq+0xed/0x2fe", "__irq_exit_rcu+0xc7/0x130", "sysvec_apic_timer_interrupt+0x9e/0xc0"),
                    caller, "IRQ")  # fmt: skip
        self.kernel("warn", "---[ end trace 0000000000000000 ]---", caller=caller)
        self.taint = "G        W        "

    def panic(
        self, reason: str, *, comm: str, pid: int, cpu: int, trace: tuple[str, ...], level: str = "emerg"
    ) -> VmcoreStory:
        """End the story: the panic block, and what each CPU was doing."""
        caller = f"T{pid}" if pid else f"C{cpu}"
        self.kernel(level, f"Kernel panic - not syncing: {reason}", caller=caller)
        self._where(cpu, pid, comm, caller)
        self._trace(("dump_stack_lvl+0x44/0x5c", "panic+0x118/0x2ed", *trace), caller)
        self.tasks = [Task(0, 0x8A5F0), Task(0, 0x8A5F0)]
        self.tasks[cpu] = Task(pid, 0x9C118)
        return VmcoreStory(self)


@dataclass(frozen=True)
class VmcoreStory:
    """A story that has ended: it can be made into a vmcore."""

    story: Story

    def image(self, *, size: int, compression: str = "zlib") -> VmcoreImage:
        """Return the vmcore of the machine; ``compression`` is that of the device dumps (``zlib`` or ``none``)."""
        story = self.story
        dumps = []
        for adapter in story.adapters:
            dump = collect(adapter)
            dump.compression = compression
            dumps.append((adapter.dump_name, dump))
        machine = Machine(random.Random(f"{story.seed}/machine"), size=size)  # noqa: S311
        return machine.crash(story.messages, story.tasks, dumps, story.crash_time)

    def device_dump(self, number: int = 0, *, compression: str = "zlib") -> bytes:
        """Return what one adapter's driver collects, without a vmcore around it."""
        dump = collect(self.story.adapters[number])
        dump.compression = compression
        return dump.to_bytes()
