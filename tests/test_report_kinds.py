"""One document, many renderings: Markdown, JSON by its schema, PDF, a notebook, a team's template, and all of them redacted."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

import vmcoredd_lab as vl
from vmcoredd_lab.opening import opened_of
from vmcoredd_lab.package_data import package_text
from vmcoredd_lab.report.build import build
from vmcoredd_lab.report.html import render
from vmcoredd_lab.report.markdown import render_markdown
from vmcoredd_lab.report.notebook import render_notebook
from vmcoredd_lab.report.pdf import print_page
from vmcoredd_lab.report.redact import redact
from vmcoredd_lab.scenarios import TALES
from vmcoredd_lab.scenarios.adapter import mac_address, serial_number
from vmcoredd_lab.scenarios.story import Story

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "sample_data" / "vmcore.kdump"
PARITY = ROOT / "sample_data" / "ethtool-t6-sge-parity.dump"
DATE = "2026-11-23 09:00 UTC"
PLANTED = {
    "host": "db-prod-17",
    "domain name": "vault.customer.internal",
    "IPv4": "203.0.113.77",
    "IPv6": "2001:db8:85a3::8a2e:370:7334",
    "link-local": "fe80::5efe:c0a8:101",
    "MAC": "de:ad:00:be:ef:01",
    "MAC with dashes": "DE-AD-00-BE-EF-02",
    "serial": "CZJ9140XYZ",
    "UUID": "4c4c4544-0051-3510-8036-b9c04f4d3733",
    "iSCSI name": "iqn.2001-04.com.example:storage.lun1",
    "user": "alice@bastion",
    "kernel pointer": "ffff9c3f81234567",
    "bytes": "53 65 63 72 65 74 50 61 73 73",
    "boot option": "luks.key=/root/hunter2",
}
LINES = (
    "Command line: BOOT_IMAGE=/vmlinuz root=UUID={UUID} {boot option}",
    "systemd[1]: Hostname set to <{host}>.",
    "nfs: server {domain name} not responding",
    "eth9: {MAC} at {IPv4}/24, {IPv6}, {link-local}, bonded with {MAC with dashes}",
    "usb 1-1: SerialNumber: {serial}",
    "scsi host2: iSCSI {iSCSI name}",
    "login by {user} on {host}",
    "BUG: list corrupted at {kernel pointer}",
    "RAX: 0000000000000001 RBX: {kernel pointer}",
    "00000000: {bytes}  SecretPass",
)


# The same secrets as other programs write them, each in a line that does not say what it is.
SPELLINGS = {
    "MAC in Cisco's form": "dead.00be.ef01",
    "MAC in capitals": "DE:AD:00:BE:EF:01",
    "MAC without separators": "dead00beef01",
    "MAC with blanks": "de ad 00 be ef 01",
    "MAC as an array": "0xde, 0xad, 0x00, 0xbe, 0xef, 0x01",
    "MAC in HP's form": "dead00-beef02",
    "IPv4 in hexadecimal": "cb00714d",
    "IPv4 as the host stores it": "4d7100cb",
    "IPv6 in full": "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "IPv6 without separators": "20010db885a3000000008a2e03707334",
    "IPv6 in brackets": "[2001:DB8:85A3::8A2E:370:7334]:443",
    "serial in small letters": "czj9140xyz",
    "serial in hexadecimal": "435a4a3931343058595a",
    "serial as bytes": "43 5a 4a 39 31 34 30 58 59 5a",
    "serial in base64": "Q1pKOTE0MFhZW",
    "host in capitals": "DB-PROD-17",
    "host with its domain": "db-prod-17.customer.internal",
    "host in hexadecimal": "64622d70726f642d3137",
}
ALONE = {
    "host of a share": ("CIFS: \\\\{}\\backup is gone", "fileserver9"),
    "host of an export": ("mounted {}:/srv/home", "nas-frankfurt"),
    "host of a URL": ("fetching https://{}/kickstart", "deploy42"),
    "domain of another land": ("ntp: peer {} is away", "time.acme-werke.de"),
    "password": ("iscsi: password={} rejected", "hunter2hunter2"),
    "home": ("cwd /home/{}/build", "mallory"),
    "machine id": ("systemd[1]: machine ID {}", "9f86d081884c4d659a2feaa0c55ad015"),
    "serial without a colon": ("disk S/N {} failed", "WD-WX31A9"),
    "WWN": ("sd 0:0:0:0: wwn-0x{}", "5001438012345678"),
    "GUID of a port": ("mlx5_0: guid {}", "0002:c903:00ab:cdef"),
    "MAC of the firmware": ("adapter mac: {}", "0007433a4b5c"),
    "boot option": ('Unknown kernel command line parameters "token={}"', "zzz-private"),
    "link-local with a zone": ("from {}", "fe80::1ff:fe23:4567:890a%eth0"),
}


@pytest.fixture(scope="module")
def document():
    return build(opened_of(SAMPLE), date=DATE)


@pytest.fixture(scope="module")
def planted():
    """A document of a vmcore full of secrets, and the secrets."""
    story = Story(seed=7, adapter_count=2)
    for line in (*SPELLINGS.values(), *(line.format_map(PLANTED) for line in LINES)):
        story.kernel("info", f"eth9: {line}" if line in SPELLINGS.values() else line)
    for line, secret in ALONE.values():
        story.kernel("info", line.format(secret))
    core = vl.open_vmcore(TALES["firmware-crash"].tell(story).image(size=64 << 20).open())
    secrets = PLANTED | SPELLINGS | {name: secret for name, (_, secret) in ALONE.items()}
    secrets["host as the kernel has it"] = core.utsname["nodename"]
    for number, adapter in enumerate(story.adapters):
        secrets[f"serial of adapter {number}"] = serial_number(adapter)
        secrets[f"MAC of adapter {number}"] = mac_address(adapter, 0).hex(":")
        secrets[f"bare MAC of adapter {number}"] = mac_address(adapter, 0).hex()
    found = build(opened_of(core), date=DATE)
    return found, secrets


def test_a_ticket_says_what_happened_and_why_that_is_believed(document):
    text = render_markdown(document)
    assert "**critical: Firmware crashed: assertion failed at line 1423" in text
    assert "`entity:cxgb4_0000:02:00.4/reg_dump 0x30b8+4`: `10 c0 00 c0`" in text
    assert len(text) < 60_000  # GitHub refuses a comment of 64 KiB


def test_text_from_the_dump_is_no_markdown(document):
    hostile = "![x](http://evil/x.png) <img src=x> @admin `code` | cell\n# heading"
    finding = replace(document.findings[0], title=hostile)
    entry = dict(document.adapters[0].firmware_log[-1], message="```\n# out of the block")
    adapter = replace(document.adapters[0], firmware_log=[entry])
    text = render_markdown(replace(document, findings=[finding], adapters=[adapter], kernel_log=[]))
    assert "<img" not in text.replace("\\<img", "")
    assert "![" not in text.replace("\\!\\[", "")
    assert "@admin" not in text
    assert "http://" not in text
    assert not re.search(r"^# (?!vmcore)", text, re.M)


@pytest.mark.parametrize("path", [SAMPLE, PARITY], ids=["vmcore", "device dump"])
def test_json_is_what_its_schema_says(path):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(package_text("vmcoredd_lab.report", "data", "report-1.schema.json"))
    jsonschema.Draft202012Validator.check_schema(schema)
    plain = json.loads(json.dumps(build(opened_of(path), date=DATE).as_dict()))
    jsonschema.Draft202012Validator(schema).validate(plain)
    assert set(plain) == set(schema["properties"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(plain | {"adapters": None})


def test_a_finding_leads_to_what_shows_its_evidence(document):
    page = render(document)
    first, second = document.findings[0].evidence
    assert (first["anchor"], second["anchor"]) == ("register-0-PCIE_FW", "log-0-399")
    assert '<a href="#registers-0" data-find="PCIE_FW">' in page
    assert 'id="log-0-399"' in page
    assert "<mark>10 c0 00 c0</mark>" in page


def test_the_page_has_every_register_for_the_search(document):
    page = render(document)
    assert page.count('<script type="application/json">') == 2
    assert "PCIE_FW\\t0x30b8\\t0xc000c010" in page
    assert len(page) < 5_000_000


def test_a_template_extends_the_page(tmp_path, document):
    template = tmp_path / "team.html.j2"
    template.write_text('{% extends "report.html.j2" %}{% block title %}ACME {{ doc.title }}{% endblock %}')
    assert "<title>ACME vmcore.kdump</title>" in render(document, template)


def test_a_template_of_any_suffix_is_escaped(tmp_path):
    template, out = tmp_path / "short.j2", tmp_path / "short.txt"
    template.write_text("{% for f in doc.findings[:1] %}{{ f.title }}{% endfor %} {{ '<b>' }}")
    vl.write_report(SAMPLE, out, date=DATE, template=template)
    assert out.read_text().startswith("Firmware crashed")
    assert out.read_text().endswith("&lt;b&gt;")


@pytest.mark.parametrize("text", [
    "{{ ''.__class__.__mro__ }}", "{{ doc.findings.clear() }}", "{{ doc.no_such_member }}", "{% if %}",
    "{% include '../../etc/passwd' %}",
], ids=["python's insides", "changes the document", "what there is not", "no template", "a file elsewhere"])  # fmt: skip
def test_what_a_template_must_not_do_is_a_usage_error(tmp_path, document, text):
    template = tmp_path / "bad.j2"
    template.write_text(text)
    with pytest.raises(vl.UsageError, match="the template cannot be rendered"):
        render(document, template)


def test_a_template_does_not_go_with_json(tmp_path):
    with pytest.raises(vl.UsageError, match=r"does not go with \.json"):
        vl.write_report(SAMPLE, tmp_path / "x.json", template=tmp_path / "t.j2")


def test_without_chromium_a_pdf_names_what_is_missing(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(vl.UsageError, match="needs Chromium"):
        print_page("<p>x</p>")


@pytest.mark.browser
def test_a_page_is_printed_to_the_same_bytes_twice(document):
    if not shutil.which("chromium"):
        pytest.skip("chromium is not installed")
    page = "<!doctype html><title>x</title><p>Firmware crashed"
    first = print_page(page)
    assert first.startswith(b"%PDF-")
    assert first == print_page(page)


@pytest.mark.parametrize("suffix", ["html", "md", "json", "ipynb"])
def test_the_same_input_gives_the_same_bytes(tmp_path, monkeypatch, suffix):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    found = []
    for run, seed in enumerate(("1", "2")):  # nothing may depend on the order of a set
        path = tmp_path / f"{run}.{suffix}"
        subprocess.run(
            [sys.executable, "-m", "vmcoredd_lab", "report", SAMPLE, "-o", path], check=True, capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        found.append(path.read_bytes())
    assert found[0] == found[1]
    assert b"2023-11-14 22:13 UTC" in found[0]


@pytest.mark.parametrize("kind", ["cut", "no dumps", "redacted", "device dump"])
def test_json_of_every_kind_of_file_is_what_its_schema_says(tmp_path, kind):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(package_text("vmcoredd_lab.report", "data", "report-1.schema.json"))
    what = PARITY if kind == "device dump" else SAMPLE
    if kind == "cut":
        what = tmp_path / "vmcore"
        what.write_bytes(SAMPLE.read_bytes()[:400_000])
    if kind == "no dumps":
        image = vl.open_vmcore(SAMPLE).to_image()
        image.notes[:] = [note for note in image.notes if not note.is_device_dump]
        what = vl.open_vmcore(image.open())
    found = build(opened_of(what), date=DATE)
    plain = json.loads(json.dumps((redact(found) if kind == "redacted" else found).as_dict()))
    jsonschema.Draft202012Validator(schema).validate(plain)


def test_a_notebook_goes_on_where_the_report_ends(document):
    nbformat = pytest.importorskip("nbformat")
    text = render_notebook(document, str(SAMPLE))
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert f"vl.open_vmcore({str(SAMPLE)!r})" in cells[0].source
    assert all(cell.outputs and cell.execution_count for cell in cells)
    assert "PT06190112-SIM00203" in notebook.cells[0].source
    assert not any(out.output_type == "error" for cell in cells for out in cell.outputs)


def test_every_secret_is_in_the_report_that_is_not_redacted(planted):
    document, secrets = planted
    text = json.dumps(document.as_dict()).lower()
    assert [name for name, secret in secrets.items() if secret.lower() not in text and "bare" not in name] == []


@pytest.mark.parametrize("kind", ["html", "md", "json", "ipynb"])
def test_no_secret_is_in_a_redacted_report(planted, kind):
    document, secrets = planted
    taken = redact(document)
    text = {
        "html": render, "md": render_markdown, "json": lambda d: json.dumps(d.as_dict()),
        "ipynb": lambda d: render_notebook(d, "/home/alice/db-prod-17/vmcore"),
    }[kind](taken)  # fmt: skip
    plain = re.sub(r"\\(?=\W)", "", text).lower()  # without Markdown's escapes
    assert [name for name, secret in secrets.items() if secret.lower() in plain] == []
    assert "firmware crashed" in plain or "fw-01" in plain


@pytest.mark.browser
def test_no_secret_is_in_a_redacted_pdf(planted, tmp_path):
    if not (shutil.which("chromium") and shutil.which("pdftotext")):
        pytest.skip("chromium or pdftotext is not installed")
    document, secrets = planted
    (tmp_path / "report.pdf").write_bytes(print_page(render(redact(document))))
    text = subprocess.run(
        ["pdftotext", tmp_path / "report.pdf", "-"], check=True, capture_output=True, text=True
    ).stdout
    assert "Redacted" in text
    assert [name for name, secret in secrets.items() if secret.lower() in text.lower()] == []


def test_a_redacted_report_has_the_host_of_an_elf_vmcore_nowhere(shared_data, unpacked):
    for folder in ("x86_64-story", "arm64", "i386"):
        document = build(opened_of(unpacked(shared_data / "vmcore" / folder / "vmcore.elf.xz")), date=DATE)
        host = document.vmcore["host"]
        assert host in ("realvm", "realvm-arm64")
        assert "realvm" in json.dumps(document.kernel_log)
        assert host not in json.dumps(redact(document).as_dict())


def test_a_bare_dump_that_is_named_after_a_host_has_no_name(tmp_path):
    path = tmp_path / "db-prod-17_2026.dump"
    shutil.copy(PARITY, path)
    for suffix in ("html", "md", "json", "ipynb"):
        vl.write_report(path, tmp_path / f"report.{suffix}", date=DATE, redact=True)
        assert "db-prod-17" not in (tmp_path / f"report.{suffix}").read_text()


def test_the_member_of_an_archive_is_not_named(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(SAMPLE, "var/crash/db-prod-17/vmcore")
    document = build(opened_of(tmp_path / "x.tar"), date=DATE)
    assert "db-prod-17" in str(document.vmcore["layers"])
    assert "db-prod-17" not in json.dumps(redact(document).as_dict())


def test_registers_that_hold_addresses_have_no_value_in_a_redacted_report(planted):
    taken = redact(planted[0]).adapters[0].registers
    at, value = taken.columns.index("register"), taken.columns.index("value")
    rows = {row[at] or "": row[value] for row in taken.rows}
    assert rows["PCIE_FW"] is not None
    private = ("MACID", "MAC_ADDR", "CLS_TCAM", "MACB_SPECIFIC", "VLAN", "EFUSE")
    assert all(number is None for name, number in rows.items() if any(word in name for word in private))


def test_a_register_that_holds_an_address_by_chance_has_no_value(planted):
    found = planted[0]
    registers = found.adapters[0].registers
    at, value = registers.columns.index("register"), registers.columns.index("value")
    row = list(next(row for row in registers.rows if row[at] == "SGE_CONTROL"))
    secrets = [0xCB00714D, 0x4D7100CB, 0xDEAD00BE, 0x01EFBE00, 0x07]  # of the IPv4 and the MAC address; and none
    rows = [[*row[:value], number, *row[value + 1 :]] for number in secrets]
    adapter = replace(found.adapters[0], registers=replace(registers, rows=rows))
    taken = redact(replace(found, adapters=[adapter])).adapters[0].registers.rows
    assert [row[value] for row in taken] == [None, None, None, None, 7]


def test_the_same_secret_becomes_the_same_word(planted):
    texts = [row["text"] for row in redact(planted[0]).kernel_log]
    words = {word for text in texts for word in re.findall(r"\[serial \d+\]", text)}
    assert len(words) == 4  # of the USB device, of a disk, and of two adapters


def test_a_firmware_version_is_no_ip_address(document):
    taken = redact(document)
    assert taken.adapters[0].identity["firmware"] == "1.27.5.0"
    assert any("firmware 1.27.5.0" in row["text"] for row in taken.kernel_log)
