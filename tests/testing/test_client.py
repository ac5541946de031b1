"""The test client itself: raw paths, queries, answers, and the ways to a gateway."""

from collections.abc import Mapping

import pytest

from tams_gateway.testing.client import Answer, Client, Headers, quoted
from tams_gateway.testing.samples import flow
from tests.deployments import Deployment


class Recording:
    """A transport that answers nothing and remembers what it was to send."""

    def __init__(self, base: str = "https://host.example/api") -> None:
        self.base = base
        self.sent: list[tuple[str, str, dict[str, str], bytes]] = []

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.sent.append((method, target, dict(headers), body))
        return Answer(204, Headers(()), b"")

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def recording() -> Recording:
    return Recording()


@pytest.fixture
def silent(recording: Recording) -> Client:
    return Client(recording)


def test_paths_are_sent_as_they_are(silent: Client, recording: Recording) -> None:
    """B16."""
    silent.get("/a%2Fb?timerange=[0:0_1:0)")

    assert ("GET", "/a%2Fb?timerange=[0:0_1:0)", {}, b"") == recording.sent[0]


def test_a_query_of_values_is_encoded_and_a_text_is_not(
    silent: Client, recording: Recording
) -> None:
    """B5."""
    values: dict[str, str | int | bool] = {"x,": "b,c", "y": True, "z": 5}
    silent.get("/a", query=values)
    silent.get("/a?b=c", query="d=[e,f)")
    silent.get("/a", query=[("x", "1"), ("x", "2")])

    targets = [target for _, target, _, _ in recording.sent]
    assert ["/a?x%2C=b%2Cc&y=true&z=5", "/a?b=c&d=[e,f)", "/a?x=1&x=2"] == targets


def test_json_may_be_null_and_says_its_type(silent: Client, recording: Recording) -> None:
    silent.put("/a", json=None)
    silent.put("/a", body=b"x", headers={"content-type": "video/mp2t"})
    silent.post("/a")

    _, null, media, empty = (None, *recording.sent)
    assert ({"Content-Type": "application/json"}, b"null") == null[2:]
    assert ({"content-type": "video/mp2t"}, b"x") == media[2:]
    assert ({}, b"") == empty[2:]


def test_urls_below_the_base_are_followed_and_others_are_not(
    silent: Client, recording: Recording
) -> None:
    """B1."""
    silent.get("https://host.example/api/flows?page=x")

    assert "/flows?page=x" == recording.sent[0][1]
    for url in ("https://other.example/api/flows", "https://host.example/apiary", "flows"):
        with pytest.raises(AssertionError):
            silent.get(url)


def test_headers_are_found_in_any_case() -> None:
    headers = Headers([("X-A", "1"), ("x-a", "2"), ("Link", '<u>; rel="next"')])

    assert "1, 2" == headers["x-A"]
    assert "Link" in headers
    assert {"x-a", "link"} == set(headers)


@pytest.mark.parametrize("link", ["<u>", '<u>; rel="next", <v>; rel="last"', '<u>; rel="prev"'])
def test_a_link_that_is_not_just_the_next_one_fails(link: str) -> None:
    """B2."""
    with pytest.raises(AssertionError):
        _ = Answer(200, Headers([("Link", link)]), b"").next


def test_urls_of_object_stores_are_followed_past_the_gateway(recording: Recording) -> None:
    """B6: with the headers of the request alone, and unseen by what watches the gateway."""
    store, watched = Recording("https://bucket.example"), list[str]()
    client = Client(recording, [lambda method, target, answer: watched.append(target)], [store])
    client.headers = {"Authorization": "Bearer secret"}

    client.put("https://bucket.example/a.ts?X=1", body=b"x", headers={"Content-Type": "video/x"})

    assert store.sent == [("PUT", "/a.ts?X=1", {"Content-Type": "video/x"}, b"x")]
    assert (recording.sent, watched) == ([], [])


def test_every_answer_is_watched(silent: Client) -> None:
    seen: list[tuple[str, str, int]] = []
    silent.watches.append(
        lambda method, target, answer: seen.append((method, target, answer.status))
    )

    silent.delete("/a", query={"b": "c"})

    assert [("DELETE", "/a?b=c", 204)] == seen


@pytest.mark.parametrize("name", ["a/b", "ü", "a b", "%2F", "a+b", "[x]"])
def test_every_way_carries_the_raw_path_and_query(deployment: Deployment, name: str) -> None:
    """R-GEN-06, B16."""
    client, document = deployment.client, flow(tags={name: "x,y"})
    client.put(f"/flows/{document['id']}", json=document)

    tag = client.get(f"/flows/{document['id']}/tags/{quoted(name)}")

    assert "x,y" == tag.json
    assert 1 == len(client.get(f"/flows?tag_exists.{quoted(name)}=true").json)
    assert 1 == len(client.get("/flows?timerange=()").json)


def test_every_way_serves_under_its_own_base(deployment: Deployment) -> None:
    """B1, B29: the prefix that a proxy strips is in every URL."""
    client, document = deployment.client, flow()
    client.put(f"/flows/{document['id']}", json=document)

    storage = client.post(f"/flows/{document['id']}/storage", json={"limit": 1}).json

    assert storage["media_objects"][0]["put_url"]["url"].startswith(f"{client.base}/media/")
