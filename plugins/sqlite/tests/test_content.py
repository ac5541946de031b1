"""What a store gives to a backup, any store takes: SQLite and memory, in every direction."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tams_gateway_memory.metadata import MemoryMetadata
from tams_gateway_sqlite.metadata import SqliteMetadata

from tams_gateway.events.event import Event
from tams_gateway.storage.capabilities import SupportsBackup
from tams_gateway.storage.changes import AddSegments, Emit, Put
from tams_gateway.storage.content import Entry, KindEntry, LifeEntry
from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import Query
from tams_gateway.storage.records import FieldType, Kind
from tams_gateway.testing.metadata_samples import THING, TIMED, flow, put, row


def filled(store: MetadataStore) -> None:
    store.apply(
        [
            put("a", {"number": 1, "flag": True, "text": "\ud800", "group": frozenset("xy")}),
            put("b", {"tag.colour": frozenset()}),
            put("c"),
            flow("f", 7),
            AddSegments("f", 7, row(2500), 1234),
            AddSegments("gone", 3, row(2, init="init"), 1),
            Emit([Event("flows/created", 5, b"{}", {"flow_id": "f"})]),
        ]
    )


def held(store: SupportsBackup) -> list[Entry]:
    """Return what a store holds, without what every store makes of its own."""
    found: list[Entry] = []
    for entry in store.snapshot():
        if isinstance(entry, KindEntry):
            fields = {name for one in entry.records for name in one.fields}
            assert fields == {one for one in fields if entry.kind.type_of(one)}
            records = [(one.id, one.body, one.fields, one.touched) for one in entry.records]
            found.append((entry.kind.name, entry.kind.segments, records))  # type: ignore[arg-type]
        else:
            found.append(entry)
    return found


@pytest.fixture(params=["sqlite", "memory"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MetadataStore]:
    sqlite = request.param == "sqlite"
    store = SqliteMetadata(tmp_path / "source.db") if sqlite else MemoryMetadata()
    yield store
    store.close()


@pytest.fixture(params=["sqlite", "memory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MetadataStore]:
    sqlite = request.param == "sqlite"
    store = SqliteMetadata(tmp_path / "target.db") if sqlite else MemoryMetadata()
    yield store
    store.close()


def test_what_one_store_gives_another_takes(source: MetadataStore, target: MetadataStore) -> None:
    assert isinstance(source, SupportsBackup)
    assert isinstance(target, SupportsBackup)
    filled(source)
    target.apply([put("old"), put("a"), flow("f", 8), AddSegments("f", 8, row(1), 1)])
    before = target.get(THING, ["a"])["a"].version

    target.replace(source.snapshot())

    assert held(source) == held(target)
    found = target.get(THING, ["a", "old"])
    assert ["a"] == list(found)
    assert before < found["a"].version
    assert 1234 == target.get(TIMED, ["f"])["f"].touched
    assert 1 == len(target.events(None, 9).items)
    target.apply([put("a", {"number": 2})])
    assert ["a", "b", "c"] == [one.id for one in target.find(Query(THING)).items]


def test_a_source_that_fails_leaves_the_target_as_it_was(
    source: MetadataStore, target: MetadataStore
) -> None:
    assert isinstance(source, SupportsBackup)
    assert isinstance(target, SupportsBackup)
    filled(source)
    filled(target)
    target.apply([put("more")])
    before = held(target)

    def broken() -> Iterator[Entry]:
        yield from source.snapshot()
        raise StoreError("the disk is gone")

    with pytest.raises(StoreError, match="the disk is gone"):
        target.replace(broken())
    assert before == held(target)


def test_a_snapshot_is_of_one_moment(source: MetadataStore) -> None:
    assert isinstance(source, SupportsBackup)
    filled(source)
    entries = source.snapshot()
    first = next(entries)
    source.apply([put("z"), AddSegments("f", 8, row(1), 1)])
    rest = [first, *entries]
    assert "z" not in {
        one.id for entry in rest if isinstance(entry, KindEntry) for one in entry.records
    }
    lives = [entry for entry in rest if isinstance(entry, LifeEntry)]
    assert 2502 == sum(len(entry.segments) for entry in lives)
    assert 1000 == max(len(entry.segments) for entry in lives)


def test_cursors_from_before_a_replacement_miss_no_event(target: MetadataStore) -> None:
    assert isinstance(target, SupportsBackup)
    filled(target)
    cursor = target.events(None, 9).cursor
    target.replace(list(target.snapshot()))
    assert 1 == len(target.events(cursor, 9).items)


def test_kinds_that_nobody_names_any_more_are_kept(target: MetadataStore) -> None:
    assert isinstance(target, SupportsBackup)
    other = Kind("elsewhere", {"Größe": FieldType.INT})
    target.apply([Put(other, "one", b"{}", {"Größe": 3})])
    target.replace(list(target.snapshot()))
    assert {"Größe": 3} == target.get(other, ["one"])["one"].fields
