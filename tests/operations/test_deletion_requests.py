"""Deletions that go on in the background (202), and their requests (R-DEL, R-SEG-36, R-FLW-23)."""

import re
import threading
from typing import Any

import pytest

from tams_gateway.storage.errors import StoreError
from tams_gateway.testing.client import Answer, Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import UNKNOWN
from tams_gateway.testing.samples import segment as external
from tams_gateway.testing.waiting import eventually
from tests.deployments import Clock, Deployment

pytestmark = pytest.mark.config(limits={"async_deletion_threshold": 3})


@pytest.fixture(autouse=True, params=[4, 1000])
def step(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the runner take its way in many steps, and in one."""
    monkeypatch.setattr("tams_gateway.operations.deletions._PORTION", request.param)


def ten_seconds(ingest: Ingest, flow_id: str | None = None) -> str:
    """Return a flow with ten segments of a second each."""
    flow_id = ingest.flow(flow_id)
    ingest.add_many(flow_id, [external(seconds(at, at + 1)) for at in range(10)])
    return flow_id


def done(client: Client, answer: Answer) -> dict[str, Any]:
    """Return the deletion request of a 202 once it is done."""
    assert answer.status == 202
    location = answer.headers["location"]

    def read() -> dict[str, Any] | None:
        document: dict[str, Any] = client.get(location).json
        return document if document["status"] == "done" else None

    document = eventually(read)
    assert document is not None, client.get(location).json
    return document


def test_many_segments_are_deleted_in_the_background(client: Client, ingest: Ingest) -> None:
    """R-SEG-36, R-DEL-01, R-DEL-02, B1: 202 with the request and an absolute Location."""
    flow_id = ten_seconds(ingest)

    answer = client.delete(f"/flows/{flow_id}/segments?timerange=[0:0_5:0)")

    assert answer.status == 202
    document = answer.json
    assert answer.headers["location"] == f"{client.base}/flow-delete-requests/{document['id']}"
    assert document["flow_id"] == flow_id
    assert document["timerange_to_delete"] == "[0:0_5:0)"
    assert document["delete_flow"] is False
    assert document["status"] in ("created", "started")
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab].*", document["id"])
    finished = done(client, answer)
    assert finished["id"] == document["id"]
    assert finished.get("timerange_remaining", "()") == "()"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", finished["expiry"])
    assert ingest.timeranges(flow_id) == [seconds(at, at + 1) for at in range(5, 10)]


def test_only_covered_segments_go_in_the_background(client: Client, ingest: Ingest) -> None:
    """R-SEG-34, R-SEG-36: with marks and object_id, as at once."""
    flow_id = ten_seconds(ingest)
    object_id = ingest.add(flow_id, "[20:0_21:0)")
    for at in range(21, 26):
        ingest.register(flow_id, object_id, seconds(at, at + 1), ts_offset=f"{at - 20}:0")

    done(client, client.delete(f"/flows/{flow_id}/segments?timerange=[0:5_8:0]"))
    query = {"object_id": object_id, "timerange": "[0:0_25:0)"}
    done(client, client.delete(f"/flows/{flow_id}/segments", query=query))

    left = ["[0:0_1:0)", "[8:0_9:0)", "[9:0_10:0)", "[25:0_26:0)"]
    assert ingest.timeranges(flow_id) == left


def test_a_large_flow_is_gone_at_once(client: Client, ingest: Ingest) -> None:
    """R-FLW-23, R-DEL-06, G-14: 404 for reads and writes; its segments `[]`, its objects 404."""
    flow_id = ten_seconds(ingest)
    object_id = ingest.segments(flow_id)[0]["object_id"]

    answer = client.delete(f"/flows/{flow_id}")

    assert answer.status == 202
    assert answer.json["delete_flow"] is True
    assert answer.json["timerange_to_delete"] == "_"
    path = f"/flows/{flow_id}"
    assert client.get(path).status == 404
    assert client.put(f"{path}/label", json="late").status == 404
    assert client.post(f"{path}/segments", json=external("[50:0_51:0)")).status == 404
    assert client.post(f"{path}/storage", json={}).status == 404
    assert client.delete(path).status == 404
    assert client.get(f"{path}/segments").json == []
    assert client.get(f"/objects/{object_id}").status == 404
    assert flow_id not in [flow["id"] for flow in client.listed("/flows")]
    done(client, answer)
    assert client.get(f"/objects/{object_id}").status == 404


def test_a_deleted_flow_may_be_put_again_at_once(client: Client, ingest: Ingest) -> None:
    """R-FLW-25, R-DEL-06(lives): each deletion takes what was there before it."""
    flow_id = ten_seconds(ingest)
    requests = []

    for _ in range(3):
        requests.append(client.delete(f"/flows/{flow_id}"))
        ten_seconds(ingest, flow_id)
    for request in requests:
        done(client, request)

    assert ingest.timeranges(flow_id) == [seconds(at, at + 1) for at in range(10)]
    for segment in ingest.segments(flow_id):
        assert segment["get_urls"]
        assert client.get(f"/objects/{segment['object_id']}").status == 200


def test_segments_added_after_a_deletion_stay(client: Client, ingest: Ingest) -> None:
    """Section 5.5: what existed at acceptance goes, and only that."""
    flow_id = ten_seconds(ingest)

    answer = client.delete(f"/flows/{flow_id}/segments")
    added = seconds(100, 101)
    ingest.add(flow_id, added)
    done(client, answer)

    assert ingest.timeranges(flow_id) == [added]


def test_objects_go_with_the_last_segment_in_the_background(client: Client, ingest: Ingest) -> None:
    """R-SEG-37, R-FLW-24: shared ones stay."""
    flow_id, other = ten_seconds(ingest), ingest.flow()
    first, second, *_ = (segment["object_id"] for segment in ingest.segments(flow_id))
    ingest.register(other, first, "[0:0_1:0)")

    done(client, client.delete(f"/flows/{flow_id}/segments"))

    assert ingest.media_object(first)["referenced_by_flows"] == [other]
    assert client.get(f"/objects/{second}").status == 404


def test_the_threshold_decides(client: Client, ingest: Ingest) -> None:
    """R-DEL-03: at it 204, above it 202; for flows as for segments."""
    for count, status in ((3, 204), (4, 202)):
        for path in ("", "/segments"):
            flow_id = ingest.flow()
            ingest.add_many(flow_id, [external(seconds(at, at + 1)) for at in range(count)])
            assert client.delete(f"/flows/{flow_id}{path}").status == status


def test_requests_are_listed(client: Client, ingest: Ingest) -> None:
    """R-DEL-04, R-PAGE-10, -11: newest first, in pages."""
    requests = []
    for _ in range(3):
        flow_id = ten_seconds(ingest)
        requests.append(client.delete(f"/flows/{flow_id}/segments").json["id"])
    path = "/flow-delete-requests"

    listed = [one["id"] for one in client.listed(path, query={"limit": 2})]
    backwards = [one["id"] for one in client.listed(path, query={"reverse_order": "true"})]

    assert listed == requests[::-1]
    assert backwards == requests
    assert len(client.listed(path, query={"sort_by": "expiry"})) == 3
    assert client.get(path, query={"sort_by": "updated"}).status == 400


def test_an_expired_request_is_gone(client: Client, ingest: Ingest, clock: Clock) -> None:
    """R-DEL-05."""
    flow_id = ten_seconds(ingest)
    answer = client.delete(f"/flows/{flow_id}/segments")
    location = answer.headers["location"]
    done(client, answer)

    clock.advance(6 * 24 * 3600)
    assert client.get(location).status == 200
    clock.advance(2 * 24 * 3600)

    assert client.get(location).status == 404
    assert client.head(location).status == 404
    assert eventually(lambda: client.listed("/flow-delete-requests") == [])


@pytest.mark.parametrize("request_id", [UNKNOWN, "no-uuid"])
def test_an_unknown_request_is_not_found(client: Client, request_id: str) -> None:
    """R-DEL-02, R-GEN-05: requests are made by deletions only."""
    path = f"/flow-delete-requests/{request_id}"

    assert client.get(path).status == 404
    assert client.delete(path).status == 405
    assert client.post("/flow-delete-requests", json={}).status == 405


def test_a_store_that_fails_shows_in_the_request_until_it_works_again(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-DEL-01, R-DEL-07, section 5.1: status and error; the runner tries again by itself."""
    client, metadata = deployment.client, deployment.gateway.metadata
    flow_id = ten_seconds(Ingest(client))
    segments = metadata.segments

    def failing(*arguments: Any) -> Any:
        if threading.current_thread().name == "jobs":
            raise StoreError("the disk is on fire")
        return segments(*arguments)

    monkeypatch.setattr(metadata, "segments", failing)
    answer = client.delete(f"/flows/{flow_id}/segments")
    location = answer.headers["location"]

    assert eventually(lambda: client.get(location).json["status"] == "error")
    error = client.get(location).json["error"]
    assert "on fire" in error["summary"]
    monkeypatch.undo()
    deployment.clock.advance(61)
    assert "error" not in done(client, answer)
    assert client.get(f"/flows/{flow_id}/segments").json == []
