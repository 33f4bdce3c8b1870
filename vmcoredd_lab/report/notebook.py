"""The document as a notebook: its text, then cells that open the same file and continue where the report ends."""

from __future__ import annotations

import importlib
import os
from typing import Any

from vmcoredd_lab.errors import OutputError, UsageError
from vmcoredd_lab.report.document import Document
from vmcoredd_lab.report.markdown import render_markdown

__all__ = ["render_notebook"]

SECONDS = 600  # of one cell


def render_notebook(document: Document, path: str, parts: tuple[str, ...] = ()) -> str:
    """Return the notebook's JSON, executed on the file; of a redacted document not executed, with no name of a file.

    Raises
    ------
    UsageError: nbformat, nbclient or ipykernel is not installed.
    OutputError: a cell failed.
    """
    try:
        nbformat: Any = importlib.import_module("nbformat")
    except ImportError:
        raise _missing("nbformat") from None
    v4 = nbformat.v4
    cells: list[Any] = [v4.new_markdown_cell(render_markdown(document))]
    for text, code in _steps(document, "vmcore" if document.redacted else path, parts):
        cells += [v4.new_markdown_cell(text), v4.new_code_cell(code)]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # nbformat makes random ones
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})
    if not document.redacted:
        _execute(notebook)
    return str(nbformat.writes(notebook)) + "\n"


def _steps(document: Document, path: str, parts: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return pairs of a sentence and the code that goes with it, for what is in the file."""
    names = [os.path.abspath(one) if "://" not in one and not document.redacted else one for one in (path, *parts)]
    where = repr(names if parts else names[0])
    bare = document.vmcore.get("format") is None or "device dump" in str(document.vmcore.get("format"))
    opens = (
        f"dump = vl.open_device_dump({where})\ndump"
        if bare
        else f"core = vl.open_vmcore({where})\ncore.device_dumps.frame"
    )
    opening = "The same file, opened: headers are read, nothing else."
    if document.redacted:
        opening = "This report is redacted: nothing below was run. Put the file's own name in place of `vmcore`."
    steps = [(f"## Go on from here\n\n{opening}", f"import vmcoredd_lab as vl\n\n{opens}")]
    if not bare:
        columns = '["severity", "rule", "title", "device", "space", "offset", "length"]'
        steps.append(("What is wrong, with the bytes that prove it.", f"core.findings()[{columns}].head(10)"))
    if not bare and document.kernel_log:
        steps.append(("The end of the kernel log.", 'core.dmesg[["time_ns", "level", "text"]].tail(10)'))
    if document.adapters:
        first = document.adapters[0]
        chosen = "dump" if bare else f"core.device_dumps[{first.index}]"
        steps.append(("The first device, decoded.", f"nic = {chosen}.decode()\nnic.summary()"))
        if first.registers is not None:
            steps.append(("Registers that are not zero.", "nic.registers[nic.registers.value != 0].head(10)"))
        if first.firmware_log:
            steps.append(("The firmware's last words.", "nic.firmware_log.tail(10)"))
    if not bare and document.timeline is not None:
        steps.append(("Every source on one time axis.", "axes = vl.plot_timeline(core.timeline())"))
    if len(document.adapters) > 1 and document.differences:
        a, b = (f"core.device_dumps[{adapter.index}]" for adapter in document.adapters[:2])
        steps.append(("What differs between two devices.", f"vl.diff({a}, {b}).head(10)"))
    return steps


def _execute(notebook: Any) -> None:
    try:
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
    except ImportError:
        raise _missing("nbclient") from None
    try:
        import ipykernel  # noqa: F401
    except ImportError:
        raise _missing("ipykernel") from None
    try:
        quiet = ["--log-level=ERROR"]  # the kernel warns of its transport; what cells print is in the notebook
        NotebookClient(
            notebook, timeout=SECONDS, kernel_name="python3", record_timing=False, extra_arguments=quiet
        ).execute()
    except CellExecutionError as error:
        raise OutputError(f"a cell of the notebook failed: {error.ename}: {error.evalue}") from None


def _missing(name: str) -> UsageError:
    return UsageError(
        f"a notebook report needs {name}, which is not installed", expected="nbformat, nbclient and ipykernel",
        hint="pip install 'vmcoredd-lab[report]'",
    )  # fmt: skip
