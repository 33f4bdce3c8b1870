"""Differences between two dumps: of two devices, of one at two times, or of one and a saved baseline."""

from __future__ import annotations

from vmcoredd_lab.analysis.diff.baseline import load_baseline, save_baseline
from vmcoredd_lab.analysis.diff.public import diff, diff_table
from vmcoredd_lab.analysis.diff.rows import CLASSES, DIFFERENCES

__all__ = ["CLASSES", "DIFFERENCES", "diff", "diff_table", "load_baseline", "save_baseline"]
