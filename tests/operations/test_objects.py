"""GET /objects/{objectId}: what an object is, and how long it lives (R-OBJ)."""

import pytest

from tams_gateway.testing.client import Client, quoted
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.samples import segment as external
from tests.deployments import by_form


def test_an_object_shows_its_own_properties_and_nothing_else(ingest: Ingest) -> None:
    """R-OBJ-01, R-OBJ-04."""
    flow_id = ingest.flow()
    object_id = ingest.allocated(flow_id)
    ingest.register(flow_id, object_id, "[5:0_6:0)", ts_offset="5:0", key_frame_count=1)

    shown = ingest.media_object(object_id)

    urls = shown.pop("get_urls")
    assert shown == {
        "id": object_id,
        "referenced_by_flows": [flow_id],
        "first_referenced_by_flow": flow_id,
        "timerange": "[0:0_1:0)",
        "key_frame_count": 1,
    }
    assert [url.get("presigned", False) for url in urls] == [True, False]


@pytest.mark.parametrize("object_id", ["nothing", "%2F", "a%2Fb", "%00", "..%2F..", "%E2%98%83"])
def test_an_unknown_object_is_not_found(client: Client, object_id: str) -> None:
    """R-OBJ-02."""
    if object_id in ("%00", "..%2F..") and client.base.startswith("http://127"):
        object_id = "zero"  # nginx refuses a NUL in a path, and a way out of it, itself
    assert client.get(f"/objects/{object_id}").status == 404
    assert client.head(f"/objects/{object_id}").status == 404


@pytest.mark.parametrize(
    "object_id", ["a/b", "a/b/instances", "instances", "ü ☃", "a%2Fb", "a?b#c", "x" * 2000]
)
def test_any_text_is_an_object_id(client: Client, ingest: Ingest, object_id: str) -> None:
    """R-GEN-06: encoded slashes do not split the path, nor do other signs."""
    flow_id = ingest.flow()
    ingest.add(flow_id, "[0:0_1:0)", object_id)
    path = f"/objects/{quoted(object_id)}"
    instance = {"url": "https://example.com/more", "label": "more"}

    assert client.get(path).json["id"] == object_id
    assert client.head(path).status == 200
    assert client.post(f"{path}/instances", json=instance).status == 201
    assert len(client.get(path).json["get_urls"]) == 2


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_objects_are_not_written_directly(client: Client, ingest: Ingest, method: str) -> None:
    """R-OBJ-05: they come with segments, and go when nothing refers to them."""
    object_id = ingest.add(ingest.flow(), "[0:0_1:0)")

    answer = client.request(method, f"/objects/{object_id}", json={})

    assert answer.status == 405
    assert ingest.media_object(object_id)["id"] == object_id


def test_each_flow_is_listed_once(ingest: Ingest) -> None:
    """R-OBJ-03."""
    first, second = sorted([ingest.flow(), ingest.flow()])
    object_id = ingest.add(second, "[0:0_2:0)")
    ingest.register(second, object_id, "[10:0_12:0)", ts_offset="10:0")
    ingest.register(first, object_id, "[0:0_1:0)")

    shown = ingest.media_object(object_id)

    assert shown["referenced_by_flows"] == [first, second]
    assert shown["first_referenced_by_flow"] == second


def test_flows_that_use_an_object_come_in_pages(client: Client, ingest: Ingest) -> None:
    """R-OBJ-03, R-PAGE-03, -04: with the key and the link of the three paging headers."""
    owner = ingest.flow()
    object_id = ingest.add(owner, "[0:0_1:0)")
    flows = [owner, *(ingest.flow() for _ in range(4))]
    for flow_id in flows[1:]:
        ingest.register(flow_id, object_id, "[0:0_1:0)")

    pages = list(client.pages(f"/objects/{object_id}", query={"limit": 2}))

    met = [page.json["referenced_by_flows"] for page in pages]
    assert [len(page) for page in met] == [2, 2, 1]
    assert [flow_id for page in met for flow_id in page] == sorted(flows)
    assert all(page.headers["x-paging-limit"] == "2" for page in pages)
    assert "x-paging-nextkey" not in pages[-1].headers


