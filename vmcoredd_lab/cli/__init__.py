"""The command line: :func:`main` is the program ``vmcoredd-lab``."""

import os

# NumPy starts a thread on every core for linear algebra, of which there is none here: a third of a short command's work.
# It reads this when it is imported, which the next line does.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from vmcoredd_lab.cli.main import main

__all__ = ["main"]
