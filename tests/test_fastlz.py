"""FastLZ streams, and the 6pack framing in which the Unified Wire stores entities."""

from __future__ import annotations

import hashlib
import lzma
import struct
import tarfile
from pathlib import Path
from typing import Any

import pytest
from cudbg_builder import CIM_LA, EDC0, PATH_MTU, Entity, cudbg
from cudbg_truth import shared
from fastlz_builder import (
    DATA,
    FASTLZ,
    FIRST,
    MAGIC,
    STORED,
    TOTAL,
    beginning,
    chunk,
    flipped,
    literals,
    places,
    sixpack,
    with_header,
)
from hypothesis import given
from hypothesis import strategies as st

import vmcoredd_lab as vl
from vmcoredd_lab.devices.cxgb4 import sixpack as reader
from vmcoredd_lab.devices.cxgb4.fastlz import FastLzError, compress, decompress
from vmcoredd_lab.devices.cxgb4.framing import Decoded, join
from vmcoredd_lab.problems import Problems

HERE = Path(__file__).parent / "data"
UNIFIED_WIRE: dict[str, Any] = {"version": (1, 9), "max_entities": 67}
NOISE = bytes((i * i >> 3) & 0xFF for i in range(70_000))


def read(stored: bytes, *, pad: int = 0, cut: bool = False, limit: int = 1 << 26) -> tuple[Decoded, list[str]]:
    """What an entity decodes to, and what is said to be wrong with it."""
    problems = Problems()
    pieces = reader.pieces(
        memoryview(stored), pad=pad, cut=cut, limit=limit, problems=problems, where="entity", offset=0
    )
    return join(pieces), [p.message for p in problems]


# -- streams ----------------------------------------------------------------------------------------------------------


def match(length: int, distance: int, level: int = 2) -> bytes:
    """One match, spelled out from the format."""
    far = level == 2 and distance > 8191
    offset = 8191 if far else distance - 1
    if length <= 8:
        head = [(length - 2) << 5 | offset >> 8]
    else:
        more, last = divmod(length - 9, 255) if level == 2 else (0, length - 9)
        head = [7 << 5 | offset >> 8, *[255] * more, last]
    return bytes([*head, offset & 255]) + (struct.pack(">H", distance - 8192) if far else b"")


@pytest.mark.parametrize("level", [1, 2])
def test_literal_runs_are_taken_as_they_are(level):
    data = NOISE[:1000]
    assert decompress(literals(data, level), size=1000) == data


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("length", [3, 4, 8, 9, 10, 263, 264])
def test_a_match_repeats_what_came_before(level, length):
    data = NOISE[:600]
    stream = literals(data, level) + match(length, 500, level)
    assert decompress(stream, size=600 + length) == data + data[100 : 100 + length]


@pytest.mark.parametrize("length", [264, 265, 518, 519, 520, 5000])
def test_a_long_match_of_level_2_adds_bytes_up_to_the_first_that_is_not_255(length):
    assert decompress(literals(b"x") + match(length, 1)) == b"x" * (length + 1)


@pytest.mark.parametrize("distance", [1, 2, 3, 7])
def test_a_match_longer_than_its_distance_repeats_a_pattern(distance):
    assert (
        decompress(literals(b"abcdefg") + match(100, distance))
        == (b"abcdefg"[:-distance] + b"abcdefg"[-distance:] * 110)[:107]
    )


@pytest.mark.parametrize("distance", [1, 255, 256, 257, 8190, 8191, 8192, 8193, 65535, 8192 + 65535])
def test_distances_of_level_2_reach_back_73727_bytes(distance):
    data = (NOISE * 2)[: 8192 + 65535]
    start = len(data) - distance
    whole = data + data[start:]
    expected = (whole if distance >= 5 else data + data[-distance:] * 5)[: len(data) + 5]
    assert decompress(literals(data) + match(5, distance)) == expected


def test_level_1_reaches_back_8192_bytes_and_has_no_longer_distance():
    data = NOISE[:9000]
    assert decompress(literals(data, 1) + match(5, 8192, 1)) == data + data[808:813]


