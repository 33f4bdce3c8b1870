"""MBOX_LOG, entity 66: the commands that the driver sent to the firmware, and the replies.

cudbg_collect_mbox_log(), drivers/net/ethernet/chelsio/cxgb4/cudbg_lib.c: struct cudbg_mbox_log, used ones first, oldest first;
t4_record_mbox() and t4_wr_mbox_meat_timeout(), t4_hw.c, write them: one record when a command is sent and one for the reply
or for what went wrong. Bits of a command: t4fw_api.h.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, bits, spans
from vmcoredd_lab.devices.cxgb4.enumerations import firmware_opcodes, firmware_retvals, named
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Codes, Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "MboxLog"]

Array = np.ndarray[Any, Any]

FLITS = 8  # MBOX_LEN / 8
# FW_CMD_EXEC, FW_CMD_WRITE, FW_CMD_READ: bits 52, 53, 54 of the first flit
_ACTIONS = ["", "exec", "write", "write exec", "read", "read exec", "read write", "read write exec"]


class MboxLog(EntityDecoder):
    """struct cudbg_mbox_log, as many as the driver keeps."""

    names = ("mbox_log",)
    title = "firmware commands of the driver"
    schema = Schema(
        "mbox_log",
        "Firmware commands and replies, oldest first (struct mbox_cmd, cxgb4.h). The log is copied without a lock: a record "
        "that is being written may be torn.",
        (
            Column("seqno", "u32", "sequence number; wraps"),
            Column("timestamp", "u64", "jiffies"),
            Column("access", "i32", "time to get the mailbox, ms; always 0 in Linux 6.1", rank=3),
            Column("execute", "i32", "time to completion, ms; negative: errno of a command that failed"),
            *(
                Column(f"cmd{i}", "u64", f"flit {i} of the command or reply", "hex", rank=2 + (i > 0))
                for i in range(FLITS)
            ),
            Column("direction", "category", "request: to the firmware (bit 55 of cmd0); reply"),
            Column("opcode", "u32", "cmd0 bits 63..56 (enum fw_cmd_opcodes)", rank=2),
            Column("opcode_name", "category", "name of the opcode"),
            Column("action", "category", "cmd0 bits 54..52: read, write, exec", rank=1),
            Column("retval", "u32", "cmd0 bits 15..8 of a reply (enum fw_retval); missing in a request", rank=2),
            Column("retval_name", "category", "name of the return value"),
            Column("length", "u32", "cmd0 bits 7..0: length of the command, bytes", rank=2),
            Column("failed", "bool", "true: the driver gave up, or the firmware returned an error"),
        ),
        tail=True,
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return one part of records, used or not."""
        family = "unified_wire" if context.unified_wire else "linux"
        return Layout((Part("records", declared("cudbg_mbox_log", family), None),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per used record."""
        rows, first = _used(parts)
        entry = parts["records"]["entry"][rows]
        opcode, retval, reply = (bits(first, 63, 56), bits(first, 15, 8), bits(first, 55, 55) == 0)
        flits = entry["cmd"].astype(np.uint64)
        columns: dict[str, Any] = {
            "seqno": entry["seqno"].astype(np.uint32),
            "timestamp": entry["timestamp"].astype(np.uint64),
            "access": entry["access"].astype(np.int32),
            "execute": entry["execute"].astype(np.int32),
            **{f"cmd{i}": flits[:, i] for i in range(FLITS)},
            "direction": Codes(reply.astype(np.int32), ["request", "reply"]),
            "opcode": opcode.astype(np.uint32),
            "opcode_name": named(opcode, firmware_opcodes("command")),
            "action": Codes(bits(first, 54, 52).astype(np.int32), _ACTIONS),
            "retval": np.ma.array(retval.astype(np.uint32), mask=~reply),
            "retval_name": named(retval, firmware_retvals(), reply),
            "length": bits(first, 7, 0).astype(np.uint32) * np.uint32(16),
            "failed": _failed(parts, rows, first),
        }
        where = spans(0, parts["records"].dtype.itemsize, len(parts["records"]))[rows]
        return Table(self.schema, columns, spans=where)

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many commands and replies there are, and the last that failed."""
        rows, first = _used(parts)
        if not len(rows):
            return "no command sent yet"
        failed = np.flatnonzero(_failed(parts, rows, first))
        text = plural(len(rows), "record")
        if not len(failed):
            return f"{text}, none failed"
        word = int(first[failed[-1]])
        opcode, retval = word >> 56, word >> 8 & 0xFF
        execute = int(parts["records"]["entry"]["execute"][rows[failed[-1]]])
        why = f"errno {-execute}" if execute < 0 else firmware_retvals().get(retval, f"{retval}")
        name = firmware_opcodes("command").get(opcode, f"opcode {opcode:#x}")
        return f"{text}, {len(failed):,} failed, the last {name}: {why}"


def _used(parts: Parts) -> tuple[Array, Array]:
    """Return which records are used, and the first flit of each."""
    entry = parts["records"]["entry"]
    rows = np.flatnonzero(entry["timestamp"] != 0)
    return rows, entry["cmd"][rows, 0].astype(np.uint64)


def _failed(parts: Parts, rows: Array, first: Array) -> Array:
    failed: Array = parts["records"]["entry"]["execute"][rows] < 0
    failed |= (bits(first, 55, 55) == 0) & (bits(first, 15, 8) != 0)
    return failed


DECODERS = (MboxLog(),)
