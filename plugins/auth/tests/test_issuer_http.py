"""The built-in issuer: how clients log in, and how they are refused."""

from pathlib import Path
from urllib.parse import urlencode

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tams_gateway_auth.issuer import Issuer, IssuerSettings
from tams_gateway_auth.issuer_routes import IssuerRoutes

from plugins.auth.tests.logins import (
    AUTH,
    PASSWORD,
    basic,
    bearing,
    issuer,
    log_in,
    noted,
    post,
    status,
)
from plugins.auth.tests.signing import World
from tams_gateway.operations.kinds import AUTH_LOG
from tams_gateway.plugin import PluginRoute, Request
from tams_gateway.storage.query import Query
from tams_gateway.testing import samples
from tams_gateway.testing.client import Client
from tests.deployments import Deployment, config, in_process
from tests.spec.official import watches

CLIENT = {"grant_type": "client_credentials"}
FORM = {**CLIENT, "client_id": "ingest", "client_secret": PASSWORD}


def test_a_client_logs_in_by_header_or_form_and_works_with_its_token(client: Client) -> None:
    """B21: the scope may be absent, and `expires_in` is an integer. R-AUTH-12."""
    for fields, headers in ((CLIENT, basic("ingest")), (FORM, {})):
        answer = post(client, "/auth/token", fields, headers)
        assert answer.status == 200, answer.body
        assert answer.headers["cache-control"] == "no-store"
        token = answer.json
        assert token["scope"] == "tams-api/read tams-api/write tams-api/delete"
        assert token["token_type"] == "Bearer"
        assert token["expires_in"] == 3600
        assert "refresh_token" not in token
        flow = samples.flow()
        path = f"/flows/{flow['id']}"
        bearer = bearing(token["access_token"])
        assert client.put(path, json=flow, headers=bearer).status == 201
        assert client.get(path, headers=bearer).json["created_by"] == "ingest"
        assert client.delete(path, headers=bearer).status in (202, 204)


def test_scopes_are_asked_for_as_mediaconvert_does(client: Client) -> None:
    """A token has what was asked for and no more; a user without scopes gets one without."""
    answer = post(client, "/auth/token", {**FORM, "scope": "tams-api/read tams-api/write"})
    assert answer.json["scope"] == "tams-api/read tams-api/write"
    flow, bearer = samples.flow(), bearing(answer.json["access_token"])
    path = f"/flows/{flow['id']}"
    assert client.put(path, json=flow, headers=bearer).status == 201
    refused = client.delete(path, headers=bearer)
    assert refused.status == 403
    assert "tams-api/delete" in refused.json["summary"]
    nothing = post(client, "/auth/token", CLIENT, basic("nobody")).json
    assert nothing["scope"] == ""
    assert status(client, nothing["access_token"]) == 403


def test_a_person_logs_in_with_a_password(client: Client) -> None:
    """With or without a client that has no secret, such as a page."""
    for more in ({}, {"client_id": "page"}, {"client_id": "page", "client_secret": ""}):
        tokens = log_in(client, **more)
        assert tokens["scope"] == "tams-api/read tams-api/write"
        assert status(client, tokens["access_token"]) == 200
        assert len(tokens["refresh_token"]) > 40


WRONG = {**CLIENT, "client_id": "ingest", "client_secret": "wrong"}
NAME = {"grant_type": "password", "username": "alice", "password": PASSWORD}


REFUSED: list[tuple[dict[str, str] | str, dict[str, str], str]] = [
    (WRONG, {}, "invalid_client"),
    (CLIENT, {}, "invalid_client"),
    (CLIENT, basic("ingest", "wrong"), "invalid_client"),
    (CLIENT, basic("unknown"), "invalid_client"),
    (CLIENT, basic("ingest", ""), "invalid_client"),
    (CLIENT, {"authorization": "Basic !"}, "invalid_client"),
    (CLIENT, bearing("x"), "invalid_client"),
    ({**NAME, "client_id": "ingest", "client_secret": "wrong"}, {}, "invalid_client"),
    ({**FORM}, basic("ingest"), "invalid_request"),
    ({**NAME, "password": "wrong"}, {}, "invalid_grant"),
    ({**NAME, "username": "unknown"}, {}, "invalid_grant"),
    ({**NAME, "username": "\0" * 5000}, {}, "invalid_grant"),
    ({**NAME, "password": "x" * 10_000}, {}, "invalid_grant"),
    ({**NAME, "password": ""}, {}, "invalid_request"),
    ({"grant_type": "password", "username": "alice"}, {}, "invalid_request"),
    ({"grant_type": "refresh_token", "refresh_token": "x"}, {}, "invalid_grant"),
    ({"grant_type": "refresh_token"}, {}, "invalid_request"),
    ({"grant_type": "authorization_code", "code": "x"}, {}, "unsupported_grant_type"),
    ({**FORM, "grant_type": ""}, {}, "invalid_request"),
    ({**FORM, "scope": "tams-api/admin"}, {}, "invalid_scope"),
    ({**FORM, "scope": "tams-api/read openid"}, {}, "invalid_scope"),
    ({**NAME, "scope": "tams-api/delete"}, {}, "invalid_scope"),
    ("grant_type=client_credentials&grant_type=password", {}, "invalid_request"),
    ("grant_type=%ff", {}, "invalid_request"),
    ("&".join(f"x{number}=1" for number in range(40)), {}, "invalid_request"),
    ("grant_type=" + "x" * 70_000, {}, "invalid_request"),
    ("", {}, "invalid_request"),
    (FORM, {"content-type": "application/json"}, "invalid_request"),
]


