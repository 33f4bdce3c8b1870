"""The command line, ``vmcoredd-lab``."""

from vmcoredd_lab.cli.main import main

__all__ = ["main"]
