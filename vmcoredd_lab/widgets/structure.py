"""The structure behind the bytes of a space, as a tree that is made as far as it is looked at.

Every node covers a range of bytes. The nodes come from the declarations that the readers decode with: ELF and kdump headers,
notes, cudbg's headers, the layouts of the entities, the register table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vmcoredd_lab.structs import ByteOrder, Struct
from vmcoredd_lab.text import escape, plural

__all__ = ["Array", "Field", "Group", "Node", "Record", "path_at", "reach"]

BRANCH = 256  # children a node has at most; longer arrays are grouped
SHOWN = 48  # characters of a value


@dataclass
class Node(ABC):
    """A range of bytes with a name; ``value`` and ``meaning`` are for people.

    ``link`` names the space in which the bytes go on, decoded: a device dump, an entity.
    """

    label: str
    start: int
    end: int
    value: str = ""
    meaning: str = ""
    link: str = ""

    @property
    def leaf(self) -> bool:
        """True where there is nothing inside."""
        return False

    @abstractmethod
    def children(self) -> Sequence[Node]:
        """Return what is inside, in order of place."""

    def index_at(self, address: int) -> int | None:
        """Return which child covers an address, None where none does."""
        for i, child in enumerate(self.children()):
            if child.start <= address < child.end:
                return i
        return None


@dataclass
class Field(Node):
    """One number, or text."""

    @property
    def leaf(self) -> bool:
        """Nothing is inside."""
        return True

    def children(self) -> Sequence[Node]:
        """Return nothing."""
        return ()


@dataclass
class Group(Node):
    """Nodes under a name, made when the group is opened."""

    make: Callable[[], Sequence[Node]] = tuple
    _made: Sequence[Node] | None = None

    def children(self) -> Sequence[Node]:
        """Return the nodes."""
        if self._made is None:
            self._made = self.make()
        return self._made


@dataclass
class Array(Node):
    """Elements of one size that follow one another; more than 256 are grouped."""

    count: int = 0
    size: int = 1
    make: Callable[[int], Node] = lambda i: Field(f"[{i}]", 0, 0)
    first: int = 0

    @property
    def _step(self) -> int:
        step = 1
        while -(-self.count // step) > BRANCH:
            step *= BRANCH
        return step

    def children(self) -> Sequence[Node]:
        """Return the elements, or groups of them."""
        return [self._child(i) for i in range(-(-self.count // self._step))]

    def _child(self, i: int) -> Node:
        step = self._step
        if step == 1:
            return self.make(self.first + i)
        count = min(step, self.count - i * step)
        start = self.start + i * step * self.size
        low = self.first + i * step
        name, end = f"[{low}] to [{low + count - 1}]", start + count * self.size
        return Array(name, start, end, count=count, size=self.size, make=self.make, first=low)

    def index_at(self, address: int) -> int | None:
        """Return the child by its place, without making the others."""
        if not self.start <= address < self.start + self.count * self.size:
            return None
        return (address - self.start) // (self.size * self._step)


class Record(Group):
    """One structure of a declaration, with a field for each member."""

    def __init__(self, label: str, start: int, data: bytes | memoryview, struct: Struct, *, byteorder: ByteOrder = "little",
                 bits: int = 64, max_align: int = 8, link: str = "") -> None:  # fmt: skip
        dtype = struct.dtype(byteorder, bits, max_align)
        held = min(len(data), dtype.itemsize)
        raw = bytes(data[:held]) + bytes(dtype.itemsize - held)
        super().__init__(label, start, start + held, f"struct {struct.name}" if " " not in struct.name else struct.name,
                         struct.doc or struct.source, link)  # fmt: skip
        self.make = lambda: members(struct, dtype, raw, start, held)


def members(struct: Struct, dtype: np.dtype[Any], raw: bytes, start: int, held: int) -> list[Node]:
    """Return a node for each member of a structure of which ``held`` bytes are there."""
    found: list[Node] = []
    fields: Any = dtype.fields or {}
    for member in struct.members:
        kind, offset = fields[member.name][:2]
        if offset >= held:
            break
        base, shape = kind.base, kind.shape
        place = start + offset
        if isinstance(member.kind, Struct):
            inner, size, count = member.kind, base.itemsize, int(np.prod(shape, dtype=int))

            def one(i: int, inner: Struct = inner, base: Any = base, size: int = size, offset: int = offset,
                    name: str = member.name, alone: bool = not shape) -> Node:  # fmt: skip
                at = offset + i * size
                node = Group(
                    name if alone else f"[{i}]", start + at, start + at + size, f"struct {inner.name}", inner.doc
                )
                node.make = lambda: members(inner, base, raw[at : at + size], start + at, size)
                return node

            found.append(one(0) if not shape else Array(member.name, place, place + size * count, "", member.doc, count=count,
                                                        size=size, make=one))  # fmt: skip
        elif shape and base.kind in "ui" and base.itemsize > 1:
            values = np.frombuffer(raw, base, int(np.prod(shape)), offset)

            def element(i: int, values: Any = values, place: int = place, size: int = base.itemsize) -> Node:
                return Field(f"[{i}]", place + i * size, place + (i + 1) * size, number(int(values[i]), size))

            found.append(Array(member.name, place, place + kind.itemsize, f"{len(values)} numbers", member.doc, count=len(values),
                               size=base.itemsize, make=element))  # fmt: skip
        else:
            text = text_of(raw[offset : offset + kind.itemsize], base, shape)
            found.append(Field(member.name, place, place + kind.itemsize, text, member.doc))
    return found


def text_of(raw: bytes, base: np.dtype[Any], shape: tuple[int, ...]) -> str:
    """Return a value as people read it."""
    if base.kind in "SV" or shape:
        text = raw.rstrip(b"\0")
        if not text:
            return "" if not shape else f"{plural(len(raw), 'byte')} of zeros"
        plain = escape(text)
        return plain if len(plain) <= SHOWN else plain[:SHOWN] + "…"
    return number(int(np.frombuffer(raw, base, 1)[0]), base.itemsize)


def number(value: int, size: int) -> str:
    """Return a number in both bases: ``0x1f40 (8000)``."""
    if value < 0:
        return str(value)
    return str(value) if value < 10 else f"{value:#0{min(size * 2 + 2, 18)}x} ({value})"


def reach(roots: Sequence[Node], path: str) -> Node:
    """Return the node at a path of child numbers, as ``0/12/3``.

    Raises
    ------
    IndexError: there is no such node.
    """
    nodes, node = roots, None
    for step in path.split("/"):
        node = nodes[int(step)]
        nodes = node.children() if not node.leaf else ()
    if node is None:
        raise IndexError(path)
    return node


def path_at(roots: Sequence[Node], address: int) -> list[tuple[str, Node]]:
    """Return (path, node) from a root down to the smallest node that covers an address; empty where none does."""
    found: list[tuple[str, Node]] = []
    root = Group("", 0, 1 << 64, make=lambda: roots)
    node: Node = root
    while not node.leaf:
        index = node.index_at(address)
        if index is None:
            break
        node = node.children()[index]
        found.append((f"{found[-1][0]}/{index}" if found else str(index), node))
    return found
