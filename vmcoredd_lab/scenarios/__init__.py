"""Vmcores that tell a story: what kernel log, firmware log, registers and contexts say agrees in time and content.

>>> from vmcoredd_lab.scenarios import scenario
>>> image = scenario("firmware-crash", seed=1, chip="T6", adapters=2)
>>> vl.open_vmcore(image.open()).findings()

The scenarios are described one by one in docs/scenarios.md. The same arguments give the same bytes.
"""

from __future__ import annotations

from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.scenarios.story import Story, VmcoreStory
from vmcoredd_lab.scenarios.tales import TALES, Tale
from vmcoredd_lab.text import escape
from vmcoredd_lab.writer import VmcoreImage

__all__ = ["TALES", "Tale", "device_dump", "names", "scenario"]

MOST_ADAPTERS = 16
DEFAULT_SIZE = 64 << 20


def names() -> list[str]:
    """Return the names of the scenarios."""
    return list(TALES)


def scenario(
    name: str,
    *,
    seed: int = 0,
    chip: str = "T6",
    adapters: int = 1,
    size: int = DEFAULT_SIZE,
    compression: str = "zlib",
) -> VmcoreImage:
    """Return the vmcore of a scenario, to be opened (``image.open()``), changed, or written with ``vl.write_vmcore``.

    Parameters
    ----------
    name: one of :func:`names`
    seed: what varies with it: times, counters, addresses, the everyday messages; not what happens
    chip: ``T4``, ``T5`` or ``T6``, of all adapters
    adapters: how many there are, up to 16; what happens befalls the first
    size: bytes of the machine's memory; all but 2 MiB of it is zero and takes no room
    compression: of the device dumps: ``zlib`` or ``none``

    Raises
    ------
    UsageError: no such scenario or chip, or numbers that are not possible.
    """
    return _told(name, seed, chip, adapters, attached=False).image(size=size, compression=compression)


def device_dump(
    name: str, *, seed: int = 0, chip: str = "T6", adapters: int = 1, adapter: int = 0, compression: str = "zlib"
) -> bytes:
    """Return what ``ethtool -w`` would have written of an adapter at the end of a scenario, just before the crash.

    Other than the dump in a vmcore it is made by a driver that talks to the firmware: the mailbox log is there, the rings of
    its queues, the core clock and the TID ranges. Parameters are those of :func:`scenario`; ``adapter`` counts from 0.

    Raises
    ------
    UsageError: as :func:`scenario`, or there is no such adapter.
    """
    if not 0 <= adapter < adapters:
        raise UsageError("no such adapter", expected=f"0 to {adapters - 1}", got=str(adapter))
    return _told(name, seed, chip, adapters, attached=True).device_dump(adapter, compression=compression)


def _told(name: str, seed: int, chip: str, adapters: int, *, attached: bool) -> VmcoreStory:
    if name not in TALES:
        raise UsageError(f"no scenario is named {escape(name)}", expected=", ".join(TALES))
    if not 1 <= adapters <= MOST_ADAPTERS:
        raise UsageError("a machine has 1 to 16 adapters", got=str(adapters))
    return TALES[name].tell(Story(seed=seed, chip=chip, adapter_count=adapters, attached=attached))
