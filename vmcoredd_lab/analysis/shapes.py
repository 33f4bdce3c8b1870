"""The shape of a log message: its words, without the numbers that vary from one time to the next."""

from __future__ import annotations

import re

__all__ = ["message_shape"]

# with 0x; hexadecimal digits of which one is decimal, or eight and more; decimal, also before a unit
_NUMBER = re.compile(
    r"0[xX][0-9a-fA-F]+|\b(?=[a-fA-F]*\d)[0-9a-fA-F]+\b|\b[0-9a-fA-F]{8,}\b|(?<![A-Za-z_\d])[-+]?\d+(?:\.\d+)*"
)


def message_shape(text: str) -> str:
    """Return a message with ``#`` for each number; white space is one blank.

    >>> message_shape("port[0] link up (1) speed 25000Mbps (acaps 0x0000003e)")
    'port[#] link up (#) speed #Mbps (acaps #)'
    """
    return " ".join(_NUMBER.sub("#", text).split())
