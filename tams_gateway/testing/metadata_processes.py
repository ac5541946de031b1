"""The contract of metadata stores: many processes, and a kill at any moment."""

import multiprocessing
import random
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

import pytest

from tams_gateway.events.event import Event
from tams_gateway.storage.changes import AddSegments, Emit, Put
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.records import Kind
from tams_gateway.testing.metadata_concurrency import (
    ROUNDS,
    at_once,
    claim,
    count_up,
    emit,
    follow,
)
from tams_gateway.testing.metadata_samples import (
    THING,
    TIMED,
    all_segments,
    flow,
    put,
    record_of,
    segment,
)
from tams_gateway.testing.opening import Opener
from tams_gateway.testing.processes import fresh

Task: TypeAlias = Callable[[MetadataStore, Connection, str], None]
"""A function of a module, done on the store by who has a name; the pipe leads to the clause."""


def _in_process(pipe: Connection, opener: Opener[MetadataStore], task: Task, who: str) -> None:
    """Run a task in a process of its own, once told to begin."""
    store = opener()
    pipe.send("ready")
    pipe.recv()
    task(store, pipe, who)
    store.close()


def _count_task(store: MetadataStore, pipe: Connection, who: str) -> None:
    at_once([lambda: count_up(store, ROUNDS)] * 2)
    pipe.send(None)


def _claim_task(store: MetadataStore, pipe: Connection, who: str) -> None:
    names = [f"{who}-{number}" for number in range(2)]
    won = at_once([lambda name=name: claim(store, name, ROUNDS) for name in names])  # type: ignore[misc]
    pipe.send([round_ for rounds in won for round_ in rounds])


def _emit_task(store: MetadataStore, pipe: Connection, who: str) -> None:
    emit(store, who, ROUNDS)
    pipe.send(None)


def _see_task(store: MetadataStore, pipe: Connection, who: str) -> None:
    """Say for each id that comes by the pipe if its record is there, and what else has changed."""
    while record_id := pipe.recv():
        kind = Kind(f"kit_{record_id}", {})
        pipe.send(
            (
                record_id in store.get(THING, [record_id]),
                record_id in store.get(kind, ["x", record_id]),
                store.get(THING, ["moving"])["moving"].fields,
                len(all_segments(store, "moving")),
            )
        )


def _ingest_task(store: MetadataStore, pipe: Connection, who: str) -> None:
    """Commit for ever, and tell each commit when it is acknowledged."""
    number = int(who)
    while True:
        at = number * 10
        new = [
            segment(at, at + 5, f"object-{number}"),
            segment(at + 5, at + 10, f"object-{number}"),
        ]
        store.apply(
            [
                put(f"object-{number}"),
                AddSegments("killed", 0, new, number),
                Emit([Event("flows/segments_added", number, b"")]),
            ]
        )
        pipe.send(number)
        number += 1


class Worker:
    """A process that does one task on the store, and the pipe to it."""

    def __init__(self, opener: Opener[MetadataStore], task: Task, who: str = "") -> None:
        self.pipe, other = multiprocessing.Pipe()
        arguments = (other, opener, task, who)
        self.process = fresh().Process(target=_in_process, args=arguments, daemon=True)
        self.process.start()
        other.close()

    def begin(self) -> None:
        """Let it begin, once it has opened the store."""
        assert self.pipe.recv() == "ready"
        self.pipe.send("go")

    def end(self) -> None:
        """Wait until the process has ended."""
        self.process.join(30)
        assert 0 == self.process.exitcode
        self.pipe.close()


