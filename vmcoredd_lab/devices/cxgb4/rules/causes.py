"""Interrupt-cause bits as findings: which rule owns a bit, and what it weighs by its enable bit and the driver's reaction.

A cause bit counts whatever the registers above it say: the driver clears them, and leaves many of the bits below. One whose
interrupt is not enabled is usually left over from power-on.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vmcoredd_lab.devices.cxgb4.interrupts import sources
from vmcoredd_lab.devices.cxgb4.rules.case import AdapterCase
from vmcoredd_lab.rules import Condition, DeclaredRule, Evidence, Match, worse
from vmcoredd_lab.rules.declared import evidence_of, severity_of, with_labels
from vmcoredd_lab.text import plural

__all__ = ["FUNCTIONS", "set_bits"]


@dataclass(frozen=True)
class Bit:
    """One set field of a cause register."""

    register: str
    label: str
    address: int
    word: int
    field: str
    lsb: int
    fatal: bool
    enabled: bool | None
    meaning: str
    kind: str
    severity: str

    @property
    def name(self) -> str:
        """Register and bit, for a title."""
        where = f" {self.label}" if self.label else ""
        return f"{self.register}{where} {self.field if self.field[0] != '(' else f'bit {self.lsb}'}"


@dataclass(frozen=True)
class Owned:
    """The bits that a rule of their own reports.

    registers, fields: regular expressions of the names
    more: a condition that says the same without a cause bit
    masked: the severity of bits whose interrupt is not enabled
    """

    registers: str
    fields: str = ".*"
    more: str = ""
    masked: str = "info"


OWNED = {
    "INT-04": Owned("PL_PERR_CAUSE"),
    "INT-13": Owned("MA_INT_CAUSE", "MEM_WRAP.*", "MA_INT_WRAP_STATUS != 0"),
    "INT-14": Owned("MA_INT_CAUSE|MA_(WRITE|READ)_TIMEOUT_ERROR_STATUS", "MEM_TO_INT_CAUSE|(?!MEM_).*"),
    "INT-15": Owned("MA_PARITY_ERROR_STATUS[12]|MA_IF_PARITY_ERROR_STATUS"),
    "INT-16": Owned("MA_PARITY_ERROR_STATUS"),
    "INT-17": Owned("PCIE_NONFAT_ERR"),
    "INT-19": Owned("CIM_HOST_UPACC_INT_CAUSE"),
    "INT-20": Owned("TP_INT_CAUSE", "FlmTxFlstEmpty"),
    "INT-21": Owned("LE_DB_INT_CAUSE", "CmdTidErr"),
    "INT-22": Owned("HMA_INT_CAUSE"),
    "INT-23": Owned("DBG_INT_CAUSE", "pll_lock_lost_int_cause"),
    "INT-24": Owned("CPL_INTR_CAUSE", "zero_switch_error", "CPL_SWITCH_ZERO_ERROR != 0"),
    "INT-28": Owned("CIM_HOST_INT_CAUSE", "Timer0Int"),
    "ECC-01": Owned("EDC_H_INT_CAUSE", "ECC_UE.*", "EDC_H_ECC_STATUS.ECC_UECNT != 0", masked="error"),
    "ECC-02": Owned("EDC_H_INT_CAUSE", "ECC_CE.*", "EDC_H_ECC_STATUS.ECC_CECNT != 0", masked="warning"),
    "ECC-03": Owned("EDC_INT_CAUSE", "ECC_UE.*", "EDC_ECC_STATUS.ECC_UECNT != 0", masked="error"),
    "ECC-04": Owned("EDC_INT_CAUSE", "ECC_CE.*", "EDC_ECC_STATUS.ECC_CECNT != 0", masked="warning"),
    "ECC-05": Owned("MC_P_(INT|PAR)_CAUSE", "ECC_UE.*", "MC_P_ECC_STATUS.ECC_UECNT != 0", masked="error"),
    "ECC-06": Owned("MC_P_(INT|PAR)_CAUSE", "ECC_CE.*", "MC_P_ECC_STATUS.ECC_CECNT != 0", masked="warning"),
    "ECC-07": Owned("MC_(INT|PAR)_CAUSE", "ECC_UE.*", "MC_ECC_STATUS.ECC_UECNT != 0", masked="error"),
    "ECC-08": Owned("MC_(INT|PAR)_CAUSE", "ECC_CE.*", "MC_ECC_STATUS.ECC_CECNT != 0", masked="warning"),
    "ECC-11": Owned("(EDC_H|EDC|MC_P|MC)_(INT|PAR)_CAUSE", "(?!ECC_).*", masked="warning"),
    "SGE-07": Owned("SGE_INT_CAUSE3", "err_dropped_db", "SGE_DOORBELL_CONTROL.Dropped_DB == 1"),
    "TBL-03": Owned("LE_DB_INT_CAUSE", "ActRgnFull"),
    "NET-34": Owned("NCSI_INT_CAUSE", more="NCSI_RX_ERR_CNT != 0 or NCSI_RX_OF_CNT != 0"),
}
ONLY = {
    "NET-34": "T4",
    "SGE-07": "T4 T5",
    "INT-21": "T6",
    "INT-16": "T4",
    "INT-22": "T6",
    "ECC-11": "T5 T6",
}  # on other chips the general rules
_ORDER = ("ecc_ue", "parity", "crc", "access", "protocol", "timeout", "resource")
WEIGHT = {"ecc_ue": 0, "parity": 10, "crc": 10}  # what breaks data comes before what notices it


def set_bits(case: AdapterCase) -> dict[str, list[Bit]]:
    """Return the set bits by the rule that owns them; those of no rule in particular under an empty name."""
    known: dict[str, list[Bit]] | None = case.memo.get("set_bits")
    if known is None:
        known = case.memo["set_bits"] = _sorted_out(case)
    return known


def _sorted_out(case: AdapterCase) -> dict[str, list[Bit]]:
    case.registers  # noqa: B018  raises where the adapter did not answer
    found: dict[str, list[Bit]] = defaultdict(list)
    for row in case.nic.interrupt_causes_table().records():
        bit = _bit(row)
        owner = next((rule for rule, own in OWNED.items() if _owns(case, rule, own, bit)), "")
        found[owner].append(bit)
    return found


def _bit(row: dict[str, Any]) -> Bit:
    label = row["scope"] or ("" if row["instance"] is None else f"[{row['instance']}]")
    return Bit(
        row["register"], label, row["address"], row["register_value"], row["field"], row["lsb"], row["driver_fatal"],
        row["enabled"], row["meaning"] or row["field"], row["kind"] or "other", row["severity"] or "info",
    )  # fmt: skip


def _owns(case: AdapterCase, rule: str, own: Owned, bit: Bit) -> bool:
    return (
        case.kind in ONLY.get(rule, case.kind)
        and re.fullmatch(own.registers, bit.register) is not None
        and re.fullmatch(own.fields, bit.field) is not None
    )


def _words(case: AdapterCase, bits: list[Bit]) -> tuple[Evidence, ...]:
    """Return the register of each bit, once, with the bits that count."""
    by_word: dict[int, list[Bit]] = defaultdict(list)
    for bit in bits:
        by_word[bit.address].append(bit)
    return tuple(
        case.word(address, f"{some[0].register}{f' {some[0].label}' if some[0].label else ''} "
                  f"({', '.join(b.field for b in some[:6])}{', ...' if len(some) > 6 else ''})", some[0].word)
        for address, some in by_word.items()
    )  # fmt: skip


def _first(bits: list[Bit]) -> list[Bit]:
    """Return bits with what breaks data first, in the order of the registers."""
    return sorted(bits, key=lambda b: _ORDER.index(b.kind) if b.kind in _ORDER else len(_ORDER))


def _title(what: str, bits: list[Bit]) -> str:
    first = bits[0]
    more = f", and {plural(len(bits) - 1, 'more bit')}" if len(bits) > 1 else ""
    text = f"{what}: {first.meaning} ({first.name}{more})"
    return text if len(text) <= 120 else f"{what}: {first.name}{more}"


def _summary(bit: Bit) -> bool:
    return bit.kind == "summary" and not bit.fatal


def _by_register(bits: Iterable[Bit]) -> list[list[Bit]]:
    found: dict[int, list[Bit]] = defaultdict(list)
    for bit in bits:
        found[bit.address].append(bit)
    return [_first(some) for some in found.values()]


def fatal(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Enabled bits on which the driver stops the adapter, a finding for each register."""
    bits = [b for b in set_bits(case)[""] if b.fatal and b.enabled is not False and b.severity != "info"]
    for some in _by_register(bits):
        yield Match(_words(case, some), title=_title(rule.title, some), value=f"{some[0].word:#x}",
                    severity=_worst(some), rank=rule.rank + WEIGHT.get(some[0].kind, 20))  # fmt: skip


