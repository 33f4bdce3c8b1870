"""Images as ELF vmcores: laid out as /proc/vmcore lays them out, byte for byte."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import MARK, ORDERS, WIDTHS, Segment, elf, notes, prstatus, up, usual_elf, vmcoreinfo

import vmcoredd_lab as vl
from vmcoredd_lab.errors import OutputError, UsageError
from vmcoredd_lab.source import Buffer, open_source
from vmcoredd_lab.source.base import MemorySource
from vmcoredd_lab.writer.segments import SEGMENT

KERNELS = {"x86_64": "x86_64-mini", "aarch64": "arm64", "i386": "i386"}
MACHINES = {(64, "little"): "x86_64", (64, "big"): "s390x", (32, "little"): "i386", (32, "big"): "ppc"}


def filled(data: bytes) -> Callable[[memoryview], None]:
    """What a driver's callback does: it puts its bytes at the beginning of the buffer."""

    def collect(buffer: memoryview) -> None:
        buffer[: len(data)] = data

    return collect


def rebuilt(path: Path, dumps: Path, machine: str) -> vl.VmcoreImage:
    """An image built by hand from the frames of an opened vmcore and the bytes that the drivers gave."""
    core = vl.open_vmcore(path)
    source = core.container.source
    image = vl.VmcoreImage(machine, page_size=core.vmcoreinfo.page_size)
    for note in core.container.notes:
        if not note.is_device_dump:
            namesz = int.from_bytes(source.read(note.header_offset, 4), "little")
            owner = source.read(note.header_offset + 12, namesz)
            image.add_note(owner, note.type, Buffer(source, note.desc_offset, note.desc_size))
    for row in core.segments_table().records():
        if row["type"] == "PT_LOAD":
            image.add_segment(Buffer(source, row["offset"], row["filesz"]), paddr=row["paddr"], vaddr=row["vaddr"])
    for name in (dumps.parent / "dumps-order.txt").read_text().split():
        data = (dumps / name).read_bytes()
        image.add_device_dump(name, len(data), filled(data))
    return image


@pytest.mark.parametrize("machine", KERNELS)
def test_an_image_built_by_hand_is_the_kernels_file(unpacked: Callable[[str], Path], machine: str) -> None:
    directory = KERNELS[machine]
    path = unpacked(f"vmcore/{directory}/vmcore.elf.xz")
    image = rebuilt(path, unpacked(f"vmcore/{directory}/dumps"), machine)
    assert image.open().read() == path.read_bytes()


def test_a_device_dump_added_to_a_kernels_file_is_where_the_kernel_would_have_put_it(
    unpacked: Callable[[str], Path],
) -> None:
    path, dumps = unpacked("vmcore/arm64/vmcore.elf.xz"), unpacked("vmcore/arm64/dumps")
    image = vl.open_vmcore(path).to_image()
    added = [note for note in image.notes if note.is_device_dump]
    image.notes = [note for note in image.notes if not note.is_device_dump]
    assert image.open().read(1 << 20) != path.read_bytes()[: 1 << 20]
    for name in (dumps.parent / "dumps-order.txt").read_text().split():
        data = (dumps / name).read_bytes()
        image.add_device_dump(name, len(data), filled(data))
    assert len(added) == 4
    assert image.open().read() == path.read_bytes()


# -- vmcore_add_device_dump() -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [4096, 65536])
@pytest.mark.parametrize("size", [1, 4032, 4033, 65472, 65473])
def test_header_and_dump_fill_whole_pages_and_the_note_counts_them(size: int, page: int) -> None:
    image = vl.VmcoreImage("aarch64", page_size=page)
    image.add_device_dump("dev", size, lambda buffer: buffer.__setitem__(size - 1, 1))
    whole = up(64 + size, page)
    raw = image.open().read()
    assert struct.unpack_from("<III8s", raw, page) == (8, whole - 20, 0x700, b"LINUX\0\0\0")
    assert raw[page + 64 + size - 1] == 1
    assert len(raw) == page + whole


def test_the_callback_gets_zeros_at_least_as_long_as_it_asked_for() -> None:
    seen: list[bytes] = []
    image = vl.VmcoreImage()
    image.add_device_dump("dev", 100, lambda buffer: seen.append(bytes(buffer)))
    assert seen == [bytes(4096 - 64)]


def test_the_buffer_is_gone_when_the_callback_has_returned() -> None:
    kept: list[memoryview] = []
    image = vl.VmcoreImage()
    image.add_device_dump("dev", 100, kept.append)
    with pytest.raises(ValueError, match="released"):
        kept[0][0]


