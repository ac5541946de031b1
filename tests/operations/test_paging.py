"""Pages, order and links of every listing (R-PAGE-01 to -12)."""

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.samples import flow, profile, segment
from tams_gateway.testing.waiting import eventually
from tests.deployments import Clock, by_form

Fill = Callable[[Client, int], str]


def flows(client: Client, count: int) -> str:
    for number in range(count):
        document = flow(label=f"{number}")
        assert client.put(f"/flows/{document['id']}", json=document).status == 201
    return "/flows"


def sources(client: Client, count: int) -> str:
    flows(client, count)
    return "/sources"


def profiles(client: Client, count: int) -> str:
    for _ in range(count):
        document = profile()
        path = f"/service/profiles/{document['id']}"
        assert client.post(path, json=document).status == 201
    return "/service/profiles"


def segments(client: Client, count: int) -> str:
    document = flow()
    client.put(f"/flows/{document['id']}", json=document)
    path = f"/flows/{document['id']}/segments"
    for number in range(count):
        body = segment(f"[{number}:0_{number + 1}:0)")
        assert client.post(path, json=body).status == 201
    return path


def deletion_requests(client: Client, count: int) -> str:
    for _ in range(count):
        path = segments(client, 4)
        assert client.delete(path).status == 202
    # Their documents change until they are done, and the tests compare whole listings.
    assert eventually(
        lambda: {one["status"] for one in client.listed("/flow-delete-requests")} <= {"done"}
    )
    return "/flow-delete-requests"


LISTINGS = pytest.mark.parametrize(
    "fill", [flows, sources, profiles, segments, deletion_requests], ids=lambda fill: fill.__name__
)
SORTED = pytest.mark.parametrize(
    "fill", [flows, sources, segments, deletion_requests], ids=lambda fill: fill.__name__
)
few_at_once = pytest.mark.config(
    limits={"page_default": 3, "page_max": 4, "async_deletion_threshold": 2}
)


def identity(item: dict[str, Any]) -> str:
    return str(item.get("id") or item["timerange"])


@LISTINGS
@few_at_once
def test_a_listing_gives_a_default_number_and_lowers_a_larger_wish(
    client: Client, fill: Fill
) -> None:
    """R-PAGE-01, B14: never refused; the value used is told."""
    path = fill(client, 6)

    default, wished = client.get(path), client.get(path, query={"limit": 2})
    high, higher = (
        client.get(path, query={"limit": 300}),
        client.get(path, query="limit=" + 15 * "9"),
    )

    assert [len(one.json) for one in (default, wished, high, higher)] == [3, 2, 4, 4]
    limits = [one.headers["X-Paging-Limit"] for one in (default, wished, high, higher)]
    assert limits == ["3", "2", "4", "4"]


@by_form
@LISTINGS
@few_at_once
@pytest.mark.parametrize("limit", ["0", "-1", "x", "", "1.5", "1e2", "٣", " 1", "+1"])
def test_a_limit_is_a_positive_integer(client: Client, fill: Fill, limit: str) -> None:
    """R-PAGE-02."""
    path = fill(client, 1)

    assert client.get(path, query={"limit": limit}).status == 400
    assert client.head(path, query={"limit": limit}).status == 400


