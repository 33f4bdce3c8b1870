"""Requests from the page: each has an id, an ``op`` and its arguments; each is answered with the same id, errors too.

Addresses travel as hexadecimal text, since JavaScript's numbers end at 2**53; bytes travel as binary buffers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from vmcoredd_lab.errors import UsageError, VmcoreddLabError
from vmcoredd_lab.text import escape

__all__ = ["Answer", "Requests", "address_of"]

Answer = tuple[dict[str, Any], list[bytes]]
Operation = Callable[[dict[str, Any]], Answer]
REFUSED = (VmcoreddLabError, ValueError, TypeError, ArithmeticError, LookupError, OSError)  # what is told to the page
LONGEST = 1 << 16  # characters of an argument


def address_of(text: Any) -> int:
    """Return the address that a message carries as hexadecimal text.

    Raises
    ------
    UsageError: it is none of 64 bits.
    """
    try:
        value = int(str(text), 16)
    except ValueError:
        value = -1
    if not 0 <= value <= 1 << 64:
        raise UsageError(f"no address: {escape(str(text)[:40])}", expected="hexadecimal digits up to 2**64")
    return value


class Requests:
    """Answers requests with the operations that a widget offers; long ones run as tasks that can be cancelled."""

    def __init__(self, send: Callable[[dict[str, Any], list[bytes]], None]) -> None:
        self._send = send
        self._operations: dict[str, Operation] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._long: dict[str, Callable[[dict[str, Any]], Any]] = {}

    def offer(self, name: str, operation: Operation) -> None:
        """Add an operation that answers at once."""
        self._operations[name] = operation

    def offer_long(self, name: str, operation: Callable[[dict[str, Any]], Any]) -> None:
        """Add one that is an asynchronous generator of answers: progress, and last the result with ``done`` true."""
        self._long[name] = operation

    def received(self, message: Any) -> None:
        """Answer one message of the page."""
        if not isinstance(message, dict) or not isinstance(message.get("op"), str):
            return
        name, number = message["op"], message.get("id")
        if name == "cancel":
            task = self._tasks.pop(str(message.get("which")), None)
            if task is not None:
                task.cancel()
            return
        if name in self._long:
            self._begin(name, message)
            return
        operation = self._operations.get(name)
        if operation is None:
            self._fail(number, UsageError(f"no operation {name[:40]}"))
            return
        try:
            said, buffers = operation(message)
        except REFUSED as error:
            self._fail(number, error)
            return
        self._send({"id": number, "ok": True, **said}, buffers)

    def _fail(self, number: Any, error: Exception) -> None:
        text = f"the request lacks {error}" if isinstance(error, KeyError) else str(error)
        self._send({"id": number, "ok": False, "error": escape(text[:1000])}, [])

    def _begin(self, name: str, message: dict[str, Any]) -> None:
        number = message.get("id")

        async def run() -> None:
            try:
                async with contextlib.aclosing(self._long[name](message)) as answers:
                    async for said in answers:
                        self._send({"id": number, "ok": True, **said}, [])
                        await asyncio.sleep(0)
            except REFUSED as error:
                self._fail(number, error)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.pop(str(number), None)
            if task.cancelled():  # maybe before it began
                self._send({"id": number, "ok": False, "error": "cancelled", "cancelled": True}, [])

        try:
            task = asyncio.get_running_loop().create_task(run())
        except RuntimeError:  # no loop runs: a script; then it is done at once
            asyncio.run(run())
            return
        self._tasks[str(number)] = task
        task.add_done_callback(ended)

    def stop(self) -> None:
        """Cancel whatever still runs."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()
