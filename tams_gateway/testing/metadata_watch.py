"""The contract of metadata stores that can be watched: no change of what is watched is missed."""

from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Final, Protocol, runtime_checkable

import msgspec
import pytest

from tams_gateway.events.event import Event
from tams_gateway.storage.capabilities import SupportsBackup, SupportsWatch, Watch
from tams_gateway.storage.changes import (
    AddSegments,
    Change,
    Delete,
    DropSegments,
    Emit,
    Expect,
    Put,
)
from tams_gateway.storage.content import KindEntry
from tams_gateway.storage.errors import ConflictError, OverlapError
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import SegmentQuery
from tams_gateway.storage.records import Kind, Record
from tams_gateway.testing.apart import killed_at_each_step
from tams_gateway.testing.metadata_concurrency import ROUNDS, while_writing
from tams_gateway.testing.metadata_processes import Worker
from tams_gateway.testing.metadata_samples import THING, TIMED, flow, put, record_of, segment
from tams_gateway.testing.opening import Opener

CHANGES: Final[Mapping[str, Sequence[Change]]] = {
    "a new record": [put("w")],
    "a record put again": [put("w")],
    "a record of another kind": [flow("w")],
    "a record of a kind that is new": [Put(Kind("kit_watched", {}), "w", b"")],
    "new segments": [AddSegments("w", 0, [segment(0, 1), segment(1, 2)], 1)],
    "no new segment, which moves `touched`": [AddSegments("w", 0, [], 1)],
    "segments of another life": [AddSegments("w", 7, [segment(0, 1)], 1)],
    "segments that go": [DropSegments("w", 0, [segment(0, 1)], 1)],
    "none that goes, which moves `touched`": [DropSegments("w", 0, [], 1)],
    "one change among others": [put("x"), Emit([Event("flows/updated", 1, b"")]), flow("w")],
    "a record that goes": [Delete(THING, "w")],
    "one of another kind that goes": [flow("x"), Delete(TIMED, "w")],
    "segments whose record is gone": [DropSegments("w", 0, [segment(1, 2)], 1)],
}
"""Each way to change what has the id `w`, one behind the other."""

_OTHERS: Final = [f"other-{number}" for number in range(200)]

_MANY: Final = [f"many-{number}" for number in range(20)]
"""The ids that one commit changes in a process that is killed."""


@runtime_checkable
class WatchedStore(MetadataStore, SupportsWatch, Protocol):
    """A metadata store that tells when what was read of it may have changed."""


class Counter(msgspec.Struct):
    """The number in an id's record and in its segments, as its writer moves them on together.

    `acknowledged` is the last one of which the writer knows that it is written.
    """

    name: str
    acknowledged: int = 0

    def write(self, store: MetadataStore, number: int) -> None:
        """Move everything on to the number, in one commit."""
        new = AddSegments(self.name, 0, [segment(number, number + 1)], number)
        store.apply([put(self.name, {"number": number}), new])

    def read(self, store: MetadataStore) -> set[int]:
        """Return the number as each read finds it: one, unless somebody writes meanwhile."""
        [last] = store.segments(SegmentQuery(self.name, 0, limit=1, reverse=True)).items
        extent = store.extent(self.name, 0)
        return {
            int(str(record_of(store, self.name).fields["number"])),
            record_of(store, self.name, TIMED).touched or 0,
            last.start_ns,
            -1 if extent is None else extent[1].start_ns,
        }

    def begin(self, store: MetadataStore) -> None:
        """Make what is counted up, with a number of 1."""
        store.apply([flow(self.name)])
        self.write(store, 1)
        self.acknowledged = 1

    def faults(self, store: WatchedStore, update: Callable[[], bool]) -> list[str]:
        """Say what was wrong of what was read under watches, until `update` says that all ended.

        `update` brings `acknowledged` up to date where that is not done elsewhere.
        """
        found: list[str] = []
        over = False
        while not over:
            watch = store.watch([self.name])
            read = self.read(store)
            held = True
            while held and not over:
                over = update()
                # In this order: what was written until here has moved the watch.
                acknowledged, again = self.acknowledged, self.read(store)
                held = not watch.moved()
                if held and (read != again or len(read) > 1 or max(read) < acknowledged):
                    found.append(f"{read}, then {again} when {acknowledged} was acknowledged")
                    held = False
        return found


def _count_task(store: MetadataStore, pipe: Connection, who: str) -> None:
    """Count up to each number that comes by the pipe, and tell each step when it is written."""
    counter, last = Counter(who), 1
    while number := pipe.recv():
        for one in range(last + 1, number + 1):
            counter.write(store, one)
            pipe.send(one)
        last = number


def _staying(watches: Sequence[Watch]) -> int:
    """Return how many of them have not moved."""
    return sum(not watch.moved() for watch in watches)


def _write_many(store: MetadataStore, number: int) -> None:
    new = [AddSegments(name, 0, [segment(number, number + 1)], number) for name in _MANY]
    store.apply([*(put(name, {"number": number}) for name in _MANY), *new])


def _number(store: MetadataStore) -> object:
    return record_of(store, _MANY[-1]).fields["number"]


