"""The hex view in a real JupyterLab: what a person does with mouse and keyboard, and what the page then shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from browser.conftest import LINEAR_MAP, MEMORY_AT, MIDDLE, SEGMENTS
from browser.notebook_page import LATE, Notebook, says

DATA = bytes(range(256)) * 4 + b"needle in the middle" + bytes(5000) + b"the second needle" + b"\xff" * 100


@pytest.fixture
def view(notebook: Notebook) -> Any:
    return notebook.show(f"w = vl.hexview(bytes.fromhex('{DATA.hex()}'), rows=16); w")


@pytest.fixture(scope="module")
def vmcore(notebook: Notebook, sample: Path) -> Path:
    notebook.run(f"core = vl.open_vmcore({str(sample)!r})")
    return sample


def line(view: Any, number: int) -> str:
    """The address, bytes and text of a line of the view."""
    one = view.locator(".vl-line").nth(number)
    return " ".join(one.locator(".vl-at, .vl-cells, .vl-text").all_inner_texts()).replace("\n", "")


def byte(cells: Any, number: int) -> dict[str, float]:
    """The place of a byte within the bytes of its line, which are 48 characters wide."""
    box = cells.bounding_box()
    return {"x": (number * 3 + number // 8 + 1) * box["width"] / 48, "y": box["height"] / 2}


def goto(view: Any, text: str) -> None:
    view.locator(".vl-go").fill(text)
    view.locator(".vl-go").press("Enter")


def status(view: Any, pattern: str) -> None:
    """Wait until the status line says so."""
    says(view, ".vl-status", pattern)


def test_rows_show_address_bytes_and_text(view: Any, notebook: Notebook) -> None:
    assert line(view, 4).startswith("00000040")
    assert "404142434445464748494a4b4c4d4e4f" in line(view, 4).replace(" ", "")
    assert line(view, 4).endswith("@ABCDEFGHIJKLMNO")
    notebook.picture("hexview")


def test_equal_rows_are_one_line_with_their_count(view: Any) -> None:
    goto(view, "0x420")
    status(view, "^00000420")
    assert "310 more rows like it" in view.locator(".vl-same").first.inner_text()


@pytest.mark.parametrize(("typed", "place"), [("0x410", "410"), ("1040", "410"), ("410h", "410"), ("0x400", "400")])
def test_numbers_are_places(view: Any, typed: str, place: str) -> None:
    goto(view, typed)
    status(view, f"^00000{place}")


def test_relative_numbers_count_from_the_cursor(view: Any) -> None:
    goto(view, "0x100")
    status(view, "^00000100")
    goto(view, "+0x20")
    status(view, "^00000120")
    goto(view, "-16")
    status(view, "^00000110")


def test_a_place_outside_is_refused_in_words(view: Any) -> None:
    goto(view, "0x100000")
    status(view, "outside")


def test_text_is_found_forward_around_the_end_and_backward(view: Any) -> None:
    view.locator(".vl-find").fill("needle")
    view.locator(".vl-find").press("Enter")
    status(view, "^00000400 · 6 bytes selected")
    view.locator(".vl-next").click()
    status(view, f"^{DATA.rindex(b'needle'):08x} · 6 bytes")
    view.locator(".vl-next").click()
    status(view, "found at 00000400, around the end")
    view.locator(".vl-prev").click()
    status(view, f"found at {DATA.rindex(b'needle'):08x}, around the end")


def test_bytes_are_found_by_their_digits(view: Any) -> None:
    view.locator(".vl-kind").select_option("hex")
    view.locator(".vl-find").fill("fe ff 6e 65")
    view.locator(".vl-find").press("Enter")
    status(view, "^000003fe · 4 bytes")


def test_the_mouse_selects_and_the_bytes_are_copied(view: Any, notebook: Notebook) -> None:
    cells = view.locator(".vl-line").nth(4).locator(".vl-cells")
    cells.hover(position=byte(cells, 1))
    notebook.page.mouse.down()
    cells.hover(position=byte(cells, 4))
    notebook.page.mouse.up()
    status(view, "4 bytes selected")
    for form, expected in {
        "hex": "41 42 43 44", "text": "ABCD", "python": 'bytes.fromhex("41424344")', "c": "0x41, 0x42, 0x43, 0x44",
    }.items():  # fmt: skip
        view.locator(".vl-copy").select_option(form)
        status(view, f"4 bytes copied as {form}")
        assert expected in notebook.page.evaluate("navigator.clipboard.readText()")


def test_the_keyboard_moves_and_selects(view: Any, notebook: Notebook) -> None:
    cells = view.locator(".vl-cells").first
    cells.click(position=byte(cells, 0))
    for key in ("ArrowDown", "ArrowRight", "Shift+ArrowRight", "Shift+ArrowDown"):
        notebook.page.keyboard.press(key)
    status(view, r"^00000022 · 18 bytes selected \(00000011 up to 00000023\)")
    notebook.page.keyboard.press("Control+End")
    status(view, f"^{len(DATA) - 1:08x}")
    notebook.page.keyboard.press("Control+Home")
    status(view, "^00000000")


def test_the_inspector_reads_both_byte_orders(view: Any) -> None:
    from playwright.sync_api import expect

    goto(view, "0x41")
    status(view, "^00000041")
    inspector = view.locator(".vl-inspect")
    expect(inspector).to_contain_text("0x44434241")
    expect(inspector).to_contain_text("0x41424344")
    expect(inspector).to_contain_text("68.67.66.65")
    expect(inspector).to_contain_text("41:42:43:44:45:46")


def test_bookmarks_lead_back(view: Any) -> None:
    goto(view, "0x410")
    status(view, "^00000410")
    view.locator(".vl-star").click()
    goto(view, "0")
    status(view, "^00000000")
    view.locator(".vl-marks").select_option("0")
    status(view, "^00000410")


def test_the_offset_column_counts_from_a_base(view: Any) -> None:
    view.locator(".vl-base").fill("0x10")
    view.locator(".vl-base").press("Enter")
    view.locator(".vl-at", has_text="-00000010").wait_for()


def test_a_terabyte_is_one_scroll_away(notebook: Notebook, terabyte: Path) -> None:
    view = notebook.show(f"w = vl.hexview({str(terabyte)!r}, rows=12); w")
    goto(view, hex(MIDDLE))
    status(view, "^08000123450")
    view.locator(".vl-line:has(.vl-cur)").locator(".vl-text", has_text="in the middle of").wait_for()
    notebook.picture("hexview-terabyte")
    view.locator(".vl-grid").focus()
    notebook.page.keyboard.press("Control+End")
    status(view, f"^{terabyte.stat().st_size - 1:x}")
    view.locator(".vl-line:has(.vl-cur)").locator(".vl-text", has_text="s of a terabyte.").wait_for()
    view.locator(".vl-find").fill("in the middle")
    view.locator(".vl-prev").click()
    status(view, "^08000123450 · 13 bytes")


def test_virtual_addresses_beyond_what_a_javascript_number_holds_stay_exact(notebook: Notebook, terabyte: Path) -> None:
    place = LINEAR_MAP + MIDDLE - MEMORY_AT
    view = notebook.show(f"w = vl.hexview({str(terabyte)!r}, space='virtual', at={place}, rows=12); w")
    status(view, f"^{place:016x}")
    view.locator(".vl-line:has(.vl-cur)").locator(".vl-text", has_text="in the middle of").wait_for()
    view.locator(".vl-grid").focus()
    for _ in range(3):
        notebook.page.keyboard.press("ArrowRight")
    notebook.page.keyboard.press("Shift+ArrowRight")
    status(view, rf"^{place + 4:016x} · 2 bytes selected \({place + 3:016x} up to {place + 5:016x}\)")
    view.locator(".vl-copy").select_option("text")
    status(view, "2 bytes copied")
    assert notebook.page.evaluate("navigator.clipboard.readText()") == "th"
    view.locator(".vl-star").click()
    notebook.until("print(w.address, *(mark[1] for mark in w.bookmarks))", f"{place + 4:x} {place + 4:x}")


def test_jumps_across_a_terabyte_show_the_bytes_of_the_file(notebook: Notebook, terabyte: Path) -> None:
    view = notebook.show(f"w = vl.hexview({str(terabyte)!r}, rows=12); w")
    with terabyte.open("rb") as file:
        for place in (0, 64 + 56 * 77_777, MIDDLE, terabyte.stat().st_size - 32, 5 << 37):
            goto(view, hex(place))
            status(view, f"^{place:011x}")
            file.seek(place // 16 * 16)
            row = view.locator(f".vl-line:has(.vl-at:text-is('{place // 16 * 16:011x}'))")
            row.locator(".vl-b").first.wait_for()
            assert bytes.fromhex(row.locator(".vl-cells").inner_text()) == file.read(16)


def test_a_program_header_among_100_000_is_named(notebook: Notebook, terabyte: Path) -> None:
    from playwright.sync_api import expect

    view = notebook.show(f"w = vl.hexview({str(terabyte)!r}, rows=12); w")
    goto(view, hex(64 + 56 * 77_778 + 24))
    expect(view.locator(".vl-field")).to_contain_text("[77778] PT_LOAD › p_paddr")
    goto(view, "segment 77778")
    size = -(-(1 << 40) // SEGMENTS // 4096) * 4096
    status(view, f"^{MEMORY_AT + 77_777 * size:011x}")


@pytest.mark.parametrize("way", ["vl-next", "vl-prev"])
def test_a_search_can_be_stopped(notebook: Notebook, terabyte: Path, way: str) -> None:
    code = f"w = vl.hexview({str(terabyte)!r}, space='physical', rows=12)\n"
    code += "w._spaces.get('physical').same_until = lambda address: address  # holes are searched too\nw"
    view = notebook.show(code)
    view.locator(".vl-find").fill("nowhere to be found")
    view.locator(f".{way}").click()
    view.locator(".vl-cancel").wait_for()
    view.locator(".vl-cancel").click()
    status(view, "cancelled|stopped")


def test_excluded_pages_are_shown_as_such(notebook: Notebook, vmcore: Path) -> None:
    view = notebook.show("w = vl.hexview(core, space='physical'); w")
    view.locator(".vl-gap").first.wait_for()
    assert re.search("excluded|absent", view.locator(".vl-gap").first.inner_text())


def test_a_register_is_a_place_and_its_field_is_named(notebook: Notebook, vmcore: Path) -> None:
    from playwright.sync_api import expect

    view = notebook.show("w = vl.hexview(core, entity='reg_dump'); w")
    goto(view, "PCIE_FW")
    status(view, r"^000030b8 · 4 bytes")
    expect(view.locator(".vl-field")).to_contain_text("PCIE_FW = 0x")


def test_a_region_of_the_adapters_memory_is_a_place(notebook: Notebook, vmcore: Path) -> None:
    from playwright.sync_api import expect

    view = notebook.show("w = vl.hexview(core.device_dumps[1]); w")
    goto(view, "TCBs")
    status(view, r"^00040000 · 262144 bytes selected")
    expect(view.locator(".vl-field")).to_contain_text("TCBs = 256.0 KiB")
    expect(view.locator(".vl-spaces")).to_have_value("entity:cxgb4_0000:81:00.4/edc0")


def test_structure_and_bytes_select_each_other(notebook: Notebook, vmcore: Path) -> None:
    from playwright.sync_api import expect

    view = notebook.show("w = vl.hexview(core, space='file'); w")
    header = view.locator(".vl-node", has_text="disk_dump_header").first
    header.click()
    status(view, r"bytes selected \(00000000 up to")
    view.locator(".vl-node", has_text="header_version").first.click()
    status(view, r"^00000008 · 4 bytes")
    notebook.picture("structure")
    cells = view.locator(".vl-cells").first
    cells.click(position=byte(cells, 0))
    expect(view.locator(".vl-node.vl-on")).to_contain_text("signature")
    expect(view.locator(".vl-field")).to_contain_text("disk_dump_header › signature")


def test_the_dark_theme_keeps_bytes_readable(notebook: Notebook, view: Any) -> None:
    notebook.theme("JupyterLab Dark")
    try:
        colours = view.locator(".vl-p").first.evaluate(
            "(e) => [getComputedStyle(e).color, getComputedStyle(e.closest('.vl-hex')).backgroundColor]"
        )
        ink, ground = (sum(int(v) for v in re.findall(r"\d+", c)[:3]) / 3 for c in colours)
        assert ink - ground > 120
        notebook.picture("hexview-dark")
    finally:
        notebook.theme("JupyterLab Light")


VS_CODE = {
    "--vscode-editor-background": "#1f1f1f",
    "--vscode-editor-foreground": "#cccccc",
    "--jp-layout-color0": "#ffffff",
}


def test_vs_codes_colours_are_taken_although_its_page_defines_jupyterlabs(notebook: Notebook, view: Any) -> None:
    set_colours = (
        "([colours, kind]) => { for (const [n, v] of Object.entries(colours)) document.body.style.setProperty(n, v);"
    )
    set_colours += (
        " if (kind) document.body.dataset.vscodeThemeKind = kind; else delete document.body.dataset.vscodeThemeKind; }"
    )
    notebook.page.evaluate(set_colours, [VS_CODE, "vscode-dark"])
    try:
        colours = "(e) => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
        assert view.locator(".vl-hex").evaluate(colours) == ["rgb(204, 204, 204)", "rgb(31, 31, 31)"]
    finally:
        notebook.page.evaluate(set_colours, [dict.fromkeys(VS_CODE, ""), None])


@pytest.mark.parametrize(("key", "heard"), [("b", 0), ("Control+f", 0), ("F1", 1), ("Control+s", 1)])
def test_the_page_hears_keys_that_are_not_the_widgets(notebook: Notebook, view: Any, key: str, heard: int) -> None:
    listen = """() => {
      window.heard = 0;
      window.deaf = new AbortController();
      const hear = (e) => { window.heard += e.key !== 'Control'; e.preventDefault(); };
      addEventListener('keydown', hear, {signal: window.deaf.signal});
    }"""
    notebook.page.evaluate(listen)
    try:
        view.locator(".vl-grid").press(key)
        assert notebook.page.evaluate("window.heard") == heard
    finally:
        notebook.page.evaluate("window.deaf.abort()")


def test_every_control_has_a_name_for_screen_readers(view: Any) -> None:
    unnamed = view.locator(".vl-hex").evaluate(
        "(root) => [...root.querySelectorAll('input, select, button, [role=grid], [role=scrollbar], [role=tree]')]"
        ".filter((e) => !e.getAttribute('aria-label') && !e.textContent.trim()).map((e) => e.className)"
    )
    assert unnamed == []


@pytest.mark.parametrize(
    "shown",
    [
        "core", "core, space='virtual', at=text", "core, space='physical'", "core, space='note:0'", "core.device_dumps[0]",
        "core, entity='dev_log'", "core, entity='dev_log', stored=True", "core.device_dumps[0].decode()", "bytes(range(256))",
        "bytearray(b'bytes that change')", "np.arange(64, dtype='>u4')", "open(core.path, 'rb').read()[:300]",
    ],
)  # fmt: skip
def test_the_bytes_of_whatever_is_given_are_shown(notebook: Notebook, vmcore: Path, shown: str) -> None:
    notebook.ask("import numpy as np\ntext = int(core.vmcoreinfo['SYMBOL(_stext)'], 16)")
    view = notebook.show(f"w = vl.hexview({shown}); w")
    row = view.locator(".vl-line:not(.vl-late):has(.vl-b)").first
    row.wait_for()
    at = row.locator(".vl-at").inner_text()
    there = f"data, gaps = w._spaces.get(w.space).read(int('{at}', 16), 16); print(data.hex(), len(gaps))"
    assert "".join(row.locator(".vl-cells").inner_text().split()) + " 0" == notebook.ask(there)


def test_python_moves_the_view(notebook: Notebook, vmcore: Path) -> None:
    view = notebook.show("w = vl.hexview(core); w")
    notebook.ask("w.goto('PCIE_FW')")
    status(view, r"^000030b8 · 4 bytes selected")
    notebook.ask("w.address = '40'")
    status(view, "^00000040")
    notebook.ask("w.space = 'file'")
    status(view, "^00000040 .* MiB")


def test_another_space_is_chosen_from_the_list(notebook: Notebook, vmcore: Path) -> None:
    view = notebook.show("w = vl.hexview(core, at=0x200); w")
    status(view, "^00000200")
    view.locator(".vl-spaces").select_option("physical")
    status(view, "^00000000")
    view.locator(".vl-hex[data-ready=true]").wait_for()
    notebook.until("print(w.space)", "physical")


def test_names_are_offered_while_one_types(notebook: Notebook, vmcore: Path) -> None:
    view = notebook.show("w = vl.hexview(core, entity='reg_dump'); w")
    view.locator(".vl-go").press_sequentially("PCIE_F")
    view.locator("datalist option[value=PCIE_FW]").wait_for(state="attached")


RECORDED = """import random
w = vl.hexview(random.Random(8).randbytes(1 << 16), rows=16)
asked, lines = [], w._requests._operations["lines"]
w._requests.offer("lines", lambda m: asked.append(m) or lines(m))
"""


def late(seconds: float, options: str = "rows=16") -> str:
    return RECORDED.replace("rows=16", options) + LATE.format(seconds) + "w"


def test_scrolling_goes_on_while_answers_are_late_and_few_are_asked_for(notebook: Notebook) -> None:
    view = notebook.show(late(1.5))
    view.locator(".vl-grid").hover()
    tops = []
    for _ in range(30):
        notebook.page.mouse.wheel(0, 200)
        tops.append(int(view.locator(".vl-hex").get_attribute("data-top"), 16))
    assert tops == sorted(tops)
    view.locator(".vl-late").first.wait_for()  # its address is there, its bytes are not
    assert view.locator(".vl-late .vl-at").first.inner_text()
    notebook.picture("hexview-late")
    view.locator(".vl-hex[data-ready=true]").wait_for()
    top = int(view.locator(".vl-hex").get_attribute("data-top"), 16)
    assert top > 16 * 16
    notebook.ask("import random; data = random.Random(8).randbytes(1 << 16)")
    shown = "".join(view.locator(".vl-cells").first.inner_text().split())
    assert notebook.ask(f"print(data[{top}:{top + 16}].hex(), len(asked) < 30)") == f"{shown} True"


def test_lines_that_were_seen_are_not_asked_for_again(notebook: Notebook) -> None:
    view = notebook.show(late(0))
    view.locator(".vl-grid").hover()
    for _ in range(5):
        notebook.page.mouse.wheel(0, 100)
        view.locator(".vl-hex[data-ready=true]").wait_for()
    before = notebook.ask("print(len(asked))")
    for _ in range(5):
        notebook.page.mouse.wheel(0, -100)
    view.locator(".vl-hex[data-top='0'][data-ready=true]").wait_for()
    assert notebook.ask("print(len(asked))") == before


def test_a_page_of_keys_keeps_the_cursor_on_its_line_of_the_screen(notebook: Notebook) -> None:
    view = notebook.show(late(0.2, "rows=12, at=0x8000"))
    view.locator(".vl-hex[data-top='8000'][data-ready=true]").wait_for()
    view.locator(".vl-grid").focus()
    notebook.page.keyboard.press("ArrowDown")
    for key, place in {"PageUp": "00007f60", "PageDown": "00008010"}.items():
        notebook.page.keyboard.press(key)
        status(view, f"^{place}")
        view.locator(".vl-line:nth-child(2) .vl-cur").first.wait_for()


def test_a_mouse_held_below_the_lines_selects_on(view: Any, notebook: Notebook) -> None:
    cells, grid = view.locator(".vl-line").nth(14).locator(".vl-cells"), view.locator(".vl-grid").bounding_box()
    cells.hover(position=byte(cells, 0))
    notebook.page.mouse.down()
    notebook.page.mouse.move(grid["x"] + 300, grid["y"] + grid["height"] + 30)
    scrolled = "root => BigInt('0x' + root.dataset.top) >= 0x100n"
    notebook.page.wait_for_function(scrolled, arg=view.locator(".vl-hex").element_handle())
    notebook.page.mouse.up()
    status(view, r"\d{3,} bytes selected \(000000e0 up to")


def test_the_keyboard_reaches_every_field(view: Any, notebook: Notebook) -> None:
    from playwright.sync_api import expect

    view.locator(".vl-grid").focus()
    notebook.page.keyboard.press("Control+g")
    expect(view.locator(".vl-go")).to_be_focused()
    notebook.page.keyboard.type("0x100")
    notebook.page.keyboard.press("Enter")
    expect(view.locator(".vl-grid")).to_be_focused()
    status(view, "^00000100")
    notebook.page.keyboard.press("Control+f")
    expect(view.locator(".vl-find")).to_be_focused()
    notebook.page.keyboard.type("needle")
    for key, place in {"F3": "00000400", "Shift+F3": f"{DATA.rindex(b'needle'):08x}"}.items():
        notebook.page.keyboard.press(key)
        status(view, place)
    view.locator(".vl-grid").focus()
    notebook.page.keyboard.press("Control+c")
    status(view, "6 bytes copied as hex")
    notebook.page.keyboard.press("Control+b")
    status(view, "bookmarked")
    notebook.page.keyboard.press("Control+b")
    status(view, "no bookmark at")
    notebook.until("print(w.bookmarks)", "[]")


def test_the_tree_is_walked_with_the_keyboard(notebook: Notebook, vmcore: Path) -> None:
    view = notebook.show("w = vl.hexview(core, space='file'); w")
    says(view, ".vl-field", "signature")  # the way to the first byte has been opened
    view.locator(".vl-node", has_text="disk_dump_header").first.click()
    for key in ("ArrowLeft", "ArrowRight", "ArrowRight", "ArrowDown"):
        notebook.page.keyboard.press(key)  # at once, whenever children come
    status(view, r"^00000008 · 4 bytes selected")
