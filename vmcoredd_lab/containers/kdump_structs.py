"""makedumpfile's kdump-compressed structures (diskdump_mod.h of makedumpfile), declared once for reading and writing.

Members follow the crashed machine's own ``long`` and alignment: natural on most, at most 4 on i386.
"""

from __future__ import annotations

from vmcoredd_lab.structs import Member, Struct

__all__ = ["DISK_DUMP_HEADER", "KDUMP_SUB_HEADER", "PAGE_DESC", "STATUS"]

_SOURCE = "makedumpfile: diskdump_mod.h"
_UTS = 65  # __NEW_UTS_LEN + 1, include/uapi/linux/utsname.h

DISK_DUMP_HEADER = Struct(
    "disk_dump_header",
    _SOURCE,
    (
        Member("signature", "S8", "KDUMP and three blanks, or DISKDUMP"),
        Member("header_version", "u4", "1 to 6"),
        Member("sysname", f"S{_UTS}"),
        Member("nodename", f"S{_UTS}"),
        Member("release", f"S{_UTS}"),
        Member("version", f"S{_UTS}"),
        Member("machine", f"S{_UTS}"),
        Member("domainname", f"S{_UTS}"),
        Member("tv_sec", "L", "time of the crash"),
        Member("tv_usec", "L"),
        Member("status", "u4", "DUMP_DH_* bits"),
        Member("block_size", "u4", "the page size"),
        Member("sub_hdr_size", "u4", "in blocks, notes included"),
        Member("bitmap_blocks", "u4", "both bitmaps together"),
        Member("max_mapnr", "u4", "page frames, low 32 bits"),
        Member("total_ram_blocks", "u4"),
        Member("device_blocks", "u4"),
        Member("written_blocks", "u4"),
        Member("current_cpu", "u4"),
        Member("nr_cpus", "u4"),
    ),
)

KDUMP_SUB_HEADER = Struct(
    "kdump_sub_header",
    _SOURCE,
    (
        Member("phys_base", "l", "since version 1; may be negative with KASLR"),
        Member("dump_level", "i4", "makedumpfile -d; since version 1"),
        Member("split", "i4", "1 in one part of a split dump; since version 2"),
        Member("start_pfn", "L"),
        Member("end_pfn", "L"),
        Member("offset_vmcoreinfo", "u8", "since version 3"),
        Member("size_vmcoreinfo", "L"),
        Member("offset_note", "u8", "since version 4"),
        Member("size_note", "L"),
        Member("offset_eraseinfo", "u8", "since version 5"),
        Member("size_eraseinfo", "L"),
        Member("start_pfn_64", "u8", "since version 6"),
        Member("end_pfn_64", "u8"),
        Member("max_mapnr_64", "u8"),
    ),
)

PAGE_DESC = Struct(
    "page_desc",
    _SOURCE,
    (
        Member("offset", "u8", "where the page's data are"),
        Member("size", "u4", "stored bytes"),
        Member("flags", "u4", "how this page is compressed; 0: not"),
        Member("page_flags", "u8"),
    ),
)

STATUS = {
    0x1: "zlib", 0x2: "lzo", 0x4: "snappy", 0x8: "incomplete", 0x10: "excluded vmemmap", 0x20: "zstd",
}  # fmt: skip
