"""A page that SQLite joins is the page that it returns segment by segment."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from tams_gateway_sqlite.metadata import SqliteMetadata

from tams_gateway.domain.timerange import Span
from tams_gateway.storage.capabilities import Joined, SupportsJoin
from tams_gateway.storage.changes import AddSegments
from tams_gateway.storage.query import SegmentQuery
from tams_gateway.testing.metadata_samples import row

STORED = row(20)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteMetadata]:
    store = SqliteMetadata(tmp_path / "tams.db")
    store.apply([AddSegments("f", 0, STORED, 1), AddSegments("f", 1, row(3, init="init"), 1)])
    yield store
    store.close()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("span", [None, Span(35, 95), Span(40, 40), Span(150, 10_000)])
def test_a_joined_page_is_that_of_single_segments(
    store: SqliteMetadata, span: Span | None, reverse: bool
) -> None:
    assert isinstance(store, SupportsJoin)
    ids = (None, STORED[5].object_id)
    for after, limit, object_id in itertools.product((None, 60, 90), (1, 4, 20, 100), ids):
        query = SegmentQuery("f", 0, span, object_id, reverse, after, limit)
        page = store.segments(query)
        expected = None
        if page.items:
            bodies = b"[" + b",".join(one.body for one in page.items) + b"]"
            ends = page.items[0], page.items[-1]
            expected = Joined(bodies, len(page.items), *ends, page.more)
        assert expected == store.joined(query), query


def test_a_page_with_init_objects_is_not_joined(store: SqliteMetadata) -> None:
    assert 3 == len(store.segments(SegmentQuery("f", 1)).items)
    assert store.joined(SegmentQuery("f", 1)) is None
