"""Vmcores from the model that the readers yield: any container, laid out as the kernel and makedumpfile do."""

from vmcoredd_lab.writer.image import VmcoreImage
from vmcoredd_lab.writer.write import FORMATS, write_vmcore

__all__ = ["FORMATS", "VmcoreImage", "write_vmcore"]
