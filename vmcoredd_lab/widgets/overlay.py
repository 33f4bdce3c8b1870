"""What is known of the structure of each space: which declarations lie where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vmcoredd_lab.containers.elf import ElfContainer
from vmcoredd_lab.containers.elf_structs import EHDR, NHDR, P_TYPES, PHDR, SHDR
from vmcoredd_lab.containers.kdump_structs import DISK_DUMP_HEADER, KDUMP_SUB_HEADER
from vmcoredd_lab.devices.dump import DeviceDump
from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.model import Note
from vmcoredd_lab.notes.names import type_name
from vmcoredd_lab.notes.vmcoredd import DUMP_NAME_SIZE
from vmcoredd_lab.text import escape, human_size
from vmcoredd_lab.widgets.cudbg_overlay import dump_link, of_dump, of_entity, of_stored
from vmcoredd_lab.widgets.space_set import SpaceSet
from vmcoredd_lab.widgets.structure import Array, Field, Group, Node, Record

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
            return [dump_link(dump, dump.offset) for dump in self._spaces.dumps]
        if kind == "dump":
            return of_dump(self._spaces.dump(name))
        if kind in ("entity", "stored"):
            dump, entity = name.rsplit("/", 1)
            of = self._spaces.dump(dump)
            return of_entity(of.decode(), entity) if kind == "entity" else of_stored(of, entity)
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
                found.append(dump_link(dump, dump.offset))
            elif note.available:
                found.append(Field("descriptor", note.desc_offset, end, human_size(note.available), "", f"note:{i}"))
            return found

        node.make = parts
        return node
