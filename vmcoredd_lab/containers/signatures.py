"""What a file that is not a vmcore looks like, so that the error can say so and what to do."""

from __future__ import annotations

from vmcoredd_lab.source import ByteSource

__all__ = ["describe"]

_PACKED = (
    (b"\x1f\x8b", "a gzip file", "unpack it first: gzip -dc {0} > vmcore"),
    (b"\xfd7zXZ\x00", "an xz file", "unpack it first: xz -dc {0} > vmcore"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "unpack it first: zstd -dc {0} > vmcore"),
    (b"BZh", "a bzip2 file", "unpack it first: bzip2 -dc {0} > vmcore"),
    (b"PK\x03\x04", "a zip archive", "unpack it first: unzip {0}"),
    (b"makedumpfile\0", "makedumpfile's flattened format", "rebuild it first: makedumpfile -R vmcore < {0}"),
)


def describe(source: ByteSource) -> tuple[str, str]:
    """Return what the content looks like, and a hint for the person who passed it."""
    head = source.read(0, 4096)
    for magic, name, hint in _PACKED:
        if head.startswith(magic):
            return name, hint.format(source.name)
    if head[257:262] == b"ustar":
        return "a tar archive", f"unpack it first: tar -xf {source.name}"
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
