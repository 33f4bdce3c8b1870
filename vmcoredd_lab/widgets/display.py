"""How a widget is shown: itself, and behind it a first screen for where no kernel runs, as a notebook turned into HTML."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.widgets import first
from vmcoredd_lab.widgets.making import Making, Work

__all__ = ["Displayed"]

SOON = 0.5  # seconds after the widget that its first screen follows


class Displayed:
    """A widget that is shown with a first screen, which it hides where it runs (found by ``mark``)."""

    mark: Any
    _making: Making
    _screen: Any = None  # IPython's handle of the first screen, once it is shown
    _behind: asyncio.Task[None] | None = None

    def plain(self) -> str:
        """Return the first screen as text; its first line is a title."""
        raise NotImplementedError

    def first_screen(self) -> str:
        """Return the first screen as HTML."""
        title, _, shown = self.plain().partition("\n")
        return first.block(self.mark, title, first.text(shown))

    def _pending(self) -> Work | None:
        """Return what the first screen lacks because it takes long."""
        return None

    def _ipython_display_(self) -> None:
        """Show the widget and its first screen, which follows where somebody waits for the widget and the page renews it."""
        from IPython.display import display

        attended, work = first.attended(), self._pending()
        loop = _loop() if attended and first.renewed() else None
        if work is not None and not attended:
            with contextlib.suppress(VmcoreddLabError, OSError):
                work[1]()
        bundle: Any = self._repr_mimebundle_()  # type: ignore[attr-defined]
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        plain = self.plain()
        show: Any = display
        show({**data, "text/html": first.NOTHING, "text/plain": plain}, metadata=metadata, raw=True)
        screen = self.first_screen() if loop is None else first.block(self.mark, "")
        self._screen = show({"text/html": screen, "text/plain": plain}, raw=True, display_id=True)
        if loop is not None:
            self._behind = loop.create_task(self._follow())

    async def _follow(self) -> None:
        """Show the first screen in its place, and once more when what it lacked is made."""
        await asyncio.sleep(SOON)
        self._renew()
        work = self._pending()
        if work is not None:
            with contextlib.suppress(VmcoreddLabError, OSError):  # the page is told when it asks
                await self._making.begin(*work)
                self._renew()

    def _renew(self) -> None:
        self._screen.update({"text/html": self.first_screen(), "text/plain": self.plain()}, raw=True)


def _loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs; None in a script."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
