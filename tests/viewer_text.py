"""The vendor viewer's text for genuine dumps, one file per entity."""

from __future__ import annotations

from cudbg_truth import shared
from entity_checks import _views


def viewer_text(blob: str, file: str) -> list[str]:
    """The lines of one of the viewer's files; skips where the shared data is not at hand."""
    shared(blob)
    return _views(blob)[file].splitlines()


def rows_of_words(words: list[int], width: int) -> list[tuple[int, ...]]:
    """The rows that a list of words holds whole."""
    return [tuple(words[at : at + width]) for at in range(0, len(words) - width + 1, width)]


def word_cells(records: list[dict[str, int]], width: int) -> list[tuple[int, ...]]:
    """The columns w0, w1, ... of rows."""
    return [tuple(record[f"w{i}"] for i in range(width)) for record in records]
