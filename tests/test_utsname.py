"""The host's name in the kernel's memory: the same as in makedumpfile's header, on each machine; never another kernel's bytes."""

from __future__ import annotations

import pytest

import vmcoredd_lab as vl
from vmcoredd_lab.kernel.utsname import NEW_UTSNAME
from vmcoredd_lab.scenarios import scenario

MEMORY, IMAGE_AT = 0x100000, 0xFFFFFFFF81000000
INFO = "OSRELEASE=6.1.0\nPAGESIZE=4096\nSYMBOL(_stext)=ffffffff81000000\nNUMBER(phys_base)={base}\n"


def core_with(info: str, *, place: int = 0, release: bytes = b"6.1.0", sysname: bytes = b"Linux") -> vl.Vmcore:
    """Return a vmcore with struct uts_namespace at the beginning of its memory."""
    names = NEW_UTSNAME.write(
        sysname=sysname, nodename=b"db-prod-17\0stale", release=release, version=b"#1 SMP", machine=b"x86_64",
        domainname=b"(none)",
    )  # fmt: skip
    image = vl.VmcoreImage("x86_64")
    image.add_segment(bytes(place) + bytes(names).ljust(4096, b"\0"), paddr=MEMORY, vaddr=IMAGE_AT)
    image.add_note("VMCOREINFO", 0, (INFO.format(base=MEMORY - 0x1000000) + info).encode())
    return vl.open_vmcore(image.open())


@pytest.mark.parametrize(("elf", "kdump"), [
    ("x86_64-story/vmcore.elf.xz", "x86_64-story/vmcore.d31-zlib.kdump"),
    ("arm64/vmcore.elf.xz", "arm64/vmcore.d31-zlib.kdump"),
    ("x86_64-mini/vmcore.d31.elf.xz", "x86_64-mini/vmcore.d31-zstd.kdump"),
], ids=["x86_64", "arm64", "makedumpfile's ELF"])  # fmt: skip
def test_elf_and_kdump_of_one_crash_have_the_same_names(shared_data, unpacked, elf, kdump):
    ours = vl.open_vmcore(unpacked(f"vmcore/{elf}")).utsname
    assert ours == vl.open_vmcore(unpacked(f"vmcore/{kdump}")).utsname
    assert ours["nodename"].startswith("realvm")


def test_an_i386_vmcore_has_a_host(shared_data, unpacked):
    assert vl.open_vmcore(unpacked("vmcore/i386/vmcore.elf.xz")).utsname["nodename"] == "realvm"


def test_a_scenario_has_the_host_that_its_kernel_had():
    assert vl.open_vmcore(scenario("healthy").open()).utsname["nodename"] == "storage07"


def test_names_end_at_their_first_nul_and_names_not_set_are_left_out():
    core = core_with("SYMBOL(init_uts_ns)=ffffffff81000000\nOFFSET(uts_namespace.name)=0\n")
    assert core.utsname == {"nodename": "db-prod-17", "release": "6.1.0", "version": "#1 SMP", "machine": "x86_64"}


@pytest.mark.parametrize("place", [0, 4], ids=["since 5.11", "before, behind a reference count"])
def test_without_the_offset_both_places_are_tried(place):
    assert core_with("SYMBOL(init_uts_ns)=ffffffff81000000\n", place=place).utsname["nodename"] == "db-prod-17"


@pytest.mark.parametrize("info", [
    "", "SYMBOL(init_uts_ns)=ffffffffffffffff\nOFFSET(uts_namespace.name)=0\n",
    "SYMBOL(init_uts_ns)=ffffffff90000000\nOFFSET(uts_namespace.name)=0\n", "SYMBOL(init_uts_ns)=no number\n",
    "SYMBOL(init_uts_ns)=ffffffff81000000\nOFFSET(uts_namespace.name)=-9999999999\n",
], ids=["no symbol", "the end of the address space", "not in the file", "no number", "a negative offset"])  # fmt: skip
def test_what_vmcoreinfo_says_wrongly_gives_no_host(info):
    assert core_with(info).utsname == {}


@pytest.mark.parametrize("other", [{"release": b"5.0.0"}, {"sysname": b"Windows"}], ids=["release", "system"])
def test_bytes_of_another_kernel_are_no_host(other):
    core = core_with("SYMBOL(init_uts_ns)=ffffffff81000000\nOFFSET(uts_namespace.name)=0\n", **other)
    assert core.utsname == {}


def test_info_names_the_host_of_an_elf_vmcore(shared_data, unpacked):
    from vmcoredd_lab.opening import opened_of
    from vmcoredd_lab.summary import summarise

    facts = summarise(opened_of(unpacked("vmcore/x86_64-story/vmcore.elf.xz")))
    assert (facts["host"], facts["domain"]) == ("realvm", None)
