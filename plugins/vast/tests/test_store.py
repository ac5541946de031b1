"""The whole store on the test server: what it asks of a cluster, and what it survives."""

import itertools
import multiprocessing
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tams_gateway_vast.metadata import VastMetadata
from tams_gateway_vast.settings import Settings
from tams_gateway_vast.writing import queues, shards

from plugins.vast.tests.conftest import opened, settings
from tams_gateway.domain.timerange import Span
from tams_gateway.events.event import Event
from tams_gateway.storage.changes import (
    ABSENT,
    AddSegments,
    Change,
    Delete,
    DropSegments,
    Emit,
    Expect,
    Put,
)
from tams_gateway.storage.errors import ConflictError, OverlapError, StoreError
from tams_gateway.storage.query import Equal, Query, SegmentQuery, UseQuery
from tams_gateway.storage.records import FieldType, Kind, Use
from tams_gateway.testing.client import Answer
from tams_gateway.testing.metadata_concurrency import at_once
from tams_gateway.testing.metadata_samples import all_segments, record_of, row, segment
from tests.deployments import config, in_process
from tests.servers.vast import Fault, Server, Switches, vast

FLOW = Kind(
    "flow",
    {"created": FieldType.INT, "label": FieldType.TEXT, "life": FieldType.INT},
    tags=True,
    segments=True,
)
OBJECT = Kind("object", {"size": FieldType.INT, "storage_ids": FieldType.SET})
"""As the core declares them, in part: they have tables."""


@pytest.fixture
def store(server: Server) -> Iterator[VastMetadata]:
    with closing(opened(settings(server))) as store:
        yield store


def put_flow(flow_id: str = "f", label: str = "a") -> Put:
    return Put(FLOW, flow_id, b"{}", {"created": 1, "label": label, "life": 0})


def put_object(object_id: str, expect: int = ABSENT) -> Put:
    return Put(OBJECT, object_id, b"{}", {"size": 7, "storage_ids": frozenset("s")}, expect)


def posted(store: VastMetadata, at: int, object_id: str) -> list[Change]:
    """Return what a POST of one segment applies: its object was allocated before."""
    flow, one = record_of(store, "f", FLOW), record_of(store, object_id, OBJECT)
    return [
        Expect(FLOW, "f", flow.version),
        put_object(object_id, one.version),
        AddSegments("f", 0, [segment(at * 10, at * 10 + 10, object_id)], 5),
        Emit([Event("flows/segments_added", at, b"{}", {"flow_id": "f"})]),
    ]


def test_each_call_asks_as_little_as_it_can(server: Server, store: VastMetadata) -> None:
    """The requests of the issue: 3 for a flow, 5 for a page, 12 for a segment, 4 for a listing."""
    store.apply([put_flow(), put_object("o")])
    added = posted(store, 0, "o")
    server.forget()
    store.apply(added)
    assert len(server.requests) <= 12
    tables = [one.table.rpartition("/")[2] for one in server.requests]
    assert "segments" in tables
    assert tables.count("shards") == 2

    server.forget()
    store.apply([AddSegments("f", 0, row(10_000)[1:], 9)])
    bulk = len(server.requests)
    written = sum(one.command == "rows" and one.method == "POST" for one in server.requests)
    assert bulk - written <= 12 - 4

    for most, read in (
        (3, lambda: store.get(FLOW, ["f"])),
        (5, lambda: store.segments(SegmentQuery("f", 0, Span(5000, 20_000), limit=100))),
        (5, lambda: store.segments(SegmentQuery("f", 0, reverse=True, limit=1))),
        (4, lambda: store.find(Query(FLOW, (Equal("label", "a"),)))),
        (4, lambda: store.find(Query(FLOW))),
    ):
        server.forget()
        assert read()
        assert len(server.requests) <= most, server.requests


