"""What the object store `memory` promises beyond the contract."""

import time

from tams_gateway_memory.objects import MemoryObjects
from tams_gateway_memory.plugin import tams_object_store

from tams_gateway.storage.capabilities import SupportsMediaRoutes
from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.storage.objects import Place
from tams_gateway.testing.samples import KEYS


def make_store() -> MemoryObjects:
    return MemoryObjects(MediaUrls("main", KEYS, 3600, time.time))


def test_the_gateway_serves_its_bytes() -> None:
    assert isinstance(make_store(), SupportsMediaRoutes)


def test_it_is_of_one_process_and_never_waits() -> None:
    provider = tams_object_store()

    assert (provider.shared, provider.blocks) == (False, False)


def test_its_check_counts_what_it_keeps() -> None:
    store = make_store()
    store.write("a", "video/mp2t", [b"12345"])
    store.write("a", "video/mp2t", [b"6"])

    assert store.check().detail == "keeps 2 uploads of 6 bytes in memory"
    store.delete([Place("a")])
    assert store.check().detail == "keeps 0 uploads of 0 bytes in memory"
