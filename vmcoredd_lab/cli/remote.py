"""What the commands do for URLs: say what was read where -v asks for it, and print nothing that a failed read made wrong."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vmcoredd_lab.progress import undisturbed
from vmcoredd_lab.source.urls import is_url, shown

if TYPE_CHECKING:
    from vmcoredd_lab.source.remote import RemoteSource

__all__ = ["Remotes", "remotes", "verbose_option"]

F = TypeVar("F", bound=Callable[..., Any])


class Remotes:
    """The remote files of a command, as they are opened."""

    def __init__(self, sources: list[RemoteSource]) -> None:
        self._sources = sources
        self._spinner = contextlib.ExitStack()

    def waiting(self, file: str) -> None:
        """On a terminal show a spinner until :meth:`ready` where the file is remote."""
        if is_url(file) and sys.stderr.isatty():
            from rich.console import Console
            from rich.text import Text

            self._spinner.enter_context(undisturbed())
            self._spinner.enter_context(Console(stderr=True).status(Text(f"reading {shown(file)}")))
            click.get_current_context().find_root().call_on_close(self.ready)

    def ready(self) -> None:
        """Remove the spinner: there is something to print."""
        self._spinner.close()

    def check(self) -> None:
        """Before anything is printed: raise the error that ended reading of one of the files, if there is one."""
        self.ready()
        for source in self._sources:
            if source.failure is not None:
                raise source.failure

    def say(self) -> None:
        """Say on stderr what was read."""
        for source in self._sources:
            hits = source.traffic.hits
            click.echo(
                f"{source.name}: {source.traffic}" + (f", {hits:,} more reads from the cache" if hits else ""), err=True
            )


def remotes(context: click.Context | None = None) -> Remotes:
    """Return those of the command that runs."""
    context = context or click.get_current_context(silent=True)
    found = context.find_root().obj if context else None
    return found if isinstance(found, Remotes) else Remotes([])


def verbose_option(command: F) -> F:
    """Add -v, --verbose; before the command's name or behind it."""
    return click.option("-v", "--verbose", is_flag=True, expose_value=False, callback=_verbose,
                        help="Say on stderr what was read over the network.")(command)  # fmt: skip


def _verbose(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    root = context.find_root()
    if wanted and not root.meta.get(__name__):
        root.meta[__name__] = True
        root.call_on_close(lambda: remotes(root).say())
