"""What the documentation says is what the package does."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

from vmcoredd_lab.devices.cxgb4.entities import decoders
from vmcoredd_lab.package_data import package_text

ROOT = Path(__file__).parents[1]
NEVER_IN_LINUX = {
    "rss_pf_conf", "rss_key", "rss_conf", "sw_state", "wtp", "tcp_stats", "tp_err_stats", "fcoe_stats", "rdma_stats",
    "cpl_stats", "ddp_stats", "wc_stats", "lb_stats", "mac_stats", "full", "tx_rate", "ext_entity",
}  # fmt: skip


def test_every_entity_that_linux_collects_has_a_decoder():
    text = package_text("vmcoredd_lab.devices.cxgb4", "data", "entities.csv")
    names = {row["name"] for row in csv.DictReader(text.splitlines())}
    assert names - NEVER_IN_LINUX <= set(decoders())
    assert len(names - NEVER_IN_LINUX) == 53


def test_the_index_of_entities_is_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "docs/make_entities.py", "--check"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_links_between_the_documents_lead_somewhere():
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")]:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_output_in_the_readme_is_the_output_of_the_program():
    shown = re.search(
        r"```console\n\$ vmcoredd-lab (info [^\n]+)\n(.*?)\n\$ ", (ROOT / "README.md").read_text("utf-8"), re.S
    )
    done = subprocess.run(
        [sys.executable, "-m", "vmcoredd_lab", *shown[1].split()], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.rstrip() == shown[2].rstrip()
