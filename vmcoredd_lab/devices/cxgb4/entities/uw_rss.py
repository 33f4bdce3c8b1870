"""RSS_PF_CONF, RSS_KEY and RSS_CONF, entities 23, 24 and 26: receive side scaling; only the Unified Wire collects them.

struct rss_pf_conf and struct rss_config, cudbg_entity.h of Chelsio's cudbg library (2016); t4_read_rss_pf_config() and
t4_read_rss_key() in t4_hw.c of the Linux driver. Linux has the same in TP_INDIRECT (TP_PIO 0x30 to 0x39) and REG_DUMP.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared, words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, bits, spans
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.devices.cxgb4.register_table import parse_fields, register_table
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "RssConf", "RssKey", "RssPfConf"]

FAMILY = "unified_wire"

# Fields of TP_RSS_PF0_CONFIG (t4_regs.h) in the order of debugfs: name, highest bit, lowest bit, what it says.
_PF = (
    ("mapenable", 31, 31, "the PF map is used"),
    ("chnenable", 30, 30, "channel enable"),
    ("prtenable", 29, 29, "port enable"),
    ("udpfourtupen", 28, 28, "UDP 4-tuple hash"),
    ("ip6fourtupen", 27, 27, "IPv6 4-tuple hash"),
    ("ip6twotupen", 26, 26, "IPv6 2-tuple hash"),
    ("ip4fourtupen", 25, 25, "IPv4 4-tuple hash"),
    ("ip4twotupen", 24, 24, "IPv4 2-tuple hash"),
    ("ivfwidth", 23, 20, "bits of the VF in the lookup index (debugfs: VF mask size)"),
    ("ch1defaultqueue", 19, 10, "queue of packets without a hash on channel 1"),
    ("ch0defaultqueue", 9, 0, "queue of packets without a hash on channel 0"),
)


class RssPfConf(EntityDecoder):
    """struct rss_pf_conf for each physical function; map and mask are the same registers in each."""

    names = ("rss_pf_conf",)
    title = "RSS configuration of the physical functions"
    schema = Schema(
        "rss_pf_conf",
        "RSS configuration by physical function (struct rss_pf_conf, cudbg_entity.h of the Unified Wire; fields: "
        "TP_RSS_PF0_CONFIG, TP_RSS_PF_MAP, TP_RSS_PF_MSK, t4_regs.h).",
        (
            Column("pf", "u32", "physical function"),
            Column("rss_pf_map", "u32", "TP_RSS_PF_MAP", "hex", rank=6),
            Column("rss_pf_mask", "u32", "TP_RSS_PF_MSK", "hex", rank=6),
            Column("rss_pf_config", "u32", "TP_RSS_PFn_CONFIG: the fields of the columns that follow", "hex"),
            Column("lkpidx", "u32", "lookup index of the function (debugfs: IPF map), from rss_pf_map"),
            Column("msksize", "u32", "size of the function's mask, from rss_pf_mask"),
            *(
                Column(name, "bool" if high == low else "u32", doc, rank=1 + i // 4)
                for i, (name, high, low, doc) in enumerate(_PF)
            ),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return one part: as many physical functions as there are."""
        return Layout((Part("pfs", declared("rss_pf_conf", FAMILY), None),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per physical function; attrs have the size of the map's index."""
        pfs = parts["pfs"]
        pf = np.arange(len(pfs), dtype=np.uint32)
        raw = {name: pfs[name].astype(np.uint32) for name in pfs.dtype.names}
        columns: dict[str, Any] = {
            "pf": pf,
            **raw,
            "lkpidx": raw["rss_pf_map"] >> np.minimum(3 * pf, np.uint32(31)) & np.uint32(7),
            "msksize": raw["rss_pf_mask"] >> np.minimum(4 * pf, np.uint32(31)) & np.uint32(15),
        }
        for name, high, low, _ in _PF:
            field = bits(raw["rss_pf_config"], high, low)
            columns[name] = field.astype(bool) if high == low else field
        attrs = {"lkpidxsize": int(bits(raw["rss_pf_map"][0], 25, 24))} if len(pfs) else {}
        return Table(self.schema, columns, attrs, spans(0, pfs.dtype.itemsize, len(pfs)))

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many physical functions are configured."""
        pfs = parts["pfs"]
        return f"{plural(len(pfs), 'physical function')}, {int(np.count_nonzero(pfs['rss_pf_config']))} configured"


class RssKey(EntityDecoder):
    """Ten words of the secret key, the lowest first."""

    names = ("rss_key",)
    title = "RSS secret key"
    schema = Schema(
        "rss_key",
        "The secret key of the RSS hash; one row (t4_read_rss_key(), t4_hw.c).",
        (
            Column("key", "text", "the key as debugfs prints it, 80 hexadecimal digits: word 9 first"),
            *(Column(f"w{i}", "u32", f"word {i}: register TP_RSS_SECRET_KEY{i}", "hex", rank=1) for i in range(10)),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return one part of ten words."""
        return Layout((Part("key", words(10)),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row."""
        rows = [[int(word) for word in key.tolist()] for key in parts["key"]]
        table = Table.from_rows(self.schema, [("".join(f"{w:08x}" for w in reversed(row)), *row) for row in rows])
        table.spans = spans(0, 40, len(rows))
        return table

    def summary(self, parts: Parts, context: Context) -> str:
        """Return whether there is a key."""
        set_ = sum(any(key.tolist()) for key in parts["key"])
        return "empty" if not len(parts["key"]) else "key set" if set_ else "key all zero"


# Members of struct rss_config: name, register, address.
_CONFIG = (
    ("tp_rssconf", "TP_RSS_CONFIG", 0x7DF0),
    ("tp_rssconf_tnl", "TP_RSS_CONFIG_TNL", 0x7DF4),
    ("tp_rssconf_ofd", "TP_RSS_CONFIG_OFD", 0x7DF8),
    ("tp_rssconf_syn", "TP_RSS_CONFIG_SYN", 0x7DFC),
    ("tp_rssconf_vrt", "TP_RSS_CONFIG_VRT", 0x7E00),
    ("tp_rssconf_cng", "TP_RSS_CONFIG_CNG", 0x7E04),
)
KEY_MODES = (
    "global",
    "global and per-VF scramble",
    "per-PF and per-VF scramble",
    "per-VF and per-VF scramble",
)


class RssConf(EntityDecoder):
    """struct rss_config: six registers and the chip."""

    names = ("rss_conf",)
    title = "RSS global configuration"
    schema = Schema(
        "rss_conf",
        "The fields of the RSS configuration registers (struct rss_config, cudbg_entity.h of the Unified Wire).",
        (
            Column("register", "text", "name"),
            Column("address", "u32", "in BAR0", "hex", rank=2),
            Column("word", "u32", "the register's value", "hex", rank=1),
            Column(
                "field", "text", "name, highest bits of a register first; missing where the chip has no register table"
            ),
            Column("lsb", "u32", "lowest bit", rank=2),
            Column("width", "u32", "bits", rank=2),
            Column("value", "u32", "the field's value"),
            Column("meaning", "text", "of KeyMode: which keys the hash takes"),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the structure."""
        return Layout((Part("config", declared("rss_config", FAMILY)),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per field of each register."""
        rows: list[tuple[Any, ...]] = []
        places = []
        for config in parts["config"]:
            for i, (member, register, address) in enumerate(_CONFIG):
                word = int(config[member])
                fields = _fields(register, context.chip)
                for field in fields:
                    value = field.of(word)
                    meaning = KEY_MODES[value] if field.name.lower() == "keymode" else None
                    rows.append((register, address, word, field.name, field.lsb, field.width, value, meaning))
                if not fields:
                    rows.append((register, address, word, None, 0, 32, word, None))
                places += [(4 * i, 4 * i + 4)] * max(1, len(fields))
        table = Table.from_rows(self.schema, rows)
        table.spans = np.array(places, np.int64).reshape(-1, 2)
        return table

    def summary(self, parts: Parts, context: Context) -> str:
        """Return which keys the hash takes, and whether RSS is disabled."""
        if not len(parts["config"]):
            return "empty"
        config = parts["config"][0]
        mode = KEY_MODES[bits(int(config["tp_rssconf_vrt"]), 7, 6)]
        return f"key mode {mode}" + ("; hashing is disabled" if int(config["tp_rssconf"]) & 1 else "")


def _fields(register: str, chip: str) -> list[Any]:
    """Return the fields of a register; none where the chip has no table."""
    if chip not in ("T4", "T5", "T6"):
        return []
    return [field for line in register_table(chip).by_name.get(register, []) for field in parse_fields(line.fields)]


DECODERS = (RssPfConf(), RssKey(), RssConf())
