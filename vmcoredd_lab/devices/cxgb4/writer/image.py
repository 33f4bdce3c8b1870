"""A cudbg dump to build or to change, and its bytes as a driver would have written them.

Formats: struct cudbg_hdr and struct cudbg_entity_hdr, cudbg_if.h; cxgb4_cudbg_collect() in cxgb4_cudbg.c
(drivers/net/ethernet/chelsio/cxgb4 of Linux 6.1), and Chelsio's cudbg library of 2016 (format 1.9, FastLZ).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from vmcoredd_lab.devices.cxgb4.container import (
    COMPRESSION,
    DUMP_TYPE_MINI,
    EXT_ENTITY,
    KNOWN_MAX_ENTITIES,
    SIGNATURE,
    UNIFIED_WIRE,
)
from vmcoredd_lab.devices.cxgb4.encode import encode_entity
from vmcoredd_lab.devices.cxgb4.entity_names import entity_name, entity_number
from vmcoredd_lab.devices.cxgb4.structs import CUDBG_HDR, ENTITY_HDR
from vmcoredd_lab.devices.cxgb4.writer import order
from vmcoredd_lab.devices.cxgb4.writer.store import NoRoomError, Output, stored_fastlz
from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.structs import ByteOrder
from vmcoredd_lab.text import escape

if TYPE_CHECKING:
    from vmcoredd_lab.devices.cxgb4.adapter import Cxgb4

__all__ = ["DUMP_SIZE", "Collected", "CudbgImage"]

REVISIONS = {"T4": 1, "T5": 1, "T6": 0}  # the silicon that was sold
LINUX = (1, 14)
MAX_ENTITIES = {LINUX: KNOWN_MAX_ENTITIES[0], UNIFIED_WIRE: KNOWN_MAX_ENTITIES[-1]}
# What the driver asks vmcore_add_device_dump() for: headers and CUDBG_DUMP_BUFF_SIZE
DUMP_SIZE = CUDBG_HDR.size() + ENTITY_HDR.size() * MAX_ENTITIES[LINUX] + (32 << 20)
PARTIAL = -41  # CUDBG_STATUS_PARTIAL_DATA
SYSTEM_ERROR = -29
QDESC = 70


@dataclass(frozen=True)
class Collected:
    """What one collector left: bytes, or codes that say why there are none.

    status: hdr_flags: 0 or a negative code; the driver makes it -29 where ``sys_err`` is set
    sys_err, sys_warn: negative codes
    flag, next_ext_offset: of the Unified Wire's chain of appended entities
    """

    number: int
    data: bytes = b""
    status: int = 0
    sys_err: int = 0
    sys_warn: int = 0
    flag: int = 0
    next_ext_offset: int = 0

    @property
    def name(self) -> str:
        """The CUDBG_ constant in lower case without its prefix."""
        return entity_name(self.number)


@dataclass
class CudbgImage:
    """Entities and the header's facts; :meth:`to_bytes` lays them out.

    >>> import io
    >>> image = CudbgImage("T6")
    >>> image.add("path_mtu", bytes(32))
    >>> image.fail("mc1", sys_err=-24)
    >>> vl.open_device_dump(io.BytesIO(image.to_bytes())).decode().entities[["name", "sys_err", "size"]]
           name  sys_err  size
    0       mc1      -24     0
    1  path_mtu        0    32

    chip: ``T4``, ``T5`` or ``T6``; ``revision`` of the silicon, None for the usual one
    version: (1, 14) as Linux writes it, (1, 9) as the Unified Wire does
    compression: ``zlib`` or ``none`` (Linux); the Unified Wire has ``fastlz`` only
    byteorder: of the host that collects
    """

    chip: str = "T6"
    revision: int | None = None
    version: tuple[int, int] = LINUX
    compression: str = ""
    byteorder: ByteOrder = "little"
    max_entities: int = 0
    hdr_flags: int = 0
    reserved: tuple[int, ...] = (0,) * 8
    entities: dict[int, Collected] = field(default_factory=dict)
    in_file_order: bool = False

    def __post_init__(self) -> None:
        possible = ("fastlz",) if self.version == UNIFIED_WIRE else ("zlib", "none")
        self.compression = self.compression or possible[0]
        if self.compression not in possible:
            raise UsageError(
                f"a cudbg dump of version {self.version[0]}.{self.version[1]} has no compression {self.compression!a}",
                expected=" or ".join(possible),
            )
        if self.revision is None:
            self.revision = REVISIONS.get(self.chip, 0)
        self.max_entities = self.max_entities or MAX_ENTITIES.get(self.version, KNOWN_MAX_ENTITIES[0])

    @classmethod
    def of(cls, adapter: Cxgb4) -> CudbgImage:
        """Return the image of a dump that was read: every entity's bytes decoded, in the order in which they were stored.

        Damaged ranges of an entity are zero, as :meth:`~vmcoredd_lab.devices.cxgb4.adapter.Cxgb4.entity_bytes` gives them.
        """
        container = adapter.container
        image = cls(
            container.chip, container.revision, container.version, container.compression, container.byteorder,
            container.slots, int(container.header["hdr_flags"]), tuple(container.header["reserved"].tolist()),
            in_file_order=True,
        )  # fmt: skip
        known = sorted(
            container.entities.values(), key=lambda e: (e.offset, e.stored_size > 0, order.rank(e.number), e.number)
        )
        for one in known:
            if one.slot_offset >= container.table_end:
                continue  # appended: it is in the bytes of the chain
            header = ENTITY_HDR.read(container.data.view(one.slot_offset, ENTITY_HDR.size()), byteorder=image.byteorder)
            data = bytes(adapter.entity_bytes(one.number)) if one.available else b""
            image.entities[one.number] = Collected(
                one.number,
                data,
                one.status,
                one.sys_err,
                one.sys_warn,
                int(header["flag"]),
                int(header["next_ext_offset"]),
            )
        return image

    # -- entities -----------------------------------------------------------------------------------------------------

    def add(self, name: str | int, data: bytes | Mapping[str, Any], *, status: int = 0, sys_err: int = 0,
            sys_warn: int = 0) -> None:  # fmt: skip
        """Give an entity its bytes, or the records that stand for them (frames as ``nic.records(name)`` has them).

        Raises
        ------
        UsageError: no such entity, a slot that the header's table has not, or records that are not the entity's.
        """
        number = self._number(name)
        if isinstance(data, Mapping):
            data = encode_entity(
                entity_name(number), data, chip=self.chip, byteorder=self.byteorder, version=self.version
            )
        status = SYSTEM_ERROR if sys_err and not status else status
        self.entities[number] = Collected(number, bytes(data), status, sys_err, sys_warn)

    def fail(self, name: str | int, status: int = 0, *, sys_err: int = 0, sys_warn: int = 0) -> None:
        """Let the collection of an entity fail: its header stays, with the codes, and no bytes.

        Raises
        ------
        UsageError: no such entity, or no code that says why.
        """
        if not (status or sys_err):
            raise UsageError("an entity that failed has a code", expected="a negative status or sys_err")
        self.add(name, b"", status=status, sys_err=sys_err, sys_warn=sys_warn)

    def drop(self, name: str | int) -> None:
        """Take an entity out as if its collection had never been tried; nothing happens where it is not there."""
        self.entities.pop(self._number(name), None)

    def _number(self, name: str | int) -> int:
        number = entity_number(name)
        if number is None or not 0 < number <= self.max_entities:
            raise UsageError(f"no entity {escape(str(name))} in a table of {self.max_entities}")
        return number

    def _ordered(self) -> list[Collected]:
        """Return the entities as they are collected: in the driver's order, or as they stood in a dump that was read."""
        if self.in_file_order:
            return list(self.entities.values())
        linux = self.version != UNIFIED_WIRE
        return sorted(self.entities.values(), key=lambda e: order.rank(e.number) if linux else (e.number, 0))

    # -- bytes --------------------------------------------------------------------------------------------------------

    def to_bytes(self, size: int | None = None) -> bytes:
        """Return the dump, ``data_len`` bytes.

        ``size`` is that of the buffer that the driver collects into: what has no room in it fails with the driver's codes
        (-19, of a stream that does not fit -29), and later entities may still succeed. Without it there is always room.

        Raises
        ------
        UsageError: the buffer does not even hold the headers (the driver then collects nothing and returns -ENOMEM).
        """
        head = CUDBG_HDR.size() + ENTITY_HDR.size() * self.max_entities
        if size is not None and size < head:
            raise UsageError(
                "the buffer is too small for a cudbg dump", expected=f"{head:,} bytes or more", got=f"{size:,}"
            )
        output = Output(size, self.byteorder)
        output.data += bytes(head)
        data_len = 0
        for one in self._ordered():
            start = output.offset
            left, padding = self._store(one, output)
            at = CUDBG_HDR.size() + ENTITY_HDR.size() * (one.number - 1)
            output.data[at : at + ENTITY_HDR.size()] = ENTITY_HDR.write(
                byteorder=self.byteorder, entity_type=one.number, start_offset=start, size=output.offset - start,
                hdr_flags=left.status, sys_warn=left.sys_warn, sys_err=left.sys_err, num_pad=padding, flag=left.flag,
                next_ext_offset=left.next_ext_offset,
            )  # fmt: skip
            if one.number != EXT_ENTITY:
                data_len = output.offset  # the library appends without counting it
        output.data[: CUDBG_HDR.size()] = self._header(data_len or head)
        return bytes(output.data)

    def collect(self, buffer: bytearray | memoryview) -> int:
        """Fill a zeroed buffer as the driver's callback of vmcore_add_device_dump() does; return 0.

        What is behind ``data_len`` stays as it was. Use: ``image.add_device_dump("cxgb4_0000:02:00.4", DUMP_SIZE, nic.collect)``
        with a :class:`~vmcoredd_lab.VmcoreImage`.
        """
        # the kernel rounds the buffer up to pages; the driver knows of the size that it asked for only
        data = self.to_bytes(min(len(buffer), DUMP_SIZE))
        buffer[: len(data)] = data
        return 0

    def _store(self, one: Collected, output: Output) -> tuple[Collected, int]:
        """Append an entity's bytes; return what its header says of it, and the padding."""
        start = output.offset
        try:
            if one.number == EXT_ENTITY or self.compression == "none":
                output.raw(one.data)
            elif self.compression == "fastlz":
                output.raw(stored_fastlz(one.number, one.data) if one.data else b"")
            else:
                output.zlib(one.data, in_pieces=order.fed_in_pieces(one.number))
        except NoRoomError as error:
            del output.data[start:]
            return replace(one, status=error.status, sys_err=0, sys_warn=PARTIAL if one.number == QDESC else 0), 0
        return one, output.align(start) if one.number != EXT_ENTITY else 0

    def _header(self, data_len: int) -> bytes:
        # dump_type:3, reserved1:1, compress_type:4 begin at the low end on little-endian hosts only
        compress_type = next((code for code, name in COMPRESSION.items() if name == self.compression), 0)
        flags = (
            DUMP_TYPE_MINI | compress_type << 4 if self.byteorder == "little" else DUMP_TYPE_MINI << 5 | compress_type
        )
        return CUDBG_HDR.write(
            byteorder=self.byteorder, signature=SIGNATURE, hdr_len=CUDBG_HDR.size(), major_ver=self.version[0],
            minor_ver=self.version[1], data_len=data_len, hdr_flags=self.hdr_flags, max_entities=self.max_entities,
            chip_ver=int(self.chip[1:]) << 4 | (self.revision or 0), flags=0 if self.version == UNIFIED_WIRE else flags,
            reserved=self.reserved,
        )  # fmt: skip
