"""What can be wrong with a vmcore beside the story that it tells.

Two kinds: what the collector meets (entities that fail, hostile texts) goes into a story before it is made into an image;
what happens to the file afterwards (it is cut, bits flip) is done to the bytes.
"""

from __future__ import annotations

import os
import random
import re
from dataclasses import dataclass
from pathlib import Path

from vmcoredd_lab.devices.cxgb4.entity_names import entity_name, entity_number
from vmcoredd_lab.devices.cxgb4.writer.order import collected
from vmcoredd_lab.errors import OutputError, UsageError
from vmcoredd_lab.scenarios.printk_ring import KernelMessage
from vmcoredd_lab.scenarios.story import Story
from vmcoredd_lab.text import escape

__all__ = ["NONE", "Damage"]

BLOCK = 4096
BUSY = -16  # EBUSY, what a collector returns whose hardware does not answer in time
# Of a length that a struct vmcoredd_header holds: a path upwards, terminal commands, markup, and bytes that are not UTF-8
HOSTILE_NAME = b"cxgb4_../../\x1b[2J\x1b]0;x\x07<script>\xff\xfe%s%n"
HOSTILE_FORMATS = (
    ("%s%s%s%s%s%s%s%s%n%n\n", (0xFFFFFFFF,) * 8),
    ("%2147483647d|%.2147483647u|%*.*x\n", (1, 2, 0x7FFFFFFF, 0x7FFFFFFF, 3)),
    ("\x1b[31m<img src=x onerror=alert(1)>\x1b]8;;http://example.com\x07 %lln %hhd %zq %\n", (7,)),
    ("\xff\xfe\x80 %d %d %d %d %d %d %d %d %d %d\r\x00hidden", (1, 2, 3, 4, 5, 6, 7, 8)),
    ("%" * 190, ()),
)
HOSTILE_LINES = (
    "\x1b[2J\x1b]0;title\x07<script>alert(1)</script>",
    '=HYPERLINK("http://example.com","x")',
    "first line\nsecond line\r\n\x00end",
    "caf\udce9 \udcff\udcfe not UTF-8",
    "[  999.999999] cxgb4 0000:02:00.4: encountered fatal error, adapter stopped?",
)


@dataclass(frozen=True)
class Damage:
    """What to spoil.

    fail: entities of the first adapter whose collection fails with -16
    hostile: a device dump's name, formats of the firmware log and lines of the kernel log that want to harm a reader
    flips: bits of the file that are turned over, at random places of what is not zero
    cut: bytes of the file that are kept, or as text a share of them: ``60%``
    """

    fail: tuple[str, ...] = ()
    hostile: bool = False
    flips: int = 0
    cut: int | str | None = None

    def spoil(self, story: Story) -> None:
        """Do to a story what its collector will meet.

        Raises
        ------
        UsageError: the driver collects no such entity.
        """
        for name in self.fail:
            number = entity_number(name)
            if number is None or entity_name(number) not in collected():
                raise UsageError(
                    f"the driver does not collect an entity {escape(name)}", expected=", ".join(collected())
                )
            story.adapters[0].fail(entity_name(number), sys_err=BUSY)
        if self.hostile:
            _make_hostile(story)

    def spoil_file(self, path: Path, seed: int) -> None:
        """Do to a file what happens to files; the same seed does the same to the same bytes.

        Raises
        ------
        UsageError: what is to be kept is no number of bytes of the file.
        OutputError: the file system refused.
        """
        try:
            if self.flips:
                _flip(path, self.flips, random.Random(f"{seed}/flips"))  # noqa: S311
            if self.cut is not None:
                os.truncate(path, _kept(self.cut, path.stat().st_size))
        except OSError as error:
            raise OutputError("the file cannot be damaged", path=str(path), got=error.strerror) from None


NONE = Damage()


def _make_hostile(story: Story) -> None:
    adapter = story.adapters[-1]
    adapter.dump_name = HOSTILE_NAME
    last = max(entry[0] for entry in adapter.log.entries)
    for n, (text, params) in enumerate(HOSTILE_FORMATS):
        adapter.log.entries.append((last + n + 1, 5, 0x26, text, params))
    at = story.booted
    time = story.messages[at - 1].time
    story.messages[at:at] = [
        KernelMessage(time + 1000 * (n + 1), "debug", text, "T4242") for n, text in enumerate(HOSTILE_LINES)
    ]


def _kept(cut: int | str, size: int) -> int:
    share = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)%", cut) if isinstance(cut, str) else None
    if share:
        kept = int(size * float(share[1]) / 100)
    elif isinstance(cut, int) or cut.isdecimal():
        kept = int(cut)
    else:
        kept = -1
    if not 0 <= kept <= size:
        raise UsageError("not a part of the file", expected=f"0 to {size} bytes, or 0% to 100%", got=str(cut))
    return kept


def _flip(path: Path, count: int, rng: random.Random) -> None:
    """Turn over bits of bytes that are not in holes."""
    with path.open("r+b") as file:
        places = _data(file.fileno(), path.stat().st_size)
        total = sum(end - start for start, end in places)
        for _ in range(count if total else 0):
            at = rng.randrange(total)
            for start, end in places:
                if at < end - start:
                    break
                at -= end - start
            file.seek(start + at)
            byte = file.read(1)[0]
            file.seek(start + at)
            file.write(bytes([byte ^ 1 << rng.randrange(8)]))


def _data(handle: int, size: int) -> list[tuple[int, int]]:
    """Return the blocks of a file that hold anything but zeros."""
    found = []
    zero = bytes(BLOCK)
    for at in range(0, size, 1 << 20):
        chunk = os.pread(handle, min(1 << 20, size - at), at)
        if chunk.count(0) < len(chunk):
            found += [(at + n, at + min(n + BLOCK, len(chunk))) for n in range(0, len(chunk), BLOCK)
                      if chunk[n : n + BLOCK] != zero[: len(chunk) - n]]  # fmt: skip
    return found
