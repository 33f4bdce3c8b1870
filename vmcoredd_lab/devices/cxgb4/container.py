"""The cudbg container: header, entity headers, and which of their numbers can be believed.

Formats: struct cudbg_hdr and struct cudbg_entity_hdr, drivers/net/ethernet/chelsio/cxgb4/cudbg_if.h.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4 import framing
from vmcoredd_lab.devices.cxgb4.entity_names import entity_name
from vmcoredd_lab.devices.cxgb4.structs import CUDBG_HDR, ENTITY_HDR
from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import Buffer
from vmcoredd_lab.structs import BYTE_ORDERS, ByteOrder
from vmcoredd_lab.text import plural

__all__ = ["CudbgContainer", "EntityHeader"]

SIGNATURE = 67856866
LEGACY_SIGNATURE = 123  # accepted by Chelsio's own viewer; nothing in the field writes it any more
COMPRESSION = {1: "none", 2: "zlib"}
DUMP_TYPE_MINI = 1
UNIFIED_WIRE = (1, 9)
# Linux 4.18 on, its releases before FLASH, its first ones, the Unified Wire of 2016
KNOWN_MAX_ENTITIES = (72, 71, 70, 67)
MAX_ERRNO = 4095
T7 = 7  # collected by drivers newer than mainline's 6.1
EXT_ENTITY = 63  # what the Unified Wire's library appended to a dump that was there
EXT_DATA_VALID = 1  # bit 0 of an appended entity's flag
LARGEST_MAX_ENTITIES = 256  # far more than there are entities; a table of 65,535 would hold payload


@dataclass(frozen=True, slots=True)
class EntityHeader:
    """One attempted entity: what struct cudbg_entity_hdr says, and how much of it the file holds."""

    number: int
    name: str
    slot_offset: int
    offset: int
    stored_size: int
    num_pad: int
    status: int
    sys_err: int
    sys_warn: int
    available: int

    @property
    def cut(self) -> bool:
        """True where the file ends inside the entity."""
        return self.available < self.stored_size


class CudbgContainer:
    """Header and entity headers of one cudbg dump. Reading it touches no payload."""

    def __init__(self, data: Buffer, where: str) -> None:
        self.data = data
        self.where = where
        self.problems = Problems()
        size = CUDBG_HDR.size()
        head = data.read(0, size)
        if len(head) < size:
            raise OpenError(
                "the device dump is cut inside its cudbg header", path=data.source.name, offset=data.offset + len(head),
                expected=f"{size} bytes", got=f"{len(head)} bytes", hint="the copy did not finish; copy it again",
            )  # fmt: skip
        order = signature_byteorder(head)
        if order is None and (order := header_byteorder(head)):
            self.problems.error(
                where, "the signature is damaged; the rest of the header is as cudbg writes it and is used",
                offset=0, expected=f"{SIGNATURE:#010x}", got=head[:4].hex(" "),
            )  # fmt: skip
        if order is None:
            raise OpenError(
                "not a cudbg dump", path=data.source.name, offset=data.offset,
                expected=f"signature {SIGNATURE:#010x}", got=head[:4].hex(" "),
                hint="extract writes the bytes to a file as they are",
            )  # fmt: skip
        self.byteorder = order
        self.header = CUDBG_HDR.read(head, byteorder=order)
        self.version = (int(self.header["major_ver"]), int(self.header["minor_ver"]))
        self.unified_wire = self.version == UNIFIED_WIRE
        self.entities = self._entities()
        self.compress_type = self._compress_type(int(self.header["flags"]))
        self._check_chip()
        self._check_data_len()

    # -- header -------------------------------------------------------------------------------------------------------

    @property
    def chip_version(self) -> int:
        """4, 5 or 6; what the header says, whatever it is."""
        return int(self.header["chip_ver"]) >> 4

    @property
    def chip(self) -> str:
        """T4, T5 or T6."""
        return f"T{self.chip_version}"

    @property
    def revision(self) -> int:
        """The silicon revision."""
        return int(self.header["chip_ver"]) & 0xF

    @property
    def compression(self) -> str:
        """How payloads are stored: none, zlib or fastlz."""
        return "fastlz" if self.unified_wire else COMPRESSION[self.compress_type]

    def _compress_type(self, byte: int) -> int:
        """Return 1 (none) or 2 (zlib).

        C bit-fields begin at the low end on little-endian hosts, at the high end on most big-endian ones; there 0x21 can
        mean either. Where the byte does not decide it, the payloads do.
        """
        low_first, high_first = (byte & 7, byte >> 4), (byte >> 5, byte & 15)
        orders = (low_first,) if self.byteorder == "little" else (high_first, low_first)
        possible = {
            compress for dump_type, compress in orders if dump_type == DUMP_TYPE_MINI and compress in COMPRESSION
        }
        if len(possible) == 1 or self.unified_wire:
            return min(possible, default=1)
        found = 2 if self._holds_zlib() else 1
        if not possible:
            self.problems.error(
                self.where, f"the header's dump type and compression are not possible; by their content the entities' "
                f"compression is {COMPRESSION[found]}", offset=23,
                expected="dump_type 1 and compress_type 1 (none) or 2 (zlib)", got=f"{byte:#04x}",
            )  # fmt: skip
        return found

    def _holds_zlib(self) -> bool:
        """Return True where one of the first entities begins as a zlib piece does."""
        stored = sorted((e for e in self.entities.values() if e.available), key=lambda e: e.offset)
        return any(framing.looks_like_piece(self.data.view(e.offset, 512), self.byteorder) for e in stored[:8])

    def _check_chip(self) -> None:
        if self.chip_version == T7:
            self.problems.warning(
                self.where, "the chip is a T7: there is no register table for it, and not all of its entities are known",
                offset=22, expected="T4, T5 or T6", got=f"chip_ver {int(self.header['chip_ver']):#04x}",
            )  # fmt: skip
        elif self.chip_version not in (4, 5, 6):
            self.problems.error(
                self.where, "the chip is not known; its registers cannot be named", offset=22,
                expected="4, 5 or 6 in the high nibble", got=f"{int(self.header['chip_ver']):#04x}",
            )  # fmt: skip

    # -- entity headers -----------------------------------------------------------------------------------------------

    @cached_property
    def header_length(self) -> int:
        """hdr_len, unless more entity headers stand behind the usual length."""
        stated, usual = int(self.header["hdr_len"]), CUDBG_HDR.size()
        if stated == usual or not usual < stated <= 4096:
            return usual
        found = {start: len(self._headers(start, LARGEST_MAX_ENTITIES)["start_offset"]) for start in (stated, usual)}
        return max(found, key=lambda start: found[start])

    def _headers(self, start: int, slots: int) -> Any:
        """Return the entity headers of a table at ``start`` that are there, and carry the number of their slot."""
        table = self.data.view(start, ENTITY_HDR.size() * slots)
        headers = np.frombuffer(table, ENTITY_HDR.dtype(self.byteorder), len(table) // ENTITY_HDR.size())
        return headers[headers["entity_type"] == np.arange(1, len(headers) + 1)]

    @property
    def table_end(self) -> int:
        """Where the entity headers end and the first payload begins."""
        return self.header_length + ENTITY_HDR.size() * self.slots

    def _entities(self) -> dict[int, EntityHeader]:
        stated = int(self.header["hdr_len"])
        if stated != self.header_length:
            self.problems.error(
                self.where, "hdr_len is not possible; the usual length is used", offset=4,
                expected=str(CUDBG_HDR.size()), got=str(stated),
            )  # fmt: skip
        size, slots = ENTITY_HDR.size(), self.slots
        if slots != int(self.header["max_entities"]):
            self.problems.error(
                self.where, f"max_entities does not fit the entity headers, which end before the first payload: {slots} is used",
                offset=20, expected=str(slots), got=str(int(self.header["max_entities"])),
            )  # fmt: skip
        table = self.data.view(self.header_length, size * slots)
        held = len(table) // size
        entities: dict[int, EntityHeader] = {}
        for slot in range(held):
            header = ENTITY_HDR.read(table, slot * size, byteorder=self.byteorder)
            if int(header["entity_type"]):
                entities[slot + 1] = self._entity(slot + 1, self.header_length + slot * size, header)
        for appended in self._chain(entities.get(EXT_ENTITY) if self.unified_wire else None):
            known = entities.get(appended.number)
            if known is None or not known.stored_size:
                entities[appended.number] = appended
        if held < slots:
            self.problems.error(
                self.where, f"the dump is cut inside its entity headers: {held} of {plural(slots, 'slot')} are there",
                offset=len(self.data), expected=f"{self.table_end:,} bytes", got=f"{len(self.data):,} bytes",
            )  # fmt: skip
        return entities

    def _chain(self, head: EntityHeader | None) -> list[EntityHeader]:
        """Return the entities that the Unified Wire's library appended: headers each followed by its bytes.

        Offsets count from the beginning of the chain; next_ext_offset is where the next header is.
        """
        found: list[EntityHeader] = []
        at, size = 0, ENTITY_HDR.size()
        while head is not None and at + size <= head.available and len(found) < LARGEST_MAX_ENTITIES:
            place = head.offset + at
            header = ENTITY_HDR.read(self.data.view(place, size), byteorder=self.byteorder).copy()
            number, following = int(header["entity_type"]), at + size + int(header["size"])
            if not int(header["flag"]) & EXT_DATA_VALID or not 0 < number <= LARGEST_MAX_ENTITIES:
                break
            header["start_offset"] = min(head.offset + int(header["start_offset"]), 0xFFFFFFFF)
            found.append(self._entity(number, place, header))
            if int(header["next_ext_offset"]) != following:
                self.problems.error(
                    f"{self.where}, entity {head.name}", "next_ext_offset of an appended entity is not where it ends; its size "
                    "is believed", offset=place + 28, expected=f"{following:,}", got=f"{int(header['next_ext_offset']):,}",
                )  # fmt: skip
            at = following
        if head is not None and not head.cut and at != head.stored_size - head.num_pad:
            self.problems.error(
                f"{self.where}, entity {head.name}", "the chain of appended entities does not end where the entity does",
                offset=head.offset + at, expected=f"{head.stored_size - head.num_pad:,} bytes", got=f"{at:,}",
            )  # fmt: skip
        return found

    def appended(self) -> CudbgContainer | None:
        """Return the same dump with the appended entities (entity 63) only; None where there are none."""
        chain = self._chain(self.entities.get(EXT_ENTITY) if self.unified_wire else None)
        if not chain:
            return None
        other = copy(self)
        other.entities = {entity.number: entity for entity in chain}
        return other

    @cached_property
    def slots(self) -> int:
        """Slots in the table of entity headers: max_entities, unless the first payload begins behind another number.

        The entity that is collected first starts right behind the table, whether its collection succeeded or not.
        """
        stated, usual = int(self.header["max_entities"]), KNOWN_MAX_ENTITIES[0]
        for slots in (stated, *KNOWN_MAX_ENTITIES):
            end = self.header_length + slots * ENTITY_HDR.size()
            if slots == stated and len(self.data) < end <= self.header_length + usual * ENTITY_HDR.size():
                return stated  # cut inside a table of ordinary length
            if (
                slots <= LARGEST_MAX_ENTITIES
                and (self._headers(self.header_length, slots)["start_offset"] == end).any()
            ):
                return slots
        return stated if min(KNOWN_MAX_ENTITIES) <= stated <= LARGEST_MAX_ENTITIES else usual

    def _entity(self, number: int, slot_offset: int, header: Any) -> EntityHeader:
        names = ("entity_type", "start_offset", "size", "hdr_flags", "sys_err", "sys_warn", "num_pad")
        value = {n: int(header[n]) for n in names}  # fmt: skip
        name, where = entity_name(number), f"{self.where}, entity {entity_name(number)}"
        if value["entity_type"] != number:
            self.problems.error(
                where, f"the header in slot {number - 1} is of another entity; it is listed by its slot",
                offset=slot_offset, expected=str(number), got=str(value["entity_type"]),
            )  # fmt: skip
        codes = {n: value[n] for n in ("hdr_flags", "sys_warn", "sys_err") if not -MAX_ERRNO <= value[n] <= 0}
        if codes and not self.unified_wire:
            self.problems.error(
                where, f"{' and '.join(codes)} of the entity's header cannot be a status", offset=slot_offset + 12,
                expected=f"0 or a code down to -{MAX_ERRNO}", got=", ".join(map(str, codes.values())),
            )  # fmt: skip
        offset, size, pad = value["start_offset"], value["size"], value["num_pad"]
        if pad > 3 or pad > size:
            self.problems.error(where, "num_pad is not possible; it is taken as 0", offset=slot_offset + 24,
                                expected="0 to 3", got=str(pad))  # fmt: skip
            pad = 0
        available = max(0, min(size, len(self.data) - offset))
        end = max(self.data.declared_size, self.data_len)  # of a bare file that is cut, data_len
        if size and not self.table_end <= offset <= offset + size <= end:
            self.problems.error(
                where, "the entity does not lie between the entity headers and the end of the dump; what is inside is used",
                offset=slot_offset + 4, expected=f"within {self.table_end:,} to {end:,}", got=f"{offset:,} + {size:,}",
            )  # fmt: skip
        elif available < size:
            self.problems.error(
                where, "the dump is cut inside this entity; its beginning is used" if available
                else "the dump is cut before this entity", offset=len(self.data),
                expected=f"{offset + size:,} bytes", got=f"{len(self.data):,} bytes",
            )  # fmt: skip
        return EntityHeader(number, name, slot_offset, offset, size, pad, value["hdr_flags"], value["sys_err"],
                            value["sys_warn"], available)  # fmt: skip

    # -- data_len -----------------------------------------------------------------------------------------------------

    @property
    def data_len(self) -> int:
        """What the header says the whole dump takes."""
        return int(self.header["data_len"])

    @property
    def payload_size(self) -> int | None:
        """data_len where the entity headers bear it out, with what was appended; else None."""
        whole = self._whole()
        if len(self.data) < self.table_end or whole > self.data.declared_size:
            return None
        used = self._used()
        return whole if (used <= whole if self.unified_wire else used == whole) else None

    def _whole(self) -> int:
        """Return data_len, and where a chain of appended entities follows, its bytes too: data_len leaves them out."""
        chain = self.entities.get(EXT_ENTITY)
        return self.data_len + (chain.stored_size if chain and chain.offset == self.data_len else 0)

    def _used(self) -> int:
        """Where the last entity ends; the driver advances data_len with each entity that it keeps."""
        return max([self.table_end, *(e.offset + e.stored_size for e in self.entities.values() if e.stored_size)])

    def _check_data_len(self) -> None:
        if self.data_len > self.data.declared_size:
            self.problems.error(
                self.where, "the dump is shorter than data_len says: it is cut, or data_len is wrong", offset=12,
                expected=f"at most {self.data.declared_size:,}", got=f"{self.data_len:,}",
            )  # fmt: skip
        elif len(self.data) >= self.table_end and self.payload_size is None:
            self.problems.error(
                self.where, "data_len and the entity headers do not agree; each entity is taken as its own header says",
                offset=12, expected=f"{self._used():,}, where the last entity ends", got=f"{self.data_len:,}",
            )  # fmt: skip
        if not self.unified_wire:
            self._check_order()

    def _check_order(self) -> None:
        """Compare each entity's end with the next one's beginning: the driver writes one right behind the other."""
        stored = sorted((e for e in self.entities.values() if e.stored_size), key=lambda e: e.offset)
        for one, following in pairwise(stored):
            gap = following.offset - one.offset - one.stored_size
            if (
                gap > 0 and self.compress_type == 1
            ):  # of a compressed entity the streams say whether something is missing
                self.problems.warning(
                    f"{self.where}, entity {one.name}", f"{plural(gap, 'byte')} behind it belong to no entity: it may be longer "
                    "than its header says", offset=one.slot_offset + 8, expected=f"{one.stored_size + gap:,}",
                    got=f"{one.stored_size:,}",
                )  # fmt: skip
            if gap < 0:
                self.problems.error(
                    f"{self.where}, entity {following.name}", f"it begins inside entity {one.name}",
                    offset=following.slot_offset + 4, expected=f"start_offset of at least {one.offset + one.stored_size:,}",
                    got=f"{following.offset:,}",
                )  # fmt: skip


def header_byteorder(head: bytes) -> ByteOrder | None:
    """Return the byte order in which hdr_len and the version are cudbg's, whatever the signature; or None."""
    for order in BYTE_ORDERS:
        if (
            len(head) >= 12
            and int.from_bytes(head[4:8], order) == CUDBG_HDR.size()
            and int.from_bytes(head[8:10], order) == 1
        ):
            return order
    return None


def signature_byteorder(head: bytes) -> ByteOrder | None:
    """Return the byte order in which the first word is a cudbg signature, or None."""
    for order in BYTE_ORDERS:
        word = int.from_bytes(head[:4], order) if len(head) >= 4 else 0
        if word == SIGNATURE:
            return order
        if word == LEGACY_SIGNATURE and int.from_bytes(head[4:8], order) == CUDBG_HDR.size():
            return order
    return None