def test_a_login_that_is_wrong_is_refused_as_oauth_has_it(client: Client) -> None:
    """The answer has also what each of our errors has (R-GEN-10, B25), and no secret."""
    for fields, headers, error in REFUSED:
        answer = post(client, "/auth/token", fields, headers)
        assert answer.json["error"] == error, fields
        assert answer.status == (401 if error == "invalid_client" else 400)
        assert ("www-authenticate" in answer.headers) == (error == "invalid_client")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json["message"] == answer.json["error_description"]
        assert PASSWORD.encode() not in answer.body


FIELDS = ("grant_type", "client_id", "client_secret", "username", "password", "scope", "token")
TEXTS = (
    st.sampled_from(["client_credentials", "password", "refresh_token", "ingest", ""]) | st.text()
)
FORMS = st.dictionaries(st.sampled_from((*FIELDS, "refresh_token")), TEXTS).map(
    lambda fields: urlencode(fields, errors="surrogatepass").encode()
)


@pytest.fixture(scope="module")
def routes() -> list[PluginRoute]:
    context = World().context
    issue = IssuerSettings(memory_kib=32, passes=1)
    return list(IssuerRoutes(Issuer(context, issue), context).routes())


@settings(max_examples=60)
@given(form=FORMS | st.binary(), header=st.sampled_from(["Basic Og==", "Bearer x"]) | st.text())
def test_no_form_breaks_the_issuer(routes: list[PluginRoute], form: bytes, header: str) -> None:
    """Whatever strangers send is refused, and no fault of ours."""
    headers = {"content-type": "application/x-www-form-urlencoded", "authorization": header}
    token, revoke = routes
    sent = Request(method="POST", headers=headers, body=form)
    assert token.respond(sent).status in (400, 401)
    assert revoke.respond(sent).status in (200, 400)


def test_who_fails_too_often_has_to_wait(tmp_path: Path) -> None:
    """A lock stops guesses at one user, this the guesses at many; who logged in before passes."""
    chosen = config("wsgi-memory", tmp_path, {"auth": AUTH})
    with in_process("wsgi-memory", chosen, watches()) as at:
        assert post(at.client, "/auth/token", FORM).status == 200
        # The same guess again is no further one.
        for number in (0, 0, *range(10)):
            fields = {**NAME, "username": f"user-{number}"}
            assert post(at.client, "/auth/token", fields).status == 400
        for fields in ({**NAME, "username": "next"}, NAME):
            answer = post(at.client, "/auth/token", fields)
            assert answer.status == 429
            assert int(answer.headers["retry-after"]) > 0
        assert post(at.client, "/auth/token", FORM).status == 200


def test_a_page_of_another_origin_may_log_in(client: Client) -> None:
    """B21: the preflight needs no credentials, and page scripts can read the answers."""
    origin = {"origin": "https://page.example"}
    asked = {"access-control-request-method": "POST"}
    for path in ("/auth/token", "/auth/revoke"):
        preflight = client.options(path, headers={**origin, **asked})
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert "POST" in preflight.headers["access-control-allow-methods"]
        allowed = preflight.headers["access-control-allow-headers"].lower()
        assert "authorization" in allowed
        assert "content-type" in allowed
    for secret in (PASSWORD, "wrong"):
        answer = post(client, "/auth/token", CLIENT, {**basic("ingest", secret), **origin})
        assert answer.headers["access-control-allow-origin"] == "*"
    assert client.get("/auth/token", headers=bearing("x")).status == 401


def test_logins_are_noted_and_no_secret_is(issuing: Deployment) -> None:
    client = issuing.client
    tokens = log_in(client)
    post(client, "/auth/token", WRONG)
    assert noted(issuing) == [
        ("failure", "ingest"),
        ("login", "alice"),
        ("token_issued", "alice"),
    ]
    kept = issuing.gateway.metadata.find(Query(AUTH_LOG, limit=1000)).items
    for secret in (PASSWORD, "wrong", *map(str, tokens.values())):
        assert not any(f'"{secret}"'.encode() in record.body for record in kept)
    assert b'"peer":"127.0.0.1"' in kept[0].body


def test_a_token_of_ours_names_its_key_and_carries_no_more_than_it_must(
    issuing: Deployment,
) -> None:
    token = log_in(issuing.client)["access_token"]
    header = jwt.get_unverified_header(token)
    assert header == {"alg": "HS256", "kid": issuer(issuing)._ring.newest.id, "typ": "at+jwt"}
    claims = jwt.decode(token, options={"verify_signature": False})
    assert set(claims) == {"iss", "sub", "scope", "iat", "exp", "jti", "stamp", "family"}
    assert claims["exp"] - claims["iat"] == 3600


def test_a_token_of_ours_that_was_changed_is_refused(issuing: Deployment) -> None:
    """Nor does one pass that another key signed, or ours with another algorithm."""
    token = log_in(issuing.client)["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    key = issuer(issuing)._ring.newest
    admin, headers = {**claims, "scope": "tams-api/admin"}, {"kid": key.id}
    forged = [
        jwt.encode(admin, "x" * 32, "HS256", headers),
        jwt.encode(admin, key.secret, "HS256", {"kid": "unknown"}),
        jwt.encode(admin, key.secret, "HS256"),
        jwt.encode(admin, "", "none", headers),
        token[:-4] + "AAAA",
    ]
    for text in forged:
        assert status(issuing.client, text) == 401
    # No scope is more than the user has, even where our own key says so.
    assert status(issuing.client, jwt.encode(admin, key.secret, "HS256", headers)) == 403


def test_without_an_issuer_there_is_no_such_path(tmp_path: Path) -> None:
    chosen = config("wsgi-memory", tmp_path, {"auth": [{"plugin": "jwt"}]})
    with in_process("wsgi-memory", chosen, watches()) as at:
        answer = post(at.client, "/auth/token", FORM)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="tams"'
        assert at.client.options("/auth/token").status == 404
