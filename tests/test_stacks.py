"""The drgn bridge: stacks of every CPU from any container, and what is said where debuginfo is missing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import elf, notes, prstatus, vmcoreinfo

import vmcoredd_lab as vl
from vmcoredd_lab.errors import NotInFileError, OpenError
from vmcoredd_lab.kernel.debuginfo import debuginfo_hint, debuginfo_places
from vmcoredd_lab.notes.vmcoreinfo import Vmcoreinfo

CONTAINERS = ["vmcore/arm64/vmcore.elf.xz", "vmcore/arm64/vmcore.d31-zlib.kdump"]


@pytest.fixture
def drgn() -> Any:
    return pytest.importorskip("drgn", reason="drgn is not installed: there is no bridge to it")


@pytest.fixture
def vmlinux(drgn: Any, unpacked: Callable[[str], Path]) -> Path:
    return unpacked("vmcore/arm64/vmlinux.xz")


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_stack_of_the_panicked_cpu_leads_from_sysrq_to_kexec(
    unpacked: Callable[[str], Path], vmlinux: Path, name: str
) -> None:
    rows = vl.open_vmcore(unpacked(name)).stacks_table(vmlinux).records()
    panicked = [row for row in rows if row["panicked"]]
    assert {(row["cpu"], row["pid"], row["comm"]) for row in panicked} == {(1, 1, "init")}
    assert {(row["cpu"], row["pid"], row["comm"]) for row in rows if not row["panicked"]} == {(0, 0, "swapper/0")}
    symbols = [row["symbol"] for row in panicked]
    order = ["__crash_kexec", "panic", "sysrq_handle_crash", "write_sysrq_trigger", "vfs_write", "el0t_64_sync"]
    assert [symbol for symbol in symbols if symbol in order] == order
    panic = panicked[symbols.index("panic")]
    assert panic["file"].endswith("kernel/panic.c")
    assert (panic["line"], panic["offset"]) == (358, 0x290)


def test_stacks_are_those_that_drgn_unwinds_by_itself(
    unpacked: Callable[[str], Path], vmlinux: Path, drgn: Any
) -> None:
    path = unpacked(CONTAINERS[1])
    program = drgn.Program()
    program.set_core_dump(path)
    program.load_debug_info([vmlinux])
    theirs = [frame.pc for frame in program.stack_trace(program.crashed_thread().object)]
    ours = vl.open_vmcore(path).stacks_table(vmlinux).records()
    assert [row["pc"] for row in ours if row["panicked"]] == theirs


def test_a_file_that_drgn_cannot_open_has_the_same_stacks(unpacked: Callable[[str], Path], vmlinux: Path) -> None:
    path = unpacked(CONTAINERS[1])
    wanted = vl.open_vmcore(path).stacks_table(vmlinux).records()
    with path.open("rb") as file:  # not a path: drgn reads through this package
        assert vl.open_vmcore(file).stacks_table(vmlinux).records() == wanted


def test_memory_is_read_without_symbols(unpacked: Callable[[str], Path], drgn: Any) -> None:
    with unpacked(CONTAINERS[1]).open("rb") as file:
        core = vl.open_vmcore(file)
        program, address = core.drgn(), core.vmcoreinfo.symbols["init_uts_ns"]
        assert program.read(address, 390).count(b"6.1.192-realvm-arm64") == 1
        with pytest.raises(drgn.FaultError):
            program.read(1 << 45, 8, True)


def test_the_vmlinux_of_another_kernel_is_refused_with_both_names(
    unpacked: Callable[[str], Path], vmlinux: Path
) -> None:
    core = vl.open_vmcore(unpacked("vmcore/x86_64-mini/vmcore.d31-zstd.kdump"))
    with pytest.raises(OpenError) as error:
        core.stacks_table(vmlinux)
    assert error.value.path == str(vmlinux)
    assert core.vmcoreinfo["BUILD-ID"] in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08\x00 vmlinuz", b"\x7fELF" + bytes(60)])
def test_a_file_that_is_no_vmlinux_is_refused(
    unpacked: Callable[[str], Path], drgn: Any, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(content)
    with pytest.raises(OpenError):
        vl.open_vmcore(unpacked(CONTAINERS[1])).stacks_table(path)


def test_without_vmlinux_the_error_says_what_it_would_add_and_where_it_is(
    unpacked: Callable[[str], Path], drgn: Any
) -> None:
    core = vl.open_vmcore(unpacked("vmcore/x86_64-mini/vmcore.d31-zstd.kdump"))
    with pytest.raises(NotInFileError, match="functions, files and lines") as error:
        core.stacks_table()
    assert f"debuginfod-find debuginfo {core.vmcoreinfo['BUILD-ID']}" in str(error.value)


def test_without_drgn_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "drgn", None)
    core = vl.open_vmcore(elf(notes(prstatus(1) + vmcoreinfo())))
    with pytest.raises(OpenError, match=r"vmcoredd-lab\[kernel\]"):
        core.drgn()
    assert core.cpus_table().values("pid") == [1]


def test_a_file_without_vmcoreinfo_that_is_no_plain_file_has_no_program(drgn: Any) -> None:
    with pytest.raises(NotInFileError, match="VMCOREINFO"):
        vl.open_vmcore(elf(notes(prstatus(1)))).drgn()


BUILD_ID = "ed14a85d5c7106f5ef3aa5d60aa1940a694eaa2e"


@pytest.mark.parametrize(
    ("release", "distribution", "command"),
    [
        ("5.14.0-427.13.1.el9_4.x86_64", "RHEL and CentOS", "dnf debuginfo-install kernel-5.14.0-427.13.1.el9_4.x86_64"),
        ("5.14.0-427.13.1.el9_4.aarch64+64k", "RHEL and CentOS",
         "dnf debuginfo-install kernel-64k-5.14.0-427.13.1.el9_4.aarch64"),
        ("6.8.5-301.fc40.x86_64", "Fedora", "dnf debuginfo-install kernel-6.8.5-301.fc40.x86_64"),
        ("6.1.0-18-amd64", "Debian", "apt install linux-image-6.1.0-18-amd64-dbg"),
        ("6.1.0-18-armmp-lpae", "Debian", "apt install linux-image-6.1.0-18-armmp-lpae-dbg"),
        ("6.12.74+deb13-amd64", "Debian", "apt install linux-image-6.12.74+deb13-amd64-dbg"),
        ("6.5.0-28-generic", "Ubuntu", "apt install linux-image-unsigned-6.5.0-28-generic-dbgsym"),
        ("6.4.0-150600.21-default", "SUSE", "zypper install kernel-default-debuginfo"),
        ("6.8.7-arch1-1", "Arch Linux", f"debuginfod-find debuginfo {BUILD_ID}"),
        ("6.1.192-own", "debuginfod", f"debuginfod-find debuginfo {BUILD_ID}"),
    ],
)  # fmt: skip
def test_debuginfo_is_where_the_distribution_keeps_it(release: str, distribution: str, command: str) -> None:
    places = debuginfo_places(Vmcoreinfo(f"OSRELEASE={release}\nBUILD-ID={BUILD_ID}\n".encode()))
    assert (places[0]["distribution"], places[0]["command"]) == (distribution, command)
    assert any(BUILD_ID in place["command"] for place in places)


@pytest.mark.parametrize("release", ["6.1.0-18-amd64; rm -rf /", "$(id).el9", "6.1\\x1b.fc40", "a" * 4000 + ".el9"])
def test_a_release_that_a_shell_would_take_for_more_than_a_word_is_in_no_command(release: str) -> None:
    info = Vmcoreinfo(f"OSRELEASE={release}\n".encode())
    assert debuginfo_places(info) == []
    assert "directory of its build" in debuginfo_hint(info)
