"""Chelsio cxgb4 adapters (T4, T5, T6): the cudbg device dump and what is in it."""

from vmcoredd_lab.devices.cxgb4.adapter import Cxgb4

__all__ = ["Cxgb4"]
