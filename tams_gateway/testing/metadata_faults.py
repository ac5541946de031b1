"""The contract of metadata stores: faults, and what is held open."""

import threading
from collections.abc import Callable, Mapping
from typing import Final

import pytest

from tams_gateway.domain.timerange import Span
from tams_gateway.events.event import Event
from tams_gateway.storage.changes import AddSegments, Emit
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import Equal, Query, SegmentQuery, Sort, UseQuery
from tams_gateway.testing.apart import apart, killed_at_each_step
from tams_gateway.testing.faults import FAULTS, Seen, descriptors, growth, under
from tams_gateway.testing.metadata_samples import THING, flow, put, segment, spans
from tams_gateway.testing.opening import Opener

READS: Final[Mapping[str, Callable[[MetadataStore], object]]] = {
    "get": lambda store: store.get(THING, ["0"])["0"].body,
    "find": lambda store: (
        store.find(Query(THING, (Equal("number", 0),), Sort("text"), limit=5)).items[0].id
    ),
    "segments": lambda store: spans(store.segments(SegmentQuery("f", 0, Span(-5, 5))).items),
    "extent": lambda store: store.extent("f", 0, Span(-5, 5)),
    "uses": lambda store: store.uses(UseQuery("object-0")).items,
    "events": lambda store: store.events(None, 1).items,
    "tip": lambda store: bool(store.tip()),
}
"""Each method that reads, so that the answer stays the same when more is written."""


def write(store: MetadataStore, number: int) -> None:
    """Write something of everything in one `apply`, told apart by its number."""
    at = number * 10
    store.apply(
        [
            put(f"{number}", {"number": number, "text": "t"}),
            flow(f"flow-{number}"),
            AddSegments("f", 0, [segment(at, at + 5, f"object-{number}")], 1),
            Emit([Event("flows/created", number, b"")]),
        ]
    )


def written(store: MetadataStore, number: int) -> int:
    """Return how many of the four things that `write` wrote are there."""
    at = number * 10
    events = store.events(None, 1_000_000).items
    return (
        len(store.get(THING, [f"{number}"]))
        + len(store.find(Query(THING, (Equal("number", number),))).items)
        + len(store.segments(SegmentQuery("f", 0, Span(at, at + 5))).items)
        + sum(event.at_ns == number for event in events)
    )


def _under(fault: str, opener: Opener[MetadataStore]) -> Seen:
    return under(fault, opener, READS, write)


class FaultsContract:
    """What a metadata store promises when what it stands on fails."""

    @pytest.mark.parametrize("fault", FAULTS)
    def test_every_method_answers_rightly_or_raises_a_store_error(
        self, opener: Opener[MetadataStore], fault: str
    ) -> None:
        """Clients get 503 and retry; a foreign error is a 500, and a wrong answer is believed."""
        seen = apart(_under, fault, opener)
        seen.assert_right(fault)
        if opener.is_shared():
            store = opener()
            there = {number: written(store, number) for number in range(4)}
            store.close()
            assert [4 for _ in seen.written] == [there[number] for number in seen.written]
            assert {0, 4} >= set(there.values())

    def test_calls_leave_nothing_open(self, store: MetadataStore) -> None:
        """A server runs for months: one cursor, file or thread for each request ends it."""
        write(store, 0)

        def call() -> None:
            for read in READS.values():
                read(store)
            store.apply([put("again", {"number": 7, "group": frozenset("a")})])

        assert {} == growth(call)

    def test_close_releases_what_was_opened(self, opener: Opener[MetadataStore]) -> None:
        """`check` and reloads open and close: nothing may stay behind."""

        def once() -> tuple[int, int]:
            store = opener()
            for read in READS.values() if opener.is_shared() else ():
                read(store)
            store.close()
            return len(descriptors()), threading.active_count()

        first = opener()
        write(first, 0)
        first.close()
        warm = once()
        for _ in range(3):
            assert warm == once()

    def test_a_process_that_is_killed_at_any_step_of_apply_leaves_all_or_nothing(
        self, shared: Opener[MetadataStore], store: MetadataStore
    ) -> None:
        """`kill -9` between any two things that it does: half would be a broken reference."""
        for number, returned in killed_at_each_step(shared, write):
            there = written(store, number)
            assert there in ((4,) if returned else (0, 4)), f"{there} of 4 at step {number}"
            store.apply([put("goes on", {"number": -number})])
        again = shared()
        assert written(store, 1) == written(again, 1)
        again.close()
