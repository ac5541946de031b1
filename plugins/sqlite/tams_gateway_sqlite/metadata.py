"""The metadata store in one SQLite file."""

import os
import sqlite3
import weakref
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Literal

import msgspec

from tams_gateway.domain.health import Health
from tams_gateway.domain.timerange import Span
from tams_gateway.storage.capabilities import Joined
from tams_gateway.storage.changes import (
    AddSegments,
    Change,
    Delete,
    DropSegments,
    Emit,
    Expect,
    ExpectTouched,
    Forget,
    Put,
    changed_ids,
)
from tams_gateway.storage.content import Content, Entry
from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.expectations import in_order
from tams_gateway.storage.marks import MarkWatch
from tams_gateway.storage.metadata import Events
from tams_gateway.storage.query import Page, Query, SegmentQuery, UseQuery
from tams_gateway.storage.records import FieldType, Kind, Record, Segment, Use
from tams_gateway_sqlite import connections, content, find, outbox, records, segments
from tams_gateway_sqlite.commits import Commits, Work
from tams_gateway_sqlite.connections import Border, Connections, make_directories
from tams_gateway_sqlite.schema import Table, decode
from tams_gateway_sqlite.versions import Versions


class SqliteMetadata:
    """Keeps records, segments and events in a database at `path`.

    With the durability `power` a commit survives a power cut, with `process` a killed process.
    After a fork the child opens connections of its own. `copy` is where the database was copied
    to before its schema was migrated, None if it was not.
    """

    def __init__(self, path: Path, durability: Literal["power", "process"] = "power") -> None:
        self._path = path.absolute()
        self._durability = durability
        self._tables: dict[str, Table] = {}
        self._border = Border(self._path)
        with self._border:
            make_directories(self._path.parent)
            self._open()
            self.copy = self._connections.prepare()
        _stores.add(self)

    def _open(self) -> None:
        self._connections = Connections(self._path, self._durability)
        self._versions = Versions()
        self._commits = Commits(self._connections, self._versions, connections.PATIENCE)

    def get(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record]:
        """Return those of the records that are there."""
        table = self._table(kind)
        with self._border, self._connections.reader(brief=len(ids) == 1) as connection:
            return records.get(connection, table, ids)

    def find(self, query: Query) -> Page[Record]:
        """Return a page of records."""
        table = self._table(query.kind)
        for field in find.unset(table, query) - table.indexed_unset:
            self._index_unset(table, field)
        with self._border, self._connections.reader() as connection:
            return find.find(connection, table, query)

    def segments(self, query: SegmentQuery) -> Page[Segment]:
        """Return a page of segments."""
        with self._border, self._connections.reader() as connection:
            return segments.page(connection, query)

    def joined(self, query: SegmentQuery) -> Joined | None:
        """Return a page of segments joined; None if it is empty or has init objects."""
        with self._border, self._connections.reader() as connection:
            return segments.joined(connection, query)

    def extent(
        self, flow_id: str, life: int, within: Span | None = None
    ) -> tuple[Segment, Segment] | None:
        """Return the first and the last segment that overlap `within`."""
        with self._border, self._connections.reader() as connection:
            return segments.extent(connection, flow_id, life, within)

    def uses(self, query: UseQuery) -> Page[Use]:
        """Return a page of the lives of flows that use an object."""
        with self._border, self._connections.reader() as connection:
            return segments.uses(connection, query)

    def events(self, after: str | None, limit: int) -> Events:
        """Return the oldest events behind a cursor: the number of the last before it."""
        last = self._sequence(after or "0")
        with self._border, self._connections.reader() as connection:
            return outbox.page(connection, last, limit)

    def tip(self) -> str:
        """Return the cursor behind which only later commits come."""
        with self._border, self._connections.reader() as connection:
            return str(connection.execute("SELECT events FROM counter").fetchone()[0])

    def apply(self, changes: Sequence[Change]) -> None:
        """Make the changes all together or not at all; durable on return."""
        tables = {
            change.kind.name: self._table(change.kind)
            for change in changes
            if isinstance(change, Put | Delete | Expect | ExpectTouched)
        }
        for change in changes:
            if isinstance(change, Forget):
                self._sequence(change.until)
        ordered = in_order(changes)
        self._run(
            lambda connection: _write(connection, tables, ordered, self._versions.take()),
            list(changed_ids(changes)),
        )

    def watch(self, ids: Sequence[str]) -> MarkWatch:
        """Watch records and segments, in all processes on this machine."""
        return self._connections.marks.watch(ids)

    def snapshot(self) -> Content:
        """Return all that is there at one moment."""
        with self._border, self._connections.reader() as connection:
            yield from content.snapshot(connection)

    def replace(self, entries: Iterable[Entry]) -> None:
        """Hold exactly these entries, in one transaction."""
        self._run(lambda connection: content.replace(connection, entries), None)

    def check(self) -> Health:
        """Commit something and say which file it is in."""
        try:
            self._run(_count, ())
        except StoreError as error:
            found, _, remedy = str(error).rpartition("; ")
            return Health(False, found, remedy)
        return Health(True, f"{self._path} can be written")

    def close(self) -> None:
        """Close the connections."""
        _stores.discard(self)
        with self._border:
            self._connections.close()
            if self._commits.close():
                self._connections.turns.close()

    def _run(self, work: Work, changed: Sequence[str] | None) -> None:
        with self._border:
            self._commits.run(work, changed)

    def _table(self, kind: Kind) -> Table:
        """Return the table of a kind; the first time, see that the database has it."""
        table = self._tables.get(kind.name)
        if table is not None and table.covers(kind):
            return table
        if table is not None:
            kind = msgspec.structs.replace(kind, fields={**table.kind.fields, **kind.fields})
        table = Table(kind)
        with self._border, self._connections.reader() as connection:
            exists = table.exists(connection)
        if not exists:
            self._run(table.create, ())
        self._tables[kind.name] = table
        return table

    def _index_unset(self, table: Table, field: str) -> None:
        with self._border, self._connections.reader() as connection:
            exists = table.indexes_unset(connection, field)
        if not exists:
            self._run(partial(table.index_unset, field=field), ())
        table.indexed_unset.add(field)

    def _sequence(self, cursor: str) -> int:
        try:
            return int(cursor)
        except ValueError as error:
            raise StoreError(f"{self._path}: {cursor!r} is no cursor of this store") from error

    def _after_fork(self) -> None:
        # A connection must not be used, nor closed, in two processes.
        self._connections.turns.close()
        _inherited.append((self._connections, self._commits))
        self._open()