@LISTINGS
@few_at_once
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 7])
def test_pages_give_each_item_once_and_the_last_has_no_link(
    client: Client, fill: Fill, count: int
) -> None:
    """R-PAGE-03, R-PAGE-06, R-PAGE-09: none empty but the only one."""
    path = fill(client, count)

    pages = list(client.pages(path))

    found = [identity(item) for page in pages for item in page.json]
    assert len(found) == len(set(found)) == count
    assert [len(page.json) for page in pages] == (
        [3] * (count // 3) + [count % 3] * (count % 3 > 0) or [0]
    )
    assert "X-Paging-NextKey" not in pages[-1].headers
    assert "Link" not in pages[-1].headers


@SORTED
@few_at_once
def test_pages_backwards_are_the_pages_reversed(client: Client, fill: Fill) -> None:
    """R-PAGE-07, R-PAGE-11, R-SEG-03: a true reversal."""
    path = fill(client, 7)

    forwards = client.listed(path, query={"limit": 2})
    pages = list(client.pages(path, query={"limit": 2, "reverse_order": True}))

    assert [item for page in pages for item in page.json] == forwards[::-1]
    assert {page.headers["X-Paging-Reverse-Order"] for page in pages} == {"true"}
    assert [page.headers["X-Paging-Count"] for page in pages] == ["2", "2", "2", "1"]
    assert client.get(path).headers["X-Paging-Reverse-Order"] == "false"


@LISTINGS
@few_at_once
def test_the_key_alone_gives_the_page_of_the_link(client: Client, fill: Fill) -> None:
    """R-PAGE-04, R-PAGE-05, B13: with the original query; the key needs no encoding."""
    path = fill(client, 7)
    query = "limit=2&_t=1"

    first = client.get(path, query=query)
    key = first.headers["X-Paging-NextKey"]

    assert re.fullmatch(r"[A-Za-z0-9._-]+", key)
    assert first.next is not None
    assert client.get(f"{path}?{query}&page={key}").json == client.get(first.next).json


@by_form
@LISTINGS
@few_at_once
@pytest.mark.parametrize("page", ["x", "", "!", "e30", "bnVsbA", "W10", "5", "ünï", "A" * 999])
def test_a_key_of_another_making_is_refused(client: Client, fill: Fill, page: str) -> None:
    """R-PAGE-05."""
    path = fill(client, 1)

    assert client.get(path, query={"page": page}).status == 400
    assert client.head(path, query={"page": page}).status == 400


@few_at_once
def test_a_key_of_another_order_is_refused(client: Client) -> None:
    """R-PAGE-04, R-PAGE-05."""
    key = client.get(flows(client, 5)).headers["X-Paging-NextKey"]

    assert client.get("/flows", query={"page": key, "sort_by": "label"}).status == 400
    assert client.get("/service/profiles", query={"page": key}).status in (200, 400)


@few_at_once
def test_a_link_is_absolute_and_holds_the_whole_query(client: Client) -> None:
    """R-PAGE-03, R-PAGE-04, B1, B2, B29: below the client's base, no raw comma or semicolon."""
    flows(client, 5)
    query = "tag_exists.a;b,c=false&sort_by=label&limit=2&unknown=[x],(y);z&collected_by_ids="

    link = client.get(f"/flows?{query}").headers["Link"]

    found = re.fullmatch(rf'<{re.escape(client.base)}/flows\?([^<>,;\[\]()]*)>; rel="next"', link)
    assert found is not None, link
    assert "limit=2" in found[1]
    assert "sort_by=label" in found[1]
    assert "collected_by_ids=&" in found[1]
    assert len(client.listed("/flows", query=query)) == 5


@few_at_once
def test_a_link_does_not_repeat_the_url_token(client: Client) -> None:
    """G-05, R-AUTH-03, B20: and without a provider credentials are not looked at."""
    flows(client, 5)
    headers = {"Authorization": "Bearer nonsense"}

    answer = client.get("/flows?access_token=secret&limit=2", headers=headers)

    assert answer.status == 200
    assert "secret" not in answer.headers["Link"]
    assert "access_token" not in answer.headers["Link"]


@few_at_once
@pytest.mark.parametrize("backwards", [False, True])
def test_inserts_between_pages_neither_repeat_nor_drop(client: Client, backwards: bool) -> None:
    """R-PAGE-06: what was there throughout comes once."""
    flows(client, 7)
    before = {one["id"] for one in client.listed("/flows")}

    found: list[str] = []
    for page in client.pages("/flows", query={"limit": 2, "reverse_order": backwards}):
        found += [one["id"] for one in page.json]
        if len(found) < 20:
            flows(client, 1)

    assert len(found) == len(set(found))
    assert before <= set(found)


@few_at_once
def test_deletions_between_pages_lose_nobody_else(client: Client) -> None:
    """R-PAGE-06: also where the item that the key names is gone."""
    flows(client, 7)
    before = [one["id"] for one in client.listed("/flows")]

    found = []
    for page in client.pages("/flows", query={"limit": 2}):
        found += [one["id"] for one in page.json]
        client.delete(f"/flows/{found[-1]}")

    assert found == before


def test_segments_tell_the_span_of_their_page(client: Client) -> None:
    """R-PAGE-08, R-TIME-05, B15: from the first to the last of this page, with their marks."""
    document = flow()
    client.put(f"/flows/{document['id']}", json=document)
    path = f"/flows/{document['id']}/segments"
    body = [segment(one) for one in ("[0:0_1:0)", "[1:0_2:0]", "[5:0]", "[6:0_7:0)")]
    client.post(path, json=body)

    def span(query: str) -> str:
        return client.get(path, query=query).headers["X-Paging-Timerange"]

    assert span("") == "[0:0_7:0)"
    assert span("limit=2") == "[0:0_2:0]"
    assert span("limit=2&reverse_order=true") == "[5:0_7:0)"
    assert span("timerange=[5:0]") == "[5:0_5:0]"
    assert span("timerange=[3:0_4:0)") == "()"
    assert span("timerange=") == "()"


@pytest.mark.parametrize("path", ["/flows", "/sources"])
def test_dates_come_newest_first_and_labels_from_a_to_z(
    client: Client, clock: Clock, path: str
) -> None:
    """R-PAGE-10, R-PAGE-11, R-PAGE-12, G-20: by code point; unset last, ties by id."""
    labels = ["b", None, "a", "B", "b", None, "\U0001f3ac", "é", "￿"]
    made = []
    for label in labels:
        document = flow(label=label)
        client.put(f"/flows/{document['id']}", json=document)
        made.append((document["id"] if path == "/flows" else document["source_id"], label))
        clock.advance(1)

    def listed(query: str) -> list[str]:
        return [one["id"] for one in client.listed(path, query=f"{query}&limit=2")]

    by_label = sorted((label, one) for one, label in made if label is not None)
    expected = [one for _, one in by_label] + sorted(one for one, label in made if label is None)
    assert listed("") == [one for one, _ in made][::-1]
    assert listed("sort_by=created") == [one for one, _ in made][::-1]
    assert listed("sort_by=created&reverse_order=true") == [one for one, _ in made]
    assert listed("sort_by=label") == expected
    assert listed("sort_by=label&reverse_order=true") == expected[::-1]


def test_flows_are_sorted_by_the_last_change(client: Client, clock: Clock) -> None:
    """R-PAGE-10, R-PAGE-11."""
    flows(client, 4)
    ids = [one["id"] for one in client.listed("/flows?reverse_order=true")]
    for one in (ids[2], ids[0]):
        clock.advance(1)
        client.put(f"/flows/{one}/label", json="changed")

    listed = [one["id"] for one in client.listed("/flows?sort_by=metadata_updated&limit=1")]

    assert listed == [ids[0], ids[2], ids[3], ids[1]]


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/flows", {"created", "metadata_updated", "label"}),
        ("/sources", {"created", "updated", "label"}),
        ("/flow-delete-requests", {"created", "expiry"}),
    ],
)
def test_a_listing_is_sorted_by_its_own_keys_only(
    client: Client, path: str, keys: set[str]
) -> None:
    """R-PAGE-10, R-PAGE-11, G-21, R-GEN-02."""
    known = ["created", "updated", "metadata_updated", "label", "expiry", "id", "", "Created"]
    for method, key in itertools.product(("GET", "HEAD"), known):
        expected = 200 if key in keys else 400
        assert client.request(method, path, query={"sort_by": key}).status == expected


