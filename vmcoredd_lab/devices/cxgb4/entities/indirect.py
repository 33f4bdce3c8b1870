"""Registers behind an index register: TP (36), SGE (37), PCIE (50), PM (51), MA (61), uP CIM (64), HMA (67) indirect.

cudbg_collect_tp_indirect() and its like, drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c: an array of struct ireg_buf, each
with up to 32 words read from ``ireg_data`` after an index was written to ``ireg_addr``. Which index a word had follows from
the record's own offset and range; only the strides, and where two records of MA begin, are the driver's knowledge
(``data/indirect_segments.csv``).
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder
from vmcoredd_lab.devices.cxgb4.indirect_table import NAMES_OF, Segment, indirect_table, segments, spaces
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.structs import Member, Struct
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["COLUMNS", "DECODERS"]

Array = np.ndarray[Any, Any]

COLUMNS = (
    Column("address_register", "u64", "the register in BAR0 that the index is written to", "hex"),
    Column("address", "u64", "the index written to it", "hex"),
    Column("register", "category", "the register's name; missing where it has none"),
    Column("value", "u64", "32 bits, as read", "hex"),
    Column("space", "category", "which set of registers the two belong to, e.g. TP_MIB", rank=2),
    Column("data_register", "u64", "the register in BAR0 that the value is read from", "hex", rank=3),
)

OUTBUF = 32  # words a struct ireg_buf has room for
HEADER_BYTES = 16  # of its struct ireg_field
QBASE_INDEX = 0x1250  # SGE_QBASE_INDEX: what reg_addr holds where the queue base map was read
FIRST_VF = 8  # index of VF 0 in the queue base map, behind the PFs
ALL_ONES = 0xFFFFFFFF
NO_ANSWER = "All bits of all words are one: the adapter did not answer."
MOST_BLOCKS = 16  # of revision 1; the driver writes up to three
BAD = ("_ERR", "_DROP", "_INV")  # in the names of TP's counters of what went wrong

# The same entity in the drivers that know T7: one space, each word with its index.
VERSIONED = Struct(
    "cudbg_indirect_hdr",
    "cxgb4 of the Unified Wire for T7",
    (
        Member("signature", "u4", "0xCCEDB001"),
        Member("revision", "u2", "1"),
        Member("size", "u2"),
        Member("indir_reg", "u4", "the address register"),
        Member("indir_data", "u4", "the data register"),
        Member("nentries", "u4", "registers that follow"),
    ),
)
ENTRY = Struct("cudbg_indirect_entry", VERSIONED.source, (Member("offset", "u4", "the index"), Member("data", "u4")))


@cache
def _lists(entity: str) -> list[Segment]:
    """Return the driver's lists for an entity, of all chips."""
    return [s for s in segments() if s.entity == entity and s.record is not None]


def _extent(fields: Array, entity: str) -> tuple[Array, Array, Array]:
    """Return first index, words and stride of each record.

    A record that the driver did not fill has no words: it holds zeros, or what was in the buffer before.
    """
    register, data, offset = (fields[n] for n in ("ireg_addr", "ireg_data", "ireg_local_offset"))
    first = offset.astype(np.uint64)
    stride = np.ones(len(fields), np.uint64)
    used = np.zeros(len(fields), bool)
    lists = _lists(entity)
    for pair in {(s.address_register, s.data_register) for s in lists}:
        of_pair = (register == pair[0]) & (data == pair[1])
        used |= of_pair
        stride[of_pair] = min(s.stride for s in lists if (s.address_register, s.data_register) == pair)
    count = np.where(used, np.minimum(fields["ireg_offset_range"], OUTBUF), 0).astype(np.int64)
    for s in lists:
        if s.stored_offset is not None:
            hit = used & (offset == s.stored_offset)
            first[hit], count[hit], stride[hit] = s.first, s.count, s.stride
        elif s.stride > 1:
            stride[used & (offset == s.first)] = s.stride
    return first, count, stride


