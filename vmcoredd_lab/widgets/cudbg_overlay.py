"""What is known of the structure of a cudbg dump: its headers, entities as stored and decoded, registers, memory regions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.register_table import parse_fields
from vmcoredd_lab.devices.cxgb4.sixpack import DATA_ID, MAGIC, TOTAL_ID
from vmcoredd_lab.devices.cxgb4.structs import COMPRESS_HDR, CUDBG_HDR, ENTITY_HDR, SIXPACK_CHUNK
from vmcoredd_lab.devices.dump import DeviceDump
from vmcoredd_lab.structs import ByteOrder, Struct
from vmcoredd_lab.text import escape, human_size
from vmcoredd_lab.widgets.structure import Array, Field, Group, Node, Record, number

__all__ = ["dump_link", "of_dump", "of_entity", "of_stored"]

MOST_PIECES = 65_536  # of a stored entity; headers that lie may go on for long


def dump_link(dump: DeviceDump, start: int) -> Node:
    """Return a device dump as a part of a note or file, which leads into its own space."""
    end = start + len(dump.data)
    size = human_size(len(dump.data))
    return Field(f"device dump {dump.name}", start, end, size, "what the driver collected", f"dump:{dump.space}")


def of_dump(dump: DeviceDump) -> Sequence[Node]:
    """Return cudbg's header, the entity headers, and the entities as they lie in a dump."""
    container = getattr(dump.decode(), "container", None)
    if container is None:
        return ()
    order, size = container.byteorder, ENTITY_HDR.size()
    first = int(container.header["hdr_len"])
    found: list[Node] = [Record("cudbg header", 0, dump.data.read(0, CUDBG_HDR.size()), CUDBG_HDR, byteorder=order)]
    slots = min(int(container.header["max_entities"]), 256)
    names = {e.number: e.name for e in container.entities.values()}

    def slot(i: int) -> Node:
        at = first + i * size
        return Record(
            f"[{i}] {names.get(i + 1, 'not attempted')}", at, dump.data.read(at, size), ENTITY_HDR, byteorder=order
        )

    found.append(
        Array("entity headers", first, first + slots * size, f"{slots}", "", count=slots, size=size, make=slot)
    )
    entities: list[Node] = [
        Field(f"entity {e.name}", e.offset, e.offset + min(e.available, e.stored_size), human_size(e.stored_size),
              "as the driver stored it", f"entity:{dump.space}/{e.name}")
        for e in container.entities.values() if e.available
    ]  # fmt: skip
    return sorted([*found, *entities], key=lambda n: n.start)


def of_stored(dump: DeviceDump, name: str) -> Sequence[Node]:
    """Return the pieces of an entity as their headers tell of them; of one that is stored as it is what its bytes are."""
    nic: Any = dump.decode()
    packed = nic.packed_as(name)
    if packed is None:
        return of_entity(nic, name)
    entity = nic.container.entities[nic.find(name)]
    stored = dump.data.view(entity.offset, min(entity.stored_size, entity.available))
    link = f"entity:{dump.space}/{name}"
    if packed == "zlib":
        order: ByteOrder = nic.container.byteorder
        return list(_pieces(stored, 0, COMPRESS_HDR, order, ("compress_id", "compress_size"), link))
    magic = Field("magic", 0, len(MAGIC), bytes(stored[: len(MAGIC)]).hex(" "), "how FastLZ 6pack begins")
    return [magic, *_pieces(stored, len(MAGIC), SIXPACK_CHUNK, "little", ("id", "size"), link)]


def _pieces(
    stored: memoryview, at: int, struct: Struct, order: ByteOrder, told: tuple[str, str], link: str
) -> Iterator[Node]:
    """Yield a group for each header and the bytes behind it, until one is no header; then the rest."""
    size = struct.size()
    for count in range(MOST_PIECES):
        if at + size > len(stored):
            break
        header = struct.read(stored, at, byteorder=order)
        kind, follows = (int(header[name]) for name in told)
        if kind not in (TOTAL_ID, DATA_ID) or not 0 < follows <= len(stored):
            break
        end = min(at + size + follows, len(stored))
        parts: list[Node] = [
            Record("header", at, stored[at : at + size], struct, byteorder=order),
            Field("packed bytes", at + size, end, human_size(end - at - size), "", link),
        ]
        yield Group(f"piece [{count}]", at, end, human_size(end - at), _made=parts)
        at = end
    if at < len(stored):
        meaning = "padding" if len(stored) - at < 4 else "no header of a piece begins here"
        yield Field("rest", at, len(stored), human_size(len(stored) - at), meaning)


