"""Tests that drive the widgets in a real JupyterLab."""
