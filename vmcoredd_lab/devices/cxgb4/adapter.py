"""One cxgb4 adapter as its device dump has it: entities, registers, firmware log, identity."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from vmcoredd_lab.devices.cxgb4 import (
    dev_log,
    dev_log_ring,
    framing,
    indirect_views,
    interrupts,
    reg_dump,
    sixpack,
    tcb,
)
from vmcoredd_lab.devices.cxgb4.container import (
    EXT_ENTITY,
    CudbgContainer,
    EntityHeader,
    header_byteorder,
    signature_byteorder,
)
from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities import decoder, vpd_data
from vmcoredd_lab.devices.cxgb4.entity_frames import EntityFrames, NewerLayoutError, mark_damaged
from vmcoredd_lab.devices.cxgb4.entity_names import (
    describe_status,
    entity_description,
    entity_name,
    entity_number,
    entity_numbers,
)
from vmcoredd_lab.devices.cxgb4.firmware import PCIE_FW, FirmwareState, firmware_state
from vmcoredd_lab.devices.cxgb4.framing import Decoded
from vmcoredd_lab.devices.cxgb4.layout import Layout, Parts
from vmcoredd_lab.devices.cxgb4.memory_map import MemoryMap
from vmcoredd_lab.devices.cxgb4.register_table import register_table
from vmcoredd_lab.errors import NotInFileError, VmcoreddLabError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import Buffer
from vmcoredd_lab.structs import BYTE_ORDERS
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
MEMORIES = (18, 19, 20, 21, 68)  # EDC0, EDC1, MC0, MC1, HMA
# What an entity can hold: the driver's staging buffer is 4 MiB, QDESC has 32 MiB; memories are as large as a card's memory.
ENTITY_LIMIT, MEMORY_LIMIT = 64 << 20, 4 << 30
FLASH_SIGNATURE = 0x4355464C  # CUDBG_FL_SIGNATURE of Chelsio's cudbg library, "CUFL"
OVERLAP = 4  # times the dump's size: enough for a few headers that lie
REG_DUMP_SIZE = {"T4": 160 << 10, "T5": 332 << 10, "T6": 332 << 10}  # T4_REGMAP_SIZE, T5_REGMAP_SIZE in cxgb4.h


class Cxgb4:
    """A Chelsio T4, T5 or T6 adapter as cxgb4 saw it when the kernel died.

    Frames (pandas DataFrames) are attributes; nothing is inflated before it is asked for. ``problems`` collects what is
    wrong with the dump as far as it has been read.
    """

    driver: ClassVar[str] = "cxgb4"

    def __init__(self, dump: DeviceDump, container: CudbgContainer | None = None) -> None:
        self.dump = dump
        self._where = "dump" if dump.bare else f"dump:{dump.name}"
        self.container = container or CudbgContainer(dump.data, self._where)
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
    def leading(cls, head: bytes) -> int:
        """Return the length of a struct cudbg_flash_hdr that leads, as dumps read back from the adapter's flash have it."""
        for order in BYTE_ORDERS:
            if int.from_bytes(head[:4], order) == FLASH_SIGNATURE:
                size = int.from_bytes(head[24:28], order)
                return size if 64 <= size <= 4096 else declared("cudbg_flash_hdr", "unified_wire").size()
        return 0

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
        word = bytes(self._beginning(entity)[PCIE_FW : PCIE_FW + 4])
        return firmware_state(int.from_bytes(word, self.container.byteorder)) if len(word) == 4 else None

    def identity(self) -> dict[str, str]:
        """Return what identifies the adapter: chip, firmware, serial and part number, MAC address, and the dump's format."""
        known = {"chip": f"{self.chip} revision {self.revision}"}
        vpd = self._vpd()
        if vpd:
            known |= {"product": vpd["mn"], "serial number": vpd["sn"], "part number": vpd["bn"]}
            known |= {"MAC address": _mac(vpd["na"]), "firmware": vpd_data.firmware_version(vpd)}
        if self.firmware_state:
            known["firmware state"] = f"{self.firmware_state.text} (PCIE_FW {self.firmware_state.register:#010x})"
        if self.flash_header:
            known["written to flash"] = self.flash_header["written"]
        size = self.container.payload_size
        known["device dump"] = f"cudbg {self.version}, compression {self.compression}" + (
            f", {human_size(size)}" if size else ""
        )
        return {k: v for k, v in known.items() if v}

    @cached_property
    def flash_header(self) -> dict[str, Any] | None:
        """The members of the struct cudbg_flash_hdr before the dump, ``written`` the timestamp as text (UTC); None elsewhere."""
        struct = declared("cudbg_flash_hdr", "unified_wire")
        if len(self.dump.leading) < struct.size():
            return None
        record = struct.read(self.dump.leading, byteorder=self.container.byteorder)
        known: dict[str, Any] = {m.name: int(record[m.name]) for m in struct.members if not m.shape}
        moment = np.datetime64(min(known["timestamp"], 1 << 40), "s")
        return known | {"written": f"{str(moment).replace('T', ' ')} UTC"}

    @cached_property
    def appended(self) -> Cxgb4 | None:
        """The entities that a second collection appended to the dump (entity 63), as an adapter; None where there are none.

        Those that the dump itself does not hold are among its own entities as well.
        """
        container = self.container.appended()
        return None if container is None else Cxgb4(self.dump, container)

    def _vpd(self) -> dict[str, Any]:
        entity = self.container.entities.get(VPD_DATA)
        if entity is None or not entity.available or entity.status:
            return {}
        return vpd_data.record(self._decoded(entity), self._frames.context())

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

    @property
    def _zlib(self) -> bool:
        return self.container.compression == "zlib"

    def _fastlz(self, entity: EntityHeader) -> bool:
        if entity.number == EXT_ENTITY:
            return False  # headers and entities, each compressed by itself
        return self.container.unified_wire or sixpack.is_sixpack(self._stored(entity))

    def _compressed(self, entity: EntityHeader) -> bool:
        return (self._zlib and entity.number != EXT_ENTITY) or self._fastlz(entity)

    def _pieces(self, entity: EntityHeader, problems: Problems) -> Iterator[framing.Piece]:
        """Inflate a compressed entity piece by piece."""
        stored = self.dump.data.view(entity.offset, entity.stored_size)
        place: Any = {
            "pad": entity.num_pad, "cut": entity.cut, "limit": _limit(entity), "problems": problems,
            "where": f"{self._where}, entity {entity.name}", "offset": entity.offset,
        }  # fmt: skip
        if self._fastlz(entity):
            return sixpack.pieces(stored, **place)
        return framing.pieces(stored, self.container.byteorder, **place)

    def _beginning(self, entity: EntityHeader) -> bytes | memoryview:
        """Return an entity's decoded bytes, of a compressed one those of its first piece only."""
        if not self._compressed(entity):
            return self._stored(entity)
        first = next(self._pieces(entity, Problems()), None)
        return first.data if first else b""

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
            why = self._describe(entity)
            if not why:
                why = "the file ends before it" if entity.stored_size else "it is empty"
            raise NotInFileError(
                f"entity {entity.name} holds no data: {why}", path=self.dump.source.name,
                offset=self.dump.offset + entity.slot_offset,
            )  # fmt: skip
        return entity

    def _describe(self, entity: EntityHeader) -> str:
        return describe_status(entity.status, entity.sys_err, entity.sys_warn, unified_wire=self.container.unified_wire)

    def find(self, name: str | int) -> int:
        """Return the number of an entity that holds data.

        Raises
        ------
        NotInFileError: no such entity, or its collection failed; the message says why.
        """
        return self._find(name).number

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
        if self._compressed(entity):
            decoded = framing.join(self._pieces(entity, self.problems))
        else:
            decoded = Decoded(self._stored(entity))
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
        """Return :data:`ENTITIES`; each entity that has a decoder is inflated for its summary."""
        rows = []
        for e in sorted(self.container.entities.values(), key=lambda e: e.number):
            text = self._describe(e)
            described = entity_description(e.number)
            content = self._content(e)
            summary = "; ".join(filter(None, [f"{described}: {content}" if content else described, text]))
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

    def _content(self, entity: EntityHeader) -> str:
        """Return what an entity's decoder says of its content; empty where there is none, or nothing to decode."""
        if not entity.available or entity.number not in self._affordable:
            return ""
        try:
            return self._frames.summary(entity.number)
        except NewerLayoutError as error:
            self._newer_layout(entity.number, error)
            return error.message
        except VmcoreddLabError:
            return ""

    @cached_property
    def _affordable(self) -> set[int]:
        """The entities that are read when all are: not many times the same bytes, where many headers claim them."""
        left, found = OVERLAP * len(self.dump.data), set()
        for entity in self.container.entities.values():
            if entity.available <= left:
                left -= entity.available
                found.add(entity.number)
        return found

    def _size(self, entity: EntityHeader) -> int | None:
        if not entity.stored_size:
            return 0
        if entity.number not in self._affordable:
            return None
        if self._compressed(entity):
            stored = self.dump.data.view(entity.offset, entity.stored_size)
            if self._fastlz(entity):
                return sixpack.decoded_size(stored, _limit(entity))
            return framing.decoded_size(stored, self.container.byteorder, _limit(entity))
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
        if decoder(entity_name(number)) is None:
            return _bytes_table(self.decoded(number).data)
        try:
            return self._frames.table(number)
        except NewerLayoutError as error:
            self._newer_layout(number, error)
            return _bytes_table(self.decoded(number).data)

    def _newer_layout(self, number: int, error: NewerLayoutError) -> None:
        entity = self.container.entities[number]
        self.problems.warning(
            f"{self._where}, entity {entity.name}", error.message, offset=entity.offset, expected=error.expected, got=error.got
        )  # fmt: skip

    @cached_property
    def _frames(self) -> EntityFrames:
        return EntityFrames(self)

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
        NotInFileError: as :meth:`entity`; or the entity has no decoder yet.
        """
        _, layout, parts = self._frames.parts(name)
        return {part: _frame(table) for part, table in layout.tables(parts).items()}

    def entity(self, name: str | int) -> pd.DataFrame:
        """Return one entity as a DataFrame, by name (``cim_la``) or number.

        Raises
        ------
        NotInFileError: no such entity, or its collection failed; the message says why.
        """
        return _frame(self.entity_table(name))

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
        return _frame(self.contexts_table(kind))

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
        return _frame(table)

    # -- registers ----------------------------------------------------------------------------------------------------

    @property
    def register_dump(self) -> reg_dump.RegDump:
        """The registers as arrays, for decoders and rules."""
        return self._reg_dump

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
        return _frame(self.registers_table())

    @property
    def counters(self) -> pd.DataFrame:
        """_L/_H pairs joined to 64 bits: register, instance, scope, address, value."""
        return _frame(self.counters_table())

    @property
    def tp_mib_counters(self) -> pd.DataFrame:
        """TP's counters, _HI/_LO pairs joined to 64 bits: register, channel, address, bits, value."""
        return _frame(self.tp_mib_counters_table())

    @property
    def queue_base_map(self) -> pd.DataFrame:
        """Where the queues of each PCI function begin; no rows where the driver did not read it."""
        return _frame(self.queue_base_map_table())

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
        return _frame(self.firmware_log_table())

    # -- memory -------------------------------------------------------------------------------------------------------

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
        return _frame(self.memory_map_table())

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
        return _frame(self.tcbs_table())

    # -- checking -----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Decode every entity, so that ``problems`` holds all that is wrong with the dump."""
        for entity in self.container.entities.values():
            if not entity.available:
                continue
            if entity.number not in self._affordable:
                self.problems.error(
                    f"{self._where}, entity {entity.name}", "too many entities claim the same bytes; this one is not checked",
                    offset=entity.slot_offset + 4,
                )  # fmt: skip
                continue
            self._check_padding(entity)
            if entity.number == REG_DUMP:
                self._check_reg_dump(entity, self._decoded(entity))
            elif entity.number == DEV_LOG:
                self.firmware_log_table()
            elif self._compressed(entity):
                for _ in self._pieces(entity, self.problems):
                    pass
            try:
                self._frames.check_version(entity.number, self._beginning(entity))
            except NewerLayoutError as error:
                self._newer_layout(entity.number, error)

    def _check_padding(self, entity: EntityHeader) -> None:
        end = entity.offset + entity.stored_size
        padding = bytes(self.dump.data.view(end - entity.num_pad, entity.num_pad)) if not entity.cut else b""
        if any(padding):
            self.problems.error(
                f"{self._where}, entity {entity.name}", "the padding behind the entity is not zero: num_pad or the size is wrong",
                offset=end - entity.num_pad, expected=plural(entity.num_pad, "zero byte"), got=padding.hex(" "),
            )  # fmt: skip

    def _check_reg_dump(self, entity: EntityHeader, decoded: Decoded) -> None:
        """Compare the size with the chip's: it tells T4 from the others where chip_ver is damaged."""
        expected = REG_DUMP_SIZE.get(self.chip)
        if expected and not entity.cut and len(decoded.data) != expected:
            self.problems.error(
                f"{self._where}, entity {entity.name}", f"this is not the size of a {self.chip}'s registers: the entity or "
                "chip_ver in the header is damaged", offset=entity.slot_offset + 8, expected=f"{expected:,} bytes decoded",
                got=f"{len(decoded.data):,}",
            )  # fmt: skip


def _limit(entity: EntityHeader) -> int:
    return MEMORY_LIMIT if entity.number in MEMORIES else ENTITY_LIMIT


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
