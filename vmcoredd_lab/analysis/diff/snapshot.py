"""What a comparison needs of one device: taken from a decoded dump when it is asked for, or from a saved baseline."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from vmcoredd_lab.devices import registry
from vmcoredd_lab.devices.comparison import ComparisonRules, View
from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.tables import Table

__all__ = ["BLOCK", "Blocks", "DecodedSnapshot", "Snapshot", "rules_for"]

BLOCK = 4096  # bytes that are compared by one digest
PLACEHOLDER_PS = 20000  # CLK.cclk_ps where the driver did not know the clock yet


@dataclass(frozen=True)
class Blocks:
    """An entity's bytes as digests of blocks of :data:`BLOCK` bytes."""

    size: int
    digests: tuple[str, ...]


class Snapshot(Protocol):
    """One side of a comparison: label (the dump's name and the file's), driver, chip, device (PCI address), identity.

    What is not there is None; ``missing`` says why.
    """

    label: str
    driver: str
    chip: str
    device: str | None
    missing: dict[str, str]

    @property
    def identity(self) -> dict[str, str]:
        """What tells the device from others of its kind."""

    def statuses(self) -> Table | None:
        """Return what was attempted: number, name, and status, sys_err, sys_warn."""

    def registers(self) -> Table | None:
        """Return the registers."""

    def log(self) -> Table | None:
        """Return the firmware log."""

    def view(self, view: View) -> Table | None:
        """Return the table of a view."""

    def blocks(self, entity: str) -> Blocks | None:
        """Return digests of an entity's decoded bytes."""


def rules_for(driver: str, chip: str) -> ComparisonRules:
    """Return the rules of comparison that the driver's decoder has for a chip."""
    decoder: Any = registry.decoder_for(driver)
    if hasattr(decoder, "comparison_rules"):
        rules: ComparisonRules = decoder.comparison_rules(chip)
        return rules
    return ComparisonRules()


class DecodedSnapshot:
    """A decoded dump; every table is made when it is asked for."""

    def __init__(self, nic: Any) -> None:
        self.nic = nic
        dump = nic.dump
        self.label = f"{dump.name} in {dump.source.name}" if not dump.bare else str(dump.source.name)
        self.driver, self.device = str(nic.driver), dump.device
        self.chip = str(getattr(nic, "chip", ""))
        self.missing: dict[str, str] = {}
        self.rules = rules_for(self.driver, self.chip)

    @cached_property
    def identity(self) -> dict[str, str]:
        """What tells this device from others; empty where the decoder does not say."""
        return dict(self.nic.identity()) if hasattr(self.nic, "identity") else {}

    def statuses(self) -> Table | None:
        """Return the entities that were attempted; None where the decoder has none."""
        return self.rules.statuses(self.nic) if hasattr(self.nic, "entities_table") else None

    def registers(self) -> Table | None:
        """Return the registers."""
        return self._table("registers", "registers_table")

    def log(self) -> Table | None:
        """Return the firmware log."""
        return self._table("firmware log", "firmware_log_table")

    def view(self, view: View) -> Table | None:
        """Return the table of a view."""
        try:
            return self.rules.table(self.nic, view)
        except VmcoreddLabError as error:
            self.missing[view.name] = error.message
            return None

    def bytes_of(self, entity: str) -> bytes | memoryview | None:
        """Return an entity's decoded bytes."""
        try:
            data: bytes | memoryview = self.nic.entity_bytes(entity)
        except VmcoreddLabError as error:
            self.missing[entity] = error.message
            return None
        return data

    def blocks(self, entity: str) -> Blocks | None:
        """Return digests of an entity's decoded bytes."""
        found = self.bytes_of(entity)
        if found is None:
            return None
        data = memoryview(found)
        return Blocks(len(data), tuple(_digests(data)))

    def _table(self, what: str, method: str) -> Table | None:
        offered = getattr(self.nic, method, None)
        if offered is None:
            return None
        try:
            table: Table = offered()
        except VmcoreddLabError as error:
            self.missing[what] = error.message
            return None
        return table


def _digests(data: memoryview) -> Iterator[str]:
    for at in range(0, len(data), BLOCK):
        yield hashlib.blake2b(data[at : at + BLOCK], digest_size=8).hexdigest()
