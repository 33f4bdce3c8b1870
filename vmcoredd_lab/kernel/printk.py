"""The kernel log, without vmlinux: found through VMCOREINFO, in each of the formats that kernels had.

- since 5.10 a lockless ring of records (:mod:`vmcoredd_lab.kernel.printk_ring`), SYMBOL(prb)
- 3.5 to 5.9 a buffer of records (:mod:`vmcoredd_lab.kernel.printk_log`), SYMBOL(log_first_idx)
- before, a ring of text (:mod:`vmcoredd_lab.kernel.printk_text`), SYMBOL(log_end)

Which it is, the symbols say; versions are not looked at.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from typing import Any

import numpy as np

from vmcoredd_lab.containers.memory import EXCLUDED
from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.kernel.devices import devices_of
from vmcoredd_lab.kernel.layout import Layouts
from vmcoredd_lab.kernel.linear import symbol
from vmcoredd_lab.kernel.printk_log import read_log
from vmcoredd_lab.kernel.printk_records import DAMAGED, STATES, LogRecords
from vmcoredd_lab.kernel.printk_ring import read_ring
from vmcoredd_lab.kernel.printk_text import read_text
from vmcoredd_lab.kernel.regions import KernelMemory
from vmcoredd_lab.memory import Memory
from vmcoredd_lab.notes.vmcoreinfo import Vmcoreinfo
from vmcoredd_lab.package_data import package_text
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.structs import ByteOrder
from vmcoredd_lab.tables import Codes, Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DMESG", "FACILITIES", "LEVELS", "kernel_log"]

DMESG = Schema(
    "dmesg",
    "The kernel log, oldest record first; a record of several lines is one row (kernel/printk/).",
    (
        Column("seq", "u64", "sequence number; of logs before 5.10 counted from the oldest record", rank=6),
        Column("time_ns", "u64", "nanoseconds since boot by the logging CPU's clock (local_clock)"),
        Column("level", "category", "emerg, alert, crit, err, warn, notice, info, debug"),
        Column("facility", "category", "who logged it: kern, user, daemon, ...", rank=4),
        Column(
            "caller", "text", "T and the thread's id, or C and the CPU outside of a task; missing before 5.1", rank=3
        ),
        Column("text", "text", "the record's text, UTF-8; bytes that are no text as \\xNN; empty where it is lost"),
        Column("device", "text", "driver and device that the record is about: cxgb4 0000:02:00.4", rank=2),
        Column(
            "state",
            "category",
            "finalized: whole; committed: whole, could have been continued; torn: not written to its end; overwritten: given "
            "up for newer ones, with what is left of the text; lost: there was no room for the text; damaged: contradicts "
            "itself or is not in the file",
            rank=5,
        ),
        Column("dictionary", "text", "SUBSYSTEM=... and DEVICE=..., a line each, where the kernel noted them", rank=7),
    ),
    tail=True,
)

WHERE = "kernel log"
MOST_PROBLEMS = 32
IN_TASK, CPU = 0x80000000, 0x7FFFFFFF
ADDRESS_END = 64  # a driver's name, a space and a PCI address end before
ADDRESS_SHORTEST = len("x 0000:00:00")  # before the dot
_ESCAPED = [f"\\x{byte:02x}" for byte in range(256)]
_NO_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@cache
def _names(kind: str) -> dict[int, str]:
    text = package_text("vmcoredd_lab.kernel", "data", "syslog.csv")
    return {int(r["number"]): r["name"] for r in csv.DictReader(text.splitlines()) if r["kind"] == kind}


LEVELS = tuple(_names("level").values())
FACILITIES = tuple(_names("facility").get(n, f"facility {n}") for n in range(32))


def kernel_log(memory: Memory, info: Vmcoreinfo, machine: str, bits: int, byteorder: ByteOrder, path: str,
               problems: Problems) -> Table:  # fmt: skip
    """Return the log (:data:`DMESG`); ``spans`` has (first physical address, end) of each record's text.

    What is wrong with it is added to ``problems``.

    Raises
    ------
    NotInFileError: the file has no VMCOREINFO, or nothing in it says where the log is.
    """
    if not info:
        raise NotInFileError(
            "the file has no VMCOREINFO, which says where the kernel log is", path=path,
            hint="--search (search_vmcoreinfo in Python) looks through memory for the kernel's own copy",
        )  # fmt: skip
    layouts = Layouts(info, machine, bits, byteorder)
    records = _Reader(memory, info, layouts, problems).records(path)
    for key, text in layouts.doubtful.items():
        problems.warning(
            WHERE, "VMCOREINFO says what cannot be; the usual layout is used instead", expected=key, got=text
        )
    if layouts.unusual and records is not None and 2 * records.whole < len(records):
        records = _otherwise(records, memory, info, layouts, problems, path)
    if records is not None and (damaged := np.flatnonzero(records.state == DAMAGED)).size:
        problems.error(
            WHERE,
            f"{plural(len(damaged), 'record')} of {len(records):,} cannot be read whole, the first of them with the number "
            f"{int(records.seq[damaged[0]])}; they are marked as damaged",
            expected="descriptor, record and text that agree, and are in the file",
        )  # fmt: skip
    return table_of(records)


def _otherwise(
    records: LogRecords, memory: Memory, info: Vmcoreinfo, layouts: Layouts, problems: Problems, path: str
) -> LogRecords:
    """Return the records as the usual layout has them, where that makes more of them whole than VMCOREINFO's does."""
    found = Problems()
    usual = layouts.usual()
    again = _Reader(memory, info, usual, found).records(path)
    if again is None or again.whole <= 2 * records.whole:
        return records
    problems.extend(found)
    names = ", ".join(sorted(layouts.unusual))
    problems.error(
        WHERE,
        f"with the structures as VMCOREINFO has them {records.whole:,} of {len(records):,} records are whole, as they usually "
        f"are {again.whole:,} of {len(again):,}; the usual layout is used",
        expected=f"SIZE and OFFSET of {names} that fit the log",
    )  # fmt: skip
    return again


