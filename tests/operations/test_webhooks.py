"""Webhooks: registered, listed, changed, deleted (R-WHK-01 to -13)."""

import json
import re
from pathlib import Path

import pytest
from msgspec.structs import force_setattr

from tams_gateway.storage.webhooks import WEBHOOK, WebhookError
from tams_gateway.testing.client import Client
from tams_gateway.testing.samples import new_id
from tests.deployments import Deployment
from tests.operations.hooks import EVENTS, PATH, URL, Hooks, Sink
from tests.spec.official import PRESENT, example, needs_document, official


def test_webhooks_are_announced_where_they_work(client: Client, hooks: Hooks) -> None:
    """R-SVC-05, R-WHK-01: under the name that the specification has for them."""
    streams = client.get("/service").json["event_stream_mechanisms"]

    names = [one["name"] for one in streams]
    assert names.count("webhooks") == 1
    assert client.get(PATH).status == 200


def test_a_posted_webhook_gets_an_id_and_is_shown(client: Client, hooks: Hooks) -> None:
    """R-WHK-02, R-WHK-04: 201 with what was sent; equal ones are several webhooks."""
    sent = {
        "url": URL,
        "api_key_name": "Authorization",
        "events": EVENTS,
        "flow_ids": [new_id(), new_id()],
        "source_ids": [new_id()],
        "flow_collected_by_ids": [],
        "source_collected_by_ids": [new_id()],
        "accept_get_urls": [],
        "accept_storage_ids": [new_id()],
        "presigned": True,
        "verbose_storage": False,
        "include_object_timerange": True,
        "tags": {"team": ["news", "sport"], "stage": ""},
    }
    answer, second = client.post(PATH, json=sent), client.post(PATH, json=sent)

    assert (answer.status, second.status) == (201, 201)
    assert answer.json == {**sent, "id": answer.json["id"], "status": "created"}
    assert answer.headers["Location"] == f"{client.base}{PATH}/{answer.json['id']}"
    assert hooks.get(answer.json) == answer.json
    assert second.json["id"] != answer.json["id"]
    assert client.listed(PATH) == sorted([answer.json, second.json], key=lambda one: one["id"])
    assert hooks.woken == 2


def test_what_is_absent_stays_absent(hooks: Hooks) -> None:
    """R-GEN-08, R-GEN-11, R-WHK-13: an empty list of events is a webhook that hears nothing."""
    made = hooks.made(events=[], colour="red", error={"type": "x"})

    assert made == {"id": made["id"], "url": URL, "events": [], "status": "created"}


def test_a_webhook_begins_disabled_if_asked_to(hooks: Hooks) -> None:
    """R-WHK-04."""
    made = hooks.made(status="disabled")

    assert made["status"] == "disabled"
    assert hooks.get(made)["status"] == "disabled"


def test_an_api_key_is_sealed_and_never_shown(client: Client, hooks: Hooks) -> None:
    """R-WHK-05: neither after a POST or a PUT nor later; the store holds what the sink sealed."""
    answer = hooks.post(api_key_name="Authorization", api_key_value="Bearer s3cret-1")
    changed = hooks.put(answer.json, api_key_value="Bearer s3cret-2")

    webhook_id = answer.json["id"]
    assert hooks.stored(answer.json).sealed == f"sealed for {webhook_id}: 2-terc3s reraeB"
    record = hooks.metadata.get(WEBHOOK, [webhook_id])[webhook_id]
    shown = [answer, changed, client.get(PATH), client.get(f"{PATH}/{webhook_id}")]
    for body in (*(one.body for one in shown), record.body):
        assert b"s3cret" not in body
    assert all(b"api_key_value" not in one.body and b"terc3s" not in one.body for one in shown)


