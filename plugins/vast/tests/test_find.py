"""Records are found as the memory store finds them, in few requests."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tams_gateway_memory.metadata import MemoryMetadata
from tams_gateway_vast.reading import find
from tams_gateway_vast.tables.columns import Table
from tams_gateway_vast.transport.cluster import Transaction
from tams_gateway_vast.transport.predicates import Term

from plugins.vast.tests.reading import Tables, tables
from tams_gateway.domain.timerange import ETERNITY, MAX_NS, MIN_NS, SECOND, Span
from tams_gateway.operations.kinds import FLOW, OBJECT, SERVICE, SOURCE
from tams_gateway.storage.changes import AddSegments, Change, Delete, DropSegments, Put
from tams_gateway.storage.query import (
    Absent,
    After,
    AtLeast,
    Below,
    Condition,
    Equal,
    OneOf,
    Page,
    Present,
    Query,
    Segmentless,
    Sort,
    Touches,
)
from tams_gateway.storage.records import Kind, Record, Value
from tams_gateway.testing.metadata_samples import ids, segment

LONG = "x" * 120_000
TEXTS = st.sampled_from(["", "a", "b", "\ud800", "\ue000", LONG + "a", LONG + "b"])
SETS = st.frozensets(st.sampled_from(["", "a", "b"]), max_size=2)
NUMBERS = st.sampled_from([MIN_NS, 0, 1, MAX_NS])
FIELDS: st.SearchStrategy[dict[str, Value]] = st.fixed_dictionaries(
    {},
    optional={
        "life": st.sampled_from([0, 1]),
        "created": NUMBERS,
        "label": TEXTS,
        "init_segments": st.booleans(),
        "tag.a": SETS,
        "auth_classes": SETS,
    },
)
EDGES = st.sampled_from([-1, 0, 9, 10, 11, 50, 400, 401, 5000]).map(lambda at: at * SECOND)
CONDITIONS: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Touches, st.just(ETERNITY) | st.builds(Span, EDGES, EDGES)),
    st.just(Segmentless()),
    st.builds(Equal, st.just("created"), NUMBERS | st.just(2**70) | st.just("a")),
    st.builds(Equal, st.sampled_from(["label", "tag.a", "auth_classes"]), TEXTS),
    st.builds(Equal, st.just("init_segments"), st.booleans()),
    st.builds(
        OneOf,
        st.sampled_from(["label", "tag.a", "auth_classes", "created"]),
        st.lists(TEXTS, max_size=2).map(tuple),
    ),
    st.builds(AtLeast, st.just("created"), NUMBERS | st.just(-(2**70))),
    st.builds(Below, st.sampled_from(["created", "tag.a"]), NUMBERS | st.just(2**70)),
    st.builds(Present, st.sampled_from(["label", "tag.a", "tag.b", "auth_classes"])),
    st.builds(Absent, st.sampled_from(["label", "tag.a", "tag.b", "auth_classes"])),
)
SORTS = st.none() | st.builds(Sort, st.sampled_from(["created", "label"]), st.booleans())
IDS = ["", "a", "b", "c\ud800", "c\ue000", "d"]
KINDS = (Kind(f"kind-{number}", FLOW.fields, True, True) for number in itertools.count())


@pytest.fixture(scope="module")
def shared() -> Iterator[Tables]:
    with tables() as made:
        yield made


def walk(store: Tables | MemoryMetadata, query: Query) -> list[Page[Record]]:
    """Return all pages, their records without versions."""
    pages = []
    while True:
        page = store.find(query)
        pages.append(
            Page([replace(one, version=1, fields={**one.fields}) for one in page.items], page.more)
        )
        if not page.more:
            return pages
        last = page.items[-1]
        value = None if query.sort is None else last.fields.get(query.sort.field)
        assert value is None or isinstance(value, int | str)
        query = replace(query, after=After(value, last.id))


def few(count: int) -> AbstractContextManager[object]:
    """Let so many hits of sets be few."""
    return patch.object(find, "FEW", count)


@settings(max_examples=25, deadline=None)
@given(
    records=st.dictionaries(st.sampled_from(IDS), FIELDS, max_size=6),
    lengths=st.lists(st.sampled_from([1, 10, 350]), min_size=6, max_size=6),
    gaps=st.sets(st.integers(0, 5)),
    queries=st.lists(
        st.tuples(st.lists(CONDITIONS, max_size=2).map(tuple), SORTS), min_size=3, max_size=3
    ),
    reverse=st.booleans(),
    limit=st.sampled_from([1, 2, 100]),
    enough=st.sampled_from([2, 1000]),
)
def test_listings_are_those_of_the_memory_store(
    shared: Tables,
    records: dict[str, dict[str, Value]],
    lengths: list[int],
    gaps: set[int],
    queries: list[tuple[tuple[Condition, ...], Sort | None]],
    reverse: bool,
    limit: int,
    enough: int,
) -> None:
    """Whatever is pushed down, whether bounds of lives are tight, and of many hits too."""
    kind, model = next(KINDS), MemoryMetadata()
    # Segments are those of an id, whatever the kind of its record.
    records = {f"{kind.name} {one}": fields for one, fields in records.items()}
    changes: list[Change] = [Put(kind, one, b"{}", fields) for one, fields in records.items()]
    late: list[Change] = []
    for record_id, length in zip(records, lengths, strict=False):
        ends = itertools.accumulate([length * SECOND] * 5)
        row = [segment(end - length * SECOND, end) for end in ends]
        changes.append(AddSegments(record_id, 0, row, 1))
        late.append(DropSegments(record_id, 0, [row[at] for at in gaps if at < 5], 2))
    for store in (shared, model):
        store.apply(changes)
        store.apply(late)
    with few(enough):
        for where, sort in queries:
            query = Query(kind, where, sort, reverse, limit=limit)
            assert walk(model, query) == walk(shared, query), query


@pytest.fixture(scope="module")
def listed() -> Iterator[Tables]:
    """Tables with some flows, sources and objects."""
    with tables() as made:
        changes: list[Change] = []
        for at in range(40):
            fields: dict[str, Value] = {"created": at, "format": "video", "life": 0}
            tags = {"tag.site": frozenset("ab"[at % 2]), "auth_classes": frozenset({"all"})}
            collects = {"collects": frozenset({f"flow-{at - 1}"})} if at % 10 == 1 else {}
            changes.append(Put(FLOW, f"flow-{at}", b"{}", {**fields, **tags, **collects}))
            row = [segment(SECOND * (5 * at + n), SECOND * (5 * at + n + 1)) for n in range(5)]
            changes.append(AddSegments(f"flow-{at}", 0, row, 1))
            collected = {"collected_by": frozenset({"source-0"})} if at % 10 == 1 else {}
            changes.append(Put(SOURCE, f"source-{at}", b"{}", {"created": at, **collected}))
            changes.append(Put(OBJECT, f"object-{at}", b"{}", {"expires": at}))
        changes.append(Put(SERVICE, "service", b"{}"))
        made.apply(changes)
        yield made


_AGES = Sort("created", descending=True)


@pytest.mark.parametrize(
    ("query", "count", "requests"),
    [
        (Query(FLOW), 40, 4),
        (Query(FLOW, (Equal("format", "video"),), _AGES, limit=9), 9, 4),
        (Query(FLOW, sort=_AGES, after=After(7, "flow-7"), limit=3), 3, 4),
        (Query(FLOW, sort=_AGES, reverse=True, after=After(7, "flow-7")), 32, 4),
        (Query(FLOW, (Equal("format", "audio"),)), 0, 3),
        (Query(FLOW, (Equal("tag.site", "a"),), _AGES, limit=5), 5, 4),
        (Query(FLOW, (Equal("tag.site", "a"), Present("tag.site"), Absent("tag.x"))), 20, 4),
        (Query(FLOW, (Equal("tag.site", "c"),)), 0, 3),
        (Query(FLOW, (Equal("tag.site", "a"), OneOf("auth_classes", ("all", "some")))), 20, 5),
        (Query(FLOW, (Present("collects"),)), 4, 4),
        (Query(FLOW, (Equal("collects", "flow-10"),)), 1, 4),
        (Query(SOURCE, (Equal("collected_by", "source-0"),)), 4, 4),
        (Query(SOURCE, (Absent("collected_by"),), limit=7), 7, 5),
        (Query(FLOW, (Touches(ETERNITY),), _AGES), 40, 4),
        (Query(FLOW, (Segmentless(),), _AGES), 0, 3),
        (Query(FLOW, (Touches(Span(0, 10 * SECOND)),)), 2, 4),
        (Query(FLOW, (Touches(Span(2 * SECOND, 3 * SECOND)),)), 1, 5),
        (Query(FLOW, (Touches(Span(SECOND, SECOND)),)), 0, 0),
        (Query(OBJECT, (Below("expires", 5),), Sort("expires"), limit=3), 3, 4),
        (Query(OBJECT, (Below("expires", MIN_NS),)), 0, 0),
        (Query(OBJECT, (OneOf("size", ("text",)),)), 0, 0),
        (Query(SERVICE), 1, 4),
        (Query(Kind("unknown", {})), 0, 3),
    ],
)
def test_a_listing_is_few_requests(listed: Tables, query: Query, count: int, requests: int) -> None:
    """Four, for its keys and its bodies; one more for each further table that has to be asked."""
    assert count == len(listed.find(query).items)
    assert requests == listed.requests


def test_more_hits_of_a_set_than_a_few_are_read_by_their_keys(listed: Tables) -> None:
    """Bodies of a page alone are read, not those of all hits."""
    query = Query(FLOW, (Equal("tag.site", "a"),), _AGES, limit=2)
    with few(20):
        assert ["flow-38", "flow-36"] == ids(listed.find(query).items)
    assert 5 == listed.requests


def test_what_lies_in_bounds_only_is_looked_up_together(listed: Tables) -> None:
    """Flows whose bounds leave it open take one select, not one each."""
    row = [segment(SECOND * at, SECOND * at + 5) for at in range(1000, 1100)]
    listed.apply([AddSegments(f"flow-{at}", 0, row, 1) for at in range(40)])
    found = listed.find(Query(FLOW, (Touches(Span(1050 * SECOND, 1050 * SECOND + 9)),), limit=100))
    assert (40, 5) == (len(found.items), listed.requests)
    found = listed.find(Query(FLOW, (Touches(Span(1050 * SECOND + 5, 1051 * SECOND)),)))
    assert ([], 4) == (found.items, listed.requests)


def test_a_record_that_changes_while_its_page_is_read_is_told_as_it_was_or_is(
    listed: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a cluster shows a transaction what others commit meanwhile."""
    before = listed.server.switches
    listed.server.switches = replace(before, isolation="latest")
    turns = iter([Put(SOURCE, "source-3", b"new", {"created": 90}), Delete(SOURCE, "source-5")])
    select = Transaction.select

    def between(
        self: Transaction, table: Table, columns: Sequence[str], where: Sequence[Term] = ()
    ) -> object:
        found = select(self, table, columns, where)
        if "body" not in columns and table.name == "sources" and (change := next(turns, None)):
            with monkeypatch.context() as context:
                context.setattr(Transaction, "select", select)
                listed.apply([change])
        return found

    monkeypatch.setattr(Transaction, "select", between)
    query = Query(SOURCE, (Below("created", 100),), Sort("created"), limit=38)
    after_put, after_delete = listed.find(query), listed.find(query)
    listed.server.switches = before

    names = [f"source-{at}" for at in range(40)]
    names.append(names.pop(3))
    assert (names[:38], True) == (ids(after_put.items), after_put.more)
    names.remove("source-5")
    assert (names[:38], True) == (ids(after_delete.items), after_delete.more)
    assert next(turns, None) is None
