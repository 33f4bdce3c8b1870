"""What is given away: the same bytes from the same source, small, valid, and enough to run what it says."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import vmcoredd_lab

ROOT = Path(__file__).parents[1]
LARGEST_WHEEL = 3 * 1024 * 1024
EPOCH = {"SOURCE_DATE_EPOCH": "1700000000"}
NOT_SOURCE = shutil.ignore_patterns(".git", ".venv*", "out", "build", "dist", "node_modules", "__pycache__", ".*_cache")


def python(*args: object, **environment: str) -> str:
    run = subprocess.run([sys.executable, *map(str, args)], check=False, capture_output=True, text=True,
                         env=os.environ | environment)  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def built(source: Path, out: Path) -> dict[str, Path]:
    """Build sdist and, from it, the wheel; by name of the file."""
    pytest.importorskip("hatchling")
    python("-m", "build", "--no-isolation", "--outdir", out, source, **EPOCH)
    return {path.name: path for path in out.iterdir()}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: other tests, and who runs them, may write into the checkout meanwhile."""
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("the tests do not lie in a checkout")
    return Path(shutil.copytree(ROOT, tmp_path_factory.mktemp("packages") / "source", ignore=NOT_SOURCE))


@pytest.fixture(scope="module")
def packages(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return built(source, tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="module")
def wheel(packages: dict[str, Path]) -> Path:
    return next(path for name, path in packages.items() if name.endswith(".whl"))


@pytest.fixture(scope="module")
def sdist(packages: dict[str, Path]) -> Path:
    return next(path for name, path in packages.items() if name.endswith(".tar.gz"))


def test_the_package_under_test_is_the_installed_one() -> None:
    if not os.environ.get("VMCOREDD_LAB_INSTALLED"):
        pytest.skip("VMCOREDD_LAB_INSTALLED is not set: a checkout may be tested as it is")
    where = Path(vmcoredd_lab.__file__).resolve()
    assert ROOT.resolve() / "vmcoredd_lab" not in where.parents
    child = "import vmcoredd_lab; print(vmcoredd_lab.__file__)"
    run = subprocess.run([sys.executable, "-c", child], check=True, capture_output=True, text=True, cwd=ROOT)
    assert Path(run.stdout.strip()).resolve() == where


def test_the_same_source_gives_the_same_bytes(source: Path, packages: dict[str, Path], tmp_path: Path) -> None:
    elsewhere = Path(shutil.copytree(source, tmp_path / "elsewhere"))
    for path in elsewhere.rglob("*"):  # another checkout at another time
        os.utime(path, (1_500_000_000, 1_500_000_000))
    again = built(elsewhere, tmp_path / "out")
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in again.items()} == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in packages.items()
    }


def test_the_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < LARGEST_WHEEL


def test_metadata_passes_twine(packages: dict[str, Path]) -> None:
    pytest.importorskip("twine")
    assert python("-m", "twine", "check", "--strict", *packages.values()).count("PASSED") == 2


def test_the_wheel_holds_the_package_its_data_and_the_manual(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        manual = next(name for name in names if name.endswith(".data/data/share/man/man1/vmcoredd-lab.1"))
        assert archive.read(manual) == (ROOT / "docs" / "vmcoredd-lab.1").read_bytes()
    ours = {str(path.relative_to(ROOT)) for path in (ROOT / "vmcoredd_lab").rglob("*") if path.is_file()}
    ours = {name for name in ours if "__pycache__" not in name and not name.startswith("vmcoredd_lab/widgets/js/")}
    assert {
        name for name in names if not name.startswith("vmcoredd_lab-") and not name.startswith("vmcoredd_lab_")
    } == ours


def test_the_sdist_holds_what_its_tests_need(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = [
        *ROOT.glob("tests/**/*.py"), *ROOT.glob("sample_data/*"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/pictures/*"),
        *ROOT.glob("notebooks/*"), ROOT / "README.md", ROOT / "LICENSE", ROOT / "CHANGELOG.md",
    ]  # fmt: skip
    assert {
        str(path.relative_to(ROOT)) for path in wanted if path.is_file() and "__pycache__" not in path.parts
    } <= names
    assert sdist.stat().st_size < 12 << 20


def test_in_a_fresh_environment_program_module_and_manual_are_found(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    python("-m", "venv", "--without-pip", environment)
    pip = [
        "-m",
        "pip",
        "--python",
        environment / "bin" / "python",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        wheel,
    ]
    python(*pip)
    assert (environment / "bin" / "vmcoredd-lab").exists()
    assert (environment / "share" / "man" / "man1" / "vmcoredd-lab.1").exists()
    if shutil.which("man") is None:
        pytest.skip("man is not installed")
    path = {"PATH": f"{environment / 'bin'}:/usr/bin:/bin", "MANPATH": ""}
    run = subprocess.run(["man", "-w", "vmcoredd-lab"], check=False, capture_output=True, text=True, env=path)
    assert run.stdout.strip() == str(environment / "share" / "man" / "man1" / "vmcoredd-lab.1"), run.stderr