class _Indirect(EntityDecoder):
    """An array of struct ireg_buf."""

    versions: ClassVar[tuple[int, ...]] = (1,)
    source: ClassVar[str]

    def __init_subclass__(cls) -> None:
        cls.schema = Schema(cls.names[0], f"{cls.title} ({cls.source}, cudbg_lib.c).", COLUMNS)

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the records; of a dump for T7 the header and its entries."""
        if self.versions and int.from_bytes(data[:4], context.byteorder) == 0xCCEDB001:
            return Layout(_blocks(data, context))
        return Layout((Part("records", _ireg_buf(), None),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per register, as the records have them."""
        if "entries" in parts:
            return self._table(_of_entries(parts), context)
        return self._table(
            [_of_records(parts["records"], self.names[0])], context, self._lost(parts["records"], context)
        )

    def _lost(self, records: Array, context: Context) -> str | None:
        """Say which records of the driver's list for this chip are not in the payload as the driver writes them."""
        _, count, _ = _extent(records["tp_pio"], self.names[0])
        known = [s.record for s in _lists(self.names[0]) if context.chip in s.chips and s.record is not None]
        lost = [str(record) for record in known if record < len(count) and not count[record]]
        if not lost:
            return None
        return f"Not as the driver writes it, and left out: {plural(len(lost), 'record')} ({', '.join(lost)})."

    def _table(self, rows: list[tuple[Array, ...]], context: Context, lost: str | None = None) -> Table:
        address_register, data_register, address, value, start = (
            np.concatenate(column).astype(np.int64 if i == 4 else np.uint64)
            for i, column in enumerate(zip(*rows, strict=True))
        )
        columns = {
            "address_register": address_register,
            "address": address,
            "register": indirect_table(context.chip).names(data_register, address),
            "value": value,
            "space": spaces(data_register),
            "data_register": data_register,
        }
        notes = [lost, NO_ANSWER if _all_ones(value) else None, self._note(context, len(value))]
        note = " ".join(filter(None, notes))
        return Table(self.schema, columns, {"note": note} if note else {}, np.column_stack([start, start + 4]))

    def _note(self, context: Context, rows: int) -> str | None:
        if context.chip in NAMES_OF and rows:
            return (
                f"The names are those of a {NAMES_OF[context.chip]}: there is no table of a {context.chip}'s registers."
            )
        return None

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many registers, and that none answered where all read as ones."""
        table = self.table(parts, context)
        values = table.columns["value"]
        if not len(values):
            return "no registers"
        if _all_ones(values):
            return f"{plural(len(values), 'register')}, every one 0xffffffff: the adapter did not answer"
        more = self._remark(table)
        return f"{plural(len(values), 'register')}, {np.count_nonzero(values):,} not zero" + (
            f"; {more}" if more else ""
        )

    def _remark(self, table: Table) -> str:
        return ""


def _all_ones(values: Array) -> bool:
    return len(values) > 0 and bool((values == ALL_ONES).all())


@cache
def _ireg_buf() -> Struct:
    return declared("ireg_buf")


def _blocks(data: bytes | memoryview, context: Context) -> tuple[Part, ...]:
    """Return a header and its entries for each space (TP has three, PM two): ``header``, ``entries``, ``header1``, ..."""
    parts: list[Part] = []
    at, size = 0, VERSIONED.size()
    while at == 0 or (
        len(parts) < 2 * MOST_BLOCKS and int.from_bytes(data[at : at + 4], context.byteorder) == 0xCCEDB001
    ):
        mark = str(len(parts) // 2) if parts else ""
        count = int.from_bytes(data[at + 16 : at + 20], context.byteorder)
        parts += [Part(f"header{mark}", VERSIONED), Part(f"entries{mark}", ENTRY, count)]
        at += size + ENTRY.size() * count
    return tuple(parts)


def _of_records(records: Array, entity: str) -> tuple[Array, ...]:
    """Return address register, data register, index, value and place of each word of an array of struct ireg_buf."""
    fields, words = records["tp_pio"], records["outbuf"]
    first, count, stride = _extent(fields, entity)
    column = np.arange(OUTBUF)
    record, word = np.nonzero(column < count[:, None])
    address = (first[record] + stride[record] * word.astype(np.uint64)) & np.uint64(ALL_ONES)
    start = record * records.dtype.itemsize + HEADER_BYTES + 4 * word
    return fields["ireg_addr"][record], fields["ireg_data"][record], address, words[record, word], start


def _of_entries(parts: Parts) -> list[tuple[Array, ...]]:
    """Return address register, data register, index, value and place of each entry of each space."""
    found: list[tuple[Array, ...]] = []
    position = 0
    for name, entries in parts.items():
        if name.startswith("entries"):
            header = parts[name.replace("entries", "header")]
            n = len(entries)
            register, data = ((header[member][0] if len(header) else 0) for member in ("indir_reg", "indir_data"))
            start = position + ENTRY.size() * np.arange(n) + 4
            found.append((np.full(n, register), np.full(n, data), entries["offset"], entries["data"], start))
        position += entries.nbytes
    return found


class TpIndirect(_Indirect):
    """TP: configuration (TP_PIO), the transmit modulator (TP_TM_PIO) and counters (TP_MIB)."""

    names = ("tp_indirect",)
    title = "TP registers and counters behind index registers"
    source = "cudbg_collect_tp_indirect()"
    chips = "T5 T6"

    def _note(self, context: Context, rows: int) -> str | None:
        if context.chip == "T4" and not rows:
            return "The driver has no list of a T4's TP registers and reads none."
        return super()._note(context, rows)

    def _remark(self, table: Table) -> str:
        """Name the counters of errors and drops that are not zero, the largest first."""
        values, names = table.columns["value"], table.columns["register"]
        bad = np.array([n.startswith("TP_MIB_") and any(b in n for b in BAD) for n in names.categories], bool)
        rows = np.flatnonzero(np.append(bad, False)[names.codes] & (values > 0))
        if not len(rows):
            return "no errors or drops counted" if len(bad) else ""
        largest = rows[np.argsort(values[rows], kind="stable")[::-1][:3]]
        told = ", ".join(
            f"{names.categories[names.codes[i]].removeprefix('TP_MIB_')} {int(values[i])}" for i in largest
        )
        return told + (f" and {plural(len(rows) - 3, 'more counter')} of errors and drops" if len(rows) > 3 else "")


class SgeIndirect(_Indirect):
    """SGE: debug data, and where no port was up the queue base map of each PCI function (T6)."""

    names = ("sge_indirect",)
    title = "SGE debug data and queue base map"
    source = "cudbg_collect_sge_indirect()"
    versions = ()

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return two records, then struct sge_qbase_reg_field where it is there."""
        return Layout((Part("records", _ireg_buf(), 2), Part("qbase", declared("sge_qbase_reg_field"))))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return the debug data, then the queue base map: index n is PF n, index n + 8 is VF n."""
        rows = [_of_records(parts["records"], self.names[0])]
        qbase = parts["qbase"]
        read = len(qbase) > 0 and int(qbase["reg_addr"][0]) == QBASE_INDEX
        if read:
            rows.append(_of_qbase(qbase[0], parts["records"].nbytes))
        table = self._table(rows, context, self._lost(parts["records"], context))
        if len(qbase) and not read:
            known = table.attrs.get("note")
            table.attrs["note"] = " ".join(filter(None, [known, "The queue base map was not read: only a T6 has it."]))
        return table

    def _remark(self, table: Table) -> str:
        functions = int(np.count_nonzero(table.columns["data_register"] == QBASE_INDEX - 16))
        return f"queue base map of {plural(functions, 'PCI function')}" if functions else ""


def _of_qbase(qbase: Any, position: int) -> tuple[Array, ...]:
    pfs, vfs = (qbase[f"{kind}_data_value"].reshape(-1, 4) for kind in ("pf", "vf"))
    vfs = vfs[: int(qbase["vfcount"])]
    values = np.concatenate([pfs, vfs])
    function, word = np.indices(values.shape)
    start = position + 4 * (5 + np.arange(values.size))  # behind reg_addr and reg_data
    registers = np.full(values.size, qbase["reg_addr"])
    return registers, qbase["reg_data"][word.ravel()], function.ravel(), values.ravel(), start


class PcieIndirect(_Indirect):
    """PCIe: the debug registers of both clock domains (PDBG, CDBG)."""

    names = ("pcie_indirect",)
    title = "PCIe debug registers"
    source = "cudbg_collect_pcie_indirect()"
    versions = ()


class PmIndirect(_Indirect):
    """PM: debug registers of the payload memory's receive and transmit side."""

    names = ("pm_indirect",)
    title = "PM receive and transmit debug registers"
    source = "cudbg_collect_pm_indirect()"


class MaIndirect(_Indirect):
    """MA: client interfaces and arbiters of the memory arbiter."""

    names = ("ma_indirect",)
    title = "MA debug registers"
    source = "cudbg_collect_ma_indirect()"
    chips = "T6"


class UpCimIndirect(_Indirect):
    """CIM as the embedded processor sees it: queues, mailboxes, timers, scheduler."""

    names = ("up_cim_indirect",)
    title = "CIM registers of the embedded processor"
    source = "cudbg_collect_up_cim_indirect()"
    chips = "T5 T6"


class HmaIndirect(_Indirect):
    """HMA: debug registers of the host memory access."""

    names = ("hma_indirect",)
    title = "HMA debug registers"
    source = "cudbg_collect_hma_indirect()"
    chips = "T6"


DECODERS = (TpIndirect(), SgeIndirect(), PcieIndirect(), PmIndirect(), MaIndirect(), UpCimIndirect(), HmaIndirect())
