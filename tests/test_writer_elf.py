"""Images as ELF vmcores: laid out as /proc/vmcore lays them out, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import vmcoredd_lab as vl
from vmcoredd_lab.source import Buffer

KERNELS = {
    "x86_64": ("x86_64-mini", {}),
    "arm64": ("arm64", {"page_size": 1 << 16}),
    "i386": ("i386", {}),
}
NAMES = {"arm64": "aarch64"}


def rebuilt(path: Path, dumps: Path, machine: str, **declared: int) -> vl.VmcoreImage:
    """An image built by hand from the frames of an opened vmcore and the bytes that the drivers gave."""
    core = vl.open_vmcore(path)
    source = core.container.source
    image = vl.VmcoreImage(machine, **declared)
    for note in core.container.notes:
        if not note.is_device_dump:
            namesz = int.from_bytes(source.read(note.header_offset, 4), "little")
            owner = source.read(note.header_offset + 12, namesz)
            image.add_note(owner, note.type, Buffer(source, note.desc_offset, note.desc_size))
    for row in core.segments_table().records():
        if row["type"] == "PT_LOAD":
            image.add_segment(Buffer(source, row["offset"], row["filesz"]), paddr=row["paddr"], vaddr=row["vaddr"])
    for line in (dumps.parent / "dumps-order.txt").read_text().splitlines():
        line = line.split()[0]
        data = (dumps / line).read_bytes()
        image.add_device_dump(line, len(data), lambda buffer, data=data: buffer.__setitem__(slice(len(data)), data))
    return image


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_image_built_by_hand_is_the_kernels_file(unpacked: Callable[[str], Path], kernel: str) -> None:
    directory, declared = KERNELS[kernel]
    path = unpacked(f"{directory}/vmcore.elf.xz")
    dumps = unpacked(f"{directory}/dumps")
    image = rebuilt(path, dumps, NAMES.get(kernel, kernel), **declared)
    assert image.open().read() == path.read_bytes()
