"""The member of a tar archive that is a vmcore, read where it lies. Headers: POSIX ustar and pax, GNU tar 1.x.

Only headers are read on the way to it. The standard library's tarfile is not used: versions in use loop for ever or read
any amount into memory when a header's size is hostile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.progress import undisturbed
from vmcoredd_lab.source.base import ByteSource
from vmcoredd_lab.source.commands import MEMBER, unpack_command
from vmcoredd_lab.source.pieces import PiecesSource
from vmcoredd_lab.text import escape, plural

__all__ = ["Member", "is_archive", "members", "vmcore_in_archive"]

BLOCK = 512
MOST_MEMBERS = 100_000
_LONG = 1 << 16  # of names and pax headers
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in an archive; of a sparse one (tar -S) ``pieces`` has (offset, size) of what is stored."""

    name: str
    place: int
    stored: int
    size: int
    pieces: tuple[tuple[int, int], ...] | None = None


def is_archive(head: bytes) -> bool:
    """Return whether a file begins with a tar header."""
    return head[257:262] == b"ustar" and _checksum_holds(head[:BLOCK])


def members(source: ByteSource, problems: Problems) -> Iterator[Member]:
    """Iterate over the regular files of an archive; it ends where the archive does, or is damaged."""
    place, name, size, count = 0, "", None, 0
    while count < MOST_MEMBERS:
        head = source.read(place, BLOCK)
        if not head.strip(b"\0") and len(head) in (0, BLOCK):
            if not head:
                problems.warning("tar archive", "it ends without the empty block that ends archives", offset=place)
            return
        stored = _number(head[124:136])
        if len(head) < BLOCK or not _checksum_holds(head) or stored < 0:
            problems.error("tar archive", "not a member's header; nothing behind it is read", offset=place,
                           expected="a header whose checksum agrees", got=head[:8].hex(" "))  # fmt: skip
            return
        kind, data = head[156:157], place + BLOCK
        if kind in b"Lx" and kind:
            text = source.read(data, min(stored, _LONG))
            if kind == b"L":
                name = escape(text.split(b"\0")[0])
            else:
                known = _pax(text)
                if any(key.startswith("GNU.sparse") for key in known):
                    problems.add("info", "tar archive", "a sparse member in a form that is not read here", offset=place)
                    size = -1
                else:
                    name = known.get("path", name)
                    size = int(known["size"]) if known.get("size", "").isdecimal() else None
            place = data + -(-stored // BLOCK) * BLOCK
            continue
        if size is not None and size >= 0:
            stored = size
        count += 1
        if kind in b"0\x007S" and kind and size != -1:
            pieces, real = None, stored
            if kind == b"S":
                pieces, real, data = _sparse(source, head, data)
            yield Member(name or _ustar_name(head), data, stored, real, pieces)
        place = data + -(-stored // BLOCK) * BLOCK
        name, size = "", None


def vmcore_in_archive(source: ByteSource, wanted: Callable[[ByteSource], bool],
                      unwrap: Callable[[ByteSource], ByteSource]) -> ByteSource:  # fmt: skip
    """Return the first member that is ``wanted`` once it is unwrapped.

    Raises
    ------
    OpenError: there is none; the message lists what there is.
    """
    problems, names, hint = Problems(), [], ""
    with undisturbed():
        for member in members(source, problems):
            names.append(member.name)
            inside = _MemberSource(source, member, problems)
            try:
                found = unwrap(inside)
                if wanted(found):
                    return found
            except OpenError as error:  # wrapped in something that cannot be read here
                hint = hint or f"{member.name} in it: {error.message}. "
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")
    raise OpenError(
        "no member of the tar archive is a vmcore or a device dump", path=source.name,
        expected="an ELF core, makedumpfile's KDUMP header, or a cudbg header",
        got=f"{plural(len(names), 'file')}: {shown}" if names else "no files",
        hint=f"{hint}unpack it to look: {unpack_command(source.name, (*source.layers, 'tar'))}",
    )  # fmt: skip


class _MemberSource(PiecesSource):
    def __init__(self, archive: ByteSource, member: Member, problems: Problems) -> None:
        pieces = ((0, member.size),) if member.pieces is None else member.pieces
        starts = np.array([offset for offset, _ in pieces], np.int64)
        sizes = np.array([size for _, size in pieces], np.int64)
        places = member.place + np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        held = np.clip(archive.size - places, 0, sizes)  # the archive may be cut
        keep = held > 0
        size = member.size
        if (held < sizes).any():
            size = int((starts + held)[keep].max()) if keep.any() else 0
        ends = starts + held
        super().__init__(archive, (starts[keep], ends[keep], places[keep]), size, MEMBER + member.name)
        self._archive_problems = problems

    def problems(self) -> Problems:
        return Problems(super().problems(), self._archive_problems)


def _number(field: bytes) -> int:
    """Return a number as tar writes it: octal digits, or binary where the first byte is 0x80; -1: neither."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0")[0].strip()
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        return -1


def _checksum_holds(head: bytes) -> bool:
    return sum(head) - sum(head[148:156]) + 8 * 32 == _number(head[148:156])


def _ustar_name(head: bytes) -> str:
    name, prefix = (head[a:b].split(b"\0")[0] for a, b in ((0, 100), (345, 500)))
    return escape(prefix + b"/" + name if prefix and head[257:263] == b"ustar\0" else name)


def _pax(text: bytes) -> dict[str, str]:
    r"""Return the records of a pax header: ``LENGTH KEY=VALUE\n``, the length of all of it."""
    found: dict[str, str] = {}
    while text:
        length, blank, _ = text.partition(b" ")
        if not blank or not length.isdigit() or len(length) > 8 or not len(length) < int(length) <= len(text):
            break
        key, _, value = text[len(length) + 1 : int(length) - 1].partition(b"=")
        found[escape(key)] = escape(value)
        text = text[int(length) :]
    return found


def _sparse(source: ByteSource, head: bytes, data: int) -> tuple[tuple[tuple[int, int], ...], int, int]:
    """Return the map of a GNU sparse member, its real size, and where its data begin: the map may go on in blocks."""
    found: list[tuple[int, int]] = []
    real, field, more = _number(head[483:495]), head[386:482], head[482] != 0
    while True:
        for at in range(0, len(field), 24):
            offset, size = _number(field[at : at + 12]), _number(field[at + 12 : at + 24])
            if size > 0 and offset >= (sum(found[-1]) if found else 0) and offset + size <= real:
                found.append((offset, size))
        if not more or len(found) > MOST_MEMBERS:
            return tuple(found), max(0, real), data
        block = source.read(data, BLOCK)
        if len(block) < BLOCK:
            return tuple(found), max(0, real), data
        field, more = block[:504], block[504] != 0
        data += BLOCK
