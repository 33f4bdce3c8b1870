"""Device dumps in Linux vmcores: registers, firmware log and on-chip memory, without vmlinux and without vendor tools.

>>> import vmcoredd_lab as vl
>>> core = vl.open_vmcore("sample_data/vmcore.kdump")
>>> nic = core.device_dumps["0000:02:00.4"].decode()
>>> nic
<Cxgb4 T6 rev 0, 50 of 52 entities; firmware error: crash of the firmware>
>>> nic.firmware_log[["level", "message"]].tail(2)
     level                                            message
254   CRIT                    watchdog: core 2 did not answer
255  EMERG  assertion failed at line 1423 (val0 0xdead val...
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vmcoredd_lab.analysis.diff import diff, save_baseline
    from vmcoredd_lab.devices.dump import DeviceDump, open_device_dump
    from vmcoredd_lab.errors import NotInFileError, OpenError, OutputError, UsageError, VmcoreddLabError
    from vmcoredd_lab.export import export_timeline
    from vmcoredd_lab.plots import plot_firmware_log
    from vmcoredd_lab.report import write_report
    from vmcoredd_lab.timeline_plot import plot_timeline
    from vmcoredd_lab.vmcore import Vmcore, open_vmcore
    from vmcoredd_lab.widgets.explorer import explore
    from vmcoredd_lab.widgets.hexview import hexview
    from vmcoredd_lab.widgets.timeline import timeline_view
    from vmcoredd_lab.writer import VmcoreImage, write_vmcore

# Public names and the modules they live in; a name is imported when it is first used, so that
# `import vmcoredd_lab` costs nothing and pulls in neither pandas nor matplotlib.
_PUBLIC = {
    "DeviceDump": "vmcoredd_lab.devices.dump",
    "NotInFileError": "vmcoredd_lab.errors",
    "OpenError": "vmcoredd_lab.errors",
    "OutputError": "vmcoredd_lab.errors",
    "UsageError": "vmcoredd_lab.errors",
    "Vmcore": "vmcoredd_lab.vmcore",
    "VmcoreImage": "vmcoredd_lab.writer",
    "VmcoreddLabError": "vmcoredd_lab.errors",
    "diff": "vmcoredd_lab.analysis.diff",
    "explore": "vmcoredd_lab.widgets.explorer",
    "export_timeline": "vmcoredd_lab.export",
    "hexview": "vmcoredd_lab.widgets.hexview",
    "open_device_dump": "vmcoredd_lab.devices.dump",
    "open_vmcore": "vmcoredd_lab.vmcore",
    "plot_firmware_log": "vmcoredd_lab.plots",
    "plot_timeline": "vmcoredd_lab.timeline_plot",
    "save_baseline": "vmcoredd_lab.analysis.diff",
    "timeline_view": "vmcoredd_lab.widgets.timeline",
    "write_report": "vmcoredd_lab.report",
    "write_vmcore": "vmcoredd_lab.writer",
}

__all__ = [
    "DeviceDump",
    "NotInFileError",
    "OpenError",
    "OutputError",
    "UsageError",
    "Vmcore",
    "VmcoreImage",
    "VmcoreddLabError",
    "__version__",
    "diff",
    "explore",
    "export_timeline",
    "hexview",
    "open_device_dump",
    "open_vmcore",
    "plot_firmware_log",
    "plot_timeline",
    "save_baseline",
    "timeline_view",
    "write_report",
    "write_vmcore",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(shell: Any) -> None:
    """Add the magic ``%vmcore`` and the completion of names to IPython: ``%load_ext vmcoredd_lab``."""
    from vmcoredd_lab.magics import load

    load(shell)
