"""CPUs: registers of every machine, packed here from the kernel's own headers; which CPU panicked; what is damaged."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import BIG, LITTLE, MARK, Kdump, elf, note, notes, prstatus, vmcoreinfo

import vmcoredd_lab as vl
from vmcoredd_lab.notes import prstatus as declared
from vmcoredd_lab.notes.prstatus import Prstatus

# machine: e_machine, byte order, struct format of elf_gregset_t, its registers ("-": a slot that holds none).
# arch/*/include/asm/elf.h and uapi/asm/ptrace.h of Linux
MACHINES: dict[str, tuple[int, str, str, str]] = {
    "x86_64": (62, LITTLE, "27Q", "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs rflags rsp ss "
               "fs_base gs_base ds es fs gs"),
    "i386": (3, LITTLE, "17I", "ebx ecx edx esi edi ebp eax ds es fs gs orig_eax eip cs eflags esp ss"),
    "aarch64": (183, LITTLE, "34Q", " ".join(f"x{i}" for i in range(31)) + " sp pc pstate"),
    "arm": (40, LITTLE, "18I", " ".join(f"r{i}" for i in range(13)) + " sp lr pc cpsr orig_r0"),
    "ppc64": (21, BIG, "48Q", " ".join(f"r{i}" for i in range(32)) + " nip msr orig_r3 ctr lr xer cr softe trap dar dsisr "
              "result - - - -"),
    "ppc64le": (21, LITTLE, "48Q", " ".join(f"r{i}" for i in range(32)) + " nip msr orig_r3 ctr lr xer cr softe trap dar "
                "dsisr result - - - -"),
    "ppc": (20, BIG, "48I", " ".join(f"r{i}" for i in range(32)) + " nip msr orig_r3 ctr lr xer cr mq trap dar dsisr result "
            "- - - -"),
    "s390x": (22, BIG, "2Q16Q16IQ", "psw_mask psw_addr " + " ".join(f"r{i}" for i in range(16)) + " "
              + " ".join(f"a{i}" for i in range(16)) + " orig_r2"),
    "riscv64": (243, LITTLE, "32Q", "pc ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 "
                "t3 t4 t5 t6"),
    "loongarch64": (258, LITTLE, "45Q", " ".join(f"r{i}" for i in range(32)) + " orig_a0 era badv" + " -" * 10),
    "mips64": (8, BIG, "45Q", " ".join(f"r{i}" for i in range(32)) + " lo hi epc badvaddr status cause" + " -" * 7),
    "mips": (8, BIG, "45I", "- - - - - - " + " ".join(f"r{i}" for i in range(32)) + " lo hi epc badvaddr status cause -"),
}  # fmt: skip


def bits_of(machine: str) -> int:
    return 32 if machine in ("i386", "arm", "ppc", "mips") else 64


def packed(machine: str, pid: int, first: int, *, signal: tuple[int, int, int, int] = (0, 0, 0, 0)) -> bytes:
    """struct elf_prstatus whose registers are first, first + 1, ..."""
    _, order, form, names = MACHINES[machine]
    count = len(names.split())
    long_ = "Q" if bits_of(machine) == 64 else "I"
    # si_signo si_code si_errno, cursig, sigpend sighold, pid ppid pgrp sid, four pairs of seconds and microseconds
    head = struct.pack(f"{MARK[order]}3ih2x2{long_}4i8{long_}", *signal, 0, 0, pid, 0, 0, 0, *range(8))
    registers = struct.pack(MARK[order] + form, *range(first, first + count))
    tail = struct.pack(MARK[order] + "i", 0) + bytes(4 if long_ == "Q" else 0)
    return head + registers + tail


def vmcore(machine: str, *descriptors: bytes, more: bytes = b"") -> bytes:
    number, order, _, _ = MACHINES[machine]
    body = b"".join(note(b"CORE\0", 1, d, order=order) for d in descriptors) + more
    return elf(notes(body), bits=bits_of(machine), order=order, e_machine=number)


@pytest.mark.parametrize("machine", MACHINES)
def test_registers_have_their_architectural_names_in_the_order_of_the_kernel(machine: str) -> None:
    core = vl.open_vmcore(vmcore(machine, packed(machine, 77, 1000), packed(machine, 0, 2000)))
    assert core.machine == machine
    rows = core.cpus_table().records()
    names = MACHINES[machine][3].split()
    for row, first, pid in zip(rows, (1000, 2000), (77, 0), strict=True):
        assert row["pid"] == pid
        assert {name: row[name] for name in names if name != "-"} == {
            name: first + i for i, name in enumerate(names) if name != "-"
        }
    assert core.problems_table().records() == []


@pytest.mark.parametrize("machine", MACHINES)
def test_the_frame_begins_with_cpu_pid_signal_and_registers_as_uint64(machine: str) -> None:
    frame = vl.open_vmcore(vmcore(machine, packed(machine, 5, 1))).cpus
    names = [name for name in MACHINES[machine][3].split() if name != "-"]
    assert list(frame)[: 3 + len(names)] == ["cpu", "pid", "signal", *names]
    assert {str(frame[name].dtype) for name in names} == {"UInt64"}


@pytest.mark.parametrize("machine", MACHINES)
def test_prstatus_is_encoded_to_the_bytes_that_it_was_decoded_from(machine: str) -> None:
    data, order = packed(machine, -9, 300, signal=(11, 2, 3, 4)), MACHINES[machine][1]
    status = declared.decode(data, machine, order)
    assert (status.pid, status.cursig, status.si_signo, status.si_code, status.si_errno) == (-9, 4, 11, 2, 3)
    assert declared.encode(status, machine, order) == data


def test_a_register_that_the_machine_has_not_is_not_encoded() -> None:
    with pytest.raises(LookupError, match="rax"):
        declared.encode(Prstatus(1, registers={"rax": 1}), "aarch64", LITTLE)


def test_signal_and_siginfo_are_those_of_the_note() -> None:
    row = vl.open_vmcore(vmcore("x86_64", packed("x86_64", 1, 1, signal=(6, -6, 2, 9)))).cpus_table().records()[0]
    assert [row[name] for name in ("signal", "si_signo", "si_code", "si_errno")] == [9, 6, -6, 2]


def test_registers_with_the_top_bit_set_are_exact() -> None:
    data = bytearray(packed("s390x", 1, 0))
    struct.pack_into(">Q", data, 112 + 8, (1 << 64) - 1)
    assert vl.open_vmcore(vmcore("s390x", bytes(data))).cpus_table().values("psw_addr") == [(1 << 64) - 1]


# -- what is damaged --------------------------------------------------------------------------------------------------


def test_of_a_note_cut_by_the_end_of_the_file_the_registers_before_the_cut_are_shown() -> None:
    whole = vmcore("x86_64", packed("x86_64", 3, 100))
    core = vl.open_vmcore(whole[: len(whole) - 336 + 112 + 8 * 5 + 3])
    row = core.cpus_table().records()[0]
    assert [row[name] for name in ("pid", "r15", "rbp", "rbx", "rip")] == [3, 100, 104, None, None]
    assert core.problems_table().values("severity")


def test_a_short_note_is_a_problem_and_its_registers_are_missing() -> None:
    core = vl.open_vmcore(vmcore("aarch64", packed("aarch64", 3, 100)[:200], packed("aarch64", 4, 200)))
    table = core.cpus_table()
    assert table.values("pid") == [3, 4]
    assert table.values("pc") == [None, 232]
    assert [(p["severity"], p["expected"]) for p in core.problems_table().records()] == [("error", "n_descsz of 392")]


def test_a_thousand_short_notes_are_nine_problems() -> None:
    core = vl.open_vmcore(vmcore("aarch64", *[packed("aarch64", 3, 100)[:20]] * 1000))
    assert len(core.cpus_table()) == 1000
    assert len(core.problems_table()) == 9


def test_a_64_bit_kernel_in_32_bit_headers_has_64_bit_registers() -> None:
    data = elf(notes(note(b"CORE\0", 1, packed("x86_64", 8, 50))), bits=32, e_machine=3)
    core = vl.open_vmcore(data)
    assert core.cpus_table().values("rip") == [66]
    assert core.problems_table().records() == []


def test_a_machine_that_is_not_known_has_pids_without_registers() -> None:
    core = vl.open_vmcore(elf(notes(note(b"CORE\0", 1, packed("x86_64", 8, 50))), e_machine=9999))
    table = core.cpus_table()
    assert table.values("pid") == [8]
    assert "rip" not in table.schema.names
    assert "em_9999" in table.attrs["note"]


def test_a_vmcore_without_registers_has_no_cpus() -> None:
    core = vl.open_vmcore(elf(notes(vmcoreinfo())))
    assert len(core.cpus_table()) == 0
    assert len(core.cpus) == 0


# -- notes beside PRSTATUS --------------------------------------------------------------------------------------------


def qemu(rip: int, cr3: int, fs_base: int) -> bytes:
    """QEMUCPUState of QEMU's target/i386/arch_dump.c."""
    segments = b"".join(struct.pack("<4IQ", 0x10 + i, 0xFFFF, 0, 0, fs_base if i == 3 else 0) for i in range(10))
    state = (
        struct.pack("<2I16Q2Q", 1, 440, *range(16), rip, 2) + segments + struct.pack("<6Q", 0x80050033, 0, 7, cr3, 6, 9)
    )
    return note(b"QEMU\0", 0, state)


