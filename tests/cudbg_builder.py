"""cudbg device dumps from the payloads of their entities, laid out as the Linux cxgb4 driver writes them.

Everything is packed with `struct`, so that the reader is never its own judge. A test states the payloads that matter to it,
then damages the bytes it means: `built.slot(...)`, `built.pieces(...)` and the like say where they are.
"""

from __future__ import annotations

import copy
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import vmcoredd_lab as vl

LITTLE, BIG = "little", "big"
ORDERS = (LITTLE, BIG)
MARK = {LITTLE: "<", BIG: ">"}

SIGNATURE = 67856866
HDR_SIZE, ENTITY_HDR_SIZE, PIECE_HDR_SIZE = 56, 52, 280
PIECE = 64512
NONE, ZLIB = 1, 2
T4, T5, T6 = 0x41, 0x51, 0x60
REG_DUMP, DEV_LOG, CIM_LA, EDC0, EDC1, PATH_MTU, VPD_DATA, MBOX_LOG = 1, 2, 3, 18, 19, 27, 58, 66
REG_DUMP_SIZE = {T4: 163840, T5: 339968, T6: 339968}
PCIE_FW = 0x30B8
# The order in which the driver collects: hardware first, then memories, then flash.
COLLECTION = [66, 70, 2, 1, *range(3, 18), 22, 25, 27, 30, 31, 36, 37, 41, *range(43, 49), 50, 51, *range(54, 63), 64, 65, 67,
              18, 19, 20, 21, 68, 71]  # fmt: skip

# Where the members of the three headers are, and how wide.
HEADER = {"signature": (0, "I"), "hdr_len": (4, "I"), "major_ver": (8, "H"), "minor_ver": (10, "H"), "data_len": (12, "I"),
          "max_entities": (20, "H"), "chip_ver": (22, "B"), "flags": (23, "B")}  # fmt: skip
ENTITY = {"entity_type": (0, "I"), "start_offset": (4, "I"), "size": (8, "I"), "hdr_flags": (12, "i"), "sys_warn": (16, "i"),
          "sys_err": (20, "i"), "num_pad": (24, "B")}  # fmt: skip
PIECE_HEADER = {
    "compress_id": (0, "I"),
    "pad": (4, "I"),
    "decompress_size": (8, "Q"),
    "compress_size": (16, "Q"),
    "rsvd": (24, "Q"),
}


@dataclass(frozen=True)
class Entity:
    """An entity that the driver attempted: what it collected, or why there is nothing.

    `stored` replaces the stored bytes, padding included, whatever the compression.
    """

    number: int
    data: bytes = b""
    status: int = 0
    sys_err: int = 0
    sys_warn: int = 0
    stored: bytes | None = None


@dataclass(frozen=True)
class PieceAt:
    """Where a zlib piece is in the dump: its header, its stream, and which bytes of the entity it holds."""

    header: int
    stream: int
    end: int
    first: int
    last: int


@dataclass
class Built:
    """The bytes of a dump, with a map to them."""

    data: bytearray
    order: str
    max_entities: int
    offsets: dict[int, int] = field(default_factory=dict)
    _pieces: dict[int, list[PieceAt]] = field(default_factory=dict)

    def __bytes__(self) -> bytes:
        return bytes(self.data)

    def open(self) -> Any:
        """Return the decoded adapter of a bare file with these bytes."""
        return vl.open_device_dump(bytes(self.data)).decode()

    def slot(self, number: int) -> int:
        """Where the entity header of a number is."""
        return HDR_SIZE + ENTITY_HDR_SIZE * (number - 1)

    def pieces(self, number: int) -> list[PieceAt]:
        return self._pieces[number]

    def set_header(self, **members: int) -> Built:
        return self._set(0, HEADER, members)

    def set_entity(self, number: int, **members: int) -> Built:
        return self._set(self.slot(number), ENTITY, members)

    def set_piece(self, number: int, index: int, **members: int) -> Built:
        return self._set(self.pieces(number)[index].header, PIECE_HEADER, members)

    def flip(self, offset: int, mask: int = 0xFF) -> Built:
        self.data[offset] ^= mask
        return self

    def cut(self, size: int) -> Built:
        del self.data[size:]
        return self

    def _set(self, at: int, layout: dict[str, tuple[int, str]], members: dict[str, int]) -> Built:
        for name, value in members.items():
            offset, kind = layout[name]
            struct.pack_into(MARK[self.order] + kind, self.data, at + offset, value)
        return self


def cudbg(*entities: Entity, order: str = LITTLE, compression: int = ZLIB, chip: int = T6, max_entities: int = 72,
          version: tuple[int, int] = (1, 14), bit_order: str | None = None, stale: int = 0) -> Built:  # fmt: skip
    """Build a dump.

    `bit_order` is that of byte 23, which C bit-fields share; compilers for big-endian hosts begin at the high end.
    `stale` is what the piece headers hold where the driver writes nothing.
    """
    mark = MARK[order]
    low_first = (bit_order or order) == LITTLE
    flags = 1 | compression << 4 if low_first else 1 << 5 | compression
    table_end = HDR_SIZE + ENTITY_HDR_SIZE * max_entities
    built = Built(bytearray(table_end), order, max_entities)
    for entity in sorted(entities, key=_when_collected):
        offset = built.offsets[entity.number] = len(built.data)
        stored, pad = entity.stored, 0
        if stored is None:
            stored, places = _stored(entity.data, compression, mark, stale, offset)
            built._pieces[entity.number] = places
            pad = -len(stored) % 4
        built.data += stored + bytes(pad)
        struct.pack_into(mark + "IIIiiiB", built.data, built.slot(entity.number), entity.number, offset, len(stored) + pad,
                         entity.status, entity.sys_warn, entity.sys_err, pad)  # fmt: skip
    struct.pack_into(mark + "IIHHIIHBB", built.data, 0, SIGNATURE, HDR_SIZE, *version, len(built.data), 0, max_entities, chip,
                     flags)  # fmt: skip
    return built


