"""What is in notes, value by value, and what eu-readelf says of the same notes."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import BIG, LITTLE, device_dump, elf, note, notes, prstatus, vmcoreinfo

import vmcoredd_lab as vl
from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.notes.layouts import layout_of, leaves
from vmcoredd_lab.notes.names import type_name
from vmcoredd_lab.notes.registers import machine_of, register_set

X86_64, S390X, AARCH64, PPC64, I386 = 62, 22, 183, 21, 3


def decoded(body: bytes, **header: Any) -> dict[str, Any]:
    """The values of the only note of a file."""
    records = vl.open_vmcore(elf(notes(body), **header)).note_fields_table().records()
    return {r["field"]: r["text"] if r["value"] is None else r["value"] for r in records}


def test_every_value_knows_its_place_in_the_file() -> None:
    data = elf(notes(prstatus(7) + vmcoreinfo()))
    for row in vl.open_vmcore(data).note_fields_table().records():
        part = data[row["offset"] : row["offset"] + row["size"]]
        if row["note"] == 0:
            assert int.from_bytes(part, "little") == row["value"]
        else:
            assert part.decode() == f"{row['field']}={row['text']}"


def test_lines_of_vmcoreinfo_are_values() -> None:
    assert decoded(vmcoreinfo("OSRELEASE=6.1\nnothing\nA=b=c\n")) == {"OSRELEASE": "6.1", "nothing": None, "A": "b=c"}


def test_a_device_dump_is_its_name_and_where_its_bytes_are() -> None:
    found = decoded(device_dump("nic_0000:02:00.4", b"x" * 100))
    assert found == {"dump_name": "nic_0000:02:00.4", "data": "100 B"}


def test_a_note_of_an_owner_nobody_knows_stays_as_bytes() -> None:
    rows = vl.open_vmcore(elf(notes(note(b"SOMEONE\0", 0x99, bytes(range(40)))))).note_fields_table().records()
    assert [(r["owner"], r["type_name"], r["field"], r["size"]) for r in rows] == [("SOMEONE", None, "bytes", 40)]
    assert rows[0]["text"].startswith("00 01 02 03")
    assert rows[0]["text"].endswith("1f ...")


def test_xen_notes_are_named_and_stay_as_bytes() -> None:
    core = vl.open_vmcore(elf(notes(note(b"Xen\0", 0x1000001, b"\x01" * 80))))
    assert core.notes_table().values("type_name") == ["XEN_ELFNOTE_CRASH_INFO"]
    assert core.note_fields_table().values("field") == ["bytes"]


def test_a_build_id_is_hexadecimal() -> None:
    assert decoded(note(b"GNU\0", 3, bytes.fromhex("ed14a85d5c7106f5ef3aa5d60aa1940a694eaa2e"))) == {
        "bytes": "ed14a85d5c7106f5ef3aa5d60aa1940a694eaa2e"
    }


@pytest.mark.parametrize(("size", "form"), [(136, "<4b4xQ2I4i16s80s"), (124, "<4bI2H4i16s80s")])
def test_prpsinfo_is_the_process(size: int, form: str) -> None:
    data = struct.pack(form, 0, ord("R"), 0, -3, 64, 1, 2, 3, 4, 5, 6, b"vmlinux", b"quiet \x1b")
    assert len(data) == size
    found = decoded(note(b"CORE\0", 3, data), e_machine=X86_64 if size == 136 else I386, bits=64 if size == 136 else 32)
    assert found["pr_fname"] == "vmlinux"
    assert found["pr_psargs"] == "quiet \\x1b"
    assert (found["pr_nice"], found["pr_uid"], found["pr_pid"], found["pr_sid"]) == ("-3", 1, 3, 6)


def test_vector_registers_are_numbers_of_the_machines_byte_order() -> None:
    low = decoded(note(b"CORE\0", 2, bytes(range(16)) + bytes(512)), e_machine=AARCH64)
    assert low["v0"] == "0x0f0e0d0c0b0a09080706050403020100"
    high = decoded(note(b"LINUX\0", 0x30A, bytes(range(16)) + bytes(240), order=BIG), e_machine=S390X, order=BIG)
    assert high["v16"] == "0x000102030405060708090a0b0c0d0e0f"


@pytest.mark.parametrize("size", [4, 8])
def test_the_programmable_register_of_s390x_is_of_either_size(size: int) -> None:
    data = (0x1234).to_bytes(size, "big")
    assert decoded(note(b"LINUX\0", 0x303, data, order=BIG), e_machine=S390X, order=BIG) == {"todpreg": 0x1234}


def test_what_is_behind_a_known_structure_stays_as_bytes() -> None:
    data = struct.pack("<2Q", 1, 2) + b"new in a later kernel"
    found = decoded(note(b"LINUX\0", 0x406, data), e_machine=AARCH64)
    assert found["data_mask"] == 1
    assert found["rest"].startswith("6e 65 77")


def test_a_structure_that_is_cut_has_the_values_before_the_cut() -> None:
    found = decoded(note(b"LINUX\0", 0x304, struct.pack(">2Q", 5, 6) + b"\1", order=BIG), e_machine=S390X, order=BIG)
    assert found == {"c0": 5, "c1": 6}


def test_notes_are_chosen_by_number() -> None:
    core = vl.open_vmcore(elf(notes(prstatus(1) + prstatus(2) + vmcoreinfo())))
    assert set(core.note_fields(1, 2)["note"]) == {1, 2}
    with pytest.raises(NotInFileError, match="no note 3"):
        core.note_fields_table(3)


# sizes of the structures in the kernel's headers, by machine and register set
SIZES = {
    ("x86_64", "fpregset"): 512, ("x86_64", "xstate"): 576 + 256, ("x86_64", "qemu"): 440, ("i386", "fpregset"): 108,
    ("i386", "fxsave"): 512, ("aarch64", "fpregset"): 528, ("aarch64", "hw_debug"): 264, ("arm", "fpregset"): 116,
    ("arm", "vfp"): 264, ("ppc64", "fpregset"): 264, ("ppc64", "vmx"): 532, ("ppc64", "vsx"): 256,
    ("s390x", "fpregset"): 136, ("s390x", "ctrs"): 128, ("s390x", "vxrs_high"): 256, ("s390x", "gs"): 32,
    ("riscv64", "fpregset"): 264, ("loongarch64", "fpregset"): 272, ("loongarch64", "lasx"): 1024,
}  # fmt: skip


@pytest.mark.parametrize(("machine", "name"), SIZES)
def test_register_sets_are_as_long_as_the_kernels_structures(machine: str, name: str) -> None:
    layout, known = register_set(machine, name), machine_of(machine)
    assert layout is not None
    assert known is not None
    dtype = layout.dtype(LITTLE, known.bits)
    assert dtype.itemsize == SIZES[machine, name]
    assert len({leaf.name for leaf in leaves(dtype)}) == len(leaves(dtype))


def test_arc_and_device_dumps_do_not_share_a_number_with_others() -> None:
    assert type_name("LINUX", 0x600) == "NT_ARC_V2"
    assert type_name("CORE", 0x700) is None
    assert type_name("CORE", 0x304) == "NT_S390_CTRS"


# -- other readers ----------------------------------------------------------------------------------------------------

REAL = ["x86_64-mini/vmcore.elf.xz", "arm64/vmcore.elf.xz", "i386/vmcore.elf.xz"]
_LINE = re.compile(r"^    (?P<key>[A-Za-z_][\w().-]*)=(?P<value>.*)$", re.MULTILINE)


@pytest.mark.parametrize("name", REAL)
def test_vmcoreinfo_is_line_by_line_that_of_eu_readelf(unpacked: Callable[[str], Path], name: str) -> None:
    if not shutil.which("eu-readelf"):
        pytest.skip("eu-readelf (elfutils) is not installed")
    path = unpacked(f"vmcore/{name}")
    printed = subprocess.run(["eu-readelf", "-n", path], capture_output=True, text=True, check=False).stdout
    theirs = _LINE.findall(printed[printed.index("  VMCOREINFO ") :])
    core = vl.open_vmcore(path)
    number = core.notes_table().values("owner").index("VMCOREINFO")
    ours = [(r["field"], r["text"]) for r in core.note_fields_table(number).records()]
    assert len(theirs) > 80
    assert ours == theirs


READELF = re.compile(r"^  (?P<owner>\S+) +0x(?P<size>[0-9a-f]{8})\t(?P<type>NT_[A-Z0-9_]+)", re.MULTILINE)
SAME_NAME = {"NT_FPREGSET": "NT_PRFPREG"}


@pytest.mark.parametrize(
    ("machine", "order", "types"),
    [
        (X86_64, LITTLE, [0x202]),
        (PPC64, BIG, [0x100, 0x102, 0x103, 0x104, 0x105, 0x106, 0x107]),
        (S390X, BIG, [0x300, 0x301, 0x302, 0x303, 0x304, 0x305, 0x306, 0x307, 0x308, 0x309, 0x30A, 0x30B, 0x30C]),
        (AARCH64, LITTLE, [0x400, 0x401, 0x402, 0x403, 0x405, 0x406]),
    ],
)
def test_register_sets_are_named_as_readelf_names_them(
    tmp_path: Path, machine: int, order: str, types: list[int]
) -> None:
    if not shutil.which("readelf"):
        pytest.skip("readelf (binutils) is not installed")
    body = note(b"CORE\0", 1, bytes(336), order=order) + note(b"CORE\0", 2, bytes(136), order=order)
    body += b"".join(note(b"LINUX\0", kind, bytes(8), order=order) for kind in types)
    path = tmp_path / "vmcore"
    path.write_bytes(elf(notes(body), e_machine=machine, order=order))
    printed = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=False).stdout
    theirs = [SAME_NAME.get(m["type"], m["type"]) for m in READELF.finditer(printed)]
    assert theirs == vl.open_vmcore(path).notes_table().values("type_name")


def test_every_layout_that_is_declared_fits_some_machine() -> None:
    from vmcoredd_lab.notes.layouts import _rows
    from vmcoredd_lab.notes.registers import _machines, _sets

    structured = {"prstatus", "prpsinfo", "prpsinfo16", "abi_tag", "lines", "vmcoredd", "hex"}
    named = {layout for rows in _rows().values() for layout, _ in rows} - structured
    assert named <= {name for _, name in _sets()}
    assert {machine for machine, _ in _sets()} == {known.registers for known in _machines().values()}


def test_a_note_that_only_another_machine_has_stays_as_bytes() -> None:
    core = vl.open_vmcore(elf(notes(note(b"LINUX\0", 0x304, bytes(128))), e_machine=X86_64))
    assert layout_of(core.container.notes[0], "x86_64", 64, LITTLE) is None
    assert core.note_fields_table().values("field") == ["bytes"]
