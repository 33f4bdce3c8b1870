"""A decoder in a package of its own (tests/plugin) is found through its entry point and used everywhere."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from builders import Segment, device_dump, elf, notes, vmcoreinfo

import vmcoredd_lab as vl
from vmcoredd_lab.devices import register, registry
from vmcoredd_lab.problems import Problems

PLUGIN = Path(__file__).parent / "plugin"
GUIDE = Path(__file__).parent.parent / "docs" / "new-decoder.md"
NAME = "toynic_0000:03:00.0"
DOWN, UP, FAULT = 0, 1, 2


def toy_dump(*ports: tuple[int, int, int], declared: int | None = None) -> bytes:
    """A dump of the toynic; `declared` is the number of ports in the header, else the true one."""
    count = len(ports) if declared is None else declared
    return struct.pack("<8sII", b"TOYNICv1", 7, count) + b"".join(struct.pack("<3Q", *port) for port in ports)


def vmcore(data: bytes, name: str = NAME) -> bytes:
    return elf(notes(device_dump(name, data, page=4096) + vmcoreinfo()), Segment(b"memory", paddr=0x1000))


THREE_PORTS = toy_dump((UP, 12345, 17), (DOWN, 0, 0), (FAULT, 5, 0))


# -- installed as users install it ------------------------------------------------------------------------------------


def wheel(directory: Path) -> Path:
    """The plugin as a wheel. Built here from its pyproject.toml, so that no build backend is needed."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    name = f"{project['name'].replace('-', '_')}-{project['version']}"
    entry_points = "".join(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
        for group, points in project["entry-points"].items()
    )
    files = {
        "toynic_decoder.py": (PLUGIN / "toynic_decoder.py").read_text(),
        f"{name}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n",
        f"{name}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{name}.dist-info/entry_points.txt": entry_points,
    }
    record = f"{name}.dist-info/RECORD"
    files[record] = "".join(f"{path},,\n" for path in [*files, record])
    path = directory / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in files.items():
            archive.writestr(member, text)
    return path


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the plugin installed by pip; where there is no pip, the wheel unpacked, which is the same."""
    room = tmp_path_factory.mktemp("plugin")
    target, built = room / "site", wheel(room)
    if find_spec("pip"):
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "--no-index",
            "--no-deps",
            "--no-compile",
        ]
        subprocess.run([*pip, "--target", target, built], check=True, capture_output=True)
    else:
        zipfile.ZipFile(built).extractall(target)
    return target


@pytest.fixture(scope="module")
def program(installed: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line in a process of its own that has the plugin."""
    environment = os.environ | {"PYTHONPATH": str(installed), "MPLCONFIGDIR": str(installed.parent)}

    def run(*args: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from vmcoredd_lab.cli import main; main()", *map(str, args)]
        return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=120)

    return run


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("crash") / "vmcore"
    path.write_bytes(vmcore(THREE_PORTS))
    return path


def rows(answer: subprocess.CompletedProcess[str]) -> Any:
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def test_dumps_and_info_have_its_summary_and_size(program, crash):
    (row,) = rows(program("dumps", crash, "--format", "json"))
    assert (row["driver"], row["payload_size"], row["summary"]) == ("toynic", 88, "firmware 7, 1 of 3 ports up")
    assert row["size"] > row["payload_size"]
    assert rows(program("info", crash, "--format", "json"))["device_dumps"][0]["summary"] == row["summary"]
    assert "firmware 7, 1 of 3 ports up" in program("info", crash).stdout


def test_its_entities_are_tables(program, crash):
    assert [r["name"] for r in rows(program("entities", crash, "--format", "json"))] == ["ports"]
    assert rows(program("entity", crash, "ports", "--format", "json")) == [
        {"port": 0, "link": "up", "rx": 12345, "tx": 17},
        {"port": 1, "link": "down", "rx": 0, "tx": 0},
        {"port": 2, "link": "fault", "rx": 5, "tx": 0},
    ]
    assert program("entity", crash, "engines").returncode == 4


