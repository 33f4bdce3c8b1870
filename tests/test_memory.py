"""Memory by address, in every container: the bytes that were there, or a reason why they cannot be had. Never zeros instead."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import (
    BIG,
    LITTLE,
    ORDERS,
    WIDTHS,
    CountingSource,
    Segment,
    elf,
    notes,
    usual_elf,
    usual_notes,
    vmcoreinfo,
)
from conftest import Answer
from pages_builder import Pages, page_of, pages

import vmcoredd_lab as vl
from vmcoredd_lab.containers.memory import MissingMemoryError
from vmcoredd_lab.errors import NotInFileError, UsageError
from vmcoredd_lab.kernel.linear import linear_maps

SIZE = 512
UPPER = 0xFFFF_8880_0000_0000


def memory(data: Any) -> Any:
    return vl.open_vmcore(data).memory


def missing(data: Any, address: int, size: int = 1, space: str = "physical") -> MissingMemoryError:
    with pytest.raises(MissingMemoryError) as error:
        memory(data).read(address, size, space)
    assert isinstance(error.value, NotInFileError)
    assert (error.value.exit_status, error.value.space) == (4, space)
    assert f"{error.value.address:#x}" in str(error.value)
    return error.value


def segments(*loads: Segment, **header: Any) -> bytes:
    return elf(notes(usual_notes()), *loads, **header)


# -- ELF: physical ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("order", ORDERS)
def test_a_segment_holds_its_bytes_at_its_physical_and_virtual_address(bits: int, order: str) -> None:
    held = memory(usual_elf(bits=bits, order=order))
    assert held.read(0x1003, 6) == held.read(0x80001003, 6, "virtual") == b"ory of"
    assert held.read(0x8000, 28) == b"memory of the second segment"
    assert held.read(0x8000, 0) == b""


def test_what_the_file_part_of_a_segment_does_not_reach_was_excluded() -> None:
    data = segments(Segment(b"x" * 100, paddr=0x1000, memsz=0x1000))
    assert memory(data).read(0x1000, 100) == b"x" * 100
    error = missing(data, 0x1000, 101)
    assert (error.reason, error.address) == ("excluded", 0x1064)
    assert "100 bytes before it" in str(error)
    assert missing(data, 0x1FFF).reason == "excluded"
    assert missing(data, 0x2000).reason == "absent"


def test_a_segment_without_bytes_was_excluded_whole() -> None:
    data = segments(Segment(paddr=0x4000, memsz=0x4000, offset=0))
    assert {missing(data, at).reason for at in (0x4000, 0x7FFF)} == {"excluded"}
    assert {missing(data, at).reason for at in (0x3FFF, 0x8000)} == {"absent"}


def test_neighbouring_segments_are_read_as_one() -> None:
    data = segments(Segment(b"b" * 10, paddr=0x100A), Segment(b"a" * 10, paddr=0x1000), Segment(b"c", paddr=0x1014))
    assert memory(data).read(0x1000, 21) == b"a" * 10 + b"b" * 10 + b"c"
    assert memory(data).read(0x1009, 2) == b"ab"


def test_where_segments_overlap_the_one_that_holds_the_byte_is_read() -> None:
    text = Segment(b"kernel text!", vaddr=0xFFFFFFFF81000000, paddr=0x1000, memsz=0x100)
    direct = Segment(b"........kernel text!" + b"behind" * 20, vaddr=UPPER + 0xFF8, paddr=0xFF8, memsz=0x1000)
    for pair in ((text, direct), (direct, text)):
        data = segments(*pair)
        assert memory(data).read(0x1000, 20) == b"kernel text!behindbe"
        assert memory(data).read(0xFF8, 24) == b"........kernel text!behi"
        assert memory(data).read(0xFFFFFFFF81000007, 5, "virtual") == b"text!"
        assert missing(data, 0xFF8 + 8 + 12 + 120).reason == "excluded"
        assert missing(data, 0xFFFFFFFF8100000C, 1, "virtual").reason == "excluded"


def test_of_two_copies_the_one_before_the_cut_is_read() -> None:
    whole = segments(Segment(b"first copy", paddr=0x1000), Segment(b"first copy, and more", paddr=0x1000))
    cut = whole[: -len("irst copy, and more")]
    assert memory(cut).read(0x1000, 10) == b"first copy"
    assert missing(cut, 0x1000, 11).reason == "cut"
    other = segments(Segment(b"other", paddr=0x1000, offset=1 << 40), Segment(b"other", paddr=0x1000))
    assert memory(other).read(0x1000, 5) == b"other"


def test_what_lies_behind_the_cut_is_cut() -> None:
    data = usual_elf()[:-10]
    error = missing(data, 0x8000, 28)
    assert (error.reason, error.address) == ("cut", 0x8000 + 18)
    assert error.got == f"{len(data):,} bytes"


@pytest.mark.parametrize("bits", WIDTHS)
def test_addresses_of_all_ones_are_none(bits: int) -> None:
    ones = (1 << bits) - 1
    data = segments(Segment(b"somewhere", vaddr=ones, paddr=0x1000), Segment(b"nowhere", vaddr=0x90000000, paddr=ones), bits=bits,
                    machine=3)  # fmt: skip
    assert memory(data).read(0x1000, 9) == b"somewhere"
    assert memory(data).read(0x90000000, 7, "virtual") == b"nowhere"
    assert missing(data, ones).reason == "absent"
    assert missing(data, ones, space="virtual").reason == "unmapped"


def test_the_same_address_twice_is_no_virtual_address() -> None:
    identity = Segment(b"QEMU without paging", vaddr=0x1000, paddr=0x1000)
    assert missing(segments(identity), 0x1000, space="virtual").reason == "unmapped"
    s390x = segments(identity, machine=22, order=BIG)  # there it is one
    assert memory(s390x).read(0x1000, 4, "virtual") == b"QEMU"


def test_a_segment_may_end_at_the_end_of_the_address_space() -> None:
    top = (1 << 64) - 16
    data = segments(Segment(b"the last 16 byte", vaddr=0x90000000, paddr=top))
    assert memory(data).read(top, 16) == b"the last 16 byte"
    with pytest.raises(UsageError):
        memory(data).read(top, 17)


def test_reading_one_place_again_looks_at_no_other_segment() -> None:
    data = segments(*(Segment(b"%08d" % i, paddr=i * 8) for i in range(2000)))
    source = CountingSource(data, len(data))
    held = vl.open_vmcore(source).memory
    assert held.read(8000, 4) == b"0000"
    source.count = 0
    assert held.read(8004, 4) == b"1000"
    assert source.count == 4


# -- all memory in order ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_all_memory_is_given_once_by_address(size: int) -> None:
    data = segments(
        Segment(b"cccc", paddr=0x3000, memsz=0x1000),
        Segment(b"aaaabbbb", paddr=0x1000),
        Segment(b"bb", paddr=0x1006),
        Segment(b"bbbbbb", paddr=0x1004),
        Segment(paddr=0x8000, memsz=0x1000),
    )
    found = list(memory(data).chunks(size))
    assert [address for address, _ in found] == sorted(address for address, _ in found)
    assert {a + i: piece[i : i + 1] for a, piece in found for i in range(len(piece))} == {
        **{0x1000 + i: b"a" for i in range(4)},
        **{0x1004 + i: b"b" for i in range(6)},
        **{0x3000 + i: b"c" for i in range(4)},
    }
    assert sum(len(piece) for _, piece in found) == 14


def test_all_memory_of_a_cut_vmcore_ends_at_the_cut() -> None:
    found = dict(memory(usual_elf()[:-10]).chunks())
    assert found == {0x1000: b"memory of the first segment", 0x8000: b"memory of the secon"[:18]}


@pytest.mark.parametrize("data", [usual_elf(), pages("ppp").build()], ids=["ELF", "kdump"])
def test_a_piece_holds_at_least_a_byte(data: bytes) -> None:
    with pytest.raises(UsageError):
        memory(data).chunks(0)


# -- questions that have no answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [usual_elf(), pages("ppp").build()], ids=["ELF", "kdump"])
@pytest.mark.parametrize(("address", "size", "space"), [(-1, 1, "physical"), (0, -1, "physical"), (1, 1 << 64, "physical"),
                                                        (0, 1, "virtually"), (0, 1, "")])  # fmt: skip
def test_what_cannot_be_asked_is_a_usage_error(data: bytes, address: int, size: int, space: str) -> None:
    with pytest.raises(UsageError):
        memory(data).read(address, size, space)


# -- virtual addresses through VMCOREINFO -----------------------------------------------------------------------------

START = 0xFFFFFFFF80000000  # __START_KERNEL_map


def kdump(text: str, frames: str = "p" * 64, **declared: Any) -> Pages:
    return Pages(vmcoreinfo("OSRELEASE=6.1\n" + text), frames, **declared)


def test_x86_64_text_is_shifted_by_phys_base() -> None:
    data = kdump(f"NUMBER(phys_base)={3 * SIZE}\n").build()
    assert memory(data).read(START + 5 * SIZE, SIZE, "virtual") == page_of(8, SIZE)


def test_phys_base_may_be_negative() -> None:
    data = kdump("NUMBER(phys_base)=-16777216\n").build()
    assert memory(data).read(START + 0x1000000 + SIZE, SIZE, "virtual") == page_of(1, SIZE)


def test_without_phys_base_in_vmcoreinfo_that_of_the_sub_header_counts() -> None:
    data = bytearray(kdump("").build())
    struct.pack_into("<q", data, SIZE, -2 * SIZE)
    assert memory(bytes(data)).read(START + 4 * SIZE, SIZE, "virtual") == page_of(2, SIZE)


@pytest.mark.parametrize(("size", "end"), [("NUMBER(KERNEL_IMAGE_SIZE)=1073741824\n", 1 << 30), ("", 512 << 20)])
def test_kernel_text_ends_where_modules_begin(size: str, end: int) -> None:
    data = kdump(f"NUMBER(phys_base)=0\n{size}").build()
    assert (
        missing(data, START + end - 1, space="physical").reason == "absent"
    )  # a physical address far behind the memory
    with pytest.raises(MissingMemoryError) as error:
        memory(data).read(START + end - 1, 1, "virtual")
    assert error.value.reason == "absent"
    assert missing(data, START + end, space="virtual").reason == "unmapped"
    assert missing(data, START + end - 1, 2, space="virtual").address == START + end


def test_the_linear_map_of_x86_64_begins_where_page_offset_base_points() -> None:
    text = f"NUMBER(phys_base)=0\nSYMBOL(page_offset_base)={START + 6 * SIZE + 8:x}\nNUMBER(MAX_PHYSMEM_BITS)=46\n"
    base = UPPER + (5 << 30)
    stored = bytes(8) + struct.pack("<Q", base) + bytes(SIZE - 16)
    data = kdump(text, codec="none", stored={6: stored}).build()
    assert memory(data).read(base + 9 * SIZE, SIZE, "virtual") == page_of(9, SIZE)
    assert missing(data, base - 1, space="virtual").reason == "unmapped"


def test_what_vmcoreinfo_lacks_is_named() -> None:
    error = missing(kdump("NUMBER(phys_base)=0\n").build(), UPPER, space="virtual")
    assert error.reason == "unmapped"
    assert "page_offset_base" in str(error)
    assert "kernel text 0xffffffff80000000" in str(error)
    assert "page tables: SYMBOL(swapper_pg_dir)" in str(error)
    nothing = Pages(b"", "ppp").build()
    assert "VMCOREINFO" in str(missing(nothing, START, space="virtual"))
    assert "mips64" in str(missing(kdump("A=1\n", machine="mips64", order=BIG).build(), START, space="virtual"))


def test_user_space_takes_the_page_tables() -> None:
    assert "user space" in str(missing(kdump("NUMBER(phys_base)=0\n").build(), 0x400000, space="virtual"))


def test_the_reason_behind_a_translation_is_that_of_the_page() -> None:
    data = kdump("NUMBER(phys_base)=0\n", frames="px.p").build()
    for frame, reason in ((1, "excluded"), (2, "absent")):
        with pytest.raises(MissingMemoryError) as error:
            memory(data).read(START + frame * SIZE, 1, "virtual")
        assert (error.value.reason, error.value.address, error.value.space) == (reason, frame * SIZE, "physical")


ARM64 = {
    "since 5.4": (0xFFFF_8000_0801_0000, 0xFFFF_0000_0000_0000),
    "before": (0xFFFF_0000_1008_1000, 0xFFFF_8000_0000_0000),
}


@pytest.mark.parametrize(("text", "linear"), ARM64.values(), ids=ARM64)
def test_arm64_has_its_linear_map_in_the_half_without_the_kernel(text: int, linear: int) -> None:
    image = text & ~0x1FFFFF
    lines = f"SYMBOL(_stext)={text:x}\nNUMBER(VA_BITS)=48\nNUMBER(kimage_voffset)={image - 4 * SIZE:#x}\n"
    data = kdump(f"{lines}NUMBER(PHYS_OFFSET)={SIZE:#x}\n", machine="aarch64").build()
    assert memory(data).read(image + 5 * SIZE, SIZE, "virtual") == page_of(9, SIZE)
    assert memory(data).read(linear + 5 * SIZE, SIZE, "virtual") == page_of(6, SIZE)
    assert missing(data, image - 1, space="virtual").reason == "unmapped"


def test_arm64_memory_may_begin_below_zero() -> None:
    """With a 52-bit kernel on a 48-bit machine memstart_addr wraps."""
    lines = (
        "SYMBOL(_stext)=ffff800008010000\nNUMBER(VA_BITS)=52\nNUMBER(TCR_EL1_T1SZ)=0x10\n"
        f"NUMBER(kimage_voffset)=0xffff800008000000\nNUMBER(PHYS_OFFSET)={(1 << 64) - (0xF << 48):#x}\n"
    )
    data = kdump(lines, machine="aarch64").build()
    assert memory(data).read(0xFFFF_0000_0000_0000 + 7 * SIZE, SIZE, "virtual") == page_of(7, SIZE)


@pytest.mark.parametrize("value", ["", "none", "0x", "-", "99999999999999999999999999", "1e9", "\\xff"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_numbers_in_vmcoreinfo_may_be_anything(machine: str, value: str) -> None:
    keys = ("phys_base", "KERNEL_IMAGE_SIZE", "page_offset_base", "MAX_PHYSMEM_BITS", "VA_BITS", "kimage_voffset",
            "PHYS_OFFSET", "TCR_EL1_T1SZ")  # fmt: skip
    info = {f"NUMBER({key})": value for key in keys} | {"SYMBOL(_stext)": value, "SYMBOL(page_offset_base)": value}
    maps, missing_ones = linear_maps(machine, info, None, lambda address, size: None)
    assert all(0 <= one.start < one.end <= 1 << 64 for one in maps)
    assert len(maps) + len(missing_ones) >= 2


# -- the command line -------------------------------------------------------------------------------------------------

TEXT = kdump(f"NUMBER(phys_base)={SIZE}\n", frames="pppx.p").build()
WAYS = {
    "ELF physical": (usual_elf(), ["--physical", "0x1000"], b"memory of the fi"),
    "ELF virtual": (usual_elf(), ["--virtual", "0x80008000"], b"memory of the se"),
    "kdump physical": (TEXT, ["--physical", hex(2 * SIZE)], page_of(2, SIZE)[:16]),
    "kdump virtual": (TEXT, ["--virtual", hex(START + SIZE)], page_of(2, SIZE)[:16]),
}


@pytest.mark.parametrize(("data", "arguments", "expected"), WAYS.values(), ids=WAYS)
def test_hexdump_shows_memory(
    lab: Callable[..., Answer], file: Callable[..., Path], data: bytes, arguments: list[str], expected: bytes
) -> None:
    answer = lab("hexdump", file(data), *arguments, "--length", 16)
    assert (answer.status, answer.err) == (0, "")
    shown = re.findall(r"\b[0-9A-Fa-f]{2}\b", answer.out.partition(":")[2] or answer.out)
    assert expected.hex() in "".join(shown).lower()


@pytest.mark.parametrize(("frame", "says"), [(3, "left out"), (4, "no memory"), (9, "no memory")])
def test_what_is_not_in_the_file_exits_4(
    lab: Callable[..., Answer], file: Callable[..., Path], frame: int, says: str
) -> None:
    answer = lab("hexdump", file(TEXT), "--physical", frame * SIZE)
    assert (answer.status, answer.out) == (4, "")
    assert says in answer.err
    assert hex(frame) in answer.err


def test_a_damaged_page_exits_4_and_says_which(lab: Callable[..., Answer], file: Callable[..., Path]) -> None:
    path = file(pages("ppp", stored={1: b"no page"}).build())
    answer = lab("hexdump", path, "--physical", SIZE)
    assert answer.status == 4
    assert "page frame 0x1) is damaged" in answer.err
    assert lab("hexdump", path, "--physical", 0).status == 0
    answer = lab("problems", path, "--format", "json")
    assert (answer.status, answer.column("where")) == (1, ["pages"])
    assert lab("problems", path, "--no-pages").status == 0


# -- files of real kernels --------------------------------------------------------------------------------------------

MINI = "vmcore/x86_64-mini/"
SAME_CRASH = {
    "x86_64": [MINI + "vmcore.elf.xz", MINI + "vmcore.d31.elf.xz", MINI + "vmcore.d31.kdump.xz"],
    "arm64": ["vmcore/arm64/vmcore.elf.xz", "vmcore/arm64/vmcore.d31-zlib.kdump"],
}
ELFS = [MINI + "vmcore.elf.xz", "vmcore/arm64/vmcore.elf.xz", "vmcore/i386/vmcore.elf.xz"]


@pytest.mark.peer
@pytest.mark.parametrize("name", ELFS)
def test_memory_of_elf_vmcores_is_that_of_drgn(unpacked: Callable[[str], Path], name: str) -> None:
    drgn = pytest.importorskip("drgn", reason="drgn is not installed: no other reader of memory to compare with")
    path = unpacked(name)
    program = drgn.Program()
    program.set_core_dump(path)
    held = 0
    for address, piece in vl.open_vmcore(path).memory.chunks():
        assert program.read(address, len(piece), True) == piece, hex(address)
        held += len(piece)
    assert held > 30 << 20


def test_what_makedumpfile_left_out_of_an_elf_vmcore_is_excluded(unpacked: Callable[[str], Path]) -> None:
    whole, core = memory(unpacked(ELFS[0])), vl.open_vmcore(unpacked(MINI + "vmcore.d31.elf.xz"))
    for address, piece in core.memory.chunks():
        assert whole.read(address, len(piece)) == piece, hex(address)
    held = {address for address, piece in core.memory.chunks(4096) for address in (address, address + len(piece) - 1)}
    excluded = 0
    for row in core.segments_table().records():
        if row["type"] == "PT_LOAD" and row["filesz"] < row["memsz"]:
            address = row["paddr"] + row["memsz"] - 1
            if address not in held:  # the other mapping of the kernel's text may have it
                with pytest.raises(MissingMemoryError) as error:
                    core.memory.read(address, 1)
                assert error.value.reason == "excluded"
                excluded += 1
    assert excluded > 3


@pytest.mark.parametrize("crash", SAME_CRASH)
def test_kernel_symbols_are_at_the_same_bytes_in_every_container(unpacked: Callable[[str], Path], crash: str) -> None:
    cores = [vl.open_vmcore(unpacked(name)) for name in SAME_CRASH[crash]]
    address = int(cores[0].vmcoreinfo["SYMBOL(init_uts_ns)"], 16)
    names = {core.memory.read(address, 400, "virtual") for core in cores}
    assert len(names) == 1
    assert cores[0].vmcoreinfo["OSRELEASE"].encode() in names.pop()


def test_the_linear_map_of_arm64_is_that_of_its_program_headers(unpacked: Callable[[str], Path]) -> None:
    elf_, kdump_ = (vl.open_vmcore(unpacked(name)).memory for name in SAME_CRASH["arm64"])
    found = 0
    for address in range(0xFFFFFC0000000000, 0xFFFFFC0004C00000, 65536):
        try:
            page = kdump_.read(address, 65536, "virtual")
        except MissingMemoryError:
            continue
        assert elf_.read(address, 65536, "virtual") == page
        found += 1
    assert found == 287


PEERS = {
    "x86_64-mini": MINI + "vmcore.d31.kdump.xz",
    "x86_64-cudbg": "vmcore/x86_64-cudbg/vmcore.d31-zlib.kdump",
    "arm64": "vmcore/arm64/vmcore.d31-zlib.kdump",
}


@pytest.mark.peer
@pytest.mark.parametrize("crash", PEERS)
def test_the_kernels_name_is_where_libkdumpfile_reads_it(
    shared_data: Path, unpacked: Callable[[str], Path], crash: str
) -> None:
    said = (shared_data / "vmcore" / crash / "peers" / "libkdumpfile-vmcore.d31-zlib.kdump.txt").read_text()
    found = re.search(r"^read init_uts_ns at (0x[0-9a-f]+) \[b'(\w+)', b'([\w-]+)', b'([\w.-]+)'", said, re.M)
    if not found:
        pytest.skip("libkdumpfile's output holds no init_uts_ns")
    data = memory(unpacked(PEERS[crash])).read(int(found[1], 0), 400, "virtual")
    assert [word for word in data.split(b"\0") if word][:3] == [found[i].encode() for i in (2, 3, 4)]


def test_little_is_read_of_a_large_vmcore() -> None:
    data = segments(Segment(b"memory", paddr=0x1000, vaddr=UPPER, filesz=1 << 40, memsz=1 << 40), order=LITTLE)
    source = CountingSource(data, 1 << 41)
    held = vl.open_vmcore(source).memory
    source.count = 0
    assert held.read(0x1000, 6) == b"memory"
    assert next(held.chunks(4096))[1][:6] == b"memory"
    assert source.count == 6 + 4096


def test_addresses_out_of_a_frame_are_addresses(sample: Path) -> None:
    core = vl.open_vmcore(sample)
    row = core.segments[core.segments["type"] == "present"].iloc[0]
    address = np.uint64(row["paddr"])
    assert core.memory.read(address, np.int64(16)) == core.memory.read(int(address), 16)
