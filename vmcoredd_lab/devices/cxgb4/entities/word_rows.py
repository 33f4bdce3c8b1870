"""Rows of 32-bit words, as logic analysers and queue memories hold them, and the values cut out of such rows.

Where each value lies is in the data file word_fields.csv: ``9[15:0] 8[31:16]`` is bits 15..0 of word 9 above bits 31..16 of
word 8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.entities.base import bits
from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.tables import Column

__all__ = ["ALL_ONES", "all_ones", "decoded", "fields", "word_columns", "word_values", "words_of"]

Array = np.ndarray[Any, Any]
Pieces = tuple[tuple[int, int, int], ...]  # (word, high bit, low bit), most significant first
Rows = tuple[str, Array]  # the kind of rows in word_fields.csv, and their words; kind "" where nothing is known of them

# What reads of a device that is gone give.
ALL_ONES = "Every word is all ones: the adapter did not answer when this was read."
_PIECE = re.compile(r"(\d+)\[(\d+):(\d+)\]")


@cache
def _fields() -> dict[str, dict[str, Pieces]]:
    found: dict[str, dict[str, Pieces]] = {"": {}}
    for row in read_table("word_fields.csv"):
        pieces = tuple((int(word), int(high), int(low)) for word, high, low in _PIECE.findall(row["bits"]))
        found.setdefault(row["rows"], {})[row["column"]] = pieces
    return found


def fields(rows: str) -> dict[str, Pieces]:
    """Return the values in one kind of row, by column name in order."""
    return _fields()[rows]


def words_of(rows: Array) -> Array:
    """Return an array of structures of u32 as a matrix in the machine's own byte order: a row each, a column a word."""
    flat: Array = np.ascontiguousarray(rows).view(rows.dtype[0])
    matrix: Array = flat.reshape(-1, len(rows.dtype.names or ())).astype(np.uint32)
    return matrix


def all_ones(*matrices: Array) -> bool:
    """Return True where there are words and every one is 0xffffffff."""
    return any(m.size for m in matrices) and all(bool((m == 0xFFFFFFFF).all()) for m in matrices)


def word_columns(count: int, rank: int = 0) -> tuple[Column, ...]:
    """Return the columns ``w0``, ``w1``, ...; with a rank where decoded values say the same, so that the words may go first."""
    return tuple(Column(f"w{i}", "u32", f"word {i} as it was read", "hex", rank) for i in range(count))


def word_values(parts: Sequence[Array | int], count: int) -> dict[str, Any]:
    """Return the values of :func:`word_columns` for matrices one after another; a number is that many rows without values."""
    return {f"w{i}": _joined([p if isinstance(p, int) else p[:, i] for p in parts]) for i in range(count)}


def decoded(columns: Iterable[Column], groups: Sequence[Rows]) -> dict[str, Any]:
    """Return the values of columns for rows of several kinds one after another; missing where a kind has no such value."""
    found: dict[str, Any] = {}
    for column in columns:
        known = [(fields(kind).get(column.name), words) for kind, words in groups]
        if column.kind == "text":
            parts = [_digits(words, pieces) if pieces else [None] * len(words) for pieces, words in known]
            found[column.name] = [text for part in parts for text in part]
        else:
            found[column.name] = _joined([_number(words, pieces) if pieces else len(words) for pieces, words in known])
    return found


def _number(words: Array, pieces: Pieces) -> Array:
    """Return a value of up to 64 bits for each row."""
    width = sum(high - low + 1 for _, high, low in pieces)
    kind = np.uint32 if width <= 32 else np.uint64
    value: Array = np.zeros(len(words), kind)
    position = width
    for word, high, low in pieces:
        position -= high - low + 1
        value |= bits(words[:, word], high, low).astype(kind) << kind(position)
    return value


def _digits(words: Array, pieces: Pieces) -> list[str]:
    """Return a value of any width for each row as hexadecimal digits; all pieces but the first are whole words."""
    _, high, low = pieces[0]
    first, line = (high - low) // 4 + 1, 8 * len(pieces)
    taken = np.column_stack([bits(words[:, word], high, low) for word, high, low in pieces])
    text = taken.astype(">u4").tobytes().hex()
    return [text[at + 8 - first : at + line] for at in range(0, len(text), line)]


def _joined(parts: Sequence[Array | int]) -> Array:
    """Return arrays one after another; a number in place of an array is that many missing values."""
    values = np.concatenate([np.zeros(p, np.uint32) if isinstance(p, int) else p for p in parts])
    if not any(isinstance(p, int) and p for p in parts):
        return values
    missing = [np.full(p if isinstance(p, int) else len(p), isinstance(p, int)) for p in parts]
    masked: Array = np.ma.array(values, mask=np.concatenate(missing))
    return masked
