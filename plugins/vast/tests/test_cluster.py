"""Transactions: few requests, kept connections, rows and tables read and changed."""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from subprocess import run

import pyarrow as pa
import pytest
from tams_gateway_vast.tables.columns import Table
from tams_gateway_vast.transport.border import Refused
from tams_gateway_vast.transport.cluster import Cluster, Transaction
from tams_gateway_vast.transport.predicates import From, Is, Under

from plugins.vast.tests.tables import (
    PLAIN,
    SORTED,
    connected,
    connections,
    numbers,
    prepared,
    write,
)
from tams_gateway.storage.errors import StoreError
from tests.servers.vast import Server, Switches


@pytest.fixture
def server() -> Iterator[Server]:
    with prepared() as server:
        yield server


@pytest.fixture
def store(server: Server) -> Iterator[Cluster]:
    with connected(server) as made:
        yield made


def asked(server: Server) -> list[str]:
    return [f"{one.method} {one.command}" for one in server.requests]


def test_a_read_and_a_write_are_three_requests_each(server: Server, store: Cluster) -> None:
    write(store, 1)
    assert asked(server) == ["POST transaction", "POST rows", "PUT transaction"]
    server.forget()
    assert numbers(store) == [1]
    assert asked(server) == ["POST transaction", "GET data", "DELETE transaction"]


def test_connections_are_kept(server: Server, store: Cluster) -> None:
    """As many to each endpoint as requests were under way at one moment, also after a burst."""
    write(store, *range(2000))
    for _ in range(10):
        numbers(store)
    assert connections(store) == 2
    server.switches = Switches(latency=0.01)
    with ThreadPoolExecutor(16) as pool:
        for _ in range(4):
            assert list(pool.map(lambda _: len(numbers(store)), range(16))) == [2000] * 16
    assert 2 < connections(store) <= 2 * 16


@pytest.mark.parametrize("table", [PLAIN, SORTED], ids=lambda table: table.name)
def test_rows_are_changed_by_their_ids(store: Cluster, table: Table) -> None:
    write(store, *range(10), table=table)
    transaction = store.begin()
    found = transaction.select(
        table, ["$row_id", "number"], [From("number", 4), Under("number", 8)]
    )
    ids = {
        number: int(one)
        for one, number in zip(*map(pa.ChunkedArray.to_pylist, found.columns), strict=True)
    }
    assert ids.keys() == {4, 5, 6, 7}
    changed = pa.table({"$row_id": pa.array([ids[6], ids[5]], pa.int64()), "name": ["six", "five"]})
    transaction.update(table, changed)
    transaction.delete(table, [ids[7], ids[4]])
    assert store.commit(transaction)
    found = store.read(
        lambda transaction: transaction.select(table, ["name", "number"], [From("number", 4)])
    )
    assert {(5, "five"), (6, "six"), (8, "n8"), (9, "n9")} == {
        (row["number"], row["name"]) for row in found.to_pylist()
    }


def test_a_select_goes_on_where_an_answer_ends(server: Server, store: Cluster) -> None:
    count = 131_072 + 10
    write(store, *range(count))
    server.forget()
    assert numbers(store) == list(range(count))
    assert server.count(command="data") == 2


def test_a_select_may_be_limited(server: Server, store: Cluster) -> None:
    write(store, *range(1000))
    found = store.read(lambda transaction: transaction.select(PLAIN, ["number"], limit=10))
    assert len(set(found.column("number").to_pylist())) == 10
    nothing = store.read(
        lambda transaction: transaction.select(PLAIN, ["name"], [Is("number", -1)])
    )
    assert (len(nothing), nothing.schema.names) == (0, ["name"])


def test_what_is_too_much_for_one_request_is_sent_in_several(
    server: Server, store: Cluster
) -> None:
    big = pa.table([["x" * 100_000] * 80, range(80)], schema=PLAIN.schema)
    transaction = store.begin()
    transaction.insert(PLAIN, big)
    assert server.count("POST", "rows") == 2
    found = transaction.select(PLAIN, ["$row_id", "name"])
    transaction.update(PLAIN, found)
    assert server.count("PUT", "rows") == 2
    assert store.commit(transaction)
    with connected(server, batch_rows=3) as small:
        server.forget()
        write(small, *range(10))
        assert server.count("POST", "rows") == 4


def test_the_catalogue_is_listed_and_changed(store: Cluster) -> None:
    transaction = store.begin()
    assert transaction.tables() == {"plain": False, "sorted": True}
    transaction.create_schema()
    transaction.add_columns(PLAIN, pa.schema([("more", pa.binary())]))
    transaction.rename_column(PLAIN, "name", "title")
    assert sorted(transaction.column_names("plain")) == ["more", "number", "title"]
    assert transaction.columns(SORTED) == SORTED.schema
    transaction.create_projection(PLAIN, "by_number", ["number"], ["more"])
    assert [one.name for one in transaction.projections(PLAIN)] == ["by_number"]
    transaction.drop_projection(PLAIN, "by_number")
    assert not transaction.projections(PLAIN)
    for table in (PLAIN, SORTED):
        transaction.drop_table(table)
    transaction.drop_schema()
    assert transaction.tables() == {}
    assert store.commit(transaction)


def test_the_version_comes_with_a_transaction(server: Server, store: Cluster) -> None:
    server.switches = Switches(version="5.3.2.7")
    assert [store.version, store.version] == [(5, 3, 2, 7)] * 2
    assert asked(server) == ["POST transaction", "DELETE transaction"]
    server.switches = Switches(version="of all")
    assert numbers(store) == []
    with pytest.raises(StoreError, match="'vast of all'; is this VAST"):
        assert store.version


def test_a_wrong_request_is_no_rival(store: Cluster) -> None:
    transaction = store.begin()
    wrong = pa.table({"name": [1]})
    with pytest.raises(Refused, match=r"insert into plain: 400 .*; report it"):
        transaction.insert(PLAIN, wrong)
    assert transaction.alive()
    assert store.rollback(transaction.txid)
    wide = Table("plain", PLAIN.columns)
    with pytest.raises(StoreError, match="larger than a request"):
        transaction.insert(wide, pa.table([["x" * 6_000_000], [1]], schema=PLAIN.schema))


def test_nothing_stays_open(server: Server, store: Cluster) -> None:
    def fail(transaction: Transaction) -> None:
        raise KeyError(transaction.txid)

    with pytest.raises(KeyError) as caught:
        store.read(fail)
    assert not store.rollback(caught.value.args[0])


def test_a_child_of_a_fork_connects_anew(server: Server, store: Cluster) -> None:
    write(store, 1, 2)
    numbers(store)
    opened = connections(store)
    ready, told = os.pipe()
    child = os.fork()
    if not child:
        try:
            fresh = connections(store)
            os.write(told, repr((fresh, numbers(store))).encode())
        finally:
            os._exit(0)
    os.close(told)
    assert os.read(ready, 100) == b"(0, [1, 2])"
    os.waitpid(child, 0)
    os.close(ready)
    assert numbers(store) == [1, 2]
    assert connections(store) == opened


def test_the_sdk_is_imported_when_the_store_is_opened() -> None:
    code = (
        "import sys; from tams_gateway.plugin.loader import load; load('vast').metadata_store();"
        "print(*sorted({'vastdb', 'pyarrow', 'requests', 'ibis'} & sys.modules.keys()))"
    )
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
