"""How an entity is stored: zlib pieces with their headers (struct cudbg_compress_hdr), and what damage to them costs."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import pytest
from cudbg_builder import (
    DEV_LOG,
    EDC0,
    LITTLE,
    MARK,
    MBOX_LOG,
    ORDERS,
    PATH_MTU,
    PIECE,
    PIECE_HDR_SIZE,
    REG_DUMP,
    VPD_DATA,
    Entity,
    contents,
    cudbg,
    deflate,
    messages,
    numbered_reg_dump,
    piece_header,
    usual,
)
from cudbg_truth import HERE, shared

import vmcoredd_lab as vl
from vmcoredd_lab.devices.cxgb4 import framing
from vmcoredd_lab.problems import Problems

TEXT = bytes(range(251)) * 1000  # 251,000 bytes: three whole pieces and a short one
HEADER_DISAGREES = "a piece's header does not agree with the zlib stream behind it; the stream is used"
PIECE_DAMAGED = "a zlib piece is damaged; its bytes are missing, the other pieces are used"


# -- sound ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 32, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, len(TEXT)])
def test_an_entity_of_any_size_comes_back(size: int, order: str) -> None:
    nic = cudbg(Entity(EDC0, TEXT[:size]), Entity(21, b"next"), order=order).open()
    assert nic.entity_bytes("edc0") == TEXT[:size]
    assert nic.entities_table().values("size") == [size, 4]
    assert messages(nic) == []


def test_the_driver_s_pieces_are_those_of_the_truth() -> None:
    known = shared("t6-kdump-zlib")
    for e in known.truth["entities"]:
        if e["hdr_flags"] == 0 and e["size"]:
            stored = known.nic.dump.data.view(e["start_offset"], e["size"])
            found = framing.pieces(
                stored, LITTLE, pad=e["num_pad"], cut=False, limit=1 << 30, problems=Problems(), where="", offset=0
            )
            assert [p.size for p in found] == [size for size, _ in e["chunks"]], e["name"]


@pytest.mark.parametrize("stale", [0xFFFFFFFF, 0x11, 0x40B69E2])
def test_what_the_driver_does_not_write_into_a_piece_header_is_not_looked_at(stale: int) -> None:
    nic = cudbg(Entity(EDC0, TEXT), stale=stale).open()
    assert (nic.entity_bytes("edc0"), messages(nic)) == (TEXT, [])


def test_another_compressor_s_streams_are_as_good() -> None:
    stream = zlib.compress(TEXT[:PIECE], 9)
    stored = piece_header(PIECE, len(stream)) + stream
    nic = cudbg(Entity(EDC0, stored=stored + bytes(-len(stored) % 4))).set_entity(EDC0, num_pad=-len(stored) % 4).open()
    assert (nic.entity_bytes("edc0"), messages(nic)) == (TEXT[:PIECE], [])


def test_nothing_is_inflated_to_know_the_decoded_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    nic = usual().open()
    monkeypatch.setattr(framing.zlib, "decompressobj", None)
    entities = sorted(nic.container.entities.values(), key=lambda e: e.number)
    assert [nic.decoded_size(e) for e in entities] == [339968, 2048, 0, 153600, 32, 88, 63]


def test_the_firmware_state_needs_the_first_piece_of_the_registers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    nic = usual().open()
    made = []
    real = zlib.decompressobj
    monkeypatch.setattr(framing.zlib, "decompressobj", lambda: made.append(1) or real())
    assert nic.firmware_state is not None
    assert len(made) == 1


# -- a damaged stream costs its own piece -----------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 1, 2, 3])
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_a_flipped_byte_in_a_stream_costs_that_piece_only(index: int, where: str) -> None:
    built = cudbg(Entity(EDC0, TEXT), Entity(VPD_DATA, b"other"))
    piece = built.pieces(EDC0)[index]
    at = {"first": piece.stream, "middle": (piece.stream + piece.end) // 2, "last": piece.end - 1}[where]
    nic = built.flip(at).open()
    decoded = nic.decoded("edc0")
    assert decoded.damaged == [(piece.first, piece.last)]
    assert not decoded.sound
    expected = TEXT[: piece.first] + bytes(piece.last - piece.first) + TEXT[piece.last :]
    assert nic.entity_bytes("edc0") == expected
    assert nic.entity_bytes("vpd_data") == b"other"
    assert messages(nic) == [f"dump, entity edc0: {PIECE_DAMAGED}"]


def test_every_damaged_piece_is_named_with_its_place() -> None:
    built = cudbg(Entity(EDC0, TEXT))
    first, last = built.pieces(EDC0)[0], built.pieces(EDC0)[3]
    nic = built.flip(first.stream + 9).flip(last.stream + 9).open()
    nic.check()
    assert [p.offset for p in nic.problems] == [first.header, last.header]
    assert nic.decoded("edc0").damaged == [(first.first, first.last), (last.first, last.last)]


# -- a damaged piece header costs nothing -----------------------------------------------------------------------------


WRONG = [
    {"compress_id": 0}, {"compress_id": 16}, {"decompress_size": 0}, {"decompress_size": 1}, {"decompress_size": PIECE + 1},
    {"decompress_size": 1 << 40}, {"decompress_size": 1 << 63}, {"compress_size": 0}, {"compress_size": 5},
    {"compress_size": 1 << 20}, {"compress_size": 1 << 63}, {"decompress_size": (1 << 64) - 1, "compress_size": (1 << 64) - 1},
    {"compress_id": 0xFFFFFFFF, "decompress_size": 77, "compress_size": 77},
]  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("index", [0, 2, 3])
@pytest.mark.parametrize("members", WRONG, ids=str)
def test_wrong_numbers_in_a_piece_header_cost_nothing(members: dict[str, int], index: int, order: str) -> None:
    built = cudbg(Entity(EDC0, TEXT), Entity(VPD_DATA, b"other"), order=order).set_piece(EDC0, index, **members)
    nic = built.open()
    assert nic.decoded("edc0").sound
    assert contents(nic) == {EDC0: TEXT, VPD_DATA: b"other"}
    assert messages(nic) == [f"dump, entity edc0: {HEADER_DISAGREES}"]


def test_a_compressed_size_that_is_only_a_little_too_long_is_seen() -> None:
    built = cudbg(Entity(EDC0, TEXT))
    last = built.pieces(EDC0)[3]
    built.set_piece(EDC0, 3, compress_size=last.end - last.stream + 1)
    assert messages(built.open()) == [f"dump, entity edc0: {HEADER_DISAGREES}"]


def test_where_header_and_stream_are_both_damaged_what_comes_before_is_kept() -> None:
    built = cudbg(Entity(EDC0, TEXT)).set_piece(EDC0, 2, compress_id=9)
    built.flip(built.pieces(EDC0)[2].stream + 30)
    nic = built.open()
    assert nic.entity_bytes("edc0") == TEXT[: 2 * PIECE]
    assert [m for m in messages(nic) if "what follows in this entity is lost" in m]


def test_garbage_instead_of_pieces_is_an_empty_entity_and_an_error() -> None:
    nic = cudbg(Entity(EDC0, stored=b"\xa5" * 4000), Entity(VPD_DATA, b"other")).open()
    assert contents(nic) == {EDC0: b"", VPD_DATA: b"other"}
    assert nic.entities_table().values("size") == [None, 5]
    assert len(messages(nic)) == 1


@pytest.mark.parametrize("number", [REG_DUMP, DEV_LOG, VPD_DATA, PATH_MTU])
def test_no_table_falls_over_an_entity_that_is_all_garbage(number: int) -> None:
    nic = cudbg(Entity(number, stored=b"\xa5" * 4000)).open()
    for value in nic.entity_table(number).records():
        assert value.get("value") is None
    assert messages(nic)


def test_an_entity_shorter_than_a_piece_header() -> None:
    nic = cudbg(Entity(EDC0, stored=b"\x11\0\0\0" * 3)).open()
    assert (contents(nic), len(messages(nic))) == ({EDC0: b""}, 1)


def test_a_size_that_cuts_the_last_piece_keeps_the_pieces_before() -> None:
    built = cudbg(Entity(EDC0, TEXT))
    built.set_entity(EDC0, size=built.pieces(EDC0)[3].stream + 40 - built.offsets[EDC0])
    nic = built.open()
    decoded = nic.decoded("edc0")
    sound = len(TEXT) if not decoded.damaged else decoded.damaged[0][0]
    assert 3 * PIECE <= sound < len(TEXT)
    assert decoded.data[:sound] == TEXT[:sound]
    assert messages(nic)


# -- cut --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 1, 3])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_cut_inside_a_stream_keeps_what_comes_out_before_it(index: int, keep: float) -> None:
    built = cudbg(Entity(EDC0, TEXT))
    piece = built.pieces(EDC0)[index]
    nic = built.cut(piece.stream + int(keep * (piece.end - piece.stream))).open()
    decoded = nic.decoded("edc0")
    (sound, end), *rest = decoded.damaged
    assert not rest
    assert piece.first <= sound < end == piece.last
    assert decoded.data[:sound] == TEXT[:sound]
    assert not any(decoded.data[sound:])
    assert not [m for m in messages(nic) if "piece" in m]


@pytest.mark.parametrize("into", [0, 1, 100, PIECE_HDR_SIZE - 1])
def test_a_cut_inside_a_piece_header_keeps_the_pieces_before(into: int) -> None:
    built = cudbg(Entity(EDC0, TEXT))
    nic = built.cut(built.pieces(EDC0)[2].header + into).open()
    assert nic.entity_bytes("edc0") == TEXT[: 2 * PIECE]
    assert [m for m in messages(nic) if "the dump is cut inside this entity" in m]


@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_a_cut_inside_the_last_checksum_loses_no_byte_of_the_data(missing: int) -> None:
    built = cudbg(Entity(EDC0, TEXT))
    nic = built.cut(built.pieces(EDC0)[3].end - missing).open()
    decoded = nic.decoded("edc0")
    assert decoded.sound
    assert decoded.data == TEXT


@pytest.mark.parametrize("size", [3800, 4100, 20000, 60000, 84000])
def test_a_genuine_dump_cut_anywhere_keeps_what_is_before(size: int) -> None:
    blob = (HERE / "t6-stale-zlib.bin").read_bytes()
    whole = contents(vl.open_device_dump(blob).decode())
    nic = vl.open_device_dump(blob[:size]).decode()
    for number, entity in nic.container.entities.items():
        if entity.offset + entity.stored_size <= size:
            assert contents(nic)[number] == whole[number]
    assert nic.payload_size(nic.dump.data) is None


# -- hostile ----------------------------------------------------------------------------------------------------------


def bomb(size: int) -> bytes:
    """A complete zlib stream of zeros."""
    return deflate(bytes(size))


def test_a_stream_much_longer_than_a_piece_is_not_inflated() -> None:
    stream = bomb(64 << 20)
    stored = piece_header(PIECE, len(stream)) + stream
    built = cudbg(Entity(EDC0, stored=stored + bytes(-len(stored) % 4)), Entity(VPD_DATA, b"other"))
    tracemalloc.start()
    nic = built.open()
    decoded = nic.decoded("edc0")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert decoded.damaged == [(0, PIECE)]
    assert peak < 8 << 20
    assert nic.entity_bytes("vpd_data") == b"other"


def test_an_entity_of_honest_pieces_that_inflates_without_end_is_refused() -> None:
    stream = bomb(1 << 20)
    built = cudbg(Entity(PATH_MTU, stored=(piece_header(1 << 20, len(stream)) + stream) * 80))
    nic = built.open()
    assert [m for m in messages(nic) if "the entity inflates to more than it can hold; the rest is left out" in m]
    assert len(nic.entity_bytes("path_mtu")) == 64 << 20
    assert nic.entities_table().values("size") == [None]


def test_checking_a_memory_image_does_not_hold_it_whole() -> None:
    stream = bomb(1 << 20)
    nic = cudbg(Entity(EDC0, stored=(piece_header(1 << 20, len(stream)) + stream) * 80)).open()
    tracemalloc.start()
    nic.check()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (peak < 8 << 20, list(nic.problems)) == (True, [])


class Counted:
    """Bytes that count how many of them are looked at."""

    def __init__(self, data: bytes) -> None:
        self.data, self.count = memoryview(data), 0

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, key: slice) -> memoryview:
        part = self.data[key]
        self.count += len(part)
        return part


TINY = deflate(b"x")


@pytest.mark.parametrize(("size", "packed"), [(1, len(TINY)), (1, 1 << 20), (1 << 20, 1 << 20), (1 << 20, 1)])
@pytest.mark.parametrize("damaged", [False, True])
def test_work_grows_with_the_entity_and_no_faster(size: int, packed: int, damaged: bool) -> None:
    """Thousands of tiny pieces whose headers lie: each may make the reader look ahead, but only a step."""
    stream = TINY[:-1] + bytes([TINY[-1] ^ damaged])
    looked = []
    for count in (500, 5000):
        stored = Counted((piece_header(size, packed) + stream) * count)
        found = framing.pieces(
            stored, LITTLE, pad=0, cut=False, limit=1 << 30, problems=Problems(), where="", offset=0  # type: ignore[arg-type]
        )  # fmt: skip
        for _ in found:
            pass
        looked.append(stored.count)
    assert looked[1] <= 12 * looked[0]
    assert looked[1] <= 5000 * 20000


def test_a_stream_that_takes_bytes_and_gives_none_is_given_up() -> None:
    empty_blocks = b"\x78\x01" + b"\0\0\0\xff\xff" * 1_000_000  # 5 MB of stored blocks without content
    stored = Counted(piece_header(1, 8) + empty_blocks)
    found = framing.pieces(
        stored, LITTLE, pad=0, cut=False, limit=1 << 30, problems=Problems(), where="", offset=0  # type: ignore[arg-type]
    )  # fmt: skip
    assert next(found).data == b""
    assert stored.count < 2 << 20


def test_headers_that_all_claim_the_same_bytes_do_not_multiply_the_work() -> None:
    data = (piece_header(1, len(TINY)) + TINY) * 200
    built = cudbg(Entity(MBOX_LOG, stored=data + bytes(-len(data) % 4)))
    for number in range(1, 73):
        built.set_entity(number, entity_type=number, start_offset=built.offsets[MBOX_LOG], size=len(data))
    nic = built.open()
    assert sum(size is not None for size in nic.entities_table().values("size")) <= 4
    assert [m for m in messages(nic) if "too many entities claim the same bytes" in m]


def test_an_entity_whose_pieces_are_all_damaged_is_given_up_at_last() -> None:
    stream = TINY[:-1] + b"\0"
    nic = cudbg(Entity(EDC0, stored=(piece_header(1, len(stream)) + stream) * 600)).open()
    assert len(nic.entity_bytes("edc0")) == framing.MOST_DAMAGED
    assert [m for m in messages(nic) if "the rest is not tried" in m]


@pytest.mark.parametrize("order", ORDERS)
def test_sizes_of_2_to_the_63_are_not_believed(order: str) -> None:
    stored = struct.pack(MARK[order] + "IIQQ256x", 17, 0, 1 << 63, 1 << 63) + bytes(100)
    nic = cudbg(Entity(EDC0, stored=stored), Entity(VPD_DATA, b"other"), order=order).open()
    assert contents(nic) == {EDC0: b"", VPD_DATA: b"other"}
    assert nic.entities_table().values("size") == [None, 5]
    assert messages(nic)


# -- registers of a damaged piece -------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("index", [0, 2, 5])
def test_registers_of_a_damaged_piece_are_missing_and_the_others_right(index: int, order: str) -> None:
    built = cudbg(Entity(REG_DUMP, numbered_reg_dump(order=order)), order=order)
    piece = built.pieces(REG_DUMP)[index]
    nic = built.flip(piece.stream + 20).open()
    rows = list(zip(nic.registers_table().values("address"), nic.registers_table().values("value"), strict=True))
    assert len(rows) == 10322
    for address, value in rows:
        assert value == (None if piece.first <= address < piece.last else address + 1)


@pytest.mark.parametrize("order", ORDERS)
def test_registers_behind_a_cut_are_missing_and_not_zero(order: str) -> None:
    built = cudbg(Entity(REG_DUMP, numbered_reg_dump(order=order)), order=order)
    piece = built.pieces(REG_DUMP)[1]
    nic = built.cut((piece.stream + piece.end) // 2).open()
    sound = nic.decoded("reg_dump").damaged[0][0]
    assert piece.first < sound < piece.last
    table = nic.registers_table()
    for address, value in zip(table.values("address"), table.values("value"), strict=True):
        assert value == (address + 1 if address + 4 <= sound else None)


def test_a_damaged_first_piece_leaves_the_firmware_state_unknown() -> None:
    built = cudbg(Entity(REG_DUMP, numbered_reg_dump()))
    built.flip(built.pieces(REG_DUMP)[0].stream + 20)
    nic = built.open()
    assert nic.firmware_state is None
    assert "firmware" not in nic.summary()


def test_a_damaged_second_piece_leaves_the_firmware_state_as_it_was() -> None:
    sound = cudbg(Entity(REG_DUMP, numbered_reg_dump()))
    damaged = cudbg(Entity(REG_DUMP, numbered_reg_dump()))
    damaged.flip(damaged.pieces(REG_DUMP)[1].stream + 20)
    assert damaged.open().firmware_state == sound.open().firmware_state