class ProcessesContract:
    """What a store promises that several processes share."""

    @pytest.fixture
    def shared(self, opener: Opener[MetadataStore]) -> Opener[MetadataStore]:
        """Return what opens the store in another process, too."""
        return opener.shared()

    def _run(self, opener: Opener[MetadataStore], task: Task) -> list[Any]:
        workers = [Worker(opener, task, f"process-{number}") for number in range(2)]
        for worker in workers:
            worker.begin()
        told = [worker.pipe.recv() for worker in workers]
        for worker in workers:
            worker.end()
        return told

    def test_of_overlapping_adds_of_two_processes_exactly_one_wins(
        self, store: MetadataStore, shared: Opener[MetadataStore]
    ) -> None:
        """The rule that segments do not overlap does not end at a worker's border."""
        won = self._run(shared, _claim_task)
        assert list(range(ROUNDS)) == sorted(round_ for rounds in won for round_ in rounds)
        assert ROUNDS == len(all_segments(store, "contested"))

    def test_compare_and_swap_of_two_processes_loses_no_step(
        self, store: MetadataStore, shared: Opener[MetadataStore]
    ) -> None:
        """The lease of the jobs rests on this."""
        store.apply([Put(THING, "counter", b"0")])
        self._run(shared, _count_task)
        assert b"%d" % (4 * ROUNDS) == record_of(store, "counter").body

    def test_a_reader_misses_no_event_of_two_processes(
        self, store: MetadataStore, shared: Opener[MetadataStore]
    ) -> None:
        """`Deliveries` runs in one process and the writers in all."""
        self._run(shared, _emit_task)
        numbers = list(range(ROUNDS))
        seen = follow(store, lambda: True)
        assert {"process-0": numbers, "process-1": numbers} == seen

    def test_what_one_process_wrote_every_other_sees_at_once(
        self, store: MetadataStore, shared: Opener[MetadataStore]
    ) -> None:
        """A client's next request may reach another worker; also of a kind that is new to it."""
        worker = Worker(shared, _see_task)
        worker.begin()
        for number in range(ROUNDS):
            name = f"seen-{number}"
            new_kind = Kind(f"kit_{name}", {})
            new = AddSegments("moving", 0, [segment(number, number + 1)], 1)
            moved = put("moving", {"number": number})
            store.apply([put(name), Put(new_kind, name, b""), moved, new])
            worker.pipe.send(name)
            assert (True, True, {"number": number}, number + 1) == worker.pipe.recv()
        worker.pipe.send("")
        worker.end()

    def test_a_process_that_is_killed_loses_nothing_acknowledged_and_leaves_nothing_half(
        self, store: MetadataStore, shared: Opener[MetadataStore]
    ) -> None:
        """`kill -9` at any moment: what got its answer is there, what did not is whole or gone."""
        acknowledged: list[int] = []
        for round_ in range(5):
            worker = Worker(shared, _ingest_task, str(round_ * 100_000))
            worker.begin()
            for _ in range(random.randrange(1, 40)):
                acknowledged.append(worker.pipe.recv())
            worker.process.kill()
            worker.process.join(30)
            acknowledged += _rest(worker.pipe)
        again = shared()
        segments = all_segments(again, "killed")
        events = [event.at_ns for event in again.events(None, 1_000_000).items]
        again.close()
        there = [one.start_ns // 10 for one in segments]
        assert set(acknowledged) <= set(there)
        assert sorted([*events, *events]) == there
        names = {f"object-{number}" for number in there}
        assert names == set(store.get(THING, [*names, "object-x"]))
        store.apply([AddSegments("killed", 0, [segment(-10, 0)], 1), put("goes on")])

    def test_what_was_written_is_there_after_it_is_opened_again(
        self, store: MetadataStore, shared: Opener[MetadataStore]
    ) -> None:
        """A restart finds everything, versions go on, and cursors hold."""
        store.apply([put("a", {"number": 7, "tag.x": frozenset("1")}), flow("f")])
        store.apply(
            [AddSegments("f", 0, [segment(0, 10)], 3), Emit([Event("flows/created", 1, b"")])]
        )
        tip = store.tip()
        again = shared()
        assert store.get(THING, ["a"]) == again.get(THING, ["a"])
        assert store.get(TIMED, ["f"]) == again.get(TIMED, ["f"])
        assert all_segments(store, "f") == all_segments(again, "f")
        assert tip == again.tip()
        version = record_of(again, "a").version
        again.apply([put("a"), AddSegments("f", 0, [segment(10, 20)], 9)])
        assert version != record_of(store, "a").version
        assert 9 == record_of(store, "f", TIMED).touched
        again.close()
        assert 2 == len(all_segments(store, "f"))


def _rest(pipe: Connection) -> list[int]:
    """Return what was told before the process was killed."""
    told = []
    try:
        while pipe.poll():
            told.append(pipe.recv())
    except EOFError:
        pass
    pipe.close()
    return told
