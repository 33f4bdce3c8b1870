"""gzip, bzip2, xz and zstd files read at will: unpacked as far as is asked for, never whole in memory.

What makes going back possible depends on the format. gzip: the state of the decoder is copied every few MiB. xz and zstd of
several blocks or frames: each can be unpacked by itself. One large xz block, one large zstd frame, bzip2: what was unpacked
is kept in a temporary file without a name, in which zeros take no room.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.progress import progress
from vmcoredd_lab.source.base import ByteSource
from vmcoredd_lab.source.commands import unpack_command
from vmcoredd_lab.source.spill import Spill
from vmcoredd_lab.source.streams import CODECS, MEMORY, Inflate, MemberStream, Stream, ZstdStream
from vmcoredd_lab.source.stretches import Stretch, xz_stretches, zstd_stretches
from vmcoredd_lab.text import human_size

__all__ = ["FORMATS", "PackedSource"]

FORMATS = {**{name: magic for name, (magic, _) in CODECS.items()}, "zstd": b"\x28\xb5\x2f\xfd"}

BLOCK = 1 << 18  # unpacked bytes that are kept together
KEPT = 128  # blocks in memory: 32 MiB
SEEN = 4 << 20  # packed bytes that are let go together
CHECKPOINTS = 1024  # copies of the gzip decoder's state, of about 40 KiB
SPACING = 4 << 20  # bytes between them, more in large files

# Beyond these, reading at will takes minutes a command, and unpacking once is better. Measured: gzip unpacks 0.4 GB/s of
# memory and 0.8 GB/s of what is compressed already, xz 0.25 and 0.05, zstd 5, bzip2 0.04.
MOST_PACKED = {"gzip": 4 << 30, "xz": 4 << 30, "zstd": 4 << 30, "bzip2": 256 << 20}
MOST_UNPACKED = 64 << 30
LEAST_LIMIT, MOST_TIMES = 4 << 30, 32  # of files whose size only unpacking tells, so many times the packed size


@dataclass(frozen=True, slots=True)
class Restart:
    """A position of the unpacked file, and what gives the bytes from there on."""

    position: int
    open: Callable[[], Stream]


class PackedSource(ByteSource):
    """What a compressed file unpacks to."""

    def __init__(self, inner: ByteSource, form: str) -> None:
        """Find out the unpacked size, which for gzip, bzip2 and zstd without a recorded size takes unpacking it once.

        Raises
        ------
        OpenError: too large to be practical, nothing to unpack, or the package for zstd is missing; with the command.
        """
        self.name = inner.name
        self.layers = (*inner.layers, form)
        self.beneath = (inner,)
        self.size = 0
        self._inner, self._form = inner, form
        self._found = Problems()
        self._lock = threading.RLock()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._stream: Stream | None = None
        self._at = 0  # position of the stream
        self._spacing = SPACING
        self._measured = False
        self._seen = 0  # packed bytes before were let go
        self._spill: Spill | None = None
        self._holes: list[tuple[int, int]] = []  # in the temporary file: what was lost with a damaged piece
        self._restarts = [Restart(0, self._first)]
        self._look()

    # -- size and places to begin -------------------------------------------------------------------------------------

    def _first(self) -> Stream:
        if self._form == "zstd":
            return ZstdStream(self._inner)
        return MemberStream(self._inner, self._form)

    def _look(self) -> None:
        stretches: list[Stretch] | None = None
        if self._form == "zstd":
            self._need_zstandard()
            stretches = zstd_stretches(self._inner)
            self._check_window(stretches)
            if stretches and self._inner.read(stretches[-1].end, 4096).strip(b"\0"):
                self._behind(stretches[-1].end)
            if stretches and not stretches[-1].whole:
                self._found.error("zstd file", "the file is cut or damaged inside a frame; what it unpacks to ends there",
                                  offset=stretches[-1].place, expected="a frame that ends with its last block",
                                  got="the end of the file")  # fmt: skip
        elif self._form == "xz":
            stretches = xz_stretches(self._inner)
        known = stretches and all(s.whole and s.size is not None for s in stretches)
        if stretches and known:
            sizes = [s.size or 0 for s in stretches]
            self.size = sum(sizes)
            self._restarts = [
                Restart(position, self._opener(stretch))
                for stretch, position in zip(stretches, accumulate(sizes, initial=0), strict=False)
                if stretch.size
            ] or self._restarts
            if max(sizes) > BLOCK * KEPT:
                self._check_size(self._inner.size, self.size)
                self._spill = Spill()
        else:
            self._check_size(self._inner.size, 0)
            if stretches:  # zstd without recorded sizes, or cut
                end = stretches[-1].end
                self._restarts = [Restart(0, lambda: ZstdStream(self._inner, end=end))]
            self._measure(keep=self._form in ("bzip2", "xz"))
            if self._form == "zstd" and self.size > BLOCK * KEPT:
                self._spill = Spill()
        if self._inner.failure is not None:
            raise self._inner.failure
        if not self.size or not self._block(0):
            raise self._not_practical(
                f"this {self._form} file cannot be unpacked from its beginning",
                "; ".join(p.message for p in self._found) or "it is empty",
            )

    def _opener(self, stretch: Stretch) -> Callable[[], Stream]:
        if self._form == "zstd":
            return lambda: ZstdStream(self._inner, stretch.place, end=stretch.end)
        return lambda: MemberStream(self._inner, self._form, stretch.place, end=stretch.end, prefix=stretch.prefix)

    def _need_zstandard(self) -> None:
        try:
            ZstdStream(self._inner)
        except ImportError:
            raise OpenError(
                "a zstd file, for which the package zstandard is needed", path=self.name, expected="zstandard",
                got="no such package",
                hint=f"install it: pip install 'vmcoredd-lab[codecs]'; or unpack the file: {self._command()}",
            ) from None  # fmt: skip

    def _check_window(self, stretches: list[Stretch]) -> None:
        window = max((s.window for s in stretches), default=0)
        if window > MEMORY >> 1:
            raise self._not_practical("unpacking takes too much memory", human_size(window), human_size(MEMORY >> 1))

    def _check_size(self, packed: int, unpacked: int) -> None:
        if packed > MOST_PACKED[self._form]:
            raise self._not_practical(
                f"a large {self._form} file, in which reading at will would take minutes", human_size(packed),
                human_size(MOST_PACKED[self._form]), "a tar archive" if self._is_archive() else "",
            )  # fmt: skip
        if unpacked > MOST_UNPACKED:
            raise self._not_practical(
                f"this {self._form} file unpacks to more than is practical to read at will", human_size(unpacked),
                human_size(MOST_UNPACKED),
            )  # fmt: skip

    def _is_archive(self) -> bool:
        return self._first().read(512)[257:262] == b"ustar"

    def _command(self, *more: str) -> str:
        return unpack_command(self.name, (*self.layers, *more))

    def _not_practical(self, message: str, got: str, most: str = "", archive: str = "") -> OpenError:
        return OpenError(
            message, path=self.name, expected=f"at most {most}" if most else None, got=got,
            hint=f"unpack it first: {self._command(*(['tar'] if archive else []))}",
        )  # fmt: skip

    def _measure(self, *, keep: bool) -> None:
        """Unpack everything once to learn the size; ``keep`` it in the temporary file where going back is not possible."""
        limit = min(MOST_UNPACKED, max(LEAST_LIMIT, MOST_TIMES * self._inner.size))
        if keep:
            self._spill = Spill()
        stream = self._begin(0)
        with progress(f"unpacking {self.name}", self._inner.size) as advance:
            told = 0
            while True:
                data = stream.read(BLOCK)
                if self._spill is not None:
                    self._write(self._spill, data)
                elif len(self._blocks) < KEPT:
                    self._blocks[self._at // BLOCK] = data
                self._at += len(data)
                self._checkpoint(stream)
                if stream.place - told >= SEEN or len(data) < BLOCK:
                    advance(stream.place - told)
                    self._inner.done_with(told, stream.place - told)
                    told = stream.place
                if len(data) < BLOCK:
                    break
                if self._at > limit:
                    raise self._not_practical(
                        f"this {self._form} file unpacks to more than is practical to read at will",
                        f"over {human_size(limit)} from {human_size(stream.place)}", human_size(limit),
                    )  # fmt: skip
        self.size, self._measured = self._at, True
        if stream.damage:
            self._lost(stream, "what it unpacks to ends there")
        if stream.foreign is not None:
            self._behind(stream.foreign)
        self._stream = None

    # -- unpacking ----------------------------------------------------------------------------------------------------

    def _begin(self, number: int) -> Stream:
        restart = self._restarts[number]
        self._stream, self._at = restart.open(), restart.position
        return self._stream

    def _checkpoint(self, stream: Stream) -> None:
        """Remember where gzip's decoder is, so that reading can begin here again."""
        codec = getattr(stream, "codec", None)
        if not isinstance(codec, Inflate) or self._at - self._restarts[-1].position < self._spacing:
            return
        place, state = stream.place - codec.waiting, codec.copy()
        opener = lambda: MemberStream(self._inner, "gzip", place, codec=state.copy())  # noqa: E731
        self._restarts.append(Restart(self._at, opener))
        if len(self._restarts) > CHECKPOINTS:
            del self._restarts[1::2]
            self._spacing *= 2

    def _pull(self, size: int) -> bytes:
        """Return the next bytes of the stream; fewer at the end and where something is lost."""
        parts: list[bytes] = []
        while size > 0 and self._stream is not None:
            self._let_go(self._stream.place)
            number = bisect_right(self._restarts, self._at, key=lambda r: r.position)
            ends = self._restarts[number].position if number < len(self._restarts) else self.size
            stream = self._stream
            wanted = min(size, ends - self._at)
            part = stream.read(wanted)
            parts.append(part)
            self._at += len(part)
            size -= len(part)
            if len(part) < wanted:
                self._lost(stream, f"bytes from {self._at:#x} of what it unpacks to are lost")
                self._stream = None
            elif self._at == ends and self._form != "gzip":
                if not self._measured and not stream.read(1) and stream.damage:  # the checksum behind the last byte
                    self._lost(stream, f"its checksum does not agree with the bytes before {self._at:#x}")
                self._stream = None
                if number < len(self._restarts):
                    self._begin(number)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _behind(self, place: int) -> None:
        self._found.warning(
            f"{self._form} file", f"what stands behind the end of the packed data is not {self._form} and is not used",
            offset=place, expected="the end of the file", got=self._inner.read(place, 8).hex(" "),
        )  # fmt: skip

    def _let_go(self, place: int) -> None:
        if not 0 <= place - self._seen < SEEN:
            self._inner.done_with(self._seen, max(0, place - self._seen))
            self._seen = place

    def _lost(self, stream: Stream, message: str) -> None:
        self._found.error(
            f"{self._form} file", f"{stream.damage or 'the packed data end early'}; {message}", offset=stream.place,
            expected="sound packed data", got="the end of the file" if stream.place >= self._inner.size else "damage",
        )  # fmt: skip

    def _load(self, index: int) -> bytes:
        """Unpack one block from the nearest place where reading can begin, or go on where the stream is."""
        start = index * BLOCK
        number = bisect_right(self._restarts, start, key=lambda r: r.position) - 1
        if self._stream is None or not self._restarts[number].position <= self._at <= start:
            self._begin(number)
        with progress(f"unpacking {self.name}", start - self._at) as advance:
            while self._at < start:
                step = min(BLOCK - self._at % BLOCK, start - self._at)
                data = self._pull(step)
                if len(data) < step:
                    return b""
                advance(step)
        return self._pull(min(BLOCK, self.size - start))

    def _load_spilled(self, spill: Spill, index: int) -> bytes:
        """Return one block out of the temporary file, where reading goes on as far as it takes."""
        start = index * BLOCK
        stop = min(start + BLOCK, self.size)
        if not spill.size:
            self._begin(0)
        if spill.size < stop:
            with progress(f"unpacking {self.name}", stop - spill.size) as advance:
                while spill.size < stop:
                    wanted = min(BLOCK, self.size - spill.size)
                    data = self._pull(wanted)
                    self._write(spill, data)
                    advance(len(data))
                    if len(data) < wanted and not self._pass_over(spill):
                        break
        for begin, _ in self._holes[bisect_right(self._holes, start, key=lambda hole: hole[1]) :][:1]:
            stop = min(stop, max(begin, start))
        return spill.read(start, stop - start)

    def _pass_over(self, spill: Spill) -> bool:
        """Go on behind a damaged piece; False where there is no other."""
        number = bisect_right(self._restarts, spill.size, key=lambda r: r.position)
        if number == len(self._restarts):
            return False
        hole = (spill.size, self._restarts[number].position)
        self._holes.append(hole)
        spill.skip(hole[1] - hole[0])
        self._begin(number)
        return True

    def _write(self, spill: Spill, data: bytes) -> None:
        try:
            spill.append(data)
        except OSError as error:
            raise OpenError(
                f"no room for what this {self._form} file unpacks to: {error.strerror or error}", path=self.name,
                hint=f"set TMPDIR to a directory with more room, or unpack it first: {self._command()}",
            ) from None  # fmt: skip

    # -- what a source offers -----------------------------------------------------------------------------------------

    def _block(self, index: int) -> bytes:
        block = self._blocks.get(index)
        if block is None:
            block = self._load(index) if self._spill is None else self._load_spilled(self._spill, index)
            self._blocks[index] = block
            while len(self._blocks) > KEPT:
                self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end(index)
        return block

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``; fewer where the file ends or what follows is lost."""
        end = min(offset + size, self.size)
        parts: list[bytes] = []
        with self._lock:
            while offset < end:
                index, within = divmod(offset, BLOCK)
                part = self._block(index)[within : within + end - offset]
                parts.append(part)
                offset += len(part)
                if offset < end and offset % BLOCK:
                    break  # lost
                if not part:
                    break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def problems(self) -> Problems:
        """Return the damage met so far; offsets are those of the packed file."""
        return Problems(super().problems(), self._found)

    def close(self) -> None:
        """Release the file, and the temporary one."""
        with self._lock:
            self._stream = None
            self._blocks.clear()
            if self._spill is not None:
                self._spill.close()
            self._inner.close()
