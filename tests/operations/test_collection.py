"""The two rules by which objects are collected (R-STO-12, R-OBJ-07, -08)."""

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.samples import Document
from tams_gateway.testing.waiting import eventually
from tests.deployments import Clock

pytestmark = pytest.mark.config(
    limits={"min_object_timeout": 300, "min_presigned_url_timeout": 300}
)
HEADERS = {"content-type": "video/mp2t"}


def uploaded(ingest: Ingest, flow_id: str, body: bytes = b"bytes") -> Document:
    """Return a freshly allocated media object whose bytes are there."""
    media_object = ingest.allocate(flow_id)[0]
    url = media_object["put_url"]["url"]
    assert ingest.client.put(url, body=body, headers=HEADERS).status == 200
    return media_object


def test_an_allocation_lives_for_the_time_that_the_service_tells(
    client: Client, ingest: Ingest, clock: Clock
) -> None:
    """R-STO-12, R-SVC-04: not before, and a little longer."""
    flow_id = ingest.flow()
    media_object = uploaded(ingest, flow_id)
    assert client.get("/service").json["min_object_timeout"] == "300:0"

    clock.advance(301)
    assert client.put(media_object["put_url"]["url"], body=b"late", headers=HEADERS).status == 200
    ingest.register(flow_id, media_object["object_id"], "[0:0_1:0)")

    clock.advance(100_000)
    assert client.get(ingest.segments(flow_id)[0]["get_urls"][0]["url"]).body == b"late"


@pytest.mark.served_by_the_gateway("a PUT URL of a bucket takes bytes as long as it holds")
def test_an_allocation_that_is_not_registered_is_collected(
    client: Client, ingest: Ingest, clock: Clock
) -> None:
    """R-STO-12, R-OBJ-11: uploaded bytes included; then its id is free again."""
    flow_id = ingest.flow()
    media_object = ingest.allocate(flow_id, object_ids=["take-1"])[0]
    url = media_object["put_url"]["url"]
    assert client.put(url, body=b"bytes", headers=HEADERS).status == 200

    clock.advance(3600)

    assert eventually(lambda: client.put(url, body=b"again", headers=HEADERS).status == 404)
    segment = {"object_id": "take-1", "timerange": "[0:0_1:0)"}
    assert client.post(f"/flows/{flow_id}/segments", json=segment).status == 400

    def allocated() -> bool:
        answer = client.post(f"/flows/{flow_id}/storage", json={"object_ids": ["take-1"]})
        return answer.status == 201

    assert eventually(allocated)


def test_an_object_that_was_registered_goes_at_once(client: Client, ingest: Ingest) -> None:
    """R-OBJ-07, R-OBJ-11: without waiting for any timeout."""
    flow_id = ingest.flow()
    media_object = uploaded(ingest, flow_id)
    object_id = media_object["object_id"]
    ingest.register(flow_id, object_id, "[0:0_1:0)")

    assert client.delete(f"/flows/{flow_id}/segments").status == 204
    assert client.get(f"/objects/{object_id}").status == 404

    def allocated() -> bool:
        answer = client.post(f"/flows/{flow_id}/storage", json={"object_ids": [object_id]})
        return answer.status == 201

    assert eventually(allocated)


def test_an_init_object_that_no_segment_names_is_collected(
    client: Client, ingest: Ingest, clock: Clock
) -> None:
    """R-STO-12, R-SEG-32: as any other allocation."""
    flow_id = ingest.init_flow()
    init_id = ingest.allocated(flow_id, content_type="video/mp4")

    clock.advance(3600)

    def refused() -> bool:
        object_id = ingest.allocated(flow_id)
        segment = {"object_id": object_id, "timerange": "[0:0_1:0)", "init_object_id": init_id}
        return client.post(f"/flows/{flow_id}/segments", json=segment).status == 400

    assert eventually(refused)
