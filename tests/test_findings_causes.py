"""Every interrupt-cause bit of the driver's headers, set alone in a quiet adapter, is what the findings begin with."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from cudbg_builder import NONE, T4, T5, T6, Entity, cudbg, reg_dump

import vmcoredd_lab as vl
from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.register_table import register_table
from vmcoredd_lab.devices.cxgb4.rules import causes, rules
from vmcoredd_lab.rules import apply

CHIPS = {"T4": T4, "T5": T5, "T6": T6}
# An adapter whose firmware runs and that nobody stopped
ALIVE = {"PCIE_FW": 0x4000C010, "SGE_CONTROL": 1, "DBG_GPIO_EN": 0xFFF, "PL_INT_MAP0": 16}
ABOUT_CAUSES = {"INT-01", "INT-02", "INT-03", "INT-05", *causes.OWNED}


@cache
def cause_rules() -> list[Any]:
    return [rule for rule in rules() if rule.id in ABOUT_CAUSES]


@cache
def quiet(chip: str) -> tuple[bytes, int]:
    """A dump of the registers of an adapter that is well, not compressed, and where the registers are in it."""
    table = register_table(chip)
    alive = {table.instances_of(name)[0][0]: value for name, value in ALIVE.items()}
    built = cudbg(Entity(1, reg_dump(alive, chip=CHIPS[chip])), chip=CHIPS[chip], compression=NONE)
    return bytes(built), built.offsets[1]


def adapter(chip: str, words: dict[int, int]) -> Any:
    data, start = quiet(chip)
    changed = bytearray(data)
    for at, value in words.items():
        struct.pack_into("<I", changed, start + at, value)
    return vl.open_device_dump(bytes(changed)).decode()


def findings(chip: str, words: dict[int, int]) -> list[Any]:
    return apply(cause_rules(), adapter(chip, words), None)[0]


def bits(chip: str) -> dict[str, list[dict[str, str]]]:
    """The rows of interrupts.csv for a chip whose register the driver collects, by register."""
    table, found = register_table(chip), defaultdict(list)
    for row in read_table("interrupts.csv"):
        name = row["cause_register"]
        collected = name in table.by_name and table.position(table.instances_of(name)[0][0]) is not None
        if chip in row["chips"].split() and row["lsb"] and collected:
            found[name].append(row)
    return found


def words_with(chip: str, row: dict[str, str], *, enabled: bool) -> tuple[int, dict[int, int]]:
    table = register_table(chip)
    at, bit = table.instances_of(row["cause_register"])[0][0], 1 << int(row["lsb"])
    words = {at: bit}
    if enabled and row["enable_register"] in table.by_name:
        words[table.instances_of(row["enable_register"])[0][0]] = bit
    return at, words


def rounds(chip: str, *, enabled: bool) -> Iterator[list[tuple[dict[str, str], int, list[Any]]]]:
    """Set the first bit of every cause register, then the second of each, and so on: the row, its address, what is found."""
    by_register = bits(chip)
    for n in range(max(map(len, by_register.values()))):
        rows = [some[n] for some in by_register.values() if n < len(some)]
        words: dict[int, int] = {}
        places = []
        for row in rows:
            at, own = words_with(chip, row, enabled=enabled)
            for address, word in own.items():
                words[address] = words.get(address, 0) | word
            places.append(at)
        found = findings(chip, words)
        yield [
            (row, at, [f for f in found if at in {e.offset for e in f.evidence}])
            for row, at in zip(rows, places, strict=True)
        ]


def expected(row: dict[str, str]) -> set[str]:
    """The severities that a set and enabled bit may have."""
    if row["class"] == "summary" and row["driver_fatal"] != "1":
        return {"info"}
    if row["cause_register"] == "PCIE_NONFAT_ERR":  # there is no enable bit: nobody said that it matters
        return {"info", "warning"}
    return {"critical": {"critical", "error"}, "ignore": {"info"}, "error": {"error", "critical"}}.get(
        row["severity"], {row["severity"]}
    )


@pytest.mark.parametrize("chip", CHIPS)
def test_each_bit_is_found_with_its_register_and_its_severity(chip):
    wrong = []
    for one in rounds(chip, enabled=True):
        for row, _, found in one:
            name = f"{row['cause_register']} {row['field']}"
            right = [
                f for f in found if f.severity in expected(row) or (f.rule in causes.OWNED and f.severity != "info")
            ]
            named = any(row["cause_register"] in str(f.evidence) for f in right)
            # of a bit that stands for others nothing is said where one of them is set too
            if not named and row["class"] != "summary":
                wrong.append((name, [(f.rule, f.severity) for f in found]))
            assert all(len(f.title) <= 120 for f in found)
    assert not wrong


@pytest.mark.parametrize("chip", CHIPS)
def test_a_bit_whose_interrupt_is_not_enabled_is_no_alarm_unless_memory_lost_data(chip):
    loud = []
    for one in rounds(chip, enabled=False):
        for row, _, found in one:
            if row["enable_register"] and not row["class"].startswith("ecc"):
                loud += [
                    (row["cause_register"], row["field"], f.rule, f.severity) for f in found if f.severity != "info"
                ]
    assert not [bit for bit in loud if not bit[2].startswith("ECC-0") and bit[2:] != ("ECC-11", "warning")]


@pytest.mark.parametrize("chip", CHIPS)
def test_the_bytes_hold_the_bit(chip):
    row = bits(chip)["SGE_INT_CAUSE1"][0]
    at, words = words_with(chip, row, enabled=True)
    dump = adapter(chip, words).dump
    first = dump.diagnosis.findings[0]
    assert first.rule == "INT-01"
    assert row["field"] in first.title
    evidence = first.evidence[0]
    assert struct.unpack("<I", dump.bytes_of(evidence.space, evidence.offset, evidence.length))[0] == words[at]


@pytest.mark.parametrize("chip", CHIPS)
def test_an_adapter_without_a_set_bit_has_no_cause_among_its_findings(chip):
    assert not findings(chip, {})
