"""The timeline: clocks are honest, anchors tie them, and every event says which bytes it is."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from cudbg_builder import DEV_LOG, MBOX_LOG, Entity, cudbg, log_entry, usual
from hypothesis import given
from hypothesis import strategies as st

import vmcoredd_lab as vl
from vmcoredd_lab.analysis.timeline import Anchor, timeline_table
from vmcoredd_lab.analysis.timeline.anchors import found_anchors
from vmcoredd_lab.analysis.timeline.clocks import fit
from vmcoredd_lab.analysis.timeline.events import Event
from vmcoredd_lab.opening import opened_of

CRASHED, QUIET = "cxgb4_0000:02:00.4", "cxgb4_0000:81:00.4"


@pytest.fixture(scope="module")
def core(shared_data):
    return vl.open_vmcore(shared_data / "vmcore" / "x86_64-story" / "vmcore.d31-zlib.kdump")


@pytest.fixture(scope="module")
def frame(core):
    return core.timeline()


def bare(*entities, **declared):
    """The timeline of a device dump file with these entities."""
    return timeline_table(opened_of(vl.open_device_dump(bytes(cudbg(*entities, **declared)))))


def of(frame, source, device=None):
    chosen = frame[frame["source"] == source]
    return chosen if device is None else chosen[chosen["device"] == device]


# -- events -----------------------------------------------------------------------------------------------------------


def test_every_source_is_there(frame, core):
    counts = frame["source"].value_counts()
    logs = [len(dump.decode().firmware_log) for dump in core.device_dumps]
    assert counts["dmesg"] == len(core.dmesg)
    assert counts["firmware"] == sum(logs)
    assert (counts["panic"], counts["collection"]) == (1, 2)


def test_every_event_says_which_bytes_it_is(frame, core):
    for row in of(frame, "dmesg").itertuples():
        assert (
            core.memory.read(int(row.offset), int(row.length)).decode("latin-1")[:20] in row.text or "\\x" in row.text
        )
    raw = core.device_dumps[CRASHED].decode().entity_bytes("dev_log")
    for row in of(frame, "firmware", CRASHED).itertuples():
        assert row.space == f"entity:{CRASHED}/dev_log"
        assert struct.unpack_from(">QI", raw, row.offset) == (row.tick, row.seq)
    panic = of(frame, "panic").iloc[0]
    assert core.memory.read(int(panic.offset), int(panic.length)).startswith(b"Kernel panic")


def test_the_kernels_messages_about_an_adapter_are_the_adapters(frame):
    said = of(frame, "dmesg", CRASHED)["text"]
    assert said.str.contains("0000:02:00.4").all()
    assert len(said) == 6


def test_dates_come_from_the_crash_time_and_the_panic(frame, core):
    panic = of(frame, "panic").iloc[0]
    assert panic.wall.timestamp() == core.vmcoreinfo.crash_seconds
    first = of(frame, "dmesg").iloc[0]
    assert (panic.wall - first.wall).value == panic.time - first.time
    assert of(frame, "firmware", QUIET)["wall"].isna().all()


def test_levels_have_one_vocabulary(frame):
    assert set(frame["level"]) <= {"emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"}


def test_a_firmware_log_that_wraps_stays_in_its_order():
    log = b"".join(log_entry(n & 0xFFFFFFFF, f"entry {n}", timestamp=1 + n) for n in range(0xFFFFFFFE, 0x100000003))
    table = bare(Entity(DEV_LOG, log))
    assert [t for t in table.values("text") if t.startswith("entry")] == [
        f"entry {n}" for n in range(0xFFFFFFFE, 0x100000003)
    ]
    assert table.values("seq")[:5] == [0xFFFFFFFE, 0xFFFFFFFF, 0, 1, 2]


def test_timestamps_out_of_order_are_shown_as_they_are():
    log = b"".join(log_entry(n, f"entry {n}", timestamp=t) for n, t in enumerate((500, 2**64 - 2, 3)))
    assert bare(Entity(DEV_LOG, log)).values("tick")[:3] == [500, 2**64 - 2, 3]


def test_a_mailbox_command_is_an_event_on_the_clock_of_its_own_kernel():
    record = struct.pack("<8QQIhh8I8I", 0x0880_0000_0000_0A01, *[0] * 7, 4294960000, 9, 0, -110, *[0] * 16)
    table = bare(Entity(MBOX_LOG, record))
    row = table.records()[0]
    assert (row["source"], row["tick"], row["seq"], row["level"], row["time"]) == (
        "mailbox",
        4294960000,
        9,
        "err",
        None,
    )
    assert row["clock"].startswith("jiffies ")
    assert "errno 110" in row["text"]


def test_a_bare_dump_has_its_lanes_and_its_collection():
    table = timeline_table(opened_of(vl.open_device_dump(bytes(usual()))))
    assert table.values("source")[-1] == "collection"
    assert set(table.values("time")) == {None}


def test_a_vmcore_without_a_kernel_log_says_so(file, lab):
    from builders import device_dump, elf, notes

    path = file(elf(notes(device_dump("cxgb4_0000:02:00.4", bytes(usual())))))
    frame = vl.open_vmcore(path).timeline()
    assert "dmesg" in frame.attrs["missing"]
    assert set(frame["source"]) == {"firmware", "collection"} | ({"mailbox"} & set(frame["source"]))
    assert lab("timeline", path, "--format", "json").status == 0


# -- clocks -----------------------------------------------------------------------------------------------------------


def test_a_clock_without_anchors_orders_its_own_events_and_no_more(frame):
    lane = of(frame, "firmware", QUIET)
    assert lane["time"].isna().all()
    assert lane["seq"].is_monotonic_increasing
    assert "not tied" in frame.attrs["clocks"][f"firmware {QUIET}"]
    last = frame.iloc[-1]
    assert (last["source"], last["device"]) == ("collection", QUIET)


def test_one_anchor_places_its_own_event_and_says_that_the_rate_is_not_known(frame):
    lane = of(frame, "firmware", CRASHED)
    placed = lane[lane["time"].notna()]
    assert list(placed["text"]) == ["assertion failed at line 1423 (val0 0xdead val1 0x17)"]
    assert placed["uncertainty"].iloc[0] == 10 * 10**9
    assert "the rate is not known" in frame.attrs["clocks"][f"firmware {CRASHED}"]


def test_the_anchor_is_the_drivers_message_about_the_same_event(frame):
    placed = of(frame, "firmware", CRASHED).query("time.notna()").iloc[0]
    told = frame[frame["text"].str.contains("firmware reports adapter error")].iloc[0]
    assert placed["time"] == told["time"]


def test_without_looking_for_anchors_there_is_none(core):
    frame = core.timeline(find_anchors=False)
    assert of(frame, "firmware")["time"].isna().all()


def test_two_anchors_place_every_event_between_and_beyond(core):
    log = core.device_dumps[CRASHED].decode().firmware_log
    first, last = int(log["timestamp"].iloc[10]), int(log["timestamp"].iloc[-1])
    frame = core.timeline(anchors=[("0000:02:00.4", first, 1_400_000_000), (0, last, 2_391_000_000)])
    lane = of(frame, "firmware", CRASHED).set_index("tick")
    assert lane["time"].notna().all()
    assert (lane.loc[first, "time"], lane.loc[last, "time"]) == (1_400_000_000, 2_391_000_000)
    assert lane["uncertainty"].iloc[0] > lane.loc[first, "uncertainty"]
    times = frame["time"].dropna()
    assert times.is_monotonic_increasing


@pytest.mark.parametrize(
    ("anchors", "message"),
    [
        ([("0000:99:00.0", 1, 2)], "no device 0000:99:00.0"),
        ([(7, 1, 2)], "no device 7"),
        ([(0, -1, 2)], "an anchor's tick is an integer below 2\\*\\*64"),
        ([(0, 1.5, 2)], "an anchor's tick is an integer"),
        ([(0, True, 2)], "an anchor's tick is an integer"),
        ([(0, 1, "2 s")], "an anchor's time_ns is an integer below 2\\*\\*63"),
        ([(0, 1)], "not an anchor"),
        (["0@1=2"], "not an anchor"),
        ([(0, 1, 2, "sundial")], "no such clock"),
        ([(0, 1, 2, "jiffies")], "no events of the clock"),
        ([(0, 5, 100), (0, 5, 200)], "contradict"),
        ([(0, 5, 200), (0, 9, 100)], "run backwards"),
    ],
)
def test_a_wrong_anchor_is_a_clear_error(core, anchors, message):
    with pytest.raises(vl.UsageError, match=message):
        core.timeline(anchors=anchors)


def test_numpys_integers_are_anchors(core):
    frame = core.timeline(anchors=[(0, np.uint64(150491587), np.int64(2_391_000_000))])
    assert of(frame, "firmware", CRASHED)["time"].notna().sum() == 1


def line(ticks, rate=12.5, start=10**9):
    return [Anchor(t, start + round(t * rate)) for t in ticks]


def test_an_anchor_off_the_line_is_left_out_and_told():
    anchors = [*line(range(0, 10**7, 10**6)), Anchor(5_500_000, 40 * 10**9)]
    fitted = fit("firmware x", anchors)
    assert fitted.rejected == (Anchor(5_500_000, 40 * 10**9),)
    assert fitted.ns_per_tick == pytest.approx(12.5)
    assert "1 left out" in fitted.statement


def test_anchors_without_a_line_tie_nothing():
    fitted = fit("firmware x", [Anchor(t, 10**9 - t) for t in range(0, 100, 10)])
    assert fitted.anchors == ()
    assert fitted.place(5) is None


def test_uncertainty_grows_beyond_the_anchors():
    fitted = fit("firmware x", [Anchor(a.tick, a.time_ns, 1000) for a in line((0, 10**6))])
    inside, outside, far = (fitted.place(t)[1] for t in (500_000, 2_000_000, 10**9))
    assert inside == 1000
    assert inside < outside < far


@given(
    st.integers(0, 2**63),
    st.floats(1, 1e6),
    st.integers(0, 2**40),
    st.lists(st.integers(1, 2**30), min_size=1, max_size=20),
)
def test_events_between_anchors_are_placed_within_the_stated_uncertainty(base, rate, start, steps):
    ticks = [base]
    for step in steps:
        ticks.append(ticks[-1] + step)

    def true(tick):
        return start + round((tick - base) * rate)

    fitted = fit("firmware x", [Anchor(t, true(t), 5) for t in ticks])
    assert not fitted.rejected
    for tick in ticks:
        time, uncertainty = fitted.place(tick)
        assert abs(time - true(tick)) <= uncertainty + 1


def kernel(text, time):
    return Event("dmesg", "cxgb4_x", "kernel", time, 0, "info", None, text)


def firmware(text, tick):
    return Event("firmware", "cxgb4_x", "firmware cxgb4_x", tick, 0, "info", None, text)


class Dump:
    name, driver = "cxgb4_x", "cxgb4"


def test_messages_of_both_logs_are_anchors_where_their_number_is_the_same():
    events = [
        kernel("cxgb4 0000:02:00.4 eth2: link up, 25Gbps, full-duplex", 100),
        kernel("cxgb4 0000:02:00.4 eth2: link down", 300),
        kernel("cxgb4 0000:02:00.4 eth2: link up, 25Gbps, full-duplex", 500),
        firmware("port[0] link up (1) speed 25000Mbps", 10),
        firmware("port[0] link down (1)", 30),
        firmware("port[0] link up (1) speed 25000Mbps", 50),
    ]
    assert {(a.tick, a.time_ns) for a in found_anchors(Dump, events)} == {(10, 100), (30, 300), (50, 500)}


def test_where_one_side_has_more_it_is_not_known_which_belong_together():
    events = [kernel("eth2: link up, 25Gbps", 100), firmware("port[0] link up", 10), firmware("port[1] link up", 11)]
    assert found_anchors(Dump, events) == []


# -- the picture ------------------------------------------------------------------------------------------------------


def test_clocks_that_are_not_tied_have_axes_of_their_own(frame):
    axes = vl.plot_timeline(frame).figure.axes
    assert [ax.get_xlabel().split()[0] for ax in axes] == ["seconds", "ticks", "ticks"]
    assert "not comparable" in axes[2].get_xlabel()


def test_a_tied_clock_is_drawn_on_the_kernels_axis(core):
    log = core.device_dumps[CRASHED].decode().firmware_log
    anchors = [(0, int(log["timestamp"].iloc[0]), 10**9), (0, int(log["timestamp"].iloc[-1]), 2 * 10**9)]
    axes = vl.plot_timeline(core.timeline(anchors=anchors)).figure.axes
    assert len(axes) == 2
    assert any(CRASHED in label.get_text() for label in axes[0].get_yticklabels())


def test_a_table_is_drawn_like_its_frame(core, frame):
    axes = vl.plot_timeline(core.timeline_table()).figure.axes
    assert len(axes) == len(vl.plot_timeline(frame).figure.axes)


def test_a_dollar_in_a_name_is_no_formula():
    from vmcoredd_lab.timeline_plot import _label

    assert _label("firmware", "a$b$c") == "firmware\na\\$b\\$c"


# -- the command line and the report ----------------------------------------------------------------------------------


def test_the_command_gives_the_frame(lab, shared_data, frame):
    story = shared_data / "vmcore" / "x86_64-story" / "vmcore.d31-zlib.kdump"
    answer = lab("timeline", story, "--format", "json")
    assert answer.status == 0
    assert answer.column("text") == frame["text"].tolist()
    assert "the rate is not known" in answer.err
    panic = next(row for row in answer.json if row["source"] == "panic")
    assert (panic["time"], panic["wall"]) == (3395310717, "2026-11-22T20:38:32.000000000Z")


def test_anchors_on_the_command_line(lab, shared_data):
    story = shared_data / "vmcore" / "x86_64-story" / "vmcore.d31-zlib.kdump"
    answer = lab("timeline", story, "--source", "firmware", "--format", "json",
                 "--anchor", "0000:81:00.4@52000000=1000000000", "--anchor", "1@147275120=2000000000")  # fmt: skip
    times = [row["time"] for row in answer.json if row["device"] == QUIET]
    assert len(times) == 256
    assert None not in times
    assert lab("timeline", story, "--anchor", "nonsense").status == 2


def test_the_report_has_the_timeline_and_the_differences(core, tmp_path):
    vl.write_report(core, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert 'id="timeline"' in page
    assert "not comparable" in page
    assert 'id="differences"' in page
