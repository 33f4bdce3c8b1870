"""An adapter's registers: REG_DUMP, and what the indirect entities add to it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from vmcoredd_lab.devices.cxgb4 import indirect_views, interrupts, reg_dump
from vmcoredd_lab.devices.cxgb4.register_table import CHIPS, register_table
from vmcoredd_lab.devices.cxgb4.stored import StoredEntities
from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.frames import to_frame
from vmcoredd_lab.tables import Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RegisterViews"]

REG_DUMP = 1


class RegisterViews(StoredEntities):
    """The registers as tables and frames."""

    def entity_table(self, name: str | int) -> Table:
        """Return one entity as a table; what has all entities says how."""
        raise NotImplementedError

    @property
    def register_dump(self) -> reg_dump.RegDump:
        """The registers as arrays, for decoders and rules."""
        return self._reg_dump

    @cached_property
    def _reg_dump(self) -> reg_dump.RegDump:
        if self.chip not in CHIPS:
            raise NotInFileError(
                f"no register table for chip {self.chip}", path=self.dump.source.name, offset=self.dump.offset + 22,
                expected="T4, T5 or T6", got=f"chip_ver {int(self.container.header['chip_ver']):#x}",
                hint="entity reg_dump --format and hexdump show the bytes",
            )  # fmt: skip
        decoded = self.decoded(REG_DUMP)
        return reg_dump.RegDump(decoded, self.container.byteorder, register_table(self.chip), self.dump.source.name)

    def registers_table(self) -> Table:
        """Return the registers as a table (:data:`~vmcoredd_lab.devices.cxgb4.reg_dump.REGISTERS`)."""
        return self._reg_dump.registers()

    def register_table(self, name: str) -> Table:
        """Return one register's fields as a table (:data:`~vmcoredd_lab.devices.cxgb4.reg_dump.FIELDS`).

        Of a register that REG_DUMP does not hold but an indirect entity does:
        :data:`~vmcoredd_lab.devices.cxgb4.indirect_views.INDIRECT_FIELDS`.
        """
        try:
            return self._reg_dump.register(name)
        except NotInFileError as error:
            found = indirect_views.indirect_fields(self, name)
            if found is None:
                close = indirect_views.close_names(self.chip, name)
                error.hint = f"did you mean {' or '.join(close)}?" if close else error.hint
                raise
            return found

    def counters_table(self) -> Table:
        """Return the 64-bit counters as a table (:data:`~vmcoredd_lab.devices.cxgb4.reg_dump.COUNTERS`)."""
        return self._reg_dump.counters()

    def tp_mib_counters_table(self) -> Table:
        """Return TP's counters as a table (:data:`~vmcoredd_lab.devices.cxgb4.indirect_views.TP_MIB`)."""
        return indirect_views.tp_mib_counters(self)

    def queue_base_map_table(self) -> Table:
        """Return the queue base map as a table (:data:`~vmcoredd_lab.devices.cxgb4.indirect_views.QUEUE_BASE_MAP`)."""
        return indirect_views.queue_base_map(self)

    def interrupt_causes_table(self) -> Table:
        """Return what the interrupt-cause registers say (:data:`~vmcoredd_lab.devices.cxgb4.interrupts.INTERRUPTS`)."""
        return interrupts.interrupt_causes(self._reg_dump)

    @property
    def registers(self) -> pd.DataFrame:
        """One row per collected 32-bit word: block, register, instance, scope, address, value, aliases."""
        return to_frame(self.registers_table())

    @property
    def counters(self) -> pd.DataFrame:
        """_L/_H pairs joined to 64 bits: register, instance, scope, address, value."""
        return to_frame(self.counters_table())

    @property
    def tp_mib_counters(self) -> pd.DataFrame:
        """TP's counters, _HI/_LO pairs joined to 64 bits: register, channel, address, bits, value."""
        return to_frame(self.tp_mib_counters_table())

    @property
    def queue_base_map(self) -> pd.DataFrame:
        """Where the queues of each PCI function begin; no rows where the driver did not read it."""
        return to_frame(self.queue_base_map_table())

    def register(self, name: str) -> pd.DataFrame:
        """Return the fields of one register, of each instance: address, instance, field, lsb, width, value.

        Raises
        ------
        NotInFileError: the chip has no such register, the driver does not collect it, or REG_DUMP failed.
        """
        return to_frame(self.register_table(name))

    @property
    def interrupt_causes(self) -> pd.DataFrame:
        """One row per set field of the interrupt-cause registers that are not zero, with its meaning."""
        return to_frame(self.interrupt_causes_table())
