"""Writing cudbg dumps, judged by the blobs of the genuine driver code and of the Unified Wire's library."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cudbg_builder as built
import pytest
from builders import ORDERS
from cudbg_truth import shared
from hypothesis import given
from hypothesis import strategies as st

import vmcoredd_lab as vl
from vmcoredd_lab.devices.cxgb4.entity_names import entity_numbers
from vmcoredd_lab.devices.cxgb4.writer import DUMP_SIZE, CudbgImage
from vmcoredd_lab.devices.cxgb4.writer.order import collected
from vmcoredd_lab.errors import UsageError

RAW = ("t6-tiny-raw.bin", "t6-live-raw.bin.xz")
ZLIB = (
    "q-t5-quiet-live", "q-t6-fwcrash", "q-t6-quiet", "q-t6-sgeparity", "t4-live-zlib", "t5-kdump-zlib", "t5-live-zlib",
    "t5-memonly-zlib", "t6-dead-zlib", "t6-errors-zlib", "t6-kdump-zlib", "t6-small-zlib", "t6-stale-zlib",
    "t6-uwpair-zlib",
)  # fmt: skip
FASTLZ = ("uw-t6-fastlz", "uw-t6-tworecords-fastlz")
STALE = "t6-stale-zlib"  # headers of pieces hold what an entity that did not fit left behind


def read(data: bytes) -> Any:
    return vl.open_device_dump(io.BytesIO(data)).decode()


def codes(nic: Any) -> dict[int, tuple[int, int, int]]:
    return {e.number: (e.status, e.sys_err, e.sys_warn) for e in nic.container.entities.values()}


@pytest.mark.parametrize("blob", RAW)
def test_an_uncompressed_blob_written_back_is_the_same_bytes(unpacked: Callable[[str], Path], blob: str) -> None:
    path = unpacked(f"cudbg/{blob}")
    assert vl.open_device_dump(path).decode().to_image().to_bytes() == path.read_bytes()


@pytest.mark.parametrize("blob", [b for b in ZLIB if b != STALE])
def test_a_zlib_blob_written_back_is_the_same_bytes(shared_data: Path, blob: str) -> None:
    path = shared_data / f"cudbg/{blob}.bin"
    assert vl.open_device_dump(path).decode().to_image().to_bytes() == path.read_bytes()


@pytest.mark.parametrize("blob", [STALE, *FASTLZ])
def test_a_compressed_blob_written_back_decodes_to_the_same(shared_data: Path, blob: str) -> None:
    nic = vl.open_device_dump(shared_data / f"cudbg/{blob}.bin").decode()
    again = read(nic.to_image().to_bytes())
    assert built.contents(again) == built.contents(nic)
    assert codes(again) == codes(nic)
    assert built.messages(again) == []


def test_only_stale_bytes_of_a_zlib_blob_are_not_written_back(shared_data: Path) -> None:
    path = shared_data / f"cudbg/{STALE}.bin"
    before, after = path.read_bytes(), vl.open_device_dump(path).decode().to_image().to_bytes()
    assert len(after) == len(before)
    differing = [i for i, (a, b) in enumerate(zip(after, before, strict=True)) if a != b]
    assert differing
    assert not any(after[i] for i in differing)


@pytest.mark.parametrize(("blob", "donor"), [("t6-small-zlib", "t6-uwpair-zlib"), ("t6-tiny-raw", "t6-uwpair-zlib"),
                                             (STALE, "t6-uwpair-zlib")])  # fmt: skip
def test_a_buffer_that_is_too_small_fails_the_same_entities_as_in_the_driver(
    shared_data: Path, blob: str, donor: str
) -> None:
    """The donor is another adapter of the same chip: its entities have the same sizes before compression."""
    small = vl.open_device_dump(shared_data / f"cudbg/{blob}.bin").decode()
    image = vl.open_device_dump(shared_data / f"cudbg/{donor}.bin").decode().to_image()
    image.compression, image.in_file_order = small.compression, False
    written = read(image.to_bytes(shared(blob).truth["outbuf_size"]))
    failed = {number for number, (status, *_) in codes(written).items() if status == -19}
    assert failed - {20} == {n for n, (status, *_) in codes(small).items() if status == -19} - {20}  # one has no MC0
    assert written.payload_size(written.dump.data)


@pytest.mark.parametrize("blob", ["t6-small-zlib", "t6-tiny-raw"])
def test_what_fitted_into_a_small_buffer_fits_again(shared_data: Path, blob: str) -> None:
    path = shared_data / f"cudbg/{blob}.bin"
    image = vl.open_device_dump(path).decode().to_image()
    assert image.to_bytes(shared(blob).truth["outbuf_size"]) == path.read_bytes()


def test_an_entity_larger_than_the_staging_buffer_fails_though_the_output_has_room() -> None:
    image = CudbgImage("T6")
    image.add("le_tcam", bytes((4 << 20) + 1))
    image.add("edc0", bytes(5 << 20))  # handed over piece by piece
    assert codes(read(image.to_bytes(DUMP_SIZE))) == {59: (-19, 0, 0), 18: (0, 0, 0)}


def test_a_stream_that_does_not_fit_fails_with_the_code_of_the_compressor() -> None:
    noise = zlib.compress(bytes(range(256)) * 8)[:200]
    image = CudbgImage("T6")
    image.add("path_mtu", noise)
    head = 56 + 52 * 72
    assert codes(read(image.to_bytes(head + 280 + 150)))[27] == (-29, 0, 0)


def test_a_buffer_without_room_for_the_headers_is_refused() -> None:
    with pytest.raises(UsageError, match="too small"):
        CudbgImage("T6").to_bytes(3799)


def test_the_callback_leaves_the_rest_of_the_buffer_alone() -> None:
    image = CudbgImage("T6")
    image.add("path_mtu", bytes(32))
    buffer = bytearray(b"\xaa" * 8192)
    assert image.collect(buffer) == 0
    size = len(image.to_bytes())
    assert buffer[:size] == image.to_bytes()
    assert set(buffer[size:]) == {0xAA}


def test_entities_stand_in_the_order_in_which_the_driver_collects_them() -> None:
    image = CudbgImage("T6", compression="none")
    for name in sorted(collected(("hardware", "memory", "flash"))):
        image.add(name, name.encode())
    nic = read(image.to_bytes())
    by_place = sorted(nic.container.entities.values(), key=lambda e: e.offset)
    assert [e.name for e in by_place] == collected(("hardware", "memory", "flash"))


def test_the_order_is_that_of_a_genuine_blob() -> None:
    assert collected() == [e["name"].lower() for e in shared("t6-kdump-zlib").truth["entities"]]


def test_a_failed_entity_has_its_header_and_no_bytes() -> None:
    image = CudbgImage("T6")
    image.fail("mc1", sys_err=-24)
    entity = read(image.to_bytes()).container.entities[21]
    assert (entity.status, entity.sys_err, entity.stored_size, entity.offset) == (-29, -24, 0, 3800)


def test_an_entity_that_is_dropped_was_never_tried() -> None:
    image = CudbgImage("T6")
    image.add("clk", bytes(88))
    image.drop("clk")
    assert read(image.to_bytes()).container.entities == {}


def test_changed_records_come_back_changed(shared_data: Path) -> None:
    nic = vl.open_device_dump(shared_data / "cudbg/q-t6-quiet.bin").decode()
    records = {name: frame.copy() for name, frame in nic.records("path_mtu").items()}
    records["mtus"].loc[3, "mtu"] = 1234
    image = nic.to_image()
    image.add("path_mtu", records)
    assert read(image.to_bytes()).entity("path_mtu")["mtu"][3] == 1234


def test_an_unknown_entity_is_refused() -> None:
    with pytest.raises(UsageError, match="no entity"):
        CudbgImage("T6").add("nothing", b"")


def test_a_unified_wire_dump_has_no_zlib() -> None:
    with pytest.raises(UsageError, match=r"1\.9"):
        CudbgImage("T6", version=(1, 9), compression="zlib")


def test_records_of_the_unified_wire_can_stand_one_behind_the_other(shared_data: Path) -> None:
    path = shared_data / "cudbg/uw-t6-tworecords-fastlz.bin"
    images = [vl.open_device_dump(path, record=n).decode().to_image() for n in (0, 1)]
    joined = b"".join(image.to_bytes() for image in images)
    for n in (0, 1):
        record = vl.open_device_dump(io.BytesIO(joined), record=n).decode()
        assert built.contents(record) == built.contents(vl.open_device_dump(path, record=n).decode())


@pytest.mark.parametrize("order", ORDERS)
def test_a_big_endian_host_writes_its_own_order(order: Any) -> None:
    image = CudbgImage("T5", byteorder=order)
    image.add("path_mtu", struct.pack(built.MARK[order] + "16H", *range(16)))
    nic = read(image.to_bytes())
    assert nic.container.byteorder == order
    assert nic.compression == "zlib"
    assert nic.entity("path_mtu")["mtu"].tolist() == list(range(16))


names = st.sampled_from([n for n in entity_numbers() if n not in ("ext_entity",) and entity_numbers()[n] <= 67])
payloads = st.dictionaries(
    names, st.one_of(st.binary(max_size=200), st.integers(1, 200_000).map(lambda n: bytes([n & 255]) * n)), max_size=5
)


@given(payloads, st.sampled_from(["none", "zlib", "fastlz"]), st.sampled_from(["T4", "T5", "T6"]))
def test_what_is_written_is_read_back(entities: dict[str, bytes], compression: str, chip: str) -> None:
    image = CudbgImage(chip, version=(1, 9) if compression == "fastlz" else (1, 14), compression=compression)
    for name, data in entities.items():
        image.add(name, data)
    written = image.to_bytes()
    nic = read(written)
    assert (nic.chip, nic.compression, len(written)) == (chip, compression, nic.container.data_len)
    for name, data in entities.items():
        if data:
            assert nic.entity_bytes(name) == data
        else:
            assert nic.container.entities[entity_numbers()[name]].stored_size == 0
    assert nic.container.payload_size == len(written)


@given(st.integers(3800, 12000), st.lists(st.integers(0, 3000), min_size=1, max_size=6))
def test_in_a_buffer_of_any_size_the_headers_are_true(size: int, sizes: list[int]) -> None:
    image = CudbgImage("T6", compression="none")
    for name, length in zip(collected(), sizes, strict=False):
        image.add(name, b"x" * length)
    data = image.to_bytes(size)
    assert len(data) <= size + 3  # the driver fills up to 4 bytes without looking
    nic = read(data)
    assert nic.container.payload_size == len(data)
    offset = 3800
    for name, length in zip(collected(), sizes, strict=False):
        entity = nic.container.entities[entity_numbers()[name]]
        assert entity.offset == offset
        assert entity.status == (-19 if offset + length > size else 0)
        offset += entity.stored_size


def test_a_chain_of_appended_entities_is_written_back() -> None:
    """Bytes of the chain are kept as they are, and data_len leaves them out."""
    chain = struct.pack("<IIIiiiBB2xI20x", 27, 52, 32, 0, 0, 0, 0, 1, 84) + bytes(range(32))
    image = CudbgImage("T6", version=(1, 9))
    image.add("clk", bytes(88))
    image.add("ext_entity", chain)
    data = image.to_bytes()
    nic = read(data)
    assert nic.container.data_len == len(data) - len(chain)
    assert nic.to_image().to_bytes() == data


@pytest.mark.parametrize("name", ["t6-tiny-raw", "t6-stale-zlib"])
def test_blobs_that_come_with_the_tests_are_written_back(name: str) -> None:
    path = Path(__file__).parent / f"data/{name}.bin"
    nic = vl.open_device_dump(path).decode()
    again = read(nic.to_image().to_bytes())
    assert built.contents(again) == built.contents(nic)
