"""POST /flows/{flowId}/storage: where a client may upload objects (R-STO)."""

import re
import uuid

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tests.deployments import by_form

UNKNOWN = "11111111-1111-4111-8111-111111111111"


def test_an_allocation_has_an_object_id_and_a_put_url_for_each_object(
    client: Client, ingest: Ingest
) -> None:
    """R-STO-01: closed at the top, and `presigned` beside `put_url`, not in it."""
    flow_id = ingest.flow()

    answer = client.post(f"/flows/{flow_id}/storage", json={"limit": 2})

    assert answer.status == 201
    assert set(answer.json) == {"media_objects"}
    assert len(answer.json["media_objects"]) == 2
    for media_object in answer.json["media_objects"]:
        assert media_object["object_id"]
        assert media_object["put_url"]["url"].startswith("http")
        assert media_object["presigned"] is True
        assert "presigned" not in media_object["put_url"]


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_an_allocation_without_wishes_gives_the_default_number(
    client: Client, ingest: Ingest, body: bytes
) -> None:
    """R-STO-02: the body is optional; ten objects unless configured."""
    flow_id = ingest.flow()

    answer = client.post(f"/flows/{flow_id}/storage", body=body)

    assert answer.status == 201
    assert len(answer.json["media_objects"]) == 10


@by_form
@pytest.mark.parametrize("limit", [0, -1, 1.5, "3", True, None])
def test_an_impossible_limit_is_refused(client: Client, ingest: Ingest, limit: object) -> None:
    """R-STO-02: a number of objects below one, or no integer, is 400."""
    flow_id = ingest.flow()

    assert client.post(f"/flows/{flow_id}/storage", json={"limit": limit}).status == 400


@pytest.mark.parametrize("limit", [1001, 100_000, 10**20])
def test_too_high_a_limit_is_lowered(client: Client, ingest: Ingest, limit: int) -> None:
    """R-STO-03: the reply may hold fewer than asked."""
    flow_id = ingest.flow()

    answer = client.post(f"/flows/{flow_id}/storage", json={"limit": limit})

    assert answer.status == 201
    assert len(answer.json["media_objects"]) == 1000


def test_more_object_ids_than_allowed_are_refused(client: Client, ingest: Ingest) -> None:
    """R-STO-02: at most 1000, and none of them is allocated."""
    flow_id = ingest.flow()
    ids = [f"object-{number}" for number in range(1001)]

    assert client.post(f"/flows/{flow_id}/storage", json={"object_ids": ids}).status == 400
    assert ingest.allocated(flow_id, object_ids=ids[:1]) == "object-0"


def test_limit_and_object_ids_exclude_each_other(client: Client, ingest: Ingest) -> None:
    """R-STO-03."""
    flow_id = ingest.flow()

    answer = client.post(f"/flows/{flow_id}/storage", json={"limit": 1, "object_ids": ["one"]})

    assert answer.status == 400


def test_a_client_may_choose_the_object_ids(ingest: Ingest) -> None:
    """R-STO-04, R-STO-10: ids are opaque; the answer keeps their order."""
    ids = ["b", "a/with/slashes", "c.ts", "ünï ☃"]

    media_objects = ingest.allocate(ingest.flow(), object_ids=ids)

    assert [media_object["object_id"] for media_object in media_objects] == ids
    assert len({media_object["put_url"]["url"] for media_object in media_objects}) == 4


@by_form
@pytest.mark.parametrize("ids", [[], ["one", "one"], ["one", ""], "one", [1], [None]])
def test_faulty_lists_of_object_ids_are_refused(
    client: Client, ingest: Ingest, ids: object
) -> None:
    """R-STO-04: empty lists, duplicates, empty ids."""
    flow_id = ingest.flow()

    assert client.post(f"/flows/{flow_id}/storage", json={"object_ids": ids}).status == 400


def test_object_ids_that_exist_are_refused_with_words_that_clients_know(
    client: Client, ingest: Ingest
) -> None:
    """R-STO-04, B24: allocated ids are in use, too; nothing is allocated."""
    flow_id, other_id = ingest.flow(), ingest.flow()
    ingest.allocated(flow_id, object_ids=["taken"])

    answer = client.post(f"/flows/{other_id}/storage", json={"object_ids": ["fresh", "taken"]})

    assert answer.status == 400
    assert "already exist" in answer.json["message"]
    assert answer.json["message"] == answer.json["summary"]
    assert ingest.allocated(other_id, object_ids=["fresh"]) == "fresh"


