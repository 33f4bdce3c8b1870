"""The report: one document, rendered to HTML and JSON."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import vmcoredd_lab as vl
from vmcoredd_lab.opening import opened_of
from vmcoredd_lab.report.build import build
from vmcoredd_lab.report.html import render

SAMPLES = Path(__file__).parents[1] / "sample_data"
SAMPLE = SAMPLES / "vmcore.kdump"
PARITY = SAMPLES / "ethtool-t6-sge-parity.dump"
DATE = "2026-11-23 09:00 UTC"


@pytest.fixture(scope="module")
def document():
    return build(opened_of(SAMPLE), date=DATE)


@pytest.fixture(scope="module")
def page(document):
    return render(document)


def test_the_page_needs_no_network(page):
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!#)", page)
    assert not re.search(r"@import|url\((?!#)", page)
    assert "default-src 'none'" in page


def test_the_page_says_what_happened_first(page):
    text = re.sub(r"<[^>]+>", " ", page[page.index("<main>") :])
    assert text.index("Firmware crashed: assertion failed at line 1423") < text.index("Firmware log")
    assert "assertion failed at line 1423" in text


def test_every_link_leads_to_a_place_on_the_page(page):
    places = set(re.findall(r'\bid="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= places


def test_each_adapter_has_identity_entities_log_plot_and_causes(document, page):
    first = document.adapters[0]
    assert first.identity["serial number"] == "PT06190112-SIM00203"
    assert len(first.entities) == 52
    assert [e["name"] for e in first.entities if e["status"]] == ["mc1", "hma"]
    assert [e["level"] for e in first.firmware_log][-3:] == ["ERR", "CRIT", "EMERG"]
    assert page.count("<svg") == len(document.adapters) + 1 == 3  # a firmware log of each, and the timeline


def test_a_quiet_adapter_is_called_quiet(document):
    assert [h.severity for h in document.adapters[1].highlights] == ["info"]


def test_a_set_interrupt_cause_is_named_with_its_meaning():
    causes = build(opened_of(PARITY)).adapters[0].interrupt_causes
    assert [(c["register"], c["field"], c["driver_fatal"]) for c in causes] == [
        ("SGE_INT_CAUSE1", "perr_align_ctl_fifo0", True),
        ("PL_INT_CAUSE", "SGE", False),
    ]
    assert "parity error" in causes[0]["meaning"]


def test_the_registers_of_an_adapter_that_is_gone_are_no_findings(shared_data):
    adapter = build(opened_of(shared_data / "cudbg/t6-dead-zlib.bin")).adapters[0]
    assert adapter.unreachable
    assert [h.severity for h in adapter.highlights][:2] == ["critical", "critical"]
    assert "did not answer" in adapter.highlights[0].text


def test_the_same_input_gives_the_same_bytes(page):
    assert render(build(opened_of(SAMPLE), date=DATE)) == page


def test_source_date_epoch_fixes_the_date(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert build(opened_of(PARITY)).date == "2023-11-14 22:13 UTC"


def test_text_from_the_dump_never_becomes_markup():
    hostile = "<script>alert(1)</script>"
    dump = vl.open_device_dump(PARITY)
    dump.name = hostile
    page = render(build(opened_of(dump), title=hostile, date=hostile))
    assert hostile not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_log_message_is_escaped(document):
    from dataclasses import replace

    adapter = document.adapters[0]
    entry = dict(adapter.firmware_log[0], message='"><img src=x onerror=alert(1)>')
    page = render(replace(document, adapters=[replace(adapter, firmware_log=[entry])]))
    assert "<img" not in page


def test_json_holds_the_document(tmp_path, document):
    out = tmp_path / "report.json"
    vl.write_report(vl.open_vmcore(SAMPLE), out, date=DATE)
    plain = json.loads(out.read_text())
    assert plain["schema"] == "vmcoredd-lab/report/1"
    assert plain["vmcore"]["kernel_release"] == "6.1.192-realvm-mini"
    assert (
        plain["adapters"][0]["firmware_log"][-1]["message"] == "assertion failed at line 1423 (val0 0xdead val1 0x17)"
    )
    assert [d["name"] for d in plain["device_dumps"]] == ["cxgb4_0000:02:00.4", "cxgb4_0000:81:00.4"]
    assert plain["problems"] == []


def test_a_vmcore_that_is_cut_has_a_report_on_what_is_left(tmp_path):
    cut = tmp_path / "cut.kdump"
    cut.write_bytes(SAMPLE.read_bytes()[:400_000])
    document = build(opened_of(cut))
    assert document.adapters[0].firmware_log[-1]["level"] == "EMERG"
    assert any("cut" in p["message"] or "ends" in p["message"] for p in document.problems)
    page = render(document)
    assert "expected" in page.lower()
    assert page.index('<span class="badge error">damaged</span>') < page.index("<main>")


def test_a_sound_file_is_not_called_damaged(page):
    assert ">damaged</span>" not in page


def test_a_dump_without_decoder_is_listed(tmp_path):
    data = bytearray(SAMPLE.read_bytes())
    at = data.index(b"cxgb4_0000:02:00.4") + 44
    data[at : at + 56] = bytes(56)  # the cudbg header is gone
    other = tmp_path / "other.kdump"
    other.write_bytes(data)
    document = build(opened_of(other))
    assert len(document.device_dumps) == 2
    assert [a.index for a in document.adapters] == [1]
    assert "no decoder knows this content" in render(document)


def test_a_suffix_that_nobody_writes_is_refused(tmp_path):
    with pytest.raises(vl.UsageError, match=r"\.html, \.md, \.json, \.ipynb or \.pdf"):
        vl.write_report(SAMPLE, tmp_path / "report.docx")


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(vl.OutputError):
        vl.write_report(SAMPLE, tmp_path / "no" / "such" / "report.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.browser
def test_the_page_works_in_a_browser_from_a_file(tmp_path, page):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("chromium is not installed")
    path = tmp_path / "report.html"
    path.write_text(page)
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
             "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--v=0")  # fmt: skip
    done = subprocess.run(
        [chromium, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert 'data-ready="yes"' in done.stdout  # the script ran to its end
    assert "CONSOLE" not in done.stderr  # and nothing complained, the content security policy included
