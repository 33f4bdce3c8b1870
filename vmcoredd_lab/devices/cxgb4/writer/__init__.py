"""Writing cudbg device dumps: the way back from entities to the bytes that the driver leaves."""

from vmcoredd_lab.devices.cxgb4.writer.image import DUMP_SIZE, Collected, CudbgImage

__all__ = ["DUMP_SIZE", "Collected", "CudbgImage"]
