"""The guest plugins: what third parties write works, from the path or installed."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tams_gateway.assembly import Assembly, assemble
from tams_gateway.auth.principal import Scope
from tams_gateway.auth.provider import Credentials
from tams_gateway.domain.errors import Unauthenticated
from tams_gateway.events.event import Event
from tams_gateway.settings import load
from tests.testing.kit import run

HERE = Path(__file__).parent
GUESTS = ("guest_auth", "guest_sink", "guest_metadata", "guest_objects")


@pytest.fixture
def assembly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Assembly]:
    for guest in GUESTS:
        monkeypatch.syspath_prepend(HERE / guest)
    config = tmp_path / "tams.toml"
    config.write_text(
        f"""
        metadata = {{ plugin = "memory" }}
        objects = {{ main = {{ plugin = "memory" }} }}
        [[auth]]
        plugin = "guest-auth"
        keys = {{ alice = {{ env = "ALICE" }} }}
        scopes = ["tams-api/read"]
        [[events]]
        plugin = "guest-sink"
        path = "{tmp_path}/events.jsonl"
        failures = 1
        """
    )
    assembly = assemble(load(config, {"ALICE": "hush"}))
    yield assembly
    assembly.close()


@pytest.mark.parametrize("guest", GUESTS)
def test_the_metadata_beside_a_guest_say_what_its_project_says(guest: str) -> None:
    project = tomllib.loads((HERE / guest / "pyproject.toml").read_text())["project"]
    info = HERE / guest / f"{guest}-{project['version']}.dist-info"
    assert (
        f"Name: {project['name']}\nVersion: {project['version']}\n"
        in (info / "METADATA").read_text()
    )
    [(name, module)] = project["entry-points"]["tams_gateway"].items()
    assert (info / "entry_points.txt").read_text() == f"[tams_gateway]\n{name} = {module}\n"


def test_a_guest_tells_principals_by_their_keys(assembly: Assembly) -> None:
    def sent(headers: dict[str, str]) -> Credentials:
        return Credentials(None, None, headers, "::1")

    principal = assembly.chain.authenticate(sent({"x-api-key": "hush"}))
    assert (principal.name, principal.scopes) == ("alice", {Scope.READ})
    for wrong in (sent({"x-api-key": "other"}), sent({})):
        with pytest.raises(Unauthenticated) as caught:
            assembly.chain.authenticate(wrong)
        assert caught.value.headers == {"WWW-Authenticate": 'ApiKey header="x-api-key"'}


def test_a_guest_records_events_once_it_works(assembly: Assembly, tmp_path: Path) -> None:
    [sink] = assembly.sinks.values()
    events = [
        Event("flows/created", 7, b'{"flow":{}}', {"flow_id": "a", "auth_classes": frozenset("b")}),
        Event("flows/deleted", 8, b'{"flow_id":"a"}'),
    ]
    with pytest.raises(ConnectionError):
        sink.deliver(events)
    sink.deliver(events)
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line) for line in lines] == [
        {
            "type": "flows/created",
            "at_ns": 7,
            "event": {"flow": {}},
            "fields": {"flow_id": "a", "auth_classes": ["b"]},
        },
        {"type": "flows/deleted", "at_ns": 8, "event": {"flow_id": "a"}, "fields": {}},
    ]


def test_the_guests_keep_their_contracts(tmp_path: Path) -> None:
    """By the command of the docs, as a third party would."""
    keys = '{"alice": "a-key-that-nobody-guesses"}'
    auth = ("--tams-auth", "guest-auth", "--tams-option", f"keys={keys}")
    credentials = ("--tams-credentials", "X-Api-Key: a-key-that-nobody-guesses")
    sink = ("--tams-events", "guest-sink", "--tams-option", "path={tmp}/events")
    path = f"{HERE / 'guest_auth'}:{HERE / 'guest_sink'}"

    found = run(tmp_path, *auth, *credentials, *sink, path=path)

    assert found.status == 0, found.text
    assert found.clauses("FAILED") == []
