"""Which device a record of the kernel log is about: the prefix that dev_err(), netdev_err() and the like put in front."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = ["device_of", "devices_of"]

# "cxgb4 0000:02:00.4: text", "cxgb4 0000:02:00.4 eth0: text", "pcieport 0000:00:1c.0: AER: text"
_PCI = re.compile(r"([A-Za-z0-9][\w.+-]*) ([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])(?=[: ])")


def device_of(text: str, dictionary: str | None) -> str | None:
    """Return driver and device name, as ``cxgb4 0000:02:00.4``; None where the record is about none.

    The dictionary (SUBSYSTEM=pci, DEVICE=+pci:0000:02:00.4) says it exactly; then the driver is the word that the text has in
    front of the device's name, and the subsystem where it has none. Without one, a PCI address at the text's start is taken.
    """
    name = _named(dictionary) if dictionary else None
    if name:
        subsystem, device = name
        driver, found, _ = text.partition(f" {device}")
        if found and driver and " " not in driver and len(driver) < 64:
            return f"{driver} {device}"
        return f"{subsystem} {device}"
    match = _PCI.match(text)
    return f"{match[1]} {match[2]}" if match else None


def devices_of(texts: Sequence[str], dictionaries: Mapping[int, str], addresses: Mapping[int, int]) -> list[str | None]:
    """Return the device of each record: of those that have a dictionary, or a PCI address near their start.

    ``addresses`` says after how many characters the address and what follows it end. Equal beginnings are looked at once.
    """
    heads = [texts[i][:end] for i, end in addresses.items()]
    known = {head: device_of(head, None) for head in set(heads)}
    found: list[str | None] = [None] * len(texts)
    for i, head in zip(addresses, heads, strict=True):
        found[i] = known[head]
    for i, about in dictionaries.items():
        found[i] = device_of(texts[i], about)
    return found


def _named(dictionary: str) -> tuple[str, str] | None:
    """Return subsystem and device name where DEVICE has the form +subsystem:name."""
    for line in dictionary.split("\n"):
        if line.startswith("DEVICE=+"):
            subsystem, colon, device = line[8:].partition(":")
            if colon and device:
                return subsystem, device
    return None
