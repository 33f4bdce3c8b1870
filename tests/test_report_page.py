"""The page as people have it: in light and dark, on a wide screen and a phone, with every section open, by axe's rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vmcoredd_lab as vl
from vmcoredd_lab.opening import opened_of
from vmcoredd_lab.report.build import build
from vmcoredd_lab.report.html import render
from vmcoredd_lab.report.redact import redact

pytestmark = pytest.mark.browser

SAMPLES = Path(__file__).parents[1] / "sample_data"
SAMPLE = SAMPLES / "vmcore.kdump"
GRAVE = ("serious", "critical")


def cut(folder: Path) -> Path:
    path = folder / "cut.kdump"
    path.write_bytes(SAMPLE.read_bytes()[:400_000])
    return path


FILES: dict[str, Callable[[Path], Path]] = {
    "sound": lambda _: SAMPLE,
    "damaged": cut,
    "bare": lambda _: SAMPLES / "ethtool-t6-sge-parity.dump",
}


@pytest.fixture(scope="module")
def axe() -> str:
    package = pytest.importorskip("axe_playwright_python")
    return next(Path(package.__file__).parent.rglob("axe.min.js")).read_text("utf-8")


@pytest.fixture(scope="module", params=[*FILES, "no dumps", "redacted", "arm64"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on a file of each kind."""
    folder = tmp_path_factory.mktemp("page")
    if request.param == "arm64":
        what: Any = request.getfixturevalue("shared_data") / "vmcore/arm64/vmcore.d31-zlib.kdump"
    elif request.param == "no dumps":
        image = vl.open_vmcore(SAMPLE).to_image()
        image.notes[:] = [note for note in image.notes if not note.is_device_dump]
        what = vl.open_vmcore(image.open())
    else:
        what = FILES.get(request.param, FILES["sound"])(folder)
    document = build(opened_of(what), date="2026-11-23 09:00 UTC")
    path = folder / "report.html"
    path.write_text(render(redact(document) if request.param == "redacted" else document), "utf-8")
    return path


@pytest.mark.parametrize("width", [1280, 390], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_the_page(browser, axe, page, scheme, width):
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True)
    shown, said = context.new_page(), []
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.goto(page.as_uri())
    assert shown.evaluate("document.documentElement.dataset.ready") == "yes"
    shown.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")  # only tables scroll sideways
    shown.evaluate(axe)
    found = shown.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    grave = [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found if one["impact"] in GRAVE]
    assert grave == []
    assert said == []
    context.close()


def test_a_search_finds_a_register_and_a_link_opens_what_it_names(browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render(build(opened_of(SAMPLE), date="2026-11-23")), "utf-8")
    context = browser.new_context()
    shown = context.new_page()
    shown.goto(path.as_uri())
    shown.locator('[data-registers="0"] input').fill("pcie_fw")
    assert "PCIE_FW" in shown.locator('[data-registers="0"] tbody tr').first.inner_text()
    shown.locator("#adapter-0 [data-log] input[type=search]").fill("assertion")
    assert shown.locator("#adapter-0 [data-log] tbody tr:visible").count() == 1
    shown.locator("#finding-0 a", has_text="PCIE_FW").first.click()
    assert shown.locator('[data-registers="0"] input').input_value() == "PCIE_FW"
    context.close()