@pytest.mark.parametrize(
    ("members", "kept"),
    [
        ({}, True),
        ({"api_key_name": "X-Other"}, True),
        ({"api_key_value": ""}, False),
        ({"api_key_name": None}, False),
    ],
)
@pytest.mark.deployments("wsgi-memory", "asgi-memory", "wsgi-sqlite")
def test_a_put_without_the_key_keeps_it(
    hooks: Hooks, members: dict[str, str | None], kept: bool
) -> None:
    """R-WHK-07: `""`, or no name, removes it."""
    made = hooks.made(api_key_name="X-Key", api_key_value="secret")
    body = {name: value for name, value in {**made, **members}.items() if value is not None}

    answer = hooks.client.put(f"{PATH}/{made['id']}", json=body)

    assert answer.status == 201
    expected = f"sealed for {made['id']}: terces" if kept else None
    assert (hooks.stored(made).sealed or None) == expected


def test_a_put_replaces_all(client: Client, hooks: Hooks) -> None:
    """R-WHK-06, R-WHK-07: 201; filters that are absent are gone."""
    made = hooks.made(flow_ids=[new_id()], tags={"a": "b"}, presigned=False)
    body = {"id": made["id"], "url": f"{URL}/2", "events": [], "status": "created"}

    answer = client.put(f"{PATH}/{made['id']}", json=body)

    assert (answer.status, answer.json) == (201, body)
    assert hooks.get(made) == body
    assert hooks.woken == 2


def test_a_webhook_in_error_is_enabled_but_not_disabled(hooks: Hooks) -> None:
    """R-WHK-08: it goes on where it stopped, and its error is gone."""
    made = hooks.made()
    before = hooks.stored(made)
    failed = WebhookError("delivery_failed", "nobody answers", "2026-01-01T00:00:00Z")
    hooks.become(made, "error", failed)
    shown = hooks.get(made)
    assert (shown["status"], shown["error"]["summary"]) == ("error", "nobody answers")

    assert hooks.put(shown, status="disabled").status == 400
    assert hooks.get(made)["status"] == "error"
    answer = hooks.put(shown, status="created")

    assert answer.status == 201
    assert answer.json == made
    after = hooks.stored(made)
    assert (after.since, after.generation) == (before.since, before.generation)


@pytest.mark.deployments("wsgi-memory", "asgi-sqlite")
def test_a_change_that_meets_one_of_the_sink_looks_anew(
    deployment: Deployment, hooks: Hooks
) -> None:
    """R-WHK-08: it cannot disable what went into error a moment ago."""
    made = hooks.made(api_key_name="X-Key", api_key_value="secret")
    failed = WebhookError("delivery_failed", "nobody answers", "2026-01-01T00:00:00Z")

    class Meanwhile(Sink):
        """Gives up while the key is sealed: between what was read and what is written."""

        def seal(self, webhook_id: str, value: str) -> str:
            if hooks.stored(made).status == "created":
                hooks.become(made, "error", failed)
            return super().seal(webhook_id, value)

    force_setattr(deployment.gateway, "webhooks", Meanwhile())

    answer = hooks.put(made, status="disabled", api_key_value="other")

    assert answer.status == 400
    assert hooks.stored(made).status == "error"


def test_a_running_webhook_is_changed_without_losing_its_place(hooks: Hooks) -> None:
    """R-WHK-08: back to created, as the deployed clients see it, and no event is lost."""
    made = hooks.made()
    hooks.become(made, "started", None)
    before = hooks.stored(made)
    assert hooks.get(made)["status"] == "started"

    assert hooks.put(made, url=f"{URL}/2", status="created").json["status"] == "created"

    after = hooks.stored(made)
    assert (after.since, after.generation) == (before.since, before.generation)


def test_a_disabled_webhook_begins_anew(hooks: Hooks, deployment: Deployment) -> None:
    """R-WHK-08: it is not told what happened while it was disabled."""
    force_setattr(deployment.gateway, "listening", True)
    made = hooks.made()
    first = hooks.stored(made)
    assert hooks.put(made, status="disabled").json["status"] == "disabled"
    flow_id = new_id()
    flow = {"id": flow_id, "source_id": new_id(), "format": "urn:x-nmos:format:multi"}
    assert hooks.client.put(f"/flows/{flow_id}", json=flow).status == 201
    assert hooks.stored(made).generation == first.generation

    assert hooks.put(made, status="created").status == 201

    again = hooks.stored(made)
    assert again.generation == first.generation + 1
    told = hooks.metadata.events(first.since, 10).items
    assert [event.type for event in told] == ["sources/created", "flows/created"]
    assert hooks.metadata.events(again.since, 10).items == []


