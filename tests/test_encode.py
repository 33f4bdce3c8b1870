"""An entity's columns become its bytes again, and a changed cell changes its own bits and no others."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

import vmcoredd_lab as vl
from vmcoredd_lab.devices.cxgb4 import encode_entity
from vmcoredd_lab.errors import VmcoreddLabError

SAMPLE = Path(__file__).parents[1] / "sample_data" / "ethtool-t6-sge-parity.dump"
IMAGES = ("edc0", "edc1", "mc0", "mc1", "hma", "qdesc")  # megabytes: joined from views, not through columns


def adapter(path: Path):
    data = path.read_bytes()
    return vl.open_device_dump(lzma.decompress(data) if path.suffix == ".xz" else data).decode()


def check_every_entity(nic) -> int:
    checked = 0
    for entity in nic.container.entities.values():
        if not entity.available:
            continue
        raw = nic.entity_bytes(entity.number)
        if entity.name in IMAGES:
            layout, parts = nic.layout(entity.number)
            assert layout.join(parts) == raw, entity.name
        else:
            records = nic.records(entity.number)
            for frame in records.values():
                frame.attrs.clear()
            again = encode_entity(entity.name, records, **nic.encoding)
            assert again == raw, entity.name
        checked += 1
    return checked


def test_every_entity_of_the_sample_is_encoded_back():
    assert check_every_entity(adapter(SAMPLE)) == 50


def genuine(folder: Path) -> list[Path]:
    return sorted([*folder.glob("cudbg/*.bin"), *folder.glob("cudbg/*.bin.xz")])


def test_every_entity_of_every_genuine_dump_is_encoded_back(shared_data):
    checked = {path.name: check_every_entity(adapter(path)) for path in genuine(shared_data)}
    assert len(checked) >= 16
    assert all(checked.values())


def test_a_changed_cell_changes_its_own_bits_and_no_others():
    nic = adapter(SAMPLE)
    raw = nic.entity_bytes("vpd_data")
    records = nic.records("vpd_data")
    frame = records["vpd"]
    frame.attrs.clear()
    frame.loc[0, "fw_minor"] ^= 0x4000
    again = encode_entity("vpd_data", records, **nic.encoding)
    differing = [i for i, (a, b) in enumerate(zip(raw, again, strict=True)) if a != b]
    assert [raw[i] ^ again[i] for i in differing] == [0x40]
    assert differing == [75]  # the high byte of fw_minor, at 74 of struct cudbg_vpd_data


def test_rows_may_be_left_out():
    nic = adapter(SAMPLE)
    records = nic.records("path_mtu")
    records["mtus"] = records["mtus"].head(4)
    assert encode_entity("path_mtu", records, **nic.encoding) == nic.entity_bytes("path_mtu")[:8]


def test_the_other_byte_order_swaps_words():
    nic = adapter(SAMPLE)
    records = nic.records("path_mtu")
    swapped = encode_entity("path_mtu", records, chip="T6", byteorder="big")
    raw = nic.entity_bytes("path_mtu")
    assert swapped[0::2] == raw[1::2]
    assert swapped[1::2] == raw[0::2]


def test_records_of_another_entity_are_refused():
    nic = adapter(SAMPLE)
    with pytest.raises(vl.UsageError, match="not those of entity rss"):
        encode_entity("rss", nic.records("vpd_data"), **nic.encoding)


def test_a_value_that_does_not_fit_is_refused():
    nic = adapter(SAMPLE)
    records = nic.records("path_mtu")
    records["mtus"].loc[0, "mtu"] = 70_000
    with pytest.raises(vl.UsageError, match="does not fit 16 bits"):
        encode_entity("path_mtu", records, **nic.encoding)


def test_an_entity_that_nobody_decodes_is_an_error():
    with pytest.raises(VmcoreddLabError, match="no decoder"):
        encode_entity("entity_99", {}, chip="T6")