class _Reader:
    def __init__(self, memory: Memory, info: Vmcoreinfo, layouts: Layouts, problems: Problems) -> None:
        self.layouts = layouts
        self._info = info
        self._problems = problems
        self._left = MOST_PROBLEMS
        self._kernel = KernelMemory(memory, self._complain)

    def _complain(self, message: str, address: int, what: str, *, reason: str = "") -> None:
        if self._left:
            self._left -= 1
            add = self._problems.warning if reason == EXCLUDED else self._problems.error
            add(WHERE, message, expected=what, got=f"virtual address {address:#x}")

    def records(self, path: str) -> LogRecords | None:
        """Return the records; None where the log is named and cannot be read."""
        has = {name for name in ("prb", "printk_rb_static", "log_buf", "log_first_idx", "log_end")
               if symbol(self._info, name) is not None}  # fmt: skip
        if has & {"prb", "printk_rb_static"}:
            return read_ring(self._kernel, self.layouts, self._rings(), self._complain)
        if "log_buf" not in has:
            named = next((k for k in ("prb", "log_buf") if f"SYMBOL({k})" in self._info), None)
            raise NotInFileError(
                "VMCOREINFO does not say where the kernel log is", path=path, expected="SYMBOL(prb) or SYMBOL(log_buf)",
                got=f"SYMBOL({named})={self._info[f'SYMBOL({named})']}" if named else "neither",
            )  # fmt: skip
        address, size = self._pointer("log_buf"), self._number("log_buf_len")
        if address is None or size is None:
            return None
        if "log_first_idx" in has:
            first, next_ = self._number("log_first_idx"), self._number("log_next_idx")
            name = "printk_log" if "SIZE(printk_log)" in self._info else "log"
            ends = (0, size) if first is None or next_ is None else (first, next_)
            return read_log(self._kernel, self.layouts, name, address, size, ends, self._complain)
        end = self._number("log_end")
        logged = self._number("logged_chars") if symbol(self._info, "logged_chars") is not None else None
        return read_text(self._kernel, address, size, size if end is None else end, logged, self._complain)

    def _rings(self) -> list[tuple[str, int]]:
        places = []
        pointer = self._pointer("prb") if symbol(self._info, "prb") is not None else None
        if pointer is not None:
            places.append(("prb", pointer))
        static = symbol(self._info, "printk_rb_static")
        if static is not None and static != pointer:
            places.append(("printk_rb_static", static))
        return places

    def _pointer(self, name: str) -> int | None:
        return self._variable(name, self.layouts.long)

    def _number(self, name: str) -> int | None:
        return self._variable(name, 4)

    def _variable(self, name: str, size: int) -> int | None:
        at = symbol(self._info, name)
        if at is None or at + size > 1 << 64:
            self._complain(f"VMCOREINFO does not say where {name} is", 0, f"SYMBOL({name})")
            return None
        raw = self._kernel.read(at, size, name)
        return None if raw is None else int.from_bytes(raw, self.layouts.byteorder)