def not_fatal(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Enabled bits that the driver does not stop for; events and link changes are no errors."""
    bits = [b for b in set_bits(case)[""] if not b.fatal and b.enabled is not False and not _summary(b)]
    for some in _by_register(b for b in bits if b.severity not in ("info", "ignore")):
        severity = _worst(some) if some[0].enabled else "warning"
        yield Match(_words(case, some), title=_title(rule.title, some), value=f"{some[0].word:#x}", severity=severity,
                    rank=rule.rank + WEIGHT.get(some[0].kind, 20))  # fmt: skip
    events = [
        b for b in set_bits(case)[""] if b.severity in ("info", "ignore") and b.enabled is not False and not _summary(b)
    ]
    if events:
        yield Match(_words(case, events), title=_title("Interrupt pending that is no error", events), severity="info",
                    value=str(len(events)), confidence="high")  # fmt: skip


def masked(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Bits whose interrupt is not enabled, all in one finding."""
    bits = _first([b for b in set_bits(case)[""] if b.enabled is False and not _summary(b)])
    if bits:
        yield Match(_words(case, bits), title=_title(rule.title, bits), value=str(len(bits)))


def unexplained(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Bits that stand for others, none of which is set."""
    known, every = sources(case.kind), set_bits(case)
    held = {b.register for bits in every.values() for b in bits}
    bits = [b for b in every[""] if _summary(b) and not set(known.get(f"{b.register}.{b.field}", ())) & held]
    if bits:
        yield Match(_words(case, bits), title=_title(rule.title, bits), value=str(len(bits)))


def own_bits(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """The bits of one rule, and what says the same without them."""
    own, bits = OWNED[rule.id], _first(set_bits(case)[rule.id])
    counted = []
    if own.more:
        counted = Condition(own.more).evaluate(case.resolve)
    severities = [_weight(own, b) for b in bits] + [severity_of(rule, case)(i) for i, _ in counted]
    if not severities:
        return
    severity = severities[0]
    for other in severities[1:]:
        severity = worse(severity, other)
    if own.masked == "error" and bits and counted:  # two witnesses of one uncorrectable error
        severity = "critical"
    more = evidence_of([t for _, touched in counted for t in touched])
    labels = [b.label for b in bits] + [o.labels[i] for _, touched in counted for o, i in touched if o.labels[i]]
    loud = [b for b in bits if _weight(own, b) == severity]
    title = rule.title
    if loud and loud[0].kind not in ("ecc_ue", "ecc_ce"):
        title = _title(title, loud)
    else:
        title = with_labels(title, labels)
    words = _words(case, bits)
    evidence = more + words if more and not (loud and loud[0].enabled) else words + more
    yield Match(evidence, title=title, severity=severity, value=evidence[0].text.split(" = ")[-1],
                confidence="medium" if bits and not any(b.enabled for b in bits) else None)  # fmt: skip


def _weight(own: Owned, bit: Bit) -> str:
    if bit.enabled is False:
        return own.masked
    severity = "info" if bit.severity == "ignore" else bit.severity
    if bit.enabled is None and severity != "info":  # there is no enable bit to say whether anybody cared
        return "warning"
    return severity


def _worst(bits: list[Bit]) -> str:
    severity = "warning"
    for bit in bits:
        if bit.severity in ("critical", "error"):
            severity = worse(severity, bit.severity)
    return severity


AER = {
    "PCI-04": ("PCIE_AER_UNCOR_ERR_STAT", "fatal"), "PCI-05": ("PCIE_AER_UNCOR_ERR_STAT", "not fatal"),
    "PCI-07": ("PCIE_AER_COR_ERR_STAT", ""),
}  # fmt: skip
UNSUPPORTED = "UnSupReqErr"  # what a scan of the bus leaves behind


def aer(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Advanced error reporting: the status bits by name, those with fatal severity apart from the others."""
    register, which = AER[rule.id]
    status, capability = case.resolve(f"cfg.{register}"), case.resolve("cfg.PCIE_AER_CAP.AERCapID")
    word, evidence = int(status.values[0]), [status.evidence(0)]
    if which:
        severity = case.resolve("cfg.PCIE_AER_UNCOR_ERR_SEV")
        word &= int(severity.values[0]) if which == "fatal" else ~int(severity.values[0])
        evidence.append(severity.evidence(0))
    if not word or int(capability.values[0]) != 1 or status.missing[0]:
        return
    names = [f.name for f in case.config_fields(register) if f.of(word)] or [f"{word:#x}"]
    harmless = names == [UNSUPPORTED]
    yield Match(tuple(evidence), title=f"{rule.title}: {', '.join(names)}", value=f"{int(status.values[0]):#x}",
                severity="info" if harmless else None, confidence="low" if harmless else None)  # fmt: skip


FUNCTIONS = {
    "aer": aer,
    "fatal": fatal, "not_fatal": not_fatal, "masked": masked, "unexplained": unexplained, "own_bits": own_bits,
}  # fmt: skip