@pytest.mark.parametrize(
    ("name", "size", "collect"),
    [("", 1, filled(b"")), ("\0name", 1, filled(b"")), ("dev", 0, filled(b"")), ("dev", -1, filled(b"")),
     ("dev", 1, None), ("dev", 1 << 32, filled(b""))],
)  # fmt: skip
def test_a_dump_without_name_size_or_callback_is_refused(name: str, size: int, collect: Any) -> None:
    image = vl.VmcoreImage()
    with pytest.raises(UsageError):
        image.add_device_dump(name, size, collect)
    assert image.notes == []


def test_a_callback_that_returns_an_error_adds_nothing() -> None:
    image = vl.VmcoreImage()
    with pytest.raises(UsageError, match="error -12"):
        image.add_device_dump("dev", 10, lambda _: -12)
    assert image.notes == []


def test_a_callback_that_raises_adds_nothing() -> None:
    def broken(_: memoryview) -> None:
        raise RuntimeError("no memory window")

    image = vl.VmcoreImage()
    image.add_device_dump("first", 10, filled(b"1"))
    with pytest.raises(RuntimeError, match="no memory window"):
        image.add_device_dump("dev", 10, broken)
    assert [bytes(note.desc)[:6] for note in image.notes] == [b"first\0"]


def test_a_long_name_is_cut_to_43_bytes() -> None:
    image = vl.VmcoreImage()
    image.add_device_dump("n" * 60, 1, filled(b"\xff"))
    assert bytes(image.notes[0].desc)[:45] == b"n" * 43 + b"\0\xff"


def test_dumps_keep_their_order_and_stand_before_all_other_notes() -> None:
    image = vl.VmcoreImage()
    image.add_note("CORE", 1, bytes(336))
    image.add_device_dump("b", 1, filled(b""))
    image.add_note("VMCOREINFO", 0, b"OSRELEASE=1\n")
    image.add_device_dump("a", 1, filled(b""))
    core = vl.open_vmcore(image.open())
    assert [dump.name for dump in core.device_dumps] == ["b", "a"]
    assert core.notes_table().values("owner") == ["LINUX", "LINUX", "CORE", "VMCOREINFO"]


def test_a_dump_moves_the_memory_on_and_pt_note_grows() -> None:
    image = vl.VmcoreImage()
    image.add_note("CORE", 1, bytes(336))
    image.add_segment(b"memory", paddr=0x1000)
    before = vl.open_vmcore(image.open()).segments
    image.add_device_dump("dev", 5000, filled(b""))
    after = vl.open_vmcore(image.open()).segments
    assert (after["filesz"] - before["filesz"]).tolist() == [8192, 0]
    assert (after["offset"] - before["offset"]).tolist() == [0, 8192]


# -- layout -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bits", WIDTHS)
def test_headers_are_those_that_the_kernel_writes(bits: int, order: str) -> None:
    """Against a file packed by hand, in both widths and byte orders."""
    image = vl.VmcoreImage(MACHINES[bits, order])
    image.add_note("CORE", 1, prstatus(7, order=order, bits=bits)[20:])
    image.add_note("VMCOREINFO", 0, vmcoreinfo(order=order)[24:].rstrip(b"\0"))
    image.add_segment(b"a" * 5000, paddr=0x1000, vaddr=0x80001000)
    image.add_segment(b"b" * 10, paddr=0x8123, vaddr=0x80008123, memsz=20)
    text = prstatus(7, order=order, bits=bits) + vmcoreinfo(order=order)
    expected = elf(
        notes(text, offset=4096),
        Segment(vaddr=0x80001000, paddr=0x1000, offset=8192, filesz=5000),
        Segment(vaddr=0x80008123, paddr=0x8123, offset=16384 + 0x123, filesz=10, memsz=20),
        bits=bits,
        order=order,
        machine={"x86_64": 62, "s390x": 22, "i386": 3, "ppc": 20}[image.machine],
    )[: (64 if bits == 64 else 52) + 3 * (56 if bits == 64 else 32)]
    raw = image.open().read()
    assert raw.startswith(expected)
    assert raw[len(expected) : 4096].strip(b"\0") == b""
    assert raw[4096:8192].rstrip(b"\0") == text.rstrip(b"\0")
    assert (raw[8192:13192], raw[16384 + 0x123 : 16384 + 0x12D], len(raw)) == (b"a" * 5000, b"b" * 10, 20480)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("count", [0xFFFD, 0xFFFE, 0x10005])