def test_qemus_control_registers_are_joined_by_cpu() -> None:
    more = qemu(1, 0x1000, 0x11) + qemu(2, 0x2000, 0x22)
    core = vl.open_vmcore(vmcore("x86_64", packed("x86_64", 1, 0), packed("x86_64", 2, 0), more=more))
    table = core.cpus_table()
    assert table.values("cr3") == [0x1000, 0x2000]
    assert table.values("fs_base") == [21, 21]
    assert table.values("qemu_fs_base") == [0x11, 0x22]
    assert table.values("cs_selector") == [0x10, 0x10]


def test_a_cpu_without_prstatus_has_qemus_registers_alone() -> None:
    core = vl.open_vmcore(vmcore("x86_64", packed("x86_64", 1, 5), more=qemu(1, 0x1000, 0) + qemu(2, 0x2000, 0)))
    table = core.cpus_table()
    assert table.values("rip") == [21, None]
    assert table.values("cr3") == [0x1000, 0x2000]


@pytest.mark.parametrize("owner", [b"LINUX\0", b"CORE\0"])  # CORE: kernels before 4.7
def test_control_registers_of_s390x_stand_beside_the_others(owner: bytes) -> None:
    body = b"".join(
        note(b"CORE\0", 1, packed("s390x", cpu + 1, 0), order=BIG)
        + note(owner, 0x304, struct.pack(">16Q", *range(cpu, cpu + 16)), order=BIG)
        + note(owner, 0x305, struct.pack(">I", 0x7F000 + cpu), order=BIG)
        for cpu in range(2)
    )
    table = vl.open_vmcore(elf(notes(body), order=BIG, e_machine=22)).cpus_table()
    assert table.values("prefix") == [0x7F000, 0x7F001]
    assert table.values("c13") == [13, 14]


