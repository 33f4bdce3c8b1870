"""Which container a file is: told by its first bytes, never by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vmcoredd_lab.containers.base import Container
from vmcoredd_lab.containers.elf import ElfContainer
from vmcoredd_lab.containers.kdump import KdumpContainer
from vmcoredd_lab.containers.kdump_split import SplitContainer
from vmcoredd_lab.containers.signatures import describe
from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.source import ByteSource, unwrap

__all__ = ["container_class", "open_container", "open_parts"]


def container_class(source: ByteSource) -> Callable[[ByteSource], Container] | None:
    """Return the container that the first bytes of ``source`` announce, or None where they announce no vmcore."""
    head = source.read(0, 8)
    if head[:4] == ElfContainer.SIGNATURE:
        return ElfContainer
    if head in KdumpContainer.SIGNATURES:
        return KdumpContainer
    return None


def open_container(source: ByteSource) -> Container:
    """Return the container that the first bytes of ``source`` announce, once what wraps it is taken off.

    Raises
    ------
    OpenError: the content is something else; the message says what it looks like and what would be needed.
    """
    source = unwrap(source)
    kind = container_class(source)
    if kind is not None:
        return kind(source)
    looks, hint = describe(source)
    raise OpenError(
        "not a vmcore",
        path=source.name,
        expected="an ELF core (7f 45 4c 46) or makedumpfile's KDUMP header",
        got=looks,
        hint=hint,
    )


def open_parts(sources: Sequence[ByteSource]) -> Container:
    """Return one container for a file, or for the parts of a split dump in any order.

    Raises
    ------
    OpenError: a file is no vmcore, or several are not the parts of one dump.
    """
    containers = [open_container(source) for source in sources]
    return containers[0] if len(containers) == 1 else SplitContainer(containers)
