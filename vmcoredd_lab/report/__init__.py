"""Reports: one document built from the tables, and its renderings as pure functions of it."""

from vmcoredd_lab.report.write import SUFFIXES, kind_of, rendered_report, write_report

__all__ = ["SUFFIXES", "kind_of", "rendered_report", "write_report"]
