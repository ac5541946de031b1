"""A worker that is stopped or hangs: others go on, and nothing of its comes late."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from tams_gateway_sqlite import connections
from tams_gateway_sqlite.commits import Commits
from tams_gateway_sqlite.metadata import SqliteMetadata

from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.query import Query
from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.metadata_samples import THING, put
from tams_gateway.testing.transports import Http
from tams_gateway.testing.waiting import eventually
from tests.faults.test_background import ALL_IN_BACKGROUND, delete_one, is_done
from tests.servers.process import Serve, serving

IN_A_COMMIT: Final = """
import os, signal, sys
from pathlib import Path
from tams_gateway_sqlite.metadata import SqliteMetadata
from tams_gateway.testing.metadata_samples import put
store = SqliteMetadata(Path(sys.argv[1]))
store.apply([put("before")])
def work(connection):
    connection.execute("UPDATE counter SET version = version + 1")
    {how}
    print("woken", flush=True)
store._run(work, ())
print("committed", flush=True)
"""
STOPPED = 'print("stops", flush=True); os.kill(os.getpid(), signal.SIGSTOP)'
FORKED = (
    "child = os.fork()\n"
    "    signal.pause() if child == 0 else print(child, flush=True)\n"
    "    os.kill(os.getpid(), signal.SIGKILL)"
)


@contextmanager
def in_a_commit(database: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that does something in the middle of its commit; kill it at the end."""
    command = [sys.executable, "-c", IN_A_COMMIT.format(how=how), str(database)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteMetadata]:
    monkeypatch.setattr(connections, "PATIENCE", 0.3)
    with closing(SqliteMetadata(tmp_path / "tams.db")) as store:
        yield store


def test_a_process_stopped_in_its_commit_holds_up_the_others_for_a_bounded_time(
    store: SqliteMetadata, tmp_path: Path
) -> None:
    """They are told which process it is, go on reading, and writing once it is gone."""
    with in_a_commit(tmp_path / "tams.db", STOPPED) as process:
        assert line(process) == "stops"
        for _ in range(2):
            with pytest.raises(StoreError, match=f"process {process.pid} .*; see whether"):
                store.apply([put("refused")])
        assert list(store.get(THING, ["before", "refused"])) == ["before"]
        health = store.check()
        assert not health.ok
        assert "stopped" in health.remedy
        process.kill()
        process.wait()

        eventually(lambda: store.check().ok)
        store.apply([put("after")])

    assert sorted(store.get(THING, ["before", "refused", "after"])) == ["after", "before"]


def test_a_process_that_goes_on_in_its_commit_ends_it(
    store: SqliteMetadata, tmp_path: Path
) -> None:
    """Nobody took the database from it meanwhile."""
    with in_a_commit(tmp_path / "tams.db", STOPPED) as process:
        assert line(process) == "stops"
        with pytest.raises(StoreError):
            store.apply([put("refused")])
        process.send_signal(signal.SIGCONT)

        assert [line(process), line(process)] == ["woken", "committed"]

    store.apply([put("after")])
    assert sorted(one.id for one in store.find(Query(THING)).items) == ["after", "before"]


def test_many_callers_wait_no_longer_than_one(store: SqliteMetadata, tmp_path: Path) -> None:
    with in_a_commit(tmp_path / "tams.db", STOPPED) as process:
        assert line(process) == "stops"
        refused: list[StoreError] = []

        def write(number: int) -> None:
            try:
                store.apply([put(f"{number}")])
            except StoreError as error:
                refused.append(error)

        callers = [threading.Thread(target=write, args=(number,)) for number in range(100)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(20)

        assert len(refused) == 100
    store.apply([put("after")])
    assert [one.id for one in store.find(Query(THING)).items] == ["after", "before"]


def test_a_fork_in_the_middle_of_a_commit_does_not_keep_the_turn(
    store: SqliteMetadata, tmp_path: Path
) -> None:
    """The child lives, the parent is killed: its locks are on files that both have open."""
    with in_a_commit(tmp_path / "tams.db", FORKED) as process:
        child = int(line(process))
        try:
            process.wait()
            assert eventually(lambda: store.check().ok)
            store.apply([put("after")])
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_caller_that_is_interrupted_leaves_the_others_their_turn(
    store: SqliteMetadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A KeyboardInterrupt comes to whoever waits for somebody else's commit."""
    commits = store._commits
    within, go_on = threading.Event(), threading.Event()
    is_done = Commits._is_done
    interrupted = threading.Event()

    def hold(_connection: object) -> None:
        within.set()
        go_on.wait(10)

    def interrupt(self: Commits, ticket: object) -> bool:
        if threading.current_thread().name == "interrupted":
            interrupted.set()
            go_on.wait(10)
            raise KeyboardInterrupt
        return is_done(self, ticket)  # type: ignore[arg-type]

    def wait() -> None:
        with suppress(KeyboardInterrupt):
            commits.run(lambda _connection: None, ())

    monkeypatch.setattr(Commits, "_is_done", interrupt)
    first = threading.Thread(target=commits.run, args=(hold, ()))
    first.start()
    assert within.wait(10)
    second = threading.Thread(target=wait, name="interrupted")
    second.start()
    assert interrupted.wait(10)
    go_on.set()
    first.join(10)
    second.join(10)

    store.apply([put("after")])

    assert list(store.get(THING, ["after"])) == ["after"]


@pytest.mark.timeout(100)
def test_a_stopped_worker_is_replaced_and_another_does_its_work(tmp_path: Path) -> None:
    """Under uvicorn, whichever of two workers held the lease; requests go on meanwhile."""
    with serving(tmp_path, "--workers", "2", environment=ALL_IN_BACKGROUND) as serve:
        assert eventually(lambda: serve.log.read_text().count('"event":"started"') == 2)
        workers = serve.workers()
        with asked(serve) as client:  # None is to be stopped in its first commits.
            assert eventually(partial(is_done, client, delete_one(client)), 15)
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
            with asked(serve) as client:
                flow_id = Ingest(client).flow()
                location = delete_one(client)
                assert eventually(partial(is_done, client, location), 15)
                assert client.get(f"/flows/{flow_id}").status == 200
            if worker == workers[0]:
                os.kill(worker, signal.SIGCONT)

        assert eventually(lambda: workers[1] not in serve.workers(), 30)
        assert eventually(lambda: len(serve.workers()) == 2)
        events = serve.log.read_text()
        assert '"event":"bug"' not in events
        assert '"event":"job_failed"' not in events


@contextmanager
def asked(serve: Serve) -> Iterator[Client]:
    """A client with a connection of its own: one that stood may be the stopped worker's."""
    client = Client(Http(f"http://127.0.0.1:{serve.port}"))
    try:
        yield client
    finally:
        client.close()