# -- which CPU panicked -----------------------------------------------------------------------------------------------


def test_the_only_cpu_panicked() -> None:
    assert vl.open_vmcore(vmcore("x86_64", packed("x86_64", 1, 0))).cpus_table().values("panicked") == [True]


def test_of_two_cpus_without_a_log_none_is_said_to_have_panicked() -> None:
    core = vl.open_vmcore(vmcore("x86_64", packed("x86_64", 1, 0), packed("x86_64", 0, 0)))
    assert core.cpus_table().values("panicked") == [None, None]


def test_the_only_cpu_of_a_guest_that_qemu_dumped_may_be_healthy() -> None:
    core = vl.open_vmcore(vmcore("x86_64", packed("x86_64", 1, 0), more=qemu(1, 0, 0)))
    assert core.cpus_table().values("panicked") == [None]


@pytest.mark.parametrize(("header", "shown"), [(1, [False, True]), (0, [None, None]), (9, [None, None])])
def test_the_header_of_a_kdump_file_names_the_cpu_where_it_is_not_0(header: int, shown: list[bool | None]) -> None:
    data = bytearray(Kdump(prstatus(5) + prstatus(0) + vmcoreinfo()).build())
    struct.pack_into("<I", data, 456, header)  # current_cpu of struct disk_dump_header
    assert vl.open_vmcore(bytes(data)).cpus_table().values("panicked") == shown


@pytest.mark.parametrize(
    ("name", "pid"),
    [("arm64/vmcore.d31-zlib.kdump", 1), ("x86_64-cudbg/vmcore.d31-zlib.kdump", 1), ("i386/vmcore.elf.xz", 1)],
)
def test_of_a_real_crash_the_cpu_of_the_task_that_wrote_to_sysrq_panicked(
    unpacked: Callable[[str], Path], name: str, pid: int
) -> None:
    table = vl.open_vmcore(unpacked(f"vmcore/{name}")).cpus_table()
    assert [row for row, panicked in zip(table.values("pid"), table.values("panicked"), strict=True) if panicked] == [
        pid
    ]


# -- other readers ----------------------------------------------------------------------------------------------------

PEERS = ["x86_64-mini/vmcore.elf.xz", "arm64/vmcore.elf.xz", "i386/vmcore.elf.xz", "qemu-guest-dump/vmcore.qemu.elf.xz"]
OF_OTHER_NAME = {"orig_gpr3": "orig_r3", "spsr": "cpsr", "pswm": "psw_mask", "pswa": "psw_addr", "spr0": "mq"}
_VALUE = re.compile(r"([A-Za-z_][\w.]*): +(-?(?:0x[0-9a-f]+|\d+))(?=[\s,]|$)")


