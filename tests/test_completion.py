"""What the Tab key offers: asked as the shells ask, and in a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from vmcoredd_lab.cli.main import PROGRAM, program

FIRST, SECOND = "cxgb4_0000:02:00.4", "cxgb4_0000:81:00.4"


def offered(*words: object) -> list[str]:
    """What follows the words; the last is the one being typed."""
    *before, typed = map(str, words)
    asked = ShellComplete(program(), {}, PROGRAM, "_VMCOREDD_LAB_COMPLETE")
    return [item.value for item in asked.get_completions(before, typed)]


def test_commands() -> None:
    assert offered("re") == ["registers", "report"]


def test_options() -> None:
    assert offered("registers", "vmcore", "--re") == ["--register"]


def test_a_file_is_left_to_the_shell() -> None:
    asked = ShellComplete(program(), {}, PROGRAM, "_VMCOREDD_LAB_COMPLETE")
    assert [item.type for item in asked.get_completions(["info"], "vm")] == ["file"]


def test_device_dumps_of_the_file(sample: Path) -> None:
    assert offered("entities", sample, "--dump", "") == [FIRST, SECOND, "all"]
    assert offered("hexdump", sample, "--dump", "cxgb4_0000:8") == [SECOND]


def test_entities_of_the_file(sample: Path) -> None:
    assert offered("entity", sample, "cim_m") == ["cim_ma_la"]
    assert "hma" in offered("entity", sample, "--dump", "1", "")


def test_registers_in_any_case(sample: Path) -> None:
    assert offered("registers", sample, "--register", "pcie_fw") == ["PCIE_FW", "PCIE_FW_PF"]
    assert "SGE" in offered("registers", sample, "--block", "S")


def test_scenarios() -> None:
    assert offered("make", "li") == ["link-flap"]


@pytest.mark.parametrize("words", [["no-such-file"], ["s3://bucket/vmcore"], ["https://host/vmcore"], [os.devnull]])
def test_nothing_where_the_file_cannot_be_opened_at_once(words: list[str]) -> None:
    assert offered("entity", *words, "") == []
    assert offered("entities", *words, "--dump", "") == []


def test_nothing_where_the_dump_is_not_there(sample: Path) -> None:
    assert offered("entity", sample, "--dump", "other", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_one_that_it_can_read(lab: object, tmp_path: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(lab("completion", shell).out)  # type: ignore[operator]
    assert "vmcoredd-lab" in script.read_text()
    subprocess.run([shell, "-n", str(script)], check=True)


BASH = """
PATH="$1:$PATH"
eval "$(vmcoredd-lab completion bash)"
complete -p vmcoredd-lab
COMP_WORDS=(vmcoredd-lab entity "$2" cim_m)
COMP_CWORD=3
_vmcoredd_lab_completion vmcoredd-lab
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def on_path(tmp_path: Path) -> str:
    """A folder that has the program."""
    program = tmp_path / "vmcoredd-lab"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vmcoredd_lab "$@"\n')
    program.chmod(0o755)
    return str(tmp_path)


def test_bash_completes_an_entity_of_a_file(sample: Path, on_path: str) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    run = subprocess.run(["bash", "-c", BASH, "bash", on_path, str(sample)], check=True, capture_output=True, text=True)
    assert run.stdout.splitlines() == ["complete -o nosort -F _vmcoredd_lab_completion vmcoredd-lab", "cim_ma_la"]


def test_fish_completes_a_dump_of_a_file(sample: Path, on_path: str, tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    line = f"vmcoredd-lab entities {sample} --dump cxgb4_0000:8"
    script = f"vmcoredd-lab completion fish | source; complete -C '{line}'"
    environment = os.environ | {"PATH": f"{on_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    run = subprocess.run(["fish", "-c", script], check=True, capture_output=True, text=True, env=environment)
    assert run.stdout.split() == [SECOND]
