"""What the crashed kernel calls itself and its host: init_uts_ns, found in memory through VMCOREINFO.

ELF vmcores have no header that holds it; makedumpfile copies it into its own.
"""

from __future__ import annotations

from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.kernel.linear import number, symbol
from vmcoredd_lab.memory import Memory
from vmcoredd_lab.notes.vmcoreinfo import Vmcoreinfo
from vmcoredd_lab.structs import Member, Struct

__all__ = ["NEW_UTSNAME", "read_utsname"]

UTS = 65  # __NEW_UTS_LEN + 1

NEW_UTSNAME = Struct(
    "new_utsname",
    "include/uapi/linux/utsname.h",
    (
        Member("sysname", f"S{UTS}", "Linux"),
        Member("nodename", f"S{UTS}", "the host's name"),
        Member("release", f"S{UTS}"),
        Member("version", f"S{UTS}", "how and when it was built"),
        Member("machine", f"S{UTS}"),
        Member("domainname", f"S{UTS}", "the NIS domain"),
    ),
)
# Where struct uts_namespace has its name: VMCOREINFO says so since 5.11; before, a reference count of four bytes led.
PLACES = (4, 0)


def read_utsname(memory: Memory, info: Vmcoreinfo) -> dict[str, bytes]:
    """Return the members of struct new_utsname, each up to its NUL.

    Empty where VMCOREINFO does not say where it is, the bytes are not in the file, or they are not this kernel's: the system is
    not Linux, or the release another than VMCOREINFO's.
    """
    at, offset = symbol(info, "init_uts_ns"), number(info, "OFFSET(uts_namespace.name)")
    if at is None:
        return {}
    for place in PLACES if offset is None else (offset,):
        try:
            raw = memory.read(at + place, NEW_UTSNAME.size(), "virtual")
        except VmcoreddLabError:
            continue
        record = NEW_UTSNAME.read(raw)
        found = {member.name: bytes(record[member.name]).split(b"\0")[0] for member in NEW_UTSNAME.members}
        if found["sysname"] == b"Linux" and found["release"].decode("latin-1") == (info.release or ""):
            return found
    return {}
