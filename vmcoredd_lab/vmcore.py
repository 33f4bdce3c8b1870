"""A vmcore: what a user opens. Everything behind it is read when it is asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from vmcoredd_lab.containers import Container, open_parts
from vmcoredd_lab.devices.dump import DeviceDump, DeviceDumps
from vmcoredd_lab.errors import NotInFileError, OpenError, UsageError, VmcoreddLabError
from vmcoredd_lab.memory import Memory
from vmcoredd_lab.notes.table import notes_table
from vmcoredd_lab.notes.vmcoreinfo import Vmcoreinfo
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.progress import progress
from vmcoredd_lab.source import ByteSource, open_unwrapped
from vmcoredd_lab.structs import ByteOrder
from vmcoredd_lab.tables import Table

if TYPE_CHECKING:
    import pandas as pd

    from vmcoredd_lab.analysis.findings import Diagnosis
    from vmcoredd_lab.analysis.signature import Signature
    from vmcoredd_lab.writer.image import VmcoreImage

__all__ = ["Memory", "Vmcore", "open_vmcore"]

PAGES_CHECKED = 1 << 30  # bytes of memory in a file whose pages are checked without being asked for


class Vmcore:
    """A crash dump. Made by :func:`open_vmcore`.

    Attributes
    ----------
    format: ``elf64``, ``elf32`` or ``kdump-compressed``
    machine: as ``uname -m`` says it: ``x86_64``, ``aarch64``, ``s390x``, ``i386``, ...
    byteorder: ``little`` or ``big``
    device_dumps: the device dumps, by index or by name
    """

    def __init__(self, container: Container) -> None:
        self._container = container
        self._log_problems = Problems()

    @property
    def path(self) -> str:
        """The file's name."""
        return self._container.source.name

    @property
    def format(self) -> str:
        """The container's format."""
        return self._container.format

    @property
    def machine(self) -> str:
        """The crashed machine's architecture."""
        return self._container.machine

    @property
    def byteorder(self) -> ByteOrder:
        """``little`` or ``big``."""
        return self._container.byteorder

    @property
    def container(self) -> Container:
        """The container itself, for its headers."""
        return self._container

    def __repr__(self) -> str:
        return f"<Vmcore {self.path}: {self.format}, {self.machine}, {len(self.device_dumps)} device dumps>"

    # -- tables, without pandas ---------------------------------------------------------------------------------------

    def segments_table(self) -> Table:
        """Return the segments (:data:`~vmcoredd_lab.containers.base.SEGMENTS`)."""
        return self._container.segments()

    def notes_table(self) -> Table:
        """Return the notes (:data:`~vmcoredd_lab.notes.table.NOTES`)."""
        c = self._container
        return notes_table(c.source, c.notes, c.bits, c.byteorder)

    def problems_table(self) -> Table:
        """Return the problems (:data:`~vmcoredd_lab.problems.PROBLEMS`)."""
        return self.known_problems().table()

    def known_problems(self) -> Problems:
        """Return what is known to be wrong: the container's headers, each dump's headers, and what was decoded so far.

        Raises
        ------
        OpenError: a remote file could not be read: then what is missing is not known to be damaged.
        """
        self._container.check()
        found = Problems(
            self._container.source.problems(),
            self._container.problems,
            *(dump.problems() for dump in self.device_dumps),
            self._log_problems,
        )
        if self._container.source.failure is not None:
            raise self._container.source.failure
        return found

    def check(self, pages: bool | None = None) -> bool:
        """Read every device dump whole, and the pages of a kdump-compressed file, so that ``problems`` is complete.

        ``pages`` None: where they are local and at most 1 GiB of memory (seconds). Returns False where there are pages that
        were not checked.

        Raises
        ------
        OpenError: with ``pages`` True, the package that inflates them is not installed.
        """
        for dump in self.device_dumps:
            check_dump(dump)
        _ = self._log  # read for what is wrong with it
        held, source = self._container.memory, self._container.source
        todo = held.work()
        wanted = (todo <= PAGES_CHECKED and not _is_remote(source)) if pages is None else pages
        try:
            with progress("checking pages", todo) as advance:
                held.check(advance, pages=wanted)
        except OpenError:
            if pages or source.failure is not None:
                raise
            return False
        return wanted or not todo

    def dmesg_table(self) -> Table:
        """Return the kernel log (:data:`~vmcoredd_lab.kernel.printk.DMESG`), oldest record first.

        ``spans`` has (first physical address, end) of each record's text.

        Raises
        ------
        NotInFileError: the file has no VMCOREINFO, or nothing in it says where the log is.
        """
        if isinstance(self._log, NotInFileError):
            raise self._log
        return self._log

    @cached_property
    def _log(self) -> Table | NotInFileError:
        from vmcoredd_lab.kernel.printk import kernel_log

        c = self._container
        try:
            return kernel_log(
                self.memory, self.vmcoreinfo, c.machine, c.bits, c.byteorder, self.path, self._log_problems
            )
        except NotInFileError as error:
            return error

    # -- frames -------------------------------------------------------------------------------------------------------

    @cached_property
    def segments(self) -> pd.DataFrame:
        """Program headers, or the physical ranges of a kdump file: type, offset, vaddr, paddr, filesz, memsz, flags, align."""
        return _frame(self.segments_table(), copy=False)

    @cached_property
    def notes(self) -> pd.DataFrame:
        """Notes in file order: owner, type, type_name, desc_offset, desc_size, cpu, summary."""
        return _frame(self.notes_table())

    @cached_property
    def dmesg(self) -> pd.DataFrame:
        """The kernel log, oldest first: seq, time_ns, level, facility, caller, text, device, state, dictionary.

        Raises
        ------
        NotInFileError: as :meth:`dmesg_table`.
        """
        return _frame(self.dmesg_table())

    @property
    def problems(self) -> pd.DataFrame:
        """What is wrong with the file, as far as it has been read; see :meth:`check`. Empty for a sound file."""
        return _frame(self.problems_table())

    # -- what it means ------------------------------------------------------------------------------------------------

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """The findings as records with all of their evidence, and the rules that could not be evaluated."""
        from vmcoredd_lab.analysis.findings import diagnose

        return diagnose(list(self.device_dumps), self)

    def findings(self) -> pd.DataFrame:
        """What is wrong, worst first: rule, severity, confidence, title, evidence, device, space, offset, length, ...

        The rules of each device's decoder, of the kernel log, and across both (docs/findings.md). ``space``, ``offset`` and
        ``length`` say which bytes prove it; :meth:`bytes_of` gives them, ``diagnosis.findings`` has every place.
        """
        return self.diagnosis.frame

    def skipped_rules(self) -> pd.DataFrame:
        """The rules that could not be evaluated: rule, reason, device."""
        return self.diagnosis.skipped_frame

    def signature(self) -> Signature:
        """What the crash is grouped by: ``.hash``, the same for crashes that are alike, and ``.parts``."""
        from vmcoredd_lab.analysis.signature import signature

        return signature(self, self.diagnosis)

    def bytes_of(self, space: str, offset: int, length: int) -> bytes:
        """Return the bytes that a finding or an event names: ``bytes_of(row.space, row.offset, row.length)``.

        Raises
        ------
        NotInFileError: there is no such dump or entity, or it ends before; the page of memory is not in the file.
        UsageError: no space is called that.
        """
        from vmcoredd_lab.analysis.findings import read_bytes

        return read_bytes(self, space, offset, length)

    @property
    def source(self) -> ByteSource:
        """The bytes of the file as opened."""
        return self._container.source

    # -- parts --------------------------------------------------------------------------------------------------------

    @cached_property
    def vmcoreinfo(self) -> Vmcoreinfo:
        """VMCOREINFO as a mapping of text to text; empty where the file has none."""
        source = self._container.source
        for note in self._container.notes:
            if note.owner == "VMCOREINFO":
                return Vmcoreinfo(source.read(note.desc_offset, min(note.available, 1 << 20)))
        window = self._container.vmcoreinfo_window()
        return Vmcoreinfo(source.read(window[0], min(window[1], 1 << 20))) if window else Vmcoreinfo()

    @cached_property
    def device_dumps(self) -> DeviceDumps:
        """The device dumps; ``.frame`` is the table of them."""
        source = self._container.source
        return DeviceDumps(
            [DeviceDump.from_note(source, note) for note in self._container.notes if note.is_device_dump],
            self.path,
        )

    @cached_property
    def memory(self) -> Memory:
        """The crashed machine's memory."""
        return Memory(self._container, lambda: self.vmcoreinfo)

    def to_image(self) -> VmcoreImage:
        """Return the model of this vmcore, to change it or to write it in any format (:func:`vmcoredd_lab.write_vmcore`).

        Notes, memory and what makedumpfile's header knows are as in the file, which the image goes on reading from. An ELF
        vmcore of which nothing was changed is written as it is, byte for byte.
        """
        from vmcoredd_lab.writer.from_container import image_of

        return image_of(self)

    def close(self) -> None:
        """Release the file; frames made before stay valid."""
        self._container.source.close()

    def __enter__(self) -> Vmcore:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def open_vmcore(path: Any, *, cache_index: bool = False) -> Vmcore:
    """Open a vmcore: ELF (kernel, makedumpfile -E, QEMU) or makedumpfile's kdump-compressed format, told by content.

    Reads headers and note headers only, through mmap.

    Parameters
    ----------
    path: a path, a seekable binary file object, or bytes; a list of them for the parts of a split dump, in any order;
        flattened files, gzip, xz, zstd and bzip2 files and tar archives that hold one are read as they are
    cache_index: keep the index of a flattened file beside it, as FILE.vmcoredd-index, and use it the next time

    Raises
    ------
    OpenError: missing, empty, a directory, not a vmcore, cut inside its own header, or not parts of one dump.
    """
    if not isinstance(path, (list, tuple)):
        return Vmcore(open_parts([open_unwrapped(path, cache_index=cache_index)]))
    if not path:
        raise UsageError("no file to open", expected="at least one part of a split dump", got="an empty list")
    return Vmcore(open_parts([open_unwrapped(part, cache_index=cache_index) for part in path]))


def check_dump(dump: DeviceDump) -> None:
    """Read one device dump whole, so that its problems are known."""
    if dump.decoder is None:
        return
    try:
        decoder = dump.decode()
    except VmcoreddLabError:
        return  # recorded by DeviceDump.problems
    decoder.check()


def _is_remote(source: ByteSource) -> bool:
    """Return True where reading goes over a network."""
    return hasattr(source, "traffic") or any(map(_is_remote, source.beneath))


def _frame(table: Table, *, copy: bool = True) -> pd.DataFrame:
    from vmcoredd_lab.frames import to_frame

    return to_frame(table, copy=copy)
