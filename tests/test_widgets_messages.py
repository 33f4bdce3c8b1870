"""What the page asks and what it is told: every request is answered, errors in words, hostile text escaped."""

from __future__ import annotations

import html.parser
import subprocess
import sys
import zlib

import pytest
from builders import device_dump, elf, notes, vmcoreinfo
from cudbg_builder import DEV_LOG, REG_DUMP, Entity, cudbg, log_entry, numbered_reg_dump

import vmcoredd_lab as vl

anywidget = pytest.importorskip("anywidget")
HOSTILE = '<img src=x onerror="alert(1)">'


class Page:
    """Stands for the page: keeps what the widget sends."""

    def __init__(self, widget):
        self.sent = []
        widget._requests._send = lambda message, buffers: self.sent.append((message, buffers))
        self.widget = widget

    def ask(self, op, **args):
        self.widget._requests.received({"id": "1", "op": op, **args})
        message, buffers = self.sent[-1]
        assert message["id"] == "1"
        return message, buffers


@pytest.fixture(scope="module")
def core(sample):
    return vl.open_vmcore(sample)


@pytest.fixture
def page(core):
    return Page(vl.hexview(core))


def test_what_the_page_says_of_itself_does_not_move_it(core):
    view = vl.hexview(core)
    view.set_state({"space": "physical", "address": "1000"})
    assert (view.space, view.asked) == ("physical", 0)
    view.goto(0x2000)
    assert view.asked > 0


def test_lines_come_as_bytes_beside_the_message(page, sample):
    message, (data,) = page.ask("lines", space="file", at="0", count=4)
    assert message["ok"]
    assert len(message["lines"]) == 4
    assert data[:16] == sample.read_bytes()[:16]


def test_a_screen_is_small_however_much_is_asked_for(page):
    message, (data,) = page.ask("lines", space="file", at="1000", count=10**9)
    assert len(message["lines"]) <= 400
    assert len(data) < 64 << 10


@pytest.mark.parametrize(
    ("op", "args", "word"),
    [
        ("lines", {"space": "nowhere", "at": "0", "count": 1}, "no space"),
        ("lines", {"space": "file", "at": "zz", "count": 1}, "no address"),
        ("lines", {"space": "file", "at": "1" + "0" * 40, "count": 1}, "no address"),
        ("lines", {"space": "file"}, "lacks"),
        ("bytes", {"space": "file", "at": "0", "size": 1 << 40}, "too much"),
        ("goto", {"space": "file", "at": "0", "text": HOSTILE}, "nothing is called"),
        ("children", {"space": "file", "path": "99/1"}, ""),
        ("no such thing", {}, "no operation"),
    ],
)
def test_a_request_that_cannot_be_answered_is_answered_with_the_reason(page, op, args, word):
    message, _ = page.ask(op, **args)
    assert not message["ok"]
    assert word in message["error"]


def test_what_is_no_request_is_passed_over(page):
    for message in (None, 5, {}, {"op": 3}, {"op": "cancel", "which": "none"}):
        page.widget._requests.received(message)
    assert page.sent == []


def test_every_byte_of_a_structure_is_named_by_its_smallest_field(page):
    message, _ = page.ask("at", space="file", at="8")
    assert [node["label"] for node in message["path"]] == ["disk_dump_header", "header_version"]


def test_a_register_is_named_with_its_value(page):
    message, _ = page.ask("at", space="entity:cxgb4_0000:02:00.4/reg_dump", at="30d8")
    assert message["path"][-1]["label"] == "PCIE_FW_PF [7]"
    assert message["path"][-1]["value"].startswith("0x100e0002")


def test_bytes_of_the_adapters_memory_are_named_by_their_region(page, core):
    image = "entity:cxgb4_0000:02:00.4/edc0"
    for row in core.device_dumps[0].decode().memory_map.itertuples():
        if row.kind == "region" and row.entity == "edc0":
            for at in (row.offset, row.offset + row.size - 1):
                message, _ = page.ask("at", space=image, at=f"{at:x}")
                first, last = message["path"][0], message["path"][-1]
                assert first["label"] == row.name
                assert int(last["start"], 16) <= at < int(last["end"], 16) == int(last["start"], 16) + 4


def _pieces(page, space):
    """The pieces of a stored entity: (bytes of the header, packed bytes) each, as the tree says they lie."""
    for node in page.ask("children", space=space)[0]["nodes"]:
        if node["label"].startswith("piece"):
            parts = page.ask("children", space=space, path=node["path"])[0]["nodes"]
            yield [page.widget._spaces.get(space).read(int(p["start"], 16), int(p["end"], 16) - int(p["start"], 16))[0]
                   for p in parts]  # fmt: skip


@pytest.mark.parametrize("entity", ["cim_la", "edc0", "reg_dump"])
def test_a_stored_entity_is_its_pieces(page, core, entity):
    packed = [zlib.decompress(data) for _, data in _pieces(page, f"stored:cxgb4_0000:02:00.4/{entity}")]
    assert b"".join(packed) == core.device_dumps[0].decode().entity_bytes(entity)