def eu_readelf(data: bytes, path: Path) -> list[dict[str, int]]:
    """What eu-readelf prints of every PRSTATUS; the section table, in which QEMU lists no notes, is hidden from it."""
    if not shutil.which("eu-readelf"):
        pytest.skip("eu-readelf (elfutils) is not installed")
    head = bytearray(data[: 4 << 20])
    shoff, shnum = ((0x28, 8), (0x3C, 4)) if head[4] == 2 else ((0x20, 4), (0x30, 4))
    for at, size in (shoff, shnum):
        head[at : at + size] = bytes(size)
    path.write_bytes(head)
    printed = subprocess.run(["eu-readelf", "-n", path], capture_output=True, text=True, errors="replace", check=False)
    blocks = re.split(r"^  (?=\S)", printed.stdout, flags=re.MULTILINE)
    return [
        {name: int(value, 0) for name, value in _VALUE.findall(block)}
        for block in blocks
        if re.match(r"CORE +\d+  PRSTATUS", block)
    ]


def compared(data: bytes, path: Path) -> None:
    core = vl.open_vmcore(data)
    theirs, ours = eu_readelf(data, path), core.cpus_table().records()
    assert len(theirs) == len(ours) > 0
    for printed, row in zip(theirs, ours, strict=True):
        names = {OF_OTHER_NAME.get(n, n.replace(".", "_")): value for n, value in printed.items()}
        shared = names.keys() & row.keys() - {"pid", "signal"}
        assert len(shared) >= 17
        mask = (1 << bits_of(core.machine)) - 1
        assert {n: names[n] & mask for n in shared} == {n: row[n] for n in shared}
        assert names["pid"] == row["pid"]


@pytest.mark.parametrize("name", PEERS)
def test_registers_are_those_of_eu_readelf(unpacked: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    compared(Path(unpacked(f"vmcore/{name}")).read_bytes(), tmp_path / "copy.elf")


@pytest.mark.parametrize("machine", [m for m in MACHINES if m not in ("loongarch64", "mips64", "mips")])
def test_registers_of_built_files_are_those_of_eu_readelf(machine: str, tmp_path: Path) -> None:
    compared(vmcore(machine, packed(machine, 6, 4000), packed(machine, 7, 5000)), tmp_path / "built.elf")


@pytest.mark.parametrize(
    ("first", "others"),
    [
        ("x86_64-mini/vmcore.elf.xz",
         ["vmcore.d31-zstd.kdump", "vmcore.d31-zlib.flat", "vmcore.d31.elf.xz", "vmcore.d31-elf.flat.xz"]),
        ("arm64/vmcore.elf.xz", ["vmcore.d31-zlib.kdump"]),
    ],
)  # fmt: skip
def test_cpus_are_the_same_from_every_container(unpacked: Callable[[str], Path], first: str, others: list[str]) -> None:
    def rows(name: str) -> list[dict[str, Any]]:
        return vl.open_vmcore(unpacked(f"vmcore/{name}")).cpus_table().records()

    wanted = rows(first)
    assert len(wanted) == 2
    for other in others:
        assert rows(f"{Path(first).parent}/{other}") == wanted


# -- numbers that are no tasks ----------------------------------------------------------------------------------------

BY_KDUMP, BY_QEMU = vmcoreinfo("OSRELEASE=6\nCRASHTIME=1700000000\n"), vmcoreinfo("OSRELEASE=6\n")
QEMU_NOTE = note(b"QEMU\0", 0, bytes(432))


@pytest.mark.parametrize(
    ("machine", "pids", "more", "tasks"),
    [
        ("aarch64", (1, 2), BY_QEMU, False),
        ("aarch64", (1, 2), b"", False),
        ("aarch64", (1,), BY_QEMU, False),
        ("x86_64", (1,), QEMU_NOTE, False),
        ("x86_64", (1,), BY_KDUMP, True),
        ("x86_64", (1, 2), BY_KDUMP, True),
        ("x86_64", (0, 0), BY_QEMU, True),
        ("aarch64", (1, 77), BY_QEMU, True),
        ("s390x", (1 << 24, 2 << 24), b"", False),
        ("ppc64", (0, 0), b"", False),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_pid_that_is_the_number_of_a_cpu_is_told(
    machine: str, pids: tuple[int, ...], more: bytes, tasks: bool
) -> None:
    table = vl.open_vmcore(vmcore(machine, *(packed(machine, pid, 0) for pid in pids), more=more)).cpus_table()
    assert table.values("pid") == list(pids)  # as eu-readelf has them
    assert ("note" in table.attrs) != tasks
