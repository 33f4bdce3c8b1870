"""The adapter's memory by address, and what comes out of its images: the firmware log's ring, and TCBs."""

from __future__ import annotations

import struct

import pytest
from cudbg_builder import DEV_LOG, EMPTY_SLOT, REG_DUMP, Entity, cudbg, log_entry, reg_dump
from cudbg_truth import shared
from entity_checks import genuine, unified_wire
from hypothesis import given
from hypothesis import strategies as st
from memory_builder import EDC0, EDC1, PIECE, STAG, TCBS, TPT, TX_PAYLOAD, image, meminfo, tcb

import vmcoredd_lab as vl
from vmcoredd_lab.devices.cxgb4.dev_log_ring import looks_like_log, ring

MEMINFO, EDC0_ENTITY, EDC1_ENTITY, MC0_ENTITY, MC1_ENTITY = 44, 18, 19, 20, 21
T5, T6 = 0x51, 0x60
SIZE = 0x4000
RING = 128 * 256  # the smallest ring


def built(regions=(), *, edc0=None, edc1=None, order="little", size=SIZE):
    """An adapter with two memories, one behind the other; without bytes their collection failed."""
    stored = meminfo([(0, size, EDC0), (size, 2 * size, EDC1)], regions, order=order)
    return cudbg(
        Entity(MEMINFO, stored),
        Entity(EDC0_ENTITY, edc0) if edc0 else Entity(EDC0_ENTITY, status=-19),
        Entity(EDC1_ENTITY, edc1) if edc1 else Entity(EDC1_ENTITY, status=-19),
        order=order,
    )


def refused(call, *words):
    with pytest.raises(vl.NotInFileError) as error:
        call()
    for word in words:
        assert word in str(error.value)


# -- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["little", "big"])
def test_an_address_is_in_a_memory_a_region_and_an_entity(order):
    memory = built([(0x1000, 0x1FFF, TPT), (SIZE + 0x800, 0, STAG)], edc0=image(SIZE), edc1=image(SIZE), order=order)
    place = memory.open().memory.resolve(SIZE + 0x804)
    assert (place.memory, place.region, place.entity, place.offset, place.collected) == (
        "EDC1", "STAG region", "edc1", 0x804, True,
    )  # fmt: skip
    assert memory.open().memory.resolve(0x2000).region is None


def test_of_regions_that_overlap_the_smallest_is_named():
    memory = built([(0, 0x2FFF, TPT), (0x1000, 0x1FFF, STAG)], edc0=image(SIZE)).open().memory
    assert [memory.resolve(at).region for at in (0xFFF, 0x1000, 0x1FFF, 0x2000)] == [
        "TPT region", "STAG region", "STAG region", "TPT region",
    ]  # fmt: skip


def test_bytes_are_read_across_memories():
    memory = built(edc0=image(SIZE), edc1=image(SIZE)).open().memory
    assert memory.read(SIZE - 4, 8) == struct.pack(">2I", SIZE - 3, 1)
    assert memory.read(0, 2 * SIZE) == image(SIZE) * 2
    assert memory.read(SIZE, 0) == b""


def test_an_address_outside_of_every_memory_is_an_error_that_lists_them():
    memory = built(edc0=image(SIZE), edc1=image(SIZE)).open().memory
    refused(lambda: memory.resolve(2 * SIZE), "0x8000", "EDC0 0x0 to 0x3fff")
    refused(lambda: memory.resolve(-1))
    refused(lambda: memory.read(2 * SIZE - 4, 8), "0x8000")
    refused(lambda: memory.read(0, 1 << 63))
    with pytest.raises(vl.UsageError):
        memory.read(0, -1)


def test_bytes_of_a_memory_that_was_not_collected_are_an_error_that_says_why():
    memory = built([(SIZE, 0, TPT)], edc0=image(SIZE)).open().memory
    assert memory.resolve(SIZE).collected is False
    assert memory.resolve(SIZE).region == "TPT region"
    refused(lambda: memory.read(SIZE - 4, 8), "edc1", "-19")


def test_payload_that_the_driver_left_out_is_not_there():
    size = 3 * PIECE
    memory = built([(0x100, 2 * PIECE + 1, TX_PAYLOAD)], edc0=image(size), size=size).open().memory
    assert [memory.resolve(at).collected for at in (PIECE - 1, PIECE, 2 * PIECE - 1, 2 * PIECE)] == [
        True, False, False, True,
    ]  # fmt: skip
    refused(lambda: memory.read(PIECE - 8, 16), f"{PIECE:#x}", "payload")
    assert memory.read(2 * PIECE, 4) == struct.pack(">I", 2 * PIECE + 1)


