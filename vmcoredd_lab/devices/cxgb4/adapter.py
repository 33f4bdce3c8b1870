"""One cxgb4 adapter as its device dump has it: entities, registers, firmware log, identity."""

from __future__ import annotations

import difflib
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from vmcoredd_lab.devices.cxgb4 import dev_log, framing, interrupts, reg_dump, vpd_data
from vmcoredd_lab.devices.cxgb4.container import (
    CudbgContainer,
    EntityHeader,
    header_byteorder,
    signature_byteorder,
)
from vmcoredd_lab.devices.cxgb4.entity_names import (
    describe_status,
    entity_description,
    entity_name,
    entity_number,
    entity_numbers,
)
from vmcoredd_lab.devices.cxgb4.firmware import PCIE_FW, FirmwareState, firmware_state
from vmcoredd_lab.devices.cxgb4.framing import Decoded
from vmcoredd_lab.devices.cxgb4.register_table import register_table
from vmcoredd_lab.errors import NotInFileError, VmcoreddLabError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import Buffer
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import escape, human_size, plural

if TYPE_CHECKING:
    import pandas as pd

    from vmcoredd_lab.devices.dump import DeviceDump

__all__ = ["ENTITIES", "ENTITY_BYTES", "Cxgb4"]

ENTITIES = Schema(
    "entities",
    "The entities that the driver attempted, by number (struct cudbg_entity_hdr, cudbg_if.h).",
    (
        Column("number", "u32", "enum cudbg_dbg_entity_type"),
        Column("name", "text", "the CUDBG_ constant in lower case without its prefix"),
        Column("status", "i64", "hdr_flags: 0, or a negative code"),
        Column("sys_err", "i64", "the cause where status is -29", rank=3),
        Column("sys_warn", "i64", "-41: the data are partial", rank=4),
        Column("offset", "u64", "start_offset, from the start of the dump", "hex", rank=1),
        Column("stored_size", "u64", "bytes stored, padding included", "size", rank=2),
        Column("size", "u64", "bytes decoded; missing where the stored bytes cannot be decoded", "size"),
        Column("summary", "text", "what the entity is, or why it is not there"),
    ),
)

ENTITY_BYTES = Schema(
    "entity_bytes",
    "The decoded bytes of an entity, 16 a row.",
    (
        Column("offset", "u64", "in the decoded entity", "hex"),
        Column("hex", "text", "up to 16 bytes"),
        Column("text", "text", "the same as ASCII; a dot for what is not printable"),
    ),
)

REG_DUMP, DEV_LOG, VPD_DATA = 1, 2, 58
FIRST_PIECE = 64512 + 4096


