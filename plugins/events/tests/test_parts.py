"""The parts of the sink by themselves: matching, retries, reading in batches."""

import time
import tracemalloc
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from tams_gateway_events.http import Answer
from tams_gateway_events.matching import Index
from tams_gateway_events.outbox import Outbox
from tams_gateway_events.retries import Retries, recovered
from tams_gateway_events.state import Place, State, mark
from tams_gateway_memory.metadata import MemoryMetadata

from tams_gateway.events.event import Event
from tams_gateway.events.subscription import Subscription, wants
from tams_gateway.storage.changes import Emit, Forget
from tams_gateway.testing.waiting import eventually

from .conftest import Open
from .receiver import Answer as Behaviour
from .receiver import Receiver

IDS = st.sampled_from("abc")
FILTER: Any = st.just(UNSET) | st.lists(IDS, max_size=2).map(tuple)
TYPES = st.sampled_from(["flows/created", "flows/segments_added", "sources/updated"])


@st.composite
def events(draw: st.DrawFn) -> Event:
    type_ = draw(TYPES)
    fields: dict[str, Any] = {
        "source_id": draw(IDS),
        "source_collected_by": draw(st.frozensets(IDS)),
    }
    if type_.startswith("flows/"):
        fields |= {"flow_id": draw(IDS), "flow_collected_by": draw(st.frozensets(IDS))}
    return Event(type_, 0, b"{}", fields)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.builds(
            Subscription, st.lists(TYPES, max_size=2).map(tuple), FILTER, FILTER, FILTER, FILTER
        ),
        max_size=6,
    ),
    events(),
    st.integers(0, 3),
)
def test_the_index_misses_no_webhook_that_wants_an_event(
    asked: list[Subscription], event: Event, removed: int
) -> None:
    """R-WHK-14 to -19."""
    index = Index()
    for number, one in enumerate(asked):
        index.add(str(number), one)
    for number, one in enumerate(asked[:removed]):
        index.remove(str(number), one)

    candidates = index.candidates(event)

    there = {str(number): one for number, one in enumerate(asked) if number >= removed}
    assert candidates <= there.keys()
    assert {id_ for id_, one in there.items() if wants(one, event)} <= candidates


def test_an_index_looks_at_few_of_many() -> None:
    index = Index()
    for number in range(1000):
        index.add(str(number), Subscription(("flows/created",), flow_ids=(f"flow-{number}",)))
    event = Event("flows/created", 0, b"{}", {"flow_id": "flow-7", "source_id": "s"})
    assert index.candidates(event) == {"7"}


def test_matching_a_thousand_webhooks_takes_less_than_a_millisecond() -> None:
    """Whatever they filter by; the worst are those that ask for what nothing collects."""
    index, asked = Index(), {}
    for number in range(1000):
        filters: list[dict[str, Any]] = [
            {"flow_ids": (f"flow-{number}",)},
            {"source_ids": (f"source-{number}", "source-x")},
            {"flow_collected_by_ids": (f"flow-{number}",)},
            {"source_ids": (f"source-{number}",), "flow_collected_by_ids": ()},
            {"flow_collected_by_ids": ()},
        ]
        asked[str(number)] = Subscription(("flows/segments_added",), **filters[number % 5])
        index.add(str(number), asked[str(number)])
    fields = {"flow_id": "flow-7", "source_id": "source-x", "flow_collected_by": frozenset("c")}
    event = Event("flows/segments_added", 0, b"{}", fields)
    began = time.thread_time()
    for _ in range(100):
        wanting = [one for one in index.candidates(event) if wants(asked[one], event)]
    taken = (time.thread_time() - began) / 100

    assert len(wanting) == 200
    assert taken < 0.001, taken


