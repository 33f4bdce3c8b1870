"""QDESC, entity 70: the descriptor rings of the driver's queues, as they were in host memory.

cudbg_collect_qdesc(), drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c, and cudbg_fill_qdesc_txq() and the like, cudbg_lib.h:
struct cudbg_ver_hdr, struct cudbg_qdesc_info, then for each queue a struct cudbg_qdesc_entry and its descriptors, one behind
the other; zeros up to 32 MiB. Descriptors are as the device has them, big endian: struct tx_desc (cxgb4.h), struct rsp_ctrl
(t4_hw.h), free-list addresses with flags in the low bits (refill_fl(), sge.c).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared, words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, bits
from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.enumerations import firmware_opcodes, named
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.structs import Member, Struct
from vmcoredd_lab.tables import Codes, Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "Qdesc", "descriptors_table"]

Array = np.ndarray[Any, Any]

LARGEST_DESC = 128  # bytes: an ingress queue entry; others are 64 and 8
MOST_QUEUES = 1 << 14  # far more than a function has; bounds the work where the count is damaged
LARGEST_HEADER = 256
RSS_ROOM = 24  # an entry that has an RSS header besides struct rsp_ctrl
_BLOCK = Struct("unused", "what the driver leaves zero", (Member("bytes", "u1", shape=(4096,)),))
_BYTE = words(1, "u1", "byte")
_ENTRY = declared("cudbg_qdesc_entry")
_INFO = declared("cudbg_qdesc_info")
_VERSION = declared("cudbg_ver_hdr")
_RSP_TYPES = {0: "free list buffer", 1: "CPL", 2: "interrupt"}  # RSPD_TYPE_*_X, t4_values.h


@cache
def _types() -> dict[int, tuple[str, str]]:
    """Return name and kind (tx, rx, fl) of each queue type."""
    return {int(row["value"]): (row["name"], row["kind"]) for row in read_table("qdesc_types.csv")}


class Qdesc(EntityDecoder):
    """Revision 1: a header for each queue, and its ring."""

    names = ("qdesc",)
    title = "descriptors of the driver's queues"
    versions = (1,)
    schema = Schema(
        "qdesc",
        "The driver's queues (struct cudbg_qdesc_entry, cudbg_entity.h); nic.descriptors(qid) has their descriptors.",
        (
            Column("qtype", "u32", "type of the queue (enum cudbg_qdesc_qtype)"),
            Column("qid", "u32", "id of the SGE context: egress or ingress, by type"),
            Column("desc_size", "u32", "size of a descriptor, bytes"),
            Column("num_desc", "u32", "descriptors"),
            Column("data_size", "u32", "size of the ring, bytes", "size"),
            Column("qtype_name", "category", "name of the type"),
            Column("offset", "u64", "of the descriptors in the decoded entity, bytes", "hex", rank=1),
            Column("complete", "bool", "true where the whole ring is in the dump", rank=2),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the headers, two parts a queue (``queue0``, ``descriptors0``, ...), and the unused rest in blocks."""
        return Layout((*_parts(data, context), Part("unused", _BLOCK, None)))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per queue, in the order of collection."""
        queues = list(_queues(parts))
        headers = np.concatenate([np.zeros(0, _ENTRY.dtype(context.byteorder)), *(q[1] for q in queues)])
        offsets = np.array([at for *_, at in queues], np.uint64)
        there = np.minimum(headers["data_size"], np.uint64(sum(part.nbytes for part in parts.values())) - offsets)
        columns: dict[str, Any] = {n: headers[n].astype(np.uint32) for n in _ENTRY.dtype().names or ()}
        columns |= {
            "qtype_name": named(headers["qtype"], {number: name for number, (name, _) in _types().items()}),
            "offset": offsets,
            "complete": there == columns["data_size"],
        }
        attrs = {"note": note} if (note := _note(parts)) else {}
        span = np.column_stack([offsets - np.uint64(_ENTRY.size()), offsets + there]).astype(np.int64)
        return Table(self.schema, {n: columns[n] for n in self.schema.names}, attrs, span)

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many queues there are, and of what kind."""
        types = [int(header["qtype"][0]) for _, header, _, _ in _queues(parts)]
        if not types:
            return "no queues: the driver had set up none"
        kinds = [_types().get(number, ("", ""))[1] for number in types]
        each = (
            f"{kinds.count(kind)} {text}" for kind, text in (("tx", "transmit"), ("rx", "receive"), ("fl", "free list"))
        )
        return f"{plural(len(types), 'queue')}: {', '.join(each)}"


