"""Vmcores from the model that the readers yield: any container, laid out as the kernel and makedumpfile do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.text import escape
from vmcoredd_lab.writer.elf import write_elf
from vmcoredd_lab.writer.image import VmcoreImage
from vmcoredd_lab.writer.sinks import FileSink

__all__ = ["VmcoreImage", "write_vmcore"]

FORMATS = ("elf",)


def write_vmcore(image: VmcoreImage, path: Any, format: str = "elf") -> None:
    """Write an image to a file, which gets its name when it is whole.

    Raises
    ------
    OutputError: the file system refused, or what is to be written cannot be read.
    UsageError: no such format, or the image does not fit it.
    """
    if format not in FORMATS:
        raise UsageError("no such format", expected=" or ".join(FORMATS), got=format)
    source = image.source()
    with FileSink(Path(path)) as sink:
        write_elf(source, sink, f"writing {escape(str(path))}")
