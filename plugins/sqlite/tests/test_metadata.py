"""The metadata contract in SQLite."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
from tams_gateway_sqlite.metadata import SqliteMetadata

from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.testing.metadata_processes import Opener
from tams_gateway.testing.metadata_store import SharedMetadataStoreContract


class TestSqliteMetadata(SharedMetadataStoreContract):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> Opener:
        return functools.partial(SqliteMetadata, tmp_path / "tams.db")

    @pytest.fixture
    def store(self, opener: Opener) -> Iterator[MetadataStore]:
        store = opener()
        yield store
        store.close()
