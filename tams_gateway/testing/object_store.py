"""The contract of object stores: what the gateway relies on, a test for each promise.

`tams_gateway.testing.suite` runs it on any plugin. A test of a plugin's own may inherit it, too,
and gives the fixture `opener`, whose store is empty at first.
"""

from collections.abc import Iterator

import pytest

from tams_gateway.storage.objects import ObjectStore
from tams_gateway.testing.object_bytes import BytesContract
from tams_gateway.testing.object_concurrency import ThreadsContract
from tams_gateway.testing.object_faults import FaultsContract
from tams_gateway.testing.object_urls import UrlsContract
from tams_gateway.testing.object_versions import VersionsContract
from tams_gateway.testing.opening import Opener


class ObjectStoreContract(
    BytesContract, VersionsContract, UrlsContract, ThreadsContract, FaultsContract
):
    """Every promise of `ObjectStore`, and of what it supports beyond."""

    @pytest.fixture
    def store(self, opener: Opener[ObjectStore]) -> Iterator[ObjectStore]:
        """Return the store, open."""
        store = opener()
        yield store
        store.close()
