"""What the shell completes once a file was named: its device dumps, and what is in one of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import click

from vmcoredd_lab.devices import registry
from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.opening import open_file
from vmcoredd_lab.progress import undisturbed
from vmcoredd_lab.source.urls import is_url
from vmcoredd_lab.text import escape

__all__ = ["blocks", "dumps", "entities", "registers", "scenarios"]

MOST = 500  # names offered at once: what a shell asks before it lists
Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def _of_file(names: Callable[[click.Context, Any], Iterable[str | None]]) -> Completer:
    """Complete by what is in FILE; nothing where it is remote, for a key must not wait for a network, or cannot be opened."""

    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        # click leaves FILE unassigned where the line ends in an option that waits for its value
        file = context.params.get("file") or next(iter(context.args), None)
        if not file or is_url(file):
            return []
        try:
            with undisturbed():
                found = list(names(context, open_file(file).device_dumps))
        except (VmcoreddLabError, OSError, MemoryError):
            return []
        return _beginning(found, incomplete)

    return complete


def _beginning(names: Iterable[str | None], typed: str) -> list[str]:
    """Return the names that begin so, however their letters are written: registers are upper case and long."""
    told = (escape(name) for name in dict.fromkeys(names) if name)
    return [name for name in told if name.lower().startswith(typed.lower())][:MOST]


def _of_dump(names: Callable[[Any], Iterable[str | None]]) -> Completer:
    """Complete by what is in the device dump that --dump names, else in the first."""

    def chosen(context: click.Context, there: Any) -> Iterable[str | None]:
        which = context.params.get("which") or "0"
        if which == "all":
            which = "0"
        return names(there[int(which) if re.fullmatch(r"[0-9]{1,9}", which) else which].decode())

    return _of_file(chosen)


def _column(method: str, column: str) -> Completer:
    def names(decoder: Any) -> Iterable[str | None]:
        found: Iterable[str | None] = registry.offered(decoder, method)().values(column)
        return found

    return _of_dump(names)


def _entity_names(decoder: Any) -> Iterable[str | None]:
    if hasattr(decoder, "entity_names"):  # the table may have to inflate each for its summary
        found: Iterable[str | None] = decoder.entity_names()
    else:
        found = registry.offered(decoder, "entities_table")().values("name")
    return found


dumps = _of_file(lambda _, there: [*(dump.name for dump in there), "all"])
entities = _of_dump(_entity_names)
registers = _column("registers_table", "register")
blocks = _column("registers_table", "block")


def scenarios(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a scenario."""
    from vmcoredd_lab.scenarios import TALES

    return _beginning(TALES, incomplete)
