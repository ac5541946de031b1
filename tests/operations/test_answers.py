"""Answers that are kept are those that would be made anew, whoever changes what, and where."""

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tams_gateway_memory.metadata import MemoryMetadata

from tams_gateway.operations.answers import Answers
from tams_gateway.operations.kinds import FLOW, OBJECT
from tams_gateway.operations.messages import Response
from tams_gateway.storage.changes import AddSegments, Put
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import Query, SegmentQuery
from tams_gateway.testing import samples
from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.metadata_samples import segment
from tests.deployments import Deployment, config, in_process
from tests.operations.access import guarded

PERIOD = 30 * 10**9
READS = (
    "",
    "?include_timerange=true",
    "/segments",
    "/segments?limit=2",
    "/segments?accept_get_urls=&limit=3",
    "/segments?include_object_timerange=true&reverse_order=true",
    "/segments?timerange=[2:0_4:0)&verbose_storage=true",
)
"""What is read below the path of a flow."""

SEEN = ("link", "x-paging-limit", "x-paging-nextkey", "x-paging-timerange", "x-paging-count")


class Counted:
    """Makes answers from a flow and its segments, and counts them."""

    def __init__(self, metadata: MemoryMetadata, most: int = 10**6) -> None:
        self.made = 0
        self.answers = Answers(metadata, most)
        self._metadata = metadata

    def __call__(self, key: str = "key", now_ns: int = PERIOD) -> bytes:
        return self.answers.answer(key, now_ns, self._make).body

    def _make(self, reads: MetadataStore | None) -> Response:
        self.made += 1
        metadata = reads or self._metadata
        record = metadata.get(FLOW, ["f"]).get("f")
        page = metadata.segments(SegmentQuery("f", 0))
        found = metadata.get(OBJECT, [one.object_id for one in page.items])
        bodies = [record.body] if record else []
        return Response(body=b" ".join([*bodies, *(one.body for one in found.values())]))


@pytest.fixture
def metadata() -> MemoryMetadata:
    return MemoryMetadata()


def test_an_answer_is_kept_from_the_second_time_on(metadata: MemoryMetadata) -> None:
    """Who asks but once does not pay for those who ask again."""
    counted = Counted(metadata)
    for times, made in ((1, 1), (1, 2), (5, 2)):
        for _ in range(times):
            counted()
        assert counted.made == made


def test_an_answer_is_made_anew_when_any_of_what_it_tells_changes(
    metadata: MemoryMetadata,
) -> None:
    counted = Counted(metadata)
    for _ in range(3):
        counted()
    changes: Sequence[Any] = (
        Put(FLOW, "f", b"flow", {"life": 0}),
        AddSegments("f", 0, [segment(0, 10, "o")], 1),
        Put(OBJECT, "o", b"object"),
        Put(OBJECT, "o", b"again"),
    )
    told = [counted()]
    for change in changes:
        metadata.apply([change])
        told.append(counted())
        assert counted() == told[-1]
    assert told == [b"", b"flow", b"flow", b"flow object", b"flow again"]
    assert counted.made == 2 + len(changes)


def test_the_change_of_something_else_changes_nothing(metadata: MemoryMetadata) -> None:
    counted = Counted(metadata)
    counted()
    counted()
    metadata.apply([Put(FLOW, "other", b"flow", {"life": 0})])
    counted()
    assert counted.made == 2


def test_an_answer_is_not_older_than_its_urls_may_be(metadata: MemoryMetadata) -> None:
    """R-URL-10. A clock that is set back ends it, too."""
    for later in (2 * PERIOD, PERIOD - 1):
        counted = Counted(metadata)
        for now_ns in (PERIOD, PERIOD, 2 * PERIOD - 1):
            counted(now_ns=now_ns)
        assert counted.made == 2
        counted(now_ns=later)
        assert counted.made == 3


