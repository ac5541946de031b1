"""What a client may send is bounded, and what is refused is said in few words."""

import base64
import json

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.samples import flow, segment


def test_urls_labels_and_instances_are_bounded(client: Client, ingest: Ingest) -> None:
    """A listing repeats them for each segment: R-SEG-22, R-INS-03."""
    flow_id = ingest.flow()
    path = f"/flows/{flow_id}/segments"
    many = [{"url": f"http://x/{number}", "label": f"l{number}"} for number in range(17)]
    for urls in ([{"url": "u" * 4097, "label": "l"}], [{"url": "u", "label": "l" * 256}], many):
        assert client.post(path, json=segment("[0:0_1:0)", get_urls=urls)).status == 400

    posted = segment("[0:0_1:0)", get_urls=many[:16])
    assert client.post(path, json=posted).status == 201
    instances = f"/objects/{posted['object_id']}/instances"
    assert client.post(instances, json=many[16]).status == 400


def test_labels_are_bounded(client: Client) -> None:
    """Page keys and links carry them: R-PAGE-04."""
    document = flow(label="é" * 255)
    path = f"/flows/{document['id']}"
    assert client.put(path, json=document).status == 201
    assert client.put(path, json={**document, "label": "é" * 256}).status == 400
    assert client.put(f"{path}/label", json="é" * 256).status == 400


def test_a_refusal_does_not_repeat_long_texts(client: Client, ingest: Ingest) -> None:
    flow_id = ingest.flow()
    path = f"/flows/{flow_id}/segments"
    long = "\U000e0001" * 2000
    assert client.post(path, json=segment("[0:0_1:0)", object_id=long)).status == 201

    answer = client.post(path, json=[segment("[0:0_1:0)") for _ in range(10)])

    assert len(answer.json["failed_segments"]) == 10
    assert max(len(one["error"]["summary"]) for one in answer.json["failed_segments"]) < 700


def test_an_object_id_is_bounded(client: Client, ingest: Ingest) -> None:
    flow_id = ingest.flow()
    storage = f"/flows/{flow_id}/storage"
    assert client.post(storage, json={"object_ids": ["x" * 2001]}).status == 400
    assert client.post(storage, json={"object_ids": ["x" * 2000]}).status == 201


def test_a_page_key_beyond_64_bits_is_refused(client: Client, ingest: Ingest) -> None:
    """R-PAGE-05."""
    flow_id = ingest.flow()
    posted = segment("[0:0_1:0)")
    client.post(f"/flows/{flow_id}/segments", json=posted)
    for place in ([flow_id, 10**21], [10**21], ["created", 10**21, flow_id]):
        key = base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")
        for path in (f"/objects/{posted['object_id']}", f"/flows/{flow_id}/segments", "/flows"):
            assert client.get(path, query={"page": key}).status == 400


def test_filters_are_bounded_in_number(client: Client) -> None:
    def query(count: int) -> str:
        return "&".join(f"tag_exists.t{number}=false" for number in range(count))

    assert client.get("/flows", query=query(100)).status == 200
    assert client.get("/flows", query=query(101)).status == 400


def test_a_duration_of_minus_nothing_is_nothing(client: Client, ingest: Ingest) -> None:
    """R-SEG-18, R-TIME-01."""
    path = f"/flows/{ingest.flow()}/segments"
    assert client.post(path, json=segment("[0:0_1:0)", last_duration="-0:0")).status == 201
    assert client.post(path, json=segment("[1:0_2:0)", last_duration="-0:1")).status == 400


@pytest.mark.served_by_the_gateway("of a bucket it is seen only when the copy is made")
def test_a_copy_needs_something_to_copy(client: Client, ingest: Ingest) -> None:
    """R-INS-02: the object was registered, but nothing was ever uploaded."""
    flow_id = ingest.flow()
    [allocated] = client.post(f"/flows/{flow_id}/storage", json={"limit": 1}).json["media_objects"]
    object_id = allocated["object_id"]
    posted = {"object_id": object_id, "timerange": "[0:0_1:0)"}
    assert client.post(f"/flows/{flow_id}/segments", json=posted).status == 201
    backends = client.get("/service/storage-backends").json
    other = next(one["id"] for one in backends if not one.get("default_storage"))

    assert client.post(f"/objects/{object_id}/instances", json={"storage_id": other}).status == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/flows/{unknown}?timerange=x", 404),
        ("/objects/unknown?limit=0", 404),
        ("/flows/{known}?timerange=x", 400),
    ],
)
def test_the_path_is_judged_before_the_query(
    client: Client, ingest: Ingest, path: str, status: int
) -> None:
    """The order of refusals."""
    target = path.format(unknown=flow()["id"], known=ingest.flow())
    assert client.get(target).status == status


def test_read_only_is_judged_before_the_rules(client: Client, ingest: Ingest) -> None:
    """The order of refusals."""
    flow_id = ingest.flow(read_only=True)
    body = {"storage_id": flow()["id"]}
    assert client.post(f"/flows/{flow_id}/storage", json=body).status == 403
