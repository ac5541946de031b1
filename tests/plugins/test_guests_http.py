"""Guest plugins in a whole gateway: who may do what, and who hears of it."""

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tams_gateway.settings import load
from tams_gateway.testing import samples
from tests.deployments import Deployment, in_process
from tests.spec.official import watches

HERE = Path(__file__).parent
ALICE = {"x-api-key": "a"}

CONFIG = """
metadata = {{ plugin = "memory" }}
objects = {{ main = {{ plugin = "memory" }} }}
[[auth]]
plugin = "guest-auth"
keys = {{ alice = "a" }}
[[auth]]
plugin = "guest-auth"
header = "x-reader"
keys = {{ reader = "r" }}
scopes = ["tams-api/read"]
[[events]]
plugin = "guest-sink"
path = "{path}"
"""


@pytest.fixture(params=["wsgi-memory", "asgi-memory"])
def guarded(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deployment]:
    for guest in ("guest_auth", "guest_sink"):
        monkeypatch.syspath_prepend(HERE / guest)
    path = tmp_path / "tams.toml"
    path.write_text(CONFIG.format(path=tmp_path / "events"))
    with in_process(request.param, load(path, {}), watches()) as deployment:
        yield deployment


def test_requests_without_a_key_or_with_a_wrong_one_are_401(guarded: Deployment) -> None:
    """R-AUTH-02: with the challenge of each provider; 401 comes before anything else."""
    for headers in ({}, {"x-api-key": "wrong"}, {"x-reader": "a"}):
        answer = guarded.client.get("/flows/malformed?limit=x", headers=headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == (
            'ApiKey header="x-api-key", ApiKey header="x-reader"'
        )
        assert answer.json["type"] == "unauthenticated"


def test_two_different_credentials_are_400(guarded: Deployment) -> None:
    headers = {**ALICE, "authorization": "Bearer a"}
    assert guarded.client.get("/service?access_token=b", headers=headers).status == 400


def test_a_reader_reads_and_does_not_write(guarded: Deployment) -> None:
    """R-AUTH-05."""
    reader = {"x-reader": "r"}
    assert guarded.client.get("/flows", headers=reader).status == 200
    flow = samples.flow()
    refused = guarded.client.put(f"/flows/{flow['id']}", json=flow, headers=reader)
    assert refused.status == 403
    assert "reader lacks the scope tams-api/write" in refused.json["summary"]
    assert guarded.client.get(f"/flows/{flow['id']}", headers=reader).status == 404


def test_what_a_principal_makes_bears_its_name_and_is_told_to_the_sink(
    guarded: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-AUTH-12."""
    sink = guarded.assembly.sinks["guest-sink"]
    deliver, delivered = sink.deliver, threading.Semaphore(0)

    def recording(events: list[object]) -> None:
        deliver(events)
        for _ in events:
            delivered.release()

    monkeypatch.setattr(sink, "deliver", recording)
    flow = samples.flow()
    path = f"/flows/{flow['id']}"
    assert guarded.client.put(path, json=flow, headers=ALICE).status == 201
    assert guarded.client.get(path, headers=ALICE).json["created_by"] == "alice"
    for _ in range(2):
        assert delivered.acquire(timeout=30)
    lines = (tmp_path / "events").read_bytes().splitlines()
    assert {msgspec.json.decode(line)["type"] for line in lines} == {
        "sources/created",
        "flows/created",
    }
