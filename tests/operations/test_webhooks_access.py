"""Whose webhooks are whose, and what their filters may name (R-WHK-11, R-AUTH-05 to -07)."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import force_setattr

from tams_gateway.testing.client import Client
from tams_gateway.testing.samples import UNKNOWN, flow
from tests.deployments import config, in_process
from tests.operations.hooks import EVENTS, PATH, URL, Sink
from tests.spec.official import watches

GUEST = Path(__file__).parents[1] / "plugins" / "guest_auth"

ALICE, BOB = {"x-api-key": "a"}, {"x-api-key": "b"}
READER, ADMIN = {"x-reader": "r"}, {"x-admin": "s"}

AUTH = [
    {
        "plugin": "guest-auth",
        "keys": {"alice": "a", "bob": "b"},
        "scopes": ["tams-api/read", "tams-api/write"],
    },
    {
        "plugin": "guest-auth",
        "header": "x-reader",
        "keys": {"bob": "r"},
        "scopes": ["tams-api/read"],
    },
    {"plugin": "guest-auth", "header": "x-admin", "keys": {"root": "s"}},
]
ACCESS = {
    "auth_classes": True,
    "classes": {"shared": {"read": ["*"]}, "secret": {"write": ["*"]}},
}


@pytest.fixture(params=["wsgi-memory", "asgi-sqlite"])
def client(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """A gateway with three kinds of principal, where classes count."""
    monkeypatch.syspath_prepend(GUEST)
    settings = config(request.param, tmp_path, {"auth": AUTH, "access": ACCESS})
    with in_process(request.param, settings, watches()) as deployment:
        force_setattr(deployment.gateway, "webhooks", Sink())
        yield deployment.client


def made(client: Client, by: Mapping[str, str], **members: Any) -> dict[str, Any]:
    body = {"url": URL, "events": EVENTS, **members}
    answer = client.post(PATH, json=body, headers=by)
    assert answer.status == 201, answer.body
    document: dict[str, Any] = answer.json
    return document


def listed(client: Client, by: Mapping[str, str]) -> list[str]:
    client.headers = dict(by)
    found = [one["id"] for one in client.listed(PATH, query={"limit": 1})]
    client.headers = {}
    return found


def test_a_webhook_is_there_for_its_maker_and_for_admins(client: Client) -> None:
    """R-WHK-11: for others it is as one that never was, by all operations."""
    mine = made(client, ALICE, tags={"a": "b"})
    path, nowhere = f"{PATH}/{mine['id']}", f"{PATH}/{UNKNOWN}"

    for method in ("GET", "HEAD", "PUT", "DELETE"):
        hidden, unknown = (
            client.request(method, one, body=b"{" if method == "PUT" else b"", headers=BOB)
            for one in (path, nowhere)
        )
        assert hidden.status == unknown.status == 404
        if method != "HEAD":
            assert hidden.json["summary"].replace(mine["id"], UNKNOWN) == unknown.json["summary"]
    assert listed(client, ALICE) == listed(client, ADMIN) == [mine["id"]]
    assert client.get(f"{PATH}?tag.a=b", headers=BOB).json == []
    assert client.get(path, headers=ALICE).json == client.get(path, headers=ADMIN).json == mine


def test_a_page_is_full_of_ones_own(client: Client) -> None:
    """R-WHK-11, R-PAGE-09: those of others are no gaps in it."""
    pairs = [
        (made(client, ALICE, url=f"{URL}/{at}"), made(client, BOB, url=f"{URL}/{at}"))
        for at in range(3)
    ]

    first = client.get(PATH, query={"limit": 2}, headers=BOB)

    assert first.headers["X-Paging-Count"] == "2"
    assert first.json == [pairs[0][1], pairs[1][1]]
    assert listed(client, BOB) == [bobs["id"] for _, bobs in pairs]
    assert len(listed(client, ADMIN)) == 6


def test_what_an_admin_changes_stays_its_makers(client: Client) -> None:
    """R-WHK-11."""
    mine = made(client, ALICE)
    path = f"{PATH}/{mine['id']}"

    answer = client.put(path, json={**mine, "status": "disabled"}, headers=ADMIN)

    assert answer.status == 201
    assert client.get(path, headers=ALICE).json["status"] == "disabled"
    assert client.delete(path, headers=ADMIN).status == 204
    assert client.get(path, headers=ALICE).status == 404


def test_who_may_only_read_changes_and_deletes_webhooks_but_makes_none(client: Client) -> None:
    """R-AUTH-05: as AppNote 0016 has it."""
    refused = client.post(PATH, json={"url": URL, "events": []}, headers=READER)
    assert refused.status == 403
    assert "tams-api/write" in refused.json["summary"]
    mine = made(client, BOB)
    path = f"{PATH}/{mine['id']}"

    assert client.put(path, json={**mine, "events": []}, headers=READER).status == 201
    assert client.delete(path, headers=READER).status == 204


@pytest.mark.parametrize("collected", [False, True])
@pytest.mark.parametrize("what", ["flow", "source"])
def test_filters_name_only_what_may_be_read(client: Client, what: str, collected: bool) -> None:
    """R-AUTH-07: what may not be read is as what is not there, by POST and by PUT."""
    name = f"{what}_collected_by_ids" if collected else f"{what}_ids"
    documents = {}
    for class_ in ("shared", "secret", "other"):
        document = flow("multi", tags={"auth_classes": [class_]})
        answer = client.put(f"/flows/{document['id']}", json=document, headers=ADMIN)
        assert answer.status == 201
        documents[class_] = document["id" if what == "flow" else "source_id"]
    shared = documents["shared"]
    mine = made(client, ALICE, **{name: [shared]})

    for unreadable in (documents["secret"], documents["other"], UNKNOWN):
        body = {**mine, name: [shared, unreadable]}
        posted = client.post(PATH, json=body, headers=ALICE)
        put = client.put(f"{PATH}/{mine['id']}", json=body, headers=ALICE)
        for answer in (posted, put):
            assert answer.status == 400
            assert answer.json["summary"] == f"/{name}/1: no {what} {unreadable}"
        made(client, ADMIN, **{name: [unreadable]})
    assert listed(client, ALICE) == [mine["id"]]
