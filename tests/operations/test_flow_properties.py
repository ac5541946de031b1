"""The children of a flow: label, description, bit rates, tags, read_only (R-FPR)."""

from typing import Any

import pytest

from tams_gateway.testing.client import Client, quoted
from tams_gateway.testing.samples import UNKNOWN, flow
from tests.deployments import Clock, by_form

UNSET = {"label": "", "description": "", "max_bit_rate": None, "avg_bit_rate": None}
VALUES = {"label": "a", "description": "ünï\n", "max_bit_rate": 0, "avg_bit_rate": 2**40}


def put(client: Client, **members: Any) -> str:
    """Put a flow and return its path."""
    document = flow(**members)
    assert client.put(f"/flows/{document['id']}", json=document).status == 201
    return f"/flows/{document['id']}"


@pytest.mark.parametrize("name", UNSET)
def test_an_unset_property_reads_as_nothing(client: Client, name: str) -> None:
    """R-FPR-03, G-06, R-GEN-11: 200, and GET of the flow leaves it out."""
    path = put(client)

    answer = client.get(f"{path}/{name}")

    assert (answer.status, answer.json) == (200, UNSET[name])
    assert client.head(f"{path}/{name}").status == 200
    assert name not in client.get(path).json


@pytest.mark.parametrize("name", UNSET)
def test_a_property_is_set_and_unset(client: Client, clock: Clock, name: str) -> None:
    """R-FPR-03, R-FPR-06, R-FLW-05, R-FLW-06."""
    path = put(client)
    before = client.get(path).json
    clock.advance(60)

    assert client.put(f"{path}/{name}", json=VALUES[name]).status == 204
    after = client.get(path).json
    assert after[name] == client.get(f"{path}/{name}").json == VALUES[name]
    assert after["metadata_version"] != before["metadata_version"]
    assert after["metadata_updated"] > before["metadata_updated"]
    assert after["created"] == before["created"]
    clock.advance(60)
    assert client.delete(f"{path}/{name}").status == 204
    last = client.get(path).json
    assert last["metadata_version"] not in (before["metadata_version"], after["metadata_version"])
    assert last["metadata_updated"] > after["metadata_updated"]
    assert name not in last


@pytest.mark.parametrize("name", [*UNSET, "flow_collection"])
def test_deleting_an_unset_property_changes_nothing(
    client: Client, clock: Clock, name: str
) -> None:
    """R-FPR-03, R-FPR-06, G-16: 204."""
    path = put(client)
    before = client.get(path).json
    clock.advance(60)

    assert client.delete(f"{path}/{name}").status == 204
    assert client.get(path).json == before


@pytest.mark.parametrize("name", UNSET)
def test_setting_a_property_to_what_it_is_changes_nothing(
    client: Client, clock: Clock, name: str
) -> None:
    """R-FPR-06, G-16."""
    path = put(client, **{name: VALUES[name]})
    before = client.get(path).json
    clock.advance(60)

    assert client.put(f"{path}/{name}", json=VALUES[name]).status == 204
    assert client.get(path).json == before


@by_form
@pytest.mark.parametrize("name", ["label", "description"])
@pytest.mark.parametrize(
    "body", [b"", b"5", b"null", b"[]", b"{}", b"a", b'"a', b"true", b'"\xff"']
)
def test_a_text_must_be_a_text(client: Client, name: str, body: bytes) -> None:
    """R-GEN-03."""
    path = put(client)

    assert client.put(f"{path}/{name}", body=body).status == 400
    assert client.get(f"{path}/{name}").json == ""


@by_form
@pytest.mark.parametrize("name", ["max_bit_rate", "avg_bit_rate"])
@pytest.mark.parametrize(
    "body", [b"", b"-1", b"5.5", b"true", b'"5"', b"null", b"[5]", b"1e999", b"NaN", b"05"]
)
def test_a_bit_rate_must_be_a_natural_number(client: Client, name: str, body: bytes) -> None:
    """R-FPR-05: `true` is none, though Python has it so."""
    path = put(client, **{name: 7})

    assert client.put(f"{path}/{name}", body=body).status == 400
    assert client.get(f"{path}/{name}").json == 7


@pytest.mark.parametrize("body", [b"5.0", b"5e0", b" 5 \n"])
def test_a_bit_rate_may_be_written_as_a_decimal(client: Client, body: bytes) -> None:
    """R-FPR-05: `5.0` is an integer of JSON Schema."""
    path = put(client)

    assert client.put(f"{path}/max_bit_rate", body=body).status == 204
    assert client.get(f"{path}/max_bit_rate").json == 5


def test_read_only_reads_false_until_it_is_set(client: Client) -> None:
    """R-FPR-04."""
    path = put(client)

    assert client.get(f"{path}/read_only").body == b"false"
    assert "read_only" not in client.get(path).json
    assert client.put(f"{path}/read_only", json=True).status == 204
    assert client.get(f"{path}/read_only").body == b"true"


