"""From an entity's decoded bytes to its table, through the decoder registered for it; shared by every adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.entities import decoder
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder
from vmcoredd_lab.devices.cxgb4.entity_names import entity_name
from vmcoredd_lab.devices.cxgb4.layout import Layout, Parts
from vmcoredd_lab.errors import NotInFileError, VmcoreddLabError
from vmcoredd_lab.tables import Column, Schema, Table

if TYPE_CHECKING:
    from vmcoredd_lab.devices.cxgb4.adapter_tables import TableViews

__all__ = ["EntityFrames", "NewerLayoutError"]

VERSION_SIGNATURE = 0xCCEDB001  # CUDBG_ENTITY_SIGNATURE, cudbg_entity.h
DAMAGED = Column("damaged", "bool", "true where bytes of the row could not be read: its values are not to be believed")


class NewerLayoutError(NotInFileError):
    """A payload carries a version header that this release does not know; its bytes are there all the same."""


class EntityFrames:
    """The entities of one adapter as tables."""

    def __init__(self, adapter: TableViews) -> None:
        self._adapter = adapter

    def context(self) -> Context:
        """Return what the payloads' meaning depends on."""
        a = self._adapter
        return Context(a.chip, a.container.byteorder, a.container.version, self._registers, self.parts_or_none)

    def _registers(self) -> Any:
        try:
            return self._adapter.register_dump
        except VmcoreddLabError:
            return None

    def parts_or_none(self, name: str) -> Parts | None:
        """Return the parts of an entity, or None where it is not there or has no decoder."""
        try:
            return self.parts(name)[2]
        except VmcoreddLabError:
            return None

    def parts(self, name: str | int) -> tuple[EntityDecoder, Layout, Parts]:
        """Return decoder, layout and parts of an entity.

        Raises
        ------
        NotInFileError: the entity is not there, has no decoder, or (NewerLayoutError) is of a newer layout.
        """
        number, decoded = self._adapter.find(name), self._adapter.decoded(name)
        ver_hdr = self._ver_hdr(decoded.data)
        one = decoder(entity_name(number), ver_hdr)
        if one is None:
            raise NotInFileError(
                f"no decoder for entity {entity_name(number)} yet", path=self._adapter.dump.source.name
            )
        context = self.context()
        self._check_version(one, ver_hdr, number)
        layout = one.layout(context, decoded.data)
        return one, layout, layout.split(decoded.data, context.byteorder)

    def _ver_hdr(self, data: bytes | memoryview) -> tuple[int, int] | None:
        """Return revision and size of the struct cudbg_ver_hdr that leads; None where none does."""
        order = self._adapter.container.byteorder
        if len(data) < 8 or int.from_bytes(data[:4], order) != VERSION_SIGNATURE:
            return None
        return int.from_bytes(data[4:6], order), int.from_bytes(data[6:8], order)

    def check_version(self, number: int, data: bytes | memoryview) -> None:
        """Look at the version header that leads an entity's bytes, of which the first are enough.

        Raises
        ------
        NewerLayoutError: the decoder of the entity does not know it.
        """
        ver_hdr = self._ver_hdr(data)
        one = decoder(entity_name(number), ver_hdr) if ver_hdr else None
        if one is not None:
            self._check_version(one, ver_hdr, number)

    def _check_version(self, one: EntityDecoder, ver_hdr: tuple[int, int] | None, number: int) -> None:
        if ver_hdr is None or one.knows(*ver_hdr):
            return
        revision, size = ver_hdr
        known = " or ".join(str(v) for v in one.versions) or "no version header"
        raise NewerLayoutError(
            f"entity {entity_name(number)} is of a newer layout than this release knows", path=self._adapter.dump.source.name,
            expected=f"revision {known}", got=f"revision {revision} of {size} bytes", hint="its bytes are shown as they are",
        )  # fmt: skip

    def table(self, name: str | int) -> Table:
        """Return the entity's table; rows whose bytes are damaged are marked in a column ``damaged``."""
        one, _, parts = self.parts(name)
        table = one.table(parts, self.context())
        return mark_damaged(table, self._adapter.decoded(name).damaged)

    def summary(self, name: str | int) -> str:
        """Return one line about the entity's content."""
        one, _, parts = self.parts(name)
        return one.summary(parts, self.context())


def mark_damaged(table: Table, damaged: list[tuple[int, int]]) -> Table:
    """Return the table with a column ``damaged`` where rows lie in damaged ranges; else the table itself."""
    if not damaged or table.spans is None or not len(table):
        return table
    hit = np.zeros(len(table), bool)
    for start, end in damaged:
        hit |= (table.spans[:, 0] < end) & (table.spans[:, 1] > start)
    if not hit.any():
        return table
    schema = Schema(table.schema.name, table.schema.doc, (*table.schema.columns, DAMAGED), table.schema.tail)
    return Table(schema, {**table.columns, DAMAGED.name: hit}, dict(table.attrs), table.spans)