def test_too_many_program_headers_are_counted_by_section_header_0(bits: int, order: str, count: int) -> None:
    image = vl.VmcoreImage(MACHINES[bits, order])
    image.add_note("TEST", 1, bytes(144))
    table = np.zeros(count, SEGMENT)
    table["type"], table["memsz"], table["paddr"] = 1, 4096, np.arange(count) * 4096
    image.segments.extend(table, MemorySource(b""))
    core = vl.open_vmcore(image.open())
    many = count + 1 >= 0xFFFF
    header = core.container.header  # type: ignore[attr-defined]
    assert int(header["e_phnum"]) == (0xFFFF if many else count + 1)
    assert int(header["e_shnum"]) == many
    assert core.container.segment_count() == count + 1
    assert len(core.problems_table()) == 0
    if many:
        raw = core.container.source.read(int(header["e_shoff"]), 64 if bits == 64 else 40)
        at = 44 if bits == 64 else 28
        assert struct.unpack_from(MARK[order] + "I", raw, at) == (count + 1,)
        assert raw[:at].strip(b"\0") == raw[at + 4 :].strip(b"\0") == b""


def test_an_image_without_anything_is_a_header() -> None:
    assert len(vl.VmcoreImage().open().read()) == 4096


def test_what_does_not_fit_elf32_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    image = vl.VmcoreImage("i386")
    image.add_segment(size=4096, paddr=1 << 32)
    with pytest.raises(UsageError, match="p_paddr does not fit"):
        vl.write_vmcore(image, tmp_path / "vmcore")
    assert list(tmp_path.iterdir()) == []


def test_a_32_bit_machine_may_have_elf64_headers() -> None:
    image = vl.VmcoreImage("i386", bits=64)
    image.add_segment(b"high memory", paddr=1 << 32)
    core = vl.open_vmcore(image.open())
    assert (core.format, core.machine) == ("elf64", "i386")
    assert core.memory.read(1 << 32, 11) == b"high memory"


@pytest.mark.parametrize("bits", WIDTHS)
def test_memory_without_a_virtual_address_has_all_ones(bits: int) -> None:
    image = vl.VmcoreImage(MACHINES[bits, "little"])
    image.add_segment(b"x", paddr=0)
    assert vl.open_vmcore(image.open()).segments["vaddr"].tolist() == [(1 << bits) - 1]


@pytest.mark.parametrize("machine", ["vax", "em_70000", "em_x", ""])
def test_a_machine_that_is_not_known_is_refused(machine: str) -> None:
    with pytest.raises(UsageError, match="machine"):
        vl.VmcoreImage(machine)


@pytest.mark.parametrize("page", [0x1800, 256, 1 << 21])
def test_a_page_size_that_no_machine_has_is_refused(page: int) -> None:
    with pytest.raises(UsageError, match="page size"):
        vl.VmcoreImage(page_size=page)


# -- what memory is made of -------------------------------------------------------------------------------------------


def contents(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "memory"
    path.write_bytes(b"##0123456789")
    source = open_source(path)
    return {
        "bytes": b"0123456789",
        "a bytearray": bytearray(b"0123456789"),
        "a buffer": Buffer(source, 2, 10),
        "part of a path": (path, 2),
        "a file object": io.BytesIO(b"0123456789"),
        "a function": lambda offset, size: b"0123456789"[offset : offset + size],
    }


@pytest.mark.parametrize("kind", ["bytes", "a bytearray", "a buffer", "part of a path", "a file object", "a function"])
def test_memory_may_be(kind: str, tmp_path: Path) -> None:
    image = vl.VmcoreImage()
    image.add_segment(contents(tmp_path)[kind], paddr=0x1000, size=10)
    assert vl.open_vmcore(image.open()).memory.read(0x1000, 10) == b"0123456789"


def test_memory_may_be_zeros_that_take_no_room(tmp_path: Path) -> None:
    image = vl.VmcoreImage()
    image.add_segment(paddr=0, size=1 << 30)
    vl.write_vmcore(image, tmp_path / "vmcore")
    status = (tmp_path / "vmcore").stat()
    assert status.st_size == 4096 + (1 << 30)
    assert status.st_blocks * 512 <= 1 << 17


@pytest.mark.parametrize(("data", "size"), [(b"abc", 4), (None, None), (lambda o, s: b"", None), (3.5, None)])
def test_memory_without_a_size_or_too_short_is_refused(data: Any, size: int | None) -> None:
    with pytest.raises(UsageError):
        vl.VmcoreImage().add_segment(data, paddr=0, size=size)


def test_a_function_that_returns_too_little_is_not_filled_up(tmp_path: Path) -> None:
    image = vl.VmcoreImage()
    image.add_segment(lambda offset, size: b"short", paddr=0, size=4096)
    with pytest.raises(UsageError, match="4,096 bytes"):
        vl.write_vmcore(image, tmp_path / "vmcore")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong", [{"memsz": 1}, {"paddr": -1}, {"paddr": 1 << 64}, {"vaddr": 1 << 64}, {"memsz": 1 << 64}]
)
def test_a_segment_that_no_program_header_holds_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        vl.VmcoreImage().add_segment(b"four", **({"paddr": 0} | wrong))


# -- the image as a file ----------------------------------------------------------------------------------------------


