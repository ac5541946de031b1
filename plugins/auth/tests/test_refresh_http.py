"""Refresh tokens: each is good once, and one that comes twice ends them all."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from tams_gateway_auth.refresh_tokens import REFRESH_TOKENS

from plugins.auth.tests.logins import (
    PASSWORD,
    basic,
    issuer,
    later,
    log_in,
    noted,
    post,
    refresh,
    status,
)
from tams_gateway.storage.query import Query
from tams_gateway.testing.client import Client
from tests.deployments import Deployment

CLIENT = {"client_id": "ingest", "client_secret": PASSWORD}


def refused(client: Client, token: str, error: str = "invalid_grant", **more: str) -> None:
    answer = refresh(client, token, **more)
    assert answer.json["error"] == error
    assert answer.status == (401 if error == "invalid_client" else 400)


def test_each_refresh_token_brings_the_next(issuing: Deployment) -> None:
    client, tokens = issuing.client, log_in(issuing.client)
    for _ in range(3):
        answer = refresh(client, tokens["refresh_token"])
        assert answer.status == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json["refresh_token"] != tokens["refresh_token"]
        assert answer.json["scope"] == tokens["scope"]
        assert answer.json["expires_in"] == 3600
        assert status(client, answer.json["access_token"]) == 200
        tokens = answer.json
    assert Counter(noted(issuing))["token_refreshed", "alice"] == 3


def test_a_token_that_comes_twice_ends_all_of_its_login(issuing: Deployment) -> None:
    """Either of the two who sent it may be a thief; access tokens end within 5 s."""
    client, stolen, other = issuing.client, log_in(issuing.client), log_in(issuing.client)
    fresh = refresh(client, stolen["refresh_token"]).json
    assert status(client, fresh["access_token"]) == 200
    refused(client, stolen["refresh_token"])
    refused(client, fresh["refresh_token"])
    later(issuing, 5)
    for tokens in (stolen, fresh):
        assert status(client, tokens["access_token"]) == 401
    assert status(client, other["access_token"]) == 200
    assert refresh(client, other["refresh_token"]).status == 200
    assert ("token_reused", "alice") in noted(issuing)


def test_of_many_who_use_a_token_at_once_one_gets_through_and_nobody_keeps_it(
    issuing: Deployment,
) -> None:
    client, token = issuing.client, log_in(issuing.client)["refresh_token"]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: refresh(client, token), range(4)))
    won = [answer.json for answer in answers if answer.status == 200]
    assert len(won) == 1
    assert {answer.status for answer in answers} == {200, 400}
    refused(client, won[0]["refresh_token"])


def test_a_refresh_may_ask_for_less_and_never_for_more(client: Client) -> None:
    """RFC 6749, 6: and what it asks for once is not lost for the next time."""
    tokens = log_in(client, scope="tams-api/read")
    refused(client, tokens["refresh_token"], "invalid_scope", scope="tams-api/write")
    tokens = log_in(client)
    narrow = refresh(client, tokens["refresh_token"], scope="tams-api/read").json
    assert narrow["scope"] == "tams-api/read"
    assert refresh(client, narrow["refresh_token"]).json["scope"] == tokens["scope"]


def test_a_refresh_token_is_of_the_client_that_got_it(client: Client) -> None:
    """With the client's secret by header or form; without one for who has none."""
    token = log_in(client, **CLIENT)["refresh_token"]
    refused(client, token)
    refused(client, token, "invalid_client", client_id="ingest", client_secret="wrong")
    fields = {"grant_type": "refresh_token", "refresh_token": token}
    assert post(client, "/auth/token", fields, basic("nobody")).status == 400
    answer = post(client, "/auth/token", fields, basic("ingest"))
    assert answer.status == 200
    assert refresh(client, answer.json["refresh_token"], **CLIENT).status == 200
    refused(client, log_in(client)["refresh_token"], **CLIENT)


def test_a_refresh_token_expires_and_is_forgotten(
    issuing: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, tokens = issuing.client, log_in(issuing.client)
    store, ours = issuing.gateway.metadata, issuer(issuing)
    assert len(store.find(Query(REFRESH_TOKENS)).items) == 1
    context = ours._context
    future = msgspec.structs.replace(context, now=lambda: context.now() + 1_209_601)
    monkeypatch.setattr(ours, "_context", future)
    refused(client, tokens["refresh_token"])
    monkeypatch.setattr(ours, "_swept", float("-inf"))
    post(client, "/auth/token", {"grant_type": "client_credentials", **CLIENT})
    assert store.find(Query(REFRESH_TOKENS)).items == []


def test_no_text_of_a_token_is_kept(issuing: Deployment) -> None:
    token = log_in(issuing.client)["refresh_token"]
    kept = issuing.gateway.metadata.find(Query(REFRESH_TOKENS)).items
    assert len(kept) == 1
    assert token not in kept[0].id
    assert token.encode() not in kept[0].body
