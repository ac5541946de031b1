"""A database file that is locked, read-only, damaged or gone: told, and never mended unseen."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from tams_gateway_sqlite import connections
from tams_gateway_sqlite.metadata import SqliteMetadata

from tams_gateway.cli.main import main
from tams_gateway.testing.client import Answer, Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import flow as sample_flow
from tams_gateway.testing.samples import segment as external
from tams_gateway.testing.transports import Http
from tests.deployments import config, in_process
from tests.faults.disks import Disk
from tests.servers.process import serving

PAGE = 4096


def check(database: Path) -> tuple[int, str]:
    """Run `tams-gateway check` on a database; return its exit status and what it printed."""
    places = {
        "TAMS_GATEWAY__METADATA__PATH": str(database),
        "TAMS_GATEWAY__OBJECTS__MAIN__PATH": str(database.parent / "objects"),
    }
    done = CliRunner(env=places).invoke(main, ["check"])
    return done.exit_code, done.output


def fill(database: Path, segments: int = 2000) -> str:
    """Make a database with a flow of so many segments, all of it in one file; return its id."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with in_process("wsgi-sqlite", config("wsgi-sqlite", database.parent, {}), []) as made:
        ingest = Ingest(made.client)
        flow_id = ingest.flow()
        ingest.add_many(flow_id, [external(seconds(at, at + 1)) for at in range(segments)])
    return flow_id


def overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def of_another_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")


DAMAGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("no database", lambda path: path.write_bytes(b"plain text\n" * 1000), "restore a backup"),
    ("header", lambda path: overwrite(path, 0, bytes(100)), "restore a backup"),
    ("first page", lambda path: overwrite(path, 100, b"\xff" * 3000), "restore a backup"),
    ("empty", lambda path: path.write_bytes(b""), "restore a backup, or remove the file"),
    ("cut", lambda path: path.write_bytes(path.read_bytes()[: 3 * PAGE]), "restore a backup"),
    ("another's", of_another_program, "a database of another program; give another path"),
    ("a directory", lambda path: (path.unlink(), path.mkdir()), "check that"),
]


@pytest.mark.parametrize(
    ("damage", "remedy"),
    [(damage, remedy) for _, damage, remedy in DAMAGES],
    ids=[name for name, _, _ in DAMAGES],
)
def test_what_is_no_good_database_is_refused_and_left_as_it_is(
    tmp_path: Path, damage: Callable[[Path], object], remedy: str
) -> None:
    database = tmp_path / "tams.db"
    fill(database)
    damage(database)
    before = database.read_bytes() if database.is_file() else None

    status, output = check(database)

    assert status == 1
    (line,) = [one for one in output.splitlines() if remedy in one]
    assert str(database) in output
    assert "Traceback" not in output
    assert before == (database.read_bytes() if database.is_file() else None), line


def test_an_empty_file_beside_a_log_of_commits_destroys_no_commit(tmp_path: Path) -> None:
    """SQLite by itself would delete them."""
    store = SqliteMetadata(tmp_path / "tams.db")
    commits = (tmp_path / "tams.db-wal").read_bytes()
    store.close()
    (tmp_path / "tams.db").write_bytes(b"")
    (tmp_path / "tams.db-wal").write_bytes(commits or b"commits")
    kept = (tmp_path / "tams.db-wal").read_bytes()

    assert check(tmp_path / "tams.db")[0] == 1

    assert kept == (tmp_path / "tams.db-wal").read_bytes()


def test_a_killed_first_start_leaves_nothing_that_keeps_the_next_one_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", lambda path, _target: die(path))
        with pytest.raises(KeyboardInterrupt):
            SqliteMetadata(tmp_path / "tams.db")
    assert not (tmp_path / "tams.db").exists()

    store = SqliteMetadata(tmp_path / "tams.db")

    assert store.check().ok
    store.close()
    assert not (tmp_path / "tams.db-new").exists()


def test_a_database_that_may_only_be_read_is_told_at_the_start(disk: Disk) -> None:
    """R-GEN-10. A disk that is mounted read-only stops root, too."""
    database = disk.path / "tams.db"
    fill(database, segments=1)
    disk.set_read_only(True)

    status, output = check(database)

    assert status == 1
    assert "Read-only file system; mount its disk for writing" in output
    disk.set_read_only(False)
    assert check(database)[0] == 0


