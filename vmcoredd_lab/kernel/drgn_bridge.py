"""The drgn bridge: a drgn.Program on a vmcore in whatever it is wrapped, with the kernel's debuginfo where there is any.

drgn opens one local file itself. Split, flattened, packed and remote vmcores it cannot open: there it walks the page tables over
the memory that this package reads.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

from vmcoredd_lab.errors import NotInFileError, OpenError
from vmcoredd_lab.kernel.debuginfo import WHAT_IT_ADDS, debuginfo_hint
from vmcoredd_lab.notes.vmcoreinfo import Vmcoreinfo
from vmcoredd_lab.text import escape

__all__ = ["drgn_program", "standard_debuginfo"]

_ARCHITECTURES = {
    "x86_64": "X86_64", "i386": "I386", "aarch64": "AARCH64", "arm": "ARM", "ppc64": "PPC64", "ppc64le": "PPC64",
    "riscv64": "RISCV64", "riscv32": "RISCV32", "s390x": "S390X", "s390": "S390", "loongarch64": "LOONGARCH64",
}  # fmt: skip


def drgn_program(core: Any, vmlinux: str | os.PathLike[str] | None) -> Any:
    """Return a drgn.Program of the crashed kernel; with the symbols of ``vmlinux`` where that is given.

    Raises
    ------
    OpenError: drgn is not installed; it cannot open the file; ``vmlinux`` is not the crashed kernel's or has no debuginfo.
    NotInFileError: drgn needs VMCOREINFO, which the file does not have.
    """
    drgn = _drgn(core.path)
    program = _opened(drgn, core)
    if vmlinux is not None:
        _load(drgn, program, core, os.fspath(vmlinux))
    return program


def _drgn(path: str) -> Any:
    try:
        import drgn
    except ImportError:
        raise OpenError(
            "symbols and stacks are drgn's work, and it is not installed", path=path, expected="the package drgn",
            got="no such package", hint="install it: pip install drgn (or 'vmcoredd-lab[kernel]'); all else works without",
        ) from None  # fmt: skip
    return drgn


def _opened(drgn: Any, core: Any) -> Any:
    source = core.container.source
    if source.mapped and not source.beneath and not source.layers and os.path.isfile(source.name):
        program = drgn.Program()
        try:
            program.set_core_dump(source.name)
            return program
        except Exception as error:  # drgn's errors have no common base
            if not core.vmcoreinfo:
                raise OpenError(f"drgn cannot open the file: {_words(error)}", path=core.path) from None
    return _over_memory(drgn, core)


def _over_memory(drgn: Any, core: Any) -> Any:
    """Return a program that reads through this package."""
    if not core.vmcoreinfo:
        raise NotInFileError(
            "no VMCOREINFO, from which drgn learns where the kernel is", path=core.path,
            hint="a plain local copy of the file may do: drgn then looks for itself",
        )  # fmt: skip
    if core.machine not in _ARCHITECTURES or not hasattr(drgn.Program, "set_linux_kernel_custom"):
        known = core.machine in _ARCHITECTURES
        raise OpenError(
            "this drgn reads only plain local files" if known else f"drgn does not know {core.machine}", path=core.path,
            expected="one of " + ", ".join(_ARCHITECTURES) if not known else "drgn with Program.set_linux_kernel_custom",
            hint="update drgn, or unpack the vmcore to a local file" if known else None,
        )  # fmt: skip
    flags = drgn.PlatformFlags(0)
    if core.byteorder == "little":
        flags |= drgn.PlatformFlags.IS_LITTLE_ENDIAN
    if core.container.bits == 64:
        flags |= drgn.PlatformFlags.IS_64_BIT
    platform = drgn.Platform(getattr(drgn.Architecture, _ARCHITECTURES[core.machine]), flags)
    try:
        program = drgn.Program(platform, vmcoreinfo=core.vmcoreinfo.raw)
        program.add_memory_segment(0, (1 << 64) - 1, _reader(drgn, core.memory.read), True)
        program.set_linux_kernel_custom(core.vmcoreinfo.raw, False)
    except Exception as error:  # as above
        raise OpenError(f"drgn cannot use this VMCOREINFO: {_words(error)}", path=core.path) from None
    return program


def _reader(drgn: Any, read: Callable[[int, int], bytes]) -> Callable[[int, int, int, bool], bytes]:
    def segment(address: int, size: int, offset: int, physical: bool) -> bytes:
        try:
            return read(address, size)
        except NotInFileError as error:
            raise drgn.FaultError(error.message, address) from None

    return segment


def _load(drgn: Any, program: Any, core: Any, vmlinux: str) -> None:
    if not os.path.isfile(vmlinux):
        raise OpenError("no such file", path=vmlinux, hint=debuginfo_hint(core.vmcoreinfo))
    with open(vmlinux, "rb") as file:
        head = file.read(4)
    if head != b"\x7fELF":
        raise OpenError(
            "not an ELF file: vmlinux is needed as the linker left it", path=vmlinux, offset=0, expected="7f 45 4c 46",
            got=head.hex(" ") or "the end of the file", hint="unpack it; a vmlinuz or bzImage of /boot has no debuginfo",
        )  # fmt: skip
    with _quiet():
        try:
            program.load_debug_info([vmlinux])
        except Exception as error:  # whatever a C library says of a damaged file
            raise OpenError(f"drgn cannot use it: {_words(error)}", path=vmlinux) from None
    if not _loaded(drgn, program):
        want = core.vmcoreinfo.build_id
        raise OpenError(
            "not the crashed kernel's vmlinux, or without debuginfo", path=vmlinux,
            expected=f"build-id {want}" if want else f"that of {core.vmcoreinfo.release or 'the crashed kernel'}",
            hint=debuginfo_hint(core.vmcoreinfo),
        )  # fmt: skip


def _loaded(drgn: Any, program: Any) -> bool:
    try:
        return bool(program.main_module().debug_file_status == drgn.ModuleFileStatus.HAVE)
    except LookupError:
        return False


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep drgn's log off stderr: what could not be loaded is said in an error of this package."""
    logger = logging.getLogger("drgn")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _words(error: BaseException) -> str:
    return escape(str(error)) or type(error).__name__


def standard_debuginfo(core: Any, program: Any) -> None:
    """Load the vmlinux that this system has installed for the crashed kernel; nothing is fetched.

    Raises
    ------
    NotInFileError: there is none; the message says what it would add and where it is to be had.
    """
    drgn = _drgn(core.path)
    program.set_enabled_debug_info_finders([n for n in program.registered_debug_info_finders() if n == "standard"])
    with _quiet(), contextlib.suppress(Exception):  # whether it worked is looked at
        program.load_debug_info(main=True)
    if not _loaded(drgn, program):
        raise NotInFileError(
            f"no vmlinux was given, and this system has none of this kernel: {WHAT_IT_ADDS}", path=core.path,
            hint=_needs(core.vmcoreinfo),
        )  # fmt: skip


def _needs(info: Vmcoreinfo) -> str:
    return f"{debuginfo_hint(info)}; registers and the kernel log need none of it"