def test_answers_do_not_grow_without_bound(metadata: MemoryMetadata) -> None:
    metadata.apply([Put(FLOW, "f", b"x" * 10_000, {"life": 0})])
    counted = Counted(metadata, most=50_000)
    for number in range(20):
        counted(str(number))
        counted(str(number))
        assert sum(len(one.response.body) for one in counted.answers._kept.values() if one) < 60_000
    asked = Counted(metadata, most=50_000)
    for number in range(1000):
        asked(str(number))
        assert len(asked.answers._kept) < 60


def test_an_answer_that_is_made_anew_takes_the_room_of_the_one_before(
    metadata: MemoryMetadata,
) -> None:
    """Else a page that changes every second would make the gateway forget all others."""
    put = Put(FLOW, "f", b"x" * 10_000, {"life": 0})
    metadata.apply([put])
    counted = Counted(metadata, most=50_000)
    counted("still")
    for _ in range(20):
        metadata.apply([put])
        counted("live")
    assert "still" in counted.answers._kept


def test_nothing_is_kept_where_it_is_not_wanted(metadata: MemoryMetadata) -> None:
    counted = Counted(metadata, most=0)
    for made in range(1, 5):
        counted()
        assert counted.made == made


def test_what_cannot_be_watched_is_not_kept(metadata: MemoryMetadata) -> None:
    def made(reads: MetadataStore | None) -> Response:
        found = (reads or metadata).find(Query(FLOW)).items
        return Response(body=b"%d" % len(found))

    answers = Answers(metadata, 10**6)
    for number in range(4):
        assert answers.answer("key", PERIOD, made).body == b"%d" % number
        metadata.apply([Put(FLOW, str(number), b"")])