def test_ids_of_registered_and_of_external_objects_are_in_use(
    client: Client, ingest: Ingest
) -> None:
    """R-STO-04."""
    flow_id = ingest.flow()
    ingest.add(flow_id, "[0:0_1:0)", "external")
    ingest.register(flow_id, ingest.allocated(flow_id, object_ids=["mine"]), "[1:0_2:0)")

    for object_id in ("external", "mine"):
        answer = client.post(f"/flows/{flow_id}/storage", json={"object_ids": [object_id]})
        assert answer.status == 400


def test_the_default_backend_serves_a_request_that_names_none(
    client: Client, ingest: Ingest
) -> None:
    """R-STO-05."""
    flow_id = ingest.flow()
    default, other = ingest.storage_backends()[:2]
    first, second = ingest.allocated(flow_id), ingest.allocated(flow_id, storage_id=other["id"])
    ingest.register(flow_id, first, "[0:0_1:0)")
    ingest.register(flow_id, second, "[1:0_2:0)")

    segments = ingest.segments(flow_id, {"verbose_storage": "true"})

    stored = [{url["storage_id"] for url in segment["get_urls"]} for segment in segments]
    assert stored == [{default["id"]}, {other["id"]}]


@pytest.mark.parametrize("storage_id", [UNKNOWN, "no-uuid", "", None, 5])
def test_an_unknown_backend_is_refused(client: Client, ingest: Ingest, storage_id: object) -> None:
    """R-STO-05."""
    flow_id = ingest.flow()

    assert client.post(f"/flows/{flow_id}/storage", json={"storage_id": storage_id}).status == 400


def test_a_flow_without_container_gets_no_storage(client: Client, ingest: Ingest) -> None:
    """R-STO-06, R-FLW-10."""
    flow_id = ingest.flow(container=None)

    assert client.post(f"/flows/{flow_id}/storage", json={}).status == 400


def test_a_read_only_flow_gets_no_storage(client: Client, ingest: Ingest) -> None:
    """R-STO-06."""
    flow_id = ingest.flow(read_only=True)

    answer = client.post(f"/flows/{flow_id}/storage", json={})

    assert answer.status == 403
    assert answer.json["type"] == "read_only"


@pytest.mark.parametrize("flow_id", [UNKNOWN, "no-uuid", UNKNOWN.upper().replace("1", "A")])
def test_an_unknown_flow_gets_no_storage(client: Client, flow_id: str) -> None:
    """R-STO-06, R-GEN-05."""
    assert client.post(f"/flows/{flow_id}/storage", json={}).status == 404


def test_a_broken_body_is_told_before_a_read_only_flow(client: Client, ingest: Ingest) -> None:
    """Refusals come in order: 404 (path), 400 (body), 403 (read-only), 400 (rules)."""
    read_only = ingest.flow(read_only=True, container=None)

    assert client.post(f"/flows/{UNKNOWN}/storage", json={"limit": 0}).status == 404
    assert client.post(f"/flows/{read_only}/storage", json={"limit": "x"}).status == 400
    assert client.post(f"/flows/{read_only}/storage", json={}).status == 403


def test_the_content_type_is_the_container_unless_asked_otherwise(ingest: Ingest) -> None:
    """R-STO-07, R-STO-08, B6: asked for as `content_type`, told as `content-type`."""
    flow_id = ingest.init_flow()

    plain = ingest.allocate(flow_id)[0]["put_url"]
    init = ingest.allocate(flow_id, content_type="video/mp4")[0]["put_url"]

    assert plain["content-type"] == "video/iso.segment"
    assert init["content-type"] == "video/mp4"
    assert not plain.get("headers")


def test_a_hyphenated_content_type_is_refused(client: Client, ingest: Ingest) -> None:
    """R-STO-07: the schema would ignore it in silence."""
    flow_id = ingest.init_flow()

    answer = client.post(f"/flows/{flow_id}/storage", json={"content-type": "video/mp4"})

    assert answer.status == 400
    assert "content_type" in answer.json["summary"]


