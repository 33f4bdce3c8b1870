"""MBOX_LOG (66)."""

from __future__ import annotations

import re
import struct
from typing import Any

import pytest
from entity_checks import (
    ORDERS,
    Payload,
    check_any_bytes,
    check_both_ways,
    check_one_cell,
    genuine,
    rows,
)
from viewer_text import viewer_text

MARK = {"little": "<", "big": ">"}
UNUSED = bytes(144)
REQUEST, READ, WRITE, EXEC = 1 << 55, 1 << 54, 1 << 53, 1 << 52
RESET, HELLO, WATCHDOG = 0x03, 0x04, 0x27


def record(seqno: int = 1, opcode: int = HELLO, flags: int = 0, *, retval: int = 0, execute: int = 0, timestamp: int = 1000,
           len16: int = 1, more: int = 0, access: int = 0, order: str = "little") -> bytes:  # fmt: skip
    """struct cudbg_mbox_log."""
    flits = [opcode << 56 | flags | retval << 8 | len16, *[more] * 7]
    halves = [flit >> 32 for flit in flits] + [flit & 0xFFFFFFFF for flit in flits]
    return struct.pack(MARK[order] + "8QQIhh16I", *flits, timestamp, seqno, access, execute, *halves)


def row(**members: Any) -> dict[str, Any]:
    (found,) = Payload("mbox_log", record(**members)).table.records()
    return found


@pytest.mark.parametrize("order", ORDERS)
def test_records_are_in_order_and_unused_ones_are_none(order):
    data = record(0xFFFFFFFF, order=order, more=1 << 63, timestamp=1 << 40) + record(0, order=order) + UNUSED * 3
    payload = Payload("mbox_log", data, order=order)
    found = payload.table
    assert (found.values("seqno"), found.values("timestamp")) == ([0xFFFFFFFF, 0], [1 << 40, 1000])
    assert found.values("cmd7") == [1 << 63, 0]
    assert found.values("opcode_name") == ["FW_HELLO_CMD"] * 2
    assert found.spans.tolist() == [[0, 144], [144, 288]]
    check_both_ways(payload)


def test_a_request_has_no_return_value_and_a_reply_has():
    request = row(flags=REQUEST | WRITE, retval=22)
    assert (request["direction"], request["retval"], request["retval_name"], request["failed"]) == (
        "request",
        None,
        None,
        False,
    )
    reply = row(flags=WRITE, retval=22)
    assert (reply["direction"], reply["retval"], reply["retval_name"], reply["failed"]) == (
        "reply",
        22,
        "FW_EINVAL",
        True,
    )


@pytest.mark.parametrize(("flags", "action"), [(READ, "read"), (WRITE | EXEC, "write exec"), (0, ""), (READ | WRITE | EXEC,
                                               "read write exec")])  # fmt: skip
def test_what_a_command_does_is_in_three_bits(flags, action):
    assert row(flags=flags)["action"] == action


def test_a_negative_time_is_the_error_of_a_command_that_the_driver_gave_up():
    found = row(flags=REQUEST, execute=-110, access=3)
    assert (found["execute"], found["access"], found["failed"]) == (-110, 3, True)


def test_the_length_counts_16_bytes():
    assert row(len16=4)["length"] == 64


def test_opcodes_and_return_values_without_a_name_are_numbers_only():
    found = row(opcode=0x7F, retval=200)
    assert (found["opcode"], found["opcode_name"], found["retval"], found["retval_name"]) == (0x7F, None, 200, None)
    assert row(opcode=0x81)["opcode_name"] == "FW_DEBUG_CMD"


@pytest.mark.parametrize(
    ("last", "summary"),
    [
        ({"opcode": RESET}, "2 records, none failed"),
        ({"opcode": RESET, "retval": 1}, "2 records, 1 failed, the last FW_RESET_CMD: FW_EPERM"),
        (
            {"opcode": WATCHDOG, "flags": REQUEST, "execute": -110},
            "2 records, 1 failed, the last FW_WATCHDOG_CMD: errno 110",
        ),
        ({"opcode": 0x7F, "retval": 200}, "2 records, 1 failed, the last opcode 0x7f: 200"),
    ],
)
def test_the_summary_names_the_last_command_that_failed(last, summary):
    assert Payload("mbox_log", record() + record(2, **last) + UNUSED).summary == summary


def test_a_log_without_records_belongs_to_a_driver_that_sent_nothing():
    payload = Payload("mbox_log", UNUSED * 4)
    assert (len(payload.table), payload.summary) == (0, "no command sent yet")


def test_a_changed_member_changes_its_bits_only():
    check_one_cell(Payload("mbox_log", record() * 3), "records", "entry.execute", 2, changed_bit=8 * (2 * 144 + 78))


def test_genuine_dumps_decode_to_what_the_driver_logged():
    for dump in genuine("mbox_log"):
        held = [one for one in dump.model["mbox_log_entries_oldest_first"] if one["timestamp"]]
        found = [
            {n: r[n] for n in ("timestamp", "seqno", "access", "execute")} | {"cmd": [r[f"cmd{i}"] for i in range(8)]}
            for r in rows(dump, "mbox_log")
        ]
        assert found == held, dump.name


def test_the_viewer_shows_the_same_words(shared_data):
    shown = [line.split() for line in viewer_text("t5-live-zlib", "66_mboxlog.txt") if re.match(r"\s+\d", line)]
    dump = next(d for d in genuine("mbox_log") if d.name == "t5-live-zlib")
    ours = [
        [
            *(str(r[n]) for n in ("seqno", "timestamp", "access", "execute")),
            "".join(f"{r[f'cmd{i}']:016x}" for i in range(8)),
        ]
        for r in rows(dump, "mbox_log")
    ]
    assert ours == [[*words[:4], "".join(words[4:])] for words in shown]


def test_genuine_payloads_go_both_ways(shared_data):
    for dump in genuine("mbox_log"):
        check_both_ways(Payload("mbox_log", dump.nic.entity_bytes("mbox_log"), dump.nic.chip))


def test_any_bytes_are_a_table():
    check_any_bytes("mbox_log", record(1, flags=REQUEST) + record(2, retval=3) + UNUSED)
