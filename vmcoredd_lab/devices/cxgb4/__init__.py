"""Chelsio cxgb4 adapters (T4, T5, T6): the cudbg device dump and what is in it."""

from vmcoredd_lab.devices.cxgb4.adapter import Cxgb4
from vmcoredd_lab.devices.cxgb4.encode import encode_entity

__all__ = ["Cxgb4", "encode_entity"]
