"""Device dumps of the toynic, a made-up network card: a header, then one record for each port."""

import numpy as np

from vmcoredd_lab.devices import DeviceDump
from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import Buffer
from vmcoredd_lab.structs import Member, Struct
from vmcoredd_lab.tables import Codes, Column, Schema, Table

MAGIC = b"TOYNICv1"
HEADER = Struct("toy_header", "toynic.h", (Member("magic", "S8"), Member("firmware", "u4"), Member("ports", "u4")))
PORT = Struct("toy_port", "toynic.h", (Member("link", "u8"), Member("rx", "u8"), Member("tx", "u8")))
LINKS = ("down", "up", "fault")  # toy_port.link

ENTITIES = Schema("entities", "The parts of the dump.", (
    Column("number", "u32", "which part"), Column("name", "text", "its name"), Column("summary", "text", "what it says"),
))  # fmt: skip
PORTS = Schema("ports", "One row per port.", (
    Column("port", "u32", "counted from 0"), Column("link", "category", "down, up or fault; missing where unknown"),
    Column("rx", "u64", "packets received"), Column("tx", "u64", "packets sent"),
))  # fmt: skip


class ToyNic:
    driver = "toynic"

    def __init__(self, dump: DeviceDump) -> None:
        self.problems = Problems()
        header, room = HEADER.read(dump.data[:16]), (len(dump.data) - 16) // PORT.size()
        self.firmware, ports = int(header["firmware"]), int(header["ports"])
        if ports > room:
            self.problems.error(f"dump:{dump.name}", "ports are missing", offset=12, got=f"{ports} ports")
        self.ports = np.frombuffer(dump.data.view(), PORT.dtype(), min(ports, room), 16)

    @classmethod
    def recognises(cls, head: bytes) -> bool:
        return len(head) >= 16 and head[:8] == MAGIC

    @classmethod
    def payload_size(cls, data: Buffer) -> int | None:
        size = 16 + PORT.size() * int(HEADER.read(data[:16])["ports"])
        return size if size <= len(data) else None

    def summary(self) -> str:
        return f"firmware {self.firmware}, {np.count_nonzero(self.ports['link'] == 1)} of {len(self.ports)} ports up"

    def check(self) -> None: ...  # nothing is left to read

    def entities_table(self) -> Table:
        return Table.from_rows(ENTITIES, [(1, "ports", self.summary())])

    def entity_table(self, name: str) -> Table:
        if name not in ("ports", "1"):
            raise NotInFileError(f"no entity is named {name}", hint="there is one: ports")
        link, rx, tx = (self.ports[member] for member in ("link", "rx", "tx"))
        known = np.where(link < len(LINKS), link.astype(int), -1)
        return Table(PORTS, {"port": np.arange(len(link)), "link": Codes(known, LINKS), "rx": rx, "tx": tx})