def test_what_its_device_has_not_is_told(program, crash):
    answer = program("firmware-log", crash)
    assert (answer.returncode, answer.stdout) == (4, "")
    assert answer.stderr == f"vmcoredd-lab: {crash}: the decoder of toynic offers no firmware log\n"


@pytest.mark.parametrize("suffix", ["html", "json"])
def test_the_report_has_it(program, crash, tmp_path, suffix):
    path = tmp_path / f"report.{suffix}"
    answer = program("report", crash, "-o", path)
    assert answer.returncode == 0, answer.stderr
    if suffix == "json":
        (adapter,) = json.loads(path.read_text())["adapters"]
        assert (adapter["driver"], [e["name"] for e in adapter["entities"]]) == ("toynic", ["ports"])
        assert adapter["firmware_log"] is adapter["interrupt_causes"] is None
    else:
        page = path.read_text()
        assert '<section class="adapter" id="adapter-0">' in page
        assert page.count("firmware 7, 1 of 3 ports up") == 2  # of the dump, and of its entity
        assert "Firmware log" not in page
        assert "Interrupt causes" not in page


def test_a_bare_dump_of_it_opens(program, tmp_path):
    path = tmp_path / "toynic.dump"
    path.write_bytes(THREE_PORTS)
    assert rows(program("dumps", path, "--format", "json"))[0]["driver"] == "toynic"
    assert program("info", path).returncode == 0


def test_without_the_package_there_is_no_decoder(lab, crash):
    assert lab("dumps", crash, "--format", "json").json[0]["summary"] is None
    answer = lab("entities", crash)
    assert answer.status == 4
    assert "no decoder knows the content" in answer.err


# -- the guide --------------------------------------------------------------------------------------------------------


def test_the_decoder_of_the_guide_is_this_one_and_short():
    blocks = dict(re.findall(r"```(\w+)\n(.*?)```", GUIDE.read_text(), re.DOTALL))
    decoder = (PLUGIN / "toynic_decoder.py").read_text()
    assert blocks["python"] == decoder
    assert blocks["toml"] == (PLUGIN / "pyproject.toml").read_text()
    assert len(decoder.splitlines()) < 60


def test_the_guide_shows_what_the_program_prints(program, crash):
    console = re.search(r"```console\n(.*?)```", GUIDE.read_text(), re.DOTALL)[1]
    shown = dict(re.findall(r"^\$ vmcoredd-lab (.*)\n((?:[^$].*\n)*)", console, re.MULTILINE))
    for command in ("dumps vmcore", "entity vmcore ports"):
        assert program(*command.replace("vmcore", str(crash), 1).split()).stdout == shown[command]


def test_the_guide_names_every_method():
    text = GUIDE.read_text()
    assert [name for name in registry.OPTIONAL if f"`{name}(" not in text] == []


# -- any decoder ------------------------------------------------------------------------------------------------------


class Least:
    """A decoder with what every decoder has, and nothing else."""

    driver = "least"

    def __init__(self, dump: Any) -> None:
        self.problems = Problems()

    @classmethod
    def recognises(cls, head: bytes) -> bool:
        return head.startswith(b"LEAST")

    @classmethod
    def payload_size(cls, data: Any) -> int | None:
        return None

    def summary(self) -> str:
        return "the least there can be"

    def check(self) -> None:
        self.problems.error("dump", "found by reading all of it")


@pytest.fixture
def least(monkeypatch: pytest.MonkeyPatch, file: Callable[..., Path]) -> Path:
    monkeypatch.setattr(registry, "_from_entry_points", lambda: {"least": Least})
    return file(vmcore(b"LEAST" + bytes(99), "least_0000:01:00.0"))


