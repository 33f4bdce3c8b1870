"""What is known of the structure of each space: which declarations lie where."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from vmcoredd_lab.containers.elf import ElfContainer
from vmcoredd_lab.containers.elf_structs import EHDR, NHDR, P_TYPES, PHDR, SHDR
from vmcoredd_lab.containers.kdump_structs import DISK_DUMP_HEADER, KDUMP_SUB_HEADER
from vmcoredd_lab.devices.cxgb4.register_table import parse_fields
from vmcoredd_lab.devices.cxgb4.structs import CUDBG_HDR, ENTITY_HDR
from vmcoredd_lab.devices.dump import DeviceDump
from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.model import Note
from vmcoredd_lab.notes.names import type_name
from vmcoredd_lab.notes.vmcoredd import DUMP_NAME_SIZE
from vmcoredd_lab.structs import Struct
from vmcoredd_lab.text import escape, human_size
from vmcoredd_lab.widgets.space_set import SpaceSet
from vmcoredd_lab.widgets.structure import Array, Field, Group, Node, Record, number

__all__ = ["Overlay"]

PN_XNUM = 0xFFFF


class Overlay:
    """The roots of the structure trees, space by space."""

    def __init__(self, spaces: SpaceSet) -> None:
        self._spaces = spaces
        self._made: dict[str, Sequence[Node]] = {}

    def roots(self, key: str) -> Sequence[Node]:
        """Return the top nodes of a space; none where nothing is known of it."""
        if key not in self._made:
            try:
                self._made[key] = self._make(key)
            except VmcoreddLabError:
                self._made[key] = ()
        return self._made[key]

    def _make(self, key: str) -> Sequence[Node]:
        kind, _, name = key.partition(":")
        core = self._spaces.core
        if key == "file" and core is not None:
            return self._elf() if isinstance(core.container, ElfContainer) else self._kdump()
        if key == "file" and self._spaces.dumps:
            return [_dump_link(dump, dump.offset) for dump in self._spaces.dumps]
        if kind == "dump":
            return _cudbg(self._spaces.dump(name))
        if kind == "entity":
            dump, entity = name.rsplit("/", 1)
            return _entity(self._spaces.dump(dump).decode(), entity)
        return ()

    # -- containers ---------------------------------------------------------------------------------------------------

    def _read(self, offset: int, size: int) -> bytes:
        assert self._spaces.core is not None, "only vmcores have containers"
        return self._spaces.core.container.source.read(offset, size)

    def _elf(self) -> Sequence[Node]:
        assert self._spaces.core is not None
        container: Any = self._spaces.core.container
        bits, order = container.bits, container.byteorder
        found: list[Node] = []
        header = Record(
            "ELF header", 0, self._read(0, EHDR[bits].size(order, bits)), EHDR[bits], byteorder=order, bits=bits
        )
        found.append(header)
        table, size = container.program_headers, PHDR[bits].size(order, bits)
        first = int(container.header["e_phoff"])

        def segment(i: int) -> Node:
            kind = int(table[i]["p_type"])
            node = Record(f"[{i}] {P_TYPES.get(kind, hex(kind))}", first + i * size, table[i].tobytes(), PHDR[bits],
                          byteorder=order, bits=bits)  # fmt: skip
            offset, size_, physical = (int(table[i][name]) for name in ("p_offset", "p_filesz", "p_paddr"))
            node.value = f"at {offset:#x}, {human_size(size_)} of physical {physical:#x}"
            return node

        found.append(Array("program headers", first, first + size * len(table), f"{len(table):,}", "", count=len(table),
                           size=size, make=segment))  # fmt: skip
        if int(container.header["e_phnum"]) == PN_XNUM and int(container.header["e_shoff"]):
            at = int(container.header["e_shoff"])
            found.append(Record("section header 0", at, self._read(at, SHDR[bits].size(order, bits)), SHDR[bits],
                                byteorder=order, bits=bits))  # fmt: skip
        notes = self._notes()
        return sorted([*found, *notes], key=lambda n: n.start)

    def _kdump(self) -> Sequence[Node]:
        assert self._spaces.core is not None
        container: Any = self._spaces.core.container
        order, bits = container.byteorder, container.bits
        align = 4 if container.machine == "i386" else 8
        block = container.block_size
        head = DISK_DUMP_HEADER.size(order, bits, align)
        found: list[Node] = [
            Record("disk_dump_header", 0, self._read(0, head), DISK_DUMP_HEADER, byteorder=order, bits=bits, max_align=align),
            Record("kdump_sub_header", block, self._read(block, KDUMP_SUB_HEADER.size(order, bits, align)), KDUMP_SUB_HEADER,
                   byteorder=order, bits=bits, max_align=align),
        ]  # fmt: skip
        return sorted([*found, *self._notes()], key=lambda n: n.start)

    def _notes(self) -> Sequence[Node]:
        assert self._spaces.core is not None
        notes = self._spaces.core.container.notes
        if not notes:
            return ()
        dumps = {dump.offset: dump for dump in self._spaces.dumps}
        inside = [self._note(i, note, dumps) for i, note in enumerate(notes)]
        return [
            Group(
                "notes",
                min(n.start for n in inside),
                max(n.end for n in inside),
                f"{len(inside):,}",
                make=lambda: inside,
            )
        ]

    def _note(self, i: int, note: Note, dumps: dict[int, DeviceDump]) -> Node:
        order = self._spaces.core.byteorder if self._spaces.core else "little"
        end = note.desc_offset + note.available
        name = type_name(note.owner, note.type) or f"type {note.type:#x}"
        node = Group(
            f"[{i}] {note.owner} {name}", note.header_offset, max(end, note.desc_offset), human_size(note.desc_size)
        )

        def parts() -> Sequence[Node]:
            size = NHDR.size()
            header = Record(
                "note header", note.header_offset, self._read(note.header_offset, size), NHDR, byteorder=order
            )
            raw = self._read(note.header_offset + size, min(note.desc_offset - note.header_offset - size, 1024))
            found: list[Node] = [header, Field("owner", note.header_offset + size, note.desc_offset, escape(raw.rstrip(b"\0")),
                                               "n_namesz bytes, filled up to 4")]  # fmt: skip
            dump = dumps.get(note.desc_offset + DUMP_NAME_SIZE)
            if note.is_device_dump and dump is not None:
                found.append(Field("dump_name", note.desc_offset, dump.offset, dump.name, "the driver's choice"))
                found.append(_dump_link(dump, dump.offset))
            elif note.available:
                found.append(Field("descriptor", note.desc_offset, end, human_size(note.available), "", f"note:{i}"))
            return found

        node.make = parts
        return node


def _dump_link(dump: DeviceDump, start: int) -> Node:
    end = start + len(dump.data)
    size = human_size(len(dump.data))
    return Field(f"device dump {dump.name}", start, end, size, "what the driver collected", f"dump:{dump.space}")


def _cudbg(dump: DeviceDump) -> Sequence[Node]:
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


def _entity(nic: Any, name: str) -> Sequence[Node]:
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
