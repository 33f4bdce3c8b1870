"""A kernel log as it lies in memory: the lockless ring of 5.10 and later (kernel/printk/printk_ringbuffer.c).

Of records that were never written the ring has what prb_init() and the kernel's own initialiser leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vmcoredd_lab.kernel import printk_structs as prb

__all__ = ["KernelMessage", "PrintkRing"]

BITS = 64
MASK = (1 << BITS) - 1
WORD = BITS // 8
LEVELS = {"emerg": 0, "alert": 1, "crit": 2, "err": 3, "warn": 4, "notice": 5, "info": 6, "debug": 7}
CPU_CALLER = 0x80000000  # of caller_id: the rest is a CPU, not a thread


@dataclass(frozen=True)
class KernelMessage:
    """One record.

    time: nanoseconds since boot
    level: ``emerg`` to ``debug``
    caller: ``T812`` for thread 812, ``C1`` for CPU 1 outside of a task
    device: what dev_printk() puts beside the text: (subsystem, device), e.g. (``pci``, ``+pci:0000:02:00.4``)
    """

    time: int
    level: str
    text: str
    caller: str = "T1"
    device: tuple[str, str] = ("", "")
    facility: int = 0


class PrintkRing:
    """The ring's parts as bytes, with addresses as the kernel would hold them.

    ``place(base)`` lays the parts out from a virtual address on and returns the bytes; then ``prb`` is the address of
    struct printk_ringbuffer.
    """

    def __init__(self, messages: Sequence[KernelMessage]) -> None:
        self.messages = list(messages)
        self._raw = [m.text.encode("utf-8", "surrogateescape") for m in self.messages]
        blocks = sum(_block_size(len(raw)) for raw in self._raw)
        self.size_bits = max(15, (2 * WORD + blocks).bit_length())
        self.count_bits = max(self.size_bits - 5, len(self.messages).bit_length() + 1)
        self.prb = 0

    def place(self, base: int) -> bytes:
        """Return struct printk_ringbuffer, descriptors, infos and text, one behind the other from the address ``base``."""
        count, size = 1 << self.count_bits, 1 << self.size_bits
        descs_at = base + 256
        infos_at = descs_at + count * prb.PRB_DESC.size(bits=BITS)
        text_at = -(-(infos_at + count * prb.PRINTK_INFO.size(bits=BITS)) // 64) * 64
        first_id, first_lpos = -(count + 1), -size  # DESC0_ID, BLK0_LPOS
        descs = np.zeros(count, prb.PRB_DESC.dtype(bits=BITS))
        infos = np.zeros(count, prb.PRINTK_INFO.dtype(bits=BITS))
        text = bytearray(size)
        descs[-1]["state_var"] = prb.state_value(prb.REUSABLE, first_id)
        descs[-1]["text_blk_lpos"] = (prb.FAILED_LPOS, prb.FAILED_LPOS)
        lpos = first_lpos
        for n, (message, raw) in enumerate(zip(self.messages, self._raw, strict=True)):
            id_ = first_id + 1 + n
            end = lpos + _block_size(len(raw))
            at = lpos & (size - 1)
            text[at : at + WORD] = prb.PRB_DATA_BLOCK.write(bits=BITS, id=id_ & (MASK >> 2))
            text[at + WORD : at + WORD + len(raw)] = raw
            descs[n]["state_var"] = prb.state_value(prb.FINALIZED, id_)
            descs[n]["text_blk_lpos"] = (lpos & MASK, end & MASK)
            _fill(infos[n], n, message, len(raw))
            lpos = end
        head = prb.PRINTK_RINGBUFFER.write(
            bits=BITS,
            desc_ring=(self.count_bits, descs_at, infos_at, (first_id + len(self.messages)) & (MASK >> 2),
                       first_id & (MASK >> 2), (first_id + len(self.messages)) & (MASK >> 2)),
            text_data_ring=(self.size_bits, text_at, lpos & MASK, first_lpos & MASK),
        )  # fmt: skip
        self.prb = base
        parts = ((base, head), (descs_at, descs.tobytes()), (infos_at, infos.tobytes()), (text_at, bytes(text)))
        whole = bytearray(text_at + size - base)
        for at, data in parts:
            whole[at - base : at - base + len(data)] = data
        return bytes(whole)


def _fill(info: np.void, seq: int, message: KernelMessage, length: int) -> None:
    number = int(message.caller[1:])
    info["seq"], info["ts_nsec"], info["text_len"] = seq, message.time, length
    info["facility"] = message.facility
    info["flags_level"] = prb.pack_flags_level(prb.LOG_NEWLINE, LEVELS[message.level])
    info["caller_id"] = number if message.caller[0] == "T" else CPU_CALLER + number
    info["dev_info"] = tuple(text.encode() for text in message.device)


def _block_size(length: int) -> int:
    """Return the bytes of a data block: id, text, and a newline and NUL that the record is reserved with."""
    return -(-(WORD + length + 2) // WORD) * WORD
