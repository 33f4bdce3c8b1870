"""From a device dump to a driver's decoder, found by entry point (group ``vmcoredd_lab.devices``)."""

from vmcoredd_lab.devices.dump import DeviceDump, DeviceDumps, open_device_dump
from vmcoredd_lab.devices.registry import Decoder, decoder_for, register

__all__ = ["Decoder", "DeviceDump", "DeviceDumps", "decoder_for", "open_device_dump", "register"]
