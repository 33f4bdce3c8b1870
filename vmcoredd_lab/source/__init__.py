"""Random access to bytes, wherever they are: a mapped file, a file object, memory."""

from vmcoredd_lab.source.base import Buffer, ByteSource
from vmcoredd_lab.source.opening import open_source

__all__ = ["Buffer", "ByteSource", "open_source"]
