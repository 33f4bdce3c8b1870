"""One adapter as the collector finds it: registers by name, the firmware's log, queue contexts, what cannot be had.

A new adapter is quiet: no cause, error or drop is set or counted, the firmware is initialised, links are up. A story then
changes what its fault changes, by the names of the register table.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.indirect_table import indirect_table
from vmcoredd_lab.devices.cxgb4.register_table import parse_fields, register_table
from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.scenarios.firmware_log import FirmwareLog
from vmcoredd_lab.scenarios.tables import rows

__all__ = ["CHIPS", "LOG_AT", "PF", "Adapter", "MailboxRecord", "context_words", "mac_address", "serial_number"]


@dataclass(frozen=True)
class Product:
    """What is printed on a board, and what it reports of itself."""

    name: str
    revision: int
    device_id: int
    firmware: tuple[int, int, int, int]
    ports: int
    speed: str
    port_type: str


CHIPS = {
    "T4": Product("T420-CR", 1, 0x4401, (1, 24, 7, 0), 2, "10Gbps", "10GBASE-SFP"),
    "T5": Product("T520-CR", 1, 0x5401, (1, 25, 4, 0), 2, "10Gbps", "1G/10GBASE-SFP"),
    "T6": Product("T6225-CR", 0, 0x6401, (1, 27, 5, 0), 2, "25Gbps", "1G/10G/25GBASE-SFP28"),
}
SIZE_BINS = (64, 100, 200, 400, 800, 1460, 8000)  # a frame length in each of the counters by length
LOG_AT = 0xE0000  # of the firmware's log in external memory
PF = 4  # the function that cxgb4 binds to


@dataclass(frozen=True)
class MailboxRecord:
    """A command in the driver's log: eight flits as the host holds them, jiffies, milliseconds or a negative errno."""

    flits: tuple[int, ...]
    jiffies: int
    execute: int


