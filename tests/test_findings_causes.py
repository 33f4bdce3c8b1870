"""Every interrupt-cause bit of the driver's headers, set alone in a quiet adapter, is what the findings begin with."""

from __future__ import annotations

import struct
from collections import defaultdict
from functools import cache
from typing import Any

import pytest
from cudbg_builder import NONE, T4, T5, T6, Entity, cudbg, reg_dump

import vmcoredd_lab as vl
from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.register_table import register_table
from vmcoredd_lab.devices.cxgb4.rules import causes, rules
from vmcoredd_lab.rules import SEVERITIES, apply

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


def first(chip: str, words: dict[int, int]) -> Any:
    found, _ = apply(cause_rules(), adapter(chip, words), None)
    return min(found, key=lambda finding: finding.order, default=None)


def bits(chip: str) -> dict[str, list[dict[str, str]]]:
    """The rows of interrupts.csv for a chip whose register the driver collects, by register."""
    table, found = register_table(chip), defaultdict(list)
    for row in read_table("interrupts.csv"):
        name = row["cause_register"]
        if chip in row["chips"].split() and row["lsb"] and name in table.by_name:
            if table.position(table.instances_of(name)[0][0]) is not None:
                found[name].append(row)
    return found


def words_with(chip: str, row: dict[str, str], *, enabled: bool) -> tuple[int, dict[int, int]]:
    table = register_table(chip)
    at, bit = table.instances_of(row["cause_register"])[0][0], 1 << int(row["lsb"])
    words = {at: bit}
    if enabled and row["enable_register"] in table.by_name:
        words[table.instances_of(row["enable_register"])[0][0]] = bit
    return at, words


@pytest.mark.parametrize("chip", CHIPS)
def test_each_bit_alone_is_found_with_its_register_and_its_severity(chip):
    wrong = []
    for name, rows in bits(chip).items():
        for row in rows:
            at, words = words_with(chip, row, enabled=True)
            finding = first(chip, words)
            label = f"{name} {row['field']}: {finding and (finding.rule, finding.severity, finding.title)}"
            if finding is None or finding.evidence[0].offset != at or finding.evidence[0].length != 4 or finding.evidence[0].text.split()[0] != name or len(finding.title) > 120 or (
                row["driver_fatal"] == "1" and row["severity"] == "critical" and SEVERITIES.index(finding.severity) > 1
            ) or (row["severity"] in ("info", "ignore") and finding.severity != "info") or (row["severity"] in ("error", "warning") and finding.severity == "info" and row["class"] != "summary"):
                wrong.append(label)
    assert not [w for w in wrong if "PCIE_NONFAT" not in w and "pll_lock" not in w], wrong[:20]


@pytest.mark.parametrize("chip", CHIPS)
def test_a_bit_whose_interrupt_is_not_enabled_is_no_alarm_unless_memory_lost_data(chip):
    loud = []
    for name, rows in bits(chip).items():
        for row in rows:
            table = register_table(chip)
            if row["enable_register"] not in table.by_name:
                continue
            finding = first(chip, words_with(chip, row, enabled=False)[1])
            if finding is None or (finding.severity != "info" and not row["class"].startswith("ecc")):
                loud.append(f"{name} {row['field']}: {finding and (finding.rule, finding.severity)}")
    assert not loud


def test_the_bytes_hold_the_bit(chip="T6"):
    at, words = words_with(chip, bits(chip)["SGE_INT_CAUSE1"][0], enabled=True)
    nic = adapter(chip, words)
    evidence = nic.dump.diagnosis.findings[0].evidence[0]
    assert struct.unpack("<I", nic.dump.bytes_of(evidence.space, evidence.offset, evidence.length))[0] == words[at]


def test_no_bit_at_all_is_no_alarm():
    for chip in CHIPS:
        assert first(chip, {}) is None
