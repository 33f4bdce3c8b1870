"""What every entity decoder is: a layout that goes both ways, and a view of it as the table people read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from vmcoredd_lab.devices.cxgb4.layout import Layout, Parts
from vmcoredd_lab.structs import ByteOrder
from vmcoredd_lab.tables import Schema, Table

if TYPE_CHECKING:
    from vmcoredd_lab.devices.cxgb4.reg_dump import RegDump

__all__ = ["Context", "EntityDecoder", "bits", "spans"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Context:
    """What a payload's meaning depends on besides its bytes.

    chip: ``T4``, ``T5`` or ``T6``; chip_version the number in it
    byteorder: of the host that collected the dump
    version: of the dump's format, (1, 14) for Linux, (1, 9) for the Unified Wire
    registers: gives the register dump, or None where it is not there
    other: gives the parts of another entity by name, or None where it is not there
    """

    chip: str
    byteorder: ByteOrder
    version: tuple[int, int] = (1, 14)
    registers: Callable[[], RegDump | None] = lambda: None
    other: Callable[[str], Parts | None] = lambda _: None

    @property
    def chip_version(self) -> int:
        """4, 5 or 6."""
        return int(self.chip[1:])

    @property
    def unified_wire(self) -> bool:
        """True for a dump that Chelsio's Unified Wire wrote (format 1.9)."""
        return self.version == (1, 9)


class EntityDecoder(ABC):
    """Decodes one entity, or several of one shape; an instance is registered under each name in ``names``.

    names: entity names, as the kernel's CUDBG_ constants in lower case
    title: what the entity is, in a few words
    schema: the columns of the table, with units
    chips: on which chips the driver collects it
    versions: revisions of cudbg_ver_hdr that the layout knows; empty where the payload carries none
    """

    names: ClassVar[tuple[str, ...]]
    title: ClassVar[str]
    schema: ClassVar[Schema]
    chips: ClassVar[str] = "T4 T5 T6"
    versions: ClassVar[tuple[int, ...]] = ()

    @abstractmethod
    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return how the payload falls into parts; ``data`` may be looked at where a size or header decides."""

    @abstractmethod
    def table(self, parts: Parts, context: Context) -> Table:
        """Return the table that people read, under :attr:`schema`, with :attr:`~vmcoredd_lab.tables.Table.spans`."""

    def knows(self, revision: int, size: int) -> bool:
        """Return True where the layout is that of a payload with this cudbg_ver_hdr."""
        return revision in self.versions

    def summary(self, parts: Parts, context: Context) -> str:
        """Return one line about the content."""
        return f"{len(self.table(parts, context)):,} rows"


def bits(word: Any, high: int, low: int) -> Any:
    """Return bits ``high``..``low`` of an unsigned word or array of words, shifted down; the dtype stays.

    >>> hex(bits(0xc000c010, 31, 24))
    '0xc0'
    """
    mask = (1 << (high - low + 1)) - 1
    if isinstance(word, np.ndarray):
        kind = word.dtype.type
        return (word >> kind(low)) & kind(mask)
    return (word >> low) & mask


def spans(first: int, size: int, count: int) -> Array:
    """Return the byte ranges of ``count`` rows of ``size`` bytes that follow one another from ``first``."""
    start = first + np.arange(count, dtype=np.int64) * size
    return np.column_stack([start, start + size])
