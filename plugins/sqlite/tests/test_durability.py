"""What the SQLite store promises beyond the contract: durability, and errors that help."""

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from tams_gateway_sqlite import connections
from tams_gateway_sqlite.metadata import SqliteMetadata
from tams_gateway_sqlite.plugin import tams_metadata_store

from tams_gateway.storage.changes import AddSegments, Emit, Expect, Forget, Put
from tams_gateway.storage.errors import ConflictError, StoreError
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import Query, SegmentQuery, UseQuery
from tams_gateway.storage.records import FieldType, Kind
from tams_gateway.testing.metadata_samples import THING, put, record_of, segment


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one" / "two" / "tams.db"


def test_the_settings_are_a_path_and_a_durability() -> None:
    settings = tams_metadata_store().settings
    default = msgspec.to_builtins(msgspec.convert({}, settings))
    assert {"path": "data/tams.db", "durability": "power"} == default
    for wrong in ({"path": 1}, {"path": "x", "durability": "none"}, {"path": "x", "more": 1}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, settings)


@pytest.mark.parametrize(("durability", "synchronous"), [("power", 2), ("process", 1)])
def test_durability_decides_whether_a_commit_waits_for_the_disk(
    path: Path, durability: Literal["power", "process"], synchronous: int
) -> None:
    store = SqliteMetadata(path, durability=durability)
    writer = store._connections.writer()
    assert (synchronous,) == writer.execute("PRAGMA synchronous").fetchone()
    assert ("wal",) == writer.execute("PRAGMA journal_mode").fetchone()
    store.close()