def test_an_image_of_1_tib_is_a_file_that_is_nowhere() -> None:
    image = vl.VmcoreImage()
    image.add_note("VMCOREINFO", 0, b"OSRELEASE=6.1.0\n")
    image.add_segment(lambda offset, size: bytes([offset >> 30 & 0xFF]) * size, paddr=0, size=1 << 40)
    image.add_device_dump("dev_0000:01:00.0", 4, filled(b"dump"))
    file = image.open()
    assert file.seek(0, os.SEEK_END) == (1 << 40) + 3 * 4096
    core = vl.open_vmcore(file)
    assert core.memory.read(777 << 30, 2) == bytes([777 & 0xFF]) * 2
    assert core.device_dumps[0].data[:4] == b"dump"
    assert core.vmcoreinfo.release == "6.1.0"
    assert len(core.problems_table()) == 0


def test_any_offset_reads_as_the_file_that_is_written(tmp_path: Path) -> None:
    image = vl.open_vmcore(usual_elf()).to_image()
    image.add_device_dump("more", 9000, filled(b"dump " * 1000))
    vl.write_vmcore(image, tmp_path / "vmcore")
    whole = (tmp_path / "vmcore").read_bytes()
    file = image.open()
    for at in np.random.default_rng(1).integers(0, len(whole) + 10, 200).tolist():
        file.seek(at)
        assert file.read(777) == whole[at : at + 777]
        assert file.tell() == max(at, min(at + 777, len(whole)))


def test_the_file_of_an_image_can_only_be_read() -> None:
    file = vl.VmcoreImage().open()
    assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
    with pytest.raises(OSError, match="write"):
        file.write(b"x")
    with pytest.raises(ValueError, match="negative"):
        file.seek(-1)
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


# -- unchanged --------------------------------------------------------------------------------------------------------

UNCHANGED = [
    "vmcore/x86_64-mini/vmcore.elf.xz",
    "vmcore/x86_64-mini/vmcore.d31.elf.xz",
    "vmcore/arm64/vmcore.elf.xz",
    "vmcore/i386/vmcore.elf.xz",
    "vmcore/qemu-guest-dump/vmcore.qemu.elf.xz",
]


@pytest.mark.parametrize("name", UNCHANGED)
def test_a_real_file_that_is_not_changed_is_written_byte_for_byte(
    unpacked: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    path = unpacked(name)
    vl.write_vmcore(vl.open_vmcore(path).to_image(), tmp_path / "vmcore")
    assert (tmp_path / "vmcore").read_bytes() == path.read_bytes()


def test_what_no_header_tells_of_is_kept_where_nothing_is_changed(tmp_path: Path) -> None:
    data = bytearray(usual_elf(gap=77) + b"behind the end")
    data[64 + 3 * 56 : 64 + 3 * 56 + 77] = b"what is this?" * 5 + bytes(12)
    vl.write_vmcore(vl.open_vmcore(data).to_image(), tmp_path / "vmcore")
    assert (tmp_path / "vmcore").read_bytes() == data


def test_a_file_with_absurd_headers_that_is_not_changed_is_written_as_it_is(tmp_path: Path) -> None:
    data = elf(Segment(b"memory", paddr=(1 << 64) - 4096, memsz=(1 << 64) - 1), Segment(offset=1 << 63, filesz=1 << 63))
    vl.write_vmcore(vl.open_vmcore(data).to_image(), tmp_path / "vmcore")
    assert (tmp_path / "vmcore").read_bytes() == data


@pytest.mark.parametrize(
    "name", ["vmcore/x86_64-mini/vmcore.elf.xz", "vmcore/arm64/vmcore.elf.xz", "vmcore/i386/vmcore.elf.xz"]
)
def test_a_kernels_file_laid_out_anew_is_the_same(unpacked: Callable[[str], Path], name: str) -> None:
    path = unpacked(name)
    image = vl.open_vmcore(path).to_image()
    image.as_opened = None
    assert image.open().read() == path.read_bytes()


def test_a_cut_file_gives_an_image_of_what_is_there() -> None:
    data = usual_elf()
    core = vl.open_vmcore(data[:-10])
    image = core.to_image()
    image.add_note("MORE", 1, b"")  # no longer as opened
    again = vl.open_vmcore(image.open())
    assert len(again.problems_table()) == 0
    assert list(again.memory.chunks()) == list(core.memory.chunks())


def test_a_file_that_became_shorter_is_not_filled_up(tmp_path: Path) -> None:
    source = io.BytesIO(bytes(range(1, 256)) * 100)
    image = vl.VmcoreImage()
    image.add_segment(source, paddr=0)
    source.truncate(5000)
    with pytest.raises(OutputError, match="cannot be read whole"):
        vl.write_vmcore(image, tmp_path / "vmcore")
    assert list(tmp_path.iterdir()) == []