@given(
    st.sampled_from([1, 2]),
    st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.integers(1, 400)), min_size=1, max_size=12),
)
def test_what_was_compressed_decompresses_to_the_same(level, runs):
    data = b"".join(piece * count for piece, count in runs)
    stream = compress(data, level)
    assert decompress(stream, size=len(data)) == data
    assert len(stream) <= len(data) + -(-len(data) // 32)


@pytest.mark.parametrize("level", [1, 2])
def test_distant_repetitions_survive_compression(level):
    data = NOISE[:8000] + bytes(9000) + NOISE[:8000] + NOISE[:300] * 2 + bytes(70_000) + NOISE[:5000]
    assert decompress(compress(data, level), size=len(data)) == data


@pytest.mark.parametrize("level", [0, 3])
def test_there_are_two_levels(level):
    with pytest.raises(ValueError, match="level 1 and 2"):
        compress(b"data", level)


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"", "level"),
        (b"\x40x", "level"),
        (b"\x20", "inside an operation"),
        (literals(b"abc") + b"\x03ab", "inside an operation"),
        (literals(b"abc") + b"\x20", "inside an operation"),
        (literals(b"abc") + b"\xe0", "inside an operation"),
        (literals(b"abc") + b"\xe0\xff\xff", "inside an operation"),
        (literals(b"abc") + b"\x3f\xff\x00", "inside an operation"),
        (literals(b"abc") + match(4, 4), "before its beginning"),
    ],
)
def test_a_damaged_stream_is_refused(stream, why):
    with pytest.raises(FastLzError, match=why):
        decompress(stream)


def test_what_came_out_before_the_damage_is_kept():
    with pytest.raises(FastLzError) as caught:
        decompress(literals(b"abc") + match(4, 2) + match(4, 99))
    assert caught.value.partial == b"abcbcbc"


@pytest.mark.parametrize("size", [2, 4])
def test_a_stream_of_another_size_than_said_is_refused(size):
    with pytest.raises(FastLzError):
        decompress(literals(b"abc"), size=size)


def test_a_stream_that_would_fill_the_memory_is_refused_before_it_does():
    bomb = literals(b"x") + b"\xe0" + b"\xff" * 1_000_000 + b"\x00\x00"
    with pytest.raises(FastLzError, match="more than 65,536"):
        decompress(bomb, limit=65536)


@given(st.binary(max_size=300))
def test_any_bytes_decompress_or_are_refused(stream):
    try:
        out = decompress(stream, limit=1 << 20)
    except FastLzError as error:
        out = error.partial
    assert len(out) <= 1 << 20


# -- 6pack ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 1000, 64512, 70_000])
@pytest.mark.parametrize("cut", [None, 64512, 1000])
def test_chunks_make_the_entity(size, cut):
    data = NOISE[:size]
    stored = sixpack(data, cut=cut) if size else beginning(0)
    decoded, messages = read(stored)
    assert (bytes(decoded.data), decoded.damaged, messages) == (data, [], [])
    assert reader.decoded_size(memoryview(stored), 1 << 20) == size


@given(st.binary(max_size=400), st.sampled_from([None, 32, 100]), st.sampled_from([1, 2]))
def test_what_is_packed_is_read_back(data, cut, level):
    decoded, messages = read(reader.pack(data, level=level, cut=cut))
    assert (bytes(decoded.data), messages) == (data, [])


def test_padding_behind_the_last_chunk_is_no_chunk():
    assert read(sixpack(NOISE[:50]) + bytes(3), pad=3) == (Decoded(NOISE[:50]), [])


DATA_3 = NOISE[:3000]
THREE = sixpack(DATA_3, cut=1000)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_damaged_chunk_costs_its_own_bytes_only(which):
    decoded, (message,) = read(flipped(THREE, places(THREE)[which] + 100))
    start = 1000 * which
    assert bytes(decoded.data) == DATA_3[:start] + bytes(1000) + DATA_3[start + 1000 :]
    assert decoded.damaged == [(start, start + 1000)]
    assert "a chunk is damaged" in message


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize(
    "members", [{"id": 5}, {"options": 7}, {"options": STORED}, {"extra": 1}, {"extra": 0xFFFFFFFF}, {"extra": 1001}]
)
def test_a_wrong_header_costs_nothing_where_the_checksum_proves_the_bytes(which, members):
    decoded, (message,) = read(with_header(THREE, places(THREE)[which], **members))
    assert (bytes(decoded.data), decoded.damaged) == (DATA_3, [])
    assert "header does not agree" in message


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("size", [0, 1, 500, 5000, 0xFFFFFFFF])
def test_a_wrong_size_costs_nothing_the_checksum_tells_where_the_chunk_ends(which, size):
    decoded, (message,) = read(with_header(THREE, places(THREE)[which], size=size))
    assert (bytes(decoded.data), decoded.damaged) == (DATA_3, [])
    assert "its checksum tells where it ends" in message


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_chunk_without_a_header_is_as_large_as_what_the_others_leave(which):
    at = places(THREE)[which]
    decoded, (message,) = read(THREE[:at] + b"\xee" * 16 + THREE[at + 16 :])
    assert decoded.damaged == [(1000 * which, 1000 * which + 1000)]
    assert bytes(decoded.data).startswith(DATA_3[: 1000 * which])
    assert bytes(decoded.data).endswith(DATA_3[1000 * which + 1000 :])
    assert "header is damaged; its bytes are missing" in message


