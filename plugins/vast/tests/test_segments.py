"""Segments are read by windows of time: whole pages, in few requests, and few rows beyond them."""

import itertools
import os
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tams_gateway_memory.metadata import MemoryMetadata
from tams_gateway_vast.tables.kind_tables import FLOWS
from tams_gateway_vast.tables.layout import SEGMENTS
from tams_gateway_vast.tables.rows import arrow

from plugins.vast.tests.reading import Tables, tables
from tams_gateway.domain.timerange import MAX_NS, MIN_NS, SECOND, Span
from tams_gateway.storage.changes import AddSegments, Change, DropSegments
from tams_gateway.storage.query import Page, SegmentQuery, UseQuery
from tams_gateway.storage.records import Segment, Use
from tams_gateway.testing.metadata_samples import flow, segment

COUNT = int(os.environ.get("TAMS_TEST_VAST_SEGMENTS", "50000"))
"""How many segments the long flows have; a million shows the same, in half a minute."""

LENGTH = 6 * SECOND
NIGHT = 12 * 3600 * SECOND

LENGTHS = st.sampled_from([1, 1000, SECOND // 50, SECOND, 6 * SECOND, 3600 * SECOND])
GAPS = st.sampled_from([0, 0, 0, 1, SECOND, 500 * SECOND, 10**6 * SECOND])
TIMELINES = st.lists(st.tuples(GAPS, LENGTHS), min_size=1, max_size=30)
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def shared() -> Iterator[Tables]:
    with tables() as made:
        yield made


def placed(parts: Sequence[tuple[int, int]], prefix: str = "object") -> list[Segment]:
    """Return segments of these lengths behind these gaps; objects and init objects repeat."""
    found, at = [], -SECOND
    for number, (gap, length) in enumerate(parts):
        start = at + gap
        at = start + length
        init = f"{prefix}-init" if number % 4 == 3 else None
        found.append(segment(start, at, f"{prefix}-{number % 3}", init))
    return found


def walk(store: Tables | MemoryMetadata, query: SegmentQuery) -> list[Page[Segment]]:
    """Return all pages."""
    pages = [store.segments(query)]
    while pages[-1].more and len(pages) < 5:
        query = replace(query, after=pages[-1].items[-1].end_ns)
        pages.append(store.segments(query))
    return pages


@settings(max_examples=25, deadline=None)
@given(parts=TIMELINES, dropped=st.sets(st.integers(0, 29)), recorded=st.booleans(), data=st.data())
def test_pages_and_extents_are_those_of_the_memory_store(
    shared: Tables,
    parts: list[tuple[int, int]],
    dropped: set[int],
    recorded: bool,
    data: st.DataObject,
) -> None:
    """Whatever gaps there are, whether bounds are tight, and whether a record has the life."""
    flow_id, model = f"model-{next(NUMBERS)}", MemoryMetadata()
    new = placed(parts)
    gone = [one for at, one in enumerate(new) if at in dropped]
    changes: list[Change] = [AddSegments(flow_id, 7, new, 1)]
    if recorded:
        changes.append(flow(flow_id, 7))
    for store in (shared, model):
        store.apply(changes)
        store.apply([DropSegments(flow_id, 7, gone, 2)])

    ends = sorted({MIN_NS, MAX_NS, *(one.start_ns for one in new), *(one.end_ns for one in new)})
    times = st.sampled_from(ends) | st.sampled_from(ends[1:-1]).map(lambda end: end + 1)
    for _ in range(2):
        span = data.draw(st.none() | st.builds(Span, times, times))
        query = SegmentQuery(
            flow_id,
            7,
            span,
            data.draw(st.sampled_from([None, None, "object-1"])),
            data.draw(st.booleans()),
            data.draw(st.none() | times),
            data.draw(st.sampled_from([1, 2, 5, 100])),
        )
        assert walk(model, query) == walk(shared, query), query
        assert model.extent(flow_id, 7, span) == shared.extent(flow_id, 7, span)


@pytest.mark.parametrize("object_id", [None, "object"])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_page_begins_inside_a_segment_that_came_meanwhile(
    shared: Tables, object_id: str | None, reverse: bool
) -> None:
    """The last segment of the page before was dropped, and a longer one added in its place."""
    flow_id, model = f"replaced-{next(NUMBERS)}", MemoryMetadata()
    for store in (shared, model):
        store.apply([AddSegments(flow_id, 0, [segment(0, 10), segment(10, 40)], 1)])
    for span in (None, Span(0, 20), Span(5, 21), Span(20, 30)):
        for after in (5, 10, 19, 20, 25, 39, 40):
            query = SegmentQuery(flow_id, 0, span, object_id, reverse, after)
            assert model.segments(query) == shared.segments(query), query


def fill(shared: Tables, flow_id: str, ends: Sequence[int], length: int) -> None:
    """Insert segments that end there, and their flow."""
    count = len(ends)
    values = {
        "flow_id": [flow_id] * count,
        "life": [0] * count,
        "start_ns": [end - length for end in ends],
        "end_ns": ends,
        "object_id": ["o"] * count,
        "created_ns": [1] * count,
        "body": [b"{}"] * count,
    }
    schema = pa.schema([SEGMENTS.schema.field(name) for name in values])
    segments = pa.table(values, schema=schema)
    names = {"id": flow_id, "version": 1, "body": b"{}", "fields": b"{}", "kind": "flow"}
    bounds = {"first_ns": ends[0] - length, "last_ns": ends[-1], "segment_count": count}
    record = {**names, "life": 0, **bounds}

    def insert(transaction: object) -> None:
        transaction.insert(SEGMENTS, segments)  # type: ignore[attr-defined]
        transaction.insert(FLOWS, arrow(FLOWS, [record]))  # type: ignore[attr-defined]

    shared.write(insert)


@pytest.fixture(scope="module")
def long(shared: Tables) -> Tables:
    """Tables with long flows: one without gaps, one with a night behind each hour, one of audio."""
    for name, length, pause in (
        ("whole", LENGTH, 0),
        ("nightly", LENGTH, NIGHT),
        ("audio", SECOND // 50, 0),
    ):
        ends = [at * length + (at - 1) // 600 * pause for at in range(1, COUNT + 1)]
        fill(shared, name, ends, length)
    return shared


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 100, 1000])
@pytest.mark.parametrize("seconds", [None, 10, 5000])
def test_a_page_of_a_long_flow_costs_few_requests_and_rows(
    long: Tables, limit: int, seconds: int | None, reverse: bool
) -> None:
    """At most five requests, and of rows at most three times what is returned."""
    for start in (0, 3_600 * SECOND, COUNT * 3 * SECOND + 1):
        span = None if seconds is None else Span(start, start + seconds * SECOND)
        query = SegmentQuery("whole", 0, span, reverse=reverse, limit=limit)
        found = long.segments(query)
        expected = limit if seconds is None else min(limit, (seconds + 5) // 6)
        assert expected <= len(found.items) <= expected + 1
        assert found.more == (seconds is None or seconds > 6 * limit)
        assert long.requests <= 4
        assert long.rows <= 3 * len(found.items) + 1


@pytest.mark.parametrize(("name", "most"), [("nightly", 5), ("audio", 4)])
def test_pages_of_a_flow_with_gaps_read_as_few_rows(long: Tables, name: str, most: int) -> None:
    """Gaps make the number of segments tell too much: rows that come of too many tell the rest."""
    requests, rows, query = list[int](), list[int](), SegmentQuery(name, 0)
    for _ in range(10):
        found = long.segments(query)
        assert (100, True) == (len(found.items), found.more)
        requests.append(long.requests)
        rows.append(long.rows)
        query = replace(query, after=found.items[-1].end_ns)
    assert most == sorted(requests)[7]
    assert 300 >= sorted(rows)[7]
    assert 4 * 1000 >= sum(rows)


def test_reading_on_through_a_night_finds_the_morning(long: Tables) -> None:
    """One request more for each time that the window was too narrow: it grows fast."""
    evening = 600 * LENGTH
    morning = evening + NIGHT
    for reverse, after in ((False, evening - LENGTH), (True, morning + 2 * LENGTH)):
        query = SegmentQuery("nightly", 0, reverse=reverse, after=after, limit=10)
        found = long.segments(query)
        assert (10, True) == (len(found.items), found.more)
        starts = sorted(one.start_ns for one in found.items)
        assert NIGHT + LENGTH == max(b - a for a, b in itertools.pairwise(starts))
        assert long.requests <= 10
        assert long.rows <= 1000


def test_the_extent_of_a_long_flow_is_five_requests(long: Tables) -> None:
    """Its bounds are known, so both ends are looked up where they are."""
    ends = long.extent("whole", 0)
    assert ends is not None
    assert (0, COUNT * LENGTH) == (ends[0].start_ns, ends[1].end_ns)
    assert 5 == long.requests
    assert long.rows <= 6


@pytest.mark.parametrize(
    ("query", "requests"),
    [
        (SegmentQuery("whole", 0, Span(SECOND, 50 * SECOND)), 3),
        (SegmentQuery("nowhere", 0), 4),
        (SegmentQuery("whole", 0, Span(5, 5)), 0),
        (SegmentQuery("whole", 0, Span(-9 * SECOND, -SECOND)), 3),
        (SegmentQuery("whole", 0, Span(-90_000 * SECOND, -SECOND)), 3),
    ],
    ids=["short span", "unknown flow", "empty span", "short span before", "long span before"],
)
def test_what_is_not_needed_is_not_asked(long: Tables, query: SegmentQuery, requests: int) -> None:
    """A short span needs no bounds, and what lies outside of them no look at segments."""
    long.segments(query)
    assert requests == long.requests


def test_segments_of_one_object_and_its_uses_come_from_its_references(shared: Tables) -> None:
    """Four requests, and rows of that object alone."""
    parts = placed([(0, SECOND)] * 60, "used")
    lives = [("used-a", 0), ("used-a", 1), ("used-b", 0), ("used-\ud800", 0), ("used-\ue000", 0)]
    shared.apply([AddSegments(*life, parts, 1) for life in lives])

    found = shared.segments(SegmentQuery("used-a", 1, object_id="used-1", limit=9))
    assert (parts[1::3][:9], True) == (found.items, found.more)
    assert (4, 11) == (shared.requests, shared.rows)

    expected = [Use(*life) for life in lives]
    for as_init, object_id in ((False, "used-2"), (True, "used-init")):
        assert Page(expected[:2], True) == shared.uses(UseQuery(object_id, as_init, limit=2))
        assert 3 == shared.requests
        for at, use in enumerate(expected):
            rest = shared.uses(UseQuery(object_id, as_init, after=use))
            assert Page(expected[at + 1 :], False) == rest


def test_bodies_of_any_length_come_back(shared: Tables) -> None:
    """Longer ones than a value of VAST may be stand in parts."""
    long = replace(segment(0, SECOND), body=b"x" * 300_000)
    shared.apply([AddSegments("bodies", 0, [long, segment(SECOND, 2 * SECOND)], 1)])
    found = shared.segments(SegmentQuery("bodies", 0))
    assert [long, segment(SECOND, 2 * SECOND)] == found.items
