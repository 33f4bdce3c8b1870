"""Work that may take long tells how far it is. The program decides who shows it; by default nobody does.

The rooms that read files know nothing of terminals: they say ``with progress("unpacking", total) as advance:`` and call
``advance(bytes_done)``. The command line shows a bar for it (:mod:`vmcoredd_lab.cli.progress`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

__all__ = ["Advance", "Shower", "progress", "show_with", "shown_with", "undisturbed"]

Advance = Callable[[int], object]
Shower = Callable[[str, int], AbstractContextManager[Advance]]

_shower: list[Shower] = []  # the one that shows, or none
_busy: list[str] = []  # what is shown now: there is room for one


def show_with(shower: Shower | None) -> None:
    """Choose what shows progress from now on: a function of text and total that gives a context; None: nobody."""
    _shower[:] = [shower] if shower else []


@contextmanager
def shown_with(shower: Shower) -> Iterator[None]:
    """Show progress with a function meanwhile, unless another shows it already."""
    if _shower:
        yield
        return
    show_with(shower)
    try:
        yield
    finally:
        if _shower == [shower]:
            show_with(None)


@contextmanager
def progress(text: str, total: int) -> Iterator[Advance]:
    """Give a function that takes how much more was done; silent where nobody shows, and inside other shown work."""
    if not _shower or _busy:
        yield _nothing
        return
    with undisturbed(text), _shower[0](text, total) as advance:
        yield advance


@contextmanager
def undisturbed(text: str = "") -> Iterator[None]:
    """Keep other work from showing its progress meanwhile."""
    _busy.append(text)
    try:
        yield
    finally:
        _busy.remove(text)


def _nothing(_: int) -> None:
    return