class Cxgb4:
    """A Chelsio T4, T5 or T6 adapter as cxgb4 saw it when the kernel died.

    Frames (pandas DataFrames) are attributes; nothing is inflated before it is asked for. ``problems`` collects what is
    wrong with the dump as far as it has been read.
    """

    driver: ClassVar[str] = "cxgb4"

    def __init__(self, dump: DeviceDump) -> None:
        self.dump = dump
        self._where = "dump" if dump.bare else f"dump:{dump.name}"
        self.container = CudbgContainer(dump.data, self._where)
        self.problems: Problems = self.container.problems

    # -- what the registry asks ---------------------------------------------------------------------------------------

    @classmethod
    def recognises(cls, head: bytes) -> bool:
        """Return True for a cudbg signature in either byte order."""
        return signature_byteorder(head) is not None

    @classmethod
    def recognises_damaged(cls, head: bytes) -> bool:
        """Return True where all but the signature looks like a cudbg header."""
        return header_byteorder(head) is not None

    @classmethod
    def payload_size(cls, data: Buffer) -> int | None:
        """Return data_len where the entity headers bear it out; None elsewhere."""
        try:
            return CudbgContainer(data, "").payload_size
        except VmcoreddLabError:
            return None

    def __repr__(self) -> str:
        return f"<Cxgb4 {self.summary()}>"

    # -- identity -----------------------------------------------------------------------------------------------------

    @property
    def chip(self) -> str:
        """``T4``, ``T5`` or ``T6``."""
        return self.container.chip

    @property
    def revision(self) -> int:
        """The silicon revision."""
        return self.container.revision

    @property
    def version(self) -> str:
        """The version of the dump's format, e.g. ``1.14``."""
        return ".".join(map(str, self.container.version))

    @property
    def compression(self) -> str:
        """``none``, ``zlib`` or ``fastlz``."""
        return self.container.compression

    @cached_property
    def firmware_state(self) -> FirmwareState | None:
        """What register PCIE_FW says of the firmware; None where the registers were not collected.

        Inflates the first piece of REG_DUMP only.
        """
        entity = self.container.entities.get(REG_DUMP)
        if entity is None or not entity.available:
            return None
        stored = self._stored(entity)[:FIRST_PIECE]
        if self._zlib(entity):
            cut = len(stored) < entity.stored_size
            stored = memoryview(framing.inflate(
                stored, self.container.byteorder, cut=cut, problems=Problems(), where="", offset=0
            ).data)  # fmt: skip
        word = bytes(stored[PCIE_FW : PCIE_FW + 4])
        return firmware_state(int.from_bytes(word, self.container.byteorder)) if len(word) == 4 else None

    def identity(self) -> dict[str, str]:
        """Return what identifies the adapter: chip, firmware, serial and part number, MAC address, and the dump's format."""
        known = {"chip": f"{self.chip} revision {self.revision}"}
        vpd = self._vpd()
        if vpd:
            version = ".".join(str(vpd[f"fw_{part}"]) for part in ("major", "minor", "micro", "build"))
            known |= {"product": vpd["mn"], "serial number": vpd["sn"], "part number": vpd["bn"]}
            known |= {"MAC address": _mac(vpd["na"]), "firmware": "" if version == "0.0.0.0" else version}  # noqa: S104
        if self.firmware_state:
            known["firmware state"] = f"{self.firmware_state.text} (PCIE_FW {self.firmware_state.register:#010x})"
        size = self.container.payload_size
        known["device dump"] = f"cudbg {self.version}, compression {self.compression}" + (
            f", {human_size(size)}" if size else ""
        )
        return {k: v for k, v in known.items() if v}

    def _vpd(self) -> dict[str, Any]:
        entity = self.container.entities.get(VPD_DATA)
        if entity is None or not entity.available or entity.status or self.container.unified_wire:
            return {}
        rows = vpd_data.vpd_data(self.decoded(VPD_DATA), self.container.byteorder).records()
        return rows[0] if rows else {}

    def summary(self) -> str:
        """Return one line: chip, what was collected, state of the firmware."""
        attempted = self.container.entities.values()
        good = sum(e.status == 0 for e in attempted)
        line = f"{self.chip} rev {self.revision}, {good} of {plural(len(attempted), 'entity', 'entities')}"
        if self.firmware_state:
            line += f"; firmware {self.firmware_state.text}"
        return line

    # -- entities -----------------------------------------------------------------------------------------------------

    def _stored(self, entity: EntityHeader) -> memoryview:
        """Return the stored bytes without padding, as many as the file holds."""
        size = min(entity.stored_size - entity.num_pad, entity.available)
        return self.dump.data.view(entity.offset, size)

    def _zlib(self, entity: EntityHeader) -> bool:
        return self.container.compression == "zlib"

    def _find(self, name: str | int) -> EntityHeader:
        number = entity_number(name)
        shown = escape(str(name))
        if number is None:
            close = difflib.get_close_matches(shown.lower(), list(entity_numbers()), 3)
            raise NotInFileError(
                f"no entity is named {shown}", path=self.dump.source.name,
                hint=f"did you mean {' or '.join(close)}?" if close else "the entities command lists them",
            )  # fmt: skip
        entity = self.container.entities.get(number)
        if entity is None:
            raise NotInFileError(
                f"the dump has no entity {entity_name(number)} ({number}): its collection was not asked for",
                path=self.dump.source.name, hint="the entities command lists what is there",
            )  # fmt: skip
        if not entity.available:
            why = describe_status(entity.status, entity.sys_err, entity.sys_warn)
            if not why:
                why = "the file ends before it" if entity.stored_size else "it is empty"
            raise NotInFileError(
                f"entity {entity.name} holds no data: {why}", path=self.dump.source.name,
                offset=self.dump.offset + entity.slot_offset,
            )  # fmt: skip
        return entity

    def decoded(self, name: str | int) -> Decoded:
        """Return an entity's bytes, decompressed, with the ranges that are damaged.

        Raises
        ------
        NotInFileError: the entity is not in the dump, its collection failed, or its framing cannot be decoded.
        """
        entity = self._find(name)
        return self._decoded(entity)

    def _decoded(self, entity: EntityHeader) -> Decoded:
        known: Decoded | None = self._cache.get(entity.number)
        if known is not None:
            return known
        stored = self._stored(entity)
        if framing.is_sixpack(stored):
            raise NotInFileError(
                f"entity {entity.name} is compressed with FastLZ, which cannot be inflated yet",
                path=self.dump.source.name, offset=self.dump.offset + entity.offset,
                hint="its stored bytes are shown by hexdump --offset",
            )  # fmt: skip
        if self._zlib(entity):
            where = f"{self._where}, entity {entity.name}"
            decoded = framing.inflate(stored, self.container.byteorder, cut=entity.cut, problems=self.problems,
                                      where=where, offset=entity.offset)  # fmt: skip
        else:
            decoded = Decoded(stored)
        self._cache[entity.number] = decoded
        return decoded

    @cached_property
    def _cache(self) -> dict[int, Decoded]:
        return {}

    def entity_bytes(self, name: str | int) -> bytes:
        """Return an entity's bytes as the driver collected them: decompressed, without padding; damaged ranges are zero.

        Raises
        ------
        NotInFileError: as :meth:`decoded`.
        """
        return bytes(self.decoded(name).data)

    def entities_table(self) -> Table:
        """Return :data:`ENTITIES`; sizes come from the chunk headers, nothing is inflated."""
        rows = []
        for e in sorted(self.container.entities.values(), key=lambda e: e.number):
            text = describe_status(e.status, e.sys_err, e.sys_warn)
            described = entity_description(e.number)
            summary = f"{described}: {text}" if text else described
            rows.append(
                (
                    e.number,
                    e.name,
                    e.status,
                    e.sys_err,
                    e.sys_warn,
                    e.offset,
                    e.stored_size,
                    self._size(e),
                    summary,
                )
            )
        return Table.from_rows(ENTITIES, rows)

    def _size(self, entity: EntityHeader) -> int | None:
        if not entity.stored_size:
            return 0
        stored = self._stored(entity)
        if framing.is_sixpack(stored) or self._zlib(entity):
            return framing.decoded_size(stored, self.container.byteorder)
        return entity.stored_size - entity.num_pad if not entity.cut else None

    @property
    def entities(self) -> pd.DataFrame:
        """One row per attempted entity: number, name, status, sys_err, sys_warn, offset, stored_size, size, summary."""
        return _frame(self.entities_table())

    def entity_table(self, name: str | int) -> Table:
        """Return one entity as a table; where there is no decoder for it, its bytes (:data:`ENTITY_BYTES`)."""
        number = self._find(name).number
        if number == REG_DUMP:
            return self.registers_table()
        if number == DEV_LOG:
            return self.firmware_log_table()
        if number == VPD_DATA and not self.container.unified_wire:
            return vpd_data.vpd_data(self.decoded(number), self.container.byteorder)
        return _bytes_table(self.decoded(number).data)

    def entity(self, name: str | int) -> pd.DataFrame:
        """Return one entity as a DataFrame, by name (``cim_la``) or number.

        Raises
        ------
        NotInFileError: no such entity, or its collection failed; the message says why.
        """
        return _frame(self.entity_table(name))

    # -- registers ----------------------------------------------------------------------------------------------------

    @cached_property
    def _reg_dump(self) -> reg_dump.RegDump:
        if self.chip not in ("T4", "T5", "T6"):
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
        """Return one register's fields as a table (:data:`~vmcoredd_lab.devices.cxgb4.reg_dump.FIELDS`)."""
        return self._reg_dump.register(name)

    def counters_table(self) -> Table:
        """Return the 64-bit counters as a table (:data:`~vmcoredd_lab.devices.cxgb4.reg_dump.COUNTERS`)."""
        return self._reg_dump.counters()

    def interrupt_causes_table(self) -> Table:
        """Return what the interrupt-cause registers say (:data:`~vmcoredd_lab.devices.cxgb4.interrupts.INTERRUPTS`)."""
        return interrupts.interrupt_causes(self._reg_dump)

    @property
    def registers(self) -> pd.DataFrame:
        """One row per collected 32-bit word: block, register, instance, scope, address, value, aliases."""
        return _frame(self.registers_table())

    @property
    def counters(self) -> pd.DataFrame:
        """_L/_H pairs joined to 64 bits: register, instance, scope, address, value."""
        return _frame(self.counters_table())

    def register(self, name: str) -> pd.DataFrame:
        """Return the fields of one register, of each instance: address, instance, field, lsb, width, value.

        Raises
        ------
        NotInFileError: the chip has no such register, the driver does not collect it, or REG_DUMP failed.
        """
        return _frame(self.register_table(name))

    @property
    def interrupt_causes(self) -> pd.DataFrame:
        """One row per set field of the interrupt-cause registers that are not zero, with its meaning."""
        return _frame(self.interrupt_causes_table())

    # -- firmware log -------------------------------------------------------------------------------------------------

    @cached_property
    def _firmware_log(self) -> Table:
        return dev_log.firmware_log(self.decoded(DEV_LOG), self.problems, f"{self._where}, entity dev_log")

    def firmware_log_table(self) -> Table:
        """Return the firmware log as a table (:data:`~vmcoredd_lab.devices.cxgb4.dev_log.FIRMWARE_LOG`)."""
        return self._firmware_log

    @property
    def firmware_log(self) -> pd.DataFrame:
        """Firmware log entries, oldest first: seqno, timestamp, level, facility, message, offset."""
        return _frame(self.firmware_log_table())

    # -- checking -----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Decode every entity, so that ``problems`` holds all that is wrong with the dump."""
        for entity in self.container.entities.values():
            if entity.available and not framing.is_sixpack(self._stored(entity)):
                held = entity.number in self._cache
                self._decoded(entity)
                if not held:
                    del self._cache[entity.number]
        if DEV_LOG in self.container.entities and self.container.entities[DEV_LOG].available:
            try:
                self.firmware_log_table()
            except NotInFileError:
                return  # FastLZ


def _frame(table: Table) -> pd.DataFrame:
    from vmcoredd_lab.frames import to_frame

    return to_frame(table)


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


def _mac(digits: str) -> str:
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2)).lower() if len(digits) == 12 else digits
