"""The VAST test server does what its switches and faults say; asked by the SDK, unpatched."""

import http.client
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, get_args

import ibis
import msgspec
import pyarrow as pa
import pytest
import requests
from vastdb import _internal as sdk
from vastdb import errors

from tests.servers.vast import Fault, Server, Switches, vast
from tests.servers.vast.client import SCHEMA, Client, serialized
from tests.servers.vast.process import vast_process
from tests.servers.vast.switches import Kind


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with vast(endpoints=2) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    """One server for all tests, as new for each."""
    running.switches = Switches()
    running.clear()
    yield running
    running.faults = []


@pytest.fixture
def client(server: Server) -> Client:
    """A client of a table with two rows."""
    client = Client(server)
    client.create(10, 20)
    server.forget()
    return client


def outcome(*steps: Callable[[], None]) -> list[str]:
    """Do steps one after the other, and tell which conflict."""
    found = []
    for step in steps:
        try:
            step()
        except errors.Conflict:
            found.append("conflict")
        else:
            found.append("done")
    return found


def race(
    client: Client, change: Callable[[int, int], None], *, second_while_first_open: bool
) -> list[str]:
    """Let two transactions, open at once, change something; return what call and commit gave."""
    first, second = client.begin(), client.begin()
    change(first, 1)
    if second_while_first_open:
        call = outcome(lambda: change(second, 2))
        return [*call, *outcome(lambda: client.commit(first)), *ended(client, second)]
    client.commit(first)
    return [*outcome(lambda: change(second, 2)), "done", *ended(client, second)]


def ended(client: Client, txid: int) -> list[str]:
    try:
        return outcome(lambda: client.commit(txid))
    except errors.BadRequest:
        return ["ended"]


@pytest.mark.parametrize(
    ("rule", "committed", "while_open", "after"),
    [
        # What the second call, the first commit and the second commit get; whose value stays.
        ("none", True, ("done done done", 2), ("done done done", 2)),
        ("commit", True, ("done done conflict", 1), ("done done conflict", 1)),
        ("commit", False, ("done done conflict", 1), ("done done done", 2)),
        ("call", True, ("conflict done done", 1), ("conflict done done", 1)),
        ("call", False, ("conflict done done", 1), ("done done done", 2)),
    ],
)
def test_of_two_that_change_one_row(
    server: Server,
    client: Client,
    rule: Any,
    committed: bool,
    while_open: tuple[str, int],
    after: tuple[str, int],
) -> None:
    server.switches = Switches(rows=rule, rows_conflict_with_committed=committed)

    def change(txid: int, value: int) -> None:
        client.update(txid, 0, value)

    for open_at_once, (expected, value) in ((True, while_open), (False, after)):
        found = race(client, change, second_while_first_open=open_at_once)
        assert (expected, value) == (" ".join(found), client.read()[0])


def test_rows_conflict_by_row_and_with_deletions(server: Server, client: Client) -> None:
    first, second, third = client.begin(), client.begin(), client.begin()
    client.update(first, 0, 1)
    client.update(second, 1, 2)
    assert ["conflict"] == outcome(lambda: client.delete(third, 0, 1))
    client.commit(first)
    client.commit(second)
    assert {0: 1, 1: 2} == client.read()


@pytest.mark.parametrize(
    ("after_waiting", "first_ends", "value"),
    [
        ("conflict", "commit", 1),
        ("go on", "commit", 2),
        ("conflict", "rollback", 2),
        ("go on", "rollback", 2),
    ],
)
def test_the_second_waits_for_the_end_of_the_first(
    server: Server, client: Client, after_waiting: Any, first_ends: str, value: int
) -> None:
    server.switches = Switches(rows="waiting", after_waiting=after_waiting)
    first, second = client.begin(), client.begin()
    client.update(first, 0, 1)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(outcome, lambda: client.update(second, 0, 2))
        waits(server)
        getattr(client.api, f"{first_ends}_transaction")(first)
        assert (["done"] if value == 2 else ["conflict"]) == waiting.result()
    client.commit(second)
    assert client.read()[0] == value


def test_of_two_that_wait_for_each_other_one_is_refused(server: Server, client: Client) -> None:
    server.switches = Switches(rows="waiting")
    first, second = client.begin(), client.begin()
    client.update(first, 0, 1)
    client.update(second, 1, 2)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(outcome, lambda: client.update(second, 0, 2))
        waits(server)
        assert ["conflict"] == outcome(lambda: client.update(first, 1, 1))
        client.api.rollback_transaction(first)
        assert ["done"] == waiting.result()


