"""Genuine dumps with what they must decode to: small ones beside the tests, large ones in the shared data.

The truth files were written by the simulation that fed the driver's collection code, not by reading the dumps.
"""

from __future__ import annotations

import json
import lzma
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

import vmcoredd_lab as vl

HERE = Path(__file__).parent / "data"
SAMPLE_DUMP = Path(__file__).parent.parent / "sample_data" / "ethtool-t6-sge-parity.dump"
_DATA = "VMCOREDD_LAB_TEST_DATA"
_CUDBG = Path(os.environ.get(_DATA, "")) / "cudbg"


@dataclass(frozen=True)
class Known:
    """A dump and what is known of it."""

    name: str
    directory: Path

    @cached_property
    def blob(self) -> bytes:
        plain = self.directory / f"{self.name}.bin"
        return plain.read_bytes() if plain.exists() else lzma.decompress(plain.with_suffix(".bin.xz").read_bytes())

    @cached_property
    def truth(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            lzma.decompress((self.directory / f"{self.name}.truth.json.xz").read_bytes())
        )
        return found

    @property
    def model(self) -> dict[str, Any]:
        model: dict[str, Any] = self.truth["model"]
        return model

    def collected(self, entity: str) -> bool:
        """Whether the driver's collection of an entity succeeded."""
        return any(e["name"] == entity and e["hdr_flags"] == 0 and e["size"] for e in self.truth["entities"])

    @cached_property
    def nic(self) -> Any:
        return vl.open_device_dump(self.blob).decode()


def names() -> list[Any]:
    """Parameters for every dump with a truth file; one that is skipped where the shared data is not at hand."""
    if not os.environ.get(_DATA):
        return [pytest.param("", marks=pytest.mark.skip(f"{_DATA} is not set: no genuine dumps at hand"), id="none")]
    return sorted(path.name.removesuffix(".truth.json.xz") for path in _CUDBG.glob("*.truth.json.xz"))


def shared(name: str) -> Known:
    """A dump of the shared data by name; skips where it is not there."""
    if not os.environ.get(_DATA):
        pytest.skip(f"{_DATA} is not set: no genuine dumps at hand")
    if not any(_CUDBG.glob(f"{name}.bin*")):
        pytest.skip(f"{name} is not in {_DATA}")
    return Known(name, _CUDBG)
