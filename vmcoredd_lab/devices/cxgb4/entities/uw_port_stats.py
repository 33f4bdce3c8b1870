"""LB_STATS and MAC_STATS, entities 42 and 49: what the loopback ports and the MACs counted; only the Unified Wire collects them.

struct lb_port_stats and port_stats, as t4_get_lb_stats() and t4_get_port_stats() of the Linux driver (t4_hw.c) fill them in;
Linux has the same counters in REG_DUMP.
"""

from __future__ import annotations

import re

from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entities.base import Context
from vmcoredd_lab.devices.cxgb4.entities.uw_stats import CHANNELS, FAMILY, Counters
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.structs import Member, Struct

__all__ = ["DECODERS"]

# What the members count, by their names; the first that fits.
_DOCS = (
    (r"octets", "bytes"),
    (r"_pause$", "pause frames"),
    (r"_ppp(\d)$", "priority pause frames of class {}"),
    (r"^(?:rx_)?ovflow(\d)$", "frames dropped because buffer group {} was full"),
    (r"^(?:rx_)?trunc(\d)$", "frames cut short because buffer group {} was full"),
    (r"drop$", "frames dropped"),
    (r"frames_(\d+)_(\d+)$", "frames of {} to {} bytes"),
    (r"frames_(\d+)_max$", "frames of {} bytes and more"),
    (r"frames_(\d+)$", "frames of {} bytes"),
    (r"bcast_frames$", "broadcast frames"),
    (r"mcast_frames$", "multicast frames"),
    (r"ucast_frames$", "unicast frames"),
    (r"error_frames$", "frames with an error"),
    (r"frames$", "frames"),
    (r"too_long$", "frames longer than the MTU"),
    (r"jabber$", "frames longer than the MTU and with a wrong checksum"),
    (r"fcs_err$", "frames with a wrong checksum"),
    (r"len_err$", "frames whose length field is wrong"),
    (r"symbol_err$", "symbol errors on the wire"),
    (r"runt$", "frames shorter than 64 bytes"),
)


class _PortCounters(Counters):
    """Counters whose names say what they count."""

    @classmethod
    def describe(cls, member: str) -> str:
        """Return what a member counts, by its name."""
        way = {"tx": ", sent", "rx": ", received"}.get(member[:2], "")
        found = ((re.search(pattern, member), text) for pattern, text in _DOCS)
        return next(text.format(*match.groups()) for match, text in found if match) + way


class LbStats(_PortCounters):
    """struct struct_lb_stats: the number of channels, then struct lb_port_stats for each."""

    names = ("lb_stats",)
    title = "loopback port counters"
    struct, count, key = "lb_port_stats", None, "channel"
    source = "t4_get_lb_stats()"

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the number of channels, then as many structures as there are."""
        return Layout(
            (Part("head", declared("struct_lb_stats", FAMILY)), Part("stats", declared(self.struct, FAMILY), None))
        )


_MAC_HEAD = Struct(
    "struct_mac_stats",
    "Chelsio Unified Wire 2016, cudbg library",
    (Member("port_count", "u4", "ports that the firmware knows"), Member("pad_4", "u1", shape=(4,))),
)


class MacStats(_PortCounters):
    """struct struct_mac_stats: the number of ports, then struct port_stats for four."""

    names = ("mac_stats",)
    title = "MAC counters, by port"
    struct, count, key = "port_stats", CHANNELS, "port"
    source = "t4_get_port_stats()"

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return the number of ports, then the structures."""
        return Layout((Part("head", _MAC_HEAD), Part("stats", declared(self.struct, FAMILY), self.count)))

    def rows(self, parts: Parts, context: Context) -> int:
        """Return the number of ports; of an impossible one all that are there."""
        count = int(parts["head"]["port_count"][0]) if len(parts["head"]) else 0
        return count if 0 < count < len(parts["stats"]) else len(parts["stats"])

    def note(self, parts: Parts, context: Context) -> str | None:
        """Return a sentence about an impossible number of ports."""
        count = int(parts["head"]["port_count"][0]) if len(parts["head"]) else 0
        if 0 < count <= CHANNELS:
            return None
        return f"port_count is {count:,}: how many of the ports there are is not known."


DECODERS = (LbStats(), MacStats())
