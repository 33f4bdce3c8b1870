"""Fixtures: real data where it is at hand, the command line in this process, files made from bytes."""

from __future__ import annotations

import json
import lzma
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from builders import Toy
from hypothesis import settings
from object_server import Server, object_server

from vmcoredd_lab.devices import registry
from vmcoredd_lab.source import remote

# The same examples in every run: what a run finds, the next one finds. Other examples: --hypothesis-profile=default
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

DATA = "VMCOREDD_LAB_TEST_DATA"
SAMPLE = Path(__file__).parent.parent / "sample_data" / "vmcore.kdump"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of vmcores of real kernels and genuine device dumps; skips where nobody said where it is."""
    where = os.environ.get(DATA)
    if not where:
        pytest.skip(f"{DATA} is not set: no vmcores of real kernels at hand")
    path = Path(where)
    assert path.is_dir(), f"{DATA}={where} is not a directory"
    return path


@pytest.fixture(scope="session")
def unpacked(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from a path in `shared_data` to a plain file; *.xz are unpacked once a session."""
    base = tmp_path_factory.getbasetemp()
    room = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "unpacked"

    def find(relative: str | Path) -> Path:
        packed = shared_data / relative
        if packed.suffix != ".xz":
            return packed
        plain = room / packed.relative_to(shared_data).with_suffix("")
        if not plain.exists():
            plain.parent.mkdir(parents=True, exist_ok=True)
            part = plain.with_name(f"{plain.name}.{os.getpid()}")
            with lzma.open(packed) as source, part.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            part.replace(plain)
        return plain

    return find


@pytest.fixture(scope="session")
def sample() -> Path:
    """The vmcore that comes with the project."""
    if not SAMPLE.exists():
        pytest.skip(f"{SAMPLE.name} is not in sample_data")
    return SAMPLE


@dataclass(frozen=True)
class Answer:
    """What a command said: its exit status, standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def column(self, name: str) -> list[Any]:
        return [row[name] for row in self.json]


@pytest.fixture
def lab(capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run the command line in this process; anything but an exit is a failure of the test."""
    from vmcoredd_lab.cli import main

    def run(*args: object) -> Answer:
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(arg) for arg in args])
        out, err = capfd.readouterr()
        code = exit_.value.code
        assert code is None or isinstance(code, int)
        return Answer(code or 0, out, err)

    return run


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that puts bytes into a file."""

    def put(data: bytes, name: str = "vmcore") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return put


@pytest.fixture
def server() -> Iterator[Server]:
    """A web server on this machine that can be told to fail."""
    with object_server() as running:
        yield running


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read of a remote file that failed is tried again at once."""
    monkeypatch.setattr(remote, "BACKOFF", 0)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, one for all tests of a process; skips where it is not installed."""
    pytest.importorskip("playwright")
    from browser.notebook_page import browsing, chromium

    if chromium() is None:
        pytest.skip("chromium is not installed")
    with browsing() as found:
        yield found


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Toy]]:
    """A decoder of somebody else, as if its package were installed."""
    point = EntryPoint("toy", "builders:Toy", registry.GROUP)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point] if group == registry.GROUP else [])
    registry._from_entry_points.cache_clear()
    yield Toy
    registry._from_entry_points.cache_clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what compares with another program or library by the file it is in."""
    for item in items:
        if item.path.name == "test_peers.py":
            item.add_marker(pytest.mark.peer)
