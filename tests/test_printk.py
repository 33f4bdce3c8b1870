"""The kernel log in every format that kernels had: on images packed here, and on vmcores of real kernels beside their peers."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import ORDERS, WIDTHS, elf, notes, usual_notes
from conftest import Answer
from hypothesis import given
from hypothesis import strategies as st
from kernel_builder import BASE, COMMITTED, PHYSICAL, RESERVED, Ring, record, record_log, text_log

import vmcoredd_lab as vl
from vmcoredd_lab.cli.output import note
from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.kernel.printed import printed, printed_text
from vmcoredd_lab.kernel.printk import DMESG
from vmcoredd_lab.kernel.printk_records import STATES
from vmcoredd_lab.tables import Table

Lab = Callable[..., Answer]


def log(data: bytes) -> Table:
    return vl.open_vmcore(data).dmesg_table()


def column(table: Table, name: str) -> list[Any]:
    return table.values(name)


# -- the lockless ring ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("order", ORDERS)
def test_a_record_of_the_ring_has_all_its_columns(bits: int, order: str) -> None:
    ring = Ring(bits=bits, order=order)
    ring.add(b"first", level=5, caller=0x80000003)
    ring.add(b"cxgb4 0000:02:00.4: fatal error", ts=12_345_678_901, level=3, facility=3, caller=77,
             device=(b"pci", b"+pci:0000:02:00.4"))  # fmt: skip
    first, second = log(ring.core()).records()
    assert first == {
        "seq": 0, "time_ns": 0, "level": "notice", "facility": "kern", "caller": "C3", "text": "first", "device": None,
        "state": "finalized", "dictionary": None,
    }  # fmt: skip
    assert second == {
        "seq": 1, "time_ns": 12_345_678_901, "level": "err", "facility": "daemon", "caller": "T77",
        "text": "cxgb4 0000:02:00.4: fatal error", "device": "cxgb4 0000:02:00.4", "state": "finalized",
        "dictionary": "SUBSYSTEM=pci\nDEVICE=+pci:0000:02:00.4",
    }  # fmt: skip


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("many", [3, 14, 16, 17, 40, 300])
def test_the_newest_records_survive_when_the_ring_goes_round(bits: int, order: str, many: int) -> None:
    ring = Ring(bits=bits, order=order)
    said = [b"record %d %s" % (i, b"x" * (i * 7 % 61)) for i in range(many)]
    for text in said:
        ring.add(text)
    table = log(ring.core())
    whole = [r for r in table.records() if r["state"] == "finalized"]
    assert [r["text"].encode() for r in whole] == said[-len(whole) :]
    assert [r["seq"] for r in whole] == list(range(many - len(whole), many))
    assert len(whole) >= min(many, 6)
    assert len(table) == min(many, 16)
    assert set(column(table, "state")) <= {"finalized", "overwritten"}


def test_spans_are_the_physical_addresses_of_the_texts() -> None:
    ring = Ring()
    for i in range(60):
        ring.add(b"record number %d" % i)
    core = vl.open_vmcore(ring.core())
    table = core.dmesg_table()
    assert table.spans is not None
    for (start, end), text in zip(table.spans.tolist(), column(table, "text"), strict=True):
        assert start >= PHYSICAL or not text
        assert core.memory.read(start, end - start) == text.encode()


def test_a_record_that_was_not_written_to_its_end_is_torn() -> None:
    ring = Ring()
    ring.add(b"whole")
    ring.add(b"half of it\0stale bytes", state=RESERVED)
    ring.infos[ring.head_id % ring.count] = ring.infos[ring.head_id % ring.count][:16] + bytes(2) + ring.infos[0][18:]
    assert [(r["text"], r["state"]) for r in log(ring.core()).records()] == [
        ("whole", "finalized"),
        ("half of it", "torn"),
    ]


def test_a_record_that_could_have_been_continued_is_whole() -> None:
    ring = Ring()
    ring.add(b"without a newline", state=COMMITTED)
    assert column(log(ring.core()), "state") == ["committed"]


def test_a_record_whose_text_found_no_room_is_lost() -> None:
    ring = Ring()
    ring.add(b"before")
    ring.add(b"a text that was too long", lost=True)
    ring.add(b"after")
    rows = log(ring.core()).records()
    assert [(r["seq"], r["text"], r["state"]) for r in rows] == [
        (0, "before", "finalized"),
        (1, "", "lost"),
        (2, "after", "finalized"),
    ]


def test_an_empty_text_is_no_loss() -> None:
    ring = Ring()
    ring.add(b"")
    assert [(r["text"], r["state"]) for r in log(ring.core()).records()] == [("", "finalized")]


def test_a_place_that_was_taken_and_not_yet_written_is_torn() -> None:
    ring = Ring(count_bits=3)
    for i in range(9):
        ring.add(b"record %d" % i)
    ring.head_id = (ring.head_id + 1) & ring.ids
    ring.tail_id = (ring.tail_id + 1) & ring.ids
    table = log(ring.core())
    assert column(table, "state")[-2:] == ["finalized", "torn"]
    assert column(table, "text")[-2:] == ["record 8", ""]


def test_records_given_up_keep_their_text_while_it_is_there() -> None:
    ring = Ring()
    ring.add(b"given up, but there")
    ring.add(b"newer")
    ring._give_up((ring.head_id - 1) & ring.ids)
    assert [(r["text"], r["state"]) for r in log(ring.core()).records()] == [
        ("given up, but there", "overwritten"), ("newer", "finalized"),
    ]  # fmt: skip


def test_rings_without_caller_and_device_are_read() -> None:
    ring = Ring(caller=False, dev_info=False)
    ring.add(b"e1000e 0000:00:19.0 eth0: link is down")
    (row,) = log(ring.core(replaced={"SIZE(printk_info)": "24"})).records()
    assert (row["text"], row["device"], row["dictionary"]) == (
        "e1000e 0000:00:19.0 eth0: link is down", "e1000e 0000:00:19.0", None,
    )  # fmt: skip


def test_text_stays_utf_8_and_other_bytes_are_escaped() -> None:
    ring = Ring()
    ring.add("café \u65e5".encode() + b"\xff\x1b[31m\x07\ttab\nsecond line\x7f")
    assert column(log(ring.core()), "text") == ["café \u65e5\\xff\\x1b[31m\\x07\ttab\nsecond line\\x7f"]


def test_the_static_ring_is_read_where_the_pointer_is_lost() -> None:
    ring = Ring()
    ring.add(b"still here")
    core = vl.open_vmcore(ring.core(replaced={"SYMBOL(prb)": f"{BASE[64] + 0x70000000:x}"}))
    assert column(core.dmesg_table(), "text") == ["still here"]
    assert any(p.severity == "error" and "prb" in p.message for p in core.known_problems())


@pytest.mark.parametrize(
    ("key", "value"),
    [("SIZE(prb_desc)", "0"), ("SIZE(prb_desc)", "zz"), ("OFFSET(printk_info.text_len)", "99999"), ("SIZE(printk_info)", "-4"),
     ("OFFSET(prb_desc_ring.head_id)", "0x7fffffffffffffff")],
)  # fmt: skip
def test_a_line_of_vmcoreinfo_that_cannot_be_leaves_the_usual_layout(key: str, value: str) -> None:
    ring = Ring()
    ring.add(b"read all the same")
    core = vl.open_vmcore(ring.core(replaced={key: value}))
    assert column(core.dmesg_table(), "text") == ["read all the same"]
    assert any(p.expected == key and p.got == value for p in core.known_problems())


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("key", ["SIZE(prb_desc)", "SIZE(printk_info)", "OFFSET(prb_desc.state_var)",
    "OFFSET(prb_desc.text_blk_lpos)", "OFFSET(printk_info.seq)", "OFFSET(printk_info.text_len)", "OFFSET(printk_info.ts_nsec)",
    "OFFSET(prb_data_blk_lpos.next)", "OFFSET(prb_desc_ring.descs)", "OFFSET(prb_data_ring.size_bits)"])  # fmt: skip
def test_a_number_of_vmcoreinfo_that_is_wrong_is_a_problem_and_costs_no_record(bits: int, key: str) -> None:
    """Small numbers, which could be a size or an offset: unaligned, in another member, too small, too large."""
    ring = Ring(bits=bits)
    for i in range(9):
        ring.add(b"record number %d" % i)
    whole = log(ring.core()).records()
    right = dict(line.split("=") for line in ring.lines(BASE[bits]).splitlines())[key]
    for wrong in {0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 18, 20, 24, 28, 33, 40, 48, 62, 64, 84, 96, 99} - {int(right)}:
        core = vl.open_vmcore(ring.core(replaced={key: str(wrong)}))
        rows = core.dmesg_table().records()
        problems = [p for p in core.known_problems() if p.where == "kernel log"]
        assert rows == whole or problems, wrong
        if key.startswith("SIZE"):
            assert rows == whole, wrong


def test_records_that_contradict_themselves_are_a_problem() -> None:
    ring = Ring()
    for i in range(9):
        ring.add(b"record number %d" % i)
    data = ring.core()
    text = b"record number 3"
    at = data.index(text) - 8
    core = vl.open_vmcore(data[:at] + b"\xee" * 8 + data[at + 8 :])
    rows = core.dmesg_table().records()
    assert [r["state"] for r in rows].count("damaged") == 1
    (problem,) = [p for p in core.known_problems() if p.where == "kernel log"]
    assert problem.severity == "error"
    assert "with the number 3" in problem.message


@pytest.mark.parametrize("end", ["head_id", "tail_id"])
@pytest.mark.parametrize("many", [9, 16, 40])
def test_records_outside_of_the_rings_own_ends_are_read(end: str, many: int) -> None:
    ring = Ring(count_bits=4, size_bits=12)
    for i in range(many):
        ring.add(b"record number %d" % i)
    whole = [r for r in log(ring.core()).records() if r["state"] == "finalized"]
    moved = -5 if end == "head_id" else 5
    setattr(ring, end, getattr(ring, end) + moved & ring.ids)
    core = vl.open_vmcore(ring.core())
    assert [r for r in core.dmesg_table().records() if r["state"] == "finalized"] == whole
    assert any("the ring names" in p.message for p in core.known_problems())


@pytest.mark.parametrize("end", ["head_id", "tail_id"])
def test_a_full_ring_with_one_end_moved_has_no_record_twice(end: str) -> None:
    ring = Ring(count_bits=4, size_bits=12)
    for i in range(40):
        ring.add(b"record number %d" % i)
    setattr(ring, end, getattr(ring, end) + (-1 if end == "head_id" else 1) & ring.ids)
    seqs = column(log(ring.core()), "seq")
    assert seqs == list(range(24, 40))


_SAID = st.lists(st.tuples(st.sampled_from(STATES), st.sampled_from(["", "abc", "a\nb", "\x07z\n\n", "é", "\u202e", "a\tb"]),
                           st.none() | st.integers(0, (1 << 64) - 1)), max_size=12)  # fmt: skip


@given(_SAID)
def test_the_log_as_one_text_is_its_lines_one_by_one(said: list[tuple[str, str, int | None]]) -> None:
    rows = ((i, time, None, None, None, text, None, state, None) for i, (state, text, time) in enumerate(said))
    table = Table.from_rows(DMESG, rows)
    assert printed_text(table) == "".join(f"{head} {text}\n" for head, text, _ in printed(table))


def test_a_ring_with_a_hole_gives_the_rest() -> None:
    ring = Ring(count_bits=10, size_bits=16)
    for i in range(900):
        ring.add(b"record number %d" % i)
    data = bytearray(ring.core())
    whole = column(log(bytes(data)), "text")
    cut = vl.open_vmcore(bytes(data[: len(data) - 40_000]))
    rows = cut.dmesg_table().records()
    assert len(rows) == 900
    assert [r["text"] for r in rows if r["state"] == "finalized"] == whole[
        : sum(r["state"] == "finalized" for r in rows)
    ]
    assert 100 < sum(r["state"] == "damaged" for r in rows) < 200
    assert any("bytes cannot be read" in p.message for p in cut.known_problems())


@given(st.binary(min_size=1, max_size=60), st.integers(0, 2600), st.randoms(use_true_random=False))
def test_whatever_the_ring_holds_reading_ends(noise: bytes, at: int, random: Any) -> None:
    ring = Ring()
    for i in range(40):
        ring.add(b"record number %d" % i)
    data = bytearray(ring.core())
    start = len(data) - len(ring.memory(BASE[64]))
    data[start + at : start + at + len(noise)] = noise
    core = vl.open_vmcore(bytes(data))
    rows = core.dmesg_table().records()
    assert len(rows) <= 16
    core.panic  # noqa: B018  what a panic reads of such a log
    assert all(isinstance(r["text"], str) for r in rows)


KEYS = sorted(line.split("=")[0] for line in Ring().lines(BASE[64]).splitlines())
ODD = st.one_of(
    st.integers(-(1 << 66), 1 << 66).map(str), st.text(max_size=20), st.integers(0, 1 << 64).map("{:x}".format)
)


@given(st.sampled_from(KEYS), ODD)
def test_whatever_vmcoreinfo_says_reading_ends(key: str, value: str) -> None:
    ring = Ring()
    ring.add(b"a record")
    core = vl.open_vmcore(ring.core(replaced={key: value.replace("\n", "")}))
    try:
        assert len(core.dmesg_table()) <= 16
    except NotInFileError:
        assert key.startswith("SYMBOL")


# -- the buffer of records --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("caller", [None, 0x80000001])
def test_records_of_the_buffer_have_all_their_columns(bits: int, order: str, caller: int | None) -> None:
    said = [
        record(b"first", level=5, order=order, caller=caller),
        record(b"cxgb4 0000:02:00.4: stopped", ts=7, level=0, facility=1, order=order, caller=caller,
               dictionary=b"SUBSYSTEM=pci\0DEVICE=+pci:0000:02:00.4"),
    ]  # fmt: skip
    buffer = b"".join(said)
    first, second = log(
        record_log(buffer.ljust(1024, b"\0"), 0, len(buffer), order=order, bits=bits, caller=caller is not None)
    ).records()
    assert first == {
        "seq": 0, "time_ns": 0, "level": "notice", "facility": "kern", "caller": caller and "C1", "text": "first",
        "device": None, "state": "finalized", "dictionary": None,
    }  # fmt: skip
    assert second == {
        "seq": 1, "time_ns": 7, "level": "emerg", "facility": "user", "caller": caller and "C1",
        "text": "cxgb4 0000:02:00.4: stopped", "device": "cxgb4 0000:02:00.4", "state": "finalized",
        "dictionary": "SUBSYSTEM=pci\nDEVICE=+pci:0000:02:00.4",
    }  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
def test_the_first_kernels_kept_level_and_facility_in_one_number(order: str) -> None:
    buffer = b"".join(record(b"said", level=4, facility=f, order=order, first_form=True) for f in (0, 3))
    rows = log(record_log(buffer.ljust(512, b"\0"), 0, len(buffer), order=order, name="log")).records()
    assert [(r["level"], r["facility"]) for r in rows] == [("warn", "kern"), ("warn", "daemon")]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("marked", [True, False])
def test_a_buffer_that_went_round_is_read_from_its_oldest_record(order: str, marked: bool) -> None:
    """Where no header fits behind the last record, nothing marks the end."""
    new, old = [record(b"%s %d" % (word, i), order=order) for word in (b"newer", b"older") for i in range(2)], []
    new, old = new[:2], new[2:]
    front, behind = b"".join(new), b"".join(old)
    buffer = front.ljust(200, b"\xee") + behind + (bytes(16) if marked else b"\xee" * 8)
    table = log(record_log(buffer, 200, len(front), order=order))
    assert column(table, "text") == ["older 0", "older 1", "newer 0", "newer 1"]


def test_a_damaged_header_costs_its_own_record() -> None:
    said = [record(b"record number %d" % i, ts=i) for i in range(20)]
    buffer = bytearray(b"".join(said))
    at = sum(map(len, said[:5]))
    buffer[at + 8 : at + 14] = b"\xff" * 6
    core = vl.open_vmcore(record_log(bytes(buffer), 0, len(buffer)))
    rows = core.dmesg_table().records()
    assert [r["state"] for r in rows].index("damaged") == 5
    assert [r["text"] for r in rows if r["state"] == "finalized"] == [f"record number {i}" for i in range(20) if i != 5]
    assert any("no record of the log can be at" in p.message for p in core.known_problems())


@pytest.mark.parametrize(("first", "next_"), [(1 << 31, 3), (0, 0xFFFFFFFF), (2, 40), (0xFFFFFFF0, 0xFFFFFFFF)])
def test_absurd_ends_of_the_buffer_are_a_problem_and_what_is_there_is_read(first: int, next_: int) -> None:
    buffer = b"".join(record(b"record number %d" % i) for i in range(9)).ljust(512, b"\0")
    core = vl.open_vmcore(record_log(buffer, first, next_))
    assert "record number 1" in column(core.dmesg_table(), "text")
    assert core.known_problems().damaged


@given(st.binary(max_size=700), st.integers(0, 700), st.integers(0, 700))
def test_whatever_the_buffer_holds_reading_ends(noise: bytes, first: int, next_: int) -> None:
    table = log(record_log(noise, first, next_))
    assert len(table) <= len(noise) // 4 + 2


# -- the ring of text -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("order", ORDERS)
def test_lines_of_text_have_level_and_time(bits: int, order: str) -> None:
    said = b"<5>[    0.000000] Linux version 2.6.32\n<3>[   12.345678] e1000e 0000:00:19.0: lost\n<30>no time\n"
    rows = log(text_log(said.ljust(1024, b"\0"), len(said), order=order, bits=bits)).records()
    assert [(r["time_ns"], r["level"], r["facility"], r["text"], r["device"]) for r in rows] == [
        (0, "notice", "kern", "Linux version 2.6.32", None),
        (12_345_678_000, "err", "kern", "e1000e 0000:00:19.0: lost", "e1000e 0000:00:19.0"),
        (None, "info", "daemon", "no time", None),
    ]


@pytest.mark.parametrize("logged", [None, 128])
def test_text_that_went_round_begins_with_a_torn_line(logged: int | None) -> None:
    said = b"".join(b"<6>[%5d.000000] line number %d\n" % (i, i) for i in range(20))
    end = len(said)
    buffer = bytearray(128)
    for i, byte in enumerate(said):
        buffer[i % 128] = byte
    table = log(text_log(bytes(buffer), end, logged=logged))
    assert column(table, "text")[1:] == ["line number 17", "line number 18", "line number 19"]
    assert column(table, "state")[0] == "torn"
    assert said.decode().splitlines()[16].endswith(column(table, "text")[0])


@given(
    st.binary(max_size=300),
    st.integers(0, (1 << 32) - 1),
    st.none() | st.integers(0, (1 << 32) - 1),
    st.sampled_from(ORDERS),
)
def test_whatever_the_text_holds_reading_ends(noise: bytes, end: int, logged: int | None, order: str) -> None:
    rows = log(text_log(noise, end, logged=logged, order=order)).records()
    assert sum(len(r["text"].encode("utf-8", "surrogateescape")) for r in rows) <= 12 * len(noise)
    assert all(r["time_ns"] is None or r["time_ns"] >= 0 for r in rows)


@given(st.binary(min_size=1, max_size=8), st.integers(0, 40))
def test_whatever_the_variables_of_the_text_hold_reading_ends(noise: bytes, at: int) -> None:
    data = bytearray(text_log(b"<6>[    1.000000] a line\n".ljust(256, b"\0"), 25))
    start = data.index(b"<6>") - 256
    data[start + at : start + at + len(noise)] = noise
    core = vl.open_vmcore(bytes(data))
    texts = column(core.dmesg_table(), "text")
    assert sum(map(len, texts)) <= 4 * 512


# -- where there is none ----------------------------------------------------------------------------------------------


def test_without_vmcoreinfo_there_is_no_log_and_the_reason_is_given(lab: Lab, file: Callable[..., Path]) -> None:
    path = file(elf(notes(usual_notes()[:-200])))
    answer = lab("dmesg", path)
    assert answer.status == 4
    assert "VMCOREINFO" in answer.err


def test_vmcoreinfo_without_the_symbols_is_no_damage(lab: Lab, file: Callable[..., Path]) -> None:
    answer = lab("dmesg", file(elf(notes(usual_notes()))))
    assert answer.status == 4
    assert "SYMBOL(prb)" in answer.err


@pytest.mark.parametrize("where", ["SYMBOL(prb)", "SYMBOL(printk_rb_static)"])
def test_a_log_outside_of_memory_is_damage(lab: Lab, file: Callable[..., Path], where: str) -> None:
    ring = Ring()
    ring.add(b"nobody finds me")
    far = {"SYMBOL(prb)": "ffff888040000000", "SYMBOL(printk_rb_static)": "ffff888040000040"}
    path = file(ring.core(replaced=far))
    answer = lab("dmesg", path, "--format", "json")
    assert (answer.status, answer.json) == (1, [])
    assert any(r["where"] == "kernel log" for r in lab("problems", path, "--format", "json").json)


# -- vmcores of real kernels ------------------------------------------------------------------------------------------

REAL = {
    "arm64/vmcore.elf.xz": 117, "arm64/vmcore.d31-zlib.kdump": 117, "i386/vmcore.elf.xz": 160,
    "x86_64-cudbg/vmcore.d31-zlib.kdump": 189, "x86_64-mini/vmcore.elf.xz": 150, "x86_64-mini/vmcore.d31.kdump.xz": 150,
    "x86_64-mini/vmcore.d31-zlib.flat": 150, "x86_64-mini/vmcore.d31-elf.flat.xz": 150, "x86_64-mini/vmcore.d31.elf.xz": 150,
    "x86_64-story/vmcore.elf.xz": 150, "x86_64-story/vmcore.d31-zlib.kdump": 150,
}  # fmt: skip


def as_makedumpfile_prints(table: Table) -> str:
    """The log as makedumpfile --dump-dmesg prints it: continuation lines indented, bytes that are not ASCII escaped."""
    lines = []
    for when, text in zip(column(table, "time_ns"), column(table, "text"), strict=True):
        head = f"[{when // 10**9:5d}.{when % 10**9 // 1000:06d}] "
        raw = b"".join(b"\\x%02x" % b if b > 126 else bytes([b]) for b in text.encode())
        lines.append(head + raw.decode().replace("\n", "\n" + " " * len(head)))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", REAL)
def test_the_log_of_real_kernels_is_what_makedumpfile_printed(
    shared_data: Path, unpacked: Callable[[str], Path], name: str
) -> None:
    table = vl.open_vmcore(unpacked(f"vmcore/{name}")).dmesg_table()
    assert len(table) == REAL[name]
    assert set(column(table, "state")) == {"finalized"}
    said = next((shared_data / "vmcore" / name).parent.glob("peers/dmesg-*")).read_text()
    assert as_makedumpfile_prints(table) == said.replace("\\xffffff", "\\x")  # sign-extended where char is signed


@pytest.mark.parametrize("name", [n for n in REAL if n.startswith("x86_64") and ".flat" not in n])
def test_the_log_of_real_kernels_is_what_makedumpfile_prints(
    unpacked: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    """It reads vmcores of the machine that it was built for."""
    program = shutil.which("makedumpfile") or pytest.skip("makedumpfile is not installed")
    path = unpacked(f"vmcore/{name}")
    subprocess.run([program, "--dump-dmesg", path, tmp_path / "log"], check=True, capture_output=True)
    said = (tmp_path / "log").read_bytes().decode()
    assert as_makedumpfile_prints(vl.open_vmcore(path).dmesg_table()) == said.replace("\\xffffff", "\\x")


@pytest.mark.parametrize("name", [n for n in REAL if ".elf" in n and "flat" not in n and ".d31" not in n])
def test_the_log_of_real_kernels_is_what_vmcore_dmesg_prints(unpacked: Callable[[str], Path], name: str) -> None:
    program = shutil.which("vmcore-dmesg", path="/usr/sbin:/sbin:/usr/bin") or pytest.skip(
        "vmcore-dmesg is not installed"
    )
    path = unpacked(f"vmcore/{name}")
    said = subprocess.run([program, path], check=True, capture_output=True).stdout
    mine = as_makedumpfile_prints(vl.open_vmcore(path).dmesg_table()).splitlines()
    theirs = re.sub(rb"[\x80-\xff]", lambda m: b"\\x%02x" % m[0][0], said).decode().splitlines()
    assert [line.lstrip() for line in mine] == [line.lstrip() for line in theirs]


@pytest.mark.parametrize("name", ["x86_64-mini/vmcore.d31-lzo.kdump.xz", "x86_64-mini/vmcore.d31-zstd.kdump"])
def test_every_compression_gives_the_same_log(unpacked: Callable[[str], Path], name: str) -> None:
    pytest.importorskip("zstandard" if "zstd" in name else "lzallright")
    plain = vl.open_vmcore(unpacked("vmcore/x86_64-mini/vmcore.d31.kdump.xz")).dmesg_table()
    assert log_rows(unpacked(f"vmcore/{name}")) == plain.records()


def log_rows(*paths: Path) -> list[dict[str, Any]]:
    return vl.open_vmcore(list(paths)).dmesg_table().records()


def test_split_parts_give_the_same_log(unpacked: Callable[[str], Path]) -> None:
    parts = [unpacked(f"vmcore/x86_64-mini/vmcore.split{i}.kdump") for i in (1, 2)]
    assert log_rows(*parts) == log_rows(unpacked("vmcore/x86_64-mini/vmcore.elf.xz"))


def test_the_log_is_what_drgn_reads_with_vmlinux(unpacked: Callable[[str], Path]) -> None:
    drgn = pytest.importorskip("drgn")
    printk = pytest.importorskip("drgn.helpers.linux.printk")
    path = unpacked("vmcore/arm64/vmcore.elf.xz")
    program = drgn.Program()
    program.set_core_dump(path)
    program.load_debug_info([unpacked("vmcore/arm64/vmlinux.xz")])
    theirs = [
        (r.seq, r.timestamp, r.level, r.facility, r.text, dict(r.context))
        for r in printk.get_printk_records(program)
    ]  # fmt: skip
    table = vl.open_vmcore(path).dmesg_table()
    mine = [
        (r["seq"], r["time_ns"], table.columns["level"].codes[i], table.columns["facility"].codes[i], r["text"].encode(),
         dict(line.encode().split(b"=", 1) for line in (r["dictionary"] or "").splitlines()))
        for i, r in enumerate(table.records())
    ]  # fmt: skip
    assert mine == theirs


@pytest.mark.parametrize("name", [n for n in REAL if n.endswith((".elf.xz", ".kdump"))])
def test_spans_of_real_logs_hold_the_texts(unpacked: Callable[[str], Path], name: str) -> None:
    core = vl.open_vmcore(unpacked(f"vmcore/{name}"))
    table = core.dmesg_table()
    assert table.spans is not None
    found = [core.memory.read(low, high - low) for low, high in table.spans.tolist()]
    assert [f.decode() for f in found] == column(table, "text")
    assert np.all(table.spans[:, 0] <= table.spans[:, 1])


# -- the command ------------------------------------------------------------------------------------------------------


def test_dmesg_prints_like_dmesg(lab: Lab, sample: Path) -> None:
    answer = lab("dmesg", sample, "--device", "0000:02:00.4", "--level", "err+")
    assert answer.status == 0
    assert answer.out.splitlines()[-1] == "[    2.391502] cxgb4 0000:02:00.4: fatal error, adapter stopped"
    assert not answer.err


def test_on_a_terminal_dmesg_says_what_to_look_at_next(lab: Lab, sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmcoredd_lab.cli.dmesg.remark", note)
    answer = lab("dmesg", sample, "--device", "0000:02:00.4", "--level", "err+")
    assert "panic: sysrq triggered crash" in answer.err
    assert "--dump 0" in answer.err


def test_levels_may_be_listed_or_be_a_level_and_worse(lab: Lab, sample: Path) -> None:
    levels = lambda *args: set(lab("dmesg", sample, "--format", "json", *args).column("level"))  # noqa: E731
    assert levels("--level", "err,alert") == {"err", "alert"}
    assert levels("--level", "alert+") == {"alert", "emerg"}
    assert lab("dmesg", sample, "--level", "loud").status == 2


def test_since_panic_begins_with_the_panic(lab: Lab, sample: Path) -> None:
    answer = lab("dmesg", sample, "--since-panic")
    assert answer.out == "[    3.395310] Kernel panic - not syncing: sysrq triggered crash\n"


def test_grep_takes_a_regular_expression(lab: Lab, sample: Path) -> None:
    assert lab("dmesg", sample, "--grep", "eth[24].*25Gbps", "--format", "json").column("seq") == [141, 142]
    assert lab("dmesg", sample, "--grep", "(").status == 2


def test_records_that_are_not_whole_are_marked_in_print(lab: Lab, file: Callable[..., Path]) -> None:
    ring = Ring()
    for i in range(30):
        ring.add(b"record number %d %s" % (i, b"x" * 60))
    ring.add(b"half a rec", state=RESERVED)
    answer = lab("dmesg", file(ring.core()))
    first, *_, last = answer.out.splitlines()
    assert re.fullmatch(r"\[ {12}\] \(\d+ records overwritten by newer ones\)", first)
    assert last.endswith("] (torn) half a rec")
    assert "1 record torn" in answer.err


def test_text_cannot_act_on_the_terminal(lab: Lab, file: Callable[..., Path]) -> None:
    ring = Ring()
    ring.add("\x1b[2J\u202e caf\u00e9".encode())
    assert lab("dmesg", file(ring.core())).out == "[    0.000000] \\x1b[2J\\u202e café\n"


def test_info_begins_with_the_panic_and_the_drivers_last_words(lab: Lab, sample: Path) -> None:
    lines = lab("info", sample).out.splitlines()
    assert lines[0].split(maxsplit=1) == ["panic", "sysrq triggered crash"]
    assert any("fatal error, adapter stopped" in line for line in lines[:10])


def test_importing_the_log_needs_no_pandas() -> None:
    code = "import sys, vmcoredd_lab.kernel.printk, vmcoredd_lab.kernel.panic; sys.exit('pandas' in sys.modules)"
    import sys

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
