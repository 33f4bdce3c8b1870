"""The commands in hooks, cron jobs and pipelines: silent unless something is wrong, JSON on stdout; on a terminal they talk."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import usual_elf
from conftest import Answer

Lab = Callable[..., Answer]
File = Callable[..., Path]
PROGRAM = [sys.executable, "-m", "vmcoredd_lab"]
WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from vmcoredd_lab.cli import main
main(sys.argv[1:])
"""
JSON = [
    ["info"], ["segments"], ["notes"], ["dumps"], ["cpus"], ["dmesg"], ["entities"], ["registers"], ["firmware-log"],
    ["problems"], ["findings"], ["signature"], ["timeline"], ["diff"], ["entity", "cim_la"],
]  # fmt: skip


@pytest.mark.parametrize("suffix", ["html", "md", "json"])
def test_report_says_nothing_where_nobody_looks(lab: Lab, sample: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"report.{suffix}"
    answer = lab("report", sample, "-o", out)
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    assert out.stat().st_size > 1000


def test_report_of_a_damaged_file_says_so_in_one_line(lab: Lab, file: File, tmp_path: Path) -> None:
    answer = lab("report", file(usual_elf()[:-10]), "-o", tmp_path / "report.md")
    assert (answer.status, answer.out, answer.err.count("\n")) == (1, "", 1)
    assert "damaged" in answer.err


def test_on_a_terminal_report_says_what_it_wrote(sample: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    out = tmp_path / "report.md"
    with subprocess.Popen(
        [*PROGRAM, "report", str(sample), "-o", str(out)], stderr=theirs, stdout=subprocess.PIPE
    ) as run:
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # how Linux ends a pseudo terminal
                break
            if not piece:
                break
            seen += piece
        assert run.stdout is not None
        assert run.stdout.read() == b""
    os.close(ours)
    assert run.returncode == 0
    assert b"writing the report" in seen
    assert f"{out}  ".encode() in seen.splitlines()[-1]


@pytest.mark.parametrize("command", JSON, ids=lambda command: command[0])
def test_json_is_all_there_is_on_stdout(lab: Lab, sample: Path, command: list[str]) -> None:
    name, *rest = command
    answer = lab(name, sample, *rest, "--format", "json")
    assert answer.status == 0
    assert json.loads(answer.out) or command == ["problems"]


def test_a_report_goes_to_stdout_as_json(lab: Lab, sample: Path, tmp_path: Path) -> None:
    answer = lab("report", sample, "-o", "-", "--date", "today")
    lab("report", sample, "-o", tmp_path / "report.json", "--date", "today")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out == (tmp_path / "report.json").read_text("utf-8")


def test_a_report_goes_to_stdout_in_the_form_that_is_asked_for(lab: Lab, sample: Path) -> None:
    answer = lab("report", sample, "-o", "-", "--format", "md")
    assert (answer.status, answer.out[:2]) == (0, "# ")


def test_the_form_may_be_other_than_the_suffix_says(lab: Lab, sample: Path, tmp_path: Path) -> None:
    assert lab("report", sample, "-o", tmp_path / "report.txt", "--format", "md").status == 0
    assert (tmp_path / "report.txt").read_text("utf-8").startswith("# ")


@pytest.mark.parametrize("suffix", ["json", "md"])
def test_a_report_without_a_page_needs_numpy_click_and_rich_only(sample: Path, tmp_path: Path, suffix: str) -> None:
    absent = ["pandas", "jinja2", "matplotlib", "hexdump", "pyarrow", "IPython"]
    out = tmp_path / f"report.{suffix}"
    run = subprocess.run([sys.executable, "-c", WITHOUT.format(absent=absent), "report", str(sample), "-o", str(out)],
                         check=False, capture_output=True, text=True)  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    assert out.exists()


def test_a_package_that_is_missing_is_named_in_one_line(sample: Path, tmp_path: Path) -> None:
    args = ["report", str(sample), "-o", str(tmp_path / "report.html")]
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(absent=["jinja2", "matplotlib"]), *args],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "pip install" in run.stderr
