"""A guest: a complete metadata store in one SQLite file, durable and shared by processes."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile

import msgspec
from msgspec.msgpack import decode, encode
from msgspec.structs import asdict, astuple

from tams_gateway.domain.health import Health
from tams_gateway.domain.timerange import ETERNITY, Span
from tams_gateway.events.event import Event
from tams_gateway.plugin import Context, Provider, hookimpl
from tams_gateway.storage import changes
from tams_gateway.storage.errors import ConflictError, OverlapError, StoreError
from tams_gateway.storage.expectations import in_order, require
from tams_gateway.storage.matching import first_page, matches, page
from tams_gateway.storage.metadata import Events, MetadataStore
from tams_gateway.storage.query import Page, Query, SegmentQuery, UseQuery
from tams_gateway.storage.records import Kind, Record, Segment, Use, Value

SCHEMA = """
PRAGMA synchronous = EXTRA;
CREATE TABLE IF NOT EXISTS records (version INTEGER PRIMARY KEY AUTOINCREMENT,
    kind, id, body, fields, touched, life, UNIQUE (id, kind));
CREATE TABLE IF NOT EXISTS segments (flow_id, life, start_ns, end_ns, object_id, body, at_ns,
    init_object_id, UNIQUE (flow_id, life, start_ns), UNIQUE (flow_id, life, end_ns));
CREATE INDEX IF NOT EXISTS uses ON segments (object_id, flow_id, life, end_ns);
CREATE INDEX IF NOT EXISTS uses_reversed ON segments (object_id, flow_id, life, start_ns);
CREATE INDEX IF NOT EXISTS init_uses ON segments (init_object_id, flow_id, life);
CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY AUTOINCREMENT, event);
"""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`path` is the file of the database."""

    path: str


