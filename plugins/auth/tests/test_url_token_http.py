"""API tokens in the URL of a whole gateway, on both app types and real stores."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from tams_gateway_auth import tokens
from tams_gateway_auth.tokens import ApiToken

from tams_gateway.auth.principal import Principal, Scope
from tams_gateway.plugin import Context
from tams_gateway.settings import load
from tams_gateway.testing import samples
from tams_gateway.testing.samples import KEYS
from tests.deployments import Deployment, in_process
from tests.spec.official import watches

CONFIG = """
[[auth]]
plugin = "url_token"
[[events]]
plugin = "guest-sink"
path = "FOLDER/events"
[metadata]
plugin = "sqlite"
path = "FOLDER/tams.db"
durability = "process"
[objects.main]
plugin = "filesystem"
path = "FOLDER/objects"
durability = "process"
"""
GUEST_SINK = Path(__file__).parents[3] / "tests" / "plugins" / "guest_sink"


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """Return the lines of the log as they come; `tests/test_log.py` shows how they are written."""
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture(params=["wsgi-sqlite", "asgi-sqlite"])
def guarded(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deployment]:
    monkeypatch.syspath_prepend(GUEST_SINK)
    path = tmp_path / "tams.toml"
    path.write_text(CONFIG.replace("FOLDER", str(tmp_path)))
    with in_process(request.param, load(path, {}), watches()) as deployment:
        yield deployment


def made(deployment: Deployment, *networks: str) -> str:
    """Return a token that may do everything from these networks."""
    context = Context(
        name="url_token",
        log=structlog.get_logger(),
        now=lambda: 0.0,
        url_lifetime=3600,
        keys=lambda _: KEYS,
        metadata=deployment.gateway.metadata,
    )
    return tokens.create(
        context, ApiToken("ingester", frozenset(Scope), frozenset(), tuple(networks), 0)
    )


def test_a_token_suffices_and_nothing_else_does(guarded: Deployment) -> None:
    """R-AUTH-01, R-AUTH-02, R-AUTH-12."""
    token, flow = made(guarded), samples.flow()
    path = f"/flows/{flow['id']}"
    assert guarded.client.put(path, json=flow, query={"access_token": token}).status == 201
    shown = guarded.client.get(path, query={"access_token": token})
    assert shown.json["created_by"] == "ingester"
    for query in ("", "access_token=", f"access_token={token}x", "access_token=%ff%00"):
        answer = guarded.client.get(path, query=query)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="tams"'


def test_a_token_holds_from_its_networks_alone(guarded: Deployment) -> None:
    here, elsewhere = made(guarded, "127.0.0.0/8"), made(guarded, "10.0.0.0/8")
    assert guarded.client.get("/flows", query={"access_token": here}).status == 200
    assert guarded.client.get("/flows", query={"access_token": elsewhere}).status == 401


def test_two_different_credentials_are_400(guarded: Deployment) -> None:
    headers = {"authorization": "Basic YTpi"}
    answer = guarded.client.get(f"/flows?access_token={made(guarded)}", headers=headers)
    assert answer.status == 400


def test_a_token_is_in_no_link_error_event_or_log(
    guarded: Deployment,
    tmp_path: Path,
    logged: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R-AUTH-03: whatever is asked, and whether it is answered, refused or fails."""
    delivered = threading.Semaphore(0)
    sink: Any = guarded.assembly.sinks["guest-sink"]
    deliver = sink.deliver
    monkeypatch.setattr(sink, "deliver", lambda events: deliver(events) or delivered.release())
    token = made(guarded)
    query = {"access_token": token}
    answers = []
    for _ in range(2):
        flow = samples.flow()
        answers.append(guarded.client.put(f"/flows/{flow['id']}", json=flow, query=query))
    pages = guarded.client.get("/flows", query={**query, "limit": 1})
    assert pages.next is not None, "there is a second page"
    answers.append(pages)
    answers += [
        guarded.client.get(path, query=query)
        for path in ("/", "/service", "/nothing", "/flows?limit=x", "/flows/malformed")
    ]
    answers.append(guarded.client.put("/flows", query=query))
    answers.append(guarded.client.get(f"/flows?access_token={token}x"))
    monkeypatch.setattr(tokens, "find", broken)
    answers.append(guarded.client.get("/sources", query=query))
    assert {200, 201, 400, 401, 404, 405, 500} <= {one.status for one in answers}
    assert delivered.acquire(timeout=30)

    assert all(token not in repr(dict(one.headers)) for one in answers)
    assert all(token.encode() not in one.body for one in answers)
    assert {"bug", "request"} == {line["event"] for line in logged}
    assert token not in repr(logged)
    events = (tmp_path / "events").read_text()
    assert [json.loads(line)["type"] for line in events.splitlines()]
    assert token not in events
    stored = list(tmp_path.glob("tams.db*"))
    assert len(stored) > 1
    assert all(token.encode() not in path.read_bytes() for path in stored)


def broken(*_: object) -> Principal:
    """Fail as a bug does."""
    raise ZeroDivisionError
