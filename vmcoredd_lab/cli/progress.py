"""A bar on a terminal for work that turns out to take longer than a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from vmcoredd_lab.progress import Advance

__all__ = ["giving_way", "late_bar"]

PATIENCE = 1.0  # seconds without a bar


class _Spinner(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...


_spinners: list[_Spinner] = []


@contextmanager
def late_bar(text: str, total: int, clock: Callable[[], float] = time.monotonic) -> Iterator[Advance]:
    """Give a function that takes bytes done; a bar on a terminal as soon as a second has gone, silent elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    done, shown, start = 0, None, clock()
    with ExitStack() as stack:

        def advance(size: int) -> None:
            nonlocal done, shown
            done += size
            if shown is None and clock() - start >= PATIENCE:
                shown = stack.enter_context(_bar(text, total))
            if shown is not None:
                shown(min(done, total))

        yield advance


@contextmanager
def giving_way(spinner: _Spinner) -> Iterator[None]:
    """Stop a spinner while a bar is shown, which says more; a terminal has room for one."""
    _spinners.append(spinner)
    try:
        yield
    finally:
        _spinners.remove(spinner)


@contextmanager
def _bar(text: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn(text, markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    for spinner in _spinners:
        spinner.stop()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=total)
        yield lambda done: bar.update(task, completed=done)
    for spinner in _spinners:
        spinner.start()
