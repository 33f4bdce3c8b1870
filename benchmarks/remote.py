"""What the commands read over the network: bytes and requests, of vmcores of a 64 GiB machine with two dumps of 32 MiB.

The vmcores are served by a web server in this process, which also counts what it sends; memory is holes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from object_server import Server, Sparse, object_server
from remote_vmcores import adapter_dump, large_elf, large_kdump

MIB = 1 << 20
COMMANDS = (
    "info",
    "notes",
    "dumps",
    "segments",
    "entities",
    "registers",
    "firmware-log",
    "problems",
    "report",
    "extract",
)
TARGET = {"info of ELF": 2.0}


def read(server: Server, command: str) -> tuple[float, int, str]:
    """Run a command as a process of its own; return what the server sent in MB, requests, and what -v says."""
    server.asked.clear()
    program = str(Path(sys.executable).with_name("vmcoredd-lab"))
    with tempfile.TemporaryDirectory() as out:
        more = {"report": ["-o", f"{out}/report.html"], "extract": [out]}.get(command, [])
        run = subprocess.run([program, command, "-v", server.url(), *more], check=True, capture_output=True, text=True)
    said = next(line for line in run.stderr.splitlines() if ": read " in line)
    return server.sent / 1e6, len(server.asked), said.partition(": ")[2]


def main() -> None:
    dump = bytes(adapter_dump(32 * MIB - MIB))
    shape = {"dumps": [dump, dump], "dump_size": 32 * MIB, "memory": 64 << 30}
    with object_server() as server:
        for kind, content in (("ELF", large_elf(**shape)), ("kdump-compressed", large_kdump(**shape))):
            assert isinstance(content, Sparse)
            server.put(content)
            print(f"{kind}, {content.size / 2**30:.1f} GiB, two device dumps of {len(dump) / MIB:.1f} MiB")
            for command in COMMANDS:
                sent, requests, said = read(server, command)
                target = TARGET.get(f"{command} of {kind}")
                wanted = f" (target: under {target} MB)" if target else ""
                print(f"  {command:13} {sent:7.2f} MB in {requests:3} requests{wanted}; -v says: {said}")


if __name__ == "__main__":
    main()