@few_at_once
def test_deletion_requests_are_sorted_and_shown(client: Client, clock: Clock) -> None:
    """R-PAGE-10, R-DEL-04: newest first; `expiry` comes with the end of the work."""
    ids = []
    for _ in range(5):
        path = segments(client, 4)
        ids.append(client.delete(path).json["id"])
        clock.advance(1)

    listed = client.listed("/flow-delete-requests", query={"sort_by": "created", "limit": "2"})
    assert [one["id"] for one in listed] == ids[::-1]
    by_expiry = client.get("/flow-delete-requests", query={"sort_by": "expiry", "limit": "4"})
    assert {one["id"] for one in by_expiry.json} < set(ids)
    backwards = client.listed("/flow-delete-requests?reverse_order=true&limit=2")
    assert [one["id"] for one in backwards] == ids


@few_at_once
def test_the_flows_of_an_object_come_in_pages(client: Client) -> None:
    """R-OBJ-03, R-PAGE-03: each once; `Link`, limit and key."""
    ids = []
    for number in range(7):
        document = flow()
        client.put(f"/flows/{document['id']}", json=document)
        ids.append(document["id"])
        body = segment("[0:0_1:0)", "shared")
        if number:
            del body["get_urls"]
        for start in (0, 1):
            body["timerange"] = f"[{start}:0_{start + 1}:0)"
            body["ts_offset"] = f"{start}:0"
            assert client.post(f"/flows/{document['id']}/segments", json=body).status == 201

    pages = list(client.pages("/objects/shared?limit=2"))

    found = [one for page in pages for one in page.json["referenced_by_flows"]]
    assert sorted(found) == sorted(ids)
    assert [page.headers["X-Paging-Limit"] for page in pages] == ["2"] * 4


@LISTINGS
@few_at_once
def test_head_tells_what_get_tells(client: Client, fill: Fill) -> None:
    """R-GEN-01, R-GEN-02: the same paging headers, no body."""
    path = fill(client, 5)
    query = {"limit": 2}

    answer, head = client.get(path, query=query), client.head(path, query=query)

    own = {"x-request-id", "date"}
    assert head.body == b""
    assert head.status == answer.status
    told = {name: value for name, value in head.headers.items() if name not in own}
    assert told == {name: value for name, value in answer.headers.items() if name not in own}
