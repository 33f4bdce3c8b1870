"""Heads of genuine files of seven machines, headers and notes, beside the registers that QEMU's monitor showed at that moment."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

import vmcoredd_lab as vl
from vmcoredd_lab.opening import open_file
from vmcoredd_lab.summary import summarise
from vmcoredd_lab.vmcore import Vmcore

HEADS = Path(__file__).parent / "data" / "qemu"
REGISTERS = json.loads((HEADS / "registers.json").read_text())
# name: what the file's header says of byte order and width, owners of the notes of each CPU
MACHINES = {
    "s390x": ("big", 64, ["CORE"] * 2 + ["LINUX"] * 8),
    "aarch64": ("little", 64, ["CORE"] * 2),
    "arm": ("little", 32, ["CORE", "LINUX"]),
    "ppc64": ("big", 64, ["CORE"] * 5),
    "riscv64": ("little", 64, ["CORE"]),
    "i386": ("little", 64, ["CORE", "QEMU"]),
    "x86_64": ("little", 64, ["CORE", "QEMU"]),
}
WITH_VMCOREINFO = {"aarch64": "6.1.0-50-arm64", "x86_64": "6.1.0-50-amd64"}


@pytest.fixture(params=["elf", "kdump"])
def container(request: pytest.FixtureRequest) -> str:
    """The containers that QEMU writes: ELF, and kdump-compressed inside the flattened format."""
    return str(request.param)


def head(machine: str, container: str, tmp_path: Path) -> Vmcore:
    """Open the head of what QEMU wrote of a machine; memory is behind the end."""
    path = tmp_path / f"{machine}.{container}"
    path.write_bytes(lzma.decompress((HEADS / f"{path.name}.xz").read_bytes()))
    return vl.open_vmcore(path)


@pytest.mark.parametrize("machine", MACHINES)
def test_every_register_is_what_the_monitor_showed(machine: str, container: str, tmp_path: Path) -> None:
    rows = head(machine, container, tmp_path).cpus_table().records()
    assert len(rows) == len(REGISTERS[machine])
    for row, shown in zip(rows, REGISTERS[machine], strict=True):
        assert {name: row[name] for name in shown} == {name: int(value, 16) for name, value in shown.items()}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_machine_is_known_though_qemu_does_not_always_name_it(machine: str, container: str, tmp_path: Path) -> None:
    core = head(machine, container, tmp_path)
    byteorder, bits, _ = MACHINES[machine]
    assert (core.machine, core.byteorder) == (machine, byteorder)
    if container == "elf":
        assert core.container.bits == bits


@pytest.mark.parametrize("machine", MACHINES)
def test_notes_come_in_the_order_of_the_file_and_all_are_named(machine: str, container: str, tmp_path: Path) -> None:
    table = head(machine, container, tmp_path).notes_table()
    owners = list(MACHINES[machine][2])
    expected = owners * 2 if "QEMU" not in owners else sorted(owners * 2)
    if machine in WITH_VMCOREINFO:
        expected.append("VMCOREINFO")
    assert table.values("owner") == expected
    assert None not in table.values("type_name")


@pytest.mark.parametrize("machine", MACHINES)
def test_both_containers_hold_the_same_notes(machine: str, tmp_path: Path) -> None:
    columns = ("owner", "type", "type_name", "desc_size", "cpu", "summary")
    first, second = (head(machine, kind, tmp_path).notes_table() for kind in ("elf", "kdump"))
    assert [first.values(c) for c in columns] == [second.values(c) for c in columns]


@pytest.mark.parametrize(("machine", "release"), WITH_VMCOREINFO.items())
def test_vmcoreinfo_of_the_guest_is_found(machine: str, release: str, container: str, tmp_path: Path) -> None:
    core = head(machine, container, tmp_path)
    assert core.vmcoreinfo["OSRELEASE"] == release
    assert core.vmcoreinfo["PAGESIZE"] == "4096"


def test_blocks_of_a_kdump_file_may_be_larger_than_the_kernels_pages(tmp_path: Path) -> None:
    core = head("aarch64", "kdump", tmp_path)
    assert core.container.block_size == 0x10000  # type: ignore[attr-defined]
    assert core.vmcoreinfo["PAGESIZE"] == "4096"


def test_an_elf_header_that_states_a_size_of_eight_bytes_opens(tmp_path: Path) -> None:
    """QEMU on s390x writes e_ehsize 8, and the section table before the program headers."""
    core = head("s390x", "elf", tmp_path)
    raw = (tmp_path / "s390x.elf").read_bytes()
    assert int.from_bytes(raw[52:54], "big") == 8
    assert len(core.segments_table()) == 2


@pytest.mark.parametrize("machine", MACHINES)
def test_kdump_files_of_qemu_are_not_taken_for_makedumpfiles(machine: str, tmp_path: Path) -> None:
    path = head(machine, "kdump", tmp_path).path
    assert summarise(open_file(path))["written_by"].startswith("QEMU, compression zlib")
