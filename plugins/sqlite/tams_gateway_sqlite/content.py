"""All that a database holds, as entries: read at one moment, or put in place of what is there."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

from tams_gateway.storage.changes import AddSegments, Put
from tams_gateway.storage.content import Entry, KindEntry, LifeEntry, OutboxEntry
from tams_gateway.storage.records import FieldType, Kind, Record, Value
from tams_gateway_sqlite import outbox, packed, records, segments
from tams_gateway_sqlite.schema import Table, decode, encode

_BATCH: Final = 1000
"""The items of an entry."""

_KEPT: Final = ("kinds", "counter")
"""Tables that outlive a replacement: other processes rely on the tables of kinds that they have
met, and neither versions nor cursors ever come again."""


def snapshot(connection: sqlite3.Connection) -> Iterator[Entry]:
    """Yield all entries; whoever lent the connection ends the transaction."""
    connection.execute("BEGIN")
    kinds = connection.execute("SELECT name, segments FROM kinds ORDER BY name").fetchall()
    for name, timed in kinds:
        table = Table(Kind(decode(name), {}, segments=bool(timed)))
        rows = connection.execute(f"SELECT packed, touched FROM {table.record} ORDER BY id")
        while batch := rows.fetchmany(_BATCH):
            found = [packed.record(*row) for row in batch]
            yield KindEntry(_declared(table.kind, found), found)
    yield from _lives(connection)
    last = 0
    while (page := outbox.page(connection, last, _BATCH)).items:
        yield OutboxEntry(page.items)
        last = int(page.cursor)


def _lives(connection: sqlite3.Connection) -> Iterator[Entry]:
    rows = connection.execute(
        f"SELECT flow_id, life, {packed.SEGMENT} FROM segments ORDER BY flow_id, life, end_ns"
    )
    while batch := rows.fetchmany(_BATCH):
        for (flow_id, life), found in groupby(batch, itemgetter(0, 1)):
            joined = [row[2] for row in found]
            yield LifeEntry(decode(flow_id), life, packed.segments(len(joined), b"".join(joined)))


def _declared(kind: Kind, found: Sequence[Record]) -> Kind:
    """Return a kind that declares what the records set: nobody else may know it any more."""
    values = {field: value for one in found for field, value in one.fields.items()}
    fields = {field: _type(value) for field, value in values.items() if field[:4] != "tag."}
    return Kind(kind.name, fields, len(fields) < len(values), kind.segments)


def _type(value: Value) -> FieldType:
    match value:
        case bool():
            return FieldType.BOOL
        case int():
            return FieldType.INT
        case str():
            return FieldType.TEXT
        case _:
            return FieldType.SET


def replace(connection: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    """Put entries in the place of everything, inside a transaction."""
    tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
    for (name,) in connection.execute(tables).fetchall():
        if name not in _KEPT:
            connection.execute(f'DELETE FROM "{name}"')
    version = connection.execute(
        "UPDATE counter SET version = version + 1 RETURNING version"
    ).fetchone()[0]
    for entry in entries:
        match entry:
            case KindEntry():
                _put(connection, entry, version)
            case LifeEntry():
                segments.add(connection, AddSegments(entry.flow_id, entry.life, entry.segments, 0))
            case OutboxEntry():
                outbox.emit(connection, entry.events)


def _put(connection: sqlite3.Connection, entry: KindEntry, version: int) -> None:
    table = Table(entry.kind)
    table.create(connection)
    for one in entry.records:
        records.put(connection, table, Put(entry.kind, one.id, one.body, one.fields), version)
    connection.executemany(
        f"UPDATE {table.record} SET touched = ? WHERE id = ?",
        [(one.touched, encode(one.id)) for one in entry.records if one.touched is not None],
    )
