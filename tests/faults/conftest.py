"""What tests of faults share: servers that are killed, and clients that see them go."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.transports import Http
from tests.servers.process import Serve, serving

Start = Callable[..., tuple[Serve, Client]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts two workers on the data of this test, as often as it asks; returns a client, too."""
    with ExitStack() as closing:

        def begin(environment: Mapping[str, str] = {}) -> tuple[Serve, Client]:
            options = ("--workers", "2")
            server = closing.enter_context(serving(tmp_path, *options, environment=environment))
            client = Client(Http(f"http://127.0.0.1:{server.port}"))
            closing.callback(client.close)
            return server, client

        yield begin
