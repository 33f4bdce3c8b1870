"""NT_PRPSINFO: the process a core is of; s390x vmcores name vmlinux here (struct elf_prpsinfo, include/linux/elfcore.h)."""

from __future__ import annotations

from vmcoredd_lab.structs import Member, Struct

__all__ = ["PRPSINFO", "PRPSINFO_16"]


def _prpsinfo(ids: str) -> Struct:
    return Struct(
        "elf_prpsinfo",
        "include/linux/elfcore.h",
        (
            Member("pr_state", "i1"),
            Member("pr_sname", "S1"),
            Member("pr_zomb", "i1"),
            Member("pr_nice", "i1"),
            Member("pr_flag", "L"),
            Member("pr_uid", ids),
            Member("pr_gid", ids),
            Member("pr_pid", "i4"),
            Member("pr_ppid", "i4"),
            Member("pr_pgrp", "i4"),
            Member("pr_sid", "i4"),
            Member("pr_fname", "S16"),
            Member("pr_psargs", "S80"),
        ),
    )


PRPSINFO = _prpsinfo("u4")
PRPSINFO_16 = _prpsinfo("u2")  # i386, arm and 31-bit s390 have user ids of 16 bits here