def test_pauses_grow_to_a_bound_and_differ() -> None:
    """R-WHK-24."""
    retries = Retries(1.0, 300.0, 86400.0)
    state = State(Place(None), 1)
    pauses = []
    for _ in range(12):
        state = retries.failed(state, Answer(500), 1000.0)
        pauses.append(state.next_at - 1000.0)
    for number, pause in enumerate(pauses):
        longest = min(2.0**number, 300.0)
        assert longest / 2 <= pause <= longest
    assert (state.attempts, state.failing_since) == (12, 1000.0)
    assert state.failure == "the receiver answered 500"
    others = {retries.failed(state, Answer(500), 0.0).next_at for _ in range(10)}
    assert len(others) > 1
    assert recovered(state) == State(Place(None), 1)
    assert retries.failed(State(Place(None), 1, attempts=10_000), Answer(500), 0.0).next_at <= 300


def test_retry_after_counts_within_bounds() -> None:
    retries = Retries(1.0, 300.0, 86400.0)

    def pause(wish: float) -> float:
        return retries.failed(State(Place(None), 1), Answer(503, "", wish), 0.0).next_at

    assert pause(0) >= 0.5
    assert pause(30) == 30
    assert pause(10**9) == 3600


def test_a_webhook_is_given_up_after_a_time_of_failures_alone() -> None:
    retries = Retries(1.0, 300.0, 100.0)
    state = State(Place(None), 1)
    assert not retries.hopeless(state, 10**9)
    state = retries.failed(state, Answer(error="no"), 50.0)
    assert not retries.hopeless(state, 149.0)
    assert retries.hopeless(retries.failed(state, Answer(error="no"), 150.0), 150.0)
    assert not retries.hopeless(recovered(state), 1000.0)


def emit(metadata: MemoryMetadata, count: int, size: int = 10) -> None:
    made = [Event("flows/updated", n, b"%0*d" % (size, n)) for n in range(count)]
    metadata.apply([Emit(made)])


def test_batches_are_bounded_in_count_and_bytes_and_skip_nothing() -> None:
    for size in (10, 20_000, 3_000_000):
        metadata = MemoryMetadata()
        emit(metadata, 250 if size < 10**6 else 3, size)
        outbox, cursor, found, batches = Outbox(metadata), None, [], []
        while (batch := outbox.read(cursor)).events:
            batches.append(batch)
            found += batch.events
            cursor = batch.end
        assert found == metadata.events(None, 1000).items
        for batch in batches:
            assert len(batch.events) <= 100
            total = sum(len(event.body) for event in batch.events)
            assert total <= 2**20 or len(batch.events) == 1


def test_a_batch_that_is_not_full_is_read_anew_where_that_is_asked_for() -> None:
    metadata = MemoryMetadata()
    emit(metadata, 2)
    outbox = Outbox(metadata)
    assert len(outbox.read(None).events) == 2
    emit(metadata, 1)
    assert len(outbox.read(None).events) == 2
    assert len(outbox.read(None, 3).events) == 3
    emit(metadata, 1)
    assert len(outbox.read(None, anew=True).events) == 4


def test_a_place_whose_events_are_forgotten_counts_nothing() -> None:
    """Else what came behind them would be skipped."""
    metadata = MemoryMetadata()
    emit(metadata, 10)
    before = Outbox(metadata).read(None)
    place = Place(None, 4, mark(before.events[3]))
    assert before.first(place) == 4
    metadata.apply([Forget(metadata.events(None, 2).cursor)])

    assert Outbox(metadata).read(None, 4).first(place) == 0


def test_memory_stays_flat_however_much_is_undelivered(open_site: Open) -> None:
    """Webhooks that are far behind, each at another place, hold no events."""
    site = open_site(retry_first=0.1, retry_longest=0.3, timeout=0.5)
    with Receiver(lambda _: Behaviour(500)) as receiver:
        fields = {"flow_id": "f", "source_id": "s"}
        for number in range(20):
            site.register(f"{receiver.url}/{number}", events=["flows/deleted"])
            body = b'{"x":"%s"}' % (b"x" * 2000)
            made = [Event("flows/deleted", n, body, fields) for n in range(500)]
            site.metadata.apply([Emit(made)])
        assert eventually(lambda: len({one.path for one in receiver.met}) == 20)
        tracemalloc.start()
        receiver.met.clear()
        assert eventually(lambda: len(receiver.met) > 60)
        receiver.met.clear()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    # 20 MB are undelivered, of which the store has one copy.
    assert peak < 6 * 2**20, peak
