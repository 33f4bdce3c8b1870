"""Scenarios, judged by the programs that read vmcores and by what the genuine driver code collects."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cudbg_truth import shared
from hypothesis import given, settings
from hypothesis import strategies as st

import vmcoredd_lab as vl
from vmcoredd_lab import scenarios
from vmcoredd_lab.cli import make
from vmcoredd_lab.errors import OutputError, UsageError
from vmcoredd_lab.kernel import printk_structs
from vmcoredd_lab.scenarios import TALES, Damage, device_dump, names, scenario, write_scenario
from vmcoredd_lab.scenarios.adapter import Adapter
from vmcoredd_lab.scenarios.entities import collect
from vmcoredd_lab.scenarios.printk_ring import KernelMessage, PrintkRing
from vmcoredd_lab.scenarios.story import Story

pytest_plugins = ["vmcoredd_lab.testing", "pytester"]

Tell = Callable[..., Any]
Make = Callable[..., Path]
CHIPS = ("T4", "T5", "T6")
GENUINE = {"T5": "t5-kdump-zlib", "T6": "q-t6-quiet"}  # collected in a capture kernel, as in a vmcore
LIVE = {"T5": "q-t5-quiet-live", "T4": "t4-live-zlib"}
every_scenario = pytest.mark.parametrize("name", names())
every_chip = pytest.mark.parametrize("chip", CHIPS)


@pytest.fixture(scope="session")
def core(scenario_vmcore: Tell) -> Tell:
    """Open the vmcore of a scenario with one adapter, or as many as asked for."""
    return lambda name, chip="T6", **options: scenario_vmcore(name, chip=chip, seed=3, **options)


@pytest.fixture(scope="session")
def nic(core: Tell) -> Tell:
    """Decode the first adapter of a scenario."""
    return lambda name, chip="T6", **options: core(name, chip, **options).device_dumps[0].decode()


def needs(program: str) -> str:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if not found:
        pytest.skip(f"{program} is not installed")
    return found


def run(program: str, *args: object) -> str:
    done = subprocess.run(
        [needs(program), *map(str, args)], capture_output=True, timeout=300, check=True, stdin=subprocess.DEVNULL
    )
    return done.stdout.decode(errors="surrogateescape")


# -- the adapter ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chip", GENUINE)
def test_entities_have_the_sizes_and_statuses_of_genuine_ones(chip: str, nic: Tell) -> None:
    genuine, made = shared(GENUINE[chip]), nic("healthy", chip)
    known = {e["name"].lower(): e for e in genuine.truth["entities"]}
    assert {e.name for e in made.container.entities.values()} == set(known)
    for entity in made.container.entities.values():
        if entity.name in ("mc0", "mc1"):
            continue  # how much memory a card has varies
        there = known[entity.name]
        assert entity.status == there["hdr_flags"], entity.name
        if entity.status == 0:
            assert made.decoded_size(entity) == there["uncompressed_size"], entity.name


@pytest.mark.parametrize("chip", LIVE)
def test_a_live_dump_has_the_sizes_and_statuses_of_a_genuine_one(chip: str) -> None:
    genuine = shared(LIVE[chip])
    made = vl.open_device_dump(io.BytesIO(device_dump("healthy", chip=chip))).decode()
    for there in genuine.truth["entities"]:
        entity = made.container.entities[there["type"]]
        assert (entity.status, entity.sys_err) == (there["hdr_flags"], _signed(there["sys_err"])), entity.name
        if entity.status == 0:
            assert made.decoded_size(entity) == there["uncompressed_size"], entity.name


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value


@every_chip
@every_scenario
def test_nothing_is_wrong_with_the_dumps(name: str, chip: str, nic: Tell) -> None:
    adapter = nic(name, chip)
    adapter.check()
    assert list(adapter.problems) == []


@every_chip
@every_scenario
def test_every_entity_that_was_collected_decodes(name: str, chip: str, nic: Tell) -> None:
    adapter = nic(name, chip)
    for entity in adapter.container.entities.values():
        if entity.stored_size:
            assert len(adapter.entity_table(entity.name).columns) > 0, entity.name


@every_chip
def test_meminfo_agrees_with_the_memories_that_were_collected(chip: str, nic: Tell) -> None:
    adapter = nic("healthy", chip)
    regions = adapter.memory_map
    assert set(regions[regions.kind == "memory"]["entity"]) == {"edc0", "edc1", "mc0"}
    log = adapter.entity_bytes("dev_log")
    assert adapter.entity_bytes("mc0")[0xE0000 : 0xE0000 + len(log)] == log


@every_chip
def test_payload_is_not_read_as_in_the_driver(chip: str, nic: Tell) -> None:
    regions = nic("healthy", chip).memory_map
    payload = regions[regions["name"].str.contains("payload")]
    assert len(payload) == 2
    assert (payload["collected"] < payload["size"]).all()


@every_chip
def test_counters_of_a_port_agree_with_one_another(chip: str, nic: Tell) -> None:
    counters = nic("healthy", chip).counters
    for direction in ("TX", "RX"):
        port0 = counters[counters["register"].str.startswith(f"MPS_PORT_STAT_{direction}_PORT_")]
        port0 = port0[port0["instance"] == 0].set_index("register")["value"]
        prefix = f"MPS_PORT_STAT_{direction}_PORT_"
        frames = int(port0[prefix + "FRAMES"])
        assert frames > 0
        assert frames == sum(int(port0[prefix + kind]) for kind in ("BCAST", "MCAST", "UCAST"))
        bins = [name for name in port0.index if re.search(r"_\d+B", name) and "LESS" not in name]
        assert frames == sum(int(port0[name]) for name in bins)


def test_every_register_of_a_story_is_collected_by_the_driver() -> None:
    """A word that reading would change is in no dump, so a story that sets it would tell nobody."""
    told = {chip: Adapter(chip, "0000:02:00.4") for chip in CHIPS}
    for name in names():
        for chip in CHIPS:
            adapter = TALES[name].tell(Story(chip=chip)).story.adapters[0]
            held = set(adapter.table.addresses.tolist())
            changed = {a for a, v in adapter.registers.items() if told[chip].registers.get(a) != v}
            assert changed <= held, (name, chip, [hex(a) for a in changed - held])


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(UsageError, match="no field"):
        Adapter("T6", "0000:02:00.4").set("SGE_CONTROL", Nothing=1)


# -- the kernel -------------------------------------------------------------------------------------------------------


@every_scenario
def test_the_kernel_log_is_read_back_as_it_was_told(name: str, core: Tell) -> None:
    told = TALES[name].tell(Story(seed=3)).story.messages
    log = core(name).dmesg
    assert log["text"].tolist() == [m.text for m in told]
    assert log["time_ns"].tolist() == [m.time for m in told]
    assert log["level"].tolist() == [m.level for m in told]
    assert log["caller"].tolist() == [m.caller for m in told]


@every_scenario
def test_makedumpfile_prints_the_same_kernel_log(name: str, scenario_file: Make, tmp_path: Path, core: Tell) -> None:
    target = tmp_path / "dmesg.txt"
    run("makedumpfile", "--dump-dmesg", scenario_file(name, seed=3), target)
    lines = re.findall(r"^\[ *(\d+)\.(\d{6})\] (.*)$", target.read_text(), re.M)
    log = core(name).dmesg
    assert [int(s + us) for s, us, _ in lines] == [t // 1000 for t in log["time_ns"].tolist()]
    assert [text for *_, text in lines] == log["text"].tolist()


@every_scenario
def test_vmcore_dmesg_prints_the_same_kernel_log(name: str, scenario_file: Make, core: Tell) -> None:
    lines = re.findall(r"^\[ *\d+\.\d{6}\] (.*)$", run("vmcore-dmesg", scenario_file(name, seed=3)), re.M)
    assert lines == core(name).dmesg["text"].tolist()


@pytest.mark.parametrize("size", [24 << 20, 200 << 20, 3 << 30, 1 << 40])
def test_drgn_reads_the_log_through_the_page_tables_of_a_machine_of_any_size(size: int, scenario_file: Make) -> None:
    drgn = pytest.importorskip("drgn")
    program = drgn.Program()
    path = scenario_file("healthy", size=size)
    program.set_core_dump(path)
    opened = vl.open_vmcore(path)
    pointer = int(opened.vmcoreinfo["SYMBOL(prb)"], 16)
    assert program.read_u64(pointer) == int(opened.vmcoreinfo["SYMBOL(printk_rb_static)"], 16)
    assert path.stat().st_blocks * 512 < 16 << 20


@pytest.mark.parametrize("options", [("-c", "-d", "31"), ("-l", "-d", "0"), ("-E", "-d", "31"), ("-F", "-c")])
def test_makedumpfile_makes_its_own_files_of_it(options: tuple[str, ...], scenario_file: Make, tmp_path: Path) -> None:
    source, target = scenario_file("pcie-error", adapters=2), tmp_path / "dump"
    program = needs("makedumpfile")
    if "-F" in options:
        with target.open("wb") as out:
            subprocess.run([program, *options, source], stdout=out, stderr=subprocess.DEVNULL, check=True, timeout=300)
    else:
        run("makedumpfile", *options, source, target)
    ours, theirs = vl.open_vmcore(source), vl.open_vmcore(target)
    assert theirs.dmesg["text"].tolist() == ours.dmesg["text"].tolist()
    assert [bytes(d.data.view(0, 4096)) for d in theirs.device_dumps] == [
        bytes(d.data.view(0, 4096)) for d in ours.device_dumps
    ]


@pytest.mark.parametrize("program", [("readelf", "-hlnW"), ("eu-readelf", "-hln")])
def test_readelf_has_nothing_to_complain_of(program: tuple[str, str], scenario_file: Make) -> None:
    done = subprocess.run([needs(program[0]), program[1], scenario_file("healthy", adapters=2)], capture_output=True,
                          timeout=120, check=True)  # fmt: skip
    assert done.stderr == b""
    assert b"arning" not in done.stdout


def test_each_cpu_has_its_registers_and_the_panicking_one_its_task(core: Tell) -> None:
    opened = core("firmware-crash")
    assert opened.cpus["pid"].tolist() == [47, 0]
    stext = int(opened.vmcoreinfo["SYMBOL(_stext)"], 16)
    assert all(stext <= ip < stext + (1 << 30) for ip in opened.cpus["rip"].tolist())


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), max_size=120), min_size=1, max_size=24)
)
@settings(max_examples=25)
def test_any_text_comes_back_from_the_ring(texts: list[str]) -> None:
    ring = PrintkRing([KernelMessage(1000 * n, "info", text) for n, text in enumerate(texts)])
    base = 0xFFFFFFFF82000000
    data = ring.place(base)
    head = printk_structs.PRINTK_RINGBUFFER.read(data, bits=64)
    descs = int(head["desc_ring"]["descs"]) - base
    at = int(head["text_data_ring"]["data"]) - base
    mask = (1 << int(head["text_data_ring"]["size_bits"])) - 1
    infos = int(head["desc_ring"]["infos"]) - base
    for n, text in enumerate(texts):
        desc = printk_structs.PRB_DESC.read(data, descs + n * printk_structs.PRB_DESC.size(), bits=64)
        info = printk_structs.PRINTK_INFO.read(data, infos + n * printk_structs.PRINTK_INFO.size(), bits=64)
        begin = at + (int(desc["text_blk_lpos"]["begin"]) & mask) + 8
        assert data[begin : begin + int(info["text_len"])] == text.encode()


# -- the stories ------------------------------------------------------------------------------------------------------


@every_scenario
def test_of_two_adapters_only_the_one_of_the_story_has_findings(name: str, core: Tell) -> None:
    found = core(name, adapters=2).findings()
    alarms = found[found["severity"] != "info"]
    assert alarms["device"].dropna().unique().tolist() in ([], ["0000:02:00.4"])
    assert alarms["rule"].tolist()[:1] == [] or alarms["rule"].tolist()[0] in TALES[name].rules


@every_chip
@every_scenario
def test_the_expected_finding_comes_first(name: str, chip: str, core: Tell) -> None:
    found = core(name, chip).findings()
    alarms = found[found["severity"] != "info"]
    if not TALES[name].rules:
        assert alarms["rule"].tolist() == []
        return
    assert alarms["rule"].tolist()[0] in TALES[name].rules


@every_chip
def test_a_crashed_firmware_says_so_everywhere(chip: str, core: Tell, nic: Tell) -> None:
    adapter = nic("firmware-crash", chip)
    assert adapter.firmware_state.register >> 31 == 1
    assert adapter.firmware_log["level"].tolist()[-3:] == ["ERR", "CRIT", "EMERG"]
    log = core("firmware-crash", chip).dmesg["text"].tolist()
    assert "cxgb4 0000:02:00.4: Firmware reports adapter error: Crash" in log
    assert log.index("cxgb4 0000:02:00.4: encountered fatal error, adapter stopped") < len(log) - 10


@every_chip
@pytest.mark.parametrize("name", ["firmware-crash", "mailbox-timeout"])
def test_a_stopped_adapter_has_the_fingerprint_of_the_driver(name: str, chip: str, nic: Tell) -> None:
    registers = nic(name, chip).registers.set_index("register")["value"]
    assert registers["SGE_CONTROL"] & 1 == 0
    assert registers["DBG_GPIO_EN"] == 0
    ports = registers["XGMAC_PORT_CFG" if chip == "T4" else "MAC_PORT_CFG"]
    fitted = ports.iloc[:2]
    assert all(value & 0x4000 == 0 for value in fitted) or chip == "T4"


def test_on_t5_and_t6_the_driver_does_not_notice_an_error_in_on_chip_memory(core: Tell) -> None:
    for chip, noticed in (("T4", True), ("T5", False), ("T6", False)):
        log = core("edc-parity", chip).dmesg["text"].tolist()
        assert any("uncorrectable ECC" in text for text in log) == noticed


def test_a_flapping_link_goes_down_once_more_than_it_comes_up_again(core: Tell, nic: Tell) -> None:
    log = core("link-flap").dmesg["text"]
    down, up = (log.str.contains(f"enp2s0f4: link {word}").sum() for word in ("down", "up"))
    assert (down, up) == (7, 7)  # once up after the boot
    assert nic("link-flap").firmware_log["message"].str.contains("link down").sum() == 7


def test_behind_a_dead_memory_window_the_log_and_the_memories_are_missing(nic: Tell) -> None:
    entities = nic("memory-window").entities.set_index("name")
    assert entities.loc[["dev_log", "edc0", "edc1", "mc0"], "sys_err"].tolist() == [-6] * 4
    assert entities.loc["reg_dump", "status"] == 0


def test_only_a_live_dump_has_the_mailbox_log(nic: Tell) -> None:
    live = vl.open_device_dump(io.BytesIO(device_dump("mailbox-timeout"))).decode().entity("mbox_log")
    assert live["execute"].tolist()[-1] == -110
    assert live["opcode_name"].tolist()[-1] == "FW_PARAMS_CMD"
    assert len(nic("mailbox-timeout").entity("mbox_log")) == 0


@every_chip
def test_firmware_and_kernel_tell_the_same_version(chip: str, core: Tell, nic: Tell) -> None:
    vpd = nic("healthy", chip).entity("vpd_data").iloc[0]
    version = ".".join(str(vpd[f"fw_{part}"]) for part in ("major", "minor", "micro", "build"))
    log = core("healthy", chip).dmesg["text"].tolist()
    assert f"cxgb4 0000:02:00.4: Firmware version: {version}" in log
    assert f"cxgb4 0000:02:00.4: S/N: {vpd['sn']}, P/N: {vpd['bn']}" in log


def test_firmware_time_runs_with_kernel_time() -> None:
    story = TALES["link-flap"].tell(Story(seed=3)).story
    adapter = story.adapters[0]
    ups = [m.time for m in story.messages if m.text.endswith("Tx/Rx PAUSE") and adapter.netdevs[0] + ":" in m.text]
    ticks = [tick for tick, _, _, text, params in sorted(adapter.log.entries) if "link up" in text and params[0] == 0]
    steps = [(b - a) / 1000 for a, b in pairwise(ups)]  # microseconds
    assert [b - a for a, b in pairwise(ticks)] == pytest.approx(steps, abs=200)


# -- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["elf", "kdump", "flattened-kdump", "device-dump"])
def test_the_same_arguments_give_the_same_bytes(format: str, tmp_path: Path) -> None:
    sums = []
    for n in range(2):
        write_scenario("stuck-queue", tmp_path / f"{n}", format=format, seed=7, chip="T5")
        sums.append(hashlib.sha256((tmp_path / f"{n}").read_bytes()).hexdigest())
    assert sums[0] == sums[1]


def test_another_seed_gives_other_times_and_the_same_story() -> None:
    one, other = (vl.open_vmcore(scenario("firmware-crash", seed=seed).open()) for seed in (1, 2))
    assert one.dmesg["time_ns"].tolist() != other.dmesg["time_ns"].tolist()
    assert len(one.dmesg) == len(other.dmesg)
    assert one.findings()["rule"].tolist()[0] == other.findings()["rule"].tolist()[0]


def test_adapters_differ_in_address_serial_number_and_mac(core: Tell) -> None:
    opened = core("healthy", adapters=3)
    vpd = [d.decode().entity("vpd_data").iloc[0] for d in opened.device_dumps]
    for column in ("sn", "na"):
        assert len({row[column] for row in vpd}) == 3
    assert len({d.device for d in opened.device_dumps}) == 3


@pytest.mark.parametrize(
    "wrong", [{"name": "nothing"}, {"chip": "T7"}, {"adapters": 0}, {"size": 1 << 20}, {"collection": "fastlz"}]
)
def test_what_cannot_be_made_is_refused(wrong: dict[str, Any]) -> None:
    arguments = {"name": "healthy", **wrong}
    with pytest.raises(UsageError):
        scenario(arguments.pop("name"), **arguments)


def test_a_directory_that_is_not_there_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_scenario("healthy", tmp_path / "none" / "vmcore")


@every_chip
@every_scenario
def test_a_live_dump_has_the_expected_finding_first(name: str, chip: str) -> None:
    found = vl.open_device_dump(io.BytesIO(device_dump(name, chip=chip))).findings()
    alarms = found[found["severity"] != "info"]["rule"].tolist()
    if not TALES[name].rules:
        assert alarms == []
        return
    assert alarms[0] in {*TALES[name].rules, "FW-21"}  # which the mailbox log shows, that only a live dump has


# -- damage -----------------------------------------------------------------------------------------------------------


def test_entities_that_fail_on_request_have_a_status(nic: Tell) -> None:
    adapter = nic("healthy", damage=Damage(fail=("clk", "rss")))
    status = adapter.entities.set_index("name")["sys_err"]
    assert status[["clk", "rss", "cctrl"]].tolist() == [-16, -16, 0]


def test_an_entity_that_the_driver_does_not_collect_cannot_fail() -> None:
    with pytest.raises(UsageError, match="does not collect"):
        scenario("healthy", damage=Damage(fail=("rss_key",)))


def test_hostile_texts_harm_nobody(core: Tell, nic: Tell) -> None:
    opened = core("healthy", damage=Damage(hostile=True))
    shown = (
        opened.device_dumps[0].name
        + "".join(opened.dmesg["text"])
        + "".join(nic("healthy", damage=Damage(hostile=True)).firmware_log["message"])
    )
    assert "\x1b" not in shown
    assert "script" in shown


def test_a_cut_file_keeps_its_beginning(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    write_scenario("healthy", whole, format="device-dump")
    write_scenario("healthy", cut, format="device-dump", damage=Damage(cut="25%"))
    assert cut.read_bytes() == whole.read_bytes()[: whole.stat().st_size // 4]


def test_as_many_bits_are_turned_over_as_asked_for(tmp_path: Path) -> None:
    whole, other = tmp_path / "whole", tmp_path / "other"
    write_scenario("healthy", whole, format="device-dump")
    write_scenario("healthy", other, format="device-dump", damage=Damage(flips=5))
    pairs = zip(whole.read_bytes(), other.read_bytes(), strict=True)
    assert sum((a ^ b).bit_count() for a, b in pairs) == 5


@pytest.mark.parametrize("cut", ["120%", "-1", "much", 1 << 60])
def test_more_than_the_file_cannot_be_kept(cut: int | str, tmp_path: Path) -> None:
    target = tmp_path / "vmcore"
    with pytest.raises(UsageError, match="not a part"):
        write_scenario("healthy", target, format="device-dump", damage=Damage(cut=cut))
    assert list(tmp_path.iterdir()) == []


# -- the command ------------------------------------------------------------------------------------------------------


def test_make_writes_what_the_other_commands_read(lab: Tell, tmp_path: Path) -> None:
    target = tmp_path / "vmcore"
    assert (
        lab(
            "make", "firmware-crash", "-o", target, "--seed", 3, "--chip", "T5", "--adapters", 2, "--size", "32M"
        ).status
        == 0
    )
    assert lab("dumps", target, "--format", "json").column("device") == ["0000:02:00.4", "0000:81:00.4"]
    assert lab("findings", target, "--format", "json").column("rule")[0] == "FW-01"


def test_make_offers_the_formats_that_there_are() -> None:
    assert make.FORMATS == scenarios.FORMATS


def test_make_lists_every_scenario(lab: Tell) -> None:
    answer = lab("make", "--list")
    assert [line.split()[0] for line in answer.out.splitlines()] == names()


@pytest.mark.parametrize(
    "args",
    [
        ("nothing", "-o", "x"),
        ("healthy",),
        ("healthy", "-o", "x", "--size", "big"),
        ("healthy", "-o", "x", "--chip", "T3"),
    ],
)
def test_a_wrong_make_is_a_usage_error(
    lab: Tell, args: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert lab("make", *args).status == 2
    assert list(tmp_path.iterdir()) == []


# -- fixtures for others ----------------------------------------------------------------------------------------------


def test_the_example_in_the_documentation_is_a_test_that_passes(pytester: pytest.Pytester) -> None:
    page = (Path(__file__).parents[1] / "docs" / "scenarios.md").read_text("utf-8")
    blocks = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", page, re.S))
    assert set(blocks) == {"conftest.py", "test_my_tool.py"}
    for name, text in blocks.items():
        (pytester.path / name).write_text(text, "utf-8")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=3)


def test_the_fixtures_give_an_opened_vmcore_a_file_and_a_device_dump(
    scenario_vmcore: Tell, scenario_file: Make, scenario_device_dump: Tell
) -> None:
    assert scenario_vmcore("healthy").format == "elf64"
    assert scenario_vmcore("healthy", format="kdump").format == "kdump-compressed"
    assert scenario_device_dump("healthy", chip="T4").decode().chip == "T4"
    assert scenario_file("healthy") == scenario_file("healthy")
    assert scenario_vmcore("healthy") is scenario_vmcore("healthy")


def test_a_collected_adapter_is_an_image_that_can_be_changed() -> None:
    image = collect(Adapter("T6", "0000:02:00.4"))
    image.fail("rss", sys_err=-11)
    assert vl.open_device_dump(io.BytesIO(image.to_bytes())).decode().entities.set_index("name")["status"]["rss"] == -29
