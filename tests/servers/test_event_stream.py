"""The stream of events under each server, read by a real `curl -N`."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tams_gateway.testing import samples
from tams_gateway.testing.waiting import eventually
from tests.servers.process import SERVERS, Serve, serving

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None, reason="curl is not installed: apt-get install curl"
)

CONFIG = """
[serve]
threads = 8

[[events]]
plugin = "log"
"""
MOST = 2
"""A quarter of the threads."""


@contextmanager
def listening(folder: Path, server: str) -> Iterator[Serve]:
    """Serve a gateway that keeps events."""
    config = folder / "tams.toml"
    config.write_text(CONFIG)
    options = ("--server", server, "--config", str(config))
    with serving(folder, *options) as serve:
        yield serve


class Curl:
    """`curl -N` at the stream; `events` are those that it has printed so far."""

    def __init__(self, serve: Serve, folder: Path, *options: str) -> None:
        self._output = folder / f"curl-{len(list(folder.glob('curl-*')))}"
        with self._output.open("wb") as output:
            url = f"http://127.0.0.1:{serve.port}/events/stream"
            command = ["curl", "-s", "-S", "-N", "-i", *options, url]
            self._process = subprocess.Popen(command, stdout=output)

    def text(self) -> str:
        return self._output.read_text()

    def begun(self) -> bool:
        return ": here" in self.text() or "data: " in self.text()

    def events(self) -> list[dict[str, Any]]:
        lines = self.text().splitlines()
        return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]

    def last_id(self) -> str:
        return [line[4:] for line in self.text().splitlines() if line.startswith("id: ")][-1]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


@contextmanager
def curl(serve: Serve, folder: Path, *options: str) -> Iterator[Curl]:
    running = Curl(serve, folder, *options)
    try:
        yield running
    finally:
        running.stop()


def put_flow(serve: Serve) -> str:
    document = samples.flow()
    path = f"/flows/{document['id']}"
    body = json.dumps(document).encode()
    headers = {"Content-Type": "application/json"}
    assert serve.request("PUT", path, body, headers).status == 201
    return str(document["id"])


def flows(events: Sequence[dict[str, Any]]) -> list[str]:
    return [one["event"]["flow"]["id"] for one in events if one["event_type"] == "flows/created"]


@pytest.mark.parametrize("server", SERVERS)
def test_curl_gets_what_happens_and_goes_on_where_it_was(tmp_path: Path, server: str) -> None:
    with listening(tmp_path, server) as serve:
        put_flow(serve)  # Before the stream was opened: not of it.
        with curl(serve, tmp_path) as first:
            assert eventually(first.begun)
            flow_id = put_flow(serve)
            assert eventually(lambda: flows(first.events()) == [flow_id])
            assert "text/event-stream" in first.text()
            place = first.last_id()
        missed = put_flow(serve)
        with curl(serve, tmp_path, "-H", f"Last-Event-ID: {place}") as second:
            assert eventually(lambda: flows(second.events()) == [missed])


@pytest.mark.parametrize("server", ["gunicorn", "granian"])
def test_streams_leave_threads_for_requests(tmp_path: Path, server: str) -> None:
    with listening(tmp_path, server) as serve, ExitStack() as stack:
        opened = [stack.enter_context(curl(serve, tmp_path)) for _ in range(MOST)]
        assert eventually(lambda: all(one.begun() for one in opened))
        answer = serve.request("GET", "/events/stream")
        assert answer.status == 503
        assert answer.headers["retry-after"]
        flow_id = put_flow(serve)
        assert eventually(lambda: all(flows(one.events()) == [flow_id] for one in opened))