@pytest.mark.parametrize(("command", "missing"), [
    (["entities"], "entities"), (["entity", "ports"], "entities"), (["registers"], "registers"),
    (["registers", "--register", "X"], "registers"), (["registers", "--counters"], "counters"),
    (["registers", "--causes"], "interrupt causes"), (["firmware-log"], "firmware log"),
])  # fmt: skip
@pytest.mark.parametrize("which", [[], ["--dump", "0"], ["--dump", "all"]], ids=["first", "by-index", "all"])
def test_commands_that_need_more_say_what_is_missing(least, lab, command, missing, which):
    answer = lab(command[0], least, *command[1:], *which)
    assert answer.status == 4
    assert f"the decoder of least offers no {missing}" in answer.err
    assert str(least) in answer.err


def test_an_entitys_bytes_are_not_shown_where_the_decoder_has_none(least, lab):
    answer = lab("hexdump", least, "--entity", "ports")
    assert (answer.status, answer.out) == (4, "")
    assert "the decoder of least offers no entities" in answer.err


def test_commands_that_need_no_more_work(least, lab, tmp_path):
    assert "the least there can be" in lab("info", least).out
    assert lab("dumps", least, "--format", "json").column("payload_size") == [None]
    assert lab("extract", least, tmp_path / "out", "--entities").status == 0
    assert lab("problems", least, "--format", "json").column("message") == ["found by reading all of it"]


@pytest.mark.parametrize("suffix", ["html", "json"])
def test_a_report_of_the_least_decoder(least, lab, tmp_path, suffix):
    path = tmp_path / f"report.{suffix}"
    assert lab("report", least, "-o", path).status == 1  # what check() found is damage
    text = path.read_text()
    assert "found by reading all of it" in text
    assert "the least there can be" in text


@pytest.mark.parametrize("data", [toy_dump(), toy_dump((7, 1, 2)), toy_dump(((1 << 64) - 1, 0, 0)), THREE_PORTS[:16]])
def test_no_ports_and_links_of_no_known_state(program, tmp_path, data):
    path = tmp_path / "odd.dump"
    path.write_bytes(data)
    ports = json.loads(program("entity", path, "1", "--format", "json").stdout)
    assert [p["link"] for p in ports] == [None] * ((len(data) - 16) // 24)


def test_a_cut_dump_of_the_toynic_keeps_what_is_there(program, tmp_path):
    path = tmp_path / "cut.dump"
    path.write_bytes(toy_dump((UP, 1, 2), declared=0xFFFFFFFF))
    answer = program("entity", path, "ports", "--format", "json")
    assert (answer.returncode, [r["rx"] for r in json.loads(answer.stdout)]) == (1, [1])


# -- in a notebook ----------------------------------------------------------------------------------------------------


@pytest.fixture
def toynic(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The decoder's class, and no decoder but the package's own known."""
    known: dict[str, Any] = {}
    monkeypatch.setattr(registry, "_from_entry_points", lambda: known)
    space: dict[str, Any] = {}
    exec((PLUGIN / "toynic_decoder.py").read_text(), space)
    return space["ToyNic"]


def test_a_registered_decoder_decodes_what_is_opened_from_then_on(toynic: Any, tmp_path: Path) -> None:
    path = tmp_path / "vmcore"
    path.write_bytes(vmcore(THREE_PORTS))
    before = vl.open_vmcore(path).device_dumps[0]
    assert before.decoder is None
    assert register(toynic) is toynic
    assert before.decoder is None  # what was looked at keeps what it was
    assert vl.open_vmcore(path).device_dumps[0].decode().summary() == "firmware 7, 1 of 3 ports up"


def test_what_is_no_decoder_is_not_registered(toynic: Any) -> None:
    with pytest.raises(vl.UsageError, match="without driver, recognises"):
        register(object)
    toynic.driver = "cxgb4"
    with pytest.raises(vl.UsageError, match="of a driver of its own"):
        register(toynic)