def _parts(data: bytes | memoryview, context: Context) -> Iterator[Part]:
    """Find the queues; sizes and counts are believed as far as the bytes go."""
    order = context.byteorder
    yield Part("version", _VERSION)
    yield Part("info", _INFO)
    position = _VERSION.size() + _INFO.size()
    if len(data) < position:
        return
    version = _VERSION.read(data, 0, byteorder=order)
    info = _INFO.read(data, _VERSION.size(), byteorder=order)
    more = min(max(int(version["size"]) - _INFO.size(), 0), LARGEST_HEADER)
    if more:
        yield Part("info_more", _BYTE, more)
    position += more
    size = int(info["qdesc_entry_size"])
    size = size if _ENTRY.size() <= size <= LARGEST_HEADER else _ENTRY.size()
    for number in range(min(int(info["num_queues"]), MOST_QUEUES)):
        if position + size > len(data):
            return
        entry = _ENTRY.read(data, position, byteorder=order)
        if not any(entry.item()):  # the zeros behind the last queue: num_queues is damaged
            return
        yield Part(f"queue{number}", _ENTRY)
        if size > _ENTRY.size():
            yield Part(f"queue{number}_more", _BYTE, size - _ENTRY.size())
        ring, step, count = (int(entry[name]) for name in ("data_size", "desc_size", "num_desc"))
        if 0 < step <= LARGEST_DESC and step % 8 == 0 and step * count == ring:
            yield Part(f"descriptors{number}", words(step // 8, "u8", "flit"), count, "big")
        else:  # sizes that do not fit one another: words, and what is left of them
            yield Part(f"descriptors{number}", words(1, "u8", "flit"), ring // 8, "big")
            yield Part(f"descriptors{number}_more", _BYTE, ring % 8)
        position += size + ring


def _queues(parts: Parts) -> Iterator[tuple[int, Array, Array, int]]:
    """Return number, header, descriptors and their offset of each queue."""
    position, number, header = 0, -1, None
    for name, array in parts.items():
        if name.endswith("_more"):
            pass
        elif name.startswith("queue"):
            number, header = int(name.removeprefix("queue")), array
        elif name.startswith("descriptors") and header is not None and len(header):
            yield number, header, array, position
        position += array.nbytes


def _note(parts: Parts) -> str:
    counted = int(parts["info"]["num_queues"][0]) if len(parts["info"]) else 0
    held = sum(1 for _ in _queues(parts))
    if not counted:
        return "The driver had no queues when the dump was taken, as in a kdump kernel before it brings up its ports."
    return f"The header counts {counted:,} queues; {held:,} are there." if held < counted else ""


def descriptors_table(parts: Parts, context: Context, qid: int, qtype: int | str | None = None) -> Table | None:
    """Return the descriptors of the queues with that id (and type, as number or name), or None where there is none.

    An id can be that of an egress and of an ingress queue. Descriptors are in ring order, which is not that of time; a ring
    holds old ones too. A work request fills several descriptors: the opcode is meaningful where one begins.
    """
    if isinstance(qtype, str):
        wanted = qtype.lower().removeprefix("cudbg_qtype_")
        qtype = next((number for number, (name, _) in _types().items() if name == wanted), -1)
    found = []
    for _, header, ring, offset in _queues(parts):
        number = int(header["qtype"][0])
        if int(header["qid"][0]) == qid and qtype in (None, number):
            found.append(_descriptors(number, qid, int(header["desc_size"][0]), ring, offset))
    return _stacked(found) if found else None


def _descriptors(qtype: int, qid: int, step: int, ring: Array, offset: int) -> dict[str, Any]:
    """Return the columns of one ring; of one whose sizes do not fit one another its words as they are."""
    name, kind = _types().get(qtype, ("unknown", ""))
    size, count = ring.dtype.itemsize, len(ring)
    index = np.arange(count, dtype=np.uint32)
    flits = [ring[n].astype(np.uint64) for n in ring.dtype.names or ()]
    columns: dict[str, Any] = {
        "qtype": np.full(count, qtype, np.uint32),
        "qtype_name": Codes(np.zeros(count, np.int32), [name]),
        "qid": np.full(count, qid, np.uint64),
        "index": index,
        "offset": np.uint64(offset) + index.astype(np.uint64) * np.uint64(size),
        **{f"flit{i}": flit for i, flit in enumerate(flits)},
    }
    if size != step:
        return columns
    if kind == "tx":
        return columns | _work_requests(flits)
    if kind == "rx" and len(flits) > 1:
        return columns | _responses(flits)
    if kind == "fl":
        address = flits[0]
        return columns | {
            "address": address & ~np.uint64(0x1F),
            "buffer_size_index": bits(address, 3, 0).astype(np.uint32),
        }
    return columns


def _work_requests(flits: list[Array]) -> dict[str, Any]:
    opcode = bits(flits[0], 63, 56)
    return {
        "opcode": opcode.astype(np.uint32),
        "opcode_name": named(opcode, firmware_opcodes("work_request")),
        "immediate_length": bits(flits[0], 39, 32).astype(np.uint32),
        "length": bits(flits[0], 7, 0).astype(np.uint32) * np.uint32(16),
    }


def _responses(flits: list[Array]) -> dict[str, Any]:
    lengths, last = flits[-2], flits[-1]
    kind = bits(last, 61, 60)
    interrupt = kind == 2
    message = (kind < 2) & (8 * len(flits) >= RSS_ROOM)
    opcode = bits(flits[0], 63, 56)
    low = bits(lengths, 30, 0).astype(np.uint32)
    return {
        "generation": bits(last, 63, 63).astype(np.uint32),
        "response_type": kind.astype(np.uint32),
        "response_type_name": named(kind, _RSP_TYPES),
        "new_buffer": bits(lengths, 31, 31) != 0,
        "header_length": bits(lengths, 62, 32).astype(np.uint32),
        "payload_length": np.ma.array(low, mask=interrupt),
        "interrupt_qid": np.ma.array(low, mask=~interrupt),
        "opcode": np.ma.array(opcode.astype(np.uint32), mask=~message),
        "opcode_name": named(opcode, firmware_opcodes("cpl"), message),
    }


_DESCRIPTORS = (
    Column("qtype", "u32", "type of the queue", rank=2),
    Column("qtype_name", "category", "name of the type"),
    Column("qid", "u64", "id of the queue"),
    Column("index", "u32", "position in the ring"),
    Column("offset", "u64", "in the decoded entity, bytes", "hex", rank=1),
    *(
        Column(f"flit{i}", "u64", f"big-endian 64-bit word {i}", "hex", rank=2 + (i > 0))
        for i in range(LARGEST_DESC // 8)
    ),
    Column("generation", "u32", "generation bit of a response"),
    Column("response_type", "u32", "type of a response", rank=2),
    Column("response_type_name", "category", "free list buffer, CPL or interrupt"),
    Column("new_buffer", "bool", "true: the payload begins a new free-list buffer", rank=1),
    Column("header_length", "u32", "length of the header, bytes", rank=1),
    Column("payload_length", "u32", "length of the payload, bytes; missing in an interrupt"),
    Column("interrupt_qid", "u32", "queue that the interrupt is for; missing elsewhere", rank=1),
    Column("opcode", "u32", "of the work request (enum fw_wr_opcodes), or of the CPL in a response", rank=2),
    Column("opcode_name", "category", "name of the opcode"),
    Column("immediate_length", "u32", "immediate data of a work request, bytes", rank=2),
    Column("length", "u32", "length of a work request, bytes"),
    Column("address", "u64", "bus address of a free-list buffer", "hex"),
    Column("buffer_size_index", "u32", "index of the buffer's size"),
)


def _stacked(rings: list[dict[str, Any]]) -> Table:
    """Return rings one after another; what one has no column for is missing."""
    counts = [len(ring["index"]) for ring in rings]
    columns = [column for column in _DESCRIPTORS if any(column.name in ring for ring in rings)]
    stacked: dict[str, Any] = {}
    for column in columns:
        values = [ring.get(column.name) for ring in rings]
        if column.kind == "category":
            names = list(dict.fromkeys(name for v in values if v is not None for name in v.categories))
            codes = [
                _recoded(v, names) if v is not None else np.full(n, -1) for v, n in zip(values, counts, strict=True)
            ]
            stacked[column.name] = Codes(np.concatenate(codes).astype(np.int32), names)
            continue
        dtype = next(v.dtype for v in values if v is not None)
        absent = [np.ones(n, bool) if v is None else np.ma.getmaskarray(v) for v, n in zip(values, counts, strict=True)]
        whole = [np.zeros(n, dtype) if v is None else np.ma.getdata(v) for v, n in zip(values, counts, strict=True)]
        mask = np.concatenate(absent)
        joined = np.concatenate(whole)
        stacked[column.name] = np.ma.array(joined, mask=mask) if mask.any() else joined
    return Table(Schema("descriptors", "Descriptors of a queue (cxgb4.h, t4_hw.h).", tuple(columns)), stacked)


def _recoded(codes: Codes, names: list[str]) -> Array:
    place = np.array([*(names.index(name) for name in codes.categories), -1])
    recoded: Array = place[codes.codes]
    return recoded


DECODERS = (Qdesc(),)
