"""Widgets for Jupyter: hex view, structure overlay, adapter explorer, timeline. Nothing below imports this package."""

from vmcoredd_lab.errors import UsageError

try:
    import anywidget
except ImportError as error:
    raise UsageError(
        "widgets need the package anywidget", got="no such package", hint="install it: pip install 'vmcoredd-lab[lab]'"
    ) from error

__all__ = ["anywidget"]
