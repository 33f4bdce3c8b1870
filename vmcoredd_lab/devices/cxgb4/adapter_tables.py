"""An adapter's entities, firmware log and memory as tables and frames."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from vmcoredd_lab.devices.cxgb4 import dev_log, dev_log_ring, tcb
from vmcoredd_lab.devices.cxgb4.adapter_registers import REG_DUMP, RegisterViews
from vmcoredd_lab.devices.cxgb4.entities import decoder
from vmcoredd_lab.devices.cxgb4.entities.base import Context
from vmcoredd_lab.devices.cxgb4.entity_frames import EntityFrames, NewerLayoutError, mark_damaged
from vmcoredd_lab.devices.cxgb4.entity_names import entity_name
from vmcoredd_lab.devices.cxgb4.layout import Layout, Parts
from vmcoredd_lab.devices.cxgb4.memory_map import MemoryMap
from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.frames import to_frame
from vmcoredd_lab.tables import Column, Schema, Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ENTITY_BYTES", "TableViews"]

ENTITY_BYTES = Schema(
    "entity_bytes",
    "The decoded bytes of an entity, 16 a row.",
    (
        Column("offset", "u64", "in the decoded entity", "hex"),
        Column("hex", "text", "up to 16 bytes"),
        Column("text", "text", "the same as ASCII; a dot for what is not printable"),
    ),
)

DEV_LOG = 2


class TableViews(RegisterViews):
    """The entities as tables and frames; each is decoded when it is asked for."""

    def entity_table(self, name: str | int) -> Table:
        """Return one entity as a table; where there is no decoder for it, its bytes (:data:`ENTITY_BYTES`)."""
        number = self._find(name).number
        if number == REG_DUMP:
            return self.registers_table()
        if number == DEV_LOG:
            return self.firmware_log_table()
        if decoder(entity_name(number)) is None:
            return _bytes_table(self.decoded(number).data)
        try:
            return self._frames.table(number)
        except NewerLayoutError as error:
            self._newer_layout(number, error)
            return _bytes_table(self.decoded(number).data)

    def entity(self, name: str | int) -> pd.DataFrame:
        """Return one entity as a DataFrame, by name (``cim_la``) or number.

        Raises
        ------
        NotInFileError: no such entity, or its collection failed; the message says why.
        """
        return to_frame(self.entity_table(name))

    def _newer_layout(self, number: int, error: NewerLayoutError) -> None:
        entity = self.container.entities[number]
        self.problems.warning(
            f"{self._where}, entity {entity.name}", error.message, offset=entity.offset, expected=error.expected, got=error.got
        )  # fmt: skip

    @cached_property
    def _frames(self) -> EntityFrames:
        return EntityFrames(self)

    def context(self) -> Context:
        """Return what the meaning of the payloads depends on."""
        return self._frames.context()

    @property
    def encoding(self) -> dict[str, Any]:
        """What :func:`~vmcoredd_lab.devices.cxgb4.encode_entity` must know beside the records: chip, byteorder, version."""
        return {"chip": self.chip, "byteorder": self.container.byteorder, "version": self.container.version}

    def layout(self, name: str | int) -> tuple[Layout, Parts]:
        """Return how an entity falls into parts, and the parts: arrays of structures, views of its bytes.

        Raises
        ------
        NotInFileError: as :meth:`records`.
        """
        return self._frames.parts(name)[1:]

    def records(self, name: str | int) -> dict[str, pd.DataFrame]:
        """Return every member of every structure of an entity, a DataFrame for each part: what :func:`encode_entity` takes.

        Raises
        ------
        NotInFileError: as :meth:`entity`; or there is no decoder for the entity.
        """
        _, layout, parts = self._frames.parts(name)
        return {part: to_frame(table) for part, table in layout.tables(parts).items()}

    def contexts_table(self, kind: str) -> Table:
        """Return the SGE contexts of one type as a table, a column for each field."""
        from vmcoredd_lab.devices.cxgb4.entities import dump_context

        _, _, parts = self._frames.parts("dump_context")
        table = dump_context.contexts_table(parts, self._frames.context(), kind)
        return mark_damaged(table, self.decoded("dump_context").damaged)

    def contexts(self, kind: str) -> pd.DataFrame:
        """Return the SGE contexts of one type: ``egress``, ``ingress``, ``freelist`` or ``congestion``; a column for each field.

        Raises
        ------
        ValueError: there is no such type.
        NotInFileError: as :meth:`entity`.
        """
        return to_frame(self.contexts_table(kind))

    def descriptors(self, qid: int, qtype: int | str | None = None) -> pd.DataFrame:
        """Return a queue's descriptors, in ring order: words in big-endian order (``flit0``, ...) and what they say.

        An egress and an ingress queue can have the same id: then both, unless ``qtype`` (a number or name as in the
        entity ``qdesc``) tells which.

        Raises
        ------
        NotInFileError: the dump has no such queue; or as :meth:`entity`.
        """
        from vmcoredd_lab.devices.cxgb4.entities import qdesc

        _, _, parts = self._frames.parts("qdesc")
        table = qdesc.descriptors_table(parts, self._frames.context(), qid, qtype)
        if table is None:
            raise NotInFileError(
                f"no queue {qid} was collected", path=self.dump.source.name, hint="entity qdesc lists them"
            )
        return to_frame(table)

    @property
    def tid_ranges(self) -> pd.DataFrame:
        """The ranges of connection and filter ids, from entity tid_info: kind, first, last."""
        from vmcoredd_lab.devices.cxgb4.entities.tid_info import TidInfo

        return to_frame(TidInfo().ranges(self._frames.parts("tid_info")[2], self._frames.context()))

    def pcie_config_fields_table(self) -> Table:
        """Return the fields of the PCIe configuration registers as a table."""
        from vmcoredd_lab.devices.cxgb4.entities.pcie_config import PcieConfig

        return PcieConfig().fields(self._frames.parts("pcie_config")[2], self._frames.context())

    @property
    def pcie_config_fields(self) -> pd.DataFrame:
        """The fields of the PCIe configuration registers, from entity pcie_config."""
        return to_frame(self.pcie_config_fields_table())

    @property
    def cim_la_samples(self) -> pd.DataFrame:
        """What the CIM logic analyser captured, one sample a row, the same columns for every chip and mode."""
        from vmcoredd_lab.devices.cxgb4.entities.cim_la import CimLa

        return to_frame(CimLa().samples(self._frames.parts("cim_la")[2], self._frames.context()))

    @cached_property
    def _firmware_log(self) -> Table:
        try:
            decoded = self.decoded(DEV_LOG)
        except NotInFileError as missing:
            return self._firmware_log_in_memory(missing)
        return dev_log.firmware_log(decoded, self.problems, f"{self._where}, entity dev_log")

    def _firmware_log_in_memory(self, missing: NotInFileError) -> Table:
        """Return the log from the image of the memory that the firmware keeps it in; where it is not there, raise ``missing``."""
        try:
            return dev_log_ring.firmware_log_in_memory(self.register_dump, self.memory, self.problems, self._where)
        except NotInFileError as error:
            missing.hint = f"nor is it in the image of a memory: {error.message}"
            raise missing from None

    def firmware_log_table(self) -> Table:
        """Return the firmware log as a table (:data:`~vmcoredd_lab.devices.cxgb4.dev_log.FIRMWARE_LOG`)."""
        return self._firmware_log

    @property
    def firmware_log(self) -> pd.DataFrame:
        """Firmware log entries, oldest first: seqno, timestamp, level, facility, message, offset.

        Where entity dev_log is not in the dump, from the image of the memory that holds it; ``attrs["note"]`` then says so.
        """
        return to_frame(self.firmware_log_table())

    @cached_property
    def memory(self) -> MemoryMap:
        """The adapter's memory by address: ``memory.resolve(address)``, ``memory.read(address, size)``."""
        return MemoryMap(self, self._frames)

    def memory_map_table(self) -> Table:
        """Return memories and regions as a table (:data:`~vmcoredd_lab.devices.cxgb4.memory_map.MEMORY_MAP`)."""
        return self.memory.table()

    @property
    def memory_map(self) -> pd.DataFrame:
        """Memories and regions: kind, name, memory, entity, offset, base, limit, size, collected."""
        return to_frame(self.memory_map_table())

    def tcbs_table(self) -> Table:
        """Return the TCBs as a table (:func:`~vmcoredd_lab.devices.cxgb4.tcb.tcbs`)."""
        return tcb.tcbs(self.memory)

    @property
    def tcbs(self) -> pd.DataFrame:
        """Connections and filters as the adapter holds them: tid, address, state, and the fields of t4_tcb.h.

        Raises
        ------
        NotInFileError: MEMINFO does not say where they are, or the memory they are in was not collected.
        """
        return to_frame(self.tcbs_table())


def _bytes_table(data: bytes | memoryview) -> Table:
    view = memoryview(data)
    offsets = np.arange(0, len(view), 16, dtype=np.uint64)
    rows = [bytes(view[at : at + 16]) for at in range(0, len(view), 16)]
    dots = bytes(b if 0x20 <= b < 0x7F else 0x2E for b in range(256))
    return Table(
        ENTITY_BYTES,
        {
            "offset": offsets,
            "hex": [row.hex(" ") for row in rows],
            "text": [row.translate(dots).decode("ascii") for row in rows],
        },
    )