def test_a_stranger_who_locks_the_database_holds_up_writers_for_a_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads go on; and all is well as soon as the stranger ends."""
    monkeypatch.setattr(connections, "PATIENCE", 0.2)
    with in_process("wsgi-sqlite", config("wsgi-sqlite", tmp_path, {}), []) as made:
        flow_id = Ingest(made.client).flow()
        stranger = sqlite3.connect(tmp_path / "tams.db", isolation_level=None)
        stranger.execute("BEGIN EXCLUSIVE")

        answer = made.client.put(f"/flows/{flow_id}/label", json="locked")

        assert_unavailable(answer)
        assert made.client.get(f"/flows/{flow_id}").status == 200
        unready = made.client.get("/ready")
        assert unready.status == 503
        assert "database is locked" in unready.json["checks"]["metadata"]
        stranger.close()
        assert made.client.put(f"/flows/{flow_id}/label", json="free").status == 204


def test_a_start_while_a_stranger_holds_the_database_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 0.2)
    database = tmp_path / "tams.db"
    fill(database, segments=1)
    with closing(sqlite3.connect(database, isolation_level=None)) as stranger:
        stranger.execute("PRAGMA locking_mode = EXCLUSIVE")
        stranger.execute("BEGIN EXCLUSIVE")

        status, output = check(database)

    assert status == 1
    assert "end the other program that holds the database" in output
    assert check(database)[0] == 0


def test_a_damaged_page_fails_only_what_needs_it(tmp_path: Path) -> None:
    """The client gets no traceback, the log one line that says what to do."""
    database = tmp_path / "data" / "tams.db"
    folder = database.parent
    flow_id = fill(database)
    other = sample_flow()
    size = database.stat().st_size
    # Behind the schema and the small tables: leaves of segments, for the most part.
    for at in range(size // 2 // PAGE * PAGE, size - 20 * PAGE, PAGE):
        overwrite(database, at, b"\xff" * PAGE)
    with serving(tmp_path) as serve:
        client = Client(Http(f"http://127.0.0.1:{serve.port}"))

        answer = client.get(f"/flows/{flow_id}/segments", query="limit=1000")

        assert_unavailable(answer)
        request_id = answer.headers["x-request-id"]
        assert client.put(f"/flows/{other['id']}", json=other).status == 201
        assert client.get(f"/flows/{other['id']}").status == 200
        client.close()
    lines = [json.loads(line) for line in serve.log.read_text().splitlines()]
    failed = [one for one in lines if one["event"] == "store_failed"]
    assert [request_id] == [one["request_id"] for one in failed]
    assert "restore a backup" in failed[0]["error"]
    assert not [one for one in lines if "exception" in one]
    assert folder.is_dir()


@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-marks"])
def test_a_file_deleted_under_the_running_gateway_takes_no_more_commits(
    tmp_path: Path, ending: str
) -> None:
    """Such a commit would be gone at the next start, though it was acknowledged."""
    with in_process("wsgi-sqlite", config("wsgi-sqlite", tmp_path, {}), []) as made:
        flow_id = Ingest(made.client).flow()
        (tmp_path / f"tams.db{ending}").unlink()

        assert_unavailable(made.client.put(f"/flows/{flow_id}/label", json="lost"))

        assert made.client.get("/ready").status == 503
        assert made.client.get(f"/flows/{flow_id}").status == 200


def test_a_directory_deleted_under_the_running_gateway_is_not_made_again(tmp_path: Path) -> None:
    database = tmp_path / "data" / "tams.db"
    store = SqliteMetadata(database)
    for path in database.parent.iterdir():
        path.unlink()
    database.parent.rmdir()

    health = store.check()

    assert not health.ok
    assert "put it back, or restart" in health.remedy
    assert not database.parent.exists()


def test_a_log_of_commits_that_was_cut_ends_at_a_whole_commit(tmp_path: Path) -> None:
    """What was cut off cannot be told from what never was; the rest opens, and is consistent."""
    database = tmp_path / "tams.db"
    flow_id = fill(database, segments=1)
    with in_process("wsgi-sqlite", config("wsgi-sqlite", tmp_path, {}), []) as made:
        ingest = Ingest(made.client)
        for at in range(1, 10):
            ingest.add(flow_id, seconds(at, at + 1))
        commits = (tmp_path / "tams.db-wal").read_bytes()
        file = database.read_bytes()
    database.write_bytes(file)
    (tmp_path / "tams.db-wal").write_bytes(commits[: len(commits) * 2 // 3])

    with in_process("wsgi-sqlite", config("wsgi-sqlite", tmp_path, {}), []) as made:
        found = Ingest(made.client).timeranges(flow_id)

    assert found == [seconds(at, at + 1) for at in range(len(found))]
    assert 1 < len(found) < 10
    with closing(sqlite3.connect(database)) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()


def assert_unavailable(answer: Answer) -> None:
    """R-GEN-10: the body of every error, and nothing of what is behind it."""
    assert (answer.status, answer.json["type"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "2"
    assert b"Traceback" not in answer.body
    assert b"tams.db" not in answer.body
