"""Device dumps: the bytes a driver gave to vmcore_add_device_dump(), or wrote through ethtool -w."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from vmcoredd_lab.devices import registry
from vmcoredd_lab.errors import NotInFileError, OpenError, VmcoreddLabError
from vmcoredd_lab.model import Note
from vmcoredd_lab.notes.vmcoredd import DUMP_NAME_SIZE, split_name
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import Buffer, ByteSource, open_unwrapped
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import escape, plural

if TYPE_CHECKING:
    import pandas as pd

    from vmcoredd_lab.analysis.findings import Diagnosis
    from vmcoredd_lab.analysis.signature import Signature

__all__ = ["DEVICE_DUMPS", "DeviceDump", "DeviceDumps", "dump_start", "open_device_dump"]

DEVICE_DUMPS = Schema(
    "dumps",
    "Device dumps in file order: NT_VMCOREDD notes (struct vmcoredd_header, include/uapi/linux/vmcore.h).",
    (
        Column("name", "text", "dump_name as the driver gave it, bytes that are not text escaped"),
        Column("driver", "text", "the part before the device; missing where the name is not driver_device", rank=4),
        Column("device", "text", "the PCI address; missing where the name is not driver_device", rank=3),
        Column("offset", "u64", "where the driver's bytes begin in the file, behind dump_name", "hex", rank=1),
        Column("size", "u64", "bytes behind dump_name, the kernel's page padding included", "size", rank=2),
        Column("payload_size", "u64", "bytes the driver wrote, where a decoder knows it", "size"),
        Column("summary", "text", "what the decoder can tell from the headers; missing where there is no decoder"),
    ),
)

MOST_RECORDS = 1000  # in a bare file: cudbg_app writes one a run


class DeviceDump:
    """One device's snapshot.

    Attributes
    ----------
    name: ``dump_name``, escaped where it is not text; of a bare file its file name
    driver, device: ``cxgb4`` and ``0000:02:00.4``, or None where the name is not of that form
    offset, size: where the driver's bytes are in the file, and how many (page padding included)
    data: the bytes, a lazy :class:`~vmcoredd_lab.source.Buffer`
    space: how findings name it where they say which bytes; its name, with its index where several bear the name
    leading: of a bare file what stands before the dump (a header that was written to flash with it), else empty
    """

    def __init__(self, source: ByteSource, name: str, offset: int, size: int, *, bare: bool = False) -> None:
        self.source = source
        self.name = name
        self.offset = offset
        self.size = size
        self.bare = bare
        self.leading = b""
        self.followed = False  # in a bare file: by more records than are listed
        self.driver, self.device = (None, None) if bare else split_name(name)
        self.space = name
        self.data = Buffer(source, offset, size)

    @classmethod
    def from_note(cls, source: ByteSource, note: Note) -> DeviceDump:
        """Return the dump that an NT_VMCOREDD note carries."""
        raw = source.read(note.desc_offset, min(DUMP_NAME_SIZE, note.available))
        name = escape(raw.split(b"\0")[0])
        size = max(0, note.desc_size - DUMP_NAME_SIZE)
        dump = cls(source, name, note.desc_offset + DUMP_NAME_SIZE, size)
        dump.data = Buffer(source, dump.offset, size, max(0, note.available - DUMP_NAME_SIZE))
        return dump

    def __repr__(self) -> str:
        return f"<DeviceDump {self.name}: {self.size:,} bytes at {self.offset:#x}>"

    def _repr_html_(self) -> str:
        from vmcoredd_lab.display import device_dump_html

        return device_dump_html(self)

    @cached_property
    def decoder(self) -> type[registry.Decoder] | None:
        """The decoder for this dump: by its content, or by its driver where the content looks damaged; else None."""
        head = self.data.read(0, 64)
        by_content = registry.sniff(head)
        if by_content is not None:
            return by_content
        by_name = registry.decoder_for(self.driver)
        lenient = getattr(by_name, "recognises_damaged", None)
        return by_name if lenient is not None and lenient(head) else None

    @cached_property
    def payload_size(self) -> int | None:
        """Bytes the driver wrote, without the kernel's padding; None where no decoder knows."""
        return self.decoder.payload_size(self.data) if self.decoder else None

    @cached_property
    def _decoded(self) -> registry.Decoder:
        if self.decoder is None:
            raise NotInFileError(
                f"no decoder knows the content of device dump {self.name}", path=self.source.name, offset=self.offset,
                expected=f"a dump of {', '.join(registry.names())}",
                got=f"first bytes {self.data.read(0, 8).hex(' ') or 'none'}",
                hint="extract writes its bytes to a file; a decoder is added through the entry point group "
                f"{registry.GROUP}",
            )  # fmt: skip
        return self.decoder(self)

    def decode(self) -> Any:
        """Return the driver's view of the dump; for cxgb4 a :class:`~vmcoredd_lab.devices.cxgb4.Cxgb4`.

        Raises
        ------
        NotInFileError: no decoder is registered for the driver, or the content is not the driver's.
        """
        return self._decoded

    def problems(self) -> Problems:
        """Return what is known to be wrong with the dump: headers, and whatever was decoded so far."""
        found = Problems()
        if self.followed:
            found.warning(
                f"dump:{self.name}", f"only the first {MOST_RECORDS:,} records of this file are listed",
                offset=self.offset + self.size, expected="a few records, one behind the other", got="another one",
            )  # fmt: skip
        if len(self.data) < self.size and not self.bare:
            found.error(
                f"dump:{self.name}", "the file ends inside this device dump; its beginning is used",
                offset=len(self.data), expected=f"{self.size:,} bytes", got=f"{len(self.data):,} bytes",
            )  # fmt: skip
        if self.decoder is None and self.data and registry.decoder_for(self.driver):
            found.warning(
                f"dump:{self.name}", f"the dump is named after {self.driver}, but its content is not of that driver's format",
                offset=0, expected=f"a dump of {self.driver}", got=f"first bytes {self.data.read(0, 8).hex(' ')}",
            )  # fmt: skip
        if self.decoder is not None:
            try:
                found = Problems(found, self._decoded.problems)
            except VmcoreddLabError as error:
                found.error(
                    f"dump:{self.name}",
                    error.message,
                    offset=error.offset,
                    expected=error.expected,
                    got=error.got,
                )
        return found

    @property
    def device_dumps(self) -> list[DeviceDump]:
        """The dump itself: what a file has that holds nothing else."""
        return [self]

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """The dump's findings as records with all of their evidence, and the rules that could not be evaluated."""
        from vmcoredd_lab.analysis.findings import diagnose

        return diagnose([self])

    def findings(self) -> pd.DataFrame:
        """What is wrong with the device, worst first; columns as :meth:`Vmcore.findings <vmcoredd_lab.Vmcore.findings>`."""
        return self.diagnosis.frame

    def skipped_rules(self) -> pd.DataFrame:
        """The rules that could not be evaluated: rule, reason, device."""
        return self.diagnosis.skipped_frame

    def signature(self) -> Signature:
        """What the device's state is grouped by: ``.hash`` and ``.parts``."""
        from vmcoredd_lab.analysis.signature import signature

        return signature(None, self.diagnosis)

    def bytes_of(self, space: str, offset: int, length: int) -> bytes:
        """Return the bytes that a finding names, as :meth:`Vmcore.bytes_of <vmcoredd_lab.Vmcore.bytes_of>`."""
        from vmcoredd_lab.analysis.findings import read_bytes

        return read_bytes(self, space, offset, length)

    def row(self) -> tuple[Any, ...]:
        """Return the row of :data:`DEVICE_DUMPS`."""
        summary = None
        if self.decoder is not None:
            try:
                summary = self._decoded.summary()
            except VmcoreddLabError as error:
                summary = error.message
        return (self.name, self.driver, self.device, self.offset, self.size, self.payload_size, summary)


