"""Fixtures for your own tests: the vmcore of a scenario in one line.

Put this into ``conftest.py`` (or a test module):

>>> pytest_plugins = ["vmcoredd_lab.testing"]

and then:

>>> def test_my_tool_names_the_crash(scenario_vmcore):
...     core = scenario_vmcore("firmware-crash", chip="T6", adapters=2)
...     assert my_tool(core) == "firmware crash"

``scenario_file`` gives a path instead, and makes other formats and damaged files. Files are made once a session for the same
arguments; a test that changes one must copy it first. Scenarios and arguments: :mod:`vmcoredd_lab.scenarios`. This module
alone imports pytest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vmcoredd_lab.devices.dump import DeviceDump, open_device_dump
from vmcoredd_lab.scenarios import write_scenario
from vmcoredd_lab.vmcore import Vmcore, open_vmcore

__all__ = ["scenario_device_dump", "scenario_file", "scenario_vmcore"]

SUFFIXES = {"elf": "vmcore", "kdump": "kdump", "device-dump": "dump"}


@pytest.fixture(scope="session")
def scenario_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function of a scenario's name and the arguments of :func:`~vmcoredd_lab.scenarios.write_scenario`: a path."""
    room = tmp_path_factory.mktemp("scenarios")

    def make(name: str, **options: Any) -> Path:
        key = hashlib.sha256(repr((name, sorted(options.items()))).encode()).hexdigest()[:12]
        suffix = SUFFIXES.get(options.get("format", "elf"), "flat")
        path = room / f"{Path(name).name}-{key}.{suffix}"
        if not path.exists():
            write_scenario(name, path, **options)
        return path

    return make


@pytest.fixture(scope="session")
def scenario_vmcore(scenario_file: Callable[..., Path]) -> Iterator[Callable[..., Vmcore]]:
    """Return a function like ``scenario_file`` that opens the file: a :class:`~vmcoredd_lab.vmcore.Vmcore`."""
    opened: dict[Path, Vmcore] = {}

    def make(name: str, **options: Any) -> Vmcore:
        path = scenario_file(name, **options)
        if path not in opened:
            opened[path] = open_vmcore(path)
        return opened[path]

    yield make
    opened.clear()


@pytest.fixture(scope="session")
def scenario_device_dump(scenario_file: Callable[..., Path]) -> Callable[..., DeviceDump]:
    """Return a function like ``scenario_file`` that opens one adapter's dump, as ``ethtool -w`` writes it."""

    def make(name: str, **options: Any) -> DeviceDump:
        return open_device_dump(scenario_file(name, format="device-dump", **options))

    return make