@by_form
@pytest.mark.parametrize("content_type", ["video", "", "nonsense/mp4", "video/mp4; a=b", 5, None])
def test_a_malformed_content_type_is_refused(
    client: Client, ingest: Ingest, content_type: object
) -> None:
    """R-STO-07: a media type without parameters."""
    flow_id = ingest.init_flow()

    answer = client.post(f"/flows/{flow_id}/storage", json={"content_type": content_type})

    assert answer.status == 400


def test_put_urls_are_not_presigned_on_request(ingest: Ingest) -> None:
    """R-STO-09: absent means presigned, here."""
    flow_id = ingest.flow()

    default = ingest.allocate(flow_id)[0]
    signed = ingest.allocate(flow_id, presigned=True)[0]
    plain = ingest.allocate(flow_id, presigned=False)[0]

    assert default["presigned"] is True
    assert signed["presigned"] is True
    assert plain.get("presigned", False) is False
    assert "?" in signed["put_url"]["url"]
    assert "?" not in plain["put_url"]["url"]


@pytest.mark.parametrize("presigned", ["true", 1, None])
def test_a_wish_for_presigned_urls_is_a_boolean(
    client: Client, ingest: Ingest, presigned: object
) -> None:
    """R-STO-09."""
    flow_id = ingest.flow()

    assert client.post(f"/flows/{flow_id}/storage", json={"presigned": presigned}).status == 400


def test_each_call_gives_fresh_ids(ingest: Ingest) -> None:
    """R-STO-10: unguessable, and never the same twice."""
    flow_id = ingest.flow()

    ids = [one["object_id"] for _ in range(3) for one in ingest.allocate(flow_id, limit=50)]

    assert len(set(ids)) == 150
    assert all(uuid.UUID(object_id).version == 7 for object_id in ids)
    assert len({object_id[-12:] for object_id in ids}) == 150


def test_an_allocated_object_is_invisible(client: Client, ingest: Ingest) -> None:
    """R-STO-11, R-OBJ-02: GET, HEAD and both writes of instances are 404."""
    flow_id = ingest.flow()
    object_id = ingest.allocated(flow_id)
    instance = {"url": "https://example.com/a.ts", "label": "copy"}

    assert client.get(f"/objects/{object_id}").status == 404
    assert client.head(f"/objects/{object_id}").status == 404
    assert client.post(f"/objects/{object_id}/instances", json=instance).status == 404
    assert client.delete(f"/objects/{object_id}/instances", query={"label": "copy"}).status == 404
    assert ingest.segments(flow_id) == []


@pytest.mark.parametrize(
    ("container", "ending"),
    [
        ("video/mp2t", ".ts"),
        ("video/mp4", ".mp4"),
        ("video/iso.segment", ".m4s"),
        ("audio/wav", ".wav"),
        ("audio/aac", ".aac"),
    ],
)
def test_media_urls_end_in_what_players_expect(ingest: Ingest, container: str, ending: str) -> None:
    """B27: the path, before the query, ends in a fitting extension; for PUT and GET alike."""
    flow_id = ingest.flow(container=container)
    media_object = ingest.allocate(flow_id)[0]
    ingest.register(flow_id, media_object["object_id"], "[0:0_1:0)")

    urls = [media_object["put_url"]["url"]]
    urls += [url["url"] for url in ingest.segments(flow_id)[0]["get_urls"]]

    assert len(urls) == 3
    for url in urls:
        assert re.sub(r"\?.*", "", url).endswith(ending)


def test_an_ending_of_the_object_id_is_not_doubled(ingest: Ingest) -> None:
    """B27."""
    media_object = ingest.allocate(ingest.flow(), object_ids=["take-1.ts"])[0]

    path = media_object["put_url"]["url"].partition("?")[0]
    assert path.endswith("take-1.ts")


@pytest.mark.parametrize("object_id", ["../../etc/passwd", "a\x00b", "x" * 2000, ".", "%2e%2e/a"])
def test_hostile_object_ids_are_just_ids(client: Client, ingest: Ingest, object_id: str) -> None:
    """R-GEN-06: they are found again by their percent-encoded name, and their URLs stay below."""
    flow_id = ingest.flow()
    media_object = ingest.allocate(flow_id, object_ids=[object_id])[0]
    ingest.register(flow_id, object_id, "[0:0_1:0)")

    path = media_object["put_url"]["url"].partition("?")[0]
    assert "/main/" in path
    assert ".." not in path.split("/")
    found = ingest.segments(flow_id, {"object_id": object_id})
    assert [segment["object_id"] for segment in found] == [object_id]
