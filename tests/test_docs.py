"""What the documentation says is what the package does."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import vmcoredd_lab as vl
from vmcoredd_lab.devices.cxgb4.entities import decoders
from vmcoredd_lab.package_data import package_text

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("*/README.md"))]
MAKERS = sorted(path.name for path in ROOT.glob("docs/make_*.py") if path.name != "make_pictures.py")
OTHERS = {"new-decoder.md"}  # its output is that of a decoder which only its own tests install (test_plugin.py)
SHOWN = [page for page in PAGES if "```console" in page.read_text("utf-8") and page.name not in OTHERS]
HOOK = re.compile(r"<!-- hook: (?P<name>[\w-]+) -->\n```sh\n(?P<script>.*?)```", re.S)
NEVER_IN_LINUX = {
    "rss_pf_conf", "rss_key", "rss_conf", "sw_state", "wtp", "tcp_stats", "tp_err_stats", "fcoe_stats", "rdma_stats",
    "cpl_stats", "ddp_stats", "wc_stats", "lb_stats", "mac_stats", "full", "tx_rate", "ext_entity",
}  # fmt: skip


def test_every_entity_that_linux_collects_has_a_decoder():
    text = package_text("vmcoredd_lab.devices.cxgb4", "data", "entities.csv")
    names = {row["name"] for row in csv.DictReader(text.splitlines())}
    assert names - NEVER_IN_LINUX <= set(decoders())
    assert len(names - NEVER_IN_LINUX) == 53


@pytest.mark.parametrize("maker", MAKERS)
def test_pages_made_from_declarations_are_up_to_date(maker: str) -> None:
    beside = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}  # they share a module
    run = subprocess.run(
        [sys.executable, ROOT / "docs" / maker, "--check"], check=False, capture_output=True, text=True, env=beside
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("checker", ["groff -man -ww -Tutf8 -z", "mandoc -T lint -W error"])
def test_the_manual_page_is_one_that_man_takes(checker: str) -> None:
    name, *options = checker.split()
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    page = ROOT / "docs" / "vmcoredd-lab.1"
    run = subprocess.run([name, *options, page], check=False, capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


# -- links ------------------------------------------------------------------------------------------------------------


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))


def anchors(page: Path) -> set[str]:
    """The anchors of a page, as GitHub and the site name them."""
    if page.suffix == ".ipynb":
        cells = json.loads(page.read_text("utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    else:
        text = page.read_text("utf-8")
    found: set[str] = set()
    count: Counter[str] = Counter()
    for heading in re.findall(r"^#+ +(.+?) *$", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("\\", "")
        name = "".join(c for c in plain.lower() if c.isalnum() or c in "_- ").replace(" ", "-")
        found.add(f"{name}-{count[name]}" if count[name] else name)
        count[name] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_pages_files_and_headings_that_are_there(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text("utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT.resolve()), link
        if anchor:
            assert anchor in anchors(target), link


def test_links_of_the_notebooks_lead_somewhere() -> None:
    for notebook in ROOT.glob("notebooks/*.ipynb"):
        for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
            if cell["cell_type"] == "markdown":
                for link in re.findall(r"\]\(([^)#\s]+)", without_code("".join(cell["source"]))):
                    assert "://" in link or (notebook.parent / link).exists(), f"{notebook.name}: {link}"


def test_every_page_is_in_the_sites_table_of_contents() -> None:
    listed = set(re.findall(r"^([\w./-]+)$", (ROOT / "docs" / "index.md").read_text("utf-8"), re.M))
    assert {path.stem for path in ROOT.glob("docs/*.md")} - {"index"} <= listed


def test_every_public_name_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    assert not [name for name in vl.__all__ if name != "__version__" and f"vmcoredd_lab.{name}\n" not in text]


# -- commands ---------------------------------------------------------------------------------------------------------


def commands(page: Path) -> Iterator[tuple[str, str]]:
    """Each command of a page's console blocks, and what it is said to print, on stdout and stderr that are no terminal."""
    for block in re.findall(r"```console\n(.*?)```", page.read_text("utf-8"), re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, said = part.partition("\n")
            yield command, said.strip("\n")


@pytest.fixture
def room(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that has sample_data, with the program on PATH."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "vmcoredd-lab"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m vmcoredd_lab "$@"\n')
    program.chmod(0o755)
    (tmp_path / "sample_data").symlink_to(sample.parent)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", SHOWN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_in_a_console_prints_what_the_page_says(page: Path, room: Path) -> None:
    for command, said in commands(page):
        run = subprocess.run(["bash", "-o", "pipefail", "-c", command], check=False, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)  # fmt: skip
        assert (command, run.stdout.strip("\n"), run.returncode) == (command, said, 0)


@pytest.mark.parametrize("name", ["README.md", "docs/tutorial.md", "docs/structures.md"])
def test_every_python_block_runs_from_top_to_bottom(name: str, room: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text("utf-8"), re.S)
    assert blocks
    code = "import matplotlib\nmatplotlib.use('agg')\n" + "\n".join(blocks)
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


# -- hooks ------------------------------------------------------------------------------------------------------------


def hooks() -> dict[str, str]:
    texts = (page.read_text("utf-8") for page in ROOT.glob("docs/*.md"))
    return {found["name"]: found["script"] for text in texts for found in HOOK.finditer(text)}


def run_hook(name: str, room: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script = room / name
    script.write_text(hooks()[name])
    script.chmod(0o755)
    lab = {"LAB": str(room / "bin" / "vmcoredd-lab")}
    return subprocess.run(
        [script, *args], check=False, capture_output=True, text=True, env=os.environ | lab | environment
    )


def program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_hook_of_kdump_post_keeps_text_and_dumps_beside_the_vmcore(room: Path, sample: Path) -> None:
    crash = room / "root" / "var" / "crash" / "127.0.0.1-2026-11-23-09:00:01"
    crash.mkdir(parents=True)
    shutil.copy(sample, crash / "vmcore")
    # what chroot does to paths, for a test that is not root
    inside = 'root=$1; shift; for a; do shift; case $a in /var/*) a=$root$a ;; esac; set -- "$@" "$a"; done; exec "$@"'
    chroot = program(room / "chroot", inside)
    run = run_hook("vmcoredd-post", room, "0", ROOT=str(room / "root"), CHROOT=chroot)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert (crash / "vmcoredd-info.txt").read_text().startswith("panic")
    assert len(list((crash / "device-dumps").iterdir())) == 2


def test_the_hook_of_kdump_post_does_nothing_where_nothing_was_saved(room: Path) -> None:
    run = run_hook("vmcoredd-post", room, "1", ROOT=str(room / "root"))
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize(("word", "status", "written"), [("savecore", 0, 2), ("savecore", 1, 0), ("load", 0, 0)])
def test_the_script_around_kdump_config(room: Path, sample: Path, word: str, status: int, written: int) -> None:
    crash = room / "crash" / "202611230900"
    crash.mkdir(parents=True)
    shutil.copy(sample, crash / "dump.202611230900")
    config = program(room / "config", f'[ "$*" = {word} ] && exit {status}; exit 99')
    run = run_hook("kdump-config-vmcoredd", room, word, CONFIG=config, CRASH=str(room / "crash"))
    assert (run.returncode, run.stderr) == (status, "")
    assert len(list(crash.iterdir())) == 1 + written


def test_the_cron_job_writes_each_report_once_and_says_nothing(room: Path, sample: Path) -> None:
    for name in ("127.0.0.1-2026-11-23-09:00:01/vmcore", "202611230900/dump.202611230900"):
        (room / "crash" / name).parent.mkdir(parents=True)
        shutil.copy(sample, room / "crash" / name)
    first, second = (run_hook("vmcoredd-reports", room, CRASH=str(room / "crash")) for _ in range(2))
    assert (first.stdout + first.stderr, second.stdout + second.stderr) == ("", "")
    assert len(list(room.glob("crash/*/*.report.html"))) == 2
    assert len(list(room.glob("crash/*/*"))) == 6


# -- ways to install --------------------------------------------------------------------------------------------------


def test_the_conda_environment_asks_for_what_the_package_asks_for() -> None:
    asked = set(re.findall(r"^  - ([a-z0-9-]+>=[0-9.]+)$", (ROOT / "environment.yml").read_text("utf-8"), re.M))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = {
        need.replace("matplotlib>", "matplotlib-base>") for need in project["dependencies"] if "hexdump" not in need
    }
    assert asked == needed | {f"python{project['requires-python']}"}


def test_every_extra_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    page = (ROOT / "docs" / "install.md").read_text("utf-8")
    assert not [extra for extra in project["optional-dependencies"] if extra != "all" and f"| `{extra}` |" not in page]
