"""A gateway in memory whose clock the tests set, and no runner but the jobs that they call."""

from collections.abc import Iterator

import pytest
import structlog
from msgspec.structs import replace
from tams_gateway_memory.metadata import MemoryMetadata

from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.jobs.lease import Lease
from tams_gateway.operations import media_objects
from tams_gateway.operations.gateway import Gateway
from tests.in_memory import MAIN, Clock, gateway_in_memory


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gateway(clock: Clock) -> Iterator[Gateway]:
    metadata = MemoryMetadata()
    yield gateway_in_memory(metadata, clock)
    metadata.close()


@pytest.fixture
def lease(gateway: Gateway, clock: Clock) -> Lease:
    lease = Lease("jobs", gateway.metadata, clock.now_ns, clock.now_ns)
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
