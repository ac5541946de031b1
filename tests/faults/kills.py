"""`kill -9` of all processes at random moments, again and again, and what must be there then."""

import hashlib
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from tams_gateway.settings import load
from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.transports import Http
from tams_gateway.testing.waiting import eventually
from tests.deployments import in_process
from tests.faults.model import Known, owner, span
from tests.faults.writers import MOST_AT_ONCE, Writer
from tests.servers.process import Serve, serving
from tests.servers.sink import added, with_a_sink
from tests.stores import Stores, Table, digests, past_the_gateway, toml

WRITERS = 8
SAMPLE = 30
"""Of what was seen to be whole before, so much is looked at again after a kill."""

SETTLED_EVERY = 50
"""After so many kills the work in the background is waited for: a dead worker's lease holds 8 s."""


class Kills:
    """Writers, a gateway of two workers in a folder, and a seed that tells when it is killed.

    Its stores are `chosen`, or those that a gateway has without a config.
    """

    def __init__(self, folder: Path, seed: int, chosen: Stores | None = None) -> None:
        threshold = {"TAMS_GATEWAY__LIMITS__ASYNC_DELETION_THRESHOLD": str(MOST_AT_ONCE)}
        self._folder = folder
        self._objects: Table = {"plugin": "filesystem", "path": folder / "data" / "objects"}
        sections, config = "", None
        if chosen is not None:
            self._objects = chosen.main
            sections = toml({"metadata": chosen.metadata, "objects.main": chosen.main})
            config = folder / "stores.toml"
            config.write_text(sections)
        self._settings = load(config, {})
        self._environment = {**with_a_sink(folder, sections), **threshold}
        self._random = random.Random(seed)
        self._whole: dict[str, str] = {}
        with self._running() as (_, client):
            ingest = Ingest(client)
            shared = [ingest.flow(tags={}) for _ in range(WRITERS // 2)]
        self.writers = [Writer(n, shared[n // 2], seed + n) for n in range(WRITERS)]

    def run(self, kills: int, done: Callable[[int], None] = lambda _: None) -> None:
        """Kill so many times and check after each; `done` is told how many there were."""
        with ThreadPoolExecutor(WRITERS) as pool:
            for number in range(1, kills + 1):
                if self._random.randrange(10) == 0:
                    self._kill_at_start()
                with self._running() as (server, client):
                    self._check(client, pool)
                    if number % SETTLED_EVERY == 0:
                        self._settle(client, pool)
                    self._work(server, client, pool)
                done(number)
            with self._running() as (_, client):
                self._check(client, pool)
                self._settle(client, pool)
                # Who delivers them may have been killed, and its lease hold for some seconds.
                assert eventually(lambda: self._told() <= self._heard(), 30)

    def check_rest(self) -> None:
        """No event was lost, and no bytes are left that belong to nothing. Deletes everything."""
        assert self._told()
        assert self._told() <= self._heard()
        if self._objects["plugin"] == "filesystem":
            _let_pass(Path(self._objects["path"]), seconds=3600)
        there, wanted = partial(digests, self._objects), self._contents()
        with chdir(self._folder), in_process("wsgi", self._settings, []) as deployment:
            deployment.clock.advance(100_000)
            assert eventually(lambda: there() == wanted, 60), there() ^ wanted
            client = deployment.client
            for flow in client.listed("/flows", query="limit=1000"):
                assert client.delete(f"/flows/{flow['id']}").status in (202, 204)
            assert eventually(lambda: not there(), 60)

    def _told(self) -> set[str]:
        """Return the ids of the objects whose segments were acknowledged."""
        return {object_id for writer in self.writers for object_id in writer.told}

    def _heard(self) -> set[str]:
        """Return those that events told of."""
        return {one["object_id"] for body in added(self._folder) for one in body["segments"]}

    def _contents(self) -> set[str]:
        """Return the SHA-256 of everything that is to be stored in the end."""
        return {
            digest
            for writer in self.writers
            for object_id, digest in writer.state.digests.items()
            if object_id in writer.state.used()
        }

    @contextmanager
    def _running(self) -> Iterator[tuple[Serve, Client]]:
        starting = partial(serving, self._folder, "--workers", "2", within=60)
        with starting(environment=self._environment) as server:
            past = past_the_gateway(self._settings)
            client = Client(Http(f"http://127.0.0.1:{server.port}"), stores=past)
            try:
                yield server, client
            finally:
                client.close()

    def _kill_at_start(self) -> None:
        server = Serve(self._folder, "--workers", "2", environment=self._environment)
        time.sleep(self._random.uniform(0, 1))
        server.kill()
        assert server.process.stdout is not None
        server.process.stdout.close()

    def _work(self, server: Serve, client: Client, pool: ThreadPoolExecutor) -> None:
        started = threading.Event()
        working = [pool.submit(writer.work, client, started) for writer in self.writers]
        assert started.wait(20)
        time.sleep(self._random.uniform(0, 0.8))
        server.kill()
        for one in working:
            one.result()

    def _check(self, client: Client, pool: ThreadPoolExecutor) -> None:
        """What was acknowledged is there, once, whole; what was not is there wholly or not."""
        flows = client.listed("/flows", query="limit=1000")
        documents = {flow["id"]: flow for flow in flows}
        assert len(documents) == len(flows), "a flow is listed twice"
        segments = dict(
            zip(documents, pool.map(partial(_segments, client), documents), strict=True)
        )
        for writer in self.writers:
            writer.settle(_seen(writer, documents, segments))
            there = {one["timerange"]: one["object_id"] for one in segments[writer.shared]}
            assert writer.won.items() <= there.items()
        assert documents.keys() == {id_ for one in self.writers for id_ in one.state.flows}
        sources = Counter(one["id"] for one in client.listed("/sources", query="limit=1000"))
        assert sources == Counter(flow["source_id"] for flow in flows)
        self._check_objects(client, pool, segments)

    def _check_objects(
        self, client: Client, pool: ThreadPoolExecutor, segments: Mapping[str, list[Any]]
    ) -> None:
        urls = {one["object_id"]: one["get_urls"][0]["url"] for x in segments.values() for one in x}
        for writer in self.writers:
            used, state = writer.state.used(), writer.state
            wanted = {id_: one for id_, one in state.digests.items() if id_ in used}
            old = sorted(wanted.items() & self._whole.items())
            new = sorted(wanted.items() - self._whole.items())
            looked = new + self._random.sample(old, min(len(old), SAMPLE // WRITERS))
            found = pool.map(lambda one: _digest(client, urls[one[0]]), looked)
            assert [digest for _, digest in looked] == list(found)
            self._whole.update(new)
            gone = sorted(writer.told - used - state.fading - set(writer.won.values()))
            for object_id in self._random.sample(gone, min(len(gone), 2)):
                assert client.get(f"/objects/{object_id}").status == 404, object_id

    def _settle(self, client: Client, pool: ThreadPoolExecutor) -> None:
        """Wait until all deletions are done, and see that they took just what they were to."""
        for writer in self.writers:
            writer.make_sure(client)
            for location in writer.requests:
                assert eventually(partial(_is_done, client, location), 30)
            writer.requests.clear()
        listed = partial(client.listed, "/flow-delete-requests", query="limit=1000")
        assert eventually(lambda: all(one["status"] == "done" for one in listed()), 30)
        for writer in self.writers:
            writer.state = writer.state.settled()
        self._check(client, pool)


def _segments(client: Client, flow_id: str) -> list[Any]:
    """Return the segments of a flow, none of which overlap."""
    found = client.listed(f"/flows/{flow_id}/segments", query="limit=1000")
    spans = [span(one["timerange"]) for one in found]
    assert all(before[1] <= after[0] for before, after in pairwise(spans)), spans
    return found


def _seen(
    writer: Writer, documents: Mapping[str, Any], segments: Mapping[str, list[Any]]
) -> dict[str, Known]:
    """Return what there is of a writer's flows, as far as it is the writer's."""
    flows = writer.state.flows.keys() | (writer.maybe.flows.keys() if writer.maybe else set())
    return {
        flow_id: Known(
            tags={
                name: value
                for name, value in documents[flow_id].get("tags", {}).items()
                if name.partition(".")[0] == f"w{writer.number}"
            },
            segments={
                one["timerange"]: one["object_id"]
                for one in segments[flow_id]
                if owner(one["timerange"]) == writer.number
            },
        )
        for flow_id in flows
        if flow_id in documents
    }


def _is_done(client: Client, location: str) -> bool:
    return bool(client.get(location).json["status"] == "done")


def _digest(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status == 200, f"{url}: {answer}"
    return hashlib.sha256(answer.body).hexdigest()


def _let_pass(folder: Path, seconds: float) -> None:
    """Make the files as old as if the crash were long ago: uploads under way are spared."""
    for parent, _, names in os.walk(folder):
        for name in names:
            status = Path(parent, name).stat()
            os.utime(Path(parent, name), (status.st_atime, status.st_mtime - seconds))