_stores: "weakref.WeakSet[SqliteMetadata]" = weakref.WeakSet()
_inherited: list[object] = []


def _reopen() -> None:
    for store in list(_stores):
        store._after_fork()


os.register_at_fork(after_in_child=_reopen)


def _count(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE counter SET version = version + 1")


def _write(
    connection: sqlite3.Connection,
    tables: Mapping[str, Table],
    changes: Sequence[Change],
    version: int,
) -> None:
    """Make changes inside a transaction, with a version that no record ever had."""
    for change in changes:
        match change:
            case Put():
                records.put(connection, tables[change.kind.name], change, version)
            case Delete():
                records.delete(connection, tables[change.kind.name], change)
            case Expect():
                records.expect(connection, tables[change.kind.name], change)
            case ExpectTouched():
                records.expect_touched(connection, tables[change.kind.name], change)
            case DropSegments():
                segments.drop(connection, change)
                segments.touch(connection, _with_segments(connection), change)
            case AddSegments():
                segments.add(connection, change)
                segments.touch(connection, _with_segments(connection), change)
            case Emit():
                outbox.emit(connection, change.events)
            case Forget():
                connection.execute("DELETE FROM events WHERE seq <= ?", (int(change.until),))


def _with_segments(connection: sqlite3.Connection) -> list[Table]:
    """Return the tables of the kinds with segments, whichever process made them."""
    names = connection.execute("SELECT name FROM kinds WHERE segments").fetchall()
    return [_timed(name) for (name,) in names]


@cache
def _timed(name: bytes) -> Table:
    return Table(Kind(decode(name), {"life": FieldType.INT}, segments=True))
