"""What the first commands cost: none of the large libraries, which need not be installed for them either."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from builders import usual_elf, usual_kdump

HEAVY = ["pandas", "pyarrow", "matplotlib", "ipywidgets", "drgn", "dask", "jinja2"]
LIGHT_COMMANDS = ["info", "notes", "dumps", "extract"]

LISTED = f"""
import sys
status = 0
try:
    {{}}
except SystemExit as exit:
    status = exit.code or 0
print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
sys.exit(status)
"""
HIDDEN = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from vmcoredd_lab.cli import main
main(sys.argv[1:])
"""
COUNTED = """
import os, sys
from vmcoredd_lab.cli import main
try:
    main(sys.argv[1:])
finally:
    print(len(os.listdir("/proc/self/task")), file=sys.stderr)
"""


def python(code: str, *args: object) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COV_", "COVERAGE_", "OPENBLAS_"))}
    return subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, check=False,
                          env=environment)  # fmt: skip


@pytest.fixture(scope="module", params=["ELF", "kdump"])
def vmcore(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("imports") / "vmcore"
    path.write_bytes(usual_elf() if request.param == "ELF" else usual_kdump())
    return path


def arguments(command: str, vmcore: Path, tmp_path: Path) -> list[str]:
    return [command, str(vmcore), *([str(tmp_path / "out")] if command == "extract" else [])]


def test_import_brings_in_no_large_library() -> None:
    run = python(LISTED.format("import vmcoredd_lab"))
    assert (run.returncode, run.stderr.splitlines()[-1]) == (0, "[]")


def test_the_names_of_the_package_bring_in_no_large_library() -> None:
    run = python(LISTED.format("from vmcoredd_lab import open_vmcore, open_device_dump, OpenError, Vmcore, DeviceDump"))
    assert (run.returncode, run.stderr.splitlines()[-1]) == (0, "[]")


@pytest.mark.parametrize("command", LIGHT_COMMANDS)
def test_light_commands_bring_in_no_large_library(command: str, vmcore: Path, tmp_path: Path) -> None:
    args = arguments(command, vmcore, tmp_path)
    run = python(LISTED.format(f"from vmcoredd_lab.cli import main; main({args})"))
    assert (run.returncode, run.stderr.splitlines()[-1]) == (0, "[]")


@pytest.mark.parametrize("command", [*LIGHT_COMMANDS, "segments", "problems", "hexdump"])
def test_light_commands_work_where_the_large_libraries_are_not_installed(
    command: str, vmcore: Path, tmp_path: Path
) -> None:
    run = python(HIDDEN, *arguments(command, vmcore, tmp_path))
    assert (run.returncode, "Traceback" in run.stderr) == (0, False)


def test_the_program_is_one_thread(vmcore: Path) -> None:
    if not Path("/proc/self/task").is_dir():
        pytest.skip("no /proc to count threads in")
    run = python(COUNTED, "info", vmcore)
    assert (run.returncode, run.stderr) == (0, "1\n")


def test_json_needs_no_pandas(vmcore: Path) -> None:
    run = python(HIDDEN, "notes", vmcore, "--format", "json")
    assert [row["owner"] for row in json.loads(run.stdout)] == ["LINUX", "LINUX", "CORE", "CORE", "VMCOREINFO"]


def test_light_commands_on_the_sample_bring_in_no_large_library(sample: Path, tmp_path: Path) -> None:
    for command in LIGHT_COMMANDS:
        run = python(LISTED.format(f"from vmcoredd_lab.cli import main; main({arguments(command, sample, tmp_path)})"))
        assert (command, run.returncode, run.stderr.splitlines()[-1]) == (command, 0, "[]")


def test_public_names_are_listed_and_others_are_not_there() -> None:
    import vmcoredd_lab as vl

    assert {"open_vmcore", "open_device_dump", "write_report", "OpenError"} <= set(dir(vl))
    assert sorted(vl.__all__) == dir(vl)
    with pytest.raises(AttributeError, match="no_such_name"):
        vl.no_such_name  # noqa: B018