def test_a_deleted_webhook_is_gone(client: Client, hooks: Hooks) -> None:
    """R-WHK-10."""
    made = hooks.made()

    assert client.delete(f"{PATH}/{made['id']}").status == 204

    for send in (client.get, client.head, client.delete):
        assert send(f"{PATH}/{made['id']}").status == 404
    assert hooks.put(made).status == 404
    assert client.listed(PATH) == []
    assert hooks.woken == 2


def test_webhooks_are_listed_by_url(client: Client, hooks: Hooks) -> None:
    """R-WHK-12, R-PAGE-10: ties by id, in pages, either way round; HEAD has the same header."""
    made = [hooks.made(url=f"https://a.example/{name}") for name in ("b", "a", "c", "b", "B")]
    expected = sorted(made, key=lambda one: (one["url"], one["id"]))

    assert client.listed(PATH, query={"limit": 2}) == expected
    backwards = client.listed(PATH, query={"limit": 2, "reverse_order": True})
    assert backwards == expected[::-1]
    answer = client.get(PATH, query={"limit": 2})
    assert answer.headers["X-Paging-Count"] == "2"
    assert client.head(PATH, query={"limit": 2}).headers["Link"] == answer.headers["Link"]
    for query in ("limit=0", "page=x", "reverse_order=1", "tag_exists.a=yes"):
        assert client.get(f"{PATH}?{query}").status == 400


def test_webhooks_are_listed_by_tags(client: Client, hooks: Hooks) -> None:
    """R-WHK-12, R-PAGE-14, R-PAGE-15."""
    news = hooks.made(tags={"team": "news"})
    both = hooks.made(tags={"team": ["news", "sport"], "stage": ""})
    none = hooks.made()

    def ids(query: str) -> set[str]:
        return {one["id"] for one in client.listed(f"{PATH}?{query}")}

    assert ids("tag.team=news") == {news["id"], both["id"]}
    assert ids("tag.team=sport,other") == {both["id"]}
    assert ids("tag_exists.stage=true") == {both["id"]}
    assert ids("tag_exists.team=false") == {none["id"]}
    assert ids("tag.team=news&tag_exists.stage=false") == {news["id"]}


def test_a_webhook_is_found_by_its_new_tags_and_url(client: Client, hooks: Hooks) -> None:
    """R-WHK-12: what a PUT changed counts in listings at once."""
    first, second = hooks.made(url="https://a.example"), hooks.made(url="https://b.example")

    assert hooks.put(first, url="https://c.example", tags={"a": "b"}).status == 201

    assert [one["id"] for one in client.listed(PATH)] == [second["id"], first["id"]]
    assert [one["id"] for one in client.listed(f"{PATH}?tag.a=b")] == [first["id"]]


@needs_document
@pytest.mark.deployments("wsgi-memory", "asgi-memory")
def test_the_webhooks_of_the_examples_are_taken(client: Client, hooks: Hooks) -> None:
    """R-WHK-02, R-WHK-06: as the official document has them."""
    posted = client.post(PATH, json=example("webhook-post"))
    assert posted.status == 201
    expected = {**example("webhook-get-200"), "id": posted.json["id"], "status": "created"}
    assert posted.json == expected

    answer = hooks.put(posted.json, **{**example("webhook-put"), "id": posted.json["id"]})
    assert (answer.status, answer.json) == (201, expected)


@pytest.mark.deployments("wsgi-memory")
def test_the_examples_of_the_guide_work(hooks: Hooks) -> None:
    text = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
    blocks = re.findall(r"^```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    registration, event = map(json.loads, blocks[:2])

    assert hooks.client.post(PATH, json=registration).status == 201
    if PRESENT:
        assert list(official().event(event["event_type"]).iter_errors(event)) == []