class DeviceDumps(Sequence[DeviceDump]):
    """The device dumps of a file, by index or by name; any number of them."""

    def __init__(self, dumps: list[DeviceDump], path: str) -> None:
        self._dumps = dumps
        self._path = path
        names = Counter(dump.name for dump in dumps)
        for index, dump in enumerate(dumps):
            if names[dump.name] > 1:
                dump.space = f"{dump.name}#{index}"

    @overload
    def __getitem__(self, key: int | str) -> DeviceDump: ...
    @overload
    def __getitem__(self, key: slice) -> list[DeviceDump]: ...
    def __getitem__(self, key: int | str | slice) -> DeviceDump | list[DeviceDump]:
        if isinstance(key, slice):
            return self._dumps[key]
        if isinstance(key, int):
            if -len(self._dumps) <= key < len(self._dumps):
                return self._dumps[key]
            raise self._none(f"no device dump with index {key}")
        for dump in self._dumps:
            if key in (dump.name, dump.device):
                return dump
        import difflib

        close = difflib.get_close_matches(key, [d.name for d in self._dumps], 1)
        raise self._none(f"no device dump named {escape(key)}", f"did you mean {close[0]}?" if close else None)

    def _none(self, message: str, hint: str | None = None) -> NotInFileError:
        if not self._dumps:
            got = "no device dumps at all"
            hint = "they need CONFIG_PROC_VMCORE_DEVICE_DUMP and a driver that collects them in the capture kernel"
        else:
            got = f"{plural(len(self._dumps), 'device dump')} (" + ", ".join(d.name for d in self._dumps[:4]) + ")"
        return NotInFileError(message, path=self._path, got=got, hint=hint)

    def __len__(self) -> int:
        return len(self._dumps)

    def __iter__(self) -> Iterator[DeviceDump]:
        return iter(self._dumps)

    def table(self) -> Table:
        """Return the dumps as a table; of each the decoder's headers are read."""
        return Table.from_rows(DEVICE_DUMPS, (dump.row() for dump in self._dumps))

    @property
    def frame(self) -> pd.DataFrame:
        """The dumps as a DataFrame: name, driver, device, offset, size, payload_size, summary."""
        from vmcoredd_lab.frames import to_frame

        return to_frame(self.table())

    def __repr__(self) -> str:
        return f"<{plural(len(self._dumps), 'device dump')}: {', '.join(d.name for d in self._dumps[:4])}>"

    def _repr_html_(self) -> str:
        from vmcoredd_lab.display import device_dumps_html

        return device_dumps_html(self)

    def _ipython_key_completions_(self) -> list[str]:
        return [dump.name for dump in self._dumps] + [dump.device for dump in self._dumps if dump.device]


