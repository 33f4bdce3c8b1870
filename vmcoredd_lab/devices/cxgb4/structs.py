"""cudbg structures (drivers/net/ethernet/chelsio/cxgb4/cudbg_if.h, cudbg_zlib.h, cudbg_entity.h), declared once."""

from __future__ import annotations

from vmcoredd_lab.structs import Member, Struct

__all__ = ["COMPRESS_HDR", "CUDBG_HDR", "ENTITY_HDR", "FW_DEVLOG_ENTRY", "SIXPACK_CHUNK"]

_CXGB4 = "drivers/net/ethernet/chelsio/cxgb4/"

CUDBG_HDR = Struct(
    "cudbg_hdr",
    _CXGB4 + "cudbg_if.h",
    (
        Member("signature", "u4", "67856866, the digits of CUDB in ASCII"),
        Member("hdr_len", "u4", "bytes of this header; the entity headers follow it"),
        Member("major_ver", "u2"),
        Member("minor_ver", "u2", "14 in mainline kernels, 9 in the Unified Wire"),
        Member("data_len", "u4", "bytes of the whole dump"),
        Member("hdr_flags", "u4"),
        Member("max_entities", "u2", "slots in the table of entity headers"),
        Member("chip_ver", "u1", "high nibble 4, 5, 6: T4, T5, T6; low nibble the silicon revision"),
        Member("flags", "u1", "dump_type:3, reserved1:1, compress_type:4 in the host's bit order"),
        Member("reserved", "u4", shape=(8,)),
    ),
)

ENTITY_HDR = Struct(
    "cudbg_entity_hdr",
    _CXGB4 + "cudbg_if.h",
    (
        Member("entity_type", "u4", "the slot's number plus 1; 0 where the entity was not attempted"),
        Member("start_offset", "u4", "from the start of cudbg_hdr"),
        Member("size", "u4", "stored bytes, num_pad included"),
        Member("hdr_flags", "i4", "0 or a negative status"),
        Member("sys_warn", "i4", "negative code; -41: the data are partial"),
        Member("sys_err", "i4", "negative code"),
        Member("num_pad", "u1", "zero bytes at the end, up to 3"),
        Member("flag", "u1", "bit 0: an extended entity follows (Unified Wire)"),
        Member("reserved1", "u1", shape=(2,)),
        Member("next_ext_offset", "u4"),
        Member("reserved", "u4", shape=(5,)),
    ),
)

COMPRESS_HDR = Struct(
    "cudbg_compress_hdr",
    _CXGB4 + "cudbg_zlib.h",
    (
        Member("compress_id", "u4", "17"),
        Member("pad", "u4", "not written by the driver: may hold anything"),
        Member("decompress_size", "u8"),
        Member("compress_size", "u8", "bytes of the zlib stream that follows"),
        Member("rsvd", "u8", "not written by the driver: may hold anything", (32,)),
    ),
)

SIXPACK_CHUNK = Struct(
    "sixpack chunk header",
    "FastLZ 6pack, as the Unified Wire's cudbg library writes it",
    (
        Member("id", "u2", "1: the entity's total size; 17: data"),
        Member("options", "u2", "0: stored, 1: FastLZ"),
        Member("size", "u4", "bytes that follow"),
        Member("adler32", "u4", "over the bytes that follow"),
        Member("extra", "u4", "uncompressed size"),
    ),
    "Always little endian.",
)

FW_DEVLOG_ENTRY = Struct(
    "fw_devlog_e",
    _CXGB4 + "t4fw_api.h",
    (
        Member("timestamp", "u8", "firmware clock ticks; 0 where the slot was never written"),
        Member("seqno", "u4"),
        Member("reserved1", "u2"),
        Member("level", "u1"),
        Member("facility", "u1"),
        Member("fmt", "u1", "printf format, NUL-terminated", (192,)),
        Member("params", "u4", "what the conversions consume", (8,)),
        Member("reserved3", "u4", shape=(4,)),
    ),
    "Always big endian: the firmware's byte order.",
)
