"""What is measured of stores on other servers is what those servers see."""

import pytest
from urllib3 import HTTPConnectionPool

from benchmarks import counted, goals, servers, table
from benchmarks import vast as measured
from benchmarks.load.operations import OPERATIONS
from tams_gateway.operations.kinds import FLOW
from tams_gateway.settings import load
from tests.servers.vast import Server, Switches, vast


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("S3_ACCESS_KEY", "S3_SECRET_KEY", "VAST_ACCESS_KEY", "VAST_SECRET_KEY"):
        monkeypatch.setenv(name, "tests")
    monkeypatch.setenv("VAST_BUCKET", "vastdb")


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> counted.Count:
    """What counts until the test ends."""
    monkeypatch.setattr(HTTPConnectionPool, "urlopen", HTTPConnectionPool.urlopen)
    monkeypatch.setattr(counted.Transaction, "select", counted.Transaction.select)
    return counted.counted()


def lines(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    found = [one.strip("| ").split(" | ") for one in capsys.readouterr().out.splitlines()]
    return found[3:]


def rows_answered(server: Server) -> int:
    return sum(one.rows for one in server.requests if (one.method, one.command) == ("GET", "data"))


def test_requests_and_rows_are_counted_and_writers_joined_or_not(
    keys: None, count: counted.Count, capsys: pytest.CaptureFixture[str]
) -> None:
    with vast(switches=Switches(signature="off", latency=0.001)) as server:
        (endpoint,) = server.endpoints
        with measured.opened(endpoint) as store:
            server.forget()
            count.start()
            store.get(FLOW, ["nobody"])
            store.apply([measured.added("nobody", 0, 20)])
            assert (len(server.requests), rows_answered(server)) == (count.requests, count.rows)

        measured.long(endpoint, 3000, count, times=2)
        for title, requests, rows, most in lines(capsys):
            assert 3 <= float(requests) <= 5, title
            assert 1 <= float(rows) <= float(most) <= 3, title

        measured.joined_in_store(endpoint, 1, 0.2)
        joined, unjoined = capsys.readouterr().out.split(" | ")[1:3]
        assert 0 < int(unjoined) < int(joined)


@pytest.mark.parametrize(
    ("s3", "vast", "store"),
    [
        ("http://s3", None, "SQLite + S3"),
        (None, "http://vast", "VAST + files"),
        ("http://s3", "http://vast", "VAST + S3"),
    ],
)
def test_a_gateway_gets_the_stores_that_a_table_names(
    keys: None, monkeypatch: pytest.MonkeyPatch, s3: str | None, vast: str | None, store: str
) -> None:
    monkeypatch.setattr(servers, "STORES", dict(servers.STORES))
    assert store == table._elsewhere(s3, vast)
    chosen = load(None, servers.STORES[store])
    assert chosen.metadata.plugin == ("vast" if vast else "sqlite")
    assert chosen.objects[0].plugin == ("s3" if s3 else "filesystem")
    rows = goals.elsewhere(store, syncs=table._syncs(store))
    assert {row.operation for row in rows} <= OPERATIONS.keys()
    assert any(row.syncs for row in rows) == (vast is None)
