"""What QEMU's dump-guest-memory writes of each machine, ELF and kdump-compressed, at the same moment: one and the same vmcore.

No kernel runs in these machines: they are stopped before their first instruction, with known bytes in their memory.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

import vmcoredd_lab as vl

# name: (options, an address that is memory, byte order, bits, CPUs)
MACHINES = {
    "x86_64": ("-machine q35 -m 32 -smp 2", 0x200000, "little", 64, 2),
    "aarch64": ("-machine virt -cpu cortex-a57 -m 32 -smp 2", 0x40100000, "little", 64, 2),
    "arm": ("-machine virt -cpu cortex-a15 -m 32 -smp 2", 0x40100000, "little", 32, 2),
    "s390x": ("-machine s390-ccw-virtio -m 32 -smp 2", 0x200000, "big", 64, 2),
    "ppc64": ("-machine pseries -m 256", 0x200000, "big", 64, 1),
}
PLAIN = b"".join(random.Random(i).randbytes(4096) if i % 3 else bytes([i]) * 4096 for i in range(64))


@pytest.fixture(scope="module", params=MACHINES)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    """Name of the machine, and what QEMU wrote of it as ELF and as kdump."""
    program = shutil.which(f"qemu-system-{request.param}")
    if program is None:
        pytest.skip(f"no qemu-system-{request.param} here")
    options, at, *_ = MACHINES[request.param]
    room = tmp_path_factory.mktemp(request.param)
    (room / "plain").write_bytes(PLAIN)
    command = [program, "-S", "-display", "none", "-nodefaults", "-monitor", "stdio", *options.split()]
    command += ["-device", f"loader,file={room / 'plain'},force-raw=on,addr={at:#x}"]
    asked = f"dump-guest-memory {room / 'elf'}\ndump-guest-memory -z {room / 'kdump'}\nquit\n"
    run = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=120, check=False)
    if run.returncode or not (room / "kdump").exists():
        pytest.skip(f"this QEMU does not do it: {run.stderr[-200:]}")
    return request.param, room / "elf", room / "kdump"


def test_notes_and_machine_are_those_of_qemu_in_both(written: tuple[str, Path, Path]) -> None:
    name, *paths = written
    _, _, order, bits, cpus = MACHINES[name]
    first, second = (vl.open_vmcore(path) for path in paths)
    columns = ("owner", "type", "type_name", "desc_size", "cpu")
    assert [first.notes_table().values(c) for c in columns] == [second.notes_table().values(c) for c in columns]
    assert first.notes_table().values("owner").count("CORE") >= cpus
    for core in (first, second):
        core.check()
        assert (core.byteorder, core.container.bits, core.container.cpu_count()) == (order, bits, cpus)
        assert core.problems_table().records() == []
    assert second.machine == name
    assert second.container.identity()["writer"] == "QEMU"
    assert second.container.source.layers == ("flattened",)


def test_memory_is_the_same_in_both_and_what_was_loaded(written: tuple[str, Path, Path]) -> None:
    name, *paths = written
    first, second = (vl.open_vmcore(path) for path in paths)
    at = MACHINES[name][1]
    assert first.memory.read(at, len(PLAIN)) == second.memory.read(at, len(PLAIN)) == PLAIN
    assert second.memory.read(at + 5000, 9000) == PLAIN[5000:14000]
    compared = 0
    for address, data in second.memory.chunks(1 << 20):
        assert first.memory.read(address, len(data)) == data
        compared += len(data)
    assert compared == first.container.memory_size()[1]
