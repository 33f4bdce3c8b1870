"""One hierarchy of errors; every error carries where, what was expected, what was found and what to do.

Exceptions are for what cannot be opened or answered at all. Damage inside a file that can still be read is not an
exception: it is a row of ``problems`` (:mod:`vmcoredd_lab.problems`).
"""

from __future__ import annotations

__all__ = [
    "NotInFileError",
    "OpenError",
    "OutputError",
    "UsageError",
    "VmcoreddLabError",
]


class VmcoreddLabError(Exception):
    """Base of all errors raised on purpose by this package.

    Attributes
    ----------
    path: the file concerned, or None
    offset: byte offset in that file, or None
    expected, got: what the format asks for and what was there instead, as text
    hint: what the person can do next
    exit_status: what the command line exits with
    """

    exit_status = 1

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        offset: int | None = None,
        expected: str | None = None,
        got: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.offset = offset
        self.expected = expected
        self.got = got
        self.hint = hint

    def __str__(self) -> str:
        where = self.path or ""
        if self.offset is not None:
            where += f" at offset {self.offset:#x}"
        text = f"{where.strip()}: {self.message}" if where else self.message
        if self.expected is not None:
            text += f"; expected {self.expected}"
        if self.got is not None:
            text += f"{',' if self.expected is not None else ';'} found {self.got}"
        if self.hint:
            text += f". {self.hint[0].upper()}{self.hint[1:]}"
        return text


class UsageError(VmcoreddLabError):
    """The question itself is wrong: an unknown option value, a suffix nobody can write."""

    exit_status = 2


class OpenError(VmcoreddLabError):
    """The file cannot be opened as what is needed: missing, empty, foreign, or cut before its header ends."""

    exit_status = 3


class NotInFileError(VmcoreddLabError, LookupError):
    """What was asked for is not in the file: no such dump, entity or register, or bytes the dump left out."""

    exit_status = 4


class OutputError(VmcoreddLabError):
    """The output could not be written: it exists already, or the file system refused."""

    exit_status = 5
