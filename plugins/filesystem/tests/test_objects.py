"""The object store `filesystem` against the published contract, with either durability."""

import time
from pathlib import Path

import pytest
from tams_gateway_filesystem.store import FilesystemObjects

from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.storage.objects import ObjectStore
from tams_gateway.testing.object_store import ObjectStoreContract


class TestFilesystemObjects(ObjectStoreContract):
    @pytest.fixture(params=[True, False], ids=["power", "process"])
    def store(self, tmp_path: Path, request: pytest.FixtureRequest) -> ObjectStore:
        urls = MediaUrls("main", b"k" * 32, 3600, time.time)
        return FilesystemObjects(tmp_path / "objects", urls, durable=request.param, now=time.time)
