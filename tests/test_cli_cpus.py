"""``cpus`` and ``notes --decode`` as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import elf, notes, prstatus, vmcoreinfo
from click.testing import CliRunner

from vmcoredd_lab.cli import commands, kernel_side  # noqa: F401  registers the commands
from vmcoredd_lab.cli.main import cli
from vmcoredd_lab.cli.output import note
from vmcoredd_lab.cli.remote import Remotes
from vmcoredd_lab.errors import VmcoreddLabError


def run(*args: Any) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, [str(a) for a in args], obj=Remotes([]))
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def built(tmp_path: Path) -> Path:
    path = tmp_path / "vmcore"
    path.write_bytes(elf(notes(prstatus(1234) + prstatus(0) + vmcoreinfo())))
    return path


def test_cpus_are_a_narrow_table_for_people(built: Path) -> None:
    status, out, err = run("cpus", built)
    assert status == 0
    assert out.split("\n")[0].split() == ["cpu", "pid", "panicked", "rip", "rsp"]
    assert err == ""


def test_on_a_terminal_cpus_say_what_else_there_is(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_side, "remark", note)
    _, _, err = run("cpus", built)
    assert "--registers" in err
    assert "6.1.0-test" in err


def test_cpus_have_every_register_for_programs(built: Path) -> None:
    status, out, err = run("cpus", built, "--format", "json")
    rows = json.loads(out)
    assert status == 0
    assert err == ""
    assert rows[0]["pid"] == 1234
    assert {"r15", "rflags", "gs_base", "si_signo", "panicked"} <= rows[0].keys()


def test_registers_are_shown_cpu_by_cpu(built: Path) -> None:
    status, out, _ = run("cpus", built, "--registers")
    assert status == 0
    assert out.count("CPU ") == 2
    assert "rflags 0000000000000000" in out
    assert max(map(len, out.split("\n"))) <= 100


def test_a_vmcoreinfo_that_drgn_cannot_use_is_an_error_of_ours(built: Path) -> None:
    pytest.importorskip("drgn", reason="drgn is not installed: there is no bridge to it")
    result = CliRunner().invoke(cli, ["cpus", str(built), "--stacks"], obj=Remotes([]))
    assert isinstance(result.exception, VmcoreddLabError)
    assert result.exception.exit_status in (3, 4)


def test_registers_and_stacks_exclude_one_another(built: Path) -> None:
    assert run("cpus", built, "--registers", "--stacks")[0] != 0


def test_one_note_is_decoded_by_its_number(built: Path) -> None:
    status, out, _ = run("notes", built, "--note", 0, "--format", "json")
    rows = json.loads(out)
    assert status == 0
    assert {row["note"] for row in rows} == {0}
    assert next(row["value"] for row in rows if row["field"] == "pr_pid") == 1234


def test_stacks_are_printed_with_functions_and_lines(unpacked: Callable[[str], Path]) -> None:
    pytest.importorskip("drgn", reason="drgn is not installed: there is no bridge to it")
    vmcore, vmlinux = unpacked("vmcore/arm64/vmcore.d31-zlib.kdump"), unpacked("vmcore/arm64/vmlinux.xz")
    status, out, _ = run("cpus", vmcore, "--vmlinux", vmlinux)
    assert status == 0
    assert "CPU 1  pid 1 init  panicked" in out
    assert "sysrq_handle_crash+0x14" in out
    assert "drivers/tty/sysrq.c:155" in out


def test_the_report_has_the_stack_of_the_panicked_cpu(unpacked: Callable[[str], Path], tmp_path: Path) -> None:
    pytest.importorskip("drgn", reason="drgn is not installed: there is no bridge to it")
    vmcore, vmlinux = unpacked("vmcore/arm64/vmcore.d31-zlib.kdump"), unpacked("vmcore/arm64/vmlinux.xz")
    out = tmp_path / "report.html"
    assert run("report", vmcore, "-o", out, "--vmlinux", vmlinux)[0] == 0
    page = out.read_text()
    assert page.index("sysrq_handle_crash") < page.index("arch_cpu_idle")
    assert "panicked" in page


def test_the_report_without_vmlinux_says_what_it_would_add(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    assert run("report", built, "-o", out)[0] == 0
    cpus = json.loads(out.read_text())["cpus"]
    assert [row["pid"] for row in cpus["rows"]] == [1234, 0]
    assert cpus["stacks"] is None
    assert "vmlinux" in cpus["stacks_missing"]
