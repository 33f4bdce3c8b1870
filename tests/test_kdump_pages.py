"""Pages of kdump-compressed files: the same bytes however they are packed, and a reason where there are none."""

from __future__ import annotations

import contextlib
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import BIG, LITTLE, CountingSource, usual_notes
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pages_builder import CODECS, FLAGS, Pages, bitmap, descriptor_table, packed, page_of, pages, parts

import vmcoredd_lab as vl
from vmcoredd_lab.containers import kdump_bitmaps
from vmcoredd_lab.containers.kdump_bitmaps import Bitmap, DumpedFrames, count_runs, kind_runs
from vmcoredd_lab.containers.memory import MissingMemoryError
from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.source import ByteSource
from vmcoredd_lab.source.base import MemorySource

MACHINES = {
    "x86_64": {"bits": 64, "order": LITTLE, "machine": "x86_64"},
    "s390x": {"bits": 64, "order": BIG, "machine": "s390x"},
    "i386": {"bits": 32, "order": LITTLE, "machine": "i386"},
    "arm": {"bits": 32, "order": LITTLE, "machine": "armv7l"},
    "ppc": {"bits": 32, "order": BIG, "machine": "ppc"},
}
SIZE = 512  # of the pages here, unless a test says otherwise
MIXED = "..ppz.xxpzzp" + "p" * 20 + ".z"


def memory(data: Any) -> Any:
    return vl.open_vmcore(data).memory


def missing(data: Any, frame: int, size: int = SIZE) -> MissingMemoryError:
    """The error of reading one page."""
    with pytest.raises(MissingMemoryError) as error:
        memory(data).read(frame * size, size)
    assert (error.value.frame, error.value.address, error.value.exit_status) == (frame, frame * size, 4)
    return error.value


def in_order(data: Any, **how: int) -> dict[int, bytes]:
    """What the ordered reading gives, page by page."""
    found: dict[int, bytes] = {}
    for address, piece in memory(data).chunks(**how):
        assert address % SIZE == len(piece) % SIZE == 0
        for at in range(0, len(piece), SIZE):
            frame = (address + at) // SIZE
            assert frame not in found
            assert not found or frame > max(found)
            found[frame] = piece[at : at + SIZE]
    return found


def problems(core: vl.Vmcore) -> list[tuple[str, str]]:
    return [(row["severity"], row["where"]) for row in core.problems_table().records()]


# -- the same bytes, however they are packed --------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("machine", MACHINES)
def test_every_page_is_what_was_in_memory(machine: str, codec: str) -> None:
    declared = pages(MIXED, codec=codec, **MACHINES[machine])
    core = vl.open_vmcore(declared.build())
    for frame, page in declared.memory().items():
        assert core.memory.read(frame * SIZE, SIZE) == page
    assert problems(core) == []


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("machine", MACHINES)
def test_pages_need_no_newer_header(machine: str, version: int) -> None:
    declared = pages(MIXED, version=version, **MACHINES[machine])
    assert in_order(declared.build()) == declared.memory()


@pytest.mark.parametrize("size", [4096, 8192, 65536])
def test_the_page_size_is_the_machines(size: int) -> None:
    declared = pages("px.zp", block_size=size)
    data = declared.build()
    assert memory(data).read(4 * size, size) == page_of(4, size)
    assert [address for address, _ in memory(data).chunks()] == [0, 3 * size]


@pytest.mark.parametrize("codec", CODECS)
def test_the_ordered_reading_gives_every_page_once_and_in_order(codec: str) -> None:
    declared = pages(MIXED, codec=codec)
    assert in_order(declared.build(), threads=1) == declared.memory()


@pytest.mark.parametrize("size", [1, SIZE, 3 * SIZE, 1 << 20])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_and_the_length_of_pieces_change_nothing(threads: int, size: int) -> None:
    declared = pages(MIXED * 7)
    assert in_order(declared.build(), threads=threads, size=size) == declared.memory()
    assert all(len(piece) <= max(size, SIZE) for _, piece in memory(declared.build()).chunks(size, threads))


def test_an_ordered_reading_may_be_given_up() -> None:
    reading = memory(pages("p" * 300).build()).chunks(SIZE, threads=3)
    assert next(reading)[0] == 0
    reading.close()


def test_each_page_may_be_packed_in_its_own_way() -> None:
    declared = pages("p" * 5, codecs=dict(enumerate(CODECS)))
    data = declared.build()
    assert in_order(data) == declared.memory()
    flags = [struct.unpack_from("<I", data, descriptor_table(data) + 24 * i + 12)[0] for i in range(5)]
    assert flags == list(FLAGS.values())


