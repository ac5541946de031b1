"""The metadata contract in SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tams_gateway_sqlite.metadata import SqliteMetadata

from tams_gateway.testing.metadata_store import MetadataStoreContract


class TestSqliteMetadata(MetadataStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SqliteMetadata]:
        store = SqliteMetadata(tmp_path / "tams.db")
        yield store
        store.close()
