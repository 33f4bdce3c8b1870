"""Tables of this package's data files."""

from __future__ import annotations

import csv
from functools import cache

from vmcoredd_lab.package_data import package_text

__all__ = ["rows"]


@cache
def rows(name: str) -> list[dict[str, str]]:
    """Return the rows of one of the CSV files in data/."""
    return list(csv.DictReader(package_text("vmcoredd_lab.scenarios", "data", name).splitlines()))