def test_a_page_that_does_not_pack_is_stored_in_a_packed_file() -> None:
    noise = np.random.default_rng(0).bytes(SIZE)
    data = pages("ppp", stored={1: noise}, descriptors={1: {"flags": 0}}).build()
    assert memory(data).read(SIZE, SIZE) == noise


def test_pages_of_zeros_share_one_place() -> None:
    data = pages("zpzz.z").build()
    table = descriptor_table(data)
    assert len({data[table + 24 * i :][:8] for i in (0, 2, 3, 4)}) == 1
    assert in_order(data) == {0: bytes(SIZE), 1: page_of(1, SIZE), 2: bytes(SIZE), 3: bytes(SIZE), 5: bytes(SIZE)}


@pytest.mark.parametrize(("address", "size"), [(0, 0), (0, 1), (511, 2), (500, 600), (3, 512), (0, 12 * SIZE), (700, 5000),
                                               (1024, 5000), (8190, 0), (12 * SIZE - 1, 1)])  # fmt: skip
def test_a_read_may_begin_and_end_anywhere(address: int, size: int) -> None:
    declared = pages("p" * 12)
    whole = b"".join(declared.memory().values())
    assert memory(declared.build()).read(address, size) == whole[address : address + size]


def test_pages_may_lie_in_any_order_in_the_file() -> None:
    data = bytearray(pages("pppp", codec="none").build())
    table = descriptor_table(data)
    rows = [bytes(data[table + 24 * i :][:24]) for i in range(4)]
    data[table : table + 96] = b"".join(reversed(rows))
    assert in_order(bytes(data)) == {3 - i: page_of(i, SIZE) for i in range(4)}


def test_bits_behind_the_last_page_frame_count_for_nothing() -> None:
    data = bytearray(pages("ppp").build())
    data[bitmap(data)] |= 0xF8
    data[bitmap(data) + 1] = 0xFF
    assert in_order(bytes(data)) == {i: page_of(i, SIZE) for i in range(3)}


# -- ranks ------------------------------------------------------------------------------------------------------------

STEPS = kdump_bitmaps.STEP_FRAMES


def frames_of(bits: list[bool] | np.ndarray[Any, Any], first: int = 0, end: int | None = None) -> DumpedFrames:
    data = np.packbits(np.asarray(bits, bool), bitorder="little").tobytes()
    return DumpedFrames(Bitmap(MemorySource(b"head" + data), 4, len(data)), first, len(bits) if end is None else end)


@given(bits=st.lists(st.booleans(), min_size=1, max_size=200), data=st.data())
def test_a_rank_is_the_number_of_set_bits_before(bits: list[bool], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(bits)))
    end = data.draw(st.integers(first, len(bits)))
    frames = frames_of(bits, first, end)
    inside = [i for i in range(first, end) if bits[i]]
    assert frames.total == len(inside)
    ranks = {frame: rank for rank, frame in enumerate(inside)}
    assert [frames.rank(i) for i in range(len(bits))] == [ranks.get(i) for i in range(len(bits))]
    for start in range(first, end):
        gap = next((i for i in range(start, end) if not bits[i]), None)
        assert frames.first_missing(start, end - start) == gap


@pytest.mark.parametrize("density", [0.0, 0.03, 0.5, 0.999, 1.0])
@pytest.mark.parametrize(
    ("first", "end"), [(0, 5 * STEPS + 77), (13, 3 * STEPS), (STEPS - 1, STEPS + 1), (2 * STEPS + 5, 5 * STEPS)]
)
def test_ranks_go_on_from_step_to_step(first: int, end: int, density: float) -> None:
    bits = np.random.default_rng(int(density * 1000)).random(5 * STEPS + 77) < density
    frames = frames_of(bits, first, end)
    held = np.flatnonzero(bits[first:end]) + first
    for frame in held[:: max(1, len(held) // 50)].tolist()[::-1]:
        assert frames.rank(frame) == np.searchsorted(held, frame)
    found = [frames.in_step(step) for step in range(frames.steps)]
    assert np.array_equal(np.concatenate([f for _, f in found]), held)
    assert [rank for rank, _ in found] == [sum(len(f) for _, f in found[:i]) for i in range(len(found))]


def test_bits_are_counted_alike_with_every_numpy() -> None:
    rows = np.random.default_rng(3).integers(0, 256, (9, 64), np.uint8)
    assert kdump_bitmaps._set_bits_by_table(rows).tolist() == kdump_bitmaps._set_bits(rows).tolist()
    assert kdump_bitmaps._set_bits(rows).tolist() == [bin(int.from_bytes(row.tobytes())).count("1") for row in rows]


@given(
    kinds=st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.integers(1, 30)), min_size=1, max_size=20), data=st.data()
)
@example(kinds=[(0, 8), (1, 8), (2, 8), (0, 16)], data=None)
def test_runs_are_those_of_neighbours_of_one_kind(kinds: list[tuple[int, int]], data: st.DataObject | None) -> None:
    drawn = np.repeat([k for k, _ in kinds], [n for _, n in kinds])
    exists, dumped = frames_of(drawn < 2).bitmap, frames_of(drawn == 0).bitmap
    start = data.draw(st.integers(0, len(drawn))) if data else 0
    end = data.draw(st.integers(start, len(drawn))) if data else len(drawn)
    kind, first, count = kind_runs(exists, dumped, start, end)
    assert np.array_equal(np.repeat(kind, count), drawn[start:end])
    assert np.array_equal(first, np.cumsum(count) - count + start)
    assert not (np.diff(kind) == 0).any()
    assert count_runs(exists, dumped, start, end) == (len(kind), [int((drawn[start:end] == k).sum()) for k in range(3)])


