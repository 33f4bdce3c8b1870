"""A vmcore: what a user opens. Everything behind it is read when it is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vmcoredd_lab.containers import Container, open_parts
from vmcoredd_lab.devices.dump import DeviceDump, DeviceDumps
from vmcoredd_lab.errors import NotInFileError, OpenError, UsageError, VmcoreddLabError
from vmcoredd_lab.kernel.crashing_cpu import crashing_cpu
from vmcoredd_lab.memory import Memory
from vmcoredd_lab.notes.content import note_fields
from vmcoredd_lab.notes.cpus import check_cpus, cpus_table, names_tasks, naming_no_tasks
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
    from vmcoredd_lab.kernel.panic import PanicSummary
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
        self._kernel_byteorder = container.byteorder

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

    def _repr_html_(self) -> str:
        from vmcoredd_lab.display import vmcore_html

        return vmcore_html(self)

    # -- tables, without pandas ---------------------------------------------------------------------------------------

    def segments_table(self) -> Table:
        """Return the segments (:data:`~vmcoredd_lab.containers.base.SEGMENTS`)."""
        return self._container.segments()

    def notes_table(self) -> Table:
        """Return the notes (:data:`~vmcoredd_lab.notes.table.NOTES`)."""
        table = notes_table(self._container)
        if self._container.eraseinfo_window() and self.eraseinfo:
            table.attrs["note"] = (
                f"beside the notes, makedumpfile lists what it erased: {'; '.join(self.eraseinfo[:8])}"
            )
        return table

    def note_fields_table(self, *notes: int) -> Table:
        """Return the values in notes (:data:`~vmcoredd_lab.notes.content.NOTE_FIELDS`): of those numbered, or of all.

        Raises
        ------
        NotInFileError: there is no note of that number.
        """
        there = len(self._container.notes)
        for number in notes:
            if not 0 <= number < there:
                raise NotInFileError(
                    f"no note {number}",
                    path=self.path,
                    expected=f"a number below {there}" if there else "notes in the file",
                )
        return note_fields(self._container, notes or None)

    def cpus_table(self) -> Table:
        """Return the CPUs (:func:`~vmcoredd_lab.notes.cpus.cpus_table`)."""
        table = cpus_table(self._container)
        pids = table.values("pid")
        panicked = crashing_cpu(self, pids)
        if panicked is not None:
            table = cpus_table(self._container, panicked)
        return table if names_tasks(pids, self._container, self.vmcoreinfo) else naming_no_tasks(table)

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
            check_cpus(self._container),
            self.vmcoreinfo.problems,
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
                self.memory, self.vmcoreinfo, c.machine, c.bits, self._kernel_byteorder, self.path, self._log_problems
            )
        except NotInFileError as error:
            return error

    @cached_property
    def utsname(self) -> dict[str, str]:
        """What the crashed kernel calls itself: ``nodename``, ``domainname``, ``release``, ``version``, ``machine``.

        From makedumpfile's header, else from the kernel's memory (:mod:`vmcoredd_lab.kernel.utsname`). Names that are not set
        are left out; empty where neither has any.
        """
        from vmcoredd_lab.kernel.self_description import utsname_of

        return utsname_of(self._container, self.memory, self.vmcoreinfo)

    def timeline_table(self, anchors: Iterable[Any] = (), *, find_anchors: bool = True) -> Table:
        """Return the events of all sources as a table (:data:`~vmcoredd_lab.analysis.timeline.TIMELINE`)."""
        from vmcoredd_lab.analysis.timeline import timeline_table
        from vmcoredd_lab.opening import opened_of

        return timeline_table(opened_of(self), anchors, find_anchors=find_anchors)

    @cached_property
    def panic(self) -> PanicSummary | None:
        """What the kernel log says of the panic; None where it says nothing, or there is no log."""
        from vmcoredd_lab.kernel.panic import panic_summary

        return None if isinstance(self._log, NotInFileError) else panic_summary(self._log)

    def stacks_table(self, vmlinux: str | os.PathLike[str] | None = None) -> Table:
        """Return the stacks of all CPUs (:data:`~vmcoredd_lab.kernel.stacks.STACKS`), by drgn.

        ``vmlinux`` None: that of this kernel which the system has installed.

        Raises
        ------
        NotInFileError: no vmlinux was given and none is installed; or the file has no registers.
        OpenError: as :meth:`drgn`.
        """
        from vmcoredd_lab.kernel.drgn_bridge import standard_debuginfo
        from vmcoredd_lab.kernel.stacks import stacks_table

        program = self.drgn(vmlinux)
        if vmlinux is None:
            standard_debuginfo(self, program)
        return stacks_table(self, program)

    # -- frames -------------------------------------------------------------------------------------------------------

    @cached_property
    def segments(self) -> pd.DataFrame:
        """Program headers, or the physical ranges of a kdump file: type, offset, vaddr, paddr, filesz, memsz, flags, align."""
        return _frame(self.segments_table(), copy=False)

    @cached_property
    def notes(self) -> pd.DataFrame:
        """Notes in file order: owner, type, type_name, desc_offset, desc_size, cpu, summary."""
        return _frame(self.notes_table())

    def note_fields(self, *notes: int) -> pd.DataFrame:
        """Values in notes, by their numbers or all: note, cpu, owner, type_name, field, offset, size, value, text."""
        return _frame(self.note_fields_table(*notes))

    @cached_property
    def cpus(self) -> pd.DataFrame:
        """CPUs: cpu, pid, signal, the registers of the machine (UInt64), panicked, siginfo, control registers."""
        return _frame(self.cpus_table())

    @cached_property
    def dmesg(self) -> pd.DataFrame:
        """The kernel log, oldest first: seq, time_ns, level, facility, caller, text, device, state, dictionary.

        Raises
        ------
        NotInFileError: as :meth:`dmesg_table`.
        """
        return _frame(self.dmesg_table())

    def timeline(self, anchors: Iterable[Any] = (), *, find_anchors: bool = True) -> pd.DataFrame:
        """Return one row for each event of kernel log, firmware logs, mailbox logs, panic and collection.

        A firmware's ticks have no documented unit and no fixed relation to the kernel's clock; neither have a mailbox log's
        jiffies, which are the capture kernel's own. They get a time only through anchors: ticks whose kernel time is known.
        One anchor gives a time to its own tick; through two or more a line is fitted. What has no time comes last, each lane
        in its own order and ending with the collection of its device.

        >>> events = vl.open_vmcore("sample_data/vmcore.kdump").timeline()
        >>> sorted(set(events["source"]))
        ['collection', 'dmesg', 'firmware', 'panic']

        Parameters
        ----------
        anchors: ``(device, tick, time_ns)``: the device by name, PCI address or index, a tick of its firmware log and the kernel
            time of the same moment in nanoseconds since boot; a fourth element ``"jiffies"`` ties its mailbox log
        find_anchors: where none are given for a device, use messages that have a counterpart in the kernel log

        Returns
        -------
        DataFrame: source, device, clock, tick (UInt64, raw), seq, level, facility, text, time (Int64, ns since boot, missing
        where not known), uncertainty (Int64, ns), wall (datetime, UTC), where, space, offset, length. ``attrs["clocks"]`` says of
        each clock how it is tied, ``attrs["missing"]`` which sources are not there and why.

        Raises
        ------
        UsageError: an anchor is not of that form, names no device or contradicts another.
        """
        return _frame(self.timeline_table(anchors, find_anchors=find_anchors))

    @property
    def problems(self) -> pd.DataFrame:
        """What is wrong with the file, as far as it has been read; see :meth:`check`. Empty for a sound file."""
        return _frame(self.problems_table())

    def stacks(self, vmlinux: str | os.PathLike[str] | None = None) -> pd.DataFrame:
        """Stacks of all CPUs: cpu, pid, comm, panicked, frame, pc, symbol, offset, file, line; see :meth:`stacks_table`."""
        return _frame(self.stacks_table(vmlinux))

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

        >>> core = vl.open_vmcore("sample_data/vmcore.kdump")
        >>> core.findings()[["rule", "severity", "device"]].head(2)
            rule  severity        device
        0  FW-01  critical  0000:02:00.4
        1  FW-11  critical  0000:02:00.4
        """
        return self.diagnosis.frame

    def skipped_rules(self) -> pd.DataFrame:
        """The rules that could not be evaluated: rule, reason, device."""
        return self.diagnosis.skipped_frame

    def signature(self) -> Signature:
        """What the crash is grouped by: ``.hash``, the same for crashes that are alike, and ``.parts``.

        >>> vl.open_vmcore("sample_data/vmcore.kdump").signature().hash
        'ed200c7f1181'
        """
        from vmcoredd_lab.analysis.signature import signature

        return signature(self, self.diagnosis)

    def bytes_of(self, space: str, offset: int, length: int) -> bytes:
        """Return the bytes that a finding or an event names: ``bytes_of(row.space, row.offset, row.length)``.

        >>> core = vl.open_vmcore("sample_data/vmcore.kdump")
        >>> worst = core.findings().iloc[0]
        >>> core.bytes_of(worst["space"], worst["offset"], worst["length"]).hex()
        '10c000c0'

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
        """VMCOREINFO as a mapping of text to text; empty where the file has none.

        Of s390x it is also found in memory, where a dump of the whole machine has no note of it.
        """
        from vmcoredd_lab.kernel.self_description import vmcoreinfo_of

        return vmcoreinfo_of(self._container)

    @cached_property
    def eraseinfo(self) -> tuple[str, ...]:
        """What makedumpfile erased from memory because its --config said so, a line each as it wrote them; mostly empty.

        Of kdump-compressed files from the sub-header (offset_eraseinfo, size_eraseinfo), of ELF files from the note ERASEINFO.
        At most a MiB is read.
        """
        from vmcoredd_lab.kernel.self_description import eraseinfo_of

        return eraseinfo_of(self._container)

    def search_vmcoreinfo(self) -> bool:
        """Look through all of memory for the kernel's own copy of VMCOREINFO, where the file has no note of it.

        Returns whether it is there; then ``vmcoreinfo``, kernel addresses, ``dmesg`` and ``panic`` can be had. Reads the file
        until it is found, at worst whole.
        """
        if self.vmcoreinfo:
            return True
        from vmcoredd_lab.kernel.search import vmcoreinfo_in_memory

        with progress("searching memory for VMCOREINFO", self._container.memory_size()[1]) as advance:

            def chunks() -> Iterator[tuple[int, bytes]]:
                for address, data in self.memory.chunks(4 << 20):
                    yield address, data
                    advance(len(data))

            found = vmcoreinfo_in_memory(chunks())
        if found is not None:
            text, self._kernel_byteorder = found
            for name in ("memory", "_log", "panic", "dmesg", "utsname"):
                self.__dict__.pop(name, None)
            self.__dict__["vmcoreinfo"] = Vmcoreinfo(text)
        return found is not None

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

    def drgn(self, vmlinux: str | os.PathLike[str] | None = None) -> Any:
        """Return a ``drgn.Program`` on the same file, whatever it is wrapped in; with symbols where ``vmlinux`` is given.

        Takes the extra ``kernel``. Memory works without symbols; ``program.load_default_debug_info()`` looks for them in
        all places that drgn knows, the network among them.

        Raises
        ------
        OpenError: drgn is not installed, or cannot open the file; ``vmlinux`` is not the crashed kernel's.
        NotInFileError: the file is not one that drgn opens itself, and has no VMCOREINFO.
        """
        from vmcoredd_lab.kernel.drgn_bridge import drgn_program

        return drgn_program(self, vmlinux)

    def to_image(self, machine: str | None = None) -> VmcoreImage:
        """Return the model of this vmcore, to change it or to write it in any format (:func:`vmcoredd_lab.write_vmcore`).

        Notes, memory and what makedumpfile's header knows are as in the file, which the image goes on reading from. An ELF
        vmcore of which nothing was changed is written as it is, byte for byte. ``machine``, as ``uname -m`` names it, is
        needed for an ELF file of a kdump-compressed one that names no machine, as QEMU's do.

        >>> image = vl.open_vmcore("sample_data/vmcore.kdump").to_image()
        >>> vl.write_vmcore(image, "vmcore.elf", "elf")
        [PosixPath('vmcore.elf')]

        Raises
        ------
        UsageError: a machine that is not known.
        """
        from vmcoredd_lab.writer.from_container import image_of

        return image_of(self, machine)

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

    >>> core = vl.open_vmcore("sample_data/vmcore.kdump")
    >>> core
    <Vmcore sample_data/vmcore.kdump: kdump-compressed, x86_64, 2 device dumps>
    >>> core.vmcoreinfo["OSRELEASE"]
    '6.1.192-realvm-mini'

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
