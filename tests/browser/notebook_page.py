"""A real JupyterLab and a page of Chromium on it, as few lines as it takes to drive them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
PATIENCE = 60_000  # milliseconds; a shared machine may be slow

_READY = """() => {
  const shown = window.jupyterapp && window.jupyterapp.shell.currentWidget;
  const session = shown && shown.sessionContext;
  return !!session && session.isReady && !!session.session && session.session.kernel.connectionStatus === "connected";
}"""
_RUN = """async (code) => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  notebook.activeCellIndex = 0;
  notebook.widgets[0].model.sharedModel.setSource(code);
  window.finished = false;
  window.jupyterapp.commands.execute("notebook:run-cell").finally(() => { window.finished = true; });
}"""
_ASK = """async (code) => {
  let said = "";
  const asked = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({code});
  asked.onIOPub = (message) => { said += message.content.text || (message.content.traceback || []).join("\\n"); };
  await asked.done;
  return said;
}"""
# What a widget w sends comes so many seconds later.
LATE = """import asyncio
send = w._requests._send
w._requests._send = lambda *said: asyncio.get_running_loop().call_later({}, send, *said)
"""
_THEME = "(name) => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})"


def chromium() -> str | None:
    """Return the path of a Chromium, None where there is none."""
    return next((path for name in CHROMIUM if (path := shutil.which(name))), None)


def _share() -> Path:
    """Return share/jupyter of where JupyterLab is installed, which need not be this interpreter's prefix."""
    import jupyterlab

    return Path(jupyterlab.__file__).parents[4] / "share" / "jupyter"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


PAGES = {"jupyterlab": "lab/tree/page.ipynb", "notebook": "notebooks/page.ipynb"}  # of each application


@contextmanager
def jupyter(root: Path, application: str) -> Iterator[str]:
    """Run JupyterLab or Notebook 7 on an empty notebook ``page.ipynb`` in a directory; give the page's address."""
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, root / "page.ipynb")
    port, share = _free_port(), _share()
    room = root / ".jupyter"
    rooms = {f"JUPYTER_{name.upper()}_DIR": str(room / name) for name in ("config", "data", "runtime")}
    known = {
        "JUPYTERLAB_DIR": str(share / "lab"),
        "JUPYTER_PATH": str(share),
        "IPYTHONDIR": str(room / "ipython"),
        **rooms,
    }
    settings = room / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    command = [
        sys.executable, "-m", application,
        "--expose-app-in-browser", "--no-browser", "--allow-root",
        f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={root}",
        "--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    log = (root / "jupyterlab.log").open("wb")
    server = subprocess.Popen(command, env={**os.environ, **known}, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(240):
            with suppress(OSError):
                urllib.request.urlopen(f"{address}/api")
                break
            if server.poll() is not None:
                break
            time.sleep(0.5)
        else:
            raise TimeoutError((root / "jupyterlab.log").read_text(errors="replace")[-2000:])
        yield f"{address}/{PAGES[application]}"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()


class Notebook:
    """The notebook's page: runs Python in its one cell and looks at what comes out."""

    def __init__(self, page: Any, address: str, pictures: Path) -> None:
        self.page, self.pictures = page, pictures
        self.said: list[str] = []  # errors on the page's console
        page.set_default_timeout(2 * PATIENCE)
        page.on("console", lambda m: self.said.append(m.text) if m.type == "error" else None)
        page.goto(address)
        page.wait_for_selector(".jp-Notebook")
        page.wait_for_function(_READY)
        page.set_default_timeout(PATIENCE)
        if "/lab/" in address:
            page.keyboard.press("Control+B")  # the file browser takes room

    def run(self, code: str) -> str:
        """Run code in the cell; return what it printed, or the error."""
        self.page.evaluate(_RUN, code)
        self.page.wait_for_function("window.finished === true")
        return "\n".join(self.page.locator(".jp-OutputArea-output").all_inner_texts())

    def ask(self, code: str) -> str:
        """Run code in the kernel, not in the cell, whose output stays; return what it printed, or the error."""
        return str(self.page.evaluate(_ASK, code)).strip()

    def until(self, code: str, expected: str) -> None:
        """Run code in the kernel until it prints what is expected: what the page tells a widget comes late."""
        said, end = self.ask(code), time.monotonic() + PATIENCE / 1000
        while said != expected and time.monotonic() < end:
            self.page.wait_for_timeout(100)
            said = self.ask(code)
        assert said == expected

    def show(self, code: str, ready: str = ".vl-hex[data-ready=true]") -> Any:
        """Run code that shows a widget; return the output once it is painted."""
        said = self.run(code)
        assert "Traceback" not in said, said[-3000:]
        output = self.page.locator(".jp-OutputArea-output:not(:has(.vl-first))").last
        try:
            output.locator(ready).first.wait_for()
        except Exception as error:
            self.picture("failed")
            raise AssertionError(f"{ready} never came: {said[-2000:]} {self.said[-3:]}") from error
        return output

    def restart(self) -> None:
        """Begin again with a new kernel."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        self.page.wait_for_function(_READY)

    def theme(self, name: str) -> None:
        """Choose a theme: JupyterLab Light, JupyterLab Dark."""
        self.page.evaluate(_THEME, name)
        self.page.wait_for_function(f"document.body.dataset.jpThemeLight === '{str('Light' in name).lower()}'")

    def picture(self, name: str) -> None:
        """Keep a picture of the page."""
        self.page.screenshot(path=str(self.pictures / f"{name}.png"))


def says(view: Any, where: str, pattern: str) -> None:
    """Wait until the first of the places in a view says what is expected."""
    from playwright.sync_api import expect

    expect(view.locator(where).first).to_have_text(re.compile(pattern))


def rows(view: Any, pattern: str) -> None:
    """Wait for the rows that were asked for and their count; those before them stay, and can be chosen, until then."""
    says(view, ".vl-count", pattern)
    view.locator(".vl-scroller:not([aria-busy])").wait_for()
    says(view, ".vl-count", pattern)


@contextmanager
def browsing() -> Iterator[Any]:
    """Run Chromium; there is room for one in a process."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    root: Path,
    pictures: Path,
    width: int = 1500,
    height: int = 1050,
    application: str = "jupyterlab",
    browser: Any = None,
) -> Iterator[Notebook]:
    """Run JupyterLab, or another application, on a directory, and a page of Chromium on it; give the notebook."""
    pictures.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        address = stack.enter_context(jupyter(root, application))
        used = stack.enter_context(browsing()) if browser is None else browser
        context = used.new_context(viewport={"width": width, "height": height})
        stack.callback(context.close)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield Notebook(context.new_page(), address, pictures)
