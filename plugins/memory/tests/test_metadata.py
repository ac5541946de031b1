"""The metadata contract in memory."""

import pytest
from tams_gateway_memory.metadata import MemoryMetadata

from tams_gateway.testing.metadata_store import MetadataStoreContract


class TestMemoryMetadata(MetadataStoreContract):
    @pytest.fixture
    def store(self) -> MemoryMetadata:
        return MemoryMetadata()
