#!/usr/bin/env python3
"""Make the pictures of the documentation from the real thing: the report on the sample, rendered by Chromium.

usage: make_pictures.py        (needs chromium on PATH; writes docs/pictures/)
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import vmcoredd_lab as vl

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parent / "sample_data" / "vmcore.kdump"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-device-scale-factor=1.5",
)  # fmt: skip


def picture(page: Path, out: Path, width: int, height: int) -> None:
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [shutil.which("chromium") or "chromium", *FLAGS, f"--user-data-dir={profile}",
             f"--window-size={width},{height}", f"--screenshot={out}", page.as_uri()],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
    print(f"{out.relative_to(HERE.parent)}: {out.stat().st_size:,} bytes")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        # the name without its folder, so that the picture is the same wherever it is made
        core = vl.open_vmcore(SAMPLE)
        core.container.source.name = SAMPLE.name
        vl.write_report(core, page, date="2026-11-23 09:00 UTC")
        picture(page, HERE / "pictures" / "report.png", 1160, 1500)


if __name__ == "__main__":
    main()