def test_a_damaged_piece_costs_its_own_bytes():
    dump = built(edc0=image(3 * PIECE), size=3 * PIECE)
    memory = dump.flip(dump.pieces(EDC0_ENTITY)[1].stream + 20).open().memory
    assert memory.read(0, PIECE) == image(PIECE)
    assert memory.resolve(PIECE).collected is False
    refused(lambda: memory.read(PIECE, 4), "damaged")


def test_an_image_shorter_than_its_memory_has_what_it_has():
    memory = built(edc0=image(0x1000)).open().memory
    assert memory.read(0xFFC, 4) == struct.pack(">I", 0xFFD)
    refused(lambda: memory.read(0xFFC, 8), "0x1000", "behind the end")


def test_the_map_lists_memories_then_regions_with_entity_and_offset():
    map_ = (
        built([(SIZE - 0x800, SIZE + 0x7FF, TPT), (SIZE + 0x800, SIZE + 0xFFF, STAG)], edc0=image(SIZE))
        .open()
        .memory_map
    )
    columns = ["kind", "name", "memory", "entity", "offset", "base", "size", "collected"]
    assert map_[columns].values.tolist() == [
        ["memory", "EDC0", "EDC0", "edc0", 0, 0, SIZE, SIZE],
        ["memory", "EDC1", "EDC1", "edc1", 0, SIZE, SIZE, 0],
        ["region", "TPT region", "EDC0", "edc0", SIZE - 0x800, SIZE - 0x800, 0x800, 0x800],
        ["region", "TPT region", "EDC1", "edc1", 0, SIZE, 0x800, 0],
        ["region", "STAG region", "EDC1", "edc1", 0x800, SIZE + 0x800, 0x800, 0],
    ]
    assert map_["limit"].tolist()[:2] == [SIZE - 1, 2 * SIZE - 1]


def test_a_region_in_no_memory_is_in_the_map_without_one():
    (row,) = [
        r for r in built([(9 * SIZE, 9 * SIZE + 1, TPT)]).open().memory_map_table().records() if r["kind"] == "region"
    ]
    assert (row["memory"], row["offset"], row["collected"]) == (None, None, 0)


@pytest.mark.parametrize(("chip", "name"), [(T5, "MC0"), (T6, "MC")])
def test_without_meminfo_memories_lie_one_behind_another_as_the_driver_reads_them(chip, name):
    nic = cudbg(
        Entity(EDC0_ENTITY, image(SIZE)),
        Entity(EDC1_ENTITY, status=-19),
        Entity(MC0_ENTITY, image(2 * SIZE)),
        chip=chip,
    ).open()
    assert nic.memory_map["name"].tolist() == ["EDC0", name]
    assert "no usable MEMINFO" in nic.memory_map.attrs["note"]
    assert nic.memory.read(2 * SIZE, 4) == struct.pack(">I", 1)
    refused(lambda: nic.memory.resolve(SIZE))
    refused(lambda: nic.tcbs, "MEMINFO")


def test_on_t5_mc1_lies_behind_mc0():
    images = [Entity(n, image(SIZE)) for n in (EDC0_ENTITY, EDC1_ENTITY, MC0_ENTITY, MC1_ENTITY)]
    assert cudbg(*images, chip=T5).open().memory_map["base"].tolist() == [0, SIZE, 2 * SIZE, 3 * SIZE]


def test_without_meminfo_and_edc0_nothing_tells_an_address():
    nic = cudbg(Entity(EDC1_ENTITY, image(SIZE))).open()
    assert len(nic.memory_map) == 0
    refused(lambda: nic.memory.resolve(0), "EDC0")


def test_bytes_that_are_zero_without_meminfo_are_not_given_as_the_memorys():
    nic = cudbg(Entity(EDC0_ENTITY, image(PIECE) + bytes(PIECE))).open()
    assert nic.memory.resolve(PIECE).collected is None
    assert nic.memory_map["collected"].tolist() == [PIECE]
    refused(lambda: nic.memory.read(PIECE, 4), "entity_bytes('edc0')")


@given(stored=st.binary(max_size=600) | st.binary(min_size=552, max_size=552).map(lambda b: meminfo()[:8] + b),
       address=st.integers(-1, 1 << 33), size=st.integers(0, 1 << 40))  # fmt: skip
