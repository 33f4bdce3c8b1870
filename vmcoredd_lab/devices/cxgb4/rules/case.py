"""What the rules of cxgb4 are evaluated over: the adapter's tables, their columns by the names that conditions use.

``SGE_CONTROL.GlobalEnable`` is a field of a register in REG_DUMP, one value for each instance; a name that the register
table has only with ``_L`` and ``_H`` is the 64-bit counter. ``cfg.NAME.field`` is PCIe configuration space, ``ind.NAME.field``
a register behind an index, ``hdr.member`` the entity headers, ``egress.field`` and its like the SGE contexts, and
``entity.column`` a column of any entity's table, one value for each row.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.entities import driver_state
from vmcoredd_lab.devices.cxgb4.entities.dump_context import KINDS
from vmcoredd_lab.devices.cxgb4.entities.pcie_config import collected_fields
from vmcoredd_lab.devices.cxgb4.entity_names import entity_number
from vmcoredd_lab.devices.cxgb4.firmware import PCIE_FW, UNREACHABLE
from vmcoredd_lab.devices.cxgb4.indirect_table import indirect_table, space_of
from vmcoredd_lab.devices.cxgb4.reg_dump import RegDump
from vmcoredd_lab.devices.cxgb4.register_table import Field, parse_fields
from vmcoredd_lab.devices.cxgb4.structs import CUDBG_HDR, ENTITY_HDR
from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.rules import Evidence, NotEvaluableError, Operand
from vmcoredd_lab.tables import Codes, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmcoredd_lab.devices.cxgb4.adapter import Cxgb4

__all__ = ["AdapterCase"]

Array = np.ndarray[Any, Any]

PL_WHOAMI = 0x19400
LOG_ENTRY = 256  # struct fw_devlog_e
# What does not come from reading the adapter when the dump is made, or tells by itself that the reading failed
NOT_READ = ("dev_log", "mbox_log", "qdesc", "clk", "tid_info", "vpd_data", "pcie_config")
BLIND = "the adapter did not answer: what its registers read as says nothing"


class AdapterCase:
    """One adapter, as rules see it."""

    def __init__(self, nic: Cxgb4) -> None:
        self.nic = nic
        self._operands: dict[str, Operand] = {}
        self._tables: dict[str, Table] = {}
        self.memo: dict[str, Any] = {}  # what several rules work out from the same tables

    @property
    def kind(self) -> str:
        """``T4``, ``T5`` or ``T6``."""
        return self.nic.chip

    @cached_property
    def late(self) -> bool:
        """Whether the capture kernel collected it: it is in a vmcore, or the driver had not contacted the firmware."""
        if not self.nic.dump.bare:
            return True
        context = self.nic.context()
        return driver_state.firmware_attached(context) is False

    # -- evidence -----------------------------------------------------------------------------------------------------

    def in_entity(self, entity: str, offset: int, length: int, text: str) -> Evidence:
        """Return decoded bytes of an entity as evidence."""
        return Evidence(f"entity:{self.nic.dump.space}/{entity}", offset, length, text)

    def in_dump(self, offset: int, length: int, text: str) -> Evidence:
        """Return bytes of the dump as they are stored as evidence."""
        return Evidence(f"dump:{self.nic.dump.space}", offset, length, text)

    def word(self, address: int, name: str, value: int | None = None) -> Evidence:
        """Return a register's word as evidence."""
        if value is None:
            value = self.registers.value(address)
        return self.in_entity("reg_dump", address, 4, f"{name} = {value or 0:#x}")

    # -- tables -------------------------------------------------------------------------------------------------------

    @cached_property
    def raw_registers(self) -> RegDump:
        """The registers, whatever they say."""
        try:
            return self.nic.register_dump
        except VmcoreddLabError as error:
            raise NotEvaluableError(f"registers: {error.message}") from None

    @cached_property
    def reachable(self) -> bool:
        """Whether the registers hold what the adapter said, and not what a read gives that nothing answers."""
        return not {self.raw_registers.value(PCIE_FW), self.raw_registers.value(PL_WHOAMI)} & set(UNREACHABLE)

    @cached_property
    def blind(self) -> bool:
        """Whether the registers say that reads reached nothing; false where they were not collected."""
        try:
            return not self.reachable
        except NotEvaluableError:
            return False

    @property
    def registers(self) -> RegDump:
        """The registers of an adapter that answered."""
        if not self.reachable:
            raise NotEvaluableError(BLIND)
        return self.raw_registers

    def table(self, name: str) -> Table:
        """Return an entity's table, or one of its SGE contexts', with the place of each row in ``spans``."""
        known = self._tables.get(name)
        if known is None:
            if name not in NOT_READ and self.blind:
                raise NotEvaluableError(BLIND)
            try:
                known = self.nic.contexts_table(name) if name in KINDS else self.nic.entity_table(name)
            except VmcoreddLabError as error:
                raise NotEvaluableError(f"{name}: {error.message}") from None
            if name == "dev_log" and len(known):
                start = np.asarray(known.columns["offset"], np.int64)
                known.spans = np.column_stack([start, start + LOG_ENTRY])
            self._tables[name] = known
        return known

    def entity_of(self, name: str) -> str:
        """Return the entity whose bytes the rows of a table are."""
        if name in KINDS:
            return "dump_context"
        return str(self.table(name).attrs.get("entity", name))

    def row(self, name: str, index: int, text: str) -> Evidence:
        """Return the bytes of one row of a table as evidence."""
        spans = self.table(name).spans
        assert spans is not None, f"the rows of {name} say where they are"
        start, end = spans[index].tolist()
        return self.in_entity(self.entity_of(name), start, end - start, text)

    # -- operands -----------------------------------------------------------------------------------------------------

    def resolve(self, name: str) -> Operand:
        """Return the operand of that name.

        Raises
        ------
        NotEvaluableError: the entity is not there, or the register is not among those that the driver collects of this chip.
        """
        known = self._operands.get(name)
        if known is None:
            known = self._operands[name] = self._resolve(*name.split("."))
        return known

    def _resolve(self, first: str, *rest: str) -> Operand:
        if "each" in ".".join((first, *rest)):
            return self._each(".".join((first, *rest)))
        kinds: dict[str, Callable[..., Operand]] = {
            "cfg": self._config, "ind": self._indirect, "hdr": self._headers, "file": self._file,
        }  # fmt: skip
        if first in kinds:
            return kinds[first](*rest)
        if first in KINDS or entity_number(first) is not None:
            return self._column(first, *rest)
        return self._register(first, *rest)

    def _each(self, name: str) -> Operand:
        """Return the numbered registers of one kind, with ``each`` in the place of the number, as one operand."""
        found: list[tuple[int, Operand]] = []
        lacking = None
        for number in range(8):
            try:
                found.append((number, self.resolve(name.replace("each", str(number)))))
            except NotEvaluableError as error:
                lacking = lacking or error
        if not found:
            raise lacking or NotEvaluableError(f"there is no {name}")
        parts = [(number, one, i) for number, one in found for i in range(len(one.values))]
        what = "group" if "_BG_" in name else "port" if "MPS" in name else "channel"
        labels = tuple(" ".join(filter(None, [f"{what} {number}", one.labels[i]])) for number, one, i in parts)
        return Operand(
            name, np.concatenate([one.values for _, one in found]), np.concatenate([one.missing for _, one in found]),
            lambda i: parts[i][1].evidence(parts[i][2]), labels,
        )  # fmt: skip

    def _register(self, name: str, field: str | None = None) -> Operand:
        dump = self.registers
        table = dump.table
        low = name if name in table.by_name else f"{name}_L"
        found = [
            (at, text) for address, text in table.instances_of(low) if (at := table.position(address)) is not None
        ] if low in table.by_name else []  # fmt: skip
        if not found:
            raise NotEvaluableError(f"the driver collects no register {name} of a {self.kind}")
        words = np.array([at for at, _ in found])
        values, missing = dump.values[words].astype(np.int64), dump.missing[words]
        size = 4
        if low != name:
            high = [table.position(address) for address, _ in table.instances_of(f"{name}_H")]
            tops = np.array([h for h in high if h is not None])
            if len(tops) != len(words):
                raise NotEvaluableError(f"the driver collects only half of counter {name}")
            values = dump.values[tops].astype(np.uint64) << np.uint64(32) | values.astype(np.uint64)
            missing, size = missing | dump.missing[tops], 8
        whole = values
        values = _narrow(whole) if size == 8 else whole
        if field is not None:
            values = self._field(name, field, parse_fields(found[0][1]), values)
        addresses = table.addresses[words].tolist()
        shown = f"{name}.{field}" if field else name
        labels = tuple(self._labels(words.tolist()))

        def evidence(i: int) -> Evidence:
            text = (
                f"{name}{_suffix(labels[i])} = {whole[i]:#x}"
                if size == 4
                else f"{name}{_suffix(labels[i])} = {whole[i]:,}"
            )
            if field is not None:
                text += f" ({field} = {values[i]:#x})"
            return self.in_entity("reg_dump", addresses[i], size, text)

        return Operand(shown, values, missing, evidence, labels, whole if field is None else None)

    def _labels(self, positions: list[int]) -> list[str]:
        """Return what tells the instances of a register apart: port, function or memory, else their number."""
        if len(positions) == 1:
            return [""]
        table = self.raw_registers.table
        scopes = [table.scopes.codes[at] for at in positions]
        named = [table.scopes.categories[code] if code >= 0 else "" for code in scopes]
        if len(set(named)) == len(named):
            return named
        return [f"{scope} [{n}]".strip() for n, scope in enumerate(named)]

    def _field(self, register: str, field: str, fields: list[Field], values: Array) -> Array:
        one = next((f for f in fields if f.name == field), None)
        if one is None:
            raise NotEvaluableError(f"{register} of a {self.kind} has no field {field}")
        return (values >> one.lsb) & ((1 << one.width) - 1)

    def _config(self, register: str, field: str | None = None) -> Operand:
        table = self.table("pcie_config")
        values = np.asarray(table.columns["value"], np.int64)
        if not len(values) or int(values[0]) == 0xFFFFFFFF:
            raise NotEvaluableError("the adapter's configuration space did not answer")
        names = table.values("register")
        if register not in names:
            raise NotEvaluableError(f"register {register} of the configuration space is not in the dump")
        at = names.index(register)
        word = values[at : at + 1]
        value = word
        if field is not None:
            value = self._field(register, field, self.config_fields(register), word)
        missing = self._damaged(table)[at : at + 1]
        text = f"{register} = {int(word[0]):#x}" + (f" ({field} = {int(value[0]):#x})" if field else "")
        shown = ".".join(filter(None, ["cfg", register, field]))
        return Operand(shown, value, missing, lambda _: self.row("pcie_config", at, text), ("",))

    def config_fields(self, register: str) -> list[Field]:
        """Return the fields of a register of the configuration space, highest bits first."""
        at = self.table("pcie_config").values("register").index(register)
        return collected_fields(self.nic.context())[at]

    def _indirect(self, register: str, field: str | None = None) -> Operand:
        one = indirect_table(self.kind).find(register)
        if one is None:
            raise NotEvaluableError(f"no table names {register} of a {self.kind}")
        place = space_of(one.space)
        table = self.table(place.entity)
        if "data_register" not in table.columns:
            raise NotEvaluableError(f"{place.entity} is of a newer layout")
        address = np.asarray(table.columns["address"], np.int64)
        rows = np.flatnonzero(
            (np.asarray(table.columns["data_register"], np.int64) == place.data_register)
            & (address >= one.address) & (address < one.address + one.count)
        )  # fmt: skip
        if not len(rows):
            raise NotEvaluableError(f"the driver collects no {register} of a {self.kind}")
        whole = np.asarray(table.columns["value"], np.int64)[rows]
        values = whole if field is None else self._field(register, field, one.fields, whole)
        labels = ("",) if len(rows) == 1 else tuple(f"[{n}]" for n in range(len(rows)))

        def evidence(i: int) -> Evidence:
            text = f"{register}{_suffix(labels[i])} = {int(whole[i]):#x}"
            return self.row(place.entity, int(rows[i]), text + (f" ({field} = {int(values[i]):#x})" if field else ""))

        return Operand(
            ".".join(filter(None, ["ind", register, field])), values, self._damaged(table)[rows], evidence, labels
        )

    def _column(self, entity: str, column: str) -> Operand:
        table = self.table(entity)
        if column not in table.columns:
            raise NotEvaluableError(f"{entity} has no column {column}: its bytes have another layout")
        values, missing = _values(table, column)
        missing = missing | self._damaged(table)
        key = next((k for k in ("qid", "id", "name", "queue", "seqno", "tid", "idx") if k in table.columns), None)
        names = _shown(table, key) if key and len(table) > 1 else [""] * len(table)

        def evidence(i: int) -> Evidence:
            return self.row(entity, i, f"{entity}{_suffix(names[i])}: {column} = {values[i]}")

        return Operand(f"{entity}.{column}", values, missing, evidence, tuple(names))

    @staticmethod
    def _damaged(table: Table) -> Array:
        if "damaged" in table.columns:
            return np.asarray(table.columns["damaged"], bool)
        return np.zeros(len(table), bool)

    def _headers(self, member: str) -> Operand:
        headers = list(self.nic.container.entities.values())
        values = np.array([getattr(h, member) for h in headers], np.int64)
        codes = [f"hdr_flags {h.status}, sys_err {h.sys_err}, sys_warn {h.sys_warn}" for h in headers]

        def evidence(i: int) -> Evidence:
            return self.in_dump(headers[i].slot_offset, ENTITY_HDR.size(), f"{headers[i].name}: {codes[i]}")

        return Operand(f"hdr.{member}", values, np.zeros(len(values), bool), evidence, tuple(h.name for h in headers))

    def _file(self, member: str) -> Operand:
        value = int(self.nic.container.header[member])
        struct = CUDBG_HDR.dtype(self.nic.container.byteorder)
        fields: Any = struct.fields
        kind, offset = fields[member][:2]
        return Operand(
            f"file.{member}", np.array([value]), np.zeros(1, bool),
            lambda _: self.in_dump(offset, kind.itemsize, f"{member} = {value:#x}"), ("",),
        )  # fmt: skip


