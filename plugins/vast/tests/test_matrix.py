"""Under every combination of a cluster's conflicts the store is right, by a guard that holds.

`python -m plugins.vast.tests.test_matrix` writes the table into docs/vast.md; each of its cells is
one of these tests. `TAMS_TEST_ROUNDS` is how often each writer of a race writes. With
`TAMS_TEST_VAST_ENDPOINT`, `_ACCESS_KEY`, `_SECRET_KEY` and `_BUCKET` the race runs on that cluster,
whose conflicts are what they are.
"""

import itertools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import msgspec
import pytest
import structlog
from tams_gateway_vast.metadata import VastMetadata
from tams_gateway_vast.settings import Settings
from tams_gateway_vast.tables.columns import Table
from tams_gateway_vast.transport.cluster import Transaction
from tams_gateway_vast.writing.guards import Name, commit_alone

from tams_gateway.events.event import Event
from tams_gateway.plugin import Secret
from tams_gateway.storage.changes import AddSegments, Emit, Put
from tams_gateway.storage.errors import ConflictError, OverlapError
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.testing.metadata_concurrency import at_once
from tams_gateway.testing.metadata_samples import (
    THING,
    all_segments,
    flow,
    record_of,
    segment,
    spans,
)
from tests.servers.vast import Server, Switches, vast
from tests.servers.vast.switches import Names, Rows

DOCS: Final = Path(__file__).parents[3] / "docs" / "vast.md"
COMMAND: Final = "python -m plugins.vast.tests.test_matrix"
BEGIN: Final = f"<!-- begin: {COMMAND} -->\n"
END: Final = "<!-- end -->\n"

REAL: Final = os.environ.get("TAMS_TEST_VAST_ENDPOINT")
ROUNDS: Final = int(os.environ.get("TAMS_TEST_ROUNDS", "25" if REAL else "2"))


def combinations() -> Iterator[Switches]:
    """Yield each in which another guard may be the cheapest; where rows conflict names are free."""
    for isolation in ("snapshot", "latest"):
        base = Switches(signature="off", isolation=isolation)
        for rows, late, after in itertools.product(
            get_args(Rows), (True, False), ("conflict", "go on")
        ):
            if rows == "waiting" or (rows != "none" and after == "conflict"):
                yield msgspec.structs.replace(
                    base, rows=rows, rows_conflict_with_committed=late, after_waiting=after
                )
        for names, late in itertools.product(get_args(Names), (True, False)):
            if names != "none" or late:
                yield msgspec.structs.replace(
                    base, rows="none", names=names, names_conflict_with_committed=late
                )


def cheapest(switches: Switches) -> Name:
    """Return the cheapest guard that holds there, as test_guards.py finds for each of them."""
    goes_on = switches.rows == "waiting" and switches.after_waiting == "go on"
    if switches.rows != "none":
        return "r" if switches.rows_conflict_with_committed and not goes_on else "r+"
    if switches.names != "none":
        seen = switches.names_conflict_with_committed or switches.isolation == "latest"
        return "n" if seen else "n+"
    return "k"


def told(switches: Switches | None) -> str:
    """Return a combination in one line."""
    return "real" if switches is None else "; ".join(cells(switches)).replace("`", "")


def cells(switches: Switches) -> list[str]:
    """Return a combination as the table has it: rows, names, what reads see."""
    waited = f"waits, then {_AFTER[switches.after_waiting]}"
    rows = waited if switches.rows == "waiting" else _WHEN[switches.rows]
    if switches.rows != "none":
        rows += _late(switches.rows_conflict_with_committed)
        return [rows, "any", _READS[switches.isolation]]
    names = _WHEN[switches.names]
    if switches.names != "none":
        names += _late(switches.names_conflict_with_committed)
    return [rows, names, _READS[switches.isolation]]


def _late(committed: bool) -> str:
    return ", after a commit too" if committed else ""


_WHEN: Final = {
    "none": "both commit",
    "commit": "409 at the commit",
    "call": "409 at the call",
    "both": "409 at the call, both rolled back",
}
_AFTER: Final = {"conflict": "409", "go on": "goes on"}
_READS: Final = {"snapshot": "its begin", "latest": "the call"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Server | None]:
    """A server on which the tables are made; None for a real cluster."""
    if REAL:
        yield None
        return
    with vast(endpoints=2, switches=Switches(signature="off")) as running:
        opened(settings(running, guard="process")).close()
        yield running


