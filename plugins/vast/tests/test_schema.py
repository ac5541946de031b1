"""Schema and tables: made once, migrated, refused; and their projections."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
import structlog
from tams_gateway_vast import projections
from tams_gateway_vast.migration import Step, add_columns
from tams_gateway_vast.schema import Schema, open_schema
from tams_gateway_vast.settings import Settings
from tams_gateway_vast.tables.columns import Column, Table
from tams_gateway_vast.tables.kind_tables import OBJECTS, SOURCES
from tams_gateway_vast.tables.layout import LAYOUTS, OUTBOX, SCHEMA_VERSIONS, SHARDS, TAGS, Layouts
from tams_gateway_vast.tables.rows import arrow
from tams_gateway_vast.transport.cluster import Cluster, Transaction

from tams_gateway.plugin import Secret
from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.packing import pack_fields
from tests.servers.vast import Fault, Server


def settings(server: Server, **options: object) -> Settings:
    return Settings(
        endpoints=tuple(server.endpoints),
        access_key=Secret(server.access),
        secret_key=Secret(server.secret),
        bucket=server.bucket,
        **{"shards": 8, "patience": 5.0, **options},  # type: ignore[arg-type]
    )


def connected(server: Server, **options: object) -> tuple[Cluster, Settings]:
    chosen = settings(server, **options)
    return Cluster(chosen, structlog.get_logger(), lambda: 0.0), chosen


def column(cluster: Cluster, table: Table, name: str) -> list[object]:
    found: list[object] = cluster.read(
        lambda transaction: transaction.select(table, (name,)).column(0).to_pylist()
    )
    return sorted(found, key=repr)


def test_the_first_start_makes_all_tables_in_one_transaction(server: Server) -> None:
    cluster, chosen = connected(server)
    open_schema(cluster, chosen)

    tables = cluster.read(lambda transaction: transaction.tables())
    assert tables == {one.name: bool(one.sorted_by) for one in LAYOUTS.tables}
    assert cluster.sorted == {one.name for one in LAYOUTS.tables if one.sorted_by}
    for table in LAYOUTS.tables:
        assert cluster.read(lambda transaction, one=table: transaction.columns(one)) == table.schema
    assert column(cluster, SHARDS, "shard") == list(range(8))
    assert set(column(cluster, SHARDS, "commits")) == {0}
    assert column(cluster, OUTBOX, "forgotten") == [None]
    assert column(cluster, SCHEMA_VERSIONS, "version") == [1]
    assert server.count("PUT", "transaction") == 1


def test_a_later_start_looks_and_writes_nothing(server: Server) -> None:
    open_schema(*connected(server))
    server.forget()

    open_schema(*connected(server, auto_init=False))

    assert len(server.requests) <= 5
    assert {one.method for one in server.requests} <= {"GET", "POST", "DELETE"}
    assert {one.command for one in server.requests if one.method != "GET"} == {"transaction"}


@pytest.mark.parametrize("names", ["call", "commit", "both"])
def test_of_two_hosts_one_makes_the_tables(server: Server, names: str) -> None:
    server.switches = msgspec.structs.replace(server.switches, names=names)
    hosts = [connected(server) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(open_schema, *host) for host in hosts]:
            done.result()

    for cluster, _ in hosts:
        assert column(cluster, SCHEMA_VERSIONS, "version") == [1]
        assert column(cluster, SHARDS, "shard") == list(range(8))
        assert "flows" in cluster.sorted


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="closed after", method="PUT", command="transaction"),
        Fault(kind="closed before", method="PUT", command="transaction"),
        Fault(kind="closed after", method="POST", command="table", at=9),
        Fault(kind="unavailable", method="POST", command="rows"),
    ],
    ids=lambda fault: f"{fault.kind} {fault.method} {fault.command}",
)
def test_a_fault_while_the_tables_are_made_leaves_nothing_half_made(
    server: Server, fault: Fault
) -> None:
    cluster, chosen = connected(server)
    server.faults = [fault]

    open_schema(cluster, chosen)

    assert column(cluster, SCHEMA_VERSIONS, "version") == [1]
    assert column(cluster, SHARDS, "shard") == list(range(8))


def test_without_auto_init_the_command_is_named_and_nothing_made(server: Server) -> None:
    cluster, chosen = connected(server, auto_init=False)

    with pytest.raises(StoreError, match=r"run: tams-gateway vast init$"):
        open_schema(cluster, chosen)

    assert cluster.read(lambda transaction: transaction.tables()) == {}


def test_tables_of_other_software_are_refused(server: Server) -> None:
    cluster, chosen = connected(server)

    def make(transaction: Transaction) -> bool:
        transaction.create_schema()
        transaction.create_table(Table("flows", (Column("id", SOURCES.schema[0].type),)), False)
        return True

    assert Schema(cluster, chosen).settle(make)
    with pytest.raises(StoreError, match="tables of other software: flows; name another schema"):
        open_schema(cluster, chosen)


def test_newer_tables_are_refused(server: Server) -> None:
    open_schema(*connected(server), steps=[Step(7, lambda _: None)])

    with pytest.raises(StoreError, match="version 7, and this plugin takes 1; install the newer"):
        open_schema(*connected(server))


def test_a_lost_table_is_told(server: Server) -> None:
    cluster, chosen = connected(server)
    open_schema(cluster, chosen)

    def drop(transaction: Transaction) -> bool:
        transaction.drop_table(TAGS)
        return True

    Schema(cluster, chosen).settle(drop)
    with pytest.raises(StoreError, match="has lost tables: tags"):
        open_schema(cluster, chosen)


ADDED = ("size", "sha256")
BEFORE = msgspec.structs.replace(
    OBJECTS, columns=tuple(one for one in OBJECTS.columns if one.name not in ADDED)
)
"""Objects as a version before knew them."""

STEPS: Sequence[Step] = [
    Step(2, lambda transaction: add_columns(transaction, OBJECTS, ADDED)),
    Step(3, lambda transaction: add_columns(transaction, SOURCES, ["label"])),
]


def older(server: Server) -> None:
    """Make tables of version 1, with objects."""
    cluster, chosen = connected(server)
    open_schema(cluster, chosen, Layouts({"object": BEFORE}))
    rows = [
        {
            "id": f"o-{number:04}",
            "version": 1,
            "body": b'{"sha256":"%d"}' % number,
            "fields": pack_fields({"size": number}),
        }
        for number in range(1200)
    ]

    def fill(transaction: Transaction) -> bool:
        transaction.insert(BEFORE, arrow(BEFORE, rows))
        return True

    Schema(cluster, chosen).settle(fill)


def test_older_tables_get_new_columns_filled_in_one_transaction(server: Server) -> None:
    older(server)
    with pytest.raises(StoreError, match=r"run: tams-gateway vast migrate$"):
        open_schema(*connected(server, auto_init=False), steps=STEPS[:1])
    server.forget()

    cluster, chosen = connected(server)
    open_schema(cluster, chosen, steps=STEPS[:1])

    found = cluster.read(
        lambda transaction: transaction.select(OBJECTS, ("id", "size", "sha256", "version"))
    ).to_pylist()
    assert len(found) == 1200
    assert all(int(one["id"][2:]) == one["size"] == int(one["sha256"]) for one in found)
    assert column(cluster, SCHEMA_VERSIONS, "version") == [1, 2]
    assert server.count("PUT", "transaction") == 1


def test_a_migration_that_fails_changes_nothing(server: Server) -> None:
    older(server)

    # Sources have a column `label` already: the second step fails, and so the first is undone.
    with pytest.raises(StoreError):
        open_schema(*connected(server, patience=0.3), steps=STEPS)

    cluster, _ = connected(server)
    assert column(cluster, SCHEMA_VERSIONS, "version") == [1]
    assert "size" not in cluster.read(lambda transaction: transaction.column_names("objects"))


def test_of_two_hosts_one_migrates(server: Server) -> None:
    older(server)
    hosts = [connected(server) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(open_schema, *host, steps=STEPS[:1]) for host in hosts]:
            done.result()

    assert column(hosts[0][0], SCHEMA_VERSIONS, "version") == [1, 2]


def test_a_cluster_that_does_not_sort_gets_projections_where_they_are_wanted(
    server: Server,
) -> None:
    server.switches = msgspec.structs.replace(server.switches, version="5.3.0.0")
    cluster, chosen = connected(server, projections=True)
    open_schema(cluster, chosen)

    assert cluster.sorted == set()
    found = cluster.read(lambda transaction: projections.wanted(transaction, LAYOUTS))
    assert all(one.stats is not None for one in found)
    names = {(one.projection.table.name, one.projection.sorted_by) for one in found}
    assert {
        ("segments", ("flow_id", "life", "end_ns")),
        ("flow_object_references", ("object_id",)),
        ("records", ("kind", "id")),
        ("webhooks", ("id",)),
        ("tags", ("tag_name", "tag_value")),
        ("tags", ("entity_type", "entity_id")),
    } <= names
    for one in found:
        assert {*one.projection.sorted_by, *one.projection.others} <= {
            column.name for column in one.projection.table.columns
        }

    def drop(transaction: Transaction) -> bool:
        return bool(projections.drop_all(transaction, LAYOUTS))

    Schema(cluster, chosen).settle(drop)
    found = cluster.read(lambda transaction: projections.wanted(transaction, LAYOUTS))
    assert all(one.stats is None for one in found)


def test_sorting_that_the_cluster_cannot_do_is_refused_and_may_be_left_out(server: Server) -> None:
    cluster, chosen = connected(server, sorting=False)
    open_schema(cluster, chosen)
    assert cluster.sorted == set()

    server.switches = msgspec.structs.replace(server.switches, version="5.3.4.9")
    with pytest.raises(StoreError, match=r"needs VAST 5\.3\.5, and this is 5\.3\.4\.9; leave it"):
        open_schema(*connected(server, sorting=True, schema="other"))


def test_a_table_that_is_sorted_needs_no_projection_of_that_order(server: Server) -> None:
    cluster, chosen = connected(server)
    open_schema(cluster, chosen)

    found = cluster.read(lambda transaction: projections.wanted(transaction, LAYOUTS))
    assert [one.projection.name for one in found] == [
        "by_entity_type_entity_id",
        "by_field_value",
        "by_flow_id",
        "by_collection_id",
    ]