def of_entity(nic: Any, name: str) -> Sequence[Node]:
    """Return what an entity's layout and the adapter's tables know of its decoded bytes."""
    if name == "reg_dump":
        return _registers(nic)
    context = nic._frames.context()
    decoder, layout, parts = nic._frames.parts(name)
    data = memoryview(nic.decoded(name).data)
    table = decoder.table(parts, context)
    found: list[Node] = []
    for part in layout.parts:
        array = parts[part.name]
        if not len(array):
            continue
        start, size = layout.offset(part.name, parts), array.dtype.itemsize
        order = part.byteorder or context.byteorder

        def element(
            i: int, start: int = start, size: int = size, struct: Struct = part.struct, order: Any = order
        ) -> Node:
            at = start + i * size
            node = Record(f"[{i}]", at, data[at : at + size], struct, byteorder=order)
            return _with_row(node, table, at, size)

        if len(array) == 1:
            only = element(0)
            only.label = part.name
            found.append(only)
        else:
            rows = Array(part.name, start, start + size * len(array), f"{len(array):,} of {part.struct.name}",
                         part.struct.source, count=len(array), size=size, make=element)  # fmt: skip
            found += [*_regions(nic, name, rows), rows]
    rest = parts["rest"]
    if rest.size:
        found.append(Field("rest", len(data) - rest.size, len(data), human_size(rest.size), "what no structure takes"))
    return found


def _regions(nic: Any, entity: str, rows: Array) -> list[Node]:
    """Return the regions of the adapter's memory that lie in a memory's image, each with its rows; of others none."""
    told = nic.memory.stretches() if hasattr(nic, "memory") else ()
    found: list[Node] = []
    for kind, name, of, offset, size in sorted(told, key=lambda one: one[3:]):
        end = min(offset + size, rows.end)
        if kind != "region" or of != entity or offset % rows.size or offset >= end:
            continue
        first, count = offset // rows.size, -(-(end - offset) // rows.size)
        found.append(Array(escape(name), offset, end, human_size(size), "a region of the adapter's memory (MEMINFO)", count=count,
                           size=rows.size, make=rows.make, first=first))  # fmt: skip
    return found


def _with_row(node: Record, table: Any, start: int, size: int) -> Node:
    """Add to a record what the decoded table says of the row that lies there."""
    if table.spans is None or not len(table):
        return node
    spans = np.asarray(table.spans)
    rows = np.flatnonzero((spans[:, 0] >= start) & (spans[:, 0] < start + size))
    if len(rows) != 1:
        return node
    row = table.take(rows)
    said = [f"{name} {value}" for name, value in row.records()[0].items() if value is not None]
    node.meaning = ", ".join(said)[:300]
    return node


def _registers(nic: Any) -> Sequence[Node]:
    registers = nic.register_dump
    table = registers.table
    names, blocks = table.registers.texts(), table.blocks.texts()
    addresses = table.addresses.astype(np.int64)
    bounds = [0, *(i for i in range(1, len(blocks)) if blocks[i] != blocks[i - 1]), len(blocks)]

    def block(low: int, high: int) -> Node:
        start, end = int(addresses[low]), int(addresses[high - 1]) + 4
        return _Registers(blocks[low] or "unnamed", start, end, f"{high - low:,} registers", registers=registers, names=names,
                          low=low, high=high)  # fmt: skip

    return [block(low, high) for low, high in pairwise(bounds)]


class _Registers(Group):
    """The registers of one block that stand together."""

    def __init__(self, *place: Any, registers: Any, names: list[str | None], low: int, high: int) -> None:
        super().__init__(*place)
        self._of, self._names, self._low = registers, names, low
        self._instances = registers.table.instances[low:high].tolist()
        self.make = lambda: [self._register(i) for i in range(low, high)]

    def _register(self, i: int) -> Node:
        registers = self._of
        address = int(registers.table.addresses[i])
        value = None if registers.missing[i] else int(registers.values[i])
        instance = self._instances[i - self._low]
        name = (self._names[i] or f"{address:#x}") + ("" if instance is None else f" [{instance}]")
        node = _Register(name, address, address + 4, "damaged" if value is None else number(value, 4))
        node.make = lambda: _fields(registers, self._names[i], address, value)
        return node

    def index_at(self, address: int) -> int | None:
        """Return the register by its address."""
        at = self._of.table.position(address // 4 * 4)
        return None if at is None or not 0 <= at - self._low < len(self.children()) else int(at) - self._low


class _Register(Group):
    """A register; its fields share its bytes, so that a byte names the register."""

    def index_at(self, address: int) -> int | None:
        """Return none of the fields."""
        return None


def _fields(registers: Any, name: str | None, address: int, value: int | None) -> Sequence[Node]:
    if not name:
        return ()
    text = next((t for a, t in registers.table.instances_of(name) if a == address), "")
    return [
        Field(f"{f.name} [{f.lsb + f.width - 1}:{f.lsb}]" if f.width > 1 else f"{f.name} [{f.lsb}]", address, address + 4,
              "" if value is None else number(f.of(value), 4))
        for f in parse_fields(text)
    ]  # fmt: skip
