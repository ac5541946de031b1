"""Webhooks: registered, listed, changed, deleted (R-WHK-01 to -13, -18, -22)."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import force_setattr, replace

from tams_gateway.storage.webhooks import WEBHOOK, Status, StoredWebhook, WebhookError, read_webhook
from tams_gateway.testing.client import Answer, Client
from tams_gateway.testing.samples import MALFORMED, UNKNOWN, new_id
from tests.deployments import Deployment
from tests.spec.official import PRESENT, example, needs_document, official

PATH = "/service/webhooks"
URL = "https://hook.example.com/events"
EVENTS = ["flows/created", "flows/segments_added"]


class Sink:
    """What a sink does while webhooks are registered: it delivers nothing."""

    def objection(self, url: str) -> str | None:
        return "this sink never goes there" if "forbidden" in url else None

    def seal(self, webhook_id: str, value: str) -> str:
        return f"sealed for {webhook_id}: {value[::-1]}"


class Hooks:
    """Webhooks over HTTP, and as they are kept; `woken` counts calls for the sink."""

    def __init__(self, deployment: Deployment) -> None:
        self.client = deployment.client
        self.metadata = deployment.gateway.metadata
        self.woken = 0
        force_setattr(deployment.gateway, "webhooks", Sink())
        force_setattr(deployment.gateway, "wake", self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def post(self, **members: Any) -> Answer:
        body = {"url": URL, "events": EVENTS, **members}
        return self.client.post(PATH, json=body)

    def made(self, **members: Any) -> dict[str, Any]:
        answer = self.post(**members)
        assert answer.status == 201, answer.body
        document: dict[str, Any] = answer.json
        return document

    def put(self, webhook: dict[str, Any], **members: Any) -> Answer:
        return self.client.put(f"{PATH}/{webhook['id']}", json={**webhook, **members})

    def get(self, webhook: dict[str, Any]) -> Any:
        answer = self.client.get(f"{PATH}/{webhook['id']}")
        assert answer.status == 200, answer.body
        return answer.json

    def stored(self, webhook: dict[str, Any]) -> StoredWebhook:
        return read_webhook(self.metadata.get(WEBHOOK, [webhook["id"]])[webhook["id"]])

    def become(self, webhook: dict[str, Any], status: Status, error: WebhookError | None) -> None:
        """Write the status, as a sink does."""
        record = self.metadata.get(WEBHOOK, [webhook["id"]])[webhook["id"]]
        stored = replace(read_webhook(record), status=status)
        if error is not None:
            stored = replace(stored, error=error)
        self.metadata.apply([stored.put(record.version)])


@pytest.fixture
def hooks(deployment: Deployment) -> Hooks:
    return Hooks(deployment)


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


@pytest.mark.parametrize(
    "member",
    [
        *[{"url": url} for url in ("", "hook.example.com", "ftp://a.example", "http://", "/a", 5)],
        *[{"url": url} for url in ("https:///a", "https://?a", "https://:80/", "mailto:a@b.c")],
        *[{"url": url} for url in ("http://user:secret@a.example", "http://a@b.example/")],
        *[
            {"url": url}
            for url in ("http://a.example/ b", "http://a.example/\r\nX: y", "http://é/")
        ],
        *[{"url": url} for url in ("http://a.example:0", "http://a.example:99999", "http://[::1/")],
        *[{"url": url} for url in ("http://a%41.example", "http://a\\b", "http://[x]/", None)],
        {"url": f"https://a.example/{'a' * 2000}"},
        {"events": ["flows/exploded"]},
        {"events": "flows/created"},
        {"events": None},
        {"status": "started"},
        {"status": "error"},
        {"flow_ids": []},
        {"source_ids": []},
        {"flow_ids": ["no-uuid"]},
        {"source_collected_by_ids": [UNKNOWN.upper().replace("0", "A")]},
        {"accept_storage_ids": ["x"]},
        {"accept_get_urls": "label"},
        {"presigned": "true"},
        {"verbose_storage": None},
        {"tags": {"a": 5}},
    ],
)
@pytest.mark.deployments("wsgi-memory", "asgi-memory")
def test_a_webhook_that_breaks_the_form_is_refused(hooks: Hooks, member: dict[str, Any]) -> None:
    """R-WHK-03, R-WHK-09, R-WHK-18: 400 that names the member, by POST and by PUT."""
    made = hooks.made()

    for answer in (hooks.post(**member), hooks.put(made, **member)):
        assert answer.status == 400
        assert answer.json["summary"].startswith(f"/{next(iter(member))}")
    assert hooks.client.listed(PATH) == [made]


@pytest.mark.parametrize("url", ["http://a", "HTTPS://A.example:8443/b?c=d%20e", "http://[::1]:80"])
@pytest.mark.deployments("wsgi-memory")
def test_urls_of_both_schemes_are_taken(hooks: Hooks, url: str) -> None:
    """R-WHK-03: where they lead is for the sink to judge."""
    assert hooks.made(url=url)["url"] == url


@pytest.mark.deployments("wsgi-memory", "asgi-memory")
def test_a_url_that_the_sink_does_not_reach_is_refused(hooks: Hooks) -> None:
    """R-WHK-11: at once, not when the first event comes."""
    made = hooks.made()
    for answer in (
        hooks.post(url="http://forbidden.example"),
        hooks.put(made, url="http://forbidden.example"),
    ):
        assert answer.status == 400
        assert answer.json["summary"] == "/url: this sink never goes there"


@pytest.mark.config(events=[{"plugin": "webhook", "allow_networks": ["10.1.0.0/16"]}])
@pytest.mark.deployments("wsgi-memory", "asgi-memory")
def test_the_sink_of_the_config_judges_urls(client: Client) -> None:
    """R-WHK-11, R-SVC-05: addresses that are not public are refused, unless the config has them."""
    assert {"name": "webhooks"} in client.get("/service").json["event_stream_mechanisms"]

    for host in ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.2.0.1", "0"):
        answer = client.post(PATH, json={"url": f"http://{host}/a", "events": []})
        assert answer.status == 400, host
        assert answer.json["summary"].startswith("/url: ")
    for host in ("10.1.2.3", "receiver.invalid"):
        answer = client.post(PATH, json={"url": f"http://{host}/a", "events": []})
        assert answer.status == 201, host


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, "a") for name in ("", "a b", "a:", "a\r\nb", "é", "a\x00", "(a)")],
        *[(name, "a") for name in ("Host", "content-length", "CONTENT-TYPE", "Transfer-Encoding")],
        *[(name, "a") for name in ("Connection", "TE", "Upgrade", "webhook-signature")],
        *[
            ("X-Key", value)
            for value in ("a\r\nX: y", "a\n", "a\tb", "\x00", "a\x7f", "é", " a", "a ")
        ],
    ],
)
@pytest.mark.deployments("wsgi-memory", "asgi-memory")
def test_a_header_that_is_none_or_not_the_clients_is_refused(
    hooks: Hooks, name: str, value: str
) -> None:
    """R-WHK-03, R-WHK-22: nobody slips a header or a body into a delivery."""
    made = hooks.made()
    key = {"api_key_name": name, "api_key_value": value}

    for answer in (hooks.post(**key), hooks.put(made, **key)):
        assert answer.status == 400
        assert answer.json["summary"].startswith("/api_key_")
    assert hooks.client.listed(PATH) == [made]


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


@pytest.mark.deployments("wsgi-memory", "asgi-memory")
def test_a_put_needs_id_and_status_and_the_id_of_the_path(hooks: Hooks) -> None:
    """R-WHK-06: what a client may not set is refused too, so GET and PUT alone is no change."""
    made = hooks.made()
    for member, value in (("id", new_id()), ("id", None), ("status", None), ("status", "started")):
        body = {name: one for name, one in {**made, member: value}.items() if one is not None}
        answer = hooks.client.put(f"{PATH}/{made['id']}", json=body)
        assert answer.status == 400, (member, value)
    for body in (b"", b"{", b"[]", b"\xff"):
        assert hooks.client.post(PATH, body=body).status == 400
        assert hooks.client.put(f"{PATH}/{made['id']}", body=body).status == 400


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


@pytest.mark.deployments("wsgi-memory", "asgi-memory")
@pytest.mark.parametrize("webhook_id", [UNKNOWN, *(id_ for id_ in MALFORMED if "\n" not in id_)])
def test_an_unknown_or_malformed_id_is_not_found(hooks: Hooks, webhook_id: str) -> None:
    """R-GEN-05: before the body is looked at."""
    path = f"{PATH}/{webhook_id.replace('{', '%7B').replace('}', '%7D')}"

    assert hooks.client.get(path).status == 404
    assert hooks.client.put(path, body=b"{").status == 404
    assert hooks.client.delete(path).status == 404


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
