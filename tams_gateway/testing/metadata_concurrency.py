"""The contract of metadata stores: many threads."""

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from tams_gateway.domain.timerange import Span
from tams_gateway.events.event import Event
from tams_gateway.storage.changes import AddSegments, Emit, Expect, Forget, Put
from tams_gateway.storage.errors import ConflictError, OverlapError
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import SegmentQuery
from tams_gateway.testing.metadata_samples import (
    THING,
    TIMED,
    all_segments,
    flow,
    put,
    record_of,
    segment,
)

T = TypeVar("T")

ROUNDS: Final = 25
"""How often each writer of a clause writes."""

_THREADS: Final = 8
_PATIENCE: Final = 10_000
"""Conflicts in a row."""


def at_once(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Run the tasks in threads that begin together; return what they return."""
    barrier = threading.Barrier(len(tasks))

    def run(task: Callable[[], T]) -> T:
        barrier.wait()
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


def while_writing(
    writers: Sequence[Callable[[], object]], readers: Sequence[Callable[[Callable[[], bool]], T]]
) -> list[T]:
    """Run readers beside writers; return what the readers return.

    Readers get a function that says whether all writers have ended, also by an error.
    """
    barrier = threading.Barrier(len(writers) + len(readers))

    def write(writer: Callable[[], object]) -> None:
        barrier.wait()
        writer()

    def read(reader: Callable[[Callable[[], bool]], T]) -> T:
        barrier.wait()
        return reader(lambda: all(one.done() for one in writing))

    with ThreadPoolExecutor(barrier.parties) as pool:
        writing = [pool.submit(write, writer) for writer in writers]
        reading = [pool.submit(read, reader) for reader in readers]
        for one in writing:
            one.result()
        return [one.result() for one in reading]


def count_up(store: MetadataStore, rounds: int) -> None:
    """Add one to a counter by compare and swap, so many times."""
    for _ in range(rounds):
        for _ in range(_PATIENCE):
            record = record_of(store, "counter")
            try:
                store.apply(
                    [
                        Put(THING, "counter", b"%d" % (int(record.body) + 1), {}, record.version),
                        put("beside"),
                    ]
                )
            except ConflictError:
                continue
            break
        else:
            raise AssertionError("each apply conflicts, though what it expects was just read")


def claim(store: MetadataStore, who: str, rounds: int) -> list[int]:
    """Try to add a segment of one's own in each round's place; return the rounds won."""
    won = []
    for round_ in range(rounds):
        start = round_ * 100 + random.Random(who).randrange(40)
        try:
            store.apply([AddSegments("contested", 0, [segment(start, start + 50, who)], 1)])
        except OverlapError:
            continue
        won.append(round_)
    return won


def emit(store: MetadataStore, who: str, rounds: int) -> None:
    """Write numbered events, one commit each."""
    for number in range(rounds):
        store.apply([Emit([Event("flows/updated", number, b"", {"flow_id": who})])])


def follow(store: MetadataStore, is_over: Callable[[], bool]) -> dict[str, list[int]]:
    """Read the events by cursor to the last one of all writers; return their numbers by flow."""
    seen: dict[str, list[int]] = {}
    cursor, over = None, False
    while True:
        over = is_over()
        page = store.events(cursor, 7)
        cursor = page.cursor
        for event in page.items:
            seen.setdefault(str(event.fields["flow_id"]), []).append(event.at_ns)
        if over and not page.items:
            return seen


class ThreadsContract:
    """What a metadata store promises to the threads of one process."""

    def test_of_overlapping_adds_exactly_one_wins(self, store: MetadataStore) -> None:
        """Eight recorders that send the same minute leave one segment, not two."""
        names = [f"thread-{number}" for number in range(_THREADS)]
        won = at_once([lambda name=name: claim(store, name, ROUNDS) for name in names])  # type: ignore[misc]
        assert list(range(ROUNDS)) == sorted(round_ for rounds in won for round_ in rounds)
        assert ROUNDS == len(all_segments(store, "contested"))

    def test_compare_and_swap_loses_no_step(self, store: MetadataStore) -> None:
        """Eight clients that set different tags of one flow at once all find theirs there."""
        store.apply([Put(THING, "counter", b"0")])
        at_once([lambda: count_up(store, ROUNDS)] * _THREADS)
        assert b"%d" % (_THREADS * ROUNDS) == record_of(store, "counter").body

    def test_writers_of_one_flow_do_not_conflict(self, store: MetadataStore) -> None:
        """Adding segments moves no version: what every POST expects of its flow stays true."""
        store.apply([flow("f")])
        version = record_of(store, "f", TIMED).version

        def write(writer: int) -> None:
            for at in range(writer, 400, _THREADS):
                new = AddSegments("f", 0, [segment(at, at + 1)], at)
                store.apply([Expect(TIMED, "f", version), new])

        at_once([lambda writer=writer: write(writer) for writer in range(_THREADS)])  # type: ignore[misc]
        assert 400 == len(all_segments(store, "f"))
        touched = record_of(store, "f", TIMED).touched
        assert touched is not None
        assert touched >= 399

    def test_one_failing_apply_hurts_no_other(self, store: MetadataStore) -> None:
        """Where a store commits in groups, one caller's conflict is that caller's alone."""

        def write(writer: int) -> None:
            for round_ in range(ROUNDS):
                good = put(f"{writer}-{round_}")
                if writer % 2:
                    store.apply([good])
                    continue
                try:
                    store.apply([good, Expect(THING, "nowhere", 1)])
                except ConflictError:
                    continue
                raise AssertionError("an apply with a failing expectation was made")

        at_once([lambda writer=writer: write(writer) for writer in range(_THREADS)])  # type: ignore[misc]
        names = [f"{writer}-{round_}" for writer in range(_THREADS) for round_ in range(ROUNDS)]
        made = {name for name in names if int(name[0]) % 2}
        assert made == set(store.get(THING, names))

    def test_a_reader_never_sees_half_an_apply(self, store: MetadataStore) -> None:
        """Two records of one change tell the same story to whoever reads meanwhile."""
        store.apply([put("a", {"number": 0}), put("b", {"number": 0})])

        def write() -> None:
            for number in range(1, 8 * ROUNDS):
                store.apply([put("a", {"number": number}), put("b", {"number": number})])

        def read(is_over: Callable[[], bool]) -> int:
            torn = 0
            while not is_over():
                found = store.get(THING, ["a", "b"])
                torn += found["a"].fields != found["b"].fields
            return torn

        assert [0, 0] == while_writing([write], [read, read])

    def test_what_an_event_tells_of_is_there(self, store: MetadataStore) -> None:
        """An event is sent on at once: a receiver that asks for the flow must find it."""

        def write() -> None:
            for number in range(4 * ROUNDS):
                event = Event("flows/created", number, b"")
                new = AddSegments("told", 0, [segment(number, number + 1)], 1)
                store.apply([Emit([event]), new, put(f"told-{number}")])

        def read(is_over: Callable[[], bool]) -> int:
            cursor, missing = None, 0
            while not is_over():
                page = store.events(cursor, 10)
                cursor = page.cursor
                names = [f"told-{event.at_ns}" for event in page.items]
                missing += len(names) - len(store.get(THING, names))
                for event in page.items[-1:]:
                    span = Span(event.at_ns, event.at_ns + 1)
                    missing += not store.segments(SegmentQuery("told", 0, span)).items
            return missing

        assert [0, 0] == while_writing([write], [read, read])

    def test_a_reader_of_events_misses_none_while_others_write(self, store: MetadataStore) -> None:
        """Also those that commit late; and of one flow they come in order."""
        names = [f"writer-{number}" for number in range(_THREADS - 1)]
        expected = {name: list(range(ROUNDS)) for name in names}
        writers = [lambda name=name: emit(store, name, ROUNDS) for name in names]
        assert [expected] == while_writing(writers, [lambda over: follow(store, over)])
        store.apply([Forget(store.tip())])
        assert [] == store.events(None, 10).items
