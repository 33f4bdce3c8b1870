"""Text from a dump is hostile: it is shown escaped, and never becomes a path as it stands."""

from __future__ import annotations

import re

__all__ = ["escape", "human_size", "plural", "safe_file_name"]

_UNSAFE = re.compile(r"[^\x20-\x7e]")
_UNSAFE_KEEPING_LINES = re.compile(r"[^\x20-\x7e\n\t]")


def _hex(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in match.group().encode("latin-1", "backslashreplace"))


def escape(data: bytes | str, *, lines: bool = False) -> str:
    r"""Return printable ASCII; every other byte as ``\xNN``.

    With ``lines`` newlines and tabs stay as they are. A ``str`` is taken as one character per byte where its characters
    are below U+0100 (how bytes are decoded here), others are written as ``\uNNNN``.

    >>> escape(b"eth0\x1b[2J\xff")
    'eth0\\x1b[2J\\xff'
    """
    text = data.decode("latin-1") if isinstance(data, bytes) else data
    pattern = _UNSAFE_KEEPING_LINES if lines else _UNSAFE
    return pattern.sub(lambda m: _hex(m) if m.group() < "\u0100" else f"\\u{ord(m.group()):04x}", text)


def safe_file_name(name: str, limit: int = 64) -> str:
    """Return a file name without separators, leading dots or anything a shell or scp would interpret.

    >>> safe_file_name("cxgb4_0000:02:00.4"), safe_file_name("../../etc/passwd"), safe_file_name("")
    ('cxgb4_0000_02_00.4', '_.._etc_passwd', 'unnamed')
    """
    cleaned = re.sub(r"[^A-Za-z0-9._+-]+", "_", name).lstrip(".")[:limit]
    return cleaned or "unnamed"


def human_size(size: int) -> str:
    """Return a size in binary units, three digits at most before the unit.

    >>> human_size(864180), human_size(2**40), human_size(17)
    ('843.9 KiB', '1.0 TiB', '17 B')
    """
    if size < 1024:
        return f"{size} B"
    value = float(size)
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        value /= 1024
        if value < 1000 or unit == "EiB":
            break
    return f"{value:.1f} {unit}"


def plural(count: int, noun: str, many: str | None = None) -> str:
    """Return the count with its noun in the right number.

    >>> plural(1, "entity", "entities"), plural(2, "entity", "entities"), plural(1234, "note")
    ('1 entity', '2 entities', '1,234 notes')
    """
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"
