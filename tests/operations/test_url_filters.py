"""The filters of `get_urls` on segments and objects (R-URL)."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.waiting import eventually
from tests.deployments import by_form

Urls = Callable[[Mapping[str, str]], list[dict[str, Any]]]


@pytest.fixture
def flow_id(client: Client, ingest: Ingest) -> str:
    """A flow with one segment that has an init object; both are in two backends and elsewhere."""
    flow_id = ingest.init_flow()
    backends = ingest.storage_backends()
    objects = {}
    for name in ("media", "init"):
        media_object = ingest.allocate(flow_id)[0]
        headers = {"content-type": "video/iso.segment"}
        answer = client.put(media_object["put_url"]["url"], body=b"bytes", headers=headers)
        assert answer.status == 200
        objects[name] = media_object["object_id"]
    ingest.register(flow_id, objects["media"], "[0:0_1:0)", init_object_id=objects["init"])
    for object_id in objects.values():
        path = f"/objects/{object_id}/instances"
        away = {"url": "https://example.com/a", "label": "away"}
        assert client.post(path, json=away).status == 201
        assert client.post(path, json={"storage_id": backends[1]["id"]}).status == 201

    def copied() -> bool:
        found = [len(ingest.media_object(one)["get_urls"]) for one in objects.values()]
        return found == [5, 5]

    assert eventually(copied)
    return flow_id


@pytest.fixture(params=["segment", "init of segment", "object", "init of object", "init object"])
def urls(request: pytest.FixtureRequest, ingest: Ingest, flow_id: str) -> Urls:
    """Reads the URLs at one of the places where they are shown (R-URL-01)."""

    def read(query: Mapping[str, str]) -> list[dict[str, Any]]:
        segments = ingest.segments(flow_id, query)
        assert len(segments) == 1
        shown = segments[0]
        if request.param.endswith("object"):
            shown = ingest.media_object(shown["object_id"], query)
        if request.param == "init object":
            shown = ingest.media_object(shown["init_object"]["id"], query)
        elif request.param.startswith("init"):
            shown = shown["init_object"]
        found: list[dict[str, Any]] = shown.get("get_urls", [])
        return found

    return read


def labels(found: list[dict[str, Any]]) -> list[str]:
    return sorted({url["label"] for url in found})


def test_urls_are_filtered_by_label(urls: Urls) -> None:
    """R-URL-02, B5, B17: omitted is all, empty is none."""
    assert labels(urls({})) == ["away", "main", "second"]
    assert labels(urls({"accept_get_urls": "main"})) == ["main"]
    assert labels(urls({"accept_get_urls": "main,away"})) == ["away", "main"]
    assert labels(urls({"accept_get_urls": "Main"})) == []
    assert urls({"accept_get_urls": ""}) == []


def test_urls_are_filtered_by_storage_id(ingest: Ingest, urls: Urls) -> None:
    """R-URL-03: omitted or empty is all; uncontrolled ones only then."""
    ids = {backend["label"]: backend["id"] for backend in ingest.storage_backends()}
    both = f"{ids['main']},{ids['second']}"

    assert labels(urls({"accept_storage_ids": ""})) == ["away", "main", "second"]
    assert labels(urls({"accept_storage_ids": ids["second"]})) == ["second"]
    assert labels(urls({"accept_storage_ids": both})) == ["main", "second"]
    assert urls({"accept_storage_ids": "00000000-0000-4000-8000-000000000000"}) == []


def test_urls_are_filtered_by_signature(urls: Urls) -> None:
    """R-URL-04, R-URL-09, B7, B8: `false` includes those where it is unset."""
    both, signed, plain = urls({}), urls({"presigned": "true"}), urls({"presigned": "false"})

    assert len(both) == 5
    assert [(url["label"], url["presigned"]) for url in signed] == [
        (label, True) for label in dict.fromkeys(url["label"] for url in signed)
    ]
    assert labels(signed) == ["main", "second"]
    assert labels(plain) == ["away", "main", "second"]
    assert not any(url.get("presigned") for url in plain)
    order = [url.get("presigned", False) for url in both]
    assert order == sorted(order, reverse=True)


def test_presigned_urls_work_without_credentials(client: Client, urls: Urls) -> None:
    """B8, R-URL-10: the first and the last of them."""
    found = urls({"presigned": "true"})

    for url in (found[0], found[-1]):
        assert client.get(url["url"]).body == b"bytes"


def test_filters_of_urls_are_all_applied(ingest: Ingest, urls: Urls) -> None:
    """R-URL-01, R-URL-06: also by what is not shown."""
    second = ingest.storage_backends()[1]["id"]

    found = urls({"accept_storage_ids": second, "presigned": "true", "accept_get_urls": "second"})
    none = urls({"accept_storage_ids": second, "accept_get_urls": "main"})

    assert [set(url) for url in found] == [{"url", "label", "presigned"}]
    assert none == []


def test_storage_is_told_on_request(ingest: Ingest, urls: Urls) -> None:
    """R-URL-05, R-URL-07: by default just url, presigned and label."""
    default = ingest.storage_backends()[0]

    for shown in urls({"verbose_storage": "false"}):
        assert set(shown) <= {"url", "label", "presigned"}
    for shown in urls({"verbose_storage": "true", "accept_get_urls": "main"}):
        assert set(shown) <= {
            "url",
            "label",
            "presigned",
            "controlled",
            "storage_id",
            "store_type",
            "provider",
            "region",
            "availability_zone",
            "store_product",
            "tags",
        }
        assert shown["storage_id"] == default["id"]
        assert shown["controlled"] is True
        assert shown["store_type"] == "http_object_store"
        for name in ("provider", "store_product", "tags"):
            assert shown[name] == default[name]
    away = urls({"verbose_storage": "true", "accept_get_urls": "away"})
    assert [url["controlled"] for url in away] == [False]


@by_form
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"storage_backend_tag.tier": "hot"}, ["main"]),
        ({"storage_backend_tag.tier": "hot,cold"}, ["main", "second"]),
        ({"storage_backend_tag.tier": "warm"}, []),
        ({"storage_backend_tag.auth_classes": "sport"}, ["main"]),
        ({"storage_backend_tag_exists.tier": "true"}, ["main", "second"]),
        ({"storage_backend_tag_exists.tier": "false"}, ["away"]),
        ({"storage_backend_tag_exists.auth_classes": "false"}, ["away", "second"]),
        ({"storage_backend_tag.tier": "cold", "storage_backend_tag_exists.x": "true"}, []),
    ],
)
def test_urls_are_filtered_by_tags_of_their_backends(
    urls: Urls, query: dict[str, str], expected: list[str]
) -> None:
    """R-URL-08: an uncontrolled URL has no backend, and so no tag."""
    assert labels(urls(query)) == expected


@pytest.mark.served_by_the_gateway("a bucket verifies the checksums that it knows")
def test_put_urls_and_get_urls_take_checksum_headers(client: Client, ingest: Ingest) -> None:
    """R-URL-12, B32: they are verified."""
    flow_id = ingest.flow()
    url = ingest.allocate(flow_id)[0]["put_url"]["url"]
    headers = {"content-type": "video/mp2t"}
    right = "B9pQzeAjtkbVxNFaESHxh8f8aEyy0oZYYdyj4HaF7l4="

    wrong = client.put(url, body=b"x", headers={**headers, "x-amz-checksum-sha256": right})

    assert wrong.status == 400
    assert client.put(url, body=b"x", headers=headers).status == 200


@pytest.mark.config(**{"objects.main": {"most_urls": 1}})
def test_a_backend_shows_no_more_urls_than_its_config_says(ingest: Ingest) -> None:
    """R-URL-04: the signed one comes first, unless a client wants the other."""
    flow_id = ingest.flow()
    ingest.register(flow_id, ingest.allocated(flow_id), "[0:0_1:0)")

    def shown(query: Mapping[str, str]) -> list[bool]:
        [segment] = ingest.segments(flow_id, query)
        return [url["presigned"] for url in segment["get_urls"]]

    assert [True] == shown({}) == shown({"presigned": "true"})
    assert [False] == shown({"presigned": "false"})