def test_runs_go_on_across_what_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kdump_bitmaps, "_RUNS_READ", 3)
    drawn = np.random.default_rng(5).integers(0, 3, 400).repeat(7)
    exists, dumped = frames_of(drawn < 2).bitmap, frames_of(drawn == 0).bitmap
    kind, _, count = kind_runs(exists, dumped, 0, len(drawn))
    assert np.array_equal(np.repeat(kind, count), drawn)
    assert count_runs(exists, dumped, 0, len(drawn))[0] == len(kind)


# -- why there is no page ---------------------------------------------------------------------------------------------


def test_an_excluded_page_is_not_a_page_of_zeros() -> None:
    error = missing(pages("pxp").build(), 1)
    assert error.reason == "excluded"
    assert "0x200" in str(error)
    assert "page frame 0x1" in str(error)
    assert "dump level 31" in str(error)


@pytest.mark.parametrize("frame", [1, 3, 4095, 1 << 40])
def test_where_there_was_no_memory_is_absent(frame: int) -> None:
    assert missing(pages("p.p").build(), frame).reason == "absent"


def test_the_error_says_where_the_bitmap_says_so() -> None:
    data = pages("p" * 20 + "x").build()
    assert missing(data, 20).offset == bitmap(data) + 2


@pytest.mark.parametrize("count", [2, 5, 9, 40])
def test_a_read_across_the_last_page_says_how_much_was_there(count: int) -> None:
    data = pages("p" * count + "x").build()
    with pytest.raises(MissingMemoryError, match=f"the {count * SIZE - 100:,} bytes before it") as error:
        memory(data).read(100, count * SIZE)
    assert (error.value.reason, error.value.frame) == ("excluded", count)


def test_a_read_of_all_memory_does_not_begin_before_all_is_there() -> None:
    with pytest.raises(MissingMemoryError):
        memory(pages("p" * 64).build()).read(0, 1 << 60)


def test_pages_behind_the_cut_are_cut_and_those_before_are_whole() -> None:
    declared = pages("p" * 12)
    data = declared.build()
    table = descriptor_table(data)
    for length in range(bitmap(data, 1), len(data), 97):
        cut = data[:length]
        for frame in range(12):
            offset, size = struct.unpack_from("<QI", data, table + 24 * frame)
            if offset + size <= length:
                assert memory(cut).read(frame * SIZE, SIZE) == declared.page(frame)
            else:
                error = missing(cut, frame)
                assert error.reason == "cut"
                assert error.hint


def test_a_cut_page_says_where_its_descriptor_is_and_how_long_the_file_should_be() -> None:
    data = pages("ppp").build()
    error = missing(data[:-1], 2)
    assert error.offset == descriptor_table(data) + 48
    assert error.expected == f"at least {len(data):,} bytes"
    assert "its data" in error.message
    assert "descriptor" in missing(data[: descriptor_table(data) + 71], 2).message
    assert "bitmap" in missing(data[: bitmap(data)], 2).message


def test_what_makedumpfile_had_no_room_for_is_cut_not_damaged() -> None:
    unwritten = {3: {"offset": 0, "size": 0}, 4: {"offset": 0, "size": 0}}
    data = pages("ppppp", header={"status": 0x9}, descriptors=unwritten).build()
    error = missing(data, 4)
    assert error.reason == "cut"
    assert "ended before it wrote it" in error.message
    assert in_order(data) == {i: page_of(i, SIZE) for i in range(3)}
    assert problems(vl.open_vmcore(data)) == [("error", "header"), ("error", "page descriptors")]


