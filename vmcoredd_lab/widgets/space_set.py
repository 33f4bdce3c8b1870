"""The spaces that one opened thing has, by key, each made when it is asked for.

Keys are those of findings: ``file``, ``physical``, ``virtual``, ``note:INDEX``, ``dump:NAME``, ``entity:NAME/ENTITY`` (decoded
bytes) and ``stored:NAME/ENTITY`` (as the dump holds them), ``buffer``.
"""

from __future__ import annotations

from typing import Any

from vmcoredd_lab.devices.dump import DeviceDump
from vmcoredd_lab.errors import NotInFileError, UsageError
from vmcoredd_lab.opening import OpenedFile, open_file
from vmcoredd_lab.source import Buffer, ByteSource
from vmcoredd_lab.text import escape, human_size
from vmcoredd_lab.vmcore import Vmcore
from vmcoredd_lab.widgets.spaces import BufferSpace, FileSpace, MemorySpace, Ranges, Space

__all__ = ["SpaceSet", "space_set"]

ALL_ADDRESSES = 1 << 64


class SpaceSet:
    """What can be shown of a vmcore, a device dump, or plain bytes."""

    def __init__(self, core: Vmcore | None, dumps: list[DeviceDump], source: ByteSource | None, data: Any = None,
                 first: str = "file") -> None:  # fmt: skip
        self.core, self.dumps, self.source = core, dumps, source
        self._data = data
        self.first = first
        self._made: dict[str, Space] = {}

    def keys(self) -> list[tuple[str, str]]:
        """Return (key, title) of the spaces that a person chooses from; entities come with :meth:`entities`."""
        found: list[tuple[str, str]] = []
        if self._data is not None:
            found.append(("buffer", "bytes"))
        if self.source is not None:
            found.append(("file", "file"))
        if self.core is not None:
            found += [("physical", "physical memory"), ("virtual", "virtual memory")]
        found += [(f"dump:{dump.space}", f"device dump {dump.name}") for dump in self.dumps]
        for key, space in self._made.items():
            if key not in dict(found):
                found.append((key, space.title))
        return found

    def entities(self, dump: DeviceDump) -> list[tuple[str, str, int]]:
        """Return (name, key, offset in the dump) of the entities that hold data; none where no decoder lists them."""
        container = getattr(dump.decode(), "container", None) if dump.decoder is not None else None
        if container is None:
            return []
        return [
            (e.name, f"entity:{dump.space}/{e.name}", e.offset)
            for e in container.entities.values()
            if e.stored_size and e.available
        ]

    def get(self, key: str) -> Space:
        """Return the space of a key.

        Raises
        ------
        NotInFileError: there is no such dump, note or entity, or its collection failed.
        UsageError: the key is of no known kind.
        """
        if key not in self._made:
            self._made[key] = self._make(key)
        return self._made[key]

    def _make(self, key: str) -> Space:
        kind, _, name = key.partition(":")
        if key == "buffer" and self._data is not None:
            return BufferSpace(key, "bytes", "buffer", self._data)
        if key == "file" and self.source is not None:
            return FileSpace(self.source)
        if key in ("physical", "virtual") and self.core is not None:
            return self._memory(self.core, key)
        if kind == "note" and self.core is not None and name.isdigit():
            notes = self.core.container.notes
            if int(name) >= len(notes):
                raise NotInFileError(f"no note {name}", got=f"{len(notes)} notes", path=self.core.path)
            note = notes[int(name)]
            data = Buffer(self.core.container.source, note.desc_offset, note.desc_size, note.available)
            return BufferSpace(key, f"note {name}, {escape(note.owner)}", "note", data, declared=note.desc_size)
        if kind == "dump":
            dump = self.dump(name)
            return BufferSpace(
                key, f"device dump {dump.name}", "dump", dump.data, declared=dump.size if not dump.bare else None
            )
        if kind in ("entity", "stored") and "/" in name:
            return self._entity(kind, *name.rsplit("/", 1))
        raise UsageError(f"no space named {escape(key)}", expected=", ".join(k for k, _ in self.keys()))

    def dump(self, name: str) -> DeviceDump:
        """Return the device dump of that name.

        Raises
        ------
        NotInFileError: there is none.
        """
        for dump in self.dumps:
            if dump.space == name:
                return dump
        raise NotInFileError(
            f"no device dump named {escape(name)}", got=", ".join(d.name for d in self.dumps) or "none"
        )

    def _entity(self, kind: str, dump_name: str, entity: str) -> Space:
        dump = self.dump(dump_name)
        nic = dump.decode()
        name = f"{entity} of {dump.name}"
        if kind == "stored":
            header = nic.container.entities[nic.find(entity)]
            return BufferSpace(f"stored:{dump_name}/{entity}", f"{name}, as stored", "stored",
                               dump.data.window(header.offset, header.stored_size), declared=header.stored_size)  # fmt: skip
        decoded = nic.decoded(entity)
        return BufferSpace(f"entity:{dump_name}/{entity}", f"{name} ({human_size(len(decoded.data))})", "entity", decoded.data,
                           damaged=decoded.damaged)  # fmt: skip

    def _memory(self, core: Vmcore, kind: str) -> Space:
        table = core.segments_table()
        if kind == "physical":
            ranges = Ranges.of_segments(table, "paddr")
            return MemorySpace(core, kind, lambda: ranges, max([1, *ranges.ends]))
        return MemorySpace(core, kind, lambda: Ranges.of_segments(table, "vaddr"), ALL_ADDRESSES)


def space_set(what: Any, *, entity: str | None = None, stored: bool = False) -> SpaceSet:
    """Return the spaces of a vmcore, a device dump, a decoded adapter, a path, or anything with bytes in it.

    With ``entity`` that entity of the (first) device dump is shown first, as it was collected, or with ``stored`` as it lies in
    the dump.
    """
    if isinstance(what, str) or hasattr(what, "__fspath__"):
        what = open_file(what)
    found: SpaceSet
    if isinstance(what, OpenedFile):
        found = SpaceSet(what.core, list(what.device_dumps), what.source)
    elif isinstance(what, Vmcore):
        found = SpaceSet(what, list(what.device_dumps), what.container.source)
    elif isinstance(what, DeviceDump) or isinstance(getattr(what, "dump", None), DeviceDump):
        dump = what if isinstance(what, DeviceDump) else what.dump
        found = SpaceSet(None, [dump], dump.source, first=f"dump:{dump.space}")
    else:
        try:
            data = what if isinstance(what, Buffer) else memoryview(what).cast("B")
        except TypeError:
            raise UsageError(
                f"a hex view cannot show {type(what).__name__}",
                expected="a vmcore, a device dump, an adapter, a path or bytes",
            ) from None
        return SpaceSet(None, [], None, data, first="buffer")
    if entity is not None:
        if not found.dumps:
            raise NotInFileError(f"no entity {escape(entity)}: there are no device dumps")
        found.first = f"{'stored' if stored else 'entity'}:{found.dumps[0].space}/{entity}"
        found.get(found.first)
    return found
