"""In IPython: the magic, completion of names within quotes, and what nbconvert keeps of the widgets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vmcoredd_lab as vl

pytest.importorskip("IPython")


@pytest.fixture(scope="module")
def shell(sample: Path) -> Iterator[Any]:
    """A shell with the extension loaded, a vmcore opened and an adapter decoded."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "vmcoredd_lab")
    shell.run_line_magic("vmcore", str(sample))
    shell.run_cell("nic = core.device_dumps[0].decode()", silent=True)
    yield shell
    InteractiveShell.clear_instance()


def completed(shell: Any, line: str) -> list[str]:
    from IPython.core.completer import provisionalcompleter

    with provisionalcompleter():
        return [c.text for c in shell.Completer.completions(line, len(line))]


def test_the_magic_opens_a_vmcore_names_it_and_returns_it(shell: Any, sample: Path) -> None:
    assert isinstance(shell.user_ns["core"], vl.Vmcore)
    assert shell.run_line_magic("vmcore", f"{sample} crash") is shell.user_ns["crash"]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('nic.register("PCIE_FW', "PCIE_FW_PF"),
        ("nic.entity('dev_l", "dev_log"),
        ('core.device_dumps["cxgb4_0000:02', "cxgb4_0000:02:00.4"),
    ],
)
def test_names_within_quotes_are_completed(shell: Any, line: str, name: str) -> None:
    assert any(name in text for text in completed(shell, line))


def test_nothing_is_called_to_complete_a_name(shell: Any) -> None:
    shell.user_ns["boom"] = lambda: pytest.fail("called")
    assert completed(shell, 'boom().register("PCIE') == []


@pytest.mark.parametrize("of", ["core", "core.device_dumps", "core.device_dumps[0]", "nic"])
def test_what_a_cell_ends_with_has_a_form_as_html_and_as_text(shell: Any, of: str) -> None:
    data, _ = shell.display_formatter.format(eval(of, shell.user_ns))
    assert "<table" in data["text/html"] or "<div" in data["text/html"]
    assert "cxgb4" in data["text/plain"] + data["text/html"]
    assert "<" not in data["text/plain"].split("\n")[0][1:] or data["text/plain"].startswith("<")


def test_nbconvert_keeps_a_first_screen_of_each_widget(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbconvert = pytest.importorskip("nbconvert")
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    codes = [
        f"import vmcoredd_lab as vl\ncore = vl.open_vmcore({str(sample)!r})",
        "vl.hexview(core)",
        "vl.explore(core)",
        "vl.timeline_view(core)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in codes])
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    share = Path(nbconvert.__file__).parents[4] / "share" / "jupyter" / "nbconvert" / "templates"
    monkeypatch.setenv("JUPYTER_PATH", str(share.parents[1]))  # not of this interpreter, where the tools are elsewhere
    page, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
    screens = page.split('class="vl-first ')[1:]
    assert len(screens) == 3
    assert "4b 44 55 4d 50" in screens[0]
    assert "critical" in screens[1]
    assert "Firmware" in screens[1]
    assert "<svg" in screens[2]
    assert "seconds since boot" in screens[2]


@pytest.fixture(scope="module")
def kernel(sample: Path) -> Iterator[Any]:
    """A client of a kernel that has a vmcore open."""
    manager = pytest.importorskip("jupyter_client.manager")
    pytest.importorskip("ipykernel")
    running, client = manager.start_new_kernel(kernel_name="python3")
    try:
        client.execute_interactive(f"import vmcoredd_lab as vl; core = vl.open_vmcore({str(sample)!r})")
        yield client
    finally:
        client.stop_channels()
        running.shutdown_kernel(now=True)


FOLLOWED = "import asyncio; await asyncio.gather(*(t for t in asyncio.all_tasks() if '_follow' in repr(t)))"


def shown(client: Any, code: str, cell: str) -> list[tuple[str, dict[str, Any]]]:
    """Run code as a front end that names its cell; return what is shown then, and by what follows when the cell has run."""
    found: list[tuple[str, dict[str, Any]]] = []
    first = _run(client, code, cell, found)
    _run(client, FOLLOWED, cell, found, first)
    return [one for one in found if "display_data" in one[0]]


def _run(client: Any, code: str, cell: str, found: list[Any], before: str = "") -> str:
    """Run code; add what is said until it has run, of a request before it too."""
    request = client.session.msg("execute_request", {"code": code, "allow_stdin": True}, metadata={"cellId": cell})
    client.shell_channel.send(request)
    number = str(request["header"]["msg_id"])
    while True:
        said = client.get_iopub_msg(timeout=120)
        parent, content = said["parent_header"].get("msg_id"), said["content"]
        assert said["msg_type"] != "error", content
        if parent in (number, before):
            found.append((said["msg_type"], content.get("data", {})))
        if parent == number and content.get("execution_state") == "idle":
            return number


@pytest.mark.parametrize("code", ["vl.hexview(core)", "vl.explore(core)"])
def test_nothing_shown_in_vs_code_is_renewed_after_its_cell_has_run(kernel: Any, code: str) -> None:
    widget, screen = shown(kernel, code, "vscode-notebook-cell:/home/one/page.ipynb#W2sZmlsZQ==")
    assert "application/vnd.jupyter.widget-view+json" in widget[1]
    assert "4b 44 55 4d 50" in screen[1]["text/html"]


def test_the_first_screen_follows_the_widget_elsewhere(kernel: Any) -> None:
    _, screen, renewed = shown(kernel, "vl.hexview(core)", "7f6ab7ed-3c0a-4b4d-8f6b-7a6f4d1c2b3a")
    assert "4b 44 55 4d 50" not in screen[1]["text/html"]
    assert renewed[0] == "update_display_data"
    assert "4b 44 55 4d 50" in renewed[1]["text/html"]


def test_pages_that_cannot_run_a_widget_show_its_bytes_once(kernel: Any) -> None:
    said = shown(kernel, "vl.hexview(core)", "vscode-notebook-cell:/home/one/page.ipynb#W3sZmlsZQ==")
    assert sum("4b 44 55 4d 50" in data["text/html"] for _, data in said) == 1
