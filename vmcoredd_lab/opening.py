"""Open whatever a command line names: a vmcore, or a bare device dump file."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from vmcoredd_lab.containers import container_class, open_parts
from vmcoredd_lab.containers.signatures import describe
from vmcoredd_lab.devices.dump import DeviceDump, DeviceDumps, bare_device_dumps, dump_start
from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import ByteSource, open_unwrapped
from vmcoredd_lab.source.layers import is_vmcore
from vmcoredd_lab.vmcore import Vmcore, check_dump

if TYPE_CHECKING:
    from vmcoredd_lab.analysis.findings import Diagnosis
    from vmcoredd_lab.analysis.signature import Signature

__all__ = ["OpenedFile", "open_file", "opened_of"]


class OpenedFile:
    """A vmcore or a bare device dump, with what both have: device dumps and problems."""

    def __init__(self, source: ByteSource, core: Vmcore | None, dumps: DeviceDumps) -> None:
        self.source = source
        self.core = core
        self.device_dumps = dumps

    @property
    def path(self) -> str:
        """The file's name."""
        return self.source.name

    def vmcore(self) -> Vmcore:
        """Return the vmcore.

        Raises
        ------
        OpenError: the file is a bare device dump.
        """
        if self.core is None:
            raise OpenError(
                "this is a bare device dump, not a vmcore", path=self.path, expected="a vmcore",
                got=f"a {self.device_dumps[0].driver} device dump",
                hint="info, entities, registers, firmware-log, extract and report work on it as it is",
            )  # fmt: skip
        return self.core

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """The findings, and the rules that could not be evaluated."""
        if self.core is not None:
            return self.core.diagnosis
        from vmcoredd_lab.analysis.findings import diagnose

        return diagnose(list(self.device_dumps))

    def signature(self) -> Signature:
        """What the crash is grouped by."""
        from vmcoredd_lab.analysis.signature import signature

        return signature(self.core, self.diagnosis)

    def bytes_of(self, space: str, offset: int, length: int) -> bytes:
        """Return the bytes that a finding names, as :meth:`Vmcore.bytes_of`."""
        from vmcoredd_lab.analysis.findings import read_bytes

        return read_bytes(self.core or self, space, offset, length)

    def problems(self) -> Problems:
        """Return what is known to be wrong so far; a remote file that could not be read raises its error."""
        if self.core is not None:
            return self.core.known_problems()
        found = Problems(self.source.problems(), *(dump.problems() for dump in self.device_dumps))
        if self.source.failure is not None:
            raise self.source.failure
        return found

    def check(self, pages: bool | None = None) -> bool:
        """Read every device dump whole, and pages as :meth:`Vmcore.check` does, so that the problems are complete.

        Returns False where there are pages that were not checked.
        """
        if self.core is not None:
            return self.core.check(pages)
        for dump in self.device_dumps:
            check_dump(dump)
        return True


def open_file(path: Any, *parts: Any, cache_index: bool = False) -> OpenedFile:
    """Open a vmcore or a bare device dump, told by content; with ``parts`` a split dump.

    With ``cache_index`` the index of a flattened file is kept beside it.

    Raises
    ------
    OpenError: missing, empty, a directory, neither of the two, cut inside its own header, or not parts of one dump.
    """
    source = open_unwrapped(path, cache_index=cache_index, wanted=_wanted)
    if parts or container_class(source) is not None:
        core = Vmcore(open_parts([source, *(open_unwrapped(part, cache_index=cache_index) for part in parts)]))
        return OpenedFile(core.container.source, core, core.device_dumps)
    if dump_start(source) is not None:
        return OpenedFile(source, None, bare_device_dumps(source))
    looks, hint = describe(source)
    raise OpenError(
        "neither a vmcore nor a device dump", path=source.name,
        expected="an ELF core, makedumpfile's KDUMP header, or a cudbg header", got=looks, hint=hint,
    )  # fmt: skip


def opened_of(what: Any) -> OpenedFile:
    """Return a vmcore, a device dump or a path as an opened file."""
    if isinstance(what, OpenedFile):
        return what
    if isinstance(what, Vmcore):
        return OpenedFile(what.container.source, what, what.device_dumps)
    if isinstance(what, DeviceDump):
        return OpenedFile(what.source, None, DeviceDumps([what], what.source.name))
    return open_file(what)


def _wanted(source: ByteSource) -> bool:
    """Return whether a member of an archive is what the commands work on."""
    return is_vmcore(source) or dump_start(source) is not None
