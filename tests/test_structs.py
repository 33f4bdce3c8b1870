"""Each structure is declared once: its layout is the C compiler's, and writing undoes reading."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmcoredd_lab.containers.elf_structs import EHDR, PHDR, SHDR
from vmcoredd_lab.containers.kdump_structs import DISK_DUMP_HEADER, KDUMP_SUB_HEADER, PAGE_DESC
from vmcoredd_lab.notes.header import NHDR
from vmcoredd_lab.notes.vmcoredd import VMCOREDD_HEADER
from vmcoredd_lab.structs import BYTE_ORDERS, ByteOrder, Member, Struct

STRUCTS = [
    *EHDR.values(),
    *PHDR.values(),
    *SHDR.values(),
    NHDR,
    VMCOREDD_HEADER,
    DISK_DUMP_HEADER,
    KDUMP_SUB_HEADER,
    PAGE_DESC,
]
MACHINES = {"64 bits": (64, 8), "32 bits": (32, 8), "i386": (32, 4)}


@pytest.mark.parametrize(
    ("declared", "size"),
    [(EHDR[64], 64), (EHDR[32], 52), (PHDR[64], 56), (PHDR[32], 32), (SHDR[64], 64), (SHDR[32], 40), (NHDR, 12),
     (VMCOREDD_HEADER, 64), (PAGE_DESC, 24)],
    ids=lambda value: getattr(value, "name", ""),
)  # fmt: skip
def test_sizes_are_those_of_the_kernel_headers(declared: Struct, size: int) -> None:
    assert declared.size() == size


@pytest.mark.parametrize(
    ("machine", "declared", "member", "offset"),
    [
        ("64 bits", DISK_DUMP_HEADER, "tv_sec", 408), ("i386", DISK_DUMP_HEADER, "tv_sec", 404),
        ("64 bits", DISK_DUMP_HEADER, "status", 424), ("i386", DISK_DUMP_HEADER, "status", 412),
        ("64 bits", DISK_DUMP_HEADER, "max_mapnr", 440), ("i386", DISK_DUMP_HEADER, "max_mapnr", 428),
        ("64 bits", KDUMP_SUB_HEADER, "start_pfn", 16), ("i386", KDUMP_SUB_HEADER, "start_pfn", 12),
        ("64 bits", KDUMP_SUB_HEADER, "offset_vmcoreinfo", 32), ("i386", KDUMP_SUB_HEADER, "offset_vmcoreinfo", 20),
        ("32 bits", KDUMP_SUB_HEADER, "offset_vmcoreinfo", 24),
        ("64 bits", KDUMP_SUB_HEADER, "offset_note", 48), ("i386", KDUMP_SUB_HEADER, "offset_note", 32),
        ("32 bits", KDUMP_SUB_HEADER, "offset_note", 40),
        ("64 bits", KDUMP_SUB_HEADER, "max_mapnr_64", 96), ("i386", KDUMP_SUB_HEADER, "max_mapnr_64", 72),
    ],
    ids=lambda value: getattr(value, "name", None),
)  # fmt: skip
def test_makedumpfile_members_are_where_the_machine_aligns_them(
    machine: str, declared: Struct, member: str, offset: int
) -> None:
    bits, max_align = MACHINES[machine]
    fields = declared.dtype("little", bits, max_align).fields
    assert fields is not None
    assert fields[member][1] == offset


@pytest.mark.parametrize("byteorder", BYTE_ORDERS)
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("declared", STRUCTS, ids=lambda declared: declared.name)
@given(data=st.data())
def test_writing_undoes_reading(declared: Struct, machine: str, byteorder: ByteOrder, data: st.DataObject) -> None:
    bits, max_align = MACHINES[machine]
    dtype = declared.dtype(byteorder, bits, max_align)
    raw = bytearray(data.draw(st.binary(min_size=dtype.itemsize, max_size=dtype.itemsize)))
    used = bytearray(dtype.itemsize)
    assert dtype.fields is not None
    for kind, offset, *_ in dtype.fields.values():
        used[offset : offset + kind.itemsize] = b"\1" * kind.itemsize
    plain = bytes(byte * flag for byte, flag in zip(raw, used, strict=True))  # padding is zero
    record = declared.read(plain, byteorder=byteorder, bits=bits, max_align=max_align)
    values = {name: record[name] for name in dtype.names or ()}
    assert declared.write(byteorder=byteorder, bits=bits, max_align=max_align, **values) == plain


@pytest.mark.parametrize(("byteorder", "mark"), [("little", "<"), ("big", ">")])
def test_members_are_read_in_the_byte_order_asked_for(byteorder: ByteOrder, mark: str) -> None:
    raw = b"\xff" * 5 + struct.pack(mark + "III", 8, 4096, 0x700)
    record = NHDR.read(raw, 5, byteorder=byteorder)
    assert [int(record[name]) for name in ("n_namesz", "n_descsz", "n_type")] == [8, 4096, 0x700]


def test_members_not_named_are_zero_when_writing() -> None:
    assert NHDR.write(n_type=1) == struct.pack("<III", 0, 0, 1)


def test_arrays_and_long_are_laid_out_as_c_does() -> None:
    declared = Struct(
        "sample", "here", (Member("a", "u1"), Member("b", "L"), Member("c", "u2", shape=(3,)), Member("d", "l"))
    )
    assert [declared.size("little", bits, align) for bits, align in MACHINES.values()] == [32, 20, 20]
    assert declared.write(b=2, c=(1, 2, 3), d=-1) == struct.pack("=B7xQ3H2xq", 0, 2, 1, 2, 3, -1)


def test_a_buffer_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="buffer"):
        NHDR.read(bytes(11))
