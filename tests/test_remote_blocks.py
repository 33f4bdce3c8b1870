"""Remote files, without a network: the cache of blocks, reading ahead, trying again."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmcoredd_lab.errors import OpenError, VmcoreddLabError
from vmcoredd_lab.source import remote
from vmcoredd_lab.source.blocks import BLOCK, BlockCache, ReadAhead
from vmcoredd_lab.source.remote import RemoteSource
from vmcoredd_lab.source.transport import ChangedError, Identity, InterruptedReadError, Transport

pytestmark = pytest.mark.usefixtures("no_waiting")

CONTENT = bytes(range(251)) * 16000  # 4 MB, no two blocks alike


class Scripted(Transport):
    """Bytes in memory. Each element of `script` is what one fetch does: an error, or how many bytes it gives at most."""

    def __init__(self, data: bytes, *script: Any, head: int = 0) -> None:
        self.name, self.data, self.script, self.head = "scripted", data, deque(script), data[:head]
        self.fetched: list[tuple[int, int]] = []
        self.states: deque[Exception | bool] = deque()

    def open(self) -> None:
        self.identity = Identity(len(self.data))

    def fetch(self, start: int, stop: int, into: bytearray) -> None:
        self.fetched.append((start, stop))
        step = self.script.popleft() if self.script else None
        if isinstance(step, Exception):
            raise step
        into += self.data[start : stop if step is None else min(stop, start + step)]

    def check(self) -> bool:
        state = self.states.popleft() if self.states else False
        if isinstance(state, Exception):
            raise state
        return state


def lost(wait: float = 0.0) -> InterruptedReadError:
    return InterruptedReadError("the line went dead", wait)


def blocks_of(transport: Scripted) -> list[tuple[int, int]]:
    """The requests in blocks."""
    return [(start // BLOCK, -(-stop // BLOCK)) for start, stop in transport.fetched]


PLAN = st.lists(st.tuples(st.integers(0, 40 * BLOCK), st.integers(0, 9 * BLOCK)), max_size=30)


@given(PLAN, st.sampled_from([0, BLOCK, 3 * BLOCK, 1 << 30]), st.sampled_from([0, 5, 2 * BLOCK]))
def test_whatever_is_read_in_whatever_order_is_what_the_object_holds(
    plan: list[tuple[int, int]], cache: int, head: int
) -> None:
    data = CONTENT[: 37 * BLOCK + 11]
    source = RemoteSource(Scripted(data, head=head), cache_size=cache)
    for offset, size in plan:
        assert bytes(source.view(offset, size)) == data[offset : offset + size] == source.read(offset, size)


def test_what_was_read_once_needs_no_further_request() -> None:
    transport = Scripted(CONTENT)
    source = RemoteSource(transport)
    source.read(100, 50_000)
    fetched = list(transport.fetched)
    for offset, size in ((0, 10), (100, 50_000), (49_999, 1)):
        source.read(offset, size)
    assert transport.fetched == fetched
    assert (source.traffic.requests, source.traffic.hits) == (1 + len(fetched), 3)


def test_a_single_read_somewhere_brings_its_block_and_one_more() -> None:
    transport = Scripted(CONTENT)
    RemoteSource(transport).read(10 * BLOCK + 5, 20)
    assert blocks_of(transport) == [(10, 12)]


def test_neighbouring_blocks_that_are_missing_are_one_request() -> None:
    transport = Scripted(CONTENT)
    source = RemoteSource(transport)
    source.read(0, 1)  # with one ahead: 0 and 1
    source.read(6 * BLOCK, 1)  # 6 and 7
    transport.fetched.clear()
    source.read(0, 7 * BLOCK)
    assert blocks_of(transport) == [(2, 6)]


def test_reading_on_reads_further_ahead_each_time() -> None:
    transport = Scripted(CONTENT)
    source = RemoteSource(transport)
    for offset in range(0, len(CONTENT), 1000):
        source.read(offset, 1000)
    sizes = [stop - start for start, stop in blocks_of(transport)]
    assert sizes[:-1] == [1 + (1 << n) for n in range(len(sizes) - 1)]


def test_two_places_read_in_turn_are_both_read_ahead() -> None:
    transport = Scripted(CONTENT)
    source = RemoteSource(transport)
    for offset in range(0, 1 << 20, 4096):
        source.read(offset, 4096)
        source.read((2 << 20) + offset, 4096)
    assert len(transport.fetched) <= 2 * 7


def test_reading_ahead_has_a_limit() -> None:
    ahead, first = ReadAhead(), 0
    for _ in range(40):
        first += 1 + ahead.blocks(first, first + 1)
    assert ahead.blocks(first, first + 1) == ReadAhead.MOST


def test_reading_ahead_stops_at_what_is_there_and_at_the_end() -> None:
    transport = Scripted(CONTENT[: 5 * BLOCK + 1])
    source = RemoteSource(transport)
    source.read(4 * BLOCK, 1)
    source.read(3 * BLOCK, 1)
    source.read(5 * BLOCK, 1)
    assert transport.fetched == [(4 * BLOCK, 5 * BLOCK + 1), (3 * BLOCK, 4 * BLOCK)]


def test_the_cache_never_holds_more_than_its_limit() -> None:
    cache = BlockCache(10 * BLOCK)
    for number in range(0, 100, 3):
        cache.put(number, bytes(3 * BLOCK))
        assert cache.size <= 10 * BLOCK
    assert [number for number in range(110) if number in cache] == list(range(92, 102))


def test_the_blocks_that_were_used_last_stay() -> None:
    cache = BlockCache(3 * BLOCK)
    for number in (1, 2, 3):
        cache.put(number, bytes(BLOCK))
    cache.get(1)
    cache.put(4, bytes(BLOCK))
    assert [number for number in range(6) if number in cache] == [1, 3, 4]


def test_a_large_read_is_several_requests_so_that_a_loss_costs_one() -> None:
    data = bytes(20 << 20)
    transport = Scripted(data)
    assert RemoteSource(transport).read(0, len(data)) == data
    assert transport.fetched == [(0, 8 << 20), (8 << 20, 16 << 20), (16 << 20, 20 << 20)]


def test_a_read_that_no_machine_has_memory_for_is_refused() -> None:
    transport = Scripted(b"small")
    source = RemoteSource(transport)
    source.size = 1 << 40
    with pytest.raises(VmcoreddLabError, match="too much"):
        source.read(0, 1 << 40)
    assert not transport.fetched


def test_many_threads_read_the_right_bytes() -> None:
    source = RemoteSource(Scripted(CONTENT), cache_size=8 * BLOCK)
    places = [(n * 7919) % (len(CONTENT) - 5000) for n in range(400)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda at: source.read(at, 5000), places))
    assert found == [CONTENT[at : at + 5000] for at in places]


# -- tries ------------------------------------------------------------------------------------------------------------


def test_a_lost_connection_is_tried_again_where_it_broke() -> None:
    transport = Scripted(CONTENT, lost(), 1000, lost())
    assert RemoteSource(transport).read(0, 2000) == CONTENT[:2000]
    assert transport.fetched[-1] == (1000, 2 * BLOCK)


def test_waits_double_from_try_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "BACKOFF", 0.25)
    waits: list[float] = []
    source = RemoteSource(Scripted(CONTENT, *[lost()] * 5), sleep=waits.append)
    source.read(0, 10)
    assert waits == [0.25, 0.5, 1, 2, 4]


def test_a_server_that_asks_for_patience_gets_it() -> None:
    waits: list[float] = []
    RemoteSource(Scripted(CONTENT, lost(wait=7)), sleep=waits.append).read(0, 10)
    assert waits == [7]


def test_tries_end_with_an_error_that_says_where_and_how_much() -> None:
    source = RemoteSource(Scripted(CONTENT, 1000, *[lost()] * 9))
    with pytest.raises(OpenError, match=r"the line went dead \(6 tries\)") as error:
        source.read(10 * BLOCK, 2000)
    e = error.value
    assert (e.path, e.offset, e.expected, e.got) == ("scripted", 10 * BLOCK + 1000, "65,536 bytes", "1,000 bytes")
    assert e.hint


def test_a_failed_read_is_remembered_though_a_later_one_succeeds() -> None:
    source = RemoteSource(Scripted(CONTENT, *[lost()] * 6))
    with pytest.raises(OpenError):
        source.read(0, 10)
    assert source.read(0, 10) == CONTENT[:10]
    assert source.failure is not None


def test_each_mib_that_came_allows_another_try() -> None:
    data = bytes(8 << 20)
    transport = Scripted(data, *[1 << 20, lost()] * 7)
    assert RemoteSource(transport).read(0, 8 << 20) == data


def test_answers_that_stop_early_are_taken_as_long_as_they_bring_something() -> None:
    transport = Scripted(CONTENT, *[BLOCK] * 40)
    assert RemoteSource(transport).read(0, 40 * BLOCK) == CONTENT[: 40 * BLOCK]


def test_answers_without_bytes_are_not_asked_for_without_end() -> None:
    transport = Scripted(CONTENT, *[0] * 100)
    with pytest.raises(OpenError, match="shorter than what was asked for"):
        RemoteSource(transport).read(0, 10)
    assert len(transport.fetched) == transport.tries


def test_bytes_of_an_object_that_changed_meanwhile_are_not_given_out() -> None:
    transport = Scripted(CONTENT)
    source = RemoteSource(transport)
    transport.states.append(ChangedError("mtime 1", "mtime 2"))
    with pytest.raises(OpenError, match="changed while it was read") as error:
        source.read(0, 10)
    assert (error.value.expected, error.value.got) == ("mtime 1", "mtime 2")
    assert len(transport.fetched) == 1
