"""Fuzzed requests to a real server: no failure, no trace of what is refused, nothing leaked."""

import itertools
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import schemathesis
from hypothesis import given, seed, settings
from schemathesis import GenerationMode

from tams_gateway.testing.client import Client
from tams_gateway.testing.transports import Http
from tests.servers.process import Serve, rss
from tests.spec.official import FOLDER, PRESENT, watches
from tests.spec.traffic import CHANGING, FUZZ, Request, World, as_request, mutations

ROUND: Final = 500
"""So many requests meet the same resources; then all flows go, and new ones come."""

OWN: Final = ("record:key", "record:lease", "record:cursor", "counter")
"""What the gateway keeps for itself, and the count of commits."""


class Held(msgspec.Struct, frozen=True):
    """What a server's processes hold: bytes that are theirs alone, descriptors, threads."""

    memory: int
    files: int
    threads: int


class Fuzz:
    """Sends requests to a server on SQLite, and looks into its database for what they changed."""

    def __init__(self, server: Serve) -> None:
        self._server = server
        self._client = Client(Http(f"http://127.0.0.1:{server.port}"), watches())
        self._database = sqlite3.connect(server.folder / "data" / "tams.db")
        self._version = 0
        self._seen: list[object] = []
        self._drawn = 0
        self.sent = 0
        self.refused = 0

    def run(
        self, requests: int, of_document: float, done: Callable[[int], None] = lambda _: None
    ) -> list[Held]:
        """Send so many requests, a share of them drawn from the official document.

        Return what the server held after each round.
        """
        held = []
        with closing(self._database), closing(self._client):
            for number in itertools.count(1):
                world = World(self._client)
                self._mutate(world, number)
                while PRESENT and self._drawn < of_document * self.sent:
                    self._draw(world)
                self._clear()
                held.append(holds(self._server))
                done(min(self.sent, requests))
                if self.sent >= requests:
                    return held
        raise AssertionError

    def _mutate(self, world: World, number: int) -> None:
        @seed(number)
        @settings(FUZZ, max_examples=ROUND)
        @given(mutations(world))
        def fuzz(request: Request) -> None:
            self._send(request)

        fuzz()

    def _draw(self, world: World) -> None:
        """Send some requests of each operation of the document, valid and invalid ones."""
        known, meets = world.ids(), itertools.cycle((True, False))
        document = schemathesis.openapi.from_path(FOLDER / "tams-8.2.openapi.json")
        for found in document.get_all_operations():
            operation: Any = found.ok()  # type: ignore[union-attr]
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

                @settings(FUZZ, max_examples=5)
                @given(operation.as_strategy(generation_mode=mode))
                def fuzz(case: Any) -> None:
                    self._drawn += 1
                    self._send(as_request(case, known if next(meets) else {}))

                fuzz()

    def _send(self, request: Request) -> None:
        # Objects that an earlier request released may just be collected: then it is tried again.
        for _ in range(3):
            before = self._dump()
            if self._answered(request) or self._dump() == before:
                return
        raise AssertionError(f"{request}: refused, and changed something")

    def _answered(self, request: Request) -> bool:
        """Send a request; return whether it may have changed something."""
        method, target, body = request
        answer = self._client.request(method, target, body=body)
        assert answer.status < 500, f"{request}: {answer.body!r}"
        self.sent += 1
        self.refused += answer.status >= 400
        return answer.status < 400 and method in CHANGING

    def _dump(self) -> list[object]:
        """Return all that is stored of clients; it is read again where anybody has committed."""
        version = self._database.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            names = self._database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
            ).fetchall()
            self._seen = [
                (name, row)
                for (name,) in names
                if name not in OWN
                for row in self._database.execute(f'SELECT * FROM "{name}"')
            ]
        return self._seen

    def _clear(self) -> None:
        """Delete what was made, so that what grows is no more than what leaks."""
        for flow in self._client.listed("/flows", query="limit=1000"):
            path = f"/flows/{flow['id']}"
            self._client.put(f"{path}/read_only", json=False)
            assert self._client.delete(path).status in (202, 204)


def holds(server: Serve) -> Held:
    """Return what the processes of a server hold now."""
    processes = server.processes()
    threads = [re.search(r"Threads:\s+(\d+)", _status(number)) for number in processes]
    return Held(
        memory=rss(processes),
        files=sum(len(os.listdir(f"/proc/{number}/fd")) for number in processes),
        threads=sum(int(found[1]) for found in threads if found),
    )


def _status(number: int) -> str:
    return Path(f"/proc/{number}/status").read_text()
