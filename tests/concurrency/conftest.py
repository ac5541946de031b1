"""One gateway for all the races: in process under threads, and as worker processes of servers."""

from collections.abc import Iterator

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.transports import Http
from tests.deployments import config, in_process
from tests.servers.process import SERVERS, serving
from tests.spec.official import watches

IN_PROCESS = ("wsgi-memory", "asgi-memory", "wsgi-sqlite", "asgi-sqlite")


@pytest.fixture(scope="module", params=(*IN_PROCESS, *SERVERS))
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """A client whose every thread has a connection of its own to one of two workers."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param in IN_PROCESS:
        settings = config(request.param, folder, {})
        with in_process(request.param, settings, watches()) as deployment:
            yield deployment.client
        return
    with serving(folder, "--server", request.param, "--workers", "2") as server:
        client = Client(Http(f"http://127.0.0.1:{server.port}"), watches())
        yield client
        client.close()


@pytest.fixture
def ingest(client: Client) -> Ingest:
    return Ingest(client)
