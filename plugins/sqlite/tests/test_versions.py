"""No version comes twice, though each process has a stock of its own."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tams_gateway_sqlite import versions
from tams_gateway_sqlite.metadata import SqliteMetadata
from tams_gateway_sqlite.versions import Versions

from tams_gateway.storage.changes import Delete, Put
from tams_gateway.storage.errors import ConflictError
from tams_gateway.testing.metadata_samples import THING, put, record_of


def test_no_version_of_a_record_comes_twice_from_any_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "_AT_A_TIME", 3)
    stores = [SqliteMetadata(tmp_path / "tams.db") for _ in range(2)]
    seen: list[int] = []
    for number in range(20):
        store = stores[number // 2 % 2]
        store.apply([Delete(THING, "a")])
        store.apply([put("a")])
        with pytest.raises(ConflictError):
            store.apply([put("b"), Put(THING, "a", b"", {}, 10**6)])
        seen.append(record_of(store, "a").version)
    stores[0].close()
    stores[0] = SqliteMetadata(tmp_path / "tams.db")
    stores[0].apply([put("a")])
    seen.append(record_of(stores[1], "a").version)
    for store in stores:
        store.close()
    assert len(seen) == len(set(seen))
    assert 0 < min(seen)


def test_versions_are_committed_before_they_are_used(tmp_path: Path) -> None:
    """What a commit takes back, or a killed process leaves, may have been seen."""
    path = tmp_path / "tams.db"
    SqliteMetadata(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        stock = Versions()
        stock.stock(connection, 64)
        connection.execute("BEGIN IMMEDIATE")
        taken = [stock.take() for _ in range(64)]
        connection.execute("ROLLBACK")
        other = Versions()
        other.stock(connection, 1)
        assert other.take() > max(taken)
