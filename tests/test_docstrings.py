"""Every example in a docstring is run and gives what it says, as a reader would run it beside sample_data."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
from pathlib import Path

import pytest

import vmcoredd_lab as vl

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = [m.name for m in pkgutil.walk_packages(vl.__path__, "vmcoredd_lab.") if not m.name.endswith("__main__")]


def examples(name: str) -> list[doctest.DocTest]:
    """The docstrings of a module that have examples. Its source is looked at first: most have none and need no import."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    if ">>>" not in Path(spec.origin).read_text("utf-8"):
        return []
    found = doctest.DocTestFinder().find(importlib.import_module(name), extraglobs={"vl": vl})
    return [test for test in found if test.examples]


EXAMPLES = [test for name in ["vmcoredd_lab", *MODULES] for test in examples(name)]


@pytest.mark.parametrize("test", EXAMPLES, ids=[test.name for test in EXAMPLES])
def test_the_example_gives_what_it_says(
    test: doctest.DocTest, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sample_data").symlink_to(sample.parent)
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=told.append, clear_globs=False)
    assert not told, "".join(told)


def test_what_people_start_with_has_an_example() -> None:
    shown = {test.name for test in EXAMPLES}
    for name in vl.__all__:
        one = getattr(vl, name)
        if inspect.isfunction(one):
            assert f"{one.__module__}.{one.__name__}" in shown, name
