"""One cxgb4 adapter as its device dump has it: what the registry asks, identity, the table of entities, checking."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from vmcoredd_lab.devices.cxgb4.adapter_registers import REG_DUMP
from vmcoredd_lab.devices.cxgb4.adapter_tables import DEV_LOG, TableViews
from vmcoredd_lab.devices.cxgb4.comparison import comparison_rules
from vmcoredd_lab.devices.cxgb4.container import CudbgContainer, EntityHeader, header_byteorder, signature_byteorder
from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities import vpd_data
from vmcoredd_lab.devices.cxgb4.entity_frames import NewerLayoutError
from vmcoredd_lab.devices.cxgb4.entity_names import entity_description
from vmcoredd_lab.devices.cxgb4.firmware import PCIE_FW, FirmwareState, firmware_state
from vmcoredd_lab.devices.cxgb4.framing import Decoded
from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.frames import to_frame
from vmcoredd_lab.source import Buffer
from vmcoredd_lab.structs import BYTE_ORDERS
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import human_size, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from vmcoredd_lab.devices.comparison import ComparisonRules
    from vmcoredd_lab.devices.cxgb4.rules.case import AdapterCase
    from vmcoredd_lab.devices.cxgb4.writer import CudbgImage
    from vmcoredd_lab.rules import Rule

__all__ = ["ENTITIES", "Cxgb4"]

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

VPD_DATA = 58
FLASH_SIGNATURE = 0x4355464C  # CUDBG_FL_SIGNATURE of Chelsio's cudbg library, "CUFL"
REG_DUMP_SIZE = {"T4": 160 << 10, "T5": 332 << 10, "T6": 332 << 10}  # T4_REGMAP_SIZE, T5_REGMAP_SIZE in cxgb4.h
MOST_CHECKED = (
    1 << 30
)  # bytes that problems inflates of a dump: some seconds; memory images of a hostile file inflate to 4 GiB each


class Cxgb4(TableViews):
    """A Chelsio T4, T5 or T6 adapter as cxgb4 saw it when the kernel died.

    Frames (pandas DataFrames) are attributes; nothing is inflated before it is asked for. ``problems`` collects what is
    wrong with the dump as far as it has been read.
    """

    driver: ClassVar[str] = "cxgb4"

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

    @classmethod
    def comparison_rules(cls, chip: str) -> ComparisonRules:
        """Return how two dumps of a chip are compared."""
        return comparison_rules(chip)

    def __repr__(self) -> str:
        return f"<Cxgb4 {self.summary()}>"

    def _repr_html_(self) -> str:
        from vmcoredd_lab.display import adapter_html

        return adapter_html(self)

    # -- identity -----------------------------------------------------------------------------------------------------

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
            line += f"; {self.firmware_state.sentence}"
        return line

    # -- entities -----------------------------------------------------------------------------------------------------

    def entity_names(self) -> list[str]:
        """Return the names of the entities that the driver attempted, by number; nothing is inflated."""
        return [e.name for e in sorted(self.container.entities.values(), key=lambda e: e.number)]

    def entities_table(self) -> Table:
        """Return :data:`ENTITIES`; each entity that has a decoder is inflated for its summary."""
        return replace(self._entities, columns=dict(self._entities.columns), attrs=dict(self._entities.attrs))

    @cached_property
    def _entities(self) -> Table:
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
                    self.decoded_size(e),
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

    @property
    def entities(self) -> pd.DataFrame:
        """One row per attempted entity: number, name, status, sys_err, sys_warn, offset, stored_size, size, summary."""
        return to_frame(self.entities_table())

    # -- rules --------------------------------------------------------------------------------------------------------

    def rules(self) -> Sequence[Rule]:
        """Return what can be wrong with an adapter (data/health_rules.csv), for :meth:`DeviceDump.findings`."""
        from vmcoredd_lab.devices.cxgb4.rules import rules

        return rules()

    @cached_property
    def rule_case(self) -> AdapterCase:
        """The adapter as its rules see it."""
        from vmcoredd_lab.devices.cxgb4.rules.case import AdapterCase

        return AdapterCase(self)

    # -- writing back -------------------------------------------------------------------------------------------------

    def to_image(self) -> CudbgImage:
        """Return the dump as an image that can be changed and written: ``nic.to_image().to_bytes()``."""
        from vmcoredd_lab.devices.cxgb4.writer import CudbgImage

        return CudbgImage.of(self)

    # -- checking -----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Decode every entity, so that ``problems`` holds all that is wrong with the dump."""
        left = MOST_CHECKED
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
                left -= self._check_pieces(entity, left)
            try:
                self._frames.check_version(entity.number, self._beginning(entity))
            except NewerLayoutError as error:
                self._newer_layout(entity.number, error)

    def _check_pieces(self, entity: EntityHeader, most: int) -> int:
        """Inflate an entity to find what is damaged, up to so many bytes; return how many it was. Nothing of it is kept."""
        if self.is_known(entity.number):
            return 0  # what is wrong with it is known as well
        inflated = 0
        for piece in self._pieces(entity, self.problems):
            inflated += piece.size
            if inflated > most:
                self.problems.add(
                    "info", f"{self._where}, entity {entity.name}",
                    f"checked up to {human_size(inflated)} of what it inflates to; "
                    "reading it, or extract --entities, checks all of it",
                    offset=entity.slot_offset + 4, expected=f"at most {human_size(MOST_CHECKED)} in all entities", got="more",
                )  # fmt: skip
                return most
        return inflated

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


def _mac(digits: str) -> str:
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2)).lower() if len(digits) == 12 else digits
