"""The widgets in Jupyter Notebook 7: each is shown, and goes where a person wants."""

from __future__ import annotations

from pathlib import Path

from browser.notebook_page import Notebook, rows, says


def test_the_hex_view_jumps_in_notebook_7(notebook7: Notebook, sample: Path) -> None:
    view = notebook7.show(f"core = vl.open_vmcore({str(sample)!r})\nw = vl.hexview(core); w")
    view.locator(".vl-go").fill("0x1000")
    view.locator(".vl-go").press("Enter")
    says(view, ".vl-status", "^00001000")
    with sample.open("rb") as file:
        file.seek(0x1000)
        row = view.locator(".vl-line:has(.vl-cur)")
        assert bytes.fromhex(row.locator(".vl-cells").inner_text()) == file.read(16)
    notebook7.picture("notebook7-hexview")


def test_the_explorer_opens_the_bytes_of_a_row_in_notebook_7(notebook7: Notebook, sample: Path) -> None:
    view = notebook7.show(
        f"core = vl.open_vmcore({str(sample)!r})\nw = vl.explore(core); w", ".vl-explore[data-ready=true]"
    )
    view.locator(".vl-tab", has_text="registers").first.click()
    view.locator(".vl-filter").press_sequentially("pcie_fw")
    rows(view, r"^9 of \d+ rows")
    view.locator(".vl-tr").first.click()
    says(view, ".vl-status", "000030b8 · 4 bytes selected")
    notebook7.picture("notebook7-explorer")


def test_the_timeline_is_filtered_and_opens_bytes_in_notebook_7(notebook7: Notebook, sample: Path) -> None:
    code = f"core = vl.open_vmcore({str(sample)!r})\nw = vl.timeline_view(core); w"
    view = notebook7.show(code, ".vl-timeline[data-ready=true]")
    view.locator(".vl-filter").fill("assertion failed")
    rows(view, r"^\d of \d+ events")
    view.locator(".vl-tr").first.click()
    says(view, ".vl-status", "256 bytes selected")
    notebook7.picture("notebook7-timeline")
