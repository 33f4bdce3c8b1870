"""MEMINFO payloads, TCBs and images of the adapter's memories, packed so that the reader is never its own judge."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

MARK = {"little": "<", "big": ">"}
EDC0, EDC1, MC, MC0, MC1, HMA = range(6)
TCBS, TX_PAYLOAD, RX_PAYLOAD, ISCSI, TPT, STAG, HIDDEN = 3, 9, 10, 12, 14, 15, 24
PIECE = 64512

Descriptor = tuple[int, int, int]  # base, limit, index
# Where the members behind the descriptors are in struct cudbg_meminfo, and how many words they take.
MEMBERS = {"avail_c": 372, "mem_c": 376, "up_ram_lo": 380, "up_ram_hi": 384, "up_extmem2_lo": 388, "up_extmem2_hi": 392,
           "rx_pages_data": 396, "tx_pages_data": 408, "p_structs": 424, "port_used": 476, "port_alloc": 492,
           "loopback_used": 508, "loopback_alloc": 524, "p_structs_free_cnt": 540, "free_rx_cnt": 544,
           "free_tx_cnt": 548}  # fmt: skip
LINUX_SIZE, UNIFIED_WIRE_SIZE = 552, 540


def meminfo(memories: Iterable[Descriptor] = (), regions: Iterable[Descriptor] = (), *, order: str = "little",
            header: bool = True, size: int = LINUX_SIZE, **members: int | Iterable[int]) -> bytes:  # fmt: skip
    """A payload as the driver writes it: the limit of a memory is one past its end, that of a region its last byte or 0."""
    memories, regions, mark = list(memories), list(regions), MARK[order]
    data = bytearray(size)
    for start, descriptors in ((0, memories), (48, regions)):
        for i, one in enumerate(descriptors):
            struct.pack_into(mark + "3I", data, start + 12 * i, *one)
    for name, value in ({"avail_c": len(memories), "mem_c": len(regions)} | members).items():
        words = [value] if isinstance(value, int) else list(value)
        struct.pack_into(f"{mark}{len(words)}I", data, MEMBERS[name], *words)
    return (struct.pack(mark + "IHH", 0xCCEDB001, 1, size) if header else b"") + bytes(data)


def tcb(fields: Mapping[tuple[int, int], int]) -> bytes:
    """A TCB as it lies in memory: values by (word, shift); each 16 bytes are one big-endian number, the lowest words first."""
    number = sum(value << 32 * word + shift for (word, shift), value in fields.items())
    return b"".join((number >> 128 * i & (1 << 128) - 1).to_bytes(16, "big") for i in range(8))


def image(size: int, places: Mapping[int, bytes] | None = None) -> bytes:
    """A memory's image: every 4 bytes hold their offset plus one, big endian, but where bytes are given by offset."""
    data = bytearray(struct.pack(f">{size // 4}I", *range(1, size + 1, 4)))
    for offset, content in (places or {}).items():
        data[offset : offset + len(content)] = content
    return bytes(data)
