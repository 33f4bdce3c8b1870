#!/usr/bin/env python3
"""Make the pictures of the documentation from the real thing: the report on the sample, rendered by Chromium; the widgets in a
JupyterLab, driven as the tests drive it.

usage: make_pictures.py [report] [widgets]        (needs chromium on PATH, for the widgets jupyterlab and playwright too;
                                                   writes docs/pictures/)
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

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


def report() -> None:
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        # the name without its folder, so that the picture is the same wherever it is made
        core = vl.open_vmcore(SAMPLE)
        core.container.source.name = SAMPLE.name
        vl.write_report(core, page, date="2026-11-23 09:00 UTC")
        picture(page, HERE / "pictures" / "report.png", 1160, 960)


def widgets() -> None:
    sys.path.insert(0, str(HERE.parent / "tests" / "browser"))
    from notebook_page import opened

    with tempfile.TemporaryDirectory() as folder, opened(Path(folder), HERE / "pictures", 1280, 1300) as notebook:
        shutil.copy(SAMPLE, Path(folder) / SAMPLE.name)
        notebook.run(f"import vmcoredd_lab as vl\ncore = vl.open_vmcore({SAMPLE.name!r})")

        def keep(view: Any, name: str) -> None:
            notebook.page.wait_for_timeout(1500)
            view.screenshot(path=str(HERE / "pictures" / f"{name}.png"))
            print(f"docs/pictures/{name}.png")

        view = notebook.show("vl.hexview(core, entity='reg_dump', at='PCIE_FW', rows=20)")
        keep(view, "hexview")
        view = notebook.show("vl.explore(core, rows=8)", ".vl-explore[data-ready=true] .vl-tr")
        view.locator(".vl-tr").nth(1).click()
        keep(view, "explorer")
        notebook.theme("JupyterLab Dark")
        view = notebook.show("vl.timeline_view(core, rows=8)", ".vl-timeline[data-ready=true]")
        view.locator(".vl-filter").fill("adapter")
        view.locator(".vl-tr", has_text="fatal").first.click()
        view.locator(".vl-filter").fill("")
        keep(view, "timeline-view")


def main() -> None:
    chosen = sys.argv[1:] or ["report", "widgets"]
    for name in chosen:
        {"report": report, "widgets": widgets}[name]()


if __name__ == "__main__":
    main()
