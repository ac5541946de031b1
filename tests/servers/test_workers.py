"""Several workers of one server: each answers what another has acknowledged."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.transports import Http
from tests.servers.process import SERVERS, Serve, serving

CLIENTS = 6
POSTS = 40
PAGE = {"limit": "1", "reverse_order": "true"}


@pytest.mark.parametrize("server", SERVERS)
def test_what_one_worker_acknowledged_all_others_show_at_once(tmp_path: Path, server: str) -> None:
    """Also while others ask for the same, so that answers are kept and made all the time."""
    with serving(tmp_path, "--server", server, "--workers", "2") as running:
        ingests = [Ingest(client(running)) for _ in range(CLIENTS)]
        flow_id = ingests[0].flow()
        with polled(running, f"/flows/{flow_id}/segments"):
            for at in range(POSTS):
                ingests[at % CLIENTS].add(flow_id, seconds(at, at + 1))
                shown = [one.timeranges(flow_id, PAGE) for one in ingests]
                assert shown == [[seconds(at, at + 1)]] * CLIENTS
        for one in ingests:
            one.client.close()


def client(running: Serve) -> Client:
    """Return a client with a connection of its own, which some worker serves."""
    return Client(Http(f"http://127.0.0.1:{running.port}", timeout=20))


@contextmanager
def polled(running: Serve, path: str) -> Iterator[None]:
    """Let two players ask for the same page over and over."""
    over = threading.Event()

    def poll() -> None:
        player = client(running)
        while not over.is_set():
            assert player.get(path, query=PAGE).status == 200
        player.close()

    players = [threading.Thread(target=poll) for _ in range(2)]
    for one in players:
        one.start()
    try:
        yield
    finally:
        over.set()
        for one in players:
            one.join()