def test_a_principal_never_gets_the_answer_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-AUTH-06."""
    with guarded("wsgi-sqlite", tmp_path, monkeypatch) as principals:
        ingest = principals.ingest("root")
        flow_id = ingest.flow(tags={"auth_classes": ["news"]})
        ingest.add(flow_id, seconds(0, 1))
        for _ in range(3):
            assert len(ingest.segments(flow_id)) == 1
        for _ in range(3):
            assert principals["sport"].get(f"/flows/{flow_id}").status == 404
            assert principals["sport"].get(f"/flows/{flow_id}/segments").json == []
            assert len(principals["news"].get(f"/flows/{flow_id}/segments").json) == 1


def test_a_head_and_each_host_have_an_answer_of_their_own(client: Client, ingest: Ingest) -> None:
    flow_id = ingest.flow()
    for at in range(3):
        ingest.add(flow_id, seconds(at, at + 1))
    path = f"/flows/{flow_id}/segments?limit=1"
    for _ in range(3):
        full, short = client.get(path), client.head(path)
        assert len(full.json) == 1
        assert (short.status, short.body) == (200, b"")
        assert [full.headers.get(one) for one in SEEN] == [short.headers.get(one) for one in SEEN]
        assert full.headers["x-request-id"] != short.headers["x-request-id"]


class Workers(RuleBasedStateMachine):
    """Gateways on one store, of which any may write: all answer what is so."""

    deployments: Sequence[Deployment]
    fresh: Iterator[int]

    @initialize()
    def start(self) -> None:
        self.clients = [one.client for one in self.deployments]
        self.flows = [Ingest(self.clients[0]).flow() for _ in range(2)]
        self.objects = [Ingest(self.clients[-1]).add(one, seconds(0, 1)) for one in self.flows]

    def _write(self, worker: int, method: str, path: str, **sent: object) -> None:
        client = self.clients[worker % len(self.clients)]
        answer = client.request(method, path, **sent)  # type: ignore[arg-type]
        assert answer.status in (200, 201, 204, 400, 404), answer.body

    @rule(worker=st.integers(0, 1), flow=st.integers(0, 1), label=st.text("ab", min_size=1))
    def name(self, worker: int, flow: int, label: str) -> None:
        self._write(worker, "PUT", f"/flows/{self.flows[flow]}/label", json=label)

    @rule(worker=st.integers(0, 1), flow=st.integers(0, 1), at=st.integers(0, 6))
    def add(self, worker: int, flow: int, at: int) -> None:
        body = samples.segment(seconds(at, at + 1))
        self._write(worker, "POST", f"/flows/{self.flows[flow]}/segments", json=body)

    @rule(worker=st.integers(0, 1), flow=st.integers(0, 1), at=st.integers(0, 6))
    def reuse(self, worker: int, flow: int, at: int) -> None:
        body = samples.segment(seconds(at, at + 1), self.objects[1 - flow], ts_offset=f"{at}:0")
        self._write(worker, "POST", f"/flows/{self.flows[flow]}/segments", json=body)

    @rule(worker=st.integers(0, 1), flow=st.integers(0, 1), at=st.integers(0, 6))
    def remove(self, worker: int, flow: int, at: int) -> None:
        path = f"/flows/{self.flows[flow]}/segments?timerange=[{at}:0_{at + 2}:0)"
        self._write(worker, "DELETE", path)

    @rule(worker=st.integers(0, 1), flow=st.integers(0, 1), label=st.sampled_from("xyz"))
    def add_instance(self, worker: int, flow: int, label: str) -> None:
        body = {"url": f"https://media.example/{label}", "label": label}
        self._write(worker, "POST", f"/objects/{self.objects[flow]}/instances", json=body)

    @rule(worker=st.integers(0, 1), flow=st.integers(0, 1), label=st.sampled_from("xyz"))
    def remove_instance(self, worker: int, flow: int, label: str) -> None:
        path = f"/objects/{self.objects[flow]}/instances?label={label}"
        self._write(worker, "DELETE", path)

    @rule(worker=st.integers(0, 1), flow=st.integers(0, 1))
    def upload(self, worker: int, flow: int) -> None:
        ingest = Ingest(self.clients[worker % len(self.clients)])
        (one,) = ingest.allocate(self.flows[flow])
        url = one["put_url"]
        sent = {"Content-Type": url["content-type"], **url.get("headers", {})}
        assert ingest.client.put(url["url"], body=b"media", headers=sent).status < 300
        self.objects[flow] = one["object_id"]
        self.add_known(worker, flow, one["object_id"])

    def add_known(self, worker: int, flow: int, object_id: str) -> None:
        body = {"object_id": object_id, "timerange": seconds(9, 10)}
        self._write(worker, "POST", f"/flows/{self.flows[flow]}/segments", json=body)

    @rule(worker=st.integers(0, 1), flow=st.integers(0, 1))
    def begin_anew(self, worker: int, flow: int) -> None:
        self._write(worker, "DELETE", f"/flows/{self.flows[flow]}")
        Ingest(self.clients[worker % len(self.clients)]).flow(self.flows[flow])

    @invariant()
    def each_answers_what_it_would_make_anew(self) -> None:
        for client, flow_id, read in itertools.product(self.clients, self.flows, READS):
            path = f"/flows/{flow_id}{read}"
            # A parameter that nobody knows makes it another request, which was never asked.
            new = f"{path}{'&' if '?' in path else '?'}fresh={next(self.fresh)}"
            assert _told(client, path) == _told(client, new), path


def _told(client: Client, path: str) -> list[object]:
    answer = client.get(path)
    body = re.sub(rb'("url":"[^"?]*)[^"]*', rb"\1", answer.body)
    headers = [answer.headers.get(one) for one in SEEN if one != "link"]
    return [answer.status, body, *headers]


@pytest.mark.parametrize(("kind", "workers"), [("wsgi-memory", 1), ("wsgi-sqlite", 2)])
def test_every_worker_answers_what_is_so(kind: str, workers: int, tmp_path: Path) -> None:
    """Each gateway has the database open for itself, as further processes have."""
    with ExitStack() as stack:
        made = config(kind, tmp_path, {})
        deployments = [stack.enter_context(in_process(kind, made, [])) for _ in range(workers)]
        members = {"deployments": deployments, "fresh": itertools.count()}
        run_state_machine_as_test(
            type("Machine", (Workers,), members),
            settings=settings(
                max_examples=6,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
