"""2 GiB in and out of `filesystem` add less than 64 MiB to the process (issue: media routes)."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tams_gateway_filesystem.store import FilesystemObjects
from tams_gateway_memory.metadata import MemoryMetadata

from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.operations import media, media_objects
from tams_gateway.operations.gateway import Backend, Gateway, Limits, Service
from tams_gateway.operations.messages import Request
from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.storage.objects import Place
from tams_gateway.testing.samples import KEYS

GIB = 2**30
MIB = 2**20
CHUNK = bytes(range(256)) * 1024
PATH = {"store": "main", "key": "large.ts"}


def measured(name: str) -> int:
    """Return a figure of this process in bytes: VmRSS now, VmHWM at its highest."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@contextmanager
def adding_less_than(limit: int) -> Iterator[None]:
    Path("/proc/self/clear_refs").write_text("5")  # The peak begins anew.
    before = measured("VmRSS")
    yield
    assert measured("VmHWM") - before < limit


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    urls = MediaUrls("main", KEYS, 3600, time.time)
    store = FilesystemObjects(tmp_path / "objects", urls, durable=False, now=time.time)
    made = Gateway(
        metadata=MemoryMetadata(),
        backends={"id": Backend("id", "main", "main", True, {}, store, {}, {})},
        limits=Limits(),
        service=Service(),
        now_ns=time.time_ns,
    )
    instance = Instance(storage_id="id", key="large.ts")
    allocated = MediaObject("large", "video/mp2t", "flow", instances=(instance,))
    made.metadata.apply([media_objects.put(allocated)])
    yield made
    store.delete([Place("large.ts")])  # pytest keeps its folders for a while.


def test_two_gibibytes_pass_through_little_memory(gateway: Gateway) -> None:
    count = 2 * GIB // len(CHUNK)
    with adding_less_than(64 * MIB):
        # Each chunk is made anew, as those of a server are.
        upload = Request(
            method="PUT",
            path=PATH,
            headers={"content-type": "video/mp2t"},
            length=2 * GIB,
            stream=(bytearray(CHUNK) for _ in range(count)),  # type: ignore[misc]
        )
        assert media.put_media(gateway, upload).status == 200
    with adding_less_than(64 * MIB):
        response = media.get_media(gateway, Request(method="GET", path=PATH))
        assert response.headers["Content-Length"] == str(2 * GIB)
        assert response.stream is not None
        taken = 0
        for chunk in response.stream:
            assert chunk == CHUNK
            taken += 1

    assert count == taken
