"""Databases of every schema that was released open, and are migrated whole or not at all."""

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tams_gateway_sqlite import migration, schema
from tams_gateway_sqlite.metadata import SqliteMetadata

from tams_gateway.events.event import Event
from tams_gateway.storage.changes import AddSegments, Emit
from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.query import Equal, Query, UseQuery
from tams_gateway.testing.metadata_samples import (
    THING,
    TIMED,
    all_segments,
    flow,
    ids,
    put,
    record_of,
    row,
)

SCHEMAS = Path(__file__).parent / "schemas"
"""A dump of a database that `fill` made, for each version of the schema."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tams.db"


def fill(path: Path) -> None:
    with closing(SqliteMetadata(path)) as store:
        store.apply(
            [
                put("a", {"number": 1, "flag": True, "text": "one", "group": frozenset("xy")}),
                put("b", {"number": 2, "tag.colour": frozenset({"red"})}),
                flow("f", 7),
                AddSegments("f", 7, row(3, init="init"), 1234),
                Emit([Event("flows/created", 5, b"{}", {"flow_id": "f"})]),
            ]
        )


def check(path: Path) -> None:
    """See what `fill` wrote, and that it can be gone on with."""
    with closing(SqliteMetadata(path)) as store:
        assert ["b", "a"] == ids(store.find(Query(THING, reverse=True)).items)
        assert ["b"] == ids(store.find(Query(THING, (Equal("tag.colour", "red"),))).items)
        assert {"number": 1, "flag": True, "text": "one", "group": frozenset("xy")} == record_of(
            store, "a"
        ).fields
        assert 1234 == record_of(store, "f", TIMED).touched
        assert row(3, init="init") == all_segments(store, "f", 7)
        assert ["f"] == [use.flow_id for use in store.uses(UseQuery("init", as_init=True)).items]
        assert 1 == len(store.events(None, 9).items)
        store.apply([put("c", {"number": 3}), AddSegments("f", 7, row(1)[:0], 2000)])
        assert ["a", "b", "c"] == ids(store.find(Query(THING)).items)


def build(path: Path, version: int) -> None:
    """Make a database as a release with that schema left it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((SCHEMAS / f"{version}.sql").read_text())
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION}")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("PRAGMA journal_mode = WAL")


def shape(path: Path) -> dict[str, object]:
    """Return the columns of each table and index."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT type, name FROM sqlite_master").fetchall()
        return {
            name: connection.execute(
                f"SELECT * FROM pragma_{'table' if type_ == 'table' else 'index'}_xinfo(?)", (name,)
            ).fetchall()
            for type_, name in names
        }


def dump(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump()) + "\n"


@pytest.mark.parametrize("version", range(1, schema.VERSION + 1))
def test_a_database_of_every_released_schema_becomes_the_present_one(
    path: Path, version: int
) -> None:
    build(path, version)
    check(path)
    fresh = path.with_name("fresh.db")
    fill(fresh)
    text = path.with_name(f"{schema.VERSION}.sql")
    text.write_text(dump(fresh))
    assert shape(fresh) == shape(path), (
        "the schema has changed: raise VERSION, write a step in migration.py, and keep "
        f"{text} as a new fixture (or, if the former was never released, in its place)"
    )


@pytest.fixture
def next_schema(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A release with a schema behind the present one."""
    version = schema.VERSION

    def step(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE later (x)")
        connection.execute("UPDATE counter SET version = version + 1000")

    monkeypatch.setattr(migration, "STEPS", {**migration.STEPS, version: step})
    monkeypatch.setattr(schema, "VERSION", version + 1)
    yield version
    monkeypatch.undo()


def copies(path: Path) -> list[Path]:
    return sorted(path.parent.glob("tams.db-schema*"))


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_migration_keeps_a_copy_of_what_was_there(path: Path, next_schema: int) -> None:
    build(path, next_schema)
    check(path)
    assert next_schema + 1 == version_of(path)
    assert "later" in shape(path)
    (copy,) = copies(path)
    assert copy.name.startswith(f"tams.db-schema{next_schema}-")
    assert 0o600 == copy.stat().st_mode & 0o777
    assert next_schema == version_of(copy)
    assert "later" not in shape(copy)
    SqliteMetadata(path).close()
    assert [copy] == copies(path)


def test_a_migration_that_fails_changes_nothing(
    path: Path, next_schema: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE later (x)")
        connection.execute("no SQL")

    build(path, next_schema)
    with monkeypatch.context() as patch:
        patch.setattr(migration, "STEPS", {**migration.STEPS, next_schema: broken})
        with pytest.raises(StoreError, match=str(path)):
            SqliteMetadata(path)
    assert next_schema == version_of(path)
    assert "later" not in shape(path)
    check(path)
    assert "later" in shape(path)


def test_workers_that_start_at_once_migrate_once(path: Path, next_schema: int) -> None:
    build(path, next_schema)
    barrier = threading.Barrier(8)

    def begin() -> None:
        barrier.wait()
        SqliteMetadata(path).close()

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == len(copies(path))
    check(path)


KILLED = """
import os, signal, sys
from pathlib import Path
from tams_gateway_sqlite import migration, schema
from tams_gateway_sqlite.metadata import SqliteMetadata

def step(connection):
    connection.execute("CREATE TABLE later (x)")
    connection.execute("DELETE FROM segments")
    os.kill(os.getpid(), signal.SIGKILL)

migration.STEPS = {schema.VERSION: step}
schema.VERSION += 1
SqliteMetadata(Path(sys.argv[1]))
"""


def test_a_kill_in_the_middle_of_a_migration_leaves_the_old_database(path: Path) -> None:
    build(path, schema.VERSION)
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, timeout=60)
    assert -signal.SIGKILL == done.returncode
    check(path)


def test_a_schema_without_a_way_to_ours_is_refused_and_left_alone(path: Path) -> None:
    for version in (schema.VERSION + 1, 0):
        path.unlink(missing_ok=True)
        build(path, 1)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {version}")
        with pytest.raises(StoreError, match=f"schema {version}.*install the release"):
            SqliteMetadata(path)
        assert version == version_of(path)
        assert [] == copies(path)
