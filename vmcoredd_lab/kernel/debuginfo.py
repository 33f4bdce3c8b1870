"""What debuginfo would add, and where distributions keep that of the crashed kernel: data/debuginfo.csv, by the release."""

from __future__ import annotations

import csv
import re

from vmcoredd_lab.notes.vmcoreinfo import Vmcoreinfo
from vmcoredd_lab.package_data import package_text

__all__ = ["WHAT_IT_ADDS", "debuginfo_hint", "debuginfo_places"]

WHAT_IT_ADDS = "with the kernel's vmlinux the stacks of every CPU are shown with functions, files and lines"
DEBUGINFOD = "debuginfod-find debuginfo {build_id}"
_ARCHITECTURE = re.compile(r"\.(x86_64|aarch64|s390x|ppc64le|ppc64|riscv64|i686|armv7hl)(?P<variant>[+][\w-]+)?$")
_RELEASE = re.compile(r"[\w.+~-]{1,64}\Z")  # what a shell takes as one word; the release is text from the dump


def debuginfo_places(info: Vmcoreinfo) -> list[dict[str, str]]:
    """Return where vmlinux with debuginfo is to be had: distribution, command, and the path that it installs to.

    By the release, those whose kernels are named like it; the build-id, where the kernel recorded it, finds it in any
    debuginfod server.
    """
    release = info.release or ""
    if not _RELEASE.match(release):
        release = ""
    words = {
        "release": release,
        "release_core": release,
        "flavour": release.rpartition("-")[2],
        "build_id": info.build_id or "",
    }
    match = _ARCHITECTURE.search(release)
    if match and match["variant"]:  # 5.14.0-1.el9.aarch64+64k is kernel-64k-5.14.0-1.el9.aarch64
        bare = release[: match.start("variant")]
        words["release_core"] = f"{match['variant'].lstrip('+')}-{bare}"
    found = []
    for row in csv.DictReader(package_text("vmcoredd_lab.kernel", "data", "debuginfo.csv").splitlines()):
        if release and re.search(row["release"], release) and ("{build_id}" not in row["install"] or words["build_id"]):
            path = row["vmlinux"].format(**words)
            found.append(
                {"distribution": row["distribution"], "command": row["install"].format(**words), "vmlinux": path}
            )
            break
    if words["build_id"] and not any("debuginfod" in one["command"] for one in found):
        path = f"~/.cache/debuginfod_client/{words['build_id']}/debuginfo"
        found.append({"distribution": "debuginfod", "command": DEBUGINFOD.format(**words), "vmlinux": path})
    return found


def debuginfo_hint(info: Vmcoreinfo) -> str:
    """Return in a sentence how to get the vmlinux of the crashed kernel."""
    places = debuginfo_places(info)
    if not places:
        name = f"{info.release!a}" if info.release else "a release that is not recorded"
        return (
            f"vmlinux must be that of the crashed kernel ({name}), with debuginfo: it is in the directory of its build"
        )
    ways = " or ".join(f"{p['command']} ({p['distribution']}: {p['vmlinux']})" for p in places)
    return f"the vmlinux of this kernel: {ways}"