def test_two_chunks_without_a_header_one_after_the_other_are_one_gap():
    first, second, _ = places(THREE)
    stored = THREE[:first] + b"\xee" * 16 + THREE[first + 16 : second] + b"\xee" * 16 + THREE[second + 16 :]
    decoded, _ = read(stored)
    assert decoded.damaged == [(0, 2000)]
    assert bytes(decoded.data[2000:]) == DATA_3[2000:]


def test_without_the_size_of_the_whole_a_gap_loses_what_follows():
    stored = flipped(THREE, 30)  # the chunk that says the size
    at = places(THREE)[1]
    decoded, messages = read(stored[:at] + b"\xee" * 16 + stored[at + 16 :])
    assert (bytes(decoded.data), decoded.damaged) == (DATA_3[:1000], [])
    assert [
        "says the entity's size is damaged" in messages[0],
        "what follows in this entity is lost" in messages[1],
    ] == [True, True]


@pytest.mark.parametrize("at", range(FIRST))
def test_damage_before_the_first_chunk_costs_nothing(at):
    decoded, messages = read(flipped(THREE, at))
    assert (bytes(decoded.data), decoded.damaged) == (DATA_3, [])
    assert len(messages) == 1


def test_a_wrong_checksum_makes_the_bytes_unbelievable():
    decoded, _ = read(with_header(THREE, places(THREE)[1], adler32=0))
    assert decoded.damaged == [(1000, 2000)]


def test_padding_of_another_length_than_said_is_told():
    decoded, (message,) = read(THREE + bytes(2), pad=1)
    assert (bytes(decoded.data), "num_pad" in message) == (DATA_3, True)


def test_a_total_that_the_chunks_do_not_reach_is_told():
    decoded, (message,) = read(beginning(4000) + THREE[FIRST:])
    assert (bytes(decoded.data), "more or less" in message) == (DATA_3, True)


def test_cut_at_any_byte_what_comes_before_is_there():
    data = NOISE[:150]
    stored = beginning(150) + b"".join(chunk(compress(data[i : i + 50]), 50) for i in (0, 50, 100))
    for end in range(len(stored)):
        decoded, messages = read(stored[:end], cut=True)
        sound = bytes(decoded.data)[: decoded.damaged[0][0] if decoded.damaged else None]
        assert data.startswith(sound)
        assert messages == []
        whole = sum(50 for at in places(stored)[1:] if at <= end)
        assert len(sound) >= whole


def test_behind_a_wrong_size_a_cut_entity_goes_on():
    stored = with_header(THREE, places(THREE)[0], size=1 << 30)[:-5]
    decoded, _ = read(stored, cut=True)
    assert bytes(decoded.data[:2000]) == DATA_3[:2000]


@pytest.mark.parametrize("extra", [1 << 20, 1 << 31, 0xFFFFFFFF])
@pytest.mark.parametrize("size", [4, 1 << 31])
def test_sizes_that_lie_allocate_nothing(extra, size):
    stored = beginning(extra) + struct.pack("<HHIII", DATA, FASTLZ, size, 0, extra) + b"\x03abc"
    decoded, messages = read(stored)
    assert len(decoded.data) < 10_000
    assert messages
    assert len(read(stored, cut=True)[0].data) < 5 << 20


def test_a_chunk_that_would_fill_the_memory_is_lost():
    bomb = literals(b"x") + b"\xe0" + b"\xff" * 100_000 + b"\x00\x00"
    decoded, (message, _) = read(beginning(1 << 25) + chunk(bomb, 1 << 22))
    assert decoded.damaged == [(0, 1 << 22)]
    assert "a chunk is damaged" in message


def test_more_than_an_entity_can_hold_is_left_out():
    decoded, (message,) = read(THREE, limit=1500)
    assert (bytes(decoded.data), "more than it can hold" in message) == (DATA_3[:1000], True)
    assert reader.decoded_size(memoryview(THREE), 1500) is None


def test_chunks_that_all_claim_to_be_damaged_are_not_all_tried():
    broken = struct.pack("<HHIII", DATA, FASTLZ, 4, 0, 4) + b"\x03abc"
    decoded, messages = read(beginning(0) + broken * 3000)
    assert len(decoded.data) == 256 * 4
    assert messages[-1].startswith("256 chunks are damaged")


