"""The parts of a kernel's virtual address space that are shifted physical memory, as far as VMCOREINFO gives the shift.

x86_64 (arch/x86/kernel/crash_core_64.c, Documentation/arch/x86/x86_64/mm.rst): the kernel image from __START_KERNEL_map,
shifted by phys_base; the map of all memory from page_offset_base, which VMCOREINFO rarely records.
arm64 (arch/arm64/kernel/crash_core.c, arch/arm64/include/asm/memory.h): the kernel image, shifted by kimage_voffset; the
linear map from PAGE_OFFSET, which stands for PHYS_OFFSET.
riscv64 (arch/riscv/kernel/crash_core.c): the same with va_kernel_pa_offset, PAGE_OFFSET and phys_ram_base.
s390x (arch/s390/include/asm/page.h): the identity, or since it has a place of its own the image at KERNELOFFSET and all
memory at IDENTITYBASE. ppc64: all memory from 0xc000000000000000. loongarch64: the direct mapping windows.
i386 and arm: low memory from PAGE_OFFSET, which is told from the place of the kernel; where arm's memory begins is told by
the kernel's own name being found there.
Everything else (modules, vmalloc) takes the page tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

__all__ = ["LinearMap", "hexadecimal", "linear_maps", "number", "symbol"]

START_KERNEL_MAP = 0xFFFFFFFF80000000
KERNEL_IMAGE_SIZE = 512 << 20  # where VMCOREINFO does not say; 1 GiB with KASLR
X86_64_MEMORY_BITS = 46  # where VMCOREINFO does not say
ALL_BITS = (1 << 64) - 1
MIB2 = 2 << 20
LARGEST_IMAGE = 1 << 30  # symbols farther from _stext are not the image's
ARM_SEARCHED = 256  # places of 2 MiB where the memory of an arm machine may begin, from the lowest in the file on

Read = Callable[[int, int], bytes | None]
Maps = tuple[list["LinearMap"], list[str]]


@dataclass(frozen=True)
class LinearMap:
    """Virtual addresses from ``start`` up to ``end``, which stand for physical memory from ``physical`` on.

    ``exact`` is False where not all that lies between is known to be mapped: page tables, where there are any, know better.
    """

    name: str
    start: int
    end: int
    physical: int
    exact: bool = True

    def translate(self, address: int) -> int:
        """Return the physical address."""
        return (address - self.start + self.physical) & ALL_BITS

    def __str__(self) -> str:
        return f"{self.name} {self.start:#x} up to {self.end:#x}"


def linear_maps(
    machine: str, info: Mapping[str, str], phys_base: int | None, read: Read, lowest: int | None = None
) -> Maps:
    """Return the maps that can be known, and what is missing for the others, in words.

    ``phys_base`` is the container's own, used where VMCOREINFO has none. ``read`` gives physical memory, or None where it
    is not in the file; ``lowest`` is the lowest physical address that is.
    """
    makers: dict[str, Callable[[], Maps]] = {
        "x86_64": lambda: _x86_64(info, phys_base, read),
        "aarch64": lambda: _arm64(info),
        "riscv64": lambda: _riscv64(info),
        "s390x": lambda: _s390x(info),
        "ppc64": _ppc64,
        "ppc64le": _ppc64,
        "loongarch64": _loongarch64,
        "i386": lambda: _i386(info),
        "arm": lambda: _arm(info, read, lowest),
    }
    if machine in makers:
        return makers[machine]()
    return [], [f"a map of {machine}'s memory, which VMCOREINFO does not give"]


def number(info: Mapping[str, str], key: str) -> int | None:
    """Return NUMBER(key) or key, written in either base; None where it is not there or no number of 64 bits."""
    text = info.get(f"NUMBER({key})", info.get(key))
    found = _parsed(text, 0)
    return _parsed(text, 16) if found is None else found


def hexadecimal(info: Mapping[str, str], key: str) -> int | None:
    """Return a value that the kernel writes as hexadecimal without 0x."""
    return _parsed(info.get(key), 16)


def symbol(info: Mapping[str, str], name: str) -> int | None:
    """Return the address of a symbol; None where it is not there."""
    found = _parsed(info.get(f"SYMBOL({name})"), 16)
    return None if found is None or found < 0 else found


def _parsed(text: str | None, base: int) -> int | None:
    try:
        found = int(text or "", base)
    except ValueError:
        return None
    return found if -(1 << 63) <= found <= ALL_BITS else None


def _image(info: Mapping[str, str], shift: int, name: str = "kernel image") -> LinearMap | None:
    """Return the kernel's image as far as VMCOREINFO's symbols reach; physical is virtual less ``shift``."""
    text = symbol(info, "_stext")
    if text is None:
        return None
    known = [a for key in info if key.startswith("SYMBOL(") and (a := symbol(info, key[7:-1])) is not None]
    start = min(text, *(a for a in known if abs(a - text) < LARGEST_IMAGE)) & -MIB2
    end = max(a for a in known if abs(a - text) < LARGEST_IMAGE)
    return LinearMap(name, start, (end | 0xFFFF) + 1, (start - shift) & ALL_BITS, exact=False)


def _x86_64(info: Mapping[str, str], phys_base: int | None, read: Read) -> Maps:
    maps: list[LinearMap] = []
    missing: list[str] = []
    base = number(info, "phys_base")
    base = phys_base if base is None else base
    if base is None:
        missing.append("phys_base, the place of the kernel's text")
    else:
        size = number(info, "KERNEL_IMAGE_SIZE") or KERNEL_IMAGE_SIZE
        maps.append(
            LinearMap("kernel text", START_KERNEL_MAP, START_KERNEL_MAP + min(size, 1 << 31), base, exact=False)
        )
    offset = number(info, "page_offset_base")
    offset = number(info, "PAGE_OFFSET") if offset is None else offset
    variable = symbol(info, "page_offset_base")
    if offset is None and variable is not None and maps and maps[0].start <= variable < maps[0].end - 8:
        raw = read(maps[0].translate(variable), 8)
        offset = int.from_bytes(raw, "little") if raw and len(raw) == 8 else None
    if offset is None or not 0xFF << 56 <= offset < START_KERNEL_MAP:
        missing.append("page_offset_base, where the map of all memory begins")
    else:
        bits = number(info, "MAX_PHYSMEM_BITS") or X86_64_MEMORY_BITS
        end = min(offset + (1 << max(0, min(bits, 52))), START_KERNEL_MAP)
        maps.append(LinearMap("linear map", offset, end, 0))
    return maps, missing


def _arm64(info: Mapping[str, str]) -> Maps:
    maps: list[LinearMap] = []
    missing: list[str] = []
    text = symbol(info, "_stext")
    shift = number(info, "kimage_voffset")
    image = None if shift is None else _image(info, shift)
    if image is None:
        missing.append("SYMBOL(_stext) and NUMBER(kimage_voffset), the place of the kernel's text")
    else:
        maps.append(image)
    bits, physical = number(info, "VA_BITS"), number(info, "PHYS_OFFSET")
    if bits is None or physical is None or text is None or not 36 <= bits <= 52:
        missing.append("NUMBER(VA_BITS), NUMBER(PHYS_OFFSET) and SYMBOL(_stext), the place of the linear map")
        return maps, missing
    size = number(info, "TCR_EL1_T1SZ")
    actual = 64 - size if size is not None and 12 <= size <= 28 else bits  # 52-bit kernels run on 48-bit machines
    middle = (1 << 64) - (1 << (actual - 1))
    if text >= middle:  # since 5.4 the linear map has the lower half, the image the upper
        maps.append(LinearMap("linear map", (1 << 64) - (1 << bits), middle, physical & ALL_BITS))
    else:
        maps.append(LinearMap("linear map", middle, 1 << 64, physical & ALL_BITS))
    return maps, missing


def _riscv64(info: Mapping[str, str]) -> Maps:
    maps: list[LinearMap] = []
    missing: list[str] = []
    shift = number(info, "va_kernel_pa_offset")
    image = None if shift is None else _image(info, shift)
    if image is None:
        missing.append("SYMBOL(_stext) and NUMBER(va_kernel_pa_offset), the place of the kernel's text")
    else:
        maps.append(image)
    base, start = number(info, "phys_ram_base"), number(info, "PAGE_OFFSET")
    if base is None or start is None or start < 0:
        missing.append("NUMBER(phys_ram_base) and NUMBER(PAGE_OFFSET), the place of the linear map")
    else:  # modules and the kernel follow
        others = (number(info, key) for key in ("MODULES_VADDR", "KERNEL_LINK_ADDR", "VMALLOC_START"))
        end = min((n for n in others if n is not None and n > start), default=1 << 64)
        maps.append(LinearMap("linear map", start, end, base & ALL_BITS))
    return maps, missing


def _s390x(info: Mapping[str, str]) -> Maps:
    identity = hexadecimal(info, "IDENTITYBASE")
    offset, physical = hexadecimal(info, "KERNELOFFSET"), hexadecimal(info, "KERNELOFFPHYS")
    if identity is None and physical is None:
        return [LinearMap("identity map", 0, 1 << 42, 0, exact=False)], []
    maps: list[LinearMap] = []
    if offset is not None and physical is not None and (image := _image(info, offset - physical)):
        maps.append(image)
    if identity is not None and 0 <= identity < 1 << 63:
        end = offset if offset is not None and offset > identity else 1 << 63
        maps.append(LinearMap("identity map", identity, end, 0, exact=False))
    return maps, [] if maps else ["KERNELOFFSET and KERNELOFFPHYS, the place of the kernel's text"]


def _ppc64() -> Maps:
    """All memory, up to where vmalloc begins with the radix MMU."""
    return [LinearMap("linear map", 0xC << 60, 0xC008 << 48, 0)], []


def _loongarch64() -> Maps:
    windows = ((0x8 << 60, "uncached window"), (0x9 << 60, "cached window"))
    return [LinearMap(name, start, start + (1 << 48), 0) for start, name in windows], []


def _i386(info: Mapping[str, str]) -> Maps:
    text = symbol(info, "_stext")
    if text is None:
        return [], ["SYMBOL(_stext), which tells where low memory begins"]
    splits = (0xC0000000, 0xB0000000, 0x80000000, 0x78000000, 0x40000000)  # CONFIG_VMSPLIT_*
    start = next((s for s in splits if text >= s), None)
    if start is None:
        return [], ["SYMBOL(_stext) in the kernel's part of the address space"]
    return [LinearMap("low memory", start, 0xFFE00000, 0, exact=False)], []


def _arm(info: Mapping[str, str], read: Read, lowest: int | None) -> Maps:
    text = symbol(info, "_stext")
    splits = (0xC0000000, 0xB0000000, 0x80000000, 0x40000000)
    start = next((s for s in splits if text is not None and text >= s), None)
    if start is None or lowest is None:
        return [], ["SYMBOL(_stext) and memory, which tell where low memory begins"]
    for physical in _places(lowest):
        found = LinearMap("low memory", start, 0xF0000000, physical, exact=False)
        if names_a_kernel(info, found, read):
            return [found], []
    return [], ["where low memory begins: the kernel's name (init_uts_ns) was not found"]


def _places(lowest: int) -> Iterator[int]:
    """Yield where memory may begin: the lowest memory in the file may be a little above, or a little below."""
    first = lowest & -MIB2
    yield lowest & -(16 << 20)
    for i in range(ARM_SEARCHED):
        yield first + i * MIB2
        if i * MIB2 <= first:
            yield first - i * MIB2


def names_a_kernel(info: Mapping[str, str], found: LinearMap, read: Read) -> bool:
    """Return whether init_uts_ns, seen through the map, says what it says in every kernel."""
    at = symbol(info, "init_uts_ns")
    if at is None or not found.start <= at < found.end:
        return False
    offset = number(info, "OFFSET(uts_namespace.name)") or 0
    return read(found.translate(at) + offset, 6) == b"Linux\0"
