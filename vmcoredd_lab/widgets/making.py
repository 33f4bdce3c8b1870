"""Tables that take long are made in a thread, so that the kernel answers meanwhile; how far they are is told."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from vmcoredd_lab import progress

__all__ = ["Making", "Work"]

Work = tuple[str, Callable[[], object]]  # its name, and what is called
EVERY = 0.2  # seconds between what is told


class Making:
    """What is being made, by name; who asks for the same again waits for the same."""

    def __init__(self) -> None:
        self._under_way: dict[str, asyncio.Future[Any]] = {}
        self._text, self._done, self._total = "", 0, 0

    def begin(self, name: str, make: Callable[[], object]) -> asyncio.Future[Any]:
        """Begin in a thread unless it has begun; return what can be waited for."""
        if name not in self._under_way:
            context = contextvars.copy_context()
            future = asyncio.get_running_loop().run_in_executor(None, context.run, self._make, make)
            future.add_done_callback(lambda _: self._under_way.pop(name, None))
            self._under_way[name] = future
        return self._under_way[name]

    async def told(self, name: str, make: Callable[[], object]) -> AsyncIterator[dict[str, Any]]:
        """Yield how far it is until it is made; the last with ``done`` true. Raises what ``make`` raises."""
        future = self.begin(name, make)
        while not (await asyncio.wait({future}, timeout=EVERY))[0]:
            part = self._done / self._total if self._total else None
            yield {"done": False, "said": self._text, "part": None if part is None else min(1.0, part)}
        await future
        yield {"done": True}

    def _make(self, make: Callable[[], object]) -> None:
        with progress.shown_with(self._shown):
            make()

    @contextlib.contextmanager
    def _shown(self, text: str, total: int) -> Iterator[progress.Advance]:
        self._text, self._done, self._total = text, 0, total

        def advance(more: int) -> None:
            self._done += more

        try:
            yield advance
        finally:
            self._text, self._done, self._total = "", 0, 0
