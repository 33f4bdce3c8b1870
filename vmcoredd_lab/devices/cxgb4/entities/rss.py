"""RSS and RSS_VF_CONF, entities 22 and 25: which queue a hash leads to, and each virtual function's hashing.

t4_read_rss() and t4_read_rss_vf_config(), drivers/net/ethernet/chelsio/cxgb4/t4_hw.c; cudbg_collect_rss() and
cudbg_collect_rss_vf_config(), cudbg_lib.c. Linux stores 2,048 entries and 128 virtual functions of T4 and T5, 4,096 and
256 of T6; the Unified Wire the smaller numbers always.
"""

from __future__ import annotations

import numpy as np

from vmcoredd_lab.devices.cxgb4.declared import declared, words
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder, bits, spans
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.tables import Column, Schema, Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "Rss", "RssVfConf"]


class Rss(EntityDecoder):
    """u16 queue ids in order of index."""

    names = ("rss",)
    title = "RSS indirection table"
    schema = Schema(
        "rss",
        "The RSS lookup table (t4_read_rss(), t4_hw.c).",
        (
            Column("index", "u32", "entry; the low bits of the hash choose it"),
            Column("queue", "u32", "absolute id of the ingress queue; 10 significant bits"),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return one part of u16."""
        return Layout((Part("entries", words(1, "u2", "queue"), None),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per entry."""
        queues = parts["entries"]["queue"]
        columns = {"index": np.arange(len(queues), dtype=np.uint32), "queue": queues.astype(np.uint32)}
        return Table(self.schema, columns, spans=spans(0, 2, len(queues)))

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many queues the entries name."""
        queues = parts["entries"]["queue"]
        if not len(queues):
            return "empty"
        used = np.unique(queues)
        return f"{plural(len(queues), 'entry', 'entries')}, {plural(len(used), 'queue')}, {int(used[0])} to {int(used[-1])}"


# Fields of TP_RSS_VFH_CONFIG (t4_regs.h) in the order of debugfs: name, highest bit, lowest bit, what it says.
_VFH = (
    ("vfchnen", 26, 26, "channel enable"),
    ("vfprten", 27, 27, "port enable"),
    ("vflkpidx", 15, 8, "lookup index (debugfs: IVF map)"),
    ("vfvlnex", 28, 28, "VLAN extraction is disabled"),
    ("vfupen", 30, 30, "uP enable"),
    ("vfip6fourtupen", 7, 7, "IPv6 4-tuple hash; debugfs prints the IPv4 one in its place"),
    ("vfip6twotupen", 6, 6, "IPv6 2-tuple hash"),
    ("vfip4fourtupen", 5, 5, "IPv4 4-tuple hash"),
    ("vfip4twotupen", 4, 4, "IPv4 2-tuple hash"),
    ("enableudphash", 31, 31, "UDP 4-tuple hash"),
    ("defaultqueue", 25, 16, "queue of packets without a hash"),
    ("keyindex", 3, 0, "index of the secret key"),
)


class RssVfConf(EntityDecoder):
    """struct cudbg_rss_vf_conf for each virtual function."""

    names = ("rss_vf_conf",)
    title = "RSS configuration of the virtual functions"
    schema = Schema(
        "rss_vf_conf",
        "RSS configuration by virtual function (struct cudbg_rss_vf_conf, cudbg_entity.h; fields: TP_RSS_VFH_CONFIG, "
        "t4_regs.h).",
        (
            Column("vf", "u32", "virtual function"),
            Column("vfl", "u32", "TP_RSS_VFL_CONFIG: the key scramble (debugfs: secret key hash)", "hex"),
            Column("vfh", "u32", "TP_RSS_VFH_CONFIG: the fields of the columns that follow", "hex"),
            *(
                Column(name, "bool" if high == low else "u32", doc, rank=1 + i // 4)
                for i, (name, high, low, doc) in enumerate(_VFH)
            ),
        ),
    )

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return one part: as many virtual functions as there are."""
        return Layout((Part("vfs", declared("cudbg_rss_vf_conf"), None),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return one row per virtual function."""
        vfs = parts["vfs"]
        vfh = vfs["rss_vf_vfh"].astype(np.uint32)
        columns = {"vf": np.arange(len(vfs), dtype=np.uint32), "vfl": vfs["rss_vf_vfl"].astype(np.uint32), "vfh": vfh}
        for name, high, low, _ in _VFH:
            field = bits(vfh, high, low)
            columns[name] = field.astype(bool) if high == low else field
        return Table(self.schema, columns, spans=spans(0, 8, len(vfs)))

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many virtual functions are configured."""
        vfs = parts["vfs"]
        return f"{plural(len(vfs), 'virtual function')}, {int(np.count_nonzero(vfs['rss_vf_vfh']))} configured"


DECODERS = (Rss(), RssVfConf())
