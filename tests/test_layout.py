"""Every declared structure goes both ways: bytes to columns and back, bit for bit."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmcoredd_lab.devices.cxgb4.declared import declared, words
from vmcoredd_lab.devices.cxgb4.layout import REST, Layout, Part, from_table, to_table
from vmcoredd_lab.devices.cxgb4.structs import COMPRESS_HDR, CUDBG_HDR, ENTITY_HDR, FW_DEVLOG_ENTRY, SIXPACK_CHUNK
from vmcoredd_lab.frames import to_frame
from vmcoredd_lab.structs import Member, Struct


@cache
def all_declared() -> list[tuple[str, str]]:
    text = files("vmcoredd_lab.devices.cxgb4").joinpath("data/structs.csv").read_text()
    return sorted({(r["family"], r["struct"]) for r in csv.DictReader(text.splitlines())})


def struct_of(family: str, name: str) -> Struct:
    return declared(name, family)


HAND_WRITTEN = [CUDBG_HDR, ENTITY_HDR, COMPRESS_HDR, SIXPACK_CHUNK, FW_DEVLOG_ENTRY]


@pytest.mark.parametrize(("family", "name"), all_declared())
@pytest.mark.parametrize("order", ["little", "big"])
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_declared_structure_survives_columns(family, name, order, seed):
    dtype = struct_of(family, name).dtype(order)
    raw = np.random.default_rng(seed).bytes(2 * dtype.itemsize)
    array = np.frombuffer(raw, dtype)
    assert from_table(to_table(array, struct_of(family, name)), dtype).tobytes() == raw


@pytest.mark.parametrize("struct", HAND_WRITTEN, ids=lambda s: s.name)
@pytest.mark.parametrize("order", ["little", "big"])
def test_a_header_survives_columns(struct, order):
    dtype = struct.dtype(order)
    raw = bytes(range(256)) * (dtype.itemsize // 256 + 1)
    array = np.frombuffer(raw[: dtype.itemsize], dtype)
    assert from_table(to_table(array, struct), dtype).tobytes() == raw[: dtype.itemsize]


@pytest.mark.parametrize(("family", "name"), all_declared())
def test_a_declared_structure_has_no_hidden_padding(family, name):
    struct = struct_of(family, name)
    dtype = struct.dtype("little")
    assert sum(dtype[n].itemsize for n in dtype.names) == dtype.itemsize


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_one_changed_cell_changes_exactly_its_bits(data):
    family, name = data.draw(st.sampled_from(all_declared()))
    order = data.draw(st.sampled_from(["little", "big"]))
    struct = struct_of(family, name)
    dtype = struct.dtype(order)
    before = np.frombuffer(np.random.default_rng(data.draw(st.integers(0, 2**32))).bytes(dtype.itemsize), dtype)
    frame = to_frame(to_table(before, struct))
    frame.attrs.clear()
    numbers = [c for c in frame.columns if frame[c].dtype.kind in "iu"]
    if not numbers:
        return
    column = data.draw(st.sampled_from(numbers))
    frame.loc[0, column] = int(frame.loc[0, column]) ^ 1
    after = from_table(frame, dtype)
    changed = int.from_bytes(before.tobytes(), "little") ^ int.from_bytes(after.tobytes(), "little")
    assert changed.bit_count() == 1
    assert int(to_frame(to_table(after, struct)).loc[0, column]) == int(frame.loc[0, column])


def test_what_no_part_takes_is_the_rest_and_comes_back():
    layout = Layout((Part("head", words(2)), Part("rows", words(3, "u2"), 2)))
    data = bytes(range(27))
    parts = layout.split(data, "little")
    assert {name: len(p) for name, p in parts.items()} == {"head": 1, "rows": 2, REST: 7}
    assert layout.join(parts) == data
    assert layout.join(layout.arrays(layout.tables(parts), "little")) == data


def test_a_count_in_the_data_is_not_believed_beyond_the_data():
    layout = Layout((Part("n", words(1)), Part("rows", words(4), lambda found: int(found["n"]["w"][0]))))
    parts = layout.split((2**31).to_bytes(4, "little") + bytes(40), "little")
    assert len(parts["rows"]) == 2
    assert parts[REST].size == 8


def test_device_order_stays_big_endian_on_any_host():
    layout = Layout((Part("rows", words(1), None, "big"),))
    for host in ("little", "big"):
        assert layout.split(b"\0\0\1\2", host)["rows"]["w"][0] == 0x102


def test_empty_bytes_give_empty_parts():
    layout = Layout((Part("head", words(2)), Part("rows", words(3), None)))
    parts = layout.split(b"", "big")
    assert [len(p) for p in parts.values()] == [0, 0, 0]
    assert layout.join(parts) == b""


def test_a_value_that_does_not_fit_is_refused():
    dtype = words(1, "u2").dtype("little")
    frame = to_frame(to_table(np.zeros(1, dtype), words(1, "u2")))
    frame.loc[0, "w"] = 1 << 16
    with pytest.raises(ValueError, match="does not fit 16 bits"):
        from_table(frame, dtype)


def test_nested_arrays_have_numbered_columns():
    inner = Struct("inner", "", (Member("a", "u1"), Member("b", "u1", shape=(3,))))
    outer = Struct("outer", "", (Member("x", inner, shape=(2,)), Member("y", "u2", shape=(2,))))
    table = to_table(np.zeros(1, outer.dtype("little")), outer)
    assert table.schema.names == ["x[0].a", "x[0].b", "x[1].a", "x[1].b", "y[0]", "y[1]"]