def test_whatever_meminfo_says_the_answer_is_bytes_or_that_they_are_not_there(stored, address, size):
    nic = cudbg(Entity(MEMINFO, stored), Entity(EDC0_ENTITY, image(0x1000)), Entity(EDC1_ENTITY, image(0x1000))).open()
    assert len(nic.memory_map_table()) <= 6 + 4 * 27
    for ask in (lambda: nic.memory.resolve(address), lambda: nic.memory.read(address, size), nic.tcbs_table):
        try:
            ask()
        except vl.NotInFileError:
            continue


# -- TCBs -------------------------------------------------------------------------------------------------------------

FIELDS = {
    "l2t_ix": (0, 12, 0xABC), "smac_sel": (0, 24, 0x5A), "t_flags": (1, 0, 0x8002_0000_0040_0002), "rss_info": (3, 0, 0x3A5),
    "t_state": (3, 16, 4), "timestamp": (5, 0, 0xDEADBEEF), "rtt_ts_recent_age": (6, 0, 0x01020304),
    "t_rtseq_recent": (7, 0, 0x05060708), "tx_max": (9, 0, 0xFEDCBA98), "snd_una_raw": (10, 0, 0x1234567),
    "snd_nxt_raw": (10, 28, 0xFEDCBA9), "snd_max_raw": (11, 24, 0xABCDEF1), "rcv_nxt": (16, 10, 0x87654321),
    "rcv_wnd": (17, 10, 0xCAFE01), "rx_frag2_ptr_raw": (27, 0, 0x11223344), "rx_frag3_len_raw": (29, 0, 0xC0A80001),
    "rq_start": (30, 0, 0x2AAAAAA), "pdu_hdr_len": (31, 0, 0x00500051),
}  # fmt: skip
ONE = tcb({(word, shift): value for word, shift, value in FIELDS.values()})


def test_a_tcbs_fields_are_where_the_kernel_has_them():
    nic = built([(0x1000, 0x11FF, TCBS)], edc0=image(SIZE, {0x1000: bytes(128) + ONE})).open()
    assert nic.tcbs["tid"].tolist() == [0, 1, 2, 3]
    assert nic.tcbs["address"].tolist() == [0x1000, 0x1080, 0x1100, 0x1180]
    row = nic.tcbs_table().records()[1]
    assert {name: row[name] for name in FIELDS} == {name: value for name, (_, _, value) in FIELDS.items()}
    assert row["state"] == "ESTABLISHED"
    assert {name for name, value in row.items() if value is True} == {
        "tf_non_offload",
        "tf_drop",
        "tf_rx_pdu_out",
        "tf_core_bypass",
    }
    assert nic.tcbs.attrs["entities"] == ["edc0"]


def test_a_field_ends_where_the_next_begins():
    (row,) = built([(0, 127, TCBS)], edc0=image(SIZE, {0: b"\xff" * 128})).open().tcbs_table().records()
    widths = {name: int(row[name]).bit_length() for name in FIELDS}
    assert widths == {
        "l2t_ix": 12, "smac_sel": 8, "t_flags": 64, "rss_info": 10, "t_state": 4, "timestamp": 32, "rtt_ts_recent_age": 32,
        "t_rtseq_recent": 32, "tx_max": 32, "snd_una_raw": 28, "snd_nxt_raw": 28, "snd_max_raw": 28, "rcv_nxt": 32,
        "rcv_wnd": 24, "rx_frag2_ptr_raw": 32, "rx_frag3_len_raw": 32, "rq_start": 26, "pdu_hdr_len": 32,
    }  # fmt: skip


def test_the_counters_of_a_filter_are_where_the_driver_reads_them():
    # get_filter_count(), cxgb4_filter.c: bytes as 64 bits at byte 16 of the TCB, packets as 32 bits at byte 24, big endian
    counters = bytes(16) + struct.pack(">QI", 0x0102030405060708, 99) + bytes(100)
    row = built([(0, 127, TCBS)], edc0=image(SIZE, {0: counters})).open().tcbs_table().records()[0]
    assert row["t_rtseq_recent"] << 32 | row["rtt_ts_recent_age"] == 0x0102030405060708
    assert row["timestamp"] == 99


def test_tcbs_of_a_region_in_two_memories_are_one_table():
    regions = [(SIZE - 0x100, SIZE + 0xFF, TCBS)]
    nic = built(regions, edc0=image(SIZE), edc1=image(SIZE, {0x80: ONE})).open()
    assert nic.tcbs["tid"].tolist() == [0, 1, 2, 3]
    assert nic.tcbs["tx_max"].tolist()[3] == 0xFEDCBA98
    assert nic.tcbs.attrs["entities"] == ["edc0", "edc1"]
    assert built(regions, edc1=image(SIZE)).open().tcbs["tid"].tolist() == [2, 3]


