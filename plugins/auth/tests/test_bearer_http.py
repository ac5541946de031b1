"""Bearer tokens before a whole gateway, on both app types."""

from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from tams_gateway_auth import tokens
from tams_gateway_auth.tokens import ApiToken

from plugins.auth.tests.logins import bearing, provider, status
from plugins.auth.tests.signing import key_set, serving, signer, valid
from tams_gateway.auth.principal import Scope
from tams_gateway.testing import samples
from tests.deployments import Deployment, config, in_process
from tests.spec.official import watches

ONE, OTHER = signer("ES256", "one"), signer("EdDSA", "other")
SECRET = "0cYqG7vVxkXv2mJ4w9n6hTzRbLq1sEdU"


@pytest.fixture(params=["wsgi-memory", "asgi-sqlite"])
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """A gateway that trusts two issuers, each with its keys."""
    auth = []
    for key in (ONE, OTHER):
        path = tmp_path / f"{key.id}.json"
        path.write_bytes(key_set(key))
        issuer = f"https://{key.id}.example"
        auth.append({"plugin": "jwt", "jwks_file": str(path), "issuer": issuer})
    auth.append({"plugin": "jwt", "secret": SECRET})
    settings = config(request.param, tmp_path, {"auth": auth})
    with in_process(request.param, settings, watches()) as deployment:
        yield deployment


def test_several_issuers_are_told_apart(guarded: Deployment) -> None:
    """Each signs for itself alone, and whoever has the secret for none of them."""
    one, other = "https://one.example", "https://other.example"
    assert status(guarded.client, ONE.token(iss=one)) == 200
    assert status(guarded.client, OTHER.token(iss=other)) == 200
    assert status(guarded.client, jwt.encode(valid(), SECRET, "HS256")) == 200
    for token in (ONE.token(iss=other), OTHER.token(iss=one), ONE.token(iss="x"), ONE.token()):
        assert status(guarded.client, token) == 401
    assert status(guarded.client, jwt.encode(valid(iss=one), SECRET, "HS256")) == 401


def test_a_token_acts_under_its_name_and_scopes(guarded: Deployment) -> None:
    """R-AUTH-01, R-AUTH-05, R-AUTH-12; without a scope of ours it may do nothing."""
    client, flow = guarded.client, samples.flow()
    path, issuer = f"/flows/{flow['id']}", "https://one.example"
    reader, nobody = ONE.token(iss=issuer), ONE.token(iss=issuer, scope="openid profile")
    writer = ONE.token(iss=issuer, sub="bob", scope="tams-api/write tams-api/read")
    assert client.put(path, json=flow, headers=bearing(reader)).status == 403
    assert client.put(path, json=flow, headers=bearing(nobody)).status == 403
    assert client.put(path, json=flow, headers=bearing(writer)).status == 201
    assert client.get(path, headers=bearing(reader)).json["created_by"] == "bob"
    assert status(client, nobody) == 403


def test_a_wrong_token_is_401_with_a_challenge_and_is_never_shown(
    guarded: Deployment, capfd: pytest.CaptureFixture[str]
) -> None:
    """R-AUTH-02: to a request that is wrong in other ways, too."""
    expired = ONE.token(iss="https://one.example", exp=1)
    for token in (expired, expired[:-4], "opaque", "a.b.c", "", "\xff"):
        answer = guarded.client.get("/flows/malformed?limit=x", headers=bearing(token))
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="tams"'
        assert expired[20:60] not in f"{answer.headers}{answer.body!r}"
    shown = capfd.readouterr()
    assert expired[20:60] not in shown.out + shown.err


def test_an_api_token_is_a_bearer_token_as_well(guarded: Deployment) -> None:
    """R-AUTH-04."""
    context = provider(guarded)._context
    kept = ApiToken("player", frozenset({Scope.READ}), frozenset(), (), int(context.now()))
    text = tokens.create(context, kept)
    assert status(guarded.client, text) == 200
    assert status(guarded.client, text[:-1] + ("A" if text[-1] != "A" else "B")) == 401
    [(id_, found)] = tokens.every(context)
    tokens.revoke(context, id_, found)
    assert status(guarded.client, text) == 401


@pytest.mark.parametrize("kind", ["wsgi-memory", "asgi-sqlite"])
def test_without_keys_a_token_is_503_and_not_401(kind: str, tmp_path: Path) -> None:
    """A client that got 401 would give its token up; `tams-gateway check` fails."""
    with serving(b"") as server:
        server.status = 500
        settings = config(kind, tmp_path, {"auth": [{"plugin": "jwt", "jwks_url": server.url}]})
        with in_process(kind, settings, watches()) as at:
            answer = at.client.get("/flows", headers=bearing(ONE.token()))
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) > 0
            assert at.client.get("/flows").status == 401
            assert not provider(at).check().ok