def test_descriptors_that_were_never_written_are_one_problem_though_the_status_says_nothing() -> None:
    unwritten = {i: {"offset": 0, "size": 0} for i in range(30, 60)}
    data = pages("p" * 60, descriptors=unwritten).build()
    core = vl.open_vmcore(data)
    core.check()
    assert [(row["where"], row["got"]) for row in core.problems_table().records()] == [("page descriptors", "zeros")]
    assert "30 of 60 pages" in core.problems_table().records()[0]["message"]
    assert {missing(data, frame).reason for frame in (30, 45, 59)} == {"cut"}
    assert in_order(data) == {i: page_of(i, SIZE) for i in range(30)}


def test_an_empty_descriptor_among_others_is_damage() -> None:
    data = pages("ppppp", descriptors={2: {"offset": 0, "size": 0}}).build()
    assert missing(data, 2).reason == "damaged"
    core = vl.open_vmcore(data)
    core.check()
    assert problems(core) == [("error", "pages")]


# -- damaged pages ----------------------------------------------------------------------------------------------------

WRONG = {
    "no stream at all": b"\xff" * 40,
    "a stream that ends early": packed(page_of(1, SIZE), "zlib")[:-5],
    "a stream with a wrong checksum": packed(page_of(1, SIZE), "zlib")[:-1] + b"\0",
    "a byte too few": packed(page_of(1, SIZE - 1), "zlib"),
    "a byte too many": packed(page_of(1, SIZE + 1), "zlib"),
    "nothing": packed(b"", "zlib"),
    "a mebibyte": zlib.compress(bytes(1 << 18)),
    "zeros": bytes(80),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_page_that_does_not_inflate_to_a_page_is_damaged(wrong: bytes) -> None:
    data = pages("ppp", stored={1: wrong}).build()
    core = vl.open_vmcore(data)
    error = missing(data, 1)
    assert (error.reason, error.offset) == ("damaged", descriptor_table(data) + 24)
    assert error.expected
    assert error.got
    assert core.memory.read(0, SIZE) == page_of(0, SIZE)
    assert core.memory.read(2 * SIZE, SIZE) == page_of(2, SIZE)
    assert problems(core) == []
    with pytest.raises(MissingMemoryError):
        core.memory.read(0, 3 * SIZE)
    assert problems(core) == [("error", "pages")]


HOSTILE = {
    "snappy that announces 4 GiB": ("snappy", b"\xff\xff\xff\xff\x0f" + bytes(40)),
    "snappy without a length": ("snappy", b"\xff" * 20),
    "zstd that announces an exbibyte": ("zstd", b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 1 << 60) + b"\1\0\0"),
    "zstd without its magic": ("zstd", bytes(20)),
    "lzo of noise": ("lzo", b"\x15\xff\xfe" * 20),
    "lzo that ends at once": ("lzo", b"\x11\0\0"),
}


@pytest.mark.parametrize(("codec", "wrong"), HOSTILE.values(), ids=HOSTILE)
def test_sizes_in_a_packed_page_are_not_believed(codec: str, wrong: bytes) -> None:
    assert missing(pages("ppp", codec=codec, stored={1: wrong}).build(), 1).reason == "damaged"


@pytest.mark.parametrize("codec", ["lzo", "snappy", "zstd"])
def test_pages_that_inflate_to_another_size_are_damaged(codec: str) -> None:
    for size in (0, 1, SIZE - 1, SIZE + 1, 400 * SIZE):
        wrong = packed(bytes(size), codec)
        if len(wrong) <= SIZE:
            assert missing(pages("ppp", codec=codec, stored={1: wrong}).build(), 1).reason == "damaged", size


def test_a_zstd_page_need_not_announce_its_size() -> None:
    zstandard = pytest.importorskip("zstandard")
    compress = zstandard.ZstdCompressor(write_content_size=False).compress
    good, bomb = compress(page_of(1, SIZE)), compress(bytes(1 << 20))
    assert memory(pages("pp", codec="zstd", stored={1: good}).build()).read(SIZE, SIZE) == page_of(1, SIZE)
    assert missing(pages("pp", codec="zstd", stored={1: bomb}).build(), 1).reason == "damaged"


DESCRIPTORS = {
    "all zeros": {"offset": 0, "size": 0, "flags": 0},
    "no bytes": {"size": 0},
    "more than a page": {"size": SIZE + 1},
    "4 GiB": {"size": 0xFFFFFFFF},
    "the file's beginning": {"offset": 0},
    "the bitmaps": {"offset": 1024},
    "the far end of 64 bits": {"offset": (1 << 64) - 1},
    "2**63": {"offset": 1 << 63},
    "no compression that is known": {"flags": 0x40},
    "two compressions": {"flags": 0x3},
    "all flags": {"flags": 0xFFFFFFFF},
    "stored, but too short for it": {"flags": 0},
}


