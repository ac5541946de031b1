"""Every route, scope and scheme: who may call what, against AppNote 0016 written out here."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
import structlog
from tams_gateway_auth import tokens
from tams_gateway_auth.passwords import Passwords

from tams_gateway.auth.principal import Scope
from tams_gateway.http.routes import ROUTES
from tams_gateway.plugin import Context
from tams_gateway.testing.client import Answer, Client
from tams_gateway.testing.samples import KEYS, flow, profile, segment
from tests.deployments import Deployment, config, in_process
from tests.spec.official import watches

GUEST = Path(__file__).parents[1] / "plugins" / "guest_auth"

PROPERTY = {"GET": "r", "PUT": "w", "DELETE": "w"}
ADMINS = ""

TABLE: Final[Mapping[str, Mapping[str, str]]] = {
    "/": {"GET": "rwd"},
    "/service": {"GET": "rwd", "POST": ADMINS},
    "/service/storage-backends": {"GET": "rwd"},
    "/service/profiles": {"GET": "r"},
    "/service/profiles/{}": {"GET": "r", "POST": "w"},
    "/service/webhooks": {"GET": "r", "POST": "w"},
    "/service/webhooks/{}": {"GET": "r", "PUT": "r", "DELETE": "r"},
    "/sources": {"GET": "r"},
    "/sources/{}": {"GET": "r"},
    "/sources/{}/tags": {"GET": "r"},
    "/sources/{}/tags/{}": PROPERTY,
    "/sources/{}/description": PROPERTY,
    "/sources/{}/label": PROPERTY,
    "/flows": {"GET": "r"},
    "/flows/{}": {"GET": "r", "PUT": "w", "DELETE": "d"},
    "/flows/{}/tags": {"GET": "r"},
    "/flows/{}/tags/{}": PROPERTY,
    "/flows/{}/description": PROPERTY,
    "/flows/{}/label": PROPERTY,
    "/flows/{}/read_only": {"GET": "r", "PUT": "w"},
    "/flows/{}/flow_collection": PROPERTY,
    "/flows/{}/max_bit_rate": PROPERTY,
    "/flows/{}/avg_bit_rate": PROPERTY,
    "/flows/{}/segments": {"GET": "r", "POST": "w", "DELETE": "d"},
    "/flows/{}/storage": {"POST": "w"},
    "/objects/{}": {"GET": "r"},
    "/objects/{}/instances": {"POST": "w", "DELETE": "w"},
    "/flow-delete-requests": {"GET": ADMINS},
    "/flow-delete-requests/{}": {"GET": "d"},
    # Ours:
    "/audit": {"GET": ADMINS},
    "/auth-log": {"GET": ADMINS},
    "/events": {"GET": "r"},
    "/events/stream": {"GET": "r"},
    "/media/{}/{}": {"GET": "r", "PUT": "w"},
}
"""The scopes by their first letters that admit to each operation; that of admins admits to all."""

SCOPES: Final = {scope.value.removeprefix("tams-api/"): scope.value for scope in Scope}
LETTERS: Final = {"read": "r", "write": "w", "delete": "d"}

SECRET: Final = "a secret of thirty-two bytes, just for tests"


class Guest:
    """API keys in a header: a section for each scope."""

    auth: Final = [
        {"plugin": "guest-auth", "header": f"x-{name}", "keys": {name: "key"}, "scopes": [scope]}
        for name, scope in SCOPES.items()
    ] + [{"plugin": "guest-auth", "header": "x-none", "keys": {"none": "key"}, "scopes": []}]

    def __init__(self, _deployment: Deployment) -> None:
        """Need nothing."""

    def request(self, client: Client, method: str, path: str, name: str, **more: Any) -> Answer:
        return client.request(method, path, headers={f"x-{name}": "key"}, **more)


class Basic:
    """Users with passwords."""

    auth: Final = [
        {
            "plugin": "basic",
            "memory_kib": 32,
            "passes": 1,
            "users": {
                name: {"password": Passwords(32, 1).hash(name), "scopes": scopes}
                for name, scopes in [
                    *((name, [scope]) for name, scope in SCOPES.items()),
                    ("none", []),
                ]
            },
        }
    ]

    def __init__(self, _deployment: Deployment) -> None:
        """Need nothing."""

    def request(self, client: Client, method: str, path: str, name: str, **more: Any) -> Answer:
        credentials = b64encode(f"{name}:{name}".encode()).decode()
        headers = {"authorization": f"Basic {credentials}"}
        return client.request(method, path, headers=headers, **more)


class Jwt:
    """Signed bearer tokens."""

    auth: Final = [{"plugin": "jwt", "secret": SECRET}]

    def __init__(self, _deployment: Deployment) -> None:
        """Need nothing."""

    def request(self, client: Client, method: str, path: str, name: str, **more: Any) -> Answer:
        claims = {"sub": name, "scope": SCOPES.get(name, "openid"), "exp": 4_000_000_000}
        token = jwt.encode(claims, SECRET, algorithm="HS256")
        return client.request(method, path, headers={"authorization": f"Bearer {token}"}, **more)


class UrlToken:
    """API tokens in the query."""

    auth: Final = [{"plugin": "url_token"}]

    def __init__(self, deployment: Deployment) -> None:
        context = Context(
            name="url_token",
            log=structlog.get_logger(),
            now=lambda: 1_700_000_000.0,
            url_lifetime=3600,
            keys=lambda _: KEYS,
            metadata=deployment.gateway.metadata,
            note=lambda _: None,
        )
        self._tokens = {
            name: tokens.create(context, tokens.ApiToken(name, scopes, frozenset(), (), 0))
            for name, scopes in [
                *((name, frozenset({Scope(scope)})) for name, scope in SCOPES.items()),
                ("none", frozenset()),
            ]
        }

    def request(self, client: Client, method: str, path: str, name: str, **more: Any) -> Answer:
        return client.request(method, path, query={"access_token": self._tokens[name]}, **more)


SCHEMES = (Guest, Basic, Jwt, UrlToken)

Call = Callable[..., Answer]


@pytest.fixture(params=["wsgi-memory", "asgi-memory"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(GUEST)
    return str(request.param)


@pytest.fixture(params=SCHEMES, ids=lambda one: one.__name__.lower())
def call(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> Iterator[Call]:
    """Call as the principal of a name, which is that of its one scope, by one of the schemes."""
    limits = {"async_deletion_threshold": 0}
    settings = config(kind, tmp_path, {"auth": request.param.auth, "limits": limits})
    with in_process(kind, settings, watches()) as deployment:
        scheme = request.param(deployment)
        client = deployment.client

        def call(method: str, path: str, name: str | None, **more: Any) -> Answer:
            if name is None:
                return client.request(method, path, **more)
            answer: Answer = scheme.request(client, method, path, name, **more)
            return answer

        yield call


def operations() -> Iterator[tuple[str, str, str]]:
    """Yield method, path and letters of each operation; HEAD is as GET."""
    for template, methods in TABLE.items():
        path = template.replace("{}", "00000000-0000-4000-8000-000000000000")
        for method, letters in methods.items():
            yield method, path, letters
            if method == "GET":
                yield "HEAD", path, letters


def test_the_table_here_has_the_operations_of_the_table_of_routes() -> None:
    routed: dict[str, set[str]] = {}
    for route in ROUTES:
        assert not route.open
        routed.setdefault(re.sub(r"\{[^}]*\}", "{}", route.template), set()).add(route.method)
    assert routed == {template: set(methods) for template, methods in TABLE.items()}


def test_each_scope_admits_to_what_the_table_says_by_every_scheme(call: Call) -> None:
    """R-AUTH-01, R-AUTH-05, R-AUTH-11: 403 names what is missing; without credentials, 401."""
    for method, path, letters in operations():
        assert call(method, path, None).status == 401, f"{method} {path}"
        for name in (*SCOPES, "none"):
            answer = call(method, path, name)
            where = f"{method} {path} as {name}"
            if name == "admin" or (name != "none" and LETTERS[name] in letters):
                assert answer.status not in (401, 403), where
                continue
            assert answer.status == 403, where
            if method != "HEAD":
                missing = {one for one, letter in LETTERS.items() if letter in letters}
                named = set(re.findall(r"tams-api/(\w+)", answer.json["summary"]))
                assert named, where
                assert named - {"admin"} == missing, where


def test_what_a_principal_makes_bears_its_name_by_every_scheme(call: Call) -> None:
    """R-AUTH-12."""
    document, style = flow(), profile()
    path = f"/flows/{document['id']}"
    source = f"/sources/{document['source_id']}"
    styled = f"/service/profiles/{style['id']}"

    assert call("PUT", path, "write", json=document).status == 201
    assert call("POST", styled, "write", json=style).status == 201
    for made in (path, source, styled):
        assert call("GET", made, "read").json["created_by"] == "write"
    assert call("PUT", f"{path}/label", "admin", json="new").status == 204
    assert call("PUT", f"{source}/label", "admin", json="new").status == 204
    for changed in (path, source):
        found = call("GET", changed, "read").json
        assert (found["created_by"], found["updated_by"]) == ("write", "admin")
    assert call("POST", f"{path}/segments", "write", json=segment("[0:0_1:0)")).status == 201
    assert call("DELETE", f"{path}/segments", "delete").json["created_by"] == "delete"
