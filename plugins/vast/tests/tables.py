"""A cluster of two endpoints with two small tables, and what tests do with them."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pyarrow as pa
import structlog
from tams_gateway_vast.settings import Settings
from tams_gateway_vast.tables.columns import Column, Table
from tams_gateway_vast.transport.cluster import Cluster

from tams_gateway.plugin import Secret
from tests.servers.vast import Server, vast

PLAIN = Table("plain", (Column("name", pa.string()), Column("number", pa.int64())))
SORTED = Table("sorted", PLAIN.columns, ("number",))

FAULTS = (
    *("slow down", "unavailable", "bad gateway", "error"),
    *("closed before", "closed after", "cut"),
)
"""The faults of the test server that end at once."""


@contextmanager
def connected(server: Server, **options: object) -> Iterator[Cluster]:
    """Connect to a server, and know what is sorted there."""
    with closing(cluster(server.endpoints, server, **options)) as made:
        made.sorted.add(SORTED.name)
        yield made


def cluster(endpoints: list[str], server: Server | None = None, **options: object) -> Cluster:
    given = {
        "access_key": Secret("tests" if server is None else server.access),
        "secret_key": Secret("" if server is None else server.secret),
        "bucket": "vastdb" if server is None else server.bucket,
        "patience": 1.0,
        "timeout": 5.0,
    }
    settings = Settings(tuple(endpoints), **{**given, **options})  # type: ignore[arg-type]
    return Cluster(settings, structlog.get_logger(), time.time)


@contextmanager
def prepared() -> Iterator[Server]:
    """Run a server of two endpoints, with the two tables."""
    with vast(endpoints=2) as server:
        with connected(server) as made:
            transaction = made.begin()
            transaction.create_schema()
            transaction.create_table(PLAIN, sorting=True)
            transaction.create_table(SORTED, sorting=True)
            assert made.commit(transaction)
        server.forget()
        yield server


def rows(*numbers: int) -> pa.Table:
    return pa.table([[f"n{one}" for one in numbers], numbers], schema=PLAIN.schema)


def write(store: Cluster, *numbers: int, table: Table = PLAIN) -> None:
    transaction = store.begin()
    transaction.insert(table, rows(*numbers))
    assert store.commit(transaction)


def numbers(store: Cluster, table: Table = PLAIN) -> list[int]:
    found = store.read(lambda transaction: transaction.select(table, ["number"]))
    return sorted(found.column("number").to_pylist())


def connections(store: Cluster) -> int:
    """Return how many connections were opened so far."""
    return sum(
        session.pool.num_connections
        for endpoint in store.endpoints.all
        for session in endpoint._api._sessions.values()
    )
