"""Random access to bytes, wherever they are: a mapped file, a file object, memory, a URL."""

from vmcoredd_lab.source.base import Buffer, ByteSource
from vmcoredd_lab.source.layers import open_unwrapped, unwrap
from vmcoredd_lab.source.opening import open_source, opened_remotes

__all__ = ["Buffer", "ByteSource", "open_source", "open_unwrapped", "opened_remotes", "unwrap"]
