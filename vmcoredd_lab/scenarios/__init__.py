"""Vmcores that tell a story: what kernel log, firmware log, registers and contexts say agrees in time and content.

>>> from vmcoredd_lab.scenarios import scenario
>>> image = scenario("firmware-crash", seed=1, chip="T6", adapters=2)
>>> vl.open_vmcore(image.open()).findings()["rule"].iloc[0]
'FW-01'

The scenarios are described one by one in docs/scenarios.md. The same arguments give the same bytes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from vmcoredd_lab.errors import OutputError, UsageError
from vmcoredd_lab.scenarios.damage import NONE, Damage
from vmcoredd_lab.scenarios.story import Story, VmcoreStory
from vmcoredd_lab.scenarios.tales import TALES, Tale
from vmcoredd_lab.text import escape
from vmcoredd_lab.writer import VmcoreImage, write_vmcore

__all__ = ["FORMATS", "TALES", "Damage", "Tale", "device_dump", "names", "scenario", "write_scenario"]

DEVICE_DUMP = "device-dump"
FORMATS = ("elf", "kdump", "flattened-elf", "flattened-kdump", DEVICE_DUMP)

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
    collection: str = "zlib",
    damage: Damage = NONE,
) -> VmcoreImage:
    """Return the vmcore of a scenario, to be opened (``image.open()``), changed, or written with ``vl.write_vmcore``.

    Parameters
    ----------
    name: one of :func:`names`
    seed: what varies with it: times, counters, addresses, the everyday messages; not what happens
    chip: ``T4``, ``T5`` or ``T6``, of all adapters
    adapters: how many there are, up to 16; what happens befalls the first
    size: bytes of the machine's memory; all but 2 MiB of it is zero and takes no room
    collection: how the driver stores what it collects: ``zlib``, or ``none``
    damage: what else is wrong; cut and flips are for files (:func:`write_scenario`)

    Raises
    ------
    UsageError: no such scenario or chip, or numbers that are not possible.
    """
    told = _told(name, seed, chip, adapters, damage, attached=False)
    return told.image(size=size, compression=_collection(collection))


def device_dump(
    name: str,
    *,
    seed: int = 0,
    chip: str = "T6",
    adapters: int = 1,
    adapter: int = 0,
    collection: str = "zlib",
    damage: Damage = NONE,
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
    told = _told(name, seed, chip, adapters, damage, attached=True)
    return told.device_dump(adapter, compression=_collection(collection))


def write_scenario(
    name: str,
    path: str | Path,
    *,
    format: str = "elf",
    compression: str | None = None,
    damage: Damage = NONE,
    seed: int = 0,
    **options: Any,
) -> None:
    """Write a scenario to a file, which gets its name when it is whole, damage included.

    Parameters
    ----------
    format: ``elf``, ``kdump``, ``flattened-elf``, ``flattened-kdump``; or ``device-dump``: what ``ethtool -w`` writes of one
        adapter, without a vmcore around it (:func:`device_dump`)
    compression: of kdump pages, as :func:`~vmcoredd_lab.writer.write_vmcore` takes it
    options: of :func:`scenario` or :func:`device_dump`

    Raises
    ------
    UsageError: the arguments are not possible.
    OutputError: the file system refused.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if format == DEVICE_DUMP:
            if compression is not None:
                raise UsageError("a device dump has no pages to compress", got=f"compression {compression}")
            options.pop("size", None)
            part.write_bytes(device_dump(name, seed=seed, damage=damage, **options))
        else:
            image = scenario(name, seed=seed, damage=damage, **options)
            write_vmcore(image, part, format=format, compression=compression)
        damage.spoil_file(part, seed)
        part.replace(target)
    except OSError as error:
        raise OutputError("the file cannot be written", path=str(path), got=error.strerror) from None
    finally:
        part.unlink(missing_ok=True)


def _collection(wanted: str) -> str:
    if wanted not in ("zlib", "none"):
        raise UsageError("the driver does not store dumps so", expected="zlib or none", got=escape(wanted))
    return wanted


def _told(name: str, seed: int, chip: str, adapters: int, damage: Damage, *, attached: bool) -> VmcoreStory:
    if name not in TALES:
        raise UsageError(f"no scenario is named {escape(name)}", expected=", ".join(TALES))
    if not 1 <= adapters <= MOST_ADAPTERS:
        raise UsageError("a machine has 1 to 16 adapters", got=str(adapters))
    told = TALES[name].tell(Story(seed=seed, chip=chip, adapter_count=adapters, attached=attached))
    damage.spoil(told.story)
    return told
