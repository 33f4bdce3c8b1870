"""Files that come with the package, read through its loader: importlib.resources costs 10 ms that most commands need not pay."""

from __future__ import annotations

import importlib.util
import os

__all__ = ["package_text"]


def package_text(package: str, *path: str) -> str:
    """Return the text of a file inside a package, wherever the package was loaded from."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    data: bytes = spec.loader.get_data(os.path.join(os.path.dirname(spec.origin), *path))  # type: ignore[union-attr]
    return data.decode("utf-8")