def _when_collected(entity: Entity) -> int:
    return COLLECTION.index(entity.number) if entity.number in COLLECTION else len(COLLECTION) + entity.number


def _stored(data: bytes, compression: int, mark: str, stale: int, offset: int) -> tuple[bytes, list[PieceAt]]:
    if compression != ZLIB:
        return data, []
    stored, places = b"", []
    for first in range(0, len(data), PIECE):
        stream = deflate(data[first : first + PIECE])
        size = len(data[first : first + PIECE])
        header = offset + len(stored)
        places.append(
            PieceAt(header, header + PIECE_HDR_SIZE, header + PIECE_HDR_SIZE + len(stream), first, first + size)
        )
        stored += piece_header(size, len(stream), mark, stale) + stream
    return stored, places


def deflate(data: bytes) -> bytes:
    """One zlib stream with the driver's parameters: a window of 2**12 and memory level 4."""
    engine = zlib.compressobj(6, zlib.DEFLATED, 12, 4)
    return engine.compress(data) + engine.flush()


def piece_header(size: int, packed: int, mark: str = "<", stale: int = 0) -> bytes:
    return struct.pack(mark + "IIQQ256s", 17, stale, size, packed, bytes([stale & 0xFF]) * 256)


# -- payloads ---------------------------------------------------------------------------------------------------------


def reg_dump(words: Mapping[int, int] | None = None, *, chip: int = T6, order: str = LITTLE, fill: int = 0) -> bytes:
    """The register map with the given words, by address; the others hold `fill`."""
    size = REG_DUMP_SIZE[chip]
    data = bytearray(struct.pack(MARK[order] + "I", fill) * (size // 4))
    for address, value in (words or {}).items():
        struct.pack_into(MARK[order] + "I", data, address, value)
    return bytes(data)


def numbered_reg_dump(*, chip: int = T6, order: str = LITTLE) -> bytes:
    """A register map in which every word holds its own address plus one: never zero, all different."""
    count = REG_DUMP_SIZE[chip] // 4
    return struct.pack(f"{MARK[order]}{count}I", *(4 * i + 1 for i in range(count)))


def log_entry(seqno: int, text: bytes | str = "entry", params: Iterable[int] = (), *, timestamp: int | None = None,
              level: int = 4, facility: int = 0) -> bytes:  # fmt: skip
    """A slot of the firmware log: big endian on every host."""
    text = text.encode() if isinstance(text, str) else text
    eight = [*params, *[0] * 8][:8]
    when = 1000 + seqno if timestamp is None else timestamp
    return struct.pack(">QIHBB192s8I16x", when, seqno, 0, level, facility, text, *eight)


EMPTY_SLOT = bytes(256)
ERASED_SLOT = b"\xff" * 256


def vpd_data(*, sn: bytes = b"PT01", bn: bytes = b"110", na: bytes = b"000743000001", mn: bytes = b"T6",
             firmware: tuple[int, int, int, int] = (1, 27, 5, 0), order: str = LITTLE) -> bytes:  # fmt: skip
    """struct cudbg_vpd_data."""
    return struct.pack(MARK[order] + "25s17s13s17s4HII", sn, bn, na, mn, *firmware, 0x1000043, 0x35)


def usual(*, order: str = LITTLE, chip: int = T6, **declared: Any) -> Built:
    """A dump as most tests need it: log, registers, an odd-sized entity, versions, and one that failed."""
    return copy.deepcopy(_usual(order, chip, **declared))


@cache
def _usual(order: str, chip: int, **declared: Any) -> Built:
    log = b"".join(log_entry(n, f"entry {n}") for n in range(6)) + EMPTY_SLOT * 2
    return cudbg(
        Entity(MBOX_LOG, b"mailbox" * 9),
        Entity(DEV_LOG, log),
        Entity(REG_DUMP, numbered_reg_dump(chip=chip, order=order)),
        Entity(CIM_LA, status=-29, sys_err=-16),
        Entity(PATH_MTU, struct.pack(MARK[order] + "16H", *range(88, 104))),
        Entity(VPD_DATA, vpd_data(order=order)),
        Entity(EDC0, bytes(range(256)) * 600),
        order=order,
        chip=chip,
        **declared,
    )


# -- looking at the result --------------------------------------------------------------------------------------------


def contents(nic: Any) -> dict[int, bytes | None]:
    """The decoded bytes of every entity; None where there are none."""
    found: dict[int, bytes | None] = {}
    for number in nic.container.entities:
        try:
            found[number] = nic.entity_bytes(number)
        except vl.NotInFileError:
            found[number] = None
    return found


def messages(nic: Any, severity: str = "error") -> list[str]:
    """What is wrong with a dump, after reading it whole: where, and the message."""
    nic.check()
    return [f"{problem.where}: {problem.message}" for problem in nic.problems if problem.severity == severity]