def waits(server: Server) -> None:
    """Wait until a transaction waits for another."""
    with server.transactions.lock:
        while not server.transactions.waiting:
            server.transactions.lock.wait(0.001)


@pytest.mark.parametrize(
    ("rule", "committed", "while_open", "after"),
    [
        ("none", True, ("done done done", "n2"), ("done done done", "n2")),
        ("commit", True, ("done done conflict", "n1"), ("done done conflict", "n1")),
        ("commit", False, ("done done conflict", "n1"), ("done done done", "n2")),
        ("call", True, ("conflict done done", "n1"), ("conflict done done", "n1")),
        ("call", False, ("conflict done done", "n1"), ("done done done", "n2")),
    ],
)
def test_of_two_that_rename_one_column(
    server: Server,
    client: Client,
    rule: Any,
    committed: bool,
    while_open: tuple[str, str],
    after: tuple[str, str],
) -> None:
    server.switches = Switches(names=rule, names_conflict_with_committed=committed)

    def change(txid: int, value: int) -> None:
        client.rename(txid, f"n{value}")

    for open_at_once, (expected, name) in ((True, while_open), (False, after)):
        found = race(client, change, second_while_first_open=open_at_once)
        assert (expected, ["a", name]) == (" ".join(found), client.columns())
        back = client.begin()
        client.api.alter_column(client.bucket, "s", "t", name, back, new_name="s")
        client.commit(back)


def test_a_conflict_of_names_may_roll_back_both(server: Server, client: Client) -> None:
    server.switches = Switches(names="both")
    first, second = client.begin(), client.begin()
    client.rename(first, "n1")
    assert ["conflict"] == outcome(lambda: client.rename(second, "n2"))
    assert ["ended"] == ended(client, first) == ended(client, second)
    assert ["a", "s"] == client.columns()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("none", "done done done"),
        ("commit", "done done conflict"),
        ("call", "conflict done done"),
        ("both", "conflict ended ended"),
    ],
)
def test_of_two_that_create_one_table_or_schema(
    server: Server, client: Client, rule: Any, expected: str
) -> None:
    server.switches = Switches(names=rule)
    creating: tuple[Callable[[int], None], ...] = (
        lambda txid: client.api.create_table(client.bucket, "s", "u", SCHEMA, txid),
        lambda txid: client.api.create_schema(client.bucket, "v", txid),
    )
    for create in creating:
        first, second = client.begin(), client.begin()
        create(first)
        call = outcome(lambda create=create, second=second: create(second))
        assert expected.split() == [*call, *ended(client, first), *ended(client, second)]


@pytest.mark.parametrize("isolation", ["snapshot", "latest"])
def test_reads_are_isolated_as_told(server: Server, client: Client, isolation: Any) -> None:
    server.switches = Switches(isolation=isolation)
    reader, writer = client.begin(), client.begin()
    client.insert(reader, 30)
    client.update(writer, 0, 11)
    assert {0: 10, 1: 20, 2: 30} == client.read(reader)
    client.commit(writer)
    assert {0: 10 if isolation == "snapshot" else 11, 1: 20, 2: 30} == client.read(reader)
    assert {0: 11, 1: 20} == client.read()
    client.commit(reader)
    assert {0: 11, 1: 20, 2: 30} == client.read()


def test_what_is_rolled_back_leaves_no_trace_and_no_row_id(server: Server, client: Client) -> None:
    txid = client.begin()
    assert [2] == client.insert(txid, 30)
    client.rename(txid, "other")
    client.delete(txid, 0)
    # Any session may roll back any transaction.
    Client(server, 1).api.rollback_transaction(txid)
    assert ({0: 10, 1: 20}, ["a", "s"]) == (client.read(), client.columns())
    txid = client.begin()
    assert [3] == client.insert(txid, 30)


@pytest.mark.parametrize(("status", "error"), [(400, errors.BadRequest), (404, errors.NotFound)])
def test_a_transaction_that_has_ended_is_refused(
    server: Server, client: Client, status: Any, error: type[Exception]
) -> None:
    server.switches = Switches(ended=status)
    txid = client.begin()
    client.commit(txid)
    calls: tuple[Callable[[int], object], ...] = (
        client.commit,
        client.api.rollback_transaction,
        client.api.get_transaction,
        client.insert,
        client.read,
    )
    for call in calls:
        with pytest.raises(error, match="tx_id"):
            call(txid)


