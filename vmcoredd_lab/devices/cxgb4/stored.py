"""The entities of a dump as they are stored: found by name or number, inflated once, within limits."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vmcoredd_lab.devices.cxgb4 import framing, sixpack
from vmcoredd_lab.devices.cxgb4.container import EXT_ENTITY, CudbgContainer, EntityHeader
from vmcoredd_lab.devices.cxgb4.entity_names import describe_status, entity_name, entity_number, entity_numbers
from vmcoredd_lab.devices.cxgb4.framing import Decoded
from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.text import escape

if TYPE_CHECKING:
    from vmcoredd_lab.devices.dump import DeviceDump

__all__ = ["StoredEntities"]

MEMORIES = (18, 19, 20, 21, 68)  # EDC0, EDC1, MC0, MC1, HMA
# What an entity can hold: the driver's staging buffer is 4 MiB, QDESC has 32 MiB; memories are as large as a card's memory.
ENTITY_LIMIT, MEMORY_LIMIT = 64 << 20, 4 << 30
OVERLAP = 4  # times the dump's size: enough for a few headers that lie


class StoredEntities:
    """One cudbg dump: its container, and each entity's bytes.

    ``problems`` collects what is wrong with the dump as far as it has been read.
    """

    def __init__(self, dump: DeviceDump, container: CudbgContainer | None = None) -> None:
        self.dump = dump
        self._where = "dump" if dump.bare else f"dump:{dump.name}"
        self.container = container or CudbgContainer(dump.data, self._where)
        self.problems: Problems = self.container.problems

    @property
    def chip(self) -> str:
        """``T4``, ``T5`` or ``T6``."""
        return self.container.chip

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
        return self._packed(entity) is not None

    def _packed(self, entity: EntityHeader) -> str | None:
        if self._fastlz(entity):
            return "fastlz"
        return "zlib" if self._zlib and entity.number != EXT_ENTITY else None

    def packed_as(self, name: str | int) -> str | None:
        """Return how an entity's stored bytes are packed: ``zlib``, ``fastlz``, None where they are as they were collected.

        Raises
        ------
        NotInFileError: as :meth:`decoded`.
        """
        return self._packed(self.container.entities[self.find(name)])

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
        """Return an entity's decoded bytes, of a compressed one those of its first piece only, or all where they are known."""
        known = self._cache.get(entity.number)
        if known is not None:
            return known.data
        if not self._compressed(entity):
            return self._stored(entity)
        first = next(self._pieces(entity, Problems()), None)
        return first.data if first else b""

    def beginning(self, name: str | int) -> bytes | memoryview:
        """Return an entity's first decoded bytes: of a compressed one those of its first piece.

        Raises
        ------
        NotInFileError: as :meth:`decoded`.
        """
        return self._beginning(self._find(name))

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

    def is_known(self, number: int) -> bool:
        """Return whether an entity has been inflated already."""
        return number in self._cache

    def known_damage(self, number: int) -> list[tuple[int, int]]:
        """Return the damaged ranges of an entity as far as it has been inflated already."""
        known: Decoded | None = self._cache.get(number)
        return known.damaged if known is not None else []

    def entity_bytes(self, name: str | int) -> bytes:
        """Return an entity's bytes as the driver collected them: decompressed, without padding; damaged ranges are zero.

        Raises
        ------
        NotInFileError: as :meth:`decoded`.
        """
        return bytes(self.decoded(name).data)

    @cached_property
    def _affordable(self) -> set[int]:
        """The entities that are read when all are: not many times the same bytes, where many headers claim them."""
        left, found = OVERLAP * len(self.dump.data), set()
        for entity in self.container.entities.values():
            if entity.available <= left:
                left -= entity.available
                found.add(entity.number)
        return found

    def decoded_size(self, entity: EntityHeader) -> int | None:
        """Return an entity's size decoded, as the chunk headers have it; None where they cannot be believed."""
        if entity.number not in self._sizes:
            self._sizes[entity.number] = self._decoded_size(entity)
        return self._sizes[entity.number]

    @cached_property
    def _sizes(self) -> dict[int, int | None]:
        return {}

    def _decoded_size(self, entity: EntityHeader) -> int | None:
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


def _limit(entity: EntityHeader) -> int:
    return MEMORY_LIMIT if entity.number in MEMORIES else ENTITY_LIMIT