def test_new_directories_and_the_file_in_them_survive_a_power_cut(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(connections, "sync_directory", synced.append)
    SqliteMetadata(path).close()
    root = path.parent.parent.parent
    assert [root, root / "one", root / "one" / "two"] == synced


def test_a_path_relative_to_the_current_directory_stays_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = SqliteMetadata(Path("data/tams.db"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.apply([put("a")])
    assert "a" == record_of(store, "a").id
    store.close()
    assert (tmp_path / "data" / "tams.db").exists()


def test_a_database_of_a_newer_schema_is_refused(path: Path) -> None:
    SqliteMetadata(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match=f"{path}.*schema 99.*install"):
        SqliteMetadata(path)


def test_a_file_that_is_no_database_of_ours_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"text, " * 1000)
    with pytest.raises(StoreError, match="give the path of a database"):
        SqliteMetadata(path)
    assert b"text, " * 1000 == path.read_bytes()
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    with pytest.raises(StoreError, match="another program"):
        SqliteMetadata(path)


def test_a_directory_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        SqliteMetadata(tmp_path / "file" / "tams.db")


CALLS: list[Callable[[MetadataStore], object]] = [
    lambda store: store.get(THING, ["a"]),
    lambda store: store.find(Query(THING)),
    lambda store: store.segments(SegmentQuery("f", 0)),
    lambda store: store.extent("f", 0),
    lambda store: store.uses(UseQuery("o")),
    lambda store: store.events(None, 1),
    lambda store: store.tip(),
    lambda store: store.apply([put("a")]),
    lambda store: store.apply([AddSegments("f", 0, [segment(0, 1)], 1), Emit([])]),
]


def test_every_error_of_sqlite_is_a_store_error_that_names_the_file(path: Path) -> None:
    store = SqliteMetadata(path)
    store.apply([put("a")])
    with sqlite3.connect(path) as connection:
        for table in ("record:kit_thing", "segments", "events", "counter"):
            connection.execute(f'ALTER TABLE "{table}" RENAME TO "{table}-gone"')
    connection.close()
    for call in CALLS:
        with pytest.raises(StoreError, match=str(path)):
            call(store)
    store.close()


def test_a_store_that_cannot_be_written_is_not_in_order(path: Path) -> None:
    store = SqliteMetadata(path)
    store._connections.writer().execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="writable"):
        store.apply([put("a")])
    store._connections.writer().execute("PRAGMA query_only = OFF")
    assert store.check().ok
    store._connections.writer().close()
    health = store.check()
    assert not health.ok
    assert str(path) in health.detail
    store._connections._writer = None
    store.close()


def test_a_cursor_of_another_store_is_a_store_error(path: Path) -> None:
    store = SqliteMetadata(path)
    with pytest.raises(StoreError, match="no cursor"):
        store.events("x", 1)
    with pytest.raises(StoreError, match="no cursor"):
        store.apply([put("a"), Forget("x")])
    assert {} == store.get(THING, ["a"])
    store.close()


def test_any_unicode_is_kept_also_lone_surrogates_and_nul(path: Path) -> None:
    store = SqliteMetadata(path)
    odd = ["\ud800", "NUL \0", "b"]
    store.apply([put(one, {"text": "\udfff", "group": frozenset({"\ud800"})}) for one in odd])
    assert "\udfff" == record_of(store, "\ud800").fields["text"]
    assert set(odd) == store.get(THING, odd).keys()
    assert {"NUL \0"} == store.get(THING, ["NUL \0", "c"]).keys()
    assert set(odd) == {one.id for one in store.find(Query(THING)).items}
    segments = [segment(0, 1, "\ud801"), segment(1, 2, "x", "\ud802"), segment(2, 3, "x", "y")]
    store.apply([AddSegments("f", 0, segments, 1)])
    assert segments == store.segments(SegmentQuery("f", 0)).items
    store.close()


def test_a_child_of_a_fork_opens_connections_of_its_own(path: Path) -> None:
    store = SqliteMetadata(path)
    store.apply([put("a", {"number": 1})])
    before = store._connections
    child = os.fork()
    if child == 0:
        status = 1
        try:
            store.apply([Expect(THING, "a", record_of(store, "a").version), put("child")])
            status = 0 if store._connections is not before else 2
        finally:
            os._exit(status)
    assert (child, 0) == os.waitpid(child, 0)
    assert before is store._connections
    assert "child" == record_of(store, "child").id
    store.close()


def test_more_threads_than_connections_read_at_once(path: Path) -> None:
    store = SqliteMetadata(path)
    store.apply([put("a")])
    barrier = threading.Barrier(64)
    found: list[str] = []

    def read() -> None:
        barrier.wait()
        found.extend(record_of(store, "a").id for _ in range(20))

    threads = [threading.Thread(target=read) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ["a"] * 64 * 20 == found
    store.close()


def test_what_fails_in_one_callers_work_reaches_that_caller_alone(path: Path) -> None:
    store = SqliteMetadata(path)
    with pytest.raises(OverflowError):
        store.apply([put("a"), put("b", {"number": 2**70})])
    with pytest.raises(ConflictError):
        store.apply([put("a"), Put(THING, "b", b"", {}, 7)])
    assert {} == store.get(THING, ["a", "b"])
    store.apply([put("a")])
    store.close()


def test_a_file_that_was_moved_away_takes_no_more_commits(path: Path) -> None:
    """What went into it would be gone at the next start, though it was acknowledged."""
    store = SqliteMetadata(path)
    store.apply([put("before")])
    aside = path.rename(path.with_suffix(".aside"))
    with pytest.raises(StoreError, match="moved or replaced"):
        store.apply([put("lost")])
    assert not store.check().ok
    with pytest.raises(StoreError):
        store.find(Query(THING))  # Over a connection that is opened only now.
    with pytest.raises(StoreError, match="-wal with commits"):
        SqliteMetadata(path)
    assert not path.exists()

    aside.rename(path)

    assert store.check().ok
    store.apply([put("after")])
    assert {"before", "after"} == set(store.get(THING, ["before", "lost", "after"]))
    assert {"before", "after"} == set(SqliteMetadata(path).get(THING, ["before", "after"]))


def test_the_database_is_for_its_owner_alone(path: Path) -> None:
    """It keeps the keys that sign URLs."""
    SqliteMetadata(path).apply([put("a")])
    assert {0o600} == {one.stat().st_mode & 0o777 for one in path.parent.iterdir()}


def test_the_log_of_commits_stays_short_though_somebody_always_reads(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_LONGEST_LOG", 2**20)
    store = SqliteMetadata(path)
    longest = 0
    for number in range(30):
        store.apply([Put(THING, f"{number}", bytes(2**18))])
        with store._connections.reader() as reading:
            reading.execute("SELECT version FROM counter").fetchone()
        longest = max(longest, path.with_name("tams.db-wal").stat().st_size)
    assert longest < 3 * 2**20


def test_a_field_that_is_no_longer_declared_does_no_harm(path: Path) -> None:
    """A later release may find records by fewer fields."""
    before = Kind("thing", {"a": FieldType.SET, "b": FieldType.INT})
    store = SqliteMetadata(path)
    store.apply([Put(before, "one", b"{}", {"a": frozenset("x"), "b": 1})])
    store.close()

    after = Kind("thing", {"b": FieldType.INT})
    store = SqliteMetadata(path)
    store.apply([Put(after, "one", b"{}", {"b": 2})])

    assert {"b": 2} == store.get(after, ["one"])["one"].fields


def test_a_record_is_read_while_somebody_writes_and_over_the_same_connection_while_nobody_does(
    path: Path,
) -> None:
    store = SqliteMetadata(path)
    store.apply([put("a")])
    over: list[str] = []
    store._connections.writer().set_trace_callback(over.append)
    assert "a" == record_of(store, "a").id
    assert 1 == len(over)
    with store._connections.writing:
        assert "a" == record_of(store, "a").id
    store.find(Query(THING))
    assert 1 == len(over)
    store.apply([put("b")])
    assert "b" == record_of(store, "b").id
    store.close()