def test_pieces_of_fastlz_say_their_size_before_them(shared_data):
    dump = vl.open_device_dump(shared_data / "cudbg" / "uw-t6-fastlz.bin")
    page = Page(vl.hexview(dump))
    found = list(_pieces(page, "stored:uw-t6-fastlz.bin/reg_dump"))
    assert [int.from_bytes(header[4:8], "little") for header, _ in found] == [len(data) for _, data in found]
    assert [zlib.adler32(data) for _, data in found] == [int.from_bytes(h[8:12], "little") for h, _ in found]


def test_the_children_of_a_node_cover_bytes_within_it(page):
    space = "dump:cxgb4_0000:02:00.4"
    roots = page.ask("children", space=space, path="")[0]["nodes"]
    for i, root in enumerate(roots[:4]):
        for child in page.ask("children", space=space, path=str(i))[0]["nodes"]:
            assert int(root["start"], 16) <= int(child["start"], 16) <= int(child["end"], 16) <= int(root["end"], 16)


def test_the_explorer_filters_and_sorts(core):
    page = Page(vl.explore(core))
    name = "registers:cxgb4_0000:02:00.4"
    message, _ = page.ask("rows", name=name, **{"from": 0, "count": 20}, filter="pcie_fw_pf")
    assert message["total"] == 8
    message, _ = page.ask("rows", name=name, **{"from": 0, "count": 2}, sort="address", down=True)
    column = [c[0] for c in message["columns"]].index("address")
    assert int(message["rows"][0][column], 16) > int(message["rows"][1][column], 16)


def test_interrupt_causes_and_what_is_not_zero_come_first(core):
    page = Page(vl.explore(core))
    message, _ = page.ask("rows", name="registers:cxgb4_0000:02:00.4", **{"from": 0, "count": 400})
    column = [c[0] for c in message["columns"]].index("value")
    values = [int(row[column], 16) for row in message["rows"]]
    assert all(values[:50])


def _of_row(page, name, row):
    """What a row of a listing says, and the bytes that it opens."""
    message, _ = page.ask("row", name=name, row=row)
    data, gaps = page.widget._spaces.get(message["space"]).read(int(message["at"], 16), message["size"])
    assert not gaps
    return dict(message["cells"]), data


