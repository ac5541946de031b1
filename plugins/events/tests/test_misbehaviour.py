"""All events against a receiver that fails, hangs, drops connections and restarts at random.

`TAMS_WEBHOOK_POSTS=10000 pytest plugins/events/tests/test_misbehaviour.py -s` is the long form.
"""

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.samples import segment
from tams_gateway.testing.transports import Http
from tams_gateway.testing.waiting import eventually
from tests.servers.process import Serve, serving

from .conftest import Open, config
from .receiver import Answer, Received, Receiver, numbers, restarted

Start = Callable[..., tuple[Serve, Client]]

POSTS = int(os.environ.get("TAMS_WEBHOOK_POSTS", "300"))


class Moods:
    """Behaves well most of the time."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def __call__(self, _: Received) -> Answer:
        mood = self._random.random()
        if mood < 0.05:
            return Answer(self._random.choice([301, 400, 429, 500, 503]))
        if mood < 0.08:
            return Answer(0)
        if mood < 0.083:
            return Answer(0, pause=2)
        if mood < 0.086:
            return Answer(500, {"Retry-After": "1"})
        if mood < 0.091:
            return Answer(200, {"Content-Length": "1000000000"}, b"x" * 100_000)
        return Answer(pause=self._random.choice([0, 0, 0, 0.002]))


def repeated(found: list[int], wanted: range) -> int:
    """Assert that all came in order, where some may come again; return how many did."""
    firsts = list(dict.fromkeys(found))
    assert firsts == list(wanted)
    assert all(after >= before - 100 for before, after in pairwise(found))
    return len(found) - len(firsts)


@pytest.mark.timeout(max(120, POSTS))
def test_everything_arrives_in_order_whatever_the_receiver_does(open_site: Open) -> None:
    site = open_site("wsgi", "sqlite", timeout=0.3)
    flow_id = site.ingest.flow()
    receiver = Receiver(Moods(7))
    try:
        for number in range(3):
            site.register(f"{receiver.url}/{number}")
        step = max(POSTS // 10, 50)
        for first in range(0, POSTS, step):
            site.add(flow_id, first, min(step, POSTS - first))
            receiver = restarted(receiver, 0.05)

        end = f'"[{POSTS - 1}:0_'.encode()
        ended: set[str] = set()

        def all_ended() -> bool:
            ended.update(one.path for one in receiver.accepted[-5000:] if end in one.body)
            return len(ended) == 3

        assert eventually(all_ended, max(60, POSTS / 10))
    finally:
        receiver.close()
    for number in range(3):
        mine = [one for one in receiver.accepted if one.path.endswith(f"/{number}")]
        again = repeated(numbers(mine), range(POSTS))
        sys.stdout.write(f"webhook {number}: {POSTS} events, {again} of them again\n")
        # The receiver took it, and its answer was lost.
        assert again <= POSTS // 50 + 5


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts two workers on the data of this test, as often as it asks."""
    path = config(tmp_path, "sqlite", {"timeout": 30})
    with ExitStack() as closing:

        def begin(*options: str) -> tuple[Serve, Client]:
            environment = {"TAMS_GATEWAY_CONFIG": str(path)}
            server = closing.enter_context(
                serving(tmp_path, "--workers", "2", *options, environment=environment)
            )
            client = Client(Http(f"http://127.0.0.1:{server.port}"))
            closing.callback(client.close)
            return server, client

        yield begin


def test_a_kill_of_all_processes_loses_nothing(start: Start) -> None:
    """What was acknowledged is delivered by the next start, in order."""
    server, client = start()
    with Receiver() as receiver:
        body = {"url": receiver.url, "events": ["flows/segments_added"]}
        assert client.post("/service/webhooks", json=body).status == 201
        ingest = Ingest(client)
        flow_id = ingest.flow()
        for at in range(60):
            ingest.add_many(flow_id, [segment(f"[{at}:0_{at + 1}:0)")])
        assert eventually(lambda: len(receiver.accepted) > 20)
        server.kill()

        _, client = start()
        ingest = Ingest(client)
        for at in range(60, 80):
            ingest.add_many(flow_id, [segment(f"[{at}:0_{at + 1}:0)")])
        assert eventually(lambda: 79 in numbers(receiver.accepted), 30)
        again = repeated(numbers(receiver.accepted), range(80))
    sys.stdout.write(f"80 events, {again} of them again\n")


def test_a_receiver_that_hangs_does_not_hold_up_the_end(start: Start) -> None:
    server, client = start("--server", "gunicorn")
    with Receiver(lambda _: Answer(pause=60)) as receiver:
        body = {"url": receiver.url, "events": ["flows/created"]}
        assert client.post("/service/webhooks", json=body).status == 201
        Ingest(client).flow()
        assert eventually(lambda: receiver.met)
        began = time.monotonic()

        assert server.stop() == 0

        assert time.monotonic() - began < 8
