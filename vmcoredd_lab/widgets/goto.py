"""Where ``go to`` goes: numbers, relative numbers, names of registers, memory regions, entities, notes, dumps, segments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from vmcoredd_lab.devices.dump import DeviceDump
from vmcoredd_lab.errors import NotInFileError, VmcoreddLabError
from vmcoredd_lab.text import escape
from vmcoredd_lab.widgets.space_set import SpaceSet

__all__ = ["Goto", "Place"]

_NUMBER = re.compile(
    r"(?P<sign>[+-]?)\s*(?:0x(?P<hex>[0-9a-f_]{1,20})|(?P<bare>[0-9a-f_]{1,20})h|(?P<dec>[0-9_]{1,20}))\Z", re.I
)
_SPACE = re.compile(
    r"(?P<space>physical|virtual|file|buffer|(?:dump|entity|stored|note):.+)\s*[@ ]\s*(?P<rest>\S+)\Z", re.I
)
_PART = re.compile(r"(?P<kind>segment|note)[ :]\s*(?P<number>[0-9]{1,12})\Z", re.I)
MOST_NAMES = 40
MOST_OFFERED = 512  # of notes and of segments; all can be gone to by number


@dataclass(frozen=True)
class Place:
    """A stretch of bytes in a space, and what it is called."""

    space: str
    address: int
    size: int
    name: str


class Goto:
    """Resolves what a person types."""

    def __init__(self, spaces: SpaceSet) -> None:
        self._spaces = spaces

    def resolve(self, text: str, space: str, address: int) -> Place:
        """Return the place that ``text`` names, seen from an address of a space.

        ``0x1f00``, ``7936``, ``1f00h``; ``+0x100`` and ``-16`` from where the cursor is; ``physical 0x1000``; names.

        Raises
        ------
        NotInFileError: nothing has that name.
        """
        text = text.strip()
        within = _SPACE.match(text)
        if within:
            key = within["space"]
            key = key.lower() if ":" not in key else key
            self._spaces.get(key)
            return self.resolve(within["rest"], key, self._spaces.get(key).start)
        number = _NUMBER.match(text)
        if number:
            digits = number["hex"] or number["bare"] or number["dec"]
            value = int(digits.replace("_", "") or "0", 10 if number["dec"] else 16)
            if number["sign"]:
                value = address + (value if number["sign"] == "+" else -value)
            return Place(space, self._inside(space, value, text), 1, "")
        part = self._part(text)
        if part is not None:
            return part
        called = [place for name, place in self._all if name.lower() == text.lower()]
        if called:  # of several adapters that have it, the one that is looked at
            return next((place for place in called if _dump_of(place.space) == _dump_of(space)), called[0])
        close = self.names(text)[:4]
        raise NotInFileError(
            f"nothing is called {escape(text)}",
            hint=f"there is {', '.join(close)}"
            if close
            else "registers, memory regions, entities, dumps, notes and segments have names",
        )

    def _part(self, text: str) -> Place | None:
        """Return the place of ``segment N`` or ``note:N``, of which there may be millions."""
        part = _PART.match(text)
        container = self._spaces.core.container if self._spaces.core is not None else None
        if part is None or container is None:
            return None
        kind, i = part["kind"].lower(), int(part["number"])
        headers: Any = container.notes if kind == "note" else getattr(container, "program_headers", ())
        if i >= len(headers):
            raise NotInFileError(f"no {kind} {i}", got=f"{len(headers):,} of them")
        if kind == "note":
            return Place("file", headers[i].header_offset, 12, f"note {i} {headers[i].owner}")
        return Place("file", int(headers[i]["p_offset"]), 1, f"segment {i}")

    def _inside(self, key: str, value: int, text: str) -> int:
        space = self._spaces.get(key)
        if not space.start <= value < max(space.end, space.start + 1):
            raise NotInFileError(
                f"{escape(text)} is outside {space.title}",
                expected=f"{space.start:#x} up to {space.end:#x}",
                got=f"{value:#x}",
            )
        return value

    def names(self, prefix: str) -> list[str]:
        """Return names that begin with, or else contain, what was typed so far."""
        wanted = prefix.strip().lower()
        found = dict.fromkeys(name for name, _ in self._all if wanted in name.lower())
        return sorted(found, key=lambda name: not name.lower().startswith(wanted))[:MOST_NAMES]

    @cached_property
    def _all(self) -> list[tuple[str, Place]]:
        found: list[tuple[str, Place | None]] = []
        spaces = self._spaces
        for dump in spaces.dumps:
            key = f"dump:{dump.space}"
            found.append((key, Place(key, 0, 1, dump.name)))
            try:
                found += [(name, Place(entity, 0, 1, name)) for name, entity, _ in spaces.entities(dump)]
                found += self._registers(dump)
                found += self._regions(dump)
            except VmcoreddLabError:
                continue
        if spaces.core is not None:
            for i in range(min(len(spaces.core.container.notes), MOST_OFFERED)):
                found.append((f"note:{i}", self._part(f"note:{i}")))
            for i in range(min(len(getattr(spaces.core.container, "program_headers", ())), MOST_OFFERED)):
                found.append((f"segment {i}", self._part(f"segment {i}")))
        return [(name, place) for name, place in found if place is not None]

    def _registers(self, dump: DeviceDump) -> list[tuple[str, Place]]:
        nic: Any = dump.decode()
        if not hasattr(nic, "registers_table"):
            return []
        table = nic.registers_table()
        key = f"entity:{dump.space}/reg_dump"
        rows = zip(table.values("register"), table.values("instance"), table.values("address"), strict=True)
        return [  # the register at address A is at byte A of the decoded entity
            (name if instance is None else f"{name}[{instance}]", Place(key, address, 4, name))
            for name, instance, address in rows
            if name
        ]

    def _regions(self, dump: DeviceDump) -> list[tuple[str, Place]]:
        """Return the adapter's memories and their regions, where the dump holds the memory's image."""
        memory = getattr(dump.decode(), "memory", None)
        if memory is None:
            return []
        held = {entity: key for entity, key, _ in self._spaces.entities(dump)}
        return [
            (name, Place(held[entity], offset, size, name))
            for _, name, entity, offset, size in memory.stretches()
            if entity in held
        ]


def _dump_of(space: str) -> str:
    """Return which device dump a space is of, empty where none."""
    kind, _, name = space.partition(":")
    return name.rpartition("/")[0] if kind in ("entity", "stored") else name if kind == "dump" else ""
