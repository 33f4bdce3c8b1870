"""Widgets for Jupyter: hex view, structure overlay, adapter explorer, timeline. Nothing below imports this package."""