def test_tags_filter_the_flows_of_an_object_only(client: Client, ingest: Ingest) -> None:
    """R-OBJ-03, R-PAGE-14, -15, B5, B17: the object stays visible with an empty list."""
    red, blue, plain = (
        ingest.flow(tags={"colour": "red"}),
        ingest.flow(tags={"colour": ["blue", "green"]}),
        ingest.flow(),
    )
    object_id = ingest.add(red, "[0:0_1:0)")
    for flow_id in (blue, plain):
        ingest.register(flow_id, object_id, "[0:0_1:0)")

    def users(query: str) -> set[str]:
        answer = client.get(f"/objects/{object_id}?{query}")
        assert answer.status == 200
        assert len(answer.json["get_urls"]) == 1
        return set(answer.json["referenced_by_flows"])

    assert users("flow_tag.colour=red") == {red}
    assert users("flow_tag.colour=red%2Cgreen") == {red, blue}
    assert users("flow_tag.colour=red,green") == {red, blue}
    assert users("flow_tag_exists.colour=true") == {red, blue}
    assert users("flow_tag_exists.colour=false") == {plain}
    assert users("flow_tag.colour=blue&flow_tag_exists.other=false") == {blue}
    assert users("flow_tag.colour=") == set()
    assert users("flow_tag.colour=Red") == set()


def test_filtered_pages_of_flows_are_full(client: Client, ingest: Ingest) -> None:
    """R-PAGE-09: the core reads on until the page is full."""
    tagged = [ingest.flow(tags={"keep": "1"}) for _ in range(3)]
    object_id = ingest.add(tagged[0], "[0:0_1:0)")
    for flow_id in [*tagged[1:], *(ingest.flow() for _ in range(6))]:
        ingest.register(flow_id, object_id, "[0:0_1:0)")

    query = "limit=2&flow_tag.keep=1"
    pages = [
        page.json["referenced_by_flows"]
        for page in client.pages(f"/objects/{object_id}", query=query)
    ]

    assert [len(page) for page in pages] == [2, 1]
    assert sorted(tagged) == [flow_id for page in pages for flow_id in page]


@by_form
@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "x"},
        {"page": "nonsense"},
        {"verbose_storage": ""},
        {"presigned": "1"},
        {"accept_storage_ids": "x"},
        {"flow_tag_exists.a": "maybe"},
        {"storage_backend_tag_exists.a": ""},
    ],
)
def test_malformed_queries_are_refused(
    client: Client, ingest: Ingest, query: dict[str, str]
) -> None:
    """R-PAGE-02, -05, -19, -20."""
    object_id = ingest.add(ingest.flow(), "[0:0_1:0)")

    assert client.get(f"/objects/{object_id}", query=query).status == 400
    assert client.head(f"/objects/{object_id}", query=query).status == 400


def test_an_object_goes_at_once_with_its_last_segment(client: Client, ingest: Ingest) -> None:
    """R-OBJ-07, R-FLW-24: not while another flow or segment refers to it."""
    first, second = ingest.flow(), ingest.flow()
    object_id = ingest.allocated(first)
    ingest.register(first, object_id, "[0:0_1:0)")
    ingest.register(second, object_id, "[0:0_1:0)")

    assert client.delete(f"/flows/{first}/segments").status == 204
    assert ingest.media_object(object_id)["referenced_by_flows"] == [second]
    assert client.delete(f"/flows/{second}").status == 204

    assert client.get(f"/objects/{object_id}").status == 404
    assert client.head(f"/objects/{object_id}").status == 404


@pytest.mark.served_by_the_gateway("a bucket serves them until they are deleted")
def test_the_bytes_of_a_collected_object_are_not_served(client: Client, ingest: Ingest) -> None:
    """R-OBJ-07, R-OBJ-08: also at URLs that were handed out before."""
    flow_id = ingest.flow()
    media_object = ingest.allocate(flow_id)[0]
    put_url = media_object["put_url"]["url"]
    headers = {"content-type": "video/mp2t"}
    assert client.put(put_url, body=b"bytes", headers=headers).status == 200
    ingest.register(flow_id, media_object["object_id"], "[0:0_1:0)")
    url = ingest.segments(flow_id)[0]["get_urls"][0]["url"]
    assert client.get(url).body == b"bytes"

    assert client.delete(f"/flows/{flow_id}/segments").status == 204

    assert client.get(url).status == 404
    assert client.put(put_url, body=b"again", headers=headers).status in (404, 409)


