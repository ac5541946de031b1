"""GET / and /service, POST /service (R-SVC)."""

import re

import pytest

from tams_gateway.testing.client import Client
from tests.deployments import by_form


def seconds(timestamp: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]*):0", timestamp)
    assert found is not None, timestamp
    return int(found[1])


def test_the_root_names_the_paths_below_it(client: Client) -> None:
    """R-SVC-07: path names without slashes."""
    names = client.get("/").json

    assert {"service", "flows", "sources", "flow-delete-requests"} <= set(names)
    assert all(re.fullmatch("[a-z-]+", name) for name in names)


def test_the_service_says_what_it_is(client: Client) -> None:
    """R-SVC-01, R-SVC-08: a version of two parts, and the gateway's own."""
    service = client.get("/service").json

    assert service["api_version"] == "8.2"
    assert service["type"].startswith("urn:x-tams:service")
    assert service["service_version"]
    assert service["name"] == "Tests"


def test_the_times_of_the_service_hold_their_bounds(client: Client) -> None:
    """R-SVC-02, R-SVC-03, B30: timestamps, 30 s at least, no URL longer than its object."""
    service = client.get("/service").json

    objects = seconds(service["min_object_timeout"])
    urls = seconds(service["min_presigned_url_timeout"])
    assert objects >= 300
    assert 30 <= urls <= objects


@pytest.mark.config(limits={"min_object_timeout": 600, "min_presigned_url_timeout": 45})
def test_the_times_of_the_service_are_configured(client: Client) -> None:
    """R-SVC-02, R-SVC-03."""
    service = client.get("/service").json

    assert service["min_object_timeout"] == "600:0"
    assert service["min_presigned_url_timeout"] == "45:0"


def test_webhooks_are_not_announced_where_none_work(client: Client) -> None:
    """R-SVC-05, R-WHK-01: all seven operations are 404, and `/service` does not name them."""
    path = "/service/webhooks"
    one = f"{path}/00000000-0000-4000-8000-000000000000"

    names = [
        item["name"] for item in client.get("/service").json.get("event_stream_mechanisms", [])
    ]

    assert "webhooks" not in names
    assert client.get(path).status == 404
    assert client.head(path).status == 404
    assert client.post(path, json={"url": "https://a.example", "events": []}).status == 404
    assert client.get(one).status == 404
    assert client.head(one).status == 404
    assert client.put(one, json={}).status == 404
    assert client.delete(one).status == 404


def test_a_posted_name_and_description_are_shown(client: Client) -> None:
    """R-SVC-06: 200; a posted value wins over the config's."""
    answer = client.post("/service", json={"name": "Studio B", "description": "On the hill"})

    assert answer.status == 200
    service = client.get("/service").json
    assert (service["name"], service["description"]) == ("Studio B", "On the hill")


def test_what_is_not_posted_stays(client: Client) -> None:
    """R-SVC-06, G-22: a patch, in effect."""
    client.post("/service", json={"name": "Studio B", "description": "On the hill"})

    assert client.post("/service", json={"description": ""}).status == 200
    service = client.get("/service").json
    assert service["name"] == "Studio B"
    assert service.get("description", "") == ""


def test_nothing_else_of_the_service_can_be_posted(client: Client) -> None:
    """R-SVC-06, R-GEN-08."""
    before = client.get("/service").json

    answer = client.post("/service", json={"api_version": "9.0", "type": "x", "colour": "red"})

    assert answer.status == 200
    assert client.get("/service").json == before


@by_form
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b'{"name": 5}', b'{"description": null}', b"\xff"]
)
def test_a_broken_service_body_is_refused(client: Client, body: bytes) -> None:
    """R-SVC-06: 400, and nothing changes."""
    before = client.get("/service").json

    assert client.post("/service", body=body).status == 400
    assert client.get("/service").json == before


def test_no_answer_is_compressed(client: Client) -> None:
    """B19: also where the client would take it."""
    headers = {"Accept-Encoding": "gzip, br, zstd, deflate"}

    for path in ("/service", "/flows", "/service/storage-backends", "/nowhere"):
        assert "content-encoding" not in client.get(path, headers=headers).headers
