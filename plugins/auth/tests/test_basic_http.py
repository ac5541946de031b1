"""Users with passwords before a whole gateway, on both app types."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from tams_gateway_auth.passwords import Passwords

from tams_gateway.operations.kinds import AUTH_LOG
from tams_gateway.settings import load
from tams_gateway.storage.query import Query
from tams_gateway.testing import samples
from tests.deployments import Deployment, in_process
from tests.spec.official import watches

CONFIG = """
metadata = { plugin = "memory" }
objects = { main = { plugin = "memory" } }
[[auth]]
plugin = "basic"
realm = "Studio A"
memory_kib = 32
passes = 1
lock_after = 3
[auth.users]
alice = { password = "HASH", scopes = ["tams-api/read", "tams-api/write"] }
"Zoë" = { password = "HASH" }
nothing = { password = "HASH", scopes = [] }
"""
PASSWORD = "pass: wörd"
CHALLENGE = 'Basic realm="Studio A", charset="UTF-8"'


@pytest.fixture(params=["wsgi-memory", "asgi-memory"])
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    path = tmp_path / "tams.toml"
    path.write_text(CONFIG.replace("HASH", Passwords(32, 1).hash(PASSWORD)))
    with in_process(request.param, load(path, {}), watches()) as deployment:
        yield deployment


def header(name: str = "alice", password: str = PASSWORD, scheme: str = "Basic") -> dict[str, str]:
    return {"authorization": f"{scheme} {b64encode(f'{name}:{password}'.encode()).decode()}"}


def test_a_user_of_the_config_acts_under_its_name_and_scopes(guarded: Deployment) -> None:
    """R-AUTH-01, R-AUTH-05, R-AUTH-12."""
    flow = samples.flow()
    path = f"/flows/{flow['id']}"
    refused = guarded.client.put(path, json=flow, headers=header("Zoë"))
    assert refused.status == 403
    assert guarded.client.put(path, json=flow, headers=header(scheme="bAsIc")).status == 201
    assert guarded.client.get(path, headers=header("Zoë")).json["created_by"] == "alice"
    assert guarded.client.get("/service", headers=header("nothing")).status == 403


MALFORMED = [
    "Basic",
    "Basic ",
    "Basic !!!!",
    "Basic YWxpY2U",
    "Basic \xe9",
    "Basic " + b64encode(b"alice").decode(),
    "Basic " + b64encode(b"alice:\xff\xfe").decode(),
    "Basic " + b64encode(b"\xff:secret").decode(),
    "Basic " + b64encode(b"alice:" + b"a" * 10_000).decode(),
    "Basic " + b64encode(b"alice:").decode(),
    "Basic " + b64encode(b":").decode(),
    "Basic " + b64encode(b"a\0b:c\0d").decode(),
    "Basic " + b64encode("alice:pass: wörd".encode("latin-1")).decode(),
    "Digest username=alice",
    "",
]


@pytest.mark.parametrize("values", [MALFORMED[:7], MALFORMED[7:]], ids=["syntax", "content"])
def test_what_names_nobody_is_401_with_a_challenge(guarded: Deployment, values: list[str]) -> None:
    """R-AUTH-02: fewer at a time than an address may try."""
    for value in values:
        answer = guarded.client.get("/flows", headers={"authorization": value})
        assert (answer.status, answer.json["type"]) == (401, "unauthenticated"), value
        assert answer.headers["www-authenticate"] == CHALLENGE


def test_wrong_names_passwords_and_locked_users_get_one_answer(guarded: Deployment) -> None:
    answers = [
        guarded.client.get("/flows", headers=header(*one))
        for one in (("bob", "x"), ("alice", "x"), ("alice", "y"), ("alice", "z"), ("alice",))
    ]
    told = {(one.status, one.json["summary"], one.headers["www-authenticate"]) for one in answers}
    assert told == {
        (
            401,
            "credentials refused: wrong name or password",
            CHALLENGE,
        )
    }
    log = guarded.gateway.metadata.find(Query(AUTH_LOG)).items
    noted = [one.fields for one in log]
    assert sorted(one["action"] for one in noted) == ["failure"] * 5 + ["lock"]
    assert {one["request_id"] for one in noted} == {one.headers["x-request-id"] for one in answers}


def test_a_login_is_noted_with_the_address_it_came_from(guarded: Deployment) -> None:
    for _ in range(2):
        guarded.client.get("/flows", headers=header())
    (login,) = guarded.gateway.metadata.find(Query(AUTH_LOG)).items
    assert b'"who":"alice","peer":"127.0.0.1"' in login.body
    assert PASSWORD.encode() not in login.body
