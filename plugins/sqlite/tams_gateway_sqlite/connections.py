"""Opens the database file, and the connections to it."""

import errno
import os
import queue
import sqlite3
import threading
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tams_gateway.storage.errors import FullError, StoreError
from tams_gateway_sqlite import schema
from tams_gateway_sqlite.checkpoints import Checkpoints
from tams_gateway_sqlite.files import Files
from tams_gateway_sqlite.migration import migrate
from tams_gateway_sqlite.shared_marks import SharedMarks
from tams_gateway_sqlite.turns import Turns

READERS: Final = 4
"""Connections for reading: more do not help, since rows are built under the GIL."""

_LONGEST_LOG: Final = 64 * 2**20
"""In bytes."""

_READERS_MS: Final = 200
"""Milliseconds to wait for those who read, while nobody writes, so as to shorten the log."""

_SHORTENED_EVERY: Final = 10.0
"""Seconds to let pass where somebody read on: perhaps it was stopped, and never ends."""

PATIENCE: Final = 10.0
"""Seconds to wait for another program that holds the database."""

_SYNCHRONOUS: Final = {"power": "FULL", "process": "NORMAL"}


class Connections:
    """One connection to write with and one beside it, and a few to read with; opened when needed.

    None of it outlives a fork: the store makes a new one in the child.
    """

    def __init__(self, path: Path, durability: str) -> None:
        self._path = path
        self._durability = durability
        self._writer: sqlite3.Connection | None = None
        self._checkpoints: Checkpoints | None = None
        self._shorten_at = 0.0
        self._files: Files | None = None
        self._readers: queue.SimpleQueue[sqlite3.Connection | None] = queue.SimpleQueue()
        for _ in range(READERS):
            self._readers.put(None)
        self.writing = threading.Lock()
        """Held over the connection to write with, by whoever writes or reads with it."""
        self.turns = Turns(path)
        self.marks = SharedMarks(path)

    def prepare(self) -> Path | None:
        """Make the database if it is not there; refuse one that is not ours. Holds the turn.

        One of an earlier schema is migrated; returns where a copy of it is.
        """
        with self.turns.within(PATIENCE):
            self._make_file()
            connection = self.writer()
            version, application = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("user_version", "application_id")
            )
            if application != schema.APPLICATION:
                raise StoreError(f"{self._path}: a database of another program; give another path")
            if version == schema.VERSION:
                return None
            copy = migrate(connection, self._path, version)
            sync_directory(self._path.parent)
            return copy

    def _make_file(self) -> None:
        """Make a database whose owner alone may read it, since it keeps keys; whole or not at all.

        Raises `StoreError` for an empty file, and where commits wait for a database that is not
        there: what they belong to was lost, and must not be replaced unseen.
        """
        if self._path.exists():
            if self._path.stat().st_size == 0:
                raise StoreError(
                    f"{self._path}: is empty, as no database is;"
                    " restore a backup, or remove the file to begin anew"
                )
            return
        if Path(f"{self._path}-wal").exists():
            raise StoreError(
                f"{self._path}: is not there, but {self._path.name}-wal with commits of it"
                " is; put the database back, or move that file away"
            )
        new = Path(f"{self._path}-new")
        new.unlink(missing_ok=True)
        os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = self._connect(new)
        connection.execute("BEGIN IMMEDIATE")
        for statement in schema.TABLES:
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
        new.rename(self._path)
        sync_directory(self._path.parent)

    def writer(self) -> sqlite3.Connection:
        """Return the connection to write with; the caller holds the turn.

        Raises `StoreError` where a file of the database was replaced or removed since it was
        opened: what is written into such a file is gone at the next start.
        """
        if self._writer is None:
            writer, beside = self._open(), self._open()
            self._files = Files(self._path)
            self._checkpoints = Checkpoints(beside)
            self._writer = writer
        elif self._files is not None and not self._files.are_there():
            raise StoreError(
                f"{self._path}: was moved or replaced under the running gateway;"
                " put it back, or restart"
            )
        return self._writer

    def shorten_log(self) -> None:
        """Let commits leave the log in time, and empty it where it has grown long; holds the turn.

        SQLite empties it by itself only when nobody reads, which may never be.
        """
        if self._writer is not None and self._checkpoints is not None:
            self._checkpoints.note(self._writer.total_changes)
        try:
            size = os.stat(f"{self._path}-wal").st_size
        except FileNotFoundError:
            return
        if size > _LONGEST_LOG and time.monotonic() >= self._shorten_at:
            connection = self.writer()
            connection.execute(f"PRAGMA busy_timeout = {_READERS_MS}")
            blocked, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            connection.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}")
            if blocked:
                self._shorten_at = time.monotonic() + _SHORTENED_EVERY

    def reader(self, brief: bool = False) -> "Reader":
        """Lend a connection to read with, to one `with`; waits while all are lent.

        For a brief look that is the one to write with, if nobody writes: it has at hand what was
        written last, and after each commit the others read their pages anew.
        """
        return Reader(self, brief)

    def take_reader(self, brief: bool) -> sqlite3.Connection:
        """Take a connection to read with; to be given back."""
        if brief and self._writer is not None and self.writing.acquire(blocking=False):
            return self._writer
        connection = self._readers.get()
        if connection is None:
            try:
                connection = self._connect(self._path)
            except BaseException:
                self._readers.put(None)
                raise
        return connection

    def give_back(self, connection: sqlite3.Connection) -> None:
        """End what was begun, and let others read with the connection."""
        try:
            if connection.in_transaction:
                connection.rollback()
        finally:
            if connection is self._writer:
                self.writing.release()
            else:
                self._readers.put(connection)

    def close(self) -> None:
        """Close every connection; no call is at work."""
        for _ in range(READERS):
            reader = self._readers.get()
            if reader is not None:
                reader.close()
        if self._checkpoints is not None:
            self._checkpoints.close()
        if self._writer is not None:
            self._writer.close()
        self.marks.close()

    def _open(self) -> sqlite3.Connection:
        connection = self._connect(self._path)
        connection.execute("PRAGMA user_version").fetchone()  # Opens all the files.
        return connection

    def _connect(self, path: Path) -> sqlite3.Connection:
        # Never by making the file: SQLite would delete the commits that wait beside an empty one.
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw",
            uri=True,
            timeout=PATIENCE,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[self._durability]}")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        connection.execute("PRAGMA cache_size = -16384")
        connection.create_function("unhex_", 1, bytes.fromhex, deterministic=True)
        return connection