# -- records to rows --------------------------------------------------------------------------------------------------


def table_of(records: LogRecords | None) -> Table:
    """Return the rows of what a reader found."""
    if records is None:
        return Table.from_rows(DMESG, ())
    texts = _texts(records)
    noted = {i: printable(about) for i, about in records.dictionary.items()}
    columns: dict[str, Any] = {
        "seq": records.seq,
        "time_ns": records.time if np.ma.getmaskarray(records.time).any() else np.ma.getdata(records.time),
        "level": Codes(np.clip(records.level, -1, 7).astype(np.int8), LEVELS),
        "facility": Codes(np.where(records.facility < 32, records.facility, -1).astype(np.int8), FACILITIES),
        "caller": _callers(records.caller),
        "text": texts,
        "device": devices_of(texts, noted, _with_address(records)),
        "state": Codes(records.state.astype(np.int8), STATES),
        "dictionary": list(map(noted.get, range(len(texts)))) if noted else [None] * len(texts),
    }
    attrs = {"note": records.note} if records.note else {}
    return Table(DMESG, columns, attrs, records.region.spans(records.start, records.length))


def _texts(records: LogRecords) -> list[str]:
    """Return the texts; only those with bytes that are not printable ASCII are looked at one by one."""
    data = records.region.data
    texts = [""] * len(records.start)
    there = np.flatnonzero(records.length)
    if not len(there):
        return texts
    start = records.start[there]
    end = start + records.length[there]
    octets = np.frombuffer(data + b" ", np.uint8)  # a text may end where the data does
    odd = np.maximum.reduceat(octets - np.uint8(0x20) > 0x5E, np.stack((start, end), 1).ravel())[::2]
    whole = data.decode("latin-1")
    pieces = [whole[low:high] for low, high in zip(start.tolist(), end.tolist(), strict=True)]
    for i, piece in zip(there.tolist(), pieces, strict=True):
        texts[i] = piece
    for i in np.flatnonzero(odd).tolist():
        texts[there[i]] = printable(data[start[i] : end[i]].decode("utf-8", "backslashreplace"))
    return texts


def _with_address(records: LogRecords) -> dict[int, int]:
    """Return which records have a PCI address among their first bytes, and where it ends."""
    octets = np.frombuffer(records.region.data, np.uint8)
    dots = np.flatnonzero(octets == ord("."))
    dots = dots[dots >= ADDRESS_SHORTEST]
    dots = dots[(octets[dots - 3] == ord(":")) & (octets[dots - 6] == ord(":"))]
    there = np.flatnonzero(records.length)
    start = records.start[there]
    dots = np.append(dots, len(octets) + ADDRESS_END)
    end = dots[np.searchsorted(dots, start + ADDRESS_SHORTEST)] + 3 - start  # the dot, the function, what follows
    near = end <= np.minimum(records.length[there], ADDRESS_END)
    return dict(zip(there[near].tolist(), end[near].tolist(), strict=True))


def printable(text: str) -> str:
    """Return the text with control characters but newline and tab written as the bytes they are."""
    return _NO_TEXT.sub(lambda m: "".join(map(_ESCAPED.__getitem__, m[0].encode())), text)


def _callers(caller: Any) -> Codes:
    values, codes = np.unique(np.ma.getdata(caller), return_inverse=True)
    codes = np.where(np.ma.getmaskarray(caller), -1, codes).astype(np.int32)
    return Codes(codes, [f"C{c & CPU}" if c & IN_TASK else f"T{c}" for c in values.tolist()])


def states_in_words(table: Table) -> str:
    """Return how many records are not whole, in words; empty where all are."""
    state = table.columns["state"]
    names = state.texts() if isinstance(state, Codes) else list(state)
    counts = {name: names.count(name) for name in STATES[2:] if name in names}
    return ", ".join(f"{plural(count, 'record')} {name}" for name, count in counts.items())
