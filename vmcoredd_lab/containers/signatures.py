"""What a file that is not a vmcore looks like, so that the error can say so and what to do."""

from __future__ import annotations

from shlex import quote

from vmcoredd_lab.source import ByteSource
from vmcoredd_lab.source.commands import file_name
from vmcoredd_lab.source.urls import is_url

__all__ = ["describe"]

# What source.layers takes off does not get here, unless nothing in it could be read.
_KINDS = (
    (b"\x1f\x8b", "a gzip file", "unpack it first: gzip -dc {0} > vmcore"),
    (b"\x1f\x9d", "a compress file", "unpack it first: gzip -dc {0} > vmcore"),
    (b"\x04\x22\x4d\x18", "an lz4 file", "unpack it first: lz4 -dc {0} > vmcore"),
    (b"\x89LZO\0", "an lzop file", "unpack it first: lzop -dc {0} > vmcore"),
    (b"LZIP", "an lzip file", "unpack it first: lzip -dc {0} > vmcore"),
    (b"\x5d\0\0", "an lzma file", "unpack it first: xz --format=lzma -dc {0} > vmcore"),
    (b"PK\x03\x04", "a zip archive", "unpack it first: unzip {0}"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first: 7z x {0}"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it first: unrar x {0}"),
    (b"\xed\xab\xee\xdb", "an RPM package", "unpack it first: rpm2cpio {0} | cpio -idv"),
    (b"!<arch>\n", "an ar archive or Debian package", "unpack it first: ar x {0}"),
    (b"070701", "a cpio archive", "unpack it first: cpio -idv < {0}"),
    (b"070707", "a cpio archive", "unpack it first: cpio -idv < {0}"),
    (b"QFI\xfb", "a QEMU disk image", "pass the vmcore that is on that disk"),
    (b"\x67\x45\x8b\x6b", "a libvirt or s390x dump", "convert it first: zgetdump {0} -f elf > vmcore"),
    (b"S390CPU\0", "an s390x dump", "convert it first: zgetdump {0} -f elf > vmcore"),
    (b"LiME", "a LiME memory image", "pass a vmcore: it has notes, which LiME images lack"),
    (b"EMiL", "a LiME memory image", "pass a vmcore: it has notes, which LiME images lack"),
    (b"PAGEDU64", "a Windows crash dump", "pass a vmcore of Linux"),
    (b"PAGEDUMP", "a Windows crash dump", "pass a vmcore of Linux"),
    (b"MDMP", "a minidump", "pass a vmcore of Linux"),
)


def describe(source: ByteSource) -> tuple[str, str]:
    """Return what the content looks like, and a hint for the person who passed it."""
    looks, hint = _describe(source)
    return (f"{looks} in {' in '.join(reversed(source.layers))}" if source.layers else looks), hint


def _describe(source: ByteSource) -> tuple[str, str]:
    head = source.read(0, 4096)
    for magic, name, hint in _KINDS:
        if head.startswith(magic):
            todo = hint.format(quote(file_name(source.name)))
            return name, f"download it, then {todo}" if is_url(source.name) and "{0}" in hint else todo
    first = head[:8].hex(" ")
    if not head.strip(b"\0"):
        return (
            f"zeros from the start ({source.size:,} bytes)",
            "the copy may have failed; copy the vmcore again",
        )
    if all(byte in b"\t\n\r\f" or 0x20 <= byte < 0x7F for byte in head):
        return "text", "pass the vmcore itself (often /var/crash/*/vmcore)"
    return (
        f"unknown content beginning with {first}",
        "pass a vmcore, or a device dump as ethtool -w writes it",
    )
