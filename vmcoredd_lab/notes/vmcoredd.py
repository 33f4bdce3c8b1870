"""NT_VMCOREDD: what stands before a device dump (struct vmcoredd_header, include/uapi/linux/vmcore.h)."""

from __future__ import annotations

import re

from vmcoredd_lab.structs import Member, Struct

__all__ = ["DUMP_NAME_SIZE", "VMCOREDD_HEADER", "split_name"]

DUMP_NAME_SIZE = 44  # VMCOREDD_MAX_NAME_BYTES

VMCOREDD_HEADER = Struct(
    "vmcoredd_header",
    "include/uapi/linux/vmcore.h",
    (
        Member("n_namesz", "u4", "8"),
        Member("n_descsz", "u4", "dump_name, the dump and the padding to whole pages"),
        Member("n_type", "u4", "NT_VMCOREDD, 0x700"),
        Member("name", "S8", "LINUX and NULs"),
        Member("dump_name", f"S{DUMP_NAME_SIZE}", "the driver's choice, by convention driver_device"),
    ),
    "The descriptor begins at dump_name; the device's bytes follow it.",
)

_PCI = re.compile(r"(?P<driver>[A-Za-z][A-Za-z0-9_-]*)_(?P<device>[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])\Z")


def split_name(name: str) -> tuple[str | None, str | None]:
    """Return driver and device of a dump name ``driver_device``, each None where the name is not of that form.

    >>> split_name("cxgb4_0000:02:00.4"), split_name("one_byte")
    (('cxgb4', '0000:02:00.4'), (None, None))
    """
    match = _PCI.match(name)
    return (match["driver"], match["device"]) if match else (None, None)