@pytest.mark.parametrize("wrong", DESCRIPTORS.values(), ids=DESCRIPTORS)
@pytest.mark.parametrize("machine", ["x86_64", "s390x"])
def test_a_descriptor_that_cannot_be_costs_its_own_page(machine: str, wrong: dict[str, int]) -> None:
    declared = pages("p" * 9, descriptors={4: wrong}, **MACHINES[machine])
    data = declared.build()
    assert missing(data, 4).reason == "damaged"
    sound = {frame: page for frame, page in declared.memory().items() if frame != 4}
    for threads in (1, 3):
        assert in_order(data, threads=threads) == sound


def test_the_ordered_reading_passes_over_damage_and_names_it() -> None:
    damaged = dict.fromkeys(range(0, 60, 2), b"\xff" * 30)
    core = vl.open_vmcore(pages("p" * 60, stored=damaged).build())
    assert [address for address, _ in core.memory.chunks()] == [frame * SIZE for frame in range(1, 60, 2)]
    assert problems(core) == [("error", "pages")] * 16
    assert core.check()
    assert core.problems["message"].iloc[-1] == "and 14 more damaged pages"


def test_checking_a_vmcore_inflates_its_pages() -> None:
    sound, damaged = pages("p" * 9), pages("p" * 9, stored={7: b"no page"})
    for declared, found in ((sound, []), (damaged, [("error", "pages")])):
        core = vl.open_vmcore(declared.build())
        assert problems(core) == []
        assert core.check()
        assert problems(core) == found
    core = vl.open_vmcore(damaged.build())
    assert not core.check(pages=False)
    assert problems(core) == []


def test_flipped_bytes_of_a_page_are_an_error_or_the_pages_own() -> None:
    declared = pages("ppp")
    data = declared.build()
    offset, size = struct.unpack_from("<QI", data, descriptor_table(data) + 24)
    for at in range(offset, offset + size):
        flipped = bytearray(data)
        flipped[at] ^= 0x10
        with contextlib.suppress(MissingMemoryError):
            assert memory(bytes(flipped)).read(SIZE, SIZE) == page_of(1, SIZE)  # a bit of fill; zlib has a checksum
        assert memory(bytes(flipped)).read(2 * SIZE, SIZE) == page_of(2, SIZE)


# -- damaged bitmaps --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frames", ["p" * 40 + "x" * 40, "z" + "p" * 39 + "x" * 40, "zzz" + "." * 30 + "x" * 9 + "pp" * 9]
)
@pytest.mark.parametrize("codec", ["zlib", "none"])
def test_a_bit_too_many_or_too_few_never_gives_a_page_of_another_frame(frames: str, codec: str) -> None:
    declared = pages(frames, codec=codec)
    data, held = declared.build(), declared.memory()
    for byte in range(len(frames) // 8):
        for mask in (0x01, 0x80, 0xFF):
            flipped = bytearray(data)
            flipped[bitmap(data) + byte] ^= mask
            changed = bytes(flipped)
            if bin(changed[bitmap(data) + byte]).count("1") == bin(data[bitmap(data) + byte]).count("1"):
                continue  # as many pages as before: nothing in the file contradicts that
            core = vl.open_vmcore(changed)
            for frame in held:
                with pytest.raises(MissingMemoryError):
                    core.memory.read(frame * SIZE, SIZE)
            assert list(core.memory.chunks()) == []
            assert ("error", "bitmaps") in problems(core)
            assert [dump.name for dump in core.device_dumps] == ["one_0000:02:00.4", "two_0000:81:00.4"]


@pytest.mark.parametrize("which", [1, 2])
def test_a_bitmap_of_zeros_is_no_memory_and_no_wrong_memory(which: int) -> None:
    declared = pages("p" * 40 + "x" * 8)
    data = bytearray(declared.build())
    data[bitmap(data, which) : bitmap(data, which) + 6] = bytes(6)
    core = vl.open_vmcore(bytes(data))
    core.check()
    if which == 1:  # the second bitmap alone says which pages are in the file
        assert dict(core.memory.chunks()) == {0: b"".join(declared.memory().values())}
    else:
        assert list(core.memory.chunks()) == []
        assert ("error", "bitmaps") in problems(core)


def test_first_descriptors_that_cannot_be_do_not_make_the_bitmap_wrong() -> None:
    declared = pages("p" * 40, descriptors={0: {"offset": 1 << 50}})
    sound = {frame: page for frame, page in declared.memory().items() if frame}
    assert in_order(declared.build()) == sound


def test_a_zeroed_middle_costs_the_pages_that_were_there() -> None:
    declared = pages("p" * 200)
    data = bytearray(declared.build())
    first = struct.unpack_from("<Q", data, descriptor_table(data) + 24 * 50)[0]
    end = struct.unpack_from("<Q", data, descriptor_table(data) + 24 * 90)[0]
    data[first:end] = bytes(end - first)
    table = descriptor_table(data)
    data[table + 24 * 120 : table + 24 * 130] = bytes(240)
    lost = {*range(50, 90), *range(120, 130)}
    assert in_order(bytes(data)) == {f: page for f, page in declared.memory().items() if f not in lost}


# -- whatever is done to a file ---------------------------------------------------------------------------------------

FILES = {
    "x86_64": pages(MIXED, codecs={3: "none"}).build(),
    "s390x": pages(MIXED, **MACHINES["s390x"]).build(),
    "i386": pages(MIXED, **MACHINES["i386"]).build(),
    "one part": parts(MIXED, 9, 20)[1],
}


def read_everything(data: bytes) -> None:
    """Anything but our own errors fails the test."""
    try:
        core = vl.open_vmcore(data)
    except OpenError:
        return
    held = 0
    for address, piece in core.memory.chunks(threads=1):
        assert core.memory.read(address, len(piece)) == piece
        held += len(piece)
    assert held <= core.container.memory_size()[1]
    for frame in range(len(MIXED)):
        with contextlib.suppress(MissingMemoryError):
            assert len(core.memory.read(frame * SIZE, SIZE)) == SIZE
    with contextlib.suppress(MissingMemoryError):
        core.memory.read(0xFFFFFFFF81000000, 8, "virtual")
    core.check(pages=True)
    core.problems_table()


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
@settings(max_examples=300)
@given(flips=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(1, 255)), min_size=1, max_size=6))
def test_flipped_bytes_raise_nothing_of_their_own(data: bytes, flips: list[tuple[int, int]]) -> None:
    flipped = bytearray(data)
    for at, change in flips:
        flipped[at % len(data)] ^= change
    read_everything(bytes(flipped))


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_any_word_of_headers_bitmaps_and_descriptors_may_hold_any_extreme(data: bytes) -> None:
    first = bitmap(FILES["x86_64"], 1)
    for at in (*range(404, 464, 4), *range(SIZE, SIZE + 104, 4), *range(first, first + 8, 4),
               *range(first + SIZE, first + SIZE + 8, 4), *range(first + 2 * SIZE, first + 2 * SIZE + 72, 4)):  # fmt: skip
        for value in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
            read_everything(data[:at] + struct.pack("<I", value) + data[at + 4 :])


