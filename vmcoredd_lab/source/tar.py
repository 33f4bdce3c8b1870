"""The member of a tar archive that is a vmcore, read where it lies. Headers: POSIX ustar and pax, GNU tar with its sparse files.

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
_MOST_NUMBERS = 200_000  # in the map of a sparse member
_LONG = 1 << 20  # of names and pax headers
_LARGEST = 1 << 60
_SHOWN = 8

Map = tuple[tuple[int, int], ...]  # (offset, size) of what is stored of a sparse member


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in an archive; of a sparse one (tar -S) ``pieces`` has (offset, size) of what is stored."""

    name: str
    place: int
    stored: int
    size: int
    pieces: Map | None = None


def is_archive(head: bytes) -> bool:
    """Return whether a file begins with a tar header."""
    return head[257:262] == b"ustar" and _checksum_holds(head[:BLOCK])


def members(source: ByteSource, problems: Problems) -> Iterator[Member]:
    """Iterate over the regular files of an archive; it ends where the archive does, or is damaged."""
    place, name, count = 0, "", 0
    extended: list[tuple[str, str]] = []  # records of a pax header, for the member behind it
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
                extended = _pax(text)
            place = data + -(-stored // BLOCK) * BLOCK
            continue
        known = dict(extended)
        if known.get("size", "").isdecimal():
            stored = min(int(known["size"]), _LARGEST)
        count += 1
        if kind in b"0\x007S" and kind:
            name = known.get("GNU.sparse.name") or known.get("path") or name or _ustar_name(head)
            if data + stored > source.size:
                problems.error("tar archive", f"the archive is cut inside {name}", offset=source.size,
                               expected=f"{data + stored:,} bytes", got=f"{source.size:,} bytes")  # fmt: skip
            member, data = _member(source, name, head, extended, data, stored)
            yield member
        place = data + -(-stored // BLOCK) * BLOCK
        name, extended = "", []


def _member(source: ByteSource, name: str, head: bytes, extended: list[tuple[str, str]], data: int,
            stored: int) -> tuple[Member, int]:  # fmt: skip
    """Return a regular file, and where its ``stored`` bytes begin: blocks of a GNU sparse map may stand before them."""
    if head[156:157] == b"S":
        pieces, real, data = _sparse(source, head, data)
        return Member(name, data, stored, real, pieces), data
    if any(key.startswith("GNU.sparse") for key, _ in extended):
        return Member(name, *_sparse_pax(source, extended, data, stored)), data
    return Member(name, data, stored, stored), data


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
                hint = hint or f"of its members {member.name} cannot be read: {error.message}. "
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")
    raise OpenError(
        "no member of the tar archive is a vmcore or a device dump", path=source.name,
        expected="an ELF core, makedumpfile's KDUMP header, or a cudbg header",
        got=f"{plural(len(names), 'file')}: {shown}" if names else "no files",
        hint=f"{hint}{'Unpack' if hint else 'unpack'} it to look: {unpack_command(source.name, (*source.layers, 'tar'))}",
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
        number = int.from_bytes(field[1:], "big")
        return number if number <= _LARGEST else -1
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


def _pax(text: bytes) -> list[tuple[str, str]]:
    r"""Return the records of a pax header: ``LENGTH KEY=VALUE\n``, the length of all of it."""
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        blank = text.find(b" ", at, at + 9)
        length = text[at:blank]
        if blank < 0 or not length.isdigit() or not blank + 1 < at + int(length) <= len(text):
            break
        key, _, value = text[blank + 1 : at + int(length) - 1].partition(b"=")
        found.append((escape(key), escape(value)))
        at += int(length)
    return found


def _sparse(source: ByteSource, head: bytes, data: int) -> tuple[Map, int, int]:
    """Return the map of a GNU sparse member, its real size, and where its data begin: the map may go on in blocks."""
    numbers: list[int] = []
    real, field, more = max(0, _number(head[483:495])), head[386:482], head[482] != 0
    while True:
        numbers += [_number(field[at : at + 12]) for at in range(0, len(field), 12)]
        if not more or len(numbers) > _MOST_NUMBERS:
            break
        block = source.read(data, BLOCK)
        if len(block) < BLOCK:
            break
        field, more = block[:504], block[504] != 0
        data += BLOCK
    return _believable(numbers, real), real, data


def _sparse_pax(
    source: ByteSource, extended: list[tuple[str, str]], data: int, stored: int
) -> tuple[int, int, int, Map]:
    """Return where the data of a sparse member begin, how much is stored, its real size and its map (GNU tar, pax 0.0 to 1.0)."""
    known = dict(extended)
    real = known.get("GNU.sparse.realsize", known.get("GNU.sparse.size", ""))
    size = min(int(real), _LARGEST) if real.isdecimal() else stored
    if known.get("GNU.sparse.major") == "1":  # the map stands before the data, a number a line, filled up to a block
        text = source.read(data, min(stored, _LONG))
        count = text[: text.find(b"\n") + 1].strip()
        lines = text.split(b"\n", 1 + 2 * min(int(count), _MOST_NUMBERS) if count.isdigit() else 0)
        begin = -(-sum(len(line) + 1 for line in lines[:-1]) // BLOCK) * BLOCK
        numbers = [int(line) if line.isdigit() else -1 for line in lines[1:-1]]
        return data + begin, max(0, stored - begin), size, _believable(numbers, size)
    pairs = known.get("GNU.sparse.map", "").split(",") if "GNU.sparse.map" in known else [
        value for key, value in extended if key in ("GNU.sparse.offset", "GNU.sparse.numbytes")
    ]  # fmt: skip
    return data, stored, size, _believable([int(n) if n.isdecimal() else -1 for n in pairs], size)


def _believable(numbers: list[int], real: int) -> Map:
    """Return the pairs of offset and size that are in order, do not overlap and end before the member does."""
    found: list[tuple[int, int]] = []
    for offset, size in zip(numbers[::2], numbers[1::2], strict=False):
        if size > 0 and offset >= (sum(found[-1]) if found else 0) and offset + size <= real:
            found.append((offset, size))
    return tuple(found)