def test_a_tcb_of_which_bytes_are_missing_is_no_row():
    size = 3 * PIECE
    dump = built([(PIECE - 0x110, PIECE + 0xFF, TCBS)], edc0=image(size), size=size)
    dump.flip(dump.pieces(EDC0_ENTITY)[0].stream + 20)
    assert dump.open().tcbs["tid"].tolist() == [3]


def test_tcbs_whose_memory_was_not_collected_are_an_error_that_says_why():
    refused(lambda: built([(0, 127, TCBS)]).open().tcbs, "edc0", "-19")
    refused(lambda: built([(0, 127, TPT)], edc0=image(SIZE)).open().tcbs, "no memory region TCBs", "TPT region")
    refused(lambda: built([(9 * SIZE, 9 * SIZE + 127, TCBS)], edc0=image(SIZE)).open().tcbs, "no memory")


# -- the firmware log -------------------------------------------------------------------------------------------------


def register(entries=128, offset=0x10000, memory=0):
    return (entries // 128 - 1) << 28 | (offset >> 4) << 4 | memory


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (register(128, 0x10000, 0), ("edc0", 0x10000, 32 << 10)),
        (register(2048, 0xFFFFFF0, 1), ("edc1", 0xFFFFFF0, 512 << 10)),
        (register(256, 0x10, 2), ("mc0", 0x10, 64 << 10)),
        (register(128, 0x10, 7), ("hma", 0x10, 32 << 10)),
        (register(128, 0x10, 4), None),  # flash
        (register(128, 0, 0), None),
        (0xFFFFFFFF, None),
        (0, None),
    ],
)
def test_the_register_says_where_the_ring_is(word, said):
    found = ring(word)
    assert (None if found is None else (found.entity, found.offset, found.size)) == said


NO_LOG = Entity(DEV_LOG, status=-29, sys_err=-6)


def logging(content, word=None, *, order="little", log=(NO_LOG,)):
    """An adapter whose log was not collected; `content` stands in EDC0 at 0x10000, where the register says."""
    size = 2 * PIECE
    registers = reg_dump({0x30D8: register() if word is None else word}, order=order)
    return cudbg(Entity(REG_DUMP, registers), Entity(EDC0_ENTITY, image(size, {0x10000: content})), *log, order=order)


LOG = b"".join(log_entry(n, f"entry {n}") for n in (7, 8, 5, 6)).ljust(RING, b"\0")


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("log", [(), (NO_LOG,)])
def test_a_log_that_was_not_collected_is_read_from_memory(order, log):
    nic = logging(LOG, order=order, log=log).open()
    assert nic.firmware_log["message"].tolist() == ["entry 5", "entry 6", "entry 7", "entry 8"]
    assert nic.firmware_log["offset"].tolist()[0] == 0x10000 + 512
    assert nic.firmware_log.attrs["entity"] == "edc0"
    assert "edc0 at 0x10000" in nic.firmware_log.attrs["note"]


def test_a_log_that_was_collected_is_not_looked_for_in_memory():
    nic = logging(LOG, log=[Entity(DEV_LOG, log_entry(1, "collected") + EMPTY_SLOT)]).open()
    assert nic.firmware_log["message"].tolist() == ["collected"]
    assert "note" not in nic.firmware_log.attrs


def test_the_entity_is_still_not_there():
    refused(lambda: logging(LOG).open().entity("dev_log"), "-6")


@pytest.mark.parametrize(
    ("content", "word", "why"),
    [
        (image(RING), None, "no log stands in edc0 at 0x10000"),
        (bytes(RING), None, "no log stands"),
        (LOG, 0, "is 0x0"),
        (LOG, 0xFFFFFFFF, "is 0xffffffff"),
        (LOG, register(offset=0x8000), "no log stands"),
        (LOG, register(offset=0x100000), "no log stands"),
        (LOG, register(memory=1), "edc1"),
    ],
)
def test_a_ring_that_is_not_there_leaves_the_entitys_own_error(content, word, why):
    refused(lambda: logging(content, word).open().firmware_log, "entity dev_log holds no data", "-6", why)


