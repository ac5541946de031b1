"""The contract of metadata stores: segments, their times, and who uses an object."""

import pytest
from msgspec.structs import replace

from tams_gateway.domain.timerange import ETERNITY, MAX_NS, MIN_NS, Span
from tams_gateway.storage.capabilities import Joined, SupportsJoin
from tams_gateway.storage.changes import AddSegments, Delete, DropSegments, ExpectTouched, Put
from tams_gateway.storage.errors import OverlapError
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import Page, Query, Segmentless, SegmentQuery, Touches, UseQuery
from tams_gateway.storage.records import Segment, Use
from tams_gateway.testing.metadata_samples import (
    TIMED,
    all_segments,
    flow,
    ids,
    record_of,
    row,
    segment,
    spans,
)

STORED = [segment(0, 10), segment(20, 30), segment(30, 40, "other", "init"), segment(60, 61)]
"""Two that touch, a gap, and one of a nanosecond."""

SPANS = [
    Span(start, end)
    for start in (-5, 0, 9, 10, 15, 20, 29, 30, 39, 40, 60, 61, 70)
    for end in (-1, 0, 1, 10, 11, 20, 21, 30, 31, 60, 61, 80)
]
"""Bounds before, at, inside and behind every segment of `STORED`; some are empty."""


class SegmentsContract:
    """What a metadata store promises of segments."""

    def test_a_segment_comes_back_as_it_was_added(self, store: MetadataStore) -> None:
        """The body is what a listing sends; `at` decides what a late deletion takes."""
        whole = [
            Segment(MIN_NS, MIN_NS + 1, "o\0\u00e9", b"\0\xff", 5, None),
            Segment(-1, 1, "x" * 2000, b"{}", -1, "init\0"),
            Segment(MAX_NS - 1, MAX_NS, "", b"", 2**62, ""),
        ]
        store.apply([AddSegments("f\0", 0, [whole[2], whole[0], whole[1]], 1)])
        assert whole == all_segments(store, "f\0")
        assert [] == all_segments(store, "f")

    def test_a_query_by_time_returns_what_overlaps(self, store: MetadataStore) -> None:
        """R-TIME-11: half-open spans overlap where they share a nanosecond, and only there."""
        store.apply([AddSegments("f", 0, STORED, 1), flow("f")])
        for span in SPANS:
            expected = [one for one in STORED if span.overlaps(Span(one.start_ns, one.end_ns))]
            assert Page(expected, False) == store.segments(SegmentQuery("f", 0, span)), span
            backwards = store.segments(SegmentQuery("f", 0, span, reverse=True))
            assert Page(expected[::-1], False) == backwards, span
            ends = (expected[0], expected[-1]) if expected else None
            assert ends == store.extent("f", 0, span), span
            touching = store.find(Query(TIMED, (Touches(span),))).items
            assert (["f"] if expected else []) == ids(touching), span
            for reverse in (False, True):
                query = SegmentQuery("f", 0, span, reverse=reverse)
                _check_joined(store, query, store.segments(query))
            others = [one for one in expected if one.object_id == "other"]
            assert others == store.segments(SegmentQuery("f", 0, span, "other")).items, span

    @pytest.mark.parametrize(
        ("new", "met"),
        [
            (segment(0, 10), 0),
            (segment(-5, 1), 0),
            (segment(9, 12), 0),
            (segment(2, 3), 0),
            (segment(-5, 15), 0),
            (segment(25, 35), 1),
            (segment(15, 70), 1),
            (segment(60, 61), 3),
            (segment(40, 61), 3),
        ],
        ids=lambda value: f"{value.start_ns}_{value.end_ns}" if isinstance(value, Segment) else "",
    )
    def test_a_segment_that_overlaps_a_stored_one_is_refused(
        self, store: MetadataStore, new: Segment, met: int
    ) -> None:
        """R-SEG: two segments never share a nanosecond; the error says which one is in the way."""
        store.apply([AddSegments("f", 0, STORED, 1)])
        with pytest.raises(OverlapError) as caught:
            store.apply([AddSegments("f", 0, [segment(100, 110), new, segment(-20, -10)], 1)])
        assert {1: STORED[met]} == caught.value.overlaps
        assert STORED == all_segments(store, "f")

    def test_segments_that_only_touch_stored_ones_are_added(self, store: MetadataStore) -> None:
        """Half-open neighbours share no nanosecond: continuous recording is made of them."""
        store.apply([AddSegments("f", 0, STORED, 1)])
        store.apply([AddSegments("f", 0, [segment(40, 60), segment(-10, 0), segment(10, 20)], 1)])
        store.apply([AddSegments("f", 0, [segment(61, 62)], 1)])
        expected = [(-10, 0), (0, 10), (10, 20), (20, 30), (30, 40), (40, 60), (60, 61), (61, 62)]
        assert expected == spans(all_segments(store, "f"))

    def test_every_overlap_of_a_list_is_told(self, store: MetadataStore) -> None:
        """A bulk POST keeps the good ones: it needs to know all the bad ones at once."""
        store.apply([AddSegments("f", 0, STORED, 1)])
        new = [segment(5, 8), segment(10, 20), segment(28, 33), segment(90, 91), segment(60, 70)]
        with pytest.raises(OverlapError) as caught:
            store.apply([AddSegments("f", 0, new, 1)])
        assert {0: STORED[0], 2: STORED[1], 4: STORED[3]} == caught.value.overlaps

    def test_lives_of_a_flow_are_apart(self, store: MetadataStore) -> None:
        """A deleted flow's id is free at once, while its segments still go in steps."""
        store.apply([flow("f", 1), AddSegments("f", 0, STORED, 1)])
        store.apply([AddSegments("f", 1, [segment(5, 6)], 2), AddSegments("g", 0, STORED, 3)])
        assert [(5, 6)] == spans(all_segments(store, "f", 1))
        assert STORED == all_segments(store, "f", 0)
        assert 2 == record_of(store, "f", TIMED).touched
        assert ["f"] == ids(store.find(Query(TIMED, (Touches(Span(5, 6)),))).items)
        assert [] == store.find(Query(TIMED, (Touches(Span(20, 30)),))).items

    def test_exactly_the_named_segments_are_dropped(self, store: MetadataStore) -> None:
        """A deletion takes what it read and nothing that came since."""
        store.apply([AddSegments("f", 0, row(100), 1)])
        gone = row(100)[10:90:3]
        store.apply([DropSegments("f", 0, gone, 2)])
        kept = [one for one in row(100) if one not in gone]
        assert kept == all_segments(store, "f")
        store.apply([AddSegments("f", 0, gone, 3)])
        assert row(100) == all_segments(store, "f")
        store.apply([DropSegments("f", 0, row(100), 4)])
        assert store.extent("f", 0) is None

    def test_segments_set_touched_and_no_version(self, store: MetadataStore) -> None:
        """`segments_updated` moves without making writers of one flow conflict."""
        store.apply([AddSegments("f", 0, [segment(0, 10)], 5), flow("f")])
        record = record_of(store, "f", TIMED)
        assert 5 == record.touched
        store.apply([AddSegments("f", 0, [segment(10, 20)], 6), ExpectTouched(TIMED, "f", 5)])
        store.apply([AddSegments("f", 0, [], 7), ExpectTouched(TIMED, "f", 6)])
        assert 7 == record_of(store, "f", TIMED).touched
        store.apply([DropSegments("f", 0, [segment(0, 10)], 8)])
        store.apply(
            [AddSegments("f", 0, [segment(50, 60)], 7), AddSegments("f", 1, [segment(0, 1)], 9)]
        )
        after = record_of(store, "f", TIMED)
        assert (record.version, 9) == (after.version, after.touched)
        store.apply([Put(TIMED, "f", b"new", {"life": 0, "label": "x"}, record.version)])
        assert 9 == record_of(store, "f", TIMED).touched
        store.apply([flow("f", 1)])
        assert record_of(store, "f", TIMED).touched is None
        store.apply([AddSegments("f", 1, [segment(1, 2)], 10)])
        assert 10 == record_of(store, "f", TIMED).touched
        store.apply([Delete(TIMED, "f")])
        store.apply([flow("f", 1)])
        assert record_of(store, "f", TIMED).touched is None

    @pytest.mark.parametrize("reverse", [False, True])
    def test_pages_of_segments_follow_each_other(self, store: MetadataStore, reverse: bool) -> None:
        """By key, in time order: stable while segments before and behind the page come and go."""
        store.apply([AddSegments("f", 0, row(25), 1)])
        span, seen, after = Span(15, 235), list[Segment](), None
        for size in (1, 2, 3, 20):
            query = SegmentQuery("f", 0, span, reverse=reverse, after=after, limit=size)
            page = store.segments(query)
            _check_joined(store, query, page)
            seen += page.items
            after = page.items[-1].end_ns
            assert (size != 20) == page.more
        expected = row(25)[1:24]
        assert (expected[::-1] if reverse else expected) == seen

    @pytest.mark.parametrize("reverse", [False, True])
    def test_pages_of_segments_neither_repeat_nor_drop_while_others_write(
        self, store: MetadataStore, reverse: bool
    ) -> None:
        """R-PAGE-06: a player that reads behind a recorder gets each segment exactly once."""
        store.apply([AddSegments("f", 0, row(20), 1)])
        lives = [AddSegments(f"flow-{at:02}", 0, [segment(0, 1, "shared")], 1) for at in range(20)]
        store.apply(lives)
        seen, users = list[Segment](), list[Use]()
        query, uses = SegmentQuery("f", 0, reverse=reverse, limit=3), UseQuery("shared", limit=3)
        for turn in range(7):
            page, using = store.segments(query), store.uses(uses)
            seen, users = seen + page.items, users + using.items
            query = replace(query, after=seen[-1].end_ns)
            uses = replace(uses, after=users[-1])
            at = 1000 + turn * 10
            outside = [segment(at, at + 5), segment(-at, 5 - at)]
            store.apply(
                [
                    AddSegments("f", 0, outside, 2),
                    AddSegments(f"flow-{turn:02}-", 0, [segment(0, 1, "shared")], 2),
                    DropSegments(f"flow-{turn:02}", 0, [segment(0, 1, "shared")], 2),
                ]
            )
        expected = row(20)[::-1] if reverse else row(20)
        assert expected == [one for one in seen if one in expected]
        assert len(seen) == len(set(spans(seen)))
        assert [f"flow-{at:02}" for at in range(20)] == [
            use.flow_id for use in users if not use.flow_id.endswith("-")
        ]

    def test_pages_of_one_objects_segments_follow_each_other(self, store: MetadataStore) -> None:
        """`object_id` is a filter before paging: no page is short, none is empty."""
        mixed = [segment(at, at + 1, f"object-{at % 3}") for at in range(30)]
        store.apply([AddSegments("f", 0, mixed, 1)])
        first = store.segments(SegmentQuery("f", 0, object_id="object-1", limit=6))
        assert (list(range(1, 18, 3)), True) == ([one.start_ns for one in first.items], first.more)
        last = store.segments(
            SegmentQuery("f", 0, Span(0, 26), "object-1", True, after=23, limit=100)
        )
        assert ([19, 16, 13, 10, 7, 4, 1], False) == (
            [one.start_ns for one in last.items],
            last.more,
        )
        assert [] == store.segments(SegmentQuery("f", 0, object_id="object-9")).items

    def test_the_extent_is_the_first_and_the_last_segment(self, store: MetadataStore) -> None:
        """A flow's timerange comes from these two, with their marks."""
        assert store.extent("f", 0) is None
        store.apply([AddSegments("f", 0, STORED, 1)])
        assert (STORED[0], STORED[3]) == store.extent("f", 0)
        assert (STORED[0], STORED[3]) == store.extent("f", 0, ETERNITY)
        assert (STORED[1], STORED[1]) == store.extent("f", 0, Span(10, 30))

    def test_records_without_segments_are_found(self, store: MetadataStore) -> None:
        """The filter for the empty timerange asks for flows that have nothing at all."""
        store.apply([flow("a"), flow("b"), flow("c", 1), Put(TIMED, "d", b"", {})])
        store.apply([AddSegments("a", 0, STORED, 1), AddSegments("c", 0, STORED, 1)])
        assert ["b", "c", "d"] == ids(store.find(Query(TIMED, (Segmentless(),))).items)
        assert ["a"] == ids(store.find(Query(TIMED, (Touches(ETERNITY),))).items)
        store.apply([DropSegments("a", 0, STORED, 2)])
        assert ["a", "b", "c", "d"] == ids(store.find(Query(TIMED, (Segmentless(),))).items)

    def test_each_life_that_uses_an_object_is_told_once(self, store: MetadataStore) -> None:
        """`referenced_by_flows` is read from the segments: it can grow without bound."""
        for number in range(12):
            life = number % 2
            again = [
                segment(at, at + 1, "shared", "init" if number > 8 else None) for at in range(5)
            ]
            store.apply([AddSegments(f"flow-{number:02}", life, again, 1)])
        store.apply([AddSegments("flow-03", 0, [segment(0, 1, "shared")], 1)])
        expected = [Use(f"flow-{number:02}", number % 2) for number in range(12)]
        expected.insert(3, Use("flow-03", 0))
        first = store.uses(UseQuery("shared", limit=4))
        assert Page(expected[:4], True) == first
        rest = store.uses(UseQuery("shared", after=first.items[-1]))
        assert Page(expected[4:], False) == rest
        assert Page(expected[10:], False) == store.uses(UseQuery("init", as_init=True))
        assert [] == store.uses(UseQuery("init")).items
        assert [] == store.uses(UseQuery("shared", as_init=True)).items
        store.apply([DropSegments("flow-03", 0, [segment(0, 1, "shared")], 2)])
        assert Use("flow-03", 0) not in store.uses(UseQuery("shared")).items

    def test_sixty_thousand_segments_are_one_apply(self, store: MetadataStore) -> None:
        """A bulk POST is one transaction, however large; so is what deletes it."""
        store.apply([AddSegments("f", 0, row(60_000), 1)])
        assert (row(1)[0], row(60_000)[-1]) == store.extent("f", 0)
        with pytest.raises(OverlapError) as caught:
            store.apply([AddSegments("f", 0, row(60_001, prefix="again"), 1)])
        assert 60_000 == len(caught.value.overlaps)


def _check_joined(store: MetadataStore, query: SegmentQuery, page: Page[Segment]) -> None:
    """See that a store which joins pages itself joins this one as it returns it."""
    if not isinstance(store, SupportsJoin):
        return
    expected = None
    if page.items and all(one.init_object_id is None for one in page.items):
        bodies = b"[" + b",".join([one.body for one in page.items]) + b"]"
        ends = page.items[0], page.items[-1]
        expected = Joined(bodies, len(page.items), *ends, page.more)
    assert expected == store.joined(query), query