def settings(server: Server | None, **options: object) -> Settings:
    """Return settings for the server, or for the real cluster."""
    if server is None:
        names = ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY", "BUCKET")
        url, access, secret, bucket = (os.environ[f"TAMS_TEST_VAST_{name}"] for name in names)
        endpoints = [url]
    else:
        endpoints = server.endpoints
        access, secret, bucket = server.access, server.secret, server.bucket
    return Settings(
        endpoints=tuple(endpoints),
        access_key=Secret(access),
        secret_key=Secret(secret),
        bucket=bucket,
        **{"shards": 4, "patience": 60.0, **options},  # type: ignore[arg-type]
    )


def opened(chosen: Settings) -> VastMetadata:
    return VastMetadata(chosen, structlog.get_logger(), lambda: 0.0)


@pytest.mark.parametrize("switches", [None] if REAL else list(combinations()), ids=told)
def test_the_store_is_right(cluster: Server | None, switches: Switches | None) -> None:
    """As two processes would: nothing is shared but the cluster, not even a lock."""
    schema = f"matrix_{secrets.token_hex(4)}" if cluster is None else "tams"
    chosen = settings(cluster, schema=schema)
    named: Name | None = None
    if cluster is not None and switches is not None:
        cluster.switches = switches
        named = cheapest(switches)
    # Both look for what holds at the same time.
    first, second = at_once(
        [
            lambda: opened(chosen),
            lambda: opened(msgspec.structs.replace(chosen, guard=named or "auto")),
        ]
    )
    try:
        assert first.guard.name == second.guard.name == (named or first.guard.name)
        race([first, second], ROUNDS)
    finally:
        if cluster is None:
            commit_alone(first.cluster, drop)
        first.close()
        second.close()


def drop(transaction: Transaction) -> None:
    for name in transaction.tables():
        transaction.drop_table(Table(name, ()))
    transaction.drop_schema()


def race(stores: list[VastMetadata], rounds: int) -> None:
    """Let two threads of each store count up, and add segments that only one can add."""
    name = f"race-{secrets.token_hex(4)}"
    stores[0].apply([Put(THING, name, b"0"), flow(name)])
    before = stores[0].tip()

    def write(store: MetadataStore) -> int:
        won = 0
        for number in range(rounds):
            count_up(store, name)
            won += add(store, name, number)
        return won

    writers = [*stores, *stores]
    won = at_once([lambda store=one: write(store) for one in writers])  # type: ignore[misc]

    total = rounds * len(writers)
    assert record_of(stores[0], name).body == b"%d" % total
    told = [one.body for one in stores[1].events(before, 1000).items if one.fields == ours(name)]
    assert told == [b"%d" % number for number in range(1, total + 1)]
    assert sum(won) == rounds
    assert spans(all_segments(stores[1], name)) == [
        (number * 10, number * 10 + 10) for number in range(rounds)
    ]


def count_up(store: MetadataStore, name: str) -> None:
    """Add one by compare and swap, and tell of it."""
    while True:
        record = record_of(store, name)
        body = b"%d" % (int(record.body) + 1)
        event = Event("flows/updated", 1, body, ours(name))
        try:
            return store.apply([Put(THING, name, body, {}, record.version), Emit([event])])
        except ConflictError:
            continue


def add(store: MetadataStore, name: str, number: int) -> bool:
    """Add a segment where all others do; return whether this one did."""
    at = number * 10
    try:
        store.apply([AddSegments(name, 0, [segment(at, at + 10)], 1)])
    except OverlapError:
        return False
    return True


def ours(name: str) -> dict[str, str]:
    return {"flow_id": name}


def table() -> str:
    """Return what `guard = "auto"` takes in each combination, as Markdown."""
    head = ("second to change a row", "second to change a name", "reads see what was at", "guard")
    lines = [
        head,
        ["---"] * len(head),
        *([*cells(one), f"`{cheapest(one)}`"] for one in combinations()),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("| --- ", "|---")


def document() -> str:
    """Return docs/vast.md with the table as it must be."""
    before, _, rest = DOCS.read_text().partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


def test_the_table_is_up_to_date() -> None:
    assert document() == DOCS.read_text(), f"run {COMMAND}"


if __name__ == "__main__":
    DOCS.write_text(document())