class WatchContract:
    """What a metadata store promises that has `watch`."""

    @pytest.fixture
    def watched(self, store: MetadataStore) -> WatchedStore:
        """Return the store, which can be watched."""
        if not isinstance(store, WatchedStore):
            pytest.skip("it has no watch: what is asked for again is read again")
        return store

    def test_a_watch_moves_with_every_change_of_what_it_watches(
        self, watched: WatchedStore
    ) -> None:
        """An answer that is kept is given for ever, if one change of what it tells is missed."""
        moved: list[Watch] = []
        for change, changes in CHANGES.items():
            watches = [watched.watch(["w"]), watched.watch([*_OTHERS, "w", "x"])]
            watched.apply(changes)
            assert 0 == _staying(watches), change
            moved += watches
        if isinstance(watched, SupportsBackup):
            watches = [watched.watch(["w"]), watched.watch(["only in the new content"])]
            watched.replace([KindEntry(THING, [Record("only in the new content", 1, b"")])])
            assert 0 == _staying(watches), "another content"
            moved += watches
        assert 0 == _staying(moved), "of those that have moved before"

    def test_most_watches_stay_when_something_else_changes(self, watched: WatchedStore) -> None:
        """One may move without a cause; if all did, nothing would be kept for any time."""
        watched.apply([put("a", {"number": 1}), flow("f")])
        watches = [watched.watch([name]) for name in _OTHERS]

        told = Emit([Event("flows/updated", 1, b"")])
        watched.apply([put("b"), AddSegments("f", 0, [segment(0, 1)], 1), told])
        with pytest.raises(ConflictError):
            watched.apply([Delete(THING, "a"), Expect(THING, "b", 12345)])
        record_of(watched, "a")
        assert watched.check().ok

        assert _staying(watches) > len(watches) / 2

    def test_a_change_that_fails_leaves_watches_that_see_the_next(
        self, watched: WatchedStore
    ) -> None:
        """A conflict is everyday, and must neither hide a later change nor end the keeping."""
        watched.apply([*map(put, _OTHERS), AddSegments("f", 0, [segment(0, 10)], 1)])
        with pytest.raises(ConflictError):
            watched.apply([*map(put, _OTHERS), Expect(THING, "nowhere", 1)])
        with pytest.raises(OverlapError):
            watched.apply([*map(put, _OTHERS), AddSegments("f", 0, [segment(5, 15)], 1)])

        watches = [watched.watch([name]) for name in _OTHERS]
        assert _staying(watches) > len(watches) / 2
        watched.apply([*map(put, _OTHERS)])
        assert 0 == _staying(watches)

    def test_what_was_read_under_a_watch_that_stays_is_so(self, watched: WatchedStore) -> None:
        """A client that was told of a change must never again be shown what was before."""
        counters = [Counter(f"counter-{number}") for number in range(2)]
        for counter in counters:
            counter.begin(watched)

        def write(counter: Counter) -> None:
            for number in range(2, 4 * ROUNDS):
                counter.write(watched, number)
                counter.acknowledged = number

        faults = while_writing(
            [lambda one=one: write(one) for one in counters],  # type: ignore[misc]
            [lambda over, one=one: one.faults(watched, over) for one in counters],  # type: ignore[misc]
        )
        assert [[], []] == faults

    def test_a_watch_moves_before_a_change_of_another_process_is_acknowledged(
        self, watched: WatchedStore, shared: Opener[MetadataStore]
    ) -> None:
        """A change by one worker must not be hidden by an answer that another one kept."""
        Counter("c").begin(watched)
        again = shared()
        assert isinstance(again, WatchedStore)
        worker = Worker(shared, _count_task, "c")
        worker.begin()
        for number in range(2, ROUNDS):
            watches = [watched.watch(["c"]), again.watch(["c"])]
            worker.pipe.send(number)
            assert number == worker.pipe.recv()
            assert 0 == _staying(watches), f"with change {number}"
        worker.pipe.send(0)
        worker.end()
        again.close()

    def test_what_was_read_under_a_watch_is_so_while_another_process_writes(
        self, watched: WatchedStore, shared: Opener[MetadataStore]
    ) -> None:
        """The watch moves before what the other process commits can be seen at all."""
        counter, last = Counter("c"), 8 * ROUNDS
        counter.begin(watched)
        worker = Worker(shared, _count_task, "c")
        worker.begin()

        def update() -> bool:
            while worker.pipe.poll():
                counter.acknowledged = worker.pipe.recv()
            return counter.acknowledged == last

        worker.pipe.send(last)
        faults = counter.faults(watched, update)
        worker.pipe.send(0)
        worker.end()
        assert [] == faults

    def test_a_process_that_is_killed_at_any_step_of_apply_leaves_watches_that_see_the_next(
        self, watched: WatchedStore, shared: Opener[MetadataStore]
    ) -> None:
        """What it had begun to tell others is not told to its end; that must hide nothing."""
        _write_many(watched, 0)
        before, watches = _number(watched), [watched.watch([name]) for name in _MANY]
        for number, returned in killed_at_each_step(shared, _write_many):
            if returned or _number(watched) != before:
                assert 0 == _staying(watches), f"with step {number}"
            left = [watched.watch([name]) for name in _MANY]
            watched.apply([put("beside")])
            stay = [watched.watch([name]) for name in _MANY]
            assert _staying(stay) > len(_MANY) / 2, f"behind step {number}"
            _write_many(watched, -number)
            assert 0 == _staying([*left, *stay]), f"with the commit behind step {number}"
            before, watches = _number(watched), [watched.watch([name]) for name in _MANY]
