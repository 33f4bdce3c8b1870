"""One JupyterLab and one page of Chromium for all tests here; pictures of what they saw are kept.

``VMCOREDD_LAB_PICTURES`` names the directory of the pictures; without it they are in pytest's own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import Segment, device_dump, elf, notes, usual_notes, vmcoreinfo
from cudbg_builder import DEV_LOG, REG_DUMP, Entity, cudbg, log_entry, numbered_reg_dump

from browser.notebook_page import Notebook, opened

SEGMENTS, MEMORY_AT, LINEAR_MAP = 100_000, 8 << 20, 0xFFFF_8880_0000_0000  # of the terabyte
MIDDLE = (1 << 39) + 0x123450  # where in the file it says so
HOSTILE = '<img src=x onerror="window.hacked=1">'
HOSTILE_LOG = [
    "<script>window.hacked=2</script>",
    "\x1b[2J\x1b]0;owned\x07",
    "\u202egnp.exe",
    "%s%n " * 30,
    "</div></table><h1>big",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def notebook(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """The notebook's page; skips where something that the tests here need is not installed."""
    for module in ("jupyterlab", "anywidget", "nbformat"):
        pytest.importorskip(module)
    root = tmp_path_factory.mktemp("lab")
    kept = os.environ.get("VMCOREDD_LAB_PICTURES")
    with opened(root, Path(kept) if kept else tmp_path_factory.mktemp("pictures"), browser=browser) as page:
        page.run("import vmcoredd_lab as vl")
        yield page


@pytest.fixture(scope="module")
def notebook7(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """The page of Jupyter Notebook 7."""
    pytest.importorskip("notebook")
    kept = os.environ.get("VMCOREDD_LAB_PICTURES")
    pictures = Path(kept) if kept else tmp_path_factory.mktemp("pictures")
    with opened(tmp_path_factory.mktemp("notebook7"), pictures, application="notebook", browser=browser) as page:
        page.run("import vmcoredd_lab as vl")
        yield page


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vmcore whose device dump bears markup as its name, and whose firmware log holds what should never be taken literally."""
    log = b"".join(log_entry(n, text.encode()) for n, text in enumerate(HOSTILE_LOG))
    dump = cudbg(Entity(DEV_LOG, log), Entity(REG_DUMP, numbered_reg_dump()))
    path = tmp_path_factory.mktemp("hostile") / "vmcore"
    path.write_bytes(elf(notes(device_dump(HOSTILE, bytes(dump.data)) + vmcoreinfo())))
    return path


@pytest.fixture(scope="session")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vmcore whose VMCOREINFO is a line of a megabyte of markup, escapes and overrides."""
    text = "<img src=x onerror='window.hacked=3'>\x1b[31m\u202egnp.exe " * 20_000
    path = tmp_path_factory.mktemp("endless") / "vmcore"
    path.write_bytes(elf(notes(usual_notes() + vmcoreinfo(f"OSRELEASE={text}\n"))))
    return path


@pytest.fixture(scope="session")
def terabyte(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vmcore of 1 TiB in 100,000 segments, all of it holes, with two words far inside."""
    path = tmp_path_factory.mktemp("terabyte") / "vmcore"
    size = -(-(1 << 40) // SEGMENTS // 4096) * 4096
    memory = (
        Segment(b"", paddr=i * size, vaddr=LINEAR_MAP + i * size, offset=MEMORY_AT + i * size, filesz=size)
        for i in range(SEGMENTS)
    )
    path.write_bytes(elf(notes(usual_notes()), *memory, xnum="behind"))
    end = MEMORY_AT + SEGMENTS * size
    with path.open("r+b") as file:
        file.seek(MIDDLE)
        file.write(b"in the middle of")
        file.seek(end - 32)
        file.write(b"the last 32 bytes of a terabyte.")
    yield path
    path.unlink()
