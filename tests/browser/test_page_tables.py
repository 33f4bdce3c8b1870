"""Explorer and timeline in a real JupyterLab, and hostile content in every widget."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from browser.notebook_page import LATE, Notebook, rows, says

# Events of the sample, as many as a long life gives, and with text as long as nobody wants it: stand-ins for logs that large.
_EVENTS = """
import numpy as np
from vmcoredd_lab.tables import Table
from vmcoredd_lab.widgets.timeline import _Events
w = vl.timeline_view(core)
columns = dict(w.table.take(np.resize(np.arange(len(w.table)), {count})).columns)
columns["text"] = np.array({text}, dtype=object)
w._made = _Events(Table(w.table.schema, columns, w.table.attrs))
w
"""
MANY_EVENTS = _EVENTS.format(count=100_000, text='[f"event-{i}" for i in range(100_000)]')
LONG_LINES = _EVENTS.format(
    count=3,
    text="[\"<img src=x onerror='window.hacked=4'>\\x1b[31m\\u202egnp.exe \" * 25_000 + str(i) for i in range(3)]",
)

LONG_CELLS = """
import numpy as np
from vmcoredd_lab.tables import Table
w = vl.explore(core)
table = core.notes_table()
text = "<img src=x onerror='window.hacked=5'>\\x1b[31m\\u202egnp.exe " * 25_000
columns = {**table.columns, "owner": np.array([text] * len(table), dtype=object)}
w._listings["notes"].make = lambda: Table(table.schema, columns, table.attrs)
w
"""


@pytest.fixture(scope="module")
def vmcore(notebook: Notebook, sample: Path) -> Path:
    notebook.run(f"core = vl.open_vmcore({str(sample)!r})")
    return sample


@pytest.fixture
def explorer(notebook: Notebook, vmcore: Path) -> Any:
    return notebook.show("w = vl.explore(core); w", ".vl-explore[data-ready=true]")


@pytest.fixture
def timeline(notebook: Notebook, vmcore: Path) -> Any:
    return notebook.show("w = vl.timeline_view(core); w", ".vl-timeline[data-ready=true]")


def inert(notebook: Notebook, view: Any) -> None:
    assert notebook.page.evaluate("window.hacked") is None
    assert view.locator("img, script").count() == 0
    assert not re.search("[\x1b\u202e]", view.inner_text())
    assert len(view.inner_html()) < 400_000


def test_findings_come_first_worst_on_top(explorer: Any, notebook: Notebook) -> None:
    assert explorer.locator(".vl-tab[aria-selected=true]").inner_text() == "Findings"
    rows(explorer, r"^\d+ rows")
    assert "critical" in explorer.locator(".vl-tr").first.inner_text()
    notebook.picture("explorer")


def test_a_finding_opens_its_bytes(explorer: Any) -> None:
    explorer.locator(".vl-tr", has_text="Firmware logged an emergency").first.click()
    says(explorer, ".vl-status", "256 bytes selected")
    says(explorer, ".vl-field", "slots")


RECORDED = """core.diagnosis  # then the first rows are there at once
w = vl.explore(core)
sent, tell = [], w._requests._send
w._requests._send = lambda *said: (sent.append(said[0]), tell(*said))
"""


def test_a_finding_can_be_chosen_while_the_kernel_is_late(explorer: Any, notebook: Notebook) -> None:
    view = notebook.show(RECORDED + LATE.format(2) + "w", ".vl-explore[data-ready=true]")
    notebook.until("print(any('listings' in said for said in sent))", "True")
    notebook.page.wait_for_timeout(300)  # the list of tables has come; what is asked after it comes later
    view.locator(".vl-tr", has_text="Firmware logged an emergency").first.click()
    says(view, ".vl-status", "256 bytes selected")


def test_until_other_rows_come_a_click_opens_the_row_that_is_seen(explorer: Any, notebook: Notebook) -> None:
    notebook.ask(LATE.format(2))
    explorer.locator(".vl-tab", has_text="registers").first.click()
    explorer.locator(".vl-scroller[aria-busy] .vl-tr", has_text="Firmware logged an emergency").first.click()
    says(explorer, ".vl-status", "256 bytes selected")
    rows(explorer, r"^\d{4,} rows")
    assert explorer.locator(".vl-tr.vl-on").count() == 0


def test_registers_are_filtered_while_one_types_and_lead_to_their_bytes(explorer: Any, notebook: Notebook) -> None:
    explorer.locator(".vl-tab", has_text="registers").first.click()
    rows(explorer, r"^\d{4,} rows")
    explorer.locator(".vl-filter").press_sequentially("pcie_fw")
    rows(explorer, r"^9 of \d+ rows")
    explorer.locator(".vl-tr").first.click()
    says(explorer, ".vl-status", "000030b8 · 4 bytes selected")
    assert "PCIE_FW" in explorer.locator(".vl-detail").inner_text()
    notebook.picture("explorer-registers")


def test_a_long_table_is_scrolled_to_its_end(explorer: Any) -> None:
    explorer.locator(".vl-tab", has_text="registers").first.click()
    rows(explorer, r"^\d{4,} rows")
    explorer.locator(".vl-tr").first.click()
    explorer.locator(".vl-scroller").press("End")
    total = int(explorer.locator(".vl-scroller").get_attribute("aria-rowcount"))
    explorer.locator(f'.vl-tr[data-row="{total - 1}"] .vl-td').nth(1).wait_for()
    assert explorer.locator(".vl-tr").count() < 40


def test_a_title_sorts_its_column(explorer: Any) -> None:
    explorer.locator(".vl-tab", has_text="entities").first.click()
    rows(explorer, "rows")
    explorer.locator(".vl-th .vl-td", has_text="name").first.click()
    explorer.locator(".vl-th [aria-sort=ascending]").wait_for()
    says(explorer, ".vl-tr[data-row='0']", "cctrl|cim")


SPACES = {
    "Findings": "entity:", "Notes": "file$", "Device dumps": "dump:", "entities": "entity:", "registers": "entity:.*/reg_dump$",
    "firmware log": "entity:.*/dev_log$", "Kernel log": "physical$", "CPUs": "file$",
}  # fmt: skip


def test_a_row_of_every_table_opens_its_bytes(explorer: Any, notebook: Notebook) -> None:
    from playwright.sync_api import expect

    for tab in explorer.locator(".vl-tab").all():
        title = tab.inner_text()
        tab.click()
        rows(explorer, r"^\d+ rows")
        explorer.locator(".vl-spaces").select_option("virtual")
        expect(explorer.locator(".vl-hex:not(.vl-explore)")).to_have_attribute("data-ready", "true")
        explorer.locator(".vl-tr").first.click()
        space = next(space for name, space in SPACES.items() if title.endswith(name))
        expect(explorer.locator(".vl-spaces")).to_have_value(re.compile("^" + space))
        expect(explorer.locator(".vl-hex:not(.vl-explore)")).to_have_attribute("data-ready", "true")
        assert explorer.locator(".vl-cells .vl-cur").count() == 1, title


def test_a_row_without_bytes_says_so(explorer: Any, notebook: Notebook) -> None:
    notebook.ask("w._listings['findings'].where = lambda table, row: None")
    explorer.locator(".vl-tr").first.click()
    says(explorer, ".vl-status", "this row has no bytes of its own")


def test_the_timeline_lists_what_it_draws(timeline: Any, notebook: Notebook) -> None:
    rows(timeline, r"^\d+ events")
    drawn = timeline.locator(".vl-canvas").evaluate(
        "(c) => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size"
    )
    assert drawn > 8  # strokes in several colours
    notebook.picture("timeline")


def test_the_timeline_is_filtered_by_words_and_level(timeline: Any) -> None:
    timeline.locator(".vl-filter").fill("assertion failed")
    rows(timeline, r"^\d of \d+ events")
    timeline.locator(".vl-filter").fill("")
    timeline.locator("select.vl-level").select_option("crit")
    rows(timeline, r"^\d+ of \d+ events")
    timeline.locator("select.vl-source").select_option("firmware")
    says(timeline, ".vl-tr[data-row='0']", "firmware")


def test_the_timeline_is_filtered_by_device_and_facility(timeline: Any, notebook: Notebook) -> None:
    events = "import vmcoredd_lab; e = core.timeline(); "
    timeline.locator("select.vl-facility").select_option("kern")
    total = notebook.ask(events + "print(sum(e.facility == 'kern'), 'of', len(e))")
    rows(timeline, f"^{total} events")
    timeline.locator("select.vl-facility").select_option("")
    timeline.locator("select.vl-device").select_option("cxgb4_0000:02:00.4")
    total = notebook.ask(events + "print(sum(e.device == 'cxgb4_0000:02:00.4'), 'of', len(e))")
    rows(timeline, f"^{total} events")


def test_the_keyboard_zooms_and_goes_from_event_to_event(timeline: Any, notebook: Notebook) -> None:
    canvas = timeline.locator(".vl-canvas")
    rows(timeline, r"^\d+ events")
    before = settled(notebook, canvas)
    for key, comparison in {"+": "!==", "0": "==="}.items():
        canvas.press(key)
        becomes(notebook, canvas, comparison, before)
    for key, row in {"Home": 0, "ArrowRight": 1, "ArrowLeft": 0}.items():
        canvas.press(key)
        timeline.locator(f".vl-tr.vl-on[data-row='{row}']").wait_for()
    canvas.press("End")
    says(timeline, ".vl-tr.vl-on", "collection")


def test_a_row_of_the_timeline_opens_its_bytes(timeline: Any, notebook: Notebook) -> None:
    timeline.locator(".vl-filter").fill("assertion failed")
    rows(timeline, r"^\d of \d+ events")
    timeline.locator(".vl-tr").first.click()
    says(timeline, ".vl-status", "256 bytes selected")


def test_a_click_on_the_picture_chooses_the_event_under_it(timeline: Any, notebook: Notebook) -> None:
    canvas = timeline.locator(".vl-canvas")
    timeline.locator("select.vl-source").select_option("panic")
    rows(timeline, "^1 of")
    place = _stroke(canvas)
    canvas.hover(position=place)
    timeline.locator(".vl-tip").wait_for()
    assert "panic" in timeline.locator(".vl-tip").inner_text()
    notebook.picture("timeline-hover")
    canvas.click(position=place)
    says(timeline, ".vl-detail", "panic")


def becomes(notebook: Notebook, canvas: Any, comparison: str, picture: str) -> None:
    """Wait until the canvas is, or is no longer, that picture."""
    page = f"([canvas, picture]) => canvas.toDataURL() {comparison} picture"
    notebook.page.wait_for_function(page, arg=[canvas.element_handle(), picture])


def settled(notebook: Notebook, canvas: Any) -> str:
    """Return the picture, once it stays as it is."""
    now = ""
    for _ in range(100):
        before, now = now, canvas.evaluate("(c) => c.toDataURL()")
        if before == now:
            return now
        notebook.page.wait_for_timeout(200)
    raise AssertionError("the picture goes on changing")


def test_the_wheel_zooms_once_the_picture_has_the_focus(timeline: Any, notebook: Notebook) -> None:
    canvas = timeline.locator(".vl-canvas")
    rows(timeline, r"^\d+ events")
    before = settled(notebook, canvas)
    canvas.click(position={"x": 400, "y": 5})
    notebook.page.mouse.wheel(0, -400)
    becomes(notebook, canvas, "!==", before)
    canvas.press("0")
    becomes(notebook, canvas, "===", before)


DEVICE = "cxgb4_0000:81:00.4"


def test_two_anchors_tie_a_firmware_clock(timeline: Any, notebook: Notebook) -> None:
    timeline.locator("select.vl-device").select_option(DEVICE)
    timeline.locator("select.vl-source").select_option("firmware")
    rows(timeline, "^256 of")
    for row, seconds in ((0, "1.0"), (5, "2.5")):
        timeline.locator(f".vl-tr[data-row='{row}']").click()
        timeline.locator(".vl-anchor").click()
        timeline.locator(".vl-seconds").fill(seconds)
        timeline.locator(".vl-seconds").press("Enter")
        timeline.locator(".vl-tied", has_text=f"= {seconds.split('.')[0]}.").wait_for()
    rows(timeline, "^256 of")
    says(timeline, ".vl-tr.vl-on .vl-td", "2.5")  # the same event, where it is now
    says(timeline, ".vl-tie", "ns a tick through 2 anchors")
    notebook.until(
        "print([(anchor[0], anchor[2]) for anchor in w.anchors])", f"{[(DEVICE, '1000000000'), (DEVICE, '2500000000')]}"
    )


@pytest.mark.parametrize("code", ["vl.hexview(bad)", "vl.explore(bad)", "vl.timeline_view(bad)"])
def test_hostile_names_and_messages_are_inert(notebook: Notebook, hostile: Path, code: str) -> None:
    notebook.run(f"bad = vl.open_vmcore({str(hostile)!r})")
    view = notebook.show(f"w = {code}; w")
    for tab in view.locator(".vl-tab").all():
        tab.click()
        notebook.page.wait_for_timeout(300)
    notebook.page.wait_for_timeout(700)
    notebook.picture(f"hostile-{code[3:6]}")
    assert notebook.page.evaluate("window.hacked") is None
    assert view.locator("img, script, h1").count() == 0
    assert not re.search("[\x1b\u202e]", view.inner_text())


def test_a_line_of_a_megabyte_in_the_file_hangs_nothing(notebook: Notebook, endless: Path) -> None:
    view = notebook.show(f"w = vl.explore({str(endless)!r}); w")
    for tab in view.locator(".vl-tab").all():
        tab.click()
    view.locator(".vl-tab", has_text="Notes").click()
    rows(view, r"^\d+ rows")
    view.locator(".vl-tr[data-row='5']").click()
    says(view, ".vl-status", "bytes selected")
    inert(notebook, view)


def test_cells_of_a_megabyte_are_cut_in_the_explorer(notebook: Notebook, vmcore: Path) -> None:
    view = notebook.show(LONG_CELLS, ".vl-explore[data-ready=true]")
    view.locator(".vl-tab", has_text="Notes").click()
    says(view, ".vl-tr[data-row='0']", "img src")
    view.locator(".vl-tr").first.click()
    says(view, ".vl-detail", "img src")
    view.locator(".vl-filter").fill("gnp.exe")
    rows(view, r"^\d+ rows")
    inert(notebook, view)
    notebook.picture("explorer-long")


def test_lines_of_a_megabyte_are_cut_in_the_timeline(notebook: Notebook, vmcore: Path) -> None:
    view = notebook.show(LONG_LINES, ".vl-timeline[data-ready=true]")
    says(view, ".vl-tr[data-row='0']", "img src")
    canvas = view.locator(".vl-canvas")
    canvas.click(position={"x": 400, "y": 5})
    canvas.press("Home")
    says(view, ".vl-detail", "img src")
    inert(notebook, view)


def test_a_timeline_of_100_000_events_zooms_pans_and_is_filtered(notebook: Notebook, vmcore: Path) -> None:
    view = notebook.show(MANY_EVENTS, ".vl-timeline[data-ready=true]")
    rows(view, "^100000 events")
    canvas = view.locator(".vl-canvas")
    before = canvas.evaluate("(c) => c.toDataURL()")
    canvas.click(position={"x": 400, "y": 5})
    notebook.page.mouse.wheel(0, -400)
    becomes(notebook, canvas, "!==", before)
    zoomed = canvas.evaluate("(c) => c.toDataURL()")
    canvas.hover(position={"x": 500, "y": 5})
    notebook.page.mouse.down()
    canvas.hover(position={"x": 620, "y": 5})
    notebook.page.mouse.up()
    becomes(notebook, canvas, "!==", zoomed)
    view.locator(".vl-filter").fill("event-4242")
    rows(view, "^11 of 100000 events")
    notebook.picture("timeline-many")


def test_the_explorer_is_shown_before_its_findings_and_the_kernel_answers_meanwhile(
    notebook: Notebook, vmcore: Path
) -> None:
    slow = "w = vl.explore(vl.open_vmcore({!r}))\nimport time\nmake = w._listings['findings'].make\n"
    slow += "w._listings['findings'].make = lambda: (time.sleep(4), make())[1]\nw"
    view = notebook.show(slow.format(str(vmcore)), ".vl-explore[data-making=true]")
    view.locator(".vl-making").wait_for()
    goto_field = view.locator(".vl-go")
    goto_field.fill("0x100")
    goto_field.press("Enter")
    says(view, ".vl-status", "^00000100")
    assert view.locator(".vl-making").count() == 1  # the bytes came first
    rows(view, r"^\d+ rows")
    assert "critical" in view.locator(".vl-tr").first.inner_text()


@pytest.mark.parametrize(("code", "ready"), [("vl.hexview(core)", ".vl-hex"), ("vl.explore(core)", ".vl-explore")])
def test_the_first_screen_follows_and_is_not_seen_beside_the_widget(
    notebook: Notebook, sample: Path, code: str, ready: str
) -> None:
    notebook.run(f"core = vl.open_vmcore({str(sample)!r})")
    notebook.show(code, f"{ready}[data-ready=true]")
    notebook.page.wait_for_function("(document.querySelector('.vl-first') || {}).textContent")
    notebook.page.locator(".vl-hex[data-resting]").wait_for()  # the kernel has answered
    assert notebook.page.evaluate("[...document.querySelectorAll('.vl-first')].map((n) => n.offsetHeight)") == [0]


def test_a_first_screen_that_is_shown_after_its_widget_is_not_seen(notebook: Notebook, sample: Path) -> None:
    notebook.show(f"w = vl.hexview({str(sample)!r}); w", ".vl-hex[data-resting]")  # the kernel has answered
    late = """() => {
      const first = document.querySelector('.vl-first').cloneNode();
      first.style.display = '';
      first.textContent = 'late';
      document.body.append(first);
      const high = first.offsetHeight;
      first.remove();
      return high;
    }"""
    assert notebook.page.evaluate(late) == 0


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("core", "x86_64"), ("core.device_dumps", "cxgb4_0000:81:00.4"), ("core.device_dumps[0]", "50 of 52 entities"),
        ("core.device_dumps[0].decode()", "T6"),
    ],
)  # fmt: skip
def test_what_a_cell_ends_with_says_what_matters(notebook: Notebook, vmcore: Path, code: str, told: str) -> None:
    view = notebook.show(code, ".vmcoredd-lab")
    assert told.lower() in view.inner_text().lower()
    notebook.picture(f"display-{len(code)}")


def test_the_magic_opens_and_shows_and_names_are_completed(notebook: Notebook, sample: Path) -> None:
    view = notebook.show(f"%load_ext vmcoredd_lab\n%vmcore {sample} crash", ".vmcoredd-lab")
    assert "kdump-compressed" in view.inner_text()
    notebook.ask("nic = crash.device_dumps[0].decode()")
    complete = """(code) => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel
        .requestComplete({code, cursor_pos: code.length}).then((reply) => reply.content.matches.join(" "))"""
    for code, name in {'nic.register("PCIE_FW': "PCIE_FW_PF", 'nic.entity("dev_l': "dev_log"}.items():
        assert name in notebook.page.evaluate(complete, code)


def test_what_a_notebook_shows_of_hostile_files_is_inert(notebook: Notebook, hostile: Path) -> None:
    notebook.run(f"bad = vl.open_vmcore({str(hostile)!r})")
    for code in ("bad", "bad.device_dumps", "bad.device_dumps[0]", "bad.device_dumps[0].decode()"):
        view = notebook.show(code, ".vmcoredd-lab")
        assert view.locator("img, script").count() == 0
    assert notebook.page.evaluate("window.hacked") is None


def _stroke(canvas: Any) -> dict[str, float]:
    """The place of the one dot that is drawn, in the colours of grave levels."""
    found = canvas.evaluate("""(c) => {
      const pen = c.getContext('2d'), data = pen.getImageData(0, 0, c.width, c.height).data, r = window.devicePixelRatio || 1;
      for (let i = 0; i < data.length; i += 4) {
        const [red, green, blue, alpha] = data.slice(i, i + 4);
        const grave = alpha > 200 && red > 120 && green < 70 && blue > 60 && blue < 130;
        if (grave) return {x: ((i / 4) % c.width) / r, y: Math.floor(i / 4 / c.width) / r + 2};
      }
    }""")
    assert found, "nothing is drawn in the colour of the gravest level"
    return dict(found)