class GuestMetadata:
    """One connection, which threads use in turn; processes take turns by SQLite's own locks."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self._path, self._lock = settings.path, threading.Lock()
        with self._border():
            self._db = sqlite3.connect(
                self._path, timeout=30, isolation_level=None, check_same_thread=False
            )
            self._db.executescript(SCHEMA)

    @contextmanager
    def _border(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError) as error:  # ValueError: a cursor that is no number.
            raise StoreError(f"{self._path}: {error}; see that it can be written") from error

    @contextmanager
    def _transaction(self, begin: str = "BEGIN") -> Iterator[sqlite3.Connection]:
        """Lend the connection to one thread; commit in the end, or undo all where it raises."""
        with self._border(), self._lock, self._db:
            self._db.execute(begin)
            yield self._db

    def get(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record]:
        with self._transaction() as db:
            return {one.id: one for name in ids for one in _records(db, kind, name)}

    def find(self, query: Query) -> Page[Record]:
        def touches(record: Record, span: Span) -> bool:
            life = record.fields.get("life")
            return isinstance(life, int) and any(_segments(db, SegmentQuery(record.id, life, span)))

        with self._transaction() as db:
            records = _records(db, query.kind)
            return page(query, (one for one in records if matches(query.where, one, touches)))

    def segments(self, query: SegmentQuery) -> Page[Segment]:
        with self._transaction() as db:
            return first_page(_segments(db, query), query.limit)

    def extent(
        self, flow_id: str, life: int, within: Span | None = None
    ) -> tuple[Segment, Segment] | None:
        with self._transaction() as db:
            first = next(_segments(db, SegmentQuery(flow_id, life, within)), None)
            last = next(_segments(db, SegmentQuery(flow_id, life, within, reverse=True)), None)
            return (first, last) if first and last else None

    def uses(self, query: UseQuery) -> Page[Use]:
        with self._transaction() as db:
            return first_page(_uses(db, query), query.limit)

    def events(self, after: str | None, limit: int) -> Events:
        with self._transaction() as db:
            last = int(after or 0)
            sql = "SELECT number, event FROM events WHERE number > ? ORDER BY number LIMIT ?"
            rows = db.execute(sql, (last, limit)).fetchall()
            items = [decode(event, type=Event) for _, event in rows]
            return Events(items, str(rows[-1][0] if rows else last))

    def tip(self) -> str:
        with self._transaction() as db:
            sql = "SELECT ifnull(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'"
            return str(*db.execute(sql).fetchone())

    def apply(self, changes: Sequence[changes.Change]) -> None:
        with self._transaction("BEGIN IMMEDIATE") as db:
            for change in in_order(changes):
                _make(db, change)

    def check(self) -> Health:
        try:
            self.apply([changes.Put(Kind("check", {}), "check", b"")])
        except StoreError as error:
            return Health(False, str(error), "see that the file and its directory can be written")
        return Health(True, f"{self._path} can be written")

    def close(self) -> None:
        self._db.close()


def _records(db: sqlite3.Connection, kind: Kind, *ids: str) -> Iterator[Record]:
    """Yield the records of a kind, or the one of an id."""
    sql = "SELECT id, version, body, fields, touched FROM records WHERE kind = ?"
    for row in db.execute(sql + " AND id = ?" * len(ids), (kind.name, *ids)):
        record_id, version, body, fields, touched = row
        yield Record(record_id, version, body, decode(fields, type=dict[str, Value]), touched)


def _segments(db: sqlite3.Connection, query: SegmentQuery) -> Iterator[Segment]:
    """Begin at the edge of the span, by an index, and stop at the first segment outside."""
    span, after = query.span or ETERNITY, query.after
    sql = "SELECT * FROM segments WHERE flow_id = :flow_id AND life = :life"
    if query.object_id is not None:
        sql += " AND object_id = :object_id"
    if query.reverse:
        edge = span.end if after is None else min(span.end, after)
        sql += " AND start_ns < :edge AND ifnull(end_ns < :after, 1) ORDER BY start_ns DESC"
    else:
        edge = span.start if after is None else max(span.start, after)
        sql += " AND end_ns > :edge ORDER BY end_ns"
    rows = db.execute(sql, {**asdict(query), "span": None, "edge": edge})
    segments = (Segment(*row[2:]) for row in rows)
    return takewhile(lambda one: span.overlaps(Span(one.start_ns, one.end_ns)), segments)


def _uses(db: sqlite3.Connection, query: UseQuery) -> Iterator[Use]:
    """Seek from life to life: each may have a million segments of the object."""
    column = "init_object_id" if query.as_init else "object_id"
    sql = f"SELECT flow_id, life FROM segments WHERE {column} = ? AND (flow_id, life) >= (?, ?)"
    sql += " ORDER BY flow_id, life LIMIT 1"
    last = query.after or Use("", -1)
    while row := db.execute(sql, (query.object_id, last.flow_id, last.life + 1)).fetchone():
        last = Use(*row)
        yield last


def _make(db: sqlite3.Connection, change: changes.Change) -> None:
    match change:
        case changes.AddSegments() | changes.DropSegments():
            _move(db, change)
        case changes.Emit(events):
            rows = [(encode(event),) for event in events]
            db.executemany("INSERT INTO events (event) VALUES (?)", rows)
        case changes.Forget(until):
            db.execute("DELETE FROM events WHERE number <= ?", (int(until),))
        case _:
            old = next(_records(db, change.kind, change.id), None)
            require(change, old)
            if isinstance(change, changes.Put):
                _put(db, change, old)
            elif isinstance(change, changes.Delete):
                where = (change.kind.name, change.id)
                db.execute("DELETE FROM records WHERE kind = ? AND id = ?", where)


def _put(db: sqlite3.Connection, put: changes.Put, old: Record | None) -> None:
    """Replace a record by one of a new version, which is the number of its row."""
    life = put.fields.get("life") if put.kind.segments else None
    touched = old.touched if old and old.fields.get("life") == life else None
    row = (put.kind.name, put.id, put.body, encode(put.fields), touched, life)
    db.execute("REPLACE INTO records VALUES (NULL, ?, ?, ?, ?, ?, ?)", row)


def _move(db: sqlite3.Connection, change: changes.AddSegments | changes.DropSegments) -> None:
    """Add or remove segments, and move `touched` of the flow's record."""
    life = (change.flow_id, change.life)
    rows = [life + astuple(segment) for segment in change.segments]
    if isinstance(change, changes.DropSegments):
        sql = "DELETE FROM segments WHERE flow_id = ? AND life = ? AND start_ns = ? AND end_ns = ?"
        sql += " AND object_id = ? AND body = ? AND at_ns = ? AND init_object_id IS ?"
        if db.executemany(sql, rows).rowcount < len(rows):
            raise ConflictError(f"a segment of flow {change.flow_id!r} is gone")
    else:
        spans = [Span(segment.start_ns, segment.end_ns) for segment in change.segments]
        found = [next(_segments(db, SegmentQuery(*life, span)), None) for span in spans]
        if overlaps := {index: one for index, one in enumerate(found) if one}:
            raise OverlapError(overlaps)
        db.executemany("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    sql = "UPDATE records SET touched = max(?, ifnull(touched + 1, ?)) WHERE id = ? AND life = ?"
    db.execute(sql, (change.at_ns, change.at_ns, *life))


@hookimpl
def tams_metadata_store() -> Provider[MetadataStore]:
    """Register the store."""
    return Provider("guest-metadata", Settings, GuestMetadata, "Metadata in SQLite.", api=1)
