"""A gateway in memory whose clock the tests set, and no runner but the jobs that they call."""

from collections.abc import Iterator

import pytest
import structlog
from msgspec.structs import replace
from tams_gateway_memory.metadata import MemoryMetadata
from tams_gateway_memory.objects import MemoryObjects

from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.domain.timerange import SECOND
from tams_gateway.jobs.lease import Lease
from tams_gateway.operations import media_objects
from tams_gateway.operations.gateway import Backend, Gateway, Limits, Service
from tams_gateway.storage.media_urls import MediaUrls

MAIN = "00000000-0000-4000-8000-000000000001"
SECOND_BACKEND = "00000000-0000-4000-8000-000000000002"


class Clock:
    """Nanoseconds since 1970, moved by hand."""

    def __init__(self) -> None:
        self.ns = 1_700_000_000 * SECOND

    def now_ns(self) -> int:
        return self.ns

    def forward(self, seconds: float) -> None:
        self.ns += int(seconds * SECOND)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gateway(clock: Clock) -> Iterator[Gateway]:
    metadata = MemoryMetadata()
    yield Gateway(
        metadata=metadata,
        backends={
            MAIN: _backend(MAIN, "main", True),
            SECOND_BACKEND: _backend(SECOND_BACKEND, "second", False),
        },
        limits=Limits(),
        service=Service(),
        now_ns=clock.now_ns,
        listening=True,
    )
    metadata.close()


def _backend(id_: str, name: str, default: bool) -> Backend:
    store = MemoryObjects(MediaUrls(name, b"k" * 32, 3600, lambda: 0.0))
    return Backend(id_, name, name, default, {}, store, {"id": id_}, {})


@pytest.fixture
def lease(gateway: Gateway, clock: Clock) -> Lease:
    lease = Lease("jobs", gateway.metadata, clock.now_ns)
    assert lease.acquire()
    return lease


@pytest.fixture
def log() -> structlog.typing.FilteringBoundLogger:
    return structlog.get_logger("test")


def keep(gateway: Gateway, **members: object) -> MediaObject:
    """Store an object with bytes on the main backend."""
    stat = gateway.backends[MAIN].store.write("2023/one.ts", "video/mp2t", [b"bytes"])
    instance = Instance(storage_id=MAIN, key="2023/one.ts", version=stat.version)
    flow_id = "10000000-0000-4000-8000-000000000001"
    plain = MediaObject("one", "video/mp2t", flow_id, instances=(instance,), sha256=stat.sha256)
    made = replace(plain, **members)
    gateway.metadata.apply([media_objects.put(made)])
    return made
