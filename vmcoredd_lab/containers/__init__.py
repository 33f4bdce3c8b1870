"""From bytes to model: which container a file is, read from its content and never from its name."""

from vmcoredd_lab.containers.base import Container
from vmcoredd_lab.containers.opening import container_class, open_container, open_parts

__all__ = ["Container", "container_class", "open_container", "open_parts"]