def _suffix(label: str) -> str:
    return f" {label}" if label else ""


def _narrow(values: Array) -> Array:
    """Return unsigned 64-bit values as integers with a sign where they fit, else as floats: the sums of both are exact enough."""
    return values.astype(np.int64) if not (values >> np.uint64(63)).any() else values.astype(np.float64)


def _values(table: Table, column: str) -> tuple[Array, Array]:
    """Return a column as an array with what is missing: numbers as numbers, text as objects."""
    cells = table.columns[column]
    if isinstance(cells, np.ma.MaskedArray):
        return _number(cells.data), np.ma.getmaskarray(cells)
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "iubf":
        return _number(cells), np.zeros(len(cells), bool)
    texts = cells.texts() if isinstance(cells, Codes) else list(cells)
    missing = np.array([t is None for t in texts], bool)
    if texts and all(isinstance(t, (bool, int)) for t in texts if t is not None):
        return np.array([int(t or 0) for t in texts], np.int64), missing
    return np.array([t or "" for t in texts], object), missing


def _number(values: Array) -> Array:
    native = values.astype(values.dtype.newbyteorder("="))
    return (
        _narrow(native)
        if native.dtype == np.uint64
        else native.astype(np.int64)
        if native.dtype.kind in "iub"
        else native
    )


def _shown(table: Table, key: str) -> list[str]:
    prefix = {"qid": "queue ", "id": "queue ", "queue": "queue ", "seqno": "entry ", "tid": "tid "}.get(key, "")
    return [f"{prefix}{'' if v is None else v}" for v in table.values(key)]
