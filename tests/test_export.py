"""Exports: read back with the consumers' own code where it is at hand."""

from __future__ import annotations

import csv
import json
import shutil
from datetime import datetime

import pytest
from builders import device_dump, elf, notes
from cudbg_builder import DEV_LOG, Entity, cudbg, log_entry, usual
from hypothesis import given
from hypothesis import strategies as st

import vmcoredd_lab as vl
from vmcoredd_lab.analysis.timeline import timeline_table
from vmcoredd_lab.export import pieces
from vmcoredd_lab.export.protobuf import varint
from vmcoredd_lab.opening import opened_of

perfetto_trace_pb2 = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2")


@pytest.fixture(scope="module")
def story(shared_data):
    return shared_data / "vmcore" / "x86_64-story" / "vmcore.d31-zlib.kdump"


@pytest.fixture(scope="module")
def events(story):
    return vl.open_vmcore(story).timeline_table()


def trace(table):
    parsed = perfetto_trace_pb2.Trace()
    parsed.ParseFromString(b"".join(pieces(table, "perfetto")))
    return parsed


def without_kernel():
    """Events of a file that has no kernel time at all."""
    return timeline_table(opened_of(vl.open_device_dump(bytes(usual()))))


# -- Perfetto ---------------------------------------------------------------------------------------------------------


def test_every_event_is_an_instant_of_the_trace(events):
    packets = [p for p in trace(events).packet if p.HasField("track_event")]
    assert len(packets) == len(events)
    assert {p.track_event.type for p in packets} == {3}
    assert sorted(p.track_event.name for p in packets) == sorted(events.values("text"))


def test_kernel_events_are_at_their_time(events):
    at = {(row["text"], row["time"]) for row in events.records() if row["source"] == "dmesg"}
    parsed = trace(events)
    kernel = next(p.track_descriptor.uuid for p in parsed.packet if p.track_descriptor.name == "dmesg")
    found = {
        (p.track_event.name, p.timestamp)
        for p in parsed.packet
        if p.track_event.track_uuid == kernel and p.HasField("timestamp")
    }
    assert found == at


def test_a_lane_that_is_not_tied_says_so_and_ends_at_the_collection(events):
    parsed = trace(events)
    tracks = {p.track_descriptor.uuid: p.track_descriptor.name for p in parsed.packet if p.HasField("track_descriptor")}
    loose = [uuid for uuid, name in tracks.items() if "not comparable" in name]
    assert len(loose) == 2
    stamps = [(p.track_event.track_uuid, p.timestamp) for p in parsed.packet if p.HasField("track_event")]
    end = max(at for uuid, at in stamps if tracks[uuid].startswith("collection"))
    for uuid in loose:
        assert max(at for track, at in stamps if track == uuid) == end


def test_every_track_has_the_root_as_parent(events):
    described = [p.track_descriptor for p in trace(events).packet if p.HasField("track_descriptor")]
    root = described[0]
    assert all(track.parent_uuid == root.uuid for track in described[1:])


def test_raw_ticks_and_places_are_arguments(events):
    parsed = trace(events)
    arguments = [
        {a.name: a.uint_value or a.string_value for a in p.track_event.debug_annotations}
        for p in parsed.packet
        if p.HasField("track_event")
    ]
    crash = next(a for a in arguments if a.get("tick") == 150491587)
    assert crash["where"].startswith("entity:cxgb4_0000:02:00.4/dev_log")


def test_the_snapshot_relates_time_since_boot_to_the_date(events, story):
    snapshot = next(p.clock_snapshot for p in trace(events).packet if p.HasField("clock_snapshot"))
    clocks = {c.clock_id: c.timestamp for c in snapshot.clocks}
    assert clocks[1] == vl.open_vmcore(story).vmcoreinfo.crash_seconds * 10**9


def test_a_file_without_kernel_time_makes_a_trace_too():
    table = without_kernel()
    assert len([p for p in trace(table).packet if p.HasField("track_event")]) == len(table)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=8))
def test_any_ticks_make_a_trace(ticks):
    log = b"".join(log_entry(n, timestamp=t) for n, t in enumerate(ticks))
    table = timeline_table(opened_of(vl.open_device_dump(bytes(cudbg(Entity(DEV_LOG, log))))))
    assert len([p for p in trace(table).packet if p.HasField("track_event")]) == len(table)


@given(st.integers(0, 2**64 - 1))
def test_varints_are_those_of_protobuf(value):
    packet = perfetto_trace_pb2.TracePacket(timestamp=value)
    assert packet.SerializeToString() == b"\x40" + varint(value)


def test_hostile_text_is_escaped():
    log = log_entry(1, b"\x1b[2J\xff<script>", timestamp=5)
    name = b"cxgb4_\x1b[2J"
    core = vl.open_vmcore(elf(notes(device_dump(name, bytes(cudbg(Entity(DEV_LOG, log)))))))
    for form in ("perfetto", "timesketch-jsonl", "timesketch-csv"):
        assert b"\x1b" not in b"".join(pieces(core.timeline_table(), form))


