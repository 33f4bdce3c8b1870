"""Vmcores that tell a story."""
