"""The parts of a kernel's virtual address space that are shifted physical memory, as far as VMCOREINFO gives the shift.

x86_64 (arch/x86/kernel/crash_core_64.c, Documentation/arch/x86/x86_64/mm.rst): the kernel image from __START_KERNEL_map,
shifted by phys_base; the map of all memory from page_offset_base, which VMCOREINFO rarely records.
arm64 (arch/arm64/kernel/crash_core.c, arch/arm64/include/asm/memory.h): the kernel image, shifted by kimage_voffset; the
linear map from PAGE_OFFSET, which stands for PHYS_OFFSET.
Everything else (modules, vmalloc, user space) takes the page tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["LinearMap", "linear_maps"]

START_KERNEL_MAP = 0xFFFFFFFF80000000
KERNEL_IMAGE_SIZE = 512 << 20  # where VMCOREINFO does not say; 1 GiB with KASLR
ARM64_IMAGE_SIZE = 64 << 20  # nothing records it; vmalloc areas may follow the image
X86_64_MEMORY_BITS = 46  # where VMCOREINFO does not say
ALL_BITS = (1 << 64) - 1


@dataclass(frozen=True)
class LinearMap:
    """Virtual addresses from ``start`` up to ``end``, which stand for physical memory from ``physical`` on."""

    name: str
    start: int
    end: int
    physical: int

    def translate(self, address: int) -> int:
        """Return the physical address."""
        return (address - self.start + self.physical) & ALL_BITS

    def __str__(self) -> str:
        return f"{self.name} {self.start:#x} up to {self.end:#x}"


def linear_maps(
    machine: str, info: Mapping[str, str], phys_base: int | None, read: Callable[[int, int], bytes | None]
) -> tuple[list[LinearMap], list[str]]:
    """Return the maps that can be known, and what is missing for the others, in words.

    ``phys_base`` is the container's own, used where VMCOREINFO has none. ``read`` gives physical memory, or None where it
    is not in the file.
    """
    if machine == "x86_64":
        return _x86_64(info, phys_base, read)
    if machine == "aarch64":
        return _arm64(info)
    return [], [f"a map of {machine}'s memory, which VMCOREINFO does not give"]


def _number(info: Mapping[str, str], key: str) -> int | None:
    """Return NUMBER(key) or key, written in either base; None where it is not there or no number of 64 bits."""
    text = info.get(f"NUMBER({key})", info.get(key))
    found = _parsed(text, 0)
    return _parsed(text, 16) if found is None else found


def _parsed(text: str | None, base: int) -> int | None:
    try:
        number = int(text or "", base)
    except ValueError:
        return None
    return number if -(1 << 63) <= number <= ALL_BITS else None


def _symbol(info: Mapping[str, str], name: str) -> int | None:
    return _parsed(info.get(f"SYMBOL({name})"), 16)


def _x86_64(
    info: Mapping[str, str], phys_base: int | None, read: Callable[[int, int], bytes | None]
) -> tuple[list[LinearMap], list[str]]:
    maps: list[LinearMap] = []
    missing: list[str] = []
    base = _number(info, "phys_base")
    base = phys_base if base is None else base
    if base is None:
        missing.append("phys_base, the place of the kernel's text")
    else:
        size = _number(info, "KERNEL_IMAGE_SIZE") or KERNEL_IMAGE_SIZE
        maps.append(LinearMap("kernel text", START_KERNEL_MAP, START_KERNEL_MAP + min(size, 1 << 31), base))
    offset = _number(info, "page_offset_base")
    offset = _number(info, "PAGE_OFFSET") if offset is None else offset
    symbol = _symbol(info, "page_offset_base")
    if offset is None and symbol is not None and maps and maps[0].start <= symbol < maps[0].end - 8:
        raw = read(maps[0].translate(symbol), 8)
        offset = int.from_bytes(raw, "little") if raw and len(raw) == 8 else None
    if offset is None or not 0xFF << 56 <= offset < START_KERNEL_MAP:
        missing.append("page_offset_base, where the map of all memory begins")
    else:
        bits = _number(info, "MAX_PHYSMEM_BITS") or X86_64_MEMORY_BITS
        end = min(offset + (1 << max(0, min(bits, 52))), START_KERNEL_MAP)
        maps.append(LinearMap("linear map", offset, end, 0))
    return maps, missing


def _arm64(info: Mapping[str, str]) -> tuple[list[LinearMap], list[str]]:
    maps: list[LinearMap] = []
    missing: list[str] = []
    text = _symbol(info, "_stext")
    shift = _number(info, "kimage_voffset")
    if text is None or shift is None:
        missing.append("SYMBOL(_stext) and NUMBER(kimage_voffset), the place of the kernel's text")
    else:
        start = text & ~((2 << 20) - 1)  # the image begins at a multiple of 2 MiB, _stext a little behind
        maps.append(LinearMap("kernel image", start, start + ARM64_IMAGE_SIZE, (start - shift) & ALL_BITS))
    bits, physical = _number(info, "VA_BITS"), _number(info, "PHYS_OFFSET")
    if bits is None or physical is None or text is None or not 36 <= bits <= 52:
        missing.append("NUMBER(VA_BITS), NUMBER(PHYS_OFFSET) and SYMBOL(_stext), the place of the linear map")
        return maps, missing
    size = _number(info, "TCR_EL1_T1SZ")
    actual = 64 - size if size is not None and 12 <= size <= 28 else bits  # 52-bit kernels run on 48-bit machines
    middle = (1 << 64) - (1 << (actual - 1))
    if text >= middle:  # since 5.4 the linear map has the lower half, the image the upper
        maps.append(LinearMap("linear map", (1 << 64) - (1 << bits), middle, physical & ALL_BITS))
    else:
        maps.append(LinearMap("linear map", middle, 1 << 64, physical & ALL_BITS))
    return maps, missing
