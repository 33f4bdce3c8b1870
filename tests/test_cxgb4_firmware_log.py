"""DEV_LOG: the ring of struct fw_devlog_e, its order, and formats that must not be trusted."""

from __future__ import annotations

import ctypes
import json
import random
import struct
import sys
from itertools import pairwise
from typing import Any

import pytest
from cudbg_builder import (
    DEV_LOG,
    EMPTY_SLOT,
    ERASED_SLOT,
    NONE,
    ORDERS,
    ZLIB,
    Entity,
    cudbg,
    log_entry,
    messages,
)
from cudbg_truth import HERE, Known, names, shared
from hypothesis import example, given, settings
from hypothesis import strategies as st

import vmcoredd_lab as vl
from vmcoredd_lab.devices.cxgb4.dev_log import FACILITIES, LEVELS, format_message

steadily = settings(deadline=None, derandomize=True, database=None)


@pytest.fixture(scope="module", params=names())
def known(request: pytest.FixtureRequest) -> Known:
    return shared(request.param)


def log_of(*slots: bytes, **declared: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (
        cudbg(Entity(DEV_LOG, b"".join(slots)), **declared).open().firmware_log_table().records()
    )
    return rows


def numbers(*slots: bytes) -> list[int]:
    return [row["seqno"] for row in log_of(*slots)]


def level_name(number: int) -> str:
    return {0: "EMERG", 1: "CRIT", 2: "ERR", 3: "NOTICE", 4: "INFO", 5: "DEBUG"}.get(number, "UNKNOWN")


def as_escaped(text: str) -> str:
    r"""What a message looks like: no newline at its end, \xNN for what is not text."""
    return "".join(c if " " <= c <= "~" or c in "\n\t" else f"\\x{ord(c):02x}" for c in text).rstrip("\n")


# -- genuine dumps ----------------------------------------------------------------------------------------------------


def test_every_entry_is_there_in_order_and_formatted(known: Known) -> None:
    if not known.collected("DEV_LOG"):
        with pytest.raises(vl.NotInFileError, match=r"dev_log"):
            known.nic.firmware_log_table()
        return
    expected = [e for e in known.model["devlog"]["entries_oldest_first"] if e["timestamp"] not in (0, 2**64 - 1)]
    rows = known.nic.firmware_log_table().records()
    assert len(rows) == len(expected) > 0
    for row, entry in zip(rows, expected, strict=True):
        assert (row["seqno"], row["timestamp"]) == (entry["seqno"], entry["timestamp"])
        assert row["level"] == level_name(entry["level"])
        assert row["facility"] == FACILITIES.get(entry["facility"], "UNKNOWN")
        assert row["message"] == as_escaped(entry["text"])
        assert row["offset"] == 256 * entry["slot"]


def test_the_log_of_a_small_genuine_dump() -> None:
    expected = json.loads((HERE / "t6-stale-zlib.json").read_text())["firmware_log"]
    rows = vl.open_device_dump(HERE / "t6-stale-zlib.bin").decode().firmware_log_table().records()
    got = [[row[k] for k in ("seqno", "timestamp", "level", "facility", "message")] for row in rows]
    assert got == [
        [seqno, timestamp, level_name(level), FACILITIES.get(facility, "UNKNOWN"), as_escaped(text)]
        for seqno, timestamp, level, facility, text in expected
    ]
    assert len(rows) == 256


def test_a_ring_whose_numbers_wrap_through_2_to_the_32() -> None:
    seqno = [row["seqno"] for row in shared("t5-live-zlib").nic.firmware_log_table().records()]
    assert len(seqno) == 256
    assert [(b - a) % 2**32 for a, b in pairwise(seqno)] == [1] * 255


def test_the_newest_entries_of_a_crashed_firmware_tell_of_it() -> None:
    rows = shared("q-t6-fwcrash").nic.firmware_log_table().records()
    assert rows[-1]["level"] == "EMERG"
    assert {"ERR", "CRIT", "EMERG"} <= {row["level"] for row in rows[-8:]}


def test_a_log_that_was_not_collected_is_not_in_the_file() -> None:
    with pytest.raises(vl.NotInFileError, match="dev_log holds no data"):
        vl.open_device_dump(HERE / "t6-tiny-raw.bin").decode().firmware_log_table()


# -- one entry --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [NONE, ZLIB])
@pytest.mark.parametrize("order", ORDERS)
def test_entries_are_big_endian_on_every_host(order: str, compression: int) -> None:
    slot = log_entry(7, "value %x", [0x1234], timestamp=1 << 40, level=2, facility=0x18)
    (row,) = log_of(slot, order=order, compression=compression)
    assert row == {
        "seqno": 7, "timestamp": 1 << 40, "level": "ERR", "facility": "PORT", "message": "value 1234", "offset": 0,
    }  # fmt: skip


@pytest.mark.parametrize("number", [0, 1, 5, 6, 7, 128, 255])
def test_levels(number: int) -> None:
    (row,) = log_of(log_entry(1, level=number))
    assert row["level"] == level_name(number)
    assert LEVELS == ("EMERG", "CRIT", "ERR", "NOTICE", "INFO", "DEBUG")


@pytest.mark.parametrize(
    ("number", "name"),
    [(0, "CORE"), (1, "CF"), (2, "SCHED"), (3, "UNKNOWN"), (8, "HW"), (0x16, "MAC"), (0x17, "UNKNOWN"), (0x32, "FOFCOE"),
     (0x33, "UNKNOWN"), (0x34, "CHNET"), (0x36, "COISCSI"), (0x37, "UNKNOWN"), (255, "UNKNOWN")],
)  # fmt: skip
def test_facilities(number: int, name: str) -> None:
    (row,) = log_of(log_entry(1, facility=number))
    assert row["facility"] == name


@pytest.mark.parametrize("seqno", [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_numbers_are_unsigned(seqno: int) -> None:
    assert numbers(log_entry(seqno, timestamp=1)) == [seqno]


@pytest.mark.parametrize("timestamp", [1, 1 << 32, 1 << 63, (1 << 64) - 2])
def test_timestamps_are_unsigned_and_exact(timestamp: int) -> None:
    nic = cudbg(Entity(DEV_LOG, log_entry(1, timestamp=timestamp))).open()
    assert nic.firmware_log_table().values("timestamp") == [timestamp]
    assert nic.firmware_log["timestamp"].tolist() == [timestamp]
    assert str(nic.firmware_log["timestamp"].dtype) == "UInt64"


def test_eight_parameters_are_there_for_the_format() -> None:
    (row,) = log_of(log_entry(1, "%u %u %u %u %u %u %u %u", range(1, 9)))
    assert row["message"] == "1 2 3 4 5 6 7 8"


# -- the ring ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", range(8))
def test_wherever_the_ring_begins_the_oldest_comes_first(turn: int) -> None:
    slots = [log_entry(n) for n in range(40, 48)]
    assert numbers(*slots[turn:], *slots[:turn]) == list(range(40, 48))


@pytest.mark.parametrize("turn", range(8))
def test_numbers_that_wrap_keep_their_order(turn: int) -> None:
    wrapping = [n % 2**32 for n in range(2**32 - 3, 2**32 + 5)]
    slots = [log_entry(n, timestamp=1) for n in wrapping]
    assert numbers(*slots[turn:], *slots[:turn]) == wrapping


@pytest.mark.parametrize("empty", [EMPTY_SLOT, ERASED_SLOT])
@pytest.mark.parametrize("places", [(0,), (4,), (8,), (0, 4, 8), (2, 3)])
@pytest.mark.parametrize("turn", [0, 3])
def test_slots_never_written_are_left_out_wherever_they_are(turn: int, places: tuple[int, ...], empty: bytes) -> None:
    slots = [log_entry(n) for n in range(8)]
    slots = slots[turn:] + slots[:turn]
    for place in reversed(places):
        slots.insert(place, empty)
    assert numbers(*slots) == list(range(8))


def test_a_slot_with_timestamp_0_is_empty_whatever_else_it_holds() -> None:
    assert numbers(log_entry(5), log_entry(6, timestamp=0), log_entry(7, timestamp=2**64 - 1), log_entry(8)) == [5, 8]


def test_an_empty_slot_does_not_take_part_in_the_order() -> None:
    assert numbers(log_entry(0, timestamp=0), log_entry(9), log_entry(7), log_entry(8)) == [7, 8, 9]


@pytest.mark.parametrize("slots", [[], [EMPTY_SLOT] * 4, [ERASED_SLOT] * 4])
def test_a_ring_in_which_nothing_was_written(slots: list[bytes]) -> None:
    nic = cudbg(Entity(DEV_LOG, b"".join(slots) or EMPTY_SLOT)).open()
    assert (nic.firmware_log_table().records(), messages(nic)) == ([], [])
    assert nic.firmware_log.columns.tolist() == ["seqno", "timestamp", "level", "facility", "message", "offset"]


def test_the_newest_entry_may_be_torn_and_is_shown_as_it_is() -> None:
    torn = log_entry(3, "half wri")[:24] + b"\xff" * 232
    assert [row["seqno"] for row in log_of(log_entry(1), log_entry(2), torn)] == [1, 2, 3]


@steadily
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=24), st.data())
def test_every_written_slot_is_one_row_whatever_its_number(seqnos: list[int], data: st.DataObject) -> None:
    stamps = data.draw(st.lists(st.sampled_from([0, 1, 2**63, 2**64 - 1]), min_size=len(seqnos), max_size=len(seqnos)))
    slots = [log_entry(n, timestamp=t) for n, t in zip(seqnos, stamps, strict=True)]
    written = [n for n, t in zip(seqnos, stamps, strict=True) if 0 < t < 2**64 - 1]
    got = [row["offset"] // 256 for row in log_of(*slots, compression=NONE)]
    assert sorted(seqnos[at] for at in got) == sorted(written)
    assert got == [] or got == sorted(got, key=lambda at: (at - got[0]) % len(slots))  # one walk around the ring


# -- damage -----------------------------------------------------------------------------------------------------------


def test_a_log_that_does_not_end_with_a_whole_entry_keeps_the_whole_ones() -> None:
    nic = cudbg(Entity(DEV_LOG, log_entry(1) + log_entry(2) + log_entry(3)[:100])).open()
    assert nic.firmware_log_table().values("seqno") == [1, 2]
    assert [m for m in messages(nic) if "does not end with a whole entry" in m]


def test_entries_in_a_damaged_piece_are_left_out_and_counted() -> None:
    entries = b"".join(log_entry(n, f"entry {n}") for n in range(600))  # 153,600 bytes: three pieces of 252 entries
    built = cudbg(Entity(DEV_LOG, entries))
    nic = built.flip(built.pieces(DEV_LOG)[1].stream + 50).open()
    assert nic.firmware_log_table().values("seqno") == [*range(252), *range(504, 600)]
    assert [m for m in messages(nic) if "252 slots of the firmware log cannot be read" in m]


def test_an_entry_of_which_only_the_beginning_can_be_inflated_is_not_half_shown() -> None:
    pick = random.Random(11)
    built = cudbg(Entity(DEV_LOG, b"".join(log_entry(n, pick.randbytes(100).hex()) for n in range(64))))
    piece = built.pieces(DEV_LOG)[0]
    nic = built.cut((piece.stream + piece.end) // 2).open()
    ((sound, _),) = nic.decoded("dev_log").damaged
    assert 16 < sound % 256 < 216, "the cut is inside an entry's format"
    assert nic.firmware_log_table().values("seqno") == list(range(sound // 256))


def test_an_entry_cut_in_the_middle_is_not_half_shown() -> None:
    built = cudbg(Entity(DEV_LOG, b"".join(log_entry(n) for n in range(8))), compression=NONE)
    assert built.cut(built.offsets[DEV_LOG] + 3 * 256 + 230).open().firmware_log_table().values("seqno") == [0, 1, 2]


# -- formats ----------------------------------------------------------------------------------------------------------


PARAMS = [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    ("fmt", "params", "text"),
    [
        (b"plain\n", [], "plain"),
        (b"two\nlines\n\n", [], "two\nlines"),
        (b"", [1], ""),
        (b"%d %i %u", [0xFFFFFFFF, 0x80000000, 0xFFFFFFFF], "-1 -2147483648 4294967295"),
        (b"%x %X %#x %o", [0xBEEF, 0xBEEF, 0xBEEF, 8], "beef BEEF 0xbeef 10"),
        (b"[%5d|%-5d|%05d|%+d|% d]", [42, 42, 42, 42, 42], "[   42|42   |00042|+42| 42]"),
        (b"[%.3u|%6.3u|%-6.3u|%06.3u]", [7, 7, 7, 7], "[007|   007|007   |   007]"),
        (b"%hhd %hd %ld %lld %lx %llu", [1, 2, 3, 4, 5, 6], "1 2 3 4 5 6"),
        (b"100%% of %u", [3], "100% of 3"),
        (b"%*d|%-*d|%*d", [5, 1, 5, 2, 0xFFFFFFFB, 3], "    1|2    |3    "),
        (b"%.*u|%.*u", [3, 7, 0xFFFFFFFF, 7], "007|7"),
        (b"%c%c", [0x41, 0x42], "AB"),
    ],
)
def test_sane_formats(fmt: bytes, params: list[int], text: str) -> None:
    assert format_message(fmt, params) == text


@pytest.mark.parametrize(
    ("fmt", "params", "text"),
    [
        (b"%s|%20s|%-12s|", [0xDEADBEEF] * 3, "0xdeadbeef|          0xdeadbeef|0xdeadbeef  |"),
        (b"%p", [0xC0FFEE], "0xc0ffee"),
        (b"%s", [0], "0x0"),
        (b"a%nb%u", [0xDEADBEEF, 5], "ab5"),
        (b"%.*s|", [0x7FFFFFFF, 0x41414141], "0x41414141|"),
        (b"%f %e %g %a %Z", [1, 2, 3, 4, 5], "0x1 0x2 0x3 0x4 0x5"),
        (b"%", [1], "%"),
        (b"%%", [1], "%"),
        (b"50% ", [1], "50% "),
        (b"%-", [1], "%-"),
        (b"%5", [1], "%5"),
        (b"%l", [1], "0x1"),
        (b"%\x01d", [1], "%\\x01d"),
        (b"%c|", [0], "\\x00|"),
        (b"%c|", [0xE9], "\\xe9|"),
        (b"%c|", [0x1234561B], "\\x1b|"),
        (b"caf\xe9 \x1b[2J\x07", [], "caf\\xe9 \\x1b[2J\\x07"),
        (b"ends here\0%s%s%n", [1], "ends here"),
        (b"%d" * 10, PARAMS, "12345678<missing><missing>"),
        (b"%*.*d|%*.*d|%*.*d", PARAMS, "03|00006|<missing>"),
        (b"%u" * 7 + b"%*u", PARAMS, "1234567<missing>"),
    ],
)
def test_hostile_formats(fmt: bytes, params: list[int], text: str) -> None:
    assert format_message(fmt, params) == text


@pytest.mark.parametrize(
    "fmt", [b"%99999999d", b"%.99999999d", b"%099999999d", b"%-99999999s", b"%*d", b"%.*d", b"%*s"]
)
def test_widths_of_a_hundred_million_are_cut_down(fmt: bytes) -> None:
    assert len(format_message(fmt, [0x7FFFFFFF] * 8)) <= 512


def test_the_longest_possible_message_stays_short() -> None:
    assert len(format_message(b"%999u" * 38, PARAMS)) < 192 * 20


def test_a_format_without_a_nul_ends_with_its_192_bytes() -> None:
    (row,) = log_of(log_entry(1, b"x" * 192, [0x41414141] * 8))
    assert row["message"] == "x" * 192


def test_escaped_bytes_reach_the_frame_as_ascii() -> None:
    nic = cudbg(Entity(DEV_LOG, log_entry(1, b"\xff\xfe\x1b]0;title\x07 %c\n", [0x9B]))).open()
    (text,) = nic.firmware_log["message"]
    assert text == "\\xff\\xfe\\x1b]0;title\\x07 \\x9b"
    assert text.isascii()


@steadily
@given(st.binary(max_size=192), st.lists(st.integers(0, 2**32 - 1), max_size=8))
@example(b"%" * 192, [])
@example(b"%*.*lld" * 27, [2**31 - 1] * 8)
@example(b"%-+ #0" * 32, [1])
def test_no_format_fails_or_grows_without_bound(fmt: bytes, params: list[int]) -> None:
    text = format_message(fmt, params)
    assert len(text) <= 192 * 4 + 8 * 520 + 96 * 9
    assert all(" " <= c <= "~" or c in "\n\t" for c in text)


WORD = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 8, 2**31 - 1, 2**31, 2**32 - 1]))
FLAGS = st.lists(st.sampled_from("-+ #0"), unique=True).map("".join)
PERCENT = st.builds(
    "%{}{}{}{}".format,
    FLAGS,
    st.one_of(st.just(""), st.integers(1, 60)),
    st.one_of(st.just(""), st.just("."), st.integers(0, 60).map(".{}".format)),
    st.sampled_from("diuxXo"),
)


@steadily
@given(PERCENT, WORD)
@example("%#.0o", 0)
@example("%#.0x", 0)
@example("%+.0d", 0)
@example("%#5.3o", 8)
def test_integers_are_formatted_as_the_c_library_does(conversion: str, word: int) -> None:
    assert format_message(f"[{conversion}]".encode(), [word]) == c_library(f"[{conversion}]", word)


@steadily
@given(FLAGS.filter(lambda flags: "#" not in flags), st.integers(0, 60), st.sampled_from("diuxXo"), WORD)
def test_integers_are_formatted_as_python_does(flags: str, width: int, kind: str, word: int) -> None:
    if kind not in "di":  # where Python would print a sign that C does not know
        flags = flags.replace("+", "").replace(" ", "")
    conversion = f"[%{flags}{width or ''}{kind}]"
    value = word - 2**32 if kind in "di" and word >= 2**31 else word
    assert format_message(conversion.encode(), [word]) == conversion % value


@steadily
@given(st.lists(st.tuples(PERCENT, WORD), min_size=1, max_size=8), st.sampled_from(["", " ", ", ", "%%", " = "]))
def test_several_conversions_take_their_parameters_in_order(parts: list[tuple[str, int]], between: str) -> None:
    fmt = between.join(conversion for conversion, _ in parts)
    words = [word for _, word in parts]
    assert format_message(fmt.encode()[:192] + b"\0", words) == c_library(fmt, *words)


def test_characters_with_widths_are_formatted_as_the_c_library_does() -> None:
    for fmt in ("[%c]", "[%5c]", "[%-5c]"):
        assert format_message(fmt.encode(), [0x5A]) == c_library(fmt, 0x5A)


def test_stars_are_formatted_as_the_c_library_does() -> None:
    pick = random.Random(7)
    for _ in range(500):
        fmt = f"[%{pick.choice(['', '-', '0', '+'])}*{pick.choice(['', '.*', '.3'])}{pick.choice('diuxXo')}]"
        words = [pick.choice([0, 3, 40, 2**32 - 1, 2**32 - 40]) for _ in range(fmt.count("*"))]
        words.append(pick.getrandbits(32))
        assert format_message(fmt.encode(), words) == c_library(fmt, *words), (fmt, words)


def c_library(fmt: str, *words: int) -> str:
    if not sys.platform.startswith("linux"):
        pytest.skip("needs the C library's snprintf")
    buffer = ctypes.create_string_buffer(8192)
    ctypes.CDLL(None).snprintf(buffer, len(buffer), fmt.encode(), *(ctypes.c_uint32(w) for w in words))
    return buffer.value.decode("ascii")


def test_the_builder_s_entry_is_256_bytes_as_in_t4fw_api() -> None:
    slot = log_entry(0x01020304, b"f", [5], timestamp=0x1112131415161718, level=6, facility=7)
    assert len(slot) == 256
    assert struct.unpack_from(">QIHBB", slot) == (0x1112131415161718, 0x01020304, 0, 6, 7)
    assert (slot[16:18], struct.unpack_from(">I", slot, 208)) == (b"f\0", (5,))
