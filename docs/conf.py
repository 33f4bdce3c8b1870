"""Sphinx makes the documentation's site of the Markdown pages, the notebooks as they are stored, and the docstrings.

python -m sphinx -W --keep-going -c docs . out/site        (pip install '.[docs]'; then open out/site/index.html)

The source directory is the checkout, not docs/: so the links that work on GitHub, to notebooks, samples and the change log, are
the links of the site.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes

import vmcoredd_lab

project = "vmcoredd_lab"
author = "the vmcoredd_lab authors"
project_copyright = "the vmcoredd_lab authors, Apache-2.0"
version = release = vmcoredd_lab.__version__

root_doc = "docs/index"
include_patterns = ["docs/**.md", "notebooks/*.ipynb", "CHANGELOG.md", "sample_data/README.md", "benchmarks/README.md"]
exclude_patterns = [".*", "out", "build", "dist", "tests", "vmcoredd_lab", "node_modules"]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_copybutton"]

smartquotes_action = "qe"  # quotes and ellipses; an option keeps its two hyphens
myst_heading_anchors = 3  # as GitHub names them
myst_enable_extensions = ["colon_fence"]
nb_execution_mode = "off"  # the stored output is shown; the tests run the notebooks and compare
nb_merge_streams = True
suppress_warnings = ["mystnb.unknown_mime_type"]  # a widget is shown as the text or picture stored beside it

autodoc_typehints = "none"  # signatures have them already; descriptions come from the docstrings
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
python_maximum_signature_line_length = 100
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True

html_theme = "furo"
html_title = "vmcoredd_lab"
html_static_path = ["site"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#9a3412", "color-brand-content": "#9a3412"},
    "dark_css_variables": {"color-brand-primary": "#fb923c", "color-brand-content": "#fb923c"},
}

SECTION = re.compile(r"^(Parameters|Returns|Raises|Attributes)$")
FIELDS = {"Parameters": "param", "Raises": "raises", "Attributes": "ivar"}


def fields_of(lines: list[str]) -> list[str]:
    """Turn sections such as ``Raises`` and their items, ``name: text`` each, into the fields that Sphinx knows."""
    out: list[str] = []
    section = ""
    for i, line in enumerate(lines):
        if SECTION.match(line) and i + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[i + 1]):
            section = line
        elif section and re.fullmatch(r"-{3,}", line):
            continue
        elif section == "Returns" and line.strip():
            out.append(f":returns: {line}" if lines[i - 1].startswith("---") else f"    {line.strip()}")
        elif section and (item := re.match(r"([A-Za-z_][\w, .*]*): (.*)", line)):
            out.append(f":{FIELDS[section]} {item[1]}: {item[2]}")
        else:
            out.append(line)
    return out


def adapt_docstring(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = fields_of(lines)


def set_dashes(app: Any, tree: nodes.document) -> None:
    """Sphinx puts two hyphens between a parameter and its text."""
    for text in list(tree.findall(nodes.Text)):
        if text.astext() == " -- ":
            text.parent.replace(text, nodes.Text(" – "))


def write_entrance(app: Any, failure: Exception | None) -> None:
    """The site's front page lies in docs/, as its source does: who opens the folder itself is sent there."""
    if failure is None and app.builder.format == "html":
        page = '<!doctype html><meta charset="utf-8"><title>vmcoredd_lab</title>'
        page += (
            '<meta http-equiv="refresh" content="0; url=docs/index.html"><a href="docs/index.html">vmcoredd_lab</a>\n'
        )
        Path(app.outdir, "index.html").write_text(page, "utf-8")


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", adapt_docstring)
    app.connect("doctree-read", set_dashes)
    app.connect("build-finished", write_entrance)
