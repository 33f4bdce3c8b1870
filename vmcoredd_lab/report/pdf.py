"""The page on paper: Chromium prints the HTML. Debian keeps it patched, and the page is what people see on the screen."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from vmcoredd_lab.errors import OutputError, UsageError

__all__ = ["print_page"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync", "--disable-background-networking",
    "--disable-component-update", "--disable-extensions", "--no-pdf-header-footer",
)  # fmt: skip
SECONDS = 300
_DATE = re.compile(rb"/(CreationDate|ModDate) \(D:[^)]*\)")
FIXED = b"19700101000000Z"  # the report prints its own date


def print_page(page: str) -> bytes:
    """Return a page as PDF; the same page gives the same bytes with the same Chromium.

    Raises
    ------
    UsageError: no Chromium on PATH.
    OutputError: it did not print.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise UsageError(
            "a PDF report needs Chromium, which is not on PATH", expected=" or ".join(BROWSERS),
            hint="apt-get install chromium, or write .html and print it",
        )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="vmcoredd-lab-") as folder:
        source, target = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(page, "utf-8")
        # Chromium's sandbox does not work for root; the page has no network and runs its own script only.
        flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        command = [browser, *flags, f"--user-data-dir={folder}/profile", f"--print-to-pdf={target}", source.as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)  # noqa: S603  our own arguments
        except subprocess.TimeoutExpired:
            raise OutputError(f"{browser} did not print the report within {SECONDS} s") from None
        if not target.is_file() or not target.stat().st_size:
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["nothing on stderr"]
            raise OutputError(f"{browser} did not print the report", got=f"exit status {done.returncode}, {last[0]}")
        return _DATE.sub(_fixed, target.read_bytes())


def _fixed(found: re.Match[bytes]) -> bytes:
    """Return a date of the same length, so that offsets in the file stay true."""
    room = len(found[0]) - len(found[1]) - len(b"/ (D:)")
    return b"/" + found[1] + b" (D:" + FIXED[:room].ljust(room, b"0") + b")"
