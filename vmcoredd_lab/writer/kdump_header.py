"""Block 0 and the sub-header of a kdump-compressed file, as makedumpfile fills them (create_dump_header and
write_kdump_header in makedumpfile.c), from the image and what is known of the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmcoredd_lab.containers.kdump_structs import DISK_DUMP_HEADER, KDUMP_SUB_HEADER
from vmcoredd_lab.model import KdumpFacts
from vmcoredd_lab.notes.vmcoreinfo import Vmcoreinfo
from vmcoredd_lab.writer.notes import NotePieces

if TYPE_CHECKING:
    from vmcoredd_lab.writer.image import VmcoreImage

__all__ = ["KdumpHeader"]

MOST_32 = (1 << 32) - 1
# What uname -m says where the project's name of the machine is another; 32-bit x86 kernels say i686 today.
_UNAME = {"i386": "i686", "arm": "armv7l", "parisc": "parisc", "sh": "sh4"}


class KdumpHeader:
    """The two headers and the places that follow from them.

    Attributes
    ----------
    notes: the notes as bytes; they begin at ``notes_at``
    bitmaps_at: where the first bitmap begins; each has ``bitmap_size`` bytes
    descriptors_at: where the page descriptors begin
    frames: page frames that the bitmaps tell of
    """

    def __init__(self, image: VmcoreImage, frames: int, flags: int) -> None:
        self._image = image
        self._flags = flags
        self._layout: dict[str, Any] = {"byteorder": image.byteorder, "bits": image.machine_bits,
                                        "max_align": 4 if image.machine == "i386" else 8}  # fmt: skip
        self._facts = _completed(image)
        self.frames = max(frames, self._facts.max_mapnr, 1)
        block, sub_size = image.page_size, KDUMP_SUB_HEADER.size(**self._layout)
        self.block_size = block
        self.notes = NotePieces(image.notes, image.byteorder)
        self.sub_header_at, self.notes_at = block, block + sub_size
        self._sub_blocks = -(-(sub_size + self.notes.size) // block)
        self._bitmap_blocks = -(-self.frames // (8 * block))
        self.bitmaps_at = block * (1 + self._sub_blocks)
        self.bitmap_size = block * self._bitmap_blocks
        self.descriptors_at = self.bitmaps_at + 2 * self.bitmap_size

    def block_0(self) -> bytes:
        """Return the header in block 0."""
        facts = self._facts
        return DISK_DUMP_HEADER.write(
            byteorder=self._image.byteorder, bits=self._image.machine_bits, max_align=self._layout["max_align"],
            signature=b"KDUMP   ", header_version=6, **facts.utsname, tv_sec=facts.tv_sec, tv_usec=facts.tv_usec,
            status=self._flags | facts.status, block_size=self.block_size, sub_hdr_size=self._sub_blocks,
            bitmap_blocks=2 * self._bitmap_blocks, max_mapnr=min(self.frames, MOST_32),
            total_ram_blocks=facts.total_ram_blocks, device_blocks=facts.device_blocks, written_blocks=facts.written_blocks,
            current_cpu=facts.current_cpu, nr_cpus=facts.nr_cpus,
        )  # fmt: skip

    def sub_header(self, part: tuple[int, int] | None, eraseinfo_at: int = 0) -> bytes:
        """Return the sub-header; ``part``: the page frames of one part of a split dump."""
        start, end = part or (0, 0)
        desc_at, desc_size = self._vmcoreinfo()
        erased = self._facts.eraseinfo
        return KDUMP_SUB_HEADER.write(
            **self._layout, phys_base=self._facts.phys_base, dump_level=self._facts.dump_level, split=int(part is not None),
            start_pfn=min(start, MOST_32), end_pfn=min(end, MOST_32), offset_vmcoreinfo=desc_at, size_vmcoreinfo=desc_size,
            offset_note=self.notes_at if self.notes.size else 0, size_note=self.notes.size,
            offset_eraseinfo=eraseinfo_at, size_eraseinfo=len(erased) if erased is not None and eraseinfo_at else 0,
            start_pfn_64=start, end_pfn_64=end, max_mapnr_64=self.frames,
        )  # fmt: skip

    @property
    def eraseinfo(self) -> bytes:
        """What makedumpfile recorded of data that it erased; it lies behind the pages."""
        return bytes(self._facts.eraseinfo) if self._facts.eraseinfo is not None else b""

    def _vmcoreinfo(self) -> tuple[int, int]:
        for note, at in zip(self._image.notes, self.notes.desc_offsets, strict=True):
            if note.owner.rstrip(b"\0") == b"VMCOREINFO":
                return self.notes_at + at, len(note.desc)
        return 0, 0


def _completed(image: VmcoreImage) -> KdumpFacts:
    """Return the facts; what the image does not state follows from VMCOREINFO and the notes."""
    facts = image.facts
    text = next((bytes(n.desc) for n in image.notes if n.owner.rstrip(b"\0") == b"VMCOREINFO"), b"")
    info = Vmcoreinfo(text[: 1 << 20])
    known = {
        "sysname": b"Linux", "nodename": b"", "release": (info.release or "").encode(), "version": b"",
        "machine": _UNAME.get(image.machine, image.machine).encode(), "domainname": b"(none)",
    }  # fmt: skip
    known.update(facts.utsname)
    return KdumpFacts(
        utsname={name: value[:64] for name, value in known.items()},
        tv_sec=facts.tv_sec or info.crash_seconds or 0,
        tv_usec=facts.tv_usec,
        status=facts.status,
        dump_level=facts.dump_level,
        phys_base=facts.phys_base or _phys_base(image, info),
        nr_cpus=facts.nr_cpus or sum(note.is_prstatus for note in image.notes),
        current_cpu=facts.current_cpu,
        total_ram_blocks=facts.total_ram_blocks,
        device_blocks=facts.device_blocks,
        written_blocks=facts.written_blocks,
        max_mapnr=facts.max_mapnr,
        eraseinfo=facts.eraseinfo,
    )


def _phys_base(image: VmcoreImage, info: Vmcoreinfo) -> int:
    """Return what makedumpfile calls phys_base: x86_64's own, arm64's PHYS_OFFSET; 0 where nothing says it."""
    key = {"x86_64": "NUMBER(phys_base)", "aarch64": "NUMBER(PHYS_OFFSET)"}.get(image.machine, "")
    try:
        number = int(info.get(key, "0"), 0)
    except ValueError:
        return 0
    return number if -(1 << 63) <= number < 1 << 63 else 0
