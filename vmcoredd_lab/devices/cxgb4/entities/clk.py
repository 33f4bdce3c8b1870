"""CLK, entity 46: the core clock, the ticks derived from it, and TP's timers.

cudbg_collect_clk_info(), drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c; clk_show(), cxgb4_debugfs.c. The driver counts with
ticks cut down to whole microseconds, so its timers are coarse (0 where a tick is shorter): exact ones come from the timer
registers in REG_DUMP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, spans
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Column, Schema, Table

if TYPE_CHECKING:
    from vmcoredd_lab.devices.cxgb4.reg_dump import RegDump

__all__ = ["DECODERS", "PLACEHOLDER_KHZ", "Clk", "placeholder_clock"]

# What t4_prep_adapter() sets until the firmware tells: cclk_ps is 20000 then, and every time is computed with it.
PLACEHOLDER_KHZ = 50_000
_PLACEHOLDER_PS = 1_000_000_000 // PLACEHOLDER_KHZ
_U64 = 1 << 64

# Stored timers: member, what it is, its register, the bits of the register that count (t4_regs.h).
_TIMERS = (
    ("retransmit_min", "shortest retransmission timeout", 0x7D98, 0xFFFFFFFF),
    ("retransmit_max", "longest retransmission timeout", 0x7D9C, 0xFFFFFFFF),
    ("persist_timer_min", "shortest persist timer", 0x7DA0, 0xFFFFFFFF),
    ("persist_timer_max", "longest persist timer", 0x7DA4, 0xFFFFFFFF),
    ("keepalive_idle_timer", "idle time before keepalives", 0x7DA8, 0xFFFFFFFF),
    ("keepalive_interval", "time between keepalives", 0x7DAC, 0xFFFFFFFF),
    ("initial_srtt", "initial smoothed round trip time", 0x7DB0, 0xFFFF),
    ("finwait2_timer", "FIN_WAIT_2 timer", 0x7DB8, 0xFFFFFFFF),
)
_DACK_TIMER = 0x7DB4
# Ticks: column, what ticks, its resolution in TP_TIMER_RESOLUTION.
_TICKS = (
    ("tp_tick_ps", "TP timer", "tre"),
    ("timestamp_tick_ps", "TCP timestamp", "res[15:8]"),
    ("dack_tick_ps", "delayed ACK timer", "dack_re"),
)


class Clk(EntityDecoder):
    """struct cudbg_clk_info; in the Unified Wire's struct_clk_info room for four texts follows."""

    names = ("clk",)
    title = "core clock and TP timers"
    schema = Schema(
        "clk",
        "Core clock and TP timers; one row (struct cudbg_clk_info, cudbg_entity.h).",
        (
            Column("cclk_ps", "u32", "core clock period, ps; 20000 is a placeholder"),
            Column("cclk_khz", "u32", "core clock, kHz, from cclk_ps; missing where that is the placeholder or 0"),
            Column("res", "u32", "register TP_TIMER_RESOLUTION", "hex"),
            Column("tre", "u32", "timer resolution, log2 of clocks", rank=1),
            Column("dack_re", "u32", "delayed ACK timer resolution, log2 of clocks", rank=1),
            *(Column(name, "u64", f"tick of the {doc}, ps: cclk_ps * 2^{res}") for name, doc, res in _TICKS),
            *(Column(name, "u64", f"{doc}, us, as the driver computed it", rank=2) for name, doc, _, _ in _TIMERS),
            Column("dack_timer", "u32", "delayed ACK timer, us, as the driver computed it", rank=2),
            *(
                Column(f"{name}_ns", "u64", f"{doc}, ns, from register {at:#x}; missing without REG_DUMP", rank=3)
                for name, doc, at, _ in _TIMERS
            ),
            Column("dack_timer_ns", "u64", f"delayed ACK timer, ns, from register {_DACK_TIMER:#x}", rank=3),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the structure."""
        struct = declared("struct_clk_info", "unified_wire") if context.unified_wire else declared("cudbg_clk_info")
        return Layout((Part("clk", struct),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row; ticks and times too large for 64 bits are missing."""
        clk = parts["clk"]
        if not len(clk):
            return Table.from_rows(self.schema, [])
        row: dict[str, Any] = {name: int(clk[0][name]) for name in clk.dtype.names if clk.dtype[name].shape == ()}
        period = row["cclk_ps"]
        unknown = period in (0, _PLACEHOLDER_PS)
        row["cclk_khz"] = None if unknown else 1_000_000_000 // period
        ticks = [period << r for r in (row["tre"] & 0xFF, row["res"] >> 8 & 0xFF, row["dack_re"] & 0xFF)]
        row |= {name: _fitting(tick) for (name, _, _), tick in zip(_TICKS, ticks, strict=True)}
        registers = context.registers()
        for name, _, address, mask in _TIMERS:
            row[f"{name}_ns"] = _time(registers, address, mask, ticks[0])
        row["dack_timer_ns"] = _time(registers, _DACK_TIMER, 0xFFFFFFFF, ticks[2])
        table = Table.from_rows(self.schema, [[row.get(name) for name in self.schema.names]])
        table.spans = spans(0, clk.dtype.itemsize, 1)
        if unknown:
            table.attrs["note"] = (
                f"cclk_ps is {period:,}: the core clock was not known yet (no firmware contact). Multiply all ticks and times "
                f"by {PLACEHOLDER_KHZ:,} / the real clock in kHz."
            )
        return table

    def summary(self, parts: Parts, context: Context) -> str:
        """Return the clock and the TP timer's tick."""
        clk = parts["clk"]
        if not len(clk):
            return "empty"
        period, tre = int(clk["cclk_ps"][0]), int(clk["tre"][0]) & 0xFF
        if period in (0, _PLACEHOLDER_PS):
            return "core clock not known (placeholder of 50 MHz)" if period else "core clock not known"
        return f"core clock {1e6 / period:g} MHz, TP timer tick {(period << tre) / 1e6:g} us"


def placeholder_clock(context: Context) -> bool:
    """Return True where the driver did not know the core clock yet and computed with 50 MHz."""
    clk = context.other("clk")
    return bool(clk and len(clk["clk"]) and int(clk["clk"]["cclk_ps"][0]) == _PLACEHOLDER_PS)


def _time(registers: RegDump | None, address: int, mask: int, tick: int) -> int | None:
    """Return a timer register's time in ns."""
    value = registers.value(address) if registers else None
    return None if value is None else _fitting((value & mask) * tick // 1000)


def _fitting(value: int) -> int | None:
    return value if value < _U64 else None


DECODERS = (Clk(),)