def test_perfettos_own_trace_processor_reads_the_trace(events, tmp_path):
    program = shutil.which("trace_processor_shell") or shutil.which("trace_processor")
    if program is None:
        pytest.skip("no trace_processor_shell on PATH (perfetto.dev; the Python package brings its classes only)")
    processor = pytest.importorskip("perfetto.trace_processor")
    path = tmp_path / "crash.pftrace"
    path.write_bytes(b"".join(pieces(events, "perfetto")))
    config = processor.TraceProcessorConfig(bin_path=program)
    with processor.TraceProcessor(trace=str(path), config=config) as tp:
        assert next(iter(tp.query("select count(*) as n from slice"))).n == len(events)
        names = {row.name for row in tp.query("select distinct name from track")}
        assert {"dmesg", "panic"} <= names


# -- Timesketch -------------------------------------------------------------------------------------------------------


def sketch(table):
    return [json.loads(line) for line in b"".join(pieces(table, "timesketch-jsonl")).splitlines()]


def test_every_line_has_what_timesketch_asks_for(events):
    lines = sketch(events)
    assert len(lines) == len(events)
    for line in lines:
        assert line["message"] is not None
        assert line["timestamp_desc"]
        moment = datetime.fromisoformat(line["datetime"])
        assert round(moment.timestamp() * 10**6) == line["timestamp"]


def test_dates_of_the_kernel_log_are_those_of_the_crash(events):
    panic = next(line for line in sketch(events) if line["source"] == "panic")
    assert panic["datetime"] == "2026-11-22T20:38:32.000000+00:00"
    assert panic["timestamp_desc"] == "Event Logged"


def test_what_has_only_an_order_keeps_it_and_says_so(events):
    lane = [line for line in sketch(events) if line["source"] == "firmware" and line["device"] == "cxgb4_0000:81:00.4"]
    assert {line["timestamp_desc"] for line in lane} == {"Order only (own clock, not tied to the kernel's)"}
    assert [line["seq"] for line in sorted(lane, key=lambda line: line["timestamp"])] == [line["seq"] for line in lane]
    assert len({line["timestamp"] for line in lane}) == len(lane)


def test_csv_says_the_same_as_json(events):
    text = b"".join(pieces(events, "timesketch-csv")).decode()
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["message"] for row in rows] == [line["message"] for line in sketch(events)]
    assert list(rows[0])[:4] == ["message", "datetime", "timestamp", "timestamp_desc"]


def test_without_dates_the_epoch_stands_for_the_boot():
    assert all(line["datetime"].startswith("1970-01-01") for line in sketch(without_kernel()))


# -- the command line -------------------------------------------------------------------------------------------------


def test_the_suffix_chooses_the_format(lab, story, tmp_path):
    for name, first in (("a.pftrace", b"\n"), ("a.jsonl", b"{"), ("a.csv", b"source,"), ("a.parquet", b"PAR1")):
        assert lab("timeline", story, "-o", tmp_path / name).status == 0
        assert (tmp_path / name).read_bytes().startswith(first)


def test_the_firmware_log_exports_alike(lab, story, tmp_path):
    assert lab("firmware-log", story, "--dump", "1", "-o", tmp_path / "log.pftrace").status == 0
    parsed = perfetto_trace_pb2.Trace()
    parsed.ParseFromString((tmp_path / "log.pftrace").read_bytes())
    assert len([p for p in parsed.packet if p.HasField("track_event")]) == 256
    lines = lab("firmware-log", story, "--format", "timesketch-jsonl").out.splitlines()
    assert {json.loads(line)["device"] for line in lines} == {"cxgb4_0000:02:00.4"}


def test_the_kernel_log_exports_what_is_shown(lab, story, tmp_path):
    assert lab("dmesg", story, "--level", "err+", "-o", tmp_path / "log.jsonl").status == 0
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    shown = lab("dmesg", story, "--level", "err+", "--format", "json").json
    assert [line["message"] for line in lines] == [row["text"] for row in shown]


def test_a_trace_is_not_for_a_terminal(lab, story):
    assert lab("timeline", story, "--format", "perfetto").status == 2


def test_python_writes_the_same_file(story, tmp_path):
    core = vl.open_vmcore(story)
    size = vl.export_timeline(core, tmp_path / "a.pftrace")
    assert (tmp_path / "a.pftrace").read_bytes() == b"".join(pieces(core.timeline_table(), "perfetto"))
    assert size == (tmp_path / "a.pftrace").stat().st_size
    with pytest.raises(vl.UsageError, match="perfetto"):
        vl.export_timeline(core, tmp_path / "a.txt")
