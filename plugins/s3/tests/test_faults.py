"""A server that is away, slow, full, refuses or answers nonsense: our errors, in time."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace
from tams_gateway_s3.store import S3Objects

from plugins.s3.tests.conftest import LIFETIME, options, settings
from plugins.s3.tests.gate import FAULTS, Gate, gate
from plugins.s3.tests.test_http import BYTES, backend, copied, send
from tams_gateway.storage.errors import FullError, MissingError, StoreError
from tams_gateway.storage.objects import Place
from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.waiting import eventually
from tests.deployments import Deployment, config, in_process

TIMEOUT = 0.4
"""How long a request to the server may take, in seconds, if nobody waits for a real one."""

SOON = 8.0
"""Seconds in which an answer must be there, on a busy machine too."""

CALLS: dict[str, Callable[[S3Objects], object]] = {
    "stat": lambda store: store.stat(Place("a.ts")),
    "read": lambda store: list(store.read(Place("a.ts"))),
    "write": lambda store: store.write("b.ts", "video/mp2t", [b"x"]),
    "write much": lambda store: store.write("b.ts", "video/mp2t", [bytes(9 * 2**20)]),
    "copy": lambda store: store.copy("b.ts", "video/mp2t", store, Place("a.ts")),
    "delete": lambda store: store.delete([Place("a.ts")]),
}


@pytest.fixture
def door(endpoint: str) -> Iterator[Gate]:
    with gate(endpoint) as made:
        yield made


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_the_server_does_the_errors_are_ours_and_in_time(door: Gate, fault: str) -> None:
    chosen = settings(door.endpoint)
    hasty = replace(chosen, timeout=TIMEOUT, create_bucket=False)
    with (
        closing(S3Objects(chosen, LIFETIME, time.time)) as calm,
        closing(S3Objects(hasty, LIFETIME, time.time)) as store,
    ):
        calm.write("a.ts", "video/mp2t", [b"bytes"])
        door.shut(fault)
        for name, call in CALLS.items():
            began = time.monotonic()
            with pytest.raises(StoreError) as raised:
                call(store)
            assert time.monotonic() - began < SOON, name
            assert not isinstance(raised.value, MissingError), name
            assert isinstance(raised.value, FullError) == (fault == "full"), name
        assert not store.check().ok or fault in ("page", "truncated", "cut")
        examined = store.examine()
        assert not examined[-1].ok
        assert examined[-1].remedy
        door.open()
        assert calm.stat(Place("a.ts")).size == 5


def test_without_its_bucket_nothing_is_missing_but_the_bucket(endpoint: str) -> None:
    """Who reads `not there` would take objects for lost."""
    chosen = settings(endpoint, create_bucket=False)
    with closing(S3Objects(chosen, LIFETIME, time.time)) as store:
        for call in CALLS.values():
            with pytest.raises(StoreError, match="make it: tams-gateway s3 init") as raised:
                call(store)
            assert not isinstance(raised.value, MissingError)


@pytest.fixture(params=["wsgi-sqlite", "asgi-sqlite"])
def deployment(
    request: pytest.FixtureRequest, door: Gate, tmp_path: Path, limits: dict[str, object]
) -> Iterator[Deployment]:
    """A gateway whose bucket is on a server that was away when it started."""
    hot = {**options(door.endpoint), "label": "hot", "timeout": 5 * TIMEOUT}
    sections: dict[str, dict[str, object]] = {"objects.hot": hot, "limits": limits}
    door.shut("away")
    with in_process(request.param, config(request.param, tmp_path, sections), []) as made:
        yield made


def test_metadata_are_served_while_the_server_is_away(
    client: Client, ingest: Ingest, door: Gate
) -> None:
    assert client.get("/ready").status == 503
    flow_id = ingest.flow()
    one, other = ingest.allocate(flow_id, limit=2, storage_id=backend(client, "hot"))
    door.open()
    assert eventually(lambda: client.get("/ready").status == 200)
    put = one["put_url"]["url"]
    assert send("PUT", put, BYTES, {"Content-Type": "video/mp2t"})[0] == 200
    ingest.register(flow_id, one["object_id"], seconds(0, 1))
    door.shut("away")

    ingest.register(flow_id, other["object_id"], seconds(1, 2))
    assert client.get(f"/flows/{flow_id}").status == 200
    segments = client.get(f"/flows/{flow_id}/segments?presigned=true").json
    urls = [segment["get_urls"][0]["url"] for segment in segments]

    door.open()
    assert [send("GET", url)[0] for url in urls] == [200, 404]


def test_whether_versions_are_kept_has_to_be_known_for_a_registration(
    client: Client, ingest: Ingest, door: Gate
) -> None:
    """Else what is registered could be overwritten (R-STO-13)."""
    flow_id = ingest.flow()
    [made] = ingest.allocate(flow_id, limit=1, storage_id=backend(client, "hot"))
    segment = {"object_id": made["object_id"], "timerange": seconds(0, 1)}

    refused = client.post(f"/flows/{flow_id}/segments", json=segment)

    assert refused.status == 503
    assert int(refused.headers["retry-after"]) > 0
    door.open()
    assert eventually(lambda: client.get("/ready").status == 200)
    assert client.post(f"/flows/{flow_id}/segments", json=segment).status == 201


@pytest.mark.parametrize("limits", [{"require_upload": True}])
@pytest.mark.parametrize("fault", ["away", "slow"])
def test_what_needs_the_server_is_told_to_come_again(
    client: Client, ingest: Ingest, door: Gate, fault: str
) -> None:
    """However many objects are asked for, which is some at a time."""
    flow_id = ingest.flow()
    made = ingest.allocate(flow_id, limit=50, storage_id=backend(client, "hot"))
    door.shut(fault)
    posts = [
        {"object_id": one["object_id"], "timerange": seconds(index, index + 1)}
        for index, one in enumerate(made)
    ]
    began = time.monotonic()

    answer = client.post(f"/flows/{flow_id}/segments", json=posts)

    assert time.monotonic() - began < SOON
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert client.get(f"/flows/{flow_id}").status == 200


def test_copies_wait_and_go_on(
    client: Client, ingest: Ingest, door: Gate, deployment: Deployment
) -> None:
    flow_id = ingest.flow()
    [made] = ingest.allocate(flow_id, limit=1, storage_id=backend(client, "main"))
    put = made["put_url"]
    assert client.put(put["url"], body=BYTES, headers={"Content-Type": "video/mp2t"}).status == 200
    ingest.register(flow_id, made["object_id"], seconds(0, 1))
    wanted = {"storage_id": backend(client, "hot")}
    path = f"/objects/{made['object_id']}/instances"
    assert client.post(path, json=wanted).status == 201
    assert copied(client, made["object_id"], "hot") is None

    door.open()
    assert eventually(lambda: client.get("/ready").status == 200)
    deployment.clock.advance(3600)
    deployment.gateway.wake()

    url = eventually(lambda: copied(client, made["object_id"], "hot"))
    assert send("GET", str(url))[2] == BYTES
