"""One gateway for all the races: in process under threads, and as worker processes of servers.

`TAMS_RACES="gunicorn-sqlite-s3 uvicorn-vast-s3"` names others, whose servers have four workers.
"""

import os
from collections.abc import Iterator
from typing import Final

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.transports import Http
from tests.deployments import config, in_process
from tests.servers.process import SERVERS, serving
from tests.spec.official import watches
from tests.stores import Servers, past_the_gateway

IN_PROCESS: Final = ("wsgi-memory", "asgi-memory", "wsgi-sqlite", "asgi-sqlite")
CHOSEN: Final = tuple(os.environ.get("TAMS_RACES", "").split())
WORKERS: Final = "4" if CHOSEN else "2"


@pytest.fixture(scope="module", params=CHOSEN or (*IN_PROCESS, *SERVERS))
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, servers: Servers
) -> Iterator[Client]:
    """A client whose every thread has a connection of its own to one of the workers."""
    folder = tmp_path_factory.mktemp(request.param)
    front, _, stores = request.param.partition("-")
    options = ("--server", front, "--workers", WORKERS)
    past: list[Http] = []
    if stores:
        settings = config(request.param, folder, {}, servers)
        if front not in SERVERS:
            with in_process(request.param, settings, watches()) as deployment:
                yield deployment.client
            return
        options = (*options, "--config", str(folder / "gateway.toml"))
        past = past_the_gateway(settings)
    with serving(folder, *options, within=60) as server:
        client = Client(Http(f"http://127.0.0.1:{server.port}"), watches(), past)
        yield client
        client.close()


@pytest.fixture
def ingest(client: Client) -> Ingest:
    return Ingest(client)
