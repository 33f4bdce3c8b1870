"""The page's side: its types, its style, its unit tests, and that what the package carries is what the sources give."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent.parent / "vmcoredd_lab" / "widgets"
SOURCES, BUILT = HERE / "js", HERE / "static"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with the tools that they name; skips where there is no Node or no registry."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    if not SOURCES.is_dir():
        pytest.skip("the sources of the page's side are not here")
    where = tmp_path_factory.mktemp("widgets")
    shutil.copytree(SOURCES, where / "js", ignore=shutil.ignore_patterns("node_modules"))
    if (SOURCES / "node_modules").is_dir():
        (where / "js" / "node_modules").symlink_to(SOURCES / "node_modules")
        return where / "js"
    done = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund"], cwd=where / "js", capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"npm ci failed, no registry? {done.stderr[-300:]}")
    return where / "js"


@pytest.mark.parametrize("script", ["types", "lint", "test"])
def test_the_sources_pass(sources: Path, script: str) -> None:
    done = subprocess.run(["npm", "run", "-s", script], cwd=sources, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


def test_what_the_package_carries_is_built_from_the_sources(sources: Path) -> None:
    subprocess.run(["npm", "run", "-s", "build"], cwd=sources, capture_output=True, check=True)
    built = sorted((sources.parent / "static").glob("*.js"))
    assert [path.name for path in built] == ["explore.js", "hexview.js", "timeline.js"]
    for path in built:
        assert path.read_text() == (BUILT / path.name).read_text(), (
            f"{path.name} is older than its sources: npm run build"
        )
