"""makedumpfile's kdump-compressed files: notes and device dumps straight from the sub-header, memory as ranges."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import BIG, LITTLE, ORDERS, USUAL, CountingSource, Kdump, elf, note, notes, usual_kdump, usual_notes

import vmcoredd_lab as vl
from vmcoredd_lab.errors import OpenError

MACHINES = {
    "x86_64": {"bits": 64, "order": LITTLE, "machine": "x86_64"},
    "s390x": {"bits": 64, "order": BIG, "machine": "s390x"},
    "i386": {"bits": 32, "order": LITTLE, "machine": "i386"},
    "arm": {"bits": 32, "order": LITTLE, "machine": "armv7l"},
    "ppc": {"bits": 32, "order": BIG, "machine": "ppc"},
}


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> dict[str, Any]:
    return MACHINES[request.param]


def problems(core: vl.Vmcore) -> list[tuple[str, str]]:
    return [(row["severity"], row["where"]) for row in core.problems_table().records()]


def ranges(core: vl.Vmcore) -> list[tuple[str, int, int]]:
    table = core.segments_table()
    return list(zip(table.values("type"), table.values("paddr"), table.values("memsz"), strict=True))


# -- headers ----------------------------------------------------------------------------------------------------------


def test_width_and_byte_order_are_those_of_the_crashed_machine(machine: dict[str, Any]) -> None:
    core = vl.open_vmcore(usual_kdump(**machine))
    assert (core.format, core.byteorder) == ("kdump-compressed", machine["order"])
    assert core.container.bits == machine["bits"]
    assert core.container.block_size == 512  # type: ignore[attr-defined]
    assert problems(core) == []


@pytest.mark.parametrize(
    ("uname", "shown"), [("i686", "i386"), ("i586", "i386"), ("armv7l", "arm"), ("aarch64", "aarch64")]
)
def test_machines_have_one_name_in_every_container(uname: str, shown: str) -> None:
    assert vl.open_vmcore(Kdump(machine=uname, bits=64 if uname == "aarch64" else 32).build()).machine == shown


@pytest.mark.parametrize(("uname", "shown"), [("S390X", "s390x"), ("Unknown", "s390x"), ("", "s390x")])
def test_a_machine_that_qemu_names_otherwise_has_its_usual_name(uname: str, shown: str) -> None:
    core = vl.open_vmcore(usual_kdump(machine=uname, order="big"))
    assert (core.machine, core.container.bits, len(core.device_dumps)) == (shown, 64, 2)


def test_a_machine_that_nothing_tells_is_unknown() -> None:
    assert vl.open_vmcore(Kdump(machine="Unknown").build()).machine == "unknown"


@pytest.mark.parametrize("order", ORDERS)
def test_a_32_bit_sub_header_may_be_packed(order: str) -> None:
    core = vl.open_vmcore(usual_kdump(machine="Unknown", bits=32, order=order, packed=True))
    assert list(core.notes["owner"]) == USUAL
    assert dict(core.vmcoreinfo)["OSRELEASE"] == "6.1.0-test"
    assert problems(core) == []


def test_the_sub_header_of_diskdump_is_not_that_of_makedumpfile() -> None:
    data = usual_kdump(
        signature=b"DISKDUMP", frames="pxp.", header={"split": 1, "offset_note": 99, "size_note": 1 << 40}
    )
    core = vl.open_vmcore(data)
    assert problems(core) == [("warning", "sub-header")]
    assert "the older diskdump format records no notes" in core.problems_table().records()[0]["message"]
    assert ranges(core) == [("present", 0, 512), ("excluded", 512, 512), ("present", 1024, 512), ("absent", 1536, 512)]


def test_diskdump_of_all_memory_has_one_bitmap() -> None:
    whole = Kdump(signature=b"DISKDUMP", version=1, frames="pp.p").build()
    at = 512 * (1 + struct.unpack_from("<I", whole, 432)[0])
    data = bytearray(whole[: at + 512] + whole[at + 1024 :])
    struct.pack_into("<I", data, 436, 1)
    assert ranges(vl.open_vmcore(bytes(data))) == [("present", 0, 1024), ("absent", 1024, 512), ("present", 1536, 512)]


def test_the_page_size_may_be_64_kib() -> None:
    data = usual_kdump(block_size=65536, machine="aarch64")
    core = vl.open_vmcore(data)
    assert core.notes_table().values("desc_offset")[0] == 0x10068 + 20 == data.index(b"one_0000")


@pytest.mark.parametrize("version", [4, 5, 6])
def test_notes_are_the_kernels_byte_for_byte(machine: dict[str, Any], version: int) -> None:
    data = usual_kdump(version=version, **machine)
    core = vl.open_vmcore(data)
    table = core.notes_table()
    assert table.values("owner") == USUAL
    assert table.values("desc_offset")[0] == data.index(b"one_0000:02:00.4")
    assert "pid 1234" in table.values("summary")[2]
    assert [bytes(dump.data) for dump in core.device_dumps] == [b"first dump " * 9, b"second dump " * 7]
    assert core.vmcoreinfo["OSRELEASE"] == "6.1.0-test"
    assert problems(core) == []


@pytest.mark.parametrize("version", [1, 2, 3])
def test_before_version_4_there_are_no_notes_and_a_warning(machine: dict[str, Any], version: int) -> None:
    core = vl.open_vmcore(usual_kdump(version=version, **machine))
    assert len(core.notes) == len(core.device_dumps) == 0
    assert problems(core) == [("warning", "sub-header")]
    assert core.container.cpu_count() == 2
    assert core.container.segment_count() == len(core.segments) == 4


def test_version_3_has_vmcoreinfo_all_the_same(machine: dict[str, Any]) -> None:
    assert vl.open_vmcore(usual_kdump(version=3, **machine)).vmcoreinfo["PAGESIZE"] == "4096"
    assert not vl.open_vmcore(usual_kdump(version=2, **machine)).vmcoreinfo


def test_the_older_signature_is_known() -> None:
    assert list(vl.open_vmcore(usual_kdump(signature=b"DISKDUMP")).notes["owner"]) == USUAL


def test_utsname_ends_at_its_first_nul() -> None:
    core = vl.open_vmcore(usual_kdump(release="6.1\0stale", machine="x86_64\0stale"))
    assert (core.container.identity()["release"], core.machine) == ("6.1", "x86_64")


@pytest.mark.parametrize("status", [0x8, 0x9, 0x28])
def test_a_dump_marked_incomplete_is_damaged(status: int) -> None:
    core = vl.open_vmcore(usual_kdump(status=status))
    assert problems(core) == [("error", "header")]
    assert list(core.notes["owner"]) == USUAL


@pytest.mark.parametrize(
    ("status", "name"),
    [(0, "none"), (1, "zlib"), (2, "lzo"), (4, "snappy"), (0x20, "zstd"), (0x30, "excluded vmemmap, zstd")],
)
def test_the_compression_is_in_the_status(status: int, name: str) -> None:
    assert vl.open_vmcore(usual_kdump(status=status)).container.identity()["compression"] == name


@pytest.mark.parametrize("version", [0, 7, 0x01000000 + 1, 0xFFFFFFFF])
def test_a_version_nobody_knows_is_refused(version: int) -> None:
    data = bytearray(usual_kdump())
    data[8:12] = version.to_bytes(4, "little")
    with pytest.raises(OpenError, match="header version"):
        vl.open_vmcore(bytes(data))


@pytest.mark.parametrize("size", [0, 1, 500, 4097, 1 << 21, 0xFFFFFFFF])
def test_a_page_size_that_cannot_be_is_refused(machine: dict[str, Any], size: int) -> None:
    with pytest.raises(OpenError, match="page size"):
        vl.open_vmcore(usual_kdump(header={"block_size": size}, **machine))


def test_the_width_is_told_by_the_machine_where_the_numbers_allow_both() -> None:
    ambiguous = Kdump(
        frames="p" * 4096, bits=32, machine="i386"
    )  # max_mapnr is where 64-bit machines have the page size
    assert vl.open_vmcore(ambiguous.build()).container.bits == 32


def test_an_impossible_page_size_is_told_with_its_place(machine: dict[str, Any]) -> None:
    with pytest.raises(OpenError) as error:
        vl.open_vmcore(usual_kdump(header={"block_size": 4097}, **{**machine, "bits": 64}))
    assert (error.value.offset, error.value.got) == (428, "4097")


# -- memory -----------------------------------------------------------------------------------------------------------

DRAWINGS = ["p", ".", "x", "pppp", "p.xp", "....ppxx", "xxxxxxxxp", "p" * 17, "." * 15 + "p", "px" * 40, ".xp" * 1400]


@pytest.mark.parametrize("frames", DRAWINGS, ids=lambda drawing: drawing[:20])
def test_the_bitmaps_tell_present_excluded_and_absent_ranges(machine: dict[str, Any], frames: str) -> None:
    declared = Kdump(frames=frames, **machine)
    assert ranges(vl.open_vmcore(declared.build())) == declared.drawn()


def test_a_range_has_its_first_descriptor_its_bytes_and_no_addresses_that_pages_lack() -> None:
    data = Kdump(frames="..pppxxp").build()
    segments = vl.open_vmcore(data).segments
    assert list(segments["type"]) == ["absent", "present", "excluded", "present"]
    first, second = segments["offset"][1], segments["offset"][3]
    assert second - first == 3 * 24
    at = int.from_bytes(data[int(second) : int(second) + 8], "little")
    assert data[at : at + 512] == b"\7" * 512  # the page of frame 7, as the builder fills it
    assert segments["offset"].isna().tolist() == [True, False, True, False]
    assert list(segments["filesz"]) == [0, 3 * 512, 0, 512]
    assert segments[["vaddr", "flags", "align"]].isna().all(axis=None)


def test_columns_that_are_missing_do_not_share_memory() -> None:
    segments = vl.open_vmcore(usual_kdump()).segments
    segments.loc[0, "vaddr"] = 7
    assert segments[["flags", "align"]].isna().all(axis=None)


def test_frames_beyond_32_bits_are_counted_in_the_sub_header() -> None:
    declared = Kdump(frames="pp.x" * 300, header={"max_mapnr": 4})
    assert ranges(vl.open_vmcore(declared.build())) == declared.drawn()


@pytest.mark.parametrize("frames", [1 << 40, (1 << 64) - 1])
def test_more_frames_than_the_bitmaps_have_bits_are_none(frames: int) -> None:
    core = vl.open_vmcore(Kdump(frames="p.x", header={"max_mapnr_64": frames}).build())
    assert sum(size for _, _, size in ranges(core)) == 512 * 8 * 512
    assert ranges(core)[:3] == [("present", 0, 512), ("absent", 512, 512), ("excluded", 1024, 512)]


# -- split ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "shown"),
    [
        ((0, 5), [("present", 0, 2), ("excluded", 2, 2), ("present", 4, 1)]),
        ((5, 12), [("present", 5, 2), ("absent", 7, 1), ("present", 8, 4)]),
        ((9, 10), [("present", 9, 1)]),
        ((5, 5), []),
    ],
)
def test_one_part_of_a_split_dump_has_the_page_frames_of_its_range(
    split: tuple[int, int], shown: list[tuple[str, int, int]]
) -> None:
    core = vl.open_vmcore(usual_kdump(frames="ppxxppp.pppp", split=split))
    assert ranges(core) == [(kind, first * 512, count * 512) for kind, first, count in shown]
    assert list(core.notes["owner"]) == USUAL
    assert problems(core) == [("info", "sub-header")]


@pytest.mark.parametrize(("version", "ignored"), [(2, "start_pfn_64"), (5, "start_pfn_64"), (6, "start_pfn")])
def test_the_range_of_a_part_is_where_its_version_has_it(machine: dict[str, Any], version: int, ignored: str) -> None:
    lie = {ignored: 0, ignored.replace("start", "end"): 1}
    core = vl.open_vmcore(Kdump(frames="p" * 12, split=(5, 9), version=version, header=lie, **machine).build())
    assert ranges(core) == [("present", 5 * 512, 4 * 512)]


def test_version_1_knows_no_parts() -> None:
    assert ranges(vl.open_vmcore(Kdump(frames="pp", split=(1, 2), version=1).build())) == [("present", 0, 1024)]


def test_the_descriptors_of_a_part_begin_with_its_own_first_page() -> None:
    data = Kdump(frames="pppp.pp", split=(3, 7)).build()
    segments = vl.open_vmcore(data).segments
    at = int.from_bytes(data[int(segments["offset"][0]) :][:8], "little")
    assert data[at] == 3


@pytest.mark.parametrize("split", [(9, 3), (1 << 60, 1 << 61), (0, (1 << 64) - 1)])
def test_a_part_that_cannot_be_does_no_harm(split: tuple[int, int]) -> None:
    whole = usual_kdump(frames="p" * 12, header={"split": 1, "start_pfn_64": split[0], "end_pfn_64": split[1]})
    core = vl.open_vmcore(whole)
    assert len(core.segments) <= 1
    assert list(core.notes["owner"]) == USUAL


# -- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [8, 11, 12, 400, 424, 463])
def test_a_file_cut_in_block_0_is_refused(length: int) -> None:
    with pytest.raises(OpenError) as error:
        vl.open_vmcore(usual_kdump()[:length])
    assert error.value.expected is not None
    assert error.value.hint is not None
    if length > 11:
        assert (error.value.offset, error.value.got) == (length, f"{length} bytes")


@pytest.mark.parametrize("length", [464, 512, 615])
def test_a_file_cut_in_its_sub_header_says_so(length: int) -> None:
    core = vl.open_vmcore(usual_kdump()[:length])
    assert len(core.notes) == 0
    assert ("error", "sub-header") in problems(core)
    assert core.container.identity()["release"] == "6.1.0-test"


def test_a_file_cut_in_its_notes_keeps_those_before() -> None:
    data = usual_kdump()
    core = vl.open_vmcore(data[: data.index(b"OSRELEASE=") - 30])
    assert list(core.notes["owner"]) == USUAL[:4]
    assert ("error", "notes") in problems(core)


@pytest.mark.parametrize(("back", "where"), [(1, "pages"), (512 * 2, "pages"), (512 * 2 + 1, "page descriptors"),
                                             (512 * 2 + 48, "page descriptors"), (512 * 2 + 49, "bitmaps")])  # fmt: skip
def test_a_file_cut_behind_its_notes_has_all_of_them_and_says_what_is_lost(back: int, where: str) -> None:
    core = vl.open_vmcore(usual_kdump()[:-back])
    assert list(core.notes["owner"]) == USUAL
    assert problems(core) == [("error", where)]


@pytest.mark.parametrize("header", [{"offset_note": 1 << 63}, {"offset_note": 1 << 40, "size_note": 1 << 63}])
def test_notes_that_cannot_be_where_the_sub_header_says_are_a_problem(header: dict[str, int]) -> None:
    core = vl.open_vmcore(usual_kdump(header=header))
    assert len(core.notes) == 0
    assert ("error", "sub-header") in problems(core)
    assert core.vmcoreinfo["OSRELEASE"] == "6.1.0-test"  # its own place is in the sub-header too


@pytest.mark.parametrize("size", [1 << 63, 4096])
def test_notes_are_read_up_to_the_bitmaps(size: int) -> None:
    core = vl.open_vmcore(usual_kdump(header={"size_note": size}))
    assert list(core.notes["owner"]) == USUAL
    assert problems(core) == [("error", "sub-header")]


@pytest.mark.parametrize("header", [{"sub_hdr_size": 0xFFFFFFFF}, {"bitmap_blocks": 0xFFFFFFFF}, {"bitmap_blocks": 0}])
def test_sizes_that_cannot_be_leave_the_notes(header: dict[str, int]) -> None:
    core = vl.open_vmcore(usual_kdump(header=header))
    assert list(core.notes["owner"]) == USUAL
    core.segments_table()
    core.problems_table()


def test_a_vmcoreinfo_that_cannot_be_is_empty() -> None:
    core = vl.open_vmcore(usual_kdump(version=3, header={"offset_vmcoreinfo": 1 << 63, "size_vmcoreinfo": 1 << 63}))
    assert dict(core.vmcoreinfo) == {}


# -- opening reads headers only ---------------------------------------------------------------------------------------


def test_opening_reads_no_bitmap_and_no_page() -> None:
    head = usual_kdump(header={"bitmap_blocks": 1 << 16, "max_mapnr_64": 1 << 32})
    source = CountingSource(head, 1 << 40)
    core = vl.open_vmcore(source)
    assert list(core.notes_table().values("owner")) == USUAL
    assert len(core.device_dumps) == 2
    assert source.count < 4096


# -- files of real kernels --------------------------------------------------------------------------------------------

MINI = "vmcore/x86_64-mini/"
SAME_CRASH = ["vmcore.d31.kdump.xz", "vmcore.d31-lzo.kdump.xz", "vmcore.d31-zstd.kdump", "vmcore.d31.elf.xz",
              "vmcore.split1.kdump", "vmcore.split2.kdump"]  # fmt: skip


@pytest.mark.parametrize("name", SAME_CRASH)
def test_one_crash_gives_the_same_notes_and_dumps_in_every_container(
    unpacked: Callable[[str], Path], name: str
) -> None:
    whole, other = vl.open_vmcore(unpacked(MINI + "vmcore.elf.xz")), vl.open_vmcore(unpacked(MINI + name))
    columns = ["owner", "type", "type_name", "desc_size", "cpu", "summary"]
    assert other.notes[columns].equals(whole.notes[columns])
    assert [d.name for d in other.device_dumps] == [d.name for d in whole.device_dumps]
    assert [bytes(d.data) for d in other.device_dumps] == [bytes(d.data) for d in whole.device_dumps]
    assert dict(other.vmcoreinfo) == dict(whole.vmcoreinfo)
    assert other.machine == whole.machine


@pytest.mark.parametrize("crash", ["x86_64-mini", "arm64", "i386"])
def test_dumps_of_real_kernels_are_what_the_driver_gave(
    shared_data: Path, unpacked: Callable[[str], Path], crash: str
) -> None:
    core = vl.open_vmcore(unpacked(f"vmcore/{crash}/vmcore.elf.xz"))
    order = (shared_data / "vmcore" / crash / "dumps-order.txt").read_text().split()
    assert [dump.name for dump in core.device_dumps] == order
    for dump in core.device_dumps:
        given = (shared_data / "vmcore" / crash / "dumps" / dump.name).read_bytes()
        assert bytes(dump.data) == given.ljust(dump.size, b"\0")


def test_the_ranges_of_a_split_dump_together_are_those_of_the_whole(unpacked: Callable[[str], Path]) -> None:
    whole = vl.open_vmcore(unpacked(MINI + "vmcore.d31.kdump.xz"))
    parts = [vl.open_vmcore(unpacked(f"{MINI}vmcore.split{i}.kdump")) for i in (1, 2)]

    def frames(core: vl.Vmcore) -> dict[int, str]:
        return {at: kind for kind, start, size in ranges(core) for at in range(start, start + size, 4096)}

    assert frames(parts[0]).keys().isdisjoint(frames(parts[1]).keys())
    assert frames(parts[0]) | frames(parts[1]) == frames(whole)
    assert all(("info", "sub-header") in problems(core) for core in parts)


@pytest.mark.parametrize("name", ["x86_64-story/vmcore.d31-zlib.kdump", "x86_64-cudbg/vmcore.d31-zlib.kdump",
                                  "arm64/vmcore.d31-zlib.kdump"])  # fmt: skip
def test_sound_files_of_real_kernels_have_no_problems(unpacked: Callable[[str], Path], name: str) -> None:
    core = vl.open_vmcore(unpacked(f"vmcore/{name}"))
    assert [
        row for row in core.problems_table().records() if row["where"] in ("header", "sub-header", "pages", "notes")
    ] == []


def test_a_machine_without_a_clock_is_not_in_1970(unpacked: Callable[[str], Path]) -> None:
    info = vl.open_vmcore(unpacked("vmcore/arm64/vmcore.d31-zlib.kdump")).vmcoreinfo
    assert (info.crash_seconds, info.crash_time) == (1, None)


def test_the_sample_is_what_people_have(sample: Path) -> None:
    core = vl.open_vmcore(sample)
    assert core.format == "kdump-compressed"
    assert [dump.driver for dump in core.device_dumps] == ["cxgb4"] * len(core.device_dumps)
    assert len(core.device_dumps) >= 1


# -- what makedumpfile erased -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [5, 6])
def test_what_makedumpfile_erased_is_listed(machine: dict[str, Any], version: int) -> None:
    core = vl.open_vmcore(usual_kdump(**machine, version=version, erased=b"erase jiffies\nerase \x1b[2J 8\n"))
    assert core.eraseinfo == ("erase jiffies", "erase \\x1b[2J 8")
    assert core.notes_table().attrs["note"].endswith("erase jiffies; erase \\x1b[2J 8")
    assert problems(core) == []


def test_before_version_5_nothing_says_what_was_erased() -> None:
    assert vl.open_vmcore(usual_kdump(version=4, erased=b"erase jiffies\n")).eraseinfo == ()


def test_an_elf_file_has_what_was_erased_in_a_note() -> None:
    core = vl.open_vmcore(elf(notes(usual_notes() + note(b"ERASEINFO\0", 0, b"erase jiffies\n"))))
    assert core.eraseinfo == ("erase jiffies",)
    assert core.notes_table().records()[-1]["summary"] == "erase jiffies"


@pytest.mark.parametrize(("place", "size"), [(1 << 62, 8), (0, 1 << 63), (100, 1 << 40)])
def test_a_list_of_what_was_erased_that_cannot_be_is_a_problem(place: int, size: int) -> None:
    core = vl.open_vmcore(usual_kdump(header={"offset_eraseinfo": place, "size_eraseinfo": size}))
    assert problems(core) == [("error", "sub-header")]
    assert len(core.device_dumps) == 2
