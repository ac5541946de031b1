"""The contract of metadata stores: what the gateway relies on, a test for each promise.

`tams_gateway.testing.suite` runs it on any plugin. A test of a plugin's own may inherit it, too,
and gives the fixture `opener`, whose store is empty at first.
"""

from collections.abc import Iterator

import pytest

from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.testing.metadata_backup import BackupContract
from tams_gateway.testing.metadata_concurrency import ThreadsContract
from tams_gateway.testing.metadata_faults import FaultsContract
from tams_gateway.testing.metadata_listings import ListingsContract
from tams_gateway.testing.metadata_machine import MachineContract
from tams_gateway.testing.metadata_processes import ProcessesContract
from tams_gateway.testing.metadata_records import RecordsContract
from tams_gateway.testing.metadata_segments import SegmentsContract
from tams_gateway.testing.metadata_speed import SpeedContract
from tams_gateway.testing.metadata_watch import WatchContract
from tams_gateway.testing.opening import Opener


class MetadataStoreContract(
    RecordsContract,
    ListingsContract,
    SegmentsContract,
    MachineContract,
    ThreadsContract,
    ProcessesContract,
    FaultsContract,
    BackupContract,
    WatchContract,
    SpeedContract,
):
    """Every promise of `MetadataStore`, and of what it supports beyond."""

    @pytest.fixture
    def store(self, opener: Opener[MetadataStore]) -> Iterator[MetadataStore]:
        """Return the store, open."""
        store = opener()
        yield store
        store.close()
