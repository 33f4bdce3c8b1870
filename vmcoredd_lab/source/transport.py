"""What a way of reading a remote object offers, and how it says what went wrong."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from vmcoredd_lab.errors import OpenError

__all__ = ["ChangedError", "Identity", "InterruptedReadError", "Transport", "differs"]


class InterruptedReadError(Exception):
    """A request failed in a way that another try may mend. ``wait``: seconds that the server asked for."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait


class ChangedError(Exception):
    """The object is not the one that was opened."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(expected, got)
        self.expected = expected
        self.got = got


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one content of an object from another: its size, and what the server says of its version."""

    size: int
    marks: dict[str, str] = field(default_factory=dict)  # ETag, Last-Modified, generation, ...


def differs(opened: Identity, now: Identity) -> ChangedError | None:
    """Return the error where ``now`` is another content than ``opened``; marks that only one of them has say nothing."""
    if opened.size != now.size:
        return ChangedError(f"{opened.size:,} bytes", f"{now.size:,} bytes")
    for name, value in opened.marks.items():
        if now.marks.get(name, value) != value:
            return ChangedError(f"{name} {value}", now.marks[name])
    return None


class Transport(ABC):
    """One remote object.

    Methods raise :class:`InterruptedReadError` where another try may help, :class:`ChangedError` where the object is
    another than the one that was opened, and :class:`~vmcoredd_lab.errors.OpenError` where neither holds.
    """

    name: str  # the URL as it may be shown
    identity: Identity
    head: bytes = b""  # what came with opening: the first bytes, or all of them
    tries = 6  # of one request, before it counts as failed

    @abstractmethod
    def open(self) -> None:
        """Set ``identity`` and ``head``. One request."""

    @abstractmethod
    def fetch(self, start: int, stop: int, into: bytearray) -> None:
        """Append bytes [start, stop), or the first of them, to ``into``; what came before an error stays there."""

    def check(self) -> bool:
        """Compare the object with the one that was opened; return whether that took a request."""
        return False

    def close(self) -> None:  # noqa: B027  nothing to release by default
        """Release the connection."""

    def refused(
        self, message: str, expected: str | None = None, got: str | None = None, hint: str | None = None
    ) -> OpenError:
        """Return an error with the object's name."""
        return OpenError(message, path=self.name, expected=expected, got=got, hint=hint)
