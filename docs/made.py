"""What the scripts here that make pages have in common: they write them, or with --check say whether they are up to date."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["keep"]


def keep(pages: Mapping[Path, str], told: str) -> None:
    """Write pages and say what was written; with --check write nothing, and end with an error where one is not up to date."""
    if "--check" not in sys.argv[1:]:
        for path, text in pages.items():
            path.write_text(text, "utf-8")
            print(f"{path}: {told}")
        return
    stale = [path.name for path, text in pages.items() if not path.is_file() or path.read_text("utf-8") != text]
    if stale:
        sys.exit(f"{' and '.join(stale)} not up to date: run docs/{Path(sys.argv[0]).name}")
