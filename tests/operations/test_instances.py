"""POST and DELETE of /objects/{objectId}/instances (R-INS)."""

from typing import Any

import pytest

from tams_gateway.testing.client import Client, quoted
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.samples import UNKNOWN
from tams_gateway.testing.waiting import eventually
from tests.deployments import by_form

MEDIA = b"0123456789" * 1000


def uploaded(ingest: Ingest, **wishes: Any) -> str:
    """Return a registered object whose bytes are there."""
    flow_id = ingest.flow()
    media_object = ingest.allocate(flow_id, **wishes)[0]
    url = media_object["put_url"]["url"]
    answer = ingest.client.put(url, body=MEDIA, headers={"content-type": "video/mp2t"})
    assert answer.status == 200
    object_id = str(media_object["object_id"])
    ingest.register(flow_id, object_id, "[0:0_1:0)")
    return object_id


def advertised(ingest: Ingest, object_id: str, label: str) -> list[str]:
    """Return the presigned URLs of the instance with this label."""
    query = {"accept_get_urls": label, "presigned": "true"}
    return [url["url"] for url in ingest.media_object(object_id, query)["get_urls"]]


def test_a_copy_is_advertised_when_it_is_ready(client: Client, ingest: Ingest) -> None:
    """R-INS-01: 201 at once; then the same bytes can be read from the other backend."""
    object_id = uploaded(ingest)
    other = ingest.storage_backends()[1]

    answer = client.post(f"/objects/{object_id}/instances", json={"storage_id": other["id"]})

    assert answer.status == 201
    assert answer.body == b""
    urls = eventually(lambda: advertised(ingest, object_id, other["label"]))
    assert [client.get(url).body for url in urls] == [MEDIA]
    assert len(advertised(ingest, object_id, ingest.storage_backends()[0]["label"])) == 1


def test_a_copy_is_an_instance_like_any_other(client: Client, ingest: Ingest) -> None:
    """R-INS-05, R-INS-07: the first one may go then, and is no more advertised."""
    object_id = uploaded(ingest)
    default, other = ingest.storage_backends()[:2]
    path = f"/objects/{object_id}/instances"
    first = advertised(ingest, object_id, default["label"])[0]
    assert client.post(path, json={"storage_id": other["id"]}).status == 201
    copy = eventually(lambda: advertised(ingest, object_id, other["label"]))[0]

    assert client.delete(path, query={"storage_id": default["id"]}).status == 204

    assert advertised(ingest, object_id, default["label"]) == []
    assert eventually(lambda: client.get(first).status == 404)
    assert client.get(copy).body == MEDIA


def test_a_copy_to_where_an_instance_is_is_refused(client: Client, ingest: Ingest) -> None:
    """R-INS-01: also while the copy is pending."""
    object_id = uploaded(ingest)
    path = f"/objects/{object_id}/instances"
    default, other = ingest.storage_backends()[:2]

    assert client.post(path, json={"storage_id": default["id"]}).status == 400
    assert client.post(path, json={"storage_id": other["id"]}).status == 201
    assert client.post(path, json={"storage_id": other["id"]}).status == 400
    assert client.post(path, json={"storage_id": UNKNOWN}).status == 400


def test_an_object_that_is_only_elsewhere_is_not_copied(client: Client, ingest: Ingest) -> None:
    """R-INS-02, G-11: no server-side fetch of a URL that a client chose."""
    object_id = ingest.add(ingest.flow(), "[0:0_1:0)")
    storage_id = ingest.storage_backends()[0]["id"]

    answer = client.post(f"/objects/{object_id}/instances", json={"storage_id": storage_id})

    assert answer.status == 400
    assert answer.json["summary"]


def test_an_uncontrolled_instance_is_noted(client: Client, ingest: Ingest) -> None:
    """R-INS-03, R-URL-07: and shows in segments at once."""
    object_id = uploaded(ingest)
    instance = {"url": "https://example.com/more.ts?a=b", "label": "more"}

    assert client.post(f"/objects/{object_id}/instances", json=instance).status == 201

    query = {"accept_get_urls": "more", "verbose_storage": "true"}
    shown = ingest.media_object(object_id, query)["get_urls"]
    assert shown == [{**instance, "controlled": False}]


