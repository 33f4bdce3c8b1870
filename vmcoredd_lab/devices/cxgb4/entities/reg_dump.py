"""REG_DUMP, entity 1, as stored: an array of words indexed by register address (t4_get_regs(), t4_hw.c)."""

from __future__ import annotations

from vmcoredd_lab.devices.cxgb4 import reg_dump
from vmcoredd_lab.devices.cxgb4.declared import words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder
from vmcoredd_lab.devices.cxgb4.framing import Decoded
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.devices.cxgb4.register_table import register_table
from vmcoredd_lab.tables import Table

__all__ = ["DECODERS", "RegDumpWords"]


class RegDumpWords(EntityDecoder):
    """The words as stored; joined to names by :class:`~vmcoredd_lab.devices.cxgb4.reg_dump.RegDump`."""

    names = ("reg_dump",)
    title = "BAR0 register snapshot"
    schema = reg_dump.REGISTERS

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return one part of words: word N is the register at address 4 * N."""
        return Layout((Part("registers", words(1, "u4", "value"), None),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per collected word, with its name."""
        return self._dump(parts, context).registers()

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many registers there are, and how many interrupt causes are set."""
        dump = self._dump(parts, context)
        held = int((~dump.missing).sum())
        used = int((dump.values[~dump.missing] != 0).sum())
        return f"{held:,} registers, {used:,} of them not zero"

    @staticmethod
    def _dump(parts: Parts, context: Context) -> reg_dump.RegDump:
        data = parts["registers"].tobytes()
        return reg_dump.RegDump(Decoded(data), context.byteorder, register_table(context.chip), context.chip)


DECODERS = (RegDumpWords(),)