@pytest.mark.served_by_the_gateway("a PUT URL of a bucket takes bytes as long as it holds")
def test_a_registered_object_is_never_overwritten(client: Client, ingest: Ingest) -> None:
    """R-STO-13, G-18: until then the last complete upload wins; from then on it is 409."""
    flow_id = ingest.flow()
    media_object = ingest.allocate(flow_id)[0]
    put_url = media_object["put_url"]["url"]
    headers = {"content-type": "video/mp2t"}
    for body in (b"first", b"second"):
        assert client.put(put_url, body=body, headers=headers).status == 200
    ingest.register(flow_id, media_object["object_id"], "[0:0_1:0)")

    refused = client.put(put_url, body=b"third", headers=headers)

    assert refused.status == 409
    url = ingest.segments(flow_id)[0]["get_urls"][0]["url"]
    assert client.get(url).body == b"second"


@pytest.mark.served_by_the_gateway("a bucket tells of checksums what it likes")
def test_media_are_told_with_type_length_and_checksum(client: Client, ingest: Ingest) -> None:
    """B28, B32: as uploaded, on GET, HEAD and for a range."""
    flow_id = ingest.flow(container="audio/wav")
    media_object = ingest.allocate(flow_id)[0]
    uploaded = client.put(
        media_object["put_url"]["url"], body=b"0123456789", headers={"content-type": "audio/wav"}
    )
    ingest.register(flow_id, media_object["object_id"], "[0:0_1:0)")
    url = ingest.segments(flow_id)[0]["get_urls"][0]["url"]

    whole, head = client.get(url), client.head(url)
    part = client.get(url, headers={"range": "bytes=2-4"})

    for answer in (whole, head):
        assert answer.status == 200
        assert answer.headers["content-type"] == "audio/wav"
        assert answer.headers["content-length"] == "10"
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["etag"] == uploaded.headers["etag"]
        checksum = uploaded.headers["x-amz-checksum-sha256"]
        assert answer.headers["x-amz-checksum-sha256"] == checksum
    assert (part.status, part.body) == (206, b"234")
    assert part.headers["content-range"] == "bytes 2-4/10"


def test_an_external_object_is_just_forgotten(client: Client, ingest: Ingest) -> None:
    """R-OBJ-08, R-OBJ-11: its id is free again."""
    flow_id = ingest.flow()
    object_id = ingest.add(flow_id, "[0:0_1:0)", key_frame_count=1)
    assert client.delete(f"/flows/{flow_id}/segments").status == 204
    assert client.get(f"/objects/{object_id}").status == 404

    ingest.add_many(flow_id, [external("[5:0_9:0)", object_id)])

    shown = ingest.media_object(object_id)
    assert shown["timerange"] == "[5:0_9:0)"
    assert "key_frame_count" not in shown


def test_a_collected_object_takes_no_new_segment(client: Client, ingest: Ingest) -> None:
    """R-OBJ-10: once its last segment is gone, reuse is refused."""
    first, second = ingest.flow(), ingest.flow()
    object_id = ingest.allocated(first)
    ingest.register(first, object_id, "[0:0_1:0)")
    assert client.delete(f"/flows/{first}/segments").status == 204
    segment = {"object_id": object_id, "timerange": "[0:0_1:0)"}

    for flow_id in (first, second):
        assert client.post(f"/flows/{flow_id}/segments", json=segment).status == 400


def test_the_first_flow_may_be_gone(client: Client, ingest: Ingest) -> None:
    """R-OBJ-04: `first_referenced_by_flow` is never another flow."""
    first, second = ingest.flow(), ingest.flow()
    object_id = ingest.add(first, "[0:0_1:0)")
    ingest.register(second, object_id, "[0:0_1:0)")
    assert client.delete(f"/flows/{first}").status == 204

    shown = ingest.media_object(object_id)

    assert shown["referenced_by_flows"] == [second]
    assert shown.get("first_referenced_by_flow", first) == first