@by_form
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": "https://example.com/a"},
        {"label": "more"},
        {"storage_id": UNKNOWN, "url": "https://example.com/a", "label": "more"},
        {"storage_id": "no-uuid"},
        {"storage_id": None},
        {"url": 5, "label": "more"},
        {"url": "", "label": "more"},
        {"url": "https://example.com/a", "label": "elsewhere"},
        {"url": "https://example.com/a", "label": "main"},
        {"url": "https://example.com/a", "label": "second"},
        [],
        None,
    ],
)
def test_faulty_instances_are_refused(client: Client, ingest: Ingest, body: object) -> None:
    """R-INS-01, R-INS-03: both shapes, half of one, labels that are taken or reserved."""
    object_id = ingest.add(ingest.flow(), "[0:0_1:0)")

    assert client.post(f"/objects/{object_id}/instances", json=body).status == 400
    assert len(ingest.media_object(object_id)["get_urls"]) == 1


@pytest.mark.parametrize("object_id", ["unknown", "a/b"])
def test_instances_of_an_unknown_object_are_not_found(client: Client, object_id: str) -> None:
    """R-OBJ-02."""
    path = f"/objects/{quoted(object_id)}/instances"
    instance = {"url": "https://example.com/a", "label": "more"}

    assert client.post(path, json=instance).status == 404
    assert client.delete(path, query={"label": "more"}).status == 404


def test_an_instance_is_deleted_by_label_or_storage_id(client: Client, ingest: Ingest) -> None:
    """R-INS-05: one of the two is required, and both have to name the same instance."""
    object_id = uploaded(ingest)
    path = f"/objects/{object_id}/instances"
    default, other = ingest.storage_backends()[:2]
    for label in ("one", "two"):
        instance = {"url": f"https://example.com/{label}", "label": label}
        assert client.post(path, json=instance).status == 201

    def delete(**query: str) -> int:
        return client.delete(path, query=query).status

    assert delete() == 400
    assert delete(storage_id="no-uuid") == 400
    assert delete(label="three") == 404
    assert delete(storage_id=other["id"]) == 404
    assert delete(storage_id=default["id"], label="one") == 400
    assert delete(label="one") == 204
    assert delete(label="one") == 404
    assert delete(storage_id=default["id"], label=default["label"]) == 204
    labels = [url["label"] for url in ingest.media_object(object_id)["get_urls"]]
    assert labels == ["two"]


def test_the_last_instance_stays(client: Client, ingest: Ingest) -> None:
    """R-INS-06: also while a copy is only pending."""
    object_id = ingest.add(ingest.flow(), "[0:0_1:0)")
    path = f"/objects/{object_id}/instances"

    assert client.delete(path, query={"label": "elsewhere"}).status == 400
    assert len(ingest.media_object(object_id)["get_urls"]) == 1


def test_instances_of_a_read_only_flows_object_can_be_managed(
    client: Client, ingest: Ingest
) -> None:
    """R-FLW-12."""
    flow_id = ingest.flow()
    object_id = ingest.add(flow_id, "[0:0_1:0)")
    ingest.set_read_only(flow_id, True)
    path = f"/objects/{object_id}/instances"
    instance = {"url": "https://example.com/more", "label": "more"}

    assert client.post(path, json=instance).status == 201
    assert client.delete(path, query={"label": "more"}).status == 204


def test_an_instance_is_no_change_of_the_flow(client: Client, ingest: Ingest) -> None:
    """R-OBJ-06: neither its metadata nor its segments were written."""
    flow_id = ingest.flow()
    object_id = ingest.add(flow_id, "[0:0_1:0)")
    before = ingest.document(flow_id)
    instance = {"url": "https://example.com/more", "label": "more"}

    assert client.post(f"/objects/{object_id}/instances", json=instance).status == 201

    assert ingest.document(flow_id) == before


@pytest.mark.served_by_the_gateway("unsigned URLs of a bucket work for whom it lets in")
def test_the_bytes_of_every_instance_go_with_the_object(client: Client, ingest: Ingest) -> None:
    """R-OBJ-08: controlled instances are deleted from storage, wherever they are."""
    object_id = uploaded(ingest)
    default, other = ingest.storage_backends()[:2]
    path = f"/objects/{object_id}/instances"
    assert client.post(path, json={"storage_id": other["id"]}).status == 201
    assert eventually(lambda: advertised(ingest, object_id, other["label"]))
    urls = [url["url"] for url in ingest.media_object(object_id)["get_urls"]]
    assert [client.get(url).status for url in urls] == [200] * 4
    flow_id = ingest.media_object(object_id)["first_referenced_by_flow"]

    assert client.delete(f"/flows/{flow_id}").status == 204

    assert [client.get(url).status for url in urls] == [404] * 4
    assert default["label"] != other["label"]
