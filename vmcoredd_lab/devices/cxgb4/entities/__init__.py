"""Entity decoders, one module each or one for a family; imported when an entity is first looked at."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from vmcoredd_lab.devices.cxgb4.entities.base import EntityDecoder

__all__ = ["decoder", "decoders"]

# Modules of this package, each with DECODERS: instances of EntityDecoder.
_MODULES = (
    "cctrl",
    "cim_la",
    "cim_ma_la",
    "cim_pif_la",
    "cim_qcfg",
    "cim_queues",
    "clk",
    "dev_log",
    "dump_context",
    "ext_entity",
    "flash",
    "hw_sched",
    "indirect",
    "le_tcam",
    "mbox_log",
    "meminfo",
    "memory",
    "mps_tcam",
    "path_mtu",
    "pbt_table",
    "pcie_config",
    "pm_stats",
    "qdesc",
    "reg_dump",
    "rss",
    "tid_info",
    "tp_la",
    "ulprx_la",
    "ulptx_la",
    "uw_full",
    "uw_port_stats",
    "uw_rss",
    "uw_stats",
    "uw_wtp",
    "vpd_data",
)
# The module with decoders for payloads that lead with a version header where mainline's 6.1 writes none.
_NEWER = "t7"


@cache
def _registered() -> dict[str, EntityDecoder]:
    found: dict[str, EntityDecoder] = {}
    for module in _MODULES:
        for one in import_module(f"{__name__}.{module}").DECODERS:
            for name in one.names:
                assert name not in found, name
                found[name] = one
    return found


@cache
def _newer() -> dict[str, EntityDecoder]:
    module = import_module(f"{__name__}.{_NEWER}")
    return {name: one for one in module.DECODERS for name in one.names}


def decoder(name: str, ver_hdr: tuple[int, int] | None = None) -> EntityDecoder | None:
    """Return the decoder of an entity, or None where there is none.

    ``ver_hdr`` is revision and size of the cudbg_ver_hdr that leads the payload: then another decoder may know the layout.
    """
    usual = _registered().get(name)
    if ver_hdr is None or usual is None or usual.knows(*ver_hdr):
        return usual
    newer = _newer().get(name)
    return newer if newer is not None and newer.knows(*ver_hdr) else usual


def decoders() -> dict[str, EntityDecoder]:
    """Return every decoder by entity name."""
    return dict(_registered())
