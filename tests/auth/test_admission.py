"""Who is let in, seen from outside: challenges, rates, failed logins, a gateway that is open."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tams_gateway.operations.kinds import AUTH_LOG
from tams_gateway.storage.query import Query
from tests.deployments import Deployment, config, in_process
from tests.spec.official import watches

GUEST = Path(__file__).parents[1] / "plugins" / "guest_auth"
AUTH = [
    {"plugin": "guest-auth", "keys": {"alice": "a"}},
    {"plugin": "guest-auth", "header": "x-other", "keys": {"bob": "b"}},
]
ALICE, BOB = {"x-api-key": "a"}, {"x-other": "b"}


@pytest.fixture(params=["wsgi-memory", "asgi-memory"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(GUEST)
    return str(request.param)


@pytest.fixture
def bounded(kind: str, tmp_path: Path) -> Iterator[Deployment]:
    rates = {"requests_per_second": 0.01, "burst": 4, "failures_per_minute": 3}
    settings = config(kind, tmp_path, {"auth": AUTH, "rates": rates})
    with in_process(kind, settings, watches()) as deployment:
        yield deployment


def test_a_principal_and_an_address_get_429_beyond_their_rate(bounded: Deployment) -> None:
    """Each has tokens of its own; what needs no credentials is always served."""
    client = bounded.client
    statuses = [client.get("/service", headers=ALICE).status for _ in range(4)]
    late = client.get("/service", headers=BOB)

    assert statuses == [200] * 4
    assert (late.status, late.json["type"]) == (429, "too_many_requests")
    assert 1 <= int(late.headers["retry-after"]) <= 100
    assert client.get("/health").status == 200
    assert client.options("/service").status == 204


def test_an_address_that_guesses_gets_429_and_each_guess_is_noted(
    kind: str, tmp_path: Path
) -> None:
    settings = config(kind, tmp_path, {"auth": AUTH, "rates": {"failures_per_minute": 3}})
    with in_process(kind, settings, watches()) as deployment:
        client = deployment.client
        answers = [client.get("/flows", headers={"x-api-key": f"{n}"}) for n in range(5)]
        assert [one.status for one in answers] == [401, 401, 401, 429, 429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 20
        assert "unknown API key" in answers[0].json["summary"]
        noted = deployment.gateway.metadata.find(Query(AUTH_LOG)).items
        assert {one.fields["action"] for one in noted} == {"failure"}
        sent = {one.headers["x-request-id"] for one in answers[:3]}
        assert {one.fields["request_id"] for one in noted} == sent


def test_credentials_of_two_kinds_are_400(kind: str, tmp_path: Path) -> None:
    """Also two tokens in one query, and the same one twice is one."""
    with in_process(kind, config(kind, tmp_path, {"auth": AUTH}), watches()) as deployment:
        client = deployment.client
        for headers, query in (
            ({**ALICE, **BOB}, ""),
            (ALICE, "access_token=t"),
            ({**ALICE, "authorization": "Basic eDp5"}, ""),
            ({}, "access_token=a&access_token=b"),
        ):
            assert client.get("/service", headers=headers, query=query).status == 400
        answer = client.get("/service", query="access_token=a&access_token=a")
        assert answer.status == 401
        # R-AUTH-02: in the order of the config.
        assert answer.headers["www-authenticate"].split(", ") == [
            'ApiKey header="x-api-key"',
            'ApiKey header="x-other"',
        ]


@pytest.mark.parametrize(("open_to", "serves"), [(True, "anybody"), (False, "this machine")])
def test_an_open_gateway_says_so_at_its_start_and_looks_at_no_credentials(
    kind: str, tmp_path: Path, open_to: bool, serves: str
) -> None:
    """B20."""
    settings = config(kind, tmp_path, {"service": {"auth_open": open_to}})
    with capture_logs() as logs, in_process(kind, settings, watches()) as deployment:
        [warning] = [one for one in logs if one["event"] == "open_mode"]
        assert (warning["log_level"], warning["serves"]) == ("warning", serves)
        for headers in ({"authorization": "Basic ???"}, {"authorization": "Bearer x"}):
            answer = deployment.client.get("/flows", headers=headers, query="access_token=y")
            assert answer.status == 200


def test_a_gateway_with_a_provider_is_not_open(kind: str, tmp_path: Path) -> None:
    settings = config(kind, tmp_path, {"auth": AUTH})
    with capture_logs() as logs, in_process(kind, settings, watches()) as deployment:
        assert deployment.client.get("/flows").status == 401
    assert [one for one in logs if one["event"] == "open_mode"] == []