def test_a_transaction_that_is_idle_is_rolled_back(server: Server, client: Client) -> None:
    txid = client.begin()
    client.update(txid, 0, 1)
    server.switches = Switches(idle=0.0)
    assert ["ended"] == ended(client, txid)
    assert client.read()[0] == 10


def test_limits_are_kept(server: Server, client: Client) -> None:
    txid = client.begin()
    client.insert(txid, 1, text="x" * (128 << 10))
    with pytest.raises(errors.BadRequest, match="128 KiB"):
        client.insert(txid, 1, text="x" * (128 << 10) + "x")
    with pytest.raises(errors.BadRequest, match="ascending"):
        client.delete(txid, 1, 0)
    # The SDK knows no 413.
    with pytest.raises(ValueError, match="413"):
        client.insert(txid, *range(50), text="x" * (110 << 10))


def test_what_makes_no_sense_is_refused_and_the_connection_goes_on(client: Client) -> None:
    asked = sdk.build_query_data_request(pa.schema([("unknown", pa.int64())]))
    with pytest.raises(errors.NotFound, match="unknown"):
        client.api.query_data(client.bucket, "s", "t", asked.serialized)
    for method, command in (("POST", "rows"), ("PUT", "rows"), ("DELETE", "rows")):
        with pytest.raises(errors.BadRequest):
            client.write(method, f"t?{command}", b"nonsense")
    with pytest.raises(errors.NotImplemented):
        client.write("POST", "t?unheard-of", b"")
    assert {0: 10, 1: 20} == client.read()


def test_signatures_are_checked(server: Server) -> None:
    with pytest.raises(errors.Forbidden):
        Client(server, secret="another")
    server.switches = Switches(signature="off")
    Client(server, secret="another")


EXECUTED: Final[Mapping[Any, tuple[type[Exception], bool]]] = {
    "slow down": (errors.Slowdown, False),
    "unavailable": (errors.ServiceUnavailable, False),
    # The SDK knows no 502.
    "bad gateway": (ValueError, False),
    "error": (errors.InternalServerError, False),
    "closed before": (errors.ConnectionError, False),
    "closed after": (errors.ConnectionError, True),
    "cut": (errors.ConnectionError, True),
    "ended": (errors.BadRequest, False),
}


@pytest.mark.parametrize("kind", EXECUTED)
def test_a_fault_hits_one_commit(server: Server, client: Client, kind: Any) -> None:
    error, executed = EXECUTED[kind]
    server.faults = [Fault(kind=kind, method="PUT", command="transaction", at=2)]
    for value in (1, 2, 3):
        txid = client.begin()
        client.update(txid, 0, value)
        if value == 2:
            with pytest.raises(error):
                client.commit(txid)
            assert client.read()[0] == (2 if executed else 1)
            with suppress(errors.BadRequest):
                client.api.rollback_transaction(txid)
        else:
            client.commit(txid)
    assert client.read()[0] == 3


def test_an_answer_to_a_select_is_cut_in_the_middle(server: Server, client: Client) -> None:
    server.faults = [Fault(kind="cut", command="data", table="t", endpoint=0)]
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.read()
    assert {0: 10, 1: 20} == client.read()


def test_a_fault_may_be_of_one_endpoint_or_table_and_last(server: Server, client: Client) -> None:
    other = Client(server, 1)
    server.faults = [
        Fault(kind="unavailable", endpoint=1, times=2),
        Fault(kind="error", table="another"),
    ]
    for _ in range(2):
        with pytest.raises(errors.ServiceUnavailable):
            other.begin()
        client.read()
    other.begin()


def test_a_request_hangs_and_each_is_late(server: Server, client: Client) -> None:
    server.switches = Switches(latency=0.01)
    server.faults = [Fault(kind="hang", seconds=0.1)]
    for least in (0.11, 0.01):
        start = time.monotonic()
        client.begin()
        assert time.monotonic() - start >= least


def test_an_endpoint_is_gone_and_comes_back(server: Server, client: Client) -> None:
    other = Client(server, 1)
    other.begin()
    server.stop(1)
    for _ in range(2):
        with pytest.raises(errors.ConnectionError):
            other.begin()
    client.begin()
    server.start(1)
    other.begin()