def test_a_torn_entry_does_not_make_a_ring_unlikely_and_noise_does():
    entries = [log_entry(n) for n in range(20)]
    assert looks_like_log(b"".join(entries) + b"\xee" * 256)
    assert looks_like_log(b"".join(entries) + EMPTY_SLOT * 40)
    assert not looks_like_log(b"".join(entries[:4]) + b"\xee" * 1024)
    assert not looks_like_log(log_entry(1, level=9))
    assert not looks_like_log(log_entry(1, b""))
    assert not looks_like_log(log_entry(1, b"port\x01up"))
    assert not looks_like_log(b"text " * 256)
    assert not looks_like_log(b"")


def test_slots_in_a_damaged_piece_are_left_out_and_named():
    entries = b"".join(log_entry(n, f"entry {n}") for n in range(128))
    offset = PIECE * 2 - RING // 2  # the ring's second half lies in the third piece
    dump = cudbg(
        Entity(REG_DUMP, reg_dump({0x30D8: register(offset=offset)})),
        Entity(EDC0_ENTITY, image(3 * PIECE, {offset: entries})),
    )
    nic = dump.flip(dump.pieces(EDC0_ENTITY)[2].stream + 20).open()
    assert nic.firmware_log["seqno"].tolist() == list(range(64))
    assert "16,384 of its 32,768 bytes" in nic.firmware_log.attrs["note"]
    assert any("64 slots" in problem.message for problem in nic.problems)


# -- genuine dumps ----------------------------------------------------------------------------------------------------


def test_genuine_memories_are_read_by_address():
    for dump in genuine("edc1"):
        if dump.collected("MEMINFO"):
            memory, edc1 = dump.nic.memory, dump.nic.entity_bytes("edc1")
            place = memory.resolve(0x130010)
            assert (place.memory, place.region, place.entity, place.offset) == ("EDC1", "ULPTX state", "edc1", 0x30010)
            assert memory.read(0x130010, 64) == edc1[0x30010 : 0x30010 + 64], dump.name
            payload = memory.resolve(dump.model["memory_map_mb"]["tx_payload_base"] + 2 * PIECE)
            assert (payload.region, payload.collected) == ("Tx payload", False), dump.name


def test_a_dump_of_memories_alone_places_them_by_their_sizes():
    memory = shared("t5-memonly-zlib").nic.memory
    assert [(m.name, m.base) for m in memory.memories] == [("EDC0", 0), ("EDC1", 0x100000), ("MC0", 0x200000)]


def test_a_dump_without_room_for_memories_knows_what_lies_where_and_has_no_bytes():
    nic = shared("t6-small-zlib").nic
    assert nic.memory.resolve(0x40000).region == "TCBs"
    assert set(nic.memory_map["collected"]) == {0}
    refused(lambda: nic.tcbs, "edc0")


def test_an_adapter_off_the_bus_has_no_memories(shared_data):
    nic = shared("t6-dead-zlib").nic
    assert len(nic.memory_map) == 0
    refused(lambda: nic.firmware_log, "0xffffffff")


def without_log(blob):
    """The same dump, had the collection of DEV_LOG failed."""
    data = bytearray(blob)
    struct.pack_into("<Ii", data, 56 + 52 * (DEV_LOG - 1) + 8, 0, -29)
    return vl.open_device_dump(bytes(data)).decode()


@pytest.mark.parametrize(
    "name", ["t4-live-zlib", "t5-kdump-zlib", "t5-live-zlib", "t6-kdump-zlib", "t6-live-raw", "q-t6-fwcrash"]
)
def test_the_log_of_a_genuine_image_is_that_of_the_entity(name, shared_data):
    dump = shared(name)
    nic, columns = without_log(dump.blob), ["seqno", "timestamp", "level", "facility", "message"]
    assert nic.firmware_log[columns].equals(dump.nic.firmware_log[columns])
    assert nic.firmware_log.attrs["entity"] == ["edc0", "edc1", "mc0"][dump.model["devlog"]["memtype"]]
    assert len(nic.firmware_log) == min(dump.model["devlog"]["logged_total"], dump.model["devlog"]["nentries"])


def test_genuine_tcbs_are_one_for_each_128_bytes_of_their_region():
    for dump in genuine("edc0"):
        if dump.collected("MEMINFO"):
            assert dump.nic.tcbs_table().values("tid") == list(range(0x40000 // 128)), dump.name


def test_memory_of_a_unified_wire_dump_is_read_by_address(shared_data):
    nic = unified_wire()
    assert nic.memory.resolve(0x200000).collected is True
    assert nic.memory.read(0x200000, 64) == nic.entity_bytes("mc0")[:64]
    assert len(nic.tcbs) == 0x40000 // 128