@dataclass
class Adapter:
    """State of one adapter.

    chip: ``T4``, ``T5`` or ``T6``
    device: PCI address, e.g. ``0000:02:00.4``; netdevs: its interfaces' names; dump_name: of its device dump
    number: 0 for the first; makes serial number and MAC addresses differ
    trace_running, looping: whether the processor's trace runs, and whether it shows a loop of one place
    attached: collected by a driver that talks to the firmware (``ethtool -w``), not in the kdump kernel
    """

    chip: str
    device: str
    number: int = 0
    seed: int = 0
    attached: bool = False
    registers: dict[int, int] = field(default_factory=dict)
    indirect: dict[tuple[str, int], int] = field(default_factory=dict)
    failed: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    contexts: list[tuple[int, int, tuple[int, ...]]] = field(default_factory=list)
    mailbox: list[MailboxRecord] = field(default_factory=list)
    config_space: dict[int, int] = field(default_factory=dict)
    trace_running: bool = True
    looping: bool = False
    netdevs: tuple[str, ...] = ()
    dump_name: bytes = b""

    def __post_init__(self) -> None:
        if self.chip not in CHIPS:
            raise UsageError(f"no adapter with a chip {self.chip!a}", expected=" or ".join(CHIPS))
        self.product = CHIPS[self.chip]
        self.table = register_table(self.chip)
        self.log = FirmwareLog(self.random("firmware log"))
        bus = int(self.device.split(":")[1], 16)
        self.netdevs = self.netdevs or tuple(
            f"enp{bus}s0f4" + (f"d{n}" if n else "") for n in range(self.product.ports)
        )
        self.dump_name = self.dump_name or f"cxgb4_{self.device}".encode()
        self._make_quiet()

    def random(self, purpose: str) -> random.Random:
        """Return a generator that depends on the seed, the adapter and the purpose only."""
        return random.Random(f"{self.seed}/{self.number}/{self.chip}/{purpose}")  # noqa: S311

    # -- registers ----------------------------------------------------------------------------------------------------

    def _places(self, name: str) -> list[tuple[int, str]]:
        found = self.table.instances_of(name) if name in self.table.by_name else []
        if not found:
            raise UsageError(f"{self.chip} has no register {name!a}")
        return found

    def has(self, name: str) -> bool:
        """Return True where the chip has a register of that name."""
        return name in self.table.by_name

    def set(self, name: str, value: int | None = None, *, instance: int = 0, **fields: int) -> None:
        """Set a register: the whole word, or the fields named and the others left as they are.

        Raises
        ------
        UsageError: the chip has no such register or field.
        """
        address, text = self._places(name)[instance]
        word = self.registers.get(address, 0) if value is None else value
        known = {f.name: f for f in parse_fields(text)}
        for field_name, number in fields.items():
            if field_name not in known:
                raise UsageError(f"{self.chip}: register {name} has no field {field_name!a}")
            one = known[field_name]
            mask = (1 << one.width) - 1
            word = word & ~(mask << one.lsb) | (number & mask) << one.lsb
        self.registers[address] = word & 0xFFFFFFFF

    def get(self, name: str, *, instance: int = 0) -> int:
        """Return a register's word; 0 where it was never set or the chip has none of that name."""
        return self.registers.get(self._places(name)[instance][0], 0) if self.has(name) else 0

    def set_counter(self, name: str, value: int, *, instance: int = 0) -> None:
        """Set a 64-bit counter that the hardware splits over ``name_L`` and ``name_H``."""
        self.set(f"{name}_L", value & 0xFFFFFFFF, instance=instance)
        self.set(f"{name}_H", value >> 32, instance=instance)

    def set_indirect(self, name: str, value: int | None = None, **fields: int) -> None:
        """Set a register that is read through an index register, e.g. ``SGE_DEBUG_DATA_LOW_INDEX_0``.

        Raises
        ------
        UsageError: there is no such register, or it has no such field.
        """
        found = next((r for r in indirect_table(self.chip).registers if r.name == name), None)
        if found is None:
            raise UsageError(f"{self.chip} has no indirect register {name!a}")
        word = self.indirect.get((found.space, found.address), 0) if value is None else value
        known = {f.name: f for f in found.fields}
        for field_name, number in fields.items():
            if field_name not in known:
                raise UsageError(f"{self.chip}: register {name} has no field {field_name!a}")
            word |= (number & (1 << known[field_name].width) - 1) << known[field_name].lsb
        self.indirect[found.space, found.address] = word & 0xFFFFFFFF

    def _make_quiet(self) -> None:
        for row in rows("quiet_registers.csv"):
            if self.chip in row["chips"].split() and self.has(row["register"]):
                value = int(row["value"], 0)
                if row["field"]:
                    self.set(row["register"], **{row["field"]: value})
                else:
                    self.set(row["register"], value)
        self.set("PL_REV", int(self.chip[1:]) << 4 | self.product.revision)
        self._enable_interrupts()
        self._bring_up_ports()
        self._configure_pci()
        self._set_up_queues()
        # 256 entries in external memory; read by t4_init_devlog_params()
        self.set("PCIE_FW_PF", 1 << 28 | (LOG_AT >> 4) << 4 | 2, instance=7)

    def _enable_interrupts(self) -> None:
        """Enable what makes the driver stop the adapter; of the functions only the driver's own is told."""
        for row in read_table("interrupts.csv"):
            name = row["enable_register"]
            fatal = row["driver_fatal"] == "1" or name in ("PL_INT_ENABLE", "PL_PF_INT_ENABLE")
            if not name or not row["lsb"] or not fatal or self.chip not in row["chips"].split() or not self.has(name):
                continue
            bits = ((1 << int(row["nbits"])) - 1) << int(row["lsb"])
            for n in [PF] if name == "PL_PF_INT_ENABLE" else range(len(self._places(name))):
                self.set(name, self.get(name, instance=n) | bits, instance=n)
        self.set("PL_PF_INT_ENABLE", 0x3F, instance=PF)

    def _bring_up_ports(self) -> None:
        rng = self.random("traffic")
        for port in range(self.product.ports):
            if self.has("MAC_PORT_CFG"):
                self.set("MAC_PORT_CFG", Signal_Det=1, instance=port)
                self.set("MAC_PORT_LINK_STATUS", instance=port, linkup=1, block_lock=1, align_done=1)
                self.set("MAC_PORT_HSS_STATUS", instance=port, HSSPLLLOCKA=1, HSSPLLLOCKB=1, HSSPRTREADYA=1,
                         HSSPRTREADYB=1, RXASIGDET=1, RXBSIGDET=1, RXCSIGDET=1, RXDSIGDET=1)  # fmt: skip
            else:
                self.set("XGMAC_PORT_CFG", Signal_Det=1, instance=port)
                self.set("XGMAC_PORT_LINK_STATUS", linkup=1, instance=port)
            self.set("MPS_PORT_CTL", instance=port, TxEn=1, RxEn=1)
            for direction in ("TX", "RX"):
                self.count_frames(port, direction, [rng.randrange(1_000, 2_000_000) for _ in SIZE_BINS])

    def count_frames(self, port: int, direction: str, by_length: list[int]) -> None:
        """Set a port's counters of frames so that they agree: by length, by kind, bytes and the total."""
        prefix = f"MPS_PORT_STAT_{direction}_PORT_"
        bins = ("64B", "65B_127B", "128B_255B", "256B_511B", "512B_1023B", "1024B_1518B", "1519B_MAX")
        frames = sum(by_length)
        kinds = {"BCAST": frames // 1000, "MCAST": frames // 500}
        kinds["UCAST"] = frames - sum(kinds.values())
        size = sum(n * length for n, length in zip(by_length, SIZE_BINS, strict=True))
        for name, value in {
            **dict(zip(bins, by_length, strict=True)),
            **kinds,
            "FRAMES": frames,
            "BYTES": size,
        }.items():
            self.set_counter(prefix + name, value, instance=port)

    def _configure_pci(self) -> None:
        self.config_space.update({
            0x0: self.product.device_id << 16 | 0x1425, 0x4: 0x00100546, 0x8: 0x02000000 | self.product.revision,
            0x70: 0x00020010, 0x74: 0x10008FE2, 0x78: 0x00002937, 0x7C: 0x00000083, 0x80: 0x10830000, 0x94: 0x00000000,
            0x98: 0x0000000D, 0x100: 0x14820001,
        })  # fmt: skip

    def _set_up_queues(self) -> None:
        """Give the function some queues: contexts by type and id, with nothing pending."""
        rng = self.random("queues")
        for number in range(8):
            self.add_egress(8 + number, pidx=(at := rng.randrange(200)), cidx=at)
        for number in range(4):
            self.contexts.append((1, 16 + number, context_words(self.chip, "ingress", Queue_Valid=1)))
        for number in range(4):
            at = rng.randrange(1, 60)
            self.contexts.append((2, 24 + number, context_words(self.chip, "freelist", Valid=1, PIDX=at + 3, CIDX=at)))
            self.contexts.append((3, 24 + number, (0,) * 6))
            self.contexts.append((0, 24 + number, context_words(self.chip, "egress", Valid=1, PIDX=at + 3, CIDX=at,
                                                                QueueSize=72)))  # fmt: skip

    def add_egress(self, number: int, *, pidx: int, cidx: int, size: int = 1024, **fields: int) -> None:
        """Set the context of an egress queue; one that is there under this id is replaced."""
        self.contexts = [c for c in self.contexts if c[:2] != (0, number)]
        words = context_words(self.chip, "egress", Valid=1, PIDX=pidx, CIDX=cidx, QueueSize=size, **fields)
        self.contexts.append((0, number, words))

    # -- what stories do ----------------------------------------------------------------------------------------------

    def fail(self, name: str, status: int = 0, *, sys_err: int = 0, sys_warn: int = 0) -> None:
        """Let the collection of an entity fail with these codes."""
        self.failed[name] = (status or -29, sys_err, sys_warn)

    def emergency_stop(self) -> None:
        """Leave what t4_shutdown_adapter() and t4_intr_disable() leave (t4_hw.c).

        That is: DMA off, board pins off, ports forced down, and no function that is told of interrupts.
        """
        self.set("SGE_CONTROL", GlobalEnable=0)
        self.set("DBG_GPIO_EN", 0)
        config = "MAC_PORT_CFG" if self.has("MAC_PORT_CFG") else "XGMAC_PORT_CFG"
        for port in range(self.product.ports):
            self.set(config, Signal_Det=0, instance=port)
        self.set("PL_PF_INT_ENABLE", 0, instance=PF)
        self.set("PL_INT_MAP0", MapDefault=0)

    def port_down(self, port: int) -> None:
        """Take a port's link away: no signal, no lock."""
        if self.has("MAC_PORT_LINK_STATUS"):
            self.set("MAC_PORT_LINK_STATUS", instance=port, linkup=0, linkdn=1, block_lock=0, align_done=0)
            self.set("MAC_PORT_HSS_STATUS", instance=port, RXASIGDET=0, RXBSIGDET=0, RXCSIGDET=0, RXDSIGDET=0)
        else:
            self.set("XGMAC_PORT_LINK_STATUS", 0, instance=port)


def serial_number(adapter: Adapter) -> str:
    """Return an adapter's serial number."""
    return f"PT{int(adapter.chip[1:]):02d}{adapter.seed % 10_000_000:07d}{adapter.number:02d}"


def mac_address(adapter: Adapter, port: int) -> bytes:
    """Return a port's MAC address: Chelsio's prefix, then what tells adapters apart."""
    own = (int(adapter.chip[1:]) << 4 | adapter.number & 15, adapter.seed & 0xFF, 8 * adapter.number + port & 0xFF)
    return bytes([0x00, 0x07, 0x43, *own])


def context_words(chip: str, kind: str, **fields: int) -> tuple[int, ...]:
    """Return the six words of an SGE context with the given raw fields.

    Raises
    ------
    UsageError: a context of that kind has no such field.
    """
    known = {
        row["field"]: row
        for row in read_table("sge_contexts.csv")
        if row["kind"] == kind and ("T5" if chip == "T4" else chip) in row["chips"].split()
    }
    whole = 0
    for name, value in fields.items():
        if name not in known:
            raise UsageError(f"an SGE {kind} context of {chip} has no field {name!a}")
        whole |= (value & (1 << int(known[name]["nbits"])) - 1) << int(known[name]["lsb"])
    return tuple(whole >> 32 * n & 0xFFFFFFFF for n in range(6))
