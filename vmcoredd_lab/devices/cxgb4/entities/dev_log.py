"""DEV_LOG, entity 2, as stored: the ring of firmware log entries, big endian on every host (fw_devlog_e, t4fw_api.h)."""

from __future__ import annotations

from vmcoredd_lab.devices.cxgb4 import dev_log
from vmcoredd_lab.devices.cxgb4.entities.base import Context, EntityDecoder
from vmcoredd_lab.devices.cxgb4.framing import Decoded
from vmcoredd_lab.devices.cxgb4.layout import Layout, Part, Parts
from vmcoredd_lab.devices.cxgb4.structs import FW_DEVLOG_ENTRY
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import plural

__all__ = ["DECODERS", "DevLogRing"]

GRAVE = ("EMERG", "CRIT", "ERR")


class DevLogRing(EntityDecoder):
    """The slots as stored; put in order by :func:`~vmcoredd_lab.devices.cxgb4.dev_log.firmware_log`."""

    names = ("dev_log",)
    title = "firmware device log ring"
    schema = dev_log.FIRMWARE_LOG

    def layout(self, context: Context, data: bytes | memoryview) -> Layout:
        """Return one part of log entries, slot by slot."""
        return Layout((Part("slots", FW_DEVLOG_ENTRY, None, "big"),))

    def table(self, parts: Parts, context: Context) -> Table:
        """Return the entries that were written, oldest first."""
        data = parts["slots"].tobytes()
        return dev_log.firmware_log(Decoded(data), Problems(), "dev_log")

    def summary(self, parts: Parts, context: Context) -> str:
        """Return how many entries there are, and the gravest newest one."""
        table = self.table(parts, context)
        text = plural(len(table), "entry", "entries")
        grave = [row for row in table.records() if row["level"] in GRAVE]
        if grave:
            last = grave[-1]
            text += f", {len(grave)} at ERR or worse, the newest {last['level']} {last['facility']}: {last['message']}"
        return text


DECODERS = (DevLogRing(),)
