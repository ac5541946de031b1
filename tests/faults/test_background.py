"""Background work when processes die: one does it, another takes over, nothing is forgotten."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import segment as external
from tams_gateway.testing.waiting import eventually
from tests.faults.conftest import Start

ALL_IN_BACKGROUND = {"TAMS_GATEWAY__LIMITS__ASYNC_DELETION_THRESHOLD": "0"}


def delete_one(client: Client) -> str:
    """Ask for a deletion in the background; return where its request is."""
    ingest = Ingest(client)
    flow_id = ingest.flow()
    ingest.add(flow_id, "[0:0_1:0)")
    answer = client.delete(f"/flows/{flow_id}/segments")
    assert answer.status == 202
    return str(answer.headers["location"])


def is_done(client: Client, location: str) -> bool:
    return bool(client.get(location).json["status"] == "done")


def test_a_job_starts_within_a_second(start: Start) -> None:
    """Whichever worker was asked, and whichever holds the lease."""
    _, client = start(ALL_IN_BACKGROUND)
    assert eventually(partial(is_done, client, delete_one(client)), 15)
    taken = []
    for _ in range(7):
        began = time.monotonic()
        location = delete_one(client)
        assert eventually(partial(is_done, client, location))
        taken.append(time.monotonic() - began)

    assert sorted(taken)[len(taken) // 2] < 1.0, taken


@pytest.mark.timeout(120)
def test_another_worker_takes_over_when_the_one_at_work_is_killed(start: Start) -> None:
    """Within 15 s, whichever of the two held the lease."""
    server, client = start(ALL_IN_BACKGROUND)
    assert eventually(partial(is_done, client, delete_one(client)), 15)
    assert eventually(lambda: len(server.workers()) == 2)

    for worker in server.workers():
        os.kill(worker, signal.SIGKILL)
        began = time.monotonic()
        location = eventually(lambda: attempt(client))
        assert location is not None
        assert eventually(partial(is_done, client, location), 15)
        assert time.monotonic() - began < 15


def attempt(client: Client) -> str | None:
    """Ask for a deletion while a worker may just have died under the connection."""
    try:
        return delete_one(client)
    except OSError:
        return None


@pytest.mark.timeout(120)
def test_a_deletion_goes_on_after_a_crash(start: Start) -> None:
    """R-DEL-03, R-DEL-07: an accepted request is carried out, and shrinks meanwhile."""
    server, client = start()
    ingest = Ingest(client)
    flow_id, other = ingest.flow(), ingest.flow()
    object_id = ingest.allocated(flow_id, object_ids=["whole"])
    kept_id = ingest.add(other, "[0:0_1:0)")
    ingest.register(flow_id, object_id, "[0:0_1:0)")
    ingest.add_many(flow_id, [external(seconds(at, at + 1)) for at in range(1, 10_001)])
    ingest.register(flow_id, kept_id, "[30000:0_30001:0)", ts_offset="30000:0")

    answer = client.delete(f"/flows/{flow_id}/segments")
    assert answer.status == 202
    path = answer.headers["location"].removeprefix(client.base)
    assert eventually(lambda: client.get(path).json["status"] == "started")
    server.kill()

    _, client = start()
    before = client.get(path).json
    assert before["status"] in ("started", "done")
    assert eventually(lambda: is_done(client, path), 30)
    assert Ingest(client).segments(flow_id) == []
    assert client.get(f"/objects/{object_id}").status == 404
    assert client.get(f"/objects/{kept_id}").json["referenced_by_flows"] == [other]


@pytest.mark.timeout(120)
def test_a_deleted_flow_stays_gone_after_a_crash(start: Start) -> None:
    """R-FLW-23, R-DEL-06(lives): and its id is that of the new flow."""
    server, client = start()
    ingest = Ingest(client)
    flow_id = ingest.flow()
    segments = [external(seconds(at, at + 1)) for at in range(5_000)]
    ingest.add_many(flow_id, segments)

    answer = client.delete(f"/flows/{flow_id}")
    assert answer.status == 202
    path = answer.headers["location"].removeprefix(client.base)
    server.kill()

    _, client = start()
    assert client.get(f"/flows/{flow_id}").status == 404
    ingest = Ingest(client)
    ingest.flow(flow_id)
    ingest.add(flow_id, "[0:0_1:0)")
    assert eventually(lambda: is_done(client, path), 30)
    assert ingest.timeranges(flow_id) == ["[0:0_1:0)"]
    for segment in (segments[0], segments[-1]):
        assert client.get(f"/objects/{segment['object_id']}").status == 404


def test_a_copy_is_finished_after_a_crash(start: Start, tmp_path: Path) -> None:
    """R-INS-01: the instance that got 201 is there in the end, whole."""
    config = tmp_path / "gateway.toml"
    sections = [
        f'[objects.{name}]\nplugin = "filesystem"\npath = "{name}"\ndefault = {default}\n'
        for name, default in (("main", "true"), ("second", "false"))
    ]
    config.write_text("".join(sections))
    environment = {"TAMS_GATEWAY_CONFIG": str(config)}
    server, client = start(environment)
    ingest = Ingest(client)
    flow_id = ingest.flow()
    media_object = ingest.allocate(flow_id)[0]
    content = os.urandom(2**20) * 16
    headers = {"content-type": "video/mp2t"}
    assert client.put(media_object["put_url"]["url"], body=content, headers=headers).status == 200
    object_id = media_object["object_id"]
    ingest.register(flow_id, object_id, "[0:0_1:0)")
    second = ingest.storage_backends()[1]["id"]

    path = f"/objects/{object_id}/instances"
    assert client.post(path, json={"storage_id": second}).status == 201
    server.kill()

    _, client = start(environment)
    query = {"accept_get_urls": "second", "presigned": "true"}
    shown = Ingest(client).media_object
    urls = eventually(lambda: shown(object_id, query)["get_urls"], 20)
    assert [client.get(url["url"]).body == content for url in urls] == [True]
