"""The contract of metadata stores: a query by time costs the same in a long flow."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import pytest

from tams_gateway.domain.timerange import Span
from tams_gateway.storage.changes import AddSegments, Put
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import Equal, Query, SegmentQuery, Touches, UseQuery
from tams_gateway.testing.metadata_samples import TIMED, row

_SHORT: Final = 1000
_RATIO: Final = 1.5
_TRIES: Final = 6


class SpeedContract:
    """What a metadata store promises of its speed: ratios, no absolute times."""

    def test_a_query_by_time_costs_the_same_in_a_long_flow(
        self, store: MetadataStore, pytestconfig: pytest.Config
    ) -> None:
        """Key paging and bounded scans: a recorder that runs for a year does not get slower."""
        lengths = {"short": _SHORT, "long": pytestconfig.getoption("tams_segments")}
        for name, length in lengths.items():
            segments = row(length, prefix=name, init=name)
            store.apply([Put(TIMED, name, b"{}", {"life": 0, "label": name})])
            for at in range(0, length, 50_000):
                store.apply([AddSegments(name, 0, segments[at : at + 50_000], 1)])
        for what, query in _QUERIES.items():
            ratios: list[float] = []
            while not ratios or (ratios[-1] > _RATIO and len(ratios) < _TRIES):
                ratios.append(_ratio(store, query, lengths))
            assert _RATIO >= ratios[-1], f"{what}: {ratios} times slower in a long flow"


_Query: TypeAlias = Callable[[MetadataStore, str, int], object]


def _ratio(store: MetadataStore, query: _Query, lengths: Mapping[str, int]) -> float:
    """Return how much longer it takes in the long flow: the median of rounds that take turns."""
    ratios = []
    for round_ in range(21):
        order = ("long", "short") if round_ % 2 else ("short", "long")
        spent = {name: _time(store, query, name, lengths[name]) for name in order}
        ratios.append(spent["long"] / spent["short"])
    return statistics.median(ratios)


def _time(store: MetadataStore, query: _Query, name: str, length: int) -> float:
    begin = time.perf_counter()
    for _ in range(10):
        query(store, name, length)
    return time.perf_counter() - begin


def _one(store: MetadataStore, name: str, length: int) -> object:
    at = length // 2 * 10
    return store.segments(SegmentQuery(name, 0, Span(at, at + 1)))


def _page(store: MetadataStore, name: str, length: int) -> object:
    at = length // 3 * 10
    return store.segments(SegmentQuery(name, 0, Span(at, length * 10), after=at + 10))


def _late_page(store: MetadataStore, name: str, length: int) -> object:
    span, after = Span(5, length * 10 - 5), (length - 200) * 10
    return store.segments(SegmentQuery(name, 0, span, after=after))


def _late_page_backwards(store: MetadataStore, name: str, length: int) -> object:
    span = Span(5, length * 10 - 5)
    return store.segments(SegmentQuery(name, 0, span, reverse=True, after=2000))


def _init(store: MetadataStore, name: str, length: int) -> object:
    return store.uses(UseQuery(name, as_init=True))


def _backwards(store: MetadataStore, name: str, length: int) -> object:
    return store.segments(SegmentQuery(name, 0, Span(0, length // 2 * 10), reverse=True))


def _latest(store: MetadataStore, name: str, length: int) -> object:
    return store.segments(SegmentQuery(name, 0, reverse=True, limit=1))


def _extent(store: MetadataStore, name: str, length: int) -> object:
    at = length // 2 * 10
    return store.extent(name, 0), store.extent(name, 0, Span(at, at + 35))


def _touches(store: MetadataStore, name: str, length: int) -> object:
    at = length // 2 * 10
    return store.find(Query(TIMED, (Equal("label", name), Touches(Span(at, at + 1)))))


def _object(store: MetadataStore, name: str, length: int) -> object:
    object_id = f"{name}-{length // 2:08}"
    return store.uses(UseQuery(object_id)), store.segments(
        SegmentQuery(name, 0, object_id=object_id)
    )


_QUERIES: dict[str, _Query] = {
    "one segment in the middle": _one,
    "a page of 100": _page,
    "a page of 100 backwards": _backwards,
    "a late page of a wide span": _late_page,
    "a late page of a wide span backwards": _late_page_backwards,
    "the latest segment": _latest,
    "the extent": _extent,
    "flows that touch a span": _touches,
    "the uses of an object": _object,
    "the uses of an init object of all segments": _init,
}
