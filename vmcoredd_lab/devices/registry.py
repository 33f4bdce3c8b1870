"""Which decoder understands a dump. A decoder is a class under the entry point group ``vmcoredd_lab.devices``."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import Buffer

if TYPE_CHECKING:
    from vmcoredd_lab.devices.dump import DeviceDump

__all__ = ["Decoder", "decoder_for", "sniff"]

GROUP = "vmcoredd_lab.devices"


class Decoder(Protocol):
    """What a driver's package offers; registered as ``driver = "package.module:Class"``.

    The class is called with the :class:`~vmcoredd_lab.devices.DeviceDump`; nothing of the dump is read before it is
    asked for.
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
        if point.name not in _decoders():
            found[point.name] = point.load()
    return found


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


def names() -> list[str]:
    """Return the drivers that can be decoded."""
    return sorted({*_decoders(), *_from_entry_points()})