def test_a_window_reads_few_rows_more_than_it_returns(server: Server, store: VastMetadata) -> None:
    store.apply([put_flow(), AddSegments("f", 0, row(20_000), 9)])
    server.forget()
    found = store.segments(SegmentQuery("f", 0, Span(50_000, 150_000), after=60_000, limit=100))
    read = sum(one.rows for one in server.requests if one.table.endswith("/segments"))
    assert 100 == len(found.items)
    assert read <= 300


def test_what_is_refused_in_memory_is_not_asked_for(server: Server, store: VastMetadata) -> None:
    server.forget()
    store.apply([])
    assert {} == store.get(FLOW, [])
    assert [] == server.requests


def test_writers_of_one_flow_are_committed_together(
    server: Server, store: VastMetadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen clients wait for a cluster of 2 ms: most of their commits become one."""
    store.apply([put_flow()])
    together, commits = queues.CALLERS, {}
    for callers in (together, 1):
        monkeypatch.setattr(queues, "CALLERS", callers)
        server.switches = Switches(signature="off", latency=0.002)
        server.forget()

        def post(number: int, callers: int = callers) -> None:
            at = number * 100 + 10_000 * callers
            for turn in range(4):
                store.apply([AddSegments("f", 0, [segment(at + turn, at + turn + 1)], 1)])

        at_once([lambda number=number: post(number) for number in range(16)])  # type: ignore[misc]
        commits[callers] = sum(
            one.method == "PUT" and one.command == "transaction" for one in server.requests
        )
    assert 64 == commits[1]
    assert commits[together] <= 64 / 5
    assert 128 == len(all_segments(store, "f"))


def test_what_one_caller_must_not_do_hurts_none_that_is_committed_with_it(
    server: Server, store: VastMetadata
) -> None:
    store.apply([put_flow(), AddSegments("f", 0, row(1), 1)])
    server.switches = Switches(signature="off", latency=0.005)
    outcomes: dict[int, type[Exception] | None] = {}

    def post(number: int) -> None:
        start = 0 if number % 3 == 0 else number * 10
        changes: list[Change] = [AddSegments("f", 0, [segment(start, start + 10, "x")], 1)]
        if number % 3 == 1:
            changes.append(Expect(OBJECT, "nowhere", 7))
        try:
            store.apply(changes)
            outcomes[number] = None
        except StoreError as error:
            outcomes[number] = type(error)

    at_once([lambda number=number: post(number) for number in range(1, 13)])  # type: ignore[misc]
    expected = {0: OverlapError, 1: ConflictError, 2: None}
    assert {number: expected[number % 3] for number in range(1, 13)} == outcomes
    assert [0, 20, 50, 80, 110] == [one.start_ns for one in all_segments(store, "f")]


def test_events_of_one_commit_come_in_its_order(store: VastMetadata) -> None:
    """A receiver meets the creation of a source before that of its flow, whatever their shards."""
    for number in range(12):
        names = {"source_id": f"source-{number}"}, {"flow_id": f"flow-{number}"}
        store.apply([Emit([Event("flows/created", number, b"", one) for one in names])])
    found = store.events(None, 100).items
    for number in range(12):
        met = [one for one in found if f"-{number}'" in repr(one.fields)]
        assert [True, False] == ["source_id" in one.fields for one in met]


def test_long_bodies_stand_in_parts_and_go_with_their_rows(store: VastMetadata) -> None:
    long = [segment(0, 10), segment(10, 20)]
    long = [type(one)(one.start_ns, one.end_ns, "o", b"x" * 300_000, 1) for one in long]
    event = Event("flows/created", 1, b"y" * 400_000, {"flow_id": "f"})
    store.apply(
        [Put(FLOW, "f", b"z" * 6_000_000, {"life": 0}), AddSegments("f", 0, long, 1), Emit([event])]
    )
    assert b"z" * 6_000_000 == record_of(store, "f", FLOW).body
    assert long == all_segments(store, "f")
    assert [event] == store.events(None, 10).items
    store.apply([Put(FLOW, "f", b"short", {"life": 0}), DropSegments("f", 0, long, 2)])
    assert b"short" == record_of(store, "f", FLOW).body
    assert 4 == _rows(store, "parts")  # Those of the event.


def test_lives_and_references_are_counted_to_the_end(store: VastMetadata) -> None:
    """Nothing stays in a table whose reason is gone."""
    store.apply([AddSegments("f", 0, [segment(0, 10, "o", "init")], 1)])
    assert [1, 2] == [_rows(store, name) for name in ("lives", "flow_object_references")]
    store.apply([put_flow(), AddSegments("f", 0, [segment(10, 20, "o", "init")], 2)])
    assert [0, 3] == [_rows(store, name) for name in ("lives", "flow_object_references")]
    store.apply([Delete(FLOW, "f")])
    assert 1 == _rows(store, "lives")
    store.apply([put_flow(), AddSegments("f", 0, [segment(20, 30, "p", "init")], 3)])
    assert [Use("f", 0)] == store.uses(UseQuery("init", as_init=True)).items
    store.apply([DropSegments("f", 0, all_segments(store, "f"), 4)])
    assert [0, 0] == [_rows(store, name) for name in ("segments", "flow_object_references")]
    store.apply([put_flow("f", "b"), put_object("o")])
    assert 1 == _rows(store, "field_values")
    store.apply([Delete(FLOW, "f"), Delete(OBJECT, "o")])
    assert [0] * 4 == [_rows(store, name) for name in ("flows", "objects", "field_values", "lives")]


def _rows(store: VastMetadata, name: str) -> int:
    table = next(one for one in store.layouts.tables if one.name == name)
    found = store.cluster.read(
        lambda transaction: transaction.select(table, [table.columns[0].name])
    )
    return int(found.num_rows)


KINDS = (
    "slow down",
    "unavailable",
    "bad gateway",
    "error",
    "closed before",
    "closed after",
    "cut",
    "hang",
    "ended",
)


@pytest.mark.parametrize("kind", KINDS)
def test_one_fault_at_any_request_of_an_ingest_loses_and_doubles_nothing(kind: str) -> None:
    """Each request in turn goes wrong once, on one of two endpoints."""
    with (
        vast(endpoints=2, switches=Switches(signature="off")) as server,
        closing(opened(settings(server, timeout=0.25))) as store,
    ):
        store.apply([put_flow()])
        for at in itertools.count(1):
            store.apply([put_object(f"o{at}")])
            changes = posted(store, at, f"o{at}")
            server.forget()
            # A begin ends nothing: there that fault is none.
            if (kind, at) != ("ended", 1):
                server.faults = [Fault(kind=kind, at=at, seconds=0.4)]  # type: ignore[arg-type]
            store.apply(changes)
            asked = len(server.requests)
            server.faults = []
            assert at == len(all_segments(store, "f")), f"{kind} at request {at}"
            assert at == len(store.events(None, 1000).items)
            assert [Use("f", 0)] == store.uses(UseQuery(f"o{at}")).items
            if asked < at:
                break
        assert at > 10
        assert {} == server.transactions._holders, "a row is held by nobody who lives"


def test_a_commit_whose_answer_is_lost_for_good_is_told_apart(
    server: Server, store: VastMetadata
) -> None:
    """An answer that is lost says nothing: the token in the shard's history does."""
    store.apply([put_flow()])
    for number, kind in enumerate(("closed before", "closed after")):
        server.faults = [Fault(kind=kind, method="PUT", command="transaction")]  # type: ignore[arg-type]
        token = secrets.token_hex(4)
        store.apply([AddSegments("f", 0, [segment(number, number + 1, token)], 1)])
        assert [token] == [one.object_id for one in all_segments(store, "f")][number:]


def test_a_commit_that_nobody_can_settle_is_never_made_twice(server: Server) -> None:
    """Its callers get an error, though it was made: what they send again says so."""
    with closing(opened(settings(server, patience=0.4, timeout=0.2))) as store:
        store.apply([put_flow()])
        server.faults = [
            Fault(kind="closed after", method="PUT", command="transaction"),
            Fault(kind="unavailable", method="DELETE", command="transaction", times=10**6),
        ]
        with pytest.raises(StoreError):
            store.apply([AddSegments("f", 0, row(1), 1)])
        server.faults = []
        assert row(1) == all_segments(store, "f")
        with pytest.raises(OverlapError):
            store.apply([AddSegments("f", 0, row(1), 1)])


def test_ready_and_check_show_each_endpoint(tmp_path: Path) -> None:
    """One that is away degrades the gateway, and hinders no request."""
    with vast(endpoints=2, switches=Switches(signature="off")) as server:
        first, second = server.endpoints
        chosen = {
            "plugin": "vast",
            "endpoints": [first, second],
            "bucket": server.bucket,
            "access_key": server.access,
            "secret_key": server.secret,
            "guard": "r",
        }
        for kind in ("wsgi-memory", "asgi-memory"):
            (folder := tmp_path / kind).mkdir()
            with in_process(kind, config(kind, folder, {"metadata": chosen}), []) as deployment:
                ready = deployment.client.get("/ready")
                assert ({first: True, second: True}, "ok") == _shown(ready)
        server.stop(1)
        with in_process(kind, config(kind, folder, {"metadata": chosen}), []) as deployment:
            ready = deployment.client.get("/ready")
            assert 200 == ready.status
            assert ({first: True, second: False}, "degraded") == _shown(ready)
            assert 200 == deployment.client.get("/flows").status
            found = deployment.gateway.metadata.check()
            assert found.ok
            assert f"{second}: begin: " in found.detail


def _shown(ready: Answer) -> tuple[object, object]:
    return ready.json["parts"]["metadata"], ready.json["status"]


def test_what_a_killed_process_left_open_is_ended_by_the_next_writer(server: Server) -> None:
    """The cluster itself would end it after minutes."""
    with closing(opened(settings(server))) as store:
        store.apply([put_flow()])
        fork = multiprocessing.get_context("fork")
        killed = fork.Process(target=_die_while_writing, args=(settings(server),))
        killed.start()
        killed.join(20)
        assert -signal.SIGKILL == killed.exitcode
        assert server.transactions._holders
        store.apply([put_flow("f", "goes on")])
        assert "goes on" == record_of(store, "f", FLOW).fields["label"]
        assert {} == server.transactions._holders
    assert not settings(server).journal_folder.exists()


def _die_while_writing(chosen: Settings) -> None:
    """Change the flow, and end before the commit."""
    store = opened(chosen)
    store.guard.seal = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    store.apply([put_flow("f", "never")])


def test_writers_that_never_get_their_turn_are_told_so(server: Server) -> None:
    """Not as a conflict, which its caller would try again at once."""
    with closing(opened(settings(server, patience=0.4))) as store:
        store.apply([put_flow()])
        rival = store.cluster.begin()
        met = shards.read(rival)
        shards.write(rival, met, 1, {})
        with pytest.raises(StoreError) as caught:
            store.apply([put_flow("f", "b")])
        assert not isinstance(caught.value, ConflictError)
        store.cluster.rollback(rival.txid)
        store.apply([put_flow("f", "b")])


def test_a_cluster_that_stays_away_is_told_in_time(server: Server) -> None:
    with closing(opened(settings(server, patience=0.3, timeout=0.2))) as store:
        store.apply([put_flow()])
        server.faults = [Fault(kind="unavailable", times=10**6)]
        for call in (lambda: store.get(FLOW, ["f"]), lambda: store.apply([put_flow("g")])):
            with pytest.raises(StoreError, match="503"):
                call()
        server.faults = []
        assert {} == store.get(FLOW, ["g"])
        threads = [threading.Thread(target=store.apply, args=([put_flow("g")],)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        assert "g" == record_of(store, "g", FLOW).id