def _rows(page, kind, most=150):
    """The rows of each listing of a kind, of a long one some from everywhere."""
    for name, one in page.widget._listings.items():
        if name.partition(":")[0] == kind:
            count = len(one.table)
            for row in range(0, count, max(1, count // most)):
                yield _of_row(page, name, row)


def test_findings_lead_to_the_bytes_that_prove_them(core):
    page = Page(vl.explore(core))
    worst = core.findings().iloc[0]
    _, data = _of_row(page, "findings", 0)
    assert data == core.bytes_of(worst.space, worst.offset, worst.length)


def test_notes_lead_to_what_they_describe(core):
    for said, data in _rows(Page(vl.explore(core)), "notes"):
        assert (
            len(data) == core.notes.desc_size[core.notes.owner == said["owner"]].max() or said["owner"] != "VMCOREINFO"
        )
        if said["owner"] == "VMCOREINFO":
            assert data.startswith(b"OSRELEASE=")


def test_cpus_lead_to_their_registers(core):
    rows = list(_rows(Page(vl.explore(core)), "cpus"))
    assert len(rows) == 2
    for said, data in rows:  # x86-64's struct elf_prstatus: pr_pid at 32, rip the 17th register from 112 on
        assert int.from_bytes(data[32:36], "little") == int(said["pid"])
        assert int.from_bytes(data[112 + 16 * 8 :][:8], "little") == int(said["rip"], 0)


def test_messages_of_the_kernel_lead_to_their_text(core):
    rows = list(_rows(Page(vl.explore(core)), "dmesg"))
    assert len(rows) > 100
    for said, data in rows:
        assert said["text"].partition("\\")[0].encode() in data  # up to what is escaped


def test_registers_lead_to_their_words(core):
    rows = list(_rows(Page(vl.explore(core)), "registers"))
    assert len(rows) > 300
    assert {int.from_bytes(data, "little") == int(said["value"], 0) for said, data in rows} == {True}


def test_messages_of_the_firmware_lead_to_their_records(core):
    rows = list(_rows(Page(vl.explore(core)), "firmware_log"))
    assert len(rows) > 100
    assert {len(data) for _, data in rows} == {256}


def test_the_timeline_draws_each_clock_on_its_own_axis(core):
    page = Page(vl.timeline_view(core))
    message, (x, doubt, lane, level) = page.ask("events")
    assert [axis["unit"] for axis in message["axes"]] == ["s", "ticks", "ticks"]
    assert (len(x), len(doubt), len(lane), len(level)) == tuple(message["count"] * n for n in (8, 4, 2, 1))


def test_anchors_tie_a_clock_and_wrong_ones_change_nothing(core):
    view = vl.timeline_view(core)
    view.anchors = [
        ["cxgb4_0000:81:00.4", "52316973", "1000000000", "firmware"],
        ["1", "147275123", "3000000000", "firmware"],
    ]
    assert [axis["unit"] for axis in Page(view).ask("events")[0]["axes"]] == ["s", "ticks"]
    before, version = view.anchors, view.version
    with pytest.raises(vl.UsageError):
        view.anchors = [["no such device", "1", "2", "firmware"]]
    assert (view.anchors, view.version) == (before, version)


def test_the_filters_of_the_timeline_are_one_bit_a_row(core):
    page = Page(vl.timeline_view(core))
    message, (bits,) = page.ask("choose", level="emerg")
    assert 0 < message["total"] < message["all"]
    assert sum(byte.bit_count() for byte in bits) == message["total"]


def test_two_views_of_a_timeline_have_filters_of_their_own(core):
    page = Page(vl.timeline_view(core))
    for filters in ({}, {"level": "emerg"}, {"source": "firmware", "text": "assert"}, {}, {"level": "emerg"}):
        chosen = page.ask("choose", **filters)[0]["total"]
        page.ask("choose", level="crit")  # the other view
        rows = page.ask("rows", **filters, **{"from": 0, "count": 1})[0]
        assert rows["total"] == chosen > 0
        told = page.ask("row", **filters, row=chosen - 1)[0]
        assert page.ask("position", **filters, row=told["event"])[0]["at"] == chosen - 1
    assert page.ask("position", level="emerg", row=0)[0]["at"] == -1


def test_events_are_those_of_the_version_that_the_page_shows(core):
    view = vl.timeline_view(core)
    page = Page(view)
    firmware = {"source": "firmware", "device": "cxgb4_0000:81:00.4"}
    first, second = (page.ask("row", **firmware, row=n, version=0)[0]["event"] for n in (0, 5))
    said = page.ask("event", row=first, version=0)[0]["cells"]
    tied = page.ask("tie", row=first, seconds="1.0", version=0)[0]
    assert tied["version"] == view.version == 1
    again = dict(page.ask("event", row=tied["event"], version=1)[0]["cells"])
    assert again["text"] == dict(said)["text"]
    assert page.ask("event", row=first, version=0)[0]["cells"] == said
    tied = page.ask("tie", row=second, seconds="2.5", version=0)[0]  # the page has not drawn version 1 yet
    assert [anchor[2] for anchor in view.anchors] == ["1000000000", "2500000000"]
    assert "tied anew meanwhile" in page.ask("event", row=first, version=0)[0]["error"]
    page.ask("untie", anchor=view.anchors[0], version=2)
    page.ask("untie", anchor=["gone", "1", "2", "firmware"], version=2)
    assert [anchor[2] for anchor in view.anchors] == ["2500000000"]


def test_a_level_that_is_none_is_refused(core):
    message = Page(vl.timeline_view(core)).ask("choose", level="<b>loud")[0]
    assert not message["ok"]
    assert "no such level" in message["error"]
    assert "emerg" in message["error"]


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    log = b"".join(
        log_entry(n, t) for n, t in enumerate([b"<script>1</script>", b"\x1b[2J", "\u202e".encode(), b"%s" * 90])
    )
    dump = cudbg(Entity(DEV_LOG, log), Entity(REG_DUMP, numbered_reg_dump()))
    path = tmp_path_factory.mktemp("bad") / "vmcore"
    path.write_bytes(
        elf(notes(device_dump(HOSTILE, bytes(dump.data)) + vmcoreinfo("OSRELEASE=<script>\nPAGESIZE=4096\n")))
    )
    return vl.open_vmcore(path)


@pytest.mark.parametrize("of", ["core", "dumps", "dump", "adapter", "hexview", "explorer", "timeline"])
def test_what_a_notebook_shows_is_escaped(bad, of):
    shown = {
        "core": bad._repr_html_, "dumps": bad.device_dumps._repr_html_,
        "dump": bad.device_dumps[0]._repr_html_, "adapter": lambda: bad.device_dumps[0].decode()._repr_html_(),
        "hexview": lambda: vl.hexview(bad).first_screen(), "explorer": lambda: vl.explore(bad).first_screen(),
        "timeline": lambda: vl.timeline_view(bad).first_screen(),
    }[of]()  # fmt: skip
    tags = Tags()
    tags.feed(shown)
    assert not tags.seen & {"script", "img", "style", "iframe"}
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_without_anywidget_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['anywidget'] = None\nimport vmcoredd_lab as vl\n"
        "try:\n    vl.hexview\nexcept vl.UsageError as e:\n    print(e)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "vmcoredd-lab[lab]" in said


def test_the_package_itself_brings_in_no_widgets():
    code = "import sys, vmcoredd_lab as vl; vl.open_vmcore; print([m for m in ('anywidget', 'ipywidgets') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
