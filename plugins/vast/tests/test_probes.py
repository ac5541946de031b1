"""Probes of guards: what they refuse, what disturbs them, and that they leave nothing."""

from collections.abc import Iterator

import pytest
import structlog
from tams_gateway_vast.schema import open_schema
from tams_gateway_vast.tables.layout import CLAIMS, PROBES, SHARDS
from tams_gateway_vast.transport.cluster import Cluster
from tams_gateway_vast.writing import guards
from tams_gateway_vast.writing.guards import Name, guard
from tams_gateway_vast.writing.probes import choose, settled

from plugins.vast.tests.conftest import settings
from tams_gateway.storage.errors import StoreError
from tests.servers.vast import Fault, Server, Switches, vast

NO_CONFLICTS = Switches(signature="off", rows="none", names="none")


@pytest.fixture
def server() -> Iterator[Server]:
    with vast(endpoints=2, switches=Switches(signature="off")) as running:
        yield running


@pytest.fixture
def cluster(server: Server) -> Iterator[Cluster]:
    """A cluster on which the tables are made."""
    chosen = settings(server, timeout=0.5)
    cluster = Cluster(chosen, structlog.get_logger(), lambda: 0.0)
    open_schema(cluster, chosen)
    yield cluster
    cluster.close()


@pytest.mark.parametrize("name", ["r", "r+", "n", "n+"])
def test_a_guard_that_does_not_hold_is_refused_by_name(
    server: Server, cluster: Cluster, name: Name
) -> None:
    server.switches = NO_CONFLICTS

    with pytest.raises(StoreError, match=r'two writers apart .*; set guard = "auto"'):
        choose(cluster, settings(server, guard=name))


@pytest.mark.parametrize("name", ["r+", "n+", "k"])
def test_writers_meet_at_two_endpoints_and_leave_nothing(
    server: Server, cluster: Cluster, name: Name
) -> None:
    server.switches = Switches(signature="off", rows_conflict_with_committed=False)
    before = cluster.read(lambda transaction: transaction.tables())
    server.forget()

    assert settled(name, cluster, settings(server)).holds

    assert {one.endpoint for one in server.requests if one.command == "rows"} == {0, 1}
    assert cluster.read(lambda transaction: transaction.tables()) == before
    for table in (PROBES, CLAIMS):
        assert not len(cluster.read(lambda one, of=table: one.select(of, ("shard",))))


@pytest.mark.parametrize("kind", ["closed before", "closed after", "unavailable", "hang"])
def test_a_probe_whose_answer_is_lost_is_made_again(
    server: Server, cluster: Cluster, kind: str
) -> None:
    """A fault says nothing of a guard, and two processes must not take different ones."""
    server.faults = [Fault(kind=kind, method="PUT", command="rows", at=3, seconds=1.0)]

    assert choose(cluster, settings(server, guard="auto")).name == "r"


def test_where_no_transaction_can_be_ended_by_others_only_one_process_may_run(
    server: Server, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No switch of the server does that, so the plugin's call is taken away."""
    server.switches = NO_CONFLICTS
    monkeypatch.setattr(Cluster, "rollback", lambda self, txid: False)

    with pytest.raises(StoreError, match=r'; set guard = "process" and run exactly one process'):
        choose(cluster, settings(server, guard="auto"))
    assert choose(cluster, settings(server, guard="process")).name == "process"


def test_a_claim_of_a_process_that_died_holds_nobody_for_long(
    server: Server, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "_TURN", 0.2)
    server.switches = NO_CONFLICTS
    dead, heir = cluster.begin(), cluster.begin()
    rows = dead.select(SHARDS, ("shard", "commits")).to_pylist()
    shards = {row["shard"]: row["commits"] for row in rows}
    guard("k", cluster).enter(dead, shards)

    guard("k", cluster).enter(heir, shards)

    assert not dead.alive()
    claims = cluster.read(lambda one: one.select(CLAIMS, ("txid",)))
    assert set(claims.column(0).to_pylist()) == {heir.txid}