@given(st.data())
def test_any_damage_is_told_and_nothing_else_is_lost(data):
    stored = bytearray(THREE)
    for _ in range(data.draw(st.integers(1, 4))):
        stored[data.draw(st.integers(0, len(stored) - 1))] = data.draw(st.integers(0, 255))
    decoded, messages = read(bytes(stored))
    assert messages or bytes(decoded.data) == DATA_3
    if len(decoded.data) == 3000:
        lost = [(start, end) for start, end in decoded.damaged]
        for at in range(0, 3000, 50):
            if not any(start <= at < end for start, end in lost):
                assert decoded.data[at] == DATA_3[at]


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_without_an_exception(stored, cut):
    read(MAGIC + stored, cut=cut)
    read(beginning(100) + stored, cut=cut)
    reader.decoded_size(memoryview(beginning(100) + stored), 1 << 20)


# -- dumps ------------------------------------------------------------------------------------------------------------


def test_an_entity_of_the_unified_wire_is_decoded():
    mtus = struct.pack("<16H", *range(100, 116))
    built = cudbg(Entity(PATH_MTU, stored=reader.pack(mtus)), **UNIFIED_WIRE)
    nic = built.open()
    assert (nic.compression, nic.entity_bytes("path_mtu")) == ("fastlz", mtus)
    assert list(nic.entity("path_mtu")["mtu"]) == [*range(100, 116)]
    assert list(nic.entities["size"]) == [32]


def test_rows_of_a_damaged_chunk_are_marked():
    stored = sixpack(bytes(range(256)) * 16, cut=1024)
    built = cudbg(
        Entity(CIM_LA, bytes(8)), Entity(EDC0, stored=flipped(stored, places(stored)[1] + 99)), **UNIFIED_WIRE
    )
    nic = built.open()
    assert nic.decoded("edc0").damaged == [(1024, 2048)]
    nic.check()
    (problem,) = [p for p in nic.problems if "edc0" in p.where]
    assert (problem.severity, problem.offset) == ("error", built.offsets[EDC0] + places(stored)[1])


def test_a_dump_that_is_cut_gives_what_is_there():
    stored = sixpack(NOISE[:5000], cut=1000)
    built = cudbg(Entity(EDC0, stored=stored), **UNIFIED_WIRE)
    nic = built.cut(len(built.data) - 1500).open()
    assert nic.entity_bytes("edc0")[:3500] == NOISE[:3500]


@pytest.mark.parametrize("record", [0, 1])
def test_the_small_genuine_dump_decodes(record):
    nic = vl.open_device_dump(HERE / "uw-t6-tworecords-fastlz.bin", record=record).decode()
    assert list(nic.entity("path_mtu")["mtu"])[:3] == [88, 256, 512]
    assert len(nic.entity_bytes("dev_log")) == 65536
    nic.check()
    assert list(nic.problems) == []


def test_the_genuine_dump_has_no_problem(shared_data):
    nic = vl.open_device_dump(shared("uw-t6-fastlz").blob).decode()
    nic.check()
    assert list(nic.problems) == []
    for entity in nic.container.entities.values():
        if entity.available:
            assert len(nic.entity_bytes(entity.number)) == nic.decoded_size(entity)


@pytest.mark.parametrize("memory", ["edc0", "edc1", "mc0"])
def test_memories_are_what_the_vendors_viewer_extracts(memory, shared_data):
    nic = vl.open_device_dump(shared("uw-t6-fastlz").blob).decode()
    with lzma.open(shared_data / "cudbg" / "uw-t6-fastlz.view.tar.xz") as plain, tarfile.open(fileobj=plain) as tar:
        name = next(m for m in tar if m.name.endswith(f"_{memory}.bin"))
        taken = tar.extractfile(name)
        assert taken is not None
        assert hashlib.sha256(taken.read()).digest() == hashlib.sha256(nic.entity_bytes(memory)).digest()


@pytest.mark.parametrize("entity", ["dev_log", "edc0", "ulprx_la", "cctrl", "tp_la", "cim_ibq_tp0"])
def test_entities_are_those_that_linux_collected_from_the_same_adapter(entity, shared_data):
    ours = vl.open_device_dump(shared("uw-t6-fastlz").blob).decode()
    assert ours.entity_bytes(entity) == shared("t6-uwpair-zlib").nic.entity_bytes(entity)


def test_the_firmware_state_is_known_from_the_first_chunk(shared_data):
    assert (
        vl.open_device_dump(shared("uw-t6-fastlz").blob).decode().firmware_state
        == shared("t6-uwpair-zlib").nic.firmware_state
    )


def test_the_first_chunk_says_how_many_bytes_there_are():
    assert struct.unpack_from("<HHI", beginning(77), 8) == (TOTAL, STORED, 14)
    assert read(beginning(0)) == (Decoded(b""), [])