def open_device_dump(path: Any, *, record: int = 0) -> DeviceDump:
    """Open a bare device dump file, as ``ethtool -w`` or Chelsio's ``cudbg_app --collect`` write it.

    >>> dump = vl.open_device_dump("sample_data/ethtool-t6-sge-parity.dump")
    >>> nic = dump.decode()
    >>> nic.interrupt_causes[["register", "field", "severity"]]
             register                 field  severity
    0  SGE_INT_CAUSE1  perr_align_ctl_fifo0  critical
    1    PL_INT_CAUSE                   SGE      info

    Parameters
    ----------
    path: a path, a binary file object or bytes
    record: which of several concatenated records, counted from 0

    Raises
    ------
    OpenError: the content is not of a format that any decoder knows, or is cut inside its header.
    NotInFileError: there is no such record.
    """
    return bare_device_dumps(open_unwrapped(path, wanted=lambda source: dump_start(source) is not None))[record]


def dump_start(source: ByteSource, at: int = 0) -> int | None:
    """Return where the dump begins that a bare file holds at ``at``, behind a header that may lead; None: it holds none."""
    head = source.read(at, 64)
    if registry.sniff(head) is not None:
        return at
    start = at + registry.leading(head)
    return start if start > at and registry.sniff(source.read(start, 64)) is not None else None


def bare_device_dumps(source: ByteSource) -> DeviceDumps:
    """Return the records of a bare device dump file, of which there usually is one; at most MOST_RECORDS are listed."""
    name = escape(Path(source.name).name)
    found: list[DeviceDump] = []
    at = 0
    while (start := dump_start(source, at)) is not None:
        dump = DeviceDump(source, f"{name}#{len(found)}" if found else name, start, source.size - start, bare=True)
        decoder = registry.sniff(dump.data.read(0, 64))
        assert decoder is not None, "dump_start() is where a decoder recognises a dump"
        dump.driver = decoder.driver
        dump.leading = source.read(at, start - at)
        found.append(dump)
        size = dump.payload_size
        if not size:
            break
        at = start + size
        if len(found) == MOST_RECORDS:
            dump.followed = dump_start(source, at) is not None
            dump.size = min(size, dump.size)
            dump.data = Buffer(source, dump.offset, dump.size)
            break
    for dump, following in pairwise(found):
        dump.size = following.offset - len(following.leading) - dump.offset
        dump.data = Buffer(source, dump.offset, dump.size)
    if not found:
        from vmcoredd_lab.containers.signatures import describe

        looks, hint = describe(source)
        raise OpenError(
            "not a device dump", path=source.name,
            expected="one of " + ", ".join(registry.names()) if len(registry.names()) > 1 else "a cudbg header of cxgb4",
            got=looks, hint=hint,
        )  # fmt: skip
    for dump in found:
        dump.decode()  # raises OpenError where the header is cut
    return DeviceDumps(found, source.name)
