"""The kernel log's structures, declared once for reading and writing.

VMCOREINFO says where the members of the crashed kernel's own structures are; these declarations are how the kernels of a
generation lay them out, for writing, and for members that VMCOREINFO leaves out.
"""

from __future__ import annotations

from vmcoredd_lab.structs import ByteOrder, Member, Struct

__all__ = [
    "COMMITTED",
    "DATALESS",
    "DEV_PRINTK_INFO",
    "EMPTY_LPOS",
    "FAILED_LPOS",
    "FINALIZED",
    "LOG_CONT",
    "LOG_NEWLINE",
    "LOG_PREFIX",
    "PRB_DATA_BLK_LPOS",
    "PRB_DATA_BLOCK",
    "PRB_DATA_RING",
    "PRB_DESC",
    "PRB_DESC_RING",
    "PRINTK_INFO",
    "PRINTK_LOG",
    "PRINTK_LOG_CALLER",
    "PRINTK_RINGBUFFER",
    "RESERVED",
    "REUSABLE",
    "pack_flags_level",
    "state_value",
    "unpack_flags_level",
]

_RING = "kernel/printk/printk_ringbuffer.h"

# enum desc_state: the two highest bits of a descriptor's state_var; the others are its id
RESERVED, COMMITTED, FINALIZED, REUSABLE = range(4)

# Values of text_blk_lpos that stand for no data block; both have the lowest bit, which no position of a block has
DATALESS = 1
FAILED_LPOS = 1  # there was no room for the text
EMPTY_LPOS = 3  # the text is empty; NO_LPOS before it was EMPTY_LINE_LPOS

# enum printk_info_flags / log_flags
LOG_NEWLINE, LOG_PREFIX, LOG_CONT = 2, 4, 8

PRB_DATA_BLK_LPOS = Struct(
    "prb_data_blk_lpos",
    _RING,
    (
        Member("begin", "L", "logical position of the data block"),
        Member("next", "L", "logical position of the block behind it"),
    ),
)

PRB_DATA_BLOCK = Struct(
    "prb_data_block",
    _RING,
    (Member("id", "L", "id of the descriptor that the text belongs to; the text follows"),),
)

PRB_DESC = Struct(
    "prb_desc",
    _RING,
    (
        Member("state_var", "L", "state in the two highest bits, id in the others (atomic_long_t)"),
        Member("text_blk_lpos", PRB_DATA_BLK_LPOS),
    ),
)

PRB_DATA_RING = Struct(
    "prb_data_ring",
    _RING,
    (
        Member("size_bits", "u4", "binary logarithm of the bytes of data"),
        Member("data", "L", "address of the ring of data blocks"),
        Member("head_lpos", "L", "where the next block is put"),
        Member("tail_lpos", "L", "the oldest block that still counts"),
    ),
)

PRB_DESC_RING = Struct(
    "prb_desc_ring",
    _RING,
    (
        Member("count_bits", "u4", "binary logarithm of the number of descriptors"),
        Member("descs", "L", "address of the array of prb_desc"),
        Member("infos", "L", "address of the array of printk_info"),
        Member("head_id", "L", "id of the newest descriptor"),
        Member("tail_id", "L", "id of the oldest descriptor"),
        Member("last_finalized", "L", "last_finalized_id, since 6.9 last_finalized_seq; not in the first kernels"),
    ),
)

PRINTK_RINGBUFFER = Struct(
    "printk_ringbuffer",
    _RING,
    (
        Member("desc_ring", PRB_DESC_RING),
        Member("text_data_ring", PRB_DATA_RING),
        Member("fail", "L", "records that could not be stored"),
    ),
)

DEV_PRINTK_INFO = Struct(
    "dev_printk_info",
    "include/linux/dev_printk.h",
    (
        Member("subsystem", "S16", "the bus or class: pci, usb, net"),
        Member("device", "S48", "the device: +pci:0000:02:00.4, n3 (interface index), b8:0, c4:64"),
    ),
)

PRINTK_INFO = Struct(
    "printk_info",
    _RING,
    (
        Member("seq", "u8", "sequence number"),
        Member("ts_nsec", "u8", "time in nanoseconds since boot (local_clock)"),
        Member("text_len", "u2", "bytes of text"),
        Member("facility", "u1", "syslog facility: 0 kern, 1 user, ..."),
        Member("flags_level", "u1", "flags:5 and level:3, see unpack_flags_level"),
        Member("caller_id", "u4", "thread id, or 0x80000000 + CPU outside of task context"),
        Member("dev_info", DEV_PRINTK_INFO),
    ),
)

_RECORD = (
    Member("ts_nsec", "u8", "time in nanoseconds since boot"),
    Member("len", "u2", "bytes of the whole record; 0: the next record is at the start of the buffer"),
    Member("text_len", "u2", "bytes of text, which follows the header"),
    Member("dict_len", "u2", "bytes of the dictionary, which follows the text"),
    Member("facility", "u1", "syslog facility"),
    Member("flags_level", "u1", "flags:5 and level:3, see unpack_flags_level"),
)

PRINTK_LOG = Struct(
    "printk_log",
    "kernel/printk/printk.c of 3.5 (struct log) to 5.9",
    _RECORD,
    "the first kernels have a u16 level (facility << 3 | level) instead of facility, flags and level",
)

PRINTK_LOG_CALLER = Struct(
    "printk_log",
    "kernel/printk/printk.c of 5.1 to 5.9 with CONFIG_PRINTK_CALLER; packed, so that its size is 20",
    (*_RECORD, Member("caller_id", "u4", "thread id, or 0x80000000 + CPU outside of task context")),
)
"""Packed: write it with ``max_align=4``."""


def state_value(state: int, id_: int, bits: int = 64) -> int:
    """Return the state_var of a descriptor; ``bits`` is the width of the machine's long."""
    return state << (bits - 2) | (id_ & ((1 << (bits - 2)) - 1))


def pack_flags_level(flags: int, level: int, byteorder: ByteOrder = "little") -> int:
    """Return the byte of the bit fields ``flags:5`` and ``level:3``; compilers fill bytes from the end that comes first."""
    return flags & 31 | (level & 7) << 5 if byteorder == "little" else (flags & 31) << 3 | level & 7


def unpack_flags_level(value: int, byteorder: ByteOrder = "little") -> tuple[int, int]:
    """Return flags and level of that byte."""
    return (value & 31, value >> 5) if byteorder == "little" else (value >> 3, value & 7)
