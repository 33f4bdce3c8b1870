"""What the crashed kernel and makedumpfile say of themselves: VMCOREINFO, what was erased, the system's names."""

from __future__ import annotations

from collections.abc import Callable

from vmcoredd_lab.containers import Container
from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.kernel.lowcore import vmcoreinfo_of_lowcore
from vmcoredd_lab.kernel.utsname import read_utsname
from vmcoredd_lab.memory import Memory
from vmcoredd_lab.notes.vmcoreinfo import LONGEST, Vmcoreinfo
from vmcoredd_lab.text import escape

__all__ = ["eraseinfo_of", "utsname_of", "vmcoreinfo_of"]

NAMES = ("nodename", "domainname", "release", "version", "machine")


def vmcoreinfo_of(container: Container) -> Vmcoreinfo:
    """Return VMCOREINFO from its note, from makedumpfile's sub-header, or of s390x from memory; empty where there is none."""
    held = _held(container, "VMCOREINFO", container.vmcoreinfo_window)
    if held is not None:
        return Vmcoreinfo(*held)
    if container.machine != "s390x":
        return Vmcoreinfo()

    def physical(address: int, size: int) -> bytes | None:
        try:
            return container.memory.read(address, size)
        except NotInFileError:
            return None

    return Vmcoreinfo(vmcoreinfo_of_lowcore(physical))


def eraseinfo_of(container: Container) -> tuple[str, ...]:
    """Return the lines that makedumpfile wrote of what it erased, from the note ERASEINFO or its sub-header."""
    text, _ = _held(container, "ERASEINFO", container.eraseinfo_window) or (b"", 0)
    return tuple(escape(line) for line in text.rstrip(b"\0").split(b"\n") if line.strip())


def _held(
    container: Container, owner: str, elsewhere: Callable[[], tuple[int, int] | None]
) -> tuple[bytes, int] | None:
    """Return a text and its offset: of the first note of an owner, else from where makedumpfile's sub-header says it is."""
    noted = ((note.desc_offset, note.available) for note in container.notes if note.owner == owner)
    window = next(noted, None) or elsewhere()
    return None if window is None else (container.source.read(window[0], min(window[1], LONGEST)), window[0])


def utsname_of(container: Container, memory: Memory, info: Vmcoreinfo) -> dict[str, str]:
    """Return the names of the system from makedumpfile's header, else from the kernel's memory; those that are set."""
    held = container.identity()
    if "nodename" not in held:
        found = read_utsname(memory, info)
        held = {name: escape(value) for name, value in found.items() if value not in (b"", b"(none)")} or held
    return {name: held[name] for name in NAMES if name in held}
