"""From columns back to bytes: the same declarations that decode an entity, the other way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities import decoder
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder
from vmcoredd_lab.devices.cxgb4.layout import REST, Layout, columns_of
from vmcoredd_lab.errors import NotInFileError, UsageError
from vmcoredd_lab.structs import ByteOrder
from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import escape

__all__ = ["encode_entity"]

SIGNATURE = 0xCCEDB001  # CUDBG_ENTITY_SIGNATURE, cudbg_entity.h
LONG = 1 << 16


def encode_entity(
    name: str,
    records: Mapping[str, Any],
    *,
    chip: str,
    byteorder: ByteOrder = "little",
    version: tuple[int, int] = (1, 14),
) -> bytes:
    """Return the bytes that the driver would have collected for an entity with these records.

    Parameters
    ----------
    name: the entity, e.g. ``mps_tcam``
    records: a DataFrame (or table) of members for each part, as ``nic.records(name)`` gives them; cells may have been
        changed, rows added or removed
    chip: ``T4``, ``T5`` or ``T6``
    byteorder: of the host that collects
    version: of the format: (1, 14) for Linux, (1, 9) for the Unified Wire

    Raises
    ------
    NotInFileError: no decoder for that entity.
    UsageError: the parts are not those of any layout of the entity; a column is missing; a value does not fit its member.
    """
    one = decoder(name)
    if one is None:
        raise NotInFileError(f"no decoder for an entity named {escape(name)}")
    known = _layouts(one, Context(chip, byteorder, version))
    for layout in known:
        if _fits(layout, records, byteorder):
            try:
                return layout.join(layout.arrays(records, byteorder))
            except ValueError as error:
                raise UsageError(f"the records do not make an entity {name}: {error}") from None
    expected = " or ".join(", ".join(part.name for part in layout.parts) for layout in known)
    raise UsageError(
        f"the records are not those of entity {name}", expected=f"parts {expected} with the columns of nic.records()",
        got=", ".join(records) or "none",
    )  # fmt: skip


def _layouts(one: EntityDecoder, context: Context) -> list[Layout]:
    """Return the layouts of an entity: those of an empty payload, of one with a version header, and of a long one."""
    header = declared("cudbg_ver_hdr").write(signature=SIGNATURE, revision=1, byteorder=context.byteorder)
    return [one.layout(context, probe) for probe in (b"", header + bytes(LONG), bytes(LONG))]


def _fits(layout: Layout, records: Mapping[str, Any], byteorder: ByteOrder) -> bool:
    """Return True where the records have exactly the layout's parts, each with exactly its columns."""
    if {part.name for part in layout.parts} != set(records) - {REST}:
        return False
    return all(set(columns_of(part.dtype(byteorder))) == _columns(records[part.name]) for part in layout.parts)


def _columns(table: Any) -> set[str]:
    return set(table.schema.names if isinstance(table, Table) else table.columns)
