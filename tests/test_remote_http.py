"""Web servers: ranges and nothing else, whatever the server does, and never a secret in a message."""

from __future__ import annotations

import pytest
from builders import usual_elf
from object_server import Fault, Server, object_server
from remote_vmcores import large_elf

import vmcoredd_lab as vl
from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.source import open_source
from vmcoredd_lab.source.blocks import BLOCK
from vmcoredd_lab.source.remote import RemoteSource

pytest.importorskip("fsspec", reason="fsspec is not installed: URLs cannot be read")
pytest.importorskip("aiohttp", reason="aiohttp is not installed: http URLs cannot be read")

pytestmark = pytest.mark.usefixtures("no_waiting")

CONTENT = bytes(range(251)) * 16000  # 4 MB, no two blocks alike
FIRST = 64 << 10
SECRETS = ("hunter2", "c0ffee", "X-Amz", "deadbeef")
QUERY = "?X-Amz-Credential=c0ffee&X-Amz-Signature=deadbeefdeadbeef"


@pytest.mark.parametrize(("offset", "size"), [(0, 16), (FIRST - 3, 6), (2_000_000, 300_000), (len(CONTENT) - 5, 99)])
def test_a_range_of_an_object_on_a_web_server(server: Server, offset: int, size: int) -> None:
    server.put(CONTENT)
    source = open_source(server.url())
    assert source.size == len(CONTENT)
    assert source.read(offset, size) == CONTENT[offset : offset + size]


def test_opening_is_one_request_which_brings_the_headers(server: Server) -> None:
    server.put(CONTENT)
    source = open_source(server.url())
    source.read(0, 60_000)
    assert server.ranges == [(0, FIRST - 1)]


def test_a_small_object_comes_with_opening(server: Server) -> None:
    server.put(usual_elf())
    core = vl.open_vmcore(server.url())
    assert len(core.notes_table()) == 5
    assert len(server.asked) == 1


def test_what_is_counted_is_what_the_server_sent(server: Server) -> None:
    server.put(CONTENT)
    source = open_source(server.url())
    assert isinstance(source, RemoteSource)
    for offset in (1_000_000, 3_000_000, 1_000_010):
        source.read(offset, 10_000)
    assert (source.traffic.bytes, source.traffic.requests) == (server.sent, len(server.asked))
    assert source.traffic.hits == 1


def test_the_connection_is_kept(server: Server) -> None:
    server.put(CONTENT)
    source = open_source(server.url())
    for offset in range(0, len(CONTENT), 400_000):
        source.read(offset, 100)
    assert len({one.client for one in server.asked}) == 1


def test_an_empty_object_is_named_so(server: Server) -> None:
    server.put(b"")
    with pytest.raises(OpenError, match="the file is empty"):
        open_source(server.url())


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=503, headers={"Retry-After": "0"}),
        Fault(status=429),
        Fault(lost=0),
        Fault(lost=30_000),
        Fault(most=30_000),
        Fault(shifted=512),
        Fault(whole=True),
        Fault(silent=True),
    ],
    ids=str,
)
def test_what_passes_is_tried_again(server: Server, fault: Fault) -> None:
    served = server.put(CONTENT)
    source = RemoteSource(server.url(), timeout=0.5 if fault.silent else 30)
    served.faults.extend([fault, fault])
    assert source.read(2_000_000, 100_000) == CONTENT[2_000_000:2_100_000]
    assert not served.faults


@pytest.mark.parametrize(
    "fault", [Fault(status=500), Fault(lost=30_000), Fault(shifted=512), Fault(silent=True)], ids=str
)
def test_what_passes_on_opening_is_tried_again(server: Server, fault: Fault) -> None:
    served = server.put(CONTENT)
    served.faults.append(fault)
    assert RemoteSource(server.url(), timeout=0.5 if fault.silent else 30).read(0, 100) == CONTENT[:100]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(status=401), "401 Unauthorized"),
        (Fault(status=403), "403 Forbidden"),
        (Fault(status=404), "no such object"),
        (Fault(status=410), "no such object"),
        (Fault(status=418), "refuses"),
        (Fault(status=500), "500 Internal Server Error"),
        (Fault(status=503), "503 Service Unavailable"),
        (Fault(lost=10), "lost"),
        (Fault(headers={"Content-Range": ""}), "without saying which"),
        (Fault(headers={"Content-Range": "bytes 0-65535/*"}), "of how many bytes"),
        (Fault(headers={"Content-Encoding": "gzip"}), "compressed on the way"),
        (Fault(shifted=512), "another range"),
    ],
    ids=str,
)
def test_what_does_not_pass_is_an_error_of_opening(server: Server, fault: Fault, says: str) -> None:
    server.put(CONTENT).always = fault
    with pytest.raises(OpenError, match=says) as error:
        open_source(server.url(user="me:hunter2") + QUERY)
    assert error.value.path == server.url()
    assert not any(secret in str(error.value) for secret in SECRETS)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(status=403), "403 Forbidden"),
        (Fault(status=404), "the object is gone"),
        (Fault(status=416), "416"),
        (Fault(status=502), "502 Bad Gateway"),
        (Fault(whole=True), "the whole object where a range was asked for"),
        (Fault(lost=100), "lost"),
        (Fault(most=10), "shorter"),
    ],
    ids=str,
)
def test_what_does_not_pass_later_says_at_which_offset(server: Server, fault: Fault, says: str) -> None:
    served = server.put(CONTENT)
    source = open_source(server.url(user="me:hunter2") + QUERY)
    served.always = fault
    with pytest.raises(OpenError, match=says) as error:
        source.read(2_000_000, 10)
    assert 2_000_000 - BLOCK <= (error.value.offset or 0) <= 2_000_000
    assert not any(secret in str(error.value) for secret in SECRETS)


