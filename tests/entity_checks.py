"""What every entity decoder must do, and where its answers come from: built payloads, genuine dumps, the vendor's viewer."""

from __future__ import annotations

import lzma
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cudbg_truth import Known, shared

import vmcoredd_lab as vl
from vmcoredd_lab.devices.cxgb4.entities import decoder
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder
from vmcoredd_lab.devices.cxgb4.layout import Layout, Parts
from vmcoredd_lab.frames import to_frame
from vmcoredd_lab.tables import Table

LINUX, UNIFIED_WIRE = (1, 14), (1, 9)
CHIPS, ORDERS = ("T4", "T5", "T6"), ("little", "big")
_DATA = "VMCOREDD_LAB_TEST_DATA"


class Registers:
    """A register dump that holds what a test says."""

    def __init__(self, words: Mapping[int, int]) -> None:
        self._words = words

    def value(self, address: int) -> int | None:
        return self._words.get(address)


@dataclass(frozen=True)
class Payload:
    """An entity's decoded bytes and what surrounds them: the other entities of the dump by name, registers by address."""

    name: str
    data: bytes
    chip: str = "T6"
    order: Any = "little"
    version: tuple[int, int] = LINUX
    others: tuple[tuple[str, bytes], ...] = ()
    registers: tuple[tuple[int, int], ...] | None = None

    @property
    def one(self) -> EntityDecoder:
        found = decoder(self.name)
        assert found is not None, self.name
        return found

    @property
    def context(self) -> Context:
        held = None if self.registers is None else Registers(dict(self.registers))
        return Context(self.chip, self.order, self.version, lambda: held, self._other)  # type: ignore[arg-type,return-value]

    def _other(self, name: str) -> Parts | None:
        data = dict(self.others).get(name)
        return None if data is None else Payload(name, data, self.chip, self.order, self.version).parts

    @property
    def layout(self) -> Layout:
        return self.one.layout(self.context, self.data)

    @property
    def parts(self) -> Parts:
        return self.layout.split(self.data, self.order)

    @property
    def table(self) -> Table:
        return self.one.table(self.parts, self.context)

    @property
    def summary(self) -> str:
        return self.one.summary(self.parts, self.context)


def check_both_ways(payload: Payload) -> None:
    """The parts, and the columns of their members, make the same bytes again."""
    layout, parts = payload.layout, payload.parts
    assert layout.join(parts) == payload.data
    assert layout.join(layout.arrays(layout.tables(parts), payload.order)) == payload.data


def check_one_cell(payload: Payload, part: str, column: str, row: int, *, changed_bit: int) -> None:
    """Bit 0 of one cell of one part's frame is that bit of the payload, and no other."""
    layout = payload.layout
    frames = {name: to_frame(table) for name, table in layout.tables(payload.parts).items()}
    for frame in frames.values():
        frame.attrs.clear()
    frames[part].loc[row, column] = int(frames[part].loc[row, column]) ^ 1
    after = layout.join(layout.arrays(frames, payload.order))
    assert int.from_bytes(payload.data, "little") ^ int.from_bytes(after, "little") == 1 << changed_bit


def check_any_bytes(name: str, sound: bytes, *, version: tuple[int, int] = LINUX) -> None:
    """Cut short, followed by more, or of random bytes: a table comes back, and the bytes go both ways."""
    random = np.random.default_rng(len(sound))
    lengths = sorted({0, 1, 3, 7, 8, 9, 12, *random.integers(0, len(sound) + 1, 12).tolist(), len(sound) - 1})
    cut = [sound[:length] for length in lengths]
    noise = [random.bytes(len(sound)) for _ in range(3)] + [random.bytes(length) for length in lengths[::3]]
    for i, data in enumerate([*cut, *noise, sound + b"tail", b"\xff" * len(sound), bytes(len(sound))]):
        payload = Payload(name, data, CHIPS[i % 3], ORDERS[i % 2], version, (("clk", data), ("path_mtu", data)))
        table = payload.table
        assert isinstance(payload.summary, str)
        assert len(list(table.rows())) == len(table)
        assert len(to_frame(table)) == len(table)
        assert len(table) == 0 or (table.spans is not None and len(table.spans) == len(table))
        assert table.spans is None or not len(table) or int(table.spans.max()) <= len(data)
        check_both_ways(payload)


# -- genuine dumps ----------------------------------------------------------------------------------------------------


@cache
def _genuine() -> list[Known]:
    if not os.environ.get(_DATA):
        return []
    found = sorted((Path(os.environ[_DATA]) / "cudbg").glob("*.truth.json.xz"))
    return [shared(path.name.removesuffix(".truth.json.xz")) for path in found]


def genuine(entity: str, *, answering: bool = True) -> list[Known]:
    """Dumps in which the driver collected an entity; with `answering` not of the adapter off the bus."""
    if not _genuine():
        pytest.skip(f"{_DATA} is not set: no genuine dumps at hand")
    found = [d for d in _genuine() if d.collected(entity.upper()) and not (answering and d.truth["sim_errors"] & 32)]
    assert found, f"no dump has {entity}"
    return found


def rows(dump: Known, entity: str) -> list[dict[str, Any]]:
    return dump.nic.entity_table(entity).records()  # type: ignore[no-any-return]


@cache
def unified_wire(name: str = "uw-t6-fastlz") -> Any:
    """The adapter of a dump that the Unified Wire wrote, with no truth file."""
    known = shared(name)
    return vl.open_device_dump(known.blob).decode()


def check_genuine(entity: str) -> None:
    """Every payload of the entity there is, of Linux and of the Unified Wire, goes both ways byte for byte."""
    dumps = [dump.nic for dump in genuine(entity, answering=False)]
    for nic in [*dumps, unified_wire()]:
        data = nic.entity_bytes(entity)
        payload = Payload(entity, data, nic.chip, nic.container.byteorder, nic.container.version)
        check_both_ways(payload)
        assert payload.parts["rest"].size == 0
        assert payload.summary


@cache
def _views(blob: str) -> dict[str, str]:
    packed = Path(os.environ[_DATA]) / "cudbg" / f"{blob}.view.tar.xz"
    with lzma.open(packed) as plain, tarfile.open(fileobj=plain) as tar:
        names = [
            m.name for m in tar if m.name.endswith(".txt") and "regdump" not in m.name and "dumpcontext" not in m.name
        ]
        return {n.removeprefix(f"{blob}/"): tar.extractfile(n).read().decode() for n in names}  # type: ignore[union-attr]


def viewed(blob: str, entity: str, *, adapted: bool = False) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of an entity and the lines of the vendor's viewer for it, without its first line."""
    nic = unified_wire() if blob.startswith("uw-") else shared(blob).nic
    file = _viewer_file(entity)
    text = _views(blob)[f"adapted/{file}" if adapted else file]
    return nic.entity_table(entity).records(), text.splitlines()[1:]


def _viewer_file(entity: str) -> str:
    return {
        "rss": "22_rss.txt", "rss_vf_conf": "25_rss_vf_config.txt", "pm_stats": "30_pmstats.txt", "hw_sched": "31_hwsched.txt",
        "ulprx_la": "41_ulprxla.txt", "tp_la": "43_tpla.txt", "clk": "46_clk.txt", "tid_info": "54_tidinfo.txt",
        "pcie_config": "55_pcieconfig.txt", "vpd_data": "58_vpddata.txt", "cctrl": "60_cctrl.txt", "ulptx_la": "62_ulptxla.txt",
    }[entity]  # fmt: skip