def test_requests_are_logged_with_the_rows_that_they_move(server: Server, client: Client) -> None:
    txid = client.begin()
    client.insert(txid, 30, 40)
    client.read(txid)
    client.commit(txid)
    found = [(one.method, one.command, one.table, one.rows) for one in server.requests]
    assert found == [
        ("POST", "transaction", "", 0),
        ("POST", "rows", "vastdb/s/t", 2),
        ("GET", "data", "vastdb/s/t", 4),
        ("PUT", "transaction", "", 0),
    ]
    assert {200} == {one.status for one in server.requests}
    assert server.count("GET") == server.count(command="rows") == 1


def test_clients_choose_row_ids_in_a_column_of_their_own(server: Server, client: Client) -> None:
    chosen = pa.schema([("vastdb_rowid", pa.int64()), ("a", pa.int64())])
    txid = client.begin()
    client.api.create_table(client.bucket, "s", "u", chosen, txid)
    batch = pa.record_batch([[7, 3], [70, 30]], schema=chosen)
    send = client.api.insert_rows
    answer = send(client.bucket, "s", "u", serialized(batch), txid)
    (ids,) = pa.ipc.open_stream(answer.content)
    assert [7, 3] == ids.column(0).to_pylist()
    with pytest.raises(errors.Conflict):
        send(client.bucket, "s", "u", serialized(batch), txid)
    table = ibis.table(ibis.Schema.from_pyarrow(chosen), "u")
    asked = sdk.build_query_data_request(chosen, table.vastdb_rowid > 3)
    assert [{"vastdb_rowid": 7, "a": 70}] == client.select(asked, "u", txid).to_pylist()


def test_the_log_brings_everything_back(tmp_path: Path) -> None:
    log = tmp_path / "log"
    first = Server(1, Switches(), "vastdb", log=log)
    client = Client(first)
    client.create(10, 20)
    lost, kept = client.begin(), client.begin()
    client.insert(lost, 30)
    client.insert(kept, 40)
    client.update(kept, 0, 11)
    client.commit(kept)
    first.close()
    # As after a crash in the middle of the last write.
    with log.open("ab") as file:
        file.write(b"\0\0\0\xff half")
    second = Server(1, Switches(), "vastdb", log=log)
    try:
        client = Client(second)
        assert {0: 11, 1: 20, 3: 40} == client.read()
        with pytest.raises(errors.BadRequest):
            client.commit(lost)
        assert lost + 2 == client.begin()
    finally:
        second.close()


def test_a_server_in_another_process_is_told_and_asked_alike() -> None:
    with vast_process(2) as server:
        server.switches = Switches(version="5.5.0.0", signature="off")
        connection = http.client.HTTPConnection(server.endpoints[1].removeprefix("http://"))
        connection.request("POST", "/?transaction")
        answer = connection.getresponse()
        connection.close()
        assert "vast 5.5.0.0" == answer.headers["Server"]
        assert 1 == server.count("POST", "transaction")
        server.forget()
        assert [] == server.requests
        assert server.cpu > 0
        server.stop(1)
        with pytest.raises(ConnectionRefusedError):
            connection.connect()
        server.start(1)
        connection.connect()
        connection.close()


def test_every_switch_and_fault_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "vast-test-server.md").read_text()
    switches, faults = text.split("### Switches")[1].split("### Faults")
    kinds = re.findall(r"^\| `([^`]+)` \|", faults.split("\n## ")[0], re.M)
    assert list(get_args(Kind)) == kinds
    rows = dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", switches, re.M))
    assert list(Switches.__struct_fields__) == list(rows)
    for name, value in msgspec.structs.asdict(Switches()).items():
        first = rows[name].split(", ")[0].strip("`")
        assert first == (
            str(value).lower()
            if isinstance(value, bool)
            else f"{value:g}"
            if isinstance(value, float)
            else str(value)
        )


def test_threads_that_insert_get_row_ids_of_their_own(server: Server, client: Client) -> None:
    barrier = threading.Barrier(4)

    def insert(value: int) -> list[int]:
        own = Client(server, value % 2)
        txid = own.begin()
        barrier.wait()
        ids = [one for _ in range(10) for one in own.insert(txid, value)]
        own.commit(txid)
        return ids

    with ThreadPoolExecutor(4) as pool:
        ids = [one for found in pool.map(insert, range(4)) for one in found]
    assert list(range(2, 42)) == sorted(ids)
    assert {0, 1, *ids} == client.read().keys()