def test_a_missing_object(server: Server) -> None:
    with pytest.raises(OpenError, match="no such object"):
        open_source(server.url("/nothing"))


def test_a_server_that_is_not_there() -> None:
    with object_server() as server:
        url = server.url()
    with pytest.raises(OpenError, match="Connection refused"):
        open_source(url)


def test_a_server_that_goes_away(server: Server) -> None:
    server.put(CONTENT)
    source = open_source(server.url())
    server.stop()
    with pytest.raises(OpenError, match="cannot be read"):
        source.read(2_000_000, 10)


def test_a_small_object_of_a_server_without_ranges_is_taken_whole(server: Server) -> None:
    server.put(CONTENT).always = Fault(whole=True)
    source = open_source(server.url())
    assert source.read(3_000_000, 1000) == CONTENT[3_000_000:3_001_000]
    assert len(server.asked) == 1


def test_so_is_one_of_unknown_size(server: Server) -> None:
    server.put(CONTENT).always = Fault(whole=True, endless=True)
    assert open_source(server.url()).read(0, len(CONTENT)) == CONTENT


@pytest.mark.parametrize(
    "fault", [Fault(whole=True), Fault(whole=True, endless=True)], ids=["its size said", "not said"]
)
def test_a_large_object_of_a_server_without_ranges_does_not_come(
    server: Server, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vmcoredd_lab.source import remote_http

    monkeypatch.setattr(remote_http, "SMALL", 1 << 20)
    server.put(large_elf([], dump_size=0, memory=64 << 30)).always = fault
    with pytest.raises(OpenError, match="does not answer ranges") as error:
        open_source(server.url())
    assert "download it first" in (error.value.hint or "")
    assert server.sent < 32 << 20  # what buffers on the way take


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"ETag": '"first"'}, {"ETag": '"second"'}),
        ({"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}, {"Last-Modified": "Tue, 02 Jan 2024 00:00:00 GMT"}),
    ],
    ids=["ETag", "Last-Modified"],
)
def test_an_object_that_changes_is_noticed(server: Server, before: dict[str, str], after: dict[str, str]) -> None:
    server.put(CONTENT, headers=before)
    source = open_source(server.url())
    server.put(CONTENT[::-1], headers=after)
    with pytest.raises(OpenError, match="changed while it was read") as error:
        source.read(2_000_000, 10)
    name, old = next(iter(before.items()))
    assert (error.value.expected, error.value.got) == (f"{name} {old}", after[name])


@pytest.mark.parametrize("size", [3_000_000, 1_000_000], ids=["shorter", "too short for the range"])
def test_an_object_that_is_cut_meanwhile_is_noticed(server: Server, size: int) -> None:
    server.put(CONTENT, headers={})
    source = open_source(server.url())
    server.put(CONTENT[:size], headers={})
    with pytest.raises(OpenError, match="changed while it was read") as error:
        source.read(2_000_000, 10)
    assert (error.value.expected, error.value.got) == ("4,016,000 bytes", f"{size:,} bytes")


def test_a_weak_etag_is_compared_as_any_other(server: Server) -> None:
    server.put(CONTENT, headers={"ETag": 'W/"first"'})
    source = open_source(server.url())
    server.put(CONTENT, headers={"ETag": '"first"'})
    assert source.read(2_000_000, 4) == CONTENT[2_000_000:2_000_004]


def test_user_and_password_go_to_the_server_and_nowhere_else(server: Server) -> None:
    server.put(CONTENT)
    source = open_source(server.url(user="me:hunter2") + QUERY)
    assert server.asked[0].headers["Authorization"] == "Basic bWU6aHVudGVyMg=="
    assert server.asked[0].path == f"/crash/vmcore{QUERY}"
    assert source.name == server.url()


def test_an_address_that_is_quoted_already_goes_out_as_it_is(server: Server) -> None:
    server.put(CONTENT, "/crash/a%2Fb%20c")
    open_source(server.url("/crash/a%2Fb%20c") + "?sig=a%2Bb%2Fc%3D")
    assert server.asked[0].path == "/crash/a%2Fb%20c?sig=a%2Bb%2Fc%3D"
