"""The outbox is read by cursors: every event once, those of a shard in the order of commits."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tams_gateway_vast.reading import outbox
from tams_gateway_vast.reading.cursors import cursor, later, numbers
from tams_gateway_vast.transport.cluster import Transaction
from tams_gateway_vast.writing.plan import Plan
from tams_gateway_vast.writing.state import State

from plugins.vast.tests.reading import SHARDS, Tables, tables
from tams_gateway.events.event import Event
from tams_gateway.storage.changes import Forget
from tams_gateway.storage.errors import StoreError

COUNTS = st.dictionaries(st.integers(0, 4095), st.integers(0, 2**40 - 1), max_size=6)
EVENTS = st.lists(st.tuples(st.integers(0, SHARDS - 1), st.integers(0, 9)), max_size=30)
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def shared() -> Iterator[Tables]:
    with tables() as made:
        yield made


def event(at_ns: int, body: bytes = b"{}") -> Event:
    return Event("flows/updated", at_ns, body, {"flow_id": "f"})


def emit(shared: Tables, events: Sequence[tuple[int, int]]) -> list[tuple[int, Event]]:
    """Append events of these shards and times; return them with their shards."""
    new = [(shard, event(at, str(next(NUMBERS)).encode())) for shard, at in events]
    if new:
        shared.emit(new)
    return new


def forget(shared: Tables, until: str) -> None:
    """Forget the events up to a cursor, as the writer does."""

    def work(transaction: Transaction) -> None:
        plan = Plan()
        outbox.forget(transaction, plan, until)
        plan.send(transaction)

    shared.write(work)


def merged(events: Sequence[tuple[int, Event]]) -> list[Event]:
    """Return events as heads of streams follow each other: an independent reading."""
    streams = {shard: [one for at, one in events if at == shard] for shard, _ in events}
    order = []
    while streams:
        shard = min(streams, key=lambda one: (streams[one][0].at_ns, one))
        order.append(streams[shard].pop(0))
        streams = {one: stream for one, stream in streams.items() if stream}
    return order


@settings(max_examples=20, deadline=None)
@given(
    first=EVENTS,
    second=EVENTS,
    limits=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    forgotten=st.integers(0, 40),
    ahead=st.sampled_from([1, 6, 2000]),
)
def test_pages_hold_each_event_once_and_in_order(
    shared: Tables,
    first: list[tuple[int, int]],
    second: list[tuple[int, int]],
    limits: list[int],
    forgotten: int,
    ahead: int,
) -> None:
    """However long the pages are, while others write, and when the oldest are forgotten."""
    forget(shared, shared.tip())
    start = shared.tip()
    there = emit(shared, first)
    with patch.object(outbox, "_AHEAD", ahead):
        assert merged(there) == shared.events(start, 100).items
        seen, at, turns = list[Event](), None, 0
        while (page := shared.events(at, limits[turns % len(limits)])).items:
            assert len(page.items) == min(limits[turns % len(limits)], len(first) - len(seen))
            seen, at, turns = seen + page.items, page.cursor, turns + 1
        assert merged(there) == seen
        assert page.cursor == (at or start) == shared.tip()

        cut = shared.events(None, forgotten).cursor if forgotten else start
        forget(shared, cut)
        there += emit(shared, second)
        rest = shared.events(cut, 100)
        assert rest == shared.events(None, 100) == shared.events(start, 100)
        gone = seen[:forgotten]
        assert merged([one for one in there if one[1] not in gone]) == rest.items
        forget(shared, start)
        assert rest == shared.events(start, 100)


@pytest.mark.parametrize(
    ("events", "limit", "requests"),
    [
        ([], 10, 3),
        ([(0, 1), (3, 2), (0, 3)], 3, 4),
        ([(0, 1), (0, 2), (0, 3)], 2, 4),
        ([(0, 1), (3, 2), (0, 3)], 2, 5),
    ],
    ids=["nothing new", "all of it", "one shard", "some of several shards"],
)
def test_a_page_is_few_requests(
    shared: Tables, events: list[tuple[int, int]], limit: int, requests: int
) -> None:
    """What is new is known from the shards, so each page asks for just its own events."""
    start = shared.tip()
    assert 3 == shared.requests
    there = emit(shared, events)
    assert merged(there)[:limit] == shared.events(start, limit).items
    assert requests == shared.requests


def test_a_long_past_is_read_evenly_and_its_bodies_only_once(shared: Tables) -> None:
    """A shard that was busy for a day holds up no other, and no page reads more than it returns."""
    start = shared.tip()
    there = emit(shared, [(0, at) for at in range(3000)] + [(1, 30 * at) for at in range(100)])
    assert merged(there[:100] + there[3000:])[:100] == shared.events(start, 100).items
    assert 5 == shared.requests
    assert 100 == shared.server.requests[3].rows
    forget(shared, shared.tip())
    assert [] == shared.events(start, 100).items


def test_of_two_cursors_the_later_is_forgotten_to_in_each_shard() -> None:
    """The order of the changes of one call means nothing."""
    changes = [Forget(cursor({0: 5, 2: 1})), Forget(cursor({0: 2, 1: 3}))]
    for ordered in (changes, changes[::-1]):
        state = State()
        state.make(ordered, 1)
        assert cursor({0: 5, 1: 3, 2: 1}) == state.forget


def test_bodies_of_any_length_come_back(shared: Tables) -> None:
    """An event of a bulk POST tells of all its segments."""
    start, long = shared.tip(), event(1, b"x" * 300_000)
    shared.emit([(2, long)])
    assert [long] == shared.events(start, 1).items


@given(counts=COUNTS, other=COUNTS)
def test_a_cursor_is_one_text_for_its_numbers(
    counts: dict[int, int], other: dict[int, int]
) -> None:
    """It may be compared, and is never longer than a header may be with the usual 256 shards."""
    known = {shard: number for shard, number in counts.items() if number}
    assert known == numbers(cursor(counts))
    assert cursor(later(counts, other)) == cursor(later(other, counts))
    assert cursor(counts) == cursor(later(counts, known))
    assert len(cursor(dict.fromkeys(range(256), 1_000_000))) < 2000


@given(text=st.text(max_size=60) | st.from_regex(r"v[A-Za-z0-9_=-]*", fullmatch=True))
def test_any_other_text_is_refused(text: str) -> None:
    """Cursors come back from clients: no text does anything but name a place, or fail."""
    with suppress(StoreError):
        assert text == cursor(numbers(text))


@pytest.mark.parametrize(
    "text",
    ["", "12", "v=", "v ", "v" + "A" * 50_000, "v\ud800", cursor({0: 10**9}), cursor({4000: 1})],
)
def test_a_cursor_of_another_outbox_is_refused(shared: Tables, text: str) -> None:
    """It would hide what comes until the numbers are as large."""
    with pytest.raises(StoreError, match="begin without one"):
        shared.events(text, 1)
    with pytest.raises(StoreError, match="begin without one"):
        forget(shared, text)
