"""Webhooks that are refused: their form, their URL, the header of their key (R-WHK-03 to -22)."""

from typing import Any

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.samples import MALFORMED, UNKNOWN, new_id
from tests.operations.hooks import PATH, Hooks


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


@pytest.mark.deployments("wsgi-memory", "asgi-memory")
@pytest.mark.parametrize("webhook_id", [UNKNOWN, *(id_ for id_ in MALFORMED if "\n" not in id_)])
def test_an_unknown_or_malformed_id_is_not_found(hooks: Hooks, webhook_id: str) -> None:
    """R-GEN-05: before the body is looked at."""
    path = f"{PATH}/{webhook_id.replace('{', '%7B').replace('}', '%7D')}"

    assert hooks.client.get(path).status == 404
    assert hooks.client.put(path, body=b"{").status == 404
    assert hooks.client.delete(path).status == 404
