"""Which decoder understands a dump. A decoder is a class under the entry point group ``vmcoredd_lab.devices``."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from vmcoredd_lab.errors import NotInFileError, UsageError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import Buffer
from vmcoredd_lab.text import escape

if TYPE_CHECKING:
    from vmcoredd_lab.devices.dump import DeviceDump

__all__ = ["OPTIONAL", "Decoder", "decoder_for", "leading", "offered", "register", "sniff"]

GROUP = "vmcoredd_lab.devices"
REQUIRED = ("driver", "recognises", "payload_size", "summary", "check")


# Methods that a decoder has where its device has the like, and what is missing where it has not. A table's schema is the
# decoder's own, with these columns at least; others that cxgb4's table of that name has are shown where they are there.
OPTIONAL = {
    "identity": "identity",  # () -> dict[str, str]: what tells this device from others of its kind
    "entities_table": "entities",  # () -> Table of the parts of the dump: number, name, summary
    "entity_table": "entities",  # (name or number) -> Table: one part decoded
    "entity_bytes": "entities",  # (name or number) -> bytes: one part as the driver collected it
    "registers_table": "registers",  # () -> Table: register, address, value
    "register_table": "registers",  # (name) -> Table of the fields of one register: field, lsb, width, value
    "counters_table": "counters",  # () -> Table: register, address, value
    "interrupt_causes_table": "interrupt causes",  # () -> Table as cxgb4's
    "comparison_rules": "comparison rules",  # classmethod (chip) -> ComparisonRules: what may differ between two dumps
    "firmware_log_table": "firmware log",  # () -> Table as cxgb4's: seqno, timestamp, level, facility, message
    "rules": "rules",  # () -> Sequence[vmcoredd_lab.rules.Rule]: what can be wrong; each is evaluated over the decoder
}


class Decoder(Protocol):
    """What a driver's package offers; registered as ``driver = "package.module:Class"``.

    The class is called with the :class:`~vmcoredd_lab.devices.DeviceDump`; nothing of the dump is read before it is
    asked for. What is below every decoder has; what else there is depends on the device (:data:`OPTIONAL`).
    """

    driver: ClassVar[str]
    problems: Problems

    def __init__(self, dump: DeviceDump) -> None: ...

    @classmethod
    def recognises(cls, head: bytes) -> bool:
        """Return True where the first 64 bytes of a dump are of this driver's format."""

    @classmethod
    def payload_size(cls, data: Buffer) -> int | None:
        """Return how many bytes the driver wrote, where the format says so and the bytes bear it out."""

    def summary(self) -> str:
        """Return one line about the device: chip, firmware, what failed."""

    def check(self) -> None:
        """Read the dump whole and add what is wrong to ``problems``."""


@cache
def _decoders() -> dict[str, type[Decoder]]:
    from vmcoredd_lab.devices.cxgb4 import Cxgb4

    return {Cxgb4.driver: Cxgb4}


@cache
def _from_entry_points() -> dict[str, type[Decoder]]:
    from importlib.metadata import entry_points  # 30 ms that most commands need not pay

    found: dict[str, Any] = {}
    for point in entry_points(group=GROUP):
        if point.name in _decoders():
            continue
        try:
            found[point.name] = point.load()
        except Exception as error:  # someone else's decoder; what it breaks is its own dumps, not the vmcore
            warnings.warn(
                f"the decoder {point.name} ({point.value}) cannot be loaded: {error}", RuntimeWarning, stacklevel=2
            )
    return found


def register(decoder: type[Decoder]) -> type[Decoder]:
    """Make a decoder known to this process, as an entry point makes it known to all; for notebooks. Also a class decorator.

    It takes the place of one of the same driver that was registered so. Dumps that were looked at before keep what they have.

    Raises
    ------
    UsageError: it is not a decoder, or of a driver that has one in the package.
    """
    missing = [name for name in REQUIRED if not hasattr(decoder, name)]
    driver = getattr(decoder, "driver", "")
    if missing or not driver or driver in _decoders():
        raise UsageError(
            "this cannot be registered as a decoder", expected=f"a class with {', '.join(REQUIRED)}, of a driver of its own",
            got=f"without {', '.join(missing)}" if missing else f"driver {escape(str(driver))!r}", hint="docs/new-decoder.md",
        )  # fmt: skip
    _from_entry_points()[driver] = decoder
    return decoder


def decoder_for(driver: str | None) -> type[Decoder] | None:
    """Return the decoder registered for a driver's name, or None."""
    if driver is None:
        return None
    return _decoders().get(driver) or _from_entry_points().get(driver)


def sniff(head: bytes) -> type[Decoder] | None:
    """Return the decoder that recognises the first bytes of a dump, or None."""
    for decoder in (*_decoders().values(),):
        if decoder.recognises(head):
            return decoder
    for decoder in _from_entry_points().values():
        if decoder.recognises(head):
            return decoder
    return None


def leading(head: bytes) -> int:
    """Return how many bytes stand before a dump in a bare file that begins so; 0 where no decoder knows of any.

    A decoder knows where it has a class method ``leading`` of the same form.
    """
    for decoder in (*_decoders().values(), *_from_entry_points().values()):
        known = getattr(decoder, "leading", None)
        if known is not None and (size := int(known(head))):
            return size
    return 0


def offered(decoder: Decoder, method: str) -> Callable[..., Any]:
    """Return one of the methods in :data:`OPTIONAL` of a decoder.

    Raises
    ------
    NotInFileError: the decoder does not have it.
    """
    found: Callable[..., Any] | None = getattr(decoder, method, None)
    if found is None:
        raise NotInFileError(f"the decoder of {decoder.driver} offers no {OPTIONAL[method]}")
    return found


def names() -> list[str]:
    """Return the drivers that can be decoded."""
    return sorted({*_decoders(), *_from_entry_points()})
