"""Which device a record of the kernel log is about: the prefix that dev_err(), netdev_err() and the like put in front."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from vmcoredd_lab.tables import Codes

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


def devices_of(texts: Sequence[str], dictionaries: Mapping[int, str], addresses: Mapping[int, int]) -> Codes:
    """Return the device of each record: of those that have a dictionary, or a PCI address near their start.

    ``addresses`` says after how many characters the address and what follows it end. Equal beginnings are looked at once.
    """
    heads = [texts[i][:end] for i, end in addresses.items()]
    names: dict[str | None, int] = {None: -1}
    known = {head: names.setdefault(device_of(head, None), len(names) - 1) for head in set(heads)}
    codes = np.full(len(texts), -1, np.int32)
    codes[list(addresses)] = [known[head] for head in heads]
    for i, about in dictionaries.items():
        codes[i] = names.setdefault(device_of(texts[i], about), len(names) - 1)
    return Codes(codes, [name for name in names if name is not None])


def _named(dictionary: str) -> tuple[str, str] | None:
    """Return subsystem and device name where DEVICE has the form +subsystem:name."""
    for line in dictionary.split("\n"):
        if line.startswith("DEVICE=+"):
            subsystem, colon, device = line[8:].partition(":")
            if colon and device:
                return subsystem, device
    return None
