"""What ends tokens before their time: revocation, and what happens to their users and keys."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tams_gateway_auth.passwords import Passwords
from tams_gateway_auth.revocation import REVOKED_TOKENS, forget_expired, revoke, revoked
from tams_gateway_auth.users import User

from plugins.auth.tests.logins import (
    AUTH,
    PASSWORD,
    bearing,
    issuer,
    later,
    log_in,
    noted,
    post,
    provider,
    refresh,
    status,
)
from tams_gateway.auth.principal import Scope
from tams_gateway.operations import keys
from tams_gateway.storage.query import Query
from tams_gateway.testing.client import Client
from tests.deployments import Deployment, config, in_process
from tests.spec.official import watches


def end(client: Client, token: str) -> None:
    answer = post(client, "/auth/revoke", {"token": token})
    assert answer.status == 200
    assert answer.body == b""
    assert answer.headers["cache-control"] == "no-store"


def test_an_access_token_is_ended(issuing: Deployment) -> None:
    """Within 5 s, for it is remembered for 4; its refresh token goes on."""
    client, tokens, other = issuing.client, log_in(issuing.client), log_in(issuing.client)
    assert status(client, tokens["access_token"]) == 200
    end(client, tokens["access_token"])
    later(issuing, 4)
    assert status(client, tokens["access_token"]) == 401
    assert status(client, other["access_token"]) == 200
    assert refresh(client, tokens["refresh_token"]).status == 200
    assert ("token_revoked", "alice") in noted(issuing)


def test_a_refresh_token_is_ended_with_all_that_came_of_it(issuing: Deployment) -> None:
    client, first = issuing.client, log_in(issuing.client)
    second = refresh(client, first["refresh_token"]).json
    assert status(client, second["access_token"]) == 200
    end(client, second["refresh_token"])
    assert refresh(client, second["refresh_token"]).status == 400
    later(issuing, 4)
    for tokens in (first, second):
        assert status(client, tokens["access_token"]) == 401
    assert ("token_revoked", "alice") in noted(issuing)


def test_ending_what_is_no_token_is_no_mistake(issuing: Deployment) -> None:
    """RFC 7009, 2.2: it is answered alike, and nothing is noted."""
    client, token = issuing.client, log_in(issuing.client)["access_token"]
    before = noted(issuing)
    for text in ("x", "a.b.c", token[:-4] + "AAAA", "\0", "tams_" + "x" * 43):
        end(client, text)
    assert status(client, token) == 200
    assert noted(issuing) == before
    for fields in ({}, {"token": ""}):
        answer = post(client, "/auth/revoke", fields)
        assert answer.status == 400
        assert answer.json["error"] == "invalid_request"


def suspend(user: User) -> User:
    return msgspec.structs.replace(user, suspended=True)


def set_password(user: User) -> User:
    return msgspec.structs.replace(user, password=Passwords(32, 1).hash("another"))


def remove(user: User) -> User:
    return User(user.name)


@pytest.mark.parametrize("change", [suspend, set_password, remove])
def test_tokens_end_with_what_their_user_was(
    issuing: Deployment, change: Callable[[User], User]
) -> None:
    client, users = issuing.client, issuer(issuing).users
    alice = msgspec.structs.replace(users.find("alice"), name="bob")
    users.change("bob", lambda _: alice)
    tokens = log_in(client, "bob")
    assert status(client, tokens["access_token"]) == 200
    users.change("bob", change)
    later(issuing, 4)
    assert status(client, tokens["access_token"]) == 401
    assert refresh(client, tokens["refresh_token"]).status == 400


def test_a_scope_that_a_user_loses_is_gone_from_its_tokens(issuing: Deployment) -> None:
    """And a locked user's tokens hold: else anybody could end them by guessing passwords."""
    client, users = issuing.client, issuer(issuing).users
    alice = msgspec.structs.replace(users.find("alice"), name="bob", groups=frozenset())
    users.change("bob", lambda _: alice)
    token = log_in(client, "bob")["access_token"]
    path = "/flows/00000000-0000-4000-8000-000000000000"
    assert client.delete(f"{path}/label", headers=bearing(token)).status == 404
    lock = msgspec.structs.replace(alice.lock, until=time.time() + 900)
    less = frozenset({Scope.READ})
    users.change("bob", lambda user: msgspec.structs.replace(user, scopes=less, lock=lock))
    later(issuing, 4)
    assert status(client, token) == 200
    assert client.delete(f"{path}/label", headers=bearing(token)).status == 403
    fields = {"grant_type": "password", "username": "bob", "password": PASSWORD}
    assert post(client, "/auth/token", fields).status == 400


def test_every_process_on_a_store_knows_the_tokens_and_their_end(tmp_path: Path) -> None:
    settings = config("wsgi-sqlite", tmp_path, {"auth": AUTH})
    with (
        in_process("wsgi-sqlite", settings, watches()) as one,
        in_process("asgi-sqlite", settings, watches()) as two,
    ):
        tokens = log_in(one.client)
        assert status(two.client, tokens["access_token"]) == 200
        fresh = refresh(two.client, tokens["refresh_token"]).json
        assert refresh(one.client, tokens["refresh_token"]).status == 400
        end(one.client, tokens["access_token"])
        later(two, 4)
        for token in (tokens["access_token"], fresh["access_token"]):
            assert status(two.client, token) == 401


def test_keys_rotate_and_old_ones_verify_until_they_are_removed(issuing: Deployment) -> None:
    """What an operator does with `tams-gateway keys`."""
    client, store, ring = issuing.client, issuing.gateway.metadata, issuer(issuing)._ring
    old = log_in(client)["access_token"]
    old_key = ring.newest.id
    made = keys.rotate(store, "jwt", time.time_ns() - keys.SIGNS_AFTER * 1_000_000_000)
    ring._until = float("-inf")
    new = log_in(client)["access_token"]
    assert ring.newest.id == made.id != old_key
    later(issuing, 4)
    assert status(client, old) == status(client, new) == 200
    keys.remove(store, "jwt", old_key)
    ring._until = float("-inf")
    later(issuing, 4)
    assert status(client, old) == 401
    assert status(client, new) == 200


def test_a_token_of_ours_expires(issuing: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = issuer(issuing)
    context = ours._context
    past = msgspec.structs.replace(context, now=lambda: context.now() - 3595)
    monkeypatch.setattr(ours, "_context", past)
    token = log_in(issuing.client)["access_token"]
    assert status(issuing.client, token) == 200
    verified = provider(issuing)._verified
    assert verified.find(token) is not None
    monkeypatch.setattr(verified, "_now", lambda: time.time() + 6)
    assert verified.find(token) is None
    past = msgspec.structs.replace(context, now=lambda: context.now() - 3620)
    monkeypatch.setattr(ours, "_context", past)
    assert status(issuing.client, log_in(issuing.client)["access_token"]) == 401


def test_revocations_are_forgotten_when_their_tokens_are_over(issuing: Deployment) -> None:
    store = issuing.gateway.metadata
    revoke(store, "early", 100)
    revoke(store, "late", 200)
    assert revoked(store, ["early", "other"])
    assert not revoked(store, ["other"])
    assert not forget_expired(store, REVOKED_TOKENS, 150)
    assert [record.id for record in store.find(Query(REVOKED_TOKENS)).items] == ["late"]
