"""Pictures of frames, by matplotlib; imported only where one is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vmcoredd_lab.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LEVEL_COLOURS", "plot_firmware_log"]

# Level, colour, marker area: what matters is dark and large.
LEVEL_COLOURS = {
    "EMERG": "#7b1fa2",
    "CRIT": "#c2185b",
    "ERR": "#e53935",
    "NOTICE": "#fb8c00",
    "INFO": "#1e88e5",
    "DEBUG": "#90a4ae",
    "UNKNOWN": "#607d8b",
}
_AREAS = {"EMERG": 90, "CRIT": 80, "ERR": 60, "NOTICE": 26, "INFO": 18, "DEBUG": 12, "UNKNOWN": 18}


def plot_firmware_log(log: Any, ax: Axes | None = None, colours: dict[str, str] | None = None) -> Axes:
    """Plot firmware log entries over the firmware's clock: a lane for each facility, a colour for each level.

    >>> nic = vl.open_vmcore("sample_data/vmcore.kdump").device_dumps[0].decode()
    >>> vl.plot_firmware_log(nic).figure.savefig("firmware-log.svg")

    Parameters
    ----------
    log: the ``firmware_log`` frame of an adapter, or the adapter itself
    ax: draw here; else on a new figure sized to the number of lanes
    colours: level to colour, in place of :data:`LEVEL_COLOURS`

    Returns
    -------
    The matplotlib Axes. The horizontal axis is in ticks of the firmware's counter, whose unit is not documented.
    """
    columns = _columns(log)
    shades = {**LEVEL_COLOURS, **(colours or {})}
    lanes = sorted(set(columns["facility"]), key=columns["facility"].index)
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(10, 1.2 + 0.24 * max(len(lanes), 4)), layout="constrained")
    facilities = sorted(lanes, reverse=True)
    lane_of = {name: lane for lane, name in enumerate(facilities)}
    ticks = np.array(columns["timestamp"], dtype=np.float64)
    lane = np.array([lane_of[f] for f in columns["facility"]], dtype=np.float64)
    levels = np.array(columns["level"], dtype=object)
    for level in reversed(LEVEL_COLOURS):  # the gravest is drawn last, on top
        chosen = levels == level
        if not chosen.any():
            continue
        dots = ax.scatter(
            ticks[chosen], lane[chosen], s=_AREAS[level], color=shades[level], label=level, linewidths=0, zorder=3
        )
        dots.set_gid(f"level-{level}")
    ax.set_yticks(range(len(facilities)), facilities)
    ax.set_ylim(-0.7, max(len(facilities), 1) - 0.3)
    ax.set_xlabel("firmware clock, ticks")
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    ax.grid(axis="y", linewidth=0.6, alpha=0.5)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.tick_params(axis="y", length=0)
    if len(levels):
        handles, labels = ax.get_legend_handles_labels()
        ax.legend(handles[::-1], labels[::-1], loc="lower left", bbox_to_anchor=(0, 1), ncols=7, frameon=False,
                  handletextpad=0.2, columnspacing=1.2)  # fmt: skip
    return ax


def _columns(log: Any) -> dict[str, list[Any]]:
    if hasattr(log, "firmware_log_table"):
        log = log.firmware_log_table()
    names = ("timestamp", "facility", "level")
    if isinstance(log, Table):
        return {n: log.values(n) for n in names}
    return {n: log[n].tolist() for n in names}
