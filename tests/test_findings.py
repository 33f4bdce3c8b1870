"""Findings of device dumps: one fault at a time in a quiet adapter, and genuine dumps of broken ones."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from cudbg_builder import CIM_LA, DEV_LOG, MBOX_LOG, REG_DUMP, Entity, cudbg, log_entry, reg_dump
from fault_builder import PCIE_CONFIG, address, config_offset, with_fault

import vmcoredd_lab as vl
from vmcoredd_lab.analysis.findings import all_rules, diagnose
from vmcoredd_lab.devices.cxgb4 import encode_entity
from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.rules import FUNCTIONS
from vmcoredd_lab.rules import SEVERITIES, DeclaredRule, Evidence, Match, NotEvaluableError, Rule

ROOT = Path(__file__).parents[1]
PCIE_FW = 0x30B8


@pytest.fixture(scope="module")
def quiet(shared_data):
    blobs = {6: "q-t6-quiet", 5: "q-t5-quiet-live"}
    return {chip: (shared_data / f"cudbg/{name}.bin").read_bytes() for chip, name in blobs.items()}


@pytest.fixture(scope="module")
def adapters(quiet):
    return {chip: vl.open_device_dump(blob).decode() for chip, blob in quiet.items()}


def alarms(built):
    found = vl.open_device_dump(bytes(built)).diagnosis.findings
    return [f for f in found if f.severity != "info"]


def registers(nic, words):
    return {REG_DUMP: {address(nic, name, instance): value for (name, instance), value in words.items()}}


# fault: chip, words of REG_DUMP by register and instance, what the first finding is and says
FAULTS = {
    "overheating": (6, {("PCIE_FW", 0): 0xC500C010}, "FW-04", "overheating"),
    "crash": (6, {("PCIE_FW", 0): 0xC000C010}, "FW-01", "crashed"),
    "configuration": (6, {("PCIE_FW", 0): 0xC200C010}, "FW-02", "configuring"),
    "halted": (6, {("PCIE_FW", 0): 0x6000C010}, "FW-06", "halted"),
    "held in reset": (6, {("PCIE_FW", 0): 0, ("CIM_BOOT_CFG", 0): 1}, "FW-07", "reset"),
    "emergency stop": (6, {("SGE_CONTROL", 0): 0, ("DBG_GPIO_EN", 0): 0}, "INT-06", "stopped"),
    "DMA off": (6, {("SGE_CONTROL", 0): 0}, "INT-0", "off"),
    "mailbox": (5, {("CIM_PF_MAILBOX_CTRL_SHADOW_COPY", 4): 9}, "FW-16", "mailbox"),
    "EDC": (6, {("EDC_H_INT_CAUSE", 1): 4}, "ECC-01", "on-chip memory"),
    "EDC count": (6, {("EDC_H_ECC_STATUS", 0): 1}, "ECC-01", "edc 0"),
    "corrected": (6, {("EDC_H_ECC_STATUS", 0): 5 << 16}, "ECC-02", "Corrected"),
    "DDR": (5, {("MC_P_INT_CAUSE", 0): 4}, "ECC-05", "external memory"),
    "parity": (6, {("TP_INT_CAUSE", 0): 1}, "INT-", "TP_INT_CAUSE"),
    "memory wrap": (6, {("MA_INT_CAUSE", 0): 1}, "INT-13", "outside the map"),
    "bad frames": (6, {("MPS_PORT_STAT_RX_PORT_CRC_ERROR_L", 1): 4711}, "NET-13", "port 1"),
    "bad frames of the MAC": (6, {("MAC_PORT_AFRAMECHECKSEQUENCEERRORS", 0): 4711}, "NET-31", "port 0"),
    "bad frames of the slow MAC": (6, {("MAC_PORT_MTIP_1G10G_RX_CRCERRORS", 0): 4711}, "NET-31b", "bad checksum"),
    "masked parity of a memory": (6, {("EDC_H_INT_CAUSE", 0): 1}, "ECC-11", "memory controller"),
    "dropped doorbell": (5, {("SGE_DOORBELL_CONTROL", 0): 0xFFFFFFFF}, "SGE-07", "doorbell"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_is_the_first_finding_and_its_bytes_hold_it(fault, quiet, adapters):
    chip, words, rule, text = FAULTS[fault]
    nic = adapters[chip]
    built = with_fault(quiet[chip], registers(nic, words))
    first = alarms(built)[0]
    assert first.rule.startswith(rule)
    assert text in first.title
    assert len(first.title) <= 120
    place = first.evidence[0]
    assert place.space.endswith("/reg_dump")
    held = vl.open_device_dump(bytes(built)).bytes_of(place.space, place.offset, place.length)
    names = {name: value for (name, _), value in words.items()}
    assert struct.unpack("<I", held[:4])[0] in names.values()
    assert place.offset in {address(nic, name, instance) for name, instance in words}


@pytest.mark.parametrize("chip", [5, 6])
def test_a_quiet_adapter_has_nothing_above_info(chip, quiet):
    assert alarms(quiet[chip]) == []


def test_fewer_lanes_than_the_slot_could_have(quiet, adapters):
    at = config_offset(adapters[6], "PCIE_LINK_STAT_CNTL")
    (only,) = alarms(with_fault(quiet[6], {PCIE_CONFIG: {at: 0x10430000}}))
    assert (only.rule, only.title, only.evidence[0].offset) == ("PCI-02", "PCIe link runs with 4 of 8 lanes", at)


@pytest.mark.parametrize(
    ("status", "severity", "rule", "text"),
    [
        (1 << 14, 0, "PCI-06", "completion timeout"),
        (1 << 18, 1 << 18, "PCI-04", "MalTLP"),
        (1 << 12, 0, "PCI-05", "recorded: "),
    ],
)
def test_a_pcie_error_is_named(status, severity, rule, text, quiet, adapters):
    words = {
        config_offset(adapters[5], "PCIE_AER_UNCOR_ERR_STAT"): status,
        config_offset(adapters[5], "PCIE_AER_UNCOR_ERR_SEV"): severity,
    }
    first = alarms(with_fault(quiet[5], {PCIE_CONFIG: words}))[0]
    assert first.rule == rule
    assert re.search(text, first.title)


def test_an_unsupported_request_that_a_scan_of_the_bus_left_is_no_alarm(quiet, adapters):
    at = config_offset(adapters[5], "PCIE_AER_UNCOR_ERR_STAT")
    assert alarms(with_fault(quiet[5], {PCIE_CONFIG: {at: 1 << 20}})) == []


def test_a_crash_is_told_in_the_words_of_the_firmwares_log(quiet):
    log = log_entry(1, "all is well") + log_entry(2, "assertion failed at line %u", [77], level=0)
    first = alarms(with_fault(quiet[6], {REG_DUMP: {PCIE_FW: 0xC000C010}}, data={DEV_LOG: log}))[0]
    assert first.title == "Firmware crashed: assertion failed at line 77"
    assert [(e.space.rpartition("/")[2], e.offset, e.length) for e in first.evidence] == [
        ("reg_dump", PCIE_FW, 4),
        ("dev_log", 256, 256),
    ]


def test_a_command_that_timed_out_is_critical(quiet, adapters):
    records = adapters[5].records("mbox_log")["records"]
    column = next(c for c in records.columns if c.endswith("execute"))
    records.loc[len(records) - 1, column] = -110
    data = encode_entity("mbox_log", {"records": records}, **adapters[5].encoding)
    first = alarms(with_fault(quiet[5], data={MBOX_LOG: data}))[0]
    assert (first.rule, first.severity) == ("FW-21", "critical")
    assert "no answer in time" in first.title
    assert first.evidence[0].length == 144


@pytest.mark.parametrize(("retval", "severities"), [(5, ["error"]), (110, ["warning"]), (22, [])])
def test_a_probe_that_the_firmware_refuses_is_no_alarm_but_one_that_it_fails_is(retval, severities, quiet, adapters):
    records = adapters[5].records("mbox_log")["records"]
    last = len(records) - 1
    for column in ("lo[0]", "entry.cmd[0]"):
        records.loc[last, column] = int(records.loc[last, column]) & ~0xFF00 | retval << 8
    data = encode_entity("mbox_log", {"records": records}, **adapters[5].encoding)
    found = alarms(with_fault(quiet[5], data={MBOX_LOG: data}))
    assert [f.severity for f in found if f.rule == "FW-20" and "FW_PARAMS_CMD" in f.title] == severities


CHAINS = {
    "broken memory, then a crash": ({("EDC_H_INT_CAUSE", 0): 4, ("EDC_H_ECC_STATUS", 0): 1, ("PCIE_FW", 0): 0xC000C010},
                                    ["ECC-01", "FW-01"]),
    "overheating, then a stop": ({("PCIE_FW", 0): 0xC500C010, ("SGE_CONTROL", 0): 0, ("DBG_GPIO_EN", 0): 0},
                                 ["FW-04", "INT-06"]),
    "parity, then a stop": ({("SGE_INT_CAUSE1", 0): 1 << 10, ("SGE_CONTROL", 0): 0, ("DBG_GPIO_EN", 0): 0},
                            ["INT-01", "INT-06"]),
    "broken memory, and bad frames besides": ({("EDC_H_INT_CAUSE", 0): 4, ("MPS_PORT_STAT_RX_PORT_CRC_ERROR_L", 0): 4711},
                                              ["ECC-01", "NET-13"]),
}  # fmt: skip


@pytest.mark.parametrize("chain", CHAINS)
def test_of_two_faults_the_worse_comes_first_and_the_cause_before_what_it_did(chain, quiet, adapters):
    words, rules = CHAINS[chain]
    assert [f.rule for f in alarms(with_fault(quiet[6], registers(adapters[6], words)))] == rules


def test_a_memory_window_that_failed_is_one_finding(quiet):
    (only,) = alarms(with_fault(quiet[6], failed={DEV_LOG: -6, 18: -6, 19: -6, 20: -6}, whole=True))
    assert only.rule == "DMP-05"
    assert only.title.startswith("Memory window failed: dev_log, edc0, edc1, mc0")
    assert only.evidence[0].length == 52


def test_a_processor_that_does_not_answer_is_one_finding(quiet):
    failed = {CIM_LA: -16, 5: -16, 6: -11, 7: -11, 12: -11}
    (only,) = alarms(with_fault(quiet[6], failed=failed))
    assert only.rule == "FW-32"
    assert "5 CIM entities" in only.title


def test_an_adapter_that_is_gone_is_all_that_its_registers_say(shared_data):
    dump = vl.open_device_dump(shared_data / "cudbg/t6-dead-zlib.bin")
    found = dump.findings()
    assert found.rule[0] == "ACC-01"
    assert not set(found.rule.str[:3]) & {"INT", "ECC", "SGE", "TP-", "NET"}
    skipped = dump.skipped_rules()
    assert "did not answer" in skipped[skipped.rule == "INT-01"].reason.iloc[0]


def test_a_dump_with_registers_only_skips_what_it_cannot_know():
    built = cudbg(Entity(REG_DUMP, reg_dump({PCIE_FW: 0xC000C010, 0x19400: 0x800})))
    dump = vl.open_device_dump(bytes(built))
    assert dump.diagnosis.findings[0].title == "Firmware crashed"
    reasons = dict(zip(dump.skipped_rules().rule, dump.skipped_rules().reason, strict=True))
    assert "no entity dev_log" in reasons["FW-11"]
    assert reasons["SGE-03"] == "it is for T4 only; this is a T6"


BLOBS = ("q-t6-quiet", "q-t5-quiet-live", "q-t6-sgeparity", "q-t6-fwcrash", "t4-live-zlib", "t5-kdump-zlib", "t6-dead-zlib",
         "t6-errors-zlib", "t6-stale-zlib", "t6-tiny-raw", "uw-t6-fastlz", "uw-t6-tworecords-fastlz")  # fmt: skip
VALUE = re.compile(r" = (0x[0-9a-f]+|[\d,]+)(?: |$)")


@pytest.mark.parametrize("name", BLOBS)
def test_each_place_holds_the_value_that_the_finding_says(name, shared_data):
    dump = vl.open_device_dump(shared_data / f"cudbg/{name}.bin")
    checked = 0
    for finding in dump.diagnosis.findings:
        assert finding.evidence, finding.rule
        for one in finding.evidence:
            data = dump.bytes_of(one.space, one.offset, one.length)
            assert len(data) == one.length > 0
            if one.space.endswith(("/reg_dump", "/pcie_config")) and one.length in (4, 8):
                said = VALUE.search(one.text)
                assert said, one.text
                assert int.from_bytes(data, "little") == int(said[1].replace(",", ""), 0), one
                checked += 1
    assert checked or "tiny" in name or "tworecords" in name


@pytest.mark.parametrize("name", ["t4-live-zlib", "t5-kdump-zlib", "t6-errors-zlib", "t6-stale-zlib", "uw-t6-fastlz"])
def test_hashed_registers_give_ordered_findings_and_no_exception(name, shared_data):
    found = vl.open_device_dump(shared_data / f"cudbg/{name}.bin").diagnosis.findings
    severities = [SEVERITIES.index(f.severity) for f in found]
    assert severities == sorted(severities)
    assert len(found) < 400


def test_each_rule_of_the_table_is_well_formed_and_its_function_is_there():
    used = set()
    for row in read_table("health_rules.csv"):
        rule = DeclaredRule.from_row(row)
        rule.check()
        for condition in rule.conditions:
            assert condition.names, rule.id
        if rule.condition.startswith("@"):
            used.add(rule.condition[1:])
        assert rule.explanation or rule.title, rule.id
    assert used == set(FUNCTIONS)


def test_no_two_rules_share_an_id():
    ids = [rule.id for rules in all_rules().values() for rule in rules]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("chip", "name"), [("T4", "t4-live-zlib"), ("T5", "t5-live-zlib"), ("T6", "t6-uwpair-zlib")])
def test_of_a_whole_dump_every_rule_of_its_chip_can_be_evaluated(chip, name, shared_data):
    skipped = vl.open_device_dump(shared_data / f"cudbg/{name}.bin").diagnosis.skipped
    other = [s for s in skipped if f"this is a {chip}" not in s.reason]
    never = {row["id"] for row in read_table("health_rules.csv") if row["why_not"]}
    # UP_UP_SELF_CONTROL is not among the registers that the driver reads; T4 has no names for some indirect registers
    assert {s.rule for s in other} - never <= {"FW-31"} | ({"SGE-03", "SGE-04"} if chip == "T4" else set())


def test_two_dumps_of_one_name_keep_their_bytes_apart(tmp_path, file):
    from builders import device_dump, elf, notes

    one = bytes(cudbg(Entity(REG_DUMP, reg_dump({PCIE_FW: 0xC000C010}))))
    two = bytes(cudbg(Entity(REG_DUMP, reg_dump({PCIE_FW: 0xC500C010}))))
    name = b"cxgb4_0000:01:00.4"
    core = vl.open_vmcore(file(elf(notes(device_dump(name, one) + device_dump(name, two)))))
    found = {f.rule: f for f in diagnose(list(core.device_dumps), core).findings}
    words = [
        core.bytes_of(e.space, e.offset, e.length) for e in (found["FW-01"].evidence[0], found["FW-04"].evidence[0])
    ]
    assert [int.from_bytes(w, "little") for w in words] == [0xC000C010, 0xC500C010]


def test_the_command_prints_findings_of_a_bare_dump_and_of_all_dumps_of_a_vmcore(lab, sample, shared_data):
    answer = lab("findings", shared_data / "cudbg/q-t6-fwcrash.bin", "--format", "json")
    assert (answer.status, answer.column("rule")[0]) == (0, "FW-01")
    answer = lab("findings", sample, "--format", "json", "--severity", "critical")
    assert {row["device"] for row in answer.json} == {"0000:02:00.4"}
    assert answer.err == ""
    assert lab("findings", sample, "--skipped", "--format", "json").json[0]["reason"]


def test_a_file_without_rules_has_no_findings(lab, file):
    from builders import usual_elf

    answer = lab("findings", file(usual_elf()), "--format", "json", "--severity", "warning")
    assert (answer.status, answer.json) == (0, [])


def test_rules_that_a_decoder_of_somebody_else_brings_are_evaluated(toy, monkeypatch):
    place = Evidence("dump:toy", 0, 3, "TOY")
    sound = Rule("TOY-01", "It is a toy", "error", "", "", (), "its name", lambda nic: [Match((place,))])

    def lacking(nic):
        raise NotEvaluableError("it has no clock")

    rules = [sound, replace(sound, id="TOY-02", find=lacking)]
    monkeypatch.setattr(toy, "rules", lambda self: rules, raising=False)
    dump = vl.open_device_dump(b"TOY" + bytes(64))
    found = dump.diagnosis
    assert [(f.rule, f.severity, f.title) for f in found.findings] == [("TOY-01", "error", "It is a toy")]
    assert [(s.rule, s.reason) for s in found.skipped] == [("TOY-02", "it has no clock")]
