"""A screenful of bytes as hexadecimal and text, by the hexdump package, with the addresses of where they come from."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["hex_lines"]


def hex_lines(data: bytes, start: int) -> Iterator[str]:
    """Yield lines of 16 bytes: address, hexadecimal in two groups of 8, ASCII; runs of equal lines become one ``*``."""
    import hexdump

    digits = max(8, len(f"{start + len(data):x}"))
    previous, skipped = None, False
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        if row == previous and at + 16 < len(data):
            if not skipped:
                yield "*"
            skipped = True
            continue
        previous, skipped = row, False
        line = next(hexdump.dumpgen(row))  # "00000000: " comes first
        yield f"{start + at:0{digits}x}: {line.split(': ', 1)[1]}"