# -- how much is read -------------------------------------------------------------------------------------------------


class Dump(ByteSource):
    """A dump of 1 TiB of memory without its bytes: each page is the same zlib stream; counts what is read."""

    FRAMES = 1 << 28
    PAGE = zlib.compress(bytes(4096), 1)

    def __init__(self) -> None:
        blocks = self.FRAMES // 8 // 4096
        small = Pages(usual_notes(), "p", block_size=4096,
                      header={"bitmap_blocks": 2 * blocks, "max_mapnr_64": self.FRAMES}).build()  # fmt: skip
        self.head = small[: bitmap(small, 1)]
        self.bitmaps, self.table = len(self.head), len(self.head) + 2 * self.FRAMES // 8
        self.data = self.table + 24 * self.FRAMES
        self.name, self.size = "1 TiB", self.data + 4096 + self.FRAMES * len(self.PAGE)
        self.count = 0
        self.places: set[str] = set()

    def read(self, offset: int, size: int) -> bytes:
        size = max(0, min(size, self.size - offset))
        self.count += size
        if offset < self.bitmaps:
            self.places.add("headers")
            return self.head[offset : offset + size].ljust(size, b"\0")
        if offset < self.table:
            self.places.add("bitmaps")
            return b"\xff" * size
        if offset < self.data:
            self.places.add("descriptors")
            rank = (offset - self.table) // 24
            rows = (self._descriptor(rank + i) for i in range(size // 24))
            return b"".join(rows)
        self.places.add("pages")
        at = (offset - self.data - 4096) % len(self.PAGE)
        return (self.PAGE[at:] + self.PAGE * (size // len(self.PAGE) + 1))[:size]

    def _descriptor(self, rank: int) -> bytes:
        return struct.pack("<QIIQ", self.data + 4096 + rank * len(self.PAGE), len(self.PAGE), 1, 0)


def test_notes_and_device_dumps_touch_no_page() -> None:
    source = Dump()
    core = vl.open_vmcore(source)
    core.notes_table()
    assert len(core.device_dumps) == 2
    assert core.vmcoreinfo
    assert source.places == {"headers"}
    assert source.count < 4096
    assert problems(core) == []
    assert source.places == {"headers", "descriptors"}  # the last of them show a cut
    assert source.count < 16384


def test_one_page_of_a_dump_of_1_tib_costs_kilobytes() -> None:
    source = Dump()
    core = vl.open_vmcore(source)
    source.count = 0
    assert core.memory.read(5 * 4096 + 7, 9) == bytes(9)
    assert source.count < 16384


def test_the_last_page_costs_the_bitmap_once() -> None:
    source = Dump()
    core = vl.open_vmcore(source)
    last = (source.FRAMES - 1) * 4096
    assert core.memory.read(last, 16) == bytes(16)
    assert source.count < source.FRAMES // 8 + 16384
    source.count = 0
    assert core.memory.read(last - 3 * 4096, 16) == bytes(16)
    assert source.count < 1024


def test_the_ordered_reading_begins_before_it_has_read_the_bitmap_of_the_end() -> None:
    source = Dump()
    core = vl.open_vmcore(source)
    address, piece = next(core.memory.chunks(threads=1))
    assert (address, piece[:9]) == (0, bytes(9))


def test_a_page_read_again_is_not_inflated_again() -> None:
    data = pages("p" * 4, block_size=4096).build()
    source = CountingSource(data, len(data))
    core = vl.open_vmcore(source)
    first = core.memory.read(4096, 8)
    source.count = 0
    assert core.memory.read(4096, 8) == first
    assert core.memory.read(4100, 8) != first
    assert source.count == 0


def test_the_pages_kept_are_few() -> None:
    declared = pages("p" * 2000)
    core = vl.open_vmcore(declared.build())
    for frame in range(2000):
        core.memory.read(frame * SIZE, 1)
    assert len(core.container.memory._cache) <= 256  # type: ignore[attr-defined]
    assert core.memory.read(0, SIZE) == page_of(0, SIZE)


# -- codecs are imported when they are needed -------------------------------------------------------------------------

PACKAGES = {"lzo": "lzallright", "snappy": "cramjam", "zstd": "zstandard"}


@pytest.mark.parametrize(("codec", "package"), PACKAGES.items())
@pytest.mark.parametrize("threads", [1, 2])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, codec: str, package: str, threads: int
) -> None:
    data = pages("p" * 9, codec=codec).build()
    monkeypatch.setitem(sys.modules, package, None)
    core = vl.open_vmcore(data)
    for read in (lambda: core.memory.read(0, 1), lambda: list(core.memory.chunks(threads=threads))):
        with pytest.raises(OpenError, match=rf"(?s){codec}.*pip install {package}"):
            read()
    assert len(core.device_dumps) == 2
    assert not core.check()
    with pytest.raises(OpenError):
        core.check(pages=True)


def test_zlib_pages_need_no_package(file: Callable[..., Path]) -> None:
    path = file(pages("p.xzp").build())
    code = (
        "import sys, vmcoredd_lab as vl; core = vl.open_vmcore(sys.argv[1]); core.memory.read(0, 512); "
        f"print([name for name in {list(PACKAGES.values())} + ['drgn', 'pandas', 'fsspec'] if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


# -- files of real kernels --------------------------------------------------------------------------------------------

MINI = "vmcore/x86_64-mini/"
CONTAINERS = {
    "zlib": "vmcore/x86_64-story/vmcore.d31-zlib.kdump",
    "64 KiB pages": "vmcore/arm64/vmcore.d31-zlib.kdump",
    "stored": MINI + "vmcore.d31.kdump.xz",
    "lzo": MINI + "vmcore.d31-lzo.kdump.xz",
    "zstd": MINI + "vmcore.d31-zstd.kdump",
    "KASLR": "vmcore/x86_64-cudbg/vmcore.d31-zlib.kdump",
}


@pytest.fixture(scope="module")
def drgn() -> Any:
    return pytest.importorskip("drgn", reason="drgn is not installed: no other reader of pages to compare with")


def need(codec: str) -> None:
    if codec in PACKAGES:
        pytest.importorskip(PACKAGES[codec])


@pytest.mark.parametrize("name", sorted(CONTAINERS.keys() - {"KASLR"}))  # of which there is no ELF vmcore
def test_pages_are_those_of_the_vmcore_they_were_made_from(unpacked: Callable[..., Path], name: str) -> None:
    need(name)
    whole = memory(unpacked(Path(CONTAINERS[name]).parent / "vmcore.elf.xz"))
    held = 0
    for address, piece in memory(unpacked(CONTAINERS[name])).chunks():
        assert whole.read(address, len(piece)) == piece, hex(address)
        held += len(piece)
    assert held > 10 << 20


@pytest.mark.peer
@pytest.mark.parametrize("name", CONTAINERS)
def test_pages_are_those_of_drgn(unpacked: Callable[[str], Path], drgn: Any, name: str) -> None:
    need(name)
    path = unpacked(CONTAINERS[name])
    program = drgn.Program()
    program.set_core_dump(path)
    core = vl.open_vmcore(path)
    for address, piece in core.memory.chunks():
        assert program.read(address, len(piece), True) == piece, hex(address)
    segments = core.segments
    for address in segments[segments["type"] == "excluded"]["paddr"].tolist()[:50]:
        with pytest.raises(drgn.FaultError):
            program.read(address, 16, True)
        with pytest.raises(MissingMemoryError, match="left out"):
            core.memory.read(address, 16)


@pytest.mark.parametrize("name", CONTAINERS)
def test_single_pages_are_those_of_the_ordered_reading(unpacked: Callable[[str], Path], name: str) -> None:
    need(name)
    core = vl.open_vmcore(unpacked(CONTAINERS[name]))
    for address, piece in core.memory.chunks():
        for at in range(0, len(piece), 37 * 4096):
            assert core.memory.read(address + at, 64) == piece[at : at + 64]


@pytest.fixture(scope="module")
def makedumpfile() -> str:
    program = shutil.which("makedumpfile")
    if not program:
        pytest.skip("makedumpfile is not installed")
    return program


@pytest.mark.peer
@pytest.mark.parametrize("options", [["-c", "-d", "0"], ["-l", "-d", "1"], ["-d", "17"]], ids=" ".join)
def test_whatever_makedumpfile_writes_is_read(
    unpacked: Callable[[str], Path], tmp_path: Path, makedumpfile: str, options: list[str]
) -> None:
    need("lzo" if "-l" in options else "zlib")
    elf, kdump = unpacked(MINI + "vmcore.elf.xz"), tmp_path / "vmcore"
    run = subprocess.run([makedumpfile, *options, str(elf), str(kdump)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    core, whole = vl.open_vmcore(kdump), memory(elf)
    held = 0
    for address, piece in core.memory.chunks():
        assert whole.read(address, len(piece)) == piece, hex(address)
        held += len(piece)
    assert held == core.container.memory_size()[1]
    if "0" in options:
        # makedumpfile leaves a page out that the vmcore holds in part
        assert held == sum(len(piece) // 4096 * 4096 for _, piece in whole.chunks())
    assert core.check()
    assert [row for row in problems(core) if not row[1].startswith("dump:")] == []


# -- the sample, cut at every 4 KiB -----------------------------------------------------------------------------------


def ends_of_pages(data: bytes) -> dict[int, int]:
    """Where the stored bytes of each page end, by its frame."""
    container = vl.open_vmcore(data).container
    found: dict[int, int] = {}
    for row in container.segments().records():
        if row["type"] == "present":
            for i in range(row["memsz"] // 4096):
                offset, size = struct.unpack_from("<QI", data, row["offset"] + 24 * i)
                found[row["paddr"] // 4096 + i] = offset + size
    return found


def around(frames: list[int], ends: dict[int, int], cut: int) -> Iterator[int]:
    """The first page, and a few on either side of the cut."""
    behind = next((i for i, frame in enumerate(frames) if ends[frame] > cut), len(frames))
    yield frames[0]
    yield from frames[max(0, behind - 2) : behind + 3]


def test_the_sample_cut_at_every_4_kib_gives_all_that_lies_before_the_cut(sample: Path) -> None:
    data = sample.read_bytes()
    whole = vl.open_vmcore(data)
    notes = [(n.owner, n.type, n.desc_offset, n.desc_size) for n in whole.container.notes]
    ends = ends_of_pages(data)
    frames = sorted(ends, key=lambda frame: (ends[frame], frame))
    expected = {frame: whole.memory.read(frame * 4096, 4096) for frame in frames}
    for cut in range(4096, len(data), 4096):
        core = vl.open_vmcore(memoryview(data)[:cut])
        sound = [note for note in notes if note[2] + note[3] <= cut]
        assert [(n.owner, n.type, n.desc_offset, n.desc_size) for n in core.container.notes][: len(sound)] == sound
        assert core.known_problems().damaged, cut
        for frame in set(around(frames, ends, cut)):
            if ends[frame] <= cut:
                assert core.memory.read(frame * 4096, 4096) == expected[frame], (cut, frame)
            else:
                with pytest.raises(MissingMemoryError) as error:
                    core.memory.read(frame * 4096, 4096)
                assert error.value.reason == "cut", (cut, frame)


def test_the_ordered_reading_of_a_cut_sample_ends_where_it_must(sample: Path) -> None:
    data = sample.read_bytes()
    ends = ends_of_pages(data)
    for cut in range(4096 * 450, len(data), 4096 * 97):
        held = {a // 4096 + i for a, b in memory(memoryview(data)[:cut]).chunks() for i in range(len(b) // 4096)}
        assert held == {frame for frame, end in ends.items() if end <= cut}
