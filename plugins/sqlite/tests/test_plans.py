"""No query about segments scans: what SQLite says that it will do is looked at."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tams_gateway_sqlite.metadata import SqliteMetadata

from tams_gateway.domain.timerange import Span
from tams_gateway.storage.changes import AddSegments, DropSegments
from tams_gateway.storage.query import (
    Absent,
    After,
    AtLeast,
    Below,
    Condition,
    Equal,
    OneOf,
    Query,
    Segmentless,
    SegmentQuery,
    Sort,
    Touches,
    UseQuery,
)
from tams_gateway.testing.metadata_samples import THING, TIMED, flow, put, row

STORED = row(50)

_SMALL = ("SCAN counter", "SCAN kinds")
"""Tables of one row, and of one row for each kind."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteMetadata]:
    store = SqliteMetadata(tmp_path / "tams.db")
    store.apply([flow("f"), AddSegments("f", 0, STORED, 1)])
    store.apply([put(f"{number}", {"number": number, "text": "t"}) for number in range(5)])
    yield store
    store.close()


class Plans:
    """Collects the plans of the statements that a store executes."""

    def __init__(self, store: SqliteMetadata, path: Path) -> None:
        self._statements: list[str] = []
        self._path = path
        self._connections = store._connections
        self._lent = []
        for _ in range(4):
            with self._connections.reader() as reader:
                self._lent.append(reader)
        self._lent.append(self._connections.writer())
        for connection in self._lent:
            connection.set_trace_callback(self._statements.append)

    def take(self) -> list[str]:
        """Return the lines of the plans of what was executed since."""
        statements, self._statements[:] = list(self._statements), []
        looker = sqlite3.connect(self._path)
        looker.create_function("unhex_", 1, bytes.fromhex, deterministic=True)
        plans = [
            line[3]
            for statement in statements
            if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))
            for line in looker.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]
        looker.close()
        return plans


@pytest.fixture
def plans(store: SqliteMetadata, tmp_path: Path) -> Plans:
    return Plans(store, tmp_path / "tams.db")


def test_a_query_about_segments_searches_and_never_scans(
    store: SqliteMetadata, plans: Plans
) -> None:
    for span in (None, Span(100, 200)):
        for after in (None, 150):
            for object_id in (None, "object"):
                for reverse in (False, True):
                    store.segments(SegmentQuery("f", 0, span, object_id, reverse, after))
        store.extent("f", 0, span)
    store.uses(UseQuery("object"))
    store.uses(UseQuery("object", as_init=True))
    store.find(Query(TIMED, (Equal("label", "x"), Touches(Span(1, 2)))))
    store.find(Query(TIMED, (Equal("label", "x"), Segmentless())))
    found = plans.take()
    of_segments = [line for line in found if "segments" in line or " s " in line]
    assert len(of_segments) > 30
    assert [] == [line for line in of_segments if not line.endswith((">?)", "<?)"))]
    assert [] == [line for line in of_segments if not line.startswith("SEARCH")]
    assert [] == [line for line in found if "TEMP B-TREE" in line]


def test_adding_and_dropping_segments_searches(store: SqliteMetadata, plans: Plans) -> None:
    store.apply([AddSegments("f", 0, row(60)[50:], 1)])
    store.apply([DropSegments("f", 0, STORED[10:20], 1)])
    found = plans.take()
    assert found
    assert [] == [line for line in found if line.startswith("SCAN") and line not in _SMALL]


@pytest.mark.parametrize("sort", [Sort("number", descending=True), Sort("text"), None])
def test_a_sorted_listing_walks_its_index(
    store: SqliteMetadata, plans: Plans, sort: Sort | None
) -> None:
    for reverse in (False, True):
        for after in (None, After(None, "3"), After(3 if sort and sort.descending else "t", "3")):
            store.find(Query(THING, (), sort, reverse, None if sort is None else after))
    store.find(Query(THING, (Equal("text", "t"),)))
    found = plans.take()
    assert found
    assert [] == [line for line in found if "TEMP B-TREE" in line or "AUTOMATIC" in line]


@pytest.mark.parametrize(
    "condition",
    [Below("number", 2), AtLeast("number", 4), Equal("text", "u"), OneOf("text", ("u", "v"))],
)
def test_what_few_records_meet_is_looked_up_however_many_there_are(
    store: SqliteMetadata, plans: Plans, condition: Condition
) -> None:
    """Jobs ask so several times a second what is due: mostly it is nothing."""
    store.find(Query(THING, (condition,), Sort("number"), limit=1))
    found = plans.take()
    assert found
    assert [] == [line for line in found if line.startswith("SCAN record:")]


def test_an_index_of_records_without_a_field_is_made_when_somebody_lists_them(
    store: SqliteMetadata, plans: Plans, tmp_path: Path
) -> None:
    """Each index would be one more page of every commit."""

    def made() -> list[str]:
        with closing(sqlite3.connect(tmp_path / "tams.db")) as looker:
            names = looker.execute("SELECT name FROM sqlite_master WHERE name LIKE 'unset:%'")
            return sorted(name for (name,) in names)

    store.apply([put("unset", {"text": "t"})])
    store.find(Query(THING, (Below("number", 9),), Sort("number")))
    assert [] == made()
    plans.take()

    found = store.find(Query(THING, (Absent("flag"),), Sort("number", descending=True)))

    assert ["4", "3", "2", "1", "0", "unset"] == [one.id for one in found.items]
    assert ["unset:kit_thing:flag", "unset:kit_thing:number"] == made()
    scans = [line for line in plans.take() if line.startswith("SCAN record:")]
    assert all("INDEX unset:" in line for line in scans), scans
    assert ["unset"] == [one.id for one in store.find(Query(THING, (Absent("number"),))).items]