@by_form
@pytest.mark.parametrize("body", [b"", b"1", b"null", b'"true"', b"[true]", b"TRUE"])
def test_read_only_must_be_a_boolean(client: Client, body: bytes) -> None:
    """R-FLW-13."""
    path = put(client)

    assert client.put(f"{path}/read_only", body=body).status == 400
    assert client.get(f"{path}/read_only").json is False


@pytest.mark.parametrize(
    "child", ["read_only", "tags", "status", "generation", "container", "profile_id", "codec"]
)
def test_what_has_no_child_path_has_none(client: Client, child: str) -> None:
    """R-FPR-04, R-FPR-01: no DELETE of read_only and of all tags; no path for the others."""
    path = put(client)
    expected = 405 if child in ("read_only", "tags") else 404

    assert client.delete(f"{path}/{child}").status == expected
    if child != "read_only":
        assert client.put(f"{path}/{child}", json="x").status == expected


@pytest.mark.parametrize("value", ["text", "", [], ["a", "b"], ["a,b"], "\u0000"])
def test_a_tag_is_created_replaced_and_deleted(client: Client, clock: Clock, value: object) -> None:
    """R-FPR-01, R-FPR-02, R-FPR-06."""
    path = put(client, tags={"kept": "x"})
    before = client.get(path).json
    clock.advance(60)

    assert client.get(f"{path}/tags/new").status == 404
    assert client.head(f"{path}/tags/new").status == 404
    assert client.put(f"{path}/tags/new", json=value).status == 204
    assert client.get(f"{path}/tags/new").json == value
    assert client.get(f"{path}/tags").json == {"kept": "x", "new": value}
    after = client.get(path).json
    assert after["tags"] == {"kept": "x", "new": value}
    assert after["metadata_version"] != before["metadata_version"]
    assert after["metadata_updated"] > before["metadata_updated"]
    assert client.put(f"{path}/tags/new", json="other").status == 204
    assert client.get(f"{path}/tags/new").json == "other"
    assert client.delete(f"{path}/tags/new").status == 204
    assert client.get(f"{path}/tags").json == {"kept": "x"}


def test_deleting_an_absent_tag_is_not_found(client: Client) -> None:
    """R-FPR-02: as for sources."""
    assert client.delete(f"{put(client)}/tags/a").status == 404


def test_a_flow_without_tags_shows_an_empty_map(client: Client) -> None:
    """R-FPR-01."""
    path = put(client)

    assert client.get(f"{path}/tags").json == {}
    client.put(f"{path}/tags/a", json="b")
    client.delete(f"{path}/tags/a")
    assert client.get(f"{path}/tags").json == {}


@pytest.mark.parametrize("body", [b"", b"5", b"null", b"{}", b"[1]", b"[null]", b"true", b"[[]]"])
def test_a_tag_is_text_or_a_list_of_texts(client: Client, body: bytes) -> None:
    """R-FPR-01: 400."""
    path = put(client)

    assert client.put(f"{path}/tags/a", body=body).status == 400
    assert client.get(f"{path}/tags").json == {}


@pytest.mark.parametrize(
    "name", ["a/b", "a.b", "/", "%", "ünï", "a b", "?", "#", "a%2Fb", "..", "tags", "x" * 2000]
)
def test_a_tag_has_any_name(client: Client, name: str) -> None:
    """R-GEN-06, R-PAGE-16: slashes are encoded and do not separate."""
    path = put(client)
    child = f"{path}/tags/{quoted(name).replace('..', '%2E%2E')}"

    assert client.put(child, json="x").status == 204
    assert client.get(child).json == "x"
    assert client.head(child).status == 200
    assert client.get(f"{path}/tags").json == {name: "x"}
    assert len(client.get(f"/flows?tag.{quoted(name)}=x").json) == 1
    assert len(client.get(f"/flows?tag_exists.{quoted(name)}=false").json) == 0
    assert client.delete(child).status == 204


@pytest.mark.parametrize("child", ["label", "max_bit_rate", "tags/a", "read_only"])
def test_a_property_of_an_unknown_flow_is_not_found(client: Client, child: str) -> None:
    """R-GEN-05, and 404 comes before 400."""
    assert client.put(f"/flows/{UNKNOWN}/{child}", json="x").status == 404
    assert client.put(f"/flows/{UNKNOWN}/{child}", body=b"{").status == 404


def test_a_child_with_a_content_type_and_no_body_is_read_and_deleted(client: Client) -> None:
    """B18: `Content-Type: application/json` on what has no body is fine."""
    path = put(client, label="a")
    headers = {"Content-Type": "application/json"}

    assert client.get(f"{path}/label", headers=headers).json == "a"
    assert client.head(f"{path}/label", headers=headers).status == 200
    assert client.delete(f"{path}/label", headers=headers).status == 204
    assert client.delete(path, headers=headers).status == 204
