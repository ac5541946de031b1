"""Our table of routes against the operations of the official document."""

import re

import pytest

from tams_gateway.http.routes import ROUTES
from tams_gateway.http.table import complete
from tams_gateway.testing.client import Client
from tams_gateway.testing.samples import UNKNOWN, flow, profile, segment
from tests.spec.official import PRESENT, needs_document, operations

OPERATIONS = operations() if PRESENT else []
"""All 85; none where the document is absent."""


BESIDE = ("/media/", "/events", "/audit", "/auth-log")
"""What stands beside the paths of the spec."""


def shape(template: str) -> str:
    """Return a template without the names of its parameters."""
    return re.sub(r"\{[^}]*\}", "{}", template)


def filled(template: str, values: dict[str, str]) -> str:
    return re.sub(r"\{([^}]*)\}", lambda found: values[found[1]], template)


@needs_document
def test_the_table_has_exactly_the_operations_of_the_document() -> None:
    """R-GEN-01: all 85; beside them only media, events, journals and HTTP's own."""
    expected = {(one["method"], shape(one["path"])) for one in OPERATIONS}
    assert len(OPERATIONS) == len(expected) == 85

    routed = {
        (method, shape(template))
        for template, methods in complete(ROUTES).items()
        for method, route in methods.items()
        if route in ROUTES and not template.startswith(BESIDE)
    }

    assert routed == expected


@needs_document
@pytest.mark.deployments("wsgi-memory", "asgi-memory")
def test_every_operation_answers_and_no_other_method_does(client: Client) -> None:
    """R-GEN-01, R-OBJ-05, G-04: what the document has not is 405, with the methods that it has."""
    methods: dict[str, set[str]] = {}
    for one in OPERATIONS:
        methods.setdefault(one["path"], set()).add(one["method"])
    for path, allowed in methods.items():
        target = re.sub(r"\{[^}]*\}", UNKNOWN, path)
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"):
            answer = client.request(method, target)
            if method in allowed:
                assert answer.status in (200, 400, 404), f"{method} {path}"
            else:
                assert answer.status == 405, f"{method} {path}"
                listed = set(answer.headers["Allow"].split(", "))
                assert listed == allowed | {"OPTIONS"}


@needs_document
def test_head_is_get_without_a_body(client: Client) -> None:
    """R-GEN-01, R-GEN-02: the same status and headers, on every path, found and not found."""
    document, member, made = flow(), flow("audio"), profile()
    document["flow_collection"] = [{"id": member["id"]}]
    document |= {"label": "a", "description": "b", "max_bit_rate": 1, "tags": {"a": "b"}}
    client.post(f"/service/profiles/{made['id']}", json=made)
    for one in (member, document):
        assert client.put(f"/flows/{one['id']}", json=one).status == 201
    body = segment("[0:0_1:0)", "object")
    assert client.post(f"/flows/{document['id']}/segments", json=body).status == 201
    names = {
        "flowId": document["id"],
        "sourceId": document["source_id"],
        "profileId": made["id"],
        "objectId": "object",
        "name": "a",
        "request-id": UNKNOWN,
        "webhookId": UNKNOWN,
    }
    statuses = set()
    for template in {one["path"] for one in OPERATIONS if one["method"] == "GET"}:
        for values in (names, dict.fromkeys(names, "no-such")):
            path = filled(template, values)
            answer, head = client.get(path), client.head(path)
            own = {"x-request-id", "date"}
            told = {name: value for name, value in answer.headers.items() if name not in own}
            assert {name: value for name, value in head.headers.items() if name not in own} == told
            assert (head.status, head.body) == (answer.status, b"")
            statuses.add(answer.status)
    assert statuses == {200, 404}


@pytest.mark.deployments("wsgi-memory", "asgi-memory")
@pytest.mark.parametrize("path", ["/nowhere", "/service/profiles/a/b", "//flows", "/Flows", "/*"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"])
def test_what_is_no_path_is_not_found(client: Client, path: str, method: str) -> None:
    """R-GEN-10, G-03."""
    assert client.request(method, path).status == 404