class Reader:
    """Lends a connection inside a `with`; a generator would cost as much as a look-up."""

    __slots__ = ("_brief", "_connections", "_lent")

    def __init__(self, connections: Connections, brief: bool) -> None:
        self._connections = connections
        self._brief = brief

    def __enter__(self) -> sqlite3.Connection:
        self._lent = self._connections.take_reader(self._brief)
        return self._lent

    def __exit__(self, *error: object) -> None:
        self._connections.give_back(self._lent)


def make_directories(path: Path) -> None:
    """Make a directory and its parents such that they survive a power cut.

    Also one that stands: whoever made it may have died before its entry was on the disk.
    """
    missing = [one for one in (path, *path.parents) if not one.exists()]
    for directory in reversed([*missing, *([] if missing else [path])]):
        directory.mkdir(exist_ok=True)
        sync_directory(directory.parent)


def sync_directory(path: Path) -> None:
    """Make the entries of a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Border:
    """Turns foreign errors into `StoreError`s that name the path and what to do."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise _translate(self._path, error) from error
        if isinstance(error, OSError):
            raise _translate_os(self._path, error) from error


def _translate_os(path: Path, error: OSError) -> StoreError:
    kind = FullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreError
    remedy = _SYSTEM.get(error.errno or 0, "check the path and its permissions")
    return kind(f"{path}: {error.strerror or error}; {remedy}")


def _translate(path: Path, error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return FullError(f"{path}: {error}; make room on its disk")
    remedy = _REMEDIES.get(code, "run `sqlite3 FILE 'PRAGMA integrity_check'` on it")
    return StoreError(f"{path}: {error}; {remedy}")


_REMEDIES: Final = {
    sqlite3.SQLITE_BUSY: "end the other program that holds the database, and try again",
    sqlite3.SQLITE_LOCKED: "end the other program that holds the database, and try again",
    sqlite3.SQLITE_READONLY: "make the file and its directory writable",
    sqlite3.SQLITE_CANTOPEN: "check that the directory exists and is writable",
    sqlite3.SQLITE_PERM: "check the permissions of the file",
    sqlite3.SQLITE_IOERR: "check the disk",
    sqlite3.SQLITE_NOTADB: "give the path of a database of this plugin, or restore a backup",
    sqlite3.SQLITE_CORRUPT: "restore a backup",
}


_SYSTEM: Final = {
    errno.ENOSPC: "make room on its disk",
    errno.EDQUOT: "raise the disk quota of the user that runs the gateway",
    errno.EROFS: "mount its disk for writing",
}
