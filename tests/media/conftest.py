"""A real server on the default stores, for real media."""

from collections.abc import Iterator

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.transports import Http
from tests.media.ffmpeg import MISSING
from tests.servers.process import serving
from tests.spec.official import watches


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    if MISSING:
        pytest.skip(MISSING)
    with serving(tmp_path_factory.mktemp("server")) as server:
        client = Client(Http(f"http://127.0.0.1:{server.port}"), watches())
        yield client
        client.close()


@pytest.fixture
def ingest(client: Client) -> Ingest:
    return Ingest(client)
