"""Remote vmcores on the command line: the answers of a local file, little read, and no damage where a read failed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import usual_elf, usual_kdump
from conftest import Answer
from cudbg_builder import usual
from object_server import NO_FAULT, Fault, Server
from remote_vmcores import announced_dump, large_elf, large_kdump, vmcore

import vmcoredd_lab as vl
from vmcoredd_lab.errors import OpenError

pytest.importorskip("fsspec", reason="fsspec is not installed: URLs cannot be read")
pytest.importorskip("aiohttp", reason="aiohttp is not installed: http URLs cannot be read")

pytestmark = pytest.mark.usefixtures("no_waiting")

Lab = Callable[..., Answer]

SECRETS = ("hunter2", "c0ffee", "X-Amz", "deadbeef")
QUERY = "?X-Amz-Credential=c0ffee&X-Amz-Signature=deadbeefdeadbeef"


@pytest.mark.parametrize("arguments", [("-v", "info"), ("info", "-v"), ("-v", "info", "-v"), ("--verbose", "info")])
def test_verbose_says_what_was_read_once(server: Server, lab: Lab, arguments: tuple[str, ...]) -> None:
    server.put(vmcore())
    answer = lab(*arguments, server.url(user="me:hunter2") + QUERY)
    assert answer.status == 0
    (line,) = answer.err.splitlines()
    assert line.startswith(f"{server.url()}: read ")
    assert f" in {len(server.asked)} requests, " in line


def test_without_verbose_nothing_is_said(server: Server, lab: Lab) -> None:
    server.put(vmcore())
    assert lab("info", server.url()).err == ""


def test_verbose_says_nothing_of_a_local_file(file: Callable[..., Path], lab: Lab) -> None:
    assert lab("info", "-v", file(usual_elf())).err == ""


COMMANDS = [["info"], ["info", "--format", "json"], ["notes"], ["dumps"], ["segments"], ["problems"], ["entities"], ["registers"],
            ["firmware-log"], ["hexdump", "--physical", "0x2000"], ["hexdump", "--dump", "0"]]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_url_answers_as_the_local_file_does(
    server: Server, lab: Lab, file: Callable[..., Path], command: list[str]
) -> None:
    server.put(vmcore())
    local = lab(command[0], file(vmcore()), *command[1:])
    far = lab(command[0], server.url(user="me:hunter2") + QUERY, *command[1:])
    assert (far.status, far.out.replace(server.url(), "F")) == (
        local.status,
        local.out.replace(str(file(vmcore())), "F"),
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_secret_of_a_url_is_shown(server: Server, lab: Lab, command: list[str]) -> None:
    served = server.put(vmcore())
    url = server.url(user="me:hunter2") + QUERY
    for fault in (NO_FAULT, Fault(status=403), Fault(lost=9), Fault(whole=True, endless=True)):
        served.always = fault
        answer = lab(command[0], "-v", url, *command[1:])
        assert not [secret for secret in SECRETS if secret in answer.out + answer.err]


def test_extract_and_report_name_things_after_the_object(server: Server, lab: Lab, tmp_path: Path) -> None:
    server.put(bytes(usual()), "/crash/nic.dump")
    url = server.url("/crash/nic.dump", user="me:hunter2") + QUERY
    assert lab("extract", url, tmp_path).status == 0
    assert [path.name for path in tmp_path.iterdir()] == ["0-nic.dump.bin"]
    assert lab("report", url, "-o", tmp_path / "report.json").status == 0
    report = (tmp_path / "report.json").read_text()
    assert json.loads(report)["title"] == "nic.dump"
    assert not [secret for secret in SECRETS if secret in report]


@pytest.mark.parametrize("command", ["info", "dumps", "entities", "registers", "problems"])
def test_a_failed_read_is_no_damage_of_the_file(server: Server, lab: Lab, command: str) -> None:
    served = server.put(vmcore())
    served.faults.append(NO_FAULT)  # the headers come, what is behind them does not
    served.always = Fault(status=503)
    answer = lab(command, server.url())
    assert (answer.status, answer.out) == (3, "")
    assert "503 Service Unavailable" in answer.err


def test_a_failed_read_leaves_no_report_behind(server: Server, lab: Lab, tmp_path: Path) -> None:
    served = server.put(vmcore())
    served.faults.append(NO_FAULT)
    served.always = Fault(lost=100)
    assert lab("report", server.url(), "-o", tmp_path / "report.html").status == 3
    assert lab("extract", server.url(), tmp_path / "out").status == 3
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_from_python_a_failed_read_makes_problems_unknown(server: Server) -> None:
    served = server.put(vmcore())
    core = vl.open_vmcore(server.url())
    served.always = Fault(status=503)
    with pytest.raises(OpenError, match="503"):
        core.check()
    with pytest.raises(OpenError, match="503"):
        core.problems_table()


def test_nothing_is_left_open_when_the_program_ends(server: Server) -> None:
    server.put(vmcore())
    code = "from vmcoredd_lab.cli import main; main()"
    run = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code, "info", server.url()], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")


# -- how much is read -------------------------------------------------------------------------------------------------

GIB, MIB = 1 << 30, 1 << 20
TWO_DUMPS = {"dump_size": 32 * MIB, "memory": 64 * GIB}


def test_info_of_64_gib_with_two_dumps_reads_under_2_mb(server: Server, lab: Lab) -> None:
    dump = bytes(announced_dump(32 * MIB - 4096))
    server.put(large_elf([dump, dump], **TWO_DUMPS))
    answer = lab("info", "-v", server.url(), "--format", "json")
    assert (answer.status, answer.json["file_size"] > 64 * GIB, len(answer.json["device_dumps"])) == (0, True, 2)
    assert server.sent < 600_000
    assert len(server.asked) <= 6


@pytest.mark.parametrize("command", ["notes", "dumps"])
def test_notes_of_a_kdump_file_touch_neither_bitmaps_nor_pages(server: Server, lab: Lab, command: str) -> None:
    dump = bytes(announced_dump(32 * MIB - 4096))
    content = large_kdump([dump, dump], **TWO_DUMPS)
    server.put(content)
    answer = lab(command, server.url(), "--format", "json")
    assert answer.status == 0
    assert len(answer.json) == (5 if command == "notes" else 2)
    assert server.sent < 1_000_000


def test_info_of_a_kdump_file_reads_the_bitmaps_and_no_page(server: Server, lab: Lab) -> None:
    dump = bytes(announced_dump(32 * MIB - 4096))
    server.put(large_kdump([dump, dump], **TWO_DUMPS))
    answer = lab("info", server.url(), "--format", "json")
    assert answer.json["memory"] == {"covered": 64 * GIB, "held": 16 * GIB}
    bitmaps = 2 * (64 * GIB // 4096 // 8)
    assert server.sent < bitmaps + 1_000_000


def test_absurd_headers_do_not_fetch_the_file(server: Server, lab: Lab) -> None:
    head = usual_elf(xnum="zero")
    server.put(large_elf([], dump_size=0, memory=64 * GIB).over(0, head))
    assert lab("info", server.url()).status == 1
    assert server.sent < 80 * MIB


def test_a_small_kdump_file_comes_at_once(server: Server, lab: Lab) -> None:
    server.put(usual_kdump())
    assert lab("info", server.url()).status == 0
    assert len(server.asked) == 1
