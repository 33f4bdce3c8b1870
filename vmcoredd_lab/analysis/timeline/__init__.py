"""One timeline of a crash: kernel log, firmware logs, mailbox logs, panic and collection, each on the clock it has."""

from __future__ import annotations

from vmcoredd_lab.analysis.timeline.build import timeline_table
from vmcoredd_lab.analysis.timeline.clocks import Anchor, ClockFit
from vmcoredd_lab.analysis.timeline.events import LEVELS, TIMELINE

__all__ = ["LEVELS", "TIMELINE", "Anchor", "ClockFit", "timeline_table"]
