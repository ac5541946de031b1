"""Writes that meet a fault or a rival, and commits without an answer, come to a certain end."""

from collections.abc import Iterator

import pytest
from tams_gateway_vast.transport.border import Away, Rival, Unsettled
from tams_gateway_vast.transport.cluster import Cluster

from plugins.vast.tests.tables import FAULTS, PLAIN, connected, numbers, prepared, rows, write
from tests.servers.vast import Fault, Server, Switches


@pytest.fixture
def server() -> Iterator[Server]:
    with prepared() as server:
        yield server


@pytest.fixture
def store(server: Server) -> Iterator[Cluster]:
    with connected(server) as made:
        yield made


@pytest.mark.parametrize("kind", FAULTS[1:])
def test_a_write_that_meets_a_fault_says_that_its_fate_is_unknown(
    server: Server, store: Cluster, kind: str
) -> None:
    transaction = store.begin()
    server.faults = [Fault(kind=kind, command="rows")]  # type: ignore[arg-type]
    with pytest.raises(Away, match=r"127\.0\.0\.\d:\d+: insert into plain: .*; "):
        transaction.insert(PLAIN, rows(1))
    assert store.rollback(transaction.txid)
    assert numbers(store) == []


def test_a_commit_that_did_not_arrive_is_rolled_back(server: Server, store: Cluster) -> None:
    transaction = store.begin()
    transaction.insert(PLAIN, rows(1))
    server.faults = [Fault(kind="closed before", method="PUT", command="transaction")]
    server.forget()
    assert store.commit(transaction) is False
    first, second = server.requests
    assert (second.method, second.txid) == ("DELETE", transaction.txid)
    assert first.endpoint != second.endpoint
    assert numbers(store) == []


@pytest.mark.parametrize("ended", [400, 404])
def test_a_commit_whose_answer_is_lost_is_for_its_writer_to_look_for(
    server: Server, store: Cluster, ended: int
) -> None:
    server.switches = Switches(ended=ended)  # type: ignore[arg-type]
    transaction = store.begin()
    transaction.insert(PLAIN, rows(1))
    server.faults = [Fault(kind="closed after", method="PUT", command="transaction")]
    assert store.commit(transaction) is None
    assert numbers(store) == [1]


def test_a_commit_is_settled_though_its_rollback_meets_a_fault(
    server: Server, store: Cluster
) -> None:
    transaction = store.begin()
    transaction.insert(PLAIN, rows(1))
    server.faults = [
        Fault(kind="closed before", method="PUT", command="transaction"),
        Fault(kind="closed after", method="DELETE", command="transaction"),
    ]
    assert store.commit(transaction) is None
    assert numbers(store) == []


def test_of_two_that_change_one_row_the_slower_is_a_rival(server: Server, store: Cluster) -> None:
    write(store, 1)
    for at in ("call", "commit"):
        server.switches = Switches(rows=at)  # type: ignore[arg-type]
        first, second = store.begin(), store.begin()
        found = [one.select(PLAIN, ["$row_id", "name"]) for one in (first, second)]
        first.update(PLAIN, found[0])
        if at == "call":
            with pytest.raises(Rival, match="update of plain: 409"):
                second.update(PLAIN, found[1])
            assert store.rollback(second.txid)
            assert store.commit(first)
        else:
            second.update(PLAIN, found[1])
            assert store.commit(first)
            assert store.commit(second) is False
            assert not store.rollback(second.txid)


@pytest.mark.parametrize("ended", [400, 404])
def test_whoever_finds_its_transaction_ended_is_a_rival(
    server: Server, store: Cluster, ended: int
) -> None:
    server.switches = Switches(ended=ended)  # type: ignore[arg-type]
    transaction = store.begin()
    with connected(server) as other:
        assert other.rollback(transaction.txid)
        assert not other.rollback(transaction.txid)
    with pytest.raises(Rival, match="ended by somebody else"):
        transaction.insert(PLAIN, rows(1))
    assert not transaction.alive()
    assert store.commit(transaction) is None


def test_a_commit_that_nobody_can_settle_is_not_tried_again(server: Server) -> None:
    with connected(server, patience=0.3) as store:
        transaction = store.begin()
        transaction.insert(PLAIN, rows(1))
        server.faults = [
            Fault(kind="closed after", method="PUT", command="transaction"),
            Fault(kind="closed before", method="DELETE", times=1000),
        ]
        with pytest.raises(Unsettled, match="whether it was made is not known"):
            store.commit(transaction)
        server.faults = []
        assert numbers(store) == [1]


def test_a_read_whose_transaction_is_ended_is_made_again(server: Server, store: Cluster) -> None:
    write(store, 1)
    server.faults = [Fault(kind="ended", command="data")]
    assert numbers(store) == [1]
