"""/sources: they come and go with their flows, and follow the collections (R-SRC)."""

from typing import Any

import pytest

from tams_gateway.testing.client import Client, quoted
from tams_gateway.testing.samples import MALFORMED, UNKNOWN, flow, new_id
from tests.deployments import Clock, by_form


def put(client: Client, kind: str = "video", **members: Any) -> dict[str, Any]:
    document = flow(kind, **members)
    answer = client.put(f"/flows/{document['id']}", json=document)
    assert answer.status in (201, 204), answer.body
    return document


def source_of(client: Client, document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/sources/{document['source_id']}").json
    return found


def collecting(client: Client, *members: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Put a multi flow that collects the members."""
    items = [{"id": member["id"]} for member in members]
    return put(client, "multi", flow_collection=items, **more)


def test_a_source_appears_with_its_first_flow(client: Client, clock: Clock) -> None:
    """R-SRC-01, R-SRC-02, B9."""
    clock.advance(1_000_000_000 - clock() / 1e9)
    document = put(client)

    source = source_of(client, document)

    assert source["id"] == document["source_id"]
    assert source["format"] == document["format"]
    assert source["created"] == source["updated"] == "2001-09-09T01:46:40Z"


def test_a_source_goes_with_its_last_flow(client: Client) -> None:
    """R-SRC-01."""
    first = put(client)
    second = put(client, source_id=first["source_id"])
    path = f"/sources/{first['source_id']}"

    client.delete(f"/flows/{first['id']}")
    assert client.get(path).status == 200
    client.delete(f"/flows/{second['id']}")
    assert client.get(path).status == 404
    assert client.get("/sources").json == []


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_sources_are_not_written_by_clients(client: Client, method: str) -> None:
    """R-SRC-01."""
    path = f"/sources/{put(client)['source_id']}"

    assert client.request(method, path, json={}).status == 405
    assert client.request(method, "/sources", json={}).status == 405


def test_a_source_takes_the_words_of_its_first_flow_once(client: Client) -> None:
    """R-SRC-03: label, description and tags, at its creation, and never again."""
    words: dict[str, Any] = {"label": "l", "description": "d", "tags": {"a": "b"}}
    first = put(client, **words)
    put(client, source_id=first["source_id"], label="other", tags={"c": "d"})
    put(client, **{**first, "label": "third"})

    assert words.items() <= source_of(client, first).items()


@pytest.mark.parametrize("name", ["label", "description"])
def test_the_words_of_a_source_are_edited(client: Client, clock: Clock, name: str) -> None:
    """R-SRC-04, R-SRC-05, R-SRC-06, G-06: unset reads as the empty text, 200."""
    document = put(client)
    path = f"/sources/{document['source_id']}/{name}"
    created = source_of(client, document)["created"]

    unset = client.get(path)
    clock.advance(60)
    assert (unset.status, unset.json) == (200, "")
    assert client.put(path, json="wörds").status == 204
    assert client.get(path).json == "wörds"
    source = source_of(client, document)
    assert source[name] == "wörds"
    assert source["created"] == created < source["updated"]
    assert client.delete(path).status == 204
    assert client.delete(path).status == 204
    assert name not in source_of(client, document)


@by_form
@pytest.mark.parametrize("name", ["label", "description"])
@pytest.mark.parametrize("body", [b"", b"5", b"null", b"[]", b"{}", b"x", b'"a', b"true"])
def test_a_word_of_a_source_is_a_text(client: Client, name: str, body: bytes) -> None:
    """R-GEN-03, R-SRC-04."""
    document = put(client)
    path = f"/sources/{document['source_id']}/{name}"

    assert client.put(path, body=body).status == 400
    assert client.get(path).json == ""


@pytest.mark.parametrize("value", ["text", "", [], ["a", "b"], ["a,b"]])
def test_a_tag_of_a_source_is_edited(client: Client, clock: Clock, value: object) -> None:
    """R-SRC-04, R-SRC-05, R-SRC-06, R-FPR-01."""
    document = put(client, tags={"kept": "x"})
    path = f"/sources/{document['source_id']}/tags"
    clock.advance(60)

    assert client.get(f"{path}/new").status == 404
    assert client.head(f"{path}/new").status == 404
    assert client.put(f"{path}/new", json=value).status == 204
    assert client.get(f"{path}/new").json == value
    assert client.get(path).json == {"kept": "x", "new": value}
    source = source_of(client, document)
    assert source["updated"] > source["created"]
    assert client.delete(f"{path}/new").status == 204
    assert client.delete(f"{path}/new").status == 404
    assert client.get(path).json == {"kept": "x"}


def test_a_source_without_tags_shows_an_empty_map(client: Client) -> None:
    """R-FPR-01."""
    assert client.get(f"/sources/{put(client)['source_id']}/tags").json == {}


@pytest.mark.parametrize("name", ["a/b", "a.b", "%", "ünï", "a b", "?", "instances", "..", "a%2Fb"])
def test_a_tag_of_a_source_has_any_name(client: Client, name: str) -> None:
    """R-GEN-06: slashes are encoded and do not separate."""
    source_id = put(client)["source_id"]
    path = f"/sources/{source_id}/tags/{quoted(name).replace('..', '%2E%2E')}"

    assert client.put(path, json="x").status == 204
    assert client.get(path).json == "x"
    assert client.get(f"/sources/{source_id}/tags").json == {name: "x"}
    assert client.delete(path).status == 204


@pytest.mark.parametrize("body", [b"", b"5", b"null", b"{}", b"[1]", b"[null]", b"true", b"[[]]"])
def test_a_tag_of_a_source_is_text_or_a_list_of_texts(client: Client, body: bytes) -> None:
    """R-SRC-04, R-FPR-01."""
    path = f"/sources/{put(client)['source_id']}/tags"

    assert client.put(f"{path}/a", body=body).status == 400
    assert client.get(path).json == {}


@by_form
@pytest.mark.parametrize("source_id", [UNKNOWN, *(quoted(one) for one in MALFORMED)])
@pytest.mark.parametrize("child", ["", "/tags", "/tags/a", "/label", "/description"])
def test_an_unknown_or_malformed_source_is_not_found(
    client: Client, source_id: str, child: str
) -> None:
    """R-GEN-04, R-GEN-05."""
    path = f"/sources/{source_id}{child}"

    assert client.get(path).status == 404
    assert client.head(path).status == 404
    if child not in ("", "/tags"):
        assert client.put(path, json="x").status == 404
        assert client.delete(path).status == 404


def test_a_flow_must_have_the_format_of_its_source(client: Client) -> None:
    """R-SRC-09."""
    source_id = put(client)["source_id"]
    other = flow("audio", source_id=source_id)

    assert client.put(f"/flows/{other['id']}", json=other).status == 400
    assert client.get(f"/flows/{other['id']}").status == 404


def test_sources_follow_the_collections_of_their_flows(client: Client, clock: Clock) -> None:
    """R-SRC-07, R-SRC-08, R-SRC-10, G-15, R-COL-01: in list order, with the role."""
    video, audio = put(client), put(client, "audio")
    clock.advance(60)
    whole = put(
        client,
        "multi",
        flow_collection=[{"id": audio["id"], "role": "sound"}, {"id": video["id"]}],
    )

    assert source_of(client, whole)["source_collection"] == [
        {"id": audio["source_id"], "role": "sound"},
        {"id": video["source_id"]},
    ]
    member = source_of(client, video)
    assert member["collected_by"] == [whole["source_id"]]
    assert member["updated"] > member["created"]


def test_a_source_is_listed_once_however_many_flows_of_it_are_collected(client: Client) -> None:
    """R-SRC-08: deduplicated by the member's source."""
    first = put(client)
    second = put(client, source_id=first["source_id"])
    whole = collecting(client, first, second)

    assert source_of(client, whole)["source_collection"] == [{"id": first["source_id"]}]
    assert source_of(client, first)["collected_by"] == [whole["source_id"]]


def test_a_source_leaves_a_collection_with_its_flow(client: Client) -> None:
    """R-SRC-07, R-FLW-26: derived, and so it shrinks."""
    video, audio = put(client), put(client, "audio")
    whole = collecting(client, video, audio)

    client.put(f"/flows/{whole['id']}/flow_collection", json=[{"id": audio["id"]}])

    assert source_of(client, whole)["source_collection"] == [{"id": audio["source_id"]}]
    assert "collected_by" not in source_of(client, video)
    client.delete(f"/flows/{whole['id']}")
    assert "collected_by" not in source_of(client, audio)


def test_sources_are_found_by_who_collects_them(client: Client) -> None:
    """R-PAGE-17, R-SRC-11: blank asks for those that nothing collects."""
    video, audio = put(client), put(client, "audio")
    first, second = collecting(client, video), collecting(client, audio)

    def found(query: str) -> set[str]:
        return {one["id"] for one in client.listed("/sources", query=query)}

    one, two = first["source_id"], second["source_id"]
    assert found(f"collected_by_ids={one}") == {video["source_id"]}
    assert found(f"collected_by_ids={one},{two}") == {video["source_id"], audio["source_id"]}
    assert found(f"collected_by_ids={one}%2C{two}") == {video["source_id"], audio["source_id"]}
    assert found("collected_by_ids=") == {one, two}
    assert found(f"collected_by_ids={UNKNOWN}") == set()
    assert found(f"collected_by_ids={first['id']}") == set()


def test_sources_are_found_by_label_format_and_tag(client: Client) -> None:
    """R-PAGE-13, R-PAGE-14, R-PAGE-18."""
    video = put(client, label="a", tags={"x": "1"})["source_id"]
    audio = put(client, "audio", label="b", tags={"x": ["1", "2"]})["source_id"]

    def found(query: str) -> list[str]:
        return [one["id"] for one in client.listed("/sources", query=query)]

    assert found("label=a") == [video]
    assert found("format=urn:x-nmos:format:audio") == [audio]
    assert found("tag.x=1") == [audio, video]
    assert found("tag.x=2&label=b") == [audio]
    assert found("tag.x=2&label=a") == []
    assert found("tag_exists.x=false") == []


@by_form
@pytest.mark.parametrize(
    "query",
    [
        "format=video",
        "format=",
        "collected_by_ids=x",
        f"collected_by_ids={UNKNOWN},",
        f"collected_by_ids={UNKNOWN},x",
        "sort_by=metadata_updated",
        "sort_by=",
        "reverse_order=yes",
        "limit=0",
        "page=x",
        "tag_exists.a=",
    ],
)
def test_a_bad_query_for_sources_is_refused(client: Client, query: str) -> None:
    """R-PAGE-19, R-PAGE-20, R-PAGE-11, R-GEN-02, R-GEN-05."""
    assert client.get(f"/sources?{query}").status == 400
    assert client.head(f"/sources?{query}").status == 400


def test_sources_are_sorted(client: Client, clock: Clock) -> None:
    """R-PAGE-10, R-PAGE-11, R-PAGE-12: those without a label come last, or first."""
    ids = []
    for label in ("b", None, "a"):
        ids.append(put(client, label=label)["source_id"])
        clock.advance(1)
    client.put(f"/sources/{ids[0]}/description", json="x")

    def found(query: str) -> list[str]:
        return [one["id"] for one in client.listed("/sources", query=query)]

    assert found("") == found("sort_by=created") == ids[::-1]
    assert found("reverse_order=true") == ids
    assert found("sort_by=updated") == [ids[0], ids[2], ids[1]]
    assert found("sort_by=label") == [ids[2], ids[0], ids[1]]
    assert found("sort_by=label&reverse_order=true") == [ids[1], ids[0], ids[2]]


def test_a_source_moves_with_the_source_id_of_its_flow(client: Client) -> None:
    """R-FLW-11, R-SRC-01: a flow without segments may change its source."""
    document = put(client)
    new = new_id()

    assert client.put(f"/flows/{document['id']}", json={**document, "source_id": new}).status == 204
    assert client.get(f"/sources/{new}").status == 200
    assert client.get(f"/sources/{document['source_id']}").status == 404
